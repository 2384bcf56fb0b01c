//! Every status, reason, source, mode and priority, each with the one word it is written as.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A word that names no known value; says which words are known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{given}' is not a {what}; it is one of: {known}")]
pub struct UnknownWord {
    /// What the word should have named.
    pub what: &'static str,
    /// What was written.
    pub given: String,
    /// The words that would do, joined by commas.
    pub known: String,
}

/// A closed set of values, each written as one word.
pub trait Word: Sized + Copy + 'static {
    /// What a value of this set is called in a message.
    const WHAT: &'static str;
    /// All values in their natural order.
    const ALL: &'static [Self];

    /// The word a value is written as.
    fn word(self) -> &'static str;

    /// Another word that is understood for a value: the neighbours' spelling.
    fn alias(_word: &str) -> Option<Self> {
        None
    }

    /// Finds the value by its word or an understood alias.
    fn parse_word(text: &str) -> Result<Self, UnknownWord> {
        let wanted = text.trim().to_ascii_lowercase().replace('-', "_");
        Self::ALL
            .iter()
            .copied()
            .find(|value| value.word() == wanted)
            .or_else(|| Self::alias(&wanted))
            .ok_or_else(|| UnknownWord {
                what: Self::WHAT,
                given: text.chars().take(60).collect(),
                known: Self::ALL
                    .iter()
                    .map(|value| value.word())
                    .collect::<Vec<_>>()
                    .join(", "),
            })
    }
}

/// Where a project stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProjectStatus {
    /// Its tasks may be launched.
    #[default]
    Active,
    /// Nothing is launched by itself.
    Paused,
    /// Finished; kept for its history.
    Done,
}

impl Word for ProjectStatus {
    const WHAT: &'static str = "project status";
    const ALL: &'static [Self] = &[Self::Active, Self::Paused, Self::Done];
    fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Done => "done",
        }
    }
}

/// Where a task stands on the board.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Written, not yet submitted.
    #[default]
    Draft,
    /// Waits to be launched.
    Pending,
    /// A session works on it.
    Working,
    /// Its session stopped before the end.
    Interrupted,
    /// Finished by the agent, waits for a person.
    InReview,
    /// Its pull request conflicts with its base.
    Conflict,
    /// The checks of its pull request failed.
    CiFailed,
    /// Cannot go on without help; the reason says what.
    Blocked,
    /// Finished.
    Done,
    /// Could not be launched, or its retries are spent.
    Error,
}

impl Word for TaskStatus {
    const WHAT: &'static str = "task status";
    const ALL: &'static [Self] = &[
        Self::Draft,
        Self::Pending,
        Self::Working,
        Self::Interrupted,
        Self::InReview,
        Self::Conflict,
        Self::CiFailed,
        Self::Blocked,
        Self::Done,
        Self::Error,
    ];
    fn word(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Pending => "pending",
            Self::Working => "working",
            Self::Interrupted => "interrupted",
            Self::InReview => "in_review",
            Self::Conflict => "conflict",
            Self::CiFailed => "ci_failed",
            Self::Blocked => "blocked",
            Self::Done => "done",
            Self::Error => "error",
        }
    }
    fn alias(word: &str) -> Option<Self> {
        match word {
            "todo" => Some(Self::Pending),
            "in_progress" | "running" => Some(Self::Working),
            "failed" => Some(Self::Error),
            "review" => Some(Self::InReview),
            _ => None,
        }
    }
}

/// What a session is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaudeStatus {
    /// Its worktree, pane or client is on the way.
    #[default]
    Starting,
    /// The client waits for a prompt.
    Idle,
    /// A turn runs.
    Working,
    /// The client waits for a person; the reason says for what.
    WaitingForInput,
    /// The session was closed in order.
    Done,
    /// The session cannot go on; the reason says why.
    Error,
}

impl Word for ClaudeStatus {
    const WHAT: &'static str = "session status";
    const ALL: &'static [Self] = &[
        Self::Starting,
        Self::Idle,
        Self::Working,
        Self::WaitingForInput,
        Self::Done,
        Self::Error,
    ];
    fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Idle => "idle",
            Self::Working => "working",
            Self::WaitingForInput => "waiting_for_input",
            Self::Done => "done",
            Self::Error => "error",
        }
    }
}

/// Why a session has its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A tool waits to be allowed.
    Permission,
    /// The agent asked something.
    Question,
    /// A dialog of the client is open (trust, key, settings, MCP).
    Dialog,
    /// The account's usage limit is reached.
    UsageLimit,
    /// The turn is over but background work runs.
    Background,
    /// A person stopped the turn.
    Interrupted,
    /// The model's service answered with an error.
    ApiError,
    /// The client exited in order.
    Exited,
    /// The client ended by a signal or an error.
    Crashed,
    /// Nothing is known of the client any more.
    Lost,
    /// The client or its pane could not be started.
    LaunchFailed,
    /// The client started but reports nothing by hooks.
    NoHooks,
    /// A person closed the session.
    Closed,
}

