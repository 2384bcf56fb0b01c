//! Daemon, hooks, MCP bridges and link pipes are killed again and again over busy sessions: each approval and each message
//! still takes effect exactly once, and nothing is stuck afterwards.
//!
//! `CLAUSTRE_KILLS` and `CLAUSTRE_KILLED_SESSIONS` make it larger than what every run of the tests has time for.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use serde_json::{Value, json};

use super::dashboard::{set_up, zellij};
use super::support::{Machine, text};

/// How long one message may take from being sent to the end of its turn, while everything around it is killed.
const TURN_LIMIT: Duration = Duration::from_secs(240);
/// Pause between two kills, so that what was killed is running again.
const BETWEEN_KILLS: Duration = Duration::from_millis(150);

/// What is killed, told by the words of its command line.
const VICTIMS: [&[&str]; 4] = [
    &["claustre", "daemon"],
    &["claustre", "hook"],
    &["claustre", "mcp"],
    &["zellij", "pipe"],
];

fn size(variable: &str, default: usize) -> usize {
    std::env::var(variable)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

/// Each prompt asks for permission to write its name to a file, reports over MCP and ends its turn.
fn script() -> Value {
    json!({"turns": [
        {"match": "^round", "steps": [
            {"tool": {"name": "Bash", "input": {"command": "echo {{slug}} >> ran.txt"}, "needs_permission": true}},
            {"mcp": {"tool": "claustre_log", "arguments": {"level": "info", "message": "ran {{slug}}"}}},
            {"say": "That ran."}]},
        {"steps": [{"say": "Ready."}]}]})
}

/// What one session was sent: the text, and whether the helper said that it has it.
type Sent = Vec<(String, bool)>;

/// A cheap generator: the storm needs variety, not secrecy.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}

#[test]
fn a_storm_of_kills_loses_nothing_and_does_nothing_twice() {
    let story = "a storm of kills";
    let Some(machine) = Machine::with_script(story, &script()) else {
        return;
    };
    if !set_up(&machine, story) {
        return;
    }
    let kills = size("CLAUSTRE_KILLS", 16);
    let sessions = size("CLAUSTRE_KILLED_SESSIONS", 3);
    let desk = zellij(&machine);
    machine.project("shop");
    let tasks: Vec<String> = (0..sessions)
        .map(|number| machine.launched("shop", &format!("Begin {number}")))
        .collect();
    for task in &tasks {
        machine.wait_session(task, "idle", "");
    }

    let is_over = AtomicBool::new(false);
    let (killed, sent) = std::thread::scope(|scope| {
        let drivers: Vec<_> = tasks
            .iter()
            .enumerate()
            .map(|(number, task)| {
                let (machine, is_over) = (&machine, &is_over);
                scope.spawn(move || drive(machine, task, number, is_over))
            })
            .collect();
        let killed = rage(&machine, kills, || {
            drivers.iter().any(|one| one.is_finished())
        });
        is_over.store(true, Ordering::Relaxed);
        let sent: Vec<Sent> = drivers
            .into_iter()
            .map(|driver| driver.join().unwrap())
            .collect();
        (killed, sent)
    });
    eprintln!(
        "the storm killed {killed:?}; messages: {:?}",
        sent.iter().map(Vec::len).collect::<Vec<_>>()
    );

    for (task, sent) in tasks.iter().zip(&sent) {
        machine.wait_session(task, "idle", "");
        each_took_effect_once(&machine, task, sent);
    }
    let inbox = machine.json(&["inbox"]);
    let asks: Vec<&Value> = inbox
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["kind"] == "permission" || item["kind"] == "question")
        .collect();
    assert!(asks.is_empty(), "nothing is asked any more: {asks:#?}");
    machine.replay_agrees();
    drop(desk);
}

