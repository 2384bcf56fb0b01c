//! The server as Claude Code and its bridge meet it: raw JSON lines over a real unix socket.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use claustre_domain::command::AgentState;
use claustre_protocol::{
    ids::{SessionId, SubtaskId, TaskId},
    rpc::{Fault, FaultCode},
    status::{LogLevel, TaskStatus, Word},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    super::admission::Limits,
    backend::{McpBackend, TaskStep, TaskText},
    hello::BridgeHello,
    socket,
    tools::ToolName,
};

const LIMIT: Duration = Duration::from_secs(20);
const TOKEN: &str = "5eed";

fn session() -> SessionId {
    SessionId::new(Uuid::from_u128(0x11))
}

fn step_id() -> SubtaskId {
    SubtaskId::new(Uuid::from_u128(0x22))
}

fn task_id() -> TaskId {
    TaskId::new(Uuid::from_u128(0x33))
}

/// An engine that writes down what it was told, and answers a question when the test does.
struct Engine {
    told: Mutex<Vec<String>>,
    asked: mpsc::UnboundedSender<(String, Vec<String>)>,
    answer: watch::Receiver<Option<String>>,
    taken_back: watch::Sender<u32>,
}

/// Counts a question that was dropped before its answer.
struct TakesBack<'a>(&'a watch::Sender<u32>, bool);

impl Drop for TakesBack<'_> {
    fn drop(&mut self) {
        if !self.1 {
            self.0.send_modify(|count| *count += 1);
        }
    }
}

impl Engine {
    fn note(&self, line: String) -> Result<(), Fault> {
        self.told.lock().unwrap().push(line);
        Ok(())
    }
}

impl McpBackend for Engine {
    async fn authenticate(&self, who: SessionId, token: &str) -> Option<()> {
        (who == session() && token == TOKEN).then_some(())
    }
    async fn report_state(
        &self,
        _: SessionId,
        _: Option<Uuid>,
        state: AgentState,
        message: String,
    ) -> Result<(), Fault> {
        self.note(format!("state {} {message}", state.word()))
    }
    async fn task_done(&self, _: SessionId, _: Option<Uuid>, summary: String) -> Result<(), Fault> {
        if summary.is_empty() {
            return Err(Fault::new(
                FaultCode::Refused,
                "a finished task needs a summary",
                Some("say what was changed".to_owned()),
            ));
        }
        self.note(format!("finished {summary}"))
    }
    async fn usage(
        &self,
        _: SessionId,
        _: Option<Uuid>,
        input: u64,
        output: u64,
        cost: Option<f64>,
    ) -> Result<(), Fault> {
        self.note(format!("usage {input} {output} {cost:?}"))
    }
    async fn log(
        &self,
        _: SessionId,
        _: Option<Uuid>,
        level: LogLevel,
        message: String,
    ) -> Result<(), Fault> {
        self.note(format!("log {} {message}", level.word()))
    }
    async fn own_task(&self, _: SessionId) -> Result<TaskText, Fault> {
        Ok(TaskText {
            title: "Fix login".to_owned(),
            description: "It fails.".to_owned(),
            status: TaskStatus::Working,
            steps: vec![TaskStep {
                id: step_id(),
                title: "Write a test".to_owned(),
                done: false,
            }],
            documents: Vec::new(),
        })
    }
    async fn subtask_done(
        &self,
        _: SessionId,
        _: Option<Uuid>,
        step: SubtaskId,
    ) -> Result<(), Fault> {
        self.note(format!("step done {step}"))
    }
    async fn subtask_add(&self, _: SessionId, _: Option<Uuid>, title: String) -> Result<(), Fault> {
        self.note(format!("step added {title}"))
    }
    async fn ask(
        &self,
        _: SessionId,
        _: Option<Uuid>,
        question: String,
        options: Vec<String>,
    ) -> Result<String, Fault> {
        let mut waits = TakesBack(&self.taken_back, false);
        self.asked.send((question, options)).unwrap();
        let mut answer = self.answer.clone();
        let answer = answer.wait_for(Option::is_some).await.unwrap().clone();
        waits.1 = true;
        Ok(answer.unwrap())
    }
    async fn task_create(
        &self,
        _: SessionId,
        _: Option<Uuid>,
        title: String,
        description: String,
        steps: Vec<String>,
    ) -> Result<TaskId, Fault> {
        self.note(format!(
            "draft {title} / {description} / {}",
            steps.join(",")
        ))?;
        Ok(task_id())
    }
}

