//! The stand-in for `claude`: the surface an orchestrator sees, driven from a terminal.

use std::path::PathBuf;
use std::time::Duration;

use claustre_tests::env::read_json_lines;
use claustre_tests::terminal::{CTRL_U, ENTER, ESCAPE};
use claustre_tests::{Terminal, TestEnv, wait_for};
use rustix::process::Signal;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(15);
const SESSION: &str = "11111111-2222-4333-8444-555555555555";

/// An environment with a repository, hooks that write down what they get, and a status line.
struct Lab {
    env: TestEnv,
    repository: PathBuf,
}

impl Lab {
    fn new(script: &Value) -> Self {
        let env = TestEnv::new();
        let repository = env.git_repo("shop");
        env.claude_script(script);
        env.set("LAB", env.root());
        env.install_script(
            "record",
            "#!/bin/sh\ntr -d '\\n' >>\"$LAB/hooks.jsonl\"; echo >>\"$LAB/hooks.jsonl\"\n",
        );
        let lab = Self { env, repository };
        lab.settings(&json!({}));
        lab
    }

    /// Settings with the recording hooks; `special` replaces the command of some events.
    fn settings(&self, special: &Value) {
        let events = [
            "SessionStart",
            "UserPromptSubmit",
            "PreToolUse",
            "PostToolUse",
            "PostToolUseFailure",
            "PermissionRequest",
            "Notification",
            "Stop",
            "StopFailure",
            "SessionEnd",
        ];
        let mut hooks = json!({});
        for event in events {
            let command = special[event].as_str().unwrap_or("record");
            hooks[event] =
                json!([{"hooks": [{"type": "command", "command": command, "timeout": 20}]}]);
        }
        let settings = json!({
            "permissions": {"allow": ["mcp__claustre"]},
            "hooks": hooks,
            "statusLine": {"type": "command", "command": "cat >\"$LAB/status.tmp\"; mv \"$LAB/status.tmp\" \"$LAB/status.json\"; echo footer-here"},
        });
        self.env.write("settings.json", &settings.to_string());
    }

    fn start(&self, arguments: &[&str]) -> Terminal {
        let settings = self.env.path("settings.json").display().to_string();
        let mut all = vec!["--settings", &settings];
        all.extend(arguments);
        Terminal::spawn_in(&self.env, &self.repository, "claude", &all, 100, 40)
    }

    fn hooks(&self) -> Vec<Value> {
        read_json_lines(&self.env.path("hooks.jsonl"))
    }

    fn names(&self) -> Vec<String> {
        let hooks = self.hooks();
        hooks
            .iter()
            .map(|hook| hook["hook_event_name"].as_str().unwrap().to_owned())
            .collect()
    }

    #[track_caller]
    fn wait_for_hook(&self, name: &str, count: usize, terminal: &Terminal) {
        terminal.wait_until(&format!("{count} {name}"), PATIENCE, |_| {
            self.names().iter().filter(|seen| *seen == name).count() >= count
        });
    }

    fn registry(&self) -> Option<Value> {
        let folder = std::fs::read_dir(self.env.home().join(".claude/sessions")).ok()?;
        let file = folder
            .flatten()
            .find(|file| file.path().extension().is_some_and(|end| end == "json"))?;
        serde_json::from_str(&std::fs::read_to_string(file.path()).ok()?).ok()
    }

    fn wait_for_status(&self, status: &str) {
        wait_for(
            &format!("status {status} in {:?}", self.registry()),
            PATIENCE,
            || {
                self.registry()
                    .is_some_and(|entry| entry["status"] == status)
            },
        );
    }

    fn transcript(&self) -> Vec<Value> {
        let start = self
            .hooks()
            .into_iter()
            .find(|hook| hook["hook_event_name"] == "SessionStart")
            .unwrap();
        read_json_lines(start["transcript_path"].as_str().unwrap().as_ref())
    }
}

