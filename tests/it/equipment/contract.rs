//! The stand-in against the real client: the same turn must look the same from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use claustre_tests::anthropic::{AnthropicServer, Script};
use claustre_tests::env::read_json_lines;
use claustre_tests::netns::Network;
use claustre_tests::{Terminal, TestEnv};
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

const EVENTS: [&str; 8] = [
    "SessionStart",
    "UserPromptSubmit",
    "PreToolUse",
    "PostToolUse",
    "PostToolUseFailure",
    "PermissionRequest",
    "Stop",
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
        "permissions": {"allow": ["Bash(echo *)", "Bash(ls *)"]},
        "statusLine": {"type": "command", "command": "status"},
    });
    env.write("settings.json", &settings.to_string());
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

fn start(env: &TestEnv, repository: &Path, program: &Path) -> Terminal {
    let settings = env.path("settings.json").display().to_string();
    let arguments = [
        "--session-id",
        "11111111-2222-4333-8444-555555555555",
        "--name",
        "task 7",
        "--settings",
        &settings,
        "--",
        "run the demo",
    ];
    Terminal::spawn_in(env, repository, program, &arguments, 110, 40)
}

fn real(program: &Path, network: &Network) -> Seen {
    let (env, repository) = lab();
    env.prepare_real_client(&repository, KEY);
    let bash = |command: &str| json!({"name": "Bash", "input": {"command": command, "description": "Demo"}});
    let script = json!({
        "defaults": {"usage": {"input_tokens": 1200, "output_tokens": 50, "cache_read_input_tokens": 8000}},
        "turns": [{"match": "run the demo", "steps": [
            {"text": "Looking.", "tool_use": bash("echo hello")},
            {"tool_use": bash("ls nonexistent-xyz")},
            {"tool_use": bash("touch made")},
            {"tool_use": {"name": "AskUserQuestion", "input": {"questions": [{
                "question": "Which colour?", "header": "Question", "multiSelect": false,
                "options": [{"label": "red", "description": "red"}, {"label": "blue", "description": "blue"}]}]}}},
            {"text": "All done."}]}]});
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
        drive(&env, &mut start(&env, &repository, program))
    })
}

fn stand_in() -> Seen {
    let (env, repository) = lab();
    let bash = |command: &str, ask: bool| json!({"tool": {"name": "Bash", "input": {"command": command, "description": "Demo"}, "needs_permission": ask}});
    env.claude_script(&json!({"turns": [{"match": "run the demo", "steps": [
        {"say": "Looking."}, bash("echo hello", false), bash("ls nonexistent-xyz", false), bash("touch made", true),
        {"ask": {"question": "Which colour?", "options": ["red", "blue"]}}, {"say": "All done."}]}]}));
    let program = env.path("bin/claude");
    drive(&env, &mut start(&env, &repository, &program))
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
    let (real, ours) = (real(&program, &network), stand_in());
    let mut differences = Differences::default();
    differences.check(
        "sequence of events",
        &json!(sequence(&ours.hooks)),
        &json!(sequence(&real.hooks)),
    );
    for (our, real) in ours.hooks.iter().zip(&real.hooks) {
        differences.check(
            &format!("fields of {}", real["hook_event_name"]),
            &shape(our),
            &shape(real),
        );
    }
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

/// All differences are told at once: one run of the real client is slow.
#[derive(Default)]
struct Differences {
    found: Vec<String>,
}

impl Differences {
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
