//! The single writer: one thread, one connection, one transaction for all that waits.
//!
//! Load, decide, append, fold, enqueue effects: a crash anywhere leaves all of a transaction or nothing of it.

use std::sync::Arc;

use claustre_domain::{
    Context,
    command::Command,
    decide,
    effect::Effect,
    event::{Event, Recorded},
    react,
    rejection::{Rejection, RejectionKind},
};
use claustre_protocol::{
    ids::EventId,
    rpc::{Fault, FaultCode},
};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::{Advanced, StoreHealth, store_fault};
use crate::{
    ports::{Host, Waits},
    store::{EffectOutcome, LiveRow, Store, StoreError, Transaction},
};

/// At most so many orders share a transaction: the first of them should not wait long for the last.
const LARGEST_BATCH: usize = 256;

/// Commands to decide and store together.
pub struct Order {
    /// In this order.
    pub commands: Vec<Command>,
    /// Who gave them: user, hook, mcp, engine.
    pub actor: String,
    /// The report they stem from: one that was stored before changes nothing.
    pub report: Option<EventId>,
    /// The effect whose outcome they are.
    pub finishes: Option<(i64, EffectOutcome)>,
    /// Called once it is durable, on the writer's thread: it hands on and does nothing else.
    pub reply: Option<Reply>,
}

/// Takes what an order came to.
pub type Reply = Box<dyn FnOnce(Result<Outcome, Fault>) + Send>;

/// Hands it to whoever waits; one who has gone away is no failure.
pub fn reply_to(waiting: oneshot::Sender<Result<Outcome, Fault>>) -> Reply {
    Box::new(move |outcome| drop(waiting.send(outcome)))
}

/// What the writer's thread does.
pub enum Work {
    /// Decide and store.
    Order(Order),
    /// A person's order waits in [`Inbox::of_people`].
    Look,
    /// Write telemetry.
    Flush(Vec<LiveRow>),
    /// End in order, after what was handed in before.
    End,
}

/// What waits for the writer.
pub struct Inbox {
    /// In the order in which it came.
    pub orders: mpsc::Receiver<Work>,
    /// Orders of people: taken before the others, however many of those wait. Each is announced by a [`Work::Look`].
    pub of_people: mpsc::Receiver<Order>,
}

impl Inbox {
    /// Moves orders of people to the batch, as many as it has room for. False where there are none.
    fn take_first(&mut self, batch: &mut Vec<Order>) -> bool {
        while batch.len() < LARGEST_BATCH
            && let Ok(order) = self.of_people.try_recv()
        {
            batch.push(order);
        }
        !batch.is_empty()
    }
}

/// Whether a person waits for the orders of this actor: neither a program of ours nor an agent.
pub fn is_of_a_person(actor: &str) -> bool {
    !matches!(actor, "agent" | "engine" | "hook" | "registry")
}

/// What an order came to.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// The events, in order; none where nothing changed.
    pub events: Vec<Recorded>,
    /// The newest position.
    pub position: i64,
    /// The report was stored before: nothing was decided.
    pub repeated: bool,
}

/// What the writer's thread owns.
pub struct Writer {
    store: Store,
    advanced: broadcast::Sender<Advanced>,
    position: watch::Sender<i64>,
    host: Arc<dyn Host>,
    waits: Arc<dyn Waits>,
    health: Arc<StoreHealth>,
}

/// An order that waits for its reply, and what it came to.
type Stored = (Option<Reply>, Result<Outcome, Fault>);

impl Writer {
    /// A writer of this store that tells of what it appends.
    pub fn new(
        store: Store,
        advanced: broadcast::Sender<Advanced>,
        position: watch::Sender<i64>,
        host: Arc<dyn Host>,
        waits: Arc<dyn Waits>,
        health: Arc<StoreHealth>,
    ) -> Self {
        Self {
            store,
            advanced,
            position,
            host,
            waits,
            health,
        }
    }

