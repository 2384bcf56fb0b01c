//! The store: the log of events, what is folded from it, and the outbox, in one SQLite file.
//!
//! One [`Store`] writes, on one thread; any number of [`Reader`]s read beside it. A [`Transaction`] appends events, folds them
//! into the entities they touch and enqueues effects, all or nothing. Nothing outside this module knows that it is SQLite.

mod backup;
mod chain;
mod codec;
mod compare;
pub mod copies;
mod entities;
mod error;
mod filesystem;
mod folded;
mod history;
mod live;
mod lookup;
mod migrate;
mod open;
mod outbox;
mod reader;
mod recent;
mod refold;
mod replay;
mod resolve;
mod tagged;
mod transaction;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use claustre_domain::time::Reading;
use claustre_protocol::{ids::MachineId, time::Timestamp};
use rusqlite::{Connection, OptionalExtension};
use uuid::Uuid;

pub use backup::copy;
pub use chain::{ChainBreak, ChainReport};
pub use codec::{Decoded, Hash, RawEvent};
pub use error::StoreError;
pub use filesystem::network_file_system_of;
pub use history::{Snapshot, TimelineOf};
pub use live::LiveRow;
pub use outbox::{EffectOutcome, LONGEST_WAIT_MS, PendingEffect};
pub use reader::{Reader, SessionFilter, TaskFilter};
pub use replay::{Difference, DifferenceKind, MOST_DIFFERENCES, ReplayMode, ReplayReport};
pub use transaction::Transaction;

/// The one connection that writes.
pub struct Store {
    connection: Connection,
    path: PathBuf,
    machine: MachineId,
    ids: Box<dyn FnMut() -> Uuid + Send>,
    /// The clock as of the newest event.
    reading: Reading,
    /// The number of this host's newest event.
    seq: i64,
    /// The link of this host's newest event.
    hash: Hash,
    position: i64,
    recent: recent::Recent,
    migrated_from: Option<PathBuf>,
}

impl Store {
    /// Opens the store, and makes or migrates it where needed. `ids` makes new random ids.
    ///
    /// # Errors
    /// The place is not fit for a store, it was written by a newer Claustre, or SQLite refuses.
    pub fn open(
        path: &Path,
        ids: impl FnMut() -> Uuid + Send + 'static,
    ) -> Result<Self, StoreError> {
        Self::open_with(path, Box::new(ids), true)
    }

    /// As [`Store::open`], for simulations: what is stored survives the process, but not the machine.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_unflushed(
        path: &Path,
        ids: impl FnMut() -> Uuid + Send + 'static,
    ) -> Result<Self, StoreError> {
        Self::open_with(path, Box::new(ids), false)
    }

    fn open_with(
        path: &Path,
        mut ids: Box<dyn FnMut() -> Uuid + Send>,
        is_flushed: bool,
    ) -> Result<Self, StoreError> {
        let directory = path.parent().unwrap_or(Path::new("."));
        filesystem::prepare(directory, path)?;
        filesystem::refuse_network(directory, path)?;
        let mut connection = open::for_writing(path)?;
        let migrated_from = migrate::run(&mut connection, path)?;
        if is_flushed {
            open::write_log_ahead(&connection);
        } else {
            open::flush_nothing(&connection)?;
        }
        let machine = machine(&connection, &mut ids)?;
        let (seq, hash) = transaction::chain_head(&connection, machine)?;
        let mut store = Self {
            reading: newest_reading(&connection, machine)?,
            position: newest_position(&connection)?,
            connection,
            path: path.to_owned(),
            machine,
            ids,
            seq,
            hash,
            recent: recent::Recent::default(),
            migrated_from,
        };
        if meta(&store.connection, "fold_version")?.as_deref() != Some(replay::FOLD_VERSION) {
            store.replay(ReplayMode::Repair)?;
        }
        let now = Timestamp::from_millis(store.reading.wall_ms);
        outbox::park_unknown(&store.connection, now)?;
        outbox::prune(&store.connection, now)?;
        Ok(store)
    }

    /// This host.
    pub fn machine(&self) -> MachineId {
        self.machine
    }

    /// The newest event's `local_id`; 0 while there is none.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// Where the store lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The copy that was kept when [`Store::open`] migrated the store.
    pub fn migrated_from(&self) -> Option<&Path> {
        self.migrated_from.as_deref()
    }

    /// Begins a change; `now` is what the wall clock says.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn begin(&mut self, now: Timestamp) -> Result<Transaction<'_>, StoreError> {
        Transaction::begin(self, now)
    }

    /// Opens a connection that reads what is committed.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        Reader::open(&self.path, self.machine)
    }

    /// Lets a test put something in the way of what is written.
    #[cfg(test)]
    pub(crate) fn obstruct(&self, sql: &str) {
        self.connection.execute_batch(sql).expect("SQL of a test");
    }

    /// Moves the write-ahead log into the store's file: before an orderly end, and when idle.
    ///
    /// # Errors
    /// SQLite refuses. That readers are at work is no error; then a part stays for the next time.
    pub fn checkpoint(&mut self) -> Result<(), StoreError> {
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(StoreError::doing("tidying the store up"))
    }
}

