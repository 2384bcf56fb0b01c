//! A pull request that a session's script tells of: seen during the turn, or after it.

use serde_json::json;

use super::support::Machine;

const FIRST: &str = "https://git.example/mara/shop/pull/412";
const SECOND: &str = "https://git.example/mara/shop/pull/413";

#[test]
fn a_pull_request_told_by_a_script_takes_the_task_to_review_when_its_turn_has_ended() {
    let Some(machine) = Machine::with_script(
        "a pull request told by a script",
        &json!({"turns": [
            {"match": "Tell at once", "steps": [
                {"tool": {"name": "Bash", "input": {"command":
                    format!("claustre session-update --session-id \"$CLAUSTRE_SESSION_ID\" --pr-url {FIRST} && claustre task show \"Tell at once\" --json > told.json")}}},
                {"say": "Told."}]},
            {"steps": [{"say": "Done, says nobody."}]}]}),
    ) else {
        return;
    };
    machine.project("shop");

    // In the middle of its turn it is noted; the end of the turn takes it to review.
    let task = machine.task("shop", "Tell at once", &["-m", "autonomous"]);
    machine.claustre(&["task", "launch", &task]);
    let seen = machine.wait_task(&task, "in_review");
    assert_eq!(seen["task"]["pr_url"], FIRST);
    let told = machine.worktree(&task).join("told.json");
    let during: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(told).unwrap()).unwrap();
    assert_eq!(during["task"]["pr_url"], FIRST);
    assert_eq!(during["task"]["status"], "working");

    // After its turn it goes to review at once.
    let late = machine.launched("shop", "Told later");
    // It rests before its first turn as well: afterwards it has used something.
    let rests = machine.wait_json("the end of its turn", &["session", "show", &late], |seen| {
        seen["claude_status"] == "idle" && seen["output_tokens"].as_u64() > Some(0)
    });
    let session = rests["id"].as_str().unwrap();
    assert_eq!(machine.task_now(&late)["task"]["status"], "working");
    let update = ["session-update", "--session-id", session, "--pr-url"];
    let refused = machine.refused(&[&update[..], &["http://git.example/1"]].concat());
    assert!(refused.contains("is no https address"), "{refused}");
    let shown = machine.json(&[&update[..], &[SECOND]].concat());
    assert_eq!(shown["status"], "in_review");
    assert_eq!(shown["pr_url"], SECOND);
    machine.replay_agrees();
}
