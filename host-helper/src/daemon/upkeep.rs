//! The store is looked after: read through once after a daemon that did not end in order, and copied once a day.
//!
//! Nothing is polled: the next copy's time is known, and slept for. A host that is suspended meanwhile is late by as much.

use std::{fs, time::Duration};

use claustre_protocol::time::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::{engine::Engine, paths::Paths, store::copies, text};

/// How long after a copy that failed the next is tried.
const AGAIN_MILLIS: i64 = 60 * 60 * 1000;
/// Longest description of a damage, in characters.
const LONGEST_FAULT: usize = 200;

/// Did the daemon before this one end in order? Asked once, before the store is opened: the answer is taken away, so that a daemon
/// that is killed leaves none. A home without a store had nothing to lose.
pub fn ended_in_order(paths: &Paths) -> bool {
    let is_new = !paths.store().exists();
    fs::remove_file(paths.ended_in_order()).is_ok() || is_new
}

/// Leaves word for the next start that this daemon ended in order.
pub fn leave_word(paths: &Paths) {
    if let Err(error) = fs::write(paths.ended_in_order(), "") {
        // Then the next start looks at the store, which costs a moment.
        tracing::warn!(%error, "noting that the daemon ended in order");
    }
}

/// Looks after the store until cancelled.
pub async fn run(engine: Engine, paths: Paths, is_to_be_checked: bool, stop: CancellationToken) {
    if is_to_be_checked && !is_whole(&engine, &paths).await {
        // A copy of what is damaged is worth less than the one it would take the place of.
        return;
    }
    let mut position = engine.position();
    let mut not_before = Timestamp::default();
    loop {
        let first = match engine.read(copies::first_event).await {
            Ok(first) => first,
            Err(fault) => {
                tracing::warn!(%fault, "looking when the store is to be copied");
                return;
            }
        };
        let now = engine.host.now();
        let Some(first) = first else {
            tokio::select! {
                () = stop.cancelled() => return,
                changed = position.changed() => if changed.is_err() { return },
            }
            continue;
        };
        let due = copies::next_due(&paths.backups(), first, now).max(not_before);
        if due > now {
            let left = due.millis_since(now).unsigned_abs();
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(Duration::from_millis(left)) => {}
            }
            // The wall clock may have been set meanwhile.
            continue;
        }
        let (from, to) = (paths.store(), paths.backups());
        let made = tokio::task::spawn_blocking(move || copies::make(&from, &to, now)).await;
        match made {
            Ok(Ok(copy)) => tracing::info!(copy = %copy.display(), "the store was copied"),
            Ok(Err(error)) => {
                tracing::error!(%error, hint = error.hint(), "the daily copy of the store");
                not_before = now.plus_millis(AGAIN_MILLIS);
            }
            Err(error) => {
                tracing::error!(%error, "the daily copy of the store");
                return;
            }
        }
    }
}

/// Reads the store's file through; what is wrong with it is said wherever people look.
async fn is_whole(engine: &Engine, paths: &Paths) -> bool {
    tracing::info!("the last daemon did not end in order; the store is read through");
    let fault = match engine.read(|reader| reader.quick_check()).await {
        Ok(damage) => damage.into_iter().next(),
        Err(fault) => Some(fault.message),
    };
    let Some(fault) = fault else {
        tracing::info!("the store is whole");
        return true;
    };
    let fault = text::one_line(&fault, LONGEST_FAULT);
    let what_to_do = copies::bring_back(&paths.store(), &paths.backups());
    tracing::error!(fault, what_to_do, "the store is damaged");
    engine.live.warn(
        format!("the store is damaged ({fault}): {what_to_do}"),
        engine.host.now(),
    );
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_orderly_end_is_remembered_and_only_once() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::at(directory.path()).unwrap();
        fs::create_dir(paths.run()).unwrap();
        assert!(ended_in_order(&paths), "there is no store yet");
        fs::write(paths.store(), "").unwrap();
        assert!(!ended_in_order(&paths), "it was killed");
        leave_word(&paths);
        assert!(ended_in_order(&paths));
        assert!(!ended_in_order(&paths), "and then killed");
    }
}
