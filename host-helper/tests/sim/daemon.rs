//! One life of the daemon: the cores of writer, reports and outbox, stepped by hand.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    sync::{Arc, mpsc as std_mpsc},
};

use claustre::{
    adapters::claude::{
        monitor::{ClaudeAgent, ClaudeHost},
        prices::PriceTable,
    },
    engine::{
        Advanced, Engine, Order, Parts, ReaderPool, StoreHealth, Work, Writer, boot,
        effects::{Effects, Ran},
        lanes::Lane,
        outbox::{MOST_LOOKED_AT, Outbox},
        reports::{Input, Nudge, Reports},
    },
    paths::Paths,
    store::{PendingEffect, Reader, Store},
};
use claustre_protocol::hook::ReportBody;
use tokio::sync::{broadcast, mpsc, watch};

use crate::{
    fakes::{Adapter, Fake},
    world::{World, world as this},
};

pub struct Daemon {
    pub engine: Engine,
    pub effects: Arc<Effects>,
    writer: RefCell<Writer>,
    work: RefCell<mpsc::Receiver<Work>>,
    /// Here people's orders come with the others.
    _of_people: mpsc::Receiver<Order>,
    reports: RefCell<Reports>,
    inputs: RefCell<std_mpsc::Receiver<Input>>,
    pub queue: RefCell<VecDeque<Input>>,
    advanced: RefCell<broadcast::Receiver<Advanced>>,
    nudge: Nudge,
    outbox: RefCell<Outbox>,
    /// Chosen, and waiting for its thread.
    pub ready: RefCell<VecDeque<(PendingEffect, Lane)>>,
    /// No try to store before this time.
    quiet_until: Cell<i64>,
}

impl Daemon {
    pub fn start(world: &World) -> Self {
        let store =
            Store::open_unflushed(&world.store_path(), || this(|world| world.random.uuid()))
                .unwrap();
        let machine = store.machine();
        let (work, orders) = mpsc::channel(4_096);
        let (first, of_people) = mpsc::channel(1);
        let (news, advanced) = broadcast::channel(4_096);
        let (position_sender, position) = watch::channel(store.position());
        let health = Arc::new(StoreHealth::default());
        let writer = Writer::new(
            store,
            news.clone(),
            position_sender,
            Arc::new(Fake),
            Arc::new(Fake),
            health.clone(),
        );
        let path = world.store_path();
        let engine = Engine::new(Parts {
            work,
            first,
            advanced: news,
            position,
            readers: ReaderPool::new(move || Reader::open(&path, machine)),
            host: Arc::new(Fake),
            waits: Arc::new(Fake),
            health,
            machine,
            server_of: Arc::new(|_| Some(77)),
        });
        let (input, inputs) = std_mpsc::sync_channel(4_096);
        let nudge = Nudge::new(input.clone());
        let agent = ClaudeAgent::new(ClaudeHost {
            paths: Paths::at(world.home().join("c")).unwrap(),
            claustre: "/opt/claustre".into(),
            home: world.home(),
            claude_config_dir: None,
            claude: None,
            search: None,
            api_key: None,
            is_sandbox: false,
            extra_args: Vec::new(),
            prices: PriceTable::default(),
        });
        let effects = Arc::new(Effects {
            engine: engine.clone(),
            workspace: Arc::new(Fake),
            scripts: Arc::new(Fake),
            multiplexer: Arc::new(Fake),
            launchers: Arc::new(Fake),
            notifier: Arc::new(Fake),
            reports: input,
            tokens: Arc::new(|_| Ok("token".into())),
            conversations: Arc::new(Fake),
            tracks: Default::default(),
            made: Default::default(),
        });
        let daemon = Self {
            reports: RefCell::new(Reports::new(
                Box::new(Adapter(agent)),
                nudge.clone(),
                engine.clone(),
            )),
            nudge,
            engine,
            effects,
            writer: RefCell::new(writer),
            work: RefCell::new(orders),
            _of_people: of_people,
            inputs: RefCell::new(inputs),
            queue: RefCell::default(),
            advanced: RefCell::new(advanced),
            outbox: RefCell::default(),
            ready: RefCell::default(),
            quiet_until: Cell::new(0),
        };
        let (known, commands) = boot::observe(&daemon.engine, &Fake).unwrap();
        for session in known {
            daemon
                .queue
                .borrow_mut()
                .push_back(Input::Know(Box::new(session)));
        }
        daemon
            .engine
            .order_blocking(Order {
                commands,
                actor: "engine".into(),
                report: None,
                finishes: None,
                reply: None,
            })
            .unwrap();
        daemon
    }

