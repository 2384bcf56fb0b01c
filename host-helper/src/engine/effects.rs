//! How each effect is done, through the ports. A daemon that ends between an effect and the storing of its outcome begins the effect
//! again after its next start: each is written so that a repetition does nothing new. Where the world cannot be asked for what was
//! done, the start is stored first, and an effect that was begun before is in doubt: see [`Effects::begin`].

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, mpsc},
};

use claustre_domain::{
    command::{Command, SessionCommand},
    effect::Effect,
    event::SessionOpened,
    project::Project,
    session::{Pane, Session},
};
use claustre_protocol::{
    ids::SessionId,
    rpc::Fault,
    status::{ClaudeStatus, Source},
    time::Timestamp,
};

use super::{Engine, Order, lanes::Lane, reports::Input};
use crate::{
    ports::{
        Conversations, Launchers, Multiplexer, Notifier, PaneFacts, PaneOrder, PortError, Scripts,
        Workspace, WorktreeFacts,
    },
    store::{EffectOutcome, PendingEffect},
};

/// How soon what must go before is looked at again.
pub(super) const LOOK_AGAIN_MS: i64 = 100;

/// How long an order that was under way when the daemon ended may take to show: then it is looked at what became of it.
const SHOWS_AFTER_MS: i64 = 3_000;
/// How often a tab that was ordered a moment ago is waited for.
const LOOKS_FOR_TAB: u32 = 4;
/// How often it is looked at whether a client that was told to restart ends, before it is told once more.
const LOOKS_AT_RESTART: u32 = 10;

/// What came of an effect.
#[derive(Debug)]
pub enum Ran {
    /// What remains of it belongs into another lane.
    Onward(Lane),
    /// Done; report this.
    Done(Vec<Command>),
    /// Not possible yet; look again.
    Later {
        /// In so many milliseconds.
        after_ms: i64,
        /// Why, for the log.
        why: String,
    },
    /// Failed; report this if it is given up.
    Failed {
        /// Why.
        error: PortError,
        /// What giving up means.
        commands: Vec<Command>,
    },
}

/// The hands of the engine.
pub struct Effects {
    /// For lookups.
    pub engine: Engine,
    /// Repositories and worktrees.
    pub workspace: Arc<dyn Workspace>,
    /// What the user has run around worktrees.
    pub scripts: Arc<dyn Scripts>,
    /// Tabs and panes.
    pub multiplexer: Arc<dyn Multiplexer>,
    /// Launchers.
    pub launchers: Arc<dyn Launchers>,
    /// Tells people.
    pub notifier: Arc<dyn Notifier>,
    /// The thread that owns the agent adapter.
    pub reports: mpsc::SyncSender<Input>,
    /// Makes the secret token of a session, and remembers it in the session's directory.
    pub tokens: Arc<dyn Fn(SessionId) -> Result<String, PortError> + Send + Sync>,
    /// The transcripts, which show what arrived.
    pub conversations: Arc<dyn Conversations>,
    /// Messages that were typed and are not confirmed.
    pub tracks: super::delivery::Tracks,
    /// Worktrees that are made and wait for their setup script.
    pub made: Mutex<BTreeMap<SessionId, WorktreeFacts>>,
}

