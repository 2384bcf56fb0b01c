//! What is to be started: the plan in the session's directory, which needs no daemon to be read.

use std::{
    collections::BTreeMap,
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
        claude::{
            plan::{LaunchPlan, Start},
            registry::{self, Liveness},
        },
        process::Invocation,
    },
    paths::Paths,
};

/// How many settings git takes from the environment.
const GIT_COUNT: &str = "GIT_CONFIG_COUNT";
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

/// Remembers that this client was started: its process id and start time, by which the daemon knows whether it still runs.
pub fn mark_started(paths: &Paths, session: SessionId, pid: u32) {
    let start = registry::process_start(pid).unwrap_or_default();
    // Where it cannot be written the next start begins anew under the same id, and the client says that it is taken.
    drop(fs::write(
        started_file(paths, session),
        format!("{pid} {start}\n"),
    ));
}

/// The process id of the client that was started last, if that very process still runs.
pub fn running_client(paths: &Paths, session: SessionId) -> Option<u32> {
    let text = fs::read_to_string(started_file(paths, session)).ok()?;
    let mut words = text.split_whitespace();
    let pid: u32 = words.next()?.parse().ok()?;
    (registry::liveness(pid, words.next()) == Liveness::Alive).then_some(pid)
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
    let own_count = std::env::var(GIT_COUNT).ok();
    for (name, value) in with_git_settings_appended(own_count.as_deref(), line.env) {
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

/// The plan's variables, with its settings for git behind those that the environment around us has: the plan is written without
/// knowing where it will be started.
fn with_git_settings_appended(
    own_count: Option<&str>,
    mut env: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let number = |text: &str| text.trim().parse::<usize>().unwrap_or(0);
    let own = own_count.map_or(0, number);
    let planned = env.get(GIT_COUNT).map_or(0, |text| number(text));
    if planned == 0 || own == 0 {
        return env;
    }
    let mut moved = Vec::new();
    for at in 0..planned {
        for part in ["KEY", "VALUE"] {
            if let Some(value) = env.remove(&format!("GIT_CONFIG_{part}_{at}")) {
                moved.push((
                    format!("GIT_CONFIG_{part}_{}", own.saturating_add(at)),
                    value,
                ));
            }
        }
    }
    env.extend(moved);
    env.insert(
        GIT_COUNT.to_owned(),
        own.saturating_add(planned).to_string(),
    );
    env
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gits_settings_of_the_plan_come_behind_those_around_us() {
        let planned = || {
            BTreeMap::from([
                ("GIT_CONFIG_COUNT".to_owned(), "1".to_owned()),
                ("GIT_CONFIG_KEY_0".to_owned(), "core.hooksPath".to_owned()),
                ("GIT_CONFIG_VALUE_0".to_owned(), "/h".to_owned()),
                ("OTHER".to_owned(), "o".to_owned()),
            ])
        };
        assert_eq!(with_git_settings_appended(None, planned()), planned());
        assert_eq!(with_git_settings_appended(Some("x"), planned()), planned());
        let appended = with_git_settings_appended(Some("2"), planned());
        let expected = [
            ("GIT_CONFIG_COUNT", "3"),
            ("GIT_CONFIG_KEY_2", "core.hooksPath"),
            ("GIT_CONFIG_VALUE_2", "/h"),
            ("OTHER", "o"),
        ];
        assert!(
            appended
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .eq(expected)
        );
        let none = BTreeMap::from([("OTHER".to_owned(), "o".to_owned())]);
        assert_eq!(with_git_settings_appended(Some("2"), none.clone()), none);
    }
}
