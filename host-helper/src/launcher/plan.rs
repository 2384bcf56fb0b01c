//! What is to be started: the plan in the session's directory, which needs no daemon to be read.

use std::{
    fs,
    path::{Path, PathBuf},
};

use claustre_protocol::{
    hook::{HOME_VARIABLE, SESSION_VARIABLE, TOKEN_VARIABLE},
    ids::SessionId,
    status::{Mode, Word},
};

use crate::{
    adapters::{
        claude::plan::{LaunchPlan, Start},
        process::Invocation,
    },
    paths::Paths,
};

/// Variable in the plan's environment with the mode of the task.
pub const MODE_VARIABLE: &str = "CLAUSTRE_MODE";

/// One start of the client, read from disk.
#[derive(Debug)]
pub struct Planned {
    /// The program with its arguments.
    pub invocation: Invocation,
    /// Where it runs.
    pub worktree: PathBuf,
    /// Does a person steer it, so that a shell is left behind it?
    pub leaves_shell: bool,
    /// Does it continue a conversation?
    pub resumed: bool,
}

/// The session's secret; empty where there is none, and the daemon will refuse what we report.
pub fn token(paths: &Paths, session: SessionId) -> String {
    let token = fs::read_to_string(paths.session(session).join("token"));
    token
        .map(|token| token.trim().to_owned())
        .unwrap_or_default()
}

/// Was a client of this session ever started? Then its conversation is continued, whoever starts us.
pub fn was_started(paths: &Paths, session: SessionId) -> bool {
    started_file(paths, session).exists()
}

/// Remembers that a client was started.
pub fn mark_started(paths: &Paths, session: SessionId) {
    // Where it cannot be written the next start begins anew under the same id, and the client says that it is taken.
    drop(fs::write(started_file(paths, session), b""));
}

fn started_file(paths: &Paths, session: SessionId) -> PathBuf {
    paths.session(session).join("started")
}

/// Reads what is to be started.
///
/// # Errors
/// Why not, for people: the plan or its prompt cannot be read.
pub fn read(
    paths: &Paths,
    session: SessionId,
    token: &str,
    resumed: bool,
) -> Result<Planned, String> {
    let plan = LaunchPlan::load(&paths.session(session)).map_err(|error| error.to_string())?;
    let start = if resumed { Start::Resume } else { Start::First };
    let line = plan
        .command_line(start)
        .map_err(|error| error.to_string())?;
    let mode = line
        .env
        .get(MODE_VARIABLE)
        .and_then(|word| Mode::parse_word(word).ok());
    let mut invocation = Invocation::new(&line.program)
        .args(&line.args)
        .cwd(&line.cwd);
    for name in &line.env_remove {
        invocation = invocation.env_remove(name);
    }
    for (name, value) in &line.env {
        invocation = invocation.env(name, value);
    }
    invocation = our_environment(invocation, paths, session, token);
    Ok(Planned {
        invocation,
        worktree: line.cwd,
        leaves_shell: mode != Some(Mode::Autonomous),
        resumed,
    })
}

/// What every child of a session has in its environment.
fn our_environment(
    invocation: Invocation,
    paths: &Paths,
    session: SessionId,
    token: &str,
) -> Invocation {
    let invocation = invocation
        .env(SESSION_VARIABLE, session.to_string())
        .env(HOME_VARIABLE, paths.home());
    // Without a file of its own the plan's still holds.
    if token.is_empty() {
        invocation
    } else {
        invocation.env(TOKEN_VARIABLE, token)
    }
}

/// The user's shell in the worktree. It has the session's id but not its secret: what is typed there is the user.
pub fn shell(paths: &Paths, session: SessionId, worktree: &Path) -> Invocation {
    let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
    Invocation::new(shell.unwrap_or_else(|| "/bin/sh".into()))
        .cwd(worktree)
        .env(SESSION_VARIABLE, session.to_string())
        .env(HOME_VARIABLE, paths.home())
        .env_remove(TOKEN_VARIABLE)
}
