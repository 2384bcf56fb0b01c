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
    Ok(json!({"mcpServers": {SERVER: {"command": command, "args": ["mcp"], "env": env}}}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bridge_is_named_with_its_variables_and_no_secret() {
        let config =
            build(Path::new("/opt/a b/claustre"), &["CLAUSTRE_SESSION_ID"]).expect("config");
        let wanted = json!({"mcpServers": {"claustre": {
            "command": "/opt/a b/claustre", "args": ["mcp"], "env": {"CLAUSTRE_SESSION_ID": "${CLAUSTRE_SESSION_ID}"}}}});
        assert_eq!(config, wanted);
        assert!(build(Path::new("claustre"), &[]).is_err());
        assert!(build(Path::new("/a/${HOME}/claustre"), &[]).is_err());
    }
}
