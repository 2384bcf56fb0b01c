//! What is asked before something goes, with the names of what goes and what stays.

use claustre_protocol::{
    dashboard::SessionCard,
    ids::SessionId,
    request::{Closing, Named, RemovalPreview, Request, file_count},
};

use super::{ask, keys, quoted};
use crate::{
    effect::Effect,
    keymap::Intent,
    model::{
        After, Model, Panel, Row,
        overlay::{Confirm, ConfirmLine, OnYes, Overlay, Preview},
    },
    theme::Tone,
};

/// The word before what stays.
const KEEPS: &str = "Keeps";

/// `1 file`, `2 files`.
fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

fn whole(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Asks before a session is killed.
pub(super) fn kill(model: &mut Model, effects: &mut Vec<Effect>) {
    let session = model.current_session();
    let task = match session {
        Some(session) => session.task_id.and_then(|id| model.data.tasks.get(&id)),
        None => model.current_task(),
    };
    let losses = match session {
        Some(session) => what_a_session_loses(session),
        None => vec![ConfirmLine::new(
            Tone::Success,
            KEEPS,
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
                preview: None,
                yes: OnYes::Order {
                    request: Box::new(Request::TaskKill(Closing::unseen(task.id.to_string()))),
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
                preview: None,
                yes: OnYes::Order {
                    request: Box::new(Request::SessionClose(Closing::unseen(
                        session.id.to_string(),
                    ))),
                    target: session.id.uuid(),
                    say: format!("Closed {}", session.branch),
                },
            }
        }
        (None, None) => return,
    };
    let session = session.map(|session| session.id);
    ask_for_preview(model, effects, confirm, session);
}

/// Shows the confirmation, and asks the daemon what becomes of the worktree: only that says what goes for good.
fn ask_for_preview(
    model: &mut Model,
    effects: &mut Vec<Effect>,
    mut confirm: Confirm,
    session: Option<SessionId>,
) {
    if let Some(session) = session {
        let ticket = model.next_id;
        let request = Request::WorktreePreview(Named {
            of: session.to_string(),
        });
        if !ask(model, effects, request, After::Fill { ticket }, None) {
            return;
        }
        let line = confirm
            .lines
            .iter()
            .position(|line| line.label == KEEPS)
            .unwrap_or(confirm.lines.len());
        confirm.preview = Some(Preview {
            ticket,
            line,
            is_here: false,
        });
    }
    keys::push(model, Overlay::Confirm(confirm));
}

/// Puts what the daemon says of the worktree into the confirmation that waits for it.
pub(super) fn fill(confirm: &mut Confirm, found: &RemovalPreview) {
    let Some(preview) = confirm.preview.as_mut().filter(|preview| !preview.is_here) else {
        return;
    };
    preview.is_here = true;
    let lines = of_worktree(found);
    let place = preview.line.min(confirm.lines.len());
    let end = (place + 1).min(confirm.lines.len());
    confirm.lines.splice(place..end, lines);
    if let OnYes::Order { request, .. } = &mut confirm.yes
        && let Request::TaskKill(closing) | Request::SessionClose(closing) = request.as_mut()
        && found.session_id.is_some()
    {
        closing.shown = Some(found.shown());
    }
}

/// Says why it is not known what becomes of the worktree. A yes counts then: what nobody was shown stays.
pub(super) fn blame(confirm: &mut Confirm, why: &str) {
    let Some(preview) = confirm.preview.as_mut().filter(|preview| !preview.is_here) else {
        return;
    };
    preview.is_here = true;
    let line = ConfirmLine::new(
        Tone::Warning,
        KEEPS,
        &format!("the worktree, if anything in it would be lost: {why}"),
    );
    if let Some(place) = confirm.lines.get_mut(preview.line) {
        *place = line;
    }
}

/// What becomes of a worktree: what is kept of it, what goes for good, or why it stays.
fn of_worktree(found: &RemovalPreview) -> Vec<ConfirmLine> {
    if found.session_id.is_none() {
        return vec![ConfirmLine::new(
            Tone::Success,
            KEEPS,
            "all there is; it has no worktree",
        )];
    }
    if let Some(why) = &found.stays {
        return vec![ConfirmLine::new(
            Tone::Warning,
            KEEPS,
            &format!("the worktree as it is: {why}"),
        )];
    }
    let mut kept = Vec::new();
    for (number, noun) in [
        (found.changed_files, "changed file"),
        (found.unpushed_commits, "unpushed commit"),
        (found.ignored_kept, "ignored file"),
    ] {
        if number > 0 {
            kept.push(count(usize::try_from(number).unwrap_or(usize::MAX), noun));
        }
    }
    let text = if kept.is_empty() {
        format!(
            "branch {} unless all of it is merged; no file is changed",
            found.branch
        )
    } else {
        format!(
            "{} in a snapshot: claustre worktree restore",
            kept.join(", ")
        )
    };
    let mut lines = Vec::new();
    if !found.lost.is_empty() {
        // First: in a small pane the last lines are cut.
        lines.push(ConfirmLine::new(Tone::Warning, "Loses", &lost(found)));
    }
    lines.push(ConfirmLine::new(Tone::Success, KEEPS, &text));
    lines
}

/// The first paths that go for good, and how much it is in all.
fn lost(found: &RemovalPreview) -> String {
    const MOST_NAMED: usize = 4;
    let named: Vec<&str> = found
        .lost
        .iter()
        .take(MOST_NAMED)
        .map(|lost| lost.path.as_str())
        .collect();
    let unnamed = found.lost.len().saturating_sub(named.len());
    let more = found
        .lost_more
        .saturating_add(u64::try_from(unnamed).unwrap_or(u64::MAX));
    let more = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "for good, ignored and too large for a snapshot: {}{more} ({})",
        named.join(", "),
        file_count(found.lost_files, found.lost_bytes)
    )
}

fn what_a_session_loses(session: &SessionCard) -> Vec<ConfirmLine> {
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
    lines.push(ConfirmLine::new(
        Tone::Dim,
        KEEPS,
        "the daemon is looking at what the worktree holds",
    ));
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
            KEEPS,
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
        preview: None,
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
        preview: None,
        yes: OnYes::Order {
            request: Box::new(Request::TaskDelete(Named {
                of: task.id.to_string(),
            })),
            target: task.id.uuid(),
            say: format!("Deleted {}{hint}", quoted(&task.title)),
        },
    })
}
