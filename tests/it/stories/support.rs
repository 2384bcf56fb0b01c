//! What the stories are told with: one user's machine and the words for what is done and seen there.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use claustre_tests::env::read_json_lines;
use claustre_tests::wait::wait_for_value;
use claustre_tests::{CommandResult, TestEnv, wait_for, zellij};
use serde_json::{Value, json};

use crate::equipment::skip;

/// Long enough for a machine that is busy with other things. A story that goes well waits for none of it.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// A machine with git, Zellij, a client and Claustre on it.
pub struct Machine {
    pub env: TestEnv,
}

impl Machine {
    /// A machine whose `claude` follows a script; nothing where this test is to be skipped.
    pub fn with_script(story: &str, script: &Value) -> Option<Self> {
        let machine = Self::bare(story)?;
        machine.env.claude_script(script);
        Some(machine)
    }

    /// A machine whose `claude` is the stand-in with its own script.
    pub fn bare(story: &str) -> Option<Self> {
        if std::env::var_os("CLAUSTRE_TEST_SKIP_E2E").is_some() {
            skip(story, "CLAUSTRE_TEST_SKIP_E2E is set");
            return None;
        }
        let program = match zellij::binary() {
            Ok(program) => program,
            Err(reason) => {
                skip(story, &reason);
                return None;
            }
        };
        let env = TestEnv::new();
        env.install("zellij", &program);
        env.write(
            "home/.config/zellij/config.kdl",
            "show_startup_tips false\nshow_release_notes false\ndefault_shell \"/bin/sh\"\nsupport_kitty_keyboard_protocol false\n",
        );
        env.set("CLAUSTRE_LOG", "debug");
        Some(Self { env })
    }

    /// A repository with one commit, added as a project of the same name.
    #[track_caller]
    pub fn project(&self, name: &str) -> PathBuf {
        let repository = self.env.git_repo(name);
        let path = repository.display().to_string();
        self.claustre(&["project", "add", name, &path]);
        repository
    }

    /// Writes a task whose prompt is its title; returns its id.
    #[track_caller]
    pub fn task(&self, project: &str, title: &str, more: &[&str]) -> String {
        let arguments = [&["task", "add", project, title], more].concat();
        text(&self.json(&arguments)["id"])
    }

    /// Writes a task and launches it; returns its id.
    #[track_caller]
    pub fn launched(&self, project: &str, title: &str) -> String {
        let task = self.task(project, title, &[]);
        self.claustre(&["task", "launch", &task]);
        task
    }

    /// Runs the helper, which must succeed.
    #[track_caller]
    pub fn claustre(&self, arguments: &[&str]) -> CommandResult {
        let result = self.env.claustre(arguments);
        assert!(
            result.code == Some(0),
            "claustre {arguments:?}: {}\n{}",
            result.snapshot(),
            self.logs()
        );
        result
    }

    /// Runs the helper, which must refuse; returns what it said.
    #[track_caller]
    pub fn refused(&self, arguments: &[&str]) -> String {
        let result = self.env.claustre(arguments);
        assert!(
            result.code != Some(0),
            "claustre {arguments:?} was not refused: {}",
            result.snapshot()
        );
        result.stderr
    }

