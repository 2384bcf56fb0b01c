//! What the store costs, beside the floor that the disk and SQLite set in the same run.
//!
//! `cargo bench --bench store -- [EVENTS [TASKS]]`; 1,000,000 events and 100,000 tasks unless given.

use std::{
    fs::OpenOptions,
    os::unix::fs::FileExt,
    path::Path,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use claustre::store::{ReplayMode, Store, TaskFilter};
use claustre_domain::command::CreateTask;
use claustre_domain::event::{Event, SessionOpened, TaskCreated};
use claustre_protocol::{
    ids::{ProjectId, SessionId, TaskId},
    status::{ClaudeStatus, Mode, Priority, Source, TaskStatus},
    time::Timestamp,
};
use uuid::Uuid;

const NOW: i64 = 1_800_000_000_000;
const COMMITS: u32 = 50;
const ROUNDS: u32 = 20;
const PRODUCERS: usize = 64;

fn main() -> anyhow::Result<()> {
    let numbers: Vec<u64> = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let events = numbers.first().copied().unwrap_or(1_000_000);
    let tasks = numbers.get(1).copied().unwrap_or(100_000);
    let directory = tempfile::tempdir()?;
    append(directory.path())?;
    rebuild(directory.path(), events)?;
    board(directory.path(), tasks)?;
    Ok(())
}

fn open(directory: &Path, name: &str) -> anyhow::Result<Store> {
    Ok(Store::open(&directory.join(name), Uuid::new_v4)?)
}

fn opened(session: SessionId, project: ProjectId) -> Event {
    Event::SessionOpened(Box::new(SessionOpened {
        session,
        project,
        task: None,
        title: "bench".into(),
        branch: format!("task/{}", session.short()),
        base: None,
        tab_name: format!("shop:task/{}", session.short()),
        mode: Mode::Autonomous,
        host: "here".into(),
        claude_session_id: session.to_string(),
        token_hash: "0".repeat(64),
        prompt: Some("Refactor the billing module and add tests for the retry logic.".into()),
        model: None,
        effort: None,
        permission_mode: None,
    }))
}

fn status(session: SessionId, number: u64) -> Event {
    Event::SessionStatusChanged {
        session,
        status: if number.is_multiple_of(2) {
            ClaudeStatus::Working
        } else {
            ClaudeStatus::Idle
        },
        reason: None,
        source: Source::Hook,
        since: Timestamp::from_millis(NOW),
        detail: format!("step {number}"),
    }
}

fn rate(count: f64, took: Duration) -> f64 {
    count / took.as_secs_f64()
}

/// The time that overwriting 4 KiB and flushing it takes, so many times: what commits to a write-ahead log cost at least.
fn disk_floor(directory: &Path, flushes: u32) -> anyhow::Result<Duration> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(directory.join("floor"))?;
    let page = [7_u8; 4096];
    if file.metadata()?.len() == 0 {
        for place in 0..256 {
            file.write_all_at(&page, place * 4096)?;
        }
        file.sync_all()?;
    }
    let start = Instant::now();
    for place in 0..flushes {
        file.write_all_at(&page, u64::from(place % 256) * 4096)?;
        file.sync_data()?;
    }
    Ok(start.elapsed())
}

