//! Waiting on the kernel instead of looking again and again: directories that change, processes that end.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    fs::inotify,
    process::{Pid, PidfdFlags, pidfd_open},
};
use tokio::io::{Interest, unix::AsyncFd};
use tokio_util::sync::CancellationToken;

/// How long changes are gathered: a client rewrites its file several times in a row.
const GATHER: Duration = Duration::from_millis(30);
/// How often a directory that is not there yet is looked for.
const ABSENT: Duration = Duration::from_secs(30);

/// Calls back whenever something in the directory changes, until cancelled. One that is not there is waited for.
pub async fn directory(path: PathBuf, changed: impl Fn() + Send, stop: CancellationToken) {
    loop {
        if let Ok(watch) = open(&path) {
            changed();
            if follow(&watch, &changed, &stop).await.is_err() {
                tracing::debug!(path = %path.display(), "a watched directory went away");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(ABSENT) => {}
        }
    }
}

fn open(path: &Path) -> io::Result<AsyncFd<OwnedFd>> {
    let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    inotify::add_watch(
        &fd,
        path,
        inotify::WatchFlags::CLOSE_WRITE
            | inotify::WatchFlags::MOVED_TO
            | inotify::WatchFlags::DELETE
            | inotify::WatchFlags::DELETE_SELF
            | inotify::WatchFlags::ONLYDIR,
    )?;
    readable(fd)
}

/// The descriptor under the runtime's eye.
fn readable(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    #[expect(
        unsafe_code,
        reason = "tokio asks for the promise that the descriptor stays the same file"
    )]
    // SAFETY: an `OwnedFd` names the same open file until it is dropped, and the `AsyncFd` owns it.
    unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }.map_err(Into::into)
}

async fn follow(
    watch: &AsyncFd<OwnedFd>,
    changed: &impl Fn(),
    stop: &CancellationToken,
) -> io::Result<()> {
    loop {
        let mut ready = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            ready = watch.readable() => ready?,
        };
        tokio::time::sleep(GATHER).await;
        let mut gone = false;
        let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(watch.get_ref(), &mut buffer);
        loop {
            match reader.next() {
                Ok(event) => gone |= event.events().contains(inotify::ReadFlags::IGNORED),
                Err(rustix::io::Errno::AGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
        ready.clear_ready();
        changed();
        if gone {
            return Err(io::ErrorKind::NotFound.into());
        }
    }
}

/// Waits until a process ends; at once if there is none of this id.
pub async fn process_end(pid: u32) {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return;
    };
    let Ok(fd) = pidfd_open(pid, PidfdFlags::NONBLOCK) else {
        return;
    };
    if let Ok(fd) = readable(fd) {
        // It becomes readable when the process ends, and stays so.
        fd.readable().await.ok();
    }
}
