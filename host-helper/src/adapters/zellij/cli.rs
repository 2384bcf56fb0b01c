//! The `zellij` program, one call at a time.
//!
//! A call may hang or fail for no reason when several run at once, so each has a time limit, and "there is no session" is
//! asked again before it is believed.

use std::{env, ffi::OsStr, fmt, path::PathBuf, thread, time::Duration};

use claustre_protocol::request::PluginAddress;

use super::{directories::Directories, listed::ListedPane};
use crate::adapters::process::{Finished, Invocation, ProcessError};

/// The name by which `claustre setup` makes the plugin known.
pub const ALIAS: &str = "claustre";
/// Names the program, where it is not `zellij` on PATH.
pub const PROGRAM_VARIABLE: &str = "CLAUSTRE_ZELLIJ";
/// The oldest Zellij that has all we need.
pub const OLDEST: Version = Version(0, 45, 1);

const TIME_LIMIT: Duration = Duration::from_secs(5);
const TRIES: u32 = 3;
/// Closing is tried again, and whatever else waits for the session waits for it.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(150);
/// What would make the program think it runs inside a session of its own.
const FOREIGN: [&str; 3] = ["ZELLIJ", "ZELLIJ_SESSION_NAME", "ZELLIJ_PANE_ID"];
/// Where a server's sockets and files lie; a daemon that was started elsewhere has others.
const PLACES: [&str; 3] = ["ZELLIJ_SOCKET_DIR", "XDG_RUNTIME_DIR", "TMPDIR"];

/// Zellij cannot be used, or refused.
#[derive(Debug, thiserror::Error)]
pub enum ZellijError {
    /// There is none.
    #[error("looking for zellij: there is none on PATH, and {PROGRAM_VARIABLE} names none")]
    Missing,
    /// It is too old.
    #[error("checking {}: it is version {found}, and at least {OLDEST} is needed", program.display())]
    TooOld {
        /// Which program.
        program: PathBuf,
        /// Its version.
        found: Version,
    },
    /// It does not say a version.
    #[error("checking {}: it does not say its version but {said:?}", program.display())]
    NoVersion {
        /// Which program.
        program: PathBuf,
        /// What it says instead.
        said: String,
    },
    /// A call failed.
    #[error(transparent)]
    Call(#[from] ProcessError),
    /// It answered something unexpected.
    #[error("running zellij {call}: cannot read the answer {answer:?}")]
    Answer {
        /// What was called.
        call: String,
        /// The beginning of the answer.
        answer: String,
    },
}

/// A version of Zellij.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u32, u32, u32);

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl Version {
    /// Reads `zellij 0.45.1` and the like.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text
            .split_whitespace()
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?
            .split(['.', '-', '+'])
            .map(str::parse);
        let mut next = || numbers.next().and_then(Result::ok);
        Some(Self(next()?, next()?, next().unwrap_or(0)))
    }
}

/// The program and the environment that its calls get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zellij {
    program: PathBuf,
    environment: Vec<(String, String)>,
}

impl Zellij {
    /// The program that the environment names or PATH holds; its version is not looked at.
    ///
    /// # Errors
    /// There is none.
    pub fn find() -> Result<Self, ZellijError> {
        let program = match env::var_os(PROGRAM_VARIABLE).filter(|named| !named.is_empty()) {
            Some(named) => PathBuf::from(named),
            None => env::split_paths(&env::var_os("PATH").unwrap_or_default())
                .map(|directory| directory.join("zellij"))
                .find(|path| path.is_file())
                .ok_or(ZellijError::Missing)?,
        };
        Ok(Self::at(program))
    }

