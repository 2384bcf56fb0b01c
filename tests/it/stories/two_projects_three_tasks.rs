//! Somebody with two repositories adds both, writes three tasks, launches them, answers what is asked, and finds the
//! finished work in review. No Zellij is attached: the sessions run in one in the background.

use serde_json::{Value, json};

use super::support::{Machine, text, tool_results};

/// What `claude` does with each of the three prompts.
fn script() -> Value {
    let status = |message: &str| json!({"mcp": {"tool": "claustre_status", "arguments": {"state": "working", "message": message}}});
    let done = |summary: &str| json!({"mcp": {"tool": "claustre_task_done", "arguments": {"summary": summary}}});
    let commit = |file: &str| {
        json!({"tool": {"name": "Bash", "input": {
            "command": format!("git add {file} && git commit --quiet --message='Add {file}'")}}})
    };
    json!({"turns": [
        {"match": "Clean the build", "steps": [
            {"usage": {"input_tokens": 120, "output_tokens": 30, "cache_read_input_tokens": 4000, "cache_creation_input_tokens": 7}},
            {"say": "I will look at what is there."},
            status("measuring the build folder"),
            {"tool": {"name": "Bash", "input": {"command": "echo cleaned > cleaned.txt"}, "needs_permission": true}},
            {"usage": {"input_tokens": 11, "output_tokens": 222, "cache_read_input_tokens": 9000, "cache_creation_input_tokens": 0}},
            commit("cleaned.txt"),
            done("The build folder is clean.")]},
        {"match": "Publish", "steps": [
            status("getting ready to publish"),
            {"tool": {"name": "Bash", "input": {"command": "echo published > published.txt"}, "needs_permission": true}},
            {"say": "Then I will leave it."},
            done("Nothing was published.")]},
        {"match": "Write notes", "steps": [
            status("writing the notes"),
            {"tool": {"name": "Write", "input": {"file_path": "notes.md", "content": "# Notes\n"}}},
            commit("notes.md"),
            done("The notes are written.")]}]})
}

#[test]
fn two_projects_three_tasks_one_approval_and_one_denial() {
    let Some(machine) = Machine::with_script("two projects and three tasks", &script()) else {
        return;
    };
    let shop = machine.project("shop");
    let site = machine.project("site");
    let clean = machine.task("shop", "Clean the build folder", &["--prio", "0"]);
    let publish = machine.task("shop", "Publish the package", &[]);
    let notes = machine.task("site", "Write notes", &["-d", "Write notes on the site"]);
    for task in [&clean, &publish, &notes] {
        machine.claustre(&["task", "launch", task]);
    }

    // One command may run, from the command line.
    let ask = machine.wait_ask(&clean, "permission");
    assert!(
        text(&ask["title"]).contains("echo cleaned"),
        "what is asked is said: {ask:#}"
    );
    let worktree = machine.worktree(&clean);
    assert!(!worktree.join("cleaned.txt").exists(), "it waits");
    // A script that does not say what it allows is refused with the command that does.
    let refused = machine.env.claustre(&["task", "approve", &clean]);
    let id = text(&ask["id"]).replace('-', "");
    let hint = format!("claustre task approve {clean} --ask {}", &id[..8]);
    assert!(
        refused.code == Some(2) && refused.stderr.contains(&hint),
        "{}",
        refused.snapshot()
    );
    let other = machine.refused(&["task", "approve", &clean, "--ask", "ffffffff"]);
    assert!(other.contains("does not ask 'ffffffff'"), "{other}");
    let inbox = machine.claustre(&["inbox"]).stdout;
    assert!(inbox.contains(&id[..8]), "{inbox}");
    assert!(!worktree.join("cleaned.txt").exists(), "it still waits");
    let allowed = machine.claustre(&["task", "approve", &clean, "--ask", &id[..12]]);
    assert!(
        allowed.stderr.contains("echo cleaned > cleaned.txt"),
        "what was allowed is printed: {}",
        allowed.stderr
    );
    let cleaned = machine.wait_task(&clean, "in_review");
    assert_eq!(
        std::fs::read_to_string(worktree.join("cleaned.txt")).unwrap(),
        "cleaned\n"
    );
    assert!(
        cleaned["session"]["ask"].is_null(),
        "nothing is asked any more: {cleaned:#}"
    );

    let diff = machine.claustre(&["task", "diff", &clean]).stdout;
    assert!(diff.contains("+++ b/cleaned.txt\n"), "{diff}");
    assert!(diff.contains("\n+cleaned"), "{diff}");

    // One may not, and the model reads why.
    machine.wait_ask(&publish, "permission");
    machine.deny(&publish, "not before Monday");
    machine.wait_task(&publish, "in_review");
    assert!(!machine.worktree(&publish).join("published.txt").exists());
    let told = tool_results(&machine.transcript(&publish));
    assert!(
        told.iter().any(|told| told.contains("not before Monday")),
        "the model reads the reason: {told:#?}"
    );

    // The third needed nobody.
    machine.wait_task(&notes, "in_review");
    assert_eq!(
        std::fs::read_to_string(machine.worktree(&notes).join("notes.md")).unwrap(),
        "# Notes\n"
    );

    for (task, message) in [
        (&clean, "measuring the build folder"),
        (&publish, "getting ready to publish"),
        (&notes, "writing the notes"),
    ] {
        machine.what_was_said_is_visible_within_a_second(task, message);
        machine.wait_session(task, "idle", "");
        machine.usage_is_the_transcript_s(task);
    }
    let clean_now = machine.task_now(&clean);
    assert_eq!(
        clean_now["task"]["output_tokens"], clean_now["session"]["output_tokens"],
        "a task counts what its session used: {clean_now:#}"
    );

    // What needs the user now is three reviews, and all that Claustre keeps is consistent and out of the way.
    let inbox = machine.json(&["inbox"]);
    let kinds: Vec<&Value> = inbox
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["kind"])
        .collect();
    assert_eq!(kinds, ["review", "review", "review"], "{inbox:#}");
    machine.is_clean_everywhere(&shop);
    machine.is_clean_everywhere(&site);
    machine.replay_agrees();

    machine.claustre(&["task", "done", &clean]);
    assert_eq!(machine.task_now(&clean)["task"]["status"], "done");
}
