//! One program in the pane, from its start to its end, with everything that can happen meanwhile.

use std::{
    io::{self, Read, Write},
    os::fd::AsFd,
    process::ChildStderr,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, Signal, WaitOptions, getpid, getsid, kill_process_group, waitpid},
};

use super::{
    orders::{Order, Orders},
    signals::{Caught, Signals, stop_ourselves},
    terminal::{self, Terminal},
};
use crate::adapters::process::{ErrorOutput, Invocation};
use crate::text::terminal_safe;

/// How long a client has to end after it was asked to, before it is made to.
const GRACE: Duration = Duration::from_secs(5);
/// Last words that are kept of a client, in bytes.
const TAIL: usize = 2048;

/// What the launcher listens to.
#[derive(Debug)]
pub struct Pane {
    /// The terminal.
    pub terminal: Terminal,
    /// Signals.
    pub signals: Signals,
    /// Orders of the daemon; none where the pipe could not be made.
    pub orders: Option<Orders>,
    /// Does the order to resume end what runs? Only a shell gives way to it.
    pub resume_ends: bool,
}

/// What woke the launcher.
#[derive(Debug, Default)]
pub struct Woken {
    /// Signals.
    pub caught: Vec<Caught>,
    /// Orders.
    pub orders: Vec<Order>,
    /// The error output of the client can be read.
    pub output: bool,
    /// A key can be read.
    pub key: bool,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The last it wrote to its error output.
    pub tail: String,
    /// What was ordered while it ran and is still to be done.
    pub order: Option<Order>,
    /// The pane is closed, or we were told to end.
    pub hung_up: bool,
    /// How long it ran.
    pub lasted: Duration,
}

impl Pane {
    /// Sleeps until something happens, at most until `deadline`.
    pub fn wait(
        &mut self,
        output: Option<&ChildStderr>,
        keys: bool,
        deadline: Option<Instant>,
    ) -> Woken {
        let stdin = io::stdin();
        let (mut woken, mut signal_came, mut order_came) = (Woken::default(), false, false);
        {
            let mut wanted = vec![PollFd::from_borrowed_fd(
                self.signals.as_fd(),
                PollFlags::IN,
            )];
            let order_at = self.orders.as_ref().map(|orders| {
                wanted.push(PollFd::new(orders.file(), PollFlags::IN));
                wanted.len() - 1
            });
            let output_at = output.map(|pipe| {
                wanted.push(PollFd::new(pipe, PollFlags::IN));
                wanted.len() - 1
            });
            let key_at = keys.then(|| {
                wanted.push(PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN));
                wanted.len() - 1
            });
            let timeout = deadline.map(|deadline| {
                let left = deadline.saturating_duration_since(Instant::now());
                Timespec {
                    tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                    tv_nsec: left.subsec_nanos().into(),
                }
            });
            if poll(&mut wanted, timeout.as_ref()).is_ok() {
                let ready = |at: Option<usize>| {
                    at.and_then(|at| wanted.get(at))
                        .is_some_and(|one| !one.revents().is_empty())
                };
                signal_came = ready(Some(0));
                order_came = ready(order_at);
                woken.output = ready(output_at);
                woken.key = ready(key_at);
            } else {
                // Interrupted: by a signal, whose byte is in the pipe.
                signal_came |= deadline.is_none_or(|deadline| Instant::now() < deadline);
            }
        }
        if signal_came {
            woken.caught = self.signals.take();
        }
        if order_came && let Some(orders) = &mut self.orders {
            woken.orders = orders.take();
        }
        woken
    }

    /// Starts a program in the foreground, tells `started` its process id, and attends to it until its end.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn run(
        &mut self,
        invocation: Invocation,
        error_output: ErrorOutput,
        started: impl FnOnce(Pid),
    ) -> Result<Ended, String> {
        let begun = Instant::now();
        let mut child = invocation
            .spawn_foreground(error_output)
            .map_err(|error| error.to_string())?;
        let mut stderr = child.stderr.take();
        let pid = i32::try_from(child.id())
            .ok()
            .and_then(Pid::from_raw)
            .ok_or("a process without an id")?;
        if let Some(pipe) = &stderr {
            let _ = rustix::io::ioctl_fionbio(pipe, true);
        }
        started(pid);
        let mut attended = Attended {
            pid,
            order: None,
            hung_up: false,
            made_to_end_at: None,
            tail: Vec::new(),
            resume_ends: self.resume_ends,
        };
        let (code, signal) = loop {
            if let Some(ended) = attended.look(self) {
                break ended;
            }
            let woken = self.wait(stderr.as_ref(), false, attended.made_to_end_at);
            if woken.output && !attended.copy(&mut stderr) {
                stderr = None;
            }
            attended.react(&woken);
        };
        attended.copy(&mut stderr);
        self.terminal.take_back(signal.is_some());
        let tail = terminal_safe(&String::from_utf8_lossy(&attended.tail))
            .trim()
            .to_owned();
        Ok(Ended {
            code,
            signal,
            tail,
            order: attended.order,
            hung_up: attended.hung_up,
            lasted: begun.elapsed(),
        })
    }
}

