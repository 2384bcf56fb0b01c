//! The script: what the "model" does in each turn.
//!
//! ```json
//! {"pace_ms": 0,
//!  "rate_limits": {"five_hour": {"used_percentage": 42, "resets_in": 7200}},
//!  "turns": [
//!    {"match": "(?i)fix", "steps": [
//!      {"say": "I will look."},
//!      {"tool": {"name": "Bash", "input": {"command": "ls", "description": "List"}, "needs_permission": true}},
//!      {"tool": {"name": "Write", "input": {"file_path": "a.txt", "content": "x"}}},
//!      {"mcp": {"tool": "claustre_status", "arguments": {"state": "working", "message": "..."}}},
//!      {"ask": {"question": "Which one?", "options": ["a", "b"]}},
//!      {"usage": {"input_tokens": 100, "output_tokens": 5}},
//!      {"wait_ms": 500},
//!      {"background": {"command": "sleep 5", "description": "bg"}},
//!      {"error": {"kind": "rate_limit", "resets_in": 3600}},
//!      {"crash": true}, {"exit": 3}]},
//!    {"steps": [{"say": "Anything else."}]}]}
//! ```
//!
//! The first turn whose `match` is found in the prompt is taken, a turn without `match` fits every prompt; with no
//! turn left the answer is `OK`. In every text `{{prompt}}`, `{{slug}}` (the prompt as a file name) and
//! `{{session_id}}` are replaced. Only `{{slug}}` is safe inside a command.

use std::collections::BTreeMap;

use anyhow::Context as _;
use regex_lite::Regex;
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    /// Pause before every step.
    pub pace_ms: Option<u64>,
    /// Model id, `claude-opus-4-8[1m]` by default.
    pub model: Option<String>,
    /// What the status line reports of a subscription; absent as with an API key when null.
    pub rate_limits: Option<BTreeMap<String, RateLimit>>,
    pub turns: Vec<Turn>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    pub used_percentage: f64,
    /// Seconds from now.
    pub resets_in: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Turn {
    #[serde(rename = "match")]
    pub pattern: Option<String>,
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    Say(String),
    Tool(ToolStep),
    Mcp(McpStep),
    Ask(AskStep),
    /// Token counts of the answers from here on.
    Usage(Map<String, Value>),
    WaitMs(u64),
    Background(BackgroundStep),
    Error(ErrorStep),
    /// Ends itself as `kill -9` would.
    Crash(bool),
    /// Takes nothing more from the keyboard, as the real client was seen to do.
    Deaf(bool),
    Exit(i32),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolStep {
    pub name: String,
    #[serde(default)]
    pub input: Value,
    /// Ask before running, unless the permission mode or a rule allows it.
    #[serde(default)]
    pub needs_permission: bool,
    /// Shell command that is really run; by default what the tool's input says.
    #[serde(default)]
    pub run: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct McpStep {
    #[serde(default = "claustre")]
    pub server: String,
    pub tool: String,
    #[serde(default)]
    pub arguments: Value,
    /// Skipped in silence when no such server is configured.
    #[serde(default)]
    pub optional: bool,
}

fn claustre() -> String {
    "claustre".into()
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskStep {
    pub question: String,
    #[serde(default)]
    pub options: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackgroundStep {
    pub command: String,
    #[serde(default)]
    pub description: String,
}

/// How an answer of the API fails.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorStep {
    /// `rate_limit`, `overloaded`, `authentication_failed`, `billing_error`, `server_error`, `unknown`, ...
    pub kind: String,
    #[serde(default)]
    pub message: Option<String>,
    /// Seconds until a usage limit resets.
    #[serde(default)]
    pub resets_in: Option<u64>,
}

impl Script {
    /// The script of `FAKE_CLAUDE_SCRIPT`, or the built-in one.
    ///
    /// # Errors
    /// When the file cannot be read or is not a script.
    pub fn load() -> anyhow::Result<Self> {
        match std::env::var_os("FAKE_CLAUDE_SCRIPT") {
            Some(path) => {
                let text = std::fs::read_to_string(&path)
                    .with_context(|| format!("reading the script {}", path.display()))?;
                Self::parse(&text)
            }
            None => Self::parse(&built_in().to_string()),
        }
    }

    /// # Errors
    /// When the text is not a script or a pattern in it is not one.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let script: Self = serde_json::from_str(text).context("parsing the script")?;
        for pattern in script.turns.iter().filter_map(|turn| turn.pattern.as_ref()) {
            Regex::new(pattern).with_context(|| format!("parsing the pattern {pattern:?}"))?;
        }
        Ok(script)
    }

    /// The steps for a prompt.
    #[must_use]
    pub fn steps_for(&self, prompt: &str) -> Vec<Step> {
        let fits = |turn: &&Turn| match &turn.pattern {
            Some(pattern) => Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(prompt)),
            None => true,
        };
        match self.turns.iter().find(fits) {
            Some(turn) => turn.steps.clone(),
            None => vec![Step::Say("OK".into())],
        }
    }

    #[must_use]
    pub fn model(&self) -> &str {
        self.model.as_deref().unwrap_or("claude-opus-4-8[1m]")
    }
}

/// Replacements for the texts of a turn.
pub struct Substitutions {
    pub prompt: String,
    pub session_id: String,
}

impl Substitutions {
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        text.replace("{{slug}}", &slug(&self.prompt))
            .replace("{{session_id}}", &self.session_id)
            .replace("{{prompt}}", &self.prompt)
    }

    #[must_use]
    pub fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(fields) => {
                let replaced = fields
                    .iter()
                    .map(|(key, value)| (key.clone(), self.value(value)));
                Value::Object(replaced.collect())
            }
            other => other.clone(),
        }
    }
}

