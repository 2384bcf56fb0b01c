//! How worktrees differ from their base, counted anew after a tool changed files, at most once a second for each session.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use claustre_protocol::ids::SessionId;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Engine;
use crate::ports::Workspace;

/// How long changes are gathered before they are counted.
const GATHER: Duration = Duration::from_secs(1);

/// Sessions whose worktrees are to be counted.
#[derive(Default)]
pub struct Recount {
    wanted: Mutex<BTreeSet<SessionId>>,
    notify: Notify,
}

impl Recount {
    /// Asks for a count.
    pub fn ask(&self, session: SessionId) {
        self.wanted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(session);
        self.notify.notify_one();
    }

    fn take(&self) -> BTreeSet<SessionId> {
        std::mem::take(&mut self.wanted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Counts until cancelled.
pub async fn run(engine: Engine, workspace: Arc<dyn Workspace>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = engine.recount.notify.notified() => {}
            () = stop.cancelled() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(GATHER) => {}
            () = stop.cancelled() => return,
        }
        for session in engine.recount.take() {
            let Ok(Some(known)) = engine.read(move |reader| reader.session(session)).await else {
                continue;
            };
            let Some(worktree) = known.worktree.get().cloned().filter(|_| known.is_open()) else {
                continue;
            };
            let workspace = workspace.clone();
            let counted = tokio::task::spawn_blocking(move || {
                workspace.diff(worktree.path.as_ref(), &worktree.base_commit)
            })
            .await;
            match counted {
                Ok(Ok(diff)) => engine.live.set_diff(session, diff),
                Ok(Err(error)) => {
                    tracing::debug!(error = %error.message, "counting a worktree's changes")
                }
                Err(error) => tracing::warn!(%error, "counting a worktree's changes"),
            }
        }
    }
}
