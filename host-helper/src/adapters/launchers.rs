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
use crate::launcher::{
    lock,
    orders::{self, Order, OrderError},
    plan,
};
use crate::paths::Paths;
use crate::ports::{Launchers, PortError, RunningProcess};
use crate::text;

const PS_LIMIT: Duration = Duration::from_secs(2);
/// Longest command line that is told of a process, in characters.
const MOST_TOLD: usize = 60;

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
    fn running(&self, session: SessionId) -> Vec<RunningProcess> {
        let mut found = Vec::new();
        if let Some(pid) = plan::running_client(&self.paths, session) {
            found.push(RunningProcess {
                pid: Some(pid),
                what: "its client".to_owned(),
            });
        }
        if lock::is_held(&self.paths, session) {
            found.push(RunningProcess {
                pid: None,
                what: "its launcher".to_owned(),
            });
        }
        found
    }

    fn working_in(&self, directory: &Path) -> Vec<RunningProcess> {
        let directory = directory
            .canonicalize()
            .unwrap_or_else(|_| directory.to_owned());
        let Ok(processes) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for process in processes.flatten() {
            let Some(pid) = process
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<u32>().ok())
            else {
                continue;
            };
            // Not readable: of another user, or just gone.
            let Ok(at) = fs::read_link(process.path().join("cwd")) else {
                continue;
            };
            if at.starts_with(&directory) && self.is_alive(pid) {
                found.push(RunningProcess {
                    pid: Some(pid),
                    what: described(pid),
                });
            }
        }
        found
    }

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

    fn is_running(&self, session: SessionId) -> bool {
        orders::is_read(&self.paths, session)
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

    fn in_foreground(&self, launcher_pid: u32, client_pid: u32) -> Result<(), String> {
        match standing(client_pid) {
            None => Err("its client does not run any more".to_owned()),
            Some(standing) => foreground(&standing, launcher_pid),
        }
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

/// What the system says of a process and its terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Standing {
    /// One letter, such as `S` or `T`.
    state: char,
    parent: u32,
    group: i32,
    /// The process group in the foreground of its terminal; not positive where it has none.
    foreground: i32,
}

/// See [`Launchers::in_foreground`].
fn foreground(standing: &Standing, launcher_pid: u32) -> Result<(), String> {
    let why = match standing.state {
        'Z' | 'X' | 'x' => "its client has just ended",
        _ if standing.parent != launcher_pid => "its client does not run any more",
        'T' | 't' => "its client is paused (Ctrl-Z): press Enter in its pane",
        _ if standing.foreground <= 0 => "its client has no terminal",
        _ if standing.foreground != standing.group => {
            "another program has its terminal: end it in its pane"
        }
        _ => return Ok(()),
    };
    Err(why.to_owned())
}

/// How a process stands; none where it is not there.
fn standing(pid: u32) -> Option<Standing> {
    if Path::new("/proc/self/stat").exists() {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name before it may hold anything, a parenthesis as well.
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        return read_standing(&[
            *fields.first()?,
            *fields.get(1)?,
            *fields.get(2)?,
            *fields.get(5)?,
        ]);
    }
    let told = Invocation::new("ps")
        .args(["-o", "state=,ppid=,pgid=,tpgid=", "-p", &pid.to_string()])
        .time_limit(PS_LIMIT)
        .output_limit(4 * 1024)
        .run()
        .ok()?;
    let text = told.stdout_text();
    read_standing(&text.split_whitespace().collect::<Vec<_>>())
}

/// State, parent, group and foreground group, as `/proc` and `ps` write them.
fn read_standing(fields: &[&str]) -> Option<Standing> {
    let [state, parent, group, foreground] = fields else {
        return None;
    };
    Some(Standing {
        state: state.chars().next()?,
        parent: parent.parse().ok()?,
        group: group.parse().ok()?,
        foreground: foreground.parse().ok()?,
    })
}

/// What a process is called, for people: the beginning of its command line, else its name.
fn described(pid: u32) -> String {
    let words = arguments(pid).join(" ");
    let name = match words.trim() {
        "" => fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default(),
        words => words.to_owned(),
    };
    match text::one_line(&name, MOST_TOLD) {
        name if name.trim().is_empty() => "a process".to_owned(),
        name => name,
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
        assert!(!launchers.is_running(session));
        let mut pipe = orders::Orders::open(&launchers.paths, session).expect("pipe");
        assert!(launchers.is_running(session));
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
    fn what_is_typed_reaches_only_a_client_in_the_foreground() {
        let standing = |state, parent, group, foreground| Standing {
            state,
            parent,
            group,
            foreground,
        };
        for (seen, expected) in [
            (standing('S', 7, 9, 9), ""),
            (standing('R', 7, 9, 9), ""),
            (standing('T', 7, 9, 7), "paused"),
            (standing('t', 7, 9, 9), "paused"),
            (standing('S', 7, 9, 12), "another program has its terminal"),
            (standing('S', 7, 9, -1), "no terminal"),
            (standing('Z', 7, 9, 9), "has just ended"),
            (standing('S', 1, 9, 9), "does not run any more"),
        ] {
            let said = foreground(&seen, 7).err().unwrap_or_default();
            assert_eq!(said.is_empty(), expected.is_empty(), "{seen:?}: {said}");
            assert!(said.contains(expected), "{seen:?}: {said}");
        }
        assert_eq!(
            read_standing(&["Ss+", "7", "9", "12"]),
            Some(standing('S', 7, 9, 12))
        );
        let me = super::standing(std::process::id()).expect("we run");
        assert_eq!(me.parent, std::os::unix::process::parent_id());
        assert_eq!(super::standing(u32::MAX), None);
    }

    #[test]
    fn what_still_runs_of_a_session_is_known_by_lock_and_start_time() {
        let home = tempfile::tempdir().expect("temp dir");
        let launchers = launchers(home.path());
        let paths = &launchers.paths;
        let session = SessionId::new(Uuid::new_v4());
        assert_eq!(launchers.running(session), []);
        fs::create_dir_all(paths.session(session)).expect("made");
        let held = lock::take(paths, session).expect("lock");
        plan::mark_started(paths, session, std::process::id());
        let what = |found: Vec<RunningProcess>| -> Vec<String> {
            found.into_iter().map(|one| one.what).collect()
        };
        assert_eq!(
            what(launchers.running(session)),
            ["its client", "its launcher"]
        );
        drop(held);
        // The process id belongs to another process now.
        let later = format!("{} 1\n", std::process::id());
        fs::write(paths.session(session).join("started"), later).expect("written");
        assert_eq!(launchers.running(session), []);
        // As an older version wrote it.
        fs::write(paths.session(session).join("started"), "").expect("written");
        assert!(plan::was_started(paths, session));
        assert_eq!(launchers.running(session), []);
    }

    #[tokio::test]
    async fn a_process_that_works_below_a_directory_is_found_and_named() {
        let place = tempfile::tempdir().expect("temp dir");
        let below = place.path().join("below");
        fs::create_dir(&below).expect("made");
        let home = tempfile::tempdir().expect("temp dir");
        let launchers = launchers(home.path());
        assert_eq!(launchers.working_in(place.path()), []);
        // It ends when it is dropped.
        let child = Invocation::new("sleep").arg("60").cwd(&below).spawn_piped();
        let child = child.expect("started");
        let wanted = RunningProcess {
            pid: child.id(),
            what: "sleep 60".to_owned(),
        };
        assert_eq!(launchers.working_in(place.path()), [wanted]);
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
