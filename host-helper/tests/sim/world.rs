//! A world of one seed: its clock, its chance, what is in it, and what happens next.

use std::{
    cell::{Cell, RefCell},
    fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::PathBuf,
    rc::Rc,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use claustre::{
    engine::{
        Order, Outcome,
        reports::{Arrival, Input, Reported},
        writer::reply_to,
    },
    store::{SessionFilter, Store},
};
use claustre_domain::{
    command::{Command, OpenSession, ProjectCommand, SessionCommand},
    event::AskOutcome,
    session::{DO_NOT_SEND, SEND_AGAIN},
};
use claustre_protocol::{
    hook::ReportBody,
    ids::{AskId, MessageId, ProjectId, SessionId},
    model::AskKind,
    rpc::Fault,
    status::Mode,
    time::Timestamp,
};
use rusqlite::Connection;
use serde_json::json;
use tokio::sync::oneshot::{self, error::TryRecvError};

use crate::{
    check,
    daemon::Daemon,
    fakes::strike,
    outside::{Asked, Client, Hook, HookState, Outside, Phase, Place, Printed, Sent},
    random::Random,
};

/// Steps with faults, and at most as many until all is quiet after them.
const STEPS: u64 = 220;
const MOST_STEPS: u64 = 30_000;
/// Disk, failing ports, clock, end of a client, end of a launcher, kill of the daemon.
const NORMAL_FAULTS: [u64; 7] = [0, 1, 2, 3, 4, 5, 6];
/// Threads of effects that run within each other's waiting.
const DEEPEST: u32 = 3;

/// The faults of [`World::step_fault`] that happen; `CLAUSTRE_SIM_FAULTS=0,1,6` chooses others.
fn faults() -> &'static [u64] {
    static FAULTS: OnceLock<Vec<u64>> = OnceLock::new();
    FAULTS.get_or_init(|| match std::env::var("CLAUSTRE_SIM_FAULTS") {
        Ok(chosen) => chosen
            .split(',')
            .filter_map(|one| one.parse().ok())
            .collect(),
        Err(_) => NORMAL_FAULTS.to_vec(),
    })
}

/// What a killed daemon unwinds with.
struct Kill;

thread_local! {
    static WORLD: RefCell<Option<Rc<World>>> = const { RefCell::new(None) };
}

/// The world of this thread.
pub fn world<T>(with: impl FnOnce(&World) -> T) -> T {
    let world = WORLD.with(|world| world.borrow().clone()).unwrap();
    with(&world)
}

static STEPPED: AtomicU64 = AtomicU64::new(0);
static KILLED: AtomicU64 = AtomicU64::new(0);
static DELIVERED: AtomicU64 = AtomicU64::new(0);
static ANSWERED: AtomicU64 = AtomicU64::new(0);
static REFUSED: AtomicU64 = AtomicU64::new(0);

/// What all seeds of this process came to.
pub fn totals() -> String {
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    format!(
        "{} steps, {} kills, {} transactions refused by the disk, {} messages taken, {} answers taken",
        of(&STEPPED),
        of(&KILLED),
        of(&REFUSED),
        of(&DELIVERED),
        of(&ANSWERED)
    )
}

/// An order of a person, until its answer.
enum Asking {
    Send(MessageId),
    Answer(AskId, AskOutcome),
    Other,
}

type Answer = oneshot::Receiver<Result<Outcome, Fault>>;

/// How the store fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    Fine,
    /// Each statement that writes fails.
    Full,
    /// The commit fails.
    FullAtCommit,
}

/// One thing that goes wrong, for [`crate::kinds`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Plan {
    /// The daemon is killed between the first effect whose key begins so and the storing of its outcome.
    pub kills_after: Option<&'static str>,
    /// All reports come twice.
    pub doubles: bool,
    /// What may be lost of reports is lost.
    pub loses: bool,
}

pub struct World {
    plan: Plan,
    /// The kill of the plan happened.
    pub has_killed: Cell<bool>,
    pub random: Random,
    pub outside: RefCell<Outside>,
    pub daemon: RefCell<Option<Rc<Daemon>>>,
    pub project: ProjectId,
    wall: Cell<i64>,
    elapsed: Cell<i64>,
    depth: Cell<u32>,
    steps: Cell<u64>,
    has_faults: Cell<bool>,
    /// One in so many calls ends the daemon; 0 = none.
    killing: Cell<u64>,
    failing: Cell<bool>,
    disk: Connection,
    is_full: Cell<bool>,
    asking: RefCell<Vec<(Asking, Answer)>>,
    trace: RefCell<Vec<String>>,
    is_told: bool,
    home: tempfile::TempDir,
}

