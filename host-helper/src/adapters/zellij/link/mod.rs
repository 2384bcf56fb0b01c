//! The link to the plugin of one Zellij server: two long-lived `zellij pipe` children, one for each direction, because one
//! pipe carries nothing back while its client waits for its next line.
//!
//! [`Links`] keeps one link for each server, [`LinkHandle`] gives orders to one, and [`LinkEvent`]s come out of all of them
//! through one channel. `core` decides, `connection` moves the lines and keeps the children.

mod connection;
mod core;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use claustre_protocol::{
    dashboard::DashboardUpdate,
    link::{ActionResult, DashboardSettings, Instance, PaneAction, ToPlugin},
    request::{PluginAddress, Request},
};
use tokio::sync::{mpsc, oneshot};

use super::cli::Zellij;

/// Orders that may wait for a link.
const ORDERS: usize = 256;

/// Names a server: its session, and its process, because a session's name is used again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LinkKey {
    /// Name of the Zellij session.
    pub session: String,
    /// Process id of the Zellij server.
    pub server_pid: u32,
}

impl fmt::Display for LinkKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.session, self.server_pid)
    }
}

/// What each line of a link carries, so that nobody else's are taken. Not shown in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A new one that nobody can guess.
    fn new() -> Self {
        Self(uuid::Uuid::new_v4().simple().to_string())
    }

    /// Its digits.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

/// What a link tells the engine.
#[derive(Debug, Clone, PartialEq)]
pub enum LinkEvent {
    /// The plugin answers.
    Up,
    /// It does not any more; the link goes on trying.
    Down,
    /// The server is gone, and the link with it.
    Gone,
    /// A person asks something; answered by [`ToPlugin::Reply`] to this instance.
    Ask {
        /// Who asks.
        instance: Instance,
        /// Joins the reply.
        id: u64,
        /// What.
        request: Box<Request>,
    },
    /// A terminal pane closed.
    PaneClosed {
        /// Its number.
        pane: u32,
    },
    /// A dashboard came on a screen, or the last one left.
    VisibleChanged {
        /// Is one on a screen?
        visible: bool,
    },
    /// Other clients are attached than before.
    ClientsChanged {
        /// Their Zellij numbers; empty = nobody is attached.
        clients: Vec<u16>,
    },
}

/// An order came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The link is gone, with its server.
    #[error("ordering the dashboard: its Zellij server is gone")]
    Gone,
    /// No plugin answered in time.
    #[error("ordering the dashboard: no plugin answers in this Zellij session")]
    NoPlugin,
    /// It was told, and nobody knows whether it was done: look before ordering it again.
    #[error("ordering the dashboard: it fell silent before it said what came of it")]
    Unknown,
    /// Zellij could not.
    #[error("{0}")]
    Refused(String),
    /// Too many orders wait.
    #[error("ordering the dashboard: too many orders wait")]
    Busy,
}

/// Gives the whole state for an instance that knows nothing: a [`DashboardUpdate`] with all that is to be drawn.
pub type SnapshotSource = Arc<dyn Fn() -> DashboardUpdate + Send + Sync>;

/// An order on its way to the link.
#[derive(Debug)]
enum Order {
    Say(Option<Instance>, ToPlugin),
    Act {
        what: PaneAction,
        by: Option<Instance>,
        reply: oneshot::Sender<Result<ActionResult, LinkError>>,
    },
    Draw(DashboardUpdate),
    Greet,
}

/// Gives orders to one link; clones give orders to the same.
#[derive(Debug, Clone)]
pub struct LinkHandle {
    key: LinkKey,
    plugin: Option<PluginAddress>,
    secret: Secret,
    orders: mpsc::Sender<Order>,
    /// A change was dropped because too much waited: all instances get the whole state.
    behind: Arc<AtomicBool>,
    up: Arc<AtomicBool>,
    attached: Arc<AtomicBool>,
}

impl LinkHandle {
    /// Which server.
    pub fn key(&self) -> &LinkKey {
        &self.key
    }

    /// What the plugins of that server need to take our lines.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// How the plugin is known in that server; none = by its alias.
    pub fn plugin(&self) -> Option<&PluginAddress> {
        self.plugin.as_ref()
    }

    /// Does a plugin answer?
    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// Is anybody attached to the session, as far as the plugin knows?
    pub fn is_attached(&self) -> bool {
        self.attached.load(Ordering::Relaxed)
    }

