//! A daemon on a large store: its memory, and its answers to the questions that a board asks.

use std::time::Instant;

use anyhow::{Result, ensure};
use claustre_protocol::{
    model::Task,
    request::{DaemonStatus, Nothing, Request, StatusOverview, StatusShow, TaskList},
    status::TaskStatus,
};
use serde_json::json;

use super::fleet::Wanted;
use super::report::{Line, Report, Verdict};
use super::sample::{Sample, megabytes};
use super::stage::Stage;
use super::{Scale, processes};

const PAGE: u32 = 100;
const MEMORY_LIMIT: f64 = 60.0;
const QUERY_LIMIT: f64 = 10.0;

/// Measures.
pub fn run(report: &mut Report, scale: &Scale) -> Result<()> {
    let stage = Stage::new(&Wanted {
        projects: 20,
        tasks: scale.tasks,
        sessions: scale.sessions,
        open_sessions: scale.sessions,
        ..Wanted::default()
    })?;
    // What a daemon takes that has nothing to serve.
    let empty = Stage::new(&Wanted {
        projects: 0,
        ..Wanted::default()
    })?;
    empty.start_daemon()?;
    empty.settle()?;
    let floor = processes::memory(empty.status()?.pid);
    empty.stop_daemon();

    stage.start_daemon()?;
    stage.settle()?;
    let mut client = stage.client()?;
    let overview: StatusOverview = client.call(Request::StatusShow(StatusShow::default()))?;
    ensure!(
        overview.sessions.len() == scale.sessions,
        "the daemon shows {} sessions of {}",
        overview.sessions.len(),
        scale.sessions
    );

    let (mut pages, mut filtered, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    let words = [
        TaskStatus::Working,
        TaskStatus::Pending,
        TaskStatus::InReview,
        TaskStatus::Blocked,
        TaskStatus::Done,
    ];
    for turn in 0..scale.queries {
        let begun = Instant::now();
        client.call::<DaemonStatus>(Request::DaemonStatus(Nothing {}))?;
        bare.push(begun.elapsed());
        let begun = Instant::now();
        let page: Vec<Task> = client.call(Request::TaskList(TaskList {
            limit: PAGE,
            ..TaskList::default()
        }))?;
        pages.push(begun.elapsed());
        ensure!(
            page.len() == PAGE as usize,
            "a page of {} tasks",
            page.len()
        );
        let begun = Instant::now();
        client.call::<Vec<Task>>(Request::TaskList(TaskList {
            project: Some(format!("project-{:02}", turn % 20)),
            status: Some(words[turn % words.len()]),
            limit: PAGE,
            ..TaskList::default()
        }))?;
        filtered.push(begun.elapsed());
    }
    let (page, filtered, bare) = (Sample::of(pages), Sample::of(filtered), Sample::of(bare));
    for (name, sample) in [
        ("board page of 100 tasks", &page),
        ("board page of a project and a status", &filtered),
    ] {
        report.add(Line {
            path: format!("{name}, {} in the store", scale.tasks),
            measured: sample.told(),
            floor: format!("a question without a query {}", bare.told()),
            ratio: Some(sample.p50() / bare.p50()),
            budget: "p99 <= 10 ms".into(),
            verdict: Verdict::at_most(sample.p99(), QUERY_LIMIT, "ms"),
            numbers: json!({"p50_ms": sample.p50(), "p99_ms": sample.p99(), "floor_p50_ms": bare.p50()}),
        });
    }
    let counts = timed_counts(&stage, scale, &bare)?;
    report.add(counts);

    // After all of this was asked.
    let memory = processes::memory(stage.status()?.pid);
    let told = memory.resident.max(memory.proportional) as f64 / 1e6;
    report.add(Line {
        path: format!("daemon's memory, {} sessions, {} tasks", scale.sessions, scale.tasks),
        measured: format!(
            "RSS {} PSS {} private {}",
            megabytes(memory.resident),
            megabytes(memory.proportional),
            megabytes(memory.private)
        ),
        floor: format!("with an empty store RSS {}", megabytes(floor.resident)),
        ratio: Some(memory.resident as f64 / floor.resident as f64),
        budget: "< 60 MB".into(),
        verdict: Verdict::at_most(told, MEMORY_LIMIT, "MB"),
        numbers: json!({"rss_bytes": memory.resident, "pss_bytes": memory.proportional, "private_bytes": memory.private,
            "floor_rss_bytes": floor.resident}),
    });
    stage.stop_daemon();
    Ok(())
}

/// Everything that needs a person, with counts of all tasks.
fn timed_counts(stage: &Stage, scale: &Scale, bare: &Sample) -> Result<Line> {
    let mut client = stage.client()?;
    let mut times = Vec::new();
    for turn in 0..scale.queries / 4 {
        let begun = Instant::now();
        client.call::<StatusOverview>(Request::StatusShow(StatusShow {
            project: Some(format!("project-{:02}", turn % 20)),
        }))?;
        times.push(begun.elapsed());
    }
    let sample = Sample::of(times);
    Ok(Line {
        path: "status of a project: sessions, counts, inbox".into(),
        measured: sample.told(),
        floor: format!("a question without a query {}", bare.told()),
        ratio: Some(sample.p50() / bare.p50()),
        budget: "p99 <= 10 ms".into(),
        verdict: Verdict::at_most(sample.p99(), QUERY_LIMIT, "ms"),
        numbers: json!({"p50_ms": sample.p50(), "p99_ms": sample.p99(), "floor_p50_ms": bare.p50()}),
    })
}
