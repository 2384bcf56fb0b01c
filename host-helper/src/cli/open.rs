//! `claustre` alone: opens the dashboard.

use std::time::Duration;

use claustre_protocol::link::MESSAGE_SHOW;

use super::{Context, error::CliError};
use crate::adapters::{process::Invocation, zellij::Zellij};

/// Inside Zellij it shows the dashboard; outside it starts Zellij with our layout, or attaches to it.
pub fn run(context: &mut Context) -> Result<(), CliError> {
    context.client()?;
    if let Ok(session) = std::env::var("ZELLIJ_SESSION_NAME") {
        return show(&session);
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

/// Has the plugin show the dashboard in this Zellij session and focus it. Zellij's own call for it would put the pane on the
/// screen without telling the plugin, which then would believe that nobody looks.
pub fn show(session: &str) -> Result<(), CliError> {
    let failed = |error: &dyn std::fmt::Display| {
        CliError::failed("showing the dashboard", error)
            .with_hint("claustre setup puts it into Zellij")
    };
    let zellij = Zellij::find().map_err(|error| failed(&error))?;
    zellij
        .pipe(session, PLUGIN, MESSAGE_SHOW)
        .args(["--", "now"])
        .time_limit(SHOWN)
        .run()
        .and_then(|finished| finished.require_success())
        .map(drop)
        .map_err(|error| failed(&error))
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
/// How long the plugin may take to answer: without the permission it asks for it does not.
const SHOWN: Duration = Duration::from_secs(5);
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
