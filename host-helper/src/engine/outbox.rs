//! The outbox: effects that are stored and not yet done. Which of them may start is [`lanes`]' to say; each outcome is stored together
//! with the mark that the effect is done. An outcome that cannot be stored is kept, and only its storing is tried again; meanwhile
//! nothing is begun, for what came of it could not be stored either.
//!
//! [`Outbox`] decides and waits for nothing; [`run`] drives it with threads.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Duration,
};

use claustre_domain::command::Command;
use claustre_protocol::{rpc::Fault, time::Timestamp};
use tokio::{runtime::Handle, sync::mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    Engine, Order,
    effects::{Effects, Ran},
    lanes::{self, Busy, Lane},
    writer::reply_to,
};
use crate::{
    ports::PortError,
    store::{EffectOutcome, LONGEST_WAIT_MS, PendingEffect},
};

/// How often a passing failure is tried again before it counts as lasting.
const MOST_ATTEMPTS: u32 = 6;
/// At most so many waiting effects are looked at.
pub const MOST_LOOKED_AT: usize = 4_096;
/// How often the storing of an outcome is tried while the store takes other things; then it is given up, with what it would report.
const MOST_TRIES_TO_STORE: u32 = 6;
/// The longest time between two tries to store.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What came of an effect, to be stored.
#[derive(Debug, Clone)]
pub struct Ended {
    pending: PendingEffect,
    commands: Vec<Command>,
    outcome: EffectOutcome,
    tries: u32,
}

impl Ended {
    /// The order that stores it.
    pub fn order(&self) -> Order {
        Order {
            commands: self.commands.clone(),
            actor: "engine".into(),
            report: None,
            finishes: Some((self.pending.id, self.outcome.clone())),
            reply: None,
        }
    }
}

/// What is under way, and what is done and not stored.
#[derive(Debug, Default)]
pub struct Outbox {
    busy: Vec<Busy>,
    /// Effects that go on in another lane than they began.
    moved: BTreeMap<i64, Lane>,
    /// Done, but not stored: oldest first.
    kept: Vec<Ended>,
    /// How often in a row nothing could be stored.
    failures: u32,
}

impl Outbox {
    /// Chooses from the due effects those that start now, each with its lane: none while the store refuses.
    pub fn start(&mut self, due: Vec<PendingEffect>, refuses: bool) -> Vec<(PendingEffect, Lane)> {
        if refuses || !self.kept.is_empty() {
            return Vec::new();
        }
        let moved = &self.moved;
        let chosen = lanes::startable(due, &self.busy, |pending| {
            moved
                .get(&pending.id)
                .copied()
                .unwrap_or_else(|| Lane::of(&pending.effect))
        });
        let begun = chosen
            .iter()
            .map(|(pending, lane)| Busy::new(pending, Some(*lane)));
        self.busy.extend(begun);
        chosen
    }

    /// Takes what came of an effect. None: it goes on in another lane.
    pub fn ended(&mut self, pending: PendingEffect, ran: Ran, now: Timestamp) -> Option<Ended> {
        let (outcome, commands) = match ran {
            Ran::Onward(lane) => {
                self.busy.retain(|one| one.id != pending.id);
                self.moved.insert(pending.id, lane);
                return None;
            }
            Ran::Done(commands) => (EffectOutcome::Done, commands),
            Ran::Later { after_ms, why } => (
                EffectOutcome::Retry {
                    at: now.plus_millis(after_ms.min(LONGEST_WAIT_MS)),
                    why,
                },
                Vec::new(),
            ),
            Ran::Failed { error, .. } if error.passing && pending.attempts + 1 < MOST_ATTEMPTS => {
                tracing::warn!(effect = %pending.effect.key(), error = %error.message, "trying again");
                let at = back_off(now, pending.attempts);
                let why = error.message;
                (EffectOutcome::Retry { at, why }, Vec::new())
            }
            Ran::Failed { error, commands } => {
                tracing::error!(effect = %pending.effect.key(), error = %error.message, "given up");
                (EffectOutcome::Failed { why: error.message }, commands)
            }
        };
        // It is done: its place in the lane is free, its session's turn is not over until that is stored.
        for one in &mut self.busy {
            if one.id == pending.id {
                one.lane = None;
            }
        }
        Some(Ended {
            pending,
            commands,
            outcome,
            tries: 0,
        })
    }

