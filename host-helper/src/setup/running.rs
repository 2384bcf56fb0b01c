//! The Zellij sessions that run already: each is made to load the plugin, so that the key works there at once.

use std::path::Path;

use claustre_protocol::request::PluginAddress;
use serde::Serialize;

use super::Targets;
use crate::adapters::zellij::{Zellij, ZellijError};

/// The name of a message that says nothing: Zellij loads a plugin that it has a message for.
const GREETING: &str = "hello";

/// What became of one session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunningSession {
    /// Its name.
    pub name: String,
    /// Why the plugin could not be loaded; none where it answered.
    pub problem: Option<String>,
}

impl RunningSession {
    /// One line for the user.
    pub fn describe(&self, key: &str) -> String {
        match &self.problem {
            None => format!("session {}: {key} shows the dashboard now", self.name),
            Some(problem) => format!(
                "session {}: the dashboard comes with its next start ({problem})",
                self.name
            ),
        }
    }
}

/// How Zellij knows the plugin without its alias.
pub fn address(targets: &Targets) -> PluginAddress {
    let text = |path: &Path| path.display().to_string();
    PluginAddress {
        location: format!("file:{}", text(&targets.plugin)),
        helper: text(&targets.helper),
    }
}

/// Has every session that runs load the plugin, afresh where its file changed.
///
/// # Errors
/// There is no Zellij, or it does not say which sessions run.
pub fn load(targets: &Targets, plugin_changed: bool) -> Result<Vec<RunningSession>, ZellijError> {
    let zellij = Zellij::find()?;
    let address = address(targets);
    let load_one = |name: String| {
        let loaded = load_into(&zellij, &name, &address, plugin_changed);
        RunningSession {
            name,
            problem: loaded.err().map(|error| error.to_string()),
        }
    };
    Ok(zellij.sessions()?.into_iter().map(load_one).collect())
}

fn load_into(
    zellij: &Zellij,
    session: &str,
    address: &PluginAddress,
    plugin_changed: bool,
) -> Result<(), ZellijError> {
    // Without a client Zellij does not load it, and from then on keeps back whatever is meant for it.
    if plugin_changed && zellij.clients(session)? > 0 {
        zellij.reload_plugin(session, address)?;
    }
    // It answers once it is loaded and has its permissions.
    let greeting = zellij
        .pipe(session, Some(address), GREETING)
        .args(["--", "setup"]);
    Zellij::insist(&greeting).map(drop)
}