/// A server on a socket of its own.
struct Server {
    engine: Arc<Engine>,
    asked: mpsc::UnboundedReceiver<(String, Vec<String>)>,
    answer: watch::Sender<Option<String>>,
    taken_back: watch::Receiver<u32>,
    path: PathBuf,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    _home: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        Self::start_within(LIMIT)
    }

    fn start_within(hello_time: Duration) -> Self {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("mcp.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let (asked_sender, asked) = mpsc::unbounded_channel();
        let (answer, answer_receiver) = watch::channel(None);
        let (taken_back_sender, taken_back) = watch::channel(0);
        let engine = Arc::new(Engine {
            told: Mutex::default(),
            asked: asked_sender,
            answer: answer_receiver,
            taken_back: taken_back_sender,
        });
        let stop = CancellationToken::new();
        let limits = Limits {
            hello: hello_time,
            ..Limits::sharing(1_024)
        };
        let serving = tokio::spawn(socket::serve(
            listener,
            Arc::clone(&engine),
            limits,
            stop.clone(),
        ));
        Self {
            engine,
            asked,
            answer,
            taken_back,
            path,
            stop,
            serving,
            _home: home,
        }
    }

    async fn bridge(&self) -> Bridge {
        let stream = UnixStream::connect(&self.path).await.unwrap();
        let (read, write) = stream.into_split();
        Bridge {
            lines: BufReader::new(read).lines(),
            write,
            id: 0,
        }
    }

    /// A bridge that has said hello and shaken hands as the real client does.
    async fn client(&self) -> Bridge {
        let mut bridge = self.bridge().await;
        bridge.hello(session(), TOKEN).await;
        let answer = bridge.call("initialize", initialize()).await;
        assert_eq!(
            answer["result"]["protocolVersion"], "2025-11-25",
            "{answer}"
        );
        bridge
            .send(&json!({"jsonrpc":"2.0","method":"notifications/initialized"}))
            .await;
        bridge
    }

    fn told(&self) -> Vec<String> {
        self.engine.told.lock().unwrap().clone()
    }

    async fn end(self) {
        self.stop.cancel();
        timeout(LIMIT, self.serving).await.unwrap().unwrap();
    }
}

struct Bridge {
    lines: Lines<BufReader<OwnedReadHalf>>,
    write: OwnedWriteHalf,
    id: u64,
}

impl Bridge {
    async fn raw(&mut self, text: &str) {
        timeout(LIMIT, self.write.write_all(text.as_bytes()))
            .await
            .unwrap()
            .unwrap();
    }
    async fn hello(&mut self, session: SessionId, token: &str) {
        let line = BridgeHello::new(session, token.to_owned()).line().unwrap();
        self.raw(&line).await;
    }
    async fn send(&mut self, message: &Value) {
        self.raw(&format!("{message}\n")).await;
    }
    /// The next line, or `None` at the end of the stream.
    async fn next(&mut self) -> Option<Value> {
        let line = timeout(LIMIT, self.lines.next_line()).await.unwrap();
        // A peer that closes with input unread resets the connection: an end as well.
        let line = line.ok().flatten()?;
        Some(serde_json::from_str(&line).unwrap())
    }
    async fn start(&mut self, method: &str, params: Value) -> u64 {
        self.id += 1;
        let id = self.id;
        self.send(&json!({"jsonrpc":"2.0","id":id,"method":method,"params":params}))
            .await;
        id
    }
    async fn call(&mut self, method: &str, params: Value) -> Value {
        let id = self.start(method, params).await;
        let answer = self.next().await.unwrap();
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }
    /// Calls a tool: whether it is an error, and its text.
    async fn tool(&mut self, name: &str, arguments: Value) -> (bool, String) {
        let params = json!({
            "name": name,
            "arguments": arguments,
            "_meta": {"claudecode/toolUseId": "toolu_1", "progressToken": 2}
        });
        let answer = self.call("tools/call", params).await;
        let result = &answer["result"];
        (
            result["isError"].as_bool().unwrap_or_default(),
            result["content"][0]["text"].as_str().unwrap().to_owned(),
        )
    }
    async fn works(&mut self, name: &str, arguments: Value) -> String {
        let (failed, text) = self.tool(name, arguments).await;
        assert!(!failed, "{text}");
        text
    }
    async fn fails(&mut self, name: &str, arguments: Value) -> String {
        let (failed, text) = self.tool(name, arguments).await;
        assert!(failed, "{text}");
        text
    }
}

