//! A small client for MCP servers on stdio: one JSON-RPC message a line.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::hooks::{add_environment, kill_group};
use super::payload::Common;
use super::settings::McpServer;

const START_LIMIT: Duration = Duration::from_secs(30);
const CALL_LIMIT: Duration = Duration::from_secs(600);

/// The servers of the session, started once and again after they died.
pub struct Servers {
    configured: BTreeMap<String, McpServer>,
    running: BTreeMap<String, Connection>,
}

struct Connection {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<Value>,
    next_id: u64,
}

impl Servers {
    #[must_use]
    pub fn new(configured: BTreeMap<String, McpServer>) -> Self {
        Self {
            configured,
            running: BTreeMap::new(),
        }
    }

    #[must_use]
    pub fn is_configured(&self, name: &str) -> bool {
        self.configured.contains_key(name)
    }

    /// Starts every server; returns what went wrong, by name.
    pub fn start_all(&mut self, common: &Common) -> Vec<(String, String)> {
        let names: Vec<String> = self.configured.keys().cloned().collect();
        names
            .into_iter()
            .filter_map(|name| {
                let error = self.connection(&name, common).err()?;
                Some((name, error))
            })
            .collect()
    }

    /// Ends every server.
    pub fn stop_all(&mut self) {
        self.running.clear();
    }

    /// Calls a tool; starts the server again if it has died before.
    ///
    /// # Errors
    /// With the text the model gets in place of a result.
    pub fn call(
        &mut self,
        server: &str,
        tool: &str,
        arguments: &Value,
        tool_use_id: &str,
        common: &Common,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Value, String> {
        let connection = self.connection(server, common)?;
        let parameters = json!({
            "name": tool,
            "arguments": arguments,
            "_meta": {"claudecode/toolUseId": tool_use_id, "progressToken": connection.next_id},
        });
        let answer = connection.request("tools/call", &parameters, CALL_LIMIT, interrupted);
        match answer {
            Ok(result) if result["isError"] == true => Err(text_of(&result["content"])),
            Ok(result) => Ok(result["content"].clone()),
            Err(error) => {
                self.running.remove(server);
                Err(error)
            }
        }
    }

    fn connection(&mut self, name: &str, common: &Common) -> Result<&mut Connection, String> {
        if !self.running.contains_key(name) {
            let server = self.configured.get(name).ok_or_else(|| {
                format!("No such tool available: the MCP server '{name}' is not configured")
            })?;
            let connection = Connection::open(server, common)?;
            self.running.insert(name.to_owned(), connection);
        }
        self.running
            .get_mut(name)
            .ok_or_else(|| "lost the connection".into())
    }
}

/// The text blocks of a tool's content, joined.
#[must_use]
pub fn text_of(content: &Value) -> String {
    let blocks = content.as_array().into_iter().flatten();
    let texts: Vec<&str> = blocks.filter_map(|block| block["text"].as_str()).collect();
    texts.join("\n")
}

impl Connection {
    fn open(server: &McpServer, common: &Common) -> Result<Self, String> {
        use std::os::unix::process::CommandExt as _;
        let mut command = std::process::Command::new(&server.command);
        command.args(&server.args).envs(&server.env);
        add_environment(&mut command, common);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|error| format!("MCP error -32000: starting {}: {error}", server.command))?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("MCP error -32000: no pipes".into());
        };
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // A server may log to stdout by mistake; the real client skips such lines as well.
                if let Ok(message) = serde_json::from_str::<Value>(&line)
                    && sender.send(message).is_err()
                {
                    return;
                }
            }
        });
        let mut connection = Self {
            child,
            stdin,
            lines,
            next_id: 0,
        };
        let never = || false;
        connection.request(
            "initialize",
            &json!({
                "protocolVersion": "2025-11-25",
                "capabilities": {"roots": {}, "elicitation": {}},
                "clientInfo": {"name": "claude-code", "version": super::version()},
            }),
            START_LIMIT,
            &never,
        )?;
        connection.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        connection.request("tools/list", &json!({}), START_LIMIT, &never)?;
        Ok(connection)
    }

    fn send(&mut self, message: &Value) -> Result<(), String> {
        self.stdin
            .write_all(format!("{message}\n").as_bytes())
            .and_then(|()| self.stdin.flush())
            .map_err(|_| "MCP error -32000: Connection closed".into())
    }

    fn request(
        &mut self,
        method: &str,
        parameters: &Value,
        limit: Duration,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Value, String> {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": parameters}))?;
        let end = Instant::now() + limit;
        while Instant::now() < end {
            if interrupted() {
                return Err("Interrupted by user".into());
            }
            match self.lines.recv_timeout(Duration::from_millis(20)) {
                Ok(message) if message["method"] == "roots/list" => {
                    let cwd = std::env::current_dir().unwrap_or_default();
                    let roots = json!([{"uri": format!("file://{}", cwd.display())}]);
                    self.send(
                        &json!({"jsonrpc": "2.0", "id": message["id"], "result": {"roots": roots}}),
                    )?;
                }
                Ok(message) if message.get("method").is_some() && message.get("id").is_some() => {
                    // `ping` and anything else a server may ask.
                    self.send(&json!({"jsonrpc": "2.0", "id": message["id"], "result": {}}))?;
                }
                Ok(message) if message["id"] == id => {
                    if let Some(error) = message.get("error") {
                        let text = error["message"].as_str().unwrap_or_default();
                        return Err(format!("MCP error {}: {text}", error["code"]));
                    }
                    return Ok(message["result"].clone());
                }
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err("MCP error -32000: Connection closed".into());
                }
            }
        }
        Err(format!(
            "MCP request {method} timed out after {}s",
            limit.as_secs()
        ))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        kill_group(self.child.id());
        drop(self.child.wait());
    }
}
