//! Seeing that the client that waits for a hook's answer is gone.
//!
//! Claude Code runs a hook through a shell, so the client is the parent's parent; in its exec form it is the parent. The end
//! of either ends the wait.

use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
    path::Path,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, getppid},
};

/// How often it is looked whether we were left to another parent, where the system cannot tell us.
const LOOK: Duration = Duration::from_secs(2);

/// The id of the process that started this one; none where that is outside our view.
pub fn id() -> Option<u32> {
    getppid().and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok())
}

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
    /// A process that stands for those who wait; with none, the wait never ends by their end.
    #[cfg(test)]
    pub fn only(pid: Option<u32>) -> Self {
        let pid = pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let open = |pid| rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty());
        Self {
            parent: getppid(),
            ends: pid.and_then(|pid| open(pid).ok()).into_iter().collect(),
        }
    }
}

/// The pauses between tries to reach a daemon: longer and longer, but over as soon as one appears.
#[derive(Debug)]
pub struct Pause {
    length: Duration,
    /// Tells of what appears in the directory of the sockets; none where the system has no such watch to give.
    appears: Option<OwnedFd>,
}

impl Pause {
    /// First pause.
    const SHORTEST: Duration = Duration::from_millis(20);
    /// Longest pause where nothing tells of a new daemon.
    const LONGEST: Duration = Duration::from_secs(5);
    /// Longest pause where the system tells of it.
    const LONGEST_WATCHED: Duration = Duration::from_secs(30);

    /// Pauses until something appears in this directory.
    pub fn new(directory: &Path) -> Self {
        Self {
            length: Self::SHORTEST,
            appears: watch(directory),
        }
    }

    /// The next pause is a short one.
    pub fn begin_again(&mut self) {
        self.length = Self::SHORTEST;
    }

    /// Pauses. True: nobody waits for us any more.
    pub fn gone(&mut self, callers: &Callers) -> bool {
        let mut wanted: Vec<_> = callers
            .ends
            .iter()
            .chain(&self.appears)
            .map(|end| PollFd::new(end, PollFlags::IN))
            .collect();
        let timeout = Timespec {
            tv_sec: i64::try_from(self.length.as_secs()).unwrap_or(1),
            tv_nsec: self.length.subsec_nanos().into(),
        };
        let polled = poll(&mut wanted, Some(&timeout));
        let has_ended = wanted
            .iter()
            .take(callers.ends.len())
            .any(|one| !one.revents().is_empty());
        let has_appeared = wanted
            .get(callers.ends.len())
            .is_some_and(|one| !one.revents().is_empty());
        drop(wanted);
        if polled.is_err() {
            // A signal, or no memory: no reason to run in circles.
            std::thread::sleep(Self::SHORTEST);
        }
        if has_appeared {
            // The socket is there a moment before somebody listens at it.
            self.length = Self::SHORTEST;
            if !read_news(self.appears.as_ref()) {
                self.appears = None;
            }
        } else {
            let longest = match self.appears {
                Some(_) => Self::LONGEST_WATCHED,
                None => Self::LONGEST,
            };
            self.length = (self.length * 2).min(longest);
        }
        has_ended || getppid() != callers.parent
    }
}

#[cfg(target_os = "linux")]
fn watch(directory: &Path) -> Option<OwnedFd> {
    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
    let fd = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
    add_watch(
        &fd,
        directory,
        WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::DELETE_SELF | WatchFlags::ONLYDIR,
    )
    .ok()?;
    Some(fd)
}

#[cfg(not(target_os = "linux"))]
fn watch(_directory: &Path) -> Option<OwnedFd> {
    None
}

/// Reads what has appeared, so that it is told once. False: there will be no more news.
fn read_news(fd: Option<&OwnedFd>) -> bool {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::inotify::{ReadFlags, Reader};
        let Some(fd) = fd else { return false };
        let mut buffer = [std::mem::MaybeUninit::uninit(); 1024];
        let mut reader = Reader::new(fd, &mut buffer);
        loop {
            match reader.next() {
                Ok(event) if event.events().contains(ReadFlags::IGNORED) => return false,
                Ok(_) => {}
                Err(rustix::io::Errno::AGAIN) => return true,
                Err(_) => return false,
            }
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        fd.is_some()
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