fn initialize() -> Value {
    json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {"roots": {}, "elicitation": {}},
        "clientInfo": {"name": "claude-code", "version": "2.1.197"}
    })
}

#[tokio::test]
async fn the_client_shakes_hands_and_reports() {
    let server = Server::start();
    let mut bridge = server.bridge().await;
    // All in one write: what stands behind the hello must not be lost.
    let hello = BridgeHello::new(session(), TOKEN.to_owned())
        .line()
        .unwrap();
    let first = json!({"jsonrpc":"2.0","id":0,"method":"initialize","params":initialize()});
    bridge.raw(&format!("{hello}{first}\n")).await;
    let answer = bridge.next().await.unwrap();
    let result = &answer["result"];
    assert_eq!(result["serverInfo"]["name"], "claustre");
    assert_eq!(result["protocolVersion"], "2025-11-25");
    assert!(result["capabilities"]["tools"].is_object());
    let instructions = result["instructions"].as_str().unwrap();
    for tool in ["claustre_status", "claustre_task_done", "claustre_ask"] {
        assert!(instructions.contains(tool), "{instructions}");
    }
    bridge
        .send(&json!({"jsonrpc":"2.0","method":"notifications/initialized"}))
        .await;

    let own = session().to_string();
    let status =
        json!({"state": "working", "message": "reading \u{1b}[31mcode", "session_id": own});
    bridge.works("claustre_status", status).await;
    let status = json!({"state": "waiting_for_input", "message": ""});
    bridge.works("claustre_status", status).await;
    bridge
        .works(
            "claustre_usage",
            json!({"input_tokens": 10, "output_tokens": 2, "cost": 0.5}),
        )
        .await;
    bridge
        .works("claustre_log", json!({"level": "warning", "message": "hm"}))
        .await;
    bridge
        .works("claustre_subtask", json!({"action": "done", "step": 1}))
        .await;
    bridge
        .works(
            "claustre_subtask",
            json!({"action": "add", "title": "Also\nthis"}),
        )
        .await;
    let created = json!({"title": "Next", "description": "Do it", "steps": ["a", "b"]});
    let text = bridge.works("claustre_task_create", created).await;
    assert!(text.contains(&task_id().to_string()), "{text}");
    let text = bridge.works("claustre_task", json!({})).await;
    assert!(text.contains("1. [ ] Write a test"), "{text}");
    bridge
        .works("claustre_task_done", json!({"summary": "fixed"}))
        .await;
    assert_eq!(
        server.told(),
        [
            "state working reading code".to_owned(),
            "state waiting_for_input ".to_owned(),
            "usage 10 2 Some(0.5)".to_owned(),
            "log warn hm".to_owned(),
            format!("step done {}", step_id()),
            "step added Also this".to_owned(),
            "draft Next / Do it / a,b".to_owned(),
            "finished fixed".to_owned(),
        ]
    );
    server.end().await;
    assert!(bridge.next().await.is_none());
}

