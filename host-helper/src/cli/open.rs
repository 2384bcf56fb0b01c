//! `claustre` alone: opens the dashboard.

use std::{
    ffi::OsString,
    fs, thread,
    time::{Duration, Instant},
};

use claustre_protocol::{
    link::MESSAGE_SHOW,
    request::{DaemonStatus, DashboardShow, Done, Nothing, Request},
};

use super::{Context, error::CliError};
use crate::{programs, setup};

/// Inside Zellij it shows the dashboard; outside it starts Zellij with our layout, or attaches to it, with the dashboard in front.
pub(super) fn run(context: &mut Context) -> Result<(), CliError> {
    context.client()?;
    if let Ok(session) = std::env::var("ZELLIJ_SESSION_NAME") {
        is_set_up(context)?;
        return show_here(context, &session);
    }
    if context.ui.width.is_none() {
        return Err(
            CliError::usage("opening the dashboard: this is no terminal")
                .with_hint("claustre status prints what runs"),
        );
    }
    is_set_up(context)?;
    let layout = context.paths.zellij().join("claustre.kdl");
    let failed = |error| {
        CliError::failed(&format!("writing {}", layout.display()), error)
            .with_hint("claustre doctor")
    };
    fs::create_dir_all(context.paths.zellij()).map_err(failed)?;
    fs::write(&layout, setup::START_LAYOUT).map_err(failed)?;
    // A busy server now and then does not answer in time to be listed.
    let is_there = is_session(SESSION)? || is_session(SESSION)?;
    // The daemon shows it as soon as the plugin of that session calls.
    let _shown: Done = context.call(Request::DashboardShow(DashboardShow {
        session: SESSION.into(),
    }))?;
    if is_there {
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

/// Without the plugin there is nothing to show.
fn is_set_up(context: &Context) -> Result<(), CliError> {
    let plugin = context.paths.zellij().join("claustre.wasm");
    if context.paths.setup_journal().exists() || plugin.exists() {
        return Ok(());
    }
    Err(
        CliError::failed("opening the dashboard", "it is not in Zellij yet")
            .with_hint("claustre setup shows what it writes, and asks"),
    )
}

/// Shows it in the Zellij session that this is typed in, and sees that it is there: a plugin that does not answer takes the
/// message and does nothing.
fn show_here(context: &mut Context, session: &str) -> Result<(), CliError> {
    show(session)?;
    if answers(context, session, CALL_LIMIT)? {
        return Ok(());
    }
    let reload = [
        "--session",
        session,
        "action",
        "start-or-reload-plugin",
        PLUGIN,
    ];
    programs::output("zellij", &reload).map_err(|error| {
        CliError::failed("loading the dashboard once more", error).with_hint("claustre doctor")
    })?;
    if answers(context, session, LOAD_LIMIT)? {
        return show(session);
    }
    Err(CliError::failed(
        "showing the dashboard",
        format!("its plugin in Zellij session {session} does not answer"),
    )
    .with_hint("claustre doctor says what is missing"))
}

/// Is the plugin of this session linked to the daemon within this time?
fn answers(context: &mut Context, session: &str, limit: Duration) -> Result<bool, CliError> {
    let deadline = Instant::now() + limit;
    let link = format!("{session} (");
    loop {
        let status: DaemonStatus = context.call(Request::DaemonStatus(Nothing {}))?;
        if status.links.iter().any(|linked| linked.starts_with(&link)) {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        thread::sleep(LOOK);
    }
}

/// Has the plugin show the dashboard in this Zellij session and focus it. Zellij's own call for it would put the pane on the
/// screen without telling the plugin, which then would believe that nobody looks.
pub fn show(session: &str) -> Result<(), CliError> {
    let call = [
        "--session",
        session,
        "pipe",
        "--plugin",
        PLUGIN,
        "--name",
        MESSAGE_SHOW,
        "--",
        "now",
    ];
    programs::output("zellij", &call)
        .map(drop)
        .map_err(|error| {
            CliError::failed("showing the dashboard", error)
                .with_hint("claustre setup puts it into Zellij")
        })
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

/// Between two looks whether the plugin answers.
const LOOK: Duration = Duration::from_millis(100);
/// A plugin calls for a daemon that was just started within this time.
const CALL_LIMIT: Duration = Duration::from_secs(4);
/// A plugin that was loaded once more calls within this time.
const LOAD_LIMIT: Duration = Duration::from_secs(8);
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
