//! Clients, launchers and daemons are killed in the middle of their work, and nothing is lost.

use std::path::Path;

use claustre_tests::wait_for;
use serde_json::{Value, json};

use super::support::{
    Gate, Machine, PATIENCE, kill_9, number, parent_of, runs, text, tool_results,
};

const DONE: &str = "All of it is done.";

fn finishing() -> Value {
    json!({"mcp": {"tool": "claustre_task_done", "arguments": {"summary": DONE}}})
}

/// A machine whose `claude` waits at a gate in the middle of a turn, and finishes when it is told to go on.
fn machine(story: &str, needs_permission: bool) -> Option<(Machine, Gate)> {
    let machine = Machine::bare(story)?;
    let gate = Gate::new(&machine.env);
    machine.env.claude_script(&json!({"turns": [
        {"match": "Go on", "steps": [
            {"say": "I go on."},
            {"tool": {"name": "Bash", "input": {"command": "git add . && git commit --quiet --allow-empty --message=More"}}},
            finishing()]},
        {"match": "Also", "steps": [{"say": "That, too."}]},
        {"steps": [
            {"usage": {"input_tokens": 10, "output_tokens": 21, "cache_read_input_tokens": 300, "cache_creation_input_tokens": 0}},
            {"say": "I begin."},
            {"tool": {"name": "Bash", "input": {"command": gate.command("passed.txt")}, "needs_permission": needs_permission}},
            {"tool": {"name": "Bash", "input": {"command": "git add . && git commit --quiet --message=Work"}}},
            {"say": "That was it."}]}]}));
    Some((machine, gate))
}

fn prompts(machine: &Machine, task: &str, prompt: &str) -> usize {
    machine
        .transcript(task)
        .iter()
        .filter(|record| record["message"]["content"] == prompt)
        .count()
}

fn claude_id(start: &Value, option: &str) -> Option<String> {
    let argv = start["argv"].as_array()?;
    let at = argv.iter().position(|word| word == option)?;
    argv.get(at + 1)?.as_str().map(str::to_owned)
}

fn spooled(machine: &Machine) -> usize {
    std::fs::read_dir(machine.env.claustre_home().join("spool"))
        .map(|files| files.flatten().filter(|file| file.path().is_file()).count())
        .unwrap_or_default()
}

#[test]
fn a_killed_client_is_told_and_its_conversation_continued() {
    let Some((machine, gate)) = machine("a killed client", false) else {
        return;
    };
    let shop = machine.project("shop");
    let task = machine.launched("shop", "Survey the code");
    gate.wait_until_reached();
    let worktree = machine.worktree(&task);
    let first = machine.last_client(&worktree);
    kill_9(number(&first["pid"]));

    machine.wait_session(&task, "error", "crashed");
    let task_now = machine.wait_task(&task, "interrupted");
    assert!(
        !text(&task_now["task"]["status_reason"]).is_empty(),
        "it says why: {task_now:#}"
    );
    let inbox = machine.json(&["inbox"]);
    assert_eq!(inbox[0]["task_id"], json!(task), "it needs me: {inbox:#}");

    machine.claustre(&["session", "resume", &task]);
    machine.wait_task(&task, "working");
    machine.wait_session(&task, "idle", "");
    assert_eq!(machine.clients_started(&worktree), 2);
    let second = machine.last_client(&worktree);
    let conversation = claude_id(&first, "--session-id");
    assert!(conversation.is_some(), "{first:#}");
    assert_eq!(claude_id(&second, "--resume"), conversation, "{second:#}");

    machine.claustre(&["task", "send", &task, "Go on"]);
    machine.wait_task(&task, "in_review");
    machine.wait_session(&task, "idle", "");
    machine.usage_is_the_transcript_s(&task);
    assert_eq!(
        machine.json(&["session", "list"]).as_array().unwrap().len(),
        1
    );
    machine.is_clean_everywhere(&shop);
    machine.replay_agrees();
}

#[test]
fn a_daemon_killed_in_the_middle_of_a_turn_loses_nothing() {
    let Some((machine, gate)) = machine("a killed daemon", false) else {
        return;
    };
    let shop = machine.project("shop");
    let task = machine.launched("shop", "Survey the code");
    gate.wait_until_reached();
    let worktree = machine.worktree(&task);
    machine.wait_session(&task, "working", "");
    kill_9(machine.daemon());

    // The client works on alone; what it has to tell waits.
    gate.open();
    let registry = machine.env.home().join(".claude/sessions");
    wait_for("the client to be idle", PATIENCE, || {
        registry_says(&registry, "idle")
    });
    assert!(worktree.join("passed.txt").exists());
    wait_for("reports that wait", PATIENCE, || spooled(&machine) > 0);

    // The next command starts a daemon, which reads them.
    machine.wait_session(&task, "idle", "");
    wait_for("the reports to be read", PATIENCE, || {
        spooled(&machine) == 0
    });
    machine.usage_is_the_transcript_s(&task);
    assert_eq!(machine.clients_started(&worktree), 1);

    machine.claustre(&["task", "send", &task, "Go on"]);
    machine.wait_task(&task, "in_review");
    machine.wait_session(&task, "idle", "");
    machine.usage_is_the_transcript_s(&task);
    machine.is_clean_everywhere(&shop);
    machine.replay_agrees();
}

