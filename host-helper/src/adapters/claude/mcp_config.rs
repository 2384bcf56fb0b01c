//! The `mcp.json` that connects a session to Claustre's MCP server.

use std::path::{Path, PathBuf};

use claustre_protocol::hook::{HOME_VARIABLE, SESSION_VARIABLE, TOKEN_VARIABLE};
use serde_json::{Map, Value, json};
use thiserror::Error;

/// The server's name; its tools are `mcp__claustre__...`.
pub const SERVER: &str = "claustre";

/// The variables a session's bridge is told, by name only: the client fills in their values, so that
/// the file holds no secret.
pub const BRIDGE_VARIABLES: &[&str] = &[SESSION_VARIABLE, TOKEN_VARIABLE, HOME_VARIABLE];

/// Why the configuration cannot name the helper.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("naming the helper {path:?} in Claude Code's MCP configuration: {reason}")]
pub struct McpPathError {
    /// The path.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// Builds the configuration: a stdio server that runs `claustre mcp`.
///
/// `variables` are passed by name ([`BRIDGE_VARIABLES`]); the client is started with their values. A
/// variable that is not set there would reach the bridge as the literal `${NAME}`, so name only set ones.
pub fn build(claustre: &Path, variables: &[&str]) -> Result<Value, McpPathError> {
    let failed = |reason| McpPathError {
        path: claustre.to_owned(),
        reason,
    };
    if !claustre.is_absolute() {
        return Err(failed("it is not an absolute path"));
    }
    let command = claustre
        .to_str()
        .ok_or_else(|| failed("it is not valid UTF-8"))?;
    if command.contains("${") {
        return Err(failed("it holds ${, which the client would expand"));
    }
    let env: Map<String, Value> = variables
        .iter()
        .map(|name| ((*name).to_owned(), json!(format!("${{{name}}}"))))
        .collect();
    // Where the client has the model search for tools, these are still offered with every request: an agent that must search for
    // the tool that reports does not report.
    Ok(
        json!({"mcpServers": {SERVER: {"command": command, "args": ["mcp"], "env": env, "alwaysLoad": true}}}),
    )
}

/// The file of a worktree that connects a `claude` typed there by hand.
pub const NAME: &str = ".mcp.json";

/// Does this file hold nothing but what [`build`] makes, whichever helper it names? Nobody loses anything with it.
pub fn is_ours(path: &Path) -> bool {
    let is_plain = |path: &Path| path.symlink_metadata().is_ok_and(|data| data.is_file());
    let content = is_plain(path)
        .then(|| std::fs::read_to_string(path).ok())
        .flatten()
        .and_then(|text| serde_json::from_str::<Value>(&text).ok());
    let Some(content) = content else {
        return false;
    };
    let server = content
        .get("mcpServers")
        .and_then(|servers| servers.get(SERVER));
    let Some(command) = server
        .and_then(|server| server.get("command"))
        .and_then(Value::as_str)
    else {
        return false;
    };
    build(Path::new(command), BRIDGE_VARIABLES).is_ok_and(|ours| ours == content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_anything_else_in_it_is_not_ours() {
        let place = tempfile::tempdir().expect("temp dir");
        let file = place.path().join(NAME);
        assert!(!is_ours(&file));
        let mut config = build(Path::new("/old/claustre"), BRIDGE_VARIABLES).expect("config");
        std::fs::write(&file, config.to_string()).expect("written");
        assert!(is_ours(&file));
        config["mcpServers"]["mine"] = json!({"command": "x"});
        std::fs::write(&file, config.to_string()).expect("written");
        assert!(!is_ours(&file));
    }

    #[test]
    fn the_bridge_is_named_with_its_variables_and_no_secret() {
        let config =
            build(Path::new("/opt/a b/claustre"), &["CLAUSTRE_SESSION_ID"]).expect("config");
        let wanted = json!({"mcpServers": {"claustre": {
            "command": "/opt/a b/claustre", "args": ["mcp"], "env": {"CLAUSTRE_SESSION_ID": "${CLAUSTRE_SESSION_ID}"},
            "alwaysLoad": true}}});
        assert_eq!(config, wanted);
        assert!(build(Path::new("claustre"), &[]).is_err());
        assert!(build(Path::new("/a/${HOME}/claustre"), &[]).is_err());
    }
}
