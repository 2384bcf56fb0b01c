//! `claustre mcp`: what Claude Code starts as an MCP server. Hands messages on between its pipes and the daemon's MCP socket,
//! and outlives the daemon: the client starts it once for a conversation and never again.

mod bridge;

use std::{
    env,
    io::{self, Write},
    os::unix::net::UnixStream,
    thread,
    time::{Duration, Instant},
};

use claustre_protocol::{
    PROTOCOL,
    hook::{SESSION_VARIABLE, TOKEN_VARIABLE},
};
use serde_json::json;
use uuid::Uuid;

use super::{
    Context,
    error::{CliError, Kind},
};
use crate::{client::Client, paths::Paths};

/// Time the MCP socket has to come up with a daemon that starts.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(40);

pub fn run(context: &Context) -> Result<(), CliError> {
    let bridge = Uuid::new_v4();
    bridge::run(io::stdin(), io::stdout().lock(), || {
        connect(&context.paths, bridge)
    })
}

/// A connection that has said who it is, to a daemon that is started where there is none.
fn connect(paths: &Paths, bridge: Uuid) -> Result<UnixStream, CliError> {
    let stream = reach(paths)?;
    let hello = json!({
        "claustre": "hello",
        "session": env::var(SESSION_VARIABLE).unwrap_or_default(),
        "token": env::var(TOKEN_VARIABLE).unwrap_or_default(),
        "protocol": PROTOCOL,
        "bridge": bridge,
    });
    writeln!(&stream, "{hello}")
        .map_err(|error| CliError::failed("connecting to the MCP server", error))?;
    Ok(stream)
}

fn reach(paths: &Paths) -> Result<UnixStream, CliError> {
    let socket = paths.mcp_socket();
    if let Ok(stream) = UnixStream::connect(&socket) {
        return Ok(stream);
    }
    let begun = Instant::now();
    drop(Client::connect_or_start(paths, "mcp")?);
    loop {
        match UnixStream::connect(&socket) {
            Ok(stream) => return Ok(stream),
            Err(_) if begun.elapsed() < PATIENCE => thread::sleep(LOOK),
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
