//! `claustre mcp`: what Claude Code starts as an MCP server. Copies between its pipes and the daemon's MCP socket.

use std::{
    env,
    io::{self, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    thread,
    time::{Duration, Instant},
};

use claustre_protocol::{
    PROTOCOL,
    hook::{SESSION_VARIABLE, TOKEN_VARIABLE},
};
use serde_json::json;

use super::{
    Context,
    error::{CliError, Kind},
};
use crate::client::Client;

/// Time the MCP socket has to come up with a daemon that starts.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(40);

pub fn run(context: &Context) -> Result<(), CliError> {
    let stream = connect(context)?;
    let hello = json!({
        "claustre": "hello",
        "session": env::var(SESSION_VARIABLE).unwrap_or_default(),
        "token": env::var(TOKEN_VARIABLE).unwrap_or_default(),
        "protocol": PROTOCOL,
    });
    let doing = "connecting to the MCP server";
    writeln!(&stream, "{hello}").map_err(|error| CliError::failed(doing, error))?;
    let upward = stream
        .try_clone()
        .map_err(|error| CliError::failed(doing, error))?;
    thread::Builder::new()
        .name("to-server".into())
        .spawn(move || {
            drop(copy(io::stdin().lock(), &upward));
            // The client has ended: so may the server, once it has answered what it was asked.
            drop(upward.shutdown(Shutdown::Write));
        })
        .map_err(|error| CliError::failed(doing, error))?;
    // Ends when the server ends, be it because of the client's end; a client that is gone ends it too.
    copy(&stream, io::stdout().lock()).map_err(CliError::from)
}

fn connect(context: &Context) -> Result<UnixStream, CliError> {
    let socket = context.paths.mcp_socket();
    if let Ok(stream) = UnixStream::connect(&socket) {
        return Ok(stream);
    }
    let begun = Instant::now();
    drop(Client::connect_or_start(&context.paths, "mcp")?);
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

/// Copies until the end, and hands on what is there at once: a message must never wait for the next one.
fn copy(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut chunk = vec![0_u8; 64 * 1024];
    loop {
        match from.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(read) => {
                to.write_all(chunk.get(..read).unwrap_or_default())?;
                to.flush()?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
