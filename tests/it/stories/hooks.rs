//! Somebody has a setup script and a git hook of their own, and a repository that brings some as well: what runs is what the
//! user wrote or looked at, and the repository's git behaves as it did.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use super::support::{Machine, PATIENCE};
use claustre_tests::wait_for;

fn script() -> Value {
    json!({"turns": [{"steps": [
        {"tool": {"name": "Bash", "input": {
            "command": "echo work > work.txt && git add work.txt && git commit --quiet --message=Work"}}},
        {"mcp": {"tool": "claustre_task_done", "arguments": {"summary": "Done."}}}]}]})
}

fn executable(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Launches a task, waits until its work is in review, and gives its timeline as one text.
fn work(machine: &Machine, title: &str) -> String {
    let task = machine.task("shop", title, &["--mode", "supervised"]);
    machine.claustre(&["task", "launch", &task]);
    machine.wait_task(&task, "in_review");
    machine.wait_session(&task, "idle", "");
    let worktree = machine.worktree(&task);
    let status = machine.env.git(
        &worktree,
        &["status", "--porcelain", "--untracked-files=all"],
    );
    assert_eq!(status, "", "the worktree is clean");
    machine.task_now(&task).to_string()
}

#[test]
fn scripts_and_hooks_run_by_whom_they_are_trusted() {
    let Some(machine) = Machine::with_script("scripts and hooks", &script()) else {
        return;
    };
    let shop = machine.project("shop");
    let record = machine.env.path("ran").display().to_string();
    let says = |what: &str| {
        format!("#!/bin/sh\necho {what} ${{PWD##*/}} ${{CLAUSTRE_PROJECT:-}} >> {record}\n")
    };
    let ran = || {
        let text = read(Path::new(&record));
        std::fs::remove_file(&record).ok();
        let lines: Vec<String> = text
            .lines()
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect();
        lines.join(" ")
    };
    let home = machine.env.claustre_home();
    executable(&home.join("hooks/setup"), &says("global-setup"));
    executable(&home.join("hooks/pre-commit"), &says("global-pre-commit"));
    executable(&shop.join(".git/hooks/pre-commit"), &says("own-pre-commit"));

    // The user's own run in the worktree, and the repository's hook still does.
    let timeline = work(&machine, "One");
    assert!(!timeline.contains("claustre trust"), "{timeline}");
    let lines = read(Path::new(&record));
    assert!(
        lines.starts_with("global-setup one-") && lines.contains(" shop\n"),
        "in the worktree: {lines}"
    );
    assert_eq!(ran(), "global-setup global-pre-commit own-pre-commit");

    // The repository's do not, and the launch says so.
    executable(&shop.join(".claustre/hooks/setup"), &says("project-setup"));
    executable(
        &shop.join(".claustre/hooks/post-commit"),
        &says("project-post-commit"),
    );
    machine.env.git(&shop, &["add", ".claustre"]);
    machine
        .env
        .git(&shop, &["commit", "--quiet", "--message=Hooks"]);
    assert_eq!(ran(), "own-pre-commit", "of the user's own commit");
    let timeline = work(&machine, "Two");
    assert!(timeline.contains("are not trusted"), "{timeline}");
    assert_eq!(ran(), "global-setup global-pre-commit own-pre-commit");

    // Nobody is there to be asked: no trust. Then there is.
    let path = shop.display().to_string();
    let refused = machine.refused(&["trust", &path]);
    assert!(
        refused.contains("project-setup") && refused.contains("--yes"),
        "it shows what it asks about: {refused}"
    );
    machine.claustre(&["trust", &path, "--yes"]);
    let timeline = work(&machine, "Three");
    assert!(!timeline.contains("are not trusted"), "{timeline}");
    assert_eq!(
        ran(),
        "project-setup global-pre-commit own-pre-commit project-post-commit"
    );

    // Any change ends it.
    executable(&shop.join(".claustre/hooks/setup"), &says("changed-setup"));
    let shown = machine.claustre(&["trust", "show", &path]).stdout;
    assert!(
        shown.contains("edited: hooks/setup") && shown.contains("+echo changed-setup"),
        "{shown}"
    );
    let timeline = work(&machine, "Four");
    assert!(
        timeline.contains("changed since they were trusted"),
        "{timeline}"
    );
    assert_eq!(ran(), "global-setup global-pre-commit own-pre-commit");

    // A setup that fails is told with its last words, and the worktree stays.
    executable(
        &home.join("hooks/setup"),
        "#!/bin/sh\necho the database is missing >&2\nexit 4\n",
    );
    let task = machine.launched("shop", "Five");
    let failed = machine.wait_task(&task, "error").to_string();
    assert!(
        failed.contains("exit code 4: the database is missing") && failed.contains("setup.log"),
        "{failed}"
    );
    let branches = machine.env.git(&shop, &["worktree", "list"]);
    assert!(branches.contains("task/five-"), "{branches}");

    // Before a worktree goes, its teardown runs.
    executable(&home.join("hooks/teardown"), &says("global-teardown"));
    let tasks = machine.json(&["task", "list"]);
    let one = tasks
        .as_array()
        .unwrap()
        .iter()
        .find(|task| task["title"] == "One")
        .unwrap();
    machine.claustre(&["task", "kill", one["id"].as_str().unwrap(), "--yes"]);
    wait_for("the teardown", PATIENCE, || {
        read(Path::new(&record)).starts_with("global-teardown one-")
    });
    let config = machine.env.git(&shop, &["config", "--list", "--local"]);
    assert!(!config.contains("hookspath"), "{config}");
    machine.replay_agrees();
}
