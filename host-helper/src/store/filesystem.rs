//! Where a store may lie: its own directory, on a local disk.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use super::StoreError;

/// The network file system that this magic number of `statfs` stands for. Write-ahead logging needs memory shared on one
/// host, and locks that work.
pub(super) fn network_file_system(magic: u64) -> Option<&'static str> {
    match magic {
        0x6969 => Some("nfs"),
        0x517B => Some("smb"),
        0xFE53_4D42 => Some("smb2"),
        0xFF53_4D42 => Some("cifs"),
        0x0102_1997 => Some("9p"),
        0x6573_5546 => Some("fuse"),
        0x5346_414F => Some("afs"),
        0x6B41_4653 => Some("kafs"),
        0x7375_7245 => Some("coda"),
        0x00C3_6400 => Some("ceph"),
        0x564C => Some("ncp"),
        0x0BD0_0BD0 => Some("lustre"),
        0x4750_4653 => Some("gpfs"),
        0x7461_636F => Some("ocfs2"),
        _ => None,
    }
}

/// The network file system that a directory lies on, where it is one.
///
/// # Errors
/// The system does not say.
pub fn network_file_system_of(directory: &Path) -> Result<Option<&'static str>, StoreError> {
    kind_of(directory)
}

/// Refuses a directory on a network file system.
pub(super) fn refuse_network(directory: &Path, store: &Path) -> Result<(), StoreError> {
    match kind_of(directory)? {
        Some(kind) => Err(StoreError::NetworkFileSystem {
            path: store.to_owned(),
            kind,
        }),
        None => Ok(()),
    }
}

#[cfg(target_os = "linux")]
fn kind_of(directory: &Path) -> Result<Option<&'static str>, StoreError> {
    let found = rustix::fs::statfs(directory).map_err(|error| StoreError::Io {
        doing: "asking for the file system of",
        path: directory.to_owned(),
        source: error.into(),
    })?;
    // The kernel's magic numbers have 32 bits; their type differs between processors, and some sign-extend them.
    let magic = i128::from(found.f_type) & 0xFFFF_FFFF;
    Ok(u64::try_from(magic).ok().and_then(network_file_system))
}

#[cfg(not(target_os = "linux"))]
fn kind_of(_directory: &Path) -> Result<Option<&'static str>, StoreError> {
    // Other systems name their file systems instead of numbering them; `doctor` says so there.
    Ok(None)
}

/// Makes the store's directory (0700) and its empty file (0600), where they are missing.
pub(super) fn prepare(directory: &Path, store: &Path) -> Result<(), StoreError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(StoreError::with("making the directory", directory))?;
    // Only ever created here, never opened beside SQLite: closing a second handle would drop its locks.
    match fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(store)
    {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StoreError::with("making the store", store)(error)),
    }
}
