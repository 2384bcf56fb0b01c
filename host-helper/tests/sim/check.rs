//! What must hold, whatever happened.

use std::collections::BTreeSet;

use claustre::store::{ReplayMode, Store};
use claustre_domain::{effect::Effect, event::AskOutcome, session::MessageState};
use claustre_protocol::{
    status::{ClaudeStatus, Reason},
    time::Timestamp,
};

use crate::{
    outside::Phase,
    world::{World, world as this},
};

/// What is still under way; empty where the world has come to rest.
pub fn unrest(world: &World) -> String {
    let Some(daemon) = world.daemon.borrow().clone() else {
        return "no daemon runs".into();
    };
    let mut found = Vec::new();
    if daemon.has_work() || daemon.has_input() || !daemon.ready.borrow().is_empty() {
        found.push("the daemon is at work".to_owned());
    }
    let outside = world.outside.borrow();
    if !outside.hooks.is_empty() || !outside.spool.is_empty() {
        found.push(format!(
            "{} hooks and {} spooled reports",
            outside.hooks.len(),
            outside.spool.len()
        ));
    }
    for (at, place) in outside.places.iter().enumerate() {
        if place.is_opening || place.is_to_start && place.launcher.is_some() {
            found.push(format!("{at} is starting"));
        }
        if let Some(client) = &place.client
            && client.phase != Phase::Idle
        {
            found.push(format!("{at} is {:?}", client.phase));
        }
    }
    let whenever = Timestamp::from_millis(i64::MAX / 2);
    let pending = daemon
        .engine
        .read_blocking(|reader| reader.pending_effects(whenever, 1_000))
        .unwrap();
    for pending in pending {
        // A message waits for as long as nobody can take it, or somebody must say what becomes of it.
        let waits = matches!(pending.effect, Effect::DeliverMessage { session, .. } if outside
            .places
            .iter()
            .find(|place| place.id == session)
            .is_some_and(|place| place.client.is_none()));
        if !waits {
            found.push(format!(
                "{} after {} tries",
                pending.effect.key(),
                pending.attempts
            ));
        }
    }
    found.join(", ")
}

/// Looks at everything once the world has come to rest.
pub fn all(world: &World) {
    let mut found = Vec::new();
    if world.is_strict() {
        sessions(world, &mut found);
    }
    let is_at_rest = unrest(world).is_empty();
    messages(world, &mut found);
    // What is still under way may still arrive.
    if is_at_rest {
        answers(world, &mut found);
    }
    once(world, &mut found);
    *world.daemon.borrow_mut() = None;
    log(world, &mut found);
    world.outside.borrow_mut().violations.extend(found);
}

/// No session is stuck, and what the log says of it is true.
fn sessions(world: &World, found: &mut Vec<String>) {
    let known = world.sessions();
    for session in known.iter().filter(|session| session.is_open()) {
        let standing = session.status();
        let outside = world.outside.borrow();
        let place = outside
            .places
            .iter()
            .find(|place| place.id == session.id)
            .unwrap();
        let is_true = match &place.client {
            Some(_) => {
                (standing.status == ClaudeStatus::Idle && session.running_client().is_some())
                    || standing.reason == Some(Reason::Dialog)
            }
            None => {
                session.running_client().is_none()
                    && matches!(
                        standing.reason,
                        Some(
                            Reason::Exited | Reason::Crashed | Reason::Lost | Reason::LaunchFailed
                        )
                    )
            }
        };
        if !is_true {
            found.push(format!(
                "{} is {:?} in the world and {:?} {:?} by {:?} in the log",
                session.tab_name(),
                place.client,
                standing.status,
                standing.reason,
                standing.source
            ));
        }
    }
}

