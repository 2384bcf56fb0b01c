//! How a session's client ended: one table from what is reported to the word that people read.
//!
//! One end is reported by several: the client says goodbye by a hook, its launcher sees its exit status or ends itself, the kernel
//! tells that the launcher is gone, the registry that the client is. The reports come in any order, and some not at all. The
//! strongest of them stands, whichever came first:
//!
//! | what is known | status (reason) |
//! |---|---|
//! | it could not be started | error (launch_failed) |
//! | the user left it: goodbye from its prompt, exit status 0 | done (exited) |
//! | it ended by itself with another status, or by a signal | error (crashed) |
//! | its launcher, its terminal or its Zellij server is gone, or nobody saw how it ended | error (lost) |
//!
//! A client that hears a hang-up says goodbye as well and exits with 129: that is the terminal's end, not the user's.

use claustre_protocol::{
    status::{ClaudeStatus, Reason, Source, TaskStatus},
    time::Timestamp,
};

use super::{
    Session, answer,
    decide::{status_change, task_of},
};
use crate::{
    entity::World,
    event::{AskOutcome, Event},
    task::move_to,
};

/// What is known of an end, the strongest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// Its launcher or terminal is gone, or nobody saw it.
    Lost,
    /// It ended by itself, and not well.
    Crashed,
    /// The user left it.
    Left,
    /// It could not be started.
    NotStarted,
}

impl Ending {
    /// By exit code and signal, as the launcher saw them.
    pub const fn of_exit(code: Option<i32>, signal: Option<i32>) -> Self {
        match (code, signal) {
            (Some(0), _) => Self::Left,
            (Some(129), _) | (None, Some(1)) => Self::Lost,
            _ => Self::Crashed,
        }
    }

    /// By the reason that stands; none where the client has not ended.
    pub const fn of_reason(reason: Option<Reason>) -> Option<Self> {
        match reason {
            Some(Reason::Lost) => Some(Self::Lost),
            Some(Reason::Crashed) => Some(Self::Crashed),
            Some(Reason::Exited) => Some(Self::Left),
            Some(Reason::LaunchFailed) => Some(Self::NotStarted),
            _ => None,
        }
    }

    /// The word for it.
    pub const fn word(self) -> (ClaudeStatus, Reason) {
        match self {
            Self::Lost => (ClaudeStatus::Error, Reason::Lost),
            Self::Crashed => (ClaudeStatus::Error, Reason::Crashed),
            Self::Left => (ClaudeStatus::Done, Reason::Exited),
            Self::NotStarted => (ClaudeStatus::Error, Reason::LaunchFailed),
        }
    }
}

/// Has the client ended, as far as is known?
pub(super) fn of(session: &Session) -> Option<Ending> {
    let reason = session.status().reason;
    Ending::of_reason(reason).filter(|_| session.running_client().is_none())
}

/// Is this a report of the time before the client's end, that came late?
pub(super) fn is_over(session: &Session, since: Timestamp) -> bool {
    of(session).is_some() && since < session.status().since
}

/// What a report of the client's end changes; nothing where as much or more is known.
pub(super) fn ended(
    world: &dyn World,
    session: &Session,
    ending: Ending,
    source: Source,
    detail: String,
    now: Timestamp,
) -> Vec<Event> {
    let standing = session.status();
    // The end that a restart orders, or a late word of the client before a resume.
    let starts_again = standing.status == ClaudeStatus::Starting && standing.source == Source::User;
    let is_known = of(session).is_some_and(|known| known >= ending);
    if is_known || (starts_again && ending != Ending::NotStarted) {
        return Vec::new();
    }
    let (status, reason) = ending.word();
    let mut events = answer::close_all(session, AskOutcome::Gone);
    events.extend(status_change(
        session,
        status,
        Some(reason),
        source,
        now,
        detail.clone(),
    ));
    if let Some(task) = task_of(world, session)
        && matches!(
            task.status_now(),
            TaskStatus::Working | TaskStatus::Interrupted
        )
    {
        events.extend(move_to(&task, TaskStatus::Interrupted, Some(detail)));
    }
    events
}