/// The first words of a prompt as a file name: letters, digits and single dashes, at most 40 characters.
fn slug(prompt: &str) -> String {
    let mut slug = String::new();
    for letter in prompt.chars().map(|letter| letter.to_ascii_lowercase()) {
        if letter.is_ascii_alphanumeric() {
            slug.push(letter);
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
        if slug.len() >= 40 {
            break;
        }
    }
    let slug = slug.trim_matches('-');
    if slug.is_empty() {
        "prompt".into()
    } else {
        slug.to_owned()
    }
}

/// The script when none is given: it edits a file, commits it and reports, slowly enough to be watched.
fn built_in() -> Value {
    let report = |message: &str| {
        json!({"mcp": {"tool": "claustre_status", "optional": true,
                       "arguments": {"state": "working", "message": message}}})
    };
    let git = "git -c user.name='Fake Claude' -c user.email=fake-claude@localhost";
    json!({
        "pace_ms": 1200,
        "rate_limits": {"five_hour": {"used_percentage": 42, "resets_in": 7200},
                        "seven_day": {"used_percentage": 13, "resets_in": 400_000}},
        "turns": [
            {"match": "^<task-notification>", "steps": [{"say": "The background command has finished."}]},
            {"steps": [
                {"say": "I'll look at the repository first."},
                report("reading the repository"),
                {"tool": {"name": "Bash", "input": {"command": "git status --short && ls", "description": "Look around"}}},
                {"say": "Now I'll write down what I found."},
                report("writing notes/{{slug}}.md"),
                {"tool": {"name": "Write", "input": {"file_path": "notes/{{slug}}.md",
                    "content": "# {{slug}}\n\nWhat was asked:\n\n{{prompt}}\n"}}},
                {"tool": {"name": "Bash", "input": {
                    "command": format!("git add notes/{{{{slug}}}}.md && {git} commit -q -m 'Add notes on {{{{slug}}}}' && git log --oneline -1"),
                    "description": "Commit the notes"}}},
                {"mcp": {"tool": "claustre_task_done", "optional": true,
                         "arguments": {"summary": "Wrote and committed notes/{{slug}}.md"}}},
                {"say": "Done: notes/{{slug}}.md is written and committed."}]}]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_script_is_a_script() {
        let script = Script::parse(&built_in().to_string()).unwrap();
        assert!(script.steps_for("anything").len() > 5);
        assert_eq!(script.steps_for("<task-notification>x").len(), 1);
    }

    #[test]
    fn the_slug_of_a_prompt_is_safe_in_a_shell() {
        assert_eq!(slug("Fix the $(rm -rf) \"login\"!"), "fix-the-rm-rf-login");
        assert_eq!(slug("…"), "prompt");
    }

    #[test]
    fn every_kind_of_step_is_read() {
        let script = Script::parse(
            r#"{"turns": [{"match": "a", "steps": [{"say": "x"}, {"wait_ms": 5}, {"crash": true}, {"exit": 3},
               {"usage": {"output_tokens": 1}}, {"error": {"kind": "rate_limit"}}, {"ask": {"question": "?"}},
               {"background": {"command": "true"}}, {"mcp": {"tool": "t"}}, {"tool": {"name": "Bash"}}]}]}"#,
        )
        .unwrap();
        assert_eq!(script.steps_for("a").len(), 10);
        assert_eq!(script.steps_for("b").len(), 1);
    }
}