    /// What the helper prints with `--json`.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        self.claustre(&[arguments, &["--json"]].concat()).json()
    }

    /// The task as `task show` tells it.
    #[track_caller]
    pub fn task_now(&self, task: &str) -> Value {
        self.json(&["task", "show", task])
    }

    /// The session of a task, or the session of this id.
    #[track_caller]
    pub fn session_now(&self, named: &str) -> Value {
        self.json(&["session", "show", named])
    }

    /// Waits until something that the helper prints is as described, and returns it.
    #[track_caller]
    pub fn wait_json(
        &self,
        what: &str,
        arguments: &[&str],
        condition: impl Fn(&Value) -> bool,
    ) -> Value {
        let arguments = [arguments, &["--json"]].concat();
        let end = Instant::now() + PATIENCE;
        loop {
            let result = self.env.claustre(&arguments);
            let seen: Value = serde_json::from_str(&result.stdout).unwrap_or_default();
            if condition(&seen) {
                return seen;
            }
            assert!(
                Instant::now() < end,
                "waited {PATIENCE:?} in vain for {what}; seen last: {seen:#}\n{}\n{}",
                result.stderr,
                self.logs()
            );
        }
    }

    /// Waits until a task has a status.
    #[track_caller]
    pub fn wait_task(&self, task: &str, status: &str) -> Value {
        let what = format!("the task to be {status}");
        self.wait_json(&what, &["task", "show", task], |seen| {
            seen["task"]["status"] == status
        })
    }

    /// Waits until a session has a status and a reason; `""` stands for none.
    #[track_caller]
    pub fn wait_session(&self, named: &str, status: &str, reason: &str) -> Value {
        let what = format!("the session to be {status} ({reason})");
        self.wait_json(&what, &["session", "show", named], |seen| {
            seen["claude_status"] == status && seen["reason"].as_str().unwrap_or_default() == reason
        })
    }

    /// Waits until a session asks for permission or asks a question that can be answered from here.
    #[track_caller]
    pub fn wait_ask(&self, named: &str, kind: &str) -> Value {
        let what = format!("the session to ask ({kind})");
        let session = self.wait_json(&what, &["session", "show", named], |seen| {
            seen["ask"]["kind"] == kind && seen["ask"]["answerable"] == true
        });
        session["ask"].clone()
    }

    /// Waits until a session asks for permission, and allows what it asks.
    #[track_caller]
    pub fn approve(&self, named: &str) {
        let ask = text(&self.wait_ask(named, "permission")["id"]);
        self.claustre(&["task", "approve", named, "--ask", &ask]);
    }

    /// Waits until a session asks for permission, and refuses what it asks.
    #[track_caller]
    pub fn deny(&self, named: &str, reason: &str) {
        let ask = text(&self.wait_ask(named, "permission")["id"]);
        self.claustre(&["task", "deny", named, "--ask", &ask, "--reason", reason]);
    }

    /// The worktree of a task's session.
    #[track_caller]
    pub fn worktree(&self, named: &str) -> PathBuf {
        PathBuf::from(text(&self.session_now(named)["worktree_path"]))
    }

    /// The transcript of a session's conversation.
    #[track_caller]
    pub fn transcript(&self, named: &str) -> Vec<Value> {
        let session = self.session_now(named);
        let name = format!("{}.jsonl", text(&session["claude_session_id"]));
        let folders = std::fs::read_dir(self.env.home().join(".claude/projects"))
            .into_iter()
            .flatten()
            .flatten();
        folders
            .map(|folder| folder.path().join(&name))
            .find(|path| path.is_file())
            .map(|path| read_json_lines(&path))
            .unwrap_or_default()
    }

    /// The usage that the helper shows of a session is what its transcript says, each answer counted once.
    #[track_caller]
    pub fn usage_is_the_transcript_s(&self, named: &str) -> (u64, u64) {
        let counted = counted_usage(&self.transcript(named));
        assert!(counted.1 > 0, "the transcript of {named} tells no usage");
        self.wait_json(
            &format!("the usage {counted:?} of the transcript"),
            &["session", "show", named],
            |seen| {
                (
                    seen["input_tokens"].as_u64(),
                    seen["output_tokens"].as_u64(),
                ) == (Some(counted.0), Some(counted.1))
            },
        );
        counted
    }

    /// From the moment the model called the tool to the moment the message was in the tables that everybody reads.
    #[track_caller]
    pub fn what_was_said_is_visible_within_a_second(&self, task: &str, message: &str) {
        let time = |value: &Value| -> DateTime<Utc> { text(value).parse().unwrap() };
        let transcript = self.transcript(task);
        let called = transcript
            .iter()
            .find(|record| {
                record["message"]["content"][0]["name"] == "mcp__claustre__claustre_status"
                    && record["message"]["content"][0]["input"]["message"] == message
            })
            .unwrap_or_else(|| panic!("no call says {message:?}: {transcript:#?}"));
        let updates = self.json(&["task", "log", task]);
        let update = updates
            .as_array()
            .unwrap()
            .iter()
            .find(|update| text(&update["payload"]).contains(message))
            .unwrap_or_else(|| panic!("no update says {message:?}: {updates:#}"));
        let delay = time(&update["created_at"]) - time(&called["timestamp"]);
        assert!(
            delay.num_milliseconds() < 1000,
            "{message:?} was visible after {delay}"
        );
    }

    /// Nothing of ours shows in `git status`, in no worktree of a repository.
    #[track_caller]
    pub fn is_clean_everywhere(&self, repository: &Path) {
        let listed = self
            .env
            .git(repository, &["worktree", "list", "--porcelain"]);
        let folders = listed
            .lines()
            .filter_map(|line| line.strip_prefix("worktree "));
        for folder in folders {
            let status = self.env.git(
                Path::new(folder),
                &["status", "--porcelain", "--untracked-files=all"],
            );
            assert_eq!(status, "", "git status in {folder}");
        }
    }

    /// The tables are what the log says.
    #[track_caller]
    pub fn replay_agrees(&self) {
        let report = self.json(&["replay"]);
        assert_eq!(report["differences"], json!([]), "{report:#}");
        assert!(report["events"].as_u64() > Some(0));
    }

    /// Process id of the running daemon.
    #[track_caller]
    pub fn daemon(&self) -> u32 {
        number(&self.json(&["daemon", "status"])["pid"])
    }

    /// The client that was started last for a session, by the order of the starts.
    #[track_caller]
    pub fn last_client(&self, worktree: &Path) -> Value {
        let what = format!("a client in {}", worktree.display());
        wait_for_value(&what, PATIENCE, || {
            let mut starts = self.env.claude_starts();
            starts.retain(|start| start["cwd"] == worktree.display().to_string());
            starts.pop()
        })
    }

    /// How often a client was started in a worktree.
    #[track_caller]
    pub fn clients_started(&self, worktree: &Path) -> usize {
        let mut starts = self.env.claude_starts();
        starts.retain(|start| start["cwd"] == worktree.display().to_string());
        starts.len()
    }

    /// Types one byte into a session's pane.
    #[track_caller]
    pub fn type_into(&self, session: &Value, byte: &str) {
        let pane = format!("terminal_{}", session["pane_id"]);
        let mut command = self.env.command("zellij");
        let name = text(&session["zellij_session"]);
        let arguments = [
            "--session",
            &name,
            "action",
            "write",
            "--pane-id",
            &pane,
            byte,
        ];
        let typed = self.env.run(command.args(arguments));
        assert_eq!(typed.code, Some(0), "{}", typed.snapshot());
    }

    /// The end of the daemon's log, for what went wrong.
    pub fn logs(&self) -> String {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.env.claustre_home().join("logs"))
            .into_iter()
            .flatten()
            .flatten()
            .map(|file| file.path())
            .collect();
        files.sort();
        let lines: Vec<String> = files
            .iter()
            .filter_map(|file| std::fs::read_to_string(file).ok())
            .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        format!(
            "{}the log:\n{}",
            self.screens(),
            lines[lines.len().saturating_sub(60)..].join("\n")
        )
    }

    /// What the panes of the open sessions show.
    fn screens(&self) -> String {
        let sessions = self.env.claustre(&["session", "list", "--json"]);
        let sessions: Vec<Value> = serde_json::from_str(&sessions.stdout).unwrap_or_default();
        let mut shown = String::new();
        for session in sessions {
            let pane = format!("terminal_{}", session["pane_id"]);
            let name = text(&session["zellij_session"]);
            let mut command = self.env.command("zellij");
            command.args([
                "--session",
                &name,
                "action",
                "dump-screen",
                "--pane-id",
                &pane,
            ]);
            let limit = Duration::from_secs(5);
            let screen = self
                .env
                .run_within(&mut command, limit)
                .map(|result| result.stdout);
            let screen = screen.unwrap_or_else(|| "(its screen cannot be had)".into());
            shown.push_str(&format!(
                "{} shows:\n{}\n",
                session["zellij_tab_name"],
                screen.trim()
            ));
        }
        shown
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("CLAUSTRE_TEST_KEEP").is_some() {
            let kept = format!("{}.kept", self.env.root().display());
            drop(
                std::process::Command::new("cp")
                    .args(["-a", &self.env.root().display().to_string(), &kept])
                    .status(),
            );
            eprintln!("kept as {kept}");
        }
    }
}

