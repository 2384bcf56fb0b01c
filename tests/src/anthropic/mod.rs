//! A scripted stand-in for the Messages API, so that a real client runs with no network and no account.
//!
//! Endpoints: `POST /v1/messages` (JSON or a stream of events), `POST /v1/messages/count_tokens`,
//! `GET /v1/models[/ID]`; anything else is answered 200 `{}`. What it answers is a [`script::Script`].

pub mod answer;
pub mod http;
pub mod script;

use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use serde_json::{Value, json};

pub use script::{Script, Source};

const MODELS: [&str; 3] = ["claude-opus-4-8", "claude-sonnet-4-6", "claude-haiku-4-5"];

/// Request headers that are worth a look in a log.
const KEPT_HEADERS: [&str; 6] = [
    "user-agent",
    "anthropic-beta",
    "anthropic-version",
    "x-app",
    "x-claude-code-session-id",
    "x-stainless-retry-count",
];

/// A running server on a loopback port. Stops accepting when dropped.
pub struct AnthropicServer {
    port: u16,
    inner: Arc<Inner>,
}

struct Inner {
    script: Mutex<script::Reader>,
    requests: Mutex<Vec<Value>>,
    log: Option<PathBuf>,
    full: bool,
    stopping: AtomicBool,
}

/// What a server is started with beyond its script.
#[derive(Default)]
pub struct Options {
    /// Port to listen on; 0 picks a free one.
    pub port: u16,
    /// File that gets one JSON object per request.
    pub log: Option<PathBuf>,
    /// Keep whole request bodies in the log.
    pub full: bool,
}

impl AnthropicServer {
    /// Starts a server with a script on a free port; whole request bodies are kept.
    ///
    /// # Errors
    /// When no port can be bound.
    pub fn start(script: Script) -> anyhow::Result<Self> {
        Self::start_with(
            Source::Fixed(script),
            Options {
                full: true,
                ..Options::default()
            },
        )
    }

    /// Starts a server whose script may be a file, read again whenever it changes.
    ///
    /// # Errors
    /// When the port cannot be bound or the script cannot be read.
    pub fn start_with(source: Source, options: Options) -> anyhow::Result<Self> {
        let script = script::Reader::new(source)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))
            .with_context(|| format!("binding loopback port {}", options.port))?;
        let port = listener.local_addr()?.port();
        let inner = Arc::new(Inner {
            script: Mutex::new(script),
            requests: Mutex::new(Vec::new()),
            log: options.log,
            full: options.full,
            stopping: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&inner);
        std::thread::Builder::new()
            .name("fake-anthropic".into())
            .spawn(move || accept(&listener, &accepting))?;
        Ok(Self { port, inner })
    }

    /// The loopback port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What `ANTHROPIC_BASE_URL` must be set to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// One log object per request so far, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Value> {
        self.inner.requests.lock().unwrap().clone()
    }

    /// The requests of the main conversation (those that offer tools), oldest first.
    #[must_use]
    pub fn main_requests(&self) -> Vec<Value> {
        let mut requests = self.requests();
        requests.retain(|request| request["kind"] == "main");
        requests
    }

    /// Replaces the script; positions of conversations are kept, since they come from the conversation.
    pub fn set_script(&self, script: Script) {
        self.inner.script.lock().unwrap().replace(script);
    }
}

impl Drop for AnthropicServer {
    fn drop(&mut self) {
        self.inner.stopping.store(true, Ordering::SeqCst);
        // Wakes the accepting thread; it is fine when nobody listens any more.
        drop(TcpStream::connect_timeout(
            &(Ipv4Addr::LOCALHOST, self.port).into(),
            Duration::from_secs(1),
        ));
    }
}

fn accept(listener: &TcpListener, inner: &Arc<Inner>) {
    for stream in listener.incoming() {
        if inner.stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let inner = Arc::clone(inner);
        std::thread::spawn(move || {
            // A client that hangs up in the middle is not an event worth more than the end of its thread.
            drop(serve(stream, &inner));
        });
    }
}

