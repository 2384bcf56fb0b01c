//! A hermetic place for one test: own home, own sockets, own PATH with the stand-ins first, nothing inherited.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use regex_lite::Regex;

/// Variable that marks every process of an environment, so that all of them can be ended.
const MARK: &str = "CLAUSTRE_TEST_ENV";

/// How long a command may run.
pub const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// A temporary folder with everything a test needs. Dropping it ends every process that was started in it.
pub struct TestEnv {
    folder: tempfile::TempDir,
    variables: Mutex<BTreeMap<String, String>>,
}

/// What a command printed and how it ended.
#[derive(Clone, Debug)]
pub struct CommandResult {
    pub stdout: String,
    pub stderr: String,
    /// `None` when a signal ended it.
    pub code: Option<i32>,
    root: String,
}

impl TestEnv {
    /// A fresh environment.
    ///
    /// # Panics
    /// When its folder cannot be made or the stand-ins are not built.
    #[must_use]
    pub fn new() -> Self {
        // Short: the path of a Unix socket has at most 108 bytes.
        let folder = tempfile::Builder::new()
            .prefix("ct-")
            .tempdir_in("/tmp")
            .unwrap();
        let env = Self {
            folder,
            variables: Mutex::default(),
        };
        let home = env.home();
        for name in [".config", ".cache", ".local/share", ".local/state", "code"] {
            std::fs::create_dir_all(home.join(name)).unwrap();
        }
        for name in ["bin", "run", "tmp", "z"] {
            std::fs::create_dir_all(env.path(name)).unwrap();
        }
        private(&env.path("run"));
        env.install("claude", &built_binary("fake-claude"));
        env.install("gh", &built_binary("fake-gh"));
        if let Some(claustre) = claustre_binary() {
            env.install("claustre", &claustre);
        }
        env.write(
            "home/.gitconfig",
            "[user]\n\tname = Test\n\temail = test@localhost\n[init]\n\tdefaultBranch = main\n\
             [commit]\n\tgpgsign = false\n[advice]\n\tdetachedHead = false\n[protocol \"file\"]\n\tallow = always\n",
        );
        env.set_default_variables();
        env
    }

    fn set_default_variables(&self) {
        let path = |name: &str| self.path(name).display().to_string();
        let home = path("home");
        let values = [
            ("PATH", self.search_path()),
            ("HOME", home.clone()),
            ("CLAUSTRE_HOME", format!("{home}/.claustre")),
            ("XDG_CONFIG_HOME", format!("{home}/.config")),
            ("XDG_CACHE_HOME", format!("{home}/.cache")),
            ("XDG_DATA_HOME", format!("{home}/.local/share")),
            ("XDG_STATE_HOME", format!("{home}/.local/state")),
            ("XDG_RUNTIME_DIR", path("run")),
            ("ZELLIJ_SOCKET_DIR", path("z")),
            ("TMUX_TMPDIR", path("tmp")),
            ("TMPDIR", path("tmp")),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
            ("GIT_CONFIG_GLOBAL", format!("{home}/.gitconfig")),
            ("GIT_TERMINAL_PROMPT", "0".into()),
            ("LANG", "C.UTF-8".into()),
            ("TZ", "UTC".into()),
            ("TERM", "xterm-256color".into()),
            ("COLUMNS", "100".into()),
            ("SHELL", "/bin/sh".into()),
            ("USER", "you".into()),
            ("FAKE_CLAUDE_LOG", path("claude.jsonl")),
            ("FAKE_GH_STATE", path("gh.json")),
            ("FAKE_GH_LOG", path("gh.jsonl")),
            (MARK, path("")),
        ];
        for (name, value) in values {
            self.set(name, value);
        }
    }

