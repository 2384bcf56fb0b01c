//! The terminals that sessions run in, behind one port, so that tmux can stand where Zellij stands.
//!
//! With Zellij everything goes through the plugin where it answers: it disturbs nobody's view and takes a millisecond. Where
//! it does not (it is not set up, or waits for its permission) the command line does the same.

use std::{
    collections::BTreeMap, future::Future, path::PathBuf, pin::Pin, sync::Arc, time::Duration,
};

use claustre_protocol::{
    base64,
    ids::SessionId,
    link::{ActionResult, PaneAction},
};
use tokio::time::sleep;

use super::{
    cli::{Zellij, ZellijError},
    layout,
    link::{LinkError, LinkHandle, LinkKey, Links},
    listed::ListedPane,
    servers,
};
use crate::limited::{Limited, LimitedError};

/// The session that is made where Zellij does not run.
pub const BACKGROUND_SESSION: &str = "claustre";

/// So many calls of the program run at once, and so many more wait.
const CALLS_AT_ONCE: usize = 4;
/// See [`CALLS_AT_ONCE`].
const CALLS_WAITING: usize = 64;
/// How long a call may take with its waiting: three tries of five seconds, and one of another's.
const CALL_LIMIT: Duration = Duration::from_secs(20);
/// How long the plugin of a new session may take to call.
const PLUGIN_WAIT: Duration = Duration::from_secs(10);
/// How long a new tab may take to be listed.
const TAB_WAIT: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(50);
/// Most bytes written at once: the line of the link is limited, and so is a command line, on which each byte is an argument.
const MOST_WRITTEN: usize = 8 * 1024;
/// How often Zellij is asked for a session before it is believed that there is none.
const LOOKS_FOR_SESSION: u32 = 3;
/// How often, and with which pause, a pane is looked for that may or may not have been made: for three seconds.
const LOOKS_FOR_OPENED: u32 = 12;
/// See [`LOOKS_FOR_OPENED`].
const LOOK_FOR_OPENED: Duration = Duration::from_millis(250);

/// Why it did not work.
#[derive(Debug, thiserror::Error)]
pub enum MultiplexerError {
    /// The command line failed.
    #[error(transparent)]
    Zellij(#[from] ZellijError),
    /// The plugin could not.
    #[error(transparent)]
    Link(LinkError),
    /// It was ordered, and nobody knows whether it happened: look whether the launcher reports before ordering it again.
    #[error("{0}: it is not known whether it happened")]
    Unknown(&'static str),
    /// The pane is not there.
    #[error("looking for pane {pane} of Zellij session {session}: there is none")]
    NoPane {
        /// The Zellij session.
        session: String,
        /// The terminal pane.
        pane: u32,
    },
    /// Zellij is so slow that too much waits for it; this was not tried.
    #[error("calling zellij: {0}")]
    Busy(LimitedError),
    /// Our own layout is broken.
    #[error("making the layout of a tab: {0}")]
    Layout(String),
}

/// Where a session runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PanePlace {
    /// Name of the Zellij session.
    pub session: String,
    /// Process id of its server, where known: panes are counted anew by each.
    pub server_pid: Option<u32>,
    /// The terminal pane.
    pub pane: u32,
}

/// A session to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSession {
    /// Whose.
    pub session: SessionId,
    /// The Zellij session to open it in; none = wherever somebody looks, or a new one in the background.
    pub zellij_session: Option<String>,
    /// `{project}:{branch}`.
    pub name: String,
    /// The launcher and its arguments.
    pub argv: Vec<String>,
    /// The directory.
    pub cwd: String,
    /// With a shell beside it?
    pub shell: bool,
}

/// A session that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The Zellij session.
    pub session: String,
    /// Its server, where known.
    pub server_pid: Option<u32>,
    /// The pane, where known by now; the launcher reports it in any case.
    pub pane: Option<u32>,
    /// Has it a tab of its own? Otherwise it gets one by [`Multiplexer::adopt`] when somebody attaches.
    pub own_tab: bool,
}

