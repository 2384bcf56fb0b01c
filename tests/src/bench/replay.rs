//! Rebuilding every projection from the log, against reading the log's table and nothing else.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use claustre::store::{ReplayMode, Store};
use claustre_protocol::request::{Nothing, ReplayReport, Request, TaskAdd};
use rusqlite::{Connection, OpenFlags};
use serde_json::json;
use uuid::Uuid;

use super::Scale;
use super::fleet::{self, Wanted};
use super::report::{Line, Report, Verdict};
use super::sample::{Sample, rate};
use super::stage::Stage;

/// Measures.
pub fn run(report: &mut Report, scale: &Scale) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("cb-").tempdir_in("/tmp")?;
    let path = folder.path().join("claustre.db");
    let tasks = scale.events / 50;
    let sessions = scale.events / 100;
    let mut store = Store::open(&path, Uuid::new_v4)?;
    let begun = Instant::now();
    let made = fleet::fill(
        &mut store,
        &Wanted {
            projects: 20,
            tasks,
            sessions,
            open_sessions: sessions / 10,
            // What makes tasks and sessions is about 6 events for each session and one for each task.
            history: scale
                .events
                .saturating_sub(tasks + sessions * 6 - sessions / 10 + 20),
            ..Wanted::default()
        },
    )?;
    let filled = made.events as f64 / begun.elapsed().as_secs_f64();
    let size = std::fs::metadata(&path)?.len();

    let scans: Vec<f64> = (0..3).map(|_| scan(&path)).collect::<Result<_>>()?;
    let scan_rate = scans.into_iter().fold(0.0, f64::max);

    let compared = timed(|| Ok(store.replay(ReplayMode::Compare)?))?;
    ensure!(
        compared.0.different == 0,
        "the projections differ from the log: {:?}",
        compared.0.differences.first()
    );
    drop(store);
    empty_projections(&path)?;
    // Opening changes nothing, for the projections still say that they are current.
    let mut store = Store::open(&path, Uuid::new_v4)?;
    let rebuilt = timed(|| Ok(store.replay(ReplayMode::Repair)?))?;
    ensure!(
        rebuilt.0.events == made.events as u64,
        "not every event was folded"
    );
    let again = store.replay(ReplayMode::Compare)?;
    ensure!(
        again.different == 0,
        "what was rebuilt differs from the log"
    );
    store.checkpoint()?;
    drop(store);

    let rebuild_rate = made.events as f64 / rebuilt.1.as_secs_f64();
    let compare_rate = made.events as f64 / compared.1.as_secs_f64();
    let ratio = rebuild_rate / scan_rate;
    let numbers = json!({"events": made.events, "entities": rebuilt.0.entities, "store_bytes": size, "fill_rate": filled,
        "rebuild_rate": rebuild_rate, "rebuild_s": rebuilt.1.as_secs_f64(), "compare_rate": compare_rate,
        "scan_rate": scan_rate});
    report.add(Line {
        path: format!("rebuild projections, {} events", made.events),
        measured: format!("{} ({:.2} s)", rate(rebuild_rate), rebuilt.1.as_secs_f64()),
        floor: format!("bare table scan {}", rate(scan_rate)),
        ratio: Some(ratio),
        budget: ">= 0.30 x the scan's rate".into(),
        verdict: Verdict::at_least(ratio, 0.3, "x"),
        numbers: numbers.clone(),
    });
    report.add(Line {
        path: "  `claustre replay` of the same log".into(),
        measured: format!(
            "{} ({:.2} s), nothing differs",
            rate(compare_rate),
            compared.1.as_secs_f64()
        ),
        floor: format!("bare table scan {}", rate(scan_rate)),
        ratio: Some(compare_rate / scan_rate),
        budget: "-".into(),
        verdict: Verdict::Told,
        numbers,
    });

    let mut starts = Vec::new();
    for _ in 0..7 {
        let (store, took) = timed(|| Ok(Store::open(&path, Uuid::new_v4)?))?;
        drop(store);
        starts.push(took);
    }
    let start = Sample::of(starts);
    let floor = Sample::of(
        (0..7)
            .map(|_| timed(|| read_one(&path)).map(|(_, took)| took))
            .collect::<Result<Vec<Duration>>>()?,
    );
    report.add(Line {
        path: "start of the store, projections current".into(),
        measured: start.told(),
        floor: format!("open SQLite and read a row {}", floor.told()),
        ratio: Some(start.p50() / floor.p50()),
        budget: "< 100 ms".into(),
        verdict: Verdict::at_most(start.quantile(1.0), 100.0, "ms"),
        numbers: json!({"p50_ms": start.p50(), "longest_ms": start.quantile(1.0), "floor_p50_ms": floor.p50()}),
    });
    beside_other_work(report, scale)
}

fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Duration)> {
    let begun = Instant::now();
    let value = work()?;
    Ok((value, begun.elapsed()))
}

fn read_only(path: &Path) -> Result<Connection> {
    Ok(Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?)
}

/// Steps through all rows of the log and touches what a fold needs. Events a second.
fn scan(path: &Path) -> Result<f64> {
    let connection = read_only(path)?;
    let begun = Instant::now();
    let mut statement = connection.prepare(
        "SELECT local_id, uuid, machine_id, seq, wall_ms, counter, event_type, version, payload FROM events ORDER BY local_id",
    )?;
    let mut rows = statement.query([])?;
    let (mut count, mut bytes) = (0_u64, 0_usize);
    while let Some(row) = rows.next()? {
        count += 1;
        bytes += row.get_ref(8)?.as_str()?.len() + row.get_ref(6)?.as_str()?.len();
    }
    let took = begun.elapsed();
    ensure!(bytes > 0 && count > 0, "the log is empty");
    Ok(count as f64 / took.as_secs_f64())
}

fn read_one(path: &Path) -> Result<()> {
    let connection = read_only(path)?;
    let position: i64 =
        connection.query_row("SELECT max(local_id) FROM events", [], |row| row.get(0))?;
    ensure!(position > 0, "the log is empty");
    Ok(())
}

/// Takes every row out of the projections: all tables that a fold makes hold a `state`, and the timeline.
fn empty_projections(path: &Path) -> Result<()> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "foreign_keys", false)?;
    let tables: Vec<String> = connection
        .prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND (sql LIKE '%state %' OR name = 'updates') AND name NOT IN ('events', 'outbox')",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    ensure!(
        tables.iter().any(|name| name == "tasks"),
        "the projections were not found"
    );
    for table in tables {
        connection.execute(&format!("DELETE FROM \"{table}\""), [])?;
    }
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

/// `claustre replay` of a running daemon: what it takes at most in memory, and how long a task that is added meanwhile waits.
fn beside_other_work(report: &mut Report, scale: &Scale) -> Result<()> {
    let stage = Stage::new(&fleet::Wanted {
        projects: 20,
        tasks: scale.events / 50,
        sessions: scale.events / 100,
        open_sessions: 10,
        history: scale.events,
        ..fleet::Wanted::default()
    })?;
    stage.start_daemon()?;
    stage.settle()?;
    let pid = stage.status()?.pid;
    let before = peak_memory(pid);
    let done = AtomicBool::new(false);
    let (events, took, adds) = std::thread::scope(|scope| -> Result<_> {
        let replaying = scope.spawn(|| -> Result<_> {
            let begun = Instant::now();
            let replayed: ReplayReport = stage
                .client()?
                .call(Request::StoreReplay(Nothing {}))
                .context("replaying")?;
            done.store(true, Ordering::Relaxed);
            ensure!(
                replayed.differences.is_empty(),
                "differences: {:?}",
                replayed.differences
            );
            Ok((replayed.events, begun.elapsed()))
        });
        let mut client = stage.client()?;
        let mut adds = Vec::new();
        while !done.load(Ordering::Relaxed) && !replaying.is_finished() {
            let add = TaskAdd {
                project: "project-00".into(),
                title: "beside a replay".into(),
                ..TaskAdd::default()
            };
            let begun = Instant::now();
            let _added: serde_json::Value = client.call(Request::TaskAdd(add))?;
            adds.push(begun.elapsed());
        }
        let (events, took) = replaying
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok((events, took, adds))
    })?;
    let grown = peak_memory(pid).saturating_sub(before) as f64 / 1e6;
    let adds = Sample::of(adds);
    report.add(Line {
        path: format!("  beside a daemon's work, {events} events"),
        measured: format!(
            "{:.2} s, {grown:.0} MB more; a task added meanwhile {}, longest {}",
            took.as_secs_f64(),
            adds.told(),
            super::sample::millis(adds.quantile(1.0))
        ),
        floor: format!("the daemon before it {:.0} MB", before as f64 / 1e6),
        ratio: None,
        budget: "< 60 MB more".into(),
        verdict: Verdict::at_most(grown, 60.0, "MB"),
        numbers: json!({"events": events, "seconds": took.as_secs_f64(), "grown_mb": grown, "before_mb": before as f64 / 1e6,
            "add_p99_ms": adds.p99(), "add_longest_ms": adds.quantile(1.0)}),
    });
    Ok(())
}

/// The most memory that a process has had so far, in bytes.
fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|value| value.split_whitespace().next()?.parse::<u64>().ok())
        .map_or(0, |kilobytes| kilobytes * 1024)
}
