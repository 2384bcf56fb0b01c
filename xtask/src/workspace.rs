//! Where things are: the workspace, its target directory, and the tools that outlive a clone.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// The checked-out workspace.
pub struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// Finds the workspace from the manifest of this program, wherever the command was typed.
    pub fn find() -> Result<Self> {
        // Cargo sets the variable at run time as well; the value of compile time would be stale in a moved clone.
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest.parent().context("xtask has no parent directory")?;
        let root = root
            .canonicalize()
            .with_context(|| format!("opening {}", root.display()))?;
        Ok(Self { root })
    }

    /// The directory of the workspace's `Cargo.toml`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path under the root.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Where native builds leave their programs, for example `target/debug/claustre`.
    pub fn built(&self, profile: &str, program: &str) -> PathBuf {
        let target = environment_path("CARGO_TARGET_DIR")
            .map_or_else(|| self.path("target"), |path| self.root.join(path));
        target.join(profile).join(program)
    }

    /// The `cargo` that runs this program, with the workspace as its directory.
    pub fn cargo(&self, arguments: &[&str]) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let mut command = Command::new(cargo);
        command.current_dir(&self.root).args(arguments);
        command
    }

    /// Where tools are looked for, best place first.
    pub fn tools_directories(&self) -> Vec<PathBuf> {
        let mut directories = Vec::new();
        if let Some(chosen) = environment_path("CLAUSTRE_TOOLS") {
            directories.push(self.root.join(chosen));
        }
        directories.push(self.path(".tools"));
        directories.extend(cache_directory());
        directories
    }

    /// Where tools are installed. Made if need be; outside the clone wherever that is possible, so that a fresh clone
    /// does not build Zellij again.
    pub fn tools_directory(&self) -> Result<PathBuf> {
        if let Some(chosen) = environment_path("CLAUSTRE_TOOLS") {
            let chosen = self.root.join(chosen);
            std::fs::create_dir_all(&chosen)
                .with_context(|| format!("creating {}", chosen.display()))?;
            return Ok(chosen);
        }
        if let Some(cache) = cache_directory() {
            match std::fs::create_dir_all(&cache) {
                Ok(()) => return Ok(cache),
                Err(error) => process::say(&format!(
                    "tools go to .tools, because {} fails: {error}",
                    cache.display()
                )),
            }
        }
        let local = self.path(".tools");
        std::fs::create_dir_all(&local).with_context(|| format!("creating {}", local.display()))?;
        Ok(local)
    }
}

/// A path from the environment; an empty variable counts as none.
pub fn environment_path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// The user's home directory as the environment gives it.
pub fn home() -> Option<PathBuf> {
    environment_path("HOME").filter(|path| path.is_absolute())
}

/// The first program of this name on PATH.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(program))
        .find(|candidate| is_program(candidate))
}

/// Is this a file somebody may execute?
pub fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path)
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

fn cache_directory() -> Option<PathBuf> {
    environment_path("XDG_CACHE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| home().map(|home| home.join(".cache")))
        .map(|cache| cache.join("claustre-tools"))
}
