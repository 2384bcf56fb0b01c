//! Which tool calls need a yes.

use serde_json::{Value, json};

/// Tools that the mode `acceptEdits` lets through.
const EDITING: [&str; 4] = ["Write", "Edit", "MultiEdit", "NotebookEdit"];

/// What happens with a call that asks for permission.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    Run,
    Ask,
    /// Refused without a question, as in the mode `dontAsk`.
    Refuse,
}

/// Decides by the mode and the allow rules.
#[must_use]
pub fn verdict(mode: &str, allow: &[String], tool: &str, input: &Value) -> Verdict {
    if mode == "bypassPermissions" || allow.iter().any(|rule| allows(rule, tool, input)) {
        return Verdict::Run;
    }
    match mode {
        "acceptEdits" if EDITING.contains(&tool) => Verdict::Run,
        "dontAsk" => Verdict::Refuse,
        _ => Verdict::Ask,
    }
}

/// `Bash`, `Bash(git *)`, `mcp__server`, `mcp__server__*`, `mcp__server__tool`. `mcp__*` is refused by the client.
fn allows(rule: &str, tool: &str, input: &Value) -> bool {
    if let Some((name, pattern)) = rule.split_once('(') {
        let pattern = pattern.trim_end_matches(')');
        let command = input["command"]
            .as_str()
            .or(input["file_path"].as_str())
            .unwrap_or_default();
        return name == tool
            && match pattern
                .strip_suffix('*')
                .map(|start| start.trim_end_matches(':').trim_end())
            {
                Some(start) => command.starts_with(start),
                None => command == pattern,
            };
    }
    if rule == tool {
        return true;
    }
    let server = rule.strip_suffix("__*").unwrap_or(rule);
    server.starts_with("mcp__")
        && server.matches("__").count() == 1
        && tool
            .strip_prefix(server)
            .is_some_and(|rest| rest.starts_with("__"))
}

/// What the dialog offers to remember; nothing for a question.
#[must_use]
pub fn suggestions(tool: &str) -> Option<Value> {
    if tool == "AskUserQuestion" {
        return None;
    }
    if tool == "Bash" || EDITING.contains(&tool) {
        return Some(json!([{"type": "setMode", "mode": "acceptEdits", "destination": "session"}]));
    }
    Some(
        json!([{"type": "addRules", "rules": [{"toolName": tool}], "behavior": "allow", "destination": "localSettings"}]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_those_of_the_real_client() {
        let ask = |rule: &str, tool: &str, command: &str| {
            allows(rule, tool, &json!({"command": command}))
        };
        assert!(ask("mcp__lab", "mcp__lab__ping", "") && ask("mcp__lab__*", "mcp__lab__ping", ""));
        assert!(
            ask("mcp__lab__ping", "mcp__lab__ping", "")
                && !ask("mcp__lab__ping", "mcp__lab__pong", "")
        );
        assert!(!ask("mcp__*", "mcp__lab__ping", "") && !ask("mcp__la", "mcp__lab__ping", ""));
        assert!(ask("Bash(git *)", "Bash", "git status") && !ask("Bash(git *)", "Bash", "rm x"));
        assert!(ask("Bash", "Bash", "anything") && !ask("Bash", "Edit", ""));
    }

    #[test]
    fn modes_decide_what_is_left() {
        let none: [String; 0] = [];
        assert_eq!(verdict("default", &none, "Write", &json!({})), Verdict::Ask);
        assert_eq!(
            verdict("acceptEdits", &none, "Write", &json!({})),
            Verdict::Run
        );
        assert_eq!(
            verdict("acceptEdits", &none, "Bash", &json!({})),
            Verdict::Ask
        );
        assert_eq!(
            verdict("dontAsk", &none, "Bash", &json!({})),
            Verdict::Refuse
        );
        assert_eq!(
            verdict("bypassPermissions", &none, "Bash", &json!({})),
            Verdict::Run
        );
    }
}
