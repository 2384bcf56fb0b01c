//! Copies of the store: consistent while it is in use, compact, and readable by their owner only.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use rusqlite::Connection;

use super::{StoreError, open};

/// Writes a compact copy of the store to a path where no file is yet, with a connection of its own: whoever writes goes on meanwhile.
///
/// # Errors
/// There is a file, or it cannot be written.
pub fn copy(store: &Path, to: &Path) -> Result<(), StoreError> {
    copy_to(&open::for_copying(store)?, to)
}

/// Reads a copy through.
pub(super) fn check_copy(path: &Path) -> Result<(), StoreError> {
    let connection = open::for_reading(path)?;
    let said: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(StoreError::doing("checking the copy"))?;
    if said == "ok" {
        Ok(())
    } else {
        Err(StoreError::Unreadable {
            what: "a copy".into(),
            why: said,
        })
    }
}

/// Has the disk keep a file and its name.
pub(super) fn keep(path: &Path) -> Result<(), StoreError> {
    let keep = |path: &Path| fs::File::open(path).and_then(|file| file.sync_all());
    keep(path)
        .and_then(|()| keep(path.parent().unwrap_or(Path::new("."))))
        .map_err(StoreError::with("keeping the copy", path))
}

/// Writes a copy to a path where no file is yet.
pub(super) fn copy_to(connection: &Connection, to: &Path) -> Result<(), StoreError> {
    let doing = || format!("copying the store to {}", to.display());
    if to.exists() {
        return Err(StoreError::with("copying the store to", to)(
            std::io::ErrorKind::AlreadyExists.into(),
        ));
    }
    let Some(name) = to.to_str() else {
        return Err(StoreError::with("copying the store to", to)(
            std::io::Error::new(std::io::ErrorKind::InvalidInput, "the path is not UTF-8"),
        ));
    };
    if let Some(directory) = to.parent() {
        super::filesystem::prepare(directory, to)?;
    }
    let copied = connection
        .execute("VACUUM INTO ?1", [name])
        .map_err(StoreError::doing(doing()));
    match copied {
        Ok(_) => fs::set_permissions(to, fs::Permissions::from_mode(0o600))
            .map_err(StoreError::with("protecting the copy", to)),
        Err(error) => {
            // Half a copy is no copy. That it cannot be removed changes nothing about the error.
            let _unremoved = fs::remove_file(to).is_err();
            Err(error)
        }
    }
}

/// A path in `backups/` beside the store where no file is yet.
pub(super) fn free_name(store: &Path, why: &str) -> PathBuf {
    let directory = store.parent().unwrap_or(Path::new(".")).join("backups");
    let plain = directory.join(format!("{why}.db"));
    if !plain.exists() {
        return plain;
    }
    (2..)
        .map(|number| directory.join(format!("{why}-{number}.db")))
        .find(|path| !path.exists())
        .unwrap_or(plain)
}
