//! Scripts and hooks of the user and of trusted repositories: `setup`, `teardown`, and hooks for a session's git.
//!
//! The user's own are in `hooks/` of the home. A repository's take the place of those of the same name, but only once it is
//! trusted, and then they are read from the trusted copy: what stands in a worktree is an agent's to write.

mod git_hooks;
mod run;
#[cfg(test)]
mod tests;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use self::run::Script;
use crate::{
    config,
    paths::Paths,
    ports::{GitHooks, PortError, ScriptFailure, ScriptOrder, Scripts},
    trust::{CONFIG, FOLDER, Files, HOOKS, Place, Standing, TrustStore, Trusted, collect_own},
};

/// What the user configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptSettings {
    /// A program with its arguments that runs in a new worktree; empty = none.
    pub setup: Vec<String>,
    /// A program with its arguments that runs before a worktree is removed; empty = none.
    pub teardown: Vec<String>,
    /// How long one script may take.
    pub limit: Duration,
}

/// Runs scripts as processes.
#[derive(Debug, Clone)]
pub struct ScriptRunner {
    paths: Paths,
    settings: ScriptSettings,
    store: TrustStore,
}

/// When a script runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Setup,
    Teardown,
}

impl When {
    const fn name(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Teardown => "teardown",
        }
    }
}

/// What may run for a repository.
struct Allowed {
    /// The user's own hooks.
    own: Files,
    /// The repository's, where it is trusted.
    trusted: Option<Trusted>,
    /// What people should know.
    notes: Vec<String>,
}

impl ScriptRunner {
    /// A runner for the scripts of this home.
    #[must_use]
    pub fn new(paths: Paths, settings: ScriptSettings) -> Self {
        Self {
            store: TrustStore::new(paths.trust()),
            paths,
            settings,
        }
    }

    fn allowed(&self, repository: &Path) -> Result<Allowed, PortError> {
        let own = collect_own(&self.paths.hooks())
            .map_err(|error| PortError::lasting(format!("reading your hooks: {error}"), None))?;
        let mut allowed = Allowed {
            own,
            trusted: None,
            notes: Vec::new(),
        };
        let standing = Place::find(repository).and_then(|place| self.store.standing(&place));
        let root = repository.display();
        let (files, why) = match standing {
            Ok(Standing::Empty) => return Ok(allowed),
            Ok(Standing::Trusted(trusted)) => {
                allowed.trusted = Some(trusted);
                return Ok(allowed);
            }
            Ok(Standing::Untrusted(files)) => (Some(files), "are not trusted".to_owned()),
            Ok(Standing::Changed { files, .. }) => {
                (Some(files), "changed since they were trusted".to_owned())
            }
            Err(error) => (None, format!("cannot be trusted ({error})")),
        };
        if files.is_none_or(|files| has_something_to_run(&files)) {
            allowed.notes.push(format!(
                "the hooks and scripts of {root} do not run: they {why}. See them with `claustre trust show {root}`, allow them with `claustre trust {root}`"
            ));
        }
        Ok(allowed)
    }

    /// The scripts to run, in order: the file of that name, then the configured one. A repository's come in the place of the user's.
    fn scripts(&self, allowed: &mut Allowed, when: When) -> Result<Vec<Script>, PortError> {
        let mut scripts = Vec::new();
        let name = format!("{HOOKS}/{}", when.name());
        let trusted = allowed.trusted.as_ref();
        let file = match trusted.and_then(|trusted| Some((trusted, trusted.files.get(&name)?))) {
            Some((trusted, content)) => Some((trusted.directory.join(&name), content)),
            None => {
                let content = allowed.own.get(&name);
                content.map(|content| (self.paths.home().join(&name), content))
            }
        };
        if let Some((path, content)) = file {
            if content.executable {
                scripts.push(Script {
                    program: path.into_os_string(),
                    args: Vec::new(),
                });
            } else {
                allowed.notes.push(format!(
                    "the {} script did not run: {} is not executable",
                    when.name(),
                    path.display()
                ));
            }
        }
        let own = match when {
            When::Setup => &self.settings.setup,
            When::Teardown => &self.settings.teardown,
        };
        let (list, copy) = match trusted.map(|trusted| (configured(trusted, when), trusted)) {
            Some((Err(error), _)) => return Err(error),
            Some((Ok(Some(list)), trusted)) => (list, Some(trusted)),
            _ => (own.clone(), None),
        };
        scripts.extend(resolved(&list, copy)?);
        Ok(scripts)
    }

    /// Is there a script to run? True where that cannot be told: running it says why.
    fn has(&self, order: &ScriptOrder, when: When) -> bool {
        self.allowed(&order.repository)
            .and_then(|mut allowed| self.scripts(&mut allowed, when))
            .map_or(true, |scripts| !scripts.is_empty())
    }

