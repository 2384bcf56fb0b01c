//! The stand-in against the real client: the same turn must look the same from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use claustre_tests::anthropic::{AnthropicServer, Script};
use claustre_tests::env::read_json_lines;
use claustre_tests::netns::Network;
use claustre_tests::{Terminal, TestEnv, wait_for};
use serde_json::{Value, json};

use super::real_client::client;
use super::skip;

const PATIENCE: Duration = Duration::from_secs(30);
const KEY: &str = "sk-ant-fake-000";

/// Hooks, status line, registry and transcript of one turn.
struct Seen {
    hooks: Vec<Value>,
    status: Value,
    waiting: Value,
    registry: Value,
    transcript: Vec<Value>,
    question: Value,
}

const EVENTS: [&str; 9] = [
    "SessionStart",
    "UserPromptSubmit",
    "PreToolUse",
    "PostToolUse",
    "PostToolUseFailure",
    "PermissionRequest",
    "Stop",
    "StopFailure",
    "SessionEnd",
];

/// An environment whose settings record every hook and the status line.
fn lab() -> (TestEnv, PathBuf) {
    let env = TestEnv::new();
    let repository = env.git_repo("shop");
    env.set("LAB", env.root());
    env.install_script("record", "#!/bin/sh\n{ tr -d '\\n'; echo; } >\"$LAB/h.$$\"; cat \"$LAB/h.$$\" >>\"$LAB/hooks.jsonl\"\n");
    env.install_script(
        "status",
        "#!/bin/sh\ncat >\"$LAB/s.$$\"; mv \"$LAB/s.$$\" \"$LAB/status.json\"; echo footer\n",
    );
    let hooks: serde_json::Map<String, Value> = EVENTS
        .iter()
        .map(|event| {
            (
                (*event).to_owned(),
                json!([{"hooks": [{"type": "command", "command": "record", "timeout": 20}]}]),
            )
        })
        .collect();
    let settings = json!({
        "hooks": hooks,
        "permissions": {"allow": ["Bash(echo *)", "Bash(ls *)", "mcp__lab"]},
        "statusLine": {"type": "command", "command": "status"},
    });
    env.write("settings.json", &settings.to_string());
    env.install_script("lab-server", SERVER);
    env.write(
        "mcp.json",
        r#"{"mcpServers": {"lab": {"command": "lab-server", "args": []}}}"#,
    );
    (env, repository)
}

fn count(env: &TestEnv, name: &str) -> usize {
    let hooks = read_json_lines(&env.path("hooks.jsonl"));
    hooks
        .iter()
        .filter(|hook| hook["hook_event_name"] == name)
        .count()
}

fn registry(env: &TestEnv) -> Value {
    let Ok(folder) = std::fs::read_dir(env.home().join(".claude/sessions")) else {
        return Value::Null;
    };
    let file = folder
        .flatten()
        .find(|file| file.path().extension().is_some_and(|end| end == "json"));
    let text = file.and_then(|file| std::fs::read_to_string(file.path()).ok());
    text.and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default()
}

/// Drives one session: a turn with a good and a bad command, a permission, a question, and the end.
fn drive(env: &TestEnv, terminal: &mut Terminal) -> Seen {
    let wait = |what: &str, condition: &dyn Fn() -> bool| {
        terminal.wait_until(what, PATIENCE, |_| condition());
    };
    wait("the permission dialog", &|| {
        registry(env)["status"] == "waiting" && count(env, "PermissionRequest") == 1
    });
    let waiting = registry(env);
    terminal.wait_for_text("1. Yes", PATIENCE);
    terminal.send("1");
    wait("the question", &|| {
        registry(env)["status"] == "waiting" && count(env, "PermissionRequest") == 2
    });
    let question = registry(env);
    terminal.wait_for_text("red", PATIENCE);
    terminal.send("\r");
    wait("the end of the turn", &|| {
        count(env, "Stop") == 1 && registry(env)["status"] == "idle"
    });
    let registry = registry(env);
    wait("the status line after the turn", &|| {
        let text = std::fs::read_to_string(env.path("status.json")).unwrap_or_default();
        let status: Value = serde_json::from_str(&text).unwrap_or_default();
        status["context_window"]["current_usage"].is_object()
    });
    let status =
        serde_json::from_str(&std::fs::read_to_string(env.path("status.json")).unwrap()).unwrap();
    terminal.signal(rustix::process::Signal::TERM);
    assert_eq!(terminal.wait_exit(PATIENCE).exit_code(), 143);
    let hooks = read_json_lines(&env.path("hooks.jsonl"));
    let transcript = read_json_lines(Path::new(hooks[0]["transcript_path"].as_str().unwrap()));
    Seen {
        hooks,
        status,
        waiting,
        registry,
        transcript,
        question,
    }
}

