//! The worktree of a session: made with its launch plan before the client starts, kept in a snapshot and removed after it ended.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{MutexGuard, PoisonError},
};

use claustre_domain::{
    command::{Command, SessionCommand, TaskCommand, WorktreeCommand},
    effect::Effect,
    event::SessionOpened,
    session::Session,
};
use claustre_protocol::{
    ids::{SessionId, TaskId},
    request::{RemovalPreview, ShownLoss, file_count},
    rpc::Fault,
    status::LogLevel,
    time::Timestamp,
};
use tokio::sync::oneshot;

use super::{
    effects::{Effects, LOOK_AGAIN_MS, Ran, launch_failed},
    lanes::Lane,
    reports::Input,
};
use crate::ports::{
    Launchers, PlanOrder, PortError, RemovalFacts, RemovalOrder, RunningProcess, ScriptFailure,
    ScriptOrder, WorktreeFacts, WorktreeOrder,
};

/// So often what still runs in a worktree is looked at before it stays, over half a minute in all: a launcher makes its client end
/// within five seconds.
const MOST_LOOKS_AT_WRITERS: u32 = 80;
/// The first looks come at short intervals.
const FREQUENT_LOOKS: u32 = 20;
/// The others at these.
const LOOK_SELDOM_MS: i64 = 500;

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
                let Effect::RemoveWorktree { session, .. } = waiting.effect else {
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
            Command::Task(TaskCommand::Note {
                task: opened.task,
                session: Some(id),
                source: "launch".into(),
                level: LogLevel::Warn,
                text,
            })
        }));
        Ok(Some(commands))
    }

    fn made(&self) -> MutexGuard<'_, BTreeMap<SessionId, WorktreeFacts>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the worktree of a closed session once nothing writes there any more. Where that does not come, or something would be
    /// lost that nobody was shown, the worktree stays and the timeline says why.
    pub(super) fn remove_worktree(
        &self,
        session: &Session,
        shown: Option<&ShownLoss>,
        attempts: u32,
        lane: Lane,
    ) -> Ran {
        let (Some(opened), Some(worktree)) = (session.opened.as_deref(), session.worktree.get())
        else {
            return Ran::Done(Vec::new());
        };
        if self.is_shared(session) {
            return Ran::Done(Vec::new());
        }
        // What is still written belongs into the snapshot.
        let path = Path::new(&worktree.path);
        if let Some(why) = who_writes(self.launchers.as_ref(), session.id, path) {
            return look_again_or_stay(session, attempts, PortError::lasting(why, None));
        }
        let repository = match self.project_of(opened).and_then(|project| {
            project
                .path_on(self.engine.machine)
                .map(PathBuf::from)
                .ok_or_else(|| {
                    PortError::lasting("its project has no repository on this host", None)
                })
        }) {
            Ok(repository) => repository,
            Err(error) => return stays(session, error),
        };
        // A worktree that stays is not torn down.
        match self.workspace.preview_removal(&repository, path) {
            Ok(RemovalPreview {
                stays: Some(why), ..
            }) => return stays(session, PortError::lasting(why, None)),
            Err(error) => return stays(session, error),
            Ok(_) => {}
        }
        let around = ScriptOrder {
            session: session.id,
            repository: repository.clone(),
            project: match self.project_of(opened) {
                Ok(project) => project.name.value(),
                Err(error) => return stays(session, error),
            },
            worktree: path.to_owned(),
            branch: worktree.branch.clone(),
            base: worktree.base.clone(),
        };
        if lane != Lane::Scripts && self.scripts.has_teardown(&around) {
            return Ran::Onward(Lane::Scripts);
        }
        // A script that fails keeps nobody from tidying up: its worktree's work is kept all the same.
        let mut commands = match self.scripts.teardown(&around) {
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
        let removal = self.workspace.remove(&RemovalOrder {
            repository,
            path: path.to_owned(),
            snapshot: session.id.to_string(),
            shown: shown.cloned(),
        });
        match removal {
            Ok(removed) => {
                commands.extend(removed_commands(session, &removed));
                Ran::Done(commands)
            }
            Err(error) => stays(session, error),
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

/// What still runs in a worktree, in words; none where nothing does.
pub fn who_writes(launchers: &dyn Launchers, session: SessionId, path: &Path) -> Option<String> {
    in_words(launchers.running(session), launchers.working_in(path))
}

/// The processes of the session and others in the worktree, each named once.
fn in_words(mut running: Vec<RunningProcess>, others: Vec<RunningProcess>) -> Option<String> {
    for other in others {
        if !running.iter().any(|known| known.pid == other.pid) {
            running.push(other);
        }
    }
    let named: Vec<String> = running
        .iter()
        .take(3)
        .map(|one| match one.pid {
            Some(pid) => format!("{} (process {pid})", one.what),
            None => one.what.clone(),
        })
        .collect();
    let more = match running.len().saturating_sub(named.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let verb = if running.len() == 1 { "runs" } else { "run" };
    (!named.is_empty()).then(|| format!("{}{more} still {verb} there", named.join(", ")))
}

/// What to store after a worktree was removed.
pub fn removed_commands(session: &Session, removed: &RemovalFacts) -> Vec<Command> {
    let mut commands = Vec::new();
    if !removed.lost.is_empty() {
        let files = removed.lost.iter().map(|lost| lost.files).sum();
        let bytes = removed.lost.iter().map(|lost| lost.bytes).sum();
        let named: Vec<&str> = removed
            .lost
            .iter()
            .take(5)
            .map(|lost| lost.path.as_str())
            .collect();
        let more = match removed.lost.len() - named.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        commands.push(note(
            session,
            LogLevel::Info,
            format!(
                "gone for good with the worktree, ignored and too large to be kept: {}{more} ({})",
                named.join(", "),
                file_count(files, bytes)
            ),
        ));
    }
    commands.push(Command::Worktree(WorktreeCommand::ReportRemoved {
        session: session.id,
        snapshot: removed.snapshot.clone(),
        branch_deleted: removed.branch_deleted,
    }));
    commands
}

/// Waits a little longer for what may pass; after the deadline the worktree stays.
fn look_again_or_stay(session: &Session, attempts: u32, error: PortError) -> Ran {
    if attempts >= MOST_LOOKS_AT_WRITERS {
        return stays(session, error);
    }
    if attempts.is_multiple_of(FREQUENT_LOOKS) {
        tracing::info!(session = %session.id, why = error.message, "a worktree waits to be removed");
    }
    Ran::Later {
        after_ms: if attempts < FREQUENT_LOOKS {
            LOOK_AGAIN_MS
        } else {
            LOOK_SELDOM_MS
        },
        why: error.message,
    }
}

/// Gives a removal up: nothing is lost, and the timeline says why and what to do.
fn stays(session: &Session, error: PortError) -> Ran {
    let why = note(
        session,
        LogLevel::Warn,
        format!(
            "the worktree stays: {}; remove it later with: claustre worktree remove {}",
            error.message,
            session.id.short()
        ),
    );
    Ran::Failed {
        error,
        commands: vec![why],
    }
}

fn note(session: &Session, level: LogLevel, text: String) -> Command {
    Command::Task(TaskCommand::Note {
        task: session.about(),
        session: Some(session.id),
        source: "worktree".into(),
        level,
        text,
    })
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
    vec![Command::Task(TaskCommand::Note {
        task,
        session: Some(session),
        source: script.into(),
        level: LogLevel::Error,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_still_writes_in_a_worktree_is_named_once() {
        let one = |pid, what: &str| RunningProcess {
            pid,
            what: what.to_owned(),
        };
        let told = |of_session: &[RunningProcess], others: &[RunningProcess]| {
            in_words(of_session.to_vec(), others.to_vec())
        };
        assert_eq!(told(&[], &[]), None);
        assert_eq!(
            told(&[one(None, "its launcher")], &[]).as_deref(),
            Some("its launcher still runs there")
        );
        assert_eq!(
            told(
                &[one(Some(7), "its client"), one(None, "its launcher")],
                &[
                    one(Some(7), "claude --resume"),
                    one(Some(8), "npm run dev"),
                    one(Some(9), "sh")
                ]
            )
            .as_deref(),
            Some(
                "its client (process 7), its launcher, npm run dev (process 8) and 1 more still run there"
            )
        );
    }

    #[test]
    fn a_worktree_that_somebody_writes_in_stays_after_the_deadline_and_says_why() {
        let session = Session::new(SessionId::new(uuid::Uuid::nil()));
        let why = || PortError::lasting("its client still runs there", None);
        let waited: i64 = (0..MOST_LOOKS_AT_WRITERS)
            .map(
                |attempts| match look_again_or_stay(&session, attempts, why()) {
                    Ran::Later { after_ms, .. } => after_ms,
                    _ => panic!("given up at {attempts}"),
                },
            )
            .sum();
        assert!((20_000..60_000).contains(&waited), "{waited} ms");
        let Ran::Failed { error, commands } =
            look_again_or_stay(&session, MOST_LOOKS_AT_WRITERS, why())
        else {
            panic!("still waiting");
        };
        assert!(!error.passing);
        let [Command::Task(TaskCommand::Note { text, .. })] = commands.as_slice() else {
            panic!("{commands:?}");
        };
        assert!(
            text.starts_with("the worktree stays: its client still runs there")
                && text.contains("claustre worktree remove"),
            "{text}"
        );
    }
}
