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
    /// What was written, where it is text: what the user changed since is found by it. Entries of older builds have none.
    #[serde(default)]
    pub text: Option<String>,
}

impl Entry {
    pub(super) fn new(change: &Change, backup: Option<PathBuf>) -> Self {
        Self {
            path: change.path.clone(),
            backup,
            written: hash(&change.after),
            text: String::from_utf8(change.after.clone()).ok(),
        }
    }

    /// Does the file still hold what was written?
    pub fn is_unchanged(&self, present: &[u8]) -> bool {
        hash(present) == self.written
    }

    /// What the user has made of the file, without what was written: a merge of three texts. None where the two changes meet in the
    /// same lines.
    pub(super) fn merged(&self, present: &[u8]) -> Option<String> {
        let written = self.text.as_deref()?;
        let present = std::str::from_utf8(present).ok()?;
        let before = match &self.backup {
            Some(backup) => fs::read_to_string(backup).ok()?,
            None => String::new(),
        };
        diffy::merge(written, present, &before).ok()
    }

    /// Takes what was written over it: the former content is from then on what the user made of the file before, without our part.
    fn replace(&mut self, newer: Self) {
        let present = newer.backup.as_ref().and_then(|copy| fs::read(copy).ok());
        let is_theirs = present
            .as_ref()
            .is_some_and(|present| !self.is_unchanged(present));
        (self.written, self.text) = match present.filter(|_| is_theirs) {
            // As it was when it was written first.
            None => (newer.written.clone(), newer.text.clone()),
            Some(present) => {
                let copy = self.backup.clone().or_else(|| newer.backup.clone());
                let kept = self
                    .merged(&present)
                    .zip(copy)
                    .filter(|(merged, copy)| write_through(copy, merged.as_bytes()).is_ok());
                match kept {
                    Some((_, copy)) => {
                        self.backup = Some(copy);
                        (newer.written.clone(), newer.text.clone())
                    }
                    // What the user changed is in the file alone: nothing may be put in its place.
                    None => (String::new(), None),
                }
            }
        };
        if newer.backup != self.backup {
            // A copy that is left over does no harm.
            newer.remove_copy().ok();
        }
    }

    /// Removes the copy of the former content, which nobody needs any more.
    pub(super) fn remove_copy(&self) -> Result<(), SetupError> {
        let Some(backup) = &self.backup else {
            return Ok(());
        };
        match fs::remove_file(backup) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(SetupError::file("removing", backup)(error))
            }
            _ => Ok(()),
        }
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
                Some(known) => known.replace(entry),
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

    /// Keeps only the entries that could not be taken back.
    pub(super) fn keep(&mut self, paths: &[PathBuf]) {
        self.entries.retain(|entry| paths.contains(&entry.path));
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
