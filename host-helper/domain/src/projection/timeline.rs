//! The timeline: the events of a task or session that people want to read, one line each, made from the log when somebody looks.
//!
//! The store finds the events of a task or session by `task` and `session` at the top of their payloads: an event whose line belongs
//! to one names it there.

use claustre_protocol::{
    ids::{SessionId, TaskId},
    model::Update,
    status::{LogLevel, Word},
};

use crate::event::{AskOutcome, Event, Recorded};

/// The line of an event, or none where it says nothing to people.
pub fn update(recorded: &Recorded) -> Option<Update> {
    let line = line(&recorded.event)?;
    Some(Update {
        id: recorded.id,
        task_id: line.task,
        session_id: line.session,
        source: line.source,
        payload: line.text,
        level: line.level,
        hlc: recorded.hlc.to_string(),
        created_at: recorded.at(),
    })
}

struct Line {
    task: Option<TaskId>,
    session: Option<SessionId>,
    source: String,
    level: LogLevel,
    text: String,
}

fn line(event: &Event) -> Option<Line> {
    let task_line = |task: &TaskId, source: &str, text: String| {
        Some(Line {
            task: Some(*task),
            session: None,
            source: source.into(),
            level: LogLevel::Info,
            text,
        })
    };
    let session_line = |task: &Option<TaskId>,
                        session: &SessionId,
                        source: &str,
                        level: LogLevel,
                        text: String| {
        Some(Line {
            task: *task,
            session: Some(*session),
            source: source.into(),
            level,
            text,
        })
    };
    match event {
        Event::TaskCreated(created) => task_line(
            &created.task,
            "status",
            format!("created as {}", created.status.word()),
        ),
        Event::TaskEdited(edited) => task_line(&edited.task, "edit", "edited".into()),
        Event::TaskStatusChanged {
            task,
            from,
            to,
            reason,
            ..
        } => {
            let reason = reason
                .as_deref()
                .map(|reason| format!(": {reason}"))
                .unwrap_or_default();
            let text = if from == to {
                format!("{}{reason}", to.word())
            } else {
                format!("{} → {}{reason}", from.word(), to.word())
            };
            task_line(task, "status", text)
        }
        Event::TaskDeleted { task, .. } => task_line(task, "status", "deleted".into()),
        Event::TaskRestored { task, .. } => task_line(task, "status", "restored".into()),
        Event::TaskAssigned { task, session, .. } => session_line(
            &Some(*task),
            session,
            "session",
            LogLevel::Info,
            format!("session {} works on it", session.short()),
        ),
        Event::AssignmentEnded {
            task, session, why, ..
        } => session_line(
            &Some(*task),
            session,
            "session",
            LogLevel::Info,
            format!("session {} stopped working on it: {why}", session.short()),
        ),
        Event::TaskPullRequestSeen { task, url, .. } => {
            task_line(task, "pull_request", url.clone())
        }
        Event::TaskNoted {
            task,
            session,
            source,
            level,
            text,
        } => Some(Line {
            task: *task,
            session: *session,
            source: source.clone(),
            level: *level,
            text: text.clone(),
        }),
        Event::SubtaskAdded { task, title, .. } => {
            task_line(task, "step", format!("step added: {title}"))
        }
        Event::SubtaskCompleted { task, done, .. } => task_line(
            task,
            "step",
            if *done {
                "a step was finished".into()
            } else {
                "a step was opened again".into()
            },
        ),
        Event::SessionWorktreeReady {
            session,
            path,
            reused,
            notes,
            ..
        } => {
            let verb = if *reused { "reused" } else { "created" };
            let mut text = format!("worktree {verb}: {path}");
            for note in notes {
                text.push_str("; ");
                text.push_str(note);
            }
            session_line(&None, session, "worktree", LogLevel::Info, text)
        }
        Event::SessionStatusChanged {
            session,
            status,
            reason,
            source,
            detail,
            ..
        } => {
            let mut text = status.word().to_owned();
            if let Some(reason) = reason {
                text.push_str(&format!(" ({})", reason.word()));
            }
            if !detail.is_empty() {
                text.push_str(&format!(": {detail}"));
            }
            text.push_str(&format!(" · {}", source.word()));
            session_line(&None, session, "session_status", LogLevel::Info, text)
        }
        Event::SessionReported {
            session,
            task,
            state,
            message,
        } => session_line(
            task,
            session,
            "agent",
            LogLevel::Info,
            format!("{state}: {message}"),
        ),
        Event::SessionAsked(asked) => session_line(
            &asked.task,
            &asked.session,
            "permission",
            LogLevel::Warn,
            asked.title.clone(),
        ),
        Event::SessionAskClosed {
            session,
            task,
            outcome,
            text,
            ..
        } => {
            let what = match outcome {
                AskOutcome::Approved => "approved",
                AskOutcome::Denied => "denied",
                AskOutcome::Answered => "answered",
                AskOutcome::Elsewhere => "answered in the tab",
                AskOutcome::Gone => "not waited for any more",
            };
            let text = text
                .as_deref()
                .map(|text| format!("{what}: {text}"))
                .unwrap_or_else(|| what.into());
            session_line(task, session, "permission", LogLevel::Info, text)
        }
        Event::MessageQueued {
            session,
            task,
            text,
            from,
            ..
        } => session_line(
            task,
            session,
            "message",
            LogLevel::Info,
            format!("from {from}: {text}"),
        ),
        Event::MessageRetried { session, task, .. } => session_line(
            task,
            session,
            "message",
            LogLevel::Info,
            "sent again".into(),
        ),
        Event::MessageDelivered { session, task, .. } => {
            session_line(task, session, "message", LogLevel::Info, "delivered".into())
        }
        Event::MessageDropped {
            session, task, why, ..
        } => session_line(
            task,
            session,
            "message",
            LogLevel::Warn,
            format!("not delivered: {why}"),
        ),
        Event::SessionClosed { session, why, .. } => session_line(
            &None,
            session,
            "session",
            LogLevel::Info,
            format!("closed ({})", why.word()),
        ),
        Event::WorktreeRemoved {
            session,
            task,
            branch,
            branch_deleted,
            ..
        } => session_line(
            task,
            session,
            "worktree",
            LogLevel::Info,
            format!(
                "worktree removed; branch {branch} {}",
                if *branch_deleted {
                    "was merged and deleted"
                } else {
                    "stays"
                }
            ),
        ),
        Event::WorktreeRestored { session, path, .. } => session_line(
            &None,
            session,
            "worktree",
            LogLevel::Info,
            format!("worktree restored: {path}"),
        ),
        // Projects have their history; the rest is shown where it stands.
        Event::ProjectAdded(_)
        | Event::ProjectEdited(_)
        | Event::ProjectRemoved { .. }
        | Event::TaskMoved { .. }
        | Event::SubtaskRemoved { .. }
        | Event::SessionOpened(_)
        | Event::SessionPaneOpened { .. }
        | Event::SessionClientStarted { .. }
        | Event::SessionIdentified { .. }
        | Event::SessionAskAttended { .. }
        | Event::SessionAskUnattended { .. }
        | Event::SessionAskAnswered { .. }
        | Event::SnapshotExpired { .. }
        | Event::UsageRecorded { .. }
        | Event::MessageTyped { .. } => None,
    }
}
