//! How each effect is done, through the ports. Every one may be repeated.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, mpsc},
};

use claustre_domain::{
    command::{Command, SessionCommand, WorktreeCommand},
    effect::Effect,
    event::SessionOpened,
    project::Project,
    session::{Pane, Session},
};
use claustre_protocol::{
    ids::{MessageId, SessionId},
    rpc::Fault,
    status::{ClaudeStatus, TaskStatus},
    time::Timestamp,
};
use tokio::sync::oneshot;

use super::{Engine, reports::Input};
use crate::{
    ports::{
        Launchers, Multiplexer, Notifier, PaneFacts, PaneOrder, PlanOrder, PortError,
        ScriptFailure, ScriptOrder, Scripts, Workspace, WorktreeOrder,
    },
    store::PendingEffect,
};

/// How soon what must go before is looked at again.
const LOOK_AGAIN_MS: i64 = 100;
/// How often a client that ends is looked at: its launcher makes it end long before.
const MOST_LOOKS_AT_CLIENT: u32 = 200;

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
    /// How often each message was typed and not taken.
    pub deaf: Mutex<BTreeMap<MessageId, u32>>,
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
            (Effect::NameTab { .. }, Some(session)) => self.name_tab(&session),
        }
    }

    fn session(&self, id: SessionId) -> Result<Option<Session>, Fault> {
        self.engine.read_blocking(|reader| reader.session(id))
    }

    fn project_of(&self, opened: &SessionOpened) -> Result<Project, PortError> {
        self.engine
            .read_blocking(|reader| reader.project(opened.project))
            .map_err(|fault| PortError::passing(fault.message))?
            .ok_or_else(|| PortError::lasting("its project is not known", None))
    }

    fn prepare(&self, session: &Session) -> Ran {
        let Some(opened) = session.opened.as_deref().filter(|_| session.is_open()) else {
            return Ran::Done(Vec::new());
        };
        // A session of the same branch may just have been closed: its worktree must be kept and gone before it is made anew.
        match self.is_being_removed(opened) {
            Ok(false) => {}
            Ok(true) => {
                return Ran::Later {
                    after_ms: LOOK_AGAIN_MS,
                    why: "the last worktree of its branch is being removed".into(),
                };
            }
            Err(fault) => return launch_failed(session.id, PortError::passing(fault.message)),
        }
        match self.make_ready(session.id, opened) {
            Ok(commands) => Ran::Done(commands),
            Err(failure) => match launch_failed(session.id, failure.error) {
                Ran::Failed {
                    error,
                    mut commands,
                } => {
                    commands.splice(0..0, tail_note(session.id, opened, "setup", &failure.tail));
                    Ran::Failed { error, commands }
                }
                other => other,
            },
        }
    }

    /// Waits a removal of this branch's worktree in the outbox?
    fn is_being_removed(&self, opened: &SessionOpened) -> Result<bool, Fault> {
        self.engine.read_blocking(|reader| {
            let whenever = Timestamp::from_millis(i64::MAX);
            for waiting in reader.pending_effects(whenever, usize::MAX)? {
                let Effect::RemoveWorktree { session } = waiting.effect else {
                    continue;
                };
                let same = reader.session(session)?.is_some_and(|other| {
                    other.project() == Some(opened.project) && other.branch() == opened.branch
                });
                if same {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    fn make_ready(
        &self,
        id: SessionId,
        opened: &SessionOpened,
    ) -> Result<Vec<Command>, ScriptFailure> {
        let project = self.project_of(opened)?;
        let repository = project
            .path_on(self.engine.machine)
            .ok_or_else(|| PortError::lasting("its project has no repository on this host", None))?
            .to_owned();
        let worktree = self.workspace.prepare(&WorktreeOrder {
            repository: repository.clone().into(),
            project: project.name.value(),
            branch: opened.branch.clone(),
            base: opened
                .base
                .clone()
                .or_else(|| project.default_branch.get().cloned()),
        })?;
        let token = (self.tokens)(id)?;
        let around = ScriptOrder {
            session: id,
            repository: repository.clone().into(),
            project: project.name.value(),
            worktree: worktree.path.clone(),
            branch: worktree.branch.clone(),
            base: worktree.base.clone(),
        };
        let said = self.scripts.setup(&around)?;
        let hooks = self.scripts.git_hooks(&around)?;
        let brief = self.workspace.brief(repository.as_ref(), &worktree.path);
        let (reply, answer) = oneshot::channel();
        let plan = PlanOrder {
            session: id,
            claude_session_id: opened.claude_session_id.clone(),
            token,
            cwd: worktree.path.clone(),
            repository: repository.clone().into(),
            title: opened.title.clone(),
            prompt: opened.prompt.clone(),
            mode: opened.mode,
            model: opened.model.clone(),
            effort: opened.effort.clone(),
            permission_mode: opened.permission_mode.clone(),
            append_system_prompt: brief.prompt,
            env: hooks.env,
        };
        let ended = || PortError::passing("writing the launch plan: the daemon is ending");
        self.reports
            .send(Input::Plan {
                order: Box::new(plan),
                reply,
            })
            .map_err(|_| ended())?;
        let foreseen = answer.blocking_recv().map_err(|_| ended())??;
        let mut notes = Vec::new();
        for note in [worktree.notes, said, hooks.notes, brief.notes, foreseen]
            .into_iter()
            .flatten()
        {
            // Scripts and hooks may have the same to say.
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        let mut commands = vec![Command::Session(SessionCommand::ReportWorktree {
            session: id,
            path: worktree.path.display().to_string(),
            branch: worktree.branch,
            base: worktree.base,
            base_commit: worktree.base_commit,
            reused: worktree.reused,
            notes: Vec::new(),
        })];
        // Each a line of its own in the timeline of the task, where they are looked for.
        commands.extend(notes.into_iter().map(|text| {
            Command::Task(claustre_domain::command::TaskCommand::Note {
                task: opened.task,
                session: Some(id),
                source: "launch".into(),
                level: claustre_protocol::status::LogLevel::Warn,
                text,
            })
        }));
        Ok(commands)
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
        match self.multiplexer.close(&facts(pane), &session.tab_name()) {
            Ok(()) => Ran::Done(Vec::new()),
            Err(error) => Ran::Failed {
                error,
                commands: Vec::new(),
            },
        }
    }

    fn remove_worktree(&self, session: &Session, attempts: u32) -> Ran {
        let (Some(opened), Some(worktree)) = (session.opened.as_deref(), session.worktree.get())
        else {
            return Ran::Done(Vec::new());
        };
        if self.is_shared(session) {
            return Ran::Done(Vec::new());
        }
        // A client that is still ending may still write: what it writes belongs into the snapshot.
        let writes = session
            .running_client()
            .is_some_and(|client| self.launchers.is_alive(client.pid));
        if writes && attempts < MOST_LOOKS_AT_CLIENT {
            return Ran::Later {
                after_ms: LOOK_AGAIN_MS,
                why: "its client has not ended yet".into(),
            };
        }
        let removal = self.project_of(opened).and_then(|project| {
            let repository = project
                .path_on(self.engine.machine)
                .ok_or_else(|| {
                    PortError::lasting("its project has no repository on this host", None)
                })?
                .to_owned();
            let around = ScriptOrder {
                session: session.id,
                repository: repository.clone().into(),
                project: project.name.value(),
                worktree: worktree.path.clone().into(),
                branch: worktree.branch.clone(),
                base: worktree.base.clone(),
            };
            // A script that fails keeps nobody from tidying up: its worktree's work is kept all the same.
            let notes = match self.scripts.teardown(&around) {
                Ok(notes) => {
                    for note in notes {
                        tracing::info!(session = %session.id, note, "before a worktree is removed");
                    }
                    Vec::new()
                }
                Err(failure) => {
                    let text = format!("{}\n{}", failure.error.message, failure.tail);
                    tail_note(session.id, opened, "teardown", &text)
                }
            };
            let removed = self.workspace.remove(
                repository.as_ref(),
                worktree.path.as_ref(),
                &session.id.to_string(),
            )?;
            Ok((removed, notes))
        });
        match removal {
            Ok((removed, mut commands)) => {
                commands.push(Command::Worktree(WorktreeCommand::ReportRemoved {
                    session: session.id,
                    snapshot: removed.snapshot,
                    branch_deleted: removed.branch_deleted,
                }));
                Ran::Done(commands)
            }
            // The worktree simply stays: nothing is lost, and the timeline says why.
            Err(error) => {
                let note = Command::Task(claustre_domain::command::TaskCommand::Note {
                    task: opened.task,
                    session: Some(session.id),
                    source: "worktree".into(),
                    level: claustre_protocol::status::LogLevel::Warn,
                    text: format!("the worktree stays: {}", error.message),
                });
                Ran::Failed {
                    error,
                    commands: vec![note],
                }
            }
        }
    }

    /// Does another open session work, or is it about to work, in the same directory?
    fn is_shared(&self, session: &Session) -> bool {
        self.engine
            .read_blocking(|reader| {
                reader.sessions(crate::store::SessionFilter {
                    project: session.project(),
                    open_only: true,
                })
            })
            .is_ok_and(|open| {
                open.iter()
                    .any(|other| other.id != session.id && other.branch() == session.branch())
            })
    }

    fn name_tab(&self, session: &Session) -> Ran {
        let Some(pane) = session.pane.get().filter(|_| session.is_open()) else {
            return Ran::Done(Vec::new());
        };
        let name = format!("{}{}", self.mark(session), session.tab_name());
        match self.multiplexer.rename(&facts(pane), &name) {
            Ok(()) => Ran::Done(Vec::new()),
            // A tab's name is not worth repeating: the next change of status names it again.
            Err(error) => {
                tracing::debug!(error = %error.message, "naming a tab");
                Ran::Done(Vec::new())
            }
        }
    }

    /// The mark before a tab's name while its session needs a person.
    fn mark(&self, session: &Session) -> &'static str {
        let standing = session.status();
        if !session.asks.is_empty() || standing.status == ClaudeStatus::WaitingForInput {
            return "▲ ";
        }
        if standing.status == ClaudeStatus::Error {
            return "✗ ";
        }
        let in_review = session.task.value().is_some_and(|task| {
            self.engine
                .read_blocking(|reader| reader.task(task))
                .is_ok_and(|task| {
                    task.is_some_and(|task| task.status_now() == TaskStatus::InReview)
                })
        });
        if in_review { "◐ " } else { "" }
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

impl From<PortError> for ScriptFailure {
    fn from(error: PortError) -> Self {
        Self {
            error,
            tail: String::new(),
        }
    }
}

/// The end of a script's output, for the timeline.
pub(super) fn tail_note(
    session: SessionId,
    opened: &SessionOpened,
    script: &str,
    tail: &str,
) -> Vec<Command> {
    if tail.is_empty() {
        return Vec::new();
    }
    vec![Command::Task(claustre_domain::command::TaskCommand::Note {
        task: opened.task,
        session: Some(session),
        source: script.into(),
        level: claustre_protocol::status::LogLevel::Error,
        text: tail.into(),
    })]
}

fn launch_failed(session: SessionId, error: PortError) -> Ran {
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
