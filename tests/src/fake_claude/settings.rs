//! What `--settings`, `--mcp-config` and the user's own settings say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// Events client 2.1.197 knows; any other name opens a blocking dialog at start.
pub const KNOWN_EVENTS: [&str; 30] = [
    "PreToolUse",
    "PostToolUse",
    "PostToolUseFailure",
    "PostToolBatch",
    "Notification",
    "UserPromptSubmit",
    "UserPromptExpansion",
    "SessionStart",
    "SessionEnd",
    "Stop",
    "StopFailure",
    "SubagentStart",
    "SubagentStop",
    "PreCompact",
    "PostCompact",
    "PermissionRequest",
    "PermissionDenied",
    "Setup",
    "TeammateIdle",
    "TaskCreated",
    "TaskCompleted",
    "Elicitation",
    "ElicitationResult",
    "ConfigChange",
    "WorktreeCreate",
    "WorktreeRemove",
    "InstructionsLoaded",
    "CwdChanged",
    "FileChanged",
    "MessageDisplay",
];

/// Settings merged from all sources.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub hooks: Vec<Hook>,
    pub status_line: Option<StatusLine>,
    pub allow: Vec<String>,
    /// Text of the dialog that blocks the start, if any.
    pub complaint: Option<String>,
}

/// One command hook.
#[derive(Clone, Debug)]
pub struct Hook {
    pub event: String,
    /// Pattern for the tool name; empty or `*` fits all.
    pub matcher: String,
    pub command: String,
    /// Exec form: run without a shell.
    pub args: Option<Vec<String>>,
    /// Seconds.
    pub timeout: Option<f64>,
    /// Not waited for.
    pub background: bool,
}

#[derive(Clone, Debug, Deserialize)]
pub struct StatusLine {
    pub command: String,
    /// Seconds.
    #[serde(rename = "refreshInterval")]
    pub refresh_interval: Option<f64>,
}

/// One stdio server of `--mcp-config`, variables expanded.
#[derive(Clone, Debug, PartialEq)]
pub struct McpServer {
    pub command: String,
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
}

impl Settings {
    /// Reads the user's, the project's and the given settings, in this order.
    #[must_use]
    pub fn load(home: &Path, cwd: &Path, given: Option<&str>) -> Self {
        let mut settings = Self::default();
        let files = [
            home.join(".claude/settings.json"),
            cwd.join(".claude/settings.json"),
            cwd.join(".claude/settings.local.json"),
        ];
        for file in files {
            if let Ok(text) = std::fs::read_to_string(file) {
                settings.merge(&text);
            }
        }
        if let Some(given) = given {
            match inline_or_file(given) {
                Ok(text) => settings.merge(&text),
                Err(path) => {
                    settings.complaint = Some(format!("Settings Error\n{path}: file not found"));
                }
            }
        }
        settings
    }

    fn merge(&mut self, text: &str) {
        let Ok(json) = serde_json::from_str::<Value>(text) else {
            self.complaint = Some("Settings Error\nInvalid or malformed JSON".into());
            return;
        };
        if let Some(events) = json["hooks"].as_object() {
            for (event, groups) in events {
                self.merge_event(event, groups);
            }
        }
        if let Ok(line) = StatusLine::deserialize(&json["statusLine"]) {
            self.status_line = Some(line);
        }
        if let Some(rules) = json["permissions"]["allow"].as_array() {
            self.allow
                .extend(rules.iter().filter_map(Value::as_str).map(str::to_owned));
        }
    }

    fn merge_event(&mut self, event: &str, groups: &Value) {
        if !KNOWN_EVENTS.contains(&event) {
            self.complaint = Some(format!(
                "Settings Warning\nhooks.{event}: Unknown hook event \"{event}\" was ignored"
            ));
            return;
        }
        for group in groups.as_array().into_iter().flatten() {
            for hook in group["hooks"].as_array().into_iter().flatten() {
                let (Some("command"), Some(command)) =
                    (hook["type"].as_str(), hook["command"].as_str())
                else {
                    continue;
                };
                self.hooks.push(Hook {
                    event: event.to_owned(),
                    matcher: group["matcher"].as_str().unwrap_or_default().to_owned(),
                    command: command.to_owned(),
                    args: Vec::deserialize(&hook["args"]).ok(),
                    timeout: hook["timeout"].as_f64(),
                    background: hook["async"] == true,
                });
            }
        }
    }
}

