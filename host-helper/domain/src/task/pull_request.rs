//! The pull request of a task: noted whenever it is seen, it takes the task to review once the turn has ended.

use claustre_protocol::{
    ids::TaskId,
    status::{ClaudeStatus, PushMode, Reason, TaskStatus},
};

use super::{
    Task,
    decide::{close_active_session, existing},
    move_to,
};
use crate::{
    command::PullRequestState, entity::World, event::Event, rejection::Rejection, session::Session,
};

/// It was seen at this address.
pub(super) fn seen(world: &dyn World, task: TaskId, url: &str) -> Result<Vec<Event>, Rejection> {
    let known = existing(world, "noting the pull request", task)?;
    let mut events = Vec::new();
    if known.pr_url.get().map(String::as_str) != Some(url) {
        events.push(Event::TaskPullRequestSeen {
            task,
            url: url.to_owned(),
            edit_no: known.pr_url.next_edit(),
        });
    }
    let session = known.active_session().and_then(|id| world.session(id));
    // Who reports it in the middle of a turn is still at work; the turn's end is looked at for itself.
    let has_rested = session.filter(Session::is_open).is_none_or(|session| {
        let standing = session.status();
        rests(&session, standing.status, standing.reason)
    });
    if has_rested {
        events.extend(to_review(&known));
    }
    Ok(events)
}

/// How it stands.
pub(super) fn state(
    world: &dyn World,
    task: TaskId,
    state: PullRequestState,
) -> Result<Vec<Event>, Rejection> {
    let known = existing(world, "noting the state of the pull request", task)?;
    let waits_for_person = matches!(
        known.status_now(),
        TaskStatus::InReview | TaskStatus::Conflict | TaskStatus::CiFailed
    );
    if !waits_for_person {
        return Ok(Vec::new());
    }
    let (to, reason) = match state {
        PullRequestState::Clear => (TaskStatus::InReview, None),
        PullRequestState::Conflict => (
            TaskStatus::Conflict,
            Some("conflicts with its base".to_owned()),
        ),
        PullRequestState::CiFailed => (TaskStatus::CiFailed, Some("a check failed".to_owned())),
        PullRequestState::Merged => (TaskStatus::Done, Some("merged".to_owned())),
    };
    let mut events: Vec<Event> = move_to(&known, to, reason).into_iter().collect();
    if to == TaskStatus::Done && !events.is_empty() {
        events.extend(close_active_session(
            world,
            &known,
            "its pull request was merged",
            None,
        ));
    }
    Ok(events)
}

/// The session comes to this status: does its task go to review, because its turn ended and its pull request is known?
pub(crate) fn after_turn(
    task: &Task,
    session: &Session,
    status: ClaudeStatus,
    reason: Option<Reason>,
) -> Option<Event> {
    let before = session.status();
    // A client that was just started or brought back has ended no turn.
    let was_at_work = matches!(
        before.status,
        ClaudeStatus::Working | ClaudeStatus::WaitingForInput
    ) || before.reason == Some(Reason::Background);
    (was_at_work && rests(session, status, reason) && task.pr_url.get().is_some())
        .then(|| to_review(task))
        .flatten()
}

/// The turn ended by itself, and nothing waits that would begin another.
fn rests(session: &Session, status: ClaudeStatus, reason: Option<Reason>) -> bool {
    status == ClaudeStatus::Idle && reason.is_none() && session.queued.is_empty()
}

fn to_review(task: &Task) -> Option<Event> {
    (task.status_now() == TaskStatus::Working && task.push_mode.value() == PushMode::Pr)
        .then(|| move_to(task, TaskStatus::InReview, None))
        .flatten()
}
