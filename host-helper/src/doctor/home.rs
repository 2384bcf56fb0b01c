//! The home: whose it is, where it lies, and what the system grants it.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use super::Finding;
use crate::{
    paths::{LONGEST_SOCKET_PATH, Paths},
    store,
};

/// Reports in the spool that a daemon would long have taken.
const SPOOL_MANY: usize = 100;
/// Space below which writing will fail soon, in bytes.
const SPACE_LEAST: u64 = 100 * 1024 * 1024;
/// Space below which worktrees get tight, in bytes.
const SPACE_TIGHT: u64 = 1024 * 1024 * 1024;
/// Directories watched at once: the daemon needs a handful, editors and dev servers thousands.
const WATCHES_FEW: u64 = 8_192;
/// Watchers of one user at once.
const WATCHERS_FEW: u64 = 64;
/// Files open at once: the daemon keeps one or two for each connection.
const FILES_FEW: u64 = 1_024;

/// Ours, a real directory, and nobody else's business.
pub(super) fn directory(check: &'static str, directory: &Path) -> Finding {
    let path = directory.display();
    let found = match fs::symlink_metadata(directory) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return to_be_made(check, directory);
        }
        Err(error) => {
            return Finding::fail(
                check,
                format!("{path}: {error}"),
                "set CLAUSTRE_HOME to a directory of yours",
            );
        }
    };
    let mode = found.mode() & 0o777;
    if !found.is_dir() {
        Finding::fail(
            check,
            format!("{path} is not a directory of its own"),
            "move it away, or set CLAUSTRE_HOME to another place",
        )
    } else if found.uid() != rustix::process::geteuid().as_raw() {
        Finding::fail(
            check,
            format!("{path} belongs to user {}", found.uid()),
            "set CLAUSTRE_HOME to a directory of yours",
        )
    } else if mode & 0o022 != 0 {
        Finding::fail(
            check,
            format!("{path} can be written by others ({mode:o})"),
            "claustre doctor --fix",
        )
    } else if mode & 0o077 != 0 {
        Finding::warn(
            check,
            format!("{path} can be looked into by others ({mode:o})"),
            "claustre doctor --fix",
        )
    } else if let Err(error) = rustix::fs::access(directory, rustix::fs::Access::WRITE_OK) {
        Finding::fail(
            check,
            format!("{path} cannot be written: {error}"),
            "make it writable for you, or set CLAUSTRE_HOME to another place",
        )
    } else {
        Finding::ok(check, format!("{path}, {mode:o}"))
    }
}

/// Not there yet: can it be made?
fn to_be_made(check: &'static str, directory: &Path) -> Finding {
    let path = directory.display();
    match rustix::fs::access(nearest(directory), rustix::fs::Access::WRITE_OK) {
        Ok(()) => Finding::ok(check, format!("{path} is made when it is needed")),
        Err(error) => Finding::fail(
            check,
            format!(
                "{path} is not there and cannot be made: {}: {error}",
                nearest(directory).display()
            ),
            "set CLAUSTRE_HOME to a place that you can write",
        ),
    }
}

/// The directory itself, or the nearest one above it that is there.
fn nearest(directory: &Path) -> &Path {
    directory
        .ancestors()
        .find(|path| path.exists())
        .unwrap_or(Path::new("/"))
}

pub(super) fn socket_path(paths: &Paths) -> Finding {
    let length = paths.daemon_socket().as_os_str().len();
    // A longer one is refused before any check is made.
    Finding::ok(
        "socket path",
        format!("{length} of {LONGEST_SOCKET_PATH} bytes"),
    )
}

/// SQLite's log needs memory shared between processes, which no network file system gives.
pub(super) fn file_system(home: &Path) -> Finding {
    let check = "file system";
    let there = nearest(home);
    match store::network_file_system_of(there) {
        Ok(None) => Finding::ok(check, "local"),
        Ok(Some(kind)) => Finding::fail(
            check,
            format!(
                "{} is on a network file system ({kind}), where the store can lose data",
                there.display()
            ),
            "set CLAUSTRE_HOME to a directory on a local disk",
        ),
        Err(error) => Finding::warn(check, error.to_string(), "look at the disk"),
    }
}

