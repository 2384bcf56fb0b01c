//! The main story with the real Claude Code client, in a network with nothing but loopback, where a script is the model.

use std::path::Path;

use claustre_tests::anthropic::{AnthropicServer, Script};
use claustre_tests::env::read_json_lines;
use claustre_tests::wait::wait_for_value;
use claustre_tests::wait_for;
use serde_json::{Value, json};

use super::dashboard::{open_dashboard, set_up, zellij};
use super::support::{Gate, Machine, PATIENCE, kill_9, number, text, tool_results};
use crate::equipment::real_client::client;
use crate::equipment::skip;

const KEY: &str = "sk-ant-fake-000";

/// What the model answers to each prompt.
fn model(gate: &Gate) -> Value {
    let bash = |command: &str| json!({"name": "Bash", "input": {"command": command, "description": "Work"}});
    let mcp = |tool: &str, input: Value| json!({"name": format!("mcp__claustre__{tool}"), "input": input});
    let status = |message: &str| {
        mcp(
            "claustre_status",
            json!({"state": "working", "message": message}),
        )
    };
    let done = |summary: &str| mcp("claustre_task_done", json!({"summary": summary}));
    let question = json!({"name": "AskUserQuestion", "input": {"questions": [{
        "question": "Which colour?", "header": "Colour", "multiSelect": false,
        "options": [{"label": "red", "description": "Warm"}, {"label": "blue", "description": "Cold"}]}]}});
    json!({
        "defaults": {"usage": {"input_tokens": 1200, "output_tokens": 50, "cache_read_input_tokens": 8000}},
        "turns": [
            {"match": "Clean the build", "steps": [
                {"text": "I look at it.",
                 "tool_use": bash("echo cleaned > cleaned.txt && git add cleaned.txt && git commit --quiet --message=Clean"),
                 "usage": {"output_tokens": 311}},
                // The client connects to its MCP servers while it works; a model is never this quick.
                {"tool_use": status("measuring the build folder"), "delay": 3.0},
                {"tool_use": done("The build folder is clean.")},
                {"text": "It is clean."}]},
            {"match": "Publish", "steps": [
                {"tool_use": bash("touch published.txt")},
                {"text": "Then I leave it.", "tool_use": question},
                {"tool_use": done("Nothing was published.")},
                {"text": "That was it."}]},
            {"match": "Write the notes", "steps": [
                {"tool_use": bash(&gate.command("never.txt"))},
                {"text": "Never said."}]},
            {"match": "Go on", "steps": [
                {"text": "I go on.", "tool_use": done("The notes are written.")},
                {"text": "They are written."}]},
            {"match": "Report what you do", "steps": [
                {"text": "I begin.", "tool_use": bash("true"), "delay": 3.0},
                {"tool_use": status("looking around")},
                {"tool_use": done("There was nothing to do.")},
                {"text": "That is all."}]},
            {"match": "Think about it", "steps": [{"text": "Hm, that takes a while.", "delay": 600.0}]}]})
}

/// The process of the client that holds a conversation, by the client's own registry.
#[track_caller]
fn client_of(machine: &Machine, task: &str) -> u32 {
    let conversation = text(&machine.session_now(task)["claude_session_id"]);
    let folder = machine.env.home().join(".claude/sessions");
    wait_for_value("the client in its registry", PATIENCE, || {
        let files = std::fs::read_dir(&folder).ok()?.flatten();
        files
            .flat_map(|file| read_json_lines(&file.path()))
            .find(|entry| entry["sessionId"] == json!(conversation))
            .map(|entry| number(&entry["pid"]))
    })
}

#[test]
fn the_main_story_with_the_real_client() {
    with_real_client("the main story with the real client", tell);
}

