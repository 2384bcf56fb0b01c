//! Finds what a person named: an id, the unique beginning of one, or a unique name.

use claustre_domain::{project::Project, session::Session, task::Task};
use claustre_protocol::{
    ids::Id,
    rpc::{Fault, FaultCode},
};

use super::Api;

impl Api {
    /// The project.
    pub(super) async fn find_project(&self, doing: &str, named: &str) -> Result<Project, Fault> {
        let text = named.to_owned();
        let ids = self
            .engine
            .read(move |reader| reader.resolve_project(&text))
            .await?;
        let id = one(doing, "project", named, &ids, "claustre project list")?;
        self.engine
            .read(move |reader| reader.project(id))
            .await?
            .ok_or_else(|| none(doing, "project", named, "claustre project list"))
    }

    /// The task.
    pub(super) async fn find_task(&self, doing: &str, named: &str) -> Result<Task, Fault> {
        let text = named.to_owned();
        let ids = self
            .engine
            .read(move |reader| reader.resolve_task(&text))
            .await?;
        let id = one(doing, "task", named, &ids, "claustre task list")?;
        self.engine
            .read(move |reader| reader.task(id))
            .await?
            .ok_or_else(|| none(doing, "task", named, "claustre task list"))
    }

    /// The session, or the session that works, or last worked, on the task of that name.
    pub(super) async fn find_session(&self, doing: &str, named: &str) -> Result<Session, Fault> {
        let text = named.to_owned();
        let ids = self
            .engine
            .read(move |reader| reader.resolve_session(&text))
            .await?;
        if ids.is_empty()
            && let Ok(task) = self.find_task(doing, named).await
        {
            let Some(id) = task.last_session() else {
                return Err(Fault::new(
                    FaultCode::Refused,
                    format!(
                        "{doing}: the task '{}' has no session yet",
                        task.title.value()
                    ),
                    Some("launch it: claustre task launch".into()),
                ));
            };
            return self
                .engine
                .read(move |reader| reader.session(id))
                .await?
                .ok_or_else(|| none(doing, "session", named, "claustre session list"));
        }
        let id = one(doing, "session", named, &ids, "claustre session list")?;
        self.engine
            .read(move |reader| reader.session(id))
            .await?
            .ok_or_else(|| none(doing, "session", named, "claustre session list"))
    }
}

fn one<Kind>(
    doing: &str,
    what: &str,
    named: &str,
    ids: &[Id<Kind>],
    list: &str,
) -> Result<Id<Kind>, Fault> {
    match ids {
        [] => Err(none(doing, what, named, list)),
        [one] => Ok(*one),
        several => Err(Fault::new(
            FaultCode::Refused,
            format!(
                "{doing}: '{}' names {} {what}s",
                shown(named),
                several.len()
            ),
            Some(format!(
                "use one of the ids: {}",
                several
                    .iter()
                    .take(5)
                    .map(|id| id.short())
                    .collect::<Vec<_>>()
                    .join(", ")
            )),
        )),
    }
}

fn none(doing: &str, what: &str, named: &str, list: &str) -> Fault {
    Fault::new(
        FaultCode::NotFound,
        format!("{doing}: there is no {what} '{}'", shown(named)),
        Some(format!("{list} shows them")),
    )
}

fn shown(named: &str) -> String {
    crate::text::one_line(named, 60)
}
