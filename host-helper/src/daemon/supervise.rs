//! Launchers are waited on by the kernel: one that ends without a word, by `kill -9` or with its pane, is noticed at once.

use std::{sync::Arc, time::Duration};

use claustre_domain::{
    command::{Command, SessionCommand},
    event::Event,
};
use claustre_protocol::ids::SessionId;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::watch;
use crate::{engine::Engine, ports::Launchers, store::SessionFilter};

/// How long a launcher's own last report may be under way.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Waits on the launchers of all open sessions, and of those that start from now on.
pub async fn run(engine: Engine, launchers: Arc<dyn Launchers>, stop: CancellationToken) {
    let mut advanced = engine.subscribe();
    let open = engine
        .read(|reader| {
            reader.sessions(SessionFilter {
                project: None,
                open_only: true,
            })
        })
        .await
        .unwrap_or_default();
    for session in open {
        if let Some(client) = session.running_client()
            && launchers.is_launcher(session.id, client.launcher_pid)
        {
            wait_for(
                engine.clone(),
                session.id,
                client.launcher_pid,
                stop.clone(),
            );
        }
    }
    loop {
        let received = tokio::select! {
            () = stop.cancelled() => return,
            received = advanced.recv() => received,
        };
        match received {
            Ok(advanced) => {
                for recorded in advanced.events.iter() {
                    if let Event::SessionClientStarted {
                        session,
                        launcher_pid,
                        ..
                    } = &recorded.event
                    {
                        wait_for(engine.clone(), *session, *launcher_pid, stop.clone());
                    }
                }
            }
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "some launchers are not waited on")
            }
            Err(RecvError::Closed) => return,
        }
    }
}

fn wait_for(engine: Engine, session: SessionId, launcher: u32, stop: CancellationToken) {
    tokio::spawn(async move {
        tokio::select! {
            () = watch::process_end(launcher) => {}
            () = stop.cancelled() => return,
        }
        tokio::time::sleep(LAST_WORDS).await;
        let known = engine.read(move |reader| reader.session(session)).await;
        let still_believed = matches!(known, Ok(Some(known)) if known
            .running_client()
            .is_some_and(|client| client.launcher_pid == launcher));
        if still_believed {
            let command = Command::Session(SessionCommand::ReportLost {
                session,
                why: "its launcher ended without a word (its pane was closed, or it was killed)"
                    .into(),
            });
            if let Err(fault) = engine.submit(command, "engine").await {
                tracing::warn!(%fault, "noting a lost launcher");
            }
        }
    });
}