/// A store with what the faults need, as bytes to be copied.
fn template() -> &'static [u8] {
    static TEMPLATE: OnceLock<Vec<u8>> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let folder = folder();
        let path = folder.path().join("claustre.db");
        drop(Store::open_unflushed(&path, uuid::Uuid::new_v4).unwrap());
        let connection = Connection::open(&path).unwrap();
        let mut sql = String::from(
            "CREATE TABLE sim_disk (mode INTEGER NOT NULL);
             INSERT INTO sim_disk VALUES (0);
             CREATE TABLE sim_no_place (id INTEGER PRIMARY KEY);
             CREATE TABLE sim_owed (to_place INTEGER REFERENCES sim_no_place (id) DEFERRABLE INITIALLY DEFERRED);",
        );
        for (name, what) in [
            ("events", "INSERT ON events"),
            ("reports", "INSERT ON seen_reports"),
            ("new", "INSERT ON outbox"),
            ("done", "UPDATE ON outbox"),
        ] {
            sql.push_str(&format!(
                "CREATE TRIGGER sim_full_{name} BEFORE {what} WHEN (SELECT mode FROM sim_disk) = 1
                 BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END;
                 CREATE TRIGGER sim_commit_{name} BEFORE {what} WHEN (SELECT mode FROM sim_disk) = 2
                 BEGIN INSERT INTO sim_owed VALUES (1); END;"
            ));
        }
        connection.execute_batch(&sql).unwrap();
        connection
            .pragma_update(None, "journal_mode", "DELETE")
            .unwrap();
        drop(connection);
        fs::read(&path).unwrap()
    })
}

/// In memory where the system has such a place.
fn folder() -> tempfile::TempDir {
    let builder = || {
        let mut builder = tempfile::Builder::new();
        builder.prefix("claustre-sim-");
        builder
    };
    builder()
        .tempdir_in("/dev/shm")
        .or_else(|_| builder().tempdir())
        .unwrap()
}

/// Runs one seed; says what did not hold. `is_told` prints what happens.
pub fn run(seed: u64, is_told: bool) -> Result<(), String> {
    run_with(seed, is_told, Plan::default(), World::live).0
}

/// Runs a life of its own; says as well whether the kill of the plan happened.
pub fn run_with(
    seed: u64,
    is_told: bool,
    plan: Plan,
    life: impl FnOnce(&World) -> Vec<String>,
) -> (Result<(), String>, bool) {
    let home = folder();
    let path = home.path().join("claustre.db");
    fs::write(&path, template()).unwrap();
    let random = Random::new(seed);
    let world = Rc::new(World {
        plan,
        has_killed: Cell::new(false),
        project: ProjectId::new(random.uuid()),
        random,
        outside: RefCell::default(),
        daemon: RefCell::new(None),
        wall: Cell::new(1_800_000_000_000),
        elapsed: Cell::new(0),
        depth: Cell::new(0),
        steps: Cell::new(0),
        has_faults: Cell::new(false),
        killing: Cell::new(0),
        failing: Cell::new(false),
        disk: Connection::open(&path).unwrap(),
        is_full: Cell::new(false),
        asking: RefCell::default(),
        trace: RefCell::default(),
        is_told,
        home,
    });
    WORLD.with(|place| *place.borrow_mut() = Some(world.clone()));
    let result = catch_unwind(AssertUnwindSafe(|| life(&world)));
    *world.daemon.borrow_mut() = None;
    STEPPED.fetch_add(world.steps.get(), Ordering::Relaxed);
    WORLD.with(|place| *place.borrow_mut() = None);
    let found = match result {
        Ok(found) => found,
        Err(payload) => {
            let text = payload.downcast_ref::<String>().cloned().or_else(|| {
                payload
                    .downcast_ref::<&str>()
                    .map(|text| (*text).to_owned())
            });
            vec![format!("a panic: {}", text.unwrap_or_default())]
        }
    };
    let result = if found.is_empty() {
        Ok(())
    } else {
        Err(found.join("; "))
    };
    (result, world.has_killed.get())
}

impl World {
    pub fn store_path(&self) -> PathBuf {
        self.home.path().join("claustre.db")
    }