    /// Takes in whether an outcome was stored, and whether the store takes other things.
    pub fn stored(&mut self, ended: Ended, result: Result<(), Fault>, refuses: bool) {
        match result {
            Ok(()) => {
                self.failures = 0;
                self.busy.retain(|one| one.id != ended.pending.id);
                self.moved.remove(&ended.pending.id);
            }
            Err(fault) => {
                self.failures = self.failures.saturating_add(1);
                let tries = ended.tries + 1;
                tracing::error!(effect = %ended.pending.effect.key(), %fault, tries,
                    "what came of an effect was not stored; it is kept and stored later");
                let kept = if refuses || tries < MOST_TRIES_TO_STORE {
                    Ended { tries, ..ended }
                } else {
                    // It is the outcome itself that cannot be stored: without what it reports the session can go on.
                    Ended {
                        commands: Vec::new(),
                        outcome: EffectOutcome::Failed {
                            why: format!("what came of it could not be stored: {fault}"),
                        },
                        tries,
                        ..ended
                    }
                };
                self.kept.push(kept);
            }
        }
    }

    /// What is to be stored once more.
    pub fn take_kept(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.kept)
    }

    /// The order that asks whether the store takes anything again, where nothing that is kept asks.
    pub fn probe(&mut self, due: &[PendingEffect]) -> Option<Order> {
        let first = due.first().filter(|_| self.kept.is_empty())?;
        Some(Order {
            commands: Vec::new(),
            actor: "engine".into(),
            report: None,
            finishes: Some((first.id, EffectOutcome::Probe)),
            reply: None,
        })
    }

    /// A probe failed.
    pub fn probe_failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// How long to wait before the next try to store.
    pub fn pause(&self) -> Duration {
        Duration::from_millis(250)
            .saturating_mul(1 << self.failures.min(8))
            .min(LONGEST_PAUSE)
    }

    /// Is something done and not stored?
    pub fn keeps_anything(&self) -> bool {
        !self.kept.is_empty()
    }

    /// Does any effect run?
    pub fn is_running(&self) -> bool {
        self.busy.iter().any(|one| one.lane.is_some())
    }
}

/// Runs effects until cancelled; those under way are finished.
pub async fn run(engine: Engine, effects: Arc<Effects>, stop: CancellationToken) {
    let mut position = engine.position();
    let mut outbox = Outbox::default();
    let (ended, mut ending) = mpsc::unbounded_channel();
    loop {
        for kept in outbox.take_kept() {
            store(&engine, &mut outbox, kept).await;
        }
        let now = engine.host.now();
        let due = match engine
            .read(move |reader| reader.pending_effects(now, MOST_LOOKED_AT))
            .await
        {
            Ok(due) => due,
            Err(fault) => {
                tracing::error!(%fault, "reading the outbox");
                Vec::new()
            }
        };
        if engine.health.refuses()
            && let Some(order) = outbox.probe(&due)
            && stored(&engine, order).await.is_err()
        {
            outbox.probe_failed();
        }
        let refuses = engine.health.refuses() || outbox.keeps_anything();
        if !stop.is_cancelled() {
            for (pending, lane) in outbox.start(due, refuses) {
                spawn(&effects, pending, lane, ended.clone());
            }
        }
        let next = if refuses {
            outbox.pause()
        } else {
            next_due(&engine).await
        };
        tokio::select! {
            // Somebody always holds the sender.
            Some((pending, ran)) = ending.recv() => {
                if let Some(ended) = outbox.ended(pending, ran, engine.host.now()) {
                    store(&engine, &mut outbox, ended).await;
                }
            }
            changed = position.changed(), if !stop.is_cancelled() => {
                if changed.is_err() {
                    break;
                }
            }
            () = tokio::time::sleep(next) => {}
            () = stop.cancelled(), if !stop.is_cancelled() => {}
        }
        if stop.is_cancelled() && !outbox.is_running() {
            for kept in outbox.take_kept() {
                store(&engine, &mut outbox, kept).await;
            }
            break;
        }
    }
}

