//! Folds the whole log again and compares the result with the projections that stand.

use claustre_domain::entity::EntityRef;
use rusqlite::Connection;
use uuid::Uuid;

use super::{
    Reader, Store, StoreError,
    compare::Comparisons,
    entities::{self, TABLES},
    open,
    refold::refold,
};

/// As much as SQLite maps at most.
const LARGEST_MAP: i64 = 0x7fff_0000;
/// Memory for the pages that a repair writes, in KiB as SQLite wants it.
const REPAIR_PAGES: i64 = -96_000;
/// Bytes of events and states that entities in memory are made from while a log is compared beside a daemon's other work: they take
/// about three times as much.
const IN_MEMORY: usize = 8 * 1024 * 1024;
const COMPARING: &str = "comparing the projections";

/// Raised when a change of the domain makes older projections stale: the next start then rebuilds them.
pub(super) const FOLD_VERSION: &str = "2";

/// What to do with differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayMode {
    /// Report them.
    Compare,
    /// Report them and put the rows right.
    Repair,
}

/// What a replay found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReplayReport {
    /// Events in the log.
    pub events: u64,
    /// Those of a type or version that this Claustre does not know: kept, not folded.
    pub unknown: u64,
    /// Entities that the log makes.
    pub entities: u64,
    /// Rows that were not as the log makes them. At most [`MOST_DIFFERENCES`] are listed.
    pub differences: Vec<Difference>,
    /// How many there were in all.
    pub different: u64,
    /// Were they put right?
    pub repaired: bool,
}

/// At most so many differences are listed; all are counted, and repaired.
pub const MOST_DIFFERENCES: usize = 1000;

/// A row that is not as the log makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its table.
    pub table: &'static str,
    /// Its id.
    pub id: String,
    /// What is wrong.
    pub kind: DifferenceKind,
}

/// The ways in which a row may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DifferenceKind {
    /// The log makes it, but it is not there.
    Missing,
    /// It is there, but the log does not make it.
    Extra,
    /// It holds something else than the log makes.
    Differs,
}

impl ReplayReport {
    fn note(&mut self, table: &'static str, id: String, kind: DifferenceKind) {
        self.different += 1;
        if self.differences.len() < MOST_DIFFERENCES {
            self.differences.push(Difference { table, id, kind });
        }
    }
}

impl Store {
    /// Folds the whole log in memory and compares every projection with it, in one transaction.
    ///
    /// # Errors
    /// SQLite refuses, or an event's row cannot be read.
    pub fn replay(&mut self, mode: ReplayMode) -> Result<ReplayReport, StoreError> {
        self.recent.clear();
        // The whole file is read once, so the kernel's pages serve as they are; what is written anew comes to rest in memory
        // before it goes to the disk, once.
        let pages = match mode {
            ReplayMode::Compare => open::WRITER_PAGES,
            ReplayMode::Repair => REPAIR_PAGES,
        };
        self.use_memory(LARGEST_MAP, pages)?;
        let report = self.replay_mapped(mode);
        self.use_memory(0, open::WRITER_PAGES)?;
        report
    }

    fn use_memory(&self, map: i64, pages: i64) -> Result<(), StoreError> {
        self.connection
            .execute_batch(&format!(
                "PRAGMA mmap_size = {map}; PRAGMA cache_size = {pages}"
            ))
            .map_err(StoreError::doing("preparing to replay the log"))
    }

    fn replay_mapped(&mut self, mode: ReplayMode) -> Result<ReplayReport, StoreError> {
        let doing = "replaying the log";
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(StoreError::doing(doing))?;
        let mut report = ReplayReport::default();
        compare(&transaction, mode, usize::MAX, &mut report)?;
        if mode == ReplayMode::Repair {
            transaction
                .execute(
                    "INSERT OR REPLACE INTO meta (key, value) VALUES ('fold_version', ?1)",
                    [FOLD_VERSION],
                )
                .map_err(StoreError::doing(doing))?;
            transaction.commit().map_err(StoreError::doing(doing))?;
            report.repaired = true;
        }
        Ok(report)
    }
}

impl Reader {
    /// Folds the whole log and compares every projection with it, as both stand now: in bounded memory, and nobody who writes waits.
    ///
    /// # Errors
    /// SQLite refuses, or an event's row cannot be read.
    pub fn replay(&self) -> Result<ReplayReport, StoreError> {
        self.replay_within(IN_MEMORY)
    }

    pub(super) fn replay_within(&self, in_memory: usize) -> Result<ReplayReport, StoreError> {
        // One transaction, so that the log and what was folded from it are of one moment.
        let transaction = self
            .connection
            .unchecked_transaction()
            .map_err(StoreError::doing("replaying the log"))?;
        let mut report = ReplayReport::default();
        compare(&transaction, ReplayMode::Compare, in_memory, &mut report)?;
        Ok(report)
    }
}

/// Compares the rows of all entities with what the log makes, and puts them right where that is wanted.
fn compare(
    connection: &Connection,
    mode: ReplayMode,
    in_memory: usize,
    report: &mut ReplayReport,
) -> Result<(), StoreError> {
    let mut tables = Comparisons::open(connection).map_err(StoreError::doing(COMPARING))?;
    let mut matched: Vec<EntityRef> = Vec::new();
    let counts = refold(connection, in_memory, |wanted| {
        matched.push(wanted.of);
        let Some(kind) = tables.look(&wanted).map_err(StoreError::doing(COMPARING))? else {
            return Ok(());
        };
        report.note(entities::table(wanted.of).name, wanted.id.clone(), kind);
        if mode == ReplayMode::Repair {
            tables.put_right(wanted, kind)?;
        }
        Ok(())
    })?;
    report.events = counts.events;
    report.unknown = counts.unknown;
    report.entities = u64::try_from(matched.len()).unwrap_or(u64::MAX);
    tables.close()?;
    extras(connection, &matched, mode, report)
}

/// Rows of entities that the log does not make; `matched` are those that it does, in order.
fn extras(
    connection: &Connection,
    matched: &[EntityRef],
    mode: ReplayMode,
    report: &mut ReplayReport,
) -> Result<(), StoreError> {
    for table in TABLES {
        let ids: Vec<String> = connection
            .prepare(&format!("SELECT id FROM {} ORDER BY id", table.name))
            .and_then(|mut statement| {
                let mut rows = statement.query([])?;
                let mut extra = Vec::new();
                while let Some(row) = rows.next()? {
                    let id = row.get_ref(0)?.as_str()?;
                    let made = Uuid::try_parse(id)
                        .ok()
                        .and_then(|id| entities::reference(table.name, id))
                        .is_some_and(|of| matched.binary_search(&of).is_ok());
                    if !made {
                        extra.push(id.to_owned());
                    }
                }
                Ok(extra)
            })
            .map_err(StoreError::doing(COMPARING))?;
        for id in ids {
            if mode == ReplayMode::Repair {
                connection
                    .execute(&format!("DELETE FROM {} WHERE id = ?1", table.name), [&id])
                    .and_then(|_| {
                        connection.execute("DELETE FROM task_dependencies WHERE task = ?1", [&id])
                    })
                    .map_err(StoreError::doing(COMPARING))?;
            }
            report.note(table.name, id, DifferenceKind::Extra);
        }
    }
    Ok(())
}
