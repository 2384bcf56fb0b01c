//! The store is copied once a day, and read through after a daemon that was killed.

use std::{fs, path::PathBuf, time::Duration};

use claustre_domain::{
    Context,
    command::{Command, ProjectCommand},
    decide,
};
use claustre_protocol::{ids::ProjectId, time::Timestamp};
use claustre_tests::{TestEnv, wait_for};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);
const DAY: i64 = 24 * 60 * 60 * 1000;

/// A home whose store has a project that was added so many days ago.
fn home_of(days: i64) -> TestEnv {
    let env = TestEnv::new();
    let path = env.claustre_home().join("claustre.db");
    fs::create_dir_all(env.claustre_home()).unwrap();
    fs::set_permissions(
        env.claustre_home(),
        std::os::unix::fs::PermissionsExt::from_mode(0o700),
    )
    .unwrap();
    let mut store = claustre::store::Store::open(&path, uuid::Uuid::new_v4).unwrap();
    let now = Timestamp::from_millis(chrono::Utc::now().timestamp_millis() - days * DAY);
    let add = Command::Project(ProjectCommand::Add {
        project: ProjectId::new(uuid::Uuid::new_v4()),
        name: "shop".into(),
        repo_path: "/nowhere/shop".into(),
        default_branch: "main".into(),
        goal: String::new(),
        owner: String::new(),
    });
    let mut change = store.begin(now).unwrap();
    for event in decide(&change, &add, Context { now }).unwrap() {
        change.append(event, "test", None).unwrap();
    }
    change.commit().unwrap();
    store.checkpoint().unwrap();
    env
}

fn copies(env: &TestEnv) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(env.claustre_home().join("backups"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

fn kill(env: &TestEnv) {
    let pid = env.claustre(&["daemon", "status", "--json"]).json()["pid"].clone();
    let pid = i32::try_from(pid.as_i64().unwrap()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    wait_for("the daemon to be gone", PATIENCE, || {
        rustix::process::test_kill_process(pid).is_err()
    });
}

fn logged(env: &TestEnv, what: &str) -> bool {
    fs::read_dir(env.claustre_home().join("logs"))
        .unwrap()
        .flatten()
        .any(|file| fs::read_to_string(file.path()).unwrap().contains(what))
}

#[test]
fn a_store_without_a_copy_of_the_last_day_is_copied_and_a_younger_one_is_not() {
    let env = home_of(2);
    env.claustre(&["daemon", "start"]).success();
    wait_for("a copy", PATIENCE, || {
        copies(&env)
            .first()
            .is_some_and(|copy| copy.extension().is_some_and(|end| end == "db"))
    });
    // A copy is a store: put in its place it serves.
    env.claustre(&["daemon", "stop"]).success();
    let first = copies(&env);
    assert_eq!(first.len(), 1, "{first:?}");
    fs::copy(&first[0], env.claustre_home().join("claustre.db")).unwrap();
    let listed = env.claustre(&["project", "list", "--json"]).json();
    assert_eq!(listed[0]["name"], "shop");
    // The copy of a moment ago is enough; one made by hand does not count.
    env.claustre(&["backup"]).success();
    env.claustre(&["daemon", "stop"]).success();
    env.claustre(&["daemon", "start"]).success();
    assert_eq!(copies(&env).len(), 2);
    let findings = env.claustre(&["doctor", "--json"]).json();
    let backups = of(&findings, "backups");
    assert_eq!(backups["verdict"], "ok", "{backups}");
    let detail = backups["detail"].as_str().unwrap();
    assert!(detail.starts_with("1 kept, "), "{detail}");
}

fn of(findings: &Value, check: &str) -> Value {
    let mut found = findings.as_array().unwrap().iter();
    found.find(|one| one["check"] == check).unwrap().clone()
}

#[test]
fn after_a_kill_the_store_is_read_through_and_what_is_damaged_is_said_everywhere() {
    let env = home_of(0);
    env.claustre(&["daemon", "start"]).success();
    wait_for("the first look", PATIENCE, || {
        logged(&env, "the store is whole")
    });
    env.claustre(&["daemon", "stop"]).success();
    let mark = env.claustre_home().join("run/ended-in-order");
    wait_for("an end in order", PATIENCE, || mark.exists());
    env.claustre(&["daemon", "start"]).success();
    assert!(!mark.exists(), "a daemon that is killed leaves none");
    kill(&env);

    // The list of free pages is not as long as the file says: everything still works, and will not for long.
    let path = env.claustre_home().join("claustre.db");
    drop(claustre::store::Store::open(&path, uuid::Uuid::new_v4).unwrap());
    let mut bytes = fs::read(&path).unwrap();
    bytes[36..40].copy_from_slice(&7_u32.to_be_bytes());
    fs::write(&path, bytes).unwrap();
    env.claustre(&["daemon", "start"]).success();
    wait_for("the damage to be in the inbox", PATIENCE, || {
        let inbox = env.claustre(&["inbox", "--json"]).json();
        inbox[0]["kind"] == "error"
            && inbox[0]["detail"].as_str().is_some_and(|detail| {
                detail.starts_with("the store is damaged")
                    && detail.contains("claustre daemon stop")
            })
    });
    assert!(logged(&env, "the store is damaged"));
    let findings = env.claustre(&["doctor", "--json"]).json();
    let store = of(&findings, "store");
    assert_eq!(store["verdict"], "fail", "{store}");
    let hint = store["hint"].as_str().unwrap();
    assert!(hint.contains("claustre daemon stop"), "{hint}");
    // It stays in doubt until it is whole again.
    env.claustre(&["daemon", "stop"]).success();
    wait_for("the daemon to end", PATIENCE, || {
        env.claustre(&["daemon", "status"]).code == Some(4)
    });
    assert!(!mark.exists());
}