    /// This program.
    pub fn at(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            environment: Vec::new(),
        }
    }

    /// The same with these variables for its calls, in place of our own.
    #[must_use]
    pub fn with_environment(mut self, environment: Vec<(String, String)>) -> Self {
        self.environment = environment;
        self
    }

    /// The same for the places of a running server, where the system tells them (Linux).
    #[must_use]
    pub fn for_server(self, server_pid: u32) -> Self {
        let Ok(environment) = std::fs::read(format!("/proc/{server_pid}/environ")) else {
            return self;
        };
        let mut places = self.environment.clone();
        for entry in environment.split(|byte| *byte == 0) {
            let entry = String::from_utf8_lossy(entry);
            if let Some((name, value)) = entry.split_once('=')
                && PLACES.contains(&name)
            {
                places.retain(|(known, _)| known != name);
                places.push((name.to_owned(), value.to_owned()));
            }
        }
        self.with_environment(places)
    }

    /// Its version, refused where it is too old.
    ///
    /// # Errors
    /// It cannot be run, says no version, or is too old.
    pub fn version(&self) -> Result<Version, ZellijError> {
        let said = self.call(["--version"])?.stdout_text();
        let found = Version::parse(&said).ok_or_else(|| ZellijError::NoVersion {
            program: self.program.clone(),
            said: beginning(&said),
        })?;
        if found < OLDEST {
            return Err(ZellijError::TooOld {
                program: self.program.clone(),
                found,
            });
        }
        Ok(found)
    }

    /// Names of the sessions that run; those that only could be resurrected are left out.
    ///
    /// # Errors
    /// The call failed.
    pub fn sessions(&self) -> Result<Vec<String>, ZellijError> {
        let finished = self
            .invocation(["list-sessions", "--no-formatting"])
            .run()?;
        if !finished.success() {
            // It ends with an error where there is none at all.
            let said = format!("{}{}", finished.stdout_text(), finished.stderr_tail());
            return if said.to_lowercase().contains("no active zellij sessions") {
                Ok(Vec::new())
            } else {
                Err(finished.into_error().into())
            };
        }
        Ok(running_sessions(&finished.stdout_text()))
    }

    /// How many clients are attached to the session.
    ///
    /// # Errors
    /// The call failed.
    pub fn clients(&self, session: &str) -> Result<usize, ZellijError> {
        let listed = self.action(session, ["list-clients"])?;
        Ok(listed
            .lines()
            .skip(1)
            .filter(|line| !line.trim().is_empty())
            .count())
    }

    /// All panes of the session.
    ///
    /// # Errors
    /// The call failed or answered no list.
    pub fn panes(&self, session: &str) -> Result<Vec<ListedPane>, ZellijError> {
        let listed = self.action(session, ["list-panes", "--all", "--json"])?;
        serde_json::from_str(&listed).map_err(|_| ZellijError::Answer {
            call: "action list-panes".to_owned(),
            answer: beginning(&listed),
        })
    }

    /// The tab of a terminal pane.
    ///
    /// # Errors
    /// The call failed; a pane that is not there is no error.
    pub fn tab_of(&self, session: &str, pane: u32) -> Result<Option<ListedPane>, ZellijError> {
        let panes = self.panes(session)?;
        Ok(panes
            .into_iter()
            .find(|listed| !listed.is_plugin && listed.id == pane))
    }

    /// Makes a session that nobody is attached to, with this layout (KDL).
    ///
    /// # Errors
    /// The call failed.
    pub fn create_background(&self, session: &str, layout: &str) -> Result<(), ZellijError> {
        self.call([
            "--layout-string",
            layout,
            "attach",
            "--create-background",
            session,
        ])
        .map(drop)
    }

    /// Starts a program in a new pane of an existing tab, and gives the pane. The only way that works while nobody is attached.
    ///
    /// # Errors
    /// The call failed or named no pane.
    pub fn run(
        &self,
        session: &str,
        name: &str,
        cwd: &str,
        argv: &[String],
    ) -> Result<u32, ZellijError> {
        let arguments = [
            "--session",
            session,
            "run",
            "--no-focus",
            "--name",
            name,
            "--cwd",
            cwd,
            "--",
        ];
        let said = self
            .call(arguments.into_iter().chain(argv.iter().map(String::as_str)))?
            .stdout_text();
        pane_number(&said).ok_or_else(|| ZellijError::Answer {
            call: "run".to_owned(),
            answer: beginning(&said),
        })
    }

    /// Starts a program in a floating pane before the eyes of whoever is attached; it stays when the program ends.
    ///
    /// # Errors
    /// The call failed.
    pub fn run_floating(
        &self,
        session: &str,
        name: &str,
        argv: &[String],
    ) -> Result<(), ZellijError> {
        let arguments = [
            "--session",
            session,
            "run",
            "--floating",
            "--name",
            name,
            "--",
        ];
        self.call(arguments.into_iter().chain(argv.iter().map(String::as_str)))
            .map(drop)
    }

    /// Opens a tab with this layout (KDL) without moving anybody's focus. Only while somebody is attached.
    ///
    /// # Errors
    /// The call failed.
    pub fn open_tab(&self, session: &str, name: &str, layout: &str) -> Result<(), ZellijError> {
        self.action(
            session,
            [
                "new-tab",
                "--no-focus",
                "--name",
                name,
                "--layout-string",
                layout,
            ],
        )
        .map(drop)
    }

    /// The text on a pane's screen.
    ///
    /// # Errors
    /// The call failed.
    pub fn dump_screen(&self, session: &str, pane: u32) -> Result<String, ZellijError> {
        self.action(session, ["dump-screen", "--pane-id", &terminal(pane)])
    }

    /// Writes bytes into a pane. Scrolls the user's own pane to its end: the plugin does not.
    ///
    /// # Errors
    /// The call failed.
    pub fn write(&self, session: &str, pane: u32, bytes: &[u8]) -> Result<(), ZellijError> {
        let numbers = bytes.iter().map(u8::to_string);
        let arguments = ["write", "--pane-id", &terminal(pane)].map(str::to_owned);
        self.action(session, arguments.into_iter().chain(numbers))
            .map(drop)
    }

    /// Shows and focuses a pane.
    ///
    /// # Errors
    /// The call failed.
    pub fn focus(&self, session: &str, pane: u32) -> Result<(), ZellijError> {
        match self.action(session, ["focus-pane-id", &terminal(pane)]) {
            // It says so with an error.
            Err(ZellijError::Call(error)) if error.stderr_tail.contains("already focused") => {
                Ok(())
            }
            other => other.map(drop),
        }
    }

    /// Closes a tab.
    ///
    /// # Errors
    /// The call failed, and the session is still there.
    pub fn close_tab(&self, session: &str, tab: u64) -> Result<(), ZellijError> {
        self.close(session, &["close-tab-by-id", &tab.to_string()])
    }

    /// Closes a pane.
    ///
    /// # Errors
    /// The call failed, and the session is still there.
    pub fn close_pane(&self, session: &str, pane: u32) -> Result<(), ZellijError> {
        self.close(session, &["close-pane", "--pane-id", &terminal(pane)])
    }

    /// The last tab takes the server with it, which then may not answer any more.
    fn close(&self, session: &str, arguments: &[&str]) -> Result<(), ZellijError> {
        let head = ["--session", session, "action"];
        let invocation = self
            .invocation(head.iter().chain(arguments))
            .time_limit(CLOSE_LIMIT);
        match Self::insist(&invocation) {
            Ok(_) => Ok(()),
            Err(_) if self.is_gone(session)? => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Is there no such session?
    ///
    /// # Errors
    /// The call failed.
    pub fn is_gone(&self, session: &str) -> Result<bool, ZellijError> {
        Ok(!self.sessions()?.iter().any(|known| known == session))
    }

    /// Names a tab.
    ///
    /// # Errors
    /// The call failed.
    pub fn rename_tab(&self, session: &str, tab: u64, name: &str) -> Result<(), ZellijError> {
        self.action(session, ["rename-tab-by-id", &tab.to_string(), name])
            .map(drop)
    }

    /// Loads the plugin afresh, as after an update.
    ///
    /// # Errors
    /// The call failed.
    pub fn reload_plugin(&self, session: &str, plugin: &PluginAddress) -> Result<(), ZellijError> {
        let configuration = format!("helper={}", plugin.helper);
        self.action(
            session,
            [
                "start-or-reload-plugin",
                &plugin.location,
                "--configuration",
                &configuration,
            ],
        )
        .map(drop)
    }

    /// A pipe to the plugin, by its address or its alias; Zellij loads a plugin that is not there yet.
    pub fn pipe(&self, session: &str, plugin: Option<&PluginAddress>, name: &str) -> Invocation {
        let location = plugin.map_or(ALIAS, |plugin| plugin.location.as_str());
        let pipe = self.invocation([
            "--session",
            session,
            "pipe",
            "--plugin",
            location,
            "--name",
            name,
        ]);
        match plugin {
            Some(plugin) => pipe.args([
                "--plugin-configuration".to_owned(),
                format!("helper={}", plugin.helper),
            ]),
            None => pipe,
        }
    }

    /// Where Zellij looks for its configuration and keeps its permissions.
    ///
    /// # Errors
    /// The call failed or does not say.
    pub fn directories(&self) -> Result<Directories, ZellijError> {
        let said = self.call(["setup", "--check"])?.stdout_text();
        Directories::parse(&said).ok_or_else(|| ZellijError::Answer {
            call: "setup --check".to_owned(),
            answer: beginning(&said),
        })
    }

    /// What Zellij says of its configuration: `Well defined.`, or what is wrong.
    ///
    /// # Errors
    /// The call failed.
    pub fn config_verdict(&self) -> Result<String, ZellijError> {
        let said = self.call(["setup", "--check"])?.stdout_text();
        let verdict = said
            .lines()
            .find_map(|line| line.trim().strip_prefix("[CONFIG FILE]:"));
        Ok(verdict.unwrap_or_default().trim().to_owned())
    }

    fn action<I, S>(&self, session: &str, arguments: I) -> Result<String, ZellijError>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let head = ["--session", session, "action"]
            .map(OsStr::new)
            .map(OsStr::to_owned);
        let tail = arguments
            .into_iter()
            .map(|argument| argument.as_ref().to_owned());
        Ok(self.call(head.into_iter().chain(tail))?.stdout_text())
    }

    fn call<I, S>(&self, arguments: I) -> Result<Finished, ZellijError>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        Self::insist(&self.invocation(arguments))
    }

    /// Runs a call again where Zellij does not know a session: a busy one is not always in time to be listed.
    ///
    /// # Errors
    /// It failed for another reason, or each time.
    pub fn insist(invocation: &Invocation) -> Result<Finished, ZellijError> {
        let mut tries = 1;
        loop {
            let finished = invocation.clone().run()?;
            if finished.success() {
                return Ok(finished);
            }
            let said =
                format!("{}{}", finished.stdout_text(), finished.stderr_tail()).to_lowercase();
            let doubtful = said.contains("no active session")
                || said.contains("session") && said.contains("not found");
            if tries >= TRIES || !doubtful {
                return Err(finished.into_error().into());
            }
            tries += 1;
            thread::sleep(PAUSE);
        }
    }

    fn invocation<I, S>(&self, arguments: I) -> Invocation
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let mut invocation = Invocation::new(&self.program)
            .args(arguments)
            .time_limit(TIME_LIMIT);
        for name in FOREIGN {
            invocation = invocation.env_remove(name);
        }
        for (name, value) in &self.environment {
            invocation = invocation.env(name, value);
        }
        invocation
    }
}

