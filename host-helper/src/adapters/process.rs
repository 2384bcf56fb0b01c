//! The only place where this program starts other programs.
//!
//! Every start is a program with a list of arguments, never a line for a shell. Every program
//! gets a process group of its own, so that whatever it started can be ended together with it;
//! its output is held in memory only up to a limit; and, unless it is meant to live long, it has
//! a time limit after which it is asked to stop (SIGTERM) and then made to (SIGKILL).

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::text::terminal_safe;

mod drive;
mod foreground;
mod long_lived;
mod open_files;
#[cfg(test)]
mod tests;

pub use foreground::ErrorOutput;
pub use long_lived::{PipedChild, spawn_detached};
pub use open_files::raise_file_limit;

/// Time limit of an invocation that names none.
pub const DEFAULT_TIME_LIMIT: Duration = Duration::from_secs(30);
/// Output kept per stream (bytes) of an invocation that names no limit.
pub const DEFAULT_OUTPUT_LIMIT: usize = 16 * 1024 * 1024;

/// A program about to be started: what, where, with which environment, and within which limits.
#[derive(Clone, Debug)]
pub struct Invocation {
    program: OsString,
    args: Vec<OsString>,
    cwd: Option<PathBuf>,
    env: Vec<(OsString, Option<OsString>)>,
    kept_env: Option<Vec<OsString>>,
    stdin: Vec<u8>,
    time_limit: Duration,
    ends_with_us: bool,
    output_limit: usize,
}

/// Which of the two output streams a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a program ended, with what it wrote.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its exit status; a failing status is not an error here, see [`Finished::require_success`].
    pub status: ExitStatus,
    /// Standard output, up to the output limit.
    pub stdout: Vec<u8>,
    /// Standard error, up to the output limit.
    pub stderr: Vec<u8>,
    /// True if standard output was longer than the limit; the rest was read and dropped.
    pub stdout_cut: bool,
    /// True if standard error was longer than the limit.
    pub stderr_cut: bool,
    command: String,
}

/// Why a program could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("running `{command}`: {reason}{}", said(stderr_tail))]
pub struct ProcessError {
    /// The program and its arguments, safe to print on a terminal.
    pub command: String,
    /// What went wrong.
    pub reason: FailureReason,
    /// The last lines of standard error, safe to print on a terminal; empty if it said nothing.
    pub stderr_tail: String,
}

/// What went wrong with a program.
#[derive(Debug, thiserror::Error)]
pub enum FailureReason {
    /// No such program on this machine.
    #[error("program not found")]
    NotFound,
    /// The working directory does not exist or may not be entered.
    #[error("working directory {} cannot be entered", .0.display())]
    BadDirectory(PathBuf),
    /// It could not be started.
    #[error("cannot start: {0}")]
    Start(#[source] io::Error),
    /// Talking to it failed after it had started.
    #[error("lost contact: {0}")]
    Io(#[source] io::Error),
    /// It took longer than allowed and was ended with all it had started.
    #[error("no end within {} s, stopped", .0.as_secs_f32())]
    TimeLimit(Duration),
    /// It ended with a failing exit code.
    #[error("exit code {0}")]
    Exit(i32),
    /// A signal ended it.
    #[error("ended by signal {0}")]
    Signal(i32),
}

fn said(tail: &str) -> String {
    if tail.is_empty() {
        String::new()
    } else {
        format!(": {tail}")
    }
}

impl Invocation {
    /// Starts a description of `program`, which is looked up in `PATH` unless it holds a slash.
    /// Standard input is empty, the environment is ours, the limits are the defaults.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            cwd: None,
            env: Vec::new(),
            kept_env: None,
            stdin: Vec::new(),
            time_limit: DEFAULT_TIME_LIMIT,
            ends_with_us: false,
            output_limit: DEFAULT_OUTPUT_LIMIT,
        }
    }

    /// Adds one argument, passed on exactly as it is.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item: AsRef<OsStr>>>(mut self, args: I) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets the directory to run in.
    #[must_use]
    pub fn cwd(mut self, directory: impl AsRef<Path>) -> Self {
        self.cwd = Some(directory.as_ref().to_owned());
        self
    }

