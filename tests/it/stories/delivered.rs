//! Messages, starts and ends that go another way than planned: told once, started once, and said by one word.

use serde_json::{Value, json};

use super::support::{Machine, kill_9, number, parent_of, text};

fn script() -> Value {
    json!({"turns": [
        {"match": "Go on", "steps": [{"mcp": {"tool": "claustre_task_done", "arguments": {"summary": "Went on."}}}]},
        {"steps": [{"say": "Surveyed."}]}]})
}

/// How often the conversation has this prompt.
fn prompts(machine: &Machine, task: &str, prompt: &str) -> usize {
    machine
        .transcript(task)
        .iter()
        .filter(|record| record["message"]["content"] == prompt)
        .count()
}

/// The session's client is started again without the hook that tells of its prompts.
#[track_caller]
fn lose_prompt_hook(machine: &Machine, task: &str) {
    let session = text(&machine.session_now(task)["id"]);
    let path = machine
        .env
        .claustre_home()
        .join("sessions")
        .join(session)
        .join("settings.json");
    let mut settings: Value =
        serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let hooks = settings["hooks"].as_object_mut().unwrap();
    assert!(hooks.remove("UserPromptSubmit").is_some());
    std::fs::write(&path, settings.to_string()).unwrap();
    machine.claustre(&["session", "restart", task]);
    machine.wait_session(task, "idle", "");
}

/// A message whose hook is lost: its transcript confirms it, and it is typed once.
#[track_caller]
fn a_lost_hook_costs_nothing(machine: &Machine, task: &str) {
    lose_prompt_hook(machine, task);
    machine.claustre(&["task", "send", task, "Go on"]);
    machine.wait_task(task, "in_review");
    machine.wait_json(
        "the message to be confirmed",
        &["session", "show", task],
        |seen| seen["queued_messages"] == 0 && seen["ask"].is_null(),
    );
    assert_eq!(prompts(machine, task, "Go on"), 1);
    machine.wait_session(task, "idle", "");
    assert_eq!(prompts(machine, task, "Go on"), 1);
}

#[test]
fn a_message_whose_hook_is_lost_is_typed_once() {
    let Some(machine) = Machine::with_script("a lost hook", &script()) else {
        return;
    };
    machine.project("shop");
    let task = machine.launched("shop", "Survey the code");
    machine.wait_session(&task, "idle", "");
    a_lost_hook_costs_nothing(&machine, &task);
    machine.replay_agrees();
}

#[test]
fn a_killed_launcher_and_an_exit_have_words_of_their_own() {
    let Some(machine) = Machine::with_script("one end, one word", &script()) else {
        return;
    };
    machine.project("shop");
    let killed = machine.launched("shop", "Survey the code");
    let left = machine.launched("shop", "Look around");
    machine.wait_session(&killed, "idle", "");
    machine.wait_session(&left, "idle", "");
    kill_9(parent_of(number(
        &machine.last_client(&machine.worktree(&killed))["pid"],
    )));
    machine.wait_session(&killed, "error", "lost");
    let session = machine.session_now(&left);
    for byte in b"/exit\r" {
        machine.type_into(&session, &byte.to_string());
    }
    machine.wait_session(&left, "done", "exited");
    machine.wait_task(&left, "interrupted");
    machine.wait_session(&killed, "error", "lost");
    machine.replay_agrees();
}
