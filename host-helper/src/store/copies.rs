//! The copies that the daemon makes by itself in `backups/`: when the next is due, how it is made, and which are kept. Copies that
//! were made by hand or before a migration have other names, and are neither counted nor removed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use claustre_protocol::time::Timestamp;

use super::{StoreError, backup};

/// As many are kept.
pub const KEPT: usize = 7;
/// Milliseconds from one to the next.
pub const EVERY_MILLIS: i64 = 24 * 60 * 60 * 1000;

const BEGINNING: &str = "automatic-";
const END: &str = ".db";
/// Behind the name of one that is not finished.
const UNFINISHED: &str = ".part";

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// When it was made.
    pub at: Timestamp,
    /// Where it lies.
    pub path: PathBuf,
}

/// The automatic copies in a directory, the newest first; none where it cannot be read.
pub fn all(directory: &Path) -> Vec<Copy> {
    let mut copies: Vec<Copy> = names(directory)
        .into_iter()
        .filter_map(|name| {
            Some(Copy {
                at: time_of(&name)?,
                path: directory.join(name),
            })
        })
        .collect();
    copies.sort_by_key(|copy| std::cmp::Reverse(copy.at));
    copies
}

/// When the next is due, for a store whose first event is of this time. It may lie in the past, but never more than a day ahead: a
/// clock that was set back must not put it off for ever.
pub fn next_due(directory: &Path, first_event: Timestamp, now: Timestamp) -> Timestamp {
    let last = all(directory)
        .into_iter()
        .map(|copy| copy.at)
        .find(|at| *at <= now)
        .unwrap_or(first_event);
    last.min(now).plus_millis(EVERY_MILLIS)
}

/// Makes one of the store as it is now, and removes those that it takes the place of. A copy counts only once it is whole and was
/// read through without a fault.
///
/// # Errors
/// It cannot be written, or what was written is damaged; then nothing is removed.
pub fn make(store: &Path, directory: &Path, now: Timestamp) -> Result<PathBuf, StoreError> {
    remove_unfinished(directory);
    let path = directory.join(name_of(now));
    let unfinished = directory.join(format!("{}{UNFINISHED}", name_of(now)));
    backup::copy(store, &unfinished)?;
    let checked = backup::check_copy(&unfinished)
        .and_then(|()| backup::keep(&unfinished))
        .and_then(|()| {
            fs::rename(&unfinished, &path).map_err(StoreError::with("placing the copy", &path))
        });
    if let Err(error) = checked {
        // A damaged copy is of no use; that it cannot be removed changes nothing about the error.
        drop(fs::remove_file(&unfinished));
        return Err(error);
    }
    prune(directory, now);
    Ok(path)
}

/// The first events' time of a store; none while it is empty.
///
/// # Errors
/// SQLite refuses.
pub fn first_event(reader: &super::Reader) -> Result<Option<Timestamp>, StoreError> {
    let first = reader.events_after(0, 1)?;
    Ok(first.first().map(|(_, event)| event.created_at))
}

/// How a person puts a copy in the place of a store that is damaged, in one line.
pub fn bring_back(store: &Path, directory: &Path) -> String {
    let home = store.parent().unwrap_or(Path::new("."));
    match all(directory).first() {
        Some(copy) => format!(
            "close the dashboards, claustre daemon stop, move {}* to another place, then cp {} {}",
            store.display(),
            copy.path.display(),
            store.display()
        ),
        None => format!(
            "close the dashboards, claustre daemon stop, keep all of {}, and put a copy in its place; there is no automatic one in {}",
            home.display(),
            directory.display()
        ),
    }
}

/// Copies of a time that has not come yet were made by a clock that was wrong: they go first.
fn prune(directory: &Path, now: Timestamp) {
    let mut copies = all(directory);
    copies.sort_by_key(|copy| (copy.at > now, std::cmp::Reverse(copy.at)));
    for copy in copies.into_iter().skip(KEPT) {
        if let Err(error) = fs::remove_file(&copy.path) {
            tracing::warn!(%error, path = %copy.path.display(), "removing an old copy of the store");
        }
    }
}

/// What a daemon that was killed left half written.
fn remove_unfinished(directory: &Path) {
    for name in names(directory) {
        let is_ours = name
            .strip_suffix(UNFINISHED)
            .is_some_and(|name| time_of(name).is_some());
        if is_ours {
            drop(fs::remove_file(directory.join(name)));
        }
    }
}

