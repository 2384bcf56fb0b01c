//! The programs that a session needs, looked for before one is opened.

use std::sync::OnceLock;

use crate::{
    adapters::{
        claude::{client, monitor::ClaudeHost, version::MINIMUM},
        zellij::Zellij,
    },
    ports::PortError,
};

/// Looks for the client and for Zellij.
pub struct Needs {
    claude: ClaudeHost,
    /// Asking Zellij starts a process; that it is there and new enough is asked once.
    zellij: OnceLock<()>,
}

impl Needs {
    /// The client is looked for where the launch plan will look for it.
    pub fn new(claude: ClaudeHost) -> Self {
        Self {
            claude,
            zellij: OnceLock::new(),
        }
    }

    /// Are they there, and new enough?
    ///
    /// # Errors
    /// One is not, with what to do about it.
    pub fn check(&self) -> Result<(), PortError> {
        let host = &self.claude;
        let version = client::find(host.claude.as_deref(), host.search.as_deref())
            .and_then(|program| client::version(&program, &host.paths.run()))
            .map_err(|error| PortError::lasting(error.to_string(), Some(error.hint())))?;
        if !version.is_supported() {
            return Err(PortError::lasting(
                format!(
                    "looking at Claude Code: version {version} is too old, {MINIMUM} or newer is needed"
                ),
                Some("update it: claude update".to_owned()),
            ));
        }
        if self.zellij.get().is_none() {
            Zellij::find()
                .and_then(|zellij| zellij.version())
                .map_err(|error| {
                    PortError::lasting(
                        error.to_string(),
                        Some("install Zellij 0.45.1 or newer, then claustre doctor".to_owned()),
                    )
                })?;
            self.zellij.set(()).ok();
        }
        Ok(())
    }
}
