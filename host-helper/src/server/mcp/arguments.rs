//! What each tool takes: typed, described for the model that reads it, bounded and cleaned.

use claustre_domain::command::AgentState;
use claustre_protocol::{ids::SessionId, status::LogLevel};
use schemars::JsonSchema;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::text;

/// Longest message, log line or summary kept, in characters; the rest is cut.
pub const MAX_MESSAGE: usize = 2_000;
/// Longest question kept, in characters.
pub const MAX_QUESTION: usize = 4_000;
/// Longest title or option kept, in characters.
pub const MAX_TITLE: usize = 200;
/// Longest description taken, in bytes; a longer one is refused, since a prompt must not lose its end.
pub const MAX_DESCRIPTION: usize = 100 * 1024;
/// Most options of a question.
pub const MAX_OPTIONS: usize = 8;
/// Most steps of a proposed task.
pub const MAX_STEPS: usize = 50;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// What you are doing now.
    pub state: StateWord,
    /// One or two sentences for the user: what you do, wait for, or failed at.
    pub message: String,
    /// Leave out; if given it must be your own session's id.
    pub session_id: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum StateWord {
    Working,
    WaitingForInput,
    Done,
    Error,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskDone {
    /// What was changed and how it was checked, in a few sentences.
    pub summary: String,
    /// Leave out; if given it must be your own session's id.
    pub session_id: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Input tokens used.
    pub input_tokens: u64,
    /// Output tokens used.
    pub output_tokens: u64,
    /// US dollars, if known.
    pub cost: Option<f64>,
    /// Leave out; if given it must be your own session's id.
    pub session_id: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// How grave it is.
    pub level: LevelWord,
    /// The line.
    pub message: String,
    /// Leave out; if given it must be your own session's id.
    pub session_id: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum LevelWord {
    Debug,
    Info,
    #[serde(alias = "warning")]
    Warn,
    Error,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnTask {}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subtask {
    /// `done` ticks a step off, `add` appends one.
    pub action: SubtaskAction,
    /// For `done`: the step's number, id or exact title, as `claustre_task` lists them.
    #[serde(default, deserialize_with = "text_or_number")]
    #[schemars(with = "Option<String>")]
    pub step: Option<String>,
    /// For `add`: what is to be done, in one line.
    pub title: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum SubtaskAction {
    Done,
    Add,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// The question, understandable without reading your conversation.
    pub question: String,
    /// Up to 8 short answers to choose from; the user may still write another.
    #[serde(default)]
    pub options: Vec<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskCreate {
    /// One line.
    pub title: String,
    /// What another agent needs to do it: goal, context, how to check it. Up to 100 KB.
    pub description: String,
    /// Ordered steps, one line each.
    #[serde(default)]
    pub steps: Vec<String>,
}

impl From<StateWord> for AgentState {
    fn from(word: StateWord) -> Self {
        match word {
            StateWord::Working => Self::Working,
            StateWord::WaitingForInput => Self::WaitingForInput,
            StateWord::Done => Self::Done,
            StateWord::Error => Self::Error,
        }
    }
}

impl From<LevelWord> for LogLevel {
    fn from(word: LevelWord) -> Self {
        match word {
            LevelWord::Debug => Self::Debug,
            LevelWord::Info => Self::Info,
            LevelWord::Warn => Self::Warn,
            LevelWord::Error => Self::Error,
        }
    }
}

/// A model may write a step's number as a number.
fn text_or_number<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    match Option::<Value>::deserialize(deserializer)? {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(serde::de::Error::custom(
            "`step` must be a number, an id or a title",
        )),
    }
}

/// Reads the arguments of a call.
///
/// # Errors
/// A sentence for the agent that names the argument that is wrong.
pub fn read<T: DeserializeOwned>(arguments: Map<String, Value>) -> Result<T, String> {
    serde_json::from_value(Value::Object(arguments)).map_err(|error| {
        format!(
            "wrong arguments: {}",
            text::one_line(&error.to_string(), 500)
        )
    })
}

/// Checks an optional `session_id` against the session that the token named.
///
/// # Errors
/// A sentence for the agent when it is not its own.
pub fn own_session(given: Option<&str>, own: SessionId) -> Result<(), String> {
    let Some(given) = given.map(str::trim).filter(|given| !given.is_empty()) else {
        return Ok(());
    };
    if given.parse() == Ok(own) {
        return Ok(());
    }
    Err(format!(
        "session_id {:?} is not your session ({own}): you can only report for yourself\nhint: leave session_id out",
        text::one_line(given, 60)
    ))
}

/// A message as it is kept.
pub fn message(given: &str) -> String {
    text::sanitise(given, MAX_MESSAGE).trim().to_owned()
}

/// A one-line title, or why not.
///
/// # Errors
/// A sentence for the agent when nothing visible is left of it.
pub fn title(given: &str, what: &str) -> Result<String, String> {
    let title = text::one_line(given, MAX_TITLE);
    if title.is_empty() {
        return Err(format!("{what} is empty"));
    }
    Ok(title)
}

/// A text that must not be empty.
///
/// # Errors
/// A sentence for the agent when nothing visible is left of it.
pub fn required(given: &str, limit: usize, what: &str) -> Result<String, String> {
    let kept = text::sanitise(given, limit).trim().to_owned();
    if kept.is_empty() {
        return Err(format!("{what} is empty"));
    }
    Ok(kept)
}

/// A list of one-line texts.
///
/// # Errors
/// A sentence for the agent when there are too many, or one is empty.
pub fn titles(given: &[String], most: usize, what: &str) -> Result<Vec<String>, String> {
    if given.len() > most {
        return Err(format!(
            "{} {what}s given, at most {most} are taken",
            given.len()
        ));
    }
    given.iter().map(|one| title(one, what)).collect()
}

/// A description within its limit.
///
/// # Errors
/// A sentence for the agent when it is too long or empty.
pub fn description(given: &str) -> Result<String, String> {
    if given.len() > MAX_DESCRIPTION {
        return Err(format!(
            "description has {} bytes, at most {MAX_DESCRIPTION} are taken\nhint: shorten it, or write it to a file and name the file",
            given.len()
        ));
    }
    required(given, MAX_DESCRIPTION, "description")
}

/// A cost in US dollars that can be added up.
///
/// # Errors
/// A sentence for the agent when it is negative.
pub fn cost(given: Option<f64>) -> Result<Option<f64>, String> {
    match given {
        Some(cost) if !cost.is_finite() || cost < 0.0 => {
            Err("cost must be a number of US dollars, 0 or more".to_owned())
        }
        cost => Ok(cost),
    }
}
