//! Brings an older store to the present format, once, after keeping a copy of it.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::{Reader, StoreError, backup};

/// One step from a format to the next.
#[derive(Clone, Copy)]
pub(super) struct Migration {
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
}

/// Append only: a step that was released is never changed.
const MIGRATIONS: &[Migration] = &[
    Migration {
        name: "01-log-and-projections",
        sql: include_str!("../../../migrations/01-log-and-projections/up.sql"),
    },
    Migration {
        name: "02-timelines-from-the-log",
        sql: include_str!("../../../migrations/02-timelines-from-the-log/up.sql"),
    },
    Migration {
        name: "03-fewer-indexes",
        sql: include_str!("../../../migrations/03-fewer-indexes/up.sql"),
    },
    Migration {
        name: "04-effects-begun",
        sql: include_str!("../../../migrations/04-effects-begun/up.sql"),
    },
];

/// Migrates the store. Returns the copy that was kept, where one was.
pub(super) fn run(connection: &mut Connection, path: &Path) -> Result<Option<PathBuf>, StoreError> {
    migrate(connection, path, MIGRATIONS)
}

fn migrate(
    connection: &mut Connection,
    path: &Path,
    migrations: &[Migration],
) -> Result<Option<PathBuf>, StoreError> {
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    let found = format(connection)?;
    if found > known {
        return Err(StoreError::Newer {
            path: path.to_owned(),
            found,
            known,
        });
    }
    if found == known {
        return Ok(None);
    }
    let copy = if found > 0 {
        let copy = backup::free_name(path, &format!("before-format-{known}"));
        backup::copy_to(connection, &copy)?;
        Some(copy)
    } else {
        None
    };
    let transaction = connection
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .map_err(StoreError::doing("migrating the store"))?;
    // Asked again under the lock: another program may have been first.
    let found = format(&transaction)?;
    for (number, migration) in (1_i64..).zip(migrations) {
        if number > found {
            transaction
                .execute_batch(migration.sql)
                .and_then(|()| transaction.pragma_update(None, "user_version", number))
                .map_err(StoreError::doing(format!(
                    "migrating the store with {}",
                    migration.name
                )))?;
        }
    }
    transaction
        .commit()
        .map_err(StoreError::doing("migrating the store"))?;
    Ok(copy)
}

impl Reader {
    /// Looks whether this Claustre knows the format of the store at `path`, which this reader reads.
    ///
    /// # Errors
    /// A newer Claustre wrote it, or SQLite refuses.
    pub fn check_format(&self, path: &Path) -> Result<i64, StoreError> {
        let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        let found = format(&self.connection)?;
        if found > known {
            return Err(StoreError::Newer {
                path: path.to_owned(),
                found,
                known,
            });
        }
        Ok(found)
    }
}

fn format(connection: &Connection) -> Result<i64, StoreError> {
    connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(StoreError::doing("reading the store's format"))
}

/// The directories that the steps come from.
#[cfg(test)]
pub(super) fn names() -> Vec<&'static str> {
    MIGRATIONS.iter().map(|migration| migration.name).collect()
}

/// As a later version that has one step more.
#[cfg(test)]
pub(super) fn migrate_with(
    connection: &mut Connection,
    path: &Path,
    next: Migration,
) -> Result<Option<PathBuf>, StoreError> {
    let migrations: Vec<Migration> = MIGRATIONS.iter().copied().chain([next]).collect();
    migrate(connection, path, &migrations)
}
