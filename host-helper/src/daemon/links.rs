//! The dashboards: what changed is drawn on them, what people ask on them is answered, and panes that were opened while nobody
//! looked get their tabs when somebody does.

use std::{str::FromStr, sync::Arc, time::Duration};

use claustre_domain::{
    command::{Command, SessionCommand},
    entity::touched,
    event::{Event, Recorded},
    session::Pane,
};
use claustre_protocol::{
    dashboard::DashboardUpdate,
    ids::SessionId,
    link::{Instance, PaneAction, ToPlugin},
    request::{Done, Request},
};
use serde_json::json;
use tokio::{
    sync::{broadcast::error::RecvError, mpsc},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::showing::Showing;
use crate::{
    adapters::zellij::{LinkEvent, LinkHandle, LinkKey, Links},
    engine::{Engine, waiting},
    ports::Multiplexer,
    server::{api::Api, dashboard::Drawing},
    store::{Reader, SessionFilter, StoreError},
};

/// Draws changes and answers dashboards.
pub struct Dashboards {
    /// The one path of business logic.
    pub engine: Engine,
    /// All links.
    pub links: Arc<Links>,
    /// Answers requests.
    pub api: Arc<Api>,
    /// Tabs and panes.
    pub multiplexer: Arc<dyn Multiplexer>,
    /// How many sessions may run at once; 0 = no cap.
    pub capacity: u32,
    /// Puts dashboards in front.
    pub showing: Arc<Showing>,
    /// Held while panes get their tabs.
    pub adopting: tokio::sync::Mutex<()>,
}

/// How long a change of telemetry alone waits for an event to go with.
const LIVE_PAUSE: Duration = Duration::from_millis(250);

/// Draws with one reader.
///
/// # Errors
/// The store cannot be read.
pub fn draw(
    engine: &Engine,
    capacity: u32,
    reader: &Reader,
    what: impl FnOnce(&Drawing<'_>) -> Result<DashboardUpdate, StoreError>,
) -> Result<DashboardUpdate, StoreError> {
    what(&Drawing {
        reader,
        live: &engine.live,
        machine: engine.machine,
        host: &engine.host.name(),
        capacity,
        now: engine.host.now(),
        position: *engine.position().borrow(),
    })
}

impl Dashboards {
    /// Draws what changes until cancelled.
    pub async fn draw_changes(&self, stop: CancellationToken) {
        let mut advanced = self.engine.subscribe();
        let mut live = self.engine.live.watch();
        let mut live_due: Option<Instant> = None;
        // The inbox goes as a whole, and with many tasks in review it is long: the plugin reads a kilobyte in half a millisecond.
        let mut told_inbox = None;
        loop {
            let mut changed = Vec::new();
            let mut is_behind = false;
            tokio::select! {
                () = stop.cancelled() => return,
                received = advanced.recv() => match received {
                    Ok(first) => changed.extend(first.events.iter().flat_map(|recorded| touched(&recorded.event))),
                    Err(RecvError::Lagged(_)) => is_behind = true,
                    Err(RecvError::Closed) => return,
                },
                told = live.changed(), if live_due.is_none() => {
                    if told.is_err() {
                        return;
                    }
                    // Ages and counters can wait: the event they come with must find the way free.
                    live_due = Some(Instant::now() + LIVE_PAUSE);
                    continue;
                }
                () = sleep_until(live_due.unwrap_or_else(Instant::now)), if live_due.is_some() => {}
            }
            // What came meanwhile goes out together.
            loop {
                match advanced.try_recv() {
                    Ok(more) => changed.extend(
                        more.events
                            .iter()
                            .flat_map(|recorded| touched(&recorded.event)),
                    ),
                    Err(tokio::sync::broadcast::error::TryRecvError::Lagged(_)) => is_behind = true,
                    Err(_) => break,
                }
            }
            // Also where nobody looks: a moment that has passed and still stands would end every wait at once.
            live_due = None;
            live.mark_unchanged();
            if self.links.all().is_empty() {
                // Who comes next gets the whole, and this list is not what they were told.
                told_inbox = None;
                continue;
            }
            changed.sort_unstable();
            changed.dedup();
            let seen = self.engine.live.take_changed();
            let (engine, capacity) = (self.engine.clone(), self.capacity);
            let drawn = self
                .engine
                .read(move |reader| {
                    draw(&engine, capacity, reader, |drawing| {
                        if is_behind {
                            drawing.whole().map(|update| DashboardUpdate {
                                reset: true,
                                ..update
                            })
                        } else {
                            drawing.changes(&changed, &seen)
                        }
                    })
                })
                .await;
            match drawn {
                Ok(mut update) => {
                    if update.inbox == told_inbox && !update.reset {
                        update.inbox = None;
                    } else if update.inbox.is_some() {
                        told_inbox.clone_from(&update.inbox);
                    }
                    self.links.to_all(&update);
                }
                Err(fault) => tracing::error!(%fault, "drawing the dashboard"),
            }
        }
    }

    /// Answers what happens on links until cancelled.
    pub async fn answer(
        self: Arc<Self>,
        mut events: mpsc::Receiver<(LinkKey, LinkEvent)>,
        stop: CancellationToken,
    ) {
        let mut advanced = self.engine.subscribe();
        loop {
            let (key, event) = tokio::select! {
                () = stop.cancelled() => return,
                received = events.recv() => match received {
                    Some(received) => received,
                    None => return,
                },
                stored = advanced.recv() => {
                    match stored {
                        Ok(stored) => self.adopt_late(&stored.events),
                        // Whoever attaches next finds what was missed.
                        Err(RecvError::Lagged(_)) => {}
                        Err(RecvError::Closed) => return,
                    }
                    continue;
                }
            };
            match event {
                LinkEvent::Ask {
                    instance,
                    id,
                    request,
                } => {
                    let dashboards = self.clone();
                    tokio::spawn(
                        async move { dashboards.reply(&key, instance, id, *request).await },
                    );
                }
                LinkEvent::ClientsChanged { clients } if !clients.is_empty() => {
                    self.showing.somebody_looks(&key.session);
                    let dashboards = self.clone();
                    tokio::spawn(async move { dashboards.adopt(key).await });
                }
                LinkEvent::Up => tracing::info!(link = %key, "a dashboard answers"),
                LinkEvent::Down => tracing::info!(link = %key, "a dashboard does not answer"),
                LinkEvent::Gone => tracing::info!(link = %key, "a Zellij server is gone"),
                // The launcher of a closed pane tells for itself.
                LinkEvent::PaneClosed { .. }
                | LinkEvent::VisibleChanged { .. }
                | LinkEvent::ClientsChanged { .. } => {}
            }
        }
    }

    async fn reply(&self, key: &LinkKey, instance: Instance, id: u64, request: Request) {
        let Some(link) = self.links.all().into_iter().find(|link| link.key() == key) else {
            return;
        };
        let outcome = match &request {
            Request::SessionFocus(named)
                if self.focus_for(&link, &instance, &named.of).await.is_some() =>
            {
                Ok(json!(Done::default()))
            }
            _ => {
                let handling = self.api.handle(request, "user");
                waiting::watched("a dashboard's", "user", handling).await
            }
        };
        if let Err(error) = link.send(ToPlugin::Reply { id, outcome }, Some(instance)) {
            tracing::warn!(%error, "answering a dashboard");
        }
    }

    /// Brings a session's tab to the client that asked for it, where it is in the same Zellij; none where it is not, or could not
    /// be done.
    async fn focus_for(&self, link: &LinkHandle, instance: &Instance, named: &str) -> Option<()> {
        let id = SessionId::from_str(named).ok()?;
        let session = self.engine.read(move |reader| reader.session(id)).await;
        let session = session.ok()??;
        let place = session.pane.get().filter(|pane| is_at(pane, link.key()))?;
        let what = PaneAction::Focus { pane: place.pane };
        link.act_by(what, Some(instance.clone())).await.ok()?;
        Some(())
    }

    /// A pane that was opened while nobody looked is stored only after somebody came.
    fn adopt_late(self: &Arc<Self>, events: &[Recorded]) {
        for recorded in events {
            let Event::SessionPaneOpened {
                zellij_session,
                background: true,
                ..
            } = &recorded.event
            else {
                continue;
            };
            let link = self.links.of_session(zellij_session);
            if let Some(link) = link.filter(LinkHandle::is_attached) {
                let dashboards = self.clone();
                tokio::spawn(async move { dashboards.adopt(link.key().clone()).await });
            }
        }
    }

    /// Gives panes in the background their tabs.
    async fn adopt(&self, key: LinkKey) {
        let _one_at_a_time = self.adopting.lock().await;
        let found = self
            .engine
            .read(|reader| {
                reader.sessions(SessionFilter {
                    project: None,
                    open_only: true,
                })
            })
            .await;
        let waiting: Vec<_> = match found {
            Ok(sessions) => sessions
                .into_iter()
                .filter_map(|session| {
                    let pane = session.pane.get()?.clone();
                    let waits_here = pane.background && is_at(&pane, &key);
                    waits_here.then(|| (session.id, pane.pane, session.tab_name()))
                })
                .collect(),
            Err(fault) => {
                tracing::error!(%fault, "looking for panes without a tab");
                return;
            }
        };
        // One after the other: a pane that is gone must not keep the others from their tabs.
        for (session, pane, name) in waiting {
            let multiplexer = self.multiplexer.clone();
            let zellij_session = key.session.clone();
            let adopted = tokio::task::spawn_blocking(move || {
                multiplexer.adopt(&zellij_session, &[(pane, name)])
            })
            .await;
            match adopted {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(error = %error.message, "giving a pane its tab");
                    continue;
                }
                Err(error) => {
                    tracing::error!(%error, "giving a pane its tab");
                    continue;
                }
            }
            let command = Command::Session(SessionCommand::ReportPane {
                session,
                zellij_session: key.session.clone(),
                server_pid: key.server_pid,
                pane,
                background: false,
            });
            if let Err(fault) = self.engine.submit(command, "engine").await {
                tracing::warn!(%fault, "noting a pane's tab");
            }
        }
    }
}

/// Is the pane in this Zellij?
fn is_at(pane: &Pane, key: &LinkKey) -> bool {
    pane.zellij_session == key.session
        && (pane.server_pid == 0 || pane.server_pid == key.server_pid)
}
