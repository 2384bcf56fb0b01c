//! One running program: feeds it, reads it, and ends it when its time is over.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use super::{FailureReason, Finished, Invocation, OutputStream, ProcessError};
use crate::text::terminal_safe;

/// How long a program has between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// How long the output of a program that has ended may be held open by what it left behind.
const LEFTOVER: Duration = Duration::from_secs(1);
/// How often a program that keeps its output open is looked at for having ended.
const LOOK: Duration = Duration::from_millis(50);
/// Longest line handed to a line callback, in bytes.
const LONGEST_LINE: usize = 16 * 1024;

type OnLine<'a> = &'a mut dyn FnMut(OutputStream, &str);

/// An output pipe of the child with what was read from it.
struct Reader<P> {
    stream: OutputStream,
    pipe: Option<P>,
    kept: Vec<u8>,
    limit: usize,
    cut: bool,
    line: Vec<u8>,
}

pub(super) fn run(
    mut invocation: Invocation,
    mut on_line: Option<OnLine<'_>>,
) -> Result<Finished, ProcessError> {
    let mut command = invocation.command(true);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let input = std::mem::take(&mut invocation.stdin);
    if !input.is_empty() {
        command.stdin(Stdio::piped());
    }
    let mut child = command
        .spawn()
        .map_err(|error| invocation.start_error(error))?;
    super::open_files::restore_file_limit(child.id());
    let mut out = Reader::new(
        OutputStream::Stdout,
        child.stdout.take(),
        invocation.output_limit,
    );
    let mut err = Reader::new(
        OutputStream::Stderr,
        child.stderr.take(),
        invocation.output_limit,
    );

    let ended = attend(
        &mut child,
        &input,
        &mut out,
        &mut err,
        &mut on_line,
        invocation.time_limit,
    );
    out.finish(&mut on_line);
    err.finish(&mut on_line);
    match ended {
        Ok(true) => {}
        Ok(false) => {
            end_group(&mut child);
            let reason = FailureReason::TimeLimit(invocation.time_limit);
            return Err(invocation.error(reason, &err.kept));
        }
        Err(error) => {
            end_group(&mut child);
            return Err(invocation.error(FailureReason::Io(error), &err.kept));
        }
    }
    match child.wait() {
        Ok(status) => Ok(Finished {
            status,
            stdout: out.kept,
            stderr: err.kept,
            stdout_cut: out.cut,
            stderr_cut: err.cut,
            command: invocation.display(),
        }),
        Err(error) => Err(invocation.error(FailureReason::Io(error), &err.kept)),
    }
}

/// Feeds and reads the child until it has ended and its output is closed: true. False when the
/// time is over. The child is not reaped here, so its group number cannot become another's.
fn attend(
    child: &mut Child,
    mut input: &[u8],
    out: &mut Reader<std::process::ChildStdout>,
    err: &mut Reader<std::process::ChildStderr>,
    on_line: &mut Option<OnLine<'_>>,
    limit: Duration,
) -> io::Result<bool> {
    let mut stdin = child.stdin.take();
    unblock(stdin.as_ref())?;
    unblock(out.pipe.as_ref())?;
    unblock(err.pipe.as_ref())?;
    let start = Instant::now();
    let mut ended_at: Option<Instant> = None;
    let mut pause = Duration::from_micros(200);
    loop {
        let closed = out.pipe.is_none() && err.pipe.is_none();
        if ended_at.is_none() && has_ended(child)? {
            ended_at = Some(Instant::now());
            stdin = None;
        }
        match ended_at {
            Some(_) if closed => return Ok(true),
            Some(at) if at.elapsed() >= LEFTOVER => {
                // Something it started still holds the output: it goes with its group.
                signal_group(child, Signal::KILL);
                out.read(on_line)?;
                err.read(on_line)?;
                return Ok(true);
            }
            _ => {}
        }
        let Some(left) = limit.checked_sub(start.elapsed()) else {
            return Ok(false);
        };
        let mut wait = left.min(LOOK);
        if closed && stdin.is_none() {
            // Closing its output is nearly always a program's last act: look again very soon.
            wait = wait.min(pause);
            pause = (pause * 2).min(LOOK);
        }
        wait_for_any(stdin.as_ref(), out.pipe.as_ref(), err.pipe.as_ref(), wait)?;
        out.read(on_line)?;
        err.read(on_line)?;
        if let Some(pipe) = &mut stdin
            && feed(pipe, &mut input)?
        {
            stdin = None;
        }
    }
}