pub(super) fn disk_space(home: &Path) -> Finding {
    let check = "disk space";
    match rustix::fs::statvfs(nearest(home)) {
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            let detail = format!("{} free", size(free));
            let hint = "free some space on the disk of CLAUSTRE_HOME";
            match free {
                ..SPACE_LEAST => Finding::fail(check, detail, hint),
                SPACE_LEAST..SPACE_TIGHT => Finding::warn(check, detail, hint),
                _ => Finding::ok(check, detail),
            }
        }
        Err(error) => Finding::warn(check, error.to_string(), "look at the disk"),
    }
}

/// `1.4 GB`.
pub(super) fn size(bytes: u64) -> String {
    let unit = |unit: u64| format!("{}.{}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1_000)),
        1_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{} GB", unit(1_000_000_000)),
    }
}

/// Files in the spool that wait for a daemon.
pub(super) fn waiting_reports(directory: &Path) -> usize {
    fs::read_dir(directory).map_or(0, |entries| {
        entries
            .filter_map(Result::ok)
            .filter(|entry| entry.path().extension().is_some_and(|end| end == "ndjson"))
            .count()
    })
}

pub(super) fn spool(directory: &Path) -> Finding {
    let check = "spool";
    let unread = waiting_reports(&directory.join("bad"));
    if unread > 0 {
        return Finding::warn(
            check,
            format!(
                "{unread} reports in {} could not be read or stored",
                directory.join("bad").display()
            ),
            "the next start of the daemon tries them again; its log says why: claustre daemon restart",
        );
    }
    match waiting_reports(directory) {
        0 => Finding::ok(check, "empty"),
        waiting @ 1..SPOOL_MANY => {
            Finding::ok(check, format!("{waiting} reports wait for the daemon"))
        }
        waiting => Finding::warn(
            check,
            format!("{waiting} reports wait for the daemon"),
            "claustre doctor --fix starts it, and it takes them in",
        ),
    }
}

/// Changes of files are told by the kernel, up to a limit for each user.
pub(super) fn watches() -> Finding {
    let check = "file watches";
    let limit = |name: &str| {
        fs::read_to_string(format!("/proc/sys/fs/inotify/{name}"))
            .ok()
            .and_then(|text| text.trim().parse::<u64>().ok())
    };
    let (Some(watches), Some(watchers)) = (limit("max_user_watches"), limit("max_user_instances"))
    else {
        return Finding::ok(check, "this system names no limit");
    };
    let detail = format!("{watches} for each user, {watchers} watchers");
    if watches < WATCHES_FEW || watchers < WATCHERS_FEW {
        Finding::warn(
            check,
            detail,
            "raise fs.inotify.max_user_watches and fs.inotify.max_user_instances (sysctl)",
        )
    } else {
        Finding::ok(check, detail)
    }
}

pub(super) fn open_files() -> Finding {
    let check = "open files";
    // The daemon raises its own limit as far as this.
    match rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum {
        Some(limit) if limit < FILES_FEW => Finding::warn(
            check,
            format!("at most {limit} at once"),
            "raise the hard limit: LimitNOFILE of the service, or limits.conf",
        ),
        Some(limit) => Finding::ok(check, format!("at most {limit} at once")),
        None => Finding::ok(check, "no limit"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        assert_eq!(
            [10, 1_500_000, 1_450_000_000].map(size),
            ["1 kB", "1 MB", "1.4 GB"]
        );
    }

    #[test]
    fn a_home_below_a_file_cannot_be_made() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let finding = super::directory("home", &file);
        assert_eq!(finding.verdict, super::super::Verdict::Fail);
        let below = super::directory("run", &file.join("run"));
        assert_eq!(below.verdict, super::super::Verdict::Fail, "{below:?}");
    }
}