fn names(directory: &Path) -> Vec<String> {
    fs::read_dir(directory).map_or_else(
        |_| Vec::new(),
        |entries| {
            entries
                .filter_map(Result::ok)
                .filter_map(|entry| entry.file_name().into_string().ok())
                .collect()
        },
    )
}

/// `automatic-2026-11-20T03-00-00.000Z.db`: it sorts by time, and holds no colon.
fn name_of(at: Timestamp) -> String {
    format!("{BEGINNING}{}{END}", at.to_rfc3339().replace(':', "-"))
}

fn time_of(name: &str) -> Option<Timestamp> {
    let stamp = name.strip_prefix(BEGINNING)?.strip_suffix(END)?;
    let (day, time) = stamp.split_once('T')?;
    Timestamp::parse_rfc3339(&format!("{day}T{}", time.replace('-', ":")))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::store::Store;

    const NOON: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn days(count: i64) -> Timestamp {
        NOON.plus_millis(count * EVERY_MILLIS)
    }

    fn store_in(directory: &Path) -> PathBuf {
        let path = directory.join("claustre.db");
        drop(Store::open(&path, Uuid::new_v4).unwrap());
        path
    }

    #[test]
    fn one_is_due_a_day_after_the_last_or_after_the_first_event() {
        let directory = tempfile::tempdir().unwrap();
        let due = |now| next_due(directory.path(), NOON, now);
        assert_eq!(due(NOON), days(1), "a new store");
        assert_eq!(due(days(3)), days(1), "overdue");
        fs::write(directory.path().join(name_of(days(2))), "").unwrap();
        assert_eq!(due(days(2).plus_millis(5)), days(3));
        // Made by hand, or before a migration.
        for other in ["claustre-2026.db", "before-format-2.db", "automatic-x.db"] {
            fs::write(directory.path().join(other), "").unwrap();
        }
        assert_eq!(due(days(2).plus_millis(5)), days(3));
        // The clock was set back: neither a copy nor an event of tomorrow puts it off.
        assert_eq!(due(days(1)), days(1));
        assert_eq!(due(days(-9)), days(-8));
    }

    #[test]
    fn the_newest_seven_are_kept_and_no_other_file_is_touched() {
        let home = tempfile::tempdir().unwrap();
        let store = store_in(home.path());
        let directory = home.path().join("backups");
        fs::create_dir(&directory).unwrap();
        let hand_made = directory.join("claustre-2026-11-20T03-00-00-000Z.db");
        fs::write(&hand_made, "mine").unwrap();
        let of_tomorrow = directory.join(name_of(days(100)));
        fs::write(&of_tomorrow, "by a wrong clock").unwrap();
        let half = directory.join(format!("{}{UNFINISHED}", name_of(days(-1))));
        fs::write(&half, "half").unwrap();
        for day in 0..10 {
            let made = make(&store, &directory, days(day)).unwrap();
            assert!(made.exists());
        }
        let kept: Vec<Timestamp> = all(&directory).into_iter().map(|copy| copy.at).collect();
        let wanted: Vec<Timestamp> = (3..10).rev().map(days).collect();
        assert_eq!(kept, wanted);
        assert!(!half.exists());
        assert_eq!(fs::read_to_string(hand_made).unwrap(), "mine");
        let mode =
            std::os::unix::fs::MetadataExt::mode(&fs::metadata(&all(&directory)[0].path).unwrap());
        assert_eq!(mode & 0o777, 0o600);
        drop(Store::open(&all(&directory)[0].path, Uuid::new_v4).unwrap());
    }

    #[test]
    fn a_damaged_store_makes_no_copy_and_costs_no_earlier_one() {
        let home = tempfile::tempdir().unwrap();
        let store = store_in(home.path());
        let directory = home.path().join("backups");
        for day in 0..7 {
            make(&store, &directory, days(day)).unwrap();
        }
        let mut bytes = fs::read(&store).unwrap();
        let damaged = bytes.len() / 2;
        bytes[damaged..].fill(0x55);
        fs::write(&store, bytes).unwrap();
        make(&store, &directory, days(7)).unwrap_err();
        assert_eq!(all(&directory).len(), 7);
        assert_eq!(names(&directory).len(), 7, "nothing half written stays");
    }
}
