//! The JSON that hooks and the status line get on their stdin.

use serde_json::{Value, json};

/// What every payload begins with.
#[derive(Clone, Debug)]
pub struct Common {
    pub session_id: String,
    pub transcript_path: String,
    pub cwd: String,
    /// Absent before the first prompt.
    pub prompt_id: Option<String>,
    pub permission_mode: String,
    pub effort: String,
}

/// A tool call as hooks see it.
#[derive(Clone, Debug)]
pub struct ToolCall {
    pub name: String,
    pub input: Value,
    pub id: String,
}

/// One hook event with its own fields.
#[derive(Clone, Debug)]
pub enum HookEvent {
    SessionStart {
        source: String,
        model: Option<String>,
        /// The name given at the start.
        title: Option<String>,
    },
    UserPromptSubmit {
        prompt: String,
        /// The name given at the start.
        title: Option<String>,
    },
    PreToolUse(ToolCall),
    PostToolUse {
        call: ToolCall,
        response: Value,
        duration_ms: u64,
    },
    PostToolUseFailure {
        call: ToolCall,
        error: String,
        is_interrupt: bool,
        duration_ms: u64,
    },
    PostToolBatch {
        call: ToolCall,
        response: Value,
    },
    PermissionRequest {
        name: String,
        input: Value,
        /// Absent for questions.
        suggestions: Option<Value>,
    },
    Notification {
        message: String,
        kind: String,
    },
    Stop {
        active: bool,
        last_message: String,
        background_tasks: Value,
    },
    StopFailure {
        error: String,
        last_message: String,
    },
    PreCompact {
        trigger: String,
    },
    PostCompact {
        trigger: String,
        summary: String,
    },
    SessionEnd {
        reason: String,
    },
}

impl HookEvent {
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::SessionStart { .. } => "SessionStart",
            Self::UserPromptSubmit { .. } => "UserPromptSubmit",
            Self::PreToolUse(_) => "PreToolUse",
            Self::PostToolUse { .. } => "PostToolUse",
            Self::PostToolUseFailure { .. } => "PostToolUseFailure",
            Self::PostToolBatch { .. } => "PostToolBatch",
            Self::PermissionRequest { .. } => "PermissionRequest",
            Self::Notification { .. } => "Notification",
            Self::Stop { .. } => "Stop",
            Self::StopFailure { .. } => "StopFailure",
            Self::PreCompact { .. } => "PreCompact",
            Self::PostCompact { .. } => "PostCompact",
            Self::SessionEnd { .. } => "SessionEnd",
        }
    }

    /// What a hook's matcher is compared with.
    #[must_use]
    pub fn matched(&self) -> &str {
        match self {
            Self::PreToolUse(call)
            | Self::PostToolUse { call, .. }
            | Self::PostToolUseFailure { call, .. } => &call.name,
            Self::PermissionRequest { name, .. } => name,
            Self::SessionStart { source, .. } => source,
            Self::Notification { kind, .. } => kind,
            Self::SessionEnd { reason } => reason,
            Self::PreCompact { trigger } | Self::PostCompact { trigger, .. } => trigger,
            Self::UserPromptSubmit { .. }
            | Self::PostToolBatch { .. }
            | Self::Stop { .. }
            | Self::StopFailure { .. } => "",
        }
    }

    /// Which of the optional common fields the event carries: permission mode, effort.
    fn carries(&self) -> (bool, bool) {
        match self {
            Self::UserPromptSubmit { .. } => (true, false),
            Self::StopFailure { .. } => (false, true),
            Self::PreToolUse(_)
            | Self::PostToolUse { .. }
            | Self::PostToolUseFailure { .. }
            | Self::PostToolBatch { .. }
            | Self::PermissionRequest { .. }
            | Self::Stop { .. } => (true, true),
            Self::SessionStart { .. }
            | Self::Notification { .. }
            | Self::PreCompact { .. }
            | Self::PostCompact { .. }
            | Self::SessionEnd { .. } => (false, false),
        }
    }

    fn own_fields(&self) -> Value {
        match self {
            Self::SessionStart {
                source,
                model,
                title,
            } => {
                let mut fields = json!({"source": source});
                if let Some(model) = model {
                    fields["model"] = json!(model);
                }
                if let Some(title) = title {
                    fields["session_title"] = json!(title);
                }
                fields
            }
            Self::UserPromptSubmit {
                prompt,
                title: Some(title),
            } => json!({"prompt": prompt, "session_title": title}),
            Self::UserPromptSubmit {
                prompt,
                title: None,
            } => json!({"prompt": prompt}),
            Self::PreToolUse(call) => call.fields(),
            Self::PostToolUse {
                call,
                response,
                duration_ms,
            } => {
                let mut fields = call.fields();
                fields["tool_response"] = response.clone();
                fields["duration_ms"] = json!(duration_ms);
                fields
            }
            Self::PostToolUseFailure {
                call,
                error,
                is_interrupt,
                duration_ms,
            } => {
                let mut fields = call.fields();
                fields["error"] = json!(error);
                fields["is_interrupt"] = json!(is_interrupt);
                fields["duration_ms"] = json!(duration_ms);
                fields
            }
            Self::PostToolBatch { call, response } => {
                let mut fields = call.fields();
                fields["tool_response"] = response.clone();
                json!({"tool_calls": [fields]})
            }
            Self::PermissionRequest {
                name,
                input,
                suggestions,
            } => {
                let mut fields = json!({"tool_name": name, "tool_input": input});
                if let Some(suggestions) = suggestions {
                    fields["permission_suggestions"] = suggestions.clone();
                }
                fields
            }
            Self::Notification { message, kind } => {
                json!({"message": message, "notification_type": kind})
            }
            Self::Stop {
                active,
                last_message,
                background_tasks,
            } => json!({
                "stop_hook_active": active, "last_assistant_message": last_message,
                "background_tasks": background_tasks, "session_crons": [],
            }),
            Self::StopFailure {
                error,
                last_message,
            } => {
                json!({"error": error, "last_assistant_message": last_message})
            }
            Self::PreCompact { trigger } => {
                json!({"trigger": trigger, "custom_instructions": null})
            }
            Self::PostCompact { trigger, summary } => {
                json!({"trigger": trigger, "compact_summary": summary})
            }
            Self::SessionEnd { reason } => json!({"reason": reason}),
        }
    }

    /// The whole JSON for the hook's stdin.
    #[must_use]
    pub fn payload(&self, common: &Common) -> Value {
        let mut payload = json!({
            "session_id": common.session_id,
            "transcript_path": common.transcript_path,
            "cwd": common.cwd,
            "hook_event_name": self.name(),
        });
        if let Some(prompt_id) = &common.prompt_id {
            payload["prompt_id"] = json!(prompt_id);
        }
        let (mode, effort) = self.carries();
        if mode {
            payload["permission_mode"] = json!(common.permission_mode);
        }
        if effort {
            payload["effort"] = json!({"level": common.effort});
        }
        if let Value::Object(own) = self.own_fields() {
            for (key, value) in own {
                payload[key] = value;
            }
        }
        payload
    }
}

