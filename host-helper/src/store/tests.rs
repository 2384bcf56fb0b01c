mod outbox;
mod random;
mod repair;
mod safety;
mod sync;
// The random stories of the domain's tests, told to a real store.
#[path = "../../domain/tests/support/mod.rs"]
mod support;

use std::path::PathBuf;

use claustre_domain::{
    Context,
    command::{Command, CreateTask, OpenSession, ProjectCommand, SessionCommand, TaskCommand},
    decide,
    effect::Effect,
    entity::EntityRef,
    event::{Event, Recorded},
    react,
};
use claustre_protocol::{
    ids::{AskId, AssignmentId, MessageId, ProjectId, SessionId, TaskId},
    model::AskKind,
    status::{LogLevel, Mode, TaskStatus},
    time::Timestamp,
};
use tempfile::TempDir;

use super::*;

/// A store in a directory of its own, with a clock that the test turns.
struct Bench {
    directory: TempDir,
    store: Option<Store>,
    now: i64,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = open_at(&directory.path().join("home/claustre.db")).unwrap();
        Self {
            directory,
            store: Some(store),
            now: 1_800_000_000_000,
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("home/claustre.db")
    }

    fn store(&mut self) -> &mut Store {
        self.store.as_mut().unwrap()
    }

    fn reader(&self) -> Reader {
        self.store.as_ref().unwrap().reader().unwrap()
    }

    fn reopen(&mut self) {
        self.store = None;
        self.store = Some(open_at(&self.path()).unwrap());
    }

    /// Decides, appends, reacts and commits, as the engine does.
    fn run(&mut self, command: impl Into<Command>) -> Vec<Recorded> {
        self.now += 1;
        let now = Timestamp::from_millis(self.now);
        let mut transaction = self.store().begin(now).unwrap();
        let recorded = run_in(&mut transaction, &command.into(), now);
        transaction.commit().unwrap();
        recorded
    }

    fn project(&mut self, name: &str) -> ProjectId {
        let project = ProjectId::new(Uuid::new_v4());
        self.run(Command::Project(ProjectCommand::Add {
            project,
            name: name.into(),
            repo_path: format!("/code/{name}"),
            default_branch: "main".into(),
            goal: "a goal".into(),
            owner: "ana".into(),
        }));
        project
    }

    fn task(&mut self, project: ProjectId, title: &str) -> TaskId {
        let task = TaskId::new(Uuid::new_v4());
        self.run(Command::Task(TaskCommand::Create(Box::new(new_task(
            task, project, title,
        )))));
        task
    }

    fn launch(&mut self, project: ProjectId, task: TaskId) -> SessionId {
        let session = SessionId::new(Uuid::new_v4());
        self.run(Command::Task(TaskCommand::Launch {
            task,
            assignment: AssignmentId::new(Uuid::new_v4()),
            open: Box::new(OpenSession {
                session,
                project,
                title: "fix it".into(),
                branch: format!("task/{}", task.short()),
                base: None,
                mode: Mode::Autonomous,
                host: "here".into(),
                claude_session_id: Uuid::new_v4().to_string(),
                token_hash: "hash".into(),
                prompt: Some("fix it".into()),
                model: None,
                effort: None,
                permission_mode: None,
            }),
        }));
        session
    }
}

fn new_task(task: TaskId, project: ProjectId, title: &str) -> CreateTask {
    CreateTask {
        description: "do it well".into(),
        mode: Mode::Autonomous,
        budget_usd: Some(0.1 + 0.2),
        ..CreateTask::new(task, project, title)
    }
}

fn run_in(transaction: &mut Transaction<'_>, command: &Command, now: Timestamp) -> Vec<Recorded> {
    let events = decide(transaction, command, Context { now }).unwrap();
    let recorded: Vec<Recorded> = events
        .into_iter()
        .map(|event| transaction.append(event, "test", None).unwrap())
        .collect();
    for one in &recorded {
        for effect in react(transaction, one) {
            transaction.enqueue(&effect, now).unwrap();
        }
    }
    recorded
}

fn open_at(path: &Path) -> Result<Store, StoreError> {
    Store::open(path, Uuid::new_v4)
}

fn note(text: &str) -> Event {
    Event::TaskNoted {
        task: None,
        session: None,
        source: "log".into(),
        level: LogLevel::Info,
        text: text.into(),
    }
}