fn append(directory: &Path) -> anyhow::Result<()> {
    let mut store = open(directory, "append.db")?;
    let session = SessionId::new(Uuid::new_v4());
    let project = ProjectId::new(Uuid::new_v4());
    let mut transaction = store.begin(Timestamp::from_millis(NOW))?;
    transaction.append(opened(session, project), "bench", None)?;
    transaction.commit()?;

    let one_by_one = |store: &mut Store, commits: u32| -> anyhow::Result<Duration> {
        let start = Instant::now();
        for number in 0..commits {
            let mut transaction = store.begin(Timestamp::from_millis(NOW))?;
            transaction.append(status(session, number.into()), "bench", None)?;
            transaction.commit()?;
        }
        Ok(start.elapsed())
    };
    // Until the write-ahead log begins anew and is overwritten, as it is from then on.
    one_by_one(&mut store, 1000)?;
    // By turns, so that what else the disk does meets both alike.
    let (mut flushing, mut committing) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..ROUNDS {
        flushing += disk_floor(directory, COMMITS)?;
        committing += one_by_one(&mut store, COMMITS)?;
    }
    let single = rate(f64::from(ROUNDS * COMMITS), committing);
    let floor = rate(f64::from(ROUNDS * COMMITS), flushing);
    println!(
        "durable append, one at a time   {single:>9.0} events/s   floor {floor:>9.0}/s   ratio {:.2}   (budget 0.75)",
        single / floor
    );

    // As the engine does it: whatever waits goes into one transaction, and all are answered after it.
    let (sender, receiver) = mpsc::sync_channel::<mpsc::SyncSender<()>>(PRODUCERS);
    let each = 200_u32;
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|_| {
            let sender = sender.clone();
            thread::spawn(move || {
                let (acknowledge, acknowledged) = mpsc::sync_channel(1);
                for _ in 0..each {
                    if sender.send(acknowledge.clone()).is_err() || acknowledged.recv().is_err() {
                        return;
                    }
                }
            })
        })
        .collect();
    drop(sender);
    let start = Instant::now();
    let mut number = 0;
    while let Ok(first) = receiver.recv() {
        let mut waiting = vec![first];
        waiting.extend(receiver.try_iter().take(PRODUCERS));
        let mut transaction = store.begin(Timestamp::from_millis(NOW))?;
        for _ in &waiting {
            transaction.append(status(session, number), "bench", None)?;
            number += 1;
        }
        transaction.commit()?;
        for producer in waiting {
            producer.send(()).context("a producer went away")?;
        }
    }
    let many = rate(
        f64::from(each) * f64::from(u32::try_from(PRODUCERS)?),
        start.elapsed(),
    );
    for producer in producers {
        producer
            .join()
            .map_err(|_| anyhow::anyhow!("a producer failed"))?;
    }
    println!(
        "durable append, {PRODUCERS} producers    {many:>9.0} events/s   floor {floor:>9.0}/s   ratio {:.1}   (budget 10)",
        many / floor
    );
    Ok(())
}