    /// Our stand-ins, then the system's folders, then the folder of git wherever it is.
    fn search_path(&self) -> String {
        let mut folders = vec![self.path("bin")];
        folders.extend(
            ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"].map(PathBuf::from),
        );
        if let Some(git) = find_in_path("git") {
            folders.extend(git.parent().map(Path::to_path_buf));
        }
        let joined = std::env::join_paths(folders).unwrap();
        joined.into_string().unwrap()
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// A path inside the environment.
    #[must_use]
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root().join(relative)
    }

    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.path("home")
    }

    #[must_use]
    pub fn claustre_home(&self) -> PathBuf {
        PathBuf::from(self.variable("CLAUSTRE_HOME"))
    }

    /// Sets a variable for every command from now on.
    pub fn set(&self, name: &str, value: impl AsRef<OsStr>) {
        let value = value.as_ref().to_str().unwrap().to_owned();
        self.variables
            .lock()
            .unwrap()
            .insert(name.to_owned(), value);
    }

    pub fn unset(&self, name: &str) {
        self.variables.lock().unwrap().remove(name);
    }

    /// The value a command will see; empty when unset.
    #[must_use]
    pub fn variable(&self, name: &str) -> String {
        self.variables
            .lock()
            .unwrap()
            .get(name)
            .cloned()
            .unwrap_or_default()
    }

    /// All variables a command will see.
    #[must_use]
    pub fn variables(&self) -> BTreeMap<String, String> {
        self.variables.lock().unwrap().clone()
    }

    /// Writes a file, with its folders; returns its path.
    pub fn write(&self, relative: &str, text: &str) -> PathBuf {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Puts a program under a name of its own first on the PATH.
    pub fn install(&self, name: &str, program: &Path) {
        let link = self.path("bin").join(name);
        drop(std::fs::remove_file(&link));
        std::os::unix::fs::symlink(program, link).unwrap();
    }

    /// Writes an executable script first on the PATH.
    pub fn install_script(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path("bin").join(name);
        drop(std::fs::remove_file(&path));
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    /// Gives every start of `claude` this script (see `fake_claude::script`).
    pub fn claude_script(&self, script: &serde_json::Value) {
        let path = self.write("claude-script.json", &script.to_string());
        self.set("FAKE_CLAUDE_SCRIPT", path);
    }

    /// What `claude` was started with so far: one object with `argv`, `cwd`, `pid` and `env` per start.
    #[must_use]
    pub fn claude_starts(&self) -> Vec<serde_json::Value> {
        read_json_lines(&self.path("claude.jsonl"))
    }

    /// Sets what GitHub looks like (see `fake_gh`).
    pub fn gh_state(&self, state: &serde_json::Value) {
        self.write("gh.json", &state.to_string());
    }

    /// The calls of `gh` so far.
    #[must_use]
    pub fn gh_calls(&self) -> Vec<serde_json::Value> {
        read_json_lines(&self.path("gh.jsonl"))
    }

    /// Says in `~/.claude.json` that a folder is trusted and the first-start questions are answered.
    pub fn trust(&self, folder: &Path) {
        let path = self.home().join(".claude.json");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|_| "{}".into());
        let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
        json["hasCompletedOnboarding"] = true.into();
        json["projects"][folder.display().to_string()]["hasTrustDialogAccepted"] = true.into();
        std::fs::write(path, json.to_string()).unwrap();
    }

    /// Lets the real client start in a folder without dialogs, with the API key it will be given.
    pub fn prepare_real_client(&self, folder: &Path, api_key: &str) {
        self.trust(folder);
        let path = self.home().join(".claude.json");
        let mut json: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        json["customApiKeyResponses"] = serde_json::json!({"approved": [api_key], "rejected": []});
        std::fs::write(path, json.to_string()).unwrap();
    }

    /// A command with exactly the variables of this environment, in its home.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(self.resolve(program.as_ref()));
        command
            .env_clear()
            .envs(self.variables())
            .current_dir(self.home());
        command
    }

    /// A bare name is looked up in the environment's own PATH, not in that of the test.
    #[must_use]
    pub fn resolve(&self, program: &OsStr) -> PathBuf {
        let program = Path::new(program);
        if program.components().count() > 1 {
            return program.to_path_buf();
        }
        let path = self.variable("PATH");
        std::env::split_paths(&path)
            .map(|folder| folder.join(program))
            .find(|candidate| candidate.is_file())
            .unwrap_or_else(|| panic!("no program {} on {path}", program.display()))
    }

    /// Runs a command of this environment to its end.
    ///
    /// # Panics
    /// When it cannot be started or does not end within [`COMMAND_LIMIT`].
    #[track_caller]
    pub fn run(&self, command: &mut Command) -> CommandResult {
        let shown = format!("{command:?}");
        self.run_within(command, COMMAND_LIMIT)
            .unwrap_or_else(|| panic!("still running after {COMMAND_LIMIT:?}: {shown}"))
    }

    /// Runs a command to its end; `None`, and the command is ended, when it takes longer than the limit.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn run_within(&self, command: &mut Command, limit: Duration) -> Option<CommandResult> {
        use std::os::unix::process::CommandExt as _;
        // Files, not pipes: a daemon that the command leaves behind would hold a pipe open.
        let (mut stdout, mut stderr) =
            (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let mut child = command
            .stdin(Stdio::null())
            .stdout(stdout.try_clone().unwrap())
            .stderr(stderr.try_clone().unwrap())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("starting {command:?}: {error}"));
        let end = Instant::now() + limit;
        let status: ExitStatus = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() >= end {
                crate::fake_claude::hooks::kill_group(child.id());
                drop(child.wait());
                return None;
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        Some(CommandResult {
            stdout: read_back(&mut stdout),
            stderr: read_back(&mut stderr),
            code: status.code(),
            root: self.root().display().to_string(),
        })
    }

    /// Runs the helper with arguments.
    ///
    /// # Panics
    /// When the helper is not built (`cargo build -p claustre`) or does not end.
    #[track_caller]
    pub fn claustre(&self, arguments: &[&str]) -> CommandResult {
        self.claustre_in(&self.home(), arguments)
    }

    /// Runs the helper with arguments in a folder.
    ///
    /// # Panics
    /// As [`Self::claustre`].
    #[track_caller]
    pub fn claustre_in(&self, folder: &Path, arguments: &[&str]) -> CommandResult {
        let program = claustre_binary().expect(
            "no claustre binary: build it with `cargo build -p claustre`, or name one in CLAUSTRE_TEST_BIN",
        );
        let mut command = self.command(program);
        self.run(
            command
                .args(arguments)
                .env("NO_COLOR", "1")
                .current_dir(folder),
        )
    }

    /// Runs git in a folder and returns what it printed, trimmed.
    ///
    /// # Panics
    /// When git fails.
    #[track_caller]
    pub fn git(&self, folder: &Path, arguments: &[&str]) -> String {
        let mut command = self.command("git");
        let result = self.run(command.args(arguments).current_dir(folder));
        assert!(
            result.code == Some(0),
            "git {arguments:?} in {}: {}",
            folder.display(),
            result.snapshot()
        );
        result.stdout.trim_end().to_owned()
    }

    /// A repository with one commit on `main`, in `~/code/NAME`.
    #[track_caller]
    pub fn git_repo(&self, name: &str) -> PathBuf {
        let folder = self.home().join("code").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        self.git(&folder, &["init", "--quiet", "--initial-branch=main"]);
        std::fs::write(folder.join("README.md"), format!("# {name}\n")).unwrap();
        self.git(&folder, &["add", "README.md"]);
        self.git(&folder, &["commit", "--quiet", "--message=First commit"]);
        folder
    }

    /// A repository as [`Self::git_repo`], with a bare `origin` beside it that has the first commit.
    #[track_caller]
    pub fn git_repo_with_origin(&self, name: &str) -> PathBuf {
        let folder = self.git_repo(name);
        let origin = self.home().join("code").join(format!("{name}.git"));
        let path = origin.display().to_string();
        self.git(&folder, &["clone", "--quiet", "--bare", ".", &path]);
        self.git(&folder, &["remote", "add", "origin", &path]);
        self.git(&folder, &["fetch", "--quiet", "origin"]);
        self.git(
            &folder,
            &["branch", "--quiet", "--set-upstream-to=origin/main", "main"],
        );
        self.git(&folder, &["remote", "set-head", "origin", "main"]);
        folder
    }

    /// Ends every process that was started in this environment, also those that left their parents.
    pub fn end_processes(&self) {
        let mark = format!("{MARK}={}", self.path("").display());
        let end = Instant::now() + Duration::from_secs(5);
        let start = Instant::now();
        loop {
            let running = marked_processes(&mark);
            if running.is_empty() || Instant::now() > end {
                return;
            }
            let patient = start.elapsed() < Duration::from_millis(1500);
            let signal = if patient {
                rustix::process::Signal::TERM
            } else {
                rustix::process::Signal::KILL
            };
            for pid in running {
                let _ended = rustix::process::kill_process(pid, signal);
            }
            std::thread::sleep(Duration::from_millis(25));
        }
    }

    /// Every process that was started in this environment, with its arguments.
    #[must_use]
    pub fn processes(&self) -> Vec<(rustix::process::Pid, Vec<String>)> {
        let mark = format!("{MARK}={}", self.path("").display());
        marked_processes(&mark)
            .into_iter()
            .map(|pid| {
                let line = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero()));
                let line = String::from_utf8_lossy(&line.unwrap_or_default()).into_owned();
                (pid, line.split('\0').map(str::to_owned).collect())
            })
            .collect()
    }

    /// Replaces what differs between two runs: ids, times, paths.
    #[must_use]
    pub fn filtered(&self, text: &str) -> String {
        filtered(text, &self.root().display().to_string())
    }
}

