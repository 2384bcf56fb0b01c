//! What the short-lived children of a session tell the daemon: hooks, status line and launcher.
//!
//! They write one line and read one line. Where the daemon does not answer in time the same line goes to `spool/`,
//! so each carries an id of its own and may arrive twice.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    ids::{AskId, EventId, SessionId},
    time::Timestamp,
};

/// Environment variable with our session's id.
pub const SESSION_VARIABLE: &str = "CLAUSTRE_SESSION_ID";
/// Environment variable with the session's secret token.
pub const TOKEN_VARIABLE: &str = "CLAUSTRE_TOKEN";
/// Environment variable with the home of the store.
pub const HOME_VARIABLE: &str = "CLAUSTRE_HOME";
/// Method of the call that carries a [`Report`].
pub const REPORT_METHOD: &str = "session.report";

/// One report of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Made by the reporter: a report that arrives twice counts once.
    pub id: EventId,
    /// Whose.
    pub session: SessionId,
    /// The session's token.
    pub token: String,
    /// When it was made, on this host.
    pub at: Timestamp,
    /// The Zellij session it was made in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zellij_session: Option<String>,
    /// The terminal pane it was made in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pane_id: Option<u32>,
    /// Whoever reports says when the answer was taken, by [`ReportBody::AnswerTaken`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub acknowledges: bool,
    /// What.
    #[serde(flatten)]
    pub body: ReportBody,
}

/// What is reported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "report", content = "data", rename_all = "snake_case")]
pub enum ReportBody {
    /// A hook ran: the JSON it was given, as it came.
    Hook(Value),
    /// The status line ran: the JSON it was given, as it came.
    StatusLine(Value),
    /// The launcher started the client.
    ClientStarted {
        /// Process id of the client.
        pid: u32,
        /// Process id of the launcher.
        launcher_pid: u32,
        /// Did it continue a conversation?
        resumed: bool,
    },
    /// The client ended.
    ClientExited {
        /// Exit code, where it exited.
        code: Option<i32>,
        /// Signal, where one ended it.
        signal: Option<i32>,
        /// The last lines of its error output, where it never came to draw its screen.
        tail: String,
    },
    /// The launcher could not start the client.
    LaunchFailed {
        /// Why, for people.
        why: String,
    },
    /// The launcher is gone: its pane was closed or it was told to end.
    LauncherEnded {},
    /// A hook has printed the answer to what it asked.
    AnswerTaken {
        /// What it asked.
        ask: AskId,
    },
}

/// What the daemon answers to a [`Report`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct ReportAnswer {
    /// What the hook prints on its standard output, where Claude shall read something.
    pub print: Option<String>,
    /// What that answers: once it is printed, it is to be acknowledged by [`ReportBody::AnswerTaken`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<AskId>,
}
