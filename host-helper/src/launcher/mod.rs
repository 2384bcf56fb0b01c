//! `claustre session run ID`: the command of a session's pane. It starts the client in the foreground, sees how it really
//! ended, and continues the conversation when it is told to.
//!
//! It sleeps in one `poll` for as long as nothing happens, has no threads, and needs no daemon: its plan is on disk, and what it
//! has to report waits in the spool. So Zellij's own resurrection, which runs this command again, brings a session back.
//!
//! | module | holds |
//! |---|---|
//! | [`plan`] | what is to be started |
//! | [`child`] | one program in the pane, from start to end |
//! | [`lock`] | what keeps a second launcher of the session away |
//! | [`orders`] | what the daemon can tell a launcher |
//! | [`signals`], [`terminal`] | the two that need care |
//! | [`restarts`] | the brake on a client that ends at once |

pub mod child;
pub mod lock;
pub mod orders;
pub mod plan;
pub mod restarts;
pub mod signals;
pub mod terminal;

use std::{
    ffi::OsString,
    io,
    process::{self, ExitCode},
    time::{Duration, Instant},
};

use claustre_protocol::{hook::ReportBody, ids::SessionId};

use self::{
    child::{Ended, Pane},
    lock::LauncherLock,
    orders::{Order, Orders},
    restarts::Restarts,
    signals::{Caught, Signals},
    terminal::{Terminal, say},
};
use crate::{adapters::process::ErrorOutput, fast::report::Reporter, paths::Paths};

/// A client that ended sooner never came to draw its screen: what it said last is why.
const SOON: Duration = Duration::from_secs(10);
/// What the client says when its conversation is not on disk: it ended before it had anything to write.
const NO_CONVERSATION: &str = "No conversation found";
/// What it says when a conversation of that id is there already, or runs.
const IN_USE: &str = "is already in use";

/// What happens after a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Start the client again.
    Start {
        /// Continue the conversation, where one was begun?
        resume: bool,
    },
    /// Leave a shell.
    Shell,
    /// Wait for a key or an order.
    Wait,
    /// End.
    End,
}

struct Launcher {
    paths: Paths,
    session: SessionId,
    token: String,
    reporter: Reporter,
    pane: Pane,
    restarts: Restarts,
    worktree: Option<std::path::PathBuf>,
    /// There is nothing on disk to continue.
    nothing_to_resume: bool,
    /// The client was started the other way because it said that this one cannot be; once, so that the two do not take turns.
    has_switched: bool,
    /// The last try to continue failed soon, for a reason that we do not know.
    resume_failed: bool,
}

/// Runs the launcher of the session that the argument names.
pub fn run(argument: Option<OsString>) -> ExitCode {
    let session = argument.and_then(|id| id.to_str().and_then(|id| id.parse::<SessionId>().ok()));
    let Some(session) = session else {
        eprintln!(
            "error: starting a session: `claustre session run` takes the whole id of a session"
        );
        return ExitCode::from(2);
    };
    let prepared = Paths::from_environment()
        .map_err(|error| error.to_string())
        .and_then(|paths| Ok((hold(&paths, session)?, paths)))
        .and_then(|(lock, paths)| {
            Signals::catch()
                .map(|signals| (paths, signals, lock))
                .map_err(|error| error.to_string())
        });
    // Held to the end, and by nothing that is started.
    let (paths, signals, _lock) = match prepared {
        Ok(prepared) => prepared,
        Err(why) => {
            eprintln!("error: starting session {session}: {why}");
            return ExitCode::FAILURE;
        }
    };
    let token = plan::token(&paths, session);
    let mut launcher = Launcher {
        reporter: Reporter::new(paths.clone(), session, token.clone(), "launcher"),
        pane: Pane {
            terminal: Terminal::remember(),
            signals,
            orders: Orders::open(&paths, session).ok(),
            resume_ends: false,
        },
        restarts: Restarts::default(),
        worktree: None,
        nothing_to_resume: false,
        has_switched: false,
        resume_failed: false,
        paths,
        session,
        token,
    };
    launcher.live();
    launcher.reporter.report(&ReportBody::LauncherEnded {});
    ExitCode::SUCCESS
}

/// The session for this launcher alone. Where there is no place for the lock there is no plan either, which is said in its turn.
fn hold(paths: &Paths, session: SessionId) -> Result<Option<LauncherLock>, String> {
    match lock::take(paths, session) {
        Ok(None) => Err(format!(
            "it runs in another pane already\nhint: claustre session attach {} goes there",
            session.short()
        )),
        Ok(held) => Ok(held),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("taking its lock: {error}")),
    }
}

impl Launcher {
    fn live(&mut self) {
        let mut next = Next::Start { resume: true };
        loop {
            next = match next {
                Next::Start { resume } => self.client(resume),
                Next::Shell => self.shell(),
                Next::Wait => self.wait(),
                Next::End => return,
            };
        }
    }

    /// Runs the client once.
    fn client(&mut self, resume: bool) -> Next {
        // It may have been made anew since the last start.
        self.token = plan::token(&self.paths, self.session);
        self.reporter = Reporter::new(
            self.paths.clone(),
            self.session,
            self.token.clone(),
            "launcher",
        );
        let resumed = resume && plan::was_started(&self.paths, self.session);
        let planned = match plan::read(&self.paths, self.session, &self.token, resumed) {
            Ok(planned) => planned,
            Err(why) => return self.failed(why),
        };
        self.worktree = Some(planned.worktree.clone());
        say(&format!(
            "{} in {}",
            if resumed {
                "continuing the conversation"
            } else {
                "starting claude"
            },
            planned.worktree.display()
        ));
        let (paths, session, reporter) = (self.paths.clone(), self.session, self.reporter.clone());
        let ended = self
            .pane
            .run(planned.invocation, ErrorOutput::Piped, |pid| {
                let pid = pid.as_raw_nonzero().get().unsigned_abs();
                plan::mark_started(&paths, session, pid);
                reporter.report(&ReportBody::ClientStarted {
                    pid,
                    launcher_pid: process::id(),
                    resumed,
                });
            });
        match ended {
            Ok(ended) => self.after(&ended, resumed, planned.leaves_shell),
            Err(why) => self.failed(why),
        }
    }

