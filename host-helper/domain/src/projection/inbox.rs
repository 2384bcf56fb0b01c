//! What needs a person, the most urgent first.

use claustre_protocol::{
    model::{AskKind, InboxItem, InboxKind},
    status::{ClaudeStatus, Reason, TaskStatus, Word},
};

use crate::{
    session::{Ask, AskState, Session},
    task::Task,
};

/// The items of one open session; `asks` are those it still waits for.
pub fn of_session(session: &Session, asks: &[Ask]) -> Vec<InboxItem> {
    let item = |kind, title: String, detail: String, since| InboxItem {
        kind,
        task_id: session.task.value(),
        session_id: Some(session.id),
        title,
        detail,
        since,
        ask_id: None,
        only_in_tab: false,
    };
    let mut items: Vec<InboxItem> = asks
        .iter()
        .filter_map(|ask| Some((ask.asked.as_deref()?, ask.state())))
        .map(|(asked, state)| {
            let kind = match asked.kind {
                AskKind::Permission => InboxKind::Permission,
                AskKind::Question => InboxKind::Question,
                AskKind::Dialog => InboxKind::Dialog,
            };
            InboxItem {
                ask_id: Some(asked.ask),
                only_in_tab: state == AskState::OnlyInTab,
                ..item(kind, session.tab_name(), asked.title.clone(), asked.since)
            }
        })
        .collect();
    let standing = session.status();
    if items.is_empty() {
        let kind = match (standing.status, standing.reason) {
            (ClaudeStatus::WaitingForInput, Some(Reason::Permission)) => {
                Some(InboxKind::Permission)
            }
            (ClaudeStatus::WaitingForInput, Some(Reason::Dialog | Reason::UsageLimit)) => {
                Some(InboxKind::Dialog)
            }
            (ClaudeStatus::WaitingForInput, _) => Some(InboxKind::Question),
            (ClaudeStatus::Error, _) => Some(InboxKind::Error),
            (ClaudeStatus::Starting, Some(Reason::NoHooks | Reason::Dialog)) => {
                Some(InboxKind::Dialog)
            }
            _ => None,
        };
        if let Some(kind) = kind {
            let reason = standing.reason.map(Word::word).unwrap_or("waits");
            let detail = if standing.detail.is_empty() {
                reason.to_owned()
            } else {
                standing.detail.clone()
            };
            items.push(item(kind, session.tab_name(), detail, standing.since));
        }
    }
    items
}

/// The item of one task, where it waits for a person. `session_tells` = its session has an item of its own for the same thing.
pub fn of_task(task: &Task, session_tells: bool) -> Option<InboxItem> {
    let standing = task.standing();
    let kind = match standing.status {
        TaskStatus::InReview => InboxKind::Review,
        TaskStatus::Conflict => InboxKind::Conflict,
        TaskStatus::CiFailed => InboxKind::CiFailed,
        TaskStatus::Blocked => InboxKind::Blocked,
        TaskStatus::Interrupted if !session_tells => InboxKind::Interrupted,
        TaskStatus::Error if !session_tells => InboxKind::Error,
        _ => return None,
    };
    Some(InboxItem {
        kind,
        task_id: Some(task.id),
        session_id: task.active_session(),
        title: task.title.value(),
        detail: standing
            .reason
            .unwrap_or_else(|| standing.status.word().replace('_', " ")),
        since: standing.since,
        ask_id: None,
        only_in_tab: false,
    })
}

/// The most urgent first; among equals the one that waits longest.
pub fn sort(items: &mut [InboxItem]) {
    items.sort_by(|a, b| (a.kind, a.since, &a.title).cmp(&(b.kind, b.since, &b.title)));
}
