//! What a person sees: a hook until the dashboard shows it, a key until it is drawn, and the plugin itself. With a real
//! Zellij, whose own echo is the floor.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use claustre_protocol::hook::{SESSION_VARIABLE, TOKEN_VARIABLE};
use serde_json::json;

use super::fleet::{TOKEN, Wanted};
use super::report::{Line, Report, Verdict};
use super::sample::{Sample, megabytes, millis};
use super::stage::Stage;
use super::{Scale, processes};
use crate::zellij::{self, Options, Plugin, Zellij};

/// The dashboard takes 92 % of it: a little more than 200 × 50.
const SCREEN: (u16, u16) = (222, 58);
/// The key that shows and hides the dashboard, as a terminal sends it.
const TOGGLE: &str = "\x1bc";
const SHOWN: Duration = Duration::from_secs(30);
const MOMENT: Duration = Duration::from_secs(5);
/// Between two things that are measured: longer than the dashboard joins changes.
const APART: Duration = Duration::from_millis(150);
/// Of these the dashboard lists about 500: all that are not done, and the newest of those that are.
const TASKS: usize = 1_300;

/// A Zellij with the plugin in it, and a link to the daemon.
pub struct Shown<'stage> {
    pub zellij: Zellij<'stage>,
    /// The server's process, where it was found.
    pub server: Option<u32>,
    /// From the start of Zellij until the link was up.
    pub linked_after: Duration,
}

/// A Zellij with the plugin loaded and linked, and not on the screen.
///
/// # Errors
/// The reason why there is none.
pub fn hidden(stage: &Stage) -> Result<Shown<'_>, String> {
    zellij::binary()?;
    let plugin = plugin(stage)?;
    let options = Options {
        session: "bench".into(),
        columns: SCREEN.0,
        rows: SCREEN.1,
        plugin: Some(Plugin {
            path: plugin,
            alias: Some("claustre".into()),
        }),
        config: "keybinds {\n    shared {\n        bind \"Alt c\" { MessagePlugin \"claustre\" { name \"toggle\"; }; }\n    }\n}\n"
            .into(),
        ..Options::default()
    };
    let begun = Instant::now();
    let zellij = Zellij::start(&stage.env, &options);
    let end = Instant::now() + SHOWN;
    loop {
        let status = stage.status().map_err(|error| error.to_string())?;
        if !status.links.is_empty() {
            break;
        }
        if Instant::now() > end {
            return Err(format!(
                "the link did not come up; the screen:\n{}",
                zellij.terminal.screen()
            ));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(Shown {
        linked_after: begun.elapsed(),
        server: server(stage),
        zellij,
    })
}

/// The plugin's file: `CLAUSTRE_TEST_PLUGIN`, or the one inside the helper.
fn plugin(stage: &Stage) -> Result<PathBuf, String> {
    if let Some(named) = std::env::var_os("CLAUSTRE_TEST_PLUGIN") {
        return Ok(PathBuf::from(named));
    }
    let bytes = claustre::plugin_wasm::bytes()
        .ok_or("the helper was built without the plugin (cargo xtask build-plugin)")?;
    let path = stage.env.path("claustre-plugin.wasm");
    std::fs::write(&path, bytes).map_err(|error| error.to_string())?;
    Ok(path)
}

fn server(stage: &Stage) -> Option<u32> {
    let root = stage.env.root().display().to_string();
    std::fs::read_dir("/proc")
        .ok()?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .find(|pid| {
            let words = processes::command_line(*pid);
            words.iter().any(|word| word == "--server")
                && words.iter().any(|word| word.starts_with(&root))
        })
}

impl Shown<'_> {
    fn terminal(&self) -> &crate::Terminal {
        &self.zellij.terminal
    }

    /// Does something and says after how long the screen showed what it brings.
    fn until(
        &self,
        condition: impl Fn(&str) -> bool + Send + 'static,
        act: impl FnOnce() -> Result<()>,
    ) -> Result<Duration> {
        let told = self.terminal().when(condition);
        let begun = Instant::now();
        act()?;
        let moment = told.recv_timeout(MOMENT).map_err(|_| {
            anyhow!(
                "the screen did not change as it should:\n{}",
                self.terminal().screen()
            )
        })?;
        Ok(moment.saturating_duration_since(begun))
    }
}

