//! The store and the daemon that writes it.

use std::{fs, time::Instant};

use claustre_protocol::{
    ids::MachineId,
    request::{DaemonStatus, Nothing, ReplayReport, Request},
    time::Timestamp,
};

use super::{Finding, home::size};
use crate::{
    client::{Client, is_held},
    paths::Paths,
    store::{self, Reader, StoreError, copies},
};

/// A write-ahead log this large is not being folded into the store, in bytes.
const JOURNAL_LARGE: u64 = 256 * 1024 * 1024;
/// Days after which an automatic copy should have been followed by another.
const LATE: i64 = 3;

pub(super) fn sqlite() -> Finding {
    let version = store::sqlite_version();
    match store::check_sqlite() {
        Ok(()) => Finding::ok("sqlite", version),
        Err(error) => Finding::fail(
            "sqlite",
            error.to_string(),
            error.hint().unwrap_or_default(),
        ),
    }
}

/// The file, its format and its chain of hashes; read only.
pub(super) fn store(paths: &Paths) -> Finding {
    let check = "store";
    if !paths.store().exists() {
        return Finding::ok(check, "none yet; it is made when it is needed");
    }
    match look_at_store(paths) {
        Ok(finding) => finding,
        Err(error) => Finding::fail(
            check,
            error.to_string(),
            error
                .hint()
                .map_or_else(|| bring_back(paths), str::to_owned),
        ),
    }
}

fn bring_back(paths: &Paths) -> String {
    copies::bring_back(&paths.store(), &paths.backups())
}

/// The copies that the daemon makes by itself: does the newest lag behind what was written since?
pub(super) fn backups(paths: &Paths) -> Finding {
    let check = "backups";
    let kept = copies::all(&paths.backups());
    let Some(newest) = kept.first() else {
        return Finding::ok(
            check,
            "none yet; the daemon makes one a day, and keeps a week's",
        );
    };
    let written = [paths.store(), paths.store().with_extension("db-wal")]
        .iter()
        .filter_map(|path| fs::metadata(path).ok()?.modified().ok())
        .max()
        .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .map_or(newest.at, Timestamp::from_millis);
    let detail = format!("{} kept, the newest of {}", kept.len(), newest.at);
    if written.millis_since(newest.at) > LATE * copies::EVERY_MILLIS {
        Finding::warn(
            check,
            detail,
            "claustre backup makes one now; the daemon's log says why it made none",
        )
    } else {
        Finding::ok(check, detail)
    }
}

fn look_at_store(paths: &Paths) -> Result<Finding, StoreError> {
    let check = "store";
    let path = paths.store();
    // No host's own rows are asked for, so the id of none does.
    let reader = Reader::open(&path, MachineId::new(uuid::Uuid::nil()))?;
    reader.check_format(&path)?;
    let damage = reader.quick_check()?;
    if let Some(first) = damage.first() {
        return Ok(Finding::fail(
            check,
            format!("{}: {first}", path.display()),
            bring_back(paths),
        ));
    }
    let chain = reader.verify_chain()?;
    if let Some(broken) = chain.breaks.first() {
        return Ok(Finding::fail(
            check,
            format!(
                "event {} of host {} does not follow from the one before it: {}",
                broken.seq,
                broken.machine.short(),
                broken.why
            ),
            "the log was changed by something else than Claustre: compare it with a backup",
        ));
    }
    let length = |path: std::path::PathBuf| fs::metadata(path).map_or(0, |data| data.len());
    let journal = length(path.with_extension("db-wal"));
    let detail = format!(
        "{} events in an unbroken chain, {}",
        chain.events,
        size(reader.size()?)
    );
    Ok(if journal > JOURNAL_LARGE {
        Finding::warn(
            check,
            format!(
                "{detail}; its write-ahead log has grown to {}",
                size(journal)
            ),
            "claustre daemon restart",
        )
    } else {
        Finding::ok(check, detail)
    })
}

/// Does the daemon answer, and are its tables as the log makes them?
pub(super) fn daemon(paths: &Paths) -> Vec<Finding> {
    let check = "daemon";
    let begun = Instant::now();
    match Client::connect(paths, "cli") {
        Ok(mut client) => match client.call::<DaemonStatus>(Request::DaemonStatus(Nothing {})) {
            Ok(status) => vec![
                Finding::ok(
                    check,
                    format!(
                        "{}, process {}, answered in {:.1} ms",
                        status.build,
                        status.pid,
                        begun.elapsed().as_secs_f64() * 1000.0
                    ),
                ),
                projections(&mut client),
            ],
            Err(error) => vec![Finding::fail(
                check,
                error.to_string(),
                "claustre daemon restart",
            )],
        },
        Err(_) if !is_held(&paths.daemon_lock()) => vec![Finding::ok(
            check,
            "does not run; it is started when it is needed",
        )],
        Err(error) => vec![Finding::fail(
            check,
            error.to_string(),
            error
                .hint()
                .unwrap_or_else(|| "claustre daemon restart".to_owned()),
        )],
    }
}

fn projections(client: &mut Client) -> Finding {
    let check = "projections";
    match client.call::<ReplayReport>(Request::StoreReplay(Nothing {})) {
        Ok(report) => match report.differences.first() {
            None => Finding::ok(check, format!("as {} events make them", report.events)),
            Some(first) => Finding::fail(
                check,
                format!("{} rows differ: {first}", report.differences.len()),
                "claustre replay lists them; claustre daemon restart, then report it",
            ),
        },
        Err(error) => Finding::fail(check, error.to_string(), "claustre replay"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn a_copy_that_lags_days_behind_the_store_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::at(directory.path()).unwrap();
        fs::create_dir(paths.backups()).unwrap();
        let copy = |day: &str| {
            let name = format!("automatic-{day}T03-00-00.000Z.db");
            fs::write(paths.backups().join(name), "").unwrap();
        };
        let written = |day: &str| {
            let at = Timestamp::parse_rfc3339(&format!("{day}T05:00:00Z")).unwrap();
            let at = std::time::UNIX_EPOCH
                + std::time::Duration::from_millis(at.millis().unsigned_abs());
            let store = fs::File::create(paths.store()).unwrap();
            store.set_modified(at).unwrap();
        };
        written("2026-11-20");
        assert_eq!(backups(&paths).verdict, Verdict::Ok, "none yet");
        copy("2026-11-18");
        assert_eq!(backups(&paths).verdict, Verdict::Ok);
        written("2026-11-22");
        let late = backups(&paths);
        assert_eq!(late.verdict, Verdict::Warn, "{late:?}");
        copy("2026-11-21");
        let ok = backups(&paths);
        assert_eq!(ok.detail, "2 kept, the newest of 2026-11-21T03:00:00.000Z");
    }
}
