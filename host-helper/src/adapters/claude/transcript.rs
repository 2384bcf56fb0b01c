//! Usage and turn marks from a conversation's transcript, read piece by piece as it grows.
//!
//! One answer of the API stands in the transcript as several records with the same message id and the
//! same usage, and the same id may come again later; so every id counts once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, BufRead, BufReader, Read as _, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use claustre_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::conversation::{Projects, TranscriptRefused};
use super::prices::Tokens;
use super::wire::lenient;
use crate::text;

/// A line longer than this is skipped: no record that is read comes near it. Less than [`LOOK_BYTES`], so that each look gets on.
const LINE_LIMIT: u64 = 16 * 1024 * 1024;
/// Most bytes read in one look.
const LOOK_BYTES: u64 = 32 * 1024 * 1024;
/// Longest time that one look takes.
const LOOK_TIME: Duration = Duration::from_millis(500);
/// Most subagents whose transcripts are read.
const SUBAGENTS: usize = 1_000;
/// Longest queued prompt kept, in characters.
const QUEUED_LIMIT: usize = 16 * 1024;
/// How many of the newest answers are watched for a growing count of output tokens.
const WATCHED_ANSWERS: usize = 64;
/// The model name of records the client writes itself, such as an error of the API.
const SYNTHETIC: &str = "<synthetic>";

/// What was read so far; to be kept between reads, and over restarts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TranscriptState {
    /// Bytes read of each file, by its path.
    offsets: BTreeMap<PathBuf, u64>,
    /// Files that were left in the middle of a line too long to be read.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    in_long_line: BTreeSet<PathBuf>,
    /// Hashes of the message ids counted.
    counted: BTreeSet<u64>,
    /// The newest answers and their output tokens, since a later record may tell a higher count.
    newest: Vec<(u64, u64)>,
    /// Tokens by model.
    pub usage: BTreeMap<String, Tokens>,
    /// The time of the newest record.
    pub last_activity: Option<Timestamp>,
    /// What the newest records say of the turn.
    pub turn: TurnMark,
}

/// What a transcript says of the turn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnMark {
    /// Nothing yet.
    #[default]
    None,
    /// The last record belongs to a running turn.
    Running,
    /// The turn is over.
    Over {
        /// How long it took, in milliseconds.
        duration_ms: u64,
    },
    /// A person interrupted it. An interruption before the first output leaves no mark.
    Interrupted,
}

/// What one read found new.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Read {
    /// Whole lines read.
    pub lines: u64,
    /// Lines that were not understood; they are skipped.
    pub bad_lines: u64,
    /// Prompts typed while a turn ran. No hook reports them: they are their own confirmation.
    pub queued: Vec<String>,
    /// Errors of the API, by the client's word, such as `rate_limit`.
    pub api_errors: Vec<String>,
    /// The usage changed.
    pub usage_changed: bool,
    /// The budget was used up: there is more to read.
    pub more: bool,
}

/// How much one look may read yet.
#[derive(Debug)]
struct Budget {
    bytes: u64,
    until: Instant,
}

impl Budget {
    fn is_used_up(&self) -> bool {
        self.bytes == 0 || Instant::now() >= self.until
    }
}

/// What stands next in a file.
enum Next {
    /// A whole line of so many bytes, with its line break.
    Line(u64),
    /// So many bytes of a line that is too long.
    TooLong(u64),
    /// Nothing whole: the end of the file, or of the budget.
    Nothing,
}

/// Why a transcript could not be read.
#[derive(Debug, Error)]
#[error("reading the transcript {}: {source}", path.display())]
pub struct TranscriptError {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    pub source: TranscriptRefused,
}

impl TranscriptState {
    /// Reads what was appended to the transcript and to those of its subagents, as far as the budget of one look reaches. A file
    /// that does not exist yet is empty. On an error all that was read before it is kept, and the next read goes on.
    pub fn read(
        &mut self,
        projects: &Projects,
        transcript: &Path,
    ) -> Result<Read, TranscriptError> {
        let mut found = Read::default();
        let mut budget = Budget {
            bytes: LOOK_BYTES,
            until: Instant::now() + LOOK_TIME,
        };
        self.read_file(projects, transcript, true, &mut found, &mut budget)?;
        for path in subagents(transcript) {
            self.read_file(projects, &path, false, &mut found, &mut budget)?;
        }
        Ok(found)
    }

    /// All tokens of all models.
    #[must_use]
    pub fn total(&self) -> Tokens {
        self.usage
            .values()
            .fold(Tokens::default(), |sum, tokens| sum.plus(*tokens))
    }

