//! The `settings.json` a session's client is started with: hooks, status line, permission for our tools.

use std::path::Path;

use serde_json::{Map, Value, json};
use thiserror::Error;

/// How long a PermissionRequest hook may wait for a person, in seconds.
const PERMISSION_TIMEOUT_SECONDS: u32 = 86_400;
/// SessionEnd hooks without a time of their own are killed after a second and a half.
const SESSION_END_TIMEOUT_SECONDS: u32 = 10;
const HOOK_TIMEOUT_SECONDS: u32 = 5;

/// The status line command the user already has.
#[derive(Debug, Clone, PartialEq)]
pub struct UserStatusLine {
    /// A shell command of the user's own, run exactly as they wrote it.
    pub command: String,
    /// The user's padding, kept.
    pub padding: Option<Value>,
    /// The user's refresh interval in seconds, kept.
    pub refresh_interval: Option<Value>,
}

/// What the settings depend on.
#[derive(Debug, Clone)]
pub struct SettingsRequest<'a> {
    /// The absolute path of the helper's executable.
    pub claustre: &'a Path,
    /// The hook events to register; only events the installed version knows.
    pub events: &'a [&'static str],
    /// The user's own status line, to be kept.
    pub user_status_line: Option<&'a UserStatusLine>,
    /// The worktree has an `.mcp.json` written by Claustre, whose server `claustre` needs no question.
    pub approve_worktree_mcp: bool,
}