fn meta(connection: &Connection, key: &str) -> Result<Option<String>, StoreError> {
    connection
        .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| {
            row.get(0)
        })
        .optional()
        .map_err(StoreError::doing("reading what the store says of itself"))
}

/// This host's id: minted with the store, and of random bits, because hosts that are copies share everything else.
fn machine(
    connection: &Connection,
    ids: &mut dyn FnMut() -> Uuid,
) -> Result<MachineId, StoreError> {
    if let Some(text) = meta(connection, "machine_id")? {
        return text
            .parse()
            .map_err(|error: uuid::Error| StoreError::Unreadable {
                what: "this host's id".into(),
                why: error.to_string(),
            });
    }
    let machine = MachineId::new(ids());
    connection
        .execute(
            "INSERT INTO meta (key, value) VALUES ('machine_id', ?1), ('fold_version', ?2)",
            [machine.to_string().as_str(), replay::FOLD_VERSION],
        )
        .map_err(StoreError::doing("noting this host's id"))?;
    Ok(machine)
}

/// The clock as this host last read it: with its newest event, or when it adopted another host's.
fn newest_reading(connection: &Connection, machine: MachineId) -> Result<Reading, StoreError> {
    let own: Option<Reading> = connection
        .query_row(
            "SELECT wall_ms, counter FROM events WHERE machine_id = ?1 ORDER BY seq DESC LIMIT 1",
            [machine.to_string()],
            |row| {
                Ok(Reading {
                    wall_ms: row.get(0)?,
                    counter: row.get(1)?,
                })
            },
        )
        .optional()
        .map_err(StoreError::doing("reading the clock of the newest event"))?;
    let adopted = meta(connection, "clock")?
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    Ok(own.unwrap_or_default().max(adopted))
}

/// Keeps the clock where no event of this host does.
fn keep_clock(connection: &Connection, reading: Reading) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES ('clock', json_object('wall_ms', ?1, 'counter', ?2))")
        .and_then(|mut statement| statement.execute([reading.wall_ms, reading.counter.into()]))
        .map(|_| ())
        .map_err(StoreError::doing("keeping the clock"))
}

fn newest_position(connection: &Connection) -> Result<i64, StoreError> {
    connection
        .query_row("SELECT coalesce(max(local_id), 0) FROM events", [], |row| {
            row.get(0)
        })
        .map_err(StoreError::doing("reading the store's position"))
}

/// The version of SQLite in this program.
pub fn sqlite_version() -> String {
    rusqlite::version().to_owned()
}

/// Refuses a SQLite with a known bug; see [`StoreError::OldSqlite`].
///
/// # Errors
/// The SQLite in this program is too old.
pub fn check_sqlite() -> Result<(), StoreError> {
    open::refuse_old_sqlite(rusqlite::version_number(), rusqlite::version())
}

/// The host that a store belongs to, read without opening it for writing.
///
/// # Errors
/// It names none, or SQLite refuses.
pub fn machine_of(path: &Path) -> Result<MachineId, StoreError> {
    let connection = open::for_reading(path)?;
    let unreadable = |why: String| StoreError::Unreadable {
        what: "this host's id".into(),
        why,
    };
    meta(&connection, "machine_id")?
        .ok_or_else(|| unreadable("it is missing".into()))?
        .parse()
        .map_err(|error: uuid::Error| unreadable(error.to_string()))
}