#[test]
fn a_turn_runs_its_tools_and_tells_hooks_status_line_registry_and_transcript() {
    let lab = Lab::new(&json!({
        "rate_limits": {"five_hour": {"used_percentage": 42, "resets_in": 7200}},
        "turns": [{"match": "demo", "steps": [
            {"say": "I will run a command."},
            {"tool": {"name": "Bash", "input": {"command": "echo hello", "description": "Say hello"}}},
            {"tool": {"name": "Bash", "input": {"command": "ls /nonexistent-xyz", "description": "fails"}}},
            {"tool": {"name": "Write", "input": {"file_path": "a.txt", "content": "one\ntwo\n"}}},
            {"say": "All done."}]}]}));
    let terminal = lab.start(&[
        "--session-id",
        SESSION,
        "--name",
        "task 7",
        "--",
        "run the demo",
    ]);
    lab.wait_for_hook("Stop", 1, &terminal);
    lab.wait_for_status("idle");
    terminal.wait_for_text("All done.", PATIENCE);
    assert_eq!(
        std::fs::read_to_string(lab.repository.join("a.txt")).unwrap(),
        "one\ntwo\n"
    );

    assert_eq!(
        lab.names(),
        [
            "SessionStart",
            "UserPromptSubmit",
            "PreToolUse",
            "PostToolUse",
            "PreToolUse",
            "PostToolUseFailure",
            "PreToolUse",
            "PostToolUse",
            "Stop"
        ]
    );
    let hooks = lab.hooks();
    assert_eq!(hooks[3]["tool_response"]["stdout"], "hello");
    assert!(
        hooks[5]["error"]
            .as_str()
            .unwrap()
            .starts_with("Exit code 2\n"),
        "{}",
        hooks[5]
    );
    assert_eq!(hooks[8]["last_assistant_message"], "All done.");

    let entry = lab.registry().unwrap();
    assert_eq!(
        (&entry["sessionId"], &entry["name"], &entry["kind"]),
        (&json!(SESSION), &json!("task 7"), &json!("interactive"))
    );

    terminal.wait_for_text("footer-here", PATIENCE);
    let status = || -> Value {
        serde_json::from_str(
            &std::fs::read_to_string(lab.env.path("status.json")).unwrap_or_default(),
        )
        .unwrap_or_default()
    };
    wait_for("the status line with the last answer", PATIENCE, || {
        status()["cost"]["total_lines_added"] == 2
    });
    // 4 answers: a text with its tool is one.
    assert!(
        (status()["cost"]["total_cost_usd"].as_f64().unwrap() - 4.0 * 0.01125).abs() < 1e-9,
        "{}",
        status()
    );
    assert_eq!(
        status()["rate_limits"]["five_hour"]["used_percentage"],
        42.0
    );

    let records = lab.transcript();
    let answers: Vec<&Value> = records
        .iter()
        .filter(|record| record["type"] == "assistant")
        .collect();
    assert_eq!(answers.len(), 5);
    assert_eq!(
        answers[0]["message"]["id"], answers[1]["message"]["id"],
        "one record per content block"
    );
    assert_ne!(answers[1]["message"]["id"], answers[2]["message"]["id"]);
    assert_eq!(records.last().unwrap()["subtype"], "turn_duration");
}

#[test]
fn a_permission_is_answered_by_whoever_is_first() {
    let script = json!({"turns": [{"match": "touch", "steps": [
        {"tool": {"name": "Bash", "input": {"command": "touch made"}, "needs_permission": true}}, {"say": "Touched."}]}]});

    // The keyboard: Enter accepts.
    let lab = Lab::new(&script);
    lab.env.set("FAKE_CLAUDE_NOTIFY_MS", "50");
    let terminal = lab.start(&["--", "touch it"]);
    terminal.wait_for_text("1. Yes", PATIENCE);
    lab.wait_for_status("waiting");
    assert_eq!(lab.registry().unwrap()["waitingFor"], "permission prompt");
    lab.wait_for_hook("Notification", 1, &terminal);
    terminal.paste("lost");
    terminal.send(ENTER);
    lab.wait_for_hook("Stop", 1, &terminal);
    assert!(lab.repository.join("made").exists());
    assert!(
        !terminal.screen().contains("lost"),
        "a paste into a dialog is lost"
    );

    // A hook that allows, and one that denies with a reason.
    for (behavior, made) in [("allow", true), ("deny", false)] {
        let lab = Lab::new(&script);
        let decision = format!(
            "record; echo '{{\"hookSpecificOutput\":{{\"hookEventName\":\"PermissionRequest\",\"decision\":{{\"behavior\":\"{behavior}\",\"message\":\"not today\"}}}}}}'"
        );
        lab.settings(&json!({"PermissionRequest": decision}));
        let terminal = lab.start(&["--", "touch it"]);
        lab.wait_for_hook("Stop", 1, &terminal);
        assert_eq!(lab.repository.join("made").exists(), made, "{behavior}");
        if !made {
            terminal.wait_for_text("not today", PATIENCE);
        }
    }

    // Escape: the turn ends, and no hook tells of it.
    let lab = Lab::new(&script);
    let terminal = lab.start(&["--", "touch it"]);
    terminal.wait_for_text("1. Yes", PATIENCE);
    terminal.send(ESCAPE);
    lab.wait_for_status("idle");
    assert!(
        !lab.names().contains(&"Stop".to_owned()),
        "{:?}",
        lab.names()
    );
}