/// Starts a client of either kind on a prompt.
fn start(env: &TestEnv, repository: &Path, program: &Path, prompt: &str) -> Terminal {
    let settings = env.path("settings.json").display().to_string();
    let mcp = env.path("mcp.json").display().to_string();
    let arguments = [
        "--session-id",
        "11111111-2222-4333-8444-555555555555",
        "--name",
        "task 7",
        "--settings",
        &settings,
        "--mcp-config",
        &mcp,
        "--strict-mcp-config",
        "--",
        prompt,
    ];
    Terminal::spawn_in(env, repository, program, &arguments, 110, 40)
}

/// How a test drives a client.
type Drive<T> = fn(&TestEnv, &mut Terminal) -> T;

fn real<T: Send>(
    program: &Path,
    network: &Network,
    turns: &Value,
    prompt: &str,
    drive: Drive<T>,
) -> T {
    let (env, repository) = lab();
    env.prepare_real_client(&repository, KEY);
    let script = json!({
        "defaults": {"usage": {"input_tokens": 1200, "output_tokens": 50, "cache_read_input_tokens": 8000}},
        "turns": turns});
    network.inside(|| {
        let server = AnthropicServer::start(Script::from_json(&script)).unwrap();
        env.set("ANTHROPIC_API_KEY", KEY);
        env.set("ANTHROPIC_BASE_URL", server.url());
        for name in [
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
            "DISABLE_TELEMETRY",
            "DISABLE_AUTOUPDATER",
        ] {
            env.set(name, "1");
        }
        drive(&env, &mut start(&env, &repository, program, prompt))
    })
}

fn stand_in<T>(turns: &Value, prompt: &str, drive: Drive<T>) -> T {
    let (env, repository) = lab();
    env.claude_script(&json!({"turns": turns}));
    let program = env.path("bin/claude");
    drive(&env, &mut start(&env, &repository, &program, prompt))
}

/// Names of all fields, nested ones with dots; lists count as one field.
fn fields(value: &Value, prefix: &str, found: &mut Vec<String>) {
    if let Value::Object(object) = value {
        for (name, value) in object {
            let path = format!("{prefix}{name}");
            fields(value, &format!("{path}."), found);
            found.push(path);
        }
    }
}

fn shape(value: &Value) -> Value {
    let mut found = Vec::new();
    fields(value, "", &mut found);
    found.sort();
    json!(found)
}

/// Events with their tool, in order.
fn sequence(hooks: &[Value]) -> Vec<String> {
    let tool = |hook: &Value| {
        hook["tool_name"]
            .as_str()
            .map(|tool| format!(" {tool}"))
            .unwrap_or_default()
    };
    hooks
        .iter()
        .map(|hook| {
            format!(
                "{}{}",
                hook["hook_event_name"].as_str().unwrap(),
                tool(hook)
            )
        })
        .collect()
}

