use std::{
    collections::HashSet,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use claustre_domain::{
    command::{OpenSession, ProjectCommand},
    session::Ask,
};
use claustre_protocol::{
    ids::{EventId, ProjectId},
    model::AskKind,
    status::Mode,
    time::Timestamp,
};
use serde_json::json;
use tokio::sync::{broadcast, mpsc as channel, watch};
use uuid::Uuid;

use super::*;
use crate::{
    adapters::host::SystemWaits,
    engine::{Parts, ReaderPool, StoreHealth, Writer, writer},
    ports::{Host, Waits},
    store::{Reader, Store},
};

/// Every hook asks a permission; its answer is the outcome's word.
#[derive(Default)]
struct Asking {
    stored: HashSet<EventId>,
}

impl Agent for Asking {
    fn foresee(&mut self, _: &PlanOrder, _: Timestamp) -> Vec<String> {
        Vec::new()
    }

    fn write_plan(&mut self, _: &PlanOrder) -> Result<(), PortError> {
        Ok(())
    }

    fn hear(&mut self, report: &Report, now: Timestamp) -> Heard {
        if !matches!(report.body, ReportBody::Hook(_)) {
            return Heard::default();
        }
        let ask = AskId::new(report.id.uuid());
        let command = SessionCommand::ReportAsk {
            session: report.session,
            ask,
            kind: AskKind::Permission,
            title: "Bash: ls".into(),
            detail: "ls".into(),
            options: Vec::new(),
            answerable: true,
            since: now,
            attended: Some(false),
        };
        let is_new = !self.stored.contains(&report.id);
        Heard {
            commands: is_new
                .then_some(Command::Session(command))
                .into_iter()
                .collect(),
            live: None,
            waits_for: Some(ask),
        }
    }

    fn stored(&mut self, _: SessionId, report: EventId) {
        self.stored.insert(report);
    }

    fn relearn(&mut self, _: KnownSession, _: Timestamp) -> Vec<Command> {
        Vec::new()
    }

    fn look(&mut self, _: Timestamp) -> Vec<Command> {
        Vec::new()
    }

    fn usage(&mut self, _: SessionId) -> Vec<Command> {
        Vec::new()
    }

    fn know(&mut self, _: KnownSession) {}

    fn next_look(&self) -> Option<Timestamp> {
        None
    }

    fn answer_text(
        &mut self,
        _: SessionId,
        _: AskId,
        outcome: AskOutcome,
        _: Option<&str>,
    ) -> Option<String> {
        (outcome == AskOutcome::Approved).then(|| "allow".to_owned())
    }

    fn answered(&mut self, _: SessionId, _: AskId) {}

    fn forget(&mut self, _: SessionId) {}

    fn registry(&self) -> Option<PathBuf> {
        None
    }
}

struct Clock;

impl Host for Clock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000)
    }

    fn uuid(&self) -> Uuid {
        Uuid::new_v4()
    }

    fn name(&self) -> String {
        "desk".into()
    }
}

/// A store with its writer, and the thread under test with a queue of one place. Nobody forwards what is stored.
struct Bench {
    engine: Engine,
    inputs: mpsc::SyncSender<Input>,
    nudge: Nudge,
    session: SessionId,
    runtime: tokio::runtime::Runtime,
    threads: Vec<thread::JoinHandle<()>>,
    _directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        let store = Store::open(&path, Uuid::new_v4).unwrap();
        let machine = store.machine();
        let (work, orders) = channel::channel(64);
        let (first, of_people) = channel::channel(64);
        let (advanced, _) = broadcast::channel(64);
        let (told, position) = watch::channel(store.position());
        let waits: Arc<dyn Waits> = Arc::new(SystemWaits::default());
        let health = Arc::new(StoreHealth::default());
        let writing = Writer::new(
            store,
            advanced.clone(),
            told,
            Arc::new(Clock),
            waits.clone(),
            health.clone(),
        );
        let writer = thread::spawn(move || {
            writer::run(writing, writer::Inbox { orders, of_people }).unwrap()
        });
        let engine = Engine::new(Parts {
            work,
            first,
            advanced,
            position,
            readers: ReaderPool::new(move || Reader::open(&path, machine)),
            host: Arc::new(Clock),
            waits,
            health,
            machine,
            server_of: Arc::new(|_| None),
        });
        let (inputs, queue) = mpsc::sync_channel(1);
        let nudge = Nudge::new(inputs.clone());
        let (for_thread, for_nudge) = (engine.clone(), nudge.clone());
        let reports = thread::spawn(move || {
            run(Box::new(Asking::default()), &queue, &for_nudge, &for_thread);
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let session = SessionId::new(Uuid::new_v4());
        let bench = Self {
            engine,
            inputs,
            nudge,
            session,
            runtime,
            threads: vec![writer, reports],
            _directory: directory,
        };
        let project = ProjectId::new(Uuid::new_v4());
        bench.submit(Command::Project(ProjectCommand::Add {
            project,
            name: "shop".into(),
            repo_path: "/code/shop".into(),
            default_branch: "main".into(),
            goal: String::new(),
            owner: String::new(),
        }));
        bench.go(SessionCommand::Open(Box::new(OpenSession {
            session,
            project,
            title: "Fix".into(),
            branch: "fix".into(),
            base: None,
            mode: Mode::Supervised,
            host: "desk".into(),
            claude_session_id: "c".into(),
            token_hash: String::new(),
            prompt: None,
            model: None,
            effort: None,
            permission_mode: None,
        })));
        bench
    }

    fn submit(&self, command: Command) {
        self.runtime
            .block_on(self.engine.submit(command, "test"))
            .unwrap();
    }

    fn go(&self, command: SessionCommand) {
        self.submit(Command::Session(command));
    }

    fn report(&self, id: u128, body: ReportBody) -> Report {
        Report {
            id: EventId::new(Uuid::from_u128(id)),
            session: self.session,
            token: String::new(),
            at: Clock.now(),
            zellij_session: None,
            pane_id: None,
            acknowledges: true,
            body,
        }
    }

    fn take(&self, report: &Report, arrival: Arrival) -> Reported {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let stored = super::report(&self.inputs, report.clone(), arrival);
            match self.runtime.block_on(stored) {
                Ok(reported) => return reported,
                // One place only, and it is taken.
                Err(fault) => assert!(Instant::now() < end, "{fault}"),
            }
        }
    }

