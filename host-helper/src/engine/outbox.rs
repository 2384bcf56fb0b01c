//! The outbox: effects that are stored and not yet done. Effects of one session run one after another, different sessions side by
//! side; each outcome is stored together with the mark that the effect is done, so that a crash repeats it at worst, and every
//! effect is written so that a repetition does nothing new.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use claustre_protocol::{ids::SessionId, time::Timestamp};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    Engine, Order,
    effects::{Effects, Ran},
};
use crate::{
    ports::PortError,
    store::{EffectOutcome, PendingEffect},
};

/// At most so many effects run at once: a worktree is bound by the disk, a tab by Zellij.
const SIDE_BY_SIDE: usize = 4;
/// How often a passing failure is tried again before it counts as lasting.
const MOST_ATTEMPTS: u32 = 6;

/// Runs effects until cancelled; those under way are finished.
pub async fn run(engine: Engine, effects: Arc<Effects>, stop: CancellationToken) {
    let mut position = engine.position();
    let mut busy: BTreeSet<Option<SessionId>> = BTreeSet::new();
    let mut running: JoinSet<(Option<SessionId>, PendingEffect, Ran)> = JoinSet::new();
    loop {
        let now = engine.host.now();
        let pending = match engine
            .read(move |reader| reader.pending_effects(now, 256))
            .await
        {
            Ok(pending) => pending,
            Err(fault) => {
                tracing::error!(%fault, "reading the outbox");
                Vec::new()
            }
        };
        for effect in pending {
            let of = effect.effect.session();
            if running.len() >= SIDE_BY_SIDE || stop.is_cancelled() {
                break;
            }
            // What concerns no session waits for nobody.
            if of.is_some() && !busy.insert(of) {
                continue;
            }
            let effects = effects.clone();
            running.spawn_blocking(move || {
                // A defect in one effect must not hold up whatever else its session waits for.
                let ran = catch_unwind(AssertUnwindSafe(|| effects.run(&effect)));
                let ran = ran.unwrap_or_else(|_| Ran::Failed {
                    error: PortError::lasting("a defect of Claustre; the log has more", None),
                    commands: Vec::new(),
                });
                (of, effect, ran)
            });
        }
        let next = next_due(&engine).await;
        tokio::select! {
            Some(done) = running.join_next() => {
                if let Ok((of, effect, ran)) = done {
                    busy.remove(&of);
                    finish(&engine, &effect, ran).await;
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
        if stop.is_cancelled() && running.is_empty() {
            break;
        }
    }
}

/// How long until an effect that waits for its time is due; an hour when there is none.
async fn next_due(engine: &Engine) -> Duration {
    const LONGEST: Duration = Duration::from_secs(3600);
    let now = engine.host.now();
    match engine.read(|reader| reader.next_effect_at()).await {
        Ok(Some(at)) if at > now => {
            Duration::from_millis(u64::try_from(at.millis_since(now)).unwrap_or(0)).min(LONGEST)
        }
        // Due already but its session is busy, or all places are taken: the end of what runs wakes us.
        Ok(Some(_)) => Duration::from_millis(500),
        _ => LONGEST,
    }
}

async fn finish(engine: &Engine, effect: &PendingEffect, ran: Ran) {
    let now = engine.host.now();
    let (outcome, commands) = match ran {
        Ran::Done(commands) => (EffectOutcome::Done, commands),
        Ran::Later { after_ms, why } => (
            EffectOutcome::Retry {
                at: now.plus_millis(after_ms),
                why,
            },
            Vec::new(),
        ),
        Ran::Failed { error, commands } if error.passing && effect.attempts + 1 < MOST_ATTEMPTS => {
            tracing::warn!(effect = %effect.effect.key(), error = %error.message, "trying again");
            drop(commands);
            (
                EffectOutcome::Retry {
                    at: back_off(now, effect.attempts),
                    why: error.message,
                },
                Vec::new(),
            )
        }
        Ran::Failed { error, commands } => {
            tracing::error!(effect = %effect.effect.key(), error = %error.message, "given up");
            (EffectOutcome::Failed { why: error.message }, commands)
        }
    };
    let order = Order {
        commands,
        actor: "engine".into(),
        report: None,
        finishes: Some((effect.id, outcome)),
        reply: None,
    };
    let (reply, stored) = tokio::sync::oneshot::channel();
    let order = Order {
        reply: Some(reply),
        ..order
    };
    if engine.order(order).await.is_ok() {
        // The next look at the outbox must not find it again.
        stored.await.ok();
    }
}

fn back_off(now: Timestamp, attempts: u32) -> Timestamp {
    now.plus_millis(500i64.saturating_mul(1 << attempts.min(6)))
}
