//! What is known of sessions but not worth an event: when they were last heard of, how full their context is, what they do at this
//! moment. Kept in memory, and written to the `live` table now and then, so that a restart of the daemon does not forget it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use claustre_protocol::{ids::SessionId, model::UsageWindow, time::Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Engine;
use crate::{
    ports::{DiffFacts, LiveChange},
    store::LiveRow,
};

/// How long changes are gathered before they are written.
const GATHER: Duration = Duration::from_secs(30);

/// What is known of one session at this moment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LiveSession {
    /// When anything was last heard of it.
    pub active_at: Option<Timestamp>,
    /// How full its context is, 0 to 100.
    pub context_percent: Option<u8>,
    /// The model in use.
    pub model: Option<String>,
    /// What it does, one line.
    pub doing: String,
    /// How its worktree differs from its base.
    pub diff: DiffFacts,
}

/// The account's allowances, as the newest status line told them.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Allowances {
    /// Five hours.
    pub five_hour: Option<UsageWindow>,
    /// Seven days.
    pub seven_day: Option<UsageWindow>,
}

/// Something everybody must know, until the daemon ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// What, and what to do about it; one line.
    pub text: String,
    /// Since when.
    pub since: Timestamp,
}

#[derive(Default)]
struct Inner {
    sessions: HashMap<SessionId, LiveSession>,
    allowances: Allowances,
    /// Something that is wrong with all of it, not with one session.
    warning: Option<Warning>,
    /// Changed since a reader last took them.
    changed: std::collections::BTreeSet<SessionId>,
}

/// Telemetry of all sessions.
pub struct Live {
    inner: Mutex<Inner>,
    version: watch::Sender<u64>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            inner: Mutex::default(),
            version: watch::Sender::new(0),
        }
    }
}

impl Live {
    /// Takes a change in.
    pub fn apply(&self, session: SessionId, change: &LiveChange) {
        self.update(session, |live| {
            if let Some(at) = change.active_at {
                live.active_at = Some(live.active_at.map_or(at, |known| known.max(at)));
            }
            if change.context_percent.is_some() {
                live.context_percent = change.context_percent;
            }
            if change.model.is_some() {
                live.model.clone_from(&change.model);
            }
            if let Some(doing) = &change.doing {
                live.doing.clone_from(doing);
            }
        });
        if change.five_hour.is_some() || change.seven_day.is_some() {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            inner.allowances = Allowances {
                five_hour: change.five_hour.or(inner.allowances.five_hour),
                seven_day: change.seven_day.or(inner.allowances.seven_day),
            };
        }
    }

    /// Takes a new count of differences in.
    pub fn set_diff(&self, session: SessionId, diff: DiffFacts) {
        self.update(session, |live| live.diff = diff);
    }

    /// Forgets a closed session.
    pub fn forget(&self, session: SessionId) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.sessions.remove(&session);
        inner.changed.remove(&session);
    }

    /// What is known of a session.
    pub fn of(&self, session: SessionId) -> LiveSession {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.sessions.get(&session).cloned().unwrap_or_default()
    }

    /// The account's allowances.
    pub fn allowances(&self) -> Allowances {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .allowances
    }

    /// Tells everybody of something that is wrong.
    pub fn warn(&self, text: String, since: Timestamp) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.warning = Some(Warning { text, since });
        drop(inner);
        self.version.send_modify(|version| *version += 1);
    }

    /// What everybody must know.
    pub fn warning(&self) -> Option<Warning> {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .warning
            .clone()
    }

    /// The sessions that changed since the last call.
    pub fn take_changed(&self) -> Vec<SessionId> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut inner.changed).into_iter().collect()
    }

    /// All that is known, for the store.
    pub fn rows(&self, at: Timestamp) -> Vec<LiveRow> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner
            .sessions
            .iter()
            .filter_map(|(session, live)| {
                Some(LiveRow {
                    session: *session,
                    at: live.active_at.unwrap_or(at),
                    state: serde_json::to_value(live).ok()?,
                })
            })
            .collect()
    }

    /// Takes back what an earlier daemon knew.
    pub fn restore(&self, rows: Vec<LiveRow>) {
        for row in rows {
            // Of another version: the next report tells it anew.
            if let Ok(live) = serde_json::from_value::<LiveSession>(row.state) {
                self.update(row.session, |known| *known = live);
            }
        }
    }

    /// Tells of every change.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    fn update(&self, session: SessionId, change: impl FnOnce(&mut LiveSession)) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let live = inner.sessions.entry(session).or_default();
        let before = live.clone();
        change(live);
        if *live != before {
            inner.changed.insert(session);
            drop(inner);
            self.version.send_modify(|version| *version += 1);
        }
    }
}

/// Writes what changed, at most twice a minute, and once more at the end.
pub async fn flush(engine: Engine, stop: CancellationToken) {
    let mut changed = engine.live.watch();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            told = changed.changed() => if told.is_err() { break },
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(GATHER) => {}
        }
        changed.mark_unchanged();
        engine.flush_live().await;
    }
    engine.flush_live().await;
}