#[test]
fn a_story_is_read_back_from_every_side() {
    let mut bench = Bench::new();
    let shop = bench.project("shop");
    let first = bench.task(shop, "First");
    let second = bench.task(shop, "Second");
    let session = bench.launch(shop, first);
    let before = bench.store().position();
    bench.run(Command::Session(SessionCommand::ReportAsk {
        session,
        ask: AskId::new(Uuid::new_v4()),
        kind: AskKind::Permission,
        title: "Bash: ls".into(),
        detail: String::new(),
        options: Vec::new(),
        answerable: true,
        since: Timestamp::from_millis(bench.now),
        attended: None,
    }));
    for text in ["one", "two"] {
        bench.run(Command::Session(SessionCommand::Send {
            session,
            message: MessageId::new(Uuid::new_v4()),
            text: text.into(),
            from: "user".into(),
        }));
    }

    let reader = bench.reader();
    assert_eq!(reader.position().unwrap(), bench.store().position());
    assert_eq!(reader.projects().unwrap().len(), 1);
    assert_eq!(reader.project(shop).unwrap().unwrap().name.value(), "shop");
    let board: Vec<TaskId> = reader
        .tasks(TaskFilter {
            project: Some(shop),
            ..TaskFilter::default()
        })
        .unwrap()
        .iter()
        .map(|task| task.id)
        .collect();
    assert_eq!(board, [first, second]);
    let page = reader
        .tasks(TaskFilter {
            project: Some(shop),
            after: Some(first),
            limit: 1,
            ..TaskFilter::default()
        })
        .unwrap();
    assert_eq!(
        page.iter().map(|task| task.id).collect::<Vec<_>>(),
        [second]
    );
    let working = reader
        .tasks(TaskFilter {
            status: Some(TaskStatus::Working),
            ..TaskFilter::default()
        })
        .unwrap();
    assert_eq!(working.len(), 1);
    assert_eq!(
        reader
            .task_counts(Some(shop))
            .unwrap()
            .into_iter()
            .collect::<Vec<_>>(),
        [(TaskStatus::Pending, 1), (TaskStatus::Working, 1)]
    );
    assert_eq!(
        reader.task_counts(None).unwrap(),
        reader.task_counts(Some(shop)).unwrap()
    );
    let open = reader
        .sessions(SessionFilter {
            project: Some(shop),
            open_only: true,
        })
        .unwrap();
    assert_eq!(open.iter().map(|one| one.id).collect::<Vec<_>>(), [session]);
    assert_eq!(reader.open_asks(session).unwrap().len(), 1);
    let waiting = reader.waiting_messages(session).unwrap();
    assert_eq!(
        waiting
            .iter()
            .map(|one| one.text.as_str())
            .collect::<Vec<_>>(),
        ["one", "two"]
    );

    assert_eq!(reader.resolve_task("Second").unwrap(), [second]);
    assert_eq!(reader.resolve_task(&first.short()).unwrap(), [first]);
    assert_eq!(reader.resolve_task(&first.to_string()).unwrap(), [first]);
    assert_eq!(reader.resolve_project("shop").unwrap(), [shop]);
    let branch = format!("task/{}", first.short());
    assert_eq!(reader.resolve_session(&branch).unwrap(), [session]);
    assert_eq!(
        reader.resolve_session(&format!("shop:{branch}")).unwrap(),
        [session]
    );
    assert!(reader.resolve_task("no such task").unwrap().is_empty());

    let changed = reader.changed_since(before).unwrap();
    assert!(changed.contains(&EntityRef::Session(session)));
    assert!(!changed.contains(&EntityRef::Task(second)));
    let timeline = reader.updates(first, 100).unwrap();
    assert_eq!(timeline.last().unwrap().payload, "created as pending");
    assert!(timeline.is_sorted_by(|a, b| a.hlc >= b.hlc), "newest first");
    assert!(!reader.updates(session, 100).unwrap().is_empty());
    let events = reader.events_after(0, 1000).unwrap();
    assert_eq!(
        events.len(),
        usize::try_from(bench.store().position()).unwrap()
    );
    assert_eq!(events[0].1.event_type, "project_added");
    assert_eq!(events[0].1.payload["name"], "shop");
    assert_eq!(reader.events_of(second.uuid(), 10).unwrap().len(), 1);
    let due = reader
        .pending_effects(Timestamp::from_millis(bench.now), 10)
        .unwrap();
    assert_eq!(due[0].effect, Effect::PrepareSession { session });

    let report = bench.store().replay(ReplayMode::Compare).unwrap();
    assert_eq!(report.differences, []);
    assert_eq!(report.unknown, 0);
    assert_eq!(bench.reader().verify_chain().unwrap().breaks, []);
}

#[test]
fn a_beginning_that_fits_several_finds_all_of_them_and_a_longer_one_only_its_own() {
    let mut bench = Bench::new();
    let shop = bench.project("shop");
    let ids =
        [0x1f3a_9c02_u128 << 96, 0x1f3a_9c0b << 96].map(|id| TaskId::new(Uuid::from_u128(id)));
    for id in ids {
        bench.run(Command::Task(TaskCommand::Create(Box::new(new_task(
            id, shop, "Fix",
        )))));
    }
    let reader = bench.reader();
    assert_eq!(reader.resolve_task("1f3a").unwrap(), ids);
    assert_eq!(reader.resolve_task("1F3A-9C0").unwrap(), ids);
    assert_eq!(reader.resolve_task("1f3a9c0b").unwrap(), ids[1..]);
    assert_eq!(reader.resolve_task("1f3").unwrap(), [], "too short");
}
