//! Which Claude Code is installed: where its program is, and its version, asked once for each installed file.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::files;
use super::version::{ClaudeVersion, VersionError};
use crate::adapters::process::{Invocation, ProcessError};

/// Names the program, over everything else.
pub const CLAUDE_VARIABLE: &str = "CLAUSTRE_CLAUDE";
/// The file below `run/` that keeps the versions.
const CACHE_FILE: &str = "claude-versions.json";
/// `claude --version` takes a quarter of a second; a cold disk or an update more.
const VERSION_LIMIT: Duration = Duration::from_secs(10);
/// How many installed files are remembered.
const MOST_REMEMBERED: usize = 32;

/// Why there is no client to start.
#[derive(Debug, Error)]
pub enum ClientError {
    /// None in PATH.
    #[error("finding Claude Code: there is no `claude` in PATH")]
    NotFound,
    /// What was named is no program.
    #[error("finding Claude Code: {} is not a program", .0.display())]
    NoProgram(PathBuf),
    /// What was named is neither a name nor an absolute path.
    #[error("finding Claude Code: {} is not an absolute path", .0.display())]
    Relative(PathBuf),
    /// It does not tell its version.
    #[error("asking Claude Code for its version: {0}")]
    Process(#[from] ProcessError),
    /// What it tells is none.
    #[error(transparent)]
    Version(#[from] VersionError),
}

impl ClientError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NotFound => {
                "install Claude Code: npm install -g @anthropic-ai/claude-code".to_owned()
            }
            Self::NoProgram(_) | Self::Relative(_) => {
                format!(
                    "set defaults.claude or {CLAUDE_VARIABLE} to the absolute path of the `claude` program"
                )
            }
            Self::Process(_) | Self::Version(_) => {
                "run `claude --version` by hand and see what it says".to_owned()
            }
        }
    }
}

/// Finds the program: what was named (a name or an absolute path), else `claude`, looked up in `search`
/// (as PATH is written).
///
/// # Errors
/// There is none, or what was named is none.
pub fn find(named: Option<&Path>, search: Option<&OsStr>) -> Result<PathBuf, ClientError> {
    let name = named.unwrap_or(Path::new("claude"));
    if name.is_absolute() {
        return if is_program(name) {
            Ok(name.to_owned())
        } else {
            Err(ClientError::NoProgram(name.to_owned()))
        };
    }
    if name.components().count() != 1 {
        return Err(ClientError::Relative(name.to_owned()));
    }
    let directories = search.map(OsStr::to_owned).unwrap_or_default();
    std::env::split_paths::<OsString>(&directories)
        // A relative directory in PATH would find another program in each worktree.
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|path| is_program(path))
        .ok_or_else(|| match named {
            Some(named) => ClientError::NoProgram(named.to_owned()),
            None => ClientError::NotFound,
        })
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// The version of the program. It is asked once for each installed file (known by place, time and size)
/// and kept in `run_directory`, since asking takes longer than a whole launch may.
///
/// # Errors
/// The program does not tell it.
pub fn version(program: &Path, run_directory: &Path) -> Result<ClaudeVersion, ClientError> {
    let file = run_directory.join(CACHE_FILE);
    let mut known: Versions = fs::read(&file)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let installed = Installed::of(program);
    if let Some(installed) = &installed
        && let Some(kept) = known.programs.get(&installed.path)
        && kept.is_of(installed)
        && let Ok(version) = ClaudeVersion::parse(&kept.version)
    {
        return Ok(version);
    }
    let finished = Invocation::new(program)
        .arg("--version")
        .cwd("/")
        .time_limit(VERSION_LIMIT)
        .output_limit(64 * 1024)
        .run()?
        .require_success()?;
    let version = ClaudeVersion::parse(&finished.stdout_text())?;
    if let Some(installed) = installed {
        if known.programs.len() >= MOST_REMEMBERED {
            known.programs.clear();
        }
        known.programs.insert(
            installed.path,
            Kept {
                modified_millis: installed.modified_millis,
                length: installed.length,
                version: version.to_string(),
            },
        );
        keep(run_directory, &file, &known);
    }
    Ok(version)
}

/// A failure costs a quarter of a second at the next launch, no more.
fn keep(run_directory: &Path, file: &Path, known: &Versions) {
    let written = files::private_directory(run_directory)
        .and_then(|()| files::write_private(file, &serde_json::to_vec(known).unwrap_or_default()));
    if let Err(error) = written {
        tracing::warn!(%error, "the version of Claude Code was not kept");
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Versions {
    programs: BTreeMap<PathBuf, Kept>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    modified_millis: u64,
    length: u64,
    version: String,
}

/// The very file that runs, links resolved: an update puts the link on another one.
struct Installed {
    path: PathBuf,
    modified_millis: u64,
    length: u64,
}

impl Installed {
    fn of(program: &Path) -> Option<Self> {
        let path = program.canonicalize().ok()?;
        let data = fs::metadata(&path).ok()?;
        let modified = data.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(Self {
            path,
            modified_millis: u64::try_from(modified.as_millis()).ok()?,
            length: data.len(),
        })
    }
}

impl Kept {
    fn is_of(&self, installed: &Installed) -> bool {
        self.modified_millis == installed.modified_millis && self.length == installed.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(path: &Path, content: &str) {
        fs::write(path, content).expect("written");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("mode");
    }

    #[test]
    fn the_program_is_found_in_path_or_where_it_was_named() {
        let directory = tempfile::tempdir().expect("temp dir");
        let claude = directory.path().join("claude");
        let search = std::env::join_paths([
            Path::new("relative"),
            Path::new("/nowhere"),
            directory.path(),
        ])
        .expect("PATH");
        assert!(matches!(
            find(None, Some(&search)),
            Err(ClientError::NotFound)
        ));
        fs::write(&claude, "").expect("written");
        assert!(
            matches!(find(None, Some(&search)), Err(ClientError::NotFound)),
            "not executable"
        );
        program(&claude, "#!/bin/sh\n");
        assert_eq!(find(None, Some(&search)).expect("found"), claude);
        assert_eq!(find(Some(&claude), None).expect("found"), claude);
        assert!(matches!(
            find(Some(Path::new("a/b")), None),
            Err(ClientError::Relative(_))
        ));
        let error = find(Some(Path::new("/nowhere/claude")), None).expect_err("missing");
        assert!(error.hint().contains("absolute"));
        assert!(
            ClientError::NotFound
                .hint()
                .contains("npm install -g @anthropic-ai/claude-code")
        );
    }

    #[test]
    fn the_version_is_asked_once_for_each_installed_file() {
        let directory = tempfile::tempdir().expect("temp dir");
        let run = directory.path().join("run");
        let claude = directory.path().join("claude");
        let asked = directory.path().join("asked");
        let script = |version: &str| {
            format!(
                "#!/bin/sh\necho x >> '{}'\necho '{version} (Claude Code)'\n",
                asked.display()
            )
        };
        let times = || fs::read_to_string(&asked).map_or(0, |text| text.lines().count());
        program(&claude, &script("2.1.197"));
        for _ in 0..3 {
            assert_eq!(
                version(&claude, &run).expect("version").to_string(),
                "2.1.197"
            );
        }
        assert_eq!(times(), 1);
        program(&claude, &script("2.1.1980"));
        assert_eq!(
            version(&claude, &run).expect("version").to_string(),
            "2.1.1980"
        );
        assert_eq!(times(), 2);
        program(&claude, "#!/bin/sh\necho nonsense\n");
        assert!(version(&claude, &run).is_err());
    }
}
