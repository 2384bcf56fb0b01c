//! The store and the daemon that writes it.

use std::{fs, time::Instant};

use claustre_protocol::{
    ids::MachineId,
    request::{DaemonStatus, Nothing, ReplayReport, Request},
};

use super::{Finding, home::size};
use crate::{
    client::{Client, is_held},
    paths::Paths,
    store::{self, Reader, StoreError},
};

/// A write-ahead log this large is not being folded into the store, in bytes.
const JOURNAL_LARGE: u64 = 256 * 1024 * 1024;

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
                .unwrap_or("keep the file, and bring a copy back from the backups beside it"),
        ),
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
            "keep the file, and bring a copy back from the backups beside it",
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
        size(length(path) + journal)
    );
    Ok(if journal > JOURNAL_LARGE {
        Finding::warn(
            check,
            format!("{detail}, {} of it not folded in yet", size(journal)),
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