/// What a call to a [`Multiplexer`] gives.
pub type Pending<'call, Value> =
    Pin<Box<dyn Future<Output = Result<Value, MultiplexerError>> + Send + 'call>>;

/// The terminals that sessions run in.
pub trait Multiplexer: Send + Sync {
    /// Starts a launcher in a place of its own, without moving anybody's focus.
    fn open_session(&self, open: OpenSession) -> Pending<'_, Opened>;
    /// Gives panes that run in the background their own tabs; the pairs are pane and tab name.
    fn adopt(&self, session: String, panes: Vec<(u32, String)>) -> Pending<'_, ()>;
    /// Shows the pane and gives it the focus.
    fn focus(&self, place: PanePlace) -> Pending<'_, ()>;
    /// Closes the pane that was opened for the session, and its tab if it carries this name (with or without a mark). One that is
    /// closed already is no error.
    fn close(&self, session: SessionId, place: PanePlace, name: String) -> Pending<'_, ()>;
    /// Names the tab of the pane, if its name contains `only`.
    fn rename(&self, place: PanePlace, name: String, only: String) -> Pending<'_, ()>;
    /// What the tabs of all terminal panes of the session are called.
    fn tab_names(&self, place: PanePlace) -> Pending<'_, BTreeMap<u32, String>>;
    /// Writes bytes into the pane, as if they were typed.
    fn write(&self, place: PanePlace, bytes: Vec<u8>) -> Pending<'_, ()>;
    /// The text on the pane's screen.
    fn read(&self, place: PanePlace) -> Pending<'_, String>;
    /// Is the pane still there?
    fn exists(&self, place: PanePlace) -> Pending<'_, bool>;
}

/// Zellij as the terminals of sessions.
#[derive(Debug, Clone)]
pub struct ZellijMultiplexer {
    zellij: Zellij,
    links: Arc<Links>,
    /// There while the dashboard is set up: only then does a plugin call from a new session.
    setup_journal: PathBuf,
    /// Held while a server is started: two at once for one name both start, and the clients of one are counted by the other.
    starting: Arc<tokio::sync::Mutex<()>>,
    calls: Arc<Limited>,
}

impl ZellijMultiplexer {
    /// Through these links, and this program where they are not up. `setup_journal` is what `claustre setup` leaves.
    pub fn new(zellij: Zellij, links: Arc<Links>, setup_journal: PathBuf) -> Self {
        Self {
            zellij,
            links,
            setup_journal,
            starting: Arc::default(),
            calls: Arc::new(Limited::new("zellij", CALLS_AT_ONCE, CALLS_WAITING)),
        }
    }

    /// The link to the server of a place, where it is up and the same server.
    fn link(&self, place: &PanePlace) -> Option<LinkHandle> {
        self.links.of_session(&place.session).filter(|link| {
            place
                .server_pid
                .is_none_or(|pid| pid == link.key().server_pid)
        })
    }