    pub fn has_work(&self) -> bool {
        !self.work.borrow().is_empty()
    }

    pub fn has_input(&self) -> bool {
        while let Ok(input) = self.inputs.borrow_mut().try_recv() {
            self.queue.borrow_mut().push_back(input);
        }
        !self.queue.borrow().is_empty()
    }

    /// The writer takes a batch.
    pub fn write(&self, most: u64) {
        let mut orders = Vec::new();
        while (orders.len() as u64) < most.max(1) {
            match self.work.borrow_mut().try_recv() {
                Ok(Work::Order(order)) => orders.push(order),
                Ok(other) => self.writer.borrow_mut().serve(other),
                Err(_) => break,
            }
        }
        if orders.is_empty() {
            return;
        }
        self.writer.borrow_mut().store(orders);
        while let Ok(advanced) = self.advanced.borrow_mut().try_recv() {
            self.nudge.stored(advanced);
        }
    }

    /// The reports' thread takes one input.
    pub fn report(&self, world: &World) {
        let input = self.queue.borrow_mut().pop_front();
        if let Some(Input::Report {
            report, arrival, ..
        }) = &input
        {
            world.log(|| {
                let kind = match &report.body {
                    ReportBody::Hook(hook) => hook["hook_event_name"].to_string(),
                    other => format!("{other:?}"),
                };
                format!(
                    "report {kind} of {} from {} ms ago ({arrival:?})",
                    report.session.short(),
                    world.now().millis_since(report.at)
                )
            });
        }
        // It wakes by itself while orders are under way.
        self.reports
            .borrow_mut()
            .handle(input.unwrap_or(Input::Look));
    }

    /// The outbox looks what it may begin.
    pub fn look(&self, world: &World) {
        let is_time = world.elapsed() >= self.quiet_until.get();
        if self.outbox.borrow().keeps_anything() {
            if !is_time {
                return;
            }
            let kept = self.outbox.borrow_mut().take_kept();
            for ended in kept {
                self.store(world, ended);
            }
        }
        let now = world.now();
        let due = self
            .engine
            .read_blocking(|reader| reader.pending_effects(now, MOST_LOOKED_AT))
            .unwrap();
        if self.engine.health.refuses() {
            if !is_time {
                return;
            }
            let probe = self.outbox.borrow_mut().probe(&due);
            if let Some(order) = probe
                && self.engine.store_blocking(order).is_err()
            {
                self.outbox.borrow_mut().probe_failed();
                self.be_quiet(world);
            }
        }
        let refuses = self.engine.health.refuses();
        let chosen = self.outbox.borrow_mut().start(due, refuses);
        self.ready.borrow_mut().extend(chosen);
    }

    /// A thread does one effect, from its begin to the storing of its outcome.
    pub fn run_effect(&self, world: &World) {
        let Some((pending, lane)) = self.ready.borrow_mut().pop_front() else {
            return;
        };
        world.log(|| format!("effect {} ({lane:?})", pending.effect.key()));
        let ran = self.effects.run(&pending, lane);
        world.log(|| format!("  {} came to {ran:?}", pending.effect.key()));
        if matches!(ran, Ran::Done(_)) {
            world.may_be_killed_after(&pending.effect.key());
        }
        let ended = self.outbox.borrow_mut().ended(pending, ran, world.now());
        if let Some(ended) = ended {
            self.store(world, ended);
        }
    }

    fn store(&self, world: &World, ended: claustre::engine::outbox::Ended) {
        world.may_be_killed();
        let result = self.engine.store_blocking(ended.order()).map(|_| ());
        if result.is_err() {
            self.be_quiet(world);
        }
        let refuses = self.engine.health.refuses();
        self.outbox.borrow_mut().stored(ended, result, refuses);
    }

    fn be_quiet(&self, world: &World) {
        let pause = self.outbox.borrow().pause().as_millis() as i64;
        self.quiet_until.set(world.elapsed() + pause);
    }
}
