//! The programs that Claustre works with, missing or too old.

use claustre_tests::{TestEnv, zellij};

use super::transcript::Transcript;

/// A project with a task, and a Zellij that says a good version.
fn env_with_task() -> TestEnv {
    let env = TestEnv::new();
    let shop = env.git_repo("shop");
    env.install_script("zellij", "#!/bin/sh\necho zellij 0.45.1\n");
    // Nothing of the machine's own.
    let bin = env.path("bin").display().to_string();
    let git = env.resolve("git".as_ref());
    env.install("git", &git);
    env.install("sh", std::path::Path::new("/bin/sh"));
    env.set("PATH", bin);
    env.claustre_in(&shop, &["project", "add", "shop"])
        .success();
    env.claustre(&["task", "add", "shop", "Task"]).success();
    env
}

fn is_still_pending(env: &TestEnv) -> bool {
    let tasks = env.claustre(&["task", "list", "--json"]).json();
    let sessions = env.claustre(&["session", "list", "--json"]).json();
    tasks[0]["status"] == "pending" && sessions == serde_json::json!([])
}

#[test]
fn no_claude_or_an_old_one_is_said_before_anything_is_opened() {
    let env = env_with_task();
    let mut said = Transcript::new(&env);
    std::fs::remove_file(env.path("bin/claude")).unwrap();
    assert_eq!(said.run(&["task", "launch", "Task"]).code, Some(1));
    assert!(is_still_pending(&env));
    env.install_script("claude", "#!/bin/sh\necho '1.0.3 (Claude Code)'\n");
    assert_eq!(said.run(&["task", "launch", "Task"]).code, Some(1));
    assert!(is_still_pending(&env));
    env.install_script(
        "claude",
        "#!/bin/sh\nprintf 'what \\033]0;x\\007 version'\n",
    );
    assert_eq!(said.run(&["task", "launch", "Task"]).code, Some(1));
    env.install_script("claude", "#!/bin/sh\necho broken >&2; exit 3\n");
    assert_eq!(said.run(&["task", "launch", "Task"]).code, Some(1));
    assert!(is_still_pending(&env));
    insta::assert_snapshot!(said.finish());
}

#[test]
fn no_zellij_or_an_old_one_is_said_before_anything_is_opened() {
    let env = env_with_task();
    let mut said = Transcript::new(&env);
    std::fs::remove_file(env.path("bin/zellij")).unwrap();
    assert_eq!(said.run(&["task", "launch", "Task"]).code, Some(1));
    assert!(is_still_pending(&env));
    env.install_script("zellij", "#!/bin/sh\necho zellij 0.40.0\n");
    assert_eq!(said.run(&["task", "launch", "Task"]).code, Some(1));
    assert!(is_still_pending(&env));
    insta::assert_snapshot!(said.finish());
    if let Ok(program) = zellij::binary() {
        env.install("zellij", &program);
        env.claustre(&["task", "launch", "Task"]).success();
    }
}
