//! The client's registry of sessions, read again only where a file changed.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::registry::{self, RegistryEntry};

/// What tells that a file was written anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

/// The entries as of the last look.
#[derive(Debug, Default)]
pub(super) struct RegistryCache {
    files: HashMap<PathBuf, (Stamp, Option<RegistryEntry>)>,
}

impl RegistryCache {
    /// Looks at the directory and reads what changed.
    pub fn refresh(&mut self, directory: &Path) {
        use std::os::unix::fs::MetadataExt;
        let mut before = std::mem::take(&mut self.files);
        let Ok(files) = fs::read_dir(directory) else {
            return;
        };
        for file in files.filter_map(Result::ok) {
            let path = file.path();
            if path.extension().is_none_or(|end| end != "json") {
                continue;
            }
            let Ok(data) = file.metadata() else {
                continue;
            };
            let stamp = Stamp {
                modified: data.modified().ok(),
                length: data.len(),
                inode: data.ino(),
            };
            let entry = match before.remove(&path) {
                // A file that was not understood may have been half written: it is read again.
                Some((known, Some(mut entry))) if known == stamp => {
                    entry.liveness = registry::liveness(entry.pid, entry.process_start.as_deref());
                    Some(entry)
                }
                _ => registry::read(&path),
            };
            self.files.insert(path, (stamp, entry));
        }
    }

    /// The entry of a session: by its process, else by its conversation.
    pub fn find(
        &self,
        pid: Option<u32>,
        claude_session_id: Option<&str>,
    ) -> Option<&RegistryEntry> {
        let entries = || self.files.values().filter_map(|(_, entry)| entry.as_ref());
        let by_pid = pid.and_then(|pid| entries().find(|entry| entry.pid == pid));
        by_pid.or_else(|| {
            let id = claude_session_id?;
            // One that was killed leaves its file behind; the living one is meant.
            entries()
                .filter(|entry| entry.claude_session_id == id)
                .min_by_key(|entry| entry.liveness == registry::Liveness::Dead)
        })
    }
}
