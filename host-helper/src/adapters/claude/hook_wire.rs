//! The JSON a hook gets on its standard input, as Claude Code writes it.

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::hook_event::Hook;
use super::wire::{lenient, lenient_list};
use crate::text;

/// Why a hook's input could not be understood. Names what was read and where it went wrong.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum HookError {
    /// Nothing came on standard input.
    #[error("reading the hook's input: it is empty")]
    Empty,
    /// The text is not one JSON object.
    #[error(
        "reading the hook's input as JSON at line {line} column {column}: {reason} (it starts {start:?})"
    )]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What the parser missed.
        reason: String,
        /// The first characters of the input, made safe.
        start: String,
    },
    /// A field without which the event says nothing.
    #[error("reading the hook's input: the field {field:?} is missing or is not text")]
    Missing {
        /// The field's name as Claude Code spells it.
        field: &'static str,
    },
}

/// Reads one hook's standard input. Unknown events and unknown values are kept as `Other`.
pub fn parse_hook(input: &str) -> Result<Hook, HookError> {
    if input.trim().is_empty() {
        return Err(HookError::Empty);
    }
    if !input.trim_start().starts_with('{') {
        return Err(HookError::Malformed {
            line: 1,
            column: 1,
            reason: "expected an object".to_owned(),
            start: text::one_line(input, 60),
        });
    }
    let wire: WireHook = serde_json::from_str(input).map_err(|error| HookError::Malformed {
        line: error.line(),
        column: error.column(),
        reason: text::one_line(&error.to_string(), 160),
        start: text::one_line(input, 60),
    })?;
    Hook::try_from(wire)
}

/// Understands a hook's input that is JSON already, as a report carries it.
pub fn hook_from_value(input: Value) -> Result<Hook, HookError> {
    if !input.is_object() {
        return Err(HookError::Missing {
            field: "hook_event_name",
        });
    }
    // Every field is read leniently, so an object always fits; the error names the case all the same.
    let wire: WireHook = serde_json::from_value(input).map_err(|_| HookError::Missing {
        field: "hook_event_name",
    })?;
    Hook::try_from(wire)
}

/// Every field of every event, all optional. Fields of no use to Claustre are not listed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireHook {
    #[serde(deserialize_with = "lenient")]
    pub hook_event_name: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub session_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub transcript_path: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub cwd: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub prompt_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub permission_mode: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub effort: Option<WireEffort>,
    #[serde(deserialize_with = "lenient")]
    pub agent_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub agent_type: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub agent_transcript_path: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub source: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub model: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub prompt: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub tool_name: Option<String>,
    pub tool_input: Value,
    #[serde(deserialize_with = "lenient")]
    pub tool_response: Option<WireToolResponse>,
    #[serde(deserialize_with = "lenient")]
    pub tool_use_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub duration_ms: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    pub error: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub is_interrupt: Option<bool>,
    #[serde(deserialize_with = "lenient_list")]
    pub permission_suggestions: Vec<Value>,
    #[serde(deserialize_with = "lenient")]
    pub message: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub notification_type: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub last_assistant_message: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub stop_hook_active: Option<bool>,
    #[serde(deserialize_with = "lenient_list")]
    pub background_tasks: Vec<WireBackgroundTask>,
    #[serde(deserialize_with = "lenient")]
    pub trigger: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub reason: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub old_cwd: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub new_cwd: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireEffort {
    #[serde(deserialize_with = "lenient")]
    pub level: Option<String>,
}

/// Only what tells success from failure; a tool's output may be megabytes.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireToolResponse {
    #[serde(deserialize_with = "lenient")]
    pub interrupted: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireBackgroundTask {
    #[serde(deserialize_with = "lenient")]
    pub id: Option<String>,
    #[serde(rename = "type", deserialize_with = "lenient")]
    pub kind: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub status: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub description: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub command: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_input_says_what_and_where() {
        assert_eq!(parse_hook("  \n"), Err(HookError::Empty));
        let error = parse_hook("{\"hook_event_name\": \"Stop\",\n oops}").expect_err("not JSON");
        let HookError::Malformed { line, column, .. } = &error else {
            panic!("wrong kind: {error}");
        };
        assert_eq!((*line, *column), (2, 2));
        assert!(error.to_string().contains("line 2 column 2"), "{error}");
        for text in ["[]", "null", "12", "\"Stop\"", "{", "\u{1b}[31m{}"] {
            let error = parse_hook(text).expect_err(text);
            assert!(
                matches!(error, HookError::Malformed { .. }),
                "{text}: {error}"
            );
            assert!(!error.to_string().contains('\u{1b}'));
        }
    }

    #[test]
    fn an_object_without_the_event_name_or_session_names_the_field() {
        assert_eq!(
            parse_hook("{}"),
            Err(HookError::Missing {
                field: "hook_event_name"
            })
        );
        let error = parse_hook(r#"{"hook_event_name":"Stop","session_id":7}"#);
        assert_eq!(
            error,
            Err(HookError::Missing {
                field: "session_id"
            })
        );
    }
}