    pub fn home(&self) -> PathBuf {
        self.home.path().to_owned()
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.wall.get())
    }

    pub fn elapsed(&self) -> i64 {
        self.elapsed.get()
    }

    /// Whether tabs, statuses and the coming to rest are checked as well: with `CLAUSTRE_SIM_STRICT`, and where one thing goes wrong.
    pub fn is_strict(&self) -> bool {
        self.plan.kills_after.is_some() || std::env::var_os("CLAUSTRE_SIM_STRICT").is_some()
    }

    pub fn log(&self, line: impl FnOnce() -> String) {
        if self.is_told {
            let line = format!(
                "{:>7} {}{}",
                self.elapsed(),
                "  ".repeat(self.depth.get() as usize),
                line()
            );
            println!("{line}");
            self.trace.borrow_mut().push(line);
        }
    }

    /// The daemon may end here, between any two things that it does.
    pub fn may_be_killed(&self) {
        if self.killing.get() > 0 && self.random.one_in(self.killing.get()) {
            self.log(|| "the daemon is killed".into());
            KILLED.fetch_add(1, Ordering::Relaxed);
            resume_unwind(Box::new(Kill));
        }
    }

    /// Whether what the daemon asks of the world fails now.
    pub fn fails(&self) -> bool {
        self.failing.get() && self.random.one_in(3)
    }

    pub fn set_disk(&self, disk: Disk) {
        self.log(|| format!("the disk: {disk:?}"));
        self.is_full.set(disk != Disk::Fine);
        if disk != Disk::Fine {
            REFUSED.fetch_add(1, Ordering::Relaxed);
        }
        self.disk
            .execute(
                "UPDATE sim_disk SET mode = ?1",
                [match disk {
                    Disk::Fine => 0,
                    Disk::Full => 1,
                    Disk::FullAtCommit => 2,
                }],
            )
            .unwrap();
    }

    fn pass(&self, millis: i64) {
        self.wall.set(self.wall.get() + millis);
        self.elapsed.set(self.elapsed.get() + millis);
    }

    /// As planned: an effect came to an end that is not stored yet.
    pub fn may_be_killed_after(&self, key: &str) {
        if let Some(kind) = self.plan.kills_after
            && key.starts_with(kind)
            && !self.has_killed.replace(true)
        {
            self.log(|| format!("the daemon is killed after {key}"));
            resume_unwind(Box::new(Kill));
        }
    }

    /// Two sessions from their start to their end, with all that is done for sessions: nothing goes wrong but the plan.
    pub fn live_once(&self) -> Vec<String> {
        self.begin();
        let ids: Vec<SessionId> = {
            let outside = self.outside.borrow();
            outside.places.iter().map(|place| place.id).collect()
        };
        self.rest();
        for (number, id) in ids.iter().enumerate() {
            let message = MessageId::new(self.random.uuid());
            let text = format!("message {number}");
            self.outside.borrow_mut().messages.insert(
                message,
                Sent {
                    place: number,
                    text: text.clone(),
                    is_acknowledged: false,
                    again: 0,
                },
            );
            let send = SessionCommand::Send {
                session: *id,
                message,
                text,
                from: "user".into(),
            };
            self.insist(Asking::Send(message), send);
        }
        self.rest();
        self.outside
            .borrow_mut()
            .restarts
            .entry(ids[0])
            .or_default()
            .0 += 1;
        self.insist(Asking::Other, SessionCommand::Restart { session: ids[0] });
        self.rest();
        self.end_client(ids[0], None, Some(9));
        self.rest();
        self.insist(Asking::Other, SessionCommand::Resume { session: ids[0] });
        self.rest();
        self.outside.borrow_mut().closed.insert(ids[1]);
        let close = SessionCommand::Close {
            session: ids[1],
            shown: None,
        };
        self.insist(Asking::Other, close);
        self.rest();
        check::all(self);
        self.outside.borrow().violations.clone()
    }

    /// Orders something while a daemon runs.
    fn insist(&self, asking: Asking, command: SessionCommand) {
        let daemon = loop {
            if let Some(daemon) = self.daemon.borrow().clone() {
                break daemon;
            }
            self.step_or_die();
        };
        self.order(&daemon, asking, command);
        daemon.write(10);
        self.take_answers();
    }

    fn live(&self) -> Vec<String> {
        self.begin();
        self.has_faults.set(true);
        self.killing.set(*self.random.pick(&[0, 60, 150, 400]));
        for _ in 0..STEPS {
            self.step_or_die();
        }
        self.has_faults.set(false);
        self.killing.set(0);
        self.failing.set(false);
        self.set_disk(Disk::Fine);
        self.rest();
        check::all(self);
        let outside = self.outside.borrow();
        DELIVERED.fetch_add(
            outside
                .places
                .iter()
                .map(|place| place.prompts.len() as u64)
                .sum(),
            Ordering::Relaxed,
        );
        ANSWERED.fetch_add(
            outside
                .asks
                .values()
                .map(|ask| ask.taken.len() as u64)
                .sum(),
            Ordering::Relaxed,
        );
        outside.violations.clone()
    }

    /// Goes on until nothing changes any more.
    fn rest(&self) {
        let mut quiet = 0;
        while quiet < 3 {
            if !self.is_strict() && self.steps.get() > MOST_STEPS / 8 {
                break;
            }
            if self.steps.get() > MOST_STEPS {
                let unrest = check::unrest(self);
                self.outside
                    .borrow_mut()
                    .violated(format!("it does not come to rest: {unrest}"));
                break;
            }
            for _ in 0..60 {
                self.step_or_die();
            }
            if check::unrest(self).is_empty() {
                self.pass(61_000);
                quiet += 1;
            } else {
                quiet = 0;
            }
        }
    }

    /// A project and two sessions, which start through the whole engine.
    fn begin(&self) {
        *self.daemon.borrow_mut() = Some(Rc::new(Daemon::start(self)));
        let mut commands = vec![Command::Project(ProjectCommand::Add {
            project: self.project,
            name: "shop".into(),
            repo_path: "/shop".into(),
            default_branch: "main".into(),
            goal: String::new(),
            owner: String::new(),
        })];
        for number in 0..2 {
            let (id, conversation) = (SessionId::new(self.random.uuid()), self.random.uuid());
            self.outside.borrow_mut().places.push(Place {
                id,
                conversation,
                pane: 0,
                launcher: None,
                client: None,
                is_opening: false,
                is_to_start: false,
                starts: 0,
                prompts: Vec::new(),
                is_removed: false,
            });
            commands.push(Command::Session(SessionCommand::Open(Box::new(
                OpenSession {
                    session: id,
                    project: self.project,
                    title: format!("Session {number}"),
                    branch: format!("task/{number}"),
                    base: None,
                    mode: Mode::Exploration,
                    host: "host".into(),
                    claude_session_id: conversation.to_string(),
                    token_hash: String::new(),
                    prompt: None,
                    model: None,
                    effort: None,
                    permission_mode: None,
                },
            ))));
        }
        let daemon = self.daemon.borrow().clone().unwrap();
        for command in commands {
            daemon.engine.order_blocking(person(vec![command])).unwrap();
        }
        daemon.write(10);
    }

    /// One step; a daemon that is killed in it is gone.
    fn step_or_die(&self) {
        self.depth.set(0);
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| self.step())) {
            if payload.is::<Kill>() {
                self.kill();
            } else {
                resume_unwind(payload);
            }
        }
    }

    fn kill(&self) {
        *self.daemon.borrow_mut() = None;
        // Who waited for an answer will not get one, and does not know what became of the order.
        self.asking.borrow_mut().clear();
    }

    /// What threads do that wait: everything else goes on.
    pub fn until(&self, most: Duration, is_done: &mut dyn FnMut() -> bool) -> bool {
        let deadline = self.elapsed() + most.as_millis() as i64;
        let depth = self.depth.get();
        self.depth.set(depth + 1);
        let done = loop {
            if is_done() {
                break true;
            }
            if self.elapsed() >= deadline {
                break false;
            }
            if self.steps.get() > 2 * MOST_STEPS {
                panic!("a thread waits for ever: {}", check::unrest(self));
            }
            self.step();
        };
        self.depth.set(depth);
        done
    }

    fn step(&self) {
        self.steps.set(self.steps.get() + 1);
        let daemon = self.daemon.borrow().clone();
        let Some(daemon) = daemon else {
            match self.random.below(4) {
                0 => {
                    let started = Daemon::start(self);
                    self.log(|| "a daemon starts".into());
                    // Before it listens.
                    while !self.outside.borrow().spool.is_empty() {
                        self.drain(&started);
                    }
                    *self.daemon.borrow_mut() = Some(Rc::new(started));
                }
                1 => self.step_hook(),
                2 => self.step_client(),
                _ => self.pass(self.random.below(400) as i64),
            }
            return;
        };
        self.take_answers();
        match self.random.below(30) {
            0..=5 if daemon.has_work() => daemon.write(self.random.below(6)),
            0..=9 if daemon.has_input() => daemon.report(self),
            6..=9 => daemon.report(self),
            10..=13 if self.depth.get() < DEEPEST && !daemon.ready.borrow().is_empty() => {
                daemon.run_effect(self);
            }
            10..=12 if self.depth.get() < DEEPEST => daemon.look(self),
            13 => self.drain(&daemon),
            14..=18 => self.step_hook(),
            19..=22 => self.step_client(),
            23..=24 => self.step_person(&daemon),
            25 if self.has_faults.get() => self.step_fault(),
            _ => self.pass(self.random.below(500) as i64),
        }
    }

    /// The oldest spooled report is handed in; it comes back to the spool where it is not stored.
    fn drain(&self, daemon: &Daemon) {
        let mut outside = self.outside.borrow_mut();
        let oldest = (0..outside.spool.len()).min_by_key(|at| outside.spool[*at].at);
        let Some(report) = oldest.and_then(|at| outside.spool.remove(at)) else {
            return;
        };
        let (reply, answer) = oneshot::channel();
        daemon.queue.borrow_mut().push_back(Input::Report {
            report: Box::new(report.clone()),
            arrival: Arrival::Spooled,
            reply,
        });
        let place = outside
            .places
            .iter()
            .position(|place| place.id == report.session)
            .unwrap();
        outside.hooks.push(Hook {
            place,
            client: None,
            report,
            is_ask: false,
            state: HookState::Sent(answer),
            is_doubled: false,
            printed: None,
        });
    }

    fn step_hook(&self) {
        let count = self.outside.borrow().hooks.len() as u64;
        if count == 0 {
            return;
        }
        let at = self.random.below(count) as usize;
        if self.waits_for_its_turn(at) {
            return;
        }
        let mut hook = self.outside.borrow_mut().hooks.remove(at);
        let daemon = self.daemon.borrow().clone();
        let is_kept = match &mut hook.state {
            HookState::New => match daemon {
                Some(daemon) => {
                    let (reply, answer) = oneshot::channel();
                    daemon.queue.borrow_mut().push_back(Input::Report {
                        report: Box::new(hook.report.clone()),
                        arrival: Arrival::Connected,
                        reply,
                    });
                    hook.state = HookState::Sent(answer);
                    true
                }
                None => hook.is_ask || self.spool(&hook),
            },
            HookState::Sent(answer) => match answer.try_recv() {
                Ok(Ok(Reported::Stored)) => {
                    let again = std::mem::take(&mut hook.is_doubled);
                    hook.state = HookState::New;
                    self.take_answer(&mut hook);
                    hook.client = None;
                    again && !hook.is_ask
                }
                Ok(Ok(Reported::Waiting(waiting))) => {
                    hook.state = HookState::Waiting(waiting);
                    true
                }
                refused @ (Ok(Err(_)) | Err(TryRecvError::Closed)) => {
                    self.log(|| format!("a report of {} is not taken: {refused:?}", hook.place));
                    hook.state = HookState::New;
                    hook.is_ask || self.spool(&hook)
                }
                // It gives up waiting, though the daemon may have taken it.
                Err(TryRecvError::Empty) => {
                    hook.is_ask || !self.random.one_in(12) || self.spool(&hook)
                }
            },
            HookState::Waiting(waiting) => match waiting.answer.try_recv() {
                Ok(Some(text)) => {
                    self.print_answer(&mut hook, text);
                    true
                }
                Ok(None) => false,
                Err(TryRecvError::Closed) => {
                    hook.state = HookState::New;
                    true
                }
                Err(TryRecvError::Empty) => true,
            },
        };
        if !is_kept {
            self.take_answer(&mut hook);
        } else {
            let mut outside = self.outside.borrow_mut();
            let at = at.min(outside.hooks.len());
            outside.hooks.insert(at, hook);
        }
    }

    /// A launcher makes one report after the other.
    fn waits_for_its_turn(&self, at: usize) -> bool {
        let outside = self.outside.borrow();
        let is_launchers = |hook: &Hook| {
            !matches!(
                hook.report.body,
                ReportBody::Hook(_) | ReportBody::AnswerTaken { .. }
            )
        };
        let hook = &outside.hooks[at];
        is_launchers(hook)
            && outside.hooks[..at]
                .iter()
                .any(|earlier| is_launchers(earlier) && earlier.place == hook.place)
    }

    /// What a hook could not hand in waits in the spool, and the hook ends.
    fn spool(&self, hook: &Hook) -> bool {
        self.outside
            .borrow_mut()
            .spool
            .push_back(hook.report.clone());
        false
    }

    /// A permission hook prints the answer, and says so before it ends.
    fn print_answer(&self, hook: &mut Hook, text: String) {
        let HookState::Waiting(waiting) = std::mem::replace(&mut hook.state, HookState::New) else {
            return;
        };
        let ask = waiting.ask;
        self.log(|| format!("the hook prints the answer to {ask}"));
        hook.printed = Some(Printed {
            ask: hook.report.id,
            text,
            _presence: waiting.presence,
        });
        let id = self.random.uuid();
        let outside = self.outside.borrow();
        let body = ReportBody::AnswerTaken { ask };
        hook.report = outside.places[hook.place].report(id, self.now(), body);
        hook.is_ask = false;
    }

    /// The client reads what its permission hook printed.
    fn take_answer(&self, hook: &mut Hook) {
        let Some(Printed { ask, text, .. }) = hook.printed.take() else {
            return;
        };
        let mut outside = self.outside.borrow_mut();
        let place = &mut outside.places[hook.place];
        let is_open = place.client.as_ref().is_some_and(|client| {
            Some(client.pid) == hook.client && client.phase == Phase::Dialog(ask)
        });
        if !is_open {
            return;
        }
        if let Some(client) = &mut place.client {
            client.phase = Phase::Working;
        }
        let ask = AskId::new(ask.uuid());
        if let Some(asked) = outside.asks.get_mut(&ask) {
            asked.taken.push(text);
            asked.is_gone = true;
        }
        drop(outside);
        self.log(|| format!("the client takes the answer to {ask}"));
        self.tool_finished(hook.place);
    }

    fn tool(&self, place: usize) -> serde_json::Value {
        let outside = self.outside.borrow();
        let asked = outside.places[place]
            .client
            .as_ref()
            .map_or(0, |client| client.tool);
        json!({"tool_name": "Bash", "tool_input": {"command": format!("run {asked} of {place}")}, "tool_response": {}})
    }

    fn tool_finished(&self, place: usize) {
        let tool = self.tool(place);
        self.hook(place, "PostToolUse", tool, true);
    }

    /// A client starts a hook, which may be lost where `is_needed` does not forbid it.
    fn hook(&self, place: usize, name: &str, more: serde_json::Value, is_needed: bool) {
        let (id, now) = (self.random.uuid(), self.now());
        let mut outside = self.outside.borrow_mut();
        let is_lost = self.plan.loses || self.has_faults.get() && self.random.one_in(6);
        if !is_needed && is_lost {
            drop(outside);
            self.log(|| format!("a hook {name} is lost"));
            return;
        }
        let body = outside.places[place].hook(name, more);
        self.add_hook(
            &mut outside,
            place,
            id,
            now,
            body,
            name == "PermissionRequest",
        );
        drop(outside);
        self.log(|| format!("hook {name} of {place}"));
    }

    fn add_hook(
        &self,
        outside: &mut Outside,
        place: usize,
        id: uuid::Uuid,
        now: Timestamp,
        body: ReportBody,
        is_ask: bool,
    ) {
        let at = &outside.places[place];
        let client = match &body {
            ReportBody::Hook(_) => at.client.as_ref().map(|client| client.pid),
            _ => None,
        };
        let hook = Hook {
            place,
            client,
            report: at.report(id, now, body),
            is_ask,
            state: HookState::New,
            is_doubled: self.plan.doubles || self.has_faults.get() && self.random.one_in(8),
            printed: None,
        };
        outside.hooks.push(hook);
    }

    fn launcher_reports(&self, outside: &mut Outside, place: usize, body: ReportBody) {
        self.add_hook(outside, place, self.random.uuid(), self.now(), body, false);
    }

    fn step_client(&self) {
        let mut outside = self.outside.borrow_mut();
        let at = self.random.below(outside.places.len() as u64) as usize;
        let launcher_pid = outside.pid();
        let client_pid = outside.pid();
        let place = &mut outside.places[at];
        if place.is_opening {
            place.is_opening = false;
            place.launcher = Some(launcher_pid);
            place.is_to_start = true;
            return;
        }
        let Some(launcher) = place.launcher else {
            return;
        };
        let Some(client) = &mut place.client else {
            if std::mem::take(&mut place.is_to_start) {
                self.pass(20);
                let resumed = place.starts > 0;
                place.starts += 1;
                place.client = Some(Client {
                    pid: client_pid,
                    phase: Phase::Starting,
                    held: String::new(),
                    asked: 0,
                    tool: 0,
                });
                let body = ReportBody::ClientStarted {
                    pid: client_pid,
                    launcher_pid: launcher,
                    resumed,
                };
                self.launcher_reports(&mut outside, at, body);
                drop(outside);
                self.log(|| format!("a client of {at} starts"));
            }
            return;
        };
        let (pid, phase) = (client.pid, client.phase.clone());
        // It waits for its hooks.
        let waits = |hook: &Hook| hook.client == Some(pid) && !hook.is_ask;
        if outside.hooks.iter().any(waits) {
            return;
        }
        let client = outside.places[at].client.as_mut().unwrap();
        match phase {
            Phase::Starting => {
                client.phase = Phase::Idle;
                drop(outside);
                let source = json!({"source": "startup", "model": "m"});
                self.hook(at, "SessionStart", source, true);
            }
            Phase::Idle => {
                if self.has_faults.get() && self.random.one_in(25) {
                    client.phase = Phase::Working;
                    let text = format!("by hand {pid} {}", self.steps.get());
                    outside.places[at].prompts.push(text.clone());
                    drop(outside);
                    self.hook(at, "UserPromptSubmit", json!({"prompt": text}), true);
                }
            }
            Phase::Working => match self.random.below(4) {
                0 if client.asked < 3 => {
                    client.asked += 1;
                    client.tool = self.steps.get();
                    let id = self.random.uuid();
                    client.phase = Phase::Dialog(claustre_protocol::ids::EventId::new(id));
                    outside.asks.insert(
                        AskId::new(id),
                        Asked {
                            place: at,
                            ..Asked::default()
                        },
                    );
                    drop(outside);
                    let tool = self.tool(at);
                    let mut outside = self.outside.borrow_mut();
                    let body = outside.places[at].hook("PermissionRequest", tool);
                    self.add_hook(&mut outside, at, id, self.now(), body, true);
                    drop(outside);
                    self.log(|| format!("{at} asks {id}"));
                }
                1 => {
                    drop(outside);
                    let tool = self.tool(at);
                    self.hook(at, "PreToolUse", tool, false);
                }
                2 => {
                    client.phase = Phase::Idle;
                    drop(outside);
                    self.hook(at, "Stop", json!({}), true);
                }
                _ => {}
            },
            Phase::Dialog(id) => {
                let odds = if self.has_faults.get() { 40 } else { 200 };
                if self.random.one_in(odds) {
                    client.phase = Phase::Working;
                    outside.hooks.retain(|hook| hook.report.id != id);
                    if let Some(asked) = outside.asks.get_mut(&AskId::new(id.uuid())) {
                        asked.is_gone = true;
                    }
                    drop(outside);
                    self.log(|| format!("{at} is answered in its tab"));
                    self.tool_finished(at);
                }
            }
        }
    }

    pub fn end_client(&self, session: SessionId, code: Option<i32>, signal: Option<i32>) {
        let mut outside = self.outside.borrow_mut();
        let Some(at) = outside.places.iter().position(|place| place.id == session) else {
            return;
        };
        let Some(client) = outside.places[at].client.take() else {
            return;
        };
        // Its permission hook ends with it; the others run to their end.
        outside
            .hooks
            .retain(|hook| !(hook.is_ask && hook.client == Some(client.pid)));
        if let Phase::Dialog(id) = client.phase
            && let Some(asked) = outside.asks.get_mut(&AskId::new(id.uuid()))
        {
            asked.is_gone = true;
        }
        let tail = String::new();
        self.launcher_reports(
            &mut outside,
            at,
            ReportBody::ClientExited { code, signal, tail },
        );
        drop(outside);
        self.log(|| format!("the client of {at} ends"));
    }

    pub fn end_launcher(&self, session: SessionId, is_reported: bool) {
        self.end_client(session, None, Some(15));
        let mut outside = self.outside.borrow_mut();
        let Some(at) = outside.places.iter().position(|place| place.id == session) else {
            return;
        };
        let place = &mut outside.places[at];
        place.is_opening = false;
        place.is_to_start = false;
        if place.launcher.take().is_some() && is_reported {
            self.launcher_reports(&mut outside, at, ReportBody::LauncherEnded {});
        }
    }

    /// Bytes reach the pane. None: there is no such pane.
    pub fn typed(&self, pane: u32, bytes: &[u8]) -> Option<()> {
        let mut outside = self.outside.borrow_mut();
        let at = outside
            .places
            .iter()
            .position(|place| place.pane == pane && place.launcher.is_some())?;
        let is_text = bytes.len() > 1 && bytes != b"\x1b[201~";
        let place = &mut outside.places[at];
        let Some(client) = &mut place.client else {
            if is_text || bytes == b"\r" {
                outside.violated("text was typed where no client reads it");
            }
            return Some(());
        };
        if matches!(client.phase, Phase::Dialog(_)) && bytes == b"\r" {
            outside.violated("Enter was typed into a dialog");
            return Some(());
        }
        let submitted = strike(&mut client.held, &client.phase, bytes);
        if let Some(text) = submitted {
            client.phase = Phase::Working;
            client.asked = 0;
            place.prompts.push(text.clone());
            drop(outside);
            self.log(|| format!("{at} takes the prompt '{text}'"));
            self.hook(at, "UserPromptSubmit", json!({"prompt": text}), false);
        }
        Some(())
    }

    /// A person does something.
    fn step_person(&self, daemon: &Daemon) {
        let is_active = self.has_faults.get();
        let (at, id) = {
            let outside = self.outside.borrow();
            let at = self.random.below(outside.places.len() as u64) as usize;
            (at, outside.places[at].id)
        };
        let other = |command| self.order(daemon, Asking::Other, command);
        match self.random.below(if is_active { 20 } else { 8 }) {
            0..=7 => self.answer(daemon, at, id),
            8..=15 => {
                let mut outside = self.outside.borrow_mut();
                if outside.messages.len() >= 8 {
                    return;
                }
                let message = MessageId::new(self.random.uuid());
                let text = format!("message {} for {at}", outside.messages.len());
                outside.messages.insert(
                    message,
                    Sent {
                        place: at,
                        text: text.clone(),
                        is_acknowledged: false,
                        again: 0,
                    },
                );
                drop(outside);
                let command = SessionCommand::Send {
                    session: id,
                    message,
                    text,
                    from: "user".into(),
                };
                self.order(daemon, Asking::Send(message), command);
            }
            16 | 17 => other(SessionCommand::Resume { session: id }),
            18 if self.random.one_in(2) => {
                self.outside.borrow_mut().restarts.entry(id).or_default().0 += 1;
                other(SessionCommand::Restart { session: id });
            }
            19 if self.random.one_in(12) => {
                self.outside.borrow_mut().closed.insert(id);
                other(SessionCommand::Close {
                    session: id,
                    shown: None,
                });
            }
            _ => {}
        }
    }

    /// Answers what is asked, as it is shown.
    fn answer(&self, daemon: &Daemon, at: usize, session: SessionId) {
        let open = daemon
            .engine
            .read_blocking(|reader| reader.open_asks(session))
            .unwrap();
        let Some(asked) = open.first().and_then(|ask| ask.asked.clone()) else {
            return;
        };
        let (outcome, text) = match (asked.kind, asked.message) {
            (AskKind::Question, Some(message)) => {
                let again = self.random.one_in(2);
                if again && let Some(sent) = self.outside.borrow_mut().messages.get_mut(&message) {
                    sent.again += 1;
                }
                let text = if again { SEND_AGAIN } else { DO_NOT_SEND };
                (AskOutcome::Answered, Some(text.to_owned()))
            }
            _ if self.random.one_in(3) => (AskOutcome::Denied, None),
            _ => (AskOutcome::Approved, None),
        };
        self.log(|| {
            format!(
                "a person answers {} of {at}: {outcome:?} {text:?}",
                asked.ask
            )
        });
        let command = SessionCommand::Answer {
            session,
            ask: Some(asked.ask),
            outcome,
            text,
        };
        self.order(daemon, Asking::Answer(asked.ask, outcome), command);
    }

    fn order(&self, daemon: &Daemon, asking: Asking, command: SessionCommand) {
        let (reply, answer) = oneshot::channel();
        let order = Order {
            reply: Some(reply_to(reply)),
            ..person(vec![Command::Session(command)])
        };
        daemon.engine.order_blocking(order).unwrap();
        self.asking.borrow_mut().push((asking, answer));
    }

    /// What people are told of their orders.
    fn take_answers(&self) {
        let mut asking = self.asking.borrow_mut();
        asking.retain_mut(|(what, answer)| match answer.try_recv() {
            Ok(Ok(outcome)) => {
                let mut outside = self.outside.borrow_mut();
                let ids = outcome.events.iter().map(|event| event.id);
                outside.acknowledged.extend(ids);
                match what {
                    Asking::Send(message) => {
                        if let Some(sent) = outside.messages.get_mut(message) {
                            sent.is_acknowledged = true;
                        }
                    }
                    Asking::Answer(ask, outcome) => {
                        if let Some(asked) = outside.asks.get_mut(ask) {
                            asked.acknowledged = Some(*outcome);
                        }
                    }
                    Asking::Other => {}
                }
                false
            }
            Ok(Err(_)) | Err(TryRecvError::Closed) => false,
            Err(TryRecvError::Empty) => true,
        });
    }

    fn step_fault(&self) {
        let session = {
            let outside = self.outside.borrow();
            outside.places[self.random.below(outside.places.len() as u64) as usize].id
        };
        let kind = self.random.below(8);
        if !faults().contains(&kind) {
            return;
        }
        match kind {
            0 | 1 => {
                self.set_disk(match self.is_full.get() {
                    true => Disk::Fine,
                    false => *self.random.pick(&[Disk::Full, Disk::FullAtCommit]),
                });
            }
            2 => {
                self.failing.set(!self.failing.get());
                self.log(|| format!("the world fails: {}", self.failing.get()));
            }
            // What was reported before it and is heard after it cannot be told from what is to come.
            3 if self.is_told_everything() => {
                let back = *self.random.pick(&[500, 10_000, 3_600_000, -90_000]);
                self.log(|| format!("the clock is set back by {back} ms"));
                self.wall.set(self.wall.get() - back);
            }
            4 if self.random.one_in(2) => self.end_client(session, None, Some(9)),
            5 if self.random.one_in(3) => self.end_launcher(session, true),
            6 => {
                self.log(|| "the daemon is killed".into());
                KILLED.fetch_add(1, Ordering::Relaxed);
                resume_unwind(Box::new(Kill));
            }
            _ => {}
        }
    }

    fn is_told_everything(&self) -> bool {
        let outside = self.outside.borrow();
        let hears = |hook: &Hook| !matches!(hook.state, HookState::Waiting(_));
        outside.spool.is_empty()
            && !outside.hooks.iter().any(hears)
            && !outside.places.iter().any(|place| place.is_opening)
    }

    pub fn sessions(&self) -> Vec<claustre_domain::session::Session> {
        let daemon = self.daemon.borrow().clone().unwrap();
        daemon
            .engine
            .read_blocking(|reader| reader.sessions(SessionFilter::default()))
            .unwrap()
    }
}

fn person(commands: Vec<Command>) -> Order {
    Order {
        commands,
        actor: "user".into(),
        report: None,
        finishes: None,
        reply: None,
    }
}
