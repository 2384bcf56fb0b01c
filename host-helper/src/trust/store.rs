//! Trust on disk: `trust/ID/record.json` and beside it the copy of what was trusted, in a folder named for its content.

use std::{
    fmt::Write as _,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{DirBuilderExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
};

use claustre_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    Change, Content, Files, Place, TrustError,
    collect::{self, collect},
    compare,
};

/// Format of the record.
const VERSION: u32 = 1;
const RECORD: &str = "record.json";

/// Where trust is kept.
#[derive(Debug, Clone)]
pub struct TrustStore {
    directory: PathBuf,
}

/// How a repository stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It has nothing that could run.
    Empty,
    /// Nobody trusted it yet, or the copy of what was trusted is damaged.
    Untrusted(Files),
    /// It is not what was trusted any more.
    Changed {
        /// What is there.
        files: Files,
        /// What differs from what was trusted.
        changes: Vec<Change>,
    },
    /// It is what was trusted.
    Trusted(Trusted),
}

/// What was trusted, in a copy that no agent has in its worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    /// The folder of the copy; `hooks/` and `config.toml` are below it.
    pub directory: PathBuf,
    /// What is in it.
    pub files: Files,
}

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    version: u32,
    common_dir: String,
    root: String,
    trusted_at_ms: i64,
    digest: String,
    files: Vec<RecordedFile>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RecordedFile {
    path: String,
    sha256: String,
    executable: bool,
}

impl TrustStore {
    /// The store in this directory, which is made when trust is first given.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// How the repository stands now.
    ///
    /// # Errors
    /// Its files are of a kind that is never trusted, or cannot be read.
    pub fn standing(&self, place: &Place) -> Result<Standing, TrustError> {
        let files = collect(&place.root)?;
        if files.is_empty() {
            return Ok(Standing::Empty);
        }
        let Some(trusted) = self.trusted(place) else {
            return Ok(Standing::Untrusted(files));
        };
        let changes = compare(&trusted.files, &files);
        Ok(if changes.is_empty() {
            Standing::Trusted(trusted)
        } else {
            Standing::Changed { files, changes }
        })
    }

    /// Trusts exactly these files of the repository, as they were shown.
    ///
    /// # Errors
    /// The copy cannot be written.
    pub fn trust(&self, place: &Place, files: &Files, at: Timestamp) -> Result<(), TrustError> {
        let own = self.make_own(place)?;
        let recorded = recorded(files);
        let digest = digest(&recorded);
        let copy = own.join(&digest);
        remove(&copy)?;
        for (path, content) in files {
            write_file(&copy, path, content)?;
        }
        let record = Record {
            version: VERSION,
            common_dir: place.common_dir.to_string_lossy().into_owned(),
            root: place.root.to_string_lossy().into_owned(),
            trusted_at_ms: at.millis(),
            digest: digest.clone(),
            files: recorded,
        };
        let text = serde_json::to_vec_pretty(&record)
            .map_err(|error| TrustError::refused(&own, error.to_string()))?;
        replace_file(&own.join(RECORD), &text)?;
        // Earlier copies serve nobody any more. A session that started with one has its own.
        for entry in fs::read_dir(&own)
            .map_err(TrustError::file("reading", &own))?
            .flatten()
        {
            if entry.path().is_dir() && entry.file_name() != digest.as_str() {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Takes trust away. False: there was none.
    ///
    /// # Errors
    /// The record cannot be removed.
    pub fn untrust(&self, place: &Place) -> Result<bool, TrustError> {
        let own = self.own(place);
        let was = own.symlink_metadata().is_ok();
        // The record first: without it the rest is worth nothing.
        remove_file(&own.join(RECORD))?;
        remove(&own)?;
        Ok(was)
    }

    /// What was trusted of this repository, if its copy is whole and of the recorded content.
    fn trusted(&self, place: &Place) -> Option<Trusted> {
        let own = self.own(place);
        let text = fs::read(own.join(RECORD)).ok()?;
        let record: Record = serde_json::from_slice(&text).ok()?;
        if record.version != VERSION
            || record.common_dir != place.common_dir.to_string_lossy()
            || record.digest != digest(&record.files)
        {
            return None;
        }
        let directory = own.join(&record.digest);
        let mut files = Files::new();
        for file in &record.files {
            let content = collect::read(&directory.join(&file.path), false).ok()?;
            files.insert(file.path.clone(), content);
        }
        (recorded(&files) == record.files).then_some(Trusted { directory, files })
    }

    /// The repository's own folder in the store, made where it is not there.
    pub(super) fn make_own(&self, place: &Place) -> Result<PathBuf, TrustError> {
        let own = self.own(place);
        for directory in [&self.directory, &own] {
            private(directory)?;
        }
        Ok(own)
    }

    pub(super) fn own(&self, place: &Place) -> PathBuf {
        let mut id = hexadecimal(&Sha256::digest(place.common_dir.as_os_str().as_bytes()));
        id.truncate(32);
        self.directory.join(id)
    }
}

/// Writes files below a folder that only the user can enter; executable ones stay so.
///
/// # Errors
/// A file is there already, or cannot be written.
pub(crate) fn write_file(folder: &Path, path: &str, content: &Content) -> Result<(), TrustError> {
    let target = folder.join(path);
    if let Some(parent) = target.parent() {
        private(parent)?;
    }
    let mode = if content.executable { 0o700 } else { 0o600 };
    new_file(&target, &content.bytes, mode)
}

/// Writes a file that only the user can read, as a whole or not at all.
pub(super) fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), TrustError> {
    let fresh = path.with_extension("part");
    remove_file(&fresh)?;
    new_file(&fresh, bytes, 0o600)?;
    fs::rename(&fresh, path).map_err(TrustError::file("writing", path))
}

fn new_file(path: &Path, bytes: &[u8], mode: u32) -> Result<(), TrustError> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
    made.map_err(TrustError::file("writing", path))
}

fn private(path: &Path) -> Result<(), TrustError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(TrustError::file("making", path))
}

/// Removes a folder of the store; links in it are removed, not followed.
fn remove(path: &Path) -> Result<(), TrustError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(TrustError::file("removing", path)(error))
        }
        _ => Ok(()),
    }
}

fn remove_file(path: &Path) -> Result<(), TrustError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(TrustError::file("removing", path)(error))
        }
        _ => Ok(()),
    }
}

fn recorded(files: &Files) -> Vec<RecordedFile> {
    files
        .iter()
        .map(|(path, content)| RecordedFile {
            path: path.clone(),
            sha256: hexadecimal(&Sha256::digest(&content.bytes)),
            executable: content.executable,
        })
        .collect()
}

fn digest(files: &[RecordedFile]) -> String {
    let mut hasher = Sha256::new();
    for file in files {
        // No path holds a line break, so that two lists never read the same.
        hasher.update(format!(
            "{} {} {}\n",
            file.sha256, file.executable, file.path
        ));
    }
    hexadecimal(&hasher.finalize())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
