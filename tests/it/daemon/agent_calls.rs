//! What an agent says over MCP, as its bridge carries it to one daemon and the next.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use claustre_protocol::PROTOCOL;
use claustre_tests::bench::fleet::{TOKEN, Wanted};
use claustre_tests::bench::stage::Stage;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// A bridge's connection; `calls` go through it under the ids that the client gave them.
struct Bridge(BufReader<UnixStream>);

impl Bridge {
    fn connect(stage: &Stage, bridge: uuid::Uuid) -> Self {
        let stream = UnixStream::connect(stage.paths.mcp_socket()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut bridge_stream = Self(BufReader::new(stream));
        let hello = json!({"claustre": "hello", "session": stage.fleet.sessions[0], "token": TOKEN,
            "protocol": PROTOCOL, "bridge": bridge});
        bridge_stream.write(&hello);
        let initialize = json!({"protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "claude-code", "version": "2.1.197"}});
        bridge_stream.write(
            &json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": initialize}),
        );
        assert_eq!(bridge_stream.read()["id"], 0);
        bridge_stream.write(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        bridge_stream
    }

    fn write(&mut self, line: &Value) {
        writeln!(self.0.get_mut(), "{line}").unwrap();
    }

    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// Whether it worked, and what the agent reads.
    fn call(&mut self, id: u64, tool: &str, arguments: Value) -> (bool, String) {
        self.write(&json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": {"name": tool, "arguments": arguments}}));
        let answer = self.read();
        assert_eq!(answer["id"], id, "{answer}");
        let result = &answer["result"];
        let text = result["content"][0]["text"].as_str().unwrap_or_default();
        (result["isError"] != true, text.to_owned())
    }
}

fn stage() -> Stage {
    let stage = Stage::new(&Wanted {
        tasks: 1,
        sessions: 1,
        open_sessions: 1,
        ..Wanted::default()
    })
    .unwrap();
    stage.start_daemon().unwrap();
    stage
}

#[test]
fn a_call_that_comes_again_after_a_restart_is_done_once() {
    let stage = stage();
    let (bridge, other) = (uuid::Uuid::from_u128(1), uuid::Uuid::from_u128(2));
    let calls = [
        (
            7,
            "claustre_log",
            json!({"level": "info", "message": "said once"}),
        ),
        (
            8,
            "claustre_status",
            json!({"state": "working", "message": "at it"}),
        ),
        (
            9,
            "claustre_subtask",
            json!({"action": "add", "title": "one step"}),
        ),
        (
            10,
            "claustre_task_create",
            json!({"title": "one draft", "description": "later"}),
        ),
        (
            11,
            "claustre_usage",
            json!({"input_tokens": 1, "output_tokens": 2}),
        ),
        (
            12,
            "claustre_task_done",
            json!({"summary": "it is finished"}),
        ),
    ];
    let mut connection = Bridge::connect(&stage, bridge);
    let first: Vec<_> = calls
        .iter()
        .map(|(id, tool, arguments)| connection.call(*id, tool, arguments.clone()))
        .collect();
    assert!(first.iter().all(|(worked, _)| *worked), "{first:?}");

    let told = |words: &str| {
        let store = rusqlite::Connection::open(stage.paths.store()).unwrap();
        store
            .query_row(
                "SELECT count(*) FROM events WHERE payload LIKE '%' || ?1 || '%'",
                [words],
                |row| row.get::<_, i64>(0),
            )
            .unwrap()
    };
    let words = ["said once", "one step", "one draft", "it is finished"];
    let stored = words.map(told);
    assert_eq!(stored[0], 1);

    // The answers were lost with the daemon, so the bridge makes all of them again.
    let daemon = stage.status().unwrap().pid;
    let pid = Pid::from_raw(i32::try_from(daemon).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    stage.start_daemon().unwrap();
    let mut connection = Bridge::connect(&stage, bridge);
    let again: Vec<_> = calls
        .iter()
        .map(|(id, tool, arguments)| connection.call(*id, tool, arguments.clone()))
        .collect();
    assert_eq!(first, again, "and it is answered as before");
    assert_eq!(words.map(told), stored);
    // Another bridge numbers its calls from the start, too: that is another call.
    let mut connection = Bridge::connect(&stage, other);
    assert!(connection.call(7, "claustre_log", calls[0].2.clone()).0);
    assert_eq!(told("said once"), 2);
}

#[test]
fn an_agent_that_writes_without_end_is_refused_in_a_sentence() {
    let stage = stage();
    let mut connection = Bridge::connect(&stage, uuid::Uuid::from_u128(1));
    let draft = json!({"title": "a draft", "description": "x".repeat(100 * 1024)});
    let refused = (1..60)
        .map(|id| connection.call(id, "claustre_task_create", draft.clone()))
        .find(|(worked, _)| !worked);
    let (_, text) = refused.expect("there is no end to it");
    assert!(text.contains("4 MB today"), "{text}");
    assert!(text.contains("hint: "), "{text}");
    let (worked, text) = connection.call(
        70,
        "claustre_task_done",
        json!({"summary": "it is finished"}),
    );
    assert!(worked, "the end of its work is always taken: {text}");
}