#[test]
fn one_turn_looks_the_same_from_outside() {
    let (program, network) = match client() {
        Ok(client) => client,
        Err(reason) => return skip("the stand-in against the real client", &reason),
    };
    let bash = |command: &str| json!({"name": "Bash", "input": {"command": command, "description": "Demo"}});
    let model = json!([{"match": "run the demo", "steps": [
        {"text": "Looking.", "tool_use": bash("echo hello")},
        {"tool_use": bash("ls nonexistent-xyz")},
        {"tool_use": bash("touch made")},
        {"tool_use": {"name": "AskUserQuestion", "input": {"questions": [{
            "question": "Which colour?", "header": "Question", "multiSelect": false,
            "options": [{"label": "red", "description": "red"}, {"label": "blue", "description": "blue"}]}]}}},
        {"text": "All done."}]}]);
    let tool = |command: &str, ask: bool| json!({"tool": {"name": "Bash", "input": {"command": command, "description": "Demo"}, "needs_permission": ask}});
    let script = json!([{"match": "run the demo", "steps": [
        {"say": "Looking."}, tool("echo hello", false), tool("ls nonexistent-xyz", false), tool("touch made", true),
        {"ask": {"question": "Which colour?", "options": ["red", "blue"]}}, {"say": "All done."}]}]);
    let prompt = "run the demo";
    let real = real(&program, &network, &model, prompt, drive);
    let ours = stand_in(&script, prompt, drive);
    let mut differences = Differences::default();
    differences.check_hooks(&ours.hooks, &real.hooks);
    differences.check(
        "fields of the status line",
        &shape(&ours.status),
        &shape(&real.status),
    );
    for name in [
        "total_input_tokens",
        "total_output_tokens",
        "used_percentage",
        "current_usage",
    ] {
        let of = |seen: &Seen| seen.status["context_window"][name].clone();
        differences.check(name, &of(&ours), &of(&real));
    }
    differences.check(
        "fields of the registry",
        &shape(&ours.registry),
        &shape(&real.registry),
    );
    for name in [
        "status",
        "name",
        "nameSource",
        "kind",
        "sessionId",
        "version",
        "peerProtocol",
        "entrypoint",
    ] {
        differences.check(name, &ours.registry[name], &real.registry[name]);
    }
    differences.check(
        "waiting for a permission",
        &ours.waiting["waitingFor"],
        &real.waiting["waitingFor"],
    );
    differences.check(
        "waiting for an answer",
        &ours.question["waitingFor"],
        &real.question["waitingFor"],
    );
    // The stand-in writes fewer records; those it writes have no field that the real ones lack.
    let known = record_fields(&real.transcript);
    for (kind, names) in record_fields(&ours.transcript) {
        let Some(allowed) = known.get(&kind) else {
            differences
                .found
                .push(format!("record {kind} is unknown to the real client"));
            continue;
        };
        let invented: Vec<&String> = names.difference(allowed).collect();
        differences.check(
            &format!("invented fields of record {kind}"),
            &json!(invented),
            &json!([]),
        );
    }
    assert!(
        differences.found.is_empty(),
        "{}",
        differences.found.join("\n\n")
    );
}

/// The first line of the client's input box, the last thing on its screen that begins with the prompt sign.
fn box_of(screen: &str) -> Option<&str> {
    let begins = |line: &&str| line.trim_start().starts_with(['>', '❯']);
    let held = screen.lines().rfind(begins)?;
    Some(held.trim_start().trim_start_matches(['>', '❯']).trim())
}

/// Interrupts the first prompt, uses an MCP tool by the second, runs into an error by the third.
fn drive_trouble(env: &TestEnv, terminal: &mut Terminal) -> Vec<Value> {
    terminal.wait_until("the busy client", PATIENCE, |screen| {
        registry(env)["status"] == "busy"
            && count(env, "UserPromptSubmit") == 1
            && screen.contains("take your time")
            && screen.contains('…')
    });
    terminal.send("\x1b");
    terminal.wait_until("the interrupted client", PATIENCE, |_| {
        registry(env)["status"] == "idle"
    });
    // Nothing had been answered: the prompt comes back into the box.
    terminal.wait_until("the prompt in the box", PATIENCE, |screen| {
        box_of(screen).is_some_and(|held| held == "take your time")
    });
    for (number, prompt) in ["use the tool", "make it fail"].into_iter().enumerate() {
        // A key that arrives together with a paste is taken as text.
        terminal.send("\x15");
        terminal.wait_until("an empty box", PATIENCE, |screen| {
            box_of(screen).is_some_and(|held| held != "take your time")
        });
        terminal.paste(prompt);
        terminal.wait_for_text(prompt, PATIENCE);
        // An Enter right behind a paste may be swallowed: it is repeated, never the text.
        let submitted = number + 2;
        let mut next = Instant::now();
        wait_for(&format!("{prompt:?} to be submitted"), PATIENCE, || {
            if Instant::now() >= next {
                terminal.send("\r");
                next = Instant::now() + Duration::from_millis(500);
            }
            count(env, "UserPromptSubmit") >= submitted
        });
        let end = if number == 0 { "Stop" } else { "StopFailure" };
        terminal.wait_until(end, PATIENCE, |_| {
            count(env, end) == 1 && registry(env)["status"] != "busy"
        });
    }
    terminal.signal(rustix::process::Signal::TERM);
    terminal.wait_exit(PATIENCE);
    read_json_lines(&env.path("hooks.jsonl"))
}

