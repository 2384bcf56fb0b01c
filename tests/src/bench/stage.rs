//! A real daemon in an environment of its own, with a store that was made before it started.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use claustre::{client::Client, paths::Paths, store::Store};
use claustre_protocol::request::{DaemonStatus, Nothing, Request};
use uuid::Uuid;

use super::fleet::{self, Fleet, Wanted};
use crate::env::{TestEnv, built_binary, claustre_binary};

/// A daemon and what it serves.
pub struct Stage {
    pub env: TestEnv,
    pub paths: Paths,
    pub fleet: Fleet,
    /// The helper's own file, without a link in between.
    pub claustre: PathBuf,
}

impl Stage {
    /// An environment with a filled store, and no daemon yet.
    pub fn new(wanted: &Wanted) -> Result<Self> {
        let env = TestEnv::new();
        // A client that says when it was started and then sleeps.
        env.install("claude", &built_binary("claustre-bench"));
        let paths = Paths::at(env.claustre_home())?;
        let claustre = claustre_binary().context("finding the helper beside this program")?;
        let mut stage = Self {
            env,
            paths,
            fleet: Fleet::default(),
            claustre,
        };
        for folder in [
            stage.paths.home().to_owned(),
            stage.paths.run(),
            stage.paths.sessions(),
        ] {
            private_folder(&folder)?;
        }
        std::fs::write(
            stage.paths.home().join("config.toml"),
            "[queue]\nmax_sessions = 1000\n",
        )?;
        if wanted.projects > 0 {
            let mut store = Store::open(&stage.paths.store(), Uuid::new_v4)?;
            stage.fleet = fleet::fill(&mut store, wanted)?;
        }
        for session in &stage.fleet.sessions {
            let folder = stage.paths.session(*session);
            private_folder(&folder)?;
            std::fs::write(folder.join("token"), fleet::TOKEN)?;
        }
        Ok(stage)
    }

    /// Starts the daemon.
    pub fn start_daemon(&self) -> Result<()> {
        let started = self.env.claustre(&["daemon", "start"]);
        if started.code != Some(0) {
            bail!("starting the daemon: {}", started.snapshot());
        }
        Ok(())
    }

    /// A connection to the daemon.
    pub fn client(&self) -> Result<Client> {
        Client::connect(&self.paths, "bench").context("connecting to the daemon")
    }

    /// What the daemon says of itself.
    pub fn status(&self) -> Result<DaemonStatus> {
        Ok(self.client()?.call(Request::DaemonStatus(Nothing {}))?)
    }

    /// Waits until the daemon writes nothing more by itself, so that what follows is measured alone.
    pub fn settle(&self) -> Result<()> {
        let mut client = self.client()?;
        let (mut last, mut quiet) = (-1, 0);
        for _ in 0..300 {
            let status: DaemonStatus = client.call(Request::DaemonStatus(Nothing {}))?;
            quiet = if status.position == last {
                quiet + 1
            } else {
                0
            };
            if quiet >= 10 {
                return Ok(());
            }
            last = status.position;
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("the daemon does not come to rest")
    }

    /// Ends the daemon in order.
    pub fn stop_daemon(&self) {
        drop(self.env.claustre(&["daemon", "stop"]));
    }
}

fn private_folder(folder: &std::path::Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(folder)?;
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o700))?;
    Ok(())
}