/// Tokens read (caches included) and written, of answers counted once by their message id.
pub fn counted_usage(transcript: &[Value]) -> (u64, u64) {
    let mut answers = std::collections::BTreeMap::new();
    for record in transcript {
        let message = &record["message"];
        let synthetic = message["model"] == "<synthetic>";
        if record["type"] == "assistant" && !synthetic {
            // The last record of an answer has its whole count.
            answers.insert(text(&message["id"]), message["usage"].clone());
        }
    }
    let sum = |names: &[&str]| {
        answers
            .values()
            .flat_map(|usage| names.iter().map(|name| usage[*name].as_u64().unwrap_or(0)))
            .sum()
    };
    (
        sum(&[
            "input_tokens",
            "cache_creation_input_tokens",
            "cache_read_input_tokens",
        ]),
        sum(&["output_tokens"]),
    )
}

/// What the model was told of its tool calls, in order.
pub fn tool_results(transcript: &[Value]) -> Vec<String> {
    transcript
        .iter()
        .filter_map(|record| record["message"]["content"].as_array())
        .flatten()
        .filter(|block| block["type"] == "tool_result")
        .map(|block| block["content"].to_string())
        .collect()
}

/// Ends a process as a crash would, and waits until it is gone.
#[track_caller]
pub fn kill_9(pid: u32) {
    let number = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    rustix::process::kill_process(number.unwrap(), rustix::process::Signal::KILL).unwrap();
    wait_for(&format!("the end of process {pid}"), PATIENCE, || {
        !runs(pid)
    });
}

