//! One launcher a session: a second one, started by hand or by Zellij's resurrection, would run the same conversation twice.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt as _,
    thread,
    time::{Duration, Instant},
};

use claustre_protocol::ids::SessionId;

use crate::paths::Paths;

/// How long one that is just ending may take, as when its Zellij server was killed: its client is given time to end, too.
const PATIENCE: Duration = Duration::from_secs(8);
/// Between two looks; there is no other way to wait for a lock and yet give up.
const LOOK: Duration = Duration::from_millis(50);

/// The session is this launcher's until it ends, however it ends.
#[derive(Debug)]
pub struct LauncherLock {
    _file: File,
}

/// Does a launcher keep the session? The kernel drops the lock with its process, so that no reused process id is taken for it.
pub fn is_held(paths: &Paths, session: SessionId) -> bool {
    let path = paths.session(session).join("launcher.lock");
    // A launcher that starts in this very moment waits until we have looked.
    File::open(path)
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Takes the session; `None` where another launcher keeps it.
///
/// # Errors
/// The lock cannot be opened: the session was never prepared, or its directory is gone.
pub fn take(paths: &Paths, session: SessionId) -> io::Result<Option<LauncherLock>> {
    take_within(paths, session, PATIENCE)
}

fn take_within(
    paths: &Paths,
    session: SessionId,
    patience: Duration,
) -> io::Result<Option<LauncherLock>> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(paths.session(session).join("launcher.lock"))?;
    let deadline = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(LauncherLock { _file: file })),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(LOOK),
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_one_launcher_at_a_time() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::at(home.path()).unwrap();
        let session: SessionId = "0192f0c1-2345-7abc-8def-0123456789ab".parse().unwrap();
        assert!(take(&paths, session).is_err(), "it was never prepared");
        std::fs::create_dir_all(paths.session(session)).unwrap();
        let first = take(&paths, session).unwrap();
        assert!(first.is_some());
        let second = take_within(&paths, session, Duration::ZERO);
        assert!(second.unwrap().is_none());
        assert!(is_held(&paths, session));
        drop(first);
        assert!(!is_held(&paths, session));
        assert!(take(&paths, session).unwrap().is_some());
    }
}
