//! How each effect is done, through the ports. Every one may be repeated.

use std::sync::{Arc, mpsc};

use claustre_domain::{
    command::{Command, SessionCommand},
    effect::Effect,
    event::SessionOpened,
    project::Project,
    session::{Pane, Session},
};
use claustre_protocol::{ids::SessionId, rpc::Fault};

use super::{Engine, reports::Input};
use crate::{
    ports::{
        Conversations, Launchers, Multiplexer, Notifier, PaneFacts, PaneOrder, PortError, Scripts,
        Workspace,
    },
    store::PendingEffect,
};

/// How soon what must go before is looked at again.
pub(super) const LOOK_AGAIN_MS: i64 = 100;
/// How often a client that ends is looked at: its launcher makes it end long before.
pub(super) const MOST_LOOKS_AT_CLIENT: u32 = 200;

/// What came of an effect.
pub enum Ran {
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
}

impl Effects {
    /// Does one effect.
    pub fn run(&self, pending: &PendingEffect) -> Ran {
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
            (Effect::Notify { text, .. }, _) => {
                self.notifier.notify(text);
                self.multiplexer.toast(text, false);
                Ran::Done(Vec::new())
            }
            // Stored by former versions; tabs are marked by `marks`.
            (Effect::NameTab { .. }, _) => Ran::Done(Vec::new()),
            // The session was never heard of: nothing can be done for it.
            (_, None) => Ran::Done(Vec::new()),
            (Effect::PrepareSession { .. }, Some(session)) => self.prepare(&session),
            (Effect::OpenPane { .. }, Some(session)) => self.open_pane(&session),
            (Effect::ResumeClient { .. }, Some(session)) => self.resume(&session),
            (Effect::EndClient { resume, .. }, Some(session)) => {
                self.end_client(&session, *resume, pending.attempts)
            }
            (Effect::CloseTab { .. }, Some(session)) => self.close_tab(&session),
            (Effect::RemoveWorktree { .. }, Some(session)) => {
                self.remove_worktree(&session, pending.attempts)
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

    fn open_pane(&self, session: &Session) -> Ran {
        if !session.is_open() || session.running_client().is_some() {
            return Ran::Done(Vec::new());
        }
        let Some(worktree) = session.worktree.get() else {
            return Ran::Done(Vec::new());
        };
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

    fn resume(&self, session: &Session) -> Ran {
        if !session.is_open() || session.running_client().is_some() {
            return Ran::Done(Vec::new());
        }
        // The launcher waits in its pane unless the pane is gone; then a new pane brings a new launcher.
        let told = session
            .pane
            .get()
            .and_then(|_| self.launchers.resume(session.id, 0).ok())
            .unwrap_or(false);
        if told {
            Ran::Done(Vec::new())
        } else {
            self.open_pane(session)
        }
    }

    fn end_client(&self, session: &Session, resume: bool, attempts: u32) -> Ran {
        let pid = session
            .running_client()
            .map_or(0, |client| client.launcher_pid);
        match self.launchers.end(session.id, pid, resume) {
            Ok(true) => Ran::Done(Vec::new()),
            Ok(false) if resume => self.open_pane(session),
            Ok(false) => Ran::Done(Vec::new()),
            Err(error) if attempts > 3 => Ran::Failed {
                error,
                commands: Vec::new(),
            },
            Err(error) => Ran::Later {
                after_ms: 500,
                why: error.message,
            },
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
