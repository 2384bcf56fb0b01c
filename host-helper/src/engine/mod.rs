//! The one path of business logic: everything that anybody orders or reports goes through [`Engine::submit`].
//!
//! [`writer`] decides and stores, [`outbox`] does what follows, [`reports`] understands what sessions tell,
//! [`live`] keeps what is not worth an event, [`marks`] puts marks on tabs, [`boot`] brings log and host in line at the start.

pub mod boot;
mod delivery;
pub mod effects;
pub mod lanes;
pub mod live;
pub mod marks;
pub mod outbox;
mod prompt_box;
pub mod recount;
pub mod reports;
pub mod starting;
pub mod waiting;
pub mod worktrees;
pub mod writer;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use claustre_domain::{command::Command, event::Recorded};
use claustre_protocol::{
    ids::{EventId, MachineId},
    rpc::{Fault, FaultCode},
};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::{
    ports::{Host, PortError, Waits},
    store::{Reader, ReplayReport, StoreError},
};

pub use live::Live;
pub use recount::Recount;
pub use writer::{Order, Outcome, Work, Writer};

/// The process id of the server of a Zellij session, while it runs.
pub type ServerOf = Arc<dyn Fn(&str) -> Option<u32> + Send + Sync>;

/// What was appended by one transaction, in order.
#[derive(Debug, Clone)]
pub struct Advanced {
    /// The newest position.
    pub position: i64,
    /// The events.
    pub events: Arc<Vec<Recorded>>,
}

/// What all front ends hold.
#[derive(Clone)]
pub struct Engine {
    work: mpsc::Sender<Work>,
    first: mpsc::Sender<Order>,
    advanced: broadcast::Sender<Advanced>,
    position: watch::Receiver<i64>,
    readers: Arc<ReaderPool>,
    /// What is not worth an event.
    pub live: Arc<Live>,
    /// Wall clock and chance.
    pub host: Arc<dyn Host>,
    /// How threads that may block wait.
    pub waits: Arc<dyn Waits>,
    /// Whether the store takes anything.
    pub health: Arc<StoreHealth>,
    /// This host's id.
    pub machine: MachineId,
    /// Whose worktrees are to be counted again.
    pub recount: Arc<Recount>,
    /// The server's process of a Zellij session whose dashboard answers.
    pub server_of: ServerOf,
}

/// What an [`Engine`] is made of.
pub struct Parts {
    /// To the writer, which runs already.
    pub work: mpsc::Sender<Work>,
    /// To the writer as well: orders of people, which it takes before all others.
    pub first: mpsc::Sender<Order>,
    /// What the writer appends.
    pub advanced: broadcast::Sender<Advanced>,
    /// The newest position.
    pub position: watch::Receiver<i64>,
    /// Read-only connections.
    pub readers: ReaderPool,
    /// Wall clock and chance.
    pub host: Arc<dyn Host>,
    /// How threads that may block wait.
    pub waits: Arc<dyn Waits>,
    /// Whether the store takes anything, as the writer sees it.
    pub health: Arc<StoreHealth>,
    /// This host's id.
    pub machine: MachineId,
    /// The server's process of a Zellij session whose dashboard answers.
    pub server_of: ServerOf,
}

/// Whether the last transaction that wrote anything became durable. While the store refuses, no effect is begun: what came of it
/// could not be stored.
#[derive(Debug, Default)]
pub struct StoreHealth {
    refuses: AtomicBool,
}

impl StoreHealth {
    /// Did the last transaction fail?
    pub fn refuses(&self) -> bool {
        self.refuses.load(Ordering::Acquire)
    }

    fn note(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::Release);
    }
}

/// How long a thread that may block waits for its order: longer than any transaction takes.
const LONGEST_ORDER: Duration = Duration::from_secs(120);

impl Engine {
    /// Ties the parts together.
    pub fn new(parts: Parts) -> Self {
        Self {
            work: parts.work,
            first: parts.first,
            advanced: parts.advanced,
            position: parts.position,
            readers: Arc::new(parts.readers),
            live: Arc::default(),
            host: parts.host,
            waits: parts.waits,
            health: parts.health,
            machine: parts.machine,
            recount: Arc::default(),
            server_of: parts.server_of,
        }
    }

    /// Decides and stores one command; answers once it is durable.
    ///
    /// # Errors
    /// The command is refused, or the store failed.
    pub async fn submit(&self, command: Command, actor: &str) -> Result<Outcome, Fault> {
        self.submit_all(vec![command], actor, None).await
    }

    /// Decides and stores several commands in order, in one transaction; the first refusal ends it and undoes nothing before it.
    ///
    /// # Errors
    /// A command is refused, or the store failed.
    pub async fn submit_all(
        &self,
        commands: Vec<Command>,
        actor: &str,
        report: Option<EventId>,
    ) -> Result<Outcome, Fault> {
        let (reply, answer) = oneshot::channel();
        let order = Order {
            commands,
            actor: actor.to_owned(),
            report,
            finishes: None,
            reply: Some(writer::reply_to(reply)),
        };
        if writer::is_of_a_person(actor) {
            self.order_first(order).await?;
        } else {
            self.order(order).await?;
        }
        waiting::on("the writer", answer)
            .await
            .map_err(|_| writer_ended())?
    }

