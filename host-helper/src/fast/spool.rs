//! Keeping a report on disk for the next daemon.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use claustre_protocol::time::Timestamp;

/// How the name of a file with reports ends.
pub const COMPLETE: &str = "ndjson";
/// How it ends while the file is being written.
pub const BEING_WRITTEN: &str = "new";

/// Writes a line that was made at this time. No reader sees it before all of it is on the disk.
///
/// # Errors
/// The disk does not take it.
pub fn write(directory: &Path, at: Timestamp, line: &[u8]) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    // A name of its own for each report, and in the order of their times.
    let name = format!(
        "{:013}-{}",
        at.millis().max(0),
        uuid::Uuid::new_v4().simple()
    );
    let aside = directory.join(format!("{name}.{BEING_WRITTEN}"));
    let written = write_whole(&aside, line)
        .and_then(|()| fs::rename(&aside, directory.join(format!("{name}.{COMPLETE}"))));
    if written.is_err() {
        // Half a report is of no use, and the disk may be full.
        drop(fs::remove_file(&aside));
    }
    written?;
    // After a loss of power the name must be there as well; where the system cannot promise that, nothing can.
    drop(fs::File::open(directory).and_then(|directory| directory.sync_all()));
    Ok(())
}

fn write_whole(path: &Path, line: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(line)?;
    file.sync_data()
}

/// The time in the name of a file with reports, in milliseconds; none in names of earlier versions.
pub fn time_in_name(name: &str) -> Option<i64> {
    let (time, _) = name.split_once('-')?;
    if time.len() < 13 {
        return None;
    }
    time.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_complete_when_it_has_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let spool = directory.path().join("spool");
        write(&spool, Timestamp::from_millis(1_700_000_000_123), b"{}\n").unwrap();
        let names: Vec<String> = fs::read_dir(&spool)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(names.len(), 1, "{names:?}");
        let name = names.first().unwrap();
        assert_eq!(time_in_name(name), Some(1_700_000_000_123), "{name}");
        assert!(name.ends_with(".ndjson"));
        assert_eq!(time_in_name("4711-0123456789abcdef.ndjson"), None);
        // Nothing stays behind where the disk does not take it.
        let full = Path::new("/dev/full/spool");
        assert!(write(full, Timestamp::default(), b"{}\n").is_err());
    }
}
