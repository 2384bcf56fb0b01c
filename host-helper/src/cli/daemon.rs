//! `claustre daemon`.

use std::{
    thread,
    time::{Duration, Instant},
};

use clap::Subcommand;
use claustre_protocol::request::{DaemonStatus, Done, Nothing, Request};
use rustix::process::{Pid, Signal, kill_process};

use super::{
    Context,
    error::{CliError, Kind},
    project,
    ui::age,
};
use crate::{
    client::{Client, ClientError, holder, is_held},
    config::{self, Config},
    paths::Paths,
};

/// Time a daemon has to end in order.
const END: Duration = Duration::from_secs(8);
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(40);

#[derive(Debug, Subcommand)]
pub enum DaemonCommand {
    /// Be the daemon, in this terminal.
    Run,
    /// Start it, where none runs.
    Start,
    /// End it in order; sessions run on.
    Stop,
    /// End it and start it again; sessions run on.
    Restart,
    /// Print what it says of itself.
    Status,
}

pub fn run(context: &mut Context, command: DaemonCommand) -> Result<(), CliError> {
    match command {
        DaemonCommand::Run => {
            let loaded = config::load(&context.paths)?;
            for warning in &loaded.warnings {
                context.ui.say(&format!("warning: {warning}"));
            }
            become_daemon(&context.paths, &loaded.config)
        }
        DaemonCommand::Start => {
            context.client()?;
            status(context)
        }
        DaemonCommand::Stop => stop(context),
        DaemonCommand::Restart => {
            stop(context)?;
            context.client()?;
            status(context)
        }
        DaemonCommand::Status => {
            context.client = Some(Client::connect(&context.paths, "cli")?);
            status(context)
        }
    }
}

fn become_daemon(paths: &Paths, config: &Config) -> Result<(), CliError> {
    // Whoever started it in the background reads these words from its output.
    crate::daemon::run(paths, config).map_err(|error| {
        let hint = crate::daemon::hint(&error);
        let message = format!("{error:#}");
        let refused = if message.starts_with("running the daemon: ") {
            CliError {
                kind: Kind::Failed,
                message,
                hint: None,
            }
        } else {
            CliError::failed("running the daemon", message)
        };
        refused.with_hint(hint.unwrap_or_else(|| "claustre doctor says what is wrong".to_owned()))
    })
}

fn status(context: &mut Context) -> Result<(), CliError> {
    let status: DaemonStatus = context.call(Request::DaemonStatus(Nothing {}))?;
    if context.ui.json {
        return context.ui.json(&status);
    }
    context.ui.fields(&[
        (
            "daemon",
            format!(
                "{}, process {}, for {}",
                status.build,
                status.pid,
                age(status.started_at)
            ),
        ),
        ("home", status.home),
        ("events", status.position.to_string()),
        ("sessions", status.sessions.to_string()),
        ("links", status.links.join(", ")),
        ("sqlite", status.sqlite),
    ])
}

/// Ends the daemon in order; one that does not listen is told by a signal, if it is the one that holds the lock.
fn stop(context: &mut Context) -> Result<(), CliError> {
    let lock = context.paths.daemon_lock();
    match Client::connect(&context.paths, "cli") {
        Ok(mut client) => {
            let done: Done = client.call(Request::DaemonStop(Nothing {}))?;
            project::finish(context, &done)?;
        }
        Err(ClientError::Unreachable { .. }) if !is_held(&lock) => {
            if context.ui.json {
                return project::finish(
                    context,
                    &Done {
                        message: "no daemon runs".to_owned(),
                    },
                );
            }
            context.ui.say("no daemon runs");
            return Ok(());
        }
        // It does not answer, or speaks another version: it still is the one that holds the lock.
        Err(ClientError::Unreachable { .. } | ClientError::Version { .. }) => {
            signal(&lock, Signal::TERM)?
        }
        Err(error) => return Err(error.into()),
    }
    let begun = Instant::now();
    let mut killed = false;
    while is_held(&lock) {
        if begun.elapsed() > END && !killed {
            killed = true;
            signal(&lock, Signal::KILL)?;
        } else if begun.elapsed() > END * 2 {
            return Err(CliError {
                kind: Kind::Failed,
                message: format!(
                    "stopping the daemon: {} still holds {}",
                    holder(&lock),
                    lock.display()
                ),
                hint: None,
            });
        }
        thread::sleep(LOOK);
    }
    Ok(())
}

/// Signals the holder of the lock, having made sure that its number names this program and is not somebody else's by now.
fn signal(lock: &std::path::Path, signal: Signal) -> Result<(), CliError> {
    let doing = "stopping the daemon";
    let holder = holder(lock);
    let pid = holder
        .strip_prefix("process ")
        .and_then(|pid| pid.parse::<i32>().ok())
        .and_then(Pid::from_raw);
    let Some(pid) = pid else {
        return Err(CliError::failed(
            doing,
            format!("{} is held, but not by a known process", lock.display()),
        ));
    };
    #[cfg(target_os = "linux")]
    {
        let program = std::fs::read_link(format!("/proc/{}/exe", pid.as_raw_nonzero()));
        let name = program.ok().and_then(|path| {
            path.file_name()
                .map(|name| name.to_string_lossy().into_owned())
        });
        if !name.is_some_and(|name| name.starts_with("claustre")) {
            return Err(CliError::failed(
                doing,
                format!("{holder} holds the lock but is not claustre"),
            ));
        }
    }
    kill_process(pid, signal)
        .map_err(|error| CliError::failed(doing, format!("signalling {holder}: {error}")))
}
