//! `claustre hook` as a whole process, from its start to its end, against a program that does nothing.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use claustre_protocol::hook::{SESSION_VARIABLE, TOKEN_VARIABLE};
use serde_json::json;

use super::fleet::{TOKEN, Wanted};
use super::report::{Line, Report, Verdict};
use super::sample::Sample;
use super::stage::Stage;
use super::{Scale, sample};

const PATH: &str = "hook, whole process, durable";
const BUDGET: &str = "p50 <= 1.80 x a C program that returns 0";
const LIMIT: f64 = 1.8;
/// Hooks come one after the other, but not at once.
const APART: Duration = Duration::from_millis(20);

/// Measures.
pub fn run(report: &mut Report, scale: &Scale) -> Result<()> {
    let stage = Stage::new(&Wanted {
        tasks: 1,
        sessions: 1,
        open_sessions: 1,
        ..Wanted::default()
    })?;
    let Some(floor_program) = compile_floor(&stage)? else {
        report.skip(PATH, BUDGET, "there is no C compiler (cc)");
        return Ok(());
    };
    stage.start_daemon()?;
    stage.settle()?;
    let session = stage.fleet.sessions[0].to_string();
    // A turn begins and ends: each report changes the session's status, so that each is an event in the log.
    let inputs = ["UserPromptSubmit", "Stop"].map(|event| {
        let input = json!({"session_id": "11111111-2222-4333-8444-555555555555", "transcript_path": "/nonexistent/t.jsonl",
            "cwd": "/nonexistent", "permission_mode": "default", "hook_event_name": event,
            "prompt": "make the reader of a page find what it looks for", "stop_hook_active": false});
        stage.env.write(&format!("{event}.json"), &input.to_string())
    });
    let (mut hooks, mut floors) = (Vec::new(), Vec::new());
    let before = stage.status()?.position;
    for turn in 0..scale.hooks + 10 {
        let mut hook = stage.env.command(&stage.claustre);
        hook.arg("hook")
            .env(SESSION_VARIABLE, &session)
            .env(TOKEN_VARIABLE, TOKEN);
        let hook = once(&mut hook, &inputs[turn % 2])?;
        let floor = once(&mut stage.env.command(&floor_program), &inputs[turn % 2])?;
        // What the daemon does about a report after it has answered must not meet the next one.
        std::thread::sleep(APART);
        // The first few find nothing in the page cache.
        if turn >= 10 {
            hooks.push(hook);
            floors.push(floor);
        }
    }
    let stored = stage.status()?.position - before;
    let spooled = std::fs::read_dir(stage.paths.spool()).map_or(0, |entries| entries.count());
    ensure!(
        spooled == 0,
        "{spooled} reports went to the spool instead of the daemon"
    );
    ensure!(
        stored as usize >= scale.hooks,
        "only {stored} events were stored by {} hooks",
        scale.hooks + 10
    );
    let (hook, floor) = (Sample::of(hooks), Sample::of(floors));
    let ratio = hook.p50() / floor.p50();
    report.add(Line {
        path: PATH.into(),
        measured: hook.told(),
        floor: format!("C return 0 {}", floor.told()),
        ratio: Some(ratio),
        budget: BUDGET.into(),
        verdict: Verdict::at_most(ratio, LIMIT, "x"),
        numbers: json!({"hook_p50_ms": hook.p50(), "hook_p99_ms": hook.p99(), "floor_p50_ms": floor.p50(),
            "floor_p99_ms": floor.p99(), "count": hook.count(), "events_stored": stored}),
    });
    without_a_daemon(report, &stage, &session, &inputs, &floor)?;
    Ok(())
}

/// The same process where it has nothing to report to: what of the whole is the process, and what the daemon.
fn without_a_daemon(
    report: &mut Report,
    stage: &Stage,
    session: &str,
    inputs: &[PathBuf; 2],
    floor: &Sample,
) -> Result<()> {
    let (mut bare, mut connected) = (Vec::new(), Vec::new());
    for turn in 0..100 {
        let input = &inputs[turn % 2];
        bare.push(once(stage.env.command(&stage.claustre).arg("hook"), input)?);
        connected.push(round_trip(stage, session, input)?);
        std::thread::sleep(APART);
    }
    let (bare, connected) = (Sample::of(bare), Sample::of(connected));
    report.add(Line {
        path: "  of that: the process alone".into(),
        measured: bare.told(),
        floor: format!(
            "C return 0 {}; the report alone, sent from a process that runs: {}",
            sample::millis(floor.p50()),
            connected.told()
        ),
        ratio: Some(bare.p50() / floor.p50()),
        budget: "-".into(),
        verdict: Verdict::Told,
        numbers: json!({"process_p50_ms": bare.p50(), "report_p50_ms": connected.p50()}),
    });
    Ok(())
}

/// What the hook does, from this process.
fn round_trip(stage: &Stage, session: &str, input: &Path) -> Result<Duration> {
    use claustre::fast::report::{Delivery, Reporter};
    let input = std::fs::read_to_string(input)?;
    let reporter = Reporter::new(
        stage.paths.clone(),
        session.parse()?,
        TOKEN.to_owned(),
        "hook",
    );
    let begun = Instant::now();
    let line = reporter.line_of_json("hook", &input);
    let delivery = reporter.deliver(&line);
    let took = begun.elapsed();
    ensure!(
        matches!(delivery, Delivery::Taken(_)),
        "a report came to {delivery:?}"
    );
    Ok(took)
}

/// Runs a program to its end with a file as its input, and says how long that took.
fn once(command: &mut Command, input: &Path) -> Result<Duration> {
    let input = File::open(input)?;
    command
        .stdin(input)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let begun = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("running {command:?}"))?;
    let took = begun.elapsed();
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(took)
}

/// A C program that returns 0; none where there is no compiler.
fn compile_floor(stage: &Stage) -> Result<Option<PathBuf>> {
    if crate::env::find_in_path("cc").is_none() {
        return Ok(None);
    }
    let source = stage.env.write("floor.c", "int main(void) { return 0; }\n");
    let program = stage.env.path("floor");
    let mut compile = stage.env.command("cc");
    compile.arg("-O2").arg("-o").arg(&program).arg(&source);
    let compiled = stage.env.run(&mut compile);
    ensure!(
        compiled.code == Some(0),
        "compiling the floor: {}",
        compiled.snapshot()
    );
    Ok(Some(program))
}