#[test]
fn a_dialog_of_the_real_client_is_said_and_waited_for() {
    with_real_client("a dialog of the real client", |machine, _| {
        let shop = machine.project("shop");
        machine
            .env
            .prepare_real_client(Path::new("/elsewhere"), KEY);
        let task = machine.launched("shop", "Go on");
        let inbox = machine.wait_json("the dialog in the inbox", &["inbox"], |inbox| {
            inbox[0]["kind"] == "dialog"
        });
        let session = machine.session_now(&task);
        assert_eq!(session["reason"], "no_hooks", "{session:#}\n{inbox:#}");
        let said = text(&inbox[0]["detail"]);
        assert!(
            said.contains("Is this a project you created or one you trust?"),
            "{said}"
        );
        assert!(said.contains("Go to the pane and answer it"), "{said}");

        // Nothing is typed into it, not even what is sent meanwhile; a person answers it in its pane.
        machine.claustre(&["task", "send", &task, "Think about it"]);
        let session = machine.wait_json("its pane", &["session", "show", &task], |seen| {
            seen["pane_id"].is_number()
        });
        machine.type_into(&session, "13");
        machine.wait_json(
            "the message to be taken once it rests",
            &["session", "show", &task],
            |seen| seen["queued_messages"] == 0 && seen["claude_status"] == "working",
        );
        machine.is_clean_everywhere(&shop);
    });
}

#[test]
fn a_client_that_searches_for_tools_is_still_offered_ours_with_every_request() {
    let story = "tools in every request";
    with_real_client_and_model(story, |machine, _, model| {
        // What the client does by itself with the vendor's own service.
        machine.env.set("ENABLE_TOOL_SEARCH", "true");
        let shop = machine.project("shop");
        machine.env.prepare_real_client(&shop, KEY);
        let task = machine.launched("shop", "Report what you do");
        machine.wait_task(&task, "in_review");
        let offered: Vec<Vec<String>> = model
            .main_requests()
            .iter()
            .map(|request| {
                let tools = request["tools"].as_array().into_iter().flatten();
                tools.map(text).collect()
            })
            .collect();
        let has = |tools: &[String], name: &str| tools.iter().any(|tool| tool == name);
        assert!(
            offered.iter().any(|tools| has(tools, "ToolSearch")),
            "the client does not search for tools: {offered:?}"
        );
        // Its first request does not wait for any server.
        for tools in offered.iter().skip(1) {
            for tool in ["claustre_status", "claustre_task_done", "claustre_ask"] {
                assert!(has(tools, &format!("mcp__claustre__{tool}")), "{offered:?}");
            }
        }
    });
}

/// Tells a story on a machine with the dashboard set up, the real client and the script as its model.
fn with_real_client(story: &str, tell: impl FnOnce(&Machine, &Gate) + Send) {
    with_real_client_and_model(story, |machine, gate, _| tell(machine, gate));
}

/// The same for a story that looks at what the model was sent.
fn with_real_client_and_model(
    story: &str,
    tell: impl FnOnce(&Machine, &Gate, &AnthropicServer) + Send,
) {
    let (program, network) = match client() {
        Ok(client) => client,
        Err(reason) => return skip(story, &reason),
    };
    let Some(machine) = Machine::bare(story) else {
        return;
    };
    let gate = Gate::new(&machine.env);
    machine.env.install("claude", &program);
    if !set_up(&machine, story) {
        return;
    }
    network.inside(|| {
        let server = AnthropicServer::start(Script::from_json(&model(&gate))).unwrap();
        machine.env.set("ANTHROPIC_API_KEY", KEY);
        machine.env.set("ANTHROPIC_BASE_URL", server.url());
        for name in [
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
            "DISABLE_TELEMETRY",
            "DISABLE_AUTOUPDATER",
        ] {
            machine.env.set(name, "1");
        }
        tell(&machine, &gate, &server);
    });
}

