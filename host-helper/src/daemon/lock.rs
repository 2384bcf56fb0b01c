//! One daemon for each home: whoever holds `run/lock` is it, for as long as its process lives. Only the holder may unlink or bind a
//! socket, so that two that start at once cannot both serve.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, Write},
    os::unix::{
        fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
        net::UnixListener,
    },
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::paths::Paths;

/// How long a daemon that was killed may hold its lock: the kernel takes its threads down one after the other.
const DYING: Duration = Duration::from_millis(300);
/// Between two looks at the lock.
const LOOK: Duration = Duration::from_millis(10);

/// The home or its sockets cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another daemon serves this home.
    #[error("running the daemon: {holder} serves {home} already")]
    Taken {
        /// The home.
        home: String,
        /// Who serves it.
        holder: String,
    },
    /// A directory is not ours alone.
    #[error("running the daemon: {path} {why}")]
    Unsafe {
        /// Which.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The system refused.
    #[error("running the daemon: {doing} {path}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// With what.
        path: String,
        /// Why not.
        source: io::Error,
    },
}

impl LockError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Taken { .. } => {
                "claustre daemon status shows it, claustre daemon restart replaces it"
            }
            Self::Unsafe { .. } => {
                "claustre doctor says more; --fix mends permissions, or set CLAUSTRE_HOME elsewhere"
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "free some space on the disk of CLAUSTRE_HOME, then try again"
            }
            Self::Io { .. } => "set CLAUSTRE_HOME to a directory that you can write",
        }
        .to_owned()
    }
}

/// The lock, held until it is dropped.
pub struct DaemonLock {
    _file: File,
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LockError {
    let path = path.display().to_string();
    move |source| LockError::Io {
        doing,
        path,
        source,
    }
}

/// Makes a directory that only its owner can enter, or checks that it is one.
///
/// # Errors
/// It belongs to somebody else, is a link, or cannot be made.
pub fn private_directory(path: &Path) -> Result<(), LockError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed("creating", path))?;
    let found = fs::symlink_metadata(path).map_err(failed("looking at", path))?;
    let wrong = |why: &str| LockError::Unsafe {
        path: path.display().to_string(),
        why: why.into(),
    };
    if !found.is_dir() {
        return Err(wrong("is not a directory"));
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(wrong("belongs to another user"));
    }
    if found.mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o700))
            .map_err(failed("closing to others", path))?;
    }
    Ok(())
}

/// Whoever else can write the home could put another directory in the place of any that is in it. Only looked at, never changed: it
/// may be a directory that the user has for other things, too.
fn own_home(home: &Path) -> Result<(), LockError> {
    let found = match fs::metadata(home) {
        Ok(found) => found,
        // It is made with the directories in it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("looking at", home)(error)),
    };
    let wrong = |why: &str| {
        Err(LockError::Unsafe {
            path: home.display().to_string(),
            why: why.into(),
        })
    };
    if !found.is_dir() {
        return wrong("is not a directory");
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return wrong("belongs to another user");
    }
    if found.mode() & 0o022 != 0 {
        return wrong("can be written by others");
    }
    Ok(())
}

/// Takes the lock of this home.
///
/// # Errors
/// Another daemon holds it, or the home cannot be written.
pub fn take(paths: &Paths) -> Result<DaemonLock, LockError> {
    own_home(paths.home())?;
    private_directory(&paths.run())?;
    let path = paths.daemon_lock();
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(failed("opening", &path))?;
    let deadline = Instant::now() + DYING;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(LOOK),
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Taken {
                    home: paths.home().display().to_string(),
                    holder: crate::client::holder(&path),
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed("locking", &path)(source)),
        }
    }
    // For messages only: who holds it is what the lock itself says.
    file.set_len(0).map_err(failed("writing", &path))?;
    writeln!(file, "{}", std::process::id()).map_err(failed("writing", &path))?;
    Ok(DaemonLock { _file: file })
}

impl DaemonLock {
    /// Binds a socket that only its owner can use, in the place of one that a dead daemon left.
    ///
    /// # Errors
    /// The path is taken by something else, or cannot be written.
    pub fn bind(&self, path: &Path) -> Result<UnixListener, LockError> {
        match fs::symlink_metadata(path) {
            Ok(found) if !std::os::unix::fs::FileTypeExt::is_socket(&found.file_type()) => {
                return Err(LockError::Unsafe {
                    path: path.display().to_string(),
                    why: "is there and is no socket".into(),
                });
            }
            Ok(_) => fs::remove_file(path).map_err(failed("removing the old", path))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("looking at", path)(error)),
        }
        // Bound beside its place and moved there: nobody finds it before it is closed to others.
        let beside = path.with_extension("new");
        fs::remove_file(&beside).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(failed("removing the old", &beside)(error)),
        })?;
        let listener = UnixListener::bind(&beside).map_err(failed("binding", path))?;
        fs::set_permissions(&beside, Permissions::from_mode(0o600))
            .map_err(failed("closing to others", path))?;
        fs::rename(&beside, path).map_err(failed("placing", path))?;
        listener
            .set_nonblocking(true)
            .map_err(failed("setting up", path))?;
        Ok(listener)
    }
}
