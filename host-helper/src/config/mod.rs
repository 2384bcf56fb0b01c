//! The configuration: the user's file over the defaults, and what a repository may say over that.
//!
//! Unknown keys are named in a warning, wrong values in an error with line and allowed values; each value knows where it comes
//! from. [`schema`] is the list of all keys, `defaults.toml` the lowest layer.

mod read;
mod schema;

use std::{
    collections::BTreeMap,
    fmt, io,
    path::{Path, PathBuf},
};

use claustre_plugin::keymap::{Keymap, KeymapError};
use claustre_protocol::status::{Mode, PushMode};
use serde::{Deserialize, Serialize};

use self::read::Whose;
use crate::paths::Paths;

/// The lowest layer.
const DEFAULTS: &str = include_str!("defaults.toml");
/// Where a repository has its part, below its root.
const IN_REPOSITORY: &str = ".claustre/config.toml";

/// Everything that can be configured.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct Config {
    /// What a task has where it says nothing.
    pub defaults: Defaults,
    /// The queue.
    pub queue: Queue,
    /// Worktrees.
    pub worktrees: Worktrees,
    /// How you are told that something needs you.
    pub notifications: Notifications,
    /// Keys of the dashboard: action to key.
    pub keys: BTreeMap<String, String>,
    /// How the dashboard looks.
    pub theme: Theme,
    /// Prices by model, in USD per million tokens: `input`, `output`, `cache_read`, `cache_write_5m`, `cache_write_1h`.
    pub prices: BTreeMap<String, BTreeMap<String, f64>>,
    /// Zellij.
    pub zellij: Zellij,
}

impl Config {
    /// Looks whether the dashboard can have these keys, by its own table.
    ///
    /// # Errors
    /// An action or a key that it does not know, or one key for two actions: both are named.
    pub fn check_keys(&self) -> Result<(), ConfigError> {
        Keymap::from_names(self.keys.iter().map(|(name, key)| (&**name, &**key)))?;
        Ok(())
    }
}

/// `[defaults]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Defaults {
    /// How a task is worked on.
    pub mode: Mode,
    /// How finished work is delivered.
    pub push_mode: PushMode,
    /// Base branch; none = the project's default branch.
    pub base: Option<String>,
    /// Model; none = as Claude Code is set up.
    pub model: Option<String>,
    /// Effort; none = as Claude Code is set up.
    pub effort: Option<String>,
    /// Permission mode; none = by the mode of the task.
    pub permission_mode: Option<String>,
    /// The `claude` program; none = found in `PATH`.
    pub claude: Option<PathBuf>,
    /// More arguments for it.
    pub extra_args: Vec<String>,
    /// Where the texts of `claude.md` go.
    pub claude_md: ClaudeMd,
}

/// `[queue]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Queue {
    /// Sessions that may be open at once.
    pub max_sessions: u32,
}

/// `[worktrees]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Worktrees {
    /// Where they are; none = `worktrees/` in the home.
    pub root: Option<PathBuf>,
    /// Ignored files that are copied into a new one, as patterns.
    pub copy: Vec<String>,
    /// Ignored files and directories that are linked into a new one, as patterns.
    pub symlink: Vec<String>,
    /// Days that the work of a removed one is kept.
    pub keep_days: u32,
    /// Largest ignored file that goes into the snapshot of a removed one, in KiB.
    pub keep_ignored_file_kib: u32,
    /// All ignored files of a snapshot together, in MiB.
    pub keep_ignored_total_mib: u32,
    /// A program with its arguments that runs in a new one before the client starts; empty = none.
    pub setup: Vec<String>,
    /// A program with its arguments that runs in one before it is removed; empty = none.
    pub teardown: Vec<String>,
    /// Minutes that a script may take.
    pub script_minutes: u32,
}

/// Where the texts for every session go that the user and the repository wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClaudeMd {
    /// Into the client's system prompt.
    #[default]
    Prompt,
    /// Into the worktree's `CLAUDE.local.md`.
    File,
}

/// `[notifications]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Notifications {
    /// By the desktop.
    pub desktop: bool,
    /// By a program with its arguments; empty = none.
    pub command: Vec<String>,
}

/// `[theme]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Theme {
    /// Marks and frames in ASCII only?
    pub ascii: bool,
}

/// `[zellij]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Zellij {
    /// A shell beside the session in its tab?
    pub shell_beside: bool,
    /// The key that shows and hides the dashboard.
    pub key: String,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// Path of the file, or `default`.
    pub file: String,
    /// Its line there, from 1.
    pub line: usize,
}

/// A value with where it comes from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// The value.
    pub value: serde_json::Value,
    /// Where it comes from.
    pub origin: Origin,
}

/// Something in a file that has no effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// Path of the file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What it is.
    pub what: String,
}

/// Something in a file that cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Path of the file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What it is, and what could be there.
    pub what: String,
}

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("reading {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Values that cannot be.
    #[error("reading the configuration: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Wrong(Vec<Problem>),
    /// Keys of the dashboard that cannot be as they are.
    #[error("reading [keys] of the configuration: {0}")]
    Keys(#[from] KeymapError),
    /// The list of keys and the types differ: a bug.
    #[error("reading the configuration: {0}")]
    Shape(#[from] serde_json::Error),
}

impl ConfigError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Read { path, error } if error.kind() == io::ErrorKind::InvalidData => {
                format!("write {} anew as UTF-8 text", path.display())
            }
            Self::Read { path, error } if error.kind() == io::ErrorKind::IsADirectory => {
                format!("move {} away; a file belongs there", path.display())
            }
            Self::Read { path, .. } => format!("make {} readable for you", path.display()),
            Self::Wrong(_) | Self::Keys(_) => {
                "mend or remove what stands there; claustre config check looks again".to_owned()
            }
            Self::Shape(_) => "this is a bug of Claustre; please report it".to_owned(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} line {}: {}", self.file, self.line, self.what)
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} line {}: {}", self.file, self.line, self.what)
    }
}