    /// Hands an order of a person to the writer, which takes it before all that sessions report.
    async fn order_first(&self, order: Order) -> Result<(), Fault> {
        waiting::on("a place in the writer's queue", self.first.send(order))
            .await
            .map_err(|_| writer_ended())?;
        match self.work.try_send(Work::Look) {
            // Where its queue is full it is awake, and looks by itself.
            Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(writer_ended()),
        }
    }

    /// Hands an order to the writer; waits while its queue is full.
    ///
    /// # Errors
    /// The writer has ended.
    pub async fn order(&self, order: Order) -> Result<(), Fault> {
        waiting::on(
            "a place in the writer's queue",
            self.work.send(Work::Order(order)),
        )
        .await
        .map_err(|_| writer_ended())
    }

    /// Folds the whole log and compares it with the projections.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn replay(&self) -> Result<ReplayReport, Fault> {
        self.read(Reader::replay).await
    }

    /// Writes telemetry to its table.
    pub async fn flush_live(&self) {
        let rows = self.live.rows(self.host.now());
        // The writer's end is told to those who have more to lose.
        self.work.send(Work::Flush(rows)).await.ok();
    }

    /// Ends the writer after all that was handed in before.
    pub async fn end(&self) {
        // One that has ended already needs no telling.
        self.work.send(Work::End).await.ok();
    }

    /// Hands an order to the writer from a thread that may block.
    ///
    /// # Errors
    /// The writer has ended.
    pub fn order_blocking(&self, order: Order) -> Result<(), Fault> {
        self.work
            .blocking_send(Work::Order(order))
            .map_err(|_| writer_ended())
    }

    /// Hands an order to the writer from a thread that may block, and waits until it is durable. Its reply is this call's.
    ///
    /// # Errors
    /// A command is refused, the store failed, or the writer has ended.
    pub fn store_blocking(&self, order: Order) -> Result<Outcome, Fault> {
        let (reply, mut answer) = oneshot::channel();
        self.order_blocking(Order {
            reply: Some(writer::reply_to(reply)),
            ..order
        })?;
        self.answer_of(&mut answer)
            .unwrap_or_else(|| Err(writer_ended()))
    }

    /// Waits for an answer that another thread gives; none where it never will.
    pub fn answer_of<T>(&self, answer: &mut oneshot::Receiver<T>) -> Option<T> {
        let mut given = None;
        self.waits
            .until(LONGEST_ORDER, &mut || match answer.try_recv() {
                Ok(value) => {
                    given = Some(value);
                    true
                }
                Err(oneshot::error::TryRecvError::Empty) => false,
                Err(oneshot::error::TryRecvError::Closed) => true,
            });
        given
    }

    /// Everything that is appended from now on. A receiver that lags is told so, and reads the log instead.
    pub fn subscribe(&self) -> broadcast::Receiver<Advanced> {
        self.advanced.subscribe()
    }

    /// The newest position, and its changes.
    pub fn position(&self) -> watch::Receiver<i64> {
        self.position.clone()
    }

    /// Runs a query on the blocking pool.
    ///
    /// # Errors
    /// The query failed.
    pub async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Fault> {
        let readers = self.readers.clone();
        waiting::on(
            "a read of the store",
            tokio::task::spawn_blocking(move || readers.with(query)),
        )
        .await
        .map_err(|error| {
            Fault::new(
                FaultCode::Internal,
                format!("reading the store: {error}"),
                None,
            )
        })?
        .map_err(store_fault)
    }

    /// Runs a query on this thread, which may block.
    ///
    /// # Errors
    /// The query failed.
    pub fn read_blocking<T>(
        &self,
        query: impl FnOnce(&Reader) -> Result<T, StoreError>,
    ) -> Result<T, Fault> {
        self.readers.with(query).map_err(store_fault)
    }
}

/// A few read-only connections, reused.
pub struct ReaderPool {
    idle: Mutex<Vec<Reader>>,
    open: Box<dyn Fn() -> Result<Reader, StoreError> + Send + Sync>,
}

impl ReaderPool {
    /// A pool that opens connections so.
    pub fn new(open: impl Fn() -> Result<Reader, StoreError> + Send + Sync + 'static) -> Self {
        Self {
            idle: Mutex::new(Vec::new()),
            open: Box::new(open),
        }
    }

    fn with<T>(
        &self,
        query: impl FnOnce(&Reader) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let reader = match idle {
            Some(reader) => reader,
            None => (self.open)()?,
        };
        let result = query(&reader);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < 4 {
            idle.push(reader);
        }
        result
    }
}

fn writer_ended() -> Fault {
    Fault::new(FaultCode::Internal, "storing: the writer ended", None)
}

/// A failure of the store, for a front end.
pub fn store_fault(error: impl std::borrow::Borrow<StoreError>) -> Fault {
    let error = error.borrow();
    let hint = error.hint().map(Into::into);
    Fault::new(FaultCode::Internal, error.to_string(), hint)
}

/// A failure of a port, for a front end.
pub fn port_fault(error: PortError) -> Fault {
    Fault::new(FaultCode::Refused, error.message, error.hint)
}
