//! Finding a Zellij that is new enough, or building one.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{self, say};
use crate::workspace::{Workspace, environment_path, is_program, on_path};

/// The version that is installed where none is found, and the oldest that is accepted.
const VERSION: Version = Version(0, 45, 1);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32, u32);

impl std::fmt::Display for Version {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// A usable Zellij: the one asked for, the one on PATH, or the one among the tools.
pub fn find(workspace: &Workspace) -> Result<Option<PathBuf>> {
    if let Some(chosen) = environment_path("CLAUSTRE_ZELLIJ") {
        let version = version_of(&chosen).context("CLAUSTRE_ZELLIJ is set")?;
        if version < VERSION {
            bail!(
                "CLAUSTRE_ZELLIJ is {} of version {version}, but {VERSION} is needed",
                chosen.display()
            );
        }
        return Ok(Some(chosen));
    }
    let among_tools = workspace
        .tools_directories()
        .into_iter()
        .map(|directory| directory.join("bin/zellij"));
    for candidate in on_path("zellij")
        .into_iter()
        .chain(among_tools)
        .filter(|candidate| is_program(candidate))
    {
        match version_of(&candidate) {
            Ok(version) if version >= VERSION => return Ok(Some(candidate)),
            Ok(version) => say(&format!(
                "{} is {version}, too old ({VERSION} is needed)",
                candidate.display()
            )),
            Err(error) => say(&format!("{} is of no use: {error:#}", candidate.display())),
        }
    }
    Ok(None)
}

/// Finds Zellij, and builds it into the tools directory where there is none.
pub fn find_or_install(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(found) = find(workspace)? {
        say(&format!("Zellij: {}", found.display()));
        return Ok(found);
    }
    let tools = workspace.tools_directory()?;
    say(&format!(
        "there is no Zellij {VERSION}; building it into {} (once; about 10 minutes on a small machine)",
        tools.display()
    ));
    // A directory of its own that outlives an interrupted build, which then goes on where it stopped.
    let build_directory = tools.join("build-zellij");
    let mut command = workspace.cargo(&["install", "--locked", "--no-default-features"]);
    command
        .arg(format!("zellij@{VERSION}"))
        .arg("--root")
        .arg(&tools)
        .env("CARGO_TARGET_DIR", &build_directory)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    process::run(&mut command).context("building Zellij")?;
    let zellij = tools.join("bin/zellij");
    let version = version_of(&zellij)?;
    if let Err(error) = std::fs::remove_dir_all(&build_directory) {
        say(&format!(
            "{} could not be removed: {error}",
            build_directory.display()
        ));
    }
    say(&format!("Zellij {version}: {}", zellij.display()));
    Ok(zellij)
}

fn version_of(program: &Path) -> Result<Version> {
    let said = process::output(Command::new(program).arg("--version"))?;
    parse_version(&said)
        .with_context(|| format!("{} --version says {:?}", program.display(), said.trim()))
}

/// Reads `zellij 0.45.1`; a suffix such as `-dev` is left out.
fn parse_version(said: &str) -> Option<Version> {
    let number = said
        .trim()
        .strip_prefix("zellij ")?
        .split(['-', '+', ' '])
        .next()?;
    let mut parts = number.split('.').map(|part| part.parse::<u32>().ok());
    Some(Version(parts.next()??, parts.next()??, parts.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(parse_version("zellij 0.45.1\n"), Some(Version(0, 45, 1)));
        assert_eq!(parse_version("zellij 0.46.0-dev"), Some(Version(0, 46, 0)));
        assert_eq!(parse_version("zellij 0.46"), None);
        assert_eq!(parse_version("tmux 3.4"), None);
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(Version(0, 45, 0) < VERSION);
        assert!(Version(0, 100, 0) > VERSION);
        assert!(Version(1, 0, 0) > VERSION);
    }
}