fn rebuild(directory: &Path, events: u64) -> anyhow::Result<()> {
    let path = directory.join("rebuild.db");
    let mut store = open(directory, "rebuild.db")?;
    let project = ProjectId::new(Uuid::new_v4());
    let sessions: Vec<SessionId> = (0..1000).map(|_| SessionId::new(Uuid::new_v4())).collect();
    let mut transaction = store.begin(Timestamp::from_millis(NOW))?;
    for session in &sessions {
        transaction.append(opened(*session, project), "bench", None)?;
    }
    transaction.commit()?;
    let start = Instant::now();
    let mut number = 0;
    while number < events {
        let mut transaction = store.begin(Timestamp::from_millis(NOW))?;
        for session in sessions.iter().cycle().take(10_000) {
            transaction.append(status(*session, number), "bench", None)?;
            number += 1;
        }
        transaction.commit()?;
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of events are small")]
    let count = number as f64;
    println!(
        "batched append                  {:>9.0} events/s",
        rate(count, start.elapsed())
    );
    store.checkpoint()?;

    let scan = scan(&path)?;
    let replayed = |store: &mut Store, mode| -> anyhow::Result<f64> {
        let start = Instant::now();
        let report = store.replay(mode)?;
        anyhow::ensure!(report.unknown == 0, "unknown events");
        Ok(rate(count, start.elapsed()))
    };
    let compare = replayed(&mut store, ReplayMode::Compare)?;
    println!(
        "replay, compare                 {compare:>9.0} events/s   scan  {scan:>9.0}/s   ratio {:.2}   (budget 0.3)",
        compare / scan
    );
    rusqlite::Connection::open(&path)?.execute_batch(
        "DELETE FROM sessions; DELETE FROM tasks; DELETE FROM projects; DELETE FROM asks; DELETE FROM messages",
    )?;
    let repair = replayed(&mut store, ReplayMode::Repair)?;
    println!(
        "rebuild of all entities         {repair:>9.0} events/s   scan  {scan:>9.0}/s   ratio {:.2}   (budget 0.3)",
        repair / scan
    );
    let start = Instant::now();
    drop(store);
    let _store = open(directory, "rebuild.db")?;
    println!(
        "start with current projections  {:>9.1} ms   (budget 100)",
        start.elapsed().as_secs_f64() * 1000.0
    );
    Ok(())
}

/// The rate at which SQLite alone reads what a replay needs.
fn scan(path: &Path) -> anyhow::Result<f64> {
    let connection = rusqlite::Connection::open(path)?;
    let mut statement = connection
        .prepare("SELECT local_id, event_type, version, payload FROM events ORDER BY local_id")?;
    let mut best = 0.0_f64;
    for _ in 0..3 {
        let start = Instant::now();
        let mut rows = statement.query([])?;
        let (mut count, mut bytes) = (0_u32, 0_usize);
        while let Some(row) = rows.next()? {
            bytes += row.get_ref(3)?.as_str()?.len();
            count += 1;
        }
        anyhow::ensure!(bytes > 0, "an empty log");
        best = best.max(rate(f64::from(count), start.elapsed()));
    }
    Ok(best)
}

fn board(directory: &Path, tasks: u64) -> anyhow::Result<()> {
    let mut store = open(directory, "board.db")?;
    let projects: Vec<ProjectId> = (0..4).map(|_| ProjectId::new(Uuid::new_v4())).collect();
    let mut all = Vec::new();
    for batch in 0..tasks.div_ceil(5_000) {
        let mut transaction = store.begin(Timestamp::from_millis(NOW))?;
        for (place, project) in (0..5_000_u32).zip(projects.iter().cycle()) {
            let task = TaskId::new(Uuid::new_v4());
            all.push(task);
            transaction.append(
                Event::TaskCreated(Box::new(TaskCreated {
                    description: "Refactor the billing module and add tests.".into(),
                    status: if place % 9 == 0 {
                        TaskStatus::Pending
                    } else {
                        TaskStatus::Done
                    },
                    mode: Mode::Autonomous,
                    priority: Priority::new(u8::try_from(place % 5)?).unwrap_or_default(),
                    rank: f64::from(place),
                    ..CreateTask::new(task, *project, format!("Task {batch}.{place}")).into()
                })),
                "bench",
                None,
            )?;
        }
        transaction.commit()?;
    }
    let reader = store.reader()?;
    let mut times: Vec<(&str, Vec<Duration>)> = Vec::new();
    let mut measure = |what, run: &mut dyn FnMut(usize) -> anyhow::Result<()>| {
        let mut taken = Vec::new();
        for round in 0..300 {
            let start = Instant::now();
            run(round)?;
            taken.push(start.elapsed());
        }
        taken.sort();
        times.push((what, taken));
        anyhow::Ok(())
    };
    let project = projects.first().copied();
    let page = TaskFilter {
        project,
        limit: 100,
        ..TaskFilter::default()
    };
    measure("first page of a project", &mut |_| {
        anyhow::ensure!(reader.tasks(page)?.len() == 100, "a short page");
        Ok(())
    })?;
    let mut after = None;
    measure("next pages of a project", &mut |_| {
        let found = reader.tasks(TaskFilter { after, ..page })?;
        after = found.last().map(|task| task.id);
        Ok(())
    })?;
    measure("pending tasks of a project", &mut |_| {
        reader.tasks(TaskFilter {
            status: Some(TaskStatus::Pending),
            ..page
        })?;
        Ok(())
    })?;
    measure("first page of all", &mut |_| {
        reader.tasks(TaskFilter {
            limit: 100,
            ..TaskFilter::default()
        })?;
        Ok(())
    })?;
    measure("counts by status", &mut |_| {
        reader.task_counts(None)?;
        Ok(())
    })?;
    measure("resolve the beginning of an id", &mut |round| {
        let task = all.get(round * 7).context("a task")?;
        anyhow::ensure!(!reader.resolve_task(&task.short())?.is_empty(), "not found");
        Ok(())
    })?;
    for (what, taken) in times {
        let at = |part: usize| {
            taken
                .get(taken.len() * part / 100)
                .map_or(0.0, |time| time.as_secs_f64() * 1000.0)
        };
        println!(
            "{tasks} tasks: {what:<31} p50 {:>7.3} ms   p99 {:>7.3} ms   (budget 10)",
            at(50),
            at(99)
        );
    }
    Ok(())
}