fn serve(stream: TcpStream, inner: &Inner) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = http::read_request(&mut reader, &mut writer)? {
        let keep = route(&request, &mut writer, inner)?;
        if !keep || request.wants_close() {
            break;
        }
    }
    Ok(())
}

/// Answers one request; false when the connection must be closed after it.
fn route(request: &http::Request, writer: &mut impl Write, inner: &Inner) -> std::io::Result<bool> {
    let path = request.path.split('?').next().unwrap_or_default();
    if request.method == "POST" && path == "/v1/messages" {
        return messages(request, writer, inner);
    }
    let answer = if request.method == "POST" && path == "/v1/messages/count_tokens" {
        json!({"input_tokens": (request.body.len() / 4).max(1)})
    } else if let Some(wanted) = path.strip_prefix("/v1/models") {
        models(wanted.trim_start_matches('/'))
    } else {
        json!({})
    };
    inner.record(request, 200, json!({}));
    http::write_json(writer, request, 200, &answer, &[])?;
    Ok(true)
}

fn models(wanted: &str) -> Value {
    let all: Vec<Value> = MODELS
        .iter()
        .filter(|id| wanted.is_empty() || wanted == **id)
        .map(|id| json!({"type": "model", "id": id, "display_name": id, "created_at": "2026-01-01T00:00:00Z"}))
        .collect();
    match all.first() {
        Some(model) if !wanted.is_empty() => model.clone(),
        _ => json!({"data": all, "has_more": false, "first_id": MODELS[0], "last_id": MODELS[2]}),
    }
}

fn messages(
    request: &http::Request,
    writer: &mut impl Write,
    inner: &Inner,
) -> std::io::Result<bool> {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    let (step, mut info) = inner.script.lock().unwrap().answer(&body);
    info["model"] = body["model"].clone();
    info["stream"] = json!(body["stream"] == true);
    info["n_messages"] = json!(body["messages"].as_array().map_or(0, Vec::len));
    info["bytes"] = json!(request.body.len());
    info["tools"] = body["tools"]
        .as_array()
        .map(|tools| tools.iter().map(|tool| tool["name"].clone()).collect())
        .unwrap_or_default();
    if inner.full {
        info["body"] = body.clone();
    }
    let status = step.error.as_ref().map_or(200, |error| error.status);
    inner.record(request, status, info);
    std::thread::sleep(Duration::from_secs_f64(step.delay));

    let headers = answer::headers(&step, unix_now());
    if let Some(error) = &step.error {
        let payload =
            json!({"type": "error", "error": {"type": error.kind, "message": error.message}});
        http::write_json(writer, request, status, &payload, &headers)?;
        return Ok(true);
    }
    let message = answer::message(&step, &body["model"]);
    if body["stream"] != true {
        http::write_json(writer, request, 200, &message, &headers)?;
        return Ok(true);
    }
    http::write_stream_head(writer, &headers)?;
    for (name, data) in answer::events(&message, &step) {
        write!(writer, "event: {name}\ndata: {data}\n\n")?;
        writer.flush()?;
        std::thread::sleep(Duration::from_secs_f64(step.chunk_delay));
    }
    Ok(false)
}

impl Inner {
    fn record(&self, request: &http::Request, status: u16, info: Value) {
        let mut entry = json!({
            "ts": unix_now_ms() as f64 / 1000.0,
            "method": request.method,
            "path": request.path,
            "status": status,
            "auth": request.authentication(),
        });
        for name in KEPT_HEADERS {
            if let Some(value) = request.header(name) {
                entry["headers"][name] = json!(value);
            }
        }
        if let Value::Object(info) = info {
            for (key, value) in info {
                entry[key] = value;
            }
        }
        if let Some(path) = &self.log {
            let line = format!("{entry}\n");
            let opened = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(path);
            if let Err(error) = opened.and_then(|mut file| file.write_all(line.as_bytes())) {
                eprintln!("fake-anthropic: writing {}: {error}", path.display());
            }
        }
        self.requests.lock().unwrap().push(entry);
    }
}

fn unix_now_ms() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis()
}

fn unix_now() -> u64 {
    (unix_now_ms() / 1000) as u64
}

#[cfg(test)]
mod tests;