impl Effects {
    /// Does one effect, or the part of it that belongs into this lane.
    pub fn run(&self, pending: &PendingEffect, lane: Lane) -> Ran {
        let session = match pending.effect.session().map(|id| self.session(id)) {
            Some(Ok(session)) => session,
            Some(Err(fault)) => {
                return Ran::Failed {
                    error: PortError::passing(fault.message),
                    commands: Vec::new(),
                };
            }
            None => None,
        };
        match (&pending.effect, session) {
            (Effect::Notify { text, .. }, _) => self.notify(pending, text),
            // Stored by former versions; tabs are marked by `marks`.
            (Effect::NameTab { .. }, _) => Ran::Done(Vec::new()),
            // The session was never heard of: nothing can be done for it.
            (_, None) => Ran::Done(Vec::new()),
            (Effect::PrepareSession { .. }, Some(session)) => self.prepare(&session, lane),
            (Effect::OpenPane { .. }, Some(session)) => self.open_pane(pending, &session),
            // Its worktree was never made, as after a launch that failed: first that.
            (Effect::ResumeClient { .. }, Some(session)) if session.worktree.is_empty() => {
                match lane {
                    Lane::Zellij => Ran::Onward(Lane::Worktrees),
                    lane => self.prepare(&session, lane),
                }
            }
            (Effect::ResumeClient { .. }, Some(session)) => self.resume(pending, &session),
            (Effect::EndClient { resume: true, .. }, Some(session)) => {
                self.restart(pending, &session)
            }
            (Effect::EndClient { .. }, Some(session)) => {
                self.end_client(&session, pending.attempts)
            }
            (Effect::CloseTab { .. }, Some(session)) => self.close_tab(&session),
            (Effect::RemoveWorktree { shown, .. }, Some(session)) => {
                self.remove_worktree(&session, shown.as_ref(), pending.attempts, lane)
            }
            (Effect::DeliverMessage { message, .. }, Some(session)) => {
                self.deliver(&session, *message)
            }
        }
    }

    fn session(&self, id: SessionId) -> Result<Option<Session>, Fault> {
        self.engine.read_blocking(|reader| reader.session(id))
    }

    pub(super) fn project_of(&self, opened: &SessionOpened) -> Result<Project, PortError> {
        self.engine
            .read_blocking(|reader| reader.project(opened.project))
            .map_err(|fault| PortError::passing(fault.message))?
            .ok_or_else(|| PortError::lasting("its project is not known", None))
    }

    /// Makes it durable that this effect is about to be done, once. After a crash `started_before` says that it is in doubt.
    ///
    /// # Errors
    /// That could not be stored, so it must not be done now.
    pub(super) fn begin(&self, pending: &PendingEffect) -> Result<(), Ran> {
        if pending.started_before {
            return Ok(());
        }
        let order = Order {
            commands: Vec::new(),
            actor: "engine".into(),
            report: None,
            finishes: Some((pending.id, EffectOutcome::Started)),
            reply: None,
        };
        match self.engine.store_blocking(order) {
            Ok(_) => Ok(()),
            Err(fault) => Err(Ran::Later {
                after_ms: 1_000,
                why: format!("its start could not be stored: {fault}"),
            }),
        }
    }

    fn notify(&self, pending: &PendingEffect, text: &str) -> Ran {
        // Nobody can be asked whether it was seen: a notice is rather lost in a crash than shown twice.
        if !pending.started_before {
            if let Err(later) = self.begin(pending) {
                return later;
            }
            self.notifier.notify(text);
            self.multiplexer.toast(text, false);
        }
        Ran::Done(Vec::new())
    }

    fn open_pane(&self, pending: &PendingEffect, session: &Session) -> Ran {
        if !session.is_open() || session.running_client().is_some() {
            return Ran::Done(Vec::new());
        }
        let Some(worktree) = session.worktree.get() else {
            return Ran::Done(Vec::new());
        };
        // A second tab would only say that the session runs already.
        if self.launchers.is_running(session.id) {
            return Ran::Done(Vec::new());
        }
        let is_new = session.pane.stamp().is_some_and(|stamp| {
            let opened = Timestamp::from_millis(stamp.hlc.reading.wall_ms);
            let now = self.engine.host.now();
            // Also where the clock was set back since: then only for so often.
            now.millis_since(opened) < SHOWS_AFTER_MS && pending.attempts < LOOKS_FOR_TAB
        });
        let is_in_doubt = pending.started_before && pending.attempts == 0;
        if is_new || is_in_doubt {
            return Ran::Later {
                after_ms: SHOWS_AFTER_MS,
                why: "its tab was ordered a moment ago, or before the daemon ended, and may be coming"
                    .into(),
            };
        }
        if let Err(later) = self.begin(pending) {
            return later;
        }
        let order = PaneOrder {
            session: session.id,
            name: session.tab_name(),
            argv: self.launchers.argv(session.id),
            cwd: worktree.path.clone().into(),
        };
        match self.multiplexer.open(&order) {
            Ok(opened) => Ran::Done(match opened.pane {
                Some(pane) => vec![Command::Session(SessionCommand::ReportPane {
                    session: session.id,
                    zellij_session: opened.zellij_session,
                    server_pid: opened.server_pid.unwrap_or(0),
                    pane,
                    background: opened.background,
                })],
                // The launcher reports where it is.
                None => Vec::new(),
            }),
            Err(error) => launch_failed(session.id, error),
        }
    }

