//! `cargo xtask run` and `bench`: build, then start something.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::{self, say};
use crate::workspace::{Workspace, environment_path, on_path};
use crate::{plugin, zellij};

/// Builds everything and becomes `claustre demo`: a dashboard with sessions in a home of its own.
pub fn demo(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    plugin::build(workspace)?;
    // A release build takes minutes the first time, so it is used only where somebody made one before.
    let release = workspace.built("release", "claustre").is_file();
    let profile = if release { "release" } else { "debug" };
    let mut build = workspace.cargo(&["build", "--locked", "--package", "claustre"]);
    if release {
        build.arg("--release");
    }
    process::run(&mut build)?;
    let zellij = zellij::find_or_install(workspace)?;

    let mut command = Command::new(workspace.built(profile, "claustre"));
    command
        .arg("demo")
        .args(arguments)
        .env("CLAUSTRE_ZELLIJ", zellij);
    if environment_path("CLAUSTRE_CLAUDE").is_none() && on_path("claude").is_none() {
        say("there is no `claude` on PATH, so the tests' stand-in plays its part");
        process::run(&mut workspace.cargo(&[
            "build",
            "--locked",
            "--package",
            "claustre-tests",
            "--bin",
            "fake-claude",
        ]))?;
        command.env("CLAUSTRE_CLAUDE", workspace.built("debug", "fake-claude"));
    }
    // Comes back only if it cannot be started.
    Err(command.exec()).with_context(|| format!("starting {}", command.get_program().display()))
}

/// Builds in release mode and runs the benchmarks, which print their own floors.
pub fn bench(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let plugin = plugin::build(workspace)?;
    let zellij = zellij::find_or_install(workspace)?;
    process::run(&mut workspace.cargo(&[
        "build",
        "--locked",
        "--release",
        "--package",
        "claustre",
        "--package",
        "claustre-tests",
        "--bins",
    ]))?;
    let mut command = Command::new(workspace.built("release", "claustre-bench"));
    command
        .current_dir(workspace.root())
        .args(arguments)
        .env("CLAUSTRE_TEST_ZELLIJ", zellij)
        .env("CLAUSTRE_TEST_PLUGIN", plugin);
    process::run(&mut command)
}
