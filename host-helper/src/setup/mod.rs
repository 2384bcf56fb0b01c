//! `claustre setup`: makes Zellij know the plugin. Plans first, shows the plan, and only then writes; every file it changes
//! is copied beside itself, and [`undo`] takes everything back.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | our nodes in the user's `config.kdl`, in and out |
//! | [`permissions`] | the plugin's entry in `permissions.kdl` |
//! | [`check`] | what of it is in place |
//! | [`running`] | the Zellij sessions that run already |
//! | [`journal`] | what was written, so that it can be taken back |
//!
//! It works while Zellij runs: permissions are read afresh at every request, and key bindings as soon as the configuration
//! changes. Only the list of plugins is not, so [`running`] has each server load ours.

pub mod check;
pub mod config;
pub mod journal;
pub mod permissions;
pub mod running;

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use crate::{
    adapters::zellij::{Zellij, ZellijError, layout},
    paths::Paths,
};
use journal::{Entry, Journal};

#[cfg(test)]
mod tests;

/// The layout that `claustre` starts Zellij with.
pub const START_LAYOUT: &str = layout::START;

/// The key that shows and hides the dashboard, where the user names none.
pub const DEFAULT_KEY: &str = "Alt c";

/// Setting up came to nothing; no file is half written.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Zellij cannot be asked where its files are.
    #[error(transparent)]
    Zellij(#[from] ZellijError),
    /// This build carries no plugin.
    #[error(
        "unpacking the plugin: this build of claustre carries none (cargo xtask build-plugin, then build again)"
    )]
    NoPlugin,
    /// A file of the user's cannot be understood, so it is not touched.
    #[error("reading {}, line {line}: {why}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// The key does something else.
    #[error("binding {key}: {} binds it to something else in line {line}", path.display())]
    KeyTaken {
        /// Which key.
        key: String,
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// A file cannot be read or written.
    #[error("{doing} {}: {source}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What was written earlier cannot be read.
    #[error("reading {}: {why}", path.display())]
    Journal {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

impl SetupError {
    fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File {
            doing,
            path,
            source,
        }
    }
}

/// Which files, and what goes into them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets {
    /// Where the plugin is unpacked.
    pub plugin: PathBuf,
    /// The program that the plugin calls.
    pub helper: PathBuf,
    /// Zellij's configuration.
    pub config: PathBuf,
    /// Zellij's permissions.
    pub permissions: PathBuf,
    /// Zellij's layouts.
    pub layouts: PathBuf,
    /// What was written earlier.
    pub journal: PathBuf,
    /// The key, in Zellij's spelling: `Alt c`.
    pub key: String,
}

impl Targets {
    /// The files of this user's Zellij.
    ///
    /// # Errors
    /// Zellij does not say where they are.
    pub fn find(
        paths: &Paths,
        zellij: &Zellij,
        helper: PathBuf,
        key: &str,
    ) -> Result<Self, SetupError> {
        let directories = zellij.directories()?;
        Ok(Self {
            plugin: paths.zellij().join("claustre.wasm"),
            helper,
            config: directories.config_file,
            permissions: directories.cache.join("permissions.kdl"),
            layouts: directories.config.join("layouts"),
            journal: paths.setup_journal(),
            key: key.to_owned(),
        })
    }
}

/// The files of this user's Zellij, for this program.
///
/// # Errors
/// There is no usable Zellij, or it does not say where its files are.
pub fn targets(paths: &Paths, key: &str) -> Result<Targets, SetupError> {
    let zellij = Zellij::find()?;
    let helper = std::env::current_exe().map_err(SetupError::file(
        "finding this program, started as",
        Path::new("claustre"),
    ))?;
    Targets::find(paths, &zellij, helper, key)
}