/// Does one effect on a thread of its own: there are at most as many as the lanes are wide, and none while nothing is done.
fn spawn(
    effects: &Arc<Effects>,
    pending: PendingEffect,
    lane: Lane,
    ended: mpsc::UnboundedSender<(PendingEffect, Ran)>,
) {
    let (doing, runtime) = (effects.clone(), Handle::current());
    let (of_thread, report) = (pending.clone(), ended.clone());
    let spawned = thread::Builder::new()
        .name(format!("effect {}", pending.id))
        .spawn(move || {
            let _context = runtime.enter();
            let ran = doing.run_caught(&of_thread, lane);
            // The outbox has ended: it is begun again after the next start.
            report.send((of_thread, ran)).ok();
        });
    if let Err(error) = spawned {
        let later = Ran::Later {
            after_ms: 1_000,
            why: format!("no thread could be started for it: {error}"),
        };
        ended.send((pending, later)).ok();
    }
}

impl Effects {
    /// Does one effect; a defect in it must not hold up whatever else its session waits for.
    fn run_caught(&self, pending: &PendingEffect, lane: Lane) -> Ran {
        catch_unwind(AssertUnwindSafe(|| self.run(pending, lane))).unwrap_or_else(|_| Ran::Failed {
            error: PortError::lasting("a defect of Claustre; the log has more", None),
            commands: Vec::new(),
        })
    }
}

/// How long until an effect that waits for its time is due. What is due and waits for its turn is woken by the end of what runs.
async fn next_due(engine: &Engine) -> Duration {
    let now = engine.host.now();
    match engine.read(move |reader| reader.next_effect_at(now)).await {
        Ok(Some(at)) => Duration::from_millis(at.millis_since(now).unsigned_abs()),
        Ok(None) => Duration::from_secs(3600),
        Err(_) => LONGEST_PAUSE,
    }
}

/// Stores an outcome before the next look at the outbox, which must not find its effect again.
async fn store(engine: &Engine, outbox: &mut Outbox, ended: Ended) {
    let result = stored(engine, ended.order()).await;
    outbox.stored(ended, result, engine.health.refuses());
}

async fn stored(engine: &Engine, order: Order) -> Result<(), Fault> {
    let (reply, answer) = tokio::sync::oneshot::channel();
    engine
        .order(Order {
            reply: Some(reply_to(reply)),
            ..order
        })
        .await?;
    answer.await.map_err(|_| super::writer_ended())?.map(|_| ())
}

fn back_off(now: Timestamp, attempts: u32) -> Timestamp {
    now.plus_millis(500i64.saturating_mul(1 << attempts.min(6)))
}

#[cfg(test)]
mod tests {
    use claustre_domain::effect::Effect;
    use claustre_protocol::{ids::SessionId, rpc::FaultCode};
    use uuid::Uuid;

    use super::*;

    fn close(id: i64, session: u128) -> PendingEffect {
        PendingEffect {
            id,
            effect: Effect::CloseTab {
                session: SessionId::new(Uuid::from_u128(session)),
            },
            attempts: 0,
            started_before: false,
        }
    }

    fn full() -> Result<(), Fault> {
        Err(Fault::new(FaultCode::Internal, "the disk is full", None))
    }

    fn ids(started: &[(PendingEffect, Lane)]) -> Vec<i64> {
        started.iter().map(|(pending, _)| pending.id).collect()
    }

