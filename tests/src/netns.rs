//! A network of its own with nothing but loopback: the only place where the real Claude Code client may run.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network namespace, kept alive by a small process that ends with it.
pub struct Network {
    holder: Child,
}

impl Network {
    /// Makes a network with loopback up.
    ///
    /// # Errors
    /// With the reason to skip a test, where the system does not allow it.
    pub fn create() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("a network of its own needs root".into());
        }
        let mut holder = Command::new("unshare")
            .args([
                "--net",
                "sh",
                "-c",
                "ip link set lo up && echo ready && exec cat",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("unshare cannot be run: {error}"))?;
        let mut line = String::new();
        if let Some(stdout) = holder.stdout.take() {
            drop(BufReader::new(stdout).read_line(&mut line));
        }
        let network = Self { holder };
        if line.trim() == "ready" {
            return Ok(network);
        }
        Err("the system allows no network of its own (unshare --net, ip link)".into())
    }

    /// Runs a closure inside the network. What it binds and starts there stays there: a listening server, a process.
    ///
    /// # Panics
    /// When the namespace cannot be entered, or as the closure does.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/proc/{}/ns/net", self.holder.id())).unwrap();
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                use std::os::fd::AsFd as _;
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                    .unwrap();
                work()
            });
            match inside.join() {
                Ok(value) => value,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        drop(self.holder.kill());
        drop(self.holder.wait());
    }
}