/// Kills one process after another until `kills` are dead or `is_enough`; how many of each kind.
fn rage(machine: &Machine, kills: usize, is_enough: impl Fn() -> bool) -> BTreeMap<String, usize> {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut killed = BTreeMap::new();
    let end = Instant::now() + Duration::from_secs(3) * u32::try_from(kills).unwrap();
    while killed.values().sum::<usize>() < kills && Instant::now() < end && !is_enough() {
        std::thread::sleep(BETWEEN_KILLS);
        let victim = VICTIMS[dice.roll(VICTIMS.len())];
        let running = processes(machine, victim);
        if running.is_empty() {
            continue;
        }
        let chosen = running[dice.roll(running.len())];
        if rustix::process::kill_process(chosen, Signal::KILL).is_ok() {
            *killed.entry(victim.join(" ")).or_default() += 1;
        }
    }
    killed
}

/// The processes of this machine whose program and arguments have these words, in this order.
fn processes(machine: &Machine, words: &[&str]) -> Vec<Pid> {
    machine
        .env
        .processes()
        .into_iter()
        .filter(|(_, arguments)| {
            let mut arguments = arguments.iter();
            let is_program = arguments
                .next()
                .and_then(|program| Path::new(program).file_name())
                .is_some_and(|name| name == words[0]);
            is_program
                && words[1..]
                    .iter()
                    .all(|word| arguments.any(|one| one == word))
        })
        .map(|(pid, _)| pid)
        .collect()
}

/// Sends messages and allows what they ask until the storm is over; what was sent.
fn drive(machine: &Machine, task: &str, number: usize, is_over: &AtomicBool) -> Sent {
    let mut sent = Sent::new();
    let mut round = 0;
    while round < 2 || !is_over.load(Ordering::Relaxed) {
        round += 1;
        let mut attempt = 0;
        let accepted = loop {
            attempt += 1;
            assert!(
                attempt < 50,
                "message {round} of session {number} is not accepted"
            );
            // A text of its own for each try: one that was lost on the way may have arrived all the same.
            let message = format!("round {round} try {attempt} session {number}");
            let result = machine.env.claustre(&["task", "send", task, &message]);
            sent.push((message.clone(), result.code == Some(0)));
            if result.code == Some(0) {
                break message;
            }
        };
        finish_turn(machine, task, &accepted);
    }
    sent
}

/// Allows whatever the session asks until the turn of this message has ended.
fn finish_turn(machine: &Machine, task: &str, message: &str) {
    let end = Instant::now() + TURN_LIMIT;
    loop {
        let shown = machine.env.claustre(&["session", "show", task, "--json"]);
        let session: Value = serde_json::from_str(&shown.stdout).unwrap_or_default();
        if session["ask"]["answerable"] == true {
            let ask = text(&session["ask"]["id"]);
            // Refused where it was answered by a call whose answer was lost: what it came to is seen at the end.
            machine
                .env
                .claustre(&["task", "approve", task, "--ask", &ask]);
        } else if session["claude_status"] == "idle" && session["ask"].is_null() {
            let worktree = session["worktree_path"].as_str().unwrap_or_default();
            let ran = std::fs::read_to_string(Path::new(worktree).join("ran.txt"));
            let slug = message.replace(' ', "-");
            if ran.unwrap_or_default().lines().any(|line| line == slug) {
                return;
            }
        }
        assert!(
            Instant::now() < end,
            "{message:?} did not run within {TURN_LIMIT:?}; its session: {session:#}\n{}",
            machine.logs()
        );
    }
}

/// What was accepted ran once and was typed once; what was not may have run once.
#[track_caller]
fn each_took_effect_once(machine: &Machine, task: &str, sent: &Sent) {
    let ran = std::fs::read_to_string(machine.worktree(task).join("ran.txt")).unwrap();
    let transcript = machine.transcript(task);
    for (message, is_accepted) in sent {
        let slug = message.replace(' ', "-");
        let times_ran = ran.lines().filter(|line| *line == slug).count();
        let times_typed = transcript
            .iter()
            .filter(|record| record["message"]["content"] == message.as_str())
            .count();
        let expected = if *is_accepted { 1..=1 } else { 0..=1 };
        assert!(
            expected.contains(&times_ran) && expected.contains(&times_typed),
            "{message:?} (accepted: {is_accepted}) ran {times_ran} times and was typed {times_typed} times\n{}",
            machine.logs()
        );
    }
}