    #[test]
    fn an_outcome_that_cannot_be_stored_is_kept_and_its_effect_is_not_run_again() {
        let mut outbox = Outbox::default();
        let due = || vec![close(1, 1), close(2, 1), close(3, 2)];
        assert_eq!(ids(&outbox.start(due(), false)), [1, 3]);
        let now = Timestamp::from_millis(0);
        let ended = outbox
            .ended(close(1, 1), Ran::Done(Vec::new()), now)
            .unwrap();
        outbox.stored(ended, full(), true);
        assert!(outbox.keeps_anything());
        assert!(
            outbox.start(due(), false).is_empty(),
            "nothing starts meanwhile"
        );
        let before = outbox.pause();
        for ended in outbox.take_kept() {
            outbox.stored(ended, full(), true);
        }
        assert!(outbox.pause() > before, "tried less and less often");
        for ended in outbox.take_kept() {
            assert_eq!(
                ended.order().finishes,
                Some((1, EffectOutcome::Done)),
                "and what came of it is still the same"
            );
            outbox.stored(ended, Ok(()), false);
        }
        assert_eq!(ids(&outbox.start(vec![close(2, 1)], false)), [2]);
        assert!(outbox.is_running(), "3 still runs");
    }

    #[test]
    fn while_the_store_refuses_nothing_starts_and_one_row_is_asked_with() {
        let mut outbox = Outbox::default();
        assert!(outbox.start(vec![close(7, 1)], true).is_empty());
        let probe = outbox.probe(&[close(7, 1)]).unwrap();
        assert_eq!(probe.finishes, Some((7, EffectOutcome::Probe)));
        assert!(outbox.probe(&[]).is_none());
        let quick = outbox.pause();
        outbox.probe_failed();
        assert!(outbox.pause() > quick);
        assert_eq!(ids(&outbox.start(vec![close(7, 1)], false)), [7]);
    }

    #[test]
    fn an_outcome_that_never_fits_is_given_up_so_that_its_session_goes_on() {
        let mut outbox = Outbox::default();
        outbox.start(vec![close(1, 1)], false);
        let mut ended = outbox.ended(
            close(1, 1),
            Ran::Done(Vec::new()),
            Timestamp::from_millis(0),
        );
        for _ in 0..MOST_TRIES_TO_STORE {
            outbox.stored(ended.take().unwrap(), full(), false);
            ended = outbox.take_kept().pop();
        }
        let order = ended.unwrap().order();
        assert!(order.commands.is_empty());
        assert!(matches!(
            order.finishes,
            Some((1, EffectOutcome::Failed { .. }))
        ));
    }

    #[test]
    fn an_effect_that_goes_on_in_another_lane_leaves_its_first_one_and_keeps_its_sessions_turn() {
        let mut outbox = Outbox::default();
        let prepare = |id: i64| PendingEffect {
            effect: Effect::PrepareSession {
                session: SessionId::new(Uuid::from_u128(id.unsigned_abs().into())),
            },
            ..close(id, 1)
        };
        let due: Vec<PendingEffect> = (1..=5).map(prepare).collect();
        assert_eq!(ids(&outbox.start(due.clone(), false)), [1, 2, 3, 4]);
        let now = Timestamp::from_millis(0);
        assert!(
            outbox
                .ended(prepare(1), Ran::Onward(Lane::Scripts), now)
                .is_none()
        );
        let started = outbox.start(due, false);
        assert_eq!(ids(&started), [1, 5]);
        assert_eq!(started[0].1, Lane::Scripts);
    }

    #[test]
    fn nothing_is_put_off_for_longer_than_the_store_believes() {
        let mut outbox = Outbox::default();
        outbox.start(vec![close(1, 1)], false);
        let later = Ran::Later {
            after_ms: i64::MAX,
            why: "some day".into(),
        };
        let now = Timestamp::from_millis(1_000);
        let ended = outbox.ended(close(1, 1), later, now).unwrap();
        let Some((_, EffectOutcome::Retry { at, .. })) = ended.order().finishes else {
            panic!("it is tried again");
        };
        assert_eq!(at, now.plus_millis(LONGEST_WAIT_MS));
    }
}
