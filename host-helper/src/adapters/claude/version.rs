//! Which version of Claude Code is installed, and what it knows.

use std::fmt;

use thiserror::Error;

use crate::text;

/// The oldest version sessions are started with: the first that has both `--name` (2.1.76; an older
/// client ends with "unknown option") and the StopFailure hook (2.1.78; without it a usage limit cannot
/// be told from work).
pub const MINIMUM: ClaudeVersion = ClaudeVersion {
    major: 2,
    minor: 1,
    patch: 78,
};

/// The version all formats here were measured with.
pub const MEASURED: ClaudeVersion = ClaudeVersion {
    major: 2,
    minor: 1,
    patch: 197,
};

/// A version of Claude Code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClaudeVersion {
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
    /// Third number.
    pub patch: u32,
}

/// Why the output of `claude --version` says nothing.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("reading the output of `claude --version`: no version in {output:?}")]
pub struct VersionError {
    /// What was printed, made safe.
    pub output: String,
}

impl fmt::Display for ClaudeVersion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl ClaudeVersion {
    /// Reads the output of `claude --version`, such as `2.1.197 (Claude Code)`.
    pub fn parse(output: &str) -> Result<Self, VersionError> {
        let found = output.split_whitespace().find_map(Self::from_word);
        found.ok_or_else(|| VersionError {
            output: text::one_line(output, 80),
        })
    }

    /// Whether sessions can be started with it.
    #[must_use]
    pub fn is_supported(self) -> bool {
        self >= MINIMUM
    }

    fn from_word(word: &str) -> Option<Self> {
        let word = word.strip_prefix('v').unwrap_or(word);
        // A pre-release or build suffix does not change what is known.
        let numbers = word.split(['-', '+']).next()?;
        let mut parts = numbers.split('.').map(|part| part.parse::<u32>().ok());
        let version = Self {
            major: parts.next()??,
            minor: parts.next()??,
            patch: parts.next()??,
        };
        parts.next().is_none().then_some(version)
    }
}

const fn since(major: u32, minor: u32, patch: u32) -> ClaudeVersion {
    ClaudeVersion {
        major,
        minor,
        patch,
    }
}

/// Every hook event an observer may register, with the version its change log names first. An event
/// whose first version is not known is taken as known from [`MEASURED`] on.
///
/// WorktreeCreate is missing on purpose: what such a hook prints *is* the worktree's path.
const EVENTS: &[(&str, ClaudeVersion)] = &[
    ("PreToolUse", since(1, 0, 38)),
    ("PostToolUse", since(1, 0, 38)),
    ("Notification", since(1, 0, 38)),
    ("Stop", since(1, 0, 38)),
    ("SubagentStop", since(1, 0, 41)),
    ("PreCompact", since(1, 0, 48)),
    ("UserPromptSubmit", since(1, 0, 54)),
    ("SessionStart", since(1, 0, 62)),
    ("SessionEnd", since(1, 0, 85)),
    ("SubagentStart", since(2, 0, 43)),
    ("PermissionRequest", since(2, 0, 45)),
    ("PostCompact", since(2, 1, 76)),
    ("StopFailure", since(2, 1, 78)),
    ("CwdChanged", since(2, 1, 83)),
    ("FileChanged", since(2, 1, 83)),
    ("Elicitation", since(2, 1, 76)),
    ("ElicitationResult", since(2, 1, 76)),
    ("PostToolUseFailure", MEASURED),
    ("PostToolBatch", MEASURED),
    ("UserPromptExpansion", MEASURED),
    ("PermissionDenied", MEASURED),
    ("Setup", MEASURED),
    ("TeammateIdle", MEASURED),
    ("TaskCreated", MEASURED),
    ("TaskCompleted", MEASURED),
    ("ConfigChange", MEASURED),
    ("WorktreeRemove", MEASURED),
    ("InstructionsLoaded", MEASURED),
    ("MessageDisplay", MEASURED),
];

/// The events a session's status is built from. The others cost a process each and say nothing here.
const OBSERVED: &[&str] = &[
    "SessionStart",
    "UserPromptSubmit",
    "PreToolUse",
    "PostToolUse",
    "PostToolUseFailure",
    "PermissionRequest",
    "Notification",
    "Stop",
    "StopFailure",
    "SubagentStart",
    "SubagentStop",
    "PreCompact",
    "PostCompact",
    "SessionEnd",
    "CwdChanged",
];

/// Every hook event this version knows, as far as it can be justified; never WorktreeCreate.
///
/// A newer version than measured is taken to know what 2.1.197 knows. An unknown name opens a dialog
/// that blocks the start, so doubt means leaving the event out.
#[must_use]
pub fn known_events(version: ClaudeVersion) -> Vec<&'static str> {
    EVENTS
        .iter()
        .filter(|(_, first)| *first <= version)
        .map(|(name, _)| *name)
        .collect()
}

/// The hook events to register with this version: those a status is built from and it knows.
#[must_use]
pub fn observed_events(version: ClaudeVersion) -> Vec<&'static str> {
    let known = known_events(version);
    OBSERVED
        .iter()
        .copied()
        .filter(|name| known.contains(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_what_the_client_prints() {
        assert_eq!(
            ClaudeVersion::parse("2.1.197 (Claude Code)\n"),
            Ok(MEASURED)
        );
        assert_eq!(
            ClaudeVersion::parse("claude v2.2.0-beta.1"),
            Ok(since(2, 2, 0))
        );
        for text in ["", "command not found", "2.1", "2.1.x", "1.2.3.4"] {
            assert!(ClaudeVersion::parse(text).is_err(), "{text}");
        }
        let error = ClaudeVersion::parse("\u{1b}[31mno").expect_err("no version");
        assert_eq!(
            error.to_string(),
            "reading the output of `claude --version`: no version in \"no\""
        );
    }

    #[test]
    fn versions_are_ordered_by_number_not_by_letter() {
        assert!(MEASURED.is_supported());
        assert!(!since(2, 1, 9).is_supported());
        assert!(since(2, 1, 100) > since(2, 1, 78));
        assert!(since(3, 0, 0).is_supported());
    }

    #[test]
    fn only_events_the_version_knows_are_registered() {
        assert_eq!(observed_events(MEASURED), OBSERVED);
        assert_eq!(observed_events(since(9, 0, 0)), OBSERVED);
        let older = observed_events(MINIMUM);
        assert!(older.contains(&"StopFailure") && older.contains(&"PermissionRequest"));
        assert!(!older.contains(&"PostToolUseFailure") && !older.contains(&"CwdChanged"));
        assert_eq!(
            known_events(since(1, 0, 38)),
            ["PreToolUse", "PostToolUse", "Notification", "Stop"]
        );
        assert_eq!(known_events(MEASURED).len(), 29);
        assert!(!known_events(since(9, 0, 0)).contains(&"WorktreeCreate"));
    }
}
