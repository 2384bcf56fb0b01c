//! Orders from the daemon to a launcher, through a named pipe in the session's directory.
//!
//! Not a signal: a process id comes back, and a pipe that nobody reads says so to whoever opens it.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use claustre_protocol::ids::SessionId;

use crate::paths::Paths;

/// What a launcher can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Continue the conversation, where no client runs.
    Resume,
    /// End the client and continue the conversation at once.
    Restart,
    /// End the client and yourself.
    Close,
}

impl Order {
    const ALL: [Self; 3] = [Self::Resume, Self::Restart, Self::Close];

    const fn word(self) -> &'static str {
        match self {
            Self::Resume => "resume",
            Self::Restart => "restart",
            Self::Close => "close",
        }
    }
}

/// The order did not reach a launcher.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// No launcher runs for this session.
    #[error("ordering the launcher of session {0}: none runs")]
    NoLauncher(SessionId),
    /// The pipe cannot be written.
    #[error("ordering the launcher of session {session}: {error}")]
    Write {
        /// Whose launcher.
        session: SessionId,
        /// Why.
        error: io::Error,
    },
}

/// Sends an order to the launcher of a session. Never blocks.
///
/// # Errors
/// No launcher runs, or its pipe cannot be written.
pub fn send(paths: &Paths, session: SessionId, order: Order) -> Result<(), OrderError> {
    match to_write(paths, session).and_then(|mut pipe| writeln!(pipe, "{}", order.word())) {
        Ok(()) => Ok(()),
        Err(error)
            // Gone, never there, or gone between our opening and our writing.
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::BrokenPipe
            ) || error.raw_os_error() == Some(libc::ENXIO) =>
        {
            Err(OrderError::NoLauncher(session))
        }
        Err(error) => Err(OrderError::Write { session, error }),
    }
}

/// Does a launcher of this session read its orders? Never blocks.
pub fn is_read(paths: &Paths, session: SessionId) -> bool {
    to_write(paths, session).is_ok()
}

fn to_write(paths: &Paths, session: SessionId) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW)
        .open(path(paths, session))
}

fn path(paths: &Paths, session: SessionId) -> PathBuf {
    paths.session(session).join("control")
}

/// The launcher's end of the pipe.
#[derive(Debug)]
pub struct Orders {
    pipe: File,
    path: PathBuf,
    received: Vec<u8>,
}

impl Orders {
    /// Makes the pipe anew and opens it.
    ///
    /// # Errors
    /// The session's directory cannot be written.
    pub fn open(paths: &Paths, session: SessionId) -> io::Result<Self> {
        let path = path(paths, session);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        make_pipe(&path)?;
        // Open for writing as well: otherwise it would be at its end whenever a sender has closed it.
        let pipe = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW)
            .open(&path)?;
        Ok(Self {
            pipe,
            path,
            received: Vec::new(),
        })
    }

    /// Readable when an order came.
    pub fn file(&self) -> &File {
        &self.pipe
    }

    /// The orders that came since; what is none is dropped.
    pub fn take(&mut self) -> Vec<Order> {
        let mut chunk = [0_u8; 256];
        if let Ok(read) = self.pipe.read(&mut chunk) {
            self.received
                .extend_from_slice(chunk.get(..read).unwrap_or_default());
        }
        let mut orders = Vec::new();
        while let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.received.drain(..=end).collect();
            let word = String::from_utf8_lossy(&line);
            orders.extend(
                Order::ALL
                    .into_iter()
                    .find(|order| order.word() == word.trim()),
            );
        }
        self.received.truncate(256);
        orders
    }
}

impl Drop for Orders {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.path));
    }
}

fn make_pipe(path: &Path) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    #[expect(unsafe_code, reason = "the standard library makes no named pipes")]
    // SAFETY: the path ends in a zero byte and lives through the call.
    let made = unsafe { libc::mkfifo(path.as_ptr(), 0o600) };
    if made == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_arrive_and_a_missing_launcher_is_known() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::at(home.path()).unwrap();
        let session = SessionId::new(uuid::Uuid::new_v4());
        std::fs::create_dir_all(paths.session(session)).unwrap();
        assert!(matches!(
            send(&paths, session, Order::Close),
            Err(OrderError::NoLauncher(_))
        ));
        let mut orders = Orders::open(&paths, session).unwrap();
        send(&paths, session, Order::Resume).unwrap();
        send(&paths, session, Order::Restart).unwrap();
        assert_eq!(orders.take(), [Order::Resume, Order::Restart]);
        assert_eq!(orders.take(), []);
        // A launcher that was killed leaves its pipe behind.
        let path = path(&paths, session);
        drop(orders);
        make_pipe(&path).unwrap();
        assert!(matches!(
            send(&paths, session, Order::Close),
            Err(OrderError::NoLauncher(_))
        ));
    }
}