impl Word for Reason {
    const WHAT: &'static str = "reason";
    const ALL: &'static [Self] = &[
        Self::Permission,
        Self::Question,
        Self::Dialog,
        Self::UsageLimit,
        Self::Background,
        Self::Interrupted,
        Self::ApiError,
        Self::Exited,
        Self::Crashed,
        Self::Lost,
        Self::LaunchFailed,
        Self::NoHooks,
        Self::Closed,
    ];
    fn word(self) -> &'static str {
        match self {
            Self::Permission => "permission",
            Self::Question => "question",
            Self::Dialog => "dialog",
            Self::UsageLimit => "usage_limit",
            Self::Background => "background",
            Self::Interrupted => "interrupted",
            Self::ApiError => "api_error",
            Self::Exited => "exited",
            Self::Crashed => "crashed",
            Self::Lost => "lost",
            Self::LaunchFailed => "launch_failed",
            Self::NoHooks => "no_hooks",
            Self::Closed => "closed",
        }
    }
}

/// What told us a session's status, the most trusted first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A hook of the client.
    Hook,
    /// The agent itself, by MCP.
    Mcp,
    /// The client's own registry of sessions.
    Registry,
    /// The launcher or the operating system.
    #[default]
    Process,
    /// The text on the screen.
    Screen,
    /// A person.
    User,
}

impl Word for Source {
    const WHAT: &'static str = "source";
    const ALL: &'static [Self] = &[
        Self::Hook,
        Self::Mcp,
        Self::Registry,
        Self::Process,
        Self::Screen,
        Self::User,
    ];
    fn word(self) -> &'static str {
        match self {
            Self::Hook => "hook",
            Self::Mcp => "mcp",
            Self::Registry => "registry",
            Self::Process => "process",
            Self::Screen => "screen",
            Self::User => "user",
        }
    }
}

/// How a task is worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Claude starts with the prompt, a person steers.
    #[default]
    Supervised,
    /// Claude works through the queue by itself.
    Autonomous,
    /// Claude opens without a prompt.
    Exploration,
}

impl Word for Mode {
    const WHAT: &'static str = "mode";
    const ALL: &'static [Self] = &[Self::Supervised, Self::Autonomous, Self::Exploration];
    fn word(self) -> &'static str {
        match self {
            Self::Supervised => "supervised",
            Self::Autonomous => "autonomous",
            Self::Exploration => "exploration",
        }
    }
}

/// How finished work is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PushMode {
    /// By a pull request.
    #[default]
    Pr,
    /// By pushing the branch.
    Push,
}

impl Word for PushMode {
    const WHAT: &'static str = "push mode";
    const ALL: &'static [Self] = &[Self::Pr, Self::Push];
    fn word(self) -> &'static str {
        match self {
            Self::Pr => "pr",
            Self::Push => "push",
        }
    }
}

/// How grave a line of the timeline is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// For finding faults.
    Debug,
    /// Ordinary.
    #[default]
    Info,
    /// Worth a look.
    Warn,
    /// Something failed.
    Error,
}

impl Word for LogLevel {
    const WHAT: &'static str = "log level";
    const ALL: &'static [Self] = &[Self::Debug, Self::Info, Self::Warn, Self::Error];
    fn word(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
    fn alias(word: &str) -> Option<Self> {
        (word == "warning").then_some(Self::Warn)
    }
}

/// Urgency of a task: 0 is the most urgent, 4 the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Priority(u8);

impl Priority {
    /// Takes 0 to 4; nothing else is a priority.
    pub const fn new(value: u8) -> Option<Self> {
        if value <= 4 { Some(Self(value)) } else { None }
    }

    /// 0 to 4.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self(2)
    }
}

impl<'de> Deserialize<'de> for Priority {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = u8::deserialize(deserializer)?;
        Self::new(value).ok_or_else(|| serde::de::Error::custom("a priority is 0 to 4"))
    }
}

impl FromStr for Priority {
    type Err = UnknownWord;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.trim_start_matches(['P', 'p'])
            .parse()
            .ok()
            .and_then(Self::new)
            .ok_or_else(|| UnknownWord {
                what: "priority",
                given: text.chars().take(60).collect(),
                known: "0, 1, 2, 3, 4".into(),
            })
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "P{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Word + Serialize + PartialEq + fmt::Debug>() {
        for value in T::ALL.iter().copied() {
            assert_eq!(T::parse_word(value.word()).unwrap(), value);
            assert_eq!(
                serde_json::to_value(value).unwrap(),
                serde_json::Value::String(value.word().into()),
                "the word is the JSON"
            );
        }
        assert!(T::parse_word("no-such-word").is_err());
    }

    #[test]
    fn every_value_is_written_as_its_word() {
        check::<ProjectStatus>();
        check::<TaskStatus>();
        check::<ClaudeStatus>();
        check::<Reason>();
        check::<Source>();
        check::<Mode>();
        check::<PushMode>();
        check::<LogLevel>();
    }

    #[test]
    fn the_neighbours_words_are_understood() {
        assert_eq!(TaskStatus::parse_word("todo"), Ok(TaskStatus::Pending));
        assert_eq!(
            TaskStatus::parse_word("In-Progress"),
            Ok(TaskStatus::Working)
        );
        assert_eq!(TaskStatus::parse_word("running"), Ok(TaskStatus::Working));
        assert_eq!(TaskStatus::parse_word("failed"), Ok(TaskStatus::Error));
    }

    #[test]
    fn a_priority_is_0_to_4() {
        assert_eq!("P1".parse::<Priority>().unwrap().get(), 1);
        assert!("5".parse::<Priority>().is_err());
        assert!(serde_json::from_str::<Priority>("7").is_err());
    }
}