impl Default for TestEnv {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for TestEnv {
    fn drop(&mut self) {
        self.end_processes();
    }
}

impl CommandResult {
    /// Exit code, stdout and stderr as one text for a snapshot, with what differs between runs replaced.
    #[must_use]
    pub fn snapshot(&self) -> String {
        let code = self
            .code
            .map_or_else(|| "signal".to_owned(), |code| code.to_string());
        let text = format!(
            "exit: {code}\n----- stdout -----\n{}\n----- stderr -----\n{}",
            self.stdout.trim_end(),
            self.stderr.trim_end()
        );
        filtered(text.trim_end(), &self.root)
    }

    /// Stdout as JSON.
    ///
    /// # Panics
    /// When it is not JSON, with the whole result.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is not JSON ({error}): {}", self.snapshot()))
    }

    /// Itself, when it ended well.
    ///
    /// # Panics
    /// When the exit code is not 0, with the whole result.
    #[track_caller]
    pub fn success(self) -> Self {
        assert!(
            self.code == Some(0),
            "the command failed: {}",
            self.snapshot()
        );
        self
    }
}

fn filtered(text: &str, root: &str) -> String {
    let filters = [
        (
            r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
            "[UUID]",
        ),
        (r"\b\d{13}\.\d{6}\.", "[CLOCK]."),
        (
            r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2})?",
            "[TIME]",
        ),
        (r"(task/[a-z0-9-]+-)[0-9a-f]{8}\b", "${1}[ID]"),
        (r"\b[0-9a-f]{40}\b", "[COMMIT]"),
    ];
    let mut text = text.replace(root, "[ENV]");
    for (pattern, name) in filters {
        text = Regex::new(pattern)
            .unwrap()
            .replace_all(&text, name)
            .into_owned();
    }
    text
}

