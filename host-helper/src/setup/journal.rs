//! What was written, with the hash of each file, so that it can be taken back without touching what changed since.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Change, SetupError, read, write_through};

/// One file that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Which.
    pub path: PathBuf,
    /// Where its former content lies; none = there was no such file, or it was ours.
    pub backup: Option<PathBuf>,
    /// SHA-256 of what was written.
    pub written: String,
}

impl Entry {
    pub(super) fn new(change: &Change, backup: Option<PathBuf>) -> Self {
        Self {
            path: change.path.clone(),
            backup,
            written: hash(&change.after),
        }
    }

    /// Does the file still hold what was written?
    pub fn is_unchanged(&self, present: &[u8]) -> bool {
        hash(present) == self.written
    }

    /// Brings the former content back.
    pub(super) fn restore(&self) -> Result<(), SetupError> {
        match &self.backup {
            Some(backup) => {
                let before = fs::read(backup).map_err(SetupError::file("reading", backup))?;
                write_through(&self.path, &before)
            }
            None => fs::remove_file(&self.path).map_err(SetupError::file("removing", &self.path)),
        }
    }
}

/// All files that were written and not taken back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Journal {
    entries: Vec<Entry>,
}

impl Journal {
    /// Reads it; an empty one where nothing was set up.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(path: &Path) -> Result<Self, SetupError> {
        let Some(bytes) = read(path)? else {
            return Ok(Self::default());
        };
        serde_json::from_slice(&bytes).map_err(|error| SetupError::Journal {
            path: path.to_owned(),
            why: error.to_string(),
        })
    }

    /// Adds what was written. A file that was written before keeps its first copy, so that undoing goes back to before all.
    pub(super) fn add(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            match self
                .entries
                .iter_mut()
                .find(|known| known.path == entry.path)
            {
                Some(known) => known.written = entry.written,
                None => self.entries.push(entry),
            }
        }
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), SetupError> {
        let json = serde_json::to_vec_pretty(self).map_err(|error| SetupError::Journal {
            path: path.to_owned(),
            why: error.to_string(),
        })?;
        write_through(path, &json)
    }

    /// The files, the last first.
    pub fn newest_first(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().rev()
    }
}

/// SHA-256, hexadecimal.
pub(super) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
