//! What Claude Code offers beside a permission question: "always allow", "accept edits", a directory.

use serde_json::{Map, Value, json};

use crate::text;

/// A change of permissions the client suggests with a permission question.
///
/// Texts stay exactly as given, because a suggestion may be sent back; [`Suggestion::describe`] is the
/// form to show.
#[derive(Debug, Clone, PartialEq)]
pub enum Suggestion {
    /// Adds rules, such as `Bash(npm test:*)`.
    AddRules {
        /// The rules in the client's own spelling.
        rules: Vec<Rule>,
        /// `allow`, `deny` or `ask`.
        behavior: String,
        /// Where it is kept: `session`, `localSettings`, `projectSettings`, `userSettings`.
        destination: String,
    },
    /// Changes the permission mode.
    SetMode {
        /// A permission mode in the client's spelling.
        mode: String,
        /// Where it is kept.
        destination: String,
    },
    /// Lets the client work in more directories.
    AddDirectories {
        /// Absolute paths.
        directories: Vec<String>,
        /// Where it is kept.
        destination: String,
    },
    /// A kind this version does not know; it is never sent back.
    Other(String),
}

/// One permission rule: a tool, and what of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Such as `Bash` or `mcp__lab__ping`.
    pub tool: String,
    /// Such as `npm test:*`; none means every use of the tool.
    pub content: Option<String>,
}

impl Suggestion {
    /// Reads one element of `permission_suggestions`.
    #[must_use]
    pub fn from_wire(value: &Value) -> Self {
        let field = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let kind = field("type").unwrap_or_default();
        let parsed =
            match kind.as_str() {
                "addRules" => rules(value)
                    .zip(field("behavior"))
                    .zip(field("destination"))
                    .map(|((rules, behavior), destination)| Self::AddRules {
                        rules,
                        behavior,
                        destination,
                    }),
                "setMode" => field("mode")
                    .zip(field("destination"))
                    .map(|(mode, destination)| Self::SetMode { mode, destination }),
                "addDirectories" => directories(value).zip(field("destination")).map(
                    |(directories, destination)| Self::AddDirectories {
                        directories,
                        destination,
                    },
                ),
                _ => None,
            };
        parsed.unwrap_or_else(|| Self::Other(text::one_line(&kind, 60)))
    }

    /// The form the client takes back as an element of `updatedPermissions`, or nothing where sending
    /// it back would be wrong: an unknown kind, or one that switches permission checks off.
    #[must_use]
    pub fn to_wire(&self) -> Option<Value> {
        match self {
            Self::AddRules {
                rules,
                behavior,
                destination,
            } => {
                let rules: Vec<Value> = rules
                    .iter()
                    .map(|rule| {
                        let mut object = Map::new();
                        object.insert("toolName".to_owned(), json!(rule.tool));
                        if let Some(content) = &rule.content {
                            object.insert("ruleContent".to_owned(), json!(content));
                        }
                        Value::Object(object)
                    })
                    .collect();
                Some(
                    json!({"type": "addRules", "rules": rules, "behavior": behavior, "destination": destination}),
                )
            }
            Self::SetMode { mode, .. } if mode == "bypassPermissions" => None,
            Self::SetMode { mode, destination } => {
                Some(json!({"type": "setMode", "mode": mode, "destination": destination}))
            }
            Self::AddDirectories {
                directories,
                destination,
            } => Some(
                json!({"type": "addDirectories", "directories": directories, "destination": destination}),
            ),
            Self::Other(_) => None,
        }
    }

    /// One line that says what accepting it would change.
    #[must_use]
    pub fn describe(&self) -> String {
        let line = match self {
            Self::AddRules {
                rules,
                behavior,
                destination,
            } => {
                let rules: Vec<String> = rules
                    .iter()
                    .map(|rule| match &rule.content {
                        Some(content) => format!("{}({content})", rule.tool),
                        None => rule.tool.clone(),
                    })
                    .collect();
                format!("always {behavior} {} ({destination})", rules.join(", "))
            }
            Self::SetMode { mode, destination } => {
                format!("permission mode {mode} ({destination})")
            }
            Self::AddDirectories {
                directories,
                destination,
            } => {
                format!("work also in {} ({destination})", directories.join(", "))
            }
            Self::Other(kind) => format!("a change of kind {kind}"),
        };
        text::one_line(&line, 400)
    }
}

fn rules(value: &Value) -> Option<Vec<Rule>> {
    value
        .get("rules")?
        .as_array()?
        .iter()
        .map(|rule| {
            let tool = rule.get("toolName")?.as_str()?.to_owned();
            let content = match rule.get("ruleContent") {
                None | Some(Value::Null) => None,
                Some(content) => Some(content.as_str()?.to_owned()),
            };
            Some(Rule { tool, content })
        })
        .collect()
}

fn directories(value: &Value) -> Option<Vec<String>> {
    value
        .get("directories")?
        .as_array()?
        .iter()
        .map(|path| Some(path.as_str()?.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_suggestion_goes_back_exactly_as_it_came() {
        for wire in [
            json!({"type":"addRules","rules":[{"toolName":"mcp__lab__ping"}],"behavior":"allow","destination":"localSettings"}),
            json!({"type":"addRules","rules":[{"toolName":"Bash","ruleContent":"npm test:*"}],"behavior":"allow","destination":"session"}),
            json!({"type":"setMode","mode":"acceptEdits","destination":"session"}),
            json!({"type":"addDirectories","directories":["/srv/x"],"destination":"session"}),
        ] {
            assert_eq!(Suggestion::from_wire(&wire).to_wire(), Some(wire));
        }
    }

    #[test]
    fn what_is_unknown_or_switches_checks_off_is_never_sent_back() {
        for wire in [
            json!({"type":"setMode","mode":"bypassPermissions","destination":"session"}),
            json!({"type":"grantAll"}),
            json!({"type":"addRules","rules":[{"toolName":"Bash","ruleContent":3}],"behavior":"allow","destination":"session"}),
            json!(7),
        ] {
            assert_eq!(Suggestion::from_wire(&wire).to_wire(), None, "{wire}");
        }
    }

    #[test]
    fn a_suggestion_is_described_in_one_safe_line() {
        let wire = json!({"type":"addRules","rules":[{"toolName":"Bash","ruleContent":"npm\u{1b}[31m\n test:*"}],"behavior":"allow","destination":"session"});
        assert_eq!(
            Suggestion::from_wire(&wire).describe(),
            "always allow Bash(npm test:*) (session)"
        );
    }
}