fn terminal(pane: u32) -> String {
    format!("terminal_{pane}")
}

fn pane_number(said: &str) -> Option<u32> {
    said.split_whitespace()
        .find_map(|word| word.strip_prefix("terminal_")?.parse().ok())
}

fn running_sessions(listed: &str) -> Vec<String> {
    listed
        .lines()
        .filter(|line| !line.contains("(EXITED"))
        .filter_map(|line| line.split(" [Created").next())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

fn beginning(text: &str) -> String {
    text.trim().chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compared() {
        assert_eq!(Version::parse("zellij 0.45.1\n"), Some(OLDEST));
        assert!(Version::parse("zellij 0.44.3").unwrap() < OLDEST);
        assert!(Version::parse("zellij 1.0.0-rc1").unwrap() > OLDEST);
        assert_eq!(Version::parse("no version"), None);
    }

    #[test]
    fn a_session_that_is_not_listed_in_time_is_asked_for_again() {
        let directory = tempfile::tempdir().unwrap();
        let script = "test -e asked && echo here || { touch asked; echo 'There is no active session!' >&2; exit 1; }";
        let shell = Invocation::new("/bin/sh")
            .args(["-c", script])
            .cwd(directory.path());
        assert_eq!(Zellij::insist(&shell).unwrap().stdout_text().trim(), "here");
        let other = Invocation::new("/bin/sh").args(["-c", "echo broken >&2; exit 1"]);
        assert!(Zellij::insist(&other).is_err());
    }

    #[test]
    fn a_tab_that_took_its_server_with_it_is_closed() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("zellij");
        let zellij = |listed: &str| {
            let script = format!(
                "#!/bin/sh\ncase \"$1\" in list-sessions) {listed} ;; *) echo lost >&2; exit 1 ;; esac\n"
            );
            // By another process: a program that this one has open for writing cannot be started.
            let write = "printf %s \"$1\" > zellij && chmod 755 zellij";
            Invocation::new("/bin/sh")
                .args(["-c", write, "sh", &script])
                .cwd(directory.path())
                .run()
                .unwrap();
            Zellij::at(&program)
        };
        let gone = zellij("echo 'No active zellij sessions found.' >&2; exit 1");
        assert!(gone.close_tab("desk", 0).is_ok());
        let there = zellij("echo 'desk [Created 1s ago]'");
        assert!(there.close_tab("desk", 0).is_err());
    }

    #[test]
    fn only_running_sessions_are_listed() {
        let listed = "work [Created 2h 3m ago] \nold [Created 1day ago] (EXITED - attach to resurrect)\nmy own [Created 1s ago] (current)\n";
        assert_eq!(running_sessions(listed), ["work", "my own"]);
    }

    #[test]
    fn the_new_pane_is_read_from_what_run_says() {
        assert_eq!(pane_number("terminal_14\n"), Some(14));
        assert_eq!(pane_number("plugin_3"), None);
    }
}
