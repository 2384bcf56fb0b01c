//! `claustre` alone: opens the dashboard.

use super::{Context, error::CliError};
use crate::adapters::process::{ErrorOutput, Invocation};

/// Inside Zellij it shows the dashboard; outside it starts Zellij with our layout, or attaches to it.
pub fn run(context: &mut Context) -> Result<(), CliError> {
    context.client()?;
    if std::env::var_os("ZELLIJ").is_some() {
        // The plugin knows this message: the key binding sends the same one.
        return Invocation::new("zellij")
            .args(["action", "pipe", "--name", TOGGLE, "--plugin", PLUGIN])
            .stdin("show\n")
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
    foreground(
        Invocation::new("zellij")
            .args(["--session", SESSION, "--new-session-with-layout"])
            .arg(layout),
    )
    .or_else(|_| attach(SESSION))
}

/// Name of the pipe that shows and hides the dashboard.
const TOGGLE: &str = "toggle";
/// Alias of the plugin.
const PLUGIN: &str = "claustre";
/// The Zellij session that is started outside Zellij.
const SESSION: &str = "claustre";

/// Attaches this terminal to a Zellij session.
pub fn attach(session: &str) -> Result<(), CliError> {
    foreground(Invocation::new("zellij").args(["attach", "--create", session]))
}

fn foreground(invocation: Invocation) -> Result<(), CliError> {
    let doing = format!("running {}", invocation.display());
    let mut child = invocation
        .spawn_foreground(ErrorOutput::Terminal)
        .map_err(|error| {
            CliError::failed(&doing, error)
                .with_hint("claustre doctor says whether Zellij is there")
        })?;
    let status = child
        .wait()
        .map_err(|error| CliError::failed(&doing, error))?;
    if status.success() {
        Ok(())
    } else {
        Err(CliError::failed(&doing, status))
    }
}
