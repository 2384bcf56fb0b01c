//! From the request to launch a task until its client runs, against `git worktree add` in the same repository.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use claustre_protocol::request::{Closing, Named, ProjectAdd, Request, TaskAdd};
use serde_json::{Value, json};

use super::client_stand_in::{STARTS, nanos};
use super::fleet::Wanted;
use super::report::{Line, Report, Verdict};
use super::sample::{Sample, millis};
use super::stage::Stage;
use super::{Scale, dashboard};

const FILES: usize = 500;
const STARTED: Duration = Duration::from_secs(20);
const LIMIT: f64 = 150.0;

/// Measures.
pub fn run(report: &mut Report, scale: &Scale) -> Result<()> {
    let stage = Stage::new(&Wanted {
        projects: 0,
        ..Wanted::default()
    })?;
    let starts = stage.env.path("starts");
    stage.env.set(STARTS, &starts);
    let repository = stage.env.git_repo("shop");
    for number in 0..FILES {
        let folder = repository.join(format!("source/{:02}", number % 20));
        std::fs::create_dir_all(&folder)?;
        std::fs::write(
            folder.join(format!("file-{number:03}.txt")),
            format!("line of file {number}\n").repeat(40),
        )?;
    }
    stage.env.git(&repository, &["add", "."]);
    stage
        .env
        .git(&repository, &["commit", "--quiet", "--message=Files"]);
    stage.start_daemon()?;
    let zellij = dashboard::hidden(&stage);
    if let Err(why) = &zellij {
        report.skip(
            "launch until the client runs",
            "<= 150 ms beyond git",
            why.clone(),
        );
        return Ok(());
    }
    let mut client = stage.client()?;
    client.call::<Value>(Request::ProjectAdd(ProjectAdd {
        name: "shop".into(),
        path: repository.display().to_string(),
        ..ProjectAdd::default()
    }))?;
    let (mut launches, mut worktrees) = (Vec::new(), Vec::new());
    for turn in 0..scale.launches + 1 {
        let title = format!("Task number {turn}");
        let task: Value = client.call(Request::TaskAdd(TaskAdd {
            project: "shop".into(),
            title,
            description: "do it".into(),
            ..TaskAdd::default()
        }))?;
        let id = task["id"]
            .as_str()
            .context("a task without an id")?
            .to_owned();
        stage.settle()?;
        let begun = nanos();
        client.call::<Value>(Request::TaskLaunch(Named { of: id.clone() }))?;
        let started = wait_for_start(&starts, turn)?;
        let launch =
            Duration::from_nanos(u64::try_from(started.saturating_sub(begun)).unwrap_or(u64::MAX));
        client.call::<Value>(Request::TaskKill(Closing::unseen(id)))?;
        stage.settle()?;
        let worktree = add_worktree(&stage, &repository, turn)?;
        if turn > 0 {
            launches.push(launch);
            worktrees.push(worktree);
        }
    }
    let (launch, worktree) = (Sample::of(launches), Sample::of(worktrees));
    let beyond = launch.p50() - worktree.p50();
    report.add(Line {
        path: format!("launch until the client runs, {FILES} files"),
        measured: format!("{}; {} beyond git", launch.told(), millis(beyond)),
        floor: format!("git worktree add {}", worktree.told()),
        ratio: Some(launch.p50() / worktree.p50()),
        budget: "p50 <= 150 ms beyond git worktree add".into(),
        verdict: Verdict::at_most(beyond, LIMIT, "ms"),
        numbers: json!({"launch_p50_ms": launch.p50(), "launch_p99_ms": launch.p99(), "worktree_p50_ms": worktree.p50(),
            "worktree_p99_ms": worktree.p99(), "beyond_p50_ms": beyond, "count": launch.count()}),
    });
    drop(zellij);
    Ok(())
}

/// The time at which the client of this turn was started, in nanoseconds since 1970.
fn wait_for_start(starts: &std::path::Path, turn: usize) -> Result<u128> {
    let end = Instant::now() + STARTED;
    loop {
        let text = std::fs::read_to_string(starts).unwrap_or_default();
        if let Some(line) = text.lines().nth(turn) {
            let time = line.split(' ').next().unwrap_or_default();
            return time.parse().context("reading a client's start");
        }
        if Instant::now() > end {
            bail!("the client of launch {turn} did not start in {STARTED:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn add_worktree(stage: &Stage, repository: &std::path::Path, turn: usize) -> Result<Duration> {
    let path = stage.env.path(&format!("worktrees/{turn}"));
    let mut command = stage.env.command("git");
    command
        .current_dir(repository)
        .args(["worktree", "add", "--quiet", "-b", &format!("floor-{turn}")])
        .arg(&path)
        .arg("main")
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let begun = Instant::now();
    let status = command.status()?;
    let took = begun.elapsed();
    ensure!(status.success(), "git worktree add ended with {status}");
    Ok(took)
}
