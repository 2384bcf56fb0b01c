//! What one call of a person takes while sessions report as fast as they can.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use claustre::client::Client;
use claustre::fast::report::{Delivery, Line as ReportLine, Reporter};
use claustre_protocol::hook::{SESSION_VARIABLE, TOKEN_VARIABLE};
use claustre_protocol::ids::SessionId;
use claustre_protocol::request::{Nothing, Request, TaskAdd};
use serde_json::{Value, json};

use super::fleet::{TOKEN, Wanted};
use super::report::{Line, Report, Verdict};
use super::sample::Sample;
use super::stage::Stage;
use super::{Scale, sample};

const PATH: &str = "call of a person during a flood of reports";
const BUDGET: &str = "p99 <= 100 ms, a read and a write";
const LIMIT: f64 = 100.0;
/// Reporters at once, each with a connection for each report, as hooks are.
const REPORTERS: usize = 64;

/// Measures.
pub fn run(report: &mut Report, scale: &Scale) -> Result<()> {
    let stage = Stage::new(&Wanted {
        tasks: 100,
        sessions: REPORTERS,
        open_sessions: REPORTERS,
        ..Wanted::default()
    })?;
    stage.start_daemon()?;
    stage.settle()?;
    let calls = scale.queries.min(200);
    let quiet = measure(&stage, calls)?;
    let flooded = during(&stage, calls, |reporter, line, _| {
        matches!(reporter.deliver(line), Delivery::Taken(_))
    })?;
    add(report, PATH, &quiet, &flooded, true);
    // The same as whole processes: what is measured then is the machine, too.
    let flooded = during(&stage, calls, |_, _, session| {
        let mut hook = stage.env.command(&stage.claustre);
        hook.arg("hook")
            .env(SESSION_VARIABLE, session.to_string())
            .env(TOKEN_VARIABLE, TOKEN)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let hook = hook.spawn().and_then(|mut hook| {
            use std::io::Write;
            if let Some(mut input) = hook.stdin.take() {
                input.write_all(hook_input("Stop").as_bytes())?;
            }
            hook.wait()
        });
        hook.is_ok_and(|status| status.success())
    })?;
    add(report, "  of hooks as processes", &quiet, &flooded, false);
    Ok(())
}

/// What was measured, and how many reports a second there were.
struct Measured {
    reads: Sample,
    writes: Sample,
    rate: f64,
}

fn add(report: &mut Report, path: &str, quiet: &Measured, flooded: &Measured, is_judged: bool) {
    let worst = flooded.reads.p99().max(flooded.writes.p99());
    report.add(Line {
        path: path.into(),
        measured: format!(
            "status {}, task add {}; {:.0} reports/s from {REPORTERS}",
            flooded.reads.told(),
            flooded.writes.told(),
            flooded.rate
        ),
        floor: format!(
            "without a flood: status p99 {}, task add p99 {}",
            sample::millis(quiet.reads.p99()),
            sample::millis(quiet.writes.p99())
        ),
        ratio: Some(worst / quiet.reads.p99().max(quiet.writes.p99())),
        budget: if is_judged { BUDGET } else { "-" }.into(),
        verdict: if is_judged {
            Verdict::at_most(worst, LIMIT, "ms")
        } else {
            Verdict::Told
        },
        numbers: json!({"read_p50_ms": flooded.reads.p50(), "read_p99_ms": flooded.reads.p99(),
            "write_p50_ms": flooded.writes.p50(), "write_p99_ms": flooded.writes.p99(),
            "reports_per_second": flooded.rate}),
    });
}

fn hook_input(event: &str) -> String {
    json!({"session_id": "11111111-2222-4333-8444-555555555555", "hook_event_name": event,
        "transcript_path": "/nonexistent/t.jsonl", "cwd": "/nonexistent", "prompt": "go on"})
    .to_string()
}

/// Measures while every session reports, one report after the other without a pause.
fn during(
    stage: &Stage,
    calls: usize,
    send: impl Fn(&Reporter, &ReportLine, SessionId) -> bool + Sync,
) -> Result<Measured> {
    let (flood, taken) = (AtomicBool::new(true), AtomicUsize::new(0));
    let begun = Instant::now();
    let mut measured = std::thread::scope(|scope| {
        for session in &stage.fleet.sessions {
            let reporter = Reporter::new(stage.paths.clone(), *session, TOKEN.to_owned(), "hook");
            let (flood, taken, send) = (&flood, &taken, &send);
            scope.spawn(move || {
                let mut turn = 0_usize;
                while flood.load(Ordering::Relaxed) {
                    let event = ["UserPromptSubmit", "Stop"][turn % 2];
                    turn += 1;
                    let line = reporter.line_of_json("hook", &hook_input(event));
                    if send(&reporter, &line, *session) {
                        taken.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        // The flood is there before the first call is made.
        let many = REPORTERS * 4;
        while taken.load(Ordering::Relaxed) < many && begun.elapsed() < Duration::from_secs(20) {
            std::thread::yield_now();
        }
        let measured = measure(stage, calls);
        flood.store(false, Ordering::Relaxed);
        measured
    })?;
    measured.rate = taken.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64();
    ensure!(
        measured.rate > 50.0,
        "only {:.0} reports a second: no flood",
        measured.rate
    );
    Ok(measured)
}

/// Times of a read and of a write, each with a connection of its own, as the command line makes them.
fn measure(stage: &Stage, calls: usize) -> Result<Measured> {
    let (mut reads, mut writes) = (Vec::new(), Vec::new());
    for number in 0..calls {
        let begun = Instant::now();
        call(stage, Request::DaemonStatus(Nothing {}))?;
        reads.push(begun.elapsed());
        let add = TaskAdd {
            project: "project-00".into(),
            title: format!("during a flood {number}"),
            ..TaskAdd::default()
        };
        let begun = Instant::now();
        call(stage, Request::TaskAdd(add))?;
        writes.push(begun.elapsed());
    }
    Ok(Measured {
        reads: Sample::of(reads),
        writes: Sample::of(writes),
        rate: 0.0,
    })
}

fn call(stage: &Stage, request: Request) -> Result<Value> {
    let mut client =
        Client::connect_or_start(&stage.paths, "cli").context("connecting to the daemon")?;
    Ok(client.call(request)?)
}
