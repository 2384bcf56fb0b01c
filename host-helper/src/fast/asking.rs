//! What a permission hook asks, kept on disk while it waits: a hook that is killed is started again by its shell
//! (`claustre hook --again`), and its input can be read only once.
//!
//! The file is named after the shell, the parent of both; the session's directory is private.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use claustre_protocol::time::Timestamp;

use super::report::Line;

/// The directory of these files in a session's directory.
const DIRECTORY: &str = "asking";

/// A line on disk, removed when it is dropped.
#[derive(Debug)]
pub struct Asking {
    path: PathBuf,
}

impl Asking {
    /// Keeps the line for a hook that the process `shell` starts after this one.
    ///
    /// # Errors
    /// The disk does not take it.
    pub fn keep(session: &Path, shell: u32, line: &Line) -> io::Result<Self> {
        let directory = session.join(DIRECTORY);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)?;
        // Left by an earlier process of this number.
        for stale in of_shell(&directory, shell) {
            fs::remove_file(stale)?;
        }
        let kept = Self {
            path: directory.join(format!("{shell}-{}", line.at.millis())),
        };
        let mut file = fs::OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&kept.path)?;
        file.write_all(&line.bytes)?;
        Ok(kept)
    }

    /// The line that a killed hook of this shell has left; none where it ended by itself.
    #[must_use]
    pub fn find(session: &Path, shell: u32) -> Option<(Self, Line)> {
        let path = of_shell(&session.join(DIRECTORY), shell).next()?;
        let at = path
            .file_name()?
            .to_str()?
            .split_once('-')?
            .1
            .parse()
            .ok()?;
        let bytes = fs::read(&path).ok()?;
        let kept = Self { path };
        // Killed while it was being written: the dialog in the tab is what is left.
        let is_whole = bytes.ends_with(b"\n");
        is_whole.then(|| {
            let at = Timestamp::from_millis(at);
            (kept, Line { at, bytes })
        })
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        // One that stays is replaced by the next hook of a shell with this number.
        drop(fs::remove_file(&self.path));
    }
}

fn of_shell(directory: &Path, shell: u32) -> impl Iterator<Item = PathBuf> {
    let beginning = format!("{shell}-");
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter(move |entry| {
            entry
                .file_name()
                .to_str()
                .is_some_and(|name| name.starts_with(&beginning))
        })
        .map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line {
            at: Timestamp::from_millis(1_700_000_000_123),
            bytes: text.as_bytes().to_vec(),
        }
    }

    #[test]
    fn what_a_killed_hook_asked_is_found_by_the_next_of_its_shell() {
        let session = tempfile::tempdir().unwrap();
        let first = Asking::keep(session.path(), 41, &line("{\"a\":1}\n")).unwrap();
        // Killed: nothing was dropped.
        std::mem::forget(first);
        assert!(Asking::find(session.path(), 4).is_none(), "another shell");
        let (again, found) = Asking::find(session.path(), 41).unwrap();
        assert_eq!(found.bytes, b"{\"a\":1}\n");
        assert_eq!(found.at, Timestamp::from_millis(1_700_000_000_123));
        drop(again);
        assert!(
            Asking::find(session.path(), 41).is_none(),
            "it ended by itself"
        );
    }

    #[test]
    fn what_was_left_by_an_earlier_shell_or_half_written_is_not_asked() {
        let session = tempfile::tempdir().unwrap();
        std::mem::forget(Asking::keep(session.path(), 41, &line("old\n")).unwrap());
        std::mem::forget(Asking::keep(session.path(), 41, &line("{\"half\":")).unwrap());
        assert!(Asking::find(session.path(), 41).is_none());
        assert!(Asking::find(session.path(), 41).is_none());
    }
}