/// The files that were written, wherever they are: also where there is no Zellij any more.
///
/// # Errors
/// What was written is not known.
pub fn written_targets(paths: &Paths, key: &str) -> Result<Targets, SetupError> {
    let (plugin, journal) = (paths.zellij().join("claustre.wasm"), paths.setup_journal());
    let helper = std::env::current_exe().map_err(SetupError::file(
        "finding this program, started as",
        Path::new("claustre"),
    ))?;
    let written = Journal::read(&journal)?;
    let named = |wanted: &dyn Fn(&Path) -> bool| {
        let mut paths = written.newest_first().map(|entry| &entry.path);
        paths.find(|path| wanted(path)).cloned().unwrap_or_default()
    };
    let is_permissions = |path: &Path| path.ends_with("permissions.kdl");
    let is_layout = |path: &Path| {
        path.parent()
            .is_some_and(|parent| parent.ends_with("layouts"))
    };
    Ok(Targets {
        permissions: named(&is_permissions),
        config: named(&|path| path != plugin && !is_permissions(path) && !is_layout(path)),
        layouts: PathBuf::new(),
        plugin,
        helper,
        journal,
        key: key.to_owned(),
    })
}

impl SetupError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            // It ran, and said what it does not like: nearly always its configuration.
            Self::Zellij(ZellijError::Call(_) | ZellijError::Answer { .. }) => {
                Some("mend Zellij's configuration until `zellij setup --check` is content".into())
            }
            Self::Zellij(_) => Some("cargo xtask install puts a Zellij beside claustre".into()),
            Self::NoPlugin => Some("cargo xtask install".into()),
            Self::Unreadable { .. } => {
                Some("mend that line, then run claustre setup again; nothing was changed".into())
            }
            Self::KeyTaken { .. } => {
                Some("choose another key in config.toml: [zellij] key = \"Alt d\"".into())
            }
            Self::File { .. } | Self::Journal { .. } => None,
        }
    }
}

/// One file to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub path: PathBuf,
    /// What for, one line.
    pub what: &'static str,
    /// What it holds now; none = it is not there.
    pub before: Option<Vec<u8>>,
    /// What it will hold.
    pub after: Vec<u8>,
}

impl Change {
    /// The change for people: lines that go with `-`, lines that come with `+`.
    pub fn describe(&self) -> String {
        let mut text = format!("{}  ({})\n", self.path.display(), self.what);
        match (std::str::from_utf8(&self.after), &self.before) {
            (Ok(after), before) if !self.after.starts_with(b"\0asm") => {
                let before = before
                    .as_deref()
                    .map(String::from_utf8_lossy)
                    .unwrap_or_default();
                for line in difference(&before, after) {
                    text.push_str("  ");
                    text.push_str(&line);
                    text.push('\n');
                }
            }
            _ => text.push_str(&format!("  + {} kB\n", self.after.len() / 1000)),
        }
        text
    }
}

/// What is to be written; nothing where all is in place.
///
/// # Errors
/// A file cannot be read or understood, or the key is taken.
pub fn plan(targets: &Targets, plugin: Option<&[u8]>) -> Result<Vec<Change>, SetupError> {
    let plugin = plugin.ok_or(SetupError::NoPlugin)?;
    let mut changes = Vec::new();
    let mut add = |path: &Path, what, after: Vec<u8>| -> Result<(), SetupError> {
        let before = read(path)?;
        if before.as_deref() != Some(after.as_slice()) {
            changes.push(Change {
                path: path.to_owned(),
                what,
                before,
                after,
            });
        }
        Ok(())
    };
    add(&targets.plugin, "the plugin", plugin.to_vec())?;
    let present = read_text(&targets.config)?;
    let edited = config::with_claustre(&present, targets)?;
    add(
        &targets.config,
        "alias, background start and key of the plugin",
        edited.into_bytes(),
    )?;
    let present = read_text(&targets.permissions)?;
    let granted = permissions::granted(&present, targets)?;
    add(
        &targets.permissions,
        "what the plugin may do",
        granted.into_bytes(),
    )?;
    let start = layout::START.as_bytes().to_vec();
    add(
        &targets.layouts.join("claustre.kdl"),
        "layout that starts with the dashboard",
        start,
    )?;
    Ok(changes)
}

