//! Makes stores of any size through the store's own interface: projects, tasks and sessions as a long use leaves them.

use claustre::store::{Store, StoreError};
use claustre_domain::command::CreateTask;
use claustre_domain::event::{
    Event, NewSubtask, ProjectAdded, SessionOpened, TaskCreated, UsageTotals,
};
use claustre_protocol::{
    ids::{AssignmentId, ProjectId, SessionId, SubtaskId, TaskId},
    status::{ClaudeStatus, LogLevel, Mode, Priority, Reason, Source, TaskStatus},
    time::Timestamp,
};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Events of one transaction: enough that the disk does not count, few enough to keep in memory.
const BATCH: usize = 20_000;
/// The secret of every generated session.
pub const TOKEN: &str = "the-token-of-a-generated-session";

/// What to make.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub projects: usize,
    pub tasks: usize,
    /// Sessions, the first of them on the first tasks.
    pub sessions: usize,
    /// Of them, how many are still open.
    pub open_sessions: usize,
    /// Events of history to add beyond what makes the entities.
    pub history: usize,
    /// Paths of the projects' repositories; a made-up one where there are fewer.
    pub repositories: Vec<String>,
    /// Name of this host, as the sessions have it.
    pub host: String,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            projects: 1,
            tasks: 0,
            sessions: 0,
            open_sessions: 0,
            history: 0,
            repositories: Vec::new(),
            host: "bench".into(),
        }
    }
}

/// What was made.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    pub projects: Vec<ProjectId>,
    pub tasks: Vec<TaskId>,
    pub sessions: Vec<SessionId>,
    pub events: usize,
}

struct Writer<'store> {
    store: &'store mut Store,
    waiting: Vec<Event>,
    at: i64,
    written: usize,
}

impl Writer<'_> {
    fn event(&mut self, event: Event) -> Result<(), StoreError> {
        self.waiting.push(event);
        if self.waiting.len() >= BATCH {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.at += 1_000;
        self.written += self.waiting.len();
        let mut transaction = self.store.begin(Timestamp::from_millis(self.at))?;
        for event in self.waiting.drain(..) {
            transaction.append(event, "bench", None)?;
        }
        transaction.commit().map(drop)
    }
}

/// Fills a store.
///
/// # Errors
/// The store refuses.
pub fn fill(store: &mut Store, wanted: &Wanted) -> Result<Fleet, StoreError> {
    let mut fleet = Fleet::default();
    let mut writer = Writer {
        store,
        waiting: Vec::with_capacity(BATCH),
        at: 1_790_000_000_000,
        written: 0,
    };
    for number in 0..wanted.projects {
        let project = ProjectId::new(Uuid::new_v4());
        fleet.projects.push(project);
        let repo_path = wanted
            .repositories
            .get(number)
            .cloned()
            .unwrap_or_else(|| format!("/nonexistent/repository-{number}"));
        writer.event(Event::ProjectAdded(ProjectAdded {
            project,
            name: format!("project-{number:02}"),
            repo_path,
            default_branch: "main".into(),
            goal: "carry the load of a benchmark".into(),
            owner: "bench".into(),
        }))?;
    }
    for number in 0..wanted.tasks {
        let task = TaskId::new(Uuid::new_v4());
        fleet.tasks.push(task);
        let project = fleet.projects[number % wanted.projects];
        writer.event(created(task, project, number))?;
    }
    for number in 0..wanted.sessions {
        let session = SessionId::new(Uuid::new_v4());
        fleet.sessions.push(session);
        let project = fleet.projects[number % wanted.projects];
        let task = fleet.tasks.get(number).copied();
        for event in opened(session, project, task, number, &wanted.host) {
            writer.event(event)?;
        }
        if number >= wanted.open_sessions {
            writer.event(Event::SessionClosed {
                session,
                why: Reason::Closed,
                shown: None,
            })?;
        }
    }
    for number in 0..wanted.history {
        let event = happened(&fleet, number);
        writer.event(event)?;
    }
    writer.flush()?;
    fleet.events = writer.written;
    store.checkpoint()?;
    Ok(fleet)
}

fn created(task: TaskId, project: ProjectId, number: usize) -> Event {
    // Of a board in use most is done.
    let status = match number % 20 {
        0 => TaskStatus::Working,
        1 => TaskStatus::InReview,
        2 => TaskStatus::Blocked,
        3..6 => TaskStatus::Pending,
        6 => TaskStatus::Draft,
        _ => TaskStatus::Done,
    };
    let title = format!("Task {number:06}: make the reader of a page find what it looks for");
    Event::TaskCreated(Box::new(TaskCreated {
        description: "The list loses its place when a page is reloaded. Keep the place in the address, read it back at \
                      the start, and say so where it cannot be found any more."
            .into(),
        status,
        mode: Mode::Supervised,
        priority: Priority::new(u8::try_from(number % 5).unwrap_or(2)).unwrap_or_default(),
        rank: number as f64,
        subtasks: ["find the callers", "change them"]
            .into_iter()
            .filter(|_| number.is_multiple_of(4))
            .map(|title| NewSubtask {
                subtask: SubtaskId::new(Uuid::new_v4()),
                title: title.into(),
            })
            .collect(),
        ..CreateTask::new(task, project, title).into()
    }))
}