    fn resume(&self, pending: &PendingEffect, session: &Session) -> Ran {
        if !session.is_open() || session.running_client().is_some() {
            return Ran::Done(Vec::new());
        }
        // The launcher waits in its pane unless the pane is gone; then a new pane brings a new launcher. To be told twice is the
        // same to it: a client that runs is not started again.
        let told = session
            .pane
            .get()
            .and_then(|_| self.launchers.resume(session.id, 0).ok())
            .unwrap_or(false);
        if told {
            Ran::Done(Vec::new())
        } else {
            self.open_pane(pending, session)
        }
    }

    /// Ends the client and has it started again. To be told twice would end the client that was just started.
    fn restart(&self, pending: &PendingEffect, session: &Session) -> Ran {
        let Some(client) = session.running_client() else {
            return self.resume(pending, session);
        };
        if pending.started_before {
            // Whatever was heard of it since the order says that the order arrived, or that it does not matter any more.
            let standing = session.status();
            let is_awaited =
                standing.status == ClaudeStatus::Starting && standing.source == Source::User;
            if !is_awaited || !self.launchers.is_alive(client.pid) {
                return Ran::Done(Vec::new());
            }
            if pending.attempts < LOOKS_AT_RESTART {
                return Ran::Later {
                    after_ms: 1_000,
                    why: "it was told to restart before the daemon ended".into(),
                };
            }
        } else if let Err(later) = self.begin(pending) {
            return later;
        }
        match self.launchers.end(session.id, client.launcher_pid, true) {
            Ok(true) => Ran::Done(Vec::new()),
            Ok(false) => self.open_pane(pending, session),
            Err(error) => end_later(error, pending.attempts),
        }
    }

    /// Ends launcher and client for good; one that is told twice ends once.
    fn end_client(&self, session: &Session, attempts: u32) -> Ran {
        let pid = session
            .running_client()
            .map_or(0, |client| client.launcher_pid);
        match self.launchers.end(session.id, pid, false) {
            Ok(_) => Ran::Done(Vec::new()),
            Err(error) => end_later(error, attempts),
        }
    }

    fn close_tab(&self, session: &Session) -> Ran {
        let Some(pane) = session.pane.get() else {
            return Ran::Done(Vec::new());
        };
        match self
            .multiplexer
            .close(session.id, &facts(pane), &session.tab_name())
        {
            Ok(()) => Ran::Done(Vec::new()),
            Err(error) => Ran::Failed {
                error,
                commands: Vec::new(),
            },
        }
    }
}

/// A launcher that could not be told is told again a few times.
fn end_later(error: PortError, attempts: u32) -> Ran {
    if attempts > 3 {
        Ran::Failed {
            error,
            commands: Vec::new(),
        }
    } else {
        Ran::Later {
            after_ms: 500,
            why: error.message,
        }
    }
}

/// Where a pane is, as the multiplexer takes it.
pub fn facts(pane: &Pane) -> PaneFacts {
    PaneFacts {
        zellij_session: pane.zellij_session.clone(),
        server_pid: pane.server_pid,
        pane: pane.pane,
        background: pane.background,
    }
}

pub(super) fn launch_failed(session: SessionId, error: PortError) -> Ran {
    let mut why = error.message.clone();
    if let Some(hint) = &error.hint {
        why.push_str(" (");
        why.push_str(hint);
        why.push(')');
    }
    Ran::Failed {
        error,
        commands: vec![Command::Session(SessionCommand::ReportLaunchFailed {
            session,
            why,
        })],
    }
}
