//! Where everything of Claustre lies on this host. One resolver, no silent fallback: two programs that looked in two places
//! would start two daemons.

use std::{
    env,
    path::{Path, PathBuf},
};

use claustre_protocol::{hook::HOME_VARIABLE, ids::SessionId};

/// Longest socket path that Linux and macOS both take, in bytes.
pub const LONGEST_SOCKET_PATH: usize = 100;

/// The home cannot be found or used.
#[derive(Debug, thiserror::Error)]
pub enum PathsError {
    /// Neither `CLAUSTRE_HOME` nor `HOME` is set.
    #[error("finding the home of Claustre: neither {HOME_VARIABLE} nor HOME is set")]
    NoHome,
    /// The path is relative.
    #[error("finding the home of Claustre: {} is not an absolute path", .0.display())]
    Relative(PathBuf),
    /// A socket below it would have a longer path than the system allows.
    #[error(
        "finding the home of Claustre: {} is too long for a socket (at most {LONGEST_SOCKET_PATH} bytes with run/daemon.sock)",
        .0.display()
    )]
    TooLong(PathBuf),
}

/// All paths below one home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    home: PathBuf,
}

impl Paths {
    /// Paths below this absolute home.
    ///
    /// # Errors
    /// The path is relative, or too long for the sockets below it.
    pub fn at(home: impl Into<PathBuf>) -> Result<Self, PathsError> {
        let home = home.into();
        if !home.is_absolute() {
            return Err(PathsError::Relative(home));
        }
        let paths = Self { home };
        if paths.daemon_socket().as_os_str().len() > LONGEST_SOCKET_PATH {
            return Err(PathsError::TooLong(paths.home));
        }
        Ok(paths)
    }

    /// Paths below `$CLAUSTRE_HOME`, or `~/.claustre`.
    ///
    /// # Errors
    /// As [`Paths::at`], or neither variable is set.
    pub fn from_environment() -> Result<Self, PathsError> {
        match env::var_os(HOME_VARIABLE).filter(|value| !value.is_empty()) {
            Some(home) => Self::at(home),
            None => match env::var_os("HOME").filter(|value| !value.is_empty()) {
                Some(home) => Self::at(Path::new(&home).join(".claustre")),
                None => Err(PathsError::NoHome),
            },
        }
    }

    /// The home itself.
    pub fn home(&self) -> &Path {
        &self.home
    }
    /// The SQLite store.
    pub fn store(&self) -> PathBuf {
        self.home.join("claustre.db")
    }
    /// The user's configuration.
    pub fn config(&self) -> PathBuf {
        self.home.join("config.toml")
    }
    /// The user's fragment for every session's system prompt.
    pub fn claude_fragment(&self) -> PathBuf {
        self.home.join("claude.md")
    }
    /// Global hooks.
    pub fn hooks(&self) -> PathBuf {
        self.home.join("hooks")
    }
    /// What was trusted of which repository; 0700.
    pub fn trust(&self) -> PathBuf {
        self.home.join("trust")
    }
    /// Sockets and locks; 0700.
    pub fn run(&self) -> PathBuf {
        self.home.join("run")
    }
    /// JSON-RPC socket.
    pub fn daemon_socket(&self) -> PathBuf {
        self.run().join("daemon.sock")
    }
    /// MCP socket.
    pub fn mcp_socket(&self) -> PathBuf {
        self.home.join("mcp.sock")
    }
    /// Held by the daemon for its whole life; never unlinked.
    pub fn daemon_lock(&self) -> PathBuf {
        self.run().join("lock")
    }
    /// Held by whoever starts the daemon.
    pub fn startup_lock(&self) -> PathBuf {
        self.run().join("startup.lock")
    }
    /// Reports that no daemon took.
    pub fn spool(&self) -> PathBuf {
        self.home.join("spool")
    }
    /// Logs.
    pub fn logs(&self) -> PathBuf {
        self.home.join("logs")
    }
    /// Copies of the store.
    pub fn backups(&self) -> PathBuf {
        self.home.join("backups")
    }
    /// Everything of all sessions.
    pub fn sessions(&self) -> PathBuf {
        self.home.join("sessions")
    }
    /// Everything of one session; 0700.
    pub fn session(&self, session: SessionId) -> PathBuf {
        self.sessions().join(session.to_string())
    }
    /// The worktrees of all projects, unless configured elsewhere.
    pub fn worktrees(&self) -> PathBuf {
        self.home.join("worktrees")
    }
    /// What `setup` unpacks for Zellij: plugin and layouts.
    pub fn zellij(&self) -> PathBuf {
        self.home.join("zellij")
    }
    /// What `setup` wrote elsewhere, so that it can be undone; there only while the dashboard is set up.
    pub fn setup_journal(&self) -> PathBuf {
        self.zellij().join("setup.json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_must_be_absolute_and_short() {
        assert!(matches!(Paths::at("x"), Err(PathsError::Relative(_))));
        assert!(matches!(
            Paths::at(format!("/{}", "x".repeat(90))),
            Err(PathsError::TooLong(_))
        ));
        assert_eq!(
            Paths::at("/h/.claustre").unwrap().daemon_socket(),
            Path::new("/h/.claustre/run/daemon.sock")
        );
    }
}
