//! What a hook prints when it answers on purpose. Every other hook prints nothing at all.

use serde_json::{Value, json};

use super::suggestion::Suggestion;
use crate::text;

/// Longest reason or context given to the model, in characters.
const MESSAGE_LIMIT: usize = 64 * 1024;
/// How often in a row the client lets a Stop hook continue the turn.
pub const STOP_CONTINUE_CAP: u32 = 8;

/// A hook's answer. [`HookAnswer::to_stdout`] is the exact text to print; the exit status is always 0.
#[derive(Debug, Clone, PartialEq)]
pub enum HookAnswer {
    /// Leaves everything to the client and the user.
    Nothing,
    /// Answers a permission request with yes, once.
    Allow,
    /// Answers a permission request with yes and applies what the client suggested for the future.
    /// Suggestions that may not be sent back (unknown, or ending all checks) are left out.
    AllowAlways(Vec<Suggestion>),
    /// Answers a permission request with no; the model reads why and goes on.
    Deny {
        /// What the model reads.
        message: String,
    },
    /// Continues the turn at a Stop with this text, which the model reads as the next prompt.
    Continue {
        /// What the model reads.
        context: String,
    },
}

impl HookAnswer {
    /// The text for standard output: empty, or one JSON object and a newline.
    #[must_use]
    pub fn to_stdout(&self) -> String {
        let answer = match self {
            Self::Nothing => return String::new(),
            Self::Allow => permission(&json!({"behavior": "allow"})),
            Self::AllowAlways(suggestions) => {
                let updates: Vec<Value> =
                    suggestions.iter().filter_map(Suggestion::to_wire).collect();
                if updates.is_empty() {
                    permission(&json!({"behavior": "allow"}))
                } else {
                    permission(&json!({"behavior": "allow", "updatedPermissions": updates}))
                }
            }
            Self::Deny { message } => permission(
                &json!({"behavior": "deny", "message": text::sanitise(message, MESSAGE_LIMIT)}),
            ),
            Self::Continue { context } => {
                let context = text::sanitise(context, MESSAGE_LIMIT);
                if context.trim().is_empty() {
                    return String::new();
                }
                json!({"hookSpecificOutput": {"hookEventName": "Stop", "additionalContext": context}})
            }
        };
        format!("{answer}\n")
    }
}

fn permission(decision: &Value) -> Value {
    json!({"hookSpecificOutput": {"hookEventName": "PermissionRequest", "decision": decision}})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::claude::suggestion::Rule;

    fn check(answer: HookAnswer, wanted: &str) {
        assert_eq!(answer.to_stdout(), wanted);
    }

    #[test]
    fn answers_are_exactly_what_the_client_reads() {
        check(HookAnswer::Nothing, "");
        check(
            HookAnswer::Allow,
            "{\"hookSpecificOutput\":{\"decision\":{\"behavior\":\"allow\"},\"hookEventName\":\"PermissionRequest\"}}\n",
        );
        check(
            HookAnswer::Deny {
                message: "not now\u{1b}[2J".into(),
            },
            "{\"hookSpecificOutput\":{\"decision\":{\"behavior\":\"deny\",\"message\":\"not now\"},\"hookEventName\":\"PermissionRequest\"}}\n",
        );
        check(
            HookAnswer::Continue {
                context: "next \"prompt\"\nplease".into(),
            },
            "{\"hookSpecificOutput\":{\"additionalContext\":\"next \\\"prompt\\\"\\nplease\",\"hookEventName\":\"Stop\"}}\n",
        );
        check(
            HookAnswer::Continue {
                context: " ".into(),
            },
            "",
        );
    }

    #[test]
    fn always_allow_sends_back_only_what_may_go_back() {
        let rule = Suggestion::AddRules {
            rules: vec![Rule {
                tool: "Bash".into(),
                content: Some("npm test:*".into()),
            }],
            behavior: "allow".into(),
            destination: "localSettings".into(),
        };
        let bypass = Suggestion::SetMode {
            mode: "bypassPermissions".into(),
            destination: "session".into(),
        };
        let out = HookAnswer::AllowAlways(vec![rule, bypass.clone()]).to_stdout();
        let value: Value = serde_json::from_str(&out).expect("JSON");
        let updates = value
            .pointer("/hookSpecificOutput/decision/updatedPermissions")
            .and_then(Value::as_array);
        assert_eq!(updates.map(Vec::len), Some(1));
        assert_eq!(
            HookAnswer::AllowAlways(vec![bypass]).to_stdout(),
            HookAnswer::Allow.to_stdout()
        );
    }
}
