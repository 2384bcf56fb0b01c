//! The engine's port to tabs and panes. It is called on threads that may block; the work itself is async.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use claustre_protocol::{ids::SessionId, link::ToPlugin};
use tokio::runtime::Handle;

use super::{
    link::Links,
    multiplexer::{
        Multiplexer as _, MultiplexerError, OpenSession, PanePlace, Pending, ZellijMultiplexer,
    },
    servers,
};
use crate::ports::{Multiplexer, OpenedPane, PaneFacts, PaneOrder, PortError};

/// Zellij behind the engine's port.
pub struct ZellijPort {
    zellij: ZellijMultiplexer,
    links: Arc<Links>,
    runtime: Handle,
    shell_beside: bool,
    /// Calls that somebody waits for.
    under_way: AtomicUsize,
}

impl ZellijPort {
    /// Through these links, on this runtime. `shell_beside` = a shell beside each session in its tab.
    pub fn new(
        zellij: ZellijMultiplexer,
        links: Arc<Links>,
        runtime: Handle,
        shell_beside: bool,
    ) -> Self {
        Self {
            zellij,
            links,
            runtime,
            shell_beside,
            under_way: AtomicUsize::new(0),
        }
    }

    fn wait<Value>(&self, pending: Pending<'_, Value>) -> Result<Value, PortError> {
        let _counted = Counted::one_more(&self.under_way);
        self.runtime.block_on(pending).map_err(port_error)
    }
}

/// One more call under way, for as long as it lives.
struct Counted<'count>(&'count AtomicUsize);

impl<'count> Counted<'count> {
    fn one_more(count: &'count AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Multiplexer for ZellijPort {
    fn open(&self, order: &PaneOrder) -> Result<OpenedPane, PortError> {
        let opened = self.wait(self.zellij.open_session(OpenSession {
            session: order.session,
            zellij_session: None,
            name: order.name.clone(),
            argv: order.argv.clone(),
            cwd: order.cwd.display().to_string(),
            shell: self.shell_beside,
        }))?;
        Ok(OpenedPane {
            zellij_session: opened.session,
            server_pid: opened.server_pid,
            pane: opened.pane,
            background: !opened.own_tab,
        })
    }

    fn adopt(&self, zellij_session: &str, panes: &[(u32, String)]) -> Result<(), PortError> {
        self.wait(self.zellij.adopt(zellij_session.to_owned(), panes.to_vec()))
    }

    fn focus(&self, pane: &PaneFacts) -> Result<(), PortError> {
        self.wait(self.zellij.focus(place(pane)))
    }

    fn close(&self, session: SessionId, pane: &PaneFacts, name: &str) -> Result<(), PortError> {
        self.wait(self.zellij.close(session, place(pane), name.to_owned()))
    }

    fn rename(&self, pane: &PaneFacts, name: &str, only: &str) -> Result<(), PortError> {
        // Nobody waits for it, so it does not count as work under way.
        let renamed = self
            .zellij
            .rename(place(pane), name.to_owned(), only.to_owned());
        self.runtime.block_on(renamed).map_err(port_error)
    }

    fn tab_names(&self, pane: &PaneFacts) -> Result<BTreeMap<u32, String>, PortError> {
        self.wait(self.zellij.tab_names(place(pane)))
    }

    fn is_busy(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) > 0
    }

    fn write(&self, pane: &PaneFacts, bytes: &[u8]) -> Result<(), PortError> {
        self.wait(self.zellij.write(place(pane), bytes.to_vec()))
    }

    fn read(&self, pane: &PaneFacts) -> Result<String, PortError> {
        self.wait(self.zellij.read(place(pane)))
    }

    fn toast(&self, text: &str, error: bool) {
        for link in self.links.all() {
            let toast = ToPlugin::Toast {
                text: text.to_owned(),
                error,
            };
            // A dashboard that cannot be told shows the inbox when it is back.
            link.send(toast, None).ok();
        }
    }

    fn server_of(&self, zellij_session: &str) -> Option<u32> {
        self.links
            .of_session(zellij_session)
            .map(|link| link.key().server_pid)
            .or_else(|| servers::find(zellij_session))
    }
}

fn place(pane: &PaneFacts) -> PanePlace {
    PanePlace {
        session: pane.zellij_session.clone(),
        server_pid: (pane.server_pid != 0).then_some(pane.server_pid),
        pane: pane.pane,
    }
}

fn port_error(error: MultiplexerError) -> PortError {
    let message = error.to_string();
    match error {
        MultiplexerError::Zellij(_) | MultiplexerError::Link(_) | MultiplexerError::Busy(_) => {
            PortError {
                hint: Some("claustre doctor says whether Zellij answers".into()),
                ..PortError::passing(message)
            }
        }
        MultiplexerError::NoPane { .. } => PortError::lasting(
            message,
            Some("its pane was closed; resume the session with R (claustre session resume)".into()),
        ),
        // To order it again might do it twice; the launcher reports if it happened.
        MultiplexerError::Unknown(_) | MultiplexerError::Layout(_) => {
            PortError::lasting(message, None)
        }
    }
}
