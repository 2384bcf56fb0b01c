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

use super::{Advanced, store_fault};
use crate::{
    ports::Host,
    store::{EffectOutcome, LiveRow, ReplayMode, ReplayReport, Store, StoreError, Transaction},
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
    /// Fold the whole log and compare it with the projections.
    Replay(oneshot::Sender<Result<ReplayReport, Fault>>),
    /// Write telemetry.
    Flush(Vec<LiveRow>),
    /// End in order, after what was handed in before.
    End,
}

/// What an order came to.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// The events, in order; none where nothing changed.
    pub events: Vec<Recorded>,
    /// The newest position.
    pub position: i64,
}

/// Runs until told to end, or until all senders are gone, then ends the store in order.
///
/// # Errors
/// The store failed in a way that leaves doubt about the log.
pub fn run(
    mut store: Store,
    mut work: mpsc::Receiver<Work>,
    advanced: &broadcast::Sender<Advanced>,
    position: &watch::Sender<i64>,
    host: &dyn Host,
) -> Result<(), StoreError> {
    let mut waiting = Vec::new();
    let mut aside = None;
    while let Some(first) = aside.take().or_else(|| work.blocking_recv()) {
        match first {
            Work::Order(order) => waiting.push(order),
            Work::End => break,
            other => {
                serve(&mut store, other);
                continue;
            }
        }
        while waiting.len() < LARGEST_BATCH {
            match work.try_recv() {
                Ok(Work::Order(order)) => waiting.push(order),
                Ok(other) => {
                    aside = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        let mut replies = Vec::with_capacity(waiting.len());
        let stored = store_batch(&mut store, &mut waiting, &mut replies, host);
        match stored {
            Ok((at, events)) => {
                // First those who wait with a deadline, then those who follow.
                for (reply, mut outcome) in replies {
                    if let Ok(outcome) = &mut outcome {
                        outcome.position = at;
                    }
                    reply(outcome);
                }
                if !events.is_empty() {
                    position.send_replace(at);
                    // Nobody listening is no failure.
                    advanced
                        .send(Advanced {
                            position: at,
                            events: Arc::new(events),
                        })
                        .ok();
                }
            }
            Err(error) => {
                tracing::error!(%error, "a transaction failed; nothing of it was stored");
                let fault = store_fault(error);
                for (reply, _) in replies {
                    reply(Err(fault.clone()));
                }
            }
        }
    }
    store.checkpoint()
}

/// Does what is no order. Whoever asked may have gone away.
fn serve(store: &mut Store, work: Work) {
    match work {
        Work::Order(_) | Work::End => {}
        Work::Flush(rows) => {
            if let Err(error) = store.flush_live(&rows) {
                tracing::warn!(%error, "telemetry was not written");
            }
        }
        Work::Replay(reply) => {
            reply
                .send(store.replay(ReplayMode::Compare).map_err(store_fault))
                .ok();
        }
    }
}

fn store_batch(
    store: &mut Store,
    waiting: &mut Vec<Order>,
    replies: &mut Vec<(Reply, Result<Outcome, Fault>)>,
    host: &dyn Host,
) -> Result<(i64, Vec<Recorded>), StoreError> {
    let mut all = Vec::new();
    let mut failed = None;
    let mut transaction = match store.begin(host.now()) {
        Ok(transaction) => transaction,
        Err(error) => {
            for order in waiting.drain(..) {
                replies.extend(order.reply.map(|reply| (reply, Ok(Outcome::default()))));
            }
            return Err(error);
        }
    };
    for order in waiting.drain(..) {
        let result = if failed.is_none() {
            match store_order(&mut transaction, &order, host) {
                Ok(result) => result,
                Err(error) => {
                    failed = Some(error);
                    Ok(Vec::new())
                }
            }
        } else {
            Ok(Vec::new())
        };
        let outcome = result
            .map(|events| {
                all.extend(events.iter().cloned());
                Outcome {
                    events,
                    position: 0,
                }
            })
            .map_err(rejection_fault);
        replies.extend(order.reply.map(|reply| (reply, outcome)));
    }
    match failed {
        Some(error) => Err(error),
        None => Ok((transaction.commit()?, all)),
    }
}

fn store_order(
    transaction: &mut Transaction<'_>,
    order: &Order,
    host: &dyn Host,
) -> Result<Result<Vec<Recorded>, Rejection>, StoreError> {
    if let Some(report) = order.report
        && transaction.seen_report(report)?
    {
        return Ok(Ok(Vec::new()));
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
    Ok(Ok(stored))
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