#[test]
fn prompts_are_typed_cleared_pasted_and_queued() {
    let lab = Lab::new(&json!({"turns": [
        {"match": "slow", "steps": [{"wait_ms": 700}, {"say": "Slow done."}]},
        {"steps": [{"say": "Answered {{prompt}}."}]}]}));
    let terminal = lab.start(&[]);
    lab.wait_for_hook("SessionStart", 1, &terminal);
    lab.wait_for_status("idle");
    terminal.send("rubbish");
    terminal.wait_for_text("> rubbish", PATIENCE);
    terminal.send(CTRL_U);
    terminal.paste("two\nlines");
    terminal.wait_for_text("lines", PATIENCE);
    // An Enter right behind a paste may be swallowed: it is repeated, never the text.
    wait_for("the prompt to be taken", PATIENCE, || {
        terminal.send(ENTER);
        lab.names().contains(&"UserPromptSubmit".to_owned())
    });
    lab.wait_for_hook("Stop", 1, &terminal);
    assert_eq!(lab.hooks()[1]["prompt"], "two\nlines");

    lab.wait_for_status("idle");
    terminal.send("slow\r");
    lab.wait_for_status("busy");
    terminal.send("later one\r");
    terminal.send("later two\r");
    lab.wait_for_hook("Stop", 3, &terminal);
    let prompts: Vec<Value> = lab
        .hooks()
        .into_iter()
        .filter(|hook| hook["hook_event_name"] == "UserPromptSubmit")
        .map(|hook| hook["prompt"].clone())
        .collect();
    assert_eq!(
        prompts,
        ["two\nlines", "slow", "later one", "later two"],
        "queued prompts go together in one turn"
    );
}

#[test]
fn an_interrupt_is_seen_in_the_registry_only() {
    let lab = Lab::new(
        &json!({"turns": [{"match": "slow", "steps": [{"say": "Begun."}, {"wait_ms": 60_000}, {"say": "x"}]}]}),
    );
    let terminal = lab.start(&["--", "slow"]);
    terminal.wait_for_text("Begun.", PATIENCE);
    lab.wait_for_status("busy");
    terminal.send(ESCAPE);
    lab.wait_for_status("idle");
    assert_eq!(lab.names(), ["SessionStart", "UserPromptSubmit"]);
    assert!(
        lab.transcript()
            .last()
            .unwrap()
            .to_string()
            .contains("[Request interrupted by user]")
    );
}

#[test]
fn a_stop_hook_gives_the_next_prompt() {
    let lab = Lab::new(
        &json!({"turns": [{"match": "second", "steps": [{"say": "Second done."}]}, {"steps": [{"say": "First done."}]}]}),
    );
    let once = r#"record; if [ ! -e "$LAB/once" ]; then touch "$LAB/once"; echo '{"hookSpecificOutput":{"hookEventName":"Stop","additionalContext":"the second task"}}'; fi"#;
    lab.settings(&json!({"Stop": once}));
    let terminal = lab.start(&["--", "first"]);
    lab.wait_for_hook("Stop", 2, &terminal);
    terminal.wait_for_text("Second done.", PATIENCE);
    let stops: Vec<Value> = lab
        .hooks()
        .into_iter()
        .filter(|hook| hook["hook_event_name"] == "Stop")
        .collect();
    assert_eq!(
        (&stops[0]["stop_hook_active"], &stops[1]["stop_hook_active"]),
        (&json!(false), &json!(true))
    );
}

