//! What the log believes against what the host shows: after a start of the daemon, a reboot, a crash.

use claustre_protocol::{
    ids::SessionId,
    status::{ClaudeStatus, Reason},
};

use crate::{
    command::{Command, SessionCommand},
    session::Session,
};

/// What this host shows of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Observed {
    /// Does the client's process that the log names still run?
    pub client_alive: bool,
    /// Does its launcher?
    pub launcher_alive: bool,
}

/// The reports that bring the log in line with the host. `observed` says what the host shows of a session.
///
/// Only sessions of this host may be given. A session that was never started is left alone: its effects are still in the outbox.
pub fn recover(sessions: &[Session], observed: impl Fn(SessionId) -> Observed) -> Vec<Command> {
    sessions
        .iter()
        .filter(|session| session.is_open() && session.running_client().is_some())
        .filter_map(|session| {
            let seen = observed(session.id);
            let ended = session.status().status == ClaudeStatus::Error
                || session.status().reason == Some(Reason::Exited);
            if seen.client_alive || ended {
                return None;
            }
            let why = if seen.launcher_alive {
                "the client ended while no daemon ran"
            } else {
                "its client and pane are gone (the host or Zellij was restarted)"
            };
            Some(Command::Session(SessionCommand::ReportLost {
                session: session.id,
                why: why.into(),
            }))
        })
        .collect()
}