    fn failed(&mut self, why: String) -> Next {
        say(&format!("claude could not be started: {why}"));
        self.reporter.report(&ReportBody::LaunchFailed { why });
        Next::Wait
    }

    /// Reports how the client ended and decides what comes next.
    fn after(&mut self, ended: &Ended, resumed: bool, leaves_shell: bool) -> Next {
        let soon = ended.lasted < SOON;
        if soon && ended.code == Some(1) && ended.order.is_none() && !ended.hung_up {
            let is_other = ended
                .tail
                .contains(if resumed { NO_CONVERSATION } else { IN_USE });
            // Killed before its first answer it left nothing to continue: it begins again under its id, with its prompt. Nobody
            // needs to hear of the start between.
            if is_other && !std::mem::replace(&mut self.has_switched, true) {
                say(if resumed {
                    "there is no conversation yet; it begins again"
                } else {
                    "there is a conversation already; it is continued"
                });
                return Next::Start { resume: !resumed };
            }
        }
        if !soon {
            self.has_switched = false;
        }
        self.resume_failed = resumed && soon && ended.code.is_some_and(|code| code != 0);
        // However it takes the end of its terminal: that is what ended it.
        let (code, signal) = match ended.hung_up {
            true => (None, Some(libc::SIGHUP)),
            false => (ended.code, ended.signal),
        };
        self.reporter.report(&ReportBody::ClientExited {
            code,
            signal,
            tail: if soon {
                ended.tail.clone()
            } else {
                String::new()
            },
        });
        if ended.hung_up || ended.order == Some(Order::Close) {
            return Next::End;
        }
        if ended.order == Some(Order::Restart) {
            if self.restarts.allow(Instant::now()) {
                return Next::Start { resume: true };
            }
            say("it was restarted three times within a minute; it waits for you now");
            return Next::Wait;
        }
        say(&how(ended));
        // The client may not have drawn its screen, and then its error output is all there is to know.
        if resumed && soon && ended.code == Some(1) && ended.tail.contains(NO_CONVERSATION) {
            self.nothing_to_resume = true;
            self.reporter.report(&ReportBody::LaunchFailed {
                why: ended.tail.clone(),
            });
            return Next::Wait;
        }
        if leaves_shell && ended.code == Some(0) {
            Next::Shell
        } else {
            Next::Wait
        }
    }

    /// Leaves the user's shell in the worktree until it ends or the conversation is continued.
    fn shell(&mut self) -> Next {
        let Some(worktree) = self.worktree.clone() else {
            return Next::Wait;
        };
        say(&format!(
            "a shell for you; `claustre session resume {}` continues the conversation, exit closes",
            self.session.short()
        ));
        let shell = plan::shell(&self.paths, self.session, &worktree);
        match self.pane.run_shell(shell) {
            Ok(Some(Order::Resume | Order::Restart)) => Next::Start { resume: true },
            Ok(Some(Order::Close) | None) => Next::End,
            Err(why) => {
                say(&format!("no shell: {why}"));
                Next::Wait
            }
        }
    }

    /// Waits for a key or an order.
    fn wait(&mut self) -> Next {
        let keys = self.pane.terminal.is_there();
        say(match (keys, self.nothing_to_resume) {
            (false, _) => "waiting to be told to continue",
            (true, false) if self.resume_failed => {
                "Enter continues the conversation, n begins it anew under the same id, s opens a shell, q closes"
            }
            (true, false) => "Enter continues the conversation, s opens a shell, q closes",
            (true, true) => {
                "Enter begins the conversation anew under the same id, s opens a shell, q closes"
            }
        });
        self.pane.terminal.read_keys();
        let next = loop {
            let woken = self.pane.wait(None, keys, None);
            if woken.caught.contains(&Caught::End) || woken.orders.contains(&Order::Close) {
                break Next::End;
            }
            if !woken.orders.is_empty() {
                // An order to continue what was never begun is an order to begin.
                break Next::Start {
                    resume: !self.nothing_to_resume,
                };
            }
            if woken.key {
                match terminal::key() {
                    Some(b'\r' | b'\n') => {
                        break Next::Start {
                            resume: !self.nothing_to_resume,
                        };
                    }
                    Some(b'n') if self.resume_failed => break Next::Start { resume: false },
                    Some(b's') if self.worktree.is_some() => break Next::Shell,
                    Some(b'q') | None => break Next::End,
                    Some(_) => {}
                }
            }
        };
        self.pane.terminal.read_lines();
        if matches!(next, Next::Start { .. }) {
            self.nothing_to_resume = false;
            self.has_switched = false;
        }
        next
    }
}

/// How the client ended, for people.
fn how(ended: &Ended) -> String {
    match (ended.code, ended.signal) {
        (Some(0), _) => "claude has ended".to_owned(),
        (Some(code), _) => format!("claude ended with exit code {code}"),
        (None, Some(signal)) => format!("claude was ended by signal {signal}"),
        (None, None) => "claude has ended; how is not known".to_owned(),
    }
}
