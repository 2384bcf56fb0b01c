//! A pane as `zellij action list-panes --json` tells of it.

use claustre_protocol::ids::SessionId;
use serde::Deserialize;

/// A pane as Zellij lists it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ListedPane {
    /// Its number; terminals and plugins count apart.
    pub id: u32,
    /// Does a plugin run in it?
    pub is_plugin: bool,
    /// Is it off the screen, in no tab of its own?
    #[serde(default)]
    pub is_suppressed: bool,
    /// Did its program end?
    #[serde(default)]
    pub exited: bool,
    /// Its tab; given anew after a tab was closed.
    pub tab_id: u64,
    /// The tab's name.
    #[serde(default)]
    pub tab_name: String,
    /// What runs in it.
    #[serde(default)]
    pub pane_command: Option<String>,
    /// What it was opened with; none for a shell.
    #[serde(default)]
    pub terminal_command: Option<String>,
}

impl ListedPane {
    /// May it be the pane of this session? Not if it was opened with the launcher of another one: a new server of the same name gives
    /// the same numbers, and a session that is launched again on its branch the same name to its tab.
    pub fn may_be_of(&self, session: SessionId) -> bool {
        let launched = self
            .terminal_command
            .as_deref()
            .and_then(|command| command.split_once(" session run "))
            .and_then(|(_, rest)| rest.split_whitespace().next());
        launched.is_none_or(|id| id == session.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pane_of_another_session_is_not_taken_for_ours() {
        let session = SessionId::new(uuid::Uuid::from_u128(7));
        let other = SessionId::new(uuid::Uuid::from_u128(8));
        let listed = |command: &str| -> ListedPane {
            let pane = serde_json::json!({"id": 1, "is_plugin": false, "tab_id": 0, "terminal_command": command});
            serde_json::from_value(pane).unwrap()
        };
        let launcher = listed(&format!("/opt/my bin/claustre session run {session}"));
        assert!(launcher.may_be_of(session));
        assert!(!launcher.may_be_of(other));
        let shell = ListedPane {
            terminal_command: None,
            ..launcher
        };
        assert!(shell.may_be_of(session), "started by hand in a shell");
        assert!(listed("vim notes").may_be_of(session));
    }
}