/// Servers of the given configurations.
///
/// # Errors
/// With the text of the real client.
pub fn mcp_servers(
    configurations: &[String],
    variable: impl Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, McpServer>, String> {
    let mut servers = BTreeMap::new();
    for configuration in configurations {
        let text = inline_or_file(configuration).map_err(|path| {
            format!("Error: Invalid MCP configuration:\nMCP config file not found: {path}")
        })?;
        let json: Value = serde_json::from_str(&text).map_err(|_| {
            "Error: Invalid MCP configuration:\nMCP config is not a valid JSON".to_owned()
        })?;
        for (name, server) in json["mcpServers"].as_object().into_iter().flatten() {
            let Some(command) = server["command"].as_str() else {
                continue; // http and sse servers are not spoken here
            };
            let args = server["args"].as_array().into_iter().flatten();
            let env = server["env"].as_object().into_iter().flatten();
            servers.insert(
                name.clone(),
                McpServer {
                    command: expand(command, &variable),
                    args: args
                        .filter_map(Value::as_str)
                        .map(|text| expand(text, &variable))
                        .collect(),
                    env: env
                        .filter_map(|(key, value)| {
                            Some((key.clone(), expand(value.as_str()?, &variable)))
                        })
                        .collect(),
                },
            );
        }
    }
    Ok(servers)
}

/// Inline JSON as it is, else the file's text; the absolute path when there is no such file.
fn inline_or_file(text: &str) -> Result<String, String> {
    if text.trim_start().starts_with('{') {
        return Ok(text.to_owned());
    }
    let path: PathBuf = std::env::current_dir().unwrap_or_default().join(text);
    std::fs::read_to_string(&path).map_err(|_| path.display().to_string())
}

/// `${VAR}` and `${VAR:-default}`; an unset variable without default stays as it is written.
fn expand(text: &str, variable: &impl Fn(&str) -> Option<String>) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once("${") {
        let Some((name, after)) = inside.split_once('}') else {
            break;
        };
        expanded.push_str(before);
        let (plain, default) = match name.split_once(":-") {
            Some((plain, default)) => (plain, Some(default.to_owned())),
            None => (name, None),
        };
        match variable(plain).or(default) {
            Some(value) => expanded.push_str(&value),
            None => expanded.push_str(&format!("${{{name}}}")),
        }
        rest = after;
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_expand_as_in_the_real_client() {
        let variable = |name: &str| (name == "TASK").then(|| "7".to_owned());
        assert_eq!(expand("a ${TASK} b", &variable), "a 7 b");
        assert_eq!(expand("${NOPE:-none}", &variable), "none");
        assert_eq!(expand("${NOPE}", &variable), "${NOPE}");
        assert_eq!(expand("${open", &variable), "${open");
    }

    #[test]
    fn settings_give_hooks_rules_and_the_status_line() {
        let mut settings = Settings::default();
        settings.merge(
            r#"{"permissions": {"allow": ["mcp__claustre"]},
                "statusLine": {"type": "command", "command": "s", "refreshInterval": 5},
                "hooks": {"Stop": [{"matcher": "", "hooks": [
                    {"type": "command", "command": "h || true", "timeout": 5}, {"type": "http", "url": "x"}]}]}}"#,
        );
        assert_eq!(settings.hooks.len(), 1);
        assert_eq!(settings.hooks[0].command, "h || true");
        assert_eq!(settings.allow, ["mcp__claustre"]);
        assert_eq!(settings.status_line.unwrap().refresh_interval, Some(5.0));
        assert_eq!(settings.complaint, None);
    }

    #[test]
    fn an_unknown_event_blocks_the_start() {
        let mut settings = Settings::default();
        settings.merge(r#"{"hooks": {"NopeEvent": []}}"#);
        assert!(
            settings
                .complaint
                .unwrap()
                .contains("Unknown hook event \"NopeEvent\"")
        );
    }
}
