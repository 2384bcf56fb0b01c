//! What can go wrong with the store, in words, with advice.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// The store could not do what it was asked. Nothing of the transaction at hand was kept, all that was committed before is safe.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite refused.
    #[error("{doing}: {source}")]
    Sqlite {
        /// What was being done.
        doing: String,
        /// Why not.
        source: rusqlite::Error,
    },
    /// The system refused.
    #[error("{doing} {}: {source}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The store lies where its locks and shared memory do not work.
    #[error(
        "opening the store {}: it is on a network file system ({kind}), where SQLite can lose data",
        path.display()
    )]
    NetworkFileSystem {
        /// The store.
        path: PathBuf,
        /// The file system.
        kind: &'static str,
    },
    /// The SQLite that was built in has a known bug.
    #[error("opening the store: SQLite {found} is too old (3.51.3 or newer is needed)")]
    OldSqlite {
        /// Its version.
        found: String,
    },
    /// A newer Claustre wrote the store.
    #[error(
        "opening the store {}: it has format {found}, this Claustre knows formats up to {known}",
        path.display()
    )]
    Newer {
        /// The store.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest known format.
        known: i64,
    },
    /// A row that this program wrote cannot be read.
    #[error("reading {what} from the store: {why}")]
    Unreadable {
        /// Which row.
        what: String,
        /// Why not.
        why: String,
    },
    /// An event of another host does not fit what is known of that host.
    #[error("taking event {seq} of host {machine}: {why}")]
    Misfit {
        /// The host.
        machine: String,
        /// The event's number.
        seq: i64,
        /// Why not.
        why: String,
    },
}

impl StoreError {
    /// For `map_err`: says what was being done.
    pub(super) fn doing(doing: impl Into<String>) -> impl FnOnce(rusqlite::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Sqlite { doing, source }
    }

    /// For `map_err`: says what was being done, and with what.
    pub(super) fn with(
        doing: &'static str,
        path: &Path,
    ) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io {
            doing,
            path,
            source,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Sqlite { source, .. } => match source.sqlite_error_code()? {
                ErrorCode::DiskFull => {
                    Some("free some space on the disk of CLAUSTRE_HOME, then try again")
                }
                ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => {
                    Some("make CLAUSTRE_HOME and the store in it writable for your user")
                }
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Some(
                    "another program holds the store: end it, or wait (claustre daemon status)",
                ),
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Some(
                    "keep the file, and bring a copy back from the backups beside it: claustre doctor",
                ),
                ErrorCode::SystemIoFailure => {
                    Some("the disk reports errors: check it before going on")
                }
                _ => None,
            },
            Self::Io { source, .. } => match source.kind() {
                std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                    Some("make CLAUSTRE_HOME writable for your user")
                }
                std::io::ErrorKind::StorageFull => {
                    Some("free some space on the disk of CLAUSTRE_HOME, then try again")
                }
                _ => None,
            },
            Self::NetworkFileSystem { .. } => {
                Some("set CLAUSTRE_HOME to a directory on a local disk")
            }
            Self::OldSqlite { .. } => Some("build Claustre with its bundled SQLite"),
            Self::Newer { .. } => {
                Some("install the newer Claustre again; the store was not touched")
            }
            Self::Unreadable { .. } => Some("rebuild what the log can rebuild: claustre replay"),
            Self::Misfit { .. } => Some("claustre doctor shows the hosts and their logs"),
        }
    }
}