/// Writes the plan: all or, if a file cannot be written, none.
///
/// # Errors
/// A file cannot be written; what was written before it is taken back.
pub fn apply(changes: &[Change], targets: &Targets, now_millis: i64) -> Result<(), SetupError> {
    let mut journal = Journal::read(&targets.journal)?;
    let mut done: Vec<Entry> = Vec::new();
    for change in changes {
        match write_change(change, now_millis) {
            Ok(entry) => done.push(entry),
            Err(error) => {
                for entry in done.iter().rev() {
                    // The first error counts; what cannot be taken back has its copy beside it.
                    entry.restore().ok();
                }
                return Err(error);
            }
        }
    }
    journal.add(done);
    journal.write(&targets.journal)
}

/// Takes back what was set up, and says per file what was done. A file that changed since keeps its changes and loses our part; no
/// copies stay behind, but of a file that could not be taken back.
///
/// # Errors
/// What was written is not known, or cannot be forgotten.
pub fn undo(targets: &Targets) -> Result<Vec<String>, SetupError> {
    let mut journal = Journal::read(&targets.journal)?;
    let (mut said, mut left) = (Vec::new(), Vec::new());
    for entry in journal.newest_first() {
        let shown = entry.path.display();
        match take_back(entry, targets).and_then(|done| entry.remove_copy().map(|()| done)) {
            Ok(done) => said.push(format!("{shown}: {done}")),
            Err(error) => {
                let copy = match &entry.backup {
                    Some(backup) => format!("what it was before is {}", backup.display()),
                    None => "it was not there before".to_owned(),
                };
                said.push(format!(
                    "{shown}: Claustre's part is still in it, take it out by hand ({error}); {copy}"
                ));
                left.push(entry.path.clone());
            }
        }
    }
    if !left.is_empty() {
        journal.keep(&left);
        journal.write(&targets.journal)?;
    } else if targets.journal.exists() {
        fs::remove_file(&targets.journal)
            .map_err(SetupError::file("removing", &targets.journal))?;
    }
    Ok(said)
}

/// Takes one file back; what was done.
fn take_back(entry: &Entry, targets: &Targets) -> Result<&'static str, SetupError> {
    let path = &entry.path;
    let Some(present) = read(path)? else {
        return Ok("was removed already");
    };
    if entry.is_unchanged(&present) {
        entry.restore()?;
        return Ok("restored");
    }
    let is_config = *path == targets.config;
    if !is_config && *path != targets.permissions {
        return Ok("changed since, left as it is");
    }
    // By its lines, so that the rest stays to the letter, also where it is not even KDL any more.
    let cleaned = match entry.merged(&present) {
        Some(merged) => merged,
        None if is_config => config::without_claustre(&read_text(path)?, targets)?,
        None => permissions::revoked(&read_text(path)?, targets)?,
    };
    if entry.backup.is_none() && cleaned.trim().is_empty() {
        fs::remove_file(path).map_err(SetupError::file("removing", path))?;
        return Ok("removed: there was no such file before");
    }
    write_through(path, cleaned.as_bytes())?;
    Ok("changed since, so only Claustre's part was taken out")
}

fn write_change(change: &Change, now_millis: i64) -> Result<Entry, SetupError> {
    let backup = match &change.before {
        None => None,
        // Our own file: the next build brings it back.
        Some(before) if before.starts_with(b"\0asm") => None,
        Some(before) => {
            let name = change
                .path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy();
            // A clock may show the same moment twice: a copy is never written over another one.
            let backup = (now_millis..)
                .map(|at| change.path.with_file_name(format!("{name}.claustre-{at}")))
                .find(|backup| !backup.exists())
                .unwrap_or_default();
            write_through(&backup, before)?;
            Some(backup)
        }
    };
    write_through(&change.path, &change.after)?;
    Ok(Entry::new(change, backup))
}

