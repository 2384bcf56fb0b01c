//! Signals as bytes in a pipe, so that one `poll` can wait for them together with everything else.

use std::{
    io::{self, PipeReader, PipeWriter, Read},
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    sync::atomic::{AtomicI32, Ordering},
};

/// Write end of the pipe for the handler; -1 before it is there.
static PIPE: AtomicI32 = AtomicI32::new(-1);

/// What the launcher must know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caught {
    /// A child ended or stopped.
    Child,
    /// The terminal is gone, or we are told to end.
    End,
    /// We were stopped and go on.
    Continued,
}

/// The caught signals.
#[derive(Debug)]
pub struct Signals {
    reader: PipeReader,
    /// Kept open as long as the handler may write to it.
    _writer: PipeWriter,
}

impl Signals {
    /// Catches what the launcher must know of, and ignores what the terminal sends to stop or interrupt: that is for the client.
    ///
    /// # Errors
    /// The system gives no pipe.
    pub fn catch() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        rustix::io::ioctl_fionbio(&reader, true)?;
        rustix::io::ioctl_fionbio(&writer, true)?;
        PIPE.store(writer.as_raw_fd(), Ordering::SeqCst);
        for signal in [libc::SIGCHLD, libc::SIGHUP, libc::SIGTERM, libc::SIGCONT] {
            let handler: extern "C" fn(libc::c_int) = on_signal;
            install(signal, handler as libc::sighandler_t)?;
        }
        for signal in [
            libc::SIGINT,
            libc::SIGQUIT,
            libc::SIGTSTP,
            libc::SIGTTIN,
            libc::SIGTTOU,
        ] {
            install(signal, libc::SIG_IGN)?;
        }
        Ok(Self {
            reader,
            _writer: writer,
        })
    }

    /// Readable when a signal came.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    /// All signals that came since.
    pub fn take(&mut self) -> Vec<Caught> {
        let mut bytes = [0_u8; 64];
        let read = self.reader.read(&mut bytes).unwrap_or(0);
        bytes
            .iter()
            .take(read)
            .filter_map(|byte| match libc::c_int::from(*byte) {
                libc::SIGCHLD => Some(Caught::Child),
                libc::SIGHUP | libc::SIGTERM => Some(Caught::End),
                libc::SIGCONT => Some(Caught::Continued),
                _ => None,
            })
            .collect()
    }
}

/// Stops ourselves, as Ctrl-Z would.
pub fn stop_ourselves() {
    #[expect(unsafe_code, reason = "the standard library raises no signals")]
    // SAFETY: raising a signal touches no memory of ours.
    unsafe {
        libc::raise(libc::SIGSTOP);
    }
}

fn install(signal: libc::c_int, handler: libc::sighandler_t) -> io::Result<()> {
    #[expect(unsafe_code, reason = "the standard library handles no signals")]
    // SAFETY: `action` is whole and lives through the call; the handler, where there is one, does only what is safe in one.
    let result = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = libc::SA_RESTART;
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(signal, &raw const action, std::ptr::null_mut())
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

extern "C" fn on_signal(signal: libc::c_int) {
    let pipe = PIPE.load(Ordering::SeqCst);
    let byte = u8::try_from(signal).unwrap_or(0);
    #[expect(unsafe_code, reason = "a handler may only make system calls")]
    // SAFETY: `write` may be called in a handler; the byte lives through it, and errno is put back as it was. A full pipe
    // holds enough bytes already to wake us.
    unsafe {
        let errno = errno_place();
        let before = *errno;
        libc::write(pipe, (&raw const byte).cast(), 1);
        *errno = before;
    }
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "errno must survive a handler")]
fn errno_place() -> *mut libc::c_int {
    // SAFETY: it always points to the calling thread's errno.
    unsafe { libc::__errno_location() }
}

#[cfg(not(target_os = "linux"))]
#[expect(unsafe_code, reason = "errno must survive a handler")]
fn errno_place() -> *mut libc::c_int {
    // SAFETY: it always points to the calling thread's errno.
    unsafe { libc::__error() }
}