/// Writes what the pipe takes; true when there is nothing left to write.
fn feed(pipe: &mut ChildStdin, input: &mut &[u8]) -> io::Result<bool> {
    while !input.is_empty() {
        match pipe.write(input) {
            Ok(0) => return Ok(true),
            Ok(written) => *input = input.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // It does not want to read all of it; its exit code says what that means.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(true),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

fn unblock<F: AsFd>(pipe: Option<&F>) -> io::Result<()> {
    pipe.map_or(Ok(()), |pipe| Ok(rustix::io::ioctl_fionbio(pipe, true)?))
}

fn wait_for_any(
    stdin: Option<&ChildStdin>,
    out: Option<&std::process::ChildStdout>,
    err: Option<&std::process::ChildStderr>,
    wait: Duration,
) -> io::Result<()> {
    let mut waiting = Vec::with_capacity(3);
    if let Some(pipe) = stdin {
        waiting.push(PollFd::new(pipe, PollFlags::OUT));
    }
    if let Some(pipe) = out {
        waiting.push(PollFd::new(pipe, PollFlags::IN));
    }
    if let Some(pipe) = err {
        waiting.push(PollFd::new(pipe, PollFlags::IN));
    }
    let timeout = Timespec::try_from(wait).unwrap_or(Timespec {
        tv_sec: 0,
        tv_nsec: 50_000_000,
    });
    match rustix::event::poll(&mut waiting, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether the child has ended, without reaping it.
fn has_ended(child: &Child) -> io::Result<bool> {
    let Some(pid) = group(child) else {
        return Ok(true);
    };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    match rustix::process::waitid(WaitId::Pid(pid), options) {
        Ok(status) => Ok(status.is_some()),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Asks the whole group to stop, waits a little, then makes it.
fn end_group(child: &mut Child) {
    signal_group(child, Signal::TERM);
    let asked = Instant::now();
    while asked.elapsed() < GRACE && matches!(has_ended(child), Ok(false)) {
        std::thread::sleep(Duration::from_millis(10));
    }
    signal_group(child, Signal::KILL);
    if let Err(error) = child.wait() {
        tracing::debug!(%error, "a stopped program could not be waited for");
    }
}

fn signal_group(child: &Child, signal: Signal) {
    if let Some(pid) = group(child) {
        // Nobody left to tell is what we want anyway.
        let _ = rustix::process::kill_process_group(pid, signal);
    }
}

fn group(child: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(child.id()).ok()?)
}

impl<P: Read> Reader<P> {
    fn new(stream: OutputStream, pipe: Option<P>, limit: usize) -> Self {
        Self {
            stream,
            pipe,
            kept: Vec::new(),
            limit,
            cut: false,
            line: Vec::new(),
        }
    }

    /// Reads what is there without waiting; drops the pipe at its end.
    fn read(&mut self, on_line: &mut Option<OnLine<'_>>) -> io::Result<()> {
        let mut buffer = [0_u8; 16 * 1024];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(read) => self.take(buffer.get(..read).unwrap_or_default(), on_line),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn take(&mut self, bytes: &[u8], on_line: &mut Option<OnLine<'_>>) {
        if let Some(on_line) = on_line {
            // Line by line the end is what matters: keep the last bytes, not the first.
            self.kept.extend_from_slice(bytes);
            if self.kept.len() > self.limit.max(1).saturating_mul(2) {
                self.cut = true;
                self.kept.drain(..self.kept.len() - self.limit);
            }
            for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
                self.line.extend_from_slice(piece);
                if piece.ends_with(b"\n") || self.line.len() >= LONGEST_LINE {
                    emit(self.stream, &mut self.line, on_line);
                }
            }
            return;
        }
        let room = self.limit.saturating_sub(self.kept.len());
        self.cut |= bytes.len() > room;
        self.kept
            .extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
    }

    fn finish(&mut self, on_line: &mut Option<OnLine<'_>>) {
        if let Some(on_line) = on_line
            && !self.line.is_empty()
        {
            emit(self.stream, &mut self.line, on_line);
        }
        if self.kept.len() > self.limit {
            self.cut = true;
            self.kept.drain(..self.kept.len() - self.limit);
        }
    }
}

fn emit(stream: OutputStream, line: &mut Vec<u8>, on_line: &mut OnLine<'_>) {
    let text = terminal_safe(&String::from_utf8_lossy(line));
    on_line(stream, text.trim_end_matches('\n'));
    line.clear();
}
