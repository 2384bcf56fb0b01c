//! Tasks that are given to a session which is open already.

use serde_json::{Value, json};

use super::support::{Machine, text};

#[test]
fn an_open_session_is_given_a_task_and_a_script_feeds_it_the_next() {
    let Some(machine) = Machine::with_script(
        "tasks for an open session",
        &json!({"turns": [{"steps": [
            {"mcp": {"tool": "claustre_task_done", "arguments": {"summary": "Finished."}}}]}]}),
    ) else {
        return;
    };
    let shop = machine.project("shop");
    let first = machine.task("shop", "Rework the basket", &[]);
    let second = machine.task("shop", "Sort the shelves", &["-m", "autonomous"]);
    let open = || {
        let opened = machine.json(&["session", "new", "shop"]);
        let session = text(&opened["id"]);
        machine.wait_session(&session, "idle", "");
        session
    };

    let session = open();
    let given = machine.json(&["assign", &first, &session]);
    assert_eq!(given["status"], "working");
    assert_eq!(given["session_id"], json!(session));
    machine.wait_task(&first, "in_review");
    let prompts = prompts(&machine, &session);
    assert!(
        prompts.len() == 1 && prompts[0].starts_with("# Rework the basket\n"),
        "{prompts:?}"
    );

    // What waits for review keeps its branch; another session takes the next task that may run by itself.
    machine.wait_session(&session, "idle", "");
    let refused = machine.refused(&["feed-next", "--session-id", &session]);
    assert!(refused.contains("which is in review"), "{refused}");
    let session = open();
    let fed = machine.json(&["feed-next", "--session-id", &session]);
    assert_eq!(fed["id"], json!(second));
    machine.wait_task(&second, "in_review");
    let nothing = machine.json(&["feed-next", "--session-id", &session]);
    assert_eq!(nothing, Value::Null);
    machine.is_clean_everywhere(&shop);
    machine.replay_agrees();
}

fn prompts(machine: &Machine, session: &str) -> Vec<String> {
    machine
        .transcript(session)
        .iter()
        .filter(|record| record["type"] == "user")
        .filter_map(|record| record["message"]["content"].as_str())
        .map(str::to_owned)
        .collect()
}