    /// One call of the program, on a thread of its own kind: neither the runtime's nor one that waits for this call.
    async fn call<Value: Send + 'static>(
        &self,
        call: impl FnOnce(&Zellij) -> Result<Value, ZellijError> + Send + 'static,
    ) -> Result<Value, MultiplexerError> {
        let zellij = self.zellij.clone();
        match self.calls.call(CALL_LIMIT, move || call(&zellij)).await {
            Ok(result) => Ok(result?),
            Err(LimitedError::Unknown) => Err(MultiplexerError::Unknown(
                "calling zellij: it did not come back in time",
            )),
            Err(error @ (LimitedError::Busy | LimitedError::NoTurn)) => {
                Err(MultiplexerError::Busy(error))
            }
        }
    }

    /// One call about a pane, to the server that it is in. Panes are counted anew by each server, so that the same number in a session
    /// of the same name may be somebody else's.
    async fn call_on<Value: Send + 'static>(
        &self,
        place: &PanePlace,
        call: impl FnOnce(&Zellij) -> Result<Value, ZellijError> + Send + 'static,
    ) -> Result<Value, MultiplexerError> {
        let Some(pid) = place.server_pid else {
            return self.call(call).await;
        };
        if !servers::is_server_of(pid, &place.session) {
            return Err(MultiplexerError::NoPane {
                session: place.session.clone(),
                pane: place.pane,
            });
        }
        self.call(move |zellij| call(&zellij.clone().for_server(pid)))
            .await
    }

    /// Has the plugin do it. None = no plugin was told, so that the command line may do it instead.
    async fn through(
        &self,
        place: &PanePlace,
        what: PaneAction,
    ) -> Result<Option<ActionResult>, MultiplexerError> {
        let Some(link) = self.link(place) else {
            return Ok(None);
        };
        match link.act(what).await {
            Ok(result) => Ok(Some(result)),
            Err(LinkError::NoPlugin | LinkError::Busy | LinkError::Gone) => Ok(None),
            Err(LinkError::Unknown) => Err(MultiplexerError::Unknown("ordering the dashboard")),
            Err(error @ LinkError::Refused(_)) => Err(MultiplexerError::Link(error)),
        }
    }

    async fn open(&self, open: OpenSession) -> Result<Opened, MultiplexerError> {
        let wanted = open.zellij_session.as_deref();
        if let Some(link) = self.link_for(wanted) {
            return self.open_through(&link, open).await;
        }
        let starting = self.starting.lock().await;
        // Whoever held the lock may have started a session, whose plugin has called meanwhile.
        if let Some(link) = self.link_for(wanted) {
            drop(starting);
            return self.open_through(&link, open).await;
        }
        let session = match self.running_session(wanted).await? {
            Some(session) => session,
            None => {
                self.call(|zellij| zellij.create_background(BACKGROUND_SESSION, layout::START))
                    .await?;
                if let Some(link) = self.wait_for_link(BACKGROUND_SESSION).await {
                    drop(starting);
                    return self.open_through(&link, open).await;
                }
                self.wait_until_alone(BACKGROUND_SESSION).await?;
                BACKGROUND_SESSION.to_owned()
            }
        };
        drop(starting);
        self.open_by_command(session, open).await
    }

    /// A session that runs: the wanted one, ours, or any. A busy server now and then does not answer in time to be listed.
    async fn running_session(
        &self,
        wanted: Option<&str>,
    ) -> Result<Option<String>, MultiplexerError> {
        for look in 0..LOOKS_FOR_SESSION {
            if look > 0 {
                sleep(LOOK).await;
            }
            let running = self.call(Zellij::sessions).await?;
            let best = running.into_iter().min_by_key(|name| {
                (
                    Some(name.as_str()) != wanted,
                    name != BACKGROUND_SESSION,
                    name.clone(),
                )
            });
            if best.is_some() {
                return Ok(best);
            }
        }
        Ok(None)
    }

    /// The link of the wanted session; none wanted = the best there is.
    fn link_for(&self, wanted: Option<&str>) -> Option<LinkHandle> {
        match wanted {
            Some(session) => self.links.of_session(session),
            None => self.best_link(),
        }
    }

    /// The link of a session that somebody looks at, or any that is up.
    fn best_link(&self) -> Option<LinkHandle> {
        let mut up: Vec<LinkHandle> = self
            .links
            .all()
            .into_iter()
            .filter(LinkHandle::is_up)
            .collect();
        up.sort_by_key(|link| {
            (
                !link.is_attached(),
                link.key().session != BACKGROUND_SESSION,
                link.key().session.clone(),
            )
        });
        up.into_iter().next()
    }

    async fn wait_for_link(&self, session: &str) -> Option<LinkHandle> {
        if !self.setup_journal.is_file() {
            return None;
        }
        let deadline = tokio::time::Instant::now() + PLUGIN_WAIT;
        while tokio::time::Instant::now() < deadline {
            if let Some(link) = self.links.of_session(session) {
                return Some(link);
            }
            sleep(LOOK).await;
        }
        None
    }

    /// The client that made a session is counted as attached for a moment; a tab that is opened then is never laid out.
    async fn wait_until_alone(&self, session: &str) -> Result<(), MultiplexerError> {
        let deadline = tokio::time::Instant::now() + TAB_WAIT;
        loop {
            let of = session.to_owned();
            let clients = self.call(move |zellij| zellij.clients(&of)).await?;
            // Who is still there at the end is somebody who has attached.
            if clients == 0 || tokio::time::Instant::now() >= deadline {
                return Ok(());
            }
            sleep(LOOK).await;
        }
    }

    async fn open_through(
        &self,
        link: &LinkHandle,
        open: OpenSession,
    ) -> Result<Opened, MultiplexerError> {
        let LinkKey {
            session,
            server_pid,
        } = link.key().clone();
        let attached = link.is_attached();
        let what = PaneAction::OpenTab {
            session: open.session,
            name: open.name.clone(),
            argv: open.argv.clone(),
            cwd: open.cwd.clone(),
            attached,
            shell: open.shell,
        };
        match link.act(what).await {
            Ok(result) => Ok(Opened {
                session,
                server_pid: Some(server_pid),
                pane: match result {
                    ActionResult::Pane { pane } => Some(pane),
                    ActionResult::Done {} | ActionResult::Text { .. } => None,
                },
                own_tab: attached,
            }),
            Err(LinkError::NoPlugin | LinkError::Busy | LinkError::Gone) => {
                self.open_by_command(session, open).await
            }
            // The instance that was told may have been loaded anew meanwhile: what there is tells whether it got to it.
            Err(LinkError::Unknown) => match self.find_opened(&session, &open).await {
                Ok(Some(found)) => Ok(Opened {
                    session,
                    server_pid: Some(server_pid),
                    pane: Some(found.id),
                    own_tab: !found.is_suppressed,
                }),
                Ok(None) => self.open_by_command(session, open).await,
                Err(_) => Err(MultiplexerError::Unknown("opening a tab")),
            },
            Err(error @ LinkError::Refused(_)) => Err(MultiplexerError::Link(error)),
        }
    }

    /// The pane that an order of unknown outcome made: its launcher, or the client in it, names the session.
    async fn find_opened(
        &self,
        session: &str,
        open: &OpenSession,
    ) -> Result<Option<ListedPane>, MultiplexerError> {
        let id = open.session.to_string();
        let mut listed = None;
        for _ in 0..LOOKS_FOR_OPENED {
            sleep(LOOK_FOR_OPENED).await;
            let of = session.to_owned();
            match self.call(move |zellij| zellij.panes(&of)).await {
                Ok(panes) => {
                    let found = panes.into_iter().find(|pane| {
                        let runs = pane.pane_command.as_deref().unwrap_or_default();
                        !pane.is_plugin && !pane.exited && runs.contains(&id)
                    });
                    if found.is_some() {
                        return Ok(found);
                    }
                    listed = Some(Ok(None));
                }
                // A busy Zellij now and then lists nothing.
                Err(error) => {
                    listed.get_or_insert(Err(error));
                }
            }
        }
        listed.unwrap_or(Ok(None))
    }

    async fn open_by_command(
        &self,
        session: String,
        open: OpenSession,
    ) -> Result<Opened, MultiplexerError> {
        let of = session.clone();
        let attached = self.call(move |zellij| zellij.clients(&of)).await? > 0;
        if !attached {
            let of = session.clone();
            let pane = self
                .call(move |zellij| zellij.run(&of, &open.name, &open.cwd, &open.argv))
                .await?;
            return Ok(Opened {
                server_pid: servers::find(&session),
                session,
                pane: Some(pane),
                own_tab: false,
            });
        }
        let tab = layout::session_tab(&open.argv, &open.cwd, open.shell)
            .map_err(|error| MultiplexerError::Layout(error.to_string()))?;
        let (of, name) = (session.clone(), open.name.clone());
        self.call(move |zellij| zellij.open_tab(&of, &name, &tab))
            .await?;
        let pane = self.wait_for_pane(&session, &open.name).await?;
        Ok(Opened {
            server_pid: servers::find(&session),
            session,
            pane,
            own_tab: true,
        })
    }

    /// The pane of the program in the tab of this name; none if it is not listed in time.
    async fn wait_for_pane(
        &self,
        session: &str,
        name: &str,
    ) -> Result<Option<u32>, MultiplexerError> {
        let deadline = tokio::time::Instant::now() + TAB_WAIT;
        loop {
            let of = session.to_owned();
            let panes = self.call(move |zellij| zellij.panes(&of)).await?;
            let ours = panes.iter().find(|pane| {
                !pane.is_plugin && pane.tab_name == name && pane.pane_command.is_some()
            });
            if let Some(pane) = ours {
                return Ok(Some(pane.id));
            }
            if tokio::time::Instant::now() >= deadline {
                return Ok(None);
            }
            sleep(LOOK).await;
        }
    }

    async fn close_pane(
        &self,
        of: SessionId,
        place: PanePlace,
        name: String,
    ) -> Result<(), MultiplexerError> {
        // By the command line in any case: the tab may be the one in which the dashboard lies, which could not answer.
        let PanePlace { session, pane, .. } = place.clone();
        let closed = self.call_on(&place, move |zellij| match zellij.tab_of(&session, pane) {
            Ok(None) => Ok(()),
            Ok(Some(listed)) if !listed.may_be_of(of) => Ok(()),
            Ok(Some(listed)) if listed.tab_name.contains(&name) && !listed.is_suppressed => {
                zellij.close_tab(&session, listed.tab_id)
            }
            Ok(Some(_)) => zellij.close_pane(&session, pane),
            Err(_) if zellij.is_gone(&session)? => Ok(()),
            Err(error) => Err(error),
        });
        match closed.await {
            // Its server is gone, and it with that.
            Err(MultiplexerError::NoPane { .. }) => Ok(()),
            closed => closed,
        }
    }

    async fn rename_tab(
        &self,
        place: PanePlace,
        name: String,
        only: String,
    ) -> Result<(), MultiplexerError> {
        // The command line costs Zellij twice as much as the plugin.
        let what = PaneAction::RenameTab {
            pane: place.pane,
            name: name.clone(),
        };
        if self.through(&place, what).await?.is_some() {
            return Ok(());
        }
        let PanePlace { session, pane, .. } = place.clone();
        self.call_on(&place, move |zellij| {
            match zellij.tab_of(&session, pane)? {
                // Without a tab of its own there is nothing to name.
                None
                | Some(ListedPane {
                    is_suppressed: true,
                    ..
                }) => Ok(()),
                Some(listed) if !listed.tab_name.contains(&only) => Ok(()),
                Some(listed) => zellij.rename_tab(&session, listed.tab_id, &name),
            }
        })
        .await
    }
}

