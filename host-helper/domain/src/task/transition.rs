//! The moves of a task on the board: one table, which everything that moves a task asks.

use claustre_protocol::status::TaskStatus;

use super::Task;
use crate::event::Event;

/// May a task move so? The table of the design, row by row.
pub fn may_move(from: TaskStatus, to: TaskStatus) -> bool {
    use TaskStatus as S;
    match (from, to) {
        // Kill and reset, or reopen: everything goes back to the queue, a draft by being submitted.
        (from, S::Pending) => from != S::Pending,
        (S::Pending, S::Working) => true,
        (
            S::Working,
            S::InReview
            | S::Done
            | S::Interrupted
            | S::Blocked
            | S::Error
            | S::Conflict
            | S::CiFailed,
        ) => true,
        // Work goes on: resumed, sent back, retried, unblocked.
        (
            S::InReview | S::Conflict | S::CiFailed | S::Interrupted | S::Blocked | S::Error,
            S::Working,
        ) => true,
        // What the pull request shows; it clears again.
        (S::InReview, S::Conflict | S::CiFailed) => true,
        (S::Conflict, S::InReview | S::CiFailed) => true,
        (S::CiFailed, S::InReview | S::Conflict) => true,
        // An agent may finish although its task was held up.
        (S::Interrupted | S::Blocked, S::InReview) => true,
        // A dependency reopened, or a person says so.
        (S::Pending | S::Interrupted | S::InReview, S::Blocked) => true,
        (S::Interrupted | S::Blocked, S::Error) => true,
        (
            S::InReview | S::Conflict | S::CiFailed | S::Interrupted | S::Blocked | S::Pending,
            S::Done,
        ) => true,
        _ => false,
    }
}

/// The event that moves the task, if it is not there already and may go there.
pub fn move_to(task: &Task, to: TaskStatus, reason: Option<String>) -> Option<Event> {
    let standing = task.standing();
    if standing.status == to && standing.reason == reason {
        return None;
    }
    // A new reason for the same status is no move.
    if standing.status != to && !may_move(standing.status, to) {
        return None;
    }
    Some(Event::TaskStatusChanged {
        task: task.id,
        from: standing.status,
        to,
        reason,
        edit_no: task.status.next_edit(),
    })
}
