//! The daemon's log: `logs/daemon.log`, five files of at most ten megabytes, readable by their owner only.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

/// A file's size before the next one begins, in bytes.
const LARGEST: u64 = 10 * 1024 * 1024;
/// Older files kept.
const KEPT: u32 = 4;

/// Sends what is traced to the log. `CLAUSTRE_LOG` chooses what, as `info` or `claustre=debug`.
///
/// # Errors
/// The directory cannot be written.
pub fn start(directory: &Path) -> io::Result<()> {
    let log = Log::open(directory.join("daemon.log"))?;
    let filter = EnvFilter::try_from_env("CLAUSTRE_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,rmcp=warn"));
    // A second start in one process (tests) keeps the first.
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(log)
        .try_init()
        .ok();
    Ok(())
}

struct Open {
    file: File,
    size: u64,
}

struct Log {
    path: PathBuf,
    open: Mutex<Open>,
}

impl Log {
    fn open(path: PathBuf) -> io::Result<Self> {
        let open = Mutex::new(open(&path)?);
        Ok(Self { path, open })
    }

    fn write(&self, line: &[u8]) -> io::Result<()> {
        let mut current = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if current.size > LARGEST {
            for number in (1..KEPT).rev() {
                // A file that is not there yet has nothing to move.
                fs::rename(self.numbered(number), self.numbered(number + 1)).ok();
            }
            fs::rename(&self.path, self.numbered(1)).ok();
            *current = open(&self.path)?;
        }
        current.file.write_all(line)?;
        current.size += u64::try_from(line.len()).unwrap_or(0);
        Ok(())
    }

    fn numbered(&self, number: u32) -> PathBuf {
        self.path.with_extension(format!("log.{number}"))
    }
}

fn open(path: &Path) -> io::Result<Open> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)?;
    let size = file.metadata()?.len();
    Ok(Open { file, size })
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Line<'a>;
    fn make_writer(&'a self) -> Self::Writer {
        Line(self)
    }
}

struct Line<'a>(&'a Log);

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