fn marked_processes(mark: &str) -> Vec<rustix::process::Pid> {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .flatten()
        .filter(|process| {
            let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
            environment
                .split(|byte| *byte == 0)
                .any(|variable| variable == mark.as_bytes())
        })
        .filter_map(|process| {
            rustix::process::Pid::from_raw(process.file_name().to_str()?.parse().ok()?)
        })
        .collect()
}

fn private(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o700)).unwrap();
}

fn read_back(file: &mut std::fs::File) -> String {
    use std::io::{Read as _, Seek as _};
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The JSON objects of a file with one a line; none when there is no such file.
#[must_use]
pub fn read_json_lines(path: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// A program on the PATH of the test itself.
#[must_use]
pub fn find_in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

/// The folder of the programs that cargo built: `target/debug` of a test in `target/debug/deps`.
fn built_folder() -> PathBuf {
    let mut folder = std::env::current_exe().unwrap();
    folder.pop();
    if folder.ends_with("deps") {
        folder.pop();
    }
    folder
}

/// A program of this package.
///
/// # Panics
/// When it is not built.
#[must_use]
pub fn built_binary(name: &str) -> PathBuf {
    let program = built_folder().join(name);
    assert!(
        program.is_file(),
        "no {}: build it with `cargo build -p claustre-tests --bins`",
        program.display()
    );
    program
}

/// The helper: `CLAUSTRE_TEST_BIN`, or what cargo built beside the test.
#[must_use]
pub fn claustre_binary() -> Option<PathBuf> {
    let named = std::env::var_os("CLAUSTRE_TEST_BIN").map(PathBuf::from);
    named
        .or_else(|| Some(built_folder().join("claustre")))
        .filter(|program| program.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_between_runs_is_replaced() {
        let text = "id 01234567-89ab-cdef-0123-456789abcdef at 2026-11-20T10:44:33.877Z in /tmp/ct-x/home on task/fix-it-1f3a9c02";
        assert_eq!(
            filtered(text, "/tmp/ct-x"),
            "id [UUID] at [TIME] in [ENV]/home on task/fix-it-[ID]"
        );
    }
}
