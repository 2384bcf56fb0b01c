//! A task for a session that is open already: it goes on in the same worktree, with the task's prompt as its next message.

use claustre_protocol::{
    ids::{AssignmentId, MessageId, SessionId, TaskId},
    status::{Mode, TaskStatus, Word},
};

use super::{
    Task,
    decide::{doing, existing, on_branch, ready_to_start, unmet_dependencies},
    move_to, prompt,
};
use crate::{
    entity::World,
    event::Event,
    rejection::Rejection,
    session::{Session, end_assignment},
};

/// Gives the task to the session.
pub(super) fn decide(
    world: &dyn World,
    task: TaskId,
    assignment: AssignmentId,
    session: SessionId,
    message: MessageId,
) -> Result<Vec<Event>, Rejection> {
    let known = existing(world, "assigning the task", task)?;
    let verb = doing("assigning", &known);
    let project = ready_to_start(world, &known, &verb)?;
    let session = world.session(session).ok_or_else(|| {
        Rejection::not_found(&verb, format!("there is no session {}", session.short()))
            .hint("claustre session list shows them")
    })?;
    let before = free_for_more(world, &session, &verb)?;
    if session.project() != Some(project.id) {
        return Err(Rejection::refused(
            verb,
            format!(
                "the session {} works on another repository than {}",
                session.tab_name(),
                project.name.value()
            ),
        )
        .hint("launch it in a session of its own: claustre task launch"));
    }
    if let Some(branch) = other_branch(&known, &session) {
        return Err(Rejection::refused(
            verb,
            format!(
                "its work belongs on the branch {branch}, and the session {} is on another",
                session.tab_name()
            ),
        )
        .hint("launch it in a session of its own: claustre task launch"));
    }

    let base = session
        .worktree
        .get()
        .map_or_else(|| project.default_branch.value(), |made| made.base.clone());
    let mut events: Vec<Event> = before
        .iter()
        .flat_map(|before| end_assignment(before, &session, "the session went on to another task"))
        .collect();
    events.extend(on_branch(&known, &session.branch()));
    events.push(Event::TaskAssigned {
        assignment,
        task,
        session: session.id,
        edit_no: known.assigned.next_edit(),
    });
    events.push(Event::MessageQueued {
        message,
        session: session.id,
        task: Some(task),
        text: prompt::next_prompt(&known, &base),
        from: "claustre".into(),
    });
    events.extend(move_to(&known, TaskStatus::Working, None));
    Ok(events)
}

/// The first of these tasks that the session may begin by itself: an autonomous one in the queue that waits for nothing, and has
/// no branch of its own.
pub fn next_for_itself(
    world: &dyn World,
    session: &Session,
    queue: impl IntoIterator<Item = Task>,
) -> Option<Task> {
    queue.into_iter().find(|task| {
        task.exists()
            && task.status_now() == TaskStatus::Pending
            && task.mode.value() == Mode::Autonomous
            && other_branch(task, session).is_none()
            && unmet_dependencies(world, task).is_empty()
    })
}

/// The branch that the task was given or was begun on, where the session is on another.
fn other_branch(task: &Task, session: &Session) -> Option<String> {
    task.branch
        .value()
        .filter(|branch| *branch != session.branch())
}

/// The finished task that the session leaves, if it had one.
///
/// What is in review stays on the session's branch: the commits of another task would land in its pull request.
fn free_for_more(
    world: &dyn World,
    session: &Session,
    verb: &str,
) -> Result<Option<Task>, Rejection> {
    let name = session.tab_name();
    if !session.is_open() {
        return Err(
            Rejection::refused(verb, format!("the session {name} is closed"))
                .hint("launch it in a session of its own: claustre task launch"),
        );
    }
    if session.running_client().is_none() {
        return Err(
            Rejection::refused(verb, format!("the client of {name} does not run"))
                .hint("resume it first: claustre session resume"),
        );
    }
    let before = session
        .task
        .value()
        .and_then(|task| world.task(task))
        .filter(|task| task.exists() && task.active_session() == Some(session.id));
    match before {
        Some(before) if before.status_now() != TaskStatus::Done => Err(Rejection::refused(
            verb,
            format!(
                "the session {name} has the task '{}', which is {}",
                before.title.value(),
                before.status_now().word().replace('_', " ")
            ),
        )
        .hint("finish that one first, or launch this one in a session of its own: claustre task launch")),
        // What it says until then would count for the new task.
        _ if !session.takes_prompts() => Err(Rejection::refused(
            verb,
            format!("the session {name} is in the middle of something"),
        )
        .hint("wait until it is idle, or answer what it asks")),
        before => Ok(before),
    }
}