    fn read_file(
        &mut self,
        projects: &Projects,
        path: &Path,
        is_main: bool,
        found: &mut Read,
        budget: &mut Budget,
    ) -> Result<(), TranscriptError> {
        let failed = |source| TranscriptError {
            path: path.to_owned(),
            source,
        };
        let Some((mut file, length)) = projects.open(path).map_err(failed)? else {
            return Ok(());
        };
        let mut offset = self.offsets.get(path).copied().unwrap_or_default();
        if offset > length {
            // The file was replaced by a shorter one; the ids keep what was counted from counting again.
            offset = 0;
            self.in_long_line.remove(path);
        }
        if offset == length {
            return Ok(());
        }
        if budget.is_used_up() {
            found.more = true;
            return Ok(());
        }
        let failed = |source: io::Error| failed(source.into());
        file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        let mut reader = BufReader::with_capacity(64 * 1024, file.take(budget.bytes));
        let mut in_long_line = self.in_long_line.remove(path);
        let before = offset;
        let result = self.read_lines(
            &mut reader,
            &mut offset,
            &mut in_long_line,
            is_main,
            found,
            budget.until,
        );
        budget.bytes = budget.bytes.saturating_sub(offset.saturating_sub(before));
        // What is left of a file that was not read to its end is more than an unfinished line.
        let is_cut = reader.get_ref().limit() == 0 || Instant::now() >= budget.until;
        found.more |= is_cut && offset < length;
        if is_cut {
            budget.bytes = 0;
        }
        if in_long_line {
            self.in_long_line.insert(path.to_owned());
        }
        self.offsets.insert(path.to_owned(), offset);
        result.map_err(failed)
    }

    /// Takes in every whole line; `offset` always stands behind the last one taken.
    fn read_lines(
        &mut self,
        reader: &mut impl BufRead,
        offset: &mut u64,
        in_long_line: &mut bool,
        is_main: bool,
        found: &mut Read,
        until: Instant,
    ) -> io::Result<()> {
        let mut line = Vec::new();
        while Instant::now() < until {
            if *in_long_line {
                let (size, is_over) = skip_line(reader, until)?;
                *offset = offset.saturating_add(size);
                if !is_over {
                    return Ok(());
                }
                *in_long_line = false;
                found.bad_lines = found.bad_lines.saturating_add(1);
                continue;
            }
            let size = match next_line(reader, &mut line)? {
                Next::Line(size) => size,
                Next::TooLong(size) => {
                    *offset = offset.saturating_add(size);
                    *in_long_line = true;
                    continue;
                }
                Next::Nothing => return Ok(()),
            };
            *offset = offset.saturating_add(size);
            found.lines = found.lines.saturating_add(1);
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            // A list would fit the record's fields by their order, and means nothing here.
            let is_object = line.trim_ascii_start().starts_with(b"{");
            match serde_json::from_slice::<WireRecord>(&line) {
                Ok(record) if is_object => self.take(record, is_main, found),
                Ok(_) | Err(_) => found.bad_lines = found.bad_lines.saturating_add(1),
            }
        }
        Ok(())
    }

    fn take(&mut self, record: WireRecord, is_main: bool, found: &mut Read) {
        let time = record
            .timestamp
            .as_deref()
            .and_then(Timestamp::parse_rfc3339);
        self.last_activity = self.last_activity.max(time);
        let kind = record.kind.as_deref().unwrap_or_default();
        if kind == "assistant" {
            if record.is_api_error_message == Some(true) {
                found.api_errors.push(text::one_line(
                    record.error.as_deref().unwrap_or("unknown"),
                    60,
                ));
            } else if let Some(message) = &record.message {
                self.count(message, found);
            }
        }
        if !is_main {
            return;
        }
        match (kind, record.subtype.as_deref()) {
            ("assistant", _) => self.turn = TurnMark::Running,
            ("user", _) if record.is_meta == Some(true) => {}
            ("user", _) if record.message.as_ref().is_some_and(is_interruption) => {
                self.turn = TurnMark::Interrupted
            }
            ("user", _) if record.message.as_ref().is_some_and(is_command_echo) => {}
            ("user", _) => self.turn = TurnMark::Running,
            ("system", Some("turn_duration")) if self.turn != TurnMark::Interrupted => {
                self.turn = TurnMark::Over {
                    duration_ms: record.duration_ms.unwrap_or_default(),
                };
            }
            ("queue-operation", _) if record.operation.as_deref() == Some("enqueue") => {
                if let Some(content) = record.content.as_ref().and_then(Value::as_str) {
                    found.queued.push(text::sanitise(content, QUEUED_LIMIT));
                }
            }
            _ => {}
        }
    }

    fn count(&mut self, message: &WireMessage, found: &mut Read) {
        let (Some(id), Some(model), Some(usage)) = (&message.id, &message.model, &message.usage)
        else {
            return;
        };
        if model == SYNTHETIC {
            return;
        }
        let hash = hash(id);
        let mut tokens = usage.tokens();
        if !self.counted.insert(hash) {
            // Counted already. Should a later record tell more output, the difference is added.
            let Some((_, known)) = self.newest.iter_mut().find(|(known, _)| *known == hash) else {
                return;
            };
            let more = tokens.output.saturating_sub(*known);
            if more == 0 {
                return;
            }
            *known = tokens.output;
            tokens = Tokens {
                output: more,
                ..Tokens::default()
            };
        } else {
            if self.newest.len() >= WATCHED_ANSWERS {
                self.newest.remove(0);
            }
            self.newest.push((hash, tokens.output));
        }
        found.usage_changed = true;
        let sum = self.usage.entry(text::one_line(model, 120)).or_default();
        *sum = sum.plus(tokens);
    }
}

