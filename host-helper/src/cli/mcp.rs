//! `claustre mcp`: what Claude Code starts as an MCP server. Carries lines between its pipes and the daemon's MCP socket, and
//! outlives the daemon: after a restart it greets the new one in the client's name and asks again what was not answered.

use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use claustre_protocol::{
    PROTOCOL,
    hook::{SESSION_VARIABLE, TOKEN_VARIABLE},
};
use serde_json::{Value, json};

use super::{
    Context,
    error::{CliError, Kind},
};
use crate::client::Client;

/// Time the MCP socket has to come up with a daemon that starts.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time a daemon that went away has to come back before the client is told.
const LONG_PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(40);
/// The tool whose repetition would make a second thing.
const NOT_TWICE: &str = "claustre_task_create";

pub fn run(context: &Context) -> Result<(), CliError> {
    let bridge = Arc::new(Mutex::new(Bridge::default()));
    let mut stream = connect(context, PATIENCE)?;
    greet(&bridge, &stream)?;
    let upward = bridge.clone();
    thread::Builder::new()
        .name("to-server".into())
        .spawn(move || {
            for line in io::stdin().lock().lines() {
                let Ok(line) = line else { break };
                lock(&upward).send(line);
            }
            // The client has ended: so may the server, once it has answered what it was asked.
            lock(&upward).end();
        })
        .map_err(|error| CliError::failed("connecting to the MCP server", error))?;
    loop {
        carry_down(&bridge, &stream)?;
        if lock(&bridge).is_ended {
            return Ok(());
        }
        stream = connect(context, LONG_PATIENCE)?;
        greet(&bridge, &stream)?;
    }
}

/// What the client said that a new daemon must hear again.
#[derive(Default)]
struct Bridge {
    stream: Option<UnixStream>,
    /// `initialize`, and whether it was answered.
    initialize: Option<(String, bool)>,
    /// `notifications/initialized`.
    initialized: Option<String>,
    /// Requests without an answer, in their order.
    unanswered: Vec<(Value, String)>,
    is_ended: bool,
}

impl Bridge {
    /// Takes a line of the client, and passes it on while there is a daemon.
    fn send(&mut self, line: String) {
        let message: Value = serde_json::from_str(&line).unwrap_or(Value::Null);
        match message.get("method").and_then(Value::as_str) {
            Some("initialize") => self.initialize = Some((line.clone(), false)),
            Some("notifications/initialized") => self.initialized = Some(line.clone()),
            Some(_) => {
                if let Some(id) = message.get("id") {
                    self.unanswered.push((id.clone(), line.clone()));
                }
            }
            None => {}
        }
        self.write(&line);
    }

    /// A line that cannot be written is asked again after the next greeting.
    fn write(&mut self, line: &str) {
        if let Some(stream) = &mut self.stream
            && writeln!(stream, "{line}").is_err()
        {
            self.stream = None;
        }
    }

    fn end(&mut self) {
        self.is_ended = true;
        if let Some(stream) = &self.stream {
            // It may be gone already.
            stream.shutdown(Shutdown::Write).ok();
        }
    }

    /// Takes a line of the server; false where the client must not see it: the answer to a greeting that only we repeated.
    fn take(&mut self, line: &str) -> bool {
        let Ok(message) = serde_json::from_str::<Value>(line) else {
            return true;
        };
        let Some(id) = message
            .get("id")
            .filter(|_| message.get("method").is_none())
        else {
            return true;
        };
        if let Some((initialize, is_answered)) = &mut self.initialize {
            let greeting: Value = serde_json::from_str(initialize).unwrap_or(Value::Null);
            if greeting.get("id") == Some(id)
                && !self.unanswered.iter().any(|(asked, _)| asked == id)
            {
                return !std::mem::replace(is_answered, true);
            }
        }
        self.unanswered.retain(|(asked, _)| asked != id);
        true
    }