/// Measures.
pub fn run(report: &mut Report, scale: &Scale) -> Result<()> {
    let stage = Stage::new(&Wanted {
        tasks: TASKS,
        sessions: 1,
        open_sessions: 1,
        ..Wanted::default()
    })?;
    stage.start_daemon()?;
    stage.settle()?;
    let shown = match hidden(&stage) {
        Ok(shown) => shown,
        Err(why) => {
            for (path, budget) in [
                ("hook to repainted dashboard", "p50 <= 10 ms, p99 <= 50 ms"),
                ("key to repainted dashboard", "p99 <= 16 ms"),
                ("plugin", "<= 1.5 MB, <= 500 ms, no growth"),
            ] {
                report.skip(path, budget, why.clone());
            }
            return Ok(());
        }
    };
    size(report, &stage)?;
    let echo = echo(&shown, scale)?;
    shown.terminal().send(TOGGLE);
    shown
        .terminal()
        .wait_until("the dashboard with its tasks", SHOWN, |screen| {
            screen.contains("Task 000")
        });
    std::thread::sleep(Duration::from_millis(500));
    if std::env::var_os("CLAUSTRE_BENCH_SHOW").is_some() {
        eprintln!("{}", shown.terminal().screen());
    }
    hooks(report, scale, &stage, &shown, &echo)?;
    keys(report, scale, &shown, &echo)?;
    first_paint(report, &shown)?;
    growth(report, scale, &stage, &shown)?;
    Ok(())
}

fn size(report: &mut Report, stage: &Stage) -> Result<()> {
    let path = plugin(stage).map_err(|why| anyhow!(why))?;
    let bytes = std::fs::metadata(path)?.len();
    report.add(Line {
        path: "plugin's wasm".into(),
        measured: megabytes(bytes),
        floor: "-".into(),
        ratio: None,
        budget: "<= 1.5 MB".into(),
        verdict: Verdict::at_most(bytes as f64 / 1e6, 1.5, "MB"),
        numbers: json!({"bytes": bytes}),
    });
    Ok(())
}

