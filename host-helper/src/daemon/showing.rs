//! Puts the dashboard of a Zellij session in front: at once where its plugin answers and somebody looks, else as soon as both are
//! so. A plugin that does not answer is loaded once more, and where that does not help the user is shown why.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use claustre_protocol::{link::MESSAGE_SHOW, request::PluginAddress};
use tokio::time::{Instant, sleep};

use crate::adapters::zellij::{LinkHandle, Links, Zellij, ZellijError};

/// How long the plugin may take: without the permission it asks for it does not answer at all.
const SHOW_LIMIT: Duration = Duration::from_secs(5);
/// Between two looks whether the plugin answers.
const LOOK: Duration = Duration::from_millis(200);
/// A plugin calls within this time after its session was started, and again after the daemon was.
const FIRST_LOAD: Duration = Duration::from_secs(5);
/// A plugin that was loaded once more calls within this time; under load it is given two.
const NEXT_LOAD: Duration = Duration::from_secs(8);
/// So often a plugin is loaded once more.
const LOADS: u32 = 2;

/// Puts dashboards in front.
pub struct Showing {
    zellij: Zellij,
    links: Arc<Links>,
    /// This program, which the plugin was loaded with.
    helper: PathBuf,
    /// The plugin, as `claustre setup` unpacked it.
    plugin: PathBuf,
    /// Sessions whose dashboard is to be put in front.
    wanted: Mutex<BTreeSet<String>>,
}

impl Showing {
    /// Through these links. `helper` and `plugin` are what `claustre setup` told Zellij.
    pub fn new(zellij: Zellij, links: Arc<Links>, helper: PathBuf, plugin: PathBuf) -> Self {
        Self {
            zellij,
            links,
            helper,
            plugin,
            wanted: Mutex::default(),
        }
    }

    /// Puts the dashboard of this session in front, now or soon.
    pub fn show(self: &Arc<Self>, session: String) {
        let link = self.links.of_session(&session);
        if let Some(link) = link.filter(LinkHandle::is_attached) {
            self.put_in_front(&link);
        } else if self.wanted().insert(session.clone()) {
            let showing = self.clone();
            tokio::spawn(async move { showing.bring_up(session).await });
        }
    }

    /// Somebody is attached to the session, and its plugin answers.
    pub fn somebody_looks(&self, session: &str) {
        if self.wanted().remove(session)
            && let Some(link) = self.links.of_session(session)
        {
            self.put_in_front(&link);
        }
    }

    /// Through a pipe that the plugin answers itself.
    fn put_in_front(&self, link: &LinkHandle) {
        let zellij = self.zellij.clone();
        let (session, plugin) = (link.key().session.clone(), link.plugin().cloned());
        tokio::task::spawn_blocking(move || {
            let shown = zellij
                .pipe(&session, plugin.as_ref(), MESSAGE_SHOW)
                .args(["--", "now"])
                .time_limit(SHOW_LIMIT)
                .run();
            if let Err(error) = shown.and_then(|finished| finished.require_success()) {
                tracing::warn!(%error, session, "putting the dashboard in front");
            }
        });
    }

    /// Waits for the plugin of a session to answer, has it loaded once more, and shows what is wrong where it never does.
    async fn bring_up(&self, session: String) {
        for load in 0..=LOADS {
            let patience = if load == 0 { FIRST_LOAD } else { NEXT_LOAD };
            if self.answers(&session, patience).await {
                return;
            }
            if load < LOADS && self.load(session.clone()).await.is_none() {
                break;
            }
        }
        self.wanted().remove(&session);
        tracing::warn!(session, "the dashboard's plugin does not answer");
        let (zellij, helper) = (self.zellij.clone(), self.helper.clone());
        tokio::task::spawn_blocking(move || {
            let doctor = [helper.display().to_string(), "doctor".to_owned()];
            // Only where somebody looks: nobody else is helped by it.
            let shown = match zellij.clients(&session) {
                Ok(0) => Ok(()),
                Ok(_) => zellij.run_floating(&session, "the dashboard does not answer", &doctor),
                Err(error) => Err(error),
            };
            if let Err(error) = shown {
                tracing::debug!(%error, session, "showing why there is no dashboard");
            }
        });
    }

    /// Does its plugin answer within this time?
    async fn answers(&self, session: &str, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while self.links.of_session(session).is_none() {
            if Instant::now() >= deadline {
                return false;
            }
            sleep(LOOK).await;
        }
        true
    }

    /// Has Zellij load the plugin of a session afresh; none where there is no such session, or it could not be told.
    async fn load(&self, session: String) -> Option<()> {
        let zellij = self.zellij.clone();
        let address = PluginAddress {
            location: format!("file:{}", self.plugin.display()),
            helper: self.helper.display().to_string(),
        };
        let loaded = tokio::task::spawn_blocking(move || {
            if zellij.is_gone(&session)? {
                return Ok(false);
            }
            // Without a client Zellij does not load it, and from then on keeps back whatever is meant for it.
            if zellij.clients(&session)? == 0 {
                return Ok(true);
            }
            tracing::info!(session, "loading the dashboard's plugin once more");
            zellij.reload_plugin(&session, &address).map(|()| true)
        })
        .await;
        match loaded {
            Ok(Ok(true)) => Some(()),
            Ok(Ok(false)) => None,
            Ok(Err(error)) => {
                let error: ZellijError = error;
                tracing::warn!(%error, "loading the dashboard's plugin once more");
                Some(())
            }
            Err(_) => None,
        }
    }

    fn wanted(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
