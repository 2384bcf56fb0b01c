//! The transcripts of conversations, read with care: their path is the word of a hook, which anybody in the session can write.
//!
//! Only a regular file below Claude's own projects directory is read, opened so that nothing can make the reader wait, and only so
//! much at a time.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::{config_files::ConfigPaths, monitor::ClaudeHost, wire::lenient};
use crate::ports::{Conversations, PortError};

/// Most bytes that are looked through for a prompt: it is the first thing that is written after it was typed.
const LOOKED_THROUGH: u64 = 16 * 1024 * 1024;
/// Longest time that one look for a prompt takes.
const LOOK_TIME: Duration = Duration::from_millis(500);

/// Why a transcript is not read.
#[derive(Debug, Error)]
pub enum TranscriptRefused {
    /// It is somewhere else.
    #[error("it is not below {}", directory.display())]
    Elsewhere {
        /// Claude's projects directory.
        directory: PathBuf,
    },
    /// It is a pipe, a device, a directory.
    #[error("it is not a regular file")]
    NotAFile,
    /// The system refuses.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The directory that holds the transcripts of all conversations.
#[derive(Debug, Clone)]
pub struct Projects {
    directory: PathBuf,
}

impl Projects {
    /// Below this configuration directory, `~/.claude` or what CLAUDE_CONFIG_DIR names.
    #[must_use]
    pub fn of(config: &ConfigPaths) -> Self {
        Self {
            directory: config.directory.join("projects"),
        }
    }

    /// Opens a transcript and gives its length; none where it is not there (yet).
    ///
    /// # Errors
    /// It is no regular file below the directory, once all links are resolved, or the system refuses.
    pub fn open(&self, path: &Path) -> Result<Option<(File, u64)>, TranscriptRefused> {
        let missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        let elsewhere = || TranscriptRefused::Elsewhere {
            directory: self.directory.clone(),
        };
        let real = match fs::canonicalize(path) {
            Ok(real) => real,
            Err(error) if missing(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let directory = match fs::canonicalize(&self.directory) {
            Ok(directory) => directory,
            Err(error) if missing(&error) => return Err(elsewhere()),
            Err(error) => return Err(error.into()),
        };
        if real == directory || !real.starts_with(&directory) {
            return Err(elsewhere());
        }
        // Looked at before it is opened: opening a device may do something. And again after it: it may have been exchanged.
        if !fs::symlink_metadata(&real)?.is_file() {
            return Err(TranscriptRefused::NotAFile);
        }
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW | libc::O_NOCTTY)
            .open(&real);
        let file = match opened {
            Ok(file) => file,
            Err(error) if missing(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let data = file.metadata()?;
        if !data.is_file() {
            return Err(TranscriptRefused::NotAFile);
        }
        Ok(Some((file, data.len())))
    }

    /// The transcript of a conversation, wherever below the directory it lies; none where there is none.
    pub fn find(&self, conversation: &str) -> Option<PathBuf> {
        let name = format!("{conversation}.jsonl");
        fs::read_dir(&self.directory)
            .ok()?
            .filter_map(Result::ok)
            .map(|folder| folder.path().join(&name))
            .find(|path| path.is_file())
    }

    /// The prompts behind an offset, as far as the budget reaches; a file that became shorter is read from its start.
    fn prompts(&self, path: &Path, offset: u64) -> Result<Vec<String>, TranscriptRefused> {
        let Some((mut file, length)) = self.open(path)? else {
            return Ok(Vec::new());
        };
        file.seek(SeekFrom::Start(if offset > length { 0 } else { offset }))?;
        let until = Instant::now() + LOOK_TIME;
        let mut reader = BufReader::with_capacity(64 * 1024, file.take(LOOKED_THROUGH));
        let (mut prompts, mut line) = (Vec::new(), Vec::new());
        while Instant::now() < until && reader.read_until(b'\n', &mut line)? > 0 {
            if line.ends_with(b"\n")
                && let Ok(record) = serde_json::from_slice::<WireRecord>(&line)
            {
                prompts.extend(record.prompt());
            }
            line.clear();
        }
        Ok(prompts)
    }
}

/// The conversations of this user behind the port.
#[derive(Debug, Clone)]
pub struct ClaudeConversations {
    projects: Projects,
}

impl ClaudeConversations {
    /// Those of the client that this host starts.
    #[must_use]
    pub fn new(host: &ClaudeHost) -> Self {
        Self {
            projects: Projects::of(&host.config()),
        }
    }
}

impl Conversations for ClaudeConversations {
    fn length(&self, transcript: &Path) -> Result<u64, PortError> {
        match self.projects.open(transcript) {
            Ok(found) => Ok(found.map_or(0, |(_, length)| length)),
            Err(error) => Err(unreadable(transcript, &error)),
        }
    }

    fn prompts_since(&self, transcript: &Path, offset: u64) -> Result<Vec<String>, PortError> {
        self.projects
            .prompts(transcript, offset)
            .map_err(|error| unreadable(transcript, &error))
    }
}

fn unreadable(path: &Path, error: &TranscriptRefused) -> PortError {
    PortError::lasting(
        format!("reading the transcript {}: {error}", path.display()),
        None,
    )
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireRecord {
    #[serde(rename = "type", deserialize_with = "lenient")]
    kind: Option<String>,
    #[serde(deserialize_with = "lenient")]
    is_meta: Option<bool>,
    #[serde(deserialize_with = "lenient")]
    is_sidechain: Option<bool>,
    #[serde(deserialize_with = "lenient")]
    operation: Option<String>,
    message: Option<Value>,
    content: Option<Value>,
}

impl WireRecord {
    /// What a person typed, where this record is about that.
    fn prompt(&self) -> Option<String> {
        if self.is_meta == Some(true) || self.is_sidechain == Some(true) {
            return None;
        }
        match (self.kind.as_deref()?, self.operation.as_deref()) {
            ("user", _) => {
                let content = self.message.as_ref()?.get("content")?;
                let text = match content.as_str() {
                    Some(text) => text.to_owned(),
                    None => texts(content)?,
                };
                Some(command(&text).unwrap_or(text))
            }
            // Typed while a turn ran: the client has it, and no hook says so.
            ("queue-operation", Some("enqueue")) => {
                self.content.as_ref()?.as_str().map(str::to_owned)
            }
            _ => None,
        }
    }
}

/// The texts of a content that is a list of blocks; none where it holds no text, as the result of a tool.
fn texts(content: &Value) -> Option<String> {
    let blocks: Vec<&str> = content
        .as_array()?
        .iter()
        .filter_map(|block| block.get("text").and_then(Value::as_str))
        .collect();
    (!blocks.is_empty()).then(|| blocks.join("\n"))
}

/// A slash command as it was typed, from the form in which it is kept.
fn command(text: &str) -> Option<String> {
    let part = |name: &str| {
        let (_, behind) = text.split_once(&format!("<{name}>"))?;
        Some(
            behind
                .split_once(&format!("</{name}>"))?
                .0
                .trim()
                .to_owned(),
        )
    };
    let name = part("command-name")?;
    let arguments = part("command-args").unwrap_or_default();
    Some(format!("{name} {arguments}").trim().to_owned())
}

#[cfg(test)]
#[path = "conversation_tests.rs"]
mod tests;
