//! What can happen to a task besides being done: reset, sent back, deleted and wanted back, made to wait for another.

use std::path::Path;

use claustre_tests::wait_for;
use serde_json::{Value, json};

use super::support::{Gate, Machine, PATIENCE, number, runs, text};

fn finishing() -> Value {
    json!({"mcp": {"tool": "claustre_task_done", "arguments": {"summary": "Finished."}}})
}

fn bash(command: &str) -> Value {
    json!({"tool": {"name": "Bash", "input": {"command": command}}})
}

/// A machine whose `claude` finishes each task at once, with one commit.
fn machine(story: &str) -> Option<Machine> {
    Machine::with_script(
        story,
        &json!({"turns": [
            {"match": "And tests", "steps": [
                bash("echo tests > tests.txt && git add . && git commit --quiet --message=Tests"), finishing()]},
            {"match": "Look around", "steps": [{"say": "I see."}]},
            {"steps": [
                bash("echo work > work.txt && git add . && git commit --quiet --message=Work"), finishing()]}]}),
    )
}

fn statuses(machine: &Machine) -> Vec<(String, String)> {
    let tasks = machine.json(&["task", "list"]);
    let told = tasks.as_array().unwrap().iter();
    told.map(|task| (text(&task["title"]), text(&task["status"])))
        .collect()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("reading {}: {error}", path.display()))
}

#[test]
fn kill_and_reset_keeps_all_work_and_gives_it_back() {
    let Some(machine) = Machine::bare("kill and reset") else {
        return;
    };
    let gate = Gate::new(&machine.env);
    machine.env.claude_script(&json!({"turns": [{"steps": [
        bash("echo committed > committed.txt && git add . && git commit --quiet --message=Half"),
        bash("echo changed >> README.md; echo new > untracked.txt; echo staged > staged.txt; git add staged.txt"),
        bash(&gate.command("never.txt"))]}]}));
    let shop = machine.project("shop");
    let task = machine.launched("shop", "Rework the basket");
    gate.wait_until_reached();
    let session = machine.session_now(&task);
    let (worktree, branch) = (machine.worktree(&task), text(&session["branch_name"]));
    let client = number(&machine.last_client(&worktree)["pid"]);
    let before = machine.env.git(&worktree, &["status", "--porcelain"]);

    machine.claustre(&["task", "kill", &task, "--yes"]);
    machine.wait_task(&task, "pending");
    wait_for("the client to end", PATIENCE, || !runs(client));
    let kept = machine.wait_json("the snapshot", &["worktree", "list"], |kept| {
        kept[0]["branch"] == json!(branch)
    });
    assert!(!worktree.exists(), "the worktree is gone");
    assert_eq!(machine.json(&["session", "list"]), json!([]));
    let reference = text(&kept[0]["reference"]);
    assert!(reference.starts_with("refs/claustre/trash/"), "{reference}");
    machine.is_clean_everywhere(&shop);

    machine.claustre(&["worktree", "restore", &text(&kept[0]["name"])]);
    assert_eq!(read(&worktree.join("README.md")), "# shop\nchanged\n");
    assert_eq!(read(&worktree.join("untracked.txt")), "new\n");
    assert_eq!(read(&worktree.join("staged.txt")), "staged\n");
    assert_eq!(read(&worktree.join("committed.txt")), "committed\n");
    let log = machine
        .env
        .git(&worktree, &["log", "--format=%s", "main.."]);
    assert_eq!(log, "Half", "the commit is there, and none of ours");
    let after = machine.env.git(&worktree, &["status", "--porcelain"]);
    let files = |status: &str| {
        let mut names: Vec<String> = status.lines().map(|line| line[3..].to_owned()).collect();
        names.retain(|name| name != "never.txt");
        names
    };
    assert_eq!(files(&after), files(&before));
    machine.replay_agrees();
}

#[test]
fn what_was_kept_is_let_go_only_after_its_days_and_a_yes() {
    let Some(machine) = machine("sweeping snapshots") else {
        return;
    };
    let shop = machine.project("shop");
    let task = machine.launched("shop", "Rework the basket");
    machine.wait_task(&task, "in_review");
    machine.claustre(&["task", "kill", &task, "--yes"]);
    let kept = machine.wait_json("the snapshot", &["worktree", "list"], |kept| {
        kept[0]["reference"].is_string()
    });
    let refs = || {
        machine
            .env
            .git(&shop, &["for-each-ref", "refs/claustre/trash"])
    };
    let young = machine.json(&["worktree", "sweep", "--yes"]);
    assert_eq!(young, json!({"days": 30, "expired": [], "failed": []}));
    let all = ["worktree", "sweep", "--days", "0"];
    let refused = machine.refused(&all);
    assert!(refused.contains("not confirmed"), "{refused}");
    let would = machine.json(&[&all[..], &["--dry-run"]].concat());
    assert_eq!(would["expired"], kept);
    assert!(refs().contains(&text(&kept[0]["reference"])));

    let swept = machine.json(&[&all[..], &["--yes"]].concat());
    assert_eq!(swept["expired"], kept);
    assert_eq!(refs(), "");
    assert_eq!(machine.json(&["worktree", "list"]), json!([]));
    machine.refused(&["worktree", "restore", &text(&kept[0]["name"])]);
    machine.is_clean_everywhere(&shop);

    // With a repository that is gone, what it kept is.
    let task = machine.launched("shop", "Sort the shelves");
    machine.wait_task(&task, "in_review");
    machine.claustre(&["task", "kill", &task, "--yes"]);
    let kept = machine.wait_json("the snapshot", &["worktree", "list"], |kept| {
        kept[0]["reference"].is_string()
    });
    std::fs::rename(&shop, shop.with_file_name("elsewhere")).unwrap();
    let swept = machine.json(&[&all[..], &["--yes"]].concat());
    assert_eq!((&swept["expired"], &swept["failed"]), (&kept, &json!([])));
    machine.replay_agrees();
}

