//! `cargo xtask run` and `bench`: build, then start something.

use std::io::IsTerminal;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{self, say};
use crate::workspace::{Workspace, environment_path, on_path};
use crate::{plugin, zellij};

/// Builds everything and becomes `claustre demo`: a dashboard with sessions in a home of its own. With `--headless` it
/// runs in a terminal of the tests' own, and the dashboard is printed as it stands at the end.
pub fn demo(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let headless = arguments.iter().any(|argument| argument == "--headless");
    if headless && arguments.len() > 1 {
        bail!("--headless takes no other argument");
    }
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
    let claustre = workspace.built(profile, "claustre");

    if headless || !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        build_equipment(workspace, &["demo-screen", "fake-claude", "fake-gh"])?;
        let mut command = Command::new(workspace.built("debug", "demo-screen"));
        command
            .env("CLAUSTRE_TEST_ZELLIJ", zellij)
            .env("CLAUSTRE_TEST_BIN", claustre);
        return process::run(&mut command);
    }
    let mut command = Command::new(claustre);
    command
        .arg("demo")
        .args(arguments)
        .env("CLAUSTRE_ZELLIJ", zellij);
    let is_chosen = arguments
        .iter()
        .any(|argument| argument.starts_with("--claude") || argument.starts_with("--stand-in"));
    if !is_chosen && environment_path("CLAUSTRE_CLAUDE").is_none() && on_path("claude").is_none() {
        say("there is no `claude` on PATH, so the tests' stand-in plays its part");
        build_equipment(workspace, &["fake-claude"])?;
        command
            .arg("--stand-in")
            .arg(workspace.built("debug", "fake-claude"));
    }
    // Comes back only if it cannot be started.
    Err(command.exec()).with_context(|| format!("starting {}", command.get_program().display()))
}

/// Builds programs of the tests.
fn build_equipment(workspace: &Workspace, programs: &[&str]) -> Result<()> {
    let mut build = workspace.cargo(&["build", "--locked", "--package", "claustre-tests"]);
    for program in programs {
        build.args(["--bin", program]);
    }
    process::run(&mut build)
}

/// Builds the helper as it is installed.
///
/// `claustre hook` runs at every tool call of every session, and most of such a process is its start. A program that needs no
/// shared library and no relocation starts as fast as a C program that does nothing; as a usual one it takes twice that.
pub fn release(workspace: &Workspace) -> Result<()> {
    let mut build = workspace.cargo(&["rustc", "--locked", "--release"]);
    build.args(["--package", "claustre", "--bin", "claustre", "--"]);
    if cfg!(all(target_os = "linux", target_env = "gnu")) {
        build.args(["-C", "relocation-model=static"]);
        if static_libc() {
            build.args(["-C", "target-feature=+crt-static"]);
        }
    }
    process::run(&mut build)
}

/// Is the C library here as an archive? Some distributions have it in a package of its own.
fn static_libc() -> bool {
    let asked = Command::new("cc").arg("-print-file-name=libc.a").output();
    // A file that it does not find is printed as it was asked for.
    asked.is_ok_and(|told| told.stdout.starts_with(b"/"))
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
        "claustre-tests",
        "--bins",
    ]))?;
    release(workspace)?;
    let mut command = Command::new(workspace.built("release", "claustre-bench"));
    command
        .current_dir(workspace.root())
        .args(arguments)
        .env("CLAUSTRE_TEST_ZELLIJ", zellij)
        .env("CLAUSTRE_TEST_PLUGIN", plugin);
    process::run(&mut command)
}
