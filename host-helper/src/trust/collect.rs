//! Reads what could run. Links and special files are refused in a repository: a link could change what it leads to.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use super::{CONFIG, Content, FOLDER, Files, HOOKS, TrustError};

/// Largest file, in bytes.
const FILE_LIMIT: u64 = 4 * 1024 * 1024;
/// Most files.
const MOST_FILES: usize = 500;
/// Deepest folder below `hooks`.
const DEEPEST: usize = 8;

/// What the main checkout has that could run: its hooks and its configuration. Nothing is the usual answer.
///
/// # Errors
/// Something is a link or of a special kind, too large, or cannot be read.
pub fn collect(root: &Path) -> Result<Files, TrustError> {
    let folder = root.join(FOLDER);
    let mut files = Files::new();
    if !is_folder(&folder, false)? {
        return Ok(files);
    }
    let config = folder.join(CONFIG);
    if config.symlink_metadata().is_ok() {
        files.insert(CONFIG.to_owned(), read(&config, false)?);
    }
    below(&folder.join(HOOKS), HOOKS, false, 0, &mut files)?;
    Ok(files)
}

/// The user's own hooks, under the same names as a repository's (`hooks/…`). Links to files are followed: they are the user's.
///
/// # Errors
/// Too many or too large, or something cannot be read.
pub fn collect_own(hooks: &Path) -> Result<Files, TrustError> {
    let mut files = Files::new();
    below(hooks, HOOKS, true, 0, &mut files)?;
    Ok(files)
}

fn below(
    folder: &Path,
    name: &str,
    follow: bool,
    depth: usize,
    files: &mut Files,
) -> Result<(), TrustError> {
    if !is_folder(folder, follow && depth == 0)? {
        return Ok(());
    }
    if depth > DEEPEST {
        return Err(TrustError::refused(folder, "it lies too deep"));
    }
    let listing = fs::read_dir(folder).map_err(TrustError::file("reading", folder))?;
    for entry in listing {
        let path = entry.map_err(TrustError::file("reading", folder))?.path();
        let part = path
            .file_name()
            .and_then(|part| part.to_str())
            .filter(|part| !part.chars().any(char::is_control))
            .ok_or_else(|| TrustError::refused(&path, "its name is not plain text"))?
            .to_owned();
        let inner = format!("{name}/{part}");
        let data = path
            .symlink_metadata()
            .map_err(TrustError::file("looking at", &path))?;
        if data.is_dir() {
            below(&path, &inner, follow, depth.saturating_add(1), files)?;
        } else {
            if files.len() >= MOST_FILES {
                return Err(TrustError::refused(
                    folder,
                    format!("more than {MOST_FILES} files"),
                ));
            }
            files.insert(inner, read(&path, follow)?);
        }
    }
    Ok(())
}

/// Is it a folder? What is not there is none; what is something else is refused.
fn is_folder(path: &Path, follow: bool) -> Result<bool, TrustError> {
    let data = if follow {
        path.metadata()
    } else {
        path.symlink_metadata()
    };
    match data {
        Ok(data) if data.is_dir() => Ok(true),
        Ok(_) => Err(TrustError::refused(path, "it is not a folder")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(TrustError::file("looking at", path)(error)),
    }
}

pub(super) fn read(path: &Path, follow: bool) -> Result<Content, TrustError> {
    // Without waiting, or a pipe would hang us before it is seen to be one.
    let flags = libc::O_NONBLOCK | if follow { 0 } else { libc::O_NOFOLLOW };
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .map_err(|error| match error.raw_os_error() {
            Some(libc::ELOOP) => TrustError::refused(path, "it is a link"),
            _ => TrustError::file("reading", path)(error),
        })?;
    let data = file
        .metadata()
        .map_err(TrustError::file("looking at", path))?;
    if !data.is_file() {
        return Err(TrustError::refused(path, "it is not a plain file"));
    }
    let mut bytes = Vec::new();
    (&mut file)
        .take(FILE_LIMIT.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(TrustError::file("reading", path))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_LIMIT {
        return Err(TrustError::refused(
            path,
            format!("it is larger than {FILE_LIMIT} bytes"),
        ));
    }
    Ok(Content {
        bytes,
        executable: data.permissions().mode() & 0o100 != 0,
    })
}