#[test]
fn a_permission_outlives_the_daemon_that_was_asked() {
    let Some((machine, gate)) = machine("a permission and a killed daemon", true) else {
        return;
    };
    machine.project("shop");
    let task = machine.launched("shop", "Survey the code");
    let before = machine.wait_ask(&task, "permission");
    kill_9(machine.daemon());
    machine.claustre(&["daemon", "start"]);
    let after = machine.wait_ask(&task, "permission");
    assert_eq!(after["id"], before["id"], "it is the same question");
    machine.wait_session(&task, "waiting_for_input", "permission");

    machine.approve(&task);
    gate.wait_until_reached();
    gate.open();
    let session = machine.wait_session(&task, "idle", "");
    assert!(session["ask"].is_null(), "{session:#}");
    assert!(machine.worktree(&task).join("passed.txt").exists());
    machine.replay_agrees();
}

#[test]
fn a_permission_outlives_the_hook_that_waits_for_its_answer() {
    let Some((machine, gate)) = machine("a permission and a killed hook", true) else {
        return;
    };
    machine.project("shop");
    let task = machine.launched("shop", "Survey the code");
    let before = machine.wait_ask(&task, "permission");
    let waiting = |again: bool| {
        machine.env.processes().into_iter().find(|(_, arguments)| {
            let word = |number: usize| arguments.get(number).map(String::as_str);
            word(1) == Some("hook") && (word(2) == Some("--again")) == again
        })
    };
    let (first, _) = waiting(false).expect("the hook that waits");
    kill_9(first.as_raw_nonzero().get().cast_unsigned());
    wait_for("its shell to start another", PATIENCE, || {
        waiting(true).is_some()
    });
    let after = machine.wait_ask(&task, "permission");
    assert_eq!(after["id"], before["id"], "it is the same question");
    let id = text(&after["id"]);
    machine.wait_json(
        "the answer to be taken",
        &["session", "show", &task],
        |_| {
            machine
                .env
                .claustre(&["task", "approve", &task, "--ask", &id]);
            gate.is_reached()
        },
    );
    gate.open();
    machine.wait_session(&task, "idle", "");
    let worktree = machine.worktree(&task);
    let kept = machine.env.claustre_home().join("sessions");
    assert!(worktree.join("passed.txt").exists());
    wait_for("nothing to be kept of what was asked", PATIENCE, || {
        let sessions = std::fs::read_dir(&kept).unwrap().flatten();
        sessions
            .filter_map(|session| std::fs::read_dir(session.path().join("asking")).ok())
            .all(|mut asking| asking.next().is_none())
    });
    machine.replay_agrees();
}

#[test]
fn a_question_of_the_agent_outlives_the_daemon_that_was_asked() {
    let question = json!({"question": "Which colour?", "options": ["red", "blue"]});
    let script = json!({"turns": [{"steps": [
        {"mcp": {"tool": "claustre_ask", "arguments": question}},
        finishing()]}]});
    let Some(machine) = Machine::with_script("a question and a killed daemon", &script) else {
        return;
    };
    machine.project("shop");
    let task = machine.launched("shop", "Paint it");
    let before = machine.wait_ask(&task, "question");
    kill_9(machine.daemon());
    // The next daemon starts with the answer itself, before the agent is connected again: one answer is enough.
    machine.claustre(&["task", "answer", &task, "blue"]);
    machine.wait_task(&task, "in_review");
    assert_eq!(before["options"], json!(["red", "blue"]));
    let session = machine.wait_session(&task, "idle", "");
    assert!(
        session["ask"].is_null(),
        "nothing is asked any more: {session:#}"
    );
    let told = tool_results(&machine.transcript(&task));
    assert!(told[0].contains("blue"), "{told:#?}");
    machine.replay_agrees();
}

#[test]
fn a_killed_launcher_is_noticed_and_its_session_continued() {
    let Some((machine, gate)) = machine("a killed launcher", false) else {
        return;
    };
    machine.project("shop");
    let task = machine.launched("shop", "Survey the code");
    gate.wait_until_reached();
    let worktree = machine.worktree(&task);
    let client = number(&machine.last_client(&worktree)["pid"]);
    let launcher = parent_of(client);
    let session = text(&machine.session_now(&task)["id"]);
    let second = machine.refused(&["session", "run", &session]);
    assert!(second.contains("runs in another pane already"), "{second}");
    assert_eq!(machine.clients_started(&worktree), 1);
    kill_9(launcher);
    machine.wait_session(&task, "error", "lost");
    machine.wait_task(&task, "interrupted");
    wait_for("the client to end with its pane", PATIENCE, || {
        !runs(client)
    });

    machine.claustre(&["session", "resume", &task]);
    machine.wait_task(&task, "working");
    machine.wait_session(&task, "idle", "");
    assert_eq!(machine.clients_started(&worktree), 2);
    machine.claustre(&["task", "send", &task, "Go on"]);
    machine.wait_task(&task, "in_review");
    machine.replay_agrees();
}