fn tell(machine: &Machine, gate: &Gate) {
    let shop = machine.project("shop");
    let site = machine.project("site");
    machine.env.prepare_real_client(&shop, KEY);
    machine.env.prepare_real_client(&site, KEY);
    let zellij = zellij(machine);
    open_dashboard(&zellij.terminal);
    let terminal = &zellij.terminal;
    let clean = machine.launched("shop", "Clean the build");
    let ask = machine.wait_ask(&clean, "permission");
    assert!(text(&ask["title"]).contains("echo cleaned"), "{ask:#}");
    terminal.wait_for_text("▲ 1 needs you", PATIENCE);
    terminal.send("!");
    terminal.wait_for_text("y allow", PATIENCE);
    let publish = machine.launched("shop", "Publish it");
    let notes = machine.launched("site", "Write the notes");
    machine.wait_ask(&publish, "permission");

    // One command may run, says the dashboard, where it stands in full.
    terminal.wait_for_text(
        "echo cleaned > cleaned.txt && git add cleaned.txt",
        PATIENCE,
    );
    terminal.send("y");
    machine.wait_task(&clean, "in_review");
    terminal.wait_for_text("The build folder is clean.", PATIENCE);
    let worktree = machine.worktree(&clean);
    assert!(worktree.join("cleaned.txt").exists());
    machine.what_was_said_is_visible_within_a_second(&clean, "measuring the build folder");

    // One may not; what the model asks then is answered from here, too.
    machine.wait_ask(&publish, "permission");
    machine.deny(&publish, "not before Monday");
    let question = machine.wait_ask(&publish, "question");
    assert_eq!(question["options"], json!(["red", "blue"]), "{question:#}");
    machine.claustre(&["task", "answer", &publish, "blue"]);
    machine.wait_task(&publish, "in_review");
    assert!(!machine.worktree(&publish).join("published.txt").exists());
    // The client writes its transcript a moment after it has told of a tool.
    wait_for(
        "the model to read the reason and the answer",
        PATIENCE,
        || {
            let told = tool_results(&machine.transcript(&publish));
            told.iter().any(|told| told.contains("not before Monday"))
                && told.iter().any(|told| told.contains("blue"))
        },
    );

    // One client is killed in the middle of a command, and its conversation continued.
    machine.wait_ask(&notes, "permission");
    machine.approve(&notes);
    gate.wait_until_reached();
    let conversation = text(&machine.session_now(&notes)["claude_session_id"]);
    kill_9(client_of(machine, &notes));
    machine.wait_session(&notes, "error", "crashed");
    machine.wait_task(&notes, "interrupted");
    machine.claustre(&["session", "resume", &notes]);
    machine.wait_task(&notes, "working");
    let resumed = machine.wait_session(&notes, "idle", "");
    assert_eq!(resumed["claude_session_id"], json!(conversation));

    // Escape in the pane: no hook tells of it, but the client's registry does.
    let thought = "Think about it,\nabout this,\nabout that,\nand about what is left";
    machine.claustre(&["task", "send", &notes, thought]);
    let working = machine.wait_session(&notes, "working", "");
    machine.type_into(&working, "27");
    let interrupted = machine.wait_session(&notes, "idle", "interrupted");
    assert_eq!(interrupted["source"], "registry", "{interrupted:#}");

    // The daemon is killed, and what was begun before it is ended after it.
    kill_9(machine.daemon());
    // With a message that takes more than one line of the link. The client has put what was interrupted back into its box.
    let long = format!(
        "Go on, and mind this:\n{}",
        "- a line that matters\n".repeat(1_500)
    );
    machine.claustre(&["task", "send", &notes, &long]);
    machine.wait_task(&notes, "in_review");
    let told = machine.transcript(&notes);
    let arrived = told.iter().any(|record| {
        record["message"]["content"]
            .as_str()
            .is_some_and(|prompt| prompt.trim() == long.trim())
    });
    assert!(arrived, "the long message arrived whole");

    std::fs::remove_file(machine.worktree(&notes).join("never.txt")).unwrap_or_default();
    for task in [&clean, &publish, &notes] {
        machine.wait_session(task, "idle", "");
        machine.usage_is_the_transcript_s(task);
    }
    machine.is_clean_everywhere(&shop);
    machine.is_clean_everywhere(&site);
    machine.replay_agrees();
}