    /// Says something to one instance, or to all.
    ///
    /// # Errors
    /// The link is gone, or too much waits.
    pub fn send(&self, body: ToPlugin, target: Option<Instance>) -> Result<(), LinkError> {
        self.order(Order::Say(target, body))
    }

    /// Has one instance do something, and waits for what comes of it: at most 15 seconds.
    ///
    /// # Errors
    /// See [`LinkError`]; after `Unknown` it may have been done.
    pub async fn act(&self, what: PaneAction) -> Result<ActionResult, LinkError> {
        self.act_by(what, None).await
    }

    /// Does something in Zellij for the client of this instance, which is then the one that does it.
    ///
    /// # Errors
    /// As [`LinkHandle::act`].
    pub async fn act_by(
        &self,
        what: PaneAction,
        by: Option<Instance>,
    ) -> Result<ActionResult, LinkError> {
        let (reply, receiver) = oneshot::channel();
        self.order(Order::Act { what, by, reply })?;
        receiver.await.unwrap_or(Err(LinkError::Gone))
    }

    /// Draws a change on all instances, at most 20 times a second.
    pub fn draw(&self, update: DashboardUpdate) {
        if let Err(LinkError::Busy) = self.order(Order::Draw(update)) {
            self.behind.store(true, Ordering::Relaxed);
        }
    }

    fn order(&self, order: Order) -> Result<(), LinkError> {
        self.orders.try_send(order).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => LinkError::Busy,
            mpsc::error::TrySendError::Closed(_) => LinkError::Gone,
        })
    }
}

/// All links. Needs a running tokio.
pub struct Links {
    zellij: Zellij,
    snapshot: SnapshotSource,
    settings: DashboardSettings,
    events: mpsc::Sender<(LinkKey, LinkEvent)>,
    links: Arc<Mutex<HashMap<LinkKey, LinkHandle>>>,
}

impl fmt::Debug for Links {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Links")
            .field("zellij", &self.zellij)
            .finish_non_exhaustive()
    }
}

impl Links {
    /// No links yet. What happens on any of them comes out of `events`; a link waits while that is full.
    pub fn new(
        zellij: Zellij,
        snapshot: SnapshotSource,
        events: mpsc::Sender<(LinkKey, LinkEvent)>,
    ) -> Self {
        Self {
            zellij,
            snapshot,
            settings: DashboardSettings::default(),
            events,
            links: Arc::default(),
        }
    }

    /// With what the user configured for the dashboards.
    #[must_use]
    pub fn with_settings(mut self, settings: DashboardSettings) -> Self {
        self.settings = settings;
        self
    }

    /// The link of this server, opened where there is none. A plugin that loaded lately is greeted.
    pub fn ensure(&self, key: LinkKey, plugin: Option<PluginAddress>) -> LinkHandle {
        let mut links = self.lock();
        if let Some(link) = links.get(&key) {
            // Full or gone: the next call for the daemon comes in seconds.
            link.order(Order::Greet).ok();
            return link.clone();
        }
        let (orders, receiver) = mpsc::channel(ORDERS);
        let link = LinkHandle {
            key: key.clone(),
            plugin: plugin.clone(),
            secret: Secret::new(),
            orders,
            behind: Arc::default(),
            up: Arc::default(),
            attached: Arc::default(),
        };
        links.insert(key.clone(), link.clone());
        let connection = connection::Connection {
            zellij: self.zellij.clone().for_server(key.server_pid),
            key: key.clone(),
            plugin,
            snapshot: Arc::clone(&self.snapshot),
            settings: self.settings.clone(),
            secret: link.secret.clone(),
            events: self.events.clone(),
            behind: Arc::clone(&link.behind),
            up: Arc::clone(&link.up),
            attached: Arc::clone(&link.attached),
        };
        let all = Arc::clone(&self.links);
        tokio::spawn(async move {
            connection.run(receiver).await;
            all.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&key);
        });
        link
    }

    /// The link of a session by its name, where one is up.
    pub fn of_session(&self, session: &str) -> Option<LinkHandle> {
        self.lock()
            .values()
            .find(|link| link.key.session == session && link.is_up())
            .cloned()
    }

    /// All links, up or not.
    pub fn all(&self) -> Vec<LinkHandle> {
        self.lock().values().cloned().collect()
    }

    /// Draws a change on every dashboard.
    pub fn to_all(&self, update: &DashboardUpdate) {
        for link in self.lock().values() {
            link.draw(update.clone());
        }
    }

    /// Ends all links and their children.
    pub fn close(&self) {
        // Without a sender each link ends.
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LinkKey, LinkHandle>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