impl ToolCall {
    fn fields(&self) -> Value {
        json!({"tool_name": self.name, "tool_input": self.input, "tool_use_id": self.id})
    }
}

/// What the status line knows beyond [`Common`].
#[derive(Clone, Debug, Default)]
pub struct StatusNumbers {
    pub session_name: Option<String>,
    pub model: String,
    pub git_worktree: Option<String>,
    pub version: String,
    pub cost: f64,
    pub duration_ms: u64,
    pub api_duration_ms: u64,
    pub lines_added: u64,
    pub lines_removed: u64,
    /// Token counts of the newest answer.
    pub usage: Option<Value>,
    /// Absent with an API key and before the first answer.
    pub rate_limits: Option<Value>,
}

const CONTEXT_WINDOW: u64 = 1_000_000;

/// The JSON for the status line command.
#[must_use]
pub fn status_line(common: &Common, numbers: &StatusNumbers) -> Value {
    let tokens = |name: &str| {
        numbers
            .usage
            .as_ref()
            .and_then(|usage| usage[name].as_u64())
            .unwrap_or(0)
    };
    let input = tokens("input_tokens")
        + tokens("cache_creation_input_tokens")
        + tokens("cache_read_input_tokens");
    let used = (input as f64 * 100.0 / CONTEXT_WINDOW as f64).round() as u64;
    let mut json = json!({
        "session_id": common.session_id,
        "transcript_path": common.transcript_path,
        "cwd": common.cwd,
        "effort": {"level": common.effort},
        "model": {"id": numbers.model, "display_name": display_name(&numbers.model)},
        "workspace": {"current_dir": common.cwd, "project_dir": common.cwd, "added_dirs": []},
        "version": numbers.version,
        "output_style": {"name": "default"},
        "cost": {
            "total_cost_usd": numbers.cost,
            "total_duration_ms": numbers.duration_ms,
            "total_api_duration_ms": numbers.api_duration_ms,
            "total_lines_added": numbers.lines_added,
            "total_lines_removed": numbers.lines_removed,
        },
        "context_window": {
            "total_input_tokens": input,
            "total_output_tokens": tokens("output_tokens"),
            "context_window_size": CONTEXT_WINDOW,
            "current_usage": numbers.usage,
            "used_percentage": numbers.usage.as_ref().map(|_| used),
            "remaining_percentage": numbers.usage.as_ref().map(|_| 100 - used.min(100)),
        },
        "exceeds_200k_tokens": input > 200_000,
        "fast_mode": false,
        "thinking": {"enabled": true},
    });
    if let Some(prompt_id) = &common.prompt_id {
        json["prompt_id"] = json!(prompt_id);
    }
    if let Some(name) = &numbers.session_name {
        json["session_name"] = json!(name);
    }
    if let Some(worktree) = &numbers.git_worktree {
        json["workspace"]["git_worktree"] = json!(worktree);
    }
    if let Some(limits) = &numbers.rate_limits {
        json["rate_limits"] = limits.clone();
    }
    json
}

/// `claude-opus-4-8[1m]` as `Opus 4.8 (1M context)`.
fn display_name(model: &str) -> String {
    let (name, suffix) = match model.strip_suffix("[1m]") {
        Some(name) => (name, " (1M context)"),
        None => (model, ""),
    };
    let mut words = name.trim_start_matches("claude-").split('-');
    let family = words.next().unwrap_or_default();
    let mut letters = family.chars();
    let family: String = letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .chain(letters)
        .collect();
    let version: Vec<&str> = words.collect();
    if version.is_empty() {
        return format!("{family}{suffix}");
    }
    format!("{family} {}{suffix}", version.join("."))
}

#[cfg(test)]
mod tests;
