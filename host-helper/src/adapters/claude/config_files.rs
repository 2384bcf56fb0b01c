//! The user's own Claude Code configuration, read and never written.
//!
//! Every running client rewrites these files, so writing one from outside loses somebody's change.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Where Claude Code keeps its configuration and state for this user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigPaths {
    /// `~/.claude`, or what CLAUDE_CONFIG_DIR names.
    pub directory: PathBuf,
    /// `~/.claude.json`, or the file of that name in CLAUDE_CONFIG_DIR.
    pub state_file: PathBuf,
}

/// What a JSON file holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// There is none.
    Missing,
    /// Its content.
    Json(Value),
    /// It is there and cannot be used; the reason.
    Broken(String),
}

impl ConfigPaths {
    /// Finds the paths from the user's home and the value of CLAUDE_CONFIG_DIR, if it is set and not empty.
    #[must_use]
    pub fn new(home: &Path, claude_config_dir: Option<&Path>) -> Self {
        match claude_config_dir.filter(|path| !path.as_os_str().is_empty()) {
            Some(directory) => Self {
                directory: directory.to_owned(),
                state_file: directory.join(".claude.json"),
            },
            None => Self {
                directory: home.join(".claude"),
                state_file: home.join(".claude.json"),
            },
        }
    }

    /// The user's settings.
    #[must_use]
    pub fn user_settings(&self) -> PathBuf {
        self.directory.join("settings.json")
    }

    /// The registry of running sessions.
    #[must_use]
    pub fn sessions(&self) -> PathBuf {
        self.directory.join("sessions")
    }

    /// The transcript of a conversation, wherever its project directory is; none while nothing was said
    /// in it. The path a hook tells is better where one is known.
    #[must_use]
    pub fn find_transcript(&self, claude_session_id: &str) -> Option<PathBuf> {
        let is_plain = claude_session_id
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-');
        if claude_session_id.is_empty() || !is_plain {
            return None;
        }
        let name = format!("{claude_session_id}.jsonl");
        let projects = fs::read_dir(self.directory.join("projects")).ok()?;
        projects
            .filter_map(Result::ok)
            .map(|project| project.path().join(&name))
            .find(|path| path.is_file())
    }
}

/// Reads one JSON file.
#[must_use]
pub fn read_json(path: &Path) -> Found {
    match fs::read(path) {
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(value) => Found::Json(value),
            Err(error) => Found::Broken(error.to_string()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Missing,
        Err(error) => Found::Broken(error.to_string()),
    }
}

impl Found {
    /// The content, or null where there is none to use.
    #[must_use]
    pub fn value(&self) -> &Value {
        match self {
            Self::Json(value) => value,
            Self::Missing | Self::Broken(_) => &Value::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_honour_claude_config_dir() {
        let paths = ConfigPaths::new(Path::new("/home/me"), None);
        assert_eq!(paths.sessions(), Path::new("/home/me/.claude/sessions"));
        assert_eq!(paths.state_file, Path::new("/home/me/.claude.json"));
        assert_eq!(
            ConfigPaths::new(Path::new("/home/me"), Some(Path::new(""))),
            paths
        );
        let paths = ConfigPaths::new(Path::new("/home/me"), Some(Path::new("/srv/claude")));
        assert_eq!(
            paths.user_settings(),
            Path::new("/srv/claude/settings.json")
        );
        assert_eq!(paths.state_file, Path::new("/srv/claude/.claude.json"));
    }

    #[test]
    fn a_transcript_is_found_in_any_project() {
        let home = tempfile::tempdir().expect("temp dir");
        let paths = ConfigPaths::new(home.path(), None);
        assert_eq!(paths.find_transcript("abc-1"), None);
        let project = home.path().join(".claude/projects/-srv-wt");
        fs::create_dir_all(&project).expect("made");
        fs::write(project.join("abc-1.jsonl"), "").expect("written");
        assert_eq!(
            paths.find_transcript("abc-1"),
            Some(project.join("abc-1.jsonl"))
        );
        assert_eq!(paths.find_transcript("../abc-1"), None);
        assert_eq!(paths.find_transcript(""), None);
    }

    #[test]
    fn a_broken_file_is_told_from_a_missing_one() {
        let home = tempfile::tempdir().expect("temp dir");
        let path = home.path().join("x.json");
        assert_eq!(read_json(&path), Found::Missing);
        fs::write(&path, "{").expect("written");
        assert!(matches!(read_json(&path), Found::Broken(_)));
        assert_eq!(read_json(&path).value(), &Value::Null);
    }
}