#[test]
fn a_task_that_was_reset_is_launched_again_on_its_branch() {
    let Some(machine) = machine("a reset task launched again") else {
        return;
    };
    let shop = machine.project("shop");
    let task = machine.launched("shop", "Rework the basket");
    machine.wait_task(&task, "in_review");
    let first = machine.wait_session(&task, "idle", "");
    machine.claustre(&["task", "kill", &task, "--yes"]);
    machine.wait_task(&task, "pending");
    machine.claustre(&["task", "launch", &task]);
    machine.wait_task(&task, "in_review");
    let second = machine.wait_session(&task, "idle", "");
    assert_ne!(first["id"], second["id"]);
    assert_eq!(first["branch_name"], second["branch_name"]);
    let log = machine
        .env
        .git(&machine.worktree(&task), &["log", "--format=%s", "main.."]);
    assert!(log.contains("Work"), "its commit is still there: {log}");
    machine.is_clean_everywhere(&shop);
    machine.replay_agrees();
}

#[test]
fn a_task_is_sent_back_once_and_then_done() {
    let Some(machine) = machine("sent back and done") else {
        return;
    };
    let shop = machine.project("shop");
    let task = machine.launched("shop", "Rework the basket");
    machine.wait_task(&task, "in_review");
    machine.wait_session(&task, "idle", "");
    let worktree = machine.worktree(&task);
    let client = number(&machine.last_client(&worktree)["pid"]);

    machine.claustre(&["task", "review", &task, "And tests, please"]);
    let what = "the feedback to be worked in";
    machine.wait_json(what, &["task", "show", &task], |_| {
        worktree.join("tests.txt").exists()
    });
    machine.wait_task(&task, "in_review");
    machine.wait_session(&task, "idle", "");
    machine.is_clean_everywhere(&shop);
    assert_eq!(machine.clients_started(&worktree), 1);

    machine.claustre(&["task", "done", &task]);
    machine.wait_task(&task, "done");
    wait_for("the client to end", PATIENCE, || !runs(client));
    assert_eq!(machine.json(&["session", "list"]), json!([]));
    assert_eq!(machine.json(&["inbox"]).as_array().map(Vec::len), Some(0));
    let branches = machine.env.git(&shop, &["log", "--all", "--format=%s"]);
    assert!(
        branches.contains("Work") && branches.contains("Tests"),
        "the work is in the repository: {branches}"
    );
    machine.replay_agrees();
}

#[test]
fn a_deleted_task_comes_back_and_one_waits_for_another() {
    let Some(machine) = machine("delete, undo and dependencies") else {
        return;
    };
    machine.project("shop");
    let first = machine.task("shop", "First", &[]);
    let second = machine.task("shop", "Second", &["--after", &first]);
    machine.claustre(&["task", "delete", &second, "--yes"]);
    assert_eq!(statuses(&machine), [("First".into(), "pending".into())]);
    machine.claustre(&["task", "undo"]);
    assert_eq!(statuses(&machine).len(), 2);
    let back = machine.task_now(&second);
    assert_eq!(back["task"]["depends_on"], json!([first]), "{back:#}");
    assert_eq!(back["waits_for"], json!(["First"]), "{back:#}");

    let why = machine.refused(&["task", "launch", &second]);
    assert!(why.contains("waits for 'First'"), "{why}");
    machine.claustre(&["task", "launch", &first]);
    machine.wait_task(&first, "in_review");
    machine.refused(&["task", "launch", &second]);
    machine.claustre(&["task", "done", &first]);
    machine.claustre(&["task", "launch", &second]);
    machine.wait_task(&second, "in_review");
    machine.replay_agrees();
}

#[test]
fn an_exploration_begins_without_a_prompt() {
    let Some(machine) = machine("an exploration") else {
        return;
    };
    let shop = machine.project("shop");
    let opened = machine.json(&["session", "new", "shop", "--branch", "spike/search"]);
    let session = text(&opened["id"]);
    let idle = machine.wait_session(&session, "idle", "");
    assert_eq!(idle["zellij_tab_name"], "shop:spike/search");
    let worktree = machine.worktree(&session);
    assert!(machine.transcript(&session).is_empty(), "nothing was asked");

    machine.claustre(&["session", "send", &session, "Look around"]);
    wait_for("the prompt", PATIENCE, || {
        machine
            .transcript(&session)
            .iter()
            .any(|record| record["message"]["content"] == "Look around")
    });
    machine.wait_session(&session, "idle", "");
    let client = number(&machine.last_client(&worktree)["pid"]);
    machine.claustre(&["session", "close", &session]);
    wait_for("the client to end", PATIENCE, || !runs(client));
    assert_eq!(machine.json(&["session", "list"]), json!([]));
    machine.is_clean_everywhere(&shop);
    machine.replay_agrees();
}