impl Pane {
    /// Runs a shell until it ends (none) or an order ends it.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn run_shell(&mut self, shell: Invocation) -> Result<Option<Order>, String> {
        self.resume_ends = true;
        let ended = self.run(shell, ErrorOutput::Terminal, |_| {});
        self.resume_ends = false;
        ended.map(|ended| ended.order)
    }
}

/// The state of a running program.
struct Attended {
    pid: Pid,
    order: Option<Order>,
    hung_up: bool,
    made_to_end_at: Option<Instant>,
    tail: Vec<u8>,
    resume_ends: bool,
}

impl Attended {
    /// Exit code and signal, once it has ended. A stopped program is continued when the user wants it.
    fn look(&mut self, pane: &mut Pane) -> Option<(Option<i32>, Option<i32>)> {
        loop {
            match waitpid(Some(self.pid), WaitOptions::NOHANG | WaitOptions::UNTRACED) {
                Ok(Some((_, status))) if status.stopped() => self.suspended(pane),
                Ok(Some((_, status))) => {
                    return Some((status.exit_status(), status.terminating_signal()));
                }
                Ok(None) => return None,
                Err(rustix::io::Errno::INTR) => {}
                // It is no child of ours any more: nothing more will be known.
                Err(_) => return Some((None, None)),
            }
        }
    }

    /// The client was stopped (Ctrl-Z). Where a shell started us, that shell gets the terminal; else we wait for a key.
    fn suspended(&mut self, pane: &mut Pane) {
        if self.made_to_end_at.is_some() {
            self.signal(Signal::CONT);
            return;
        }
        pane.terminal.take_back(false);
        if getsid(None).is_ok_and(|leader| leader != getpid()) {
            stop_ourselves();
        } else {
            terminal::say("claude is paused; Enter continues it");
            pane.terminal.read_keys();
            loop {
                let woken = pane.wait(None, pane.terminal.is_there(), None);
                self.react(&woken);
                let continued = woken.key && matches!(terminal::key(), Some(b'\r' | b'\n') | None);
                if continued || self.made_to_end_at.is_some() || !pane.terminal.is_there() {
                    break;
                }
                if woken.caught.contains(&Caught::Child) && self.went_on() {
                    break;
                }
            }
            pane.terminal.read_lines();
        }
        pane.terminal.give_to(self.pid);
        self.signal(Signal::CONT);
    }

    /// Was it continued or ended by somebody else? Leaves what it finds for [`Attended::look`].
    fn went_on(&self) -> bool {
        use rustix::process::{WaitId, WaitIdOptions, waitid};
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        matches!(waitid(WaitId::Pid(self.pid), options), Ok(Some(_)) | Err(_))
    }

    fn react(&mut self, woken: &Woken) {
        for order in &woken.orders {
            match order {
                // An interactive shell does not end by SIGTERM.
                _ if self.resume_ends => {
                    self.order = Some(*order);
                    self.end(Signal::HUP);
                }
                // It runs already.
                Order::Resume => {}
                Order::Restart | Order::Close => {
                    self.order = Some(*order);
                    self.end(Signal::TERM);
                }
            }
        }
        if woken.caught.contains(&Caught::End) {
            self.hung_up = true;
            self.end(Signal::HUP);
        }
        if let Some(at) = self.made_to_end_at
            && Instant::now() >= at
        {
            self.signal(Signal::KILL);
            self.made_to_end_at = Some(Instant::now() + GRACE);
        }
    }

    fn end(&mut self, signal: Signal) {
        self.signal(signal);
        // A stopped program does not hear it.
        self.signal(Signal::CONT);
        self.made_to_end_at
            .get_or_insert_with(|| Instant::now() + GRACE);
    }

    fn signal(&self, signal: Signal) {
        // Not reaped yet, so the number is still its own.
        let _ = kill_process_group(self.pid, signal);
    }

    /// Copies its error output to the terminal and keeps the end of it; false once it is closed.
    fn copy(&mut self, pipe: &mut Option<ChildStderr>) -> bool {
        let Some(pipe) = pipe else { return false };
        let mut chunk = [0_u8; 2048];
        loop {
            match pipe.read(&mut chunk) {
                Ok(0) => return false,
                Ok(read) => {
                    let part = chunk.get(..read).unwrap_or_default();
                    drop(io::stderr().write_all(part));
                    self.tail.extend_from_slice(part);
                    let over = self.tail.len().saturating_sub(TAIL);
                    self.tail.drain(..over);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
    }
}