    /// A hook with this number asks, and is connected.
    fn asks(&self, id: u128) -> WaitingHook {
        match self.take(
            &self.report(id, ReportBody::Hook(json!({}))),
            Arrival::Connected,
        ) {
            Reported::Waiting(waiting) => waiting,
            Reported::Stored => panic!("it waits"),
        }
    }

    fn approve(&self, ask: AskId) {
        self.go(SessionCommand::Answer {
            session: self.session,
            ask: Some(ask),
            outcome: AskOutcome::Approved,
            text: None,
        });
    }

    fn known(&self, ask: AskId) -> Option<Ask> {
        self.engine.read_blocking(|reader| reader.ask(ask)).unwrap()
    }

    fn wait_state(&self, ask: AskId, wanted: &AskState) {
        let end = Instant::now() + Duration::from_secs(20);
        while self.known(ask).map(|known| known.state()).as_ref() != Some(wanted) {
            assert!(Instant::now() < end, "{:?}", self.known(ask));
            thread::yield_now();
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.inputs.send(Input::Stop).ok();
        self.runtime.block_on(self.engine.end());
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

#[test]
fn an_answer_reaches_its_hook_though_what_was_stored_found_no_room_in_the_queue() {
    let bench = Bench::new();
    let mut waiting = bench.asks(1);
    bench.wait_state(waiting.ask, &AskState::Open);
    // A listener that finds the queue full at every try, as behind a disk that hangs.
    let (full, _queue) = mpsc::sync_channel(1);
    full.try_send(Input::Look).unwrap();
    let nudge = Nudge {
        queue: full,
        is_behind: bench.nudge.is_behind.clone(),
    };
    let mut advanced = bench.engine.subscribe();
    bench.approve(waiting.ask);
    nudge.stored(advanced.try_recv().unwrap());
    // Whatever comes next finds the mark; it has nothing to do with the answer.
    bench.inputs.send(Input::Look).unwrap();
    let text = bench.runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(20), &mut waiting.answer).await
    });
    assert_eq!(text.unwrap().unwrap().as_deref(), Some("allow"));
}

#[test]
fn an_answer_is_over_when_it_is_acknowledged_and_a_hook_that_goes_before_leaves_it_to_the_tab() {
    for acknowledges in [true, false] {
        let bench = Bench::new();
        let waiting = bench.asks(1);
        let ask = waiting.ask;
        bench.wait_state(ask, &AskState::Open);
        bench.approve(ask);
        bench.nudge.catch_up();
        let text = bench.runtime.block_on(waiting.answer).unwrap();
        assert_eq!(text.as_deref(), Some("allow"));
        if acknowledges {
            let taken = bench.report(2, ReportBody::AnswerTaken { ask });
            bench.take(&taken, Arrival::Connected);
            bench.wait_state(ask, &AskState::Closed(AskOutcome::Approved));
        }
        drop(waiting.presence);
        if !acknowledges {
            let end = Instant::now() + Duration::from_secs(20);
            while bench.known(ask).unwrap().is_attended() {
                assert!(Instant::now() < end);
                thread::yield_now();
            }
            assert!(matches!(
                bench.known(ask).unwrap().state(),
                AskState::Answered(_)
            ));
        }
    }
}

#[test]
fn what_is_asked_is_attended_exactly_while_a_hook_is_connected() {
    let bench = Bench::new();
    let hook = bench.report(1, ReportBody::Hook(json!({})));
    let spooled = bench.take(&hook, Arrival::Spooled);
    assert!(matches!(spooled, Reported::Stored), "nobody waits");
    let ask = AskId::new(hook.id.uuid());
    bench.wait_state(ask, &AskState::OnlyInTab);
    let first = bench.asks(1);
    bench.wait_state(ask, &AskState::Open);
    // The hook connects again before its first connection is seen to have ended.
    let mut second = bench.asks(1);
    drop(first);
    // Behind this, the end of the first one has been looked at.
    bench.take(
        &bench.report(9, ReportBody::LauncherEnded {}),
        Arrival::Spooled,
    );
    bench.approve(ask);
    bench.nudge.catch_up();
    let text = bench.runtime.block_on(&mut second.answer).unwrap();
    assert_eq!(text.as_deref(), Some("allow"));
    drop(second);
}

#[test]
fn a_hook_that_comes_back_gets_the_answer_that_was_given_meanwhile() {
    let bench = Bench::new();
    let first = bench.asks(1);
    let ask = first.ask;
    bench.wait_state(ask, &AskState::Open);
    bench.approve(ask);
    // The daemon that gave it never wrote it.
    drop(first);
    let second = bench.asks(1);
    let text = bench.runtime.block_on(second.answer).unwrap();
    assert_eq!(text.as_deref(), Some("allow"));
}
