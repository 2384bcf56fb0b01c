//! Waiting on the kernel instead of looking again and again: directories that change, processes that end.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use rustix::{
    fs::inotify,
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open, test_kill_process},
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    time::Instant,
};
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

/// How often the processes are looked at that the kernel does not watch for us.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Waits until a process ends; at once if there is none of this id.
pub async fn process_end(pid: u32) {
    process_end_by(pid, &look_again, |pid| {
        pidfd_open(pid, PidfdFlags::NONBLOCK)
            .map_err(io::Error::from)
            .and_then(readable)
    })
    .await;
}

/// [`process_end`] with other means: `open` has the kernel watch a process, `again` waits until it is time for another try.
async fn process_end_by<Again: Future<Output = ()>>(
    pid: u32,
    again: &impl Fn() -> Again,
    open: impl Fn(Pid) -> io::Result<AsyncFd<OwnedFd>>,
) {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return;
    };
    // A number may be given to another process between two looks.
    let started = start_of(pid);
    let mut is_logged = false;
    loop {
        let error = match open(pid) {
            Ok(fd) => {
                if start_of(pid) != started {
                    return;
                }
                // It becomes readable when the process ends, and stays so.
                match fd.readable().await {
                    Ok(_) => return,
                    Err(error) => error,
                }
            }
            Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => return,
            Err(error) => error,
        };
        if !is_logged {
            tracing::warn!(%error, pid = pid.as_raw_nonzero(), "the kernel does not watch this process; it is looked at every {} s", LOOK_AGAIN.as_secs());
            is_logged = true;
        }
        again().await;
        if start_of(pid) != started || test_kill_process(pid) == Err(Errno::SRCH) {
            return;
        }
    }
}

/// When a process started, in clock ticks since boot; none where it cannot be seen, or where it has ended and only its parent has
/// not looked yet.
fn start_of(pid: Pid) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The name may hold spaces and brackets, so the fields are counted from the last one.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let is_over = matches!(fields.next()?, "Z" | "X");
    let started = fields.nth(18)?.parse().ok()?;
    (!is_over).then_some(started)
}

/// Waits for the next of the moments at which all are looked at that the kernel does not watch: they wake the daemon together.
async fn look_again() {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let first = *FIRST.get_or_init(Instant::now);
    let looks = first.elapsed().as_secs() / LOOK_AGAIN.as_secs();
    let next = u32::try_from(looks + 1).unwrap_or(u32::MAX);
    tokio::time::sleep_until(first + LOOK_AGAIN * next).await;
}

#[cfg(test)]
mod tests {
    use std::{
        cell::{Cell, RefCell},
        process::Command,
    };

    use super::*;

    fn watched(pid: Pid) -> io::Result<AsyncFd<OwnedFd>> {
        pidfd_open(pid, PidfdFlags::NONBLOCK)
            .map_err(io::Error::from)
            .and_then(readable)
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            tokio::time::timeout(Duration::from_secs(20), future)
                .await
                .unwrap()
        })
    }

    #[test]
    fn a_process_that_cannot_be_watched_has_not_ended() {
        let child = Command::new("sleep").arg("600").spawn().unwrap();
        let pid = child.id();
        let child = RefCell::new(child);
        let looks = Cell::new(0);
        for errno in [Errno::MFILE, Errno::NOSYS, Errno::PERM, Errno::NODEV] {
            looks.set(0);
            block_on(async {
                let again = || {
                    looks.set(looks.get() + 1);
                    std::future::ready(())
                };
                // The files run out three times; then the kernel watches it again, and it is killed.
                process_end_by(pid, &again, |pid| {
                    if looks.get() < 3 {
                        return Err(errno.into());
                    }
                    assert!(start_of(pid).is_some(), "it was taken for ended");
                    Err(Errno::SRCH.into())
                })
                .await;
            });
            assert_eq!(looks.get(), 3, "{errno}");
        }
        // Never watched at all: its end is seen by looking.
        looks.set(0);
        block_on(async {
            let again = || {
                looks.set(looks.get() + 1);
                if looks.get() == 2 {
                    child.borrow_mut().kill().unwrap();
                    child.borrow_mut().wait().unwrap();
                }
                std::future::ready(())
            };
            process_end_by(pid, &again, |_| Err(Errno::NOSYS.into())).await;
        });
        assert_eq!(looks.get(), 2);
    }

    #[test]
    fn the_kernel_says_when_a_process_ends_and_one_that_never_was_has_ended() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let pid = child.id();
        block_on(async {
            let never = || async { panic!("nothing is looked at again") };
            let ending = process_end_by(pid, &never, watched);
            tokio::pin!(ending);
            let first = tokio::time::timeout(Duration::from_millis(50), &mut ending).await;
            assert!(first.is_err(), "it runs");
            child.kill().unwrap();
            ending.await;
            child.wait().unwrap();
            process_end_by(pid, &never, watched).await;
        });
    }
}