#[test]
fn trouble_looks_the_same_from_outside() {
    let (program, network) = match client() {
        Ok(client) => client,
        Err(reason) => return skip("trouble with the real client", &reason),
    };
    let model = json!([
        {"match": "take your time", "steps": [{"text": "Late.", "delay": 20}]},
        {"match": "use the tool", "steps": [
            {"tool_use": {"name": "mcp__lab__ping", "input": {"x": "1"}}}, {"text": "Pinged."}]},
        {"match": "make it fail", "steps": [
            {"times": 9, "error": {"status": 400, "type": "invalid_request_error", "message": "bad request scripted"}}]}]);
    let script = json!([
        {"match": "take your time", "steps": [{"wait_ms": 20_000}, {"say": "Late."}]},
        {"match": "use the tool", "steps": [
            {"mcp": {"server": "lab", "tool": "ping", "arguments": {"x": "1"}}}, {"say": "Pinged."}]},
        {"match": "make it fail", "steps": [
            {"error": {"kind": "unknown", "message": "API Error: 400 bad request scripted"}}]}]);
    let prompt = "take your time";
    let real = real(&program, &network, &model, prompt, drive_trouble);
    let ours = stand_in(&script, prompt, drive_trouble);
    let mut differences = Differences::default();
    differences.check_hooks(&ours, &real);
    let last = |hooks: &[Value], event: &str, field: &str| {
        let found = hooks
            .iter()
            .rev()
            .find(|hook| hook["hook_event_name"] == event);
        found.map(|hook| hook[field].clone()).unwrap_or_default()
    };
    for (event, field) in [
        ("PostToolUse", "tool_response"),
        ("StopFailure", "error"),
        ("StopFailure", "last_assistant_message"),
        ("SessionEnd", "reason"),
    ] {
        differences.check(
            &format!("{field} of {event}"),
            &last(&ours, event, field),
            &last(&real, event, field),
        );
    }
    assert!(
        differences.found.is_empty(),
        "{}",
        differences.found.join("\n\n")
    );
}

/// A server in shell, just enough to be called.
const SERVER: &str = r#"#!/bin/sh
while read -r line; do
  id=$(echo "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
  case "$line" in
    *'"initialize"'*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"lab","version":"1"}}}' ;;
    *'"tools/list"'*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"tools":[{"name":"ping","description":"Ping","inputSchema":{"type":"object","properties":{"x":{"type":"string"}}}}]}}' ;;
    *'"tools/call"'*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"content":[{"type":"text","text":"pong"}]}}' ;;
  esac
done
"#;

/// All differences are told at once: one run of the real client is slow.
#[derive(Default)]
struct Differences {
    found: Vec<String>,
}

impl Differences {
    fn check_hooks(&mut self, ours: &[Value], real: &[Value]) {
        self.check(
            "sequence of events",
            &json!(sequence(ours)),
            &json!(sequence(real)),
        );
        for (our, real) in ours.iter().zip(real) {
            self.check(
                &format!("fields of {}", real["hook_event_name"]),
                &shape(our),
                &shape(real),
            );
        }
    }

    fn check(&mut self, what: &str, ours: &Value, real: &Value) {
        if ours != real {
            self.found
                .push(format!("{what}\nours: {ours}\nreal: {real}"));
        }
    }
}

/// Field names by kind of record.
fn record_fields(records: &[Value]) -> BTreeMap<String, BTreeSet<String>> {
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for record in records {
        let mut names = Vec::new();
        fields(record, "", &mut names);
        let kind = format!("{} {}", record["type"], record["subtype"]);
        known.entry(kind).or_default().extend(names);
    }
    known
}