    /// Does one thing; [`Work::End`] is the caller's.
    pub fn serve(&mut self, work: Work) {
        match work {
            Work::Look | Work::End => {}
            Work::Order(order) => self.store(vec![order]),
            Work::Flush(rows) => {
                if let Err(error) = self.store.flush_live(&rows) {
                    tracing::warn!(%error, "telemetry was not written");
                }
            }
        }
    }

    /// Stores orders: all in one transaction, or, where that fails, each in one of its own, so that no order fails for another's sake.
    pub fn store(&mut self, orders: Vec<Order>) {
        let mut events = Vec::new();
        let stored = match self.store_together(orders, &mut events) {
            Ok(stored) => stored,
            Err((orders, error)) => {
                let is_alone = orders.len() < 2;
                tracing::error!(%error, orders = orders.len(), "a transaction failed; nothing of it was stored");
                let mut stored = Vec::with_capacity(orders.len());
                for order in orders {
                    if is_alone {
                        stored.push((order.reply, Err(store_fault(&error))));
                        continue;
                    }
                    match self.store_together(vec![order], &mut events) {
                        Ok(one) => stored.extend(one),
                        Err((one, error)) => {
                            tracing::error!(%error, "an order was not stored");
                            let fault = store_fault(&error);
                            stored.extend(
                                one.into_iter()
                                    .map(|order| (order.reply, Err(fault.clone()))),
                            );
                        }
                    }
                }
                stored
            }
        };
        let at = self.store.position();
        // First those who wait with a deadline, then those who follow.
        for (reply, mut outcome) in stored {
            if let Ok(outcome) = &mut outcome {
                outcome.position = at;
            }
            if let Some(reply) = reply {
                reply(outcome);
            }
        }
        if !events.is_empty() {
            self.position.send_replace(at);
            // Nobody listening is no failure.
            self.advanced
                .send(Advanced {
                    position: at,
                    events: Arc::new(events),
                })
                .ok();
        }
        self.waits.news();
    }

    /// One transaction for all. Where it fails nothing of it was stored, and the orders come back.
    fn store_together(
        &mut self,
        orders: Vec<Order>,
        events: &mut Vec<Recorded>,
    ) -> Result<Vec<Stored>, (Vec<Order>, StoreError)> {
        let host = self.host.as_ref();
        let attempt = self.store.begin(host.now()).and_then(|mut transaction| {
            let results = orders
                .iter()
                .map(|order| store_order(&mut transaction, order, host))
                .collect::<Result<Vec<_>, _>>()?;
            transaction.commit()?;
            Ok(results)
        });
        let writes = |order: &Order, result: &Result<Outcome, Rejection>| {
            order.finishes.is_some()
                || order.report.is_some()
                || result
                    .as_ref()
                    .is_ok_and(|outcome| !outcome.events.is_empty())
        };
        match attempt {
            Ok(results) => {
                if orders
                    .iter()
                    .zip(&results)
                    .any(|(order, result)| writes(order, result))
                {
                    self.health.note(false);
                }
                Ok(orders
                    .into_iter()
                    .zip(results)
                    .map(|(order, result)| {
                        let outcome = result.map_err(rejection_fault);
                        if let Ok(outcome) = &outcome {
                            events.extend(outcome.events.iter().cloned());
                        }
                        (order.reply, outcome)
                    })
                    .collect())
            }
            Err(error) => {
                self.health.note(true);
                Err((orders, error))
            }
        }
    }

    /// Ends the store in order.
    ///
    /// # Errors
    /// SQLite refuses; then the next start reads its journal.
    pub fn end(mut self) -> Result<(), StoreError> {
        self.store.checkpoint()
    }
}

