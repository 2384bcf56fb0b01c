//! The launchers of all sessions, as the engine sees them.

use std::{io, path::PathBuf};

use claustre_protocol::ids::SessionId;
use rustix::process::{Pid, test_kill_process};

use super::orders::{self, Order, OrderError};
use crate::{
    client,
    paths::Paths,
    ports::{Launchers, PortError},
};

/// Reaches launchers through the named pipes in their sessions' directories.
#[derive(Debug, Clone)]
pub struct PipedLaunchers {
    paths: Paths,
    program: PathBuf,
}

impl PipedLaunchers {
    /// The launchers below this home, started with the program that runs now.
    ///
    /// # Errors
    /// The system does not say which program runs.
    pub fn new(paths: Paths) -> io::Result<Self> {
        Ok(Self {
            paths,
            program: client::own_program()?,
        })
    }

    fn order(&self, session: SessionId, order: Order) -> Result<bool, PortError> {
        match orders::send(&self.paths, session, order) {
            Ok(()) => Ok(true),
            Err(OrderError::NoLauncher(_)) => Ok(false),
            Err(error @ OrderError::Write { .. }) => Err(PortError::passing(error.to_string())),
        }
    }
}

impl Launchers for PipedLaunchers {
    fn argv(&self, session: SessionId) -> Vec<String> {
        vec![
            self.program.display().to_string(),
            "session".to_owned(),
            "run".to_owned(),
            session.to_string(),
        ]
    }

    fn resume(&self, session: SessionId, _launcher_pid: u32) -> Result<bool, PortError> {
        self.order(session, Order::Resume)
    }

    fn end(&self, session: SessionId, _launcher_pid: u32, resume: bool) -> Result<bool, PortError> {
        let order = if resume { Order::Restart } else { Order::Close };
        self.order(session, order)
    }

    fn is_launcher(&self, session: SessionId, pid: u32) -> bool {
        self.is_alive(pid) && runs_session(pid, session)
    }

    fn is_alive(&self, pid: u32) -> bool {
        let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
            return false;
        };
        // One that belongs to somebody else lives, too.
        !matches!(test_kill_process(number), Err(rustix::io::Errno::SRCH)) && !is_zombie(pid)
    }
}

/// Is this process the launcher of that session, by its arguments?
#[cfg(target_os = "linux")]
fn runs_session(pid: u32, session: SessionId) -> bool {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let id = session.to_string();
    let mut words = line.split(|byte| *byte == 0).skip(1);
    words.next() == Some(b"session")
        && words.next() == Some(b"run")
        && words.next() == Some(id.as_bytes())
}

/// The system shows no arguments of others: that it lives must do.
#[cfg(not(target_os = "linux"))]
fn runs_session(_pid: u32, _session: SessionId) -> bool {
    true
}

/// Has it ended without having been waited for?
#[cfg(target_os = "linux")]
fn is_zombie(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| {
            stat.rsplit_once(')')
                .map(|(_, rest)| rest.trim_start().starts_with('Z'))
        })
        .unwrap_or(false)
}

#[cfg(not(target_os = "linux"))]
fn is_zombie(_pid: u32) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_launcher_that_is_not_there_is_known() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::at(home.path()).unwrap();
        let session = SessionId::new(uuid::Uuid::new_v4());
        let launchers = PipedLaunchers::new(paths.clone()).unwrap();
        assert!(!launchers.resume(session, 1).unwrap());
        std::fs::create_dir_all(paths.session(session)).unwrap();
        let mut pipe = super::super::orders::Orders::open(&paths, session).unwrap();
        assert!(launchers.end(session, 1, true).unwrap());
        assert!(launchers.end(session, 1, false).unwrap());
        assert_eq!(pipe.take(), [Order::Restart, Order::Close]);
        let own = std::process::id();
        assert!(launchers.is_alive(own));
        assert!(!launchers.is_launcher(session, own), "a test is none");
        assert_eq!(
            launchers.argv(session).get(1..),
            Some(&["session".to_owned(), "run".to_owned(), session.to_string()][..])
        );
    }
}