impl Multiplexer for ZellijMultiplexer {
    fn open_session(&self, open: OpenSession) -> Pending<'_, Opened> {
        Box::pin(self.open(open))
    }

    fn adopt(&self, session: String, panes: Vec<(u32, String)>) -> Pending<'_, ()> {
        Box::pin(async move {
            let link = self
                .links
                .of_session(&session)
                .ok_or(MultiplexerError::Link(LinkError::NoPlugin))?;
            match link.act(PaneAction::AdoptPanes { panes }).await {
                Ok(_) => Ok(()),
                Err(error) => Err(MultiplexerError::Link(error)),
            }
        })
    }

    fn focus(&self, place: PanePlace) -> Pending<'_, ()> {
        Box::pin(async move {
            if self
                .through(&place, PaneAction::Focus { pane: place.pane })
                .await?
                .is_some()
            {
                return Ok(());
            }
            let (session, pane) = (place.session.clone(), place.pane);
            self.call_on(&place, move |zellij| zellij.focus(&session, pane))
                .await
        })
    }

    fn close(&self, session: SessionId, place: PanePlace, name: String) -> Pending<'_, ()> {
        Box::pin(self.close_pane(session, place, name))
    }

    fn rename(&self, place: PanePlace, name: String, only: String) -> Pending<'_, ()> {
        Box::pin(self.rename_tab(place, name, only))
    }

    fn tab_names(&self, place: PanePlace) -> Pending<'_, BTreeMap<u32, String>> {
        Box::pin(async move {
            let panes = self
                .call(move |zellij| zellij.panes(&place.session))
                .await?;
            Ok(panes
                .into_iter()
                .filter(|pane| !pane.is_plugin && !pane.is_suppressed)
                .map(|pane| (pane.id, pane.tab_name))
                .collect())
        })
    }

    fn write(&self, place: PanePlace, bytes: Vec<u8>) -> Pending<'_, ()> {
        Box::pin(async move {
            for part in bytes.chunks(MOST_WRITTEN) {
                let what = PaneAction::Write {
                    pane: place.pane,
                    bytes: base64::encode(part),
                };
                if self.through(&place, what).await?.is_none() {
                    let (session, pane, part) = (place.session.clone(), place.pane, part.to_vec());
                    self.call_on(&place, move |zellij| zellij.write(&session, pane, &part))
                        .await?;
                }
            }
            Ok(())
        })
    }

    fn read(&self, place: PanePlace) -> Pending<'_, String> {
        Box::pin(async move {
            match self
                .through(&place, PaneAction::Read { pane: place.pane })
                .await?
            {
                Some(ActionResult::Text { text }) => Ok(text),
                Some(ActionResult::Done {} | ActionResult::Pane { .. }) | None => {
                    let (session, pane) = (place.session.clone(), place.pane);
                    self.call_on(&place, move |zellij| zellij.dump_screen(&session, pane))
                        .await
                }
            }
        })
    }

    fn exists(&self, place: PanePlace) -> Pending<'_, bool> {
        Box::pin(async move {
            self.call(move |zellij| Ok(zellij.tab_of(&place.session, place.pane)?.is_some()))
                .await
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// A `zellij` that answers anything, and notes each call.
    fn noting(directory: &std::path::Path) -> ZellijMultiplexer {
        let program = directory.join("zellij");
        let script = "#!/bin/sh\necho \"$*\" >> \"$0.calls\"\necho '[]'\n";
        // By another process: a program that this one has open for writing cannot be started.
        crate::adapters::process::Invocation::new("/bin/sh")
            .args([
                "-c",
                "printf %s \"$1\" > zellij && chmod 755 zellij",
                "sh",
                script,
            ])
            .cwd(directory)
            .run()
            .unwrap();
        let (events, _) = tokio::sync::mpsc::channel(1);
        let zellij = Zellij::at(program);
        let links = Links::new(zellij.clone(), Arc::new(Default::default), events);
        ZellijMultiplexer::new(zellij, Arc::new(links), directory.join("none"))
    }

    #[tokio::test]
    async fn nothing_is_written_closed_or_named_in_another_server_of_the_same_name() {
        let directory = tempfile::tempdir().unwrap();
        let zellij = noting(directory.path());
        let place = |server_pid| PanePlace {
            session: "desk".into(),
            server_pid,
            pane: 3,
        };
        // This test runs, and serves no Zellij session.
        let other = place(Some(std::process::id()));
        let id = SessionId::new(uuid::Uuid::from_u128(7));
        let written = zellij.write(other.clone(), b"rm\r".to_vec()).await;
        assert!(
            matches!(written, Err(MultiplexerError::NoPane { .. })),
            "{written:?}"
        );
        let named = zellij
            .rename(other.clone(), "x".into(), String::new())
            .await;
        assert!(
            matches!(named, Err(MultiplexerError::NoPane { .. })),
            "{named:?}"
        );
        zellij.close(id, other, "x".into()).await.unwrap();
        let calls = directory.path().join("zellij.calls");
        assert!(!calls.exists(), "{:?}", std::fs::read_to_string(calls));
        // Where the server is not known it is done as it always was.
        zellij.write(place(None), b"ls".to_vec()).await.unwrap();
        assert!(calls.exists());
    }
}
