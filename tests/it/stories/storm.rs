//! Three sessions ask for one permission after the other while the daemon is killed again and again: before an answer, while it is
//! on its way, and after it. Each approval that was acknowledged runs exactly once, and none is stuck.
//!
//! `CLAUSTRE_STORM_KILLS` makes it longer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::support::{Machine, kill_9, text};

/// Daemons that are killed, unless the environment says otherwise.
const KILLS: usize = 12;
/// Sessions at work.
const SESSIONS: usize = 3;

/// A turn with so many permissions, each of which writes its number down.
fn script(asks: usize) -> Value {
    let steps: Vec<Value> = (0..asks)
        .map(|number| {
            json!({"tool": {"name": "Bash", "input": {"command": format!("echo {number} >> ran.txt")},
                "needs_permission": true}})
        })
        .collect();
    json!({"turns": [{"steps": steps}]})
}

/// How often each number was written.
fn ran(worktree: &Path) -> BTreeMap<usize, usize> {
    let mut counts = BTreeMap::new();
    let text = std::fs::read_to_string(worktree.join("ran.txt")).unwrap_or_default();
    for line in text.lines() {
        *counts.entry(line.trim().parse().unwrap()).or_default() += 1;
    }
    counts
}

/// The number that a title such as `Bash: echo 3 >> ran.txt` is about.
fn number_of(title: &str) -> usize {
    let number = title
        .split_whitespace()
        .find_map(|word| word.parse::<usize>().ok());
    number.unwrap_or_else(|| panic!("{title}"))
}

/// The daemon that runs now, if one does.
fn daemon_of(machine: &Machine) -> Option<u32> {
    let lock = machine.env.claustre_home().join("run/lock");
    let pid = std::fs::read_to_string(lock).ok()?.trim().parse().ok()?;
    std::fs::read_to_string(format!("/proc/{pid}/cmdline"))
        .is_ok_and(|line| line.contains("daemon"))
        .then_some(pid)
}

#[test]
fn each_approval_that_was_acknowledged_runs_once_while_daemons_are_killed() {
    let kills = std::env::var("CLAUSTRE_STORM_KILLS")
        .ok()
        .and_then(|kills| kills.parse().ok())
        .unwrap_or(KILLS);
    let asks = (kills / SESSIONS).max(3);
    let Some(machine) = Machine::with_script("a storm", &script(asks)) else {
        return;
    };
    machine.project("shop");
    let tasks: Vec<String> = (0..SESSIONS)
        .map(|number| machine.launched("shop", &format!("Task {number}")))
        .collect();
    let worktrees: BTreeMap<String, PathBuf> = tasks
        .iter()
        .map(|task| {
            machine.wait_ask(task, "permission");
            (task.clone(), machine.worktree(task))
        })
        .collect();

    let mut killed = 0;
    let mut acknowledged: Vec<(String, usize)> = Vec::new();
    let mut kill = |machine: &Machine| {
        if killed < kills
            && let Some(daemon) = daemon_of(machine)
        {
            kill_9(daemon);
            killed += 1;
        }
    };
    let end = Instant::now() + Duration::from_secs(90 + 2 * kills as u64);
    let mut round = 0_usize;
    loop {
        let is_over = worktrees
            .values()
            .all(|worktree| ran(worktree).len() == asks);
        if is_over {
            break;
        }
        assert!(
            Instant::now() < end,
            "stuck: {:?}\n{}\n{}",
            worktrees
                .values()
                .map(|place| ran(place))
                .collect::<Vec<_>>(),
            machine.env.claustre(&["inbox"]).stdout,
            machine.logs()
        );
        let inbox = machine.env.claustre(&["inbox", "--json"]);
        let items: Value = serde_json::from_str(&inbox.stdout).unwrap_or_default();
        for item in items.as_array().into_iter().flatten() {
            let (Some(task), Some(ask)) = (item["task_id"].as_str(), item["ask_id"].as_str())
            else {
                continue;
            };
            let number = number_of(&text(&item["detail"]));
            round += 1;
            if round.is_multiple_of(4) {
                kill(&machine);
            }
            let approving = machine
                .env
                .command("claustre")
                .args(["task", "approve", task, "--ask", ask])
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .spawn();
            if round % 4 == 1 {
                // While the answer is on its way.
                kill(&machine);
            }
            if approving.unwrap().wait().unwrap().success() {
                acknowledged.push((task.to_owned(), number));
            }
            if round % 4 == 2 {
                kill(&machine);
            }
        }
    }
    for task in &tasks {
        machine.wait_session(task, "idle", "");
    }
    for (task, worktree) in &worktrees {
        let counts = ran(worktree);
        assert!(
            counts.values().all(|times| *times == 1) && counts.len() == asks,
            "each ran once: {counts:?}"
        );
        for (_, number) in acknowledged.iter().filter(|(of, _)| of == task) {
            assert!(counts.contains_key(number), "acknowledged, and did not run");
        }
    }
    let twice = acknowledged.len();
    acknowledged.sort();
    acknowledged.dedup();
    assert_eq!(acknowledged.len(), twice, "acknowledged once");
    println!(
        "{killed} daemons killed, {} of {} approvals acknowledged",
        acknowledged.len(),
        asks * SESSIONS
    );
    machine.replay_agrees();
}
