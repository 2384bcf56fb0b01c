//! The worktree of a session: made with its launch plan before the client starts, kept in a snapshot and removed after it ended.

use std::{
    collections::BTreeMap,
    sync::{MutexGuard, PoisonError},
};

use claustre_domain::{
    command::{Command, SessionCommand, WorktreeCommand},
    effect::Effect,
    event::SessionOpened,
    session::Session,
};
use claustre_protocol::{
    ids::{SessionId, TaskId},
    rpc::Fault,
    time::Timestamp,
};
use tokio::sync::oneshot;

use super::{
    effects::{Effects, LOOK_AGAIN_MS, MOST_LOOKS_AT_CLIENT, Ran, launch_failed},
    lanes::Lane,
    reports::Input,
};
use crate::ports::{
    PlanOrder, PortError, ScriptFailure, ScriptOrder, WorktreeFacts, WorktreeOrder,
};

impl Effects {
    pub(super) fn prepare(&self, session: &Session, lane: Lane) -> Ran {
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
        match self.make_ready(session.id, opened, lane) {
            Ok(Some(commands)) => Ran::Done(commands),
            Ok(None) => Ran::Onward(Lane::Scripts),
            Err(failure) => match launch_failed(session.id, failure.error) {
                Ran::Failed {
                    error,
                    mut commands,
                } => {
                    commands.splice(
                        0..0,
                        tail_note(session.id, opened.task, "setup", &failure.tail),
                    );
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

    /// None: the worktree is made, and a script is to be run in its own lane.
    fn make_ready(
        &self,
        id: SessionId,
        opened: &SessionOpened,
        lane: Lane,
    ) -> Result<Option<Vec<Command>>, ScriptFailure> {
        let project = self.project_of(opened)?;
        let repository = project
            .path_on(self.engine.machine)
            .ok_or_else(|| PortError::lasting("its project has no repository on this host", None))?
            .to_owned();
        let worktree = match self.made().remove(&id) {
            Some(made) => made,
            None => self.workspace.prepare(&WorktreeOrder {
                repository: repository.clone().into(),
                project: project.name.value(),
                branch: opened.branch.clone(),
                base: opened
                    .base
                    .clone()
                    .or_else(|| project.default_branch.get().cloned()),
            })?,
        };
        let token = (self.tokens)(id)?;
        let around = ScriptOrder {
            session: id,
            repository: repository.clone().into(),
            project: project.name.value(),
            worktree: worktree.path.clone(),
            branch: worktree.branch.clone(),
            base: worktree.base.clone(),
        };
        if lane != Lane::Scripts && self.scripts.has_setup(&around) {
            self.made().insert(id, worktree);
            return Ok(None);
        }
        let said = self.scripts.setup(&around)?;
        let hooks = self.scripts.git_hooks(&around)?;
        let brief = self.workspace.brief(repository.as_ref(), &worktree.path);
        let (reply, mut answer) = oneshot::channel();
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
        let foreseen = self.engine.answer_of(&mut answer).ok_or_else(ended)??;
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
        Ok(Some(commands))
    }

    fn made(&self) -> MutexGuard<'_, BTreeMap<SessionId, WorktreeFacts>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn remove_worktree(&self, session: &Session, attempts: u32, lane: Lane) -> Ran {
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
            if lane != Lane::Scripts && self.scripts.has_teardown(&around) {
                return Ok(None);
            }
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
                    tail_note(session.id, session.about(), "teardown", &text)
                }
            };
            let removed = self.workspace.remove(
                repository.as_ref(),
                worktree.path.as_ref(),
                &session.id.to_string(),
            )?;
            Ok(Some((removed, notes)))
        });
        match removal {
            Ok(None) => Ran::Onward(Lane::Scripts),
            Ok(Some((removed, mut commands))) => {
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
                    task: session.about(),
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
}

/// The end of a script's output, for the timeline.
pub(super) fn tail_note(
    session: SessionId,
    task: Option<TaskId>,
    script: &str,
    tail: &str,
) -> Vec<Command> {
    if tail.is_empty() {
        return Vec::new();
    }
    vec![Command::Task(claustre_domain::command::TaskCommand::Note {
        task,
        session: Some(session),
        source: script.into(),
        level: claustre_protocol::status::LogLevel::Error,
        text: tail.into(),
    })]
}

impl From<PortError> for ScriptFailure {
    fn from(error: PortError) -> Self {
        Self {
            error,
            tail: String::new(),
        }
    }
}