/// Zellij's own echo of a key in a shell's pane of the same session.
fn echo(shown: &Shown<'_>, scale: &Scale) -> Result<Sample> {
    let mut times = Vec::new();
    shown.terminal().send("echo start\r");
    shown.terminal().wait_for_text("start", MOMENT);
    let mut typed = String::new();
    for turn in 0..scale.keys + 5 {
        let letter = char::from(b'a' + u8::try_from(turn % 26).unwrap_or(0));
        if typed.len() >= 26 {
            shown.terminal().send(crate::terminal::CTRL_U);
            typed.clear();
            std::thread::sleep(APART);
        }
        typed.push(letter);
        let wanted = typed.clone();
        let took = shown.until(
            move |screen| screen.contains(&wanted),
            || {
                shown.terminal().send(&letter.to_string());
                Ok(())
            },
        )?;
        if turn >= 5 {
            times.push(took);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    shown.terminal().send(crate::terminal::CTRL_U);
    Ok(Sample::of(times))
}

/// From the start of `claustre hook` until the dashboard shows what it brought.
fn hooks(
    report: &mut Report,
    scale: &Scale,
    stage: &Stage,
    shown: &Shown<'_>,
    echo: &Sample,
) -> Result<()> {
    let session = stage.fleet.sessions[0].to_string();
    let mut times = Vec::new();
    for turn in 0..scale.repaints + 4 {
        // The head of the dashboard counts the sessions that work, where there is one.
        let works = turn % 2 == 0;
        let event = if works { "UserPromptSubmit" } else { "Stop" };
        let input = json!({"session_id": "11111111-2222-4333-8444-555555555555", "transcript_path": "/nonexistent/t.jsonl",
            "cwd": "/nonexistent", "permission_mode": "default", "hook_event_name": event,
            "prompt": "make the reader find it", "stop_hook_active": false});
        let mut hook = stage.env.command(&stage.claustre);
        hook.arg("hook")
            .env(SESSION_VARIABLE, &session)
            .env(TOKEN_VARIABLE, TOKEN)
            .stdin(Stdio::piped())
            .stdout(Stdio::null());
        let mut running = None;
        let took = shown.until(
            move |screen| screen.contains("● 1 working") == works,
            || {
                let mut child = hook.spawn().context("starting the hook")?;
                let mut stdin = child.stdin.take().context("the hook's input")?;
                stdin.write_all(input.to_string().as_bytes())?;
                drop(stdin);
                running = Some(child);
                Ok(())
            },
        );
        if let Some(mut child) = running {
            drop(child.wait());
        }
        let took = took?;
        if turn >= 4 {
            times.push(took);
        }
        std::thread::sleep(APART);
    }
    let sample = Sample::of(times);
    report.add(Line {
        path: "hook, durable, seen in the dashboard (on the terminal)".into(),
        measured: sample.told(),
        floor: format!("Zellij's own echo of a key {}", echo.told()),
        ratio: Some(sample.p50() / echo.p50()),
        budget: "p50 <= 10 ms, p99 <= 50 ms".into(),
        verdict: Verdict::at_most(sample.p50(), 10.0, "ms at p50").and(Verdict::at_most(
            sample.p99(),
            50.0,
            "ms at p99",
        )),
        numbers: json!({"p50_ms": sample.p50(), "p99_ms": sample.p99(), "floor_p50_ms": echo.p50(),
            "floor_p99_ms": echo.p99(), "count": sample.count()}),
    });
    Ok(())
}

/// From a key until the selection has moved on the screen.
fn keys(report: &mut Report, scale: &Scale, shown: &Shown<'_>, echo: &Sample) -> Result<()> {
    // The task queue.
    shown.terminal().send("3");
    std::thread::sleep(Duration::from_millis(500));
    let mut times = Vec::new();
    let mut place = 1_usize;
    let mut sample_of = |count: usize, times: &mut Vec<Duration>, kept: bool| -> Result<()> {
        for turn in 0..count {
            let down = turn % 40 < 30 || place == 1;
            place = if down { place + 1 } else { place - 1 };
            let wanted = format!("─ {place} of ");
            let took = shown.until(
                move |screen| screen.contains(&wanted),
                || {
                    shown.terminal().send(if down { "j" } else { "k" });
                    Ok(())
                },
            )?;
            if kept {
                times.push(took);
            }
            std::thread::sleep(Duration::from_millis(80));
        }
        Ok(())
    };
    sample_of(4, &mut times, false)?;
    sample_of(scale.keys, &mut times, true)?;
    let sample = Sample::of(times);
    report.add(Line {
        path: "key to repainted dashboard, 200 x 50, 500 tasks".into(),
        measured: sample.told(),
        floor: format!("Zellij's own echo of a key {}", echo.told()),
        ratio: Some(sample.p50() / echo.p50()),
        budget: "p99 <= 16 ms".into(),
        verdict: Verdict::at_most(sample.p99(), 16.0, "ms"),
        numbers: json!({"p50_ms": sample.p50(), "p99_ms": sample.p99(), "floor_p50_ms": echo.p50(),
            "floor_p99_ms": echo.p99(), "count": sample.count()}),
    });
    Ok(())
}

/// The plugin loaded anew until its first frame, and until it has its tasks again.
fn first_paint(report: &mut Report, shown: &Shown<'_>) -> Result<()> {
    let mut painted = Vec::new();
    let mut whole = Vec::new();
    let mut calls = Vec::new();
    for _ in 0..3 {
        let begun = Instant::now();
        shown.zellij.action(&["list-clients"]);
        calls.push(begun.elapsed());
        let gone = shown.terminal().when(|screen| !screen.contains("Task 000"));
        let begun = Instant::now();
        shown.zellij.action(&["start-or-reload-plugin", "claustre"]);
        let gone = gone
            .recv_timeout(MOMENT)
            .context("waiting for the old dashboard to go")?;
        let first = shown.terminal().when(|screen| screen.contains("Projects"));
        let tasks = shown.terminal().when(|screen| screen.contains("Task 000"));
        let first = first
            .recv_timeout(MOMENT)
            .context("waiting for the first frame")
            .unwrap_or(gone);
        painted.push(first.saturating_duration_since(begun));
        let tasks = tasks.recv_timeout(SHOWN).context("waiting for the tasks")?;
        whole.push(tasks.saturating_duration_since(begun));
        std::thread::sleep(Duration::from_millis(500));
    }
    let (painted, whole, calls) = (Sample::of(painted), Sample::of(whole), Sample::of(calls));
    report.add(Line {
        path: "plugin loaded anew until its first frame".into(),
        measured: format!("{}, with all tasks {}", painted.told(), millis(whole.p50())),
        floor: format!("a call of zellij {}", calls.told()),
        ratio: Some(painted.p50() / calls.p50()),
        budget: "<= 500 ms".into(),
        verdict: Verdict::at_most(painted.quantile(1.0), 500.0, "ms"),
        numbers: json!({"first_frame_p50_ms": painted.p50(), "longest_ms": painted.quantile(1.0),
            "all_tasks_p50_ms": whole.p50()}),
    });
    Ok(())
}

/// Many lines through a pipe of the plugin: the last must not take longer than the first, nor the memory grow.
fn growth(report: &mut Report, scale: &Scale, stage: &Stage, shown: &Shown<'_>) -> Result<()> {
    let server = shown.server.context("finding the Zellij server")?;
    let mut command = stage.env.command("zellij");
    let mut child = command
        .args([
            "--session",
            shown.zellij.session(),
            "pipe",
            "--plugin",
            "claustre",
            "--name",
            "bench",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let stdin = child.stdin.take().context("the pipe's input")?;
    // The child reads a line once the plugin is done with the one before, and the pipe keeps no more than 16 waiting.
    let line = format!("{}\n", json!({"nothing": "x".repeat(4_000)}));
    let measured = lines(stdin, &line, scale.pipe_lines, server);
    drop(child.kill());
    drop(child.wait());
    let (blocks, before, after) = measured?;
    let part = blocks.len() / 10;
    let first = Sample::of(blocks.iter().take(part).copied());
    let last = Sample::of(blocks.iter().rev().take(part).copied());
    let ratio = last.mean() / first.mean();
    let grown = after.private.saturating_sub(before.private);
    report.add(Line {
        path: format!("plugin over {} lines of 4 KB", scale.pipe_lines),
        measured: format!(
            "a line {} at the end, {} at the start; the server grew by {}",
            millis(last.mean()),
            millis(first.mean()),
            megabytes(grown)
        ),
        floor: format!("the first tenth; server {}", megabytes(before.private)),
        ratio: Some(ratio),
        budget: "no growth: <= 1.25 x, <= 8 MB".into(),
        verdict: Verdict::at_most(ratio, 1.25, "x").and(Verdict::at_most(
            grown as f64 / 1e6,
            8.0,
            "MB",
        )),
        numbers: json!({"first_mean_ms": first.mean(), "last_mean_ms": last.mean(), "server_before_bytes": before.private,
            "server_after_bytes": after.private, "lines": scale.pipe_lines}),
    });
    Ok(())
}

type Lines = (Vec<Duration>, processes::Memory, processes::Memory);

fn lines(
    mut stdin: std::process::ChildStdin,
    line: &str,
    count: usize,
    server: u32,
) -> Result<Lines> {
    for _ in 0..200 {
        stdin.write_all(line.as_bytes())?;
    }
    let before = processes::memory(server);
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = Instant::now();
        stdin.write_all(line.as_bytes())?;
        times.push(begun.elapsed());
    }
    ensure!(!times.is_empty(), "no line was sent");
    Ok((times, before, processes::memory(server)))
}
