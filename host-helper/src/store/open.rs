//! Opening connections to the store, with all that keeps it safe.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _},
    path::Path,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};

use super::StoreError;

/// The first SQLite without the bug that a reset of the write-ahead log could lose data.
const OLDEST_SQLITE: i32 = 3_051_003;

const BUSY_TIMEOUT: Duration = Duration::from_millis(5000);
const LARGEST_IDLE_LOG: i64 = 64 * 1024 * 1024;
const STATEMENTS: usize = 64;
/// Memory for pages of the connection that writes, in KiB as SQLite wants it: the ends of all indexes that an event touches.
pub(super) const WRITER_PAGES: i64 = -8_192;
/// Pages of the write-ahead log before it is moved into the file: 16 MB, so that this is rare beside the commits.
const CHECKPOINT_PAGES: i64 = 4000;
/// As long as the write-ahead log becomes until then, in bytes: each page has 24 before it. One commit may go past the end.
const LOG_LENGTH: u64 = 4_200 * (4_096 + 24);

pub(super) fn refuse_old_sqlite(number: i32, name: &str) -> Result<(), StoreError> {
    if number < OLDEST_SQLITE {
        return Err(StoreError::OldSqlite { found: name.into() });
    }
    Ok(())
}

/// The connection that writes. The file exists already.
pub(super) fn for_writing(path: &Path) -> Result<Connection, StoreError> {
    refuse_old_sqlite(rusqlite::version_number(), rusqlite::version())?;
    let doing = || format!("opening the store {}", path.display());
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(StoreError::doing(doing()))?;
    connection
        .busy_timeout(BUSY_TIMEOUT)
        .and_then(|()| {
            // FULL: what was acknowledged may already have been told to others, and must survive a power loss.
            connection
                .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))
        })
        .and_then(|_| connection.pragma_update(None, "synchronous", "FULL"))
        .and_then(|()| connection.pragma_update(None, "foreign_keys", true))
        .and_then(|()| connection.pragma_update(None, "temp_store", "MEMORY"))
        .and_then(|()| connection.pragma_update(None, "cache_size", WRITER_PAGES))
        .and_then(|()| {
            connection.pragma_update_and_check(
                None,
                "wal_autocheckpoint",
                CHECKPOINT_PAGES,
                |row| row.get::<_, i64>(0),
            )
        })
        .and_then(|_| {
            connection.pragma_update_and_check(
                None,
                "journal_size_limit",
                LARGEST_IDLE_LOG,
                |row| row.get::<_, i64>(0),
            )
        })
        .map_err(StoreError::doing(doing()))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Leaves it to the system when anything reaches the disk.
pub(super) fn flush_nothing(connection: &Connection) -> Result<(), StoreError> {
    connection
        .pragma_update(None, "synchronous", "OFF")
        .map_err(StoreError::doing("opening the store"))
}

/// Makes the write-ahead log as long as it will become, with zeros, which SQLite takes for its end.
///
/// Where a commit makes a file longer, the file system must make its own notes durable as well: such a commit takes up to eight
/// times as long as one that writes over what is there. Blocks that are only set aside (`fallocate`) do not help, for that they
/// were written is such a note, too. The connection must have its log open, as after its first change; it holds no lock on it
/// that closing it here would let go.
///
/// A failure is told and no error: it costs time, not safety. A disk that has no room for it keeps what it has.
pub(super) fn write_log_ahead(connection: &Connection) {
    // By its whole path, as SQLite resolved it.
    let Some(path) = connection.path() else {
        return;
    };
    if let Err(error) = lengthen(Path::new(&format!("{path}-wal")), Path::new(path)) {
        tracing::warn!(%error, "making room for the write-ahead log");
    }
}

fn lengthen(log: &Path, store: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).open(log)?;
    let before = file.metadata()?.len();
    if before >= LOG_LENGTH {
        return Ok(());
    }
    // The store must not be opened for this: closing it again would let go of the locks that SQLite holds on it.
    let stored = fs::metadata(store)?.modified()?;
    io::copy(&mut io::repeat(0).take(LOG_LENGTH - before), &mut file)
        .and_then(|_| file.sync_all())
        // Nothing was stored: who looks when the store was last written must not see this.
        .and_then(|()| file.set_modified(stored))
        .or_else(|error| {
            file.set_len(before)?;
            Err(error)
        })
}

/// A connection that only reads.
pub(super) fn for_reading(path: &Path) -> Result<Connection, StoreError> {
    let connection = for_copying(path)?;
    connection
        .pragma_update(None, "query_only", true)
        .map_err(StoreError::doing(format!(
            "opening the store {} for reading",
            path.display()
        )))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// A connection that cannot write the store, but another file made from it.
pub(super) fn for_copying(path: &Path) -> Result<Connection, StoreError> {
    let doing = || format!("opening the store {} for reading", path.display());
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(StoreError::doing(doing()))?;
    connection
        .busy_timeout(BUSY_TIMEOUT)
        .map_err(StoreError::doing(doing()))?;
    Ok(connection)
}
