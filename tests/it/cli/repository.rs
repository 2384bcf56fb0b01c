//! What is given as a repository, a branch or a base, and what happens to work in a worktree.

use std::time::Duration;

use claustre_tests::skip::skip;
use claustre_tests::{TestEnv, wait_for, zellij};
use serde_json::json;

use super::transcript::Transcript;

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn what_is_no_usable_repository_is_said_with_what_to_do() {
    let env = TestEnv::new();
    env.git_repo("shop");
    let code = env.home().join("code");
    env.git(&code, &["clone", "--quiet", "--bare", "shop", "bare.git"]);
    env.git(&code, &["init", "--quiet", "unborn"]);
    std::fs::create_dir(code.join("plain")).unwrap();
    std::fs::write(code.join("file"), "").unwrap();
    std::fs::create_dir(code.join("shop/sub")).unwrap();
    let mut said = Transcript::new(&env);
    for (arguments, code) in [
        (&["project", "add", "plain", "plain"][..], 1),
        (&["project", "add", "bare", "bare.git"], 1),
        (&["project", "add", "unborn", "unborn"], 1),
        (&["project", "add", "gone", "no/such/place"], 1),
        (&["project", "add", "file", "file"], 1),
        (&["project", "add", "shop", "shop", "--base", "mian"], 1),
        (&["project", "add", "shop", "shop", "--base=-x"], 1),
        (&["project", "add", "shop", "shop/sub"], 0),
        (&["project", "add", "shop", "shop"], 1),
        (&["project", "edit", "shop", "--base", "nowhere"], 1),
        (&["project", "list", "--json"], 0),
    ] {
        assert_eq!(said.run(arguments).code, Some(code), "{arguments:?}");
    }
    insta::assert_snapshot!(said.finish());
}

#[test]
fn a_base_that_is_missing_and_a_branch_in_use_are_refused_before_anything_is_opened() {
    let env = TestEnv::new();
    let Ok(program) = zellij::binary() else {
        return skip(
            "a_base_that_is_missing_and_a_branch_in_use_are_refused_before_anything_is_opened",
            "no zellij",
        );
    };
    env.install("zellij", &program);
    let shop = env.git_repo("shop");
    env.git(
        &shop,
        &["worktree", "add", "--quiet", "-b", "taken", "../elsewhere"],
    );
    let mut said = Transcript::new(&env);
    for (arguments, code) in [
        (&["project", "add", "shop", "shop"][..], 0),
        (&["task", "add", "shop", "lost base", "--base", "mian"], 1),
        (
            &["task", "add", "shop", "first", "--branch", "feature/one"],
            0,
        ),
        // A branch that another task will make.
        (
            &["task", "add", "shop", "lost base", "--base", "feature/one"],
            0,
        ),
        (&["task", "edit", "lost base", "--base", "nowhere"], 1),
        (&["task", "launch", "lost base"], 1),
        (&["project", "add", "again", "shop"], 1),
        (&["project", "add", "again", "elsewhere"], 1),
        (&["task", "add", "shop", "on main", "--branch", "main"], 0),
        (&["task", "launch", "on main"], 1),
        (&["task", "add", "shop", "on taken", "--branch", "taken"], 0),
        (&["task", "launch", "on taken"], 1),
        (&["session", "new", "shop", "--branch", "main"], 1),
        (&["task", "list"], 0),
        (&["session", "list"], 0),
        (&["task", "edit", "lost base", "--base", "main"], 0),
    ] {
        assert_eq!(said.run(arguments).code, Some(code), "{arguments:?}");
    }
    insta::assert_snapshot!(said.finish());
    assert!(env.claude_starts().is_empty());
}

#[test]
fn work_in_a_dirty_worktree_is_kept_when_its_task_is_killed() {
    let env = TestEnv::new();
    let Ok(program) = zellij::binary() else {
        return skip(
            "work_in_a_dirty_worktree_is_kept_when_its_task_is_killed",
            "no zellij",
        );
    };
    env.install("zellij", &program);
    let shop = env.git_repo("shop");
    env.claude_script(&json!({"turns": [{"steps": [
        {"tool": {"name": "Write", "input": {"file_path": "half.txt", "content": "half done\n"}}},
        {"say": "Half of it is done."}]}]}));
    env.claustre_in(&shop, &["project", "add", "shop"])
        .success();
    env.claustre(&[
        "task",
        "add",
        "shop",
        "Half",
        "-m",
        "autonomous",
        "--permission-mode",
        "acceptEdits",
        "--launch",
    ])
    .success();
    let session = || {
        env.claustre(&["session", "list", "--json"])
            .success()
            .json()[0]
            .clone()
    };
    wait_for("the file", PATIENCE, || {
        session()["worktree_path"]
            .as_str()
            .is_some_and(|path| std::path::Path::new(path).join("half.txt").exists())
    });
    let worktree = session()["worktree_path"].as_str().unwrap().to_owned();
    env.claustre(&["task", "kill", "Half", "--yes"]).success();
    wait_for("the worktree to go", PATIENCE, || {
        !std::path::Path::new(&worktree).exists()
    });
    let kept = || {
        env.claustre(&["worktree", "list", "--json"])
            .success()
            .json()
    };
    wait_for("the snapshot to be listed", PATIENCE, || {
        kept()[0].is_object()
    });
    let kept = kept()[0].clone();
    let reference = kept["reference"].as_str().unwrap();
    assert!(reference.starts_with("refs/claustre/trash/"), "{reference}");
    assert_eq!(
        env.git(&shop, &["show", &format!("{reference}:half.txt")]),
        "half done"
    );
    env.claustre(&["worktree", "restore", kept["name"].as_str().unwrap()])
        .success();
    let back = std::fs::read_to_string(std::path::Path::new(&worktree).join("half.txt"));
    assert_eq!(back.unwrap(), "half done\n");
    assert_eq!(env.git(&shop, &["status", "--porcelain"]), "");
    assert_eq!(
        env.claustre(&["task", "list", "--json"]).json()[0]["status"],
        "pending"
    );
}
