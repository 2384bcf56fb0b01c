//! Writing the files of a session: private to the user, and whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// What could not be written, and why.
#[derive(Debug, Error)]
#[error("{action} {}: {source}", path.display())]
pub struct FileError {
    /// What was being done, such as `writing`.
    pub action: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// The reason the system gave.
    pub source: io::Error,
}

/// Makes the directory (and its parents) readable by its owner only.
pub fn private_directory(path: &Path) -> Result<(), FileError> {
    let failed = |action| {
        move |source| FileError {
            action,
            path: path.to_owned(),
            source,
        }
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed("making the directory"))?;
    let found = fs::symlink_metadata(path).map_err(failed("looking at the directory"))?;
    if !found.is_dir() {
        let source = io::Error::new(
            io::ErrorKind::NotADirectory,
            "it is a link or a file, not a directory",
        );
        return Err(failed("making the directory")(source));
    }
    if found.permissions().mode() & 0o777 != 0o700 {
        fs::set_permissions(path, Permissions::from_mode(0o700))
            .map_err(failed("closing to others the directory"))?;
    }
    Ok(())
}

/// Writes a file that only its owner may read, so that a reader sees the old or the new content and
/// never a part: written beside, flushed to the disk, renamed over.
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let failed = |action| {
        move |source| FileError {
            action,
            path: path.to_owned(),
            source,
        }
    };
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let name = path.file_name().zip(directory);
    let Some((name, directory)) = name else {
        let source = io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not the absolute path of a file",
        );
        return Err(failed("writing")(source));
    };
    // A name of its own per write, so that two writers never share one unfinished file.
    let unfinished = directory.join(format!(
        ".{}.{}.part",
        name.to_string_lossy(),
        uuid::Uuid::new_v4().simple()
    ));
    let result = write_new(&unfinished, content).and_then(|()| fs::rename(&unfinished, path));
    if let Err(source) = result {
        // What is left of the attempt is ours and worth nothing; the first error is the one to tell.
        drop(fs::remove_file(&unfinished));
        return Err(failed("writing")(source));
    }
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(failed("saving the directory of"))
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_directories_are_private_and_replaced_whole() {
        let home = tempfile::tempdir().expect("temp dir");
        let directory = home.path().join("sessions/one");
        private_directory(&directory).expect("made");
        private_directory(&directory).expect("made again");
        let path = directory.join("a.json");
        write_private(&path, b"one").expect("written");
        write_private(&path, b"two").expect("replaced");
        assert_eq!(fs::read(&path).expect("read"), b"two");
        let mode = |path: &Path| fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
        assert_eq!((mode(&directory), mode(&path)), (0o700, 0o600));
        assert_eq!(
            fs::read_dir(&directory).expect("list").count(),
            1,
            "nothing unfinished is left"
        );
    }

    #[test]
    fn an_open_directory_is_closed_and_a_link_is_refused() {
        let home = tempfile::tempdir().expect("temp dir");
        let open = home.path().join("open");
        fs::create_dir(&open).expect("made");
        fs::set_permissions(&open, Permissions::from_mode(0o755)).expect("opened");
        private_directory(&open).expect("closed");
        assert_eq!(
            fs::metadata(&open).expect("metadata").permissions().mode() & 0o777,
            0o700
        );
        let link = home.path().join("link");
        std::os::unix::fs::symlink(&open, &link).expect("linked");
        assert!(private_directory(&link).is_err());
        assert!(write_private(Path::new("bare"), b"").is_err());
        let error = write_private(&home.path().join("missing/x"), b"").expect_err("no directory");
        assert!(error.to_string().starts_with("writing /"), "{error}");
    }
}
