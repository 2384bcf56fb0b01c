//! Programs that outlive the call that started them: piped children and the daemon itself.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::task::JoinHandle;

use super::{FailureReason, Invocation, ProcessError, tail};

/// Bytes of standard error kept of a long-lived child.
const STDERR_KEPT: usize = 8 * 1024;

/// A long-lived child with piped input and output. It ends, with all it started, when dropped.
#[derive(Debug)]
pub struct PipedChild {
    child: Child,
    /// Writes to the child's standard input; drop it to close that.
    pub stdin: Option<ChildStdin>,
    /// Reads the child's standard output.
    pub stdout: Option<ChildStdout>,
    stderr: Arc<Mutex<Vec<u8>>>,
    stderr_reader: Option<JoinHandle<()>>,
    command: String,
}

impl Invocation {
    /// Starts a long-lived child with its own process group. Limits of time and output do not
    /// apply to it; what was set as standard input is not sent. Needs a running tokio.
    pub fn spawn_piped(self) -> Result<PipedChild, ProcessError> {
        let mut command = self.command(true);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut command = tokio::process::Command::from(command);
        command.kill_on_drop(true);
        if self.ends_with_us {
            end_with_us(&mut command);
        }
        let mut child = command.spawn().map_err(|error| self.start_error(error))?;
        if let Some(id) = child.id() {
            super::open_files::restore_file_limit(id);
        }
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let stderr_reader = child
            .stderr
            .take()
            .map(|pipe| tokio::spawn(keep_tail(pipe, Arc::clone(&stderr))));
        Ok(PipedChild {
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            child,
            stderr,
            stderr_reader,
            command: self.display(),
        })
    }
}

/// Has the system end the child when this process ends, however that comes about. The child belongs to the thread that starts it,
/// which must live as long as the daemon: its runtime has one thread.
#[cfg(target_os = "linux")]
fn end_with_us(command: &mut tokio::process::Command) {
    let parent = rustix::process::getpid();
    let prepare = move || {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        // It may have ended before the line above.
        if rustix::process::getppid() != Some(parent) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(())
    };
    #[expect(unsafe_code, reason = "code that runs between fork and exec")]
    // SAFETY: it makes two system calls and touches no memory that another thread may hold.
    unsafe {
        command.pre_exec(prepare);
    }
}

/// Elsewhere the system does not offer it.
#[cfg(not(target_os = "linux"))]
fn end_with_us(_: &mut tokio::process::Command) {}

impl PipedChild {
    /// Its process id, which is also its group's; none once it has ended and was waited for.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// The program with its arguments, safe to print.
    pub fn command(&self) -> &str {
        &self.command
    }

    /// The last lines it wrote to standard error, safe to print.
    pub fn stderr_tail(&self) -> String {
        self.stderr
            .lock()
            .map(|kept| tail(&kept))
            .unwrap_or_default()
    }

    /// Waits for its end.
    pub async fn wait(&mut self) -> Result<ExitStatus, ProcessError> {
        self.child
            .wait()
            .await
            .map_err(|error| self.error(FailureReason::Io(error)))
    }

    /// Closes its input, asks its group to stop, and makes it stop after `grace`.
    pub async fn stop(mut self, grace: Duration) -> Result<ExitStatus, ProcessError> {
        drop(self.stdin.take());
        self.signal_group(Signal::TERM);
        let asked = tokio::time::timeout(grace, self.child.wait()).await;
        let ended = match asked {
            Ok(ended) => ended,
            Err(_) => {
                self.signal_group(Signal::KILL);
                self.child.wait().await
            }
        };
        ended.map_err(|error| self.error(FailureReason::Io(error)))
    }

    fn signal_group(&self, signal: Signal) {
        // `id` is none once the child was reaped, so the number is never somebody else's.
        let pid = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process_group(pid, signal);
        }
    }

    fn error(&self, reason: FailureReason) -> ProcessError {
        ProcessError {
            command: self.command.clone(),
            reason,
            stderr_tail: self.stderr_tail(),
        }
    }
}

impl Drop for PipedChild {
    fn drop(&mut self) {
        self.signal_group(Signal::KILL);
        if let Some(reader) = self.stderr_reader.take() {
            reader.abort();
        }
    }
}

async fn keep_tail(mut pipe: tokio::process::ChildStderr, kept: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = [0_u8; 1024];
    while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
        let Ok(mut kept) = kept.lock() else { return };
        kept.extend_from_slice(buffer.get(..read).unwrap_or_default());
        let over = kept.len().saturating_sub(STDERR_KEPT);
        kept.drain(..over);
    }
}

/// Starts a program that outlives us: leader of a new session (no terminal, no signals of ours),
/// standard input from nowhere, its output appended to `log` (created readable by us alone) or,
/// without one, to nowhere. Returns its process id.
pub fn spawn_detached(
    program: &Path,
    args: &[OsString],
    env: &[(OsString, OsString)],
    log: Option<&Path>,
) -> Result<u32, ProcessError> {
    let mut invocation = Invocation::new(program).args(args).cwd("/");
    for (name, value) in env {
        invocation = invocation.env(name, value);
    }
    let mut command = invocation.command(false);
    if let Some(path) = log {
        let open = || -> io::Result<_> {
            let file = OpenOptions::new()
                .create(true)
                .append(true)
                .mode(0o600)
                .open(path)?;
            Ok((file.try_clone()?, file))
        };
        let (out, err) = open().map_err(|error| invocation.start_error(error))?;
        command.stdout(out).stderr(err);
    }
    #[expect(
        unsafe_code,
        reason = "the standard library has no stable way to ask for setsid"
    )]
    // SAFETY: between fork and exec only async-signal-safe work may be done; this is the one
    // system call `setsid`, with no allocation and no lock.
    unsafe {
        command.pre_exec(|| rustix::process::setsid().map(drop).map_err(io::Error::from));
    }
    let mut child = command
        .spawn()
        .map_err(|error| invocation.start_error(error))?;
    let id = child.id();
    super::open_files::restore_file_limit(id);
    // Reaps it should it end before us; a caller that exits first leaves it to init.
    let reaper = std::thread::Builder::new()
        .name("reap-detached".into())
        .spawn(move || {
            drop(child.wait());
        });
    drop(reaper);
    Ok(id)
}