/// The transcripts of the conversation's subagents, in the order of their names.
fn subagents(transcript: &Path) -> Vec<PathBuf> {
    let Ok(files) = fs::read_dir(transcript.with_extension("").join("subagents")) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = files
        .filter_map(Result::ok)
        .take(SUBAGENTS)
        .filter(|file| {
            let name = file.file_name();
            let name = name.to_string_lossy();
            name.starts_with("agent-") && name.ends_with(".jsonl")
        })
        .map(|file| file.path())
        .collect();
    paths.sort();
    paths
}

/// Reads one whole line with its line break. An unfinished last line is left for the next read.
fn next_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Next> {
    line.clear();
    let mut size: u64 = 0;
    loop {
        let available = reader.fill_buf()?;
        if available.is_empty() {
            return Ok(Next::Nothing);
        }
        let end = available.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(available.len(), |end| end.saturating_add(1));
        line.extend(available.iter().take(taken));
        reader.consume(taken);
        size = size.saturating_add(u64::try_from(taken).unwrap_or(u64::MAX));
        if end.is_some() {
            return Ok(Next::Line(size));
        }
        if size > LINE_LIMIT {
            line.clear();
            return Ok(Next::TooLong(size));
        }
    }
}

/// Reads on to the end of a line, and keeps nothing; gives how far that was, and whether the end was reached.
fn skip_line(reader: &mut impl BufRead, until: Instant) -> io::Result<(u64, bool)> {
    let mut size: u64 = 0;
    while Instant::now() < until {
        let available = reader.fill_buf()?;
        if available.is_empty() {
            break;
        }
        let end = available.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(available.len(), |end| end.saturating_add(1));
        reader.consume(taken);
        size = size.saturating_add(u64::try_from(taken).unwrap_or(u64::MAX));
        if end.is_some() {
            return Ok((size, true));
        }
    }
    Ok((size, false))
}

fn is_interruption(message: &WireMessage) -> bool {
    texts(message).any(|text| text.starts_with("[Request interrupted by user"))
}

/// What a slash command printed; it begins no turn.
fn is_command_echo(message: &WireMessage) -> bool {
    texts(message)
        .any(|text| text.starts_with("<command-name>") || text.starts_with("<local-command-"))
}

fn texts(message: &WireMessage) -> impl Iterator<Item = &str> {
    let content = message.content.as_ref();
    let whole = content.and_then(Value::as_str);
    let blocks = content.and_then(Value::as_array).into_iter().flatten();
    whole
        .into_iter()
        .chain(blocks.filter_map(|block| block.get("text").and_then(Value::as_str)))
}

/// 64-bit FNV-1a: stable over versions and machines, which the hasher of the standard library is not.
fn hash(id: &str) -> u64 {
    id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireRecord {
    #[serde(rename = "type", deserialize_with = "lenient")]
    kind: Option<String>,
    #[serde(deserialize_with = "lenient")]
    subtype: Option<String>,
    #[serde(deserialize_with = "lenient")]
    timestamp: Option<String>,
    #[serde(deserialize_with = "lenient")]
    message: Option<WireMessage>,
    #[serde(deserialize_with = "lenient")]
    is_meta: Option<bool>,
    #[serde(deserialize_with = "lenient")]
    is_api_error_message: Option<bool>,
    #[serde(deserialize_with = "lenient")]
    error: Option<String>,
    #[serde(deserialize_with = "lenient")]
    duration_ms: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    operation: Option<String>,
    content: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireMessage {
    #[serde(deserialize_with = "lenient")]
    id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    model: Option<String>,
    #[serde(deserialize_with = "lenient")]
    usage: Option<WireUsage>,
    content: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireUsage {
    #[serde(deserialize_with = "lenient")]
    input_tokens: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    output_tokens: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    cache_read_input_tokens: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    cache_creation_input_tokens: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    cache_creation: Option<WireCacheCreation>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireCacheCreation {
    #[serde(deserialize_with = "lenient")]
    ephemeral_5m_input_tokens: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    ephemeral_1h_input_tokens: Option<u64>,
}

impl WireUsage {
    fn tokens(&self) -> Tokens {
        let written = self.cache_creation_input_tokens.unwrap_or_default();
        let split = self.cache_creation.as_ref();
        let hour = split
            .and_then(|split| split.ephemeral_1h_input_tokens)
            .unwrap_or_default();
        let minutes = split
            .and_then(|split| split.ephemeral_5m_input_tokens)
            .unwrap_or_default();
        Tokens {
            input: self.input_tokens.unwrap_or_default(),
            output: self.output_tokens.unwrap_or_default(),
            cache_read: self.cache_read_input_tokens.unwrap_or_default(),
            // Without a split all of it was written for five minutes, the client's default.
            cache_write_5m: minutes.max(written.saturating_sub(hour)),
            cache_write_1h: hour,
        }
    }
}

#[cfg(test)]
#[path = "transcript_tests.rs"]
mod tests;