#[test]
fn a_usage_limit_ends_in_a_menu() {
    let lab = Lab::new(&json!({
        "rate_limits": {"five_hour": {"used_percentage": 97, "resets_in": 60}},
        "turns": [{"steps": [{"error": {"kind": "rate_limit", "resets_in": 3600}}]}]}));
    let terminal = lab.start(&["--", "anything"]);
    lab.wait_for_hook("StopFailure", 1, &terminal);
    lab.wait_for_status("waiting");
    assert_eq!(lab.registry().unwrap()["waitingFor"], "dialog open");
    assert_eq!(lab.hooks().last().unwrap()["error"], "rate_limit");
    terminal.wait_for_text("Stop and wait", PATIENCE);
    terminal.send(ESCAPE);
    lab.wait_for_status("idle");
}

#[test]
fn a_session_is_resumed_and_its_id_is_never_used_twice() {
    let lab = Lab::new(
        &json!({"turns": [{"match": "crash", "steps": [{"say": "Going."}, {"crash": true}]}]}),
    );
    let mut terminal = lab.start(&["--session-id", SESSION, "--", "crash please"]);
    let status = terminal.wait_exit(PATIENCE);
    assert!(status.signal().is_some(), "{status:?}");
    assert!(lab.registry().is_some(), "kill -9 leaves the entry behind");
    let claude = |arguments: &[&str]| {
        let mut command = lab.env.command("claude");
        lab.env
            .run(command.args(arguments).current_dir(&lab.repository))
    };
    assert_eq!(
        claude(&["agents", "--json"]).json(),
        json!([]),
        "a dead process is no agent"
    );
    insta::assert_snapshot!(claude(&["--session-id", SESSION]).snapshot(), @r"
    exit: 1
    ----- stdout -----

    ----- stderr -----
    Error: Session ID [UUID] is already in use.
    ");
    insta::assert_snapshot!(claude(&["--resume", "99999999-2222-4333-8444-555555555555"]).snapshot(), @r"
    exit: 1
    ----- stdout -----

    ----- stderr -----
    No conversation found with session ID: [UUID]
    ");
    insta::assert_snapshot!(claude(&["--version"]).snapshot(), @r"
    exit: 0
    ----- stdout -----
    2.1.197 (Claude Code)
    ----- stderr -----
    ");

    std::fs::remove_dir_all(lab.env.home().join(".claude/sessions")).unwrap();
    let mut terminal = lab.start(&["--resume", SESSION]);
    lab.wait_for_hook("SessionStart", 2, &terminal);
    assert_eq!(lab.hooks().last().unwrap()["source"], "resume");
    terminal.wait_for_text("Going.", PATIENCE);
    assert_eq!(
        claude(&["agents", "--json"]).json()[0]["sessionId"],
        SESSION
    );
    terminal.send("/exit\r");
    assert_eq!(terminal.wait_exit(PATIENCE).exit_code(), 0);
    assert_eq!(lab.hooks().last().unwrap()["reason"], "prompt_input_exit");
    assert_eq!(lab.registry(), None);
}

#[test]
fn a_signal_ends_it_with_a_last_hook() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        let lab = Lab::new(&json!({}));
        let mut terminal = lab.start(&["--", "hello"]);
        lab.wait_for_hook("Stop", 1, &terminal);
        terminal.signal(signal);
        assert_eq!(terminal.wait_exit(PATIENCE).exit_code(), code);
        assert_eq!(lab.hooks().last().unwrap()["reason"], "other");
        assert_eq!(lab.registry(), None);
    }
}

#[test]
fn a_background_command_keeps_the_session_from_being_idle() {
    let lab = Lab::new(&json!({"turns": [
        {"match": "^<task-notification>", "steps": [{"say": "It has finished."}]},
        {"steps": [{"background": {"command": "until [ -e \"$LAB/go\" ]; do sleep 0.02; done", "description": "bg"}}, {"say": "Started."}]}]}));
    let terminal = lab.start(&["--", "begin"]);
    lab.wait_for_hook("Stop", 1, &terminal);
    lab.wait_for_status("shell");
    assert_eq!(
        lab.hooks().last().unwrap()["background_tasks"][0]["description"],
        "bg"
    );
    lab.env.write("go", "");
    lab.wait_for_hook("Stop", 2, &terminal);
    terminal.wait_for_text("It has finished.", PATIENCE);
    lab.wait_for_status("idle");
}

#[test]
fn an_unknown_hook_event_blocks_the_start() {
    let lab = Lab::new(&json!({}));
    lab.env
        .write("settings.json", r#"{"hooks": {"NopeEvent": []}}"#);
    let mut terminal = lab.start(&["--", "hello"]);
    terminal.wait_for_text("Unknown hook event \"NopeEvent\"", PATIENCE);
    terminal.send("2");
    assert_eq!(terminal.wait_exit(PATIENCE).exit_code(), 1);
}

/// A server in shell: enough JSON-RPC to see what a client sends. It writes down each line it gets.
const SERVER: &str = r#"#!/bin/sh
while read -r line; do
  echo "$line" >>"$LAB/mcp.jsonl"
  id=$(echo "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
  case "$line" in
    *'"initialize"'*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}}' ;;
    *'"tools/list"'*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"tools":[]}}' ;;
    *'"tools/call"'*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"content":[{"type":"text","text":"task '$TASK'"}]}}' ;;
  esac