/// Runs until told to end, or until all senders are gone, then ends the store in order.
///
/// # Errors
/// The store failed in a way that leaves doubt about the log.
pub fn run(mut writer: Writer, mut inbox: Inbox) -> Result<(), StoreError> {
    let mut waiting = Vec::new();
    let mut aside = None;
    // People's orders have a transaction of their own, every other one at most: neither they nor reports wait for many of the others.
    let mut may_be_people_s = true;
    while let Some(next) = aside.take().or_else(|| inbox.orders.blocking_recv()) {
        let is_people_s = match next {
            Work::Order(order) if may_be_people_s && inbox.take_first(&mut waiting) => {
                aside = Some(Work::Order(order));
                true
            }
            Work::Order(order) => {
                waiting.push(order);
                false
            }
            Work::Look if inbox.take_first(&mut waiting) => true,
            // It was taken before its turn.
            Work::Look => continue,
            Work::End => break,
            other => {
                writer.serve(other);
                continue;
            }
        };
        may_be_people_s = !is_people_s;
        while !is_people_s && waiting.len() < LARGEST_BATCH {
            match inbox.orders.try_recv() {
                Ok(Work::Order(order)) => waiting.push(order),
                Ok(other) => {
                    aside = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        writer.store(std::mem::take(&mut waiting));
    }
    writer.end()
}

fn store_order(
    transaction: &mut Transaction<'_>,
    order: &Order,
    host: &dyn Host,
) -> Result<Result<Outcome, Rejection>, StoreError> {
    if let Some(report) = order.report
        && transaction.seen_report(report)?
    {
        return Ok(Ok(Outcome {
            repeated: true,
            ..Outcome::default()
        }));
    }
    let mut stored = Vec::new();
    for command in &order.commands {
        let context = Context { now: host.now() };
        match decide(&*transaction, command, context) {
            Ok(events) => append(transaction, events, &order.actor, &mut stored, host)?,
            Err(rejection) => {
                // An outcome that comes too late is no reason to do its effect again.
                if order.finishes.is_some() {
                    tracing::debug!(%rejection, "a report came too late");
                    continue;
                }
                return Ok(Err(rejection));
            }
        }
    }
    if let Some((effect, outcome)) = &order.finishes {
        transaction.finish_effect(*effect, outcome.clone())?;
    }
    Ok(Ok(Outcome {
        events: stored,
        ..Outcome::default()
    }))
}

fn append(
    transaction: &mut Transaction<'_>,
    events: Vec<Event>,
    actor: &str,
    stored: &mut Vec<Recorded>,
    host: &dyn Host,
) -> Result<(), StoreError> {
    let mut appended = Vec::with_capacity(events.len());
    let mut cause = None;
    for event in events {
        let recorded = transaction.append(event, actor, cause)?;
        cause = cause.or(Some(recorded.id));
        appended.push(recorded);
    }
    // Reactions look at the state after all events of the command.
    for recorded in &appended {
        let effects: Vec<Effect> = react(&*transaction, recorded);
        for effect in effects {
            transaction.enqueue(&effect, host.now())?;
        }
    }
    stored.extend(appended);
    Ok(())
}

/// A refusal, for a front end.
pub fn rejection_fault(rejection: Rejection) -> Fault {
    let code = match rejection.kind {
        RejectionKind::Refused => FaultCode::Refused,
        RejectionKind::NotFound => FaultCode::NotFound,
    };
    Fault::new(code, rejection.to_string(), rejection.hint)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc as std_mpsc;

    use claustre_domain::command::TaskCommand;
    use claustre_protocol::status::LogLevel;
    use uuid::Uuid;

    use super::*;
    use crate::adapters::host::{SystemHost, SystemWaits};

    struct World {
        writer: Writer,
        advanced: broadcast::Receiver<Advanced>,
        health: Arc<StoreHealth>,
        _home: tempfile::TempDir,
    }

    impl World {
        fn new() -> Self {
            let home = tempfile::tempdir().unwrap();
            let store = Store::open(&home.path().join("claustre.db"), Uuid::new_v4).unwrap();
            let (news, advanced) = broadcast::channel(16);
            let (position, _) = watch::channel(0);
            let health = Arc::new(StoreHealth::default());
            let writer = Writer::new(
                store,
                news,
                position,
                Arc::new(SystemHost),
                Arc::new(SystemWaits::default()),
                health.clone(),
            );
            Self {
                writer,
                advanced,
                health,
                _home: home,
            }
        }

        /// Has notes of these texts stored as one batch; what each of them was told, and what was told to all.
        fn store(&mut self, texts: &[&str]) -> (Vec<Result<usize, String>>, usize) {
            let (told, tells) = std_mpsc::channel();
            let orders = texts.iter().map(|text| {
                let told = told.clone();
                Order {
                    commands: vec![Command::Task(TaskCommand::Note {
                        task: None,
                        session: None,
                        source: "test".into(),
                        level: LogLevel::Info,
                        text: (*text).into(),
                    })],
                    actor: "test".into(),
                    report: None,
                    finishes: None,
                    reply: Some(Box::new(move |outcome| {
                        told.send(
                            outcome
                                .map(|outcome| outcome.events.len())
                                .map_err(|fault| fault.message),
                        )
                        .unwrap();
                    })),
                }
            });
            self.writer.store(orders.collect());
            let mut announced = 0;
            while let Ok(news) = self.advanced.try_recv() {
                announced += news.events.len();
            }
            (tells.try_iter().collect(), announced)
        }
    }

    #[test]
    fn an_order_that_fails_fails_alone() {
        let mut world = World::new();
        world.writer.store.obstruct(
            "CREATE TEMP TRIGGER spoilt BEFORE INSERT ON main.events WHEN new.payload LIKE '%spoilt%'
             BEGIN SELECT RAISE(FAIL, 'spoilt'); END",
        );
        let (told, announced) = world.store(&["one", "spoilt", "three"]);
        assert_eq!((&told[0], &told[2]), (&Ok(1), &Ok(1)));
        assert!(told[1].as_ref().unwrap_err().contains("spoilt"));
        assert_eq!((told.len(), announced), (3, 2));
        assert!(!world.health.refuses(), "it takes what can be taken");
    }

    #[test]
    fn a_store_that_refuses_says_so_to_each_and_is_known_until_it_takes_something() {
        let mut world = World::new();
        world.writer.store.obstruct(
            "CREATE TEMP TRIGGER full BEFORE INSERT ON main.events BEGIN SELECT RAISE(FAIL, 'full'); END",
        );
        let (told, announced) = world.store(&["one", "two"]);
        assert!(told.iter().all(Result::is_err), "{told:?}");
        assert_eq!((told.len(), announced), (2, 0));
        assert!(world.health.refuses());
        world.writer.store.obstruct("DROP TRIGGER full");
        assert_eq!(world.store(&["three"]), (vec![Ok(1)], 1));
        assert!(!world.health.refuses());
    }

    #[test]
    fn a_persons_order_passes_all_reports_that_wait() {
        let world = World::new();
        let replied = Arc::new(std::sync::Mutex::new(Vec::new()));
        let order = |name: &'static str| {
            let replied = replied.clone();
            Order {
                commands: Vec::new(),
                actor: name.into(),
                report: None,
                finishes: None,
                reply: Some(Box::new(move |outcome| {
                    outcome.unwrap();
                    replied.lock().unwrap().push(name);
                })),
            }
        };
        let (work, orders) = mpsc::channel(4_096);
        let (first, of_people) = mpsc::channel(256);
        for _ in 0..2_000 {
            work.try_send(Work::Order(order("hook"))).ok().unwrap();
        }
        for _ in 0..300 {
            if first.try_send(order("user")).is_ok() {
                work.try_send(Work::Look).ok().unwrap();
            }
        }
        work.try_send(Work::End).ok().unwrap();
        run(world.writer, Inbox { orders, of_people }).unwrap();
        let replied = replied.lock().unwrap();
        assert_eq!(replied.len(), 2_256, "each is answered once");
        assert!(
            replied.iter().take(256).all(|name| *name == "user"),
            "what people ordered comes first"
        );
    }
}