    fn run(&self, order: &ScriptOrder, when: When) -> Result<Vec<String>, ScriptFailure> {
        let mut allowed = self.allowed(&order.repository)?;
        let scripts = self.scripts(&mut allowed, when)?;
        if !scripts.is_empty() {
            let log = self
                .paths
                .session(order.session)
                .join(format!("{}.log", when.name()));
            run::all(&scripts, order, when.name(), &log, self.settings.limit)?;
        }
        Ok(allowed.notes)
    }
}

impl Scripts for ScriptRunner {
    fn setup(&self, order: &ScriptOrder) -> Result<Vec<String>, ScriptFailure> {
        // Preparing a session may be repeated; its script is not, once it went well.
        let done = self.paths.session(order.session).join("setup.done");
        if done.exists() {
            return Ok(Vec::new());
        }
        let notes = self.run(order, When::Setup)?;
        if let Err(error) = fs::write(&done, b"") {
            tracing::warn!(path = %done.display(), %error, "the setup script may run again");
        }
        Ok(notes)
    }

    fn has_setup(&self, order: &ScriptOrder) -> bool {
        let done = self.paths.session(order.session).join("setup.done");
        !done.exists() && self.has(order, When::Setup)
    }

    fn has_teardown(&self, order: &ScriptOrder) -> bool {
        self.has(order, When::Teardown)
    }

    fn teardown(&self, order: &ScriptOrder) -> Result<Vec<String>, ScriptFailure> {
        // Gone already, or a link that an agent put in its place.
        let is_folder = order
            .worktree
            .symlink_metadata()
            .is_ok_and(|data| data.is_dir());
        if is_folder {
            self.run(order, When::Teardown)
        } else {
            Ok(Vec::new())
        }
    }

    fn git_hooks(&self, order: &ScriptOrder) -> Result<GitHooks, PortError> {
        let mut allowed = self.allowed(&order.repository)?;
        let mut files = allowed.own;
        if let Some(trusted) = allowed.trusted {
            files.extend(trusted.files);
        }
        let folder = self.paths.session(order.session).join("githooks");
        let place = Place::find(&order.repository).ok();
        let common_dir = place.map(|place| place.common_dir);
        let made = git_hooks::write(&folder, &files, common_dir.as_deref())
            .map_err(|error| PortError::lasting(format!("writing the git hooks: {error}"), None))?;
        allowed.notes.extend(
            made.idle
                .iter()
                .map(|name| format!("the git hook {name} does not run: it is not executable")),
        );
        let env = match (made.any, folder.to_str()) {
            (true, Some(folder)) => vec![
                ("GIT_CONFIG_COUNT".to_owned(), "1".to_owned()),
                ("GIT_CONFIG_KEY_0".to_owned(), "core.hooksPath".to_owned()),
                ("GIT_CONFIG_VALUE_0".to_owned(), folder.to_owned()),
            ],
            _ => Vec::new(),
        };
        Ok(GitHooks {
            env,
            notes: allowed.notes,
        })
    }
}

/// Would anything of it run, were it trusted? A configuration alone may hold only what needs no trust.
fn has_something_to_run(files: &Files) -> bool {
    files.iter().any(|(path, content)| {
        path != CONFIG
            || config::scripts_of(path, &String::from_utf8_lossy(&content.bytes))
                .map_or(true, |scripts| {
                    scripts.setup.is_some() || scripts.teardown.is_some()
                })
    })
}

/// What a trusted repository configured; none where it says nothing.
fn configured(trusted: &Trusted, when: When) -> Result<Option<Vec<String>>, PortError> {
    let Some(content) = trusted.files.get(CONFIG) else {
        return Ok(None);
    };
    let name = trusted.directory.join(CONFIG).display().to_string();
    let scripts = config::scripts_of(&name, &String::from_utf8_lossy(&content.bytes))
        .map_err(|error| PortError::lasting(error.to_string(), None))?;
    Ok(match when {
        When::Setup => scripts.setup,
        When::Teardown => scripts.teardown,
    })
}

/// A configured program with its arguments. What it names below `.claustre/hooks` is the trusted copy's; a program is never looked
/// for in the worktree.
fn resolved(list: &[String], copy: Option<&Trusted>) -> Result<Option<Script>, PortError> {
    let in_copy = |word: &str| -> Option<PathBuf> {
        let copy = copy?;
        let path = word
            .strip_prefix("./")
            .unwrap_or(word)
            .strip_prefix(FOLDER)?
            .strip_prefix('/')?;
        copy.files
            .contains_key(path)
            .then(|| copy.directory.join(path))
    };
    let Some((program, args)) = list.split_first() else {
        return Ok(None);
    };
    let found = match in_copy(program) {
        Some(path) => path,
        None if program.contains('/') && !program.starts_with('/') => {
            return Err(PortError::lasting(
                format!("running {program}: a script is not looked for in the worktree"),
                Some(format!(
                    "name a program of PATH, an absolute path, or a file of a trusted {FOLDER}/{HOOKS}"
                )),
            ));
        }
        None => program.into(),
    };
    let args = args
        .iter()
        .map(|word| in_copy(word).map_or_else(|| word.into(), PathBuf::into_os_string))
        .collect();
    Ok(Some(Script {
        program: found.into_os_string(),
        args,
    }))
}