done
"#;

#[test]
fn an_mcp_tool_is_called_with_the_environment_of_its_configuration() {
    let lab = Lab::new(&json!({"turns": [{"steps": [
        {"mcp": {"tool": "claustre_status", "arguments": {"state": "working", "message": "m"}}}, {"say": "Reported."}]}]}));
    lab.env.install_script("mcp-server", SERVER);
    lab.env.set("MY_TASK", "7");
    let config = json!({"mcpServers": {"claustre": {"command": "mcp-server", "args": [], "env": {"TASK": "${MY_TASK}"}}}});
    let config = lab
        .env
        .write("mcp.json", &config.to_string())
        .display()
        .to_string();
    let terminal = lab.start(&["--mcp-config", &config, "--", "report"]);
    lab.wait_for_hook("Stop", 1, &terminal);
    let post = lab
        .hooks()
        .into_iter()
        .find(|hook| hook["hook_event_name"] == "PostToolUse")
        .unwrap();
    assert_eq!(post["tool_name"], "mcp__claustre__claustre_status");
    assert_eq!(
        post["tool_response"],
        json!([{"type": "text", "text": "task 7"}])
    );
    let calls = read_json_lines(&lab.env.path("mcp.jsonl"));
    assert_eq!(calls[0]["params"]["clientInfo"]["name"], "claude-code");
    assert_eq!(
        calls.last().unwrap()["params"]["_meta"]["claudecode/toolUseId"],
        post["tool_use_id"]
    );
}

#[test]
fn the_built_in_script_edits_a_file_and_commits_it() {
    let lab = Lab::new(&json!({}));
    lab.env.unset("FAKE_CLAUDE_SCRIPT");
    lab.env.set("FAKE_CLAUDE_PACE_MS", "0");
    let terminal = lab.start(&[
        "--permission-mode",
        "acceptEdits",
        "--",
        "Fix the login form",
    ]);
    lab.wait_for_hook("Stop", 1, &terminal);
    assert!(lab.repository.join("notes/fix-the-login-form.md").exists());
    assert_eq!(
        lab.env.git(&lab.repository, &["log", "-1", "--format=%s"]),
        "Add notes on fix-the-login-form"
    );
    assert_eq!(lab.env.git(&lab.repository, &["status", "--short"]), "");
}

#[test]
fn print_mode_gives_one_result() {
    let lab = Lab::new(&json!({"turns": [{"match": "hi", "steps": [{"say": "Hello."}]}]}));
    let mut command = lab.env.command("claude");
    let result = lab.env.run(
        command
            .args(["-p", "hi", "--output-format", "json"])
            .current_dir(&lab.repository),
    );
    let json = result.success().json();
    assert_eq!(
        (&json["result"], &json["is_error"]),
        (&json!("Hello."), &json!(false))
    );
    assert_eq!(lab.env.claude_starts()[0]["argv"][0], "-p");
}
