//! Finds what a person named: an id, the unique beginning of one, or a unique name.

use std::collections::BTreeSet;

use claustre_domain::{project::Project, session::Session, task::Task};
use claustre_protocol::{
    ids::Id,
    rpc::{Fault, FaultCode},
};
use uuid::Uuid;

use super::Api;
use crate::store::StoreError;

/// As many of the things that a name fits are told.
const TOLD: usize = 5;

impl Api {
    /// The project.
    pub(super) async fn find_project(&self, doing: &str, named: &str) -> Result<Project, Fault> {
        let text = named.to_owned();
        let found = self
            .engine
            .read(move |reader| {
                let ids = reader.resolve_project(&text)?;
                candidates(&ids, |id| reader.project(id))
            })
            .await?;
        one(doing, "project", named, found, |project| {
            (project.id.uuid(), project.name.value())
        })
    }

    /// The task.
    pub(super) async fn find_task(&self, doing: &str, named: &str) -> Result<Task, Fault> {
        let text = named.to_owned();
        let found = self
            .engine
            .read(move |reader| {
                let ids = reader.resolve_task(&text)?;
                candidates(&ids, |id| reader.task(id))
            })
            .await?;
        one(doing, "task", named, found, |task| {
            (task.id.uuid(), task.title.value())
        })
    }

    /// The session, or the session that works, or last worked, on the task of that name.
    pub(super) async fn find_session(&self, doing: &str, named: &str) -> Result<Session, Fault> {
        let text = named.to_owned();
        let found = self
            .engine
            .read(move |reader| {
                let ids = reader.resolve_session(&text)?;
                candidates(&ids, |id| reader.session(id))
            })
            .await?;
        if found.is_empty()
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
                .ok_or_else(|| none(doing, "session", named));
        }
        one(doing, "session", named, found, |session| {
            (session.id.uuid(), session.tab_name())
        })
    }
}

/// The things of these ids.
fn candidates<Kind, T>(
    ids: &[Id<Kind>],
    read: impl Fn(Id<Kind>) -> Result<Option<T>, StoreError>,
) -> Result<Vec<T>, StoreError> {
    ids.iter().filter_map(|id| read(*id).transpose()).collect()
}

/// The only one that was found; where there are several, the refusal tells them apart.
fn one<T>(
    doing: &str,
    what: &str,
    named: &str,
    mut found: Vec<T>,
    tell: impl Fn(&T) -> (Uuid, String),
) -> Result<T, Fault> {
    let several = found.len() > 1;
    match found.pop() {
        None => Err(none(doing, what, named)),
        Some(only) if !several => Ok(only),
        Some(last) => {
            found.push(last);
            let told: Vec<(Uuid, String)> = found.iter().map(tell).collect();
            Err(Fault::new(
                FaultCode::Refused,
                format!("{doing}: '{}' names {} {what}s", shown(named), told.len()),
                Some(format!("use one of the ids: {}", apart(&told))),
            ))
        }
    }
}

/// Ids with names, each id long enough to be no other's beginning.
fn apart(told: &[(Uuid, String)]) -> String {
    let whole: Vec<(String, &str)> = told
        .iter()
        .map(|(id, name)| (id.simple().to_string(), name.as_str()))
        .collect();
    let beginning = |id: &str, length: usize| id.chars().take(length).collect::<String>();
    let length = (8..32)
        .find(|length| {
            let different: BTreeSet<String> =
                whole.iter().map(|(id, _)| beginning(id, *length)).collect();
            different.len() == whole.len()
        })
        .unwrap_or(32);
    let listed: Vec<String> = whole
        .iter()
        .take(TOLD)
        .map(|(id, name)| format!("{} ({})", beginning(id, length), shown(name)))
        .collect();
    listed.join(", ")
}

fn none(doing: &str, what: &str, named: &str) -> Fault {
    Fault::new(
        FaultCode::NotFound,
        format!("{doing}: there is no {what} '{}'", shown(named)),
        Some(format!("claustre {what} list shows them")),
    )
}

fn shown(named: &str) -> String {
    crate::text::one_line(named, 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(things: Vec<(u128, &str)>) -> Result<String, Fault> {
        let things = things
            .into_iter()
            .map(|(id, name)| (Uuid::from_u128(id), name.to_owned()))
            .collect();
        one("showing the task", "task", "1f3a", things, Clone::clone).map(|(_, name)| name)
    }

    #[test]
    fn a_beginning_that_fits_two_is_refused_with_both_named() {
        let (first, second) = (0x1f3a_9c02 << 96, 0x1f3a_9c0b << 96);
        let fault = found(vec![(first, "Fix the sum"), (second, "Fix the tax")]).unwrap_err();
        assert_eq!(fault.code, FaultCode::Refused.number());
        assert_eq!(fault.message, "showing the task: '1f3a' names 2 tasks");
        assert_eq!(
            fault.hint(),
            Some("use one of the ids: 1f3a9c02 (Fix the sum), 1f3a9c0b (Fix the tax)")
        );
        assert_eq!(found(vec![(first, "Fix the sum")]).unwrap(), "Fix the sum");
        let fault = found(Vec::new()).unwrap_err();
        assert_eq!(fault.code, FaultCode::NotFound.number());
    }

    #[test]
    fn ids_are_told_as_long_as_it_takes_to_tell_them_apart() {
        let first = 0x1f3a_9c02_0000_4000 << 64;
        let fault = found(vec![(first, "a"), (first | 1, "b")]).unwrap_err();
        assert_eq!(
            fault.hint(),
            Some(
                "use one of the ids: 1f3a9c02000040000000000000000000 (a), 1f3a9c02000040000000000000000001 (b)"
            )
        );
    }
}
