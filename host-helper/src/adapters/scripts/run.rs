//! Running scripts one after another, with what they write in the session's log.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
    time::Duration,
};

use crate::{
    adapters::process::Invocation,
    ports::{PortError, ScriptFailure, ScriptOrder},
};

/// Variables of ours that a script gets; all others are its own to find.
const KEPT: [&str; 4] = ["HOME", "PATH", "USER", "LANG"];
/// Lines kept for the timeline.
const TAIL: usize = 20;
/// Lines of it that are in the error.
const SHORT_TAIL: usize = 3;
/// Longest log, in bytes; what comes after is dropped.
const LOG_LIMIT: usize = 16 * 1024 * 1024;

/// A program with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) program: OsString,
    pub(super) args: Vec<OsString>,
}

/// Runs them in the worktree until one fails.
pub(super) fn all(
    scripts: &[Script],
    order: &ScriptOrder,
    what: &str,
    log: &Path,
    limit: Duration,
) -> Result<(), ScriptFailure> {
    let mut file = open(log)
        .map_err(|error| PortError::lasting(format!("writing {}: {error}", log.display()), None))?;
    for script in scripts {
        one(script, order, what, (&mut file, log), limit)?;
    }
    Ok(())
}

fn one(
    script: &Script,
    order: &ScriptOrder,
    what: &str,
    (file, log): (&mut File, &Path),
    limit: Duration,
) -> Result<(), ScriptFailure> {
    let invocation = Invocation::new(&script.program)
        .args(&script.args)
        .cwd(&order.worktree)
        .env_clear_except(KEPT)
        .env("TERM", "dumb")
        .env("CLAUSTRE_PROJECT", &order.project)
        .env("CLAUSTRE_BRANCH", &order.branch)
        .env("CLAUSTRE_WORKTREE", &order.worktree)
        .env("CLAUSTRE_BASE", &order.base)
        .time_limit(limit)
        .output_limit(64 * 1024);
    tracing::info!(session = %order.session, script = invocation.display(), "a {what} script starts");
    let mut tail: VecDeque<String> = VecDeque::new();
    let mut left = LOG_LIMIT;
    let mut write = |file: &mut File, line: &str| {
        left = left.saturating_sub(line.len().saturating_add(1));
        if left > 0
            && let Err(error) = writeln!(file, "{line}")
        {
            // The script goes on without its log.
            tracing::warn!(%error, "the log of a script");
            left = 0;
        }
    };
    write(file, &format!("$ {}", invocation.display()));
    let ran = invocation.run_lines(&mut |_, line| {
        write(file, line);
        if tail.len() >= TAIL {
            tail.pop_front();
        }
        tail.push_back(line.to_owned());
    });
    let error = match ran.and_then(crate::adapters::process::Finished::require_success) {
        Ok(_) => return Ok(()),
        Err(error) => error,
    };
    let tail: Vec<String> = tail.into();
    let last: Vec<&str> = tail
        .iter()
        .map(|line| line.trim())
        .filter(|line| !line.is_empty())
        .collect();
    let last = last
        .get(last.len().saturating_sub(SHORT_TAIL)..)
        .unwrap_or_default()
        .join(" | ");
    let mut message = format!(
        "running the {what} script {}: {}",
        error.command, error.reason
    );
    write(file, &message);
    if !last.is_empty() {
        message = format!("{message}: {last}");
    }
    Err(ScriptFailure {
        error: PortError::lasting(
            message,
            Some(format!("its whole output is in {}", log.display())),
        ),
        tail: tail.join("\n"),
    })
}

/// The log, new for each time; only its owner may read it.
fn open(log: &Path) -> io::Result<File> {
    if let Some(directory) = log.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
    }
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(log)
}