    /// Sets one environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .push((name.as_ref().to_owned(), Some(value.as_ref().to_owned())));
        self
    }

    /// Takes one variable out of the environment.
    #[must_use]
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), None));
        self
    }

    /// Starts from an empty environment that holds only these variables of ours (where set).
    /// Variables given by [`Invocation::env`] come on top, whatever the order of the calls.
    #[must_use]
    pub fn env_clear_except<I: IntoIterator<Item: AsRef<OsStr>>>(mut self, kept: I) -> Self {
        self.kept_env = Some(
            kept.into_iter()
                .map(|name| name.as_ref().to_owned())
                .collect(),
        );
        self
    }

    /// Sets what the program reads on standard input.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Has a long-lived child end with this process, also where that is killed (Linux).
    #[must_use]
    pub fn ends_with_us(mut self) -> Self {
        self.ends_with_us = true;
        self
    }

    /// Sets how long the program may take.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Sets how many bytes of each output stream are kept.
    #[must_use]
    pub fn output_limit(mut self, bytes: usize) -> Self {
        self.output_limit = bytes;
        self
    }

    /// Runs the program to its end. A failing exit code is not an error here; not starting, and
    /// not ending in time, are.
    pub fn run(self) -> Result<Finished, ProcessError> {
        drive::run(self, None)
    }

    /// Runs the program to its end and hands over each line as it comes, made safe for a terminal
    /// and cut where it is longer than 16 KiB. The last lines stay in the result as well.
    pub fn run_lines(
        self,
        on_line: &mut dyn FnMut(OutputStream, &str),
    ) -> Result<Finished, ProcessError> {
        drive::run(self, Some(on_line))
    }

    /// The program with its arguments as one line, safe to print; arguments that a shell would
    /// not take as they stand are quoted, long ones are cut.
    pub fn display(&self) -> String {
        let mut line = String::new();
        for part in std::iter::once(&self.program).chain(&self.args) {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&display_part(part));
        }
        line
    }

    /// The standard library's form of this invocation, with its own process group unless the
    /// caller makes it the leader of a session.
    fn command(&self, own_group: bool) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args);
        if let Some(directory) = &self.cwd {
            command.current_dir(directory);
        }
        if let Some(kept) = &self.kept_env {
            command.env_clear();
            command.envs(
                kept.iter()
                    .filter_map(|name| Some((name, std::env::var_os(name)?))),
            );
        }
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if own_group {
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// The error of a start that failed. The operating system says "not found" for the program
    /// and for the directory alike, so it is looked at which one is missing.
    fn start_error(&self, error: io::Error) -> ProcessError {
        let reason = match &self.cwd {
            Some(directory) if !directory.is_dir() => {
                FailureReason::BadDirectory(directory.clone())
            }
            _ if error.kind() == io::ErrorKind::NotFound => FailureReason::NotFound,
            _ => FailureReason::Start(error),
        };
        self.error(reason, &[])
    }

    fn error(&self, reason: FailureReason, stderr: &[u8]) -> ProcessError {
        ProcessError {
            command: self.display(),
            reason,
            stderr_tail: tail(stderr),
        }
    }
}

impl Finished {
    /// True if the exit code was 0.
    pub fn success(&self) -> bool {
        self.status.success()
    }

    /// Standard output as text, with what is no UTF-8 replaced.
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The last lines of standard error, safe to print on a terminal.
    pub fn stderr_tail(&self) -> String {
        tail(&self.stderr)
    }

    /// Turns a failing exit status into an error that says what ran and what it complained of.
    pub fn require_success(self) -> Result<Self, ProcessError> {
        if self.success() {
            Ok(self)
        } else {
            Err(self.into_error())
        }
    }

    /// The error that this ending stands for, for a caller that has seen it is one.
    pub fn into_error(self) -> ProcessError {
        use std::os::unix::process::ExitStatusExt;
        let reason = match (self.status.code(), self.status.signal()) {
            (Some(code), _) => FailureReason::Exit(code),
            (None, signal) => FailureReason::Signal(signal.unwrap_or_default()),
        };
        ProcessError {
            stderr_tail: self.stderr_tail(),
            command: self.command,
            reason,
        }
    }
}

fn display_part(part: &OsStr) -> String {
    const LONGEST: usize = 200;
    let text = terminal_safe(&part.to_string_lossy()).replace(['\n', '\t'], " ");
    let mut shown: String = text.chars().take(LONGEST).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    let plain = |c: char| c.is_alphanumeric() || "-_./=:@,+%^{}…".contains(c);
    if !shown.is_empty() && shown.chars().all(plain) {
        shown
    } else {
        format!("'{}'", shown.replace('\'', "'\\''"))
    }
}

/// The last lines of an output, at most 2 KiB, safe for a terminal.
fn tail(output: &[u8]) -> String {
    const LONGEST: usize = 2048;
    let start = output.len().saturating_sub(LONGEST);
    let text = String::from_utf8_lossy(output.get(start..).unwrap_or_default()).into_owned();
    let text = terminal_safe(&text);
    let whole = if start == 0 {
        text.as_str()
    } else {
        text.split_once('\n').map_or(&*text, |s| s.1)
    };
    whole.trim().to_owned()
}
