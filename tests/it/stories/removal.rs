//! What becomes of a worktree when its session is closed: nothing is lost, and it goes only when nothing writes there any more.

use std::io::Write as _;
use std::process::{Command, Stdio};

use claustre_tests::wait_for;
use serde_json::json;

use super::support::{Machine, PATIENCE};

/// A machine with a repository that ignores `.env` and `vendor/`, and a client that ends its turn at once.
fn machine(story: &str) -> Option<Machine> {
    let machine = Machine::bare(story)?;
    machine
        .env
        .claude_script(&json!({"turns": [{"steps": [{"say": "I have looked."}]}]}));
    let shop = machine.project("shop");
    std::fs::write(shop.join(".gitignore"), ".env\nvendor/\n").unwrap();
    machine.env.git(&shop, &["add", ".gitignore"]);
    machine
        .env
        .git(&shop, &["commit", "--quiet", "--message=Ignore"]);
    Some(machine)
}

#[test]
fn a_worktree_goes_only_after_the_last_that_writes_there_and_comes_back_whole() {
    let Some(machine) = machine("a late writer") else {
        return;
    };
    let task = machine.launched("shop", "Look around");
    machine.wait_session(&task, "idle", "");
    let worktree = machine.worktree(&task);
    std::fs::write(worktree.join(".env"), "SECRET=1\n").unwrap();
    // What an agent left running in the background; it writes when it is told to, and ends.
    let mut late = Command::new("sh")
        .args(["-c", "read line; echo late > late.txt"])
        .current_dir(&worktree)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let client = machine.last_client(&worktree)["pid"].clone();
    let said = machine.claustre(&["task", "kill", &task, "--yes"]).stderr;
    assert!(said.contains("a snapshot keeps 1 ignored file"), "{said}");
    wait_for("the client to end", PATIENCE, || {
        !std::path::Path::new(&format!("/proc/{client}")).exists()
    });
    wait_for("the removal to wait", PATIENCE, || {
        let logs = machine.logs();
        logs.contains("waits to be removed") && logs.contains("sh -c read line")
    });
    writeln!(late.stdin.take().unwrap(), "now").unwrap();
    assert!(late.wait().unwrap().success());
    wait_for("the worktree to go", PATIENCE, || !worktree.exists());
    let kept = machine.wait_json("the snapshot", &["worktree", "list"], |kept| {
        kept.as_array().is_some_and(|kept| kept.len() == 1)
    });
    machine.claustre(&["worktree", "restore", kept[0]["name"].as_str().unwrap()]);
    let read = |name: &str| std::fs::read_to_string(worktree.join(name)).unwrap();
    assert_eq!(read("late.txt"), "late\n");
    assert_eq!(read(".env"), "SECRET=1\n");
    machine.replay_agrees();
}

#[test]
fn a_clone_in_an_ignored_directory_keeps_the_worktree_until_it_is_moved() {
    let Some(machine) = machine("an ignored clone") else {
        return;
    };
    let task = machine.launched("shop", "Look around");
    machine.wait_session(&task, "idle", "");
    let worktree = machine.worktree(&task);
    let clone = worktree.join("vendor/clone");
    std::fs::create_dir_all(&clone).unwrap();
    machine.env.git(&clone, &["init", "--quiet"]);
    machine.env.git(
        &clone,
        &["commit", "--quiet", "--allow-empty", "--message=unpushed"],
    );
    let said = machine.claustre(&["task", "kill", &task, "--yes"]).stderr;
    assert!(
        said.contains("the worktree stays:") && said.contains("vendor/clone"),
        "{said}"
    );
    let log = machine.wait_json("the reason", &["task", "log", &task], |log| {
        log.to_string().contains("the worktree stays:")
    });
    assert!(
        log.to_string().contains("claustre worktree remove"),
        "{log}"
    );
    machine.env.git(&clone, &["log", "-1", "--format=%s"]);

    let refused = machine.refused(&["worktree", "remove", &task, "--yes"]);
    assert!(refused.contains("vendor/clone"), "{refused}");
    std::fs::rename(&clone, machine.env.home().join("clone")).unwrap();
    machine.claustre(&["worktree", "remove", &task, "--yes"]);
    assert!(!worktree.exists());
    machine.replay_agrees();
}
