//! The one way git is called.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{GitError, guard};
use crate::adapters::process::{Finished, Invocation};

/// Time limit of a call that only reads the repository.
const READ_LIMIT: Duration = Duration::from_secs(60);

/// Variables that would point git somewhere else or make it run something.
const REMOVED: &[&str] = &[
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_INDEX_VERSION",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_CEILING_DIRECTORIES",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_EXTERNAL_DIFF",
    "GIT_DIFF_OPTS",
    "GIT_EXEC_PATH",
    "GIT_TEMPLATE_DIR",
    "GIT_ATTR_SOURCE",
    "GIT_REPLACE_REF_BASE",
    "GIT_GRAFT_FILE",
    "GIT_SHALLOW_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
    "GIT_REDIRECT_STDIN",
    "GIT_REDIRECT_STDOUT",
    "GIT_REDIRECT_STDERR",
    "GIT_SEQUENCE_EDITOR",
    "GIT_REFLOG_ACTION",
    "GIT_QUARANTINE_PATH",
    "GIT_ADVICE",
    "GIT_FLUSH",
];

/// Git as we call it: no prompt, no editor, no hook, no program that a repository names.
#[derive(Clone, Debug)]
pub struct Git {
    program: PathBuf,
    env: Vec<(OsString, OsString)>,
}

/// One call under construction. Every call is guarded; see `guard`.
pub(super) struct Call<'a> {
    git: &'a Git,
    cwd: &'a Path,
    args: Vec<OsString>,
    env: Vec<(&'static str, OsString)>,
    stdin: Vec<u8>,
    limit: Duration,
}

impl Default for Git {
    fn default() -> Self {
        Self::new()
    }
}

impl Git {
    /// The `git` of `PATH`.
    pub fn new() -> Self {
        Self {
            program: "git".into(),
            env: Vec::new(),
        }
    }

    /// Another program as git.
    #[must_use]
    pub fn with_program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    /// Sets an environment variable for every call, such as `HOME` or `GIT_CONFIG_GLOBAL`.
    #[must_use]
    pub fn with_env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Git's version as it says itself, such as `2.47.3`.
    pub fn version(&self) -> Result<String, GitError> {
        let finished = self.invocation(Path::new("/"), &[]).arg("version").run()?;
        let text = finished.require_success()?.stdout_text();
        Ok(text.trim().trim_start_matches("git version ").to_owned())
    }

    /// Begins a call in `cwd`.
    pub(super) fn call<'a>(&'a self, cwd: &'a Path, subcommand: &str) -> Call<'a> {
        Call {
            git: self,
            cwd,
            args: vec![subcommand.into()],
            env: Vec::new(),
            stdin: Vec::new(),
            limit: READ_LIMIT,
        }
    }

    fn invocation(&self, cwd: &Path, settings: &[guard::Setting]) -> Invocation {
        let mut invocation = Invocation::new(&self.program).cwd(cwd);
        for name in REMOVED {
            invocation = invocation.env_remove(name);
        }
        for (name, value) in &self.env {
            invocation = invocation.env(name, value);
        }
        invocation = invocation
            .env("LC_ALL", "C")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_EDITOR", "true")
            .env("GIT_SEQUENCE_EDITOR", "true")
            .env("GIT_PAGER", "cat")
            // Empty, not absent: absent would let `core.askPass` and `core.gitProxy` speak.
            .env("GIT_ASKPASS", "")
            .env("GIT_PROXY_COMMAND", "")
            .env("GIT_CONFIG_COUNT", settings.len().to_string());
        for (index, (key, value)) in settings.iter().enumerate() {
            invocation = invocation
                .env(format!("GIT_CONFIG_KEY_{index}"), key)
                .env(format!("GIT_CONFIG_VALUE_{index}"), value);
        }
        invocation
    }

    /// What has to be overridden in the repository of `cwd`, and whether missing objects may not
    /// be fetched there.
    fn overrides(&self, cwd: &Path) -> Result<(Vec<guard::Setting>, bool), GitError> {
        let finished = self
            .invocation(cwd, &guard::overrides(&[]))
            .args([
                "config",
                "--show-scope",
                "-z",
                "--get-regexp",
                guard::LOOKED_AT,
            ])
            .run()?;
        match finished.status.code() {
            Some(0) if finished.stdout_cut => Err(GitError::Tampered(cwd.to_owned())),
            Some(0) => match guard::parse(&finished.stdout) {
                Some(found) => Ok((guard::overrides(&found), guard::names_fetch_program(&found))),
                None => Err(GitError::Tampered(cwd.to_owned())),
            },
            // Nothing matches.
            Some(1) => Ok((guard::overrides(&[]), false)),
            _ => Err(finished.into_error().into()),
        }
    }
}

impl Call<'_> {
    pub(super) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub(super) fn args<I: IntoIterator<Item: AsRef<OsStr>>>(mut self, args: I) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub(super) fn env(mut self, name: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name, value.as_ref().to_owned()));
        self
    }

    pub(super) fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    pub(super) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it; a failing exit code is left to the caller.
    pub(super) fn finish(self) -> Result<Finished, GitError> {
        let (settings, no_lazy_fetch) = self.git.overrides(self.cwd)?;
        let mut invocation = self
            .git
            .invocation(self.cwd, &settings)
            .arg("--no-pager")
            .args(self.args)
            .stdin(self.stdin)
            .time_limit(self.limit);
        if no_lazy_fetch {
            invocation = invocation.env("GIT_NO_LAZY_FETCH", "1");
        }
        for (name, value) in self.env {
            invocation = invocation.env(name, value);
        }
        Ok(invocation.run()?)
    }

    /// Runs it and requires exit code 0.
    pub(super) fn run(self) -> Result<Finished, GitError> {
        Ok(self.finish()?.require_success()?)
    }

    /// Runs it and returns its answer without surrounding white space.
    pub(super) fn text(self) -> Result<String, GitError> {
        Ok(self.run()?.stdout_text().trim().to_owned())
    }

    /// Runs a query that says "nothing" by a failing exit code: its answer, where not empty.
    pub(super) fn answer(self) -> Result<Option<String>, GitError> {
        let finished = self.finish()?;
        let text = finished.stdout_text().trim().to_owned();
        Ok((finished.success() && !text.is_empty()).then_some(text))
    }

    /// Runs a yes-or-no query: 0 is yes, 1 is no, all else an error.
    pub(super) fn yes(self) -> Result<bool, GitError> {
        let finished = self.finish()?;
        match finished.status.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(finished.into_error().into()),
        }
    }
}
