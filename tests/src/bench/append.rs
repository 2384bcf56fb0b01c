//! Durable appends through the engine's writer, against the disk itself.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use claustre::adapters::host::{SystemHost, SystemWaits};
use claustre::engine::{Advanced, Order, Work, Writer, writer};
use claustre::store::Store;
use claustre_domain::command::{Command, TaskCommand};
use claustre_protocol::{ids::TaskId, status::LogLevel};
use serde_json::json;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use uuid::Uuid;

use super::Scale;
use super::fleet::{self, Wanted};
use super::report::{Line, Report, Verdict};
use super::sample::{Sample, rate};

const PRODUCERS: usize = 64;
/// One page, as SQLite writes its journal.
const PAGE: usize = 4096;
/// Pages that are written over again and again.
const PAGES: u64 = 256;

/// Measures.
pub fn run(report: &mut Report, scale: &Scale) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("cb-").tempdir_in("/tmp")?;
    let path = folder.path().join("claustre.db");
    let mut store = Store::open(&path, Uuid::new_v4)?;
    let fleet = fleet::fill(
        &mut store,
        &Wanted {
            tasks: 100,
            sessions: 10,
            open_sessions: 10,
            ..Wanted::default()
        },
    )?;
    // As a daemon finds it at its start.
    drop(store);
    let store = Store::open(&path, Uuid::new_v4)?;
    let (work, orders) = mpsc::channel::<Work>(1_024);
    let (_first, of_people) = mpsc::channel(1);
    let inbox = writer::Inbox { orders, of_people };
    let (advanced, _) = broadcast::channel::<Advanced>(1_024);
    let (position, _watching) = watch::channel(store.position());
    let writer = Writer::new(
        store,
        advanced,
        position,
        Arc::new(SystemHost),
        Arc::new(SystemWaits::default()),
        Arc::default(),
    );
    let writing = std::thread::spawn(move || writer::run(writer, inbox));
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;

    // Turn by turn with the disk, so that both meet the same moments of it.
    let disk = Disk::new(folder.path())?;
    let (mut singles, mut floors) = (Vec::new(), Vec::new());
    runtime.block_on(async {
        for turn in 0..scale.appends + 20 {
            let begun = Instant::now();
            append(&work, fleet.tasks[turn % fleet.tasks.len()]).await?;
            let single = begun.elapsed();
            let floor = disk.overwrite(turn as u64)?;
            if turn >= 20 {
                singles.push(single);
                floors.push(floor);
            }
        }
        anyhow::Ok(())
    })?;
    let (single, floor) = (Sample::of(singles), Sample::of(floors));
    let (single_rate, floor_rate) = (1e3 / single.mean(), 1e3 / floor.mean());
    let ratio = single_rate / floor_rate;
    report.add(Line {
        path: "durable append, one at a time".into(),
        measured: format!("{} ({})", rate(single_rate), single.told()),
        floor: format!(
            "overwrite 4 KiB + fdatasync {} ({})",
            rate(floor_rate),
            floor.told()
        ),
        ratio: Some(ratio),
        budget: ">= 0.75 x the floor's rate".into(),
        verdict: Verdict::at_least(ratio, 0.75, "x"),
        numbers: json!({"rate": single_rate, "p50_ms": single.p50(), "p99_ms": single.p99(), "floor_rate": floor_rate,
            "floor_p50_ms": floor.p50(), "floor_p99_ms": floor.p99(), "count": single.count()}),
    });

    let (elapsed, times) = runtime.block_on(many(&work, &fleet.tasks, scale.group_appends))?;
    let group = Sample::of(times);
    let group_rate = group.count() as f64 / elapsed.as_secs_f64();
    let ratio = group_rate / floor_rate;
    report.add(Line {
        path: format!("durable append, {PRODUCERS} producers"),
        measured: format!("{} ({})", rate(group_rate), group.told()),
        floor: format!("overwrite 4 KiB + fdatasync {}", rate(floor_rate)),
        ratio: Some(ratio),
        budget: ">= 10 x the floor's rate".into(),
        verdict: Verdict::at_least(ratio, 10.0, "x"),
        numbers: json!({"rate": group_rate, "p50_ms": group.p50(), "p99_ms": group.p99(), "floor_rate": floor_rate,
            "count": group.count()}),
    });
    drop(work);
    writing
        .join()
        .map_err(|_| anyhow!("the writer's thread ended badly"))??;
    Ok(())
}

/// One note in a task's timeline, told once it is durable.
async fn append(work: &mpsc::Sender<Work>, task: TaskId) -> Result<()> {
    let (reply, answer) = oneshot::channel();
    let order = Order {
        commands: vec![Command::Task(TaskCommand::Note {
            task: Some(task),
            session: None,
            source: "bench".into(),
            level: LogLevel::Info,
            text: "found 14 callers in 6 files, all of them in the reader".into(),
        })],
        actor: "bench".into(),
        report: None,
        finishes: None,
        reply: Some(claustre::engine::writer::reply_to(reply)),
    };
    work.send(Work::Order(order))
        .await
        .map_err(|_| anyhow!("the writer has ended"))?;
    let outcome = answer
        .await
        .context("the writer gave no answer")?
        .map_err(|fault| anyhow!(fault.message))?;
    anyhow::ensure!(outcome.events.len() == 1, "a note is one event");
    Ok(())
}

async fn many(
    work: &mpsc::Sender<Work>,
    tasks: &[TaskId],
    count: usize,
) -> Result<(Duration, Vec<Duration>)> {
    let tasks: Arc<[TaskId]> = tasks.into();
    let each = count / PRODUCERS;
    let begun = Instant::now();
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|producer| {
            let (work, tasks) = (work.clone(), tasks.clone());
            tokio::spawn(async move {
                let mut times = Vec::with_capacity(each);
                for turn in 0..each {
                    let begun = Instant::now();
                    append(&work, tasks[(producer + turn) % tasks.len()]).await?;
                    times.push(begun.elapsed());
                }
                anyhow::Ok(times)
            })
        })
        .collect();
    let mut times = Vec::with_capacity(count);
    for producer in producers {
        times.extend(producer.await??);
    }
    Ok((begun.elapsed(), times))
}

/// A file that is there already, written over page by page.
struct Disk {
    file: std::fs::File,
}

impl Disk {
    fn new(folder: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .open(folder.join("floor"))?;
        for page in 0..PAGES {
            file.write_all_at(&[0x55; PAGE], page * PAGE as u64)?;
        }
        file.sync_all()?;
        Ok(Self { file })
    }

    fn overwrite(&self, turn: u64) -> Result<Duration> {
        let page = [turn as u8; PAGE];
        let begun = Instant::now();
        self.file
            .write_all_at(&page, (turn % PAGES) * PAGE as u64)?;
        self.file.sync_data()?;
        Ok(begun.elapsed())
    }
}