#[tokio::test]
async fn the_tools_and_what_they_require() {
    let server = Server::start();
    let mut client = server.client().await;
    let answer = client.call("tools/list", json!({})).await;
    let tools = answer["result"]["tools"].as_array().unwrap();
    let listed: Vec<String> = tools
        .iter()
        .map(|tool| {
            let schema = &tool["inputSchema"];
            assert_eq!(schema["type"], "object");
            assert_eq!(schema["additionalProperties"], false, "{schema}");
            assert!(schema.get("$defs").is_none(), "a model reads it: {schema}");
            let required: Vec<&str> = schema["required"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let mut optional: Vec<&str> = schema["properties"]
                .as_object()
                .into_iter()
                .flat_map(|all| all.keys())
                .map(String::as_str)
                .filter(|name| !required.contains(name))
                .collect();
            optional.sort_unstable();
            format!(
                "{}({} | {})",
                tool["name"].as_str().unwrap(),
                required.join(" "),
                optional.join(" ")
            )
        })
        .collect();
    assert_eq!(
        listed,
        [
            "claustre_status(state message | session_id)",
            "claustre_task_done(summary | session_id)",
            "claustre_usage(input_tokens output_tokens | cost session_id)",
            "claustre_log(level message | session_id)",
            "claustre_task( | )",
            "claustre_subtask(action | step title)",
            "claustre_ask(question | options)",
            "claustre_task_create(title description | steps)",
        ]
    );
    assert_eq!(tools.len(), ToolName::ALL.len());
    let states = &tools[0]["inputSchema"]["properties"]["state"]["enum"];
    assert_eq!(
        *states,
        json!(["working", "waiting_for_input", "done", "error"])
    );
    server.end().await;
}

#[tokio::test]
async fn a_wrong_hello_gets_one_error_line_and_the_end() {
    let server = Server::start();
    let other = SessionId::new(Uuid::from_u128(0x99));
    let mut texts = Vec::new();
    for (who, token) in [(session(), "wrong"), (other, TOKEN)] {
        let mut bridge = server.bridge().await;
        bridge.hello(who, token).await;
        let answer = bridge.next().await.unwrap();
        assert_eq!(answer["id"], Value::Null);
        texts.push(answer["error"]["message"].as_str().unwrap().to_owned());
        assert!(bridge.next().await.is_none());
    }
    assert_eq!(
        texts[0], texts[1],
        "does not tell which of the two was wrong"
    );

    let mut bridge = server.bridge().await;
    bridge
        .send(&json!({"jsonrpc":"2.0","id":1,"method":"initialize","params":initialize()}))
        .await;
    let answer = bridge.next().await.unwrap();
    assert_eq!(answer["error"]["code"], FaultCode::InvalidCall.number());
    assert!(bridge.next().await.is_none());

    let mut bridge = server.bridge().await;
    bridge.raw(&"x".repeat(5000)).await;
    let answer = bridge.next().await.unwrap();
    assert!(
        answer["error"]["message"]
            .as_str()
            .unwrap()
            .contains("4096")
    );
    assert!(bridge.next().await.is_none());
    assert!(server.told().is_empty());
    server.end().await;
}

#[tokio::test]
async fn a_silent_bridge_is_sent_away() {
    let server = Server::start_within(Duration::from_millis(20));
    let mut bridge = server.bridge().await;
    bridge.raw("{\"claustre\":").await;
    let answer = bridge.next().await.unwrap();
    assert!(
        answer["error"]["message"]
            .as_str()
            .unwrap()
            .contains("in time")
    );
    assert!(bridge.next().await.is_none());
}

#[tokio::test]
async fn another_sessions_id_is_refused() {
    let server = Server::start();
    let mut client = server.client().await;
    let other = Uuid::from_u128(0x99).to_string();
    let calls = [
        (
            "claustre_status",
            json!({"state": "done", "message": "m", "session_id": other}),
        ),
        (
            "claustre_task_done",
            json!({"summary": "s", "session_id": other}),
        ),
        (
            "claustre_usage",
            json!({"input_tokens": 1, "output_tokens": 1, "session_id": other}),
        ),
        (
            "claustre_log",
            json!({"level": "info", "message": "m", "session_id": other}),
        ),
    ];
    for (name, arguments) in calls {
        let text = client.fails(name, arguments).await;
        assert!(text.contains("not your session"), "{name}: {text}");
        assert!(text.contains("hint:"), "{name}: {text}");
    }
    assert!(server.told().is_empty());
    server.end().await;
}

#[tokio::test]
async fn wrong_arguments_and_faults_are_told_to_the_agent() {
    let server = Server::start();
    let mut client = server.client().await;
    let cases = [
        (
            "claustre_status",
            json!({"state": "busy", "message": "m"}),
            "waiting_for_input",
        ),
        ("claustre_status", json!({"message": "m"}), "`state`"),
        (
            "claustre_status",
            json!({"state": "done", "message": "m", "x": 1}),
            "`x`",
        ),
        (
            "claustre_usage",
            json!({"input_tokens": -5, "output_tokens": 1}),
            "-5",
        ),
        (
            "claustre_usage",
            json!({"input_tokens": 1, "output_tokens": 1, "cost": -1}),
            "0 or more",
        ),
        (
            "claustre_log",
            json!({"level": "info", "message": " \u{200b}"}),
            "empty",
        ),
        ("claustre_subtask", json!({"action": "done"}), "`step`"),
        (
            "claustre_subtask",
            json!({"action": "done", "step": "9"}),
            "1 Write a test",
        ),
        (
            "claustre_ask",
            json!({"question": "q", "options": vec!["o"; 9]}),
            "at most 8",
        ),
        (
            "claustre_task_done",
            json!({"summary": ""}),
            "hint: say what was changed",
        ),
    ];
    for (name, arguments, wanted) in cases {
        let text = client.fails(name, arguments).await;
        assert!(text.contains(wanted), "{name}: {text}");
    }
    let answer = client
        .call(
            "tools/call",
            json!({"name": "claustre_delete_all", "arguments": {}}),
        )
        .await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    assert!(server.told().is_empty());
    server.end().await;
}

#[tokio::test]
async fn long_texts_are_bounded() {
    let server = Server::start();
    let mut client = server.client().await;
    let megabyte = "a".repeat(1024 * 1024);
    client
        .works(
            "claustre_status",
            json!({"state": "working", "message": megabyte}),
        )
        .await;
    let told = server.told();
    assert_eq!(told[0].chars().count(), "state working ".len() + 2_000);
    let text = client
        .fails(
            "claustre_task_create",
            json!({"title": "t", "description": megabyte}),
        )
        .await;
    assert!(text.contains("1048576 bytes"), "{text}");
    server.end().await;
}

#[tokio::test]
async fn a_malformed_line_does_not_end_the_connection() {
    let server = Server::start();
    let mut client = server.client().await;
    client.raw("{\"jsonrpc\": \"2.0\", \n").await;
    client.raw("not json at all\n\n").await;
    let text = client.works("claustre_task", json!({})).await;
    assert!(text.contains("Fix login"));
    server.end().await;
}

#[tokio::test]
async fn a_question_waits_for_its_answer() {
    let mut server = Server::start();
    let mut client = server.client().await;
    let params =
        json!({"name": "claustre_ask", "arguments": {"question": "Which?", "options": ["a", "b"]}});
    let asking = client.start("tools/call", params).await;
    let (question, options) = timeout(LIMIT, server.asked.recv()).await.unwrap().unwrap();
    assert_eq!((question.as_str(), options.len()), ("Which?", 2));
    // The connection stays usable meanwhile.
    client.works("claustre_task", json!({})).await;
    server.answer.send(Some("b".to_owned())).unwrap();
    let answer = client.next().await.unwrap();
    assert_eq!(answer["id"], asking);
    assert_eq!(answer["result"]["content"][0]["text"], "b");
    assert_eq!(*server.taken_back.borrow(), 0);
    server.end().await;
}

#[tokio::test]
async fn a_question_is_taken_back_when_nobody_waits_for_it() {
    let mut server = Server::start();
    let mut client = server.client().await;
    let params = json!({"name": "claustre_ask", "arguments": {"question": "Which?"}});
    // Cancelled by the client.
    let asking = client.start("tools/call", params.clone()).await;
    timeout(LIMIT, server.asked.recv()).await.unwrap().unwrap();
    client
        .send(&json!({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":asking}}))
        .await;
    timeout(LIMIT, server.taken_back.wait_for(|count| *count == 1))
        .await
        .unwrap()
        .unwrap();
    // More than four at once are too many; then the client goes away.
    for _ in 0..4 {
        client.start("tools/call", params.clone()).await;
        timeout(LIMIT, server.asked.recv()).await.unwrap().unwrap();
    }
    let text = client
        .fails("claustre_ask", params["arguments"].clone())
        .await;
    assert!(text.contains("wait already"), "{text}");
    let gone = std::time::Instant::now();
    drop(client);
    timeout(LIMIT, server.taken_back.wait_for(|count| *count == 5))
        .await
        .unwrap()
        .unwrap();
    assert!(
        gone.elapsed() < Duration::from_secs(4),
        "at once, not after rmcp's drain"
    );
    server.end().await;
}

#[tokio::test]
async fn too_many_calls_wait_for_their_turn_and_far_too_many_are_refused() {
    let server = Server::start();
    let mut client = server.client().await;
    for _ in 0..60 {
        client.works("claustre_task", json!({})).await;
    }
    // All at once: each is answered under its own id, those for which there is no room at once.
    let params = json!({"name": "claustre_task", "arguments": {}});
    let ids: Vec<u64> = {
        let mut ids = Vec::new();
        for _ in 0..200 {
            ids.push(client.start("tools/call", params.clone()).await);
        }
        ids
    };
    let refused = loop {
        let answer = client.next().await.unwrap();
        assert!(ids.contains(&answer["id"].as_u64().unwrap()), "{answer}");
        if answer["result"]["isError"] == true {
            break answer;
        }
    };
    let text = refused["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("slow down"), "{text}");
    drop(client);
    server.end().await;
}

#[tokio::test]
async fn the_own_task_is_a_resource() {
    let server = Server::start();
    let mut client = server.client().await;
    let answer = client.call("resources/list", json!({})).await;
    assert_eq!(answer["result"]["resources"][0]["uri"], "claustre://task");
    let answer = client
        .call("resources/read", json!({"uri": "claustre://task"}))
        .await;
    let text = answer["result"]["contents"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("Task: Fix login"), "{text}");
    let answer = client
        .call("resources/read", json!({"uri": "file:///etc/passwd"}))
        .await;
    assert!(answer["error"]["code"].is_i64(), "{answer}");
    server.end().await;
}

#[tokio::test]
async fn ten_thousand_lists_leave_nothing_behind() {
    let server = Server::start();
    let mut client = server.client().await;
    let metrics = tokio::runtime::Handle::current().metrics();
    let answer = client.call("tools/list", json!({})).await;
    let length = answer["result"].to_string().len();
    let tasks = metrics.num_alive_tasks();
    for _ in 0..10_000 {
        let answer = client.call("tools/list", json!({})).await;
        assert_eq!(answer["result"].to_string().len(), length);
    }
    let settled = async {
        while metrics.num_alive_tasks() > tasks {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, settled).await.unwrap();
    server.end().await;
}

#[tokio::test]
async fn connections_come_and_go_and_all_end_with_the_daemon() {
    let server = Server::start();
    for _ in 0..20 {
        let mut client = server.client().await;
        client.call("ping", json!({})).await;
    }
    let mut left = Vec::new();
    for _ in 0..5 {
        left.push(server.client().await);
    }
    let silent = server.bridge().await;
    server.end().await;
    for mut client in left {
        assert!(client.next().await.is_none());
    }
    drop(silent);
}
