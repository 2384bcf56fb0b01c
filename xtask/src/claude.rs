//! The real Claude Code, for the tests that drive it with a scripted model.
//!
//! It is fixed to one version, because what it does is measured against that version. Tests that need it are skipped
//! where it cannot be had.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::{self, say};
use crate::workspace::{Workspace, environment_path, is_program, on_path};

const PACKAGE: &str = "@anthropic-ai/claude-code";
const VERSION: &str = "2.1.197";
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(600);

/// The program, if it is installed already: the one asked for, or the one among the tools.
pub fn find(workspace: &Workspace) -> Option<PathBuf> {
    if let Some(chosen) = environment_path("CLAUSTRE_TEST_CLAUDE").filter(|path| is_program(path)) {
        return Some(chosen);
    }
    workspace
        .tools_directories()
        .iter()
        .find_map(|tools| installed(&tools.join("claude-code")))
}

/// The program, installed with npm where it is missing.
pub fn find_or_install(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(found) = find(workspace) {
        say(&format!("Claude Code: {}", found.display()));
        return Ok(found);
    }
    let (Some(npm), Some(node)) = (on_path("npm"), on_path("node")) else {
        bail!("npm and node are not on PATH");
    };
    let prefix = workspace.tools_directory()?.join("claude-code");
    say(&format!(
        "installing Claude Code {VERSION} into {} (about 250 MB)",
        prefix.display()
    ));
    std::fs::create_dir_all(&prefix).with_context(|| format!("creating {}", prefix.display()))?;
    let mut install = Command::new(npm);
    install
        .arg("install")
        .arg("--prefix")
        .arg(&prefix)
        // Install scripts run nowhere; the one that is needed is started by name below.
        .args([
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--save-exact",
        ])
        .arg(format!("{PACKAGE}@{VERSION}"))
        .current_dir(&prefix);
    process::run_limited(&mut install, DOWNLOAD_LIMIT)?;
    let mut finish = Command::new(node);
    finish.arg("install.cjs").current_dir(package(&prefix));
    process::run_limited(&mut finish, DOWNLOAD_LIMIT)?;
    let program = installed(&prefix).with_context(|| {
        format!(
            "npm is content, but {VERSION} is not in {}",
            prefix.display()
        )
    })?;
    try_out(&program, &prefix)?;
    say(&format!("Claude Code: {}", program.display()));
    Ok(program)
}

/// Starts the program once, in a home of its own so that it cannot touch the user's.
fn try_out(program: &Path, prefix: &Path) -> Result<()> {
    let home = prefix.join("home");
    std::fs::create_dir_all(&home).with_context(|| format!("creating {}", home.display()))?;
    let said = process::output(Command::new(program).arg("--version").env("HOME", &home))?;
    if !said.contains(VERSION) {
        bail!(
            "{} --version says {:?} instead of {VERSION}",
            program.display(),
            said.trim()
        );
    }
    Ok(())
}

fn package(prefix: &Path) -> PathBuf {
    prefix.join("node_modules").join(PACKAGE)
}

/// The program of a complete installation of the right version.
fn installed(prefix: &Path) -> Option<PathBuf> {
    let package = package(prefix);
    let manifest = std::fs::read_to_string(package.join("package.json")).ok()?;
    let manifest: serde_json::Value = serde_json::from_str(&manifest).ok()?;
    if manifest.get("version")?.as_str()? != VERSION {
        return None;
    }
    let program = package.join(manifest.get("bin")?.get("claude")?.as_str()?);
    // Until install.cjs has run, a small script stands in its place.
    let size = std::fs::metadata(&program).ok()?.len();
    (size > 1_000_000 && is_program(&program)).then_some(program)
}