#[test]
fn a_client_that_takes_nothing_is_said_and_gets_its_message_after_a_restart() {
    let script = json!({"turns": [
        {"match": "Survey", "steps": [{"deaf": true}, {"say": "Surveyed."}]},
        {"match": "Go on", "steps": [{"mcp": {"tool": "claustre_task_done", "arguments": {"summary": "Went on."}}}]}]});
    let Some(machine) = Machine::with_script("a client that takes nothing", &script) else {
        return;
    };
    machine.project("shop");
    let task = machine.launched("shop", "Survey the code");
    machine.wait_session(&task, "idle", "");
    machine.claustre(&["task", "send", &task, "Go on"]);
    let told = machine.wait_session(&task, "waiting_for_input", "dialog");
    assert_eq!(told["queued_messages"], 1, "the message waits: {told:#}");
    let inbox = machine.json(&["inbox"]);
    let detail = text(&inbox[0]["detail"]);
    assert!(detail.contains("does not take what is typed"), "{inbox:#}");
    let log = machine.claustre(&["task", "log", &task]).stdout;
    assert!(log.contains("Surveyed."), "its screen is kept: {log}");

    machine.claustre(&["session", "restart", &task]);
    machine.wait_task(&task, "in_review");
    assert_eq!(machine.session_now(&task)["queued_messages"], 0);
    machine.replay_agrees();
}

#[test]
fn a_daemon_that_restarts_in_order_keeps_its_sessions_and_no_second_one_runs() {
    let Some((machine, gate)) = machine("a restarted daemon", false) else {
        return;
    };
    machine.project("shop");
    let task = machine.launched("shop", "Survey the code");
    gate.wait_until_reached();
    let first = machine.daemon();
    let refusal = machine.refused(&["daemon", "run"]);
    assert!(
        refusal.contains(&first.to_string()),
        "it says which one runs: {refusal}"
    );
    assert_eq!(machine.daemon(), first);

    machine.claustre(&["daemon", "restart"]);
    let second = machine.daemon();
    assert_ne!(second, first);
    wait_for("the first daemon to end", PATIENCE, || !runs(first));
    machine.wait_session(&task, "working", "");
    let worktree = machine.worktree(&task);

    // One that was told to stop stays away until it is asked for, whatever the client does meanwhile.
    machine.claustre(&["daemon", "stop"]);
    gate.open();
    wait_for("reports that wait", PATIENCE, || spooled(&machine) > 0);
    machine.refused(&["daemon", "status"]);
    machine.wait_session(&task, "idle", "");
    assert_eq!(machine.clients_started(&worktree), 1);
    machine.replay_agrees();
}

#[test]
fn a_message_sent_while_it_works_is_typed_once_when_it_is_idle() {
    let Some((machine, gate)) = machine("a queued message", false) else {
        return;
    };
    machine.project("shop");
    let task = machine.launched("shop", "Survey the code");
    gate.wait_until_reached();
    machine.claustre(&["task", "send", &task, "Also look at the tests"]);
    assert_eq!(machine.session_now(&task)["queued_messages"], 1);
    assert_eq!(prompts(&machine, &task, "Also look at the tests"), 0);
    // Not even a daemon that is killed meanwhile makes it two.
    kill_9(machine.daemon());
    machine.claustre(&["daemon", "start"]);
    assert_eq!(machine.session_now(&task)["queued_messages"], 1);

    gate.open();
    machine.wait_json(
        "the message to be typed",
        &["session", "show", &task],
        |seen| seen["queued_messages"] == 0,
    );
    machine.wait_session(&task, "idle", "");
    machine.claustre(&["task", "send", &task, "Go on"]);
    machine.wait_task(&task, "in_review");
    assert_eq!(prompts(&machine, &task, "Also look at the tests"), 1);
    assert_eq!(prompts(&machine, &task, "Go on"), 1);

    // As long as an argument can be: it is written in many parts and arrives as one prompt.
    let long = format!("{}all", "Mind each of these words. ".repeat(4_000));
    machine.claustre(&["task", "send", &task, &long]);
    machine.wait_json(
        "the long message to be taken",
        &["session", "show", &task],
        |seen| seen["queued_messages"] == 0,
    );
    // The client tells its hook before it writes its transcript.
    wait_for("the prompt in the transcript", PATIENCE, || {
        prompts(&machine, &task, &long) > 0
    });
    assert_eq!(prompts(&machine, &task, &long), 1);
    machine.replay_agrees();
}

fn registry_says(folder: &Path, status: &str) -> bool {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files
        .filter_map(|file| std::fs::read_to_string(file.path()).ok())
        .filter_map(|text| serde_json::from_str::<Value>(&text).ok())
        .any(|entry| entry["status"] == status)
}