fn opened(
    session: SessionId,
    project: ProjectId,
    task: Option<TaskId>,
    number: usize,
    host: &str,
) -> Vec<Event> {
    let branch = format!("task/make-the-reader-{number:06}");
    let claude_session_id = Uuid::new_v4().to_string();
    let token_hash = Sha256::digest(TOKEN.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut events = vec![Event::SessionOpened(Box::new(SessionOpened {
        session,
        project,
        task,
        title: format!("Task {number:06}"),
        branch: branch.clone(),
        base: None,
        tab_name: format!("project:{branch}"),
        mode: Mode::Supervised,
        host: host.into(),
        claude_session_id: claude_session_id.clone(),
        token_hash,
        prompt: None,
        model: None,
        effort: None,
        permission_mode: None,
    }))];
    if let Some(task) = task {
        events.push(Event::TaskAssigned {
            assignment: AssignmentId::new(Uuid::new_v4()),
            task,
            session,
            edit_no: 1,
        });
    }
    events.push(Event::SessionWorktreeReady {
        session,
        path: format!("/nonexistent/worktrees/{branch}"),
        branch,
        base: "main".into(),
        base_commit: "0123456789abcdef0123456789abcdef01234567".into(),
        reused: false,
        notes: Vec::new(),
    });
    events.push(Event::SessionIdentified {
        session,
        claude_session_id,
        transcript_path: format!("/nonexistent/transcripts/{number}.jsonl"),
        model: Some("claude-opus".into()),
    });
    events.push(status(session, ClaudeStatus::Idle, "ready"));
    events
}

fn status(session: SessionId, status: ClaudeStatus, detail: &str) -> Event {
    Event::SessionStatusChanged {
        session,
        status,
        reason: None,
        source: Source::Hook,
        since: Timestamp::from_millis(1_790_000_000_000),
        detail: detail.into(),
    }
}

/// What happens while sessions work: mostly their status, notes in timelines, usage at the end of a turn, steps done.
fn happened(fleet: &Fleet, number: usize) -> Event {
    let task = fleet.tasks[number % fleet.tasks.len()];
    let session = fleet.sessions[number % fleet.sessions.len()];
    match number % 8 {
        0 | 4 => status(session, ClaudeStatus::Working, "rewriting the reader"),
        1 | 5 => status(session, ClaudeStatus::Idle, "the turn ended"),
        2 => Event::UsageRecorded {
            session,
            task: Some(task),
            totals: UsageTotals {
                input_tokens: number as u64,
                output_tokens: number as u64 / 4,
                cache_read_tokens: number as u64 * 3,
                cache_write_tokens: number as u64,
                cost: number as f64 / 1e4,
            },
        },
        3 => Event::TaskStatusChanged {
            task,
            from: TaskStatus::Pending,
            to: TaskStatus::Working,
            reason: None,
            edit_no: u32::try_from(number / 8 + 2).unwrap_or(u32::MAX),
        },
        6 => Event::SessionReported {
            session,
            task: Some(task),
            state: "working".into(),
            message: "refactoring the middleware of the reader".into(),
        },
        _ => Event::TaskNoted {
            task: Some(task),
            session: Some(session),
            source: "mcp".into(),
            level: LogLevel::Info,
            text: "found 14 callers in 6 files, all of them in the reader".into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use claustre::store::{ReplayMode, SessionFilter};

    use super::*;

    #[test]
    fn a_generated_store_is_what_its_log_makes() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("claustre.db"), Uuid::new_v4).unwrap();
        let wanted = Wanted {
            projects: 2,
            tasks: 30,
            sessions: 10,
            open_sessions: 4,
            history: 100,
            ..Wanted::default()
        };
        let fleet = fill(&mut store, &wanted).unwrap();
        assert_eq!((fleet.tasks.len(), fleet.sessions.len()), (30, 10));
        let report = store.replay(ReplayMode::Compare).unwrap();
        assert_eq!((report.events, report.different), (fleet.events as u64, 0));
        let open = store
            .reader()
            .unwrap()
            .sessions(SessionFilter {
                open_only: true,
                ..SessionFilter::default()
            })
            .unwrap();
        assert_eq!(open.len(), 4);
    }
}
