//! Requests about everything at once: what needs a person, what stands where.

use std::collections::{BTreeMap, HashSet};

use claustre_domain::projection::inbox;
use claustre_protocol::{
    ids::ProjectId,
    model::{InboxItem, InboxKind, Session},
    request::{DaemonStatus, StatusOverview, StatusShow},
    rpc::Fault,
    status::{ClaudeStatus, TaskStatus, Word},
};

use super::Api;
use crate::{
    engine::Live,
    store::{Reader, SessionFilter, StoreError, TaskFilter},
};

impl Api {
    pub(super) async fn inbox(&self) -> Result<Vec<InboxItem>, Fault> {
        let live = self.engine.live.clone();
        self.engine
            .read(move |reader| inbox_items(reader, &live, None))
            .await
    }

    pub(super) async fn status(&self, show: StatusShow) -> Result<StatusOverview, Fault> {
        let project = match &show.project {
            Some(named) => Some(self.find_project("showing the status", named).await?.id),
            None => None,
        };
        let mut sessions: Vec<Session> = self
            .sessions(SessionFilter {
                project,
                open_only: true,
            })
            .await?;
        sessions.sort_by_key(|session| (urgency(session), session.since));
        let live = self.engine.live.clone();
        self.engine
            .read(move |reader| {
                let tasks: BTreeMap<String, u64> = reader
                    .task_counts(project)?
                    .into_iter()
                    .map(|(status, count)| (status.word().to_owned(), count))
                    .collect();
                Ok(StatusOverview {
                    sessions,
                    tasks,
                    inbox: inbox_items(reader, &live, project)?,
                })
            })
            .await
    }

    pub(super) async fn daemon_status(&self) -> Result<DaemonStatus, Fault> {
        let sessions = self
            .engine
            .read(|reader| {
                reader.sessions(SessionFilter {
                    project: None,
                    open_only: true,
                })
            })
            .await?
            .len();
        Ok(DaemonStatus {
            pid: std::process::id(),
            build: claustre_protocol::BUILD.into(),
            home: self.paths.home().display().to_string(),
            position: *self.engine.position().borrow(),
            started_at: self.started_at,
            links: (self.links)(),
            sessions: u32::try_from(sessions).unwrap_or(u32::MAX),
            sqlite: crate::store::sqlite_version(),
        })
    }
}

fn urgency(session: &Session) -> u8 {
    match (session.ask.is_some(), session.claude_status) {
        (true, _) => 0,
        (_, ClaudeStatus::WaitingForInput) => 1,
        (_, ClaudeStatus::Error) => 2,
        (_, ClaudeStatus::Starting) => 3,
        (_, ClaudeStatus::Working) => 4,
        (_, ClaudeStatus::Idle | ClaudeStatus::Done) => 5,
    }
}

/// What needs a person, the most urgent first.
///
/// # Errors
/// The store cannot be read.
pub fn inbox_items(
    reader: &Reader,
    live: &Live,
    project: Option<ProjectId>,
) -> Result<Vec<InboxItem>, StoreError> {
    let mut items: Vec<InboxItem> = live
        .warning()
        .map(|warning| InboxItem {
            kind: InboxKind::Error,
            task_id: None,
            session_id: None,
            title: "claustre".into(),
            detail: warning.text,
            since: warning.since,
            ask_id: None,
            only_in_tab: false,
        })
        .into_iter()
        .collect();
    let mut told = HashSet::new();
    for session in reader.sessions(SessionFilter {
        project,
        open_only: true,
    })? {
        let asks = if session.asks.is_empty() {
            Vec::new()
        } else {
            reader.open_asks(session.id)?
        };
        let of_session = inbox::of_session(&session, &asks);
        if !of_session.is_empty() {
            told.extend(session.task.value());
        }
        items.extend(of_session);
    }
    for status in [
        TaskStatus::InReview,
        TaskStatus::Conflict,
        TaskStatus::CiFailed,
        TaskStatus::Blocked,
        TaskStatus::Interrupted,
        TaskStatus::Error,
    ] {
        let tasks = reader.tasks(TaskFilter {
            project,
            status: Some(status),
            limit: 200,
            ..TaskFilter::default()
        })?;
        items.extend(
            tasks
                .iter()
                .filter_map(|task| inbox::of_task(task, told.contains(&task.id))),
        );
    }
    inbox::sort(&mut items);
    Ok(items)
}
