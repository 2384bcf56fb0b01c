//! What is asked before something goes, with the names of what goes and what stays.

use claustre_protocol::{
    dashboard::SessionCard,
    request::{Named, Request},
};

use super::{keys, quoted};
use crate::{
    keymap::Intent,
    model::{
        Model, Panel, Row,
        overlay::{Confirm, ConfirmLine, OnYes, Overlay},
    },
    theme::Tone,
};

/// `1 file`, `2 files`.
fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

fn whole(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Asks before a session is killed.
pub(super) fn kill(model: &mut Model) {
    let session = model.current_session();
    let task = match session {
        Some(session) => session.task_id.and_then(|id| model.data.tasks.get(&id)),
        None => model.current_task(),
    };
    let losses = match session {
        Some(session) => what_a_session_loses(model, session),
        None => vec![ConfirmLine::new(
            Tone::Success,
            "Keeps",
            "its branch and the work on it; no session is open",
        )],
    };
    let confirm = match (task, session) {
        (Some(task), _) => {
            let mut lines = vec![ConfirmLine::heading(&task.title)];
            lines.extend(losses);
            lines.push(ConfirmLine::new(
                Tone::Text,
                "Then",
                "the task is pending again",
            ));
            let title = if session.is_some() {
                "Kill the session and reset the task?"
            } else {
                "Reset the task?"
            };
            Confirm {
                title: title.into(),
                lines,
                yes: OnYes::Order {
                    request: Box::new(Request::TaskKill(Named {
                        of: task.id.to_string(),
                    })),
                    target: task.id.uuid(),
                    say: format!("Killed and reset {}", quoted(&task.title)),
                },
            }
        }
        (None, Some(session)) => {
            let mut lines = vec![ConfirmLine::heading(&session.branch)];
            lines.extend(losses);
            Confirm {
                title: "Close the session?".into(),
                lines,
                yes: OnYes::Order {
                    request: Box::new(Request::SessionClose(Named {
                        of: session.id.to_string(),
                    })),
                    target: session.id.uuid(),
                    say: format!("Closed {}", session.branch),
                },
            }
        }
        (None, None) => return,
    };
    keys::push(model, Overlay::Confirm(confirm));
}

fn what_a_session_loses(model: &Model, session: &SessionCard) -> Vec<ConfirmLine> {
    let mut lines = vec![
        ConfirmLine::new(Tone::Text, "Closes", &format!("tab {}", session.tab_name)),
        ConfirmLine::new(
            Tone::Text,
            "Ends",
            "the conversation; what Claude is doing now stops",
        ),
    ];
    if session.queued_messages > 0 {
        let verb = if session.queued_messages == 1 {
            "was"
        } else {
            "were"
        };
        let messages = count(whole(session.queued_messages), "message");
        let text = format!("{messages} that {verb} not delivered yet");
        lines.push(ConfirmLine::new(Tone::Warning, "Drops", &text));
    }
    let kept = if session.files_changed == 0 {
        format!(
            "branch {} unless all of it is merged; no file is changed",
            session.branch
        )
    } else {
        format!(
            "{} changed (+{} {}{}) in a snapshot: claustre worktree restore",
            count(whole(session.files_changed), "file"),
            session.lines_added,
            model.marks.minus,
            session.lines_removed
        )
    };
    lines.push(ConfirmLine::new(Tone::Success, "Keeps", &kept));
    lines
}

/// Asks before a task or a project goes from the board.
pub(super) fn delete(model: &mut Model) {
    let confirm = if model.acting() == Panel::Tasks {
        task_goes(model)
    } else {
        project_goes(model)
    };
    if let Some(confirm) = confirm {
        keys::push(model, Overlay::Confirm(confirm));
    }
}

fn project_goes(model: &Model) -> Option<Confirm> {
    let Some(Row::Project(id)) = model.left.item else {
        return None;
    };
    let project = model.data.projects.get(&id)?;
    let sessions = model.data.sessions_in(id).len();
    let tasks = model.data.tasks.values();
    let tasks = tasks.filter(|task| task.project_id == id).count();
    let mut lines = vec![
        ConfirmLine::heading(&project.name),
        ConfirmLine::new(
            Tone::Text,
            "Forgets",
            &format!("the project and its {}", count(tasks, "task")),
        ),
        ConfirmLine::new(
            Tone::Success,
            "Keeps",
            &format!("the repository {} as it is", project.repo_path),
        ),
    ];
    if sessions > 0 {
        let (verb, them) = if sessions == 1 {
            ("is", "it")
        } else {
            ("are", "them")
        };
        let text = format!(
            "{} {verb} still open: close {them} first",
            count(sessions, "session")
        );
        lines.push(ConfirmLine::new(Tone::Warning, "But", &text));
    }
    Some(Confirm {
        title: "Forget the project?".into(),
        lines,
        yes: OnYes::Order {
            request: Box::new(Request::ProjectRemove(Named { of: id.to_string() })),
            target: id.uuid(),
            say: format!("Forgot the project {}", quoted(&project.name)),
        },
    })
}

fn task_goes(model: &Model) -> Option<Confirm> {
    let task = model.current_task()?;
    let steps = match task.steps_total {
        0 => String::new(),
        1 => ", its step".to_owned(),
        many => format!(", its {many} steps"),
    };
    let word = model.marks.task(task.status).word;
    let mut lines = vec![
        ConfirmLine::heading(&task.title),
        ConfirmLine::new(
            Tone::Text,
            "Deletes",
            &format!("the {word} task{steps} and its prompt"),
        ),
    ];
    if model.data.session_of(task).is_some() {
        let text = match model.keymap.key_of(Intent::Kill) {
            Some(key) => format!("its session is still open: {key} kills it and closes its tab"),
            None => "its session is still open: kill it first to close its tab".to_owned(),
        };
        lines.push(ConfirmLine::new(Tone::Warning, "But", &text));
    }
    let key = model.keymap.key_of(Intent::Undo).map(|key| key.to_string());
    let (undo, hint) = match key {
        Some(key) => (
            format!("{key} brings it back"),
            format!(" · {key} brings it back"),
        ),
        None => (
            "claustre task undo brings it back".to_owned(),
            String::new(),
        ),
    };
    lines.push(ConfirmLine::new(Tone::Success, "Undo", &undo));
    Some(Confirm {
        title: "Delete the task?".into(),
        lines,
        yes: OnYes::Order {
            request: Box::new(Request::TaskDelete(Named {
                of: task.id.to_string(),
            })),
            target: task.id.uuid(),
            say: format!("Deleted {}{hint}", quoted(&task.title)),
        },
    })
}
