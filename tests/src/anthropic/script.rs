//! The script of the stand-in: which answer each request gets.
//!
//! ```json
//! {"defaults": {"usage": {"input_tokens": 1200, "output_tokens": 50},
//!               "headers": {"anthropic-ratelimit-unified-5h-reset": "$NOW+7200"}},
//!  "side_text": "{\"title\": \"Lab\"}",
//!  "turns": [
//!    {"match": "(?i)run the demo", "steps": [
//!      {"text": "Looking.", "tool_use": {"name": "Bash", "input": {"command": "id"}}},
//!      {"error": {"status": 529, "type": "overloaded_error"}, "times": 2},
//!      {"text": "Done.", "usage": {"output_tokens": 900}}]},
//!    {"steps": [{"text": "Answer to the first prompt that no pattern matched."}]}]}
//! ```
//!
//! * A turn starts at the newest user text that is not merely a `<system-reminder>`. Turns with `match` (a pattern
//!   searched in that text) are tried first and may be used any number of times; the others are handed out in order,
//!   once each. With nothing left the answer is the text `OK`.
//! * Steps are the successive answers inside one turn. The position comes from the conversation itself (assistant
//!   messages since the turn began, plus errors already served), so retries, resumes and several clients work.
//! * Requests that offer no tools are the client's side calls (titles, summaries). They get `side_text` unless a
//!   turn marked `"side": true` matches.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context as _;
use regex_lite::Regex;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A whole script. Unknown fields are errors, so that a slip of the pen in a test is seen.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    pub defaults: Defaults,
    /// Answer to side calls; `{"title": "Test"}` when absent.
    pub side_text: Option<String>,
    pub turns: Vec<Turn>,
}

/// Merged under the same field of every step.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Defaults {
    pub usage: Map<String, Value>,
    pub headers: Map<String, Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Turn {
    /// Pattern searched in the prompt; a turn without one is handed out once, in order.
    #[serde(rename = "match")]
    pub pattern: Option<String>,
    pub side: bool,
    pub steps: Vec<Step>,
}

/// One answer of the model.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Step {
    pub text: Option<String>,
    pub thinking: Option<String>,
    pub tool_use: ToolUses,
    pub usage: Map<String, Value>,
    /// Seconds before the answer.
    pub delay: f64,
    /// Seconds between streamed pieces.
    pub chunk_delay: f64,
    /// Response headers; `$NOW+N` in a value becomes the Unix time N seconds from now.
    pub headers: Map<String, Value>,
    pub stop_reason: Option<String>,
    pub error: Option<ErrorAnswer>,
    /// How many times in a row this step is served.
    pub times: usize,
    /// Close the connection in mid-stream, before the stop event.
    pub cut: bool,
    /// Error type sent as an event after the text, in place of the stop event.
    pub stream_error: Option<String>,
}

impl Default for Step {
    fn default() -> Self {
        Self {
            text: None,
            thinking: None,
            tool_use: ToolUses::default(),
            usage: Map::new(),
            delay: 0.0,
            chunk_delay: 0.0,
            headers: Map::new(),
            stop_reason: None,
            error: None,
            times: 1,
            cut: false,
            stream_error: None,
        }
    }
}

/// One tool call or a list of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum ToolUses {
    Many(Vec<ToolUse>),
    One(ToolUse),
}

