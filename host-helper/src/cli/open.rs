//! `claustre` alone: opens the dashboard.

use super::{Context, error::CliError};
use crate::adapters::process::Invocation;

/// Inside Zellij it shows the dashboard; outside it starts Zellij with our layout, or attaches to it.
pub fn run(context: &mut Context) -> Result<(), CliError> {
    context.client()?;
    if std::env::var_os("ZELLIJ").is_some() {
        return Invocation::new("zellij")
            .args(["action", "launch-or-focus-plugin", "--floating"])
            .args(["--move-to-focused-tab", PLUGIN])
            .run()
            .and_then(|finished| finished.require_success())
            .map(drop)
            .map_err(|error| {
                CliError::failed("showing the dashboard", error)
                    .with_hint("claustre setup puts it into Zellij")
            });
    }
    let layout = context.paths.zellij().join("claustre.kdl");
    if context.ui.width.is_none() {
        return Err(
            CliError::usage("opening the dashboard: this is no terminal")
                .with_hint("claustre status prints what runs"),
        );
    }
    if !layout.exists() {
        return Err(CliError::failed(
            "opening the dashboard",
            format!("{} is not there", layout.display()),
        )
        .with_hint("claustre setup"));
    }
    if is_session(SESSION)? {
        return attach(SESSION);
    }
    foreground(
        Invocation::new("zellij")
            .args(["--session", SESSION, "--new-session-with-layout"])
            .arg(layout),
    )
}

/// Is there a Zellij session of this name, running or to be brought back?
fn is_session(name: &str) -> Result<bool, CliError> {
    let listed = Invocation::new("zellij")
        .args(["list-sessions", "--short", "--no-formatting"])
        .run()
        .map_err(|error| {
            CliError::failed("looking for Zellij sessions", error).with_hint(DOCTOR)
        })?;
    // It fails where there is none.
    Ok(listed.stdout_text().lines().any(|line| line.trim() == name))
}

/// Says what is missing.
const DOCTOR: &str = "claustre doctor says whether Zellij is there";
/// Alias of the plugin.
const PLUGIN: &str = "claustre";
/// The Zellij session that is started outside Zellij.
const SESSION: &str = "claustre";

/// Attaches this terminal to a Zellij session.
pub fn attach(session: &str) -> Result<(), CliError> {
    foreground(Invocation::new("zellij").args(["attach", session]))
}

/// Becomes this program: the shell that started us then has it as its own.
fn foreground(invocation: Invocation) -> Result<(), CliError> {
    let doing = format!("running {}", invocation.display());
    let error = invocation.exec();
    Err(CliError::failed(&doing, error).with_hint(DOCTOR))
}
