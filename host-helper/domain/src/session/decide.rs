//! What may be done with a session.

use claustre_protocol::{
    ids::{SessionId, TaskId},
    request::ShownLoss,
    status::{ClaudeStatus, Reason, Source, TaskStatus},
    time::Timestamp,
};

use super::{Session, answer, report};
use crate::{
    Context,
    command::{OpenSession, SessionCommand},
    entity::World,
    event::{AskOutcome, Event, SessionOpened},
    project::Project,
    rejection::Rejection,
    task::{Task, move_to},
};

/// Says what a command about a session changes, or why it may not.
///
/// # Errors
/// The session is unknown or closed, or may not do that now. Reports of a closed session change nothing.
pub fn decide(
    world: &dyn World,
    command: &SessionCommand,
    context: Context,
) -> Result<Vec<Event>, Rejection> {
    use SessionCommand as C;
    match command {
        C::Open(open) => {
            let project = world
                .project(open.project)
                .filter(Project::exists)
                .ok_or_else(|| {
                    Rejection::not_found("opening a session", "there is no such project")
                })?;
            Ok(vec![opened(&project, open, None)])
        }
        C::Close { session, shown } => {
            let known = open_session(world, "closing the session", *session)?;
            let mut events = Vec::new();
            if let Some(task) = task_of(world, &known) {
                events.extend(end_assignment(&task, &known, "the session was closed"));
                if matches!(task.status_now(), TaskStatus::Working | TaskStatus::Blocked) {
                    events.extend(move_to(
                        &task,
                        TaskStatus::Interrupted,
                        Some("its session was closed".into()),
                    ));
                }
            }
            events.extend(close(&known, Reason::Closed, shown.as_ref()));
            Ok(events)
        }
        C::Resume { session } => {
            let known = open_session(world, "resuming the session", *session)?;
            if known.running_client().is_some() {
                return Err(Rejection::refused(
                    format!("resuming the session {}", known.tab_name()),
                    "its client is running",
                )
                .hint("go to its tab, or restart it: claustre session restart"));
            }
            Ok(starting_again(world, &known, context.now))
        }
        C::Restart { session } => {
            let known = open_session(world, "restarting the session", *session)?;
            Ok(starting_again(world, &known, context.now))
        }
        C::Send {
            session,
            message,
            text,
            from,
        } => {
            let known = open_session(world, "sending a message", *session)?;
            if text.trim().is_empty() {
                return Err(Rejection::refused("sending a message", "it is empty"));
            }
            // Ordered again, after an answer that was lost: it is on its way, or has arrived.
            if world
                .message(*message)
                .is_some_and(|known| known.session.is_some())
            {
                return Ok(Vec::new());
            }
            Ok(vec![Event::MessageQueued {
                message: *message,
                session: *session,
                task: known.task.value(),
                text: text.clone(),
                from: from.clone(),
            }])
        }
        C::Answer {
            session,
            ask,
            outcome,
            text,
        } => answer::decide(world, *session, *ask, *outcome, text.as_deref(), context),
        _ => report::decide(world, command, context),
    }
}

/// The event that opens a session.
pub fn opened(project: &Project, open: &OpenSession, task: Option<TaskId>) -> Event {
    Event::SessionOpened(Box::new(SessionOpened {
        session: open.session,
        project: open.project,
        task,
        title: open.title.clone(),
        branch: open.branch.clone(),
        base: open.base.clone(),
        tab_name: format!("{}:{}", project.name.value(), open.branch),
        mode: open.mode,
        host: open.host.clone(),
        claude_session_id: open.claude_session_id.clone(),
        token_hash: open.token_hash.clone(),
        prompt: open.prompt.clone(),
        model: open.model.clone(),
        effort: open.effort.clone(),
        permission_mode: open.permission_mode.clone(),
    }))
}

/// The events that close an open session: what it asked and what waits for it come to an end first.
pub fn close(session: &Session, why: Reason, shown: Option<&ShownLoss>) -> Vec<Event> {
    let mut events = answer::close_all(session, AskOutcome::Gone);
    for message in session.queued.iter() {
        events.push(Event::MessageDropped {
            message,
            session: session.id,
            task: session.task.value(),
            why: "the session was closed".into(),
        });
    }
    events.push(Event::SessionClosed {
        session: session.id,
        why,
        shown: shown.cloned(),
    });
    events
}

/// The event that ends the session's work on the task.
pub fn end_assignment(task: &Task, session: &Session, why: &str) -> Vec<Event> {
    task.assigned
        .get()
        .filter(|assigned| assigned.active && assigned.session == session.id)
        .map(|assigned| Event::AssignmentEnded {
            assignment: assigned.assignment,
            task: task.id,
            session: session.id,
            why: why.to_owned(),
            edit_no: task.assigned.next_edit(),
        })
        .into_iter()
        .collect()
}

/// The session, if it is open.
pub(super) fn open_session(
    world: &dyn World,
    doing: &str,
    id: SessionId,
) -> Result<Session, Rejection> {
    match world.session(id) {
        Some(session) if session.is_open() => Ok(session),
        Some(session) if session.opened.is_some() => Err(Rejection::refused(
            doing,
            format!("the session {} is closed", session.tab_name()),
        )),
        _ => Err(
            Rejection::not_found(doing, format!("there is no session {}", id.short()))
                .hint("claustre session list shows them"),
        ),
    }
}

pub(super) fn if_open(
    world: &dyn World,
    id: SessionId,
    then: impl FnOnce(&Session) -> Vec<Event>,
) -> Vec<Event> {
    match world.session(id) {
        Some(session) if session.is_open() => then(&session),
        _ => Vec::new(),
    }
}

/// The task it works on.
pub(super) fn task_of(world: &dyn World, session: &Session) -> Option<Task> {
    world
        .task(session.task.value()?)
        .filter(|task| task.exists() && task.active_session() == Some(session.id))
}

/// The event of a new status; none where only the time differs.
pub(super) fn status_change(
    session: &Session,
    status: ClaudeStatus,
    reason: Option<Reason>,
    source: Source,
    since: Timestamp,
    detail: String,
) -> Vec<Event> {
    let standing = session.status();
    if standing.status == status && standing.reason == reason && standing.detail == detail {
        return Vec::new();
    }
    vec![Event::SessionStatusChanged {
        session: session.id,
        status,
        reason,
        source,
        since,
        detail,
    }]
}

fn starting_again(world: &dyn World, session: &Session, now: Timestamp) -> Vec<Event> {
    let mut events = answer::close_all(session, AskOutcome::Gone);
    events.push(Event::SessionStatusChanged {
        session: session.id,
        status: ClaudeStatus::Starting,
        reason: None,
        source: Source::User,
        since: now,
        detail: if session.running_client().is_some() {
            "restarting".into()
        } else {
            "resuming".into()
        },
    });
    if let Some(task) = task_of(world, session)
        && matches!(
            task.status_now(),
            TaskStatus::Interrupted | TaskStatus::Error
        )
    {
        events.extend(move_to(&task, TaskStatus::Working, None));
    }
    events
}
