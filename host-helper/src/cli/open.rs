//! `claustre` alone: opens the dashboard.

use std::ffi::OsString;

use super::{Context, error::CliError};
use crate::programs;

/// Inside Zellij it shows the dashboard; outside it starts Zellij with our layout, or attaches to it.
pub fn run(context: &mut Context) -> Result<(), CliError> {
    context.client()?;
    if std::env::var_os("ZELLIJ").is_some() {
        let show = [
            "action",
            "launch-or-focus-plugin",
            "--floating",
            "--move-to-focused-tab",
            PLUGIN,
        ];
        return programs::output("zellij", &show)
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
    zellij(
        "starting Zellij",
        [
            "--session".into(),
            SESSION.into(),
            "--new-session-with-layout".into(),
            layout.into_os_string(),
        ],
    )
}

/// Is there a Zellij session of this name, running or to be brought back?
fn is_session(name: &str) -> Result<bool, CliError> {
    // It fails where there is none.
    let listed = programs::answer("zellij", &["list-sessions", "--short", "--no-formatting"])
        .map_err(|error| {
            CliError::failed("looking for Zellij sessions", error).with_hint(DOCTOR)
        })?;
    Ok(listed.lines().any(|line| line.trim() == name))
}

/// Says what is missing.
const DOCTOR: &str = "claustre doctor says whether Zellij is there";
/// Alias of the plugin.
const PLUGIN: &str = "claustre";
/// The Zellij session that is started outside Zellij.
const SESSION: &str = "claustre";

/// Attaches this terminal to a Zellij session.
pub fn attach(session: &str) -> Result<(), CliError> {
    zellij(
        "attaching to Zellij",
        ["attach".into(), session.to_owned().into()],
    )
}

/// Becomes Zellij: the shell that started us then has it as its own.
fn zellij(doing: &str, arguments: impl IntoIterator<Item = OsString>) -> Result<(), CliError> {
    let error = programs::become_program("zellij", arguments);
    Err(CliError::failed(doing, error).with_hint(DOCTOR))
}
