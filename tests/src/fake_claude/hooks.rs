//! Running command hooks: the JSON on stdin, the answer from stdout and the exit code.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use regex_lite::Regex;
use serde_json::Value;

use super::payload::{Common, HookEvent};
use super::settings::Hook;

/// What one hook did.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub command: String,
    /// `None` when it was ended by its time limit or a signal, or never ran.
    pub exit: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub duration_ms: u64,
}

impl Outcome {
    /// The JSON object on stdout, if that is what it printed and it ended well.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        if self.exit != Some(0) {
            return None;
        }
        serde_json::from_str(self.stdout.trim())
            .ok()
            .filter(Value::is_object)
    }

    /// Exit code 2 refuses what is about to happen; stderr says why.
    #[must_use]
    pub fn blocks(&self) -> bool {
        self.exit == Some(2)
    }
}

/// Runs all hooks of an event at the same time and waits for them.
#[must_use]
pub fn run(hooks: &[Hook], event: &HookEvent, common: &Common) -> Vec<Outcome> {
    let input = event.payload(common).to_string();
    let running: Vec<_> = hooks
        .iter()
        .filter(|hook| hook.event == event.name() && fits(&hook.matcher, event.matched()))
        .map(|hook| {
            let (hook, input, common) = (hook.clone(), input.clone(), common.clone());
            let background = hook.background;
            (
                background,
                std::thread::spawn(move || run_one(&hook, &input, &common)),
            )
        })
        .collect();
    running
        .into_iter()
        .filter(|(background, _)| !background)
        .map(|(_, thread)| thread.join().unwrap_or_default())
        .collect()
}

fn fits(matcher: &str, name: &str) -> bool {
    matcher.is_empty()
        || matcher == "*"
        || Regex::new(&format!("^(?:{matcher})$")).is_ok_and(|pattern| pattern.is_match(name))
}

fn default_timeout(event: &str) -> f64 {
    match event {
        "UserPromptSubmit" => 30.0,
        "SessionEnd" => 1.5,
        _ => 600.0,
    }
}

fn run_one(hook: &Hook, input: &str, common: &Common) -> Outcome {
    let mut command = match &hook.args {
        Some(args) => {
            let mut command = Command::new(&hook.command);
            command.args(args);
            command
        }
        None => shell(&hook.command),
    };
    add_environment(&mut command, common);
    let limit =
        Duration::from_secs_f64(hook.timeout.unwrap_or_else(|| default_timeout(&hook.event)));
    let mut outcome = run_with_input(command, input, limit);
    outcome.command.clone_from(&hook.command);
    outcome
}

/// `sh -c COMMAND`.
#[must_use]
pub fn shell(command: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command);
    shell
}

/// What the client adds to the environment of hooks, MCP servers and the status line.
pub fn add_environment(command: &mut Command, common: &Common) {
    command
        .env("CLAUDE_PROJECT_DIR", &common.cwd)
        .env("CLAUDE_CODE_SESSION_ID", &common.session_id)
        .env("CLAUDECODE", "1")
        .env("CLAUDE_CODE_ENTRYPOINT", "cli");
    if PathBuf::from(&common.cwd).is_dir() {
        command.current_dir(&common.cwd);
    }
}

/// Runs a command with text on its stdin; it and its children are killed at the time limit.
#[must_use]
pub fn run_with_input(mut command: Command, input: &str, limit: Duration) -> Outcome {
    use std::os::unix::process::CommandExt as _;
    let start = Instant::now();
    let spawned = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            return Outcome {
                stderr: error.to_string(),
                exit: Some(127),
                ..Outcome::default()
            };
        }
    };
    if let Some(mut stdin) = child.stdin.take() {
        let input = input.to_owned();
        // A hook that does not read its input is no error.
        std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    }
    let stdout = read_all(child.stdout.take());
    let stderr = read_all(child.stderr.take());
    let exit = wait_limited(&mut child, limit);
    Outcome {
        command: String::new(),
        exit,
        stdout: stdout
            .recv_timeout(Duration::from_secs(1))
            .unwrap_or_default(),
        stderr: stderr
            .recv_timeout(Duration::from_secs(1))
            .unwrap_or_default(),
        duration_ms: start.elapsed().as_millis() as u64,
    }
}

/// Reads a stream to its end on a thread of its own; a grandchild may hold it open longer than we wait.
fn read_all(
    stream: Option<impl std::io::Read + Send + 'static>,
) -> std::sync::mpsc::Receiver<String> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            drop(stream.read_to_end(&mut bytes));
        }
        drop(sender.send(String::from_utf8_lossy(&bytes).into_owned()));
    });
    receiver
}

fn wait_limited(child: &mut Child, limit: Duration) -> Option<i32> {
    let end = Instant::now() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.code(),
            Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(2)),
            _ => {
                kill_group(child.id());
                drop(child.wait());
                return None;
            }
        }
    }
}

/// Ends a process group that we started.
pub fn kill_group(leader: u32) {
    if let Some(group) = i32::try_from(leader)
        .ok()
        .and_then(rustix::process::Pid::from_raw)
    {
        // Gone already is as good as ended.
        let _ended = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_gets_its_input_and_its_answer_is_read() {
        let outcome = run_with_input(
            shell("cat; echo no >&2; exit 2"),
            "hello",
            Duration::from_secs(10),
        );
        assert_eq!(
            (outcome.stdout.as_str(), outcome.stderr.as_str()),
            ("hello", "no\n")
        );
        assert!(outcome.blocks());
    }

    #[test]
    fn the_time_limit_ends_a_hook_with_its_children() {
        let outcome = run_with_input(
            shell("sleep 100 & sleep 100"),
            "",
            Duration::from_millis(50),
        );
        assert_eq!(outcome.exit, None);
        assert!(outcome.duration_ms < 10_000);
    }

    #[test]
    fn a_matcher_is_a_pattern_for_the_whole_name() {
        assert!(fits("", "Bash") && fits("*", "Bash") && fits("Bash|Edit", "Edit"));
        assert!(!fits("Bas", "Bash"));
    }
}