/// Each message is typed at most once and confirmed exactly once.
fn messages(world: &World, found: &mut Vec<String>) {
    let daemon = world.daemon.borrow().clone().unwrap();
    let outside = world.outside.borrow();
    for (id, sent) in &outside.messages {
        let place = &outside.places[sent.place];
        let taken = place
            .prompts
            .iter()
            .filter(|prompt| **prompt == sent.text)
            .count();
        if taken > 1 + sent.again {
            found.push(format!("'{}' was taken {taken} times", sent.text));
        }
        let known = daemon
            .engine
            .read_blocking(|reader| reader.message(*id))
            .unwrap();
        let Some(known) = known else {
            if sent.is_acknowledged {
                found.push(format!("'{}' was acknowledged and is lost", sent.text));
            }
            continue;
        };
        let session = daemon
            .engine
            .read_blocking(|reader| reader.session(place.id))
            .unwrap()
            .unwrap();
        match known.state {
            MessageState::Delivered if taken == 0 => {
                found.push(format!("'{}' counts as delivered and was not", sent.text));
            }
            MessageState::Waiting
                if world.is_strict() && session.takes_prompts() && place.client.is_some() =>
            {
                found.push(format!("'{}' waits although its client is idle", sent.text));
            }
            MessageState::Waiting
                if world.is_strict() && taken > sent.again && place.client.is_some() =>
            {
                found.push(format!("'{}' was taken and is not confirmed", sent.text));
            }
            _ => {}
        }
    }
}

/// Each answer reaches the client exactly once, or the ask was gone.
fn answers(world: &World, found: &mut Vec<String>) {
    let daemon = world.daemon.borrow().clone().unwrap();
    let outside = world.outside.borrow();
    for (id, asked) in &outside.asks {
        if asked.taken.len() > 1 {
            found.push(format!("{id} was answered {} times", asked.taken.len()));
        }
        if let (Some(outcome), Some(text)) = (asked.acknowledged, asked.taken.first()) {
            let wanted = match outcome {
                AskOutcome::Approved => "allow",
                _ => "deny",
            };
            if !text.contains(wanted) {
                found.push(format!("{id} was {outcome:?} and the client read {text}"));
            }
        }
        if asked.acknowledged.is_some() && asked.taken.is_empty() && !asked.is_gone {
            found.push(format!(
                "the answer to {id} was acknowledged and has no effect"
            ));
        }
        let known = daemon
            .engine
            .read_blocking(|reader| reader.ask(*id))
            .unwrap();
        if known.is_some_and(|known| known.asked.is_some() && known.outcome.get().is_none()) {
            found.push(format!("{id} of {} is still open", asked.place));
        }
    }
}

/// What must not happen twice did not.
fn once(world: &World, found: &mut Vec<String>) {
    let outside = world.outside.borrow();
    for (text, times) in &outside.notices {
        if *times > 1 && text.contains("asks:") {
            found.push(format!("'{text}' was shown {times} times"));
        }
    }
    for (session, (ordered, done)) in &outside.restarts {
        if done > ordered {
            found.push(format!(
                "{session} was restarted {done} times for {ordered} orders"
            ));
        }
    }
}

/// What was acknowledged is in the log, and the log makes the tables.
fn log(world: &World, found: &mut Vec<String>) {
    let mut store =
        Store::open_unflushed(&world.store_path(), || this(|world| world.random.uuid())).unwrap();
    let report = store.replay(ReplayMode::Compare).unwrap();
    if report.different > 0 {
        found.push(format!("replay differs: {:?}", report.differences));
    }
    let reader = store.reader().unwrap();
    let chain = reader.verify_chain().unwrap();
    if !chain.breaks.is_empty() {
        found.push(format!("the chain is broken: {:?}", chain.breaks));
    }
    let logged: BTreeSet<_> = reader
        .events_after(0, 1_000_000)
        .unwrap()
        .into_iter()
        .map(|(_, event)| event.uuid)
        .collect();
    for event in &world.outside.borrow().acknowledged {
        if !logged.contains(event) {
            found.push(format!("the event {event} was acknowledged and is lost"));
        }
    }
}
