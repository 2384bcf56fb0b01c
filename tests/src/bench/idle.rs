//! What sessions cost while nothing happens: daemon, the link's children and the launchers together.

use std::process::{Child, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use claustre::adapters::claude::plan::{LaunchPlan, PLAN_FILE, PLAN_VERSION};
use claustre::fast::report::{Delivery, Reporter};
use claustre_protocol::ids::SessionId;
use serde_json::json;

use super::fleet::{TOKEN, Wanted};
use super::report::{Line, Report, Verdict};
use super::sample::{Sample, megabytes};
use super::stage::Stage;
use super::{Scale, dashboard, processes};
use crate::wait::wait_for;

const SETTLED: std::time::Duration = std::time::Duration::from_secs(20);
const AFTERMATH: std::time::Duration = std::time::Duration::from_secs(12);

/// Measures.
pub fn run(report: &mut Report, scale: &Scale) -> Result<()> {
    let stage = Stage::new(&Wanted {
        projects: 5,
        tasks: 500,
        sessions: scale.launchers,
        open_sessions: scale.launchers,
        ..Wanted::default()
    })?;
    stage.start_daemon()?;
    stage.settle()?;
    // With a dashboard that is hidden, as it is most of the time; without Zellij what remains is measured all the same.
    let zellij = dashboard::hidden(&stage);
    let mut launchers = Launchers::start(&stage)?;
    // A client that never reported would be looked after; these have started and ended a turn, and sit there.
    for session in &stage.fleet.sessions {
        for event in ["SessionStart", "UserPromptSubmit", "Stop"] {
            report_hook(&stage, *session, event)?;
        }
    }
    stage.settle()?;
    // What follows from a turn's end (a count of the worktree, the dashboard's last update) is over after this.
    std::thread::sleep(AFTERMATH);

    let daemon = stage.status()?.pid;
    let children = processes::descendants(daemon);
    let launched = launchers.pids();
    let measured: Vec<u32> = [daemon]
        .into_iter()
        .chain(children.iter().copied())
        .chain(launched.iter().copied())
        .collect();
    let server = zellij.as_ref().ok().and_then(|zellij| zellij.server);
    let took = |pids: &[u32]| -> (f64, u64) {
        pids.iter().fold((0.0, 0), |(cpu, wakeups), pid| {
            (
                cpu + processes::cpu_seconds(*pid),
                wakeups + processes::used(*pid).wakeups,
            )
        })
    };
    let groups = [vec![daemon], children.clone(), launched.clone()];
    let before: Vec<(f64, u64)> = groups.iter().map(|pids| took(pids)).collect();
    let server_before = server.map(|pid| took(&[pid]));
    let ticks_before: u64 = measured.iter().map(|pid| processes::used(*pid).ticks).sum();
    let begun = Instant::now();
    // What is measured is that time passes and nothing happens.
    std::thread::sleep(scale.idle);
    let elapsed = begun.elapsed().as_secs_f64();
    let after: Vec<(f64, u64)> = groups.iter().map(|pids| took(pids)).collect();
    let server_after = server.map(|pid| took(&[pid]));
    let ticks_after: u64 = measured.iter().map(|pid| processes::used(*pid).ticks).sum();
    ensure!(
        launchers.all_run(),
        "a launcher ended while it was measured"
    );

    let percent = |index: usize| {
        let (before, after): (Option<&(f64, u64)>, _) = (before.get(index), after.get(index));
        match (before, after) {
            (Some(before), Some(after)) => (after.0 - before.0) / elapsed * 100.0,
            _ => 0.0,
        }
    };
    let wakeups: u64 = after
        .iter()
        .zip(&before)
        .map(|(after, before)| after.1 - before.1)
        .sum();
    let total: f64 = (0..groups.len()).map(percent).sum();
    let by_ticks = (ticks_after - ticks_before) as f64 / processes::TICKS / elapsed * 100.0;
    let whole_server = server_before
        .zip(server_after)
        .map(|(before, after)| (after.0 - before.0) / elapsed * 100.0);
    let link = match (&zellij, children.is_empty()) {
        (Err(why), _) => format!("no link: {why}"),
        (Ok(_), true) => "no link came up".into(),
        (Ok(_), false) => format!("{} of the link {:.3} %", children.len(), percent(1)),
    };
    report.add(Line {
        path: format!("idle, {} sessions, {:.0} s", launched.len(), elapsed),
        measured: format!(
            "{total:.3} % of a core: daemon {:.3} %, {link}, launchers {:.3} %; {:.1} wakeups/s",
            percent(0),
            percent(2),
            wakeups as f64 / elapsed
        ),
        floor: format!("0 %; by ticks of 10 ms {by_ticks:.2} %"),
        ratio: None,
        budget: "< 0.5 % of a core".into(),
        verdict: match &zellij {
            Ok(_) if !children.is_empty() => Verdict::at_most(total, 0.5, "% of a core"),
            Ok(_) => Verdict::NotMeasured("no link came up".into()),
            Err(why) => Verdict::at_most(total, 0.5, &format!("% of a core (without a link: {why})")),
        },
        numbers: json!({"percent": total, "daemon_percent": percent(0), "link_percent": percent(1),
            "launchers_percent": percent(2), "wakeups_per_s": wakeups as f64 / elapsed, "percent_by_ticks": by_ticks,
            "zellij_server_percent": whole_server}),
    });
    if let Some(percent) = whole_server {
        report.add(Line {
            path: "  the whole Zellij server meanwhile, the hidden plugin in it".into(),
            measured: format!("{percent:.3} % of a core"),
            floor: "-".into(),
            ratio: None,
            budget: "-".into(),
            verdict: Verdict::Told,
            numbers: json!({"percent": percent}),
        });
    }
    memory(report, &launched);
    drop(zellij);
    launchers.end();
    Ok(())
}

fn report_hook(stage: &Stage, session: SessionId, event: &str) -> Result<()> {
    let input = json!({"session_id": uuid::Uuid::new_v4(), "transcript_path": "/nonexistent/t.jsonl", "source": "startup",
        "cwd": stage.env.home(), "permission_mode": "default", "hook_event_name": event, "prompt": "do it",
        "stop_hook_active": false});
    let reporter = Reporter::new(stage.paths.clone(), session, TOKEN.to_owned(), "hook");
    let line = reporter.line_of_json("hook", &input.to_string());
    let delivery = reporter.deliver(&line);
    // What is late goes to the spool, and the daemon takes it from there.
    ensure!(
        matches!(delivery, Delivery::Taken(_) | Delivery::Missed),
        "a report came to {delivery:?}"
    );
    Ok(())
}

fn memory(report: &mut Report, launchers: &[u32]) {
    let all: Vec<processes::Memory> = launchers
        .iter()
        .map(|pid| processes::memory(*pid))
        .collect();
    let of = |bytes: fn(&processes::Memory) -> u64| {
        Sample::of_millis(all.iter().map(|memory| bytes(memory) as f64)).p50() as u64
    };
    let (resident, proportional, private) = (
        of(|memory| memory.resident),
        of(|memory| memory.proportional),
        of(|memory| memory.private),
    );
    report.add(Line {
        path: format!("memory of a launcher, median of {}", all.len()),
        measured: format!(
            "PSS {} private {} RSS {}",
            megabytes(proportional),
            megabytes(private),
            megabytes(resident)
        ),
        floor: "-".into(),
        ratio: None,
        budget: "< 4 MB".into(),
        verdict: Verdict::at_most(proportional.max(private) as f64 / 1e6, 4.0, "MB"),
        numbers: json!({"pss_bytes": proportional, "private_bytes": private, "rss_bytes": resident}),
    });
}

/// Launchers of all sessions of a stage, each with a client that sleeps.
struct Launchers {
    children: Vec<Child>,
}

impl Launchers {
    fn start(stage: &Stage) -> Result<Self> {
        use std::os::unix::process::CommandExt as _;
        let claude = stage.env.resolve("claude".as_ref());
        let starts = stage.env.path("starts");
        let mut launchers = Self {
            children: Vec::new(),
        };
        for session in &stage.fleet.sessions {
            let plan = LaunchPlan {
                version: PLAN_VERSION,
                session_id: session.to_string(),
                claude_session_id: uuid::Uuid::new_v4(),
                program: claude.clone(),
                options: Vec::new(),
                prompt_file: None,
                cwd: stage.env.home(),
                env: [(
                    super::client_stand_in::STARTS.to_owned(),
                    starts.display().to_string(),
                )]
                .into(),
                env_remove: Vec::new(),
            };
            let path = stage.paths.session(*session).join(PLAN_FILE);
            std::fs::write(&path, serde_json::to_string(&plan)?)?;
            let mut command = stage.env.command(&stage.claustre);
            let child = command
                .args(["session", "run", &session.to_string()])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .process_group(0)
                .spawn()
                .context("starting a launcher")?;
            launchers.children.push(child);
        }
        let wanted = stage.fleet.sessions.len();
        wait_for("the clients of all launchers", SETTLED, || {
            let text = std::fs::read_to_string(&starts).unwrap_or_default();
            text.lines().count() == wanted
        });
        Ok(launchers)
    }

    fn pids(&self) -> Vec<u32> {
        self.children.iter().map(Child::id).collect()
    }

    fn all_run(&mut self) -> bool {
        self.children
            .iter_mut()
            .all(|child| matches!(child.try_wait(), Ok(None)))
    }

    fn end(&mut self) {
        for child in &mut self.children {
            let pid = i32::try_from(child.id())
                .ok()
                .and_then(rustix::process::Pid::from_raw);
            if let Some(pid) = pid {
                let _ended = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
        }
        for child in &mut self.children {
            drop(child.wait());
        }
    }
}

impl Drop for Launchers {
    fn drop(&mut self) {
        self.end();
    }
}