impl Default for ToolUses {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl ToolUses {
    #[must_use]
    pub fn as_slice(&self) -> &[ToolUse] {
        match self {
            Self::Many(tools) => tools,
            Self::One(tool) => std::slice::from_ref(tool),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolUse {
    pub name: String,
    #[serde(default = "empty_object")]
    pub input: Value,
}

fn empty_object() -> Value {
    json!({})
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ErrorAnswer {
    pub status: u16,
    #[serde(rename = "type")]
    pub kind: String,
    pub message: String,
    pub headers: Map<String, Value>,
}

impl Default for ErrorAnswer {
    fn default() -> Self {
        Self {
            status: 500,
            kind: "api_error".into(),
            message: "scripted error".into(),
            headers: Map::new(),
        }
    }
}

impl Script {
    /// Parses a script from JSON.
    ///
    /// # Errors
    /// When it is not a script or a pattern in it is not one.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let script: Self = serde_json::from_str(text).context("parsing the model script")?;
        for pattern in script.turns.iter().filter_map(|turn| turn.pattern.as_ref()) {
            Regex::new(pattern).with_context(|| format!("parsing the pattern {pattern:?}"))?;
        }
        Ok(script)
    }

    /// A script from a JSON value, for tests.
    ///
    /// # Panics
    /// When it is not a script.
    #[must_use]
    pub fn from_json(value: &Value) -> Self {
        Self::parse(&value.to_string()).unwrap()
    }
}

/// Where the script comes from.
pub enum Source {
    Fixed(Script),
    /// Read again whenever its modification time changes.
    File(PathBuf),
}

/// A script with what must be remembered between requests.
pub struct Reader {
    script: Script,
    file: Option<(PathBuf, Option<SystemTime>)>,
    /// Turn (its index) given to each conversation turn that no pattern matched.
    assigned: HashMap<String, Option<usize>>,
    errors: HashMap<String, usize>,
    next_ordered: usize,
}

impl Reader {
    /// # Errors
    /// When a script file cannot be read or parsed.
    pub fn new(source: Source) -> anyhow::Result<Self> {
        let mut reader = Self {
            script: Script::default(),
            file: None,
            assigned: HashMap::new(),
            errors: HashMap::new(),
            next_ordered: 0,
        };
        match source {
            Source::Fixed(script) => reader.script = script,
            Source::File(path) => {
                reader.script = load(&path)?;
                let changed = modified(&path);
                reader.file = Some((path, changed));
            }
        }
        Ok(reader)
    }

    /// Takes another script from now on.
    pub fn replace(&mut self, script: Script) {
        self.script = script;
        self.assigned.clear();
        self.errors.clear();
        self.next_ordered = 0;
    }

    fn reload(&mut self) {
        let Some((path, seen)) = &mut self.file else {
            return;
        };
        let now = modified(path);
        if now == *seen {
            return;
        }
        match load(path) {
            Ok(script) => {
                *seen = now;
                self.replace(script);
            }
            // The file may be half written: the next request looks again.
            Err(error) => eprintln!("fake-anthropic: keeping the old script: {error:#}"),
        }
    }

    /// The step for a `/v1/messages` body with the defaults merged in, and what to log about it.
    pub fn answer(&mut self, body: &Value) -> (Step, Value) {
        self.reload();
        let no_messages = Vec::new();
        let messages = body["messages"].as_array().unwrap_or(&no_messages);
        let (text, index, done) = locate_turn(messages);
        let side = body["tools"].as_array().is_none_or(Vec::is_empty);
        let owner = body["metadata"]["user_id"].as_str().unwrap_or_default();
        let mut hasher = DefaultHasher::new();
        (owner, index, &text, side).hash(&mut hasher);
        let key = format!("{:016x}", hasher.finish());

        let steps = self.pick(&key, &text, side);
        let served_errors = self.errors.get(&key).copied().unwrap_or(0);
        let position = if side { 0 } else { done } + served_errors;
        let mut step = steps
            .iter()
            .flat_map(|step| std::iter::repeat_n(step, step.times))
            .nth(position)
            .cloned()
            .unwrap_or_else(|| Step {
                text: Some("OK".into()),
                ..Step::default()
            });
        if step.error.is_some() {
            self.errors.insert(key.clone(), served_errors + 1);
        }
        step.usage = merged(&self.script.defaults.usage, &step.usage);
        step.headers = merged(&self.script.defaults.headers, &step.headers);
        let tail: String = {
            let skip = text.chars().count().saturating_sub(300);
            text.chars().skip(skip).collect()
        };
        let kind = if side { "side" } else { "main" };
        (
            step,
            json!({"kind": kind, "prompt": tail, "turn": key, "step": position}),
        )
    }

    fn pick(&mut self, key: &str, text: &str, side: bool) -> Vec<Step> {
        let matches = |turn: &&Turn| {
            turn.side == side
                && turn
                    .pattern
                    .as_ref()
                    .is_some_and(|pattern| Regex::new(pattern).is_ok_and(|p| p.is_match(text)))
        };
        if let Some(turn) = self.script.turns.iter().find(matches) {
            return turn.steps.clone();
        }
        if side {
            let text = self.script.side_text.clone();
            return vec![Step {
                text: Some(text.unwrap_or_else(|| r#"{"title": "Test"}"#.into())),
                ..Step::default()
            }];
        }
        let index = match self.assigned.get(key) {
            Some(index) => *index,
            None => {
                let ordered = self.script.turns.iter().enumerate();
                let index = ordered
                    .filter(|(_, turn)| turn.pattern.is_none() && !turn.side)
                    .map(|(index, _)| index)
                    .nth(self.next_ordered);
                self.next_ordered += 1;
                self.assigned.insert(key.to_owned(), index);
                index
            }
        };
        index
            .and_then(|index| self.script.turns.get(index))
            .map(|turn| turn.steps.clone())
            .unwrap_or_default()
    }
}

fn load(path: &Path) -> anyhow::Result<Script> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("reading the model script {}", path.display()))?;
    Script::parse(&text)
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|data| data.modified()).ok()
}

fn merged(under: &Map<String, Value>, over: &Map<String, Value>) -> Map<String, Value> {
    let mut all = under.clone();
    all.extend(over.clone());
    all
}

/// The text blocks of a message, with `<system-reminder>` parts removed.
fn texts(message: &Value) -> Vec<String> {
    let blocks: Vec<&str> = match &message["content"] {
        Value::String(text) => vec![text],
        Value::Array(blocks) => blocks
            .iter()
            .filter(|block| block["type"] == "text")
            .filter_map(|block| block["text"].as_str())
            .collect(),
        _ => Vec::new(),
    };
    blocks
        .into_iter()
        .map(without_reminders)
        .filter(|text| !text.is_empty())
        .collect()
}

fn without_reminders(text: &str) -> String {
    const OPEN: &str = "<system-reminder>";
    const CLOSE: &str = "</system-reminder>";
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once(OPEN) {
        let Some((_, after)) = inside.split_once(CLOSE) else {
            break;
        };
        kept.push_str(before);
        rest = after;
    }
    kept.push_str(rest);
    kept.trim().to_owned()
}

/// Text of the newest user prompt, its index, and the number of assistant messages after it.
fn locate_turn(messages: &[Value]) -> (String, usize, usize) {
    for (index, message) in messages.iter().enumerate().rev() {
        if message["role"] != "user" {
            continue;
        }
        if let Some(text) = texts(message).pop() {
            let later = messages.iter().skip(index + 1);
            return (
                text,
                index,
                later.filter(|m| m["role"] == "assistant").count(),
            );
        }
    }
    (String::new(), 0, 0)
}
