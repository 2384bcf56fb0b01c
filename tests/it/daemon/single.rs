//! One daemon for each home, whatever happens to it.

use std::process::Stdio;
use std::time::Duration;

use claustre_tests::{TestEnv, wait_for};
use rustix::process::{Pid, Signal, kill_process};

const PATIENCE: Duration = Duration::from_secs(30);

fn daemon_pid(env: &TestEnv) -> Pid {
    let text = std::fs::read_to_string(env.claustre_home().join("run/lock")).unwrap();
    Pid::from_raw(text.trim().parse().unwrap()).unwrap()
}

fn starts(env: &TestEnv) -> usize {
    let log =
        std::fs::read_to_string(env.claustre_home().join("logs/daemon.log")).unwrap_or_default();
    log.lines()
        .filter(|line| line.contains("the daemon serves"))
        .count()
}

#[test]
fn two_hundred_clients_start_exactly_one() {
    let env = TestEnv::new();
    let program = env.resolve("claustre".as_ref());
    let children: Vec<_> = (0..200)
        .map(|_| {
            let mut command = env.command(&program);
            command
                .args(["project", "list"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    assert_eq!(starts(&env), 1);
}

#[test]
fn a_second_one_is_refused_and_the_first_goes_on() {
    let env = TestEnv::new();
    env.claustre(&["daemon", "start"]).success();
    let first = daemon_pid(&env);
    let second = env.claustre(&["daemon", "run"]);
    insta::assert_snapshot!(crate::cli::transcript::steady(&second.snapshot()));
    assert_eq!(daemon_pid(&env), first);
    env.claustre(&["daemon", "status"]).success();
    assert_eq!(starts(&env), 1);
}

#[test]
fn the_socket_of_a_killed_one_is_replaced() {
    let env = TestEnv::new();
    env.claustre(&["daemon", "start"]).success();
    let first = daemon_pid(&env);
    kill_process(first, Signal::KILL).unwrap();
    wait_for("it to be gone", PATIENCE, || {
        env.claustre(&["daemon", "status"]).code == Some(4)
    });
    assert!(
        env.claustre_home().join("run/daemon.sock").exists(),
        "nobody tidied up"
    );
    env.claustre(&["status"]).success();
    assert_ne!(daemon_pid(&env), first);
}

#[test]
fn a_daemon_killed_in_the_middle_loses_nothing_that_it_had_answered() {
    let env = TestEnv::new();
    let shop = env.git_repo("shop");
    env.claustre_in(&shop, &["project", "add", "shop"])
        .success();
    let program = env.resolve("claustre".as_ref());
    let mut children = Vec::new();
    for number in 0..24 {
        let mut command = env.command(&program);
        let child = command
            .args(["task", "add", "shop", &format!("Task {number}")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        children.push((number, child));
        if number % 8 == 5
            && let Ok(text) = std::fs::read_to_string(env.claustre_home().join("run/lock"))
            && let Some(pid) = text.trim().parse().ok().and_then(Pid::from_raw)
        {
            let _gone_already = kill_process(pid, Signal::KILL);
        }
    }
    let mut answered = Vec::new();
    for (number, child) in children {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            answered.push(number);
        } else {
            assert_eq!(output.status.code(), Some(4), "{said}");
            assert!(
                said.contains("error: ") && said.contains("\nhint: "),
                "{said}"
            );
        }
    }
    let tasks = env.claustre(&["task", "list", "--json"]).success().json();
    let titles: Vec<&str> = tasks
        .as_array()
        .unwrap()
        .iter()
        .map(|task| task["title"].as_str().unwrap())
        .collect();
    for number in answered {
        let title = format!("Task {number}");
        assert_eq!(
            titles.iter().filter(|known| **known == title).count(),
            1,
            "{title}"
        );
    }
    let replayed = env.claustre(&["replay", "--json"]).success().json();
    assert_eq!(replayed["differences"], serde_json::json!([]));
}

#[test]
fn a_store_of_a_newer_version_is_refused_and_left_alone() {
    let env = TestEnv::new();
    env.claustre(&["daemon", "start"]).success();
    env.claustre(&["daemon", "stop"]).success();
    let path = env.claustre_home().join("claustre.db");
    let mut store = std::fs::read(&path).unwrap();
    // `user_version` in the header of the file.
    store[60..64].copy_from_slice(&999_u32.to_be_bytes());
    std::fs::write(&path, &store).unwrap();
    let refused = env.claustre(&["status"]);
    insta::assert_snapshot!(refused.snapshot());
    assert_eq!(std::fs::read(&path).unwrap(), store);
    let doctor = env.claustre(&["doctor"]);
    assert_eq!(doctor.code, Some(1));
    assert!(
        doctor.stdout.contains("it has format 999"),
        "{}",
        doctor.stdout
    );
}
