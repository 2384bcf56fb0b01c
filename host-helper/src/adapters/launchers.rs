//! The launchers of sessions: how they are started, told what to do, and known again.
//!
//! Orders go through the named pipe `control` in the session's directory, one word a line; see `launcher::orders`.
//! A process id comes back to another process, so no order ever goes by a signal.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use claustre_protocol::ids::SessionId;

use super::claude::registry::{self, Liveness};
use super::process::Invocation;
use crate::launcher::orders::{self, Order, OrderError};
use crate::paths::Paths;
use crate::ports::{Launchers, PortError};

const PS_LIMIT: Duration = Duration::from_secs(2);

/// The launchers of this home.
#[derive(Debug, Clone)]
pub struct SessionLaunchers {
    paths: Paths,
    claustre: PathBuf,
}

impl SessionLaunchers {
    /// `claustre` is the helper's own executable, absolute.
    #[must_use]
    pub fn new(paths: Paths, claustre: PathBuf) -> Self {
        Self { paths, claustre }
    }

    /// Tells the launcher. False: none runs.
    fn tell(&self, session: SessionId, order: Order) -> Result<bool, PortError> {
        match orders::send(&self.paths, session, order) {
            Ok(()) => Ok(true),
            Err(OrderError::NoLauncher(_)) => Ok(false),
            Err(error @ OrderError::Write { .. }) => Err(PortError::passing(error.to_string())),
        }
    }
}

impl Launchers for SessionLaunchers {
    fn argv(&self, session: SessionId) -> Vec<String> {
        vec![
            self.claustre.display().to_string(),
            "session".to_owned(),
            "run".to_owned(),
            session.to_string(),
        ]
    }

    fn resume(&self, session: SessionId, _launcher_pid: u32) -> Result<bool, PortError> {
        self.tell(session, Order::Resume)
    }

    fn end(&self, session: SessionId, _launcher_pid: u32, resume: bool) -> Result<bool, PortError> {
        self.tell(session, if resume { Order::Restart } else { Order::Close })
    }

    fn is_launcher(&self, session: SessionId, pid: u32) -> bool {
        if pid == 0 || !self.is_alive(pid) {
            return false;
        }
        let wanted = ["session".to_owned(), "run".to_owned(), session.to_string()];
        arguments(pid)
            .windows(wanted.len())
            .any(|words| words == wanted)
    }

    fn is_alive(&self, pid: u32) -> bool {
        match registry::liveness(pid, None) {
            Liveness::Alive => true,
            Liveness::Dead => false,
            Liveness::Unknown => {
                let pid = i32::try_from(pid)
                    .ok()
                    .and_then(rustix::process::Pid::from_raw);
                pid.is_some_and(|pid| {
                    // A process of somebody else lives as well.
                    let asked = rustix::process::test_kill_process(pid);
                    matches!(asked, Ok(()) | Err(rustix::io::Errno::PERM))
                })
            }
        }
    }
}

/// The words of a process's command line; empty where the system does not tell.
fn arguments(pid: u32) -> Vec<String> {
    if Path::new("/proc/self/cmdline").exists() {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        return line
            .split(|byte| *byte == 0)
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect();
    }
    let told = Invocation::new("ps")
        .args(["-ww", "-o", "command=", "-p", &pid.to_string()])
        .time_limit(PS_LIMIT)
        .output_limit(64 * 1024)
        .run();
    told.map(|told| {
        told.stdout_text()
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    })
    .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn launchers(home: &Path) -> SessionLaunchers {
        SessionLaunchers::new(Paths::at(home).expect("paths"), "/opt/claustre".into())
    }

    #[test]
    fn orders_reach_the_reader_of_the_pipe_and_a_missing_one_is_known() {
        let home = tempfile::tempdir().expect("temp dir");
        let launchers = launchers(home.path());
        let session = SessionId::new(Uuid::new_v4());
        assert_eq!(launchers.resume(session, 0), Ok(false));
        fs::create_dir_all(launchers.paths.session(session)).expect("made");
        let mut pipe = orders::Orders::open(&launchers.paths, session).expect("pipe");
        assert_eq!(launchers.resume(session, 0), Ok(true));
        assert_eq!(launchers.end(session, 0, true), Ok(true));
        assert_eq!(launchers.end(session, 0, false), Ok(true));
        assert_eq!(pipe.take(), [Order::Resume, Order::Restart, Order::Close]);
        drop(pipe);
        assert_eq!(
            launchers.end(session, 0, false),
            Ok(false),
            "nobody reads it"
        );
    }

    #[test]
    fn a_launcher_is_known_by_its_command_line() {
        let home = tempfile::tempdir().expect("temp dir");
        let launchers = launchers(home.path());
        let session = SessionId::new(Uuid::new_v4());
        let argv = launchers.argv(session);
        assert_eq!(
            argv,
            ["/opt/claustre", "session", "run", &session.to_string()]
        );
        let me = std::process::id();
        assert!(launchers.is_alive(me) && !launchers.is_launcher(session, me));
        assert!(!launchers.is_alive(u32::MAX) && !launchers.is_launcher(session, 0));
    }
}
