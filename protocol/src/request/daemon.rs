//! Requests about the whole: overview, events, removed worktrees, the dashboard, the daemon and its store.

use serde::{Deserialize, Serialize};

use super::Selector;
use crate::{
    model::{InboxItem, Session},
    time::Timestamp,
};

/// Parameters of `status.show`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StatusShow {
    /// Only of this project.
    pub project: Option<Selector>,
}

/// Answer of `status.show`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusOverview {
    /// Open sessions, those that need somebody first.
    pub sessions: Vec<Session>,
    /// How many tasks have each status.
    pub tasks: std::collections::BTreeMap<String, u64>,
    /// What needs a person.
    pub inbox: Vec<InboxItem>,
}

/// Parameters of `events.watch`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EventsWatch {
    /// Start behind this position; absent = only what happens from now on.
    pub after: Option<i64>,
}

/// Parameters of `plugin.link`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginLink {
    /// Name of the Zellij session.
    pub session: String,
    /// Process id of its server.
    pub server_pid: u32,
    /// How the plugin is known there; none = by its alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<PluginAddress>,
}

/// Answer of `plugin.link`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginLinked {
    /// What each line between the daemon and the plugins of this server carries.
    pub secret: String,
}

/// What a Zellij server knows a plugin by: one that has not started with the alias knows only this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginAddress {
    /// `file:` and the path of the plugin.
    pub location: String,
    /// The program that the plugin was loaded with.
    pub helper: String,
}

/// Parameters of `dashboard.show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DashboardShow {
    /// Name of the Zellij session.
    pub session: String,
}

/// Answer of `daemon.status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DaemonStatus {
    /// Process id.
    pub pid: u32,
    /// Version.
    pub build: String,
    /// Where its store is.
    pub home: String,
    /// Position of the newest event.
    pub position: i64,
    /// Since when it runs.
    pub started_at: Timestamp,
    /// Links to Zellij sessions that answer.
    pub links: Vec<String>,
    /// Open sessions.
    pub sessions: u32,
    /// Version of SQLite.
    pub sqlite: String,
}

/// Answer of `store.replay`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayReport {
    /// Events read.
    pub events: u64,
    /// Rows that differed, described; empty = none.
    pub differences: Vec<String>,
}

/// Parameters of `store.backup`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Backup {
    /// Where to; absent = `backups/` under the home with the time in the name.
    pub path: Option<String>,
}