/// Why a command line cannot name the helper.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("naming the helper {path:?} in Claude Code's settings: {reason}")]
pub struct CommandPathError {
    /// The path.
    pub path: std::path::PathBuf,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// Builds the settings. They are read once, at the client's start.
pub fn build(request: &SettingsRequest<'_>) -> Result<Value, CommandPathError> {
    let claustre = shell_word(request.claustre)?;
    let mut hooks = Map::new();
    for event in request.events {
        let timeout = match *event {
            // Its output would be taken as the worktree's path.
            "WorktreeCreate" => continue,
            "PermissionRequest" => PERMISSION_TIMEOUT_SECONDS,
            "SessionEnd" => SESSION_END_TIMEOUT_SECONDS,
            _ => HOOK_TIMEOUT_SECONDS,
        };
        // `|| true`: exit status 2 would block the user's prompt or tool.
        let command = match *event {
            // It may wait for hours, and a person may have answered what only it can pass on: one that is killed is
            // started again. It ends with 0 unless it is killed.
            "PermissionRequest" => {
                format!(
                    "{claustre} hook || {claustre} hook --again || {claustre} hook --again || true"
                )
            }
            _ => format!("{claustre} hook || true"),
        };
        let hook = json!({"type": "command", "command": command, "timeout": timeout});
        hooks.insert((*event).to_owned(), json!([{"hooks": [hook]}]));
    }
    let mut settings = Map::new();
    settings.insert(
        "permissions".to_owned(),
        json!({"allow": ["mcp__claustre"]}),
    );
    settings.insert("hooks".to_owned(), Value::Object(hooks));
    settings.insert(
        "statusLine".to_owned(),
        status_line(&claustre, request.user_status_line),
    );
    if request.approve_worktree_mcp {
        settings.insert("enabledMcpjsonServers".to_owned(), json!(["claustre"]));
    }
    Ok(Value::Object(settings))
}

/// The user's status line command in their settings, if they have one that is not ours.
#[must_use]
pub fn user_status_line(user_settings: &Value) -> Option<UserStatusLine> {
    let line = user_settings.get("statusLine")?;
    if line
        .get("type")
        .and_then(Value::as_str)
        .is_some_and(|kind| kind != "command")
    {
        return None;
    }
    let command = line.get("command")?.as_str()?.trim();
    let is_ours = command.contains("claustre") && command.contains(" statusline");
    if command.is_empty() || is_ours {
        return None;
    }
    Some(UserStatusLine {
        command: command.to_owned(),
        padding: line.get("padding").cloned(),
        refresh_interval: line.get("refreshInterval").cloned(),
    })
}

/// With a status line of the user's own, `claustre statusline --pass-through` hands on the input
/// unchanged and theirs is what shows. The line break keeps a comment at the end of their command from
/// swallowing the bracket.
fn status_line(claustre: &str, user: Option<&UserStatusLine>) -> Value {
    let Some(user) = user else {
        return json!({"type": "command", "command": format!("{claustre} statusline")});
    };
    let command = format!(
        "{claustre} statusline --pass-through | (\n{}\n)",
        user.command
    );
    let mut line = Map::new();
    line.insert("type".to_owned(), json!("command"));
    line.insert("command".to_owned(), json!(command));
    for (name, value) in [
        ("padding", &user.padding),
        ("refreshInterval", &user.refresh_interval),
    ] {
        if let Some(value) = value {
            line.insert(name.to_owned(), value.clone());
        }
    }
    Value::Object(line)
}

/// The path as one word for `sh`, in single quotes.
fn shell_word(path: &Path) -> Result<String, CommandPathError> {
    let failed = |reason| CommandPathError {
        path: path.to_owned(),
        reason,
    };
    if !path.is_absolute() {
        return Err(failed("it is not an absolute path"));
    }
    let text = path
        .to_str()
        .ok_or_else(|| failed("it is not valid UTF-8"))?;
    if text.chars().any(char::is_control) {
        return Err(failed("it holds a control character"));
    }
    Ok(format!("'{}'", text.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::claude::version::{MEASURED, observed_events};

    fn settings(path: &str, user: Option<&UserStatusLine>) -> Value {
        let events = observed_events(MEASURED);
        let request = SettingsRequest {
            claustre: Path::new(path),
            events: &events,
            user_status_line: user,
            approve_worktree_mcp: false,
        };
        build(&request).expect("settings")
    }

    #[test]
    fn every_event_has_a_harmless_hook_with_a_time_limit() {
        let value = settings("/opt/it's here/claustre", None);
        let hooks = value
            .get("hooks")
            .and_then(Value::as_object)
            .expect("hooks");
        assert_eq!(hooks.len(), 15);
        for (event, entry) in hooks {
            let hook = entry.pointer("/0/hooks/0").expect("hook");
            let helper = r"'/opt/it'\''s here/claustre' hook";
            let wanted = match event.as_str() {
                "PermissionRequest" => {
                    format!("{helper} || {helper} --again || {helper} --again || true")
                }
                _ => format!("{helper} || true"),
            };
            assert_eq!(hook["command"], wanted, "{event}");
            let wanted = match event.as_str() {
                "PermissionRequest" => 86_400,
                "SessionEnd" => 10,
                _ => 5,
            };
            assert_eq!(hook["timeout"], wanted, "{event}");
        }
        assert_eq!(value["permissions"]["allow"], json!(["mcp__claustre"]));
        assert_eq!(
            value["statusLine"]["command"],
            r"'/opt/it'\''s here/claustre' statusline"
        );
        assert!(value.get("enabledMcpjsonServers").is_none());
    }

    #[test]
    fn the_users_own_status_line_is_kept() {
        let user =
            json!({"statusLine": {"type": "command", "command": "~/line.sh # mine", "padding": 1}});
        let user = user_status_line(&user).expect("a status line");
        let line = settings("/c", Some(&user))["statusLine"].clone();
        assert_eq!(
            line["command"],
            "'/c' statusline --pass-through | (\n~/line.sh # mine\n)"
        );
        assert_eq!(line["padding"], 1);
        for none in [
            json!({}),
            json!({"statusLine": {"command": " "}}),
            json!({"statusLine": {"type": "other", "command": "x"}}),
            json!({"statusLine": {"command": "'/usr/bin/claustre' statusline"}}),
        ] {
            assert_eq!(user_status_line(&none), None, "{none}");
        }
    }

    #[test]
    fn a_path_no_shell_could_name_is_refused() {
        for path in ["claustre", "/a\nb/claustre"] {
            let request = SettingsRequest {
                claustre: Path::new(path),
                events: &[],
                user_status_line: None,
                approve_worktree_mcp: true,
            };
            assert!(build(&request).is_err(), "{path}");
        }
    }
}