    /// Greets a new daemon as the client greeted the old one, and asks again. Answers what may not be asked twice.
    fn repeat(&mut self) -> Vec<String> {
        let Some((initialize, is_answered)) = self.initialize.clone() else {
            return Vec::new();
        };
        self.write(&initialize);
        if is_answered && let Some(initialized) = self.initialized.clone() {
            self.write(&initialized);
        }
        let mut refused = Vec::new();
        for (id, line) in std::mem::take(&mut self.unanswered) {
            if line.contains(NOT_TWICE) {
                let why = "the daemon was restarted meanwhile: look whether the task is there before proposing it again";
                refused.push(
                    json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32000, "message": why}})
                        .to_string(),
                );
            } else {
                self.write(&line);
                self.unanswered.push((id, line));
            }
        }
        refused
    }
}

fn lock(bridge: &Mutex<Bridge>) -> std::sync::MutexGuard<'_, Bridge> {
    bridge.lock().unwrap_or_else(PoisonError::into_inner)
}

fn greet(bridge: &Mutex<Bridge>, stream: &UnixStream) -> Result<(), CliError> {
    let doing = "connecting to the MCP server";
    let hello = json!({
        "claustre": "hello",
        "session": env::var(SESSION_VARIABLE).unwrap_or_default(),
        "token": env::var(TOKEN_VARIABLE).unwrap_or_default(),
        "protocol": PROTOCOL,
    });
    let mut writing = stream
        .try_clone()
        .map_err(|error| CliError::failed(doing, error))?;
    writeln!(writing, "{hello}").map_err(|error| CliError::failed(doing, error))?;
    let mut bridge = lock(bridge);
    bridge.stream = Some(writing);
    let refused = bridge.repeat();
    if bridge.is_ended {
        bridge.end();
    }
    drop(bridge);
    for line in refused {
        print_line(&line)?;
    }
    Ok(())
}

/// Carries the server's lines to the client until the server is gone.
fn carry_down(bridge: &Mutex<Bridge>, stream: &UnixStream) -> Result<(), CliError> {
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { break };
        if lock(bridge).take(&line) {
            print_line(&line)?;
        }
    }
    lock(bridge).stream = None;
    Ok(())
}

/// A message must never wait for the next one.
fn print_line(line: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(CliError::from)
}

fn connect(context: &Context, patience: Duration) -> Result<UnixStream, CliError> {
    let socket = context.paths.mcp_socket();
    let begun = Instant::now();
    let mut started = Ok(());
    loop {
        match UnixStream::connect(&socket) {
            Ok(stream) => return Ok(stream),
            Err(_) if begun.elapsed() < patience => {
                if started.is_ok() {
                    started = Client::connect_or_start(&context.paths, "mcp").map(drop);
                }
                thread::sleep(LOOK);
            }
            Err(error) => {
                return Err(CliError {
                    kind: Kind::Unreachable,
                    message: format!(
                        "connecting to the MCP server at {}: {error}",
                        socket.display()
                    ),
                    hint: Some("claustre daemon restart".to_owned()),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeted() -> Bridge {
        let mut bridge = Bridge::default();
        bridge.send(r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}"#.into());
        assert!(bridge.take(r#"{"jsonrpc":"2.0","id":0,"result":{}}"#));
        bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.into());
        bridge
    }

    #[test]
    fn what_was_not_answered_is_asked_again_of_a_new_daemon() {
        let mut bridge = greeted();
        bridge.send(
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"claustre_status"}}"#
                .into(),
        );
        bridge.send(r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#.into());
        assert!(bridge.take(r#"{"jsonrpc":"2.0","id":2,"result":{}}"#));
        let (ours, theirs) = UnixStream::pair().unwrap();
        bridge.stream = Some(ours);
        assert!(bridge.repeat().is_empty());
        drop(bridge.stream.take());
        let said: Vec<String> = BufReader::new(theirs)
            .lines()
            .map_while(Result::ok)
            .collect();
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[0].contains("initialize") && said[1].contains("initialized"));
        assert!(said[2].contains("claustre_status"));
        assert!(
            !bridge.take(r#"{"jsonrpc":"2.0","id":0,"result":{}}"#),
            "the client knows this answer"
        );
        assert!(bridge.take(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#));
    }

    #[test]
    fn what_would_be_done_twice_is_refused_instead() {
        let mut bridge = greeted();
        bridge.send(
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"claustre_task_create"}}"#.into(),
        );
        let refused = bridge.repeat();
        assert_eq!(refused.len(), 1);
        assert!(refused[0].contains("\"id\":7"));
        assert!(bridge.unanswered.is_empty());
    }
}