/// All layers, one over the other. The key is (section, key).
#[derive(Debug, Default)]
struct Layers {
    entries: BTreeMap<(String, String), Entry>,
    warnings: Vec<Warning>,
}

/// The resolved configuration.
#[derive(Debug)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// What has no effect.
    pub warnings: Vec<Warning>,
    entries: BTreeMap<(String, String), Entry>,
}

/// Loads the user's configuration.
///
/// # Errors
/// A file cannot be read, or holds wrong values: all of them are named.
pub fn load(paths: &Paths) -> Result<Loaded, ConfigError> {
    load_for(paths, None)
}

/// Loads the user's configuration with what this repository may say over it.
///
/// # Errors
/// As [`load`].
pub fn load_for(paths: &Paths, repository: Option<&Path>) -> Result<Loaded, ConfigError> {
    let mut layers = Layers::default();
    read::read(&mut layers, "default", DEFAULTS, Whose::User)?;
    read::file(&mut layers, &paths.config(), Whose::User)?;
    if let Some(repository) = repository {
        read::file(
            &mut layers,
            &repository.join(IN_REPOSITORY),
            Whose::Repository,
        )?;
    }
    layers.resolve()
}

/// What a repository's configuration has run, once it is trusted: `setup` and `teardown` of `[worktrees]`, each a program with its
/// arguments, or nothing where it says nothing.
///
/// # Errors
/// It is no configuration, or holds wrong values.
pub fn scripts_of(name: &str, text: &str) -> Result<RepositoryScripts, ConfigError> {
    let mut layers = Layers::default();
    read::read(&mut layers, name, text, Whose::Trusted)?;
    let of = |key: &str| {
        let entry = layers
            .entries
            .get(&("worktrees".to_owned(), key.to_owned()));
        entry
            .map(|entry| serde_json::from_value(entry.value.clone()))
            .transpose()
    };
    Ok(RepositoryScripts {
        setup: of("setup")?,
        teardown: of("teardown")?,
    })
}

/// What a repository's configuration has run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RepositoryScripts {
    /// In a new worktree.
    pub setup: Option<Vec<String>>,
    /// Before one is removed.
    pub teardown: Option<Vec<String>>,
}

impl Layers {
    fn resolve(self) -> Result<Loaded, ConfigError> {
        let mut root = serde_json::Map::new();
        for ((section, key), entry) in &self.entries {
            put(&mut root, section, key, &entry.value);
        }
        let config = serde_json::from_value(serde_json::Value::Object(root))?;
        Ok(Loaded {
            config,
            warnings: self.warnings,
            entries: self.entries,
        })
    }
}

/// Puts a value where its section is.
fn put(
    root: &mut serde_json::Map<String, serde_json::Value>,
    section: &str,
    key: &str,
    value: &serde_json::Value,
) {
    // `prices.MODEL`: a model's name may hold dots itself.
    let (part, rest) = match section.split_once('.') {
        Some((part, rest)) => (part, Some(rest)),
        None => (section, None),
    };
    let table = root
        .entry(part.to_owned())
        .or_insert_with(|| serde_json::Value::Object(serde_json::Map::new()));
    let Some(table) = table.as_object_mut() else {
        return;
    };
    match rest {
        None => {
            table.insert(key.to_owned(), value.clone());
        }
        Some(rest) => {
            let model = table
                .entry(rest.to_owned())
                .or_insert_with(|| serde_json::Value::Object(serde_json::Map::new()));
            if let Some(model) = model.as_object_mut() {
                model.insert(key.to_owned(), value.clone());
            }
        }
    }
}

impl Loaded {
    /// Where a value comes from; none where it is not set.
    pub fn origin(&self, section: &str, key: &str) -> Option<&Origin> {
        self.entries
            .get(&(section.to_owned(), key.to_owned()))
            .map(|entry| &entry.origin)
    }

    /// The whole as TOML, with the origin of each value behind it.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let mut last = "";
        for ((section, key), entry) in &self.entries {
            if section != last {
                if !last.is_empty() {
                    text.push('\n');
                }
                let head = match section.split_once('.') {
                    Some((table, name)) => format!("[{table}.{}]\n", quoted(name)),
                    None => format!("[{section}]\n"),
                };
                text.push_str(&head);
                last = section;
            }
            let origin = &entry.origin;
            let origin = if origin.file == "default" {
                "default".to_owned()
            } else {
                format!("{} line {}", origin.file, origin.line)
            };
            text.push_str(&format!("{} = {}  # {origin}\n", quoted(key), entry.value));
        }
        text
    }

    /// The whole as JSON: section, key, then value and origin.
    pub fn to_json(&self) -> serde_json::Value {
        let mut root: BTreeMap<&str, BTreeMap<&str, &Entry>> = BTreeMap::new();
        for ((section, key), entry) in &self.entries {
            root.entry(section).or_default().insert(key, entry);
        }
        serde_json::to_value(root).unwrap_or_default()
    }
}

/// A key as TOML takes it: JSON's texts are TOML's as well.
fn quoted(key: &str) -> String {
    let bare = !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare {
        key.to_owned()
    } else {
        serde_json::Value::from(key).to_string()
    }
}

#[cfg(test)]
mod tests;
