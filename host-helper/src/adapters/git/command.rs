//! The one way git is called.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{GitError, guard};
use crate::adapters::process::{Finished, Invocation};

/// Time limit of a call that only reads the repository.
const READ_LIMIT: Duration = Duration::from_secs(60);

/// Files that one configuration includes before it is not believed any more.
const MOST_INCLUDED: usize = 50;

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
    allowed: Vec<guard::Setting>,
}

/// One call under construction. Every call is guarded; see `guard`.
pub(super) struct Call<'a> {
    git: &'a Git,
    cwd: &'a Path,
    also: Vec<PathBuf>,
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
            allowed: Vec::new(),
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
            also: Vec::new(),
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

    /// Settings of a repository that the user allowed in just these words, such as `filter.git-crypt.clean`.
    #[must_use]
    pub fn allowing(mut self, settings: Vec<(String, String)>) -> Self {
        self.allowed = settings;
        self
    }

    /// The names of the repository's own filters that are not run in this directory.
    pub(super) fn emptied_filters(&self, cwd: &Path) -> Result<Vec<String>, GitError> {
        Ok(guard::emptied_filters(
            &self.settings_of(cwd)?,
            &self.allowed,
        ))
    }

    /// What has to be overridden where git works in these directories, and whether missing objects
    /// may not be fetched there.
    fn overrides(
        &self,
        cwd: &Path,
        also: &[PathBuf],
    ) -> Result<(Vec<guard::Setting>, bool), GitError> {
        let mut found = self.settings_of(cwd)?;
        for directory in also {
            found.extend(self.settings_of(directory)?);
        }
        Ok((
            guard::overrides(&found, &self.allowed),
            guard::names_fetch_program(&found),
        ))
    }

    /// The settings in force in a directory that must be looked at, those of included files among
    /// them whether or not they are in force.
    fn settings_of(&self, cwd: &Path) -> Result<Vec<guard::Found>, GitError> {
        let finished = self
            .invocation(cwd, &guard::overrides(&[], &[]))
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
            Some(0) => {
                let tampered = || GitError::Tampered(cwd.to_owned());
                let mut found = guard::parse(&finished.stdout).ok_or_else(tampered)?;
                if found
                    .iter()
                    .any(|setting| setting.is_include() && !setting.is_the_users())
                {
                    found.extend(self.included(cwd)?);
                }
                let refused = guard::refused(&found, &self.allowed);
                if refused.is_empty() {
                    return Ok(found);
                }
                let mut keys: Vec<String> = refused
                    .iter()
                    .map(|setting| crate::text::one_line(&setting.key, 80))
                    .collect();
                keys.dedup();
                Err(GitError::NamesProgram {
                    path: cwd.to_owned(),
                    keys,
                })
            }
            // Nothing matches.
            Some(1) => Ok(Vec::new()),
            _ => Err(finished.into_error().into()),
        }
    }

    /// What stands in the files that the repository's configuration includes, under any condition.
    fn included(&self, cwd: &Path) -> Result<Vec<guard::Found>, GitError> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        let mut left = self.include_paths(cwd, None)?;
        while let Some(file) = left.pop() {
            // One that is not there includes nothing.
            if !seen.insert(file.clone()) || file.symlink_metadata().is_err() {
                continue;
            }
            if seen.len() > MOST_INCLUDED || !file.is_file() {
                return Err(GitError::Tampered(cwd.to_owned()));
            }
            let finished = self
                .invocation(cwd, &guard::overrides(&[], &[]))
                .args(["config", "--show-scope", "-z", "--file"])
                .arg(&file)
                .args(["--get-regexp", guard::LOOKED_AT])
                .run()?;
            match finished.status.code() {
                Some(0) if !finished.stdout_cut => {
                    let settings = guard::parse(&finished.stdout)
                        .ok_or_else(|| GitError::Tampered(cwd.to_owned()))?;
                    found.extend(settings.into_iter().map(|setting| guard::Found {
                        scope: guard::INCLUDED.to_owned(),
                        ..setting
                    }));
                    left.extend(self.include_paths(cwd, Some(&file))?);
                }
                Some(1) => {}
                _ => return Err(GitError::Tampered(cwd.to_owned())),
            }
        }
        Ok(found)
    }

    /// The files that are included by the repository's configuration, or by this file.
    fn include_paths(&self, cwd: &Path, file: Option<&Path>) -> Result<Vec<PathBuf>, GitError> {
        let mut invocation = self.invocation(cwd, &guard::overrides(&[], &[])).args([
            "config",
            "--show-scope",
            "--show-origin",
            "-z",
        ]);
        if let Some(file) = file {
            invocation = invocation.arg("--file").arg(file);
        }
        let finished = invocation
            .args(["--type=path", "--get-regexp", guard::INCLUDES])
            .run()?;
        match finished.status.code() {
            Some(0) if !finished.stdout_cut => {}
            Some(1) => return Ok(Vec::new()),
            _ => return Err(GitError::Tampered(cwd.to_owned())),
        }
        let mut fields = finished.stdout.split(|byte| *byte == 0);
        let mut paths = Vec::new();
        while let (Some(scope), Some(origin), Some(entry)) =
            (fields.next(), fields.next(), fields.next())
        {
            if scope == b"global" || scope == b"system" {
                continue;
            }
            let value = entry.splitn(2, |byte| *byte == b'\n').nth(1);
            let value = Path::new(OsStr::from_bytes(value.unwrap_or_default()));
            let origin = origin.strip_prefix(b"file:").unwrap_or(origin);
            let origin = cwd.join(OsStr::from_bytes(origin));
            // Relative to the file that names it.
            paths.push(origin.parent().unwrap_or(cwd).join(value));
        }
        Ok(paths)
    }
}

/// The programs of the filters that a repository's own configuration file defines, by their keys.
pub fn own_filters(git: &Git, common_dir: &Path) -> Result<Vec<(String, String)>, GitError> {
    let finished = git
        .invocation(common_dir, &guard::overrides(&[], &[]))
        .args(["config", "--show-scope", "-z", "--file"])
        .arg(common_dir.join("config"))
        .args(["--get-regexp", guard::LOOKED_AT])
        .run()?;
    match finished.status.code() {
        Some(0) if !finished.stdout_cut => {}
        Some(1) => return Ok(Vec::new()),
        _ => return Err(finished.into_error().into()),
    }
    let found =
        guard::parse(&finished.stdout).ok_or_else(|| GitError::Tampered(common_dir.to_owned()))?;
    Ok(found
        .into_iter()
        .filter(|setting| setting.key.starts_with("filter.") && setting.names_program())
        .map(|setting| (setting.key, setting.value))
        .collect())
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

    /// More directories that git will work in, besides the one it is started in: their
    /// configurations are overridden too.
    pub(super) fn also(mut self, directories: impl IntoIterator<Item = PathBuf>) -> Self {
        self.also.extend(directories);
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
        let (settings, no_lazy_fetch) = self.git.overrides(self.cwd, &self.also)?;
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
