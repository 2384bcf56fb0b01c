//! Seeing that the client that waits for a hook's answer is gone.
//!
//! Claude Code runs a hook through a shell, so the client is the parent's parent; in its exec form it is the parent. The end
//! of either ends the wait.

use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, getppid},
};

/// How often it is looked whether we were left to another parent, where the system cannot tell us.
const LOOK: Duration = Duration::from_secs(2);

/// The processes that wait for us.
#[derive(Debug)]
pub struct Callers {
    parent: Option<Pid>,
    /// Become readable when the process ends.
    ends: Vec<OwnedFd>,
}

impl Callers {
    /// Takes note of who called us.
    pub fn find() -> Self {
        let parent = getppid();
        #[cfg(target_os = "linux")]
        let ends = [parent, parent.and_then(parent_of)]
            .into_iter()
            .flatten()
            .filter_map(|pid| {
                rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()
            })
            .collect();
        #[cfg(not(target_os = "linux"))]
        let ends = Vec::new();
        Self { parent, ends }
    }

    /// Sleeps until `stream` can be read (true) or nobody waits for us any more (false).
    ///
    /// # Errors
    /// The system cannot wait.
    pub fn wait_with(&self, stream: BorrowedFd<'_>) -> io::Result<bool> {
        loop {
            let mut wanted = vec![PollFd::from_borrowed_fd(stream, PollFlags::IN)];
            wanted.extend(self.ends.iter().map(|end| PollFd::new(end, PollFlags::IN)));
            let timeout = Timespec {
                tv_sec: i64::try_from(LOOK.as_secs()).unwrap_or(1),
                tv_nsec: 0,
            };
            // With a descriptor for each caller nothing has to be looked at: no limit then.
            let timeout = if self.ends.len() == 2 {
                None
            } else {
                Some(&timeout)
            };
            match poll(&mut wanted, timeout) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let mut ready = wanted.iter().map(|one| !one.revents().is_empty());
            if ready.next() == Some(true) {
                return Ok(true);
            }
            if ready.any(|ended| ended) || getppid() != self.parent {
                return Ok(false);
            }
        }
    }
}

impl Callers {
    /// Sleeps this long, or until nobody waits for us any more: then true.
    pub fn gone_within(&self, pause: Duration) -> bool {
        let mut wanted: Vec<_> = self
            .ends
            .iter()
            .map(|end| PollFd::new(end, PollFlags::IN))
            .collect();
        let timeout = Timespec {
            tv_sec: i64::try_from(pause.as_secs()).unwrap_or(1),
            tv_nsec: pause.subsec_nanos().into(),
        };
        matches!(poll(&mut wanted, Some(&timeout)), Ok(1..)) || getppid() != self.parent
    }
}

/// The parent of another process.
#[cfg(target_os = "linux")]
fn parent_of(pid: Pid) -> Option<Pid> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The name in parentheses may hold anything, a parenthesis too: what counts stands behind the last one.
    let behind = stat.rsplit_once(')')?.1;
    behind
        .split_whitespace()
        .nth(1)?
        .parse()
        .ok()
        .and_then(Pid::from_raw)
}