/// Is this process alive? A dead one that nobody asked about is not.
pub fn runs(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        stat.rsplit_once(')')
            .is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
    })
}

#[track_caller]
pub fn text(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => panic!("not a text: {value:#}"),
    }
}

#[track_caller]
pub fn number(value: &Value) -> u32 {
    match value.as_u64().and_then(|number| u32::try_from(number).ok()) {
        Some(number) => number,
        None => panic!("not a number: {value:#}"),
    }
}

/// Where a scripted command waits until the test lets it pass.
pub struct Gate {
    folder: PathBuf,
}

impl Gate {
    pub fn new(env: &TestEnv) -> Self {
        let folder = env.path("gate");
        std::fs::create_dir_all(&folder).unwrap();
        let status = std::process::Command::new("mkfifo")
            .arg(folder.join("pipe"))
            .status();
        assert!(status.unwrap().success());
        Self { folder }
    }

    /// A shell command that waits here and then writes a file.
    pub fn command(&self, file: &str) -> String {
        let folder = self.folder.display();
        format!("touch {folder}/reached; cat {folder}/pipe > {file}")
    }

    pub fn is_reached(&self) -> bool {
        self.folder.join("reached").exists()
    }

    #[track_caller]
    pub fn wait_until_reached(&self) {
        wait_for("the command to come to the gate", PATIENCE, || {
            self.is_reached()
        });
    }

    /// Lets what waits pass.
    #[track_caller]
    pub fn open(&self) {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        // Without a reader this fails at once: nobody hangs here when the command is gone.
        let mut pipe = wait_for_value("the command that waits at the gate", PATIENCE, || {
            std::fs::OpenOptions::new()
                .write(true)
                .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
                .open(self.folder.join("pipe"))
                .ok()
        });
        pipe.write_all(b"open\n").unwrap();
    }
}

/// The process that started this one.
#[track_caller]
pub fn parent_of(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(')').unwrap();
    rest.split_whitespace().nth(1).unwrap().parse().unwrap()
}