/// Writes the whole file at once, in place of the one that a symbolic link points to.
fn write_through(path: &Path, bytes: &[u8]) -> Result<(), SetupError> {
    let path = if path.is_symlink() {
        fs::canonicalize(path).map_err(SetupError::file("following the link", path))?
    } else {
        path.to_owned()
    };
    if let Some(directory) = path.parent() {
        // Among them may be the home of Claustre, which nobody else may enter.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(SetupError::file("creating", directory))?;
    }
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let unfinished = path.with_file_name(format!(".{name}.claustre-new"));
    let write = || -> io::Result<()> {
        fs::write(&unfinished, bytes)?;
        if let Ok(present) = fs::metadata(&path) {
            fs::set_permissions(&unfinished, present.permissions())?;
        }
        fs::File::open(&unfinished)?.sync_all()?;
        fs::rename(&unfinished, &path)
    };
    write().map_err(|error| {
        // What is half written is of no use to anybody.
        fs::remove_file(&unfinished).ok();
        SetupError::file("writing", &path)(error)
    })
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, SetupError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(SetupError::file("reading", path)(error)),
    }
}

/// The file as text; empty where there is none.
fn read_text(path: &Path) -> Result<String, SetupError> {
    let bytes = read(path)?.unwrap_or_default();
    String::from_utf8(bytes).map_err(|error| SetupError::Unreadable {
        path: path.to_owned(),
        line: 1,
        why: error.to_string(),
    })
}

/// Reads KDL, or says in which line it is wrong.
fn parse_kdl(text: &str, path: &Path) -> Result<kdl::KdlDocument, SetupError> {
    text.parse::<kdl::KdlDocument>()
        .map_err(|error| SetupError::Unreadable {
            path: path.to_owned(),
            line: line_of(text, error.span.offset()),
            why: error.to_string(),
        })
}

/// The line of a character, counted from 1.
fn line_of(text: &str, offset: usize) -> usize {
    text.chars()
        .take(offset)
        .filter(|character| *character == '\n')
        .count()
        + 1
}

/// Lines that go and lines that come. Both texts share their beginning and end almost always, so what is between is shown.
fn difference(before: &str, after: &str) -> Vec<String> {
    let before: Vec<&str> = before.lines().collect();
    let after: Vec<&str> = after.lines().collect();
    // Longest common subsequence would be finer; configurations have some hundred lines, so it is affordable.
    let mut lengths = vec![vec![0_usize; after.len() + 1]; before.len() + 1];
    let at = |lengths: &[Vec<usize>], row: usize, column: usize| -> usize {
        lengths
            .get(row)
            .and_then(|row| row.get(column))
            .copied()
            .unwrap_or_default()
    };
    for row in (0..before.len()).rev() {
        for column in (0..after.len()).rev() {
            let length = if before.get(row) == after.get(column) {
                at(&lengths, row + 1, column + 1) + 1
            } else {
                at(&lengths, row + 1, column).max(at(&lengths, row, column + 1))
            };
            if let Some(cell) = lengths.get_mut(row).and_then(|row| row.get_mut(column)) {
                *cell = length;
            }
        }
    }
    let (mut row, mut column) = (0, 0);
    let mut lines = Vec::new();
    loop {
        match (before.get(row), after.get(column)) {
            (Some(gone), Some(come)) if gone == come => {
                row += 1;
                column += 1;
            }
            (Some(gone), None) => {
                lines.push(format!("- {gone}"));
                row += 1;
            }
            (Some(gone), Some(_))
                if at(&lengths, row + 1, column) >= at(&lengths, row, column + 1) =>
            {
                lines.push(format!("- {gone}"));
                row += 1;
            }
            (_, Some(come)) => {
                lines.push(format!("+ {come}"));
                column += 1;
            }
            (None, None) => return lines,
        }
    }
}
