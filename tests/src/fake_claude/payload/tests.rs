//! Each payload against a sample recorded from the real client, field by field.

use super::*;

fn sample(name: &str) -> Value {
    let path = format!(
        "{}/fixtures/claude-hooks/2.1.197/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn common(sample: &Value) -> Common {
    Common {
        session_id: text(&sample["session_id"]),
        transcript_path: text(&sample["transcript_path"]),
        cwd: text(&sample["cwd"]),
        prompt_id: sample["prompt_id"].as_str().map(str::to_owned),
        // Of the session, not of the sample: a payload must leave them out where the real one does.
        permission_mode: "default".into(),
        effort: "high".into(),
    }
}

#[track_caller]
fn check(name: &str, event: impl FnOnce(&Value) -> HookEvent) {
    let sample = sample(name);
    assert_eq!(event(&sample).payload(&common(&sample)), sample, "{name}");
}

fn call(sample: &Value) -> ToolCall {
    ToolCall {
        name: text(&sample["tool_name"]),
        input: sample["tool_input"].clone(),
        id: text(&sample["tool_use_id"]),
    }
}

#[test]
fn session_events() {
    check("SessionStart", |s| HookEvent::SessionStart {
        source: text(&s["source"]),
        model: Some(text(&s["model"])),
        title: None,
    });
    check("SessionEnd", |s| HookEvent::SessionEnd {
        reason: text(&s["reason"]),
    });
    check("PreCompact", |s| HookEvent::PreCompact {
        trigger: text(&s["trigger"]),
    });
    check("PostCompact", |s| HookEvent::PostCompact {
        trigger: text(&s["trigger"]),
        summary: text(&s["compact_summary"]),
    });
}

#[test]
fn turn_events() {
    check("UserPromptSubmit", |s| HookEvent::UserPromptSubmit {
        prompt: text(&s["prompt"]),
        title: None,
    });
    check("Stop", |s| HookEvent::Stop {
        active: false,
        last_message: text(&s["last_assistant_message"]),
        background_tasks: json!([]),
    });
    for name in ["StopFailure", "StopFailure-rate_limit"] {
        check(name, |s| HookEvent::StopFailure {
            error: text(&s["error"]),
            last_message: text(&s["last_assistant_message"]),
        });
    }
    for name in ["Notification-permission_prompt", "Notification-idle_prompt"] {
        check(name, |s| HookEvent::Notification {
            message: text(&s["message"]),
            kind: text(&s["notification_type"]),
        });
    }
}

#[test]
fn tool_events() {
    check("PreToolUse", |s| HookEvent::PreToolUse(call(s)));
    check("PostToolUse", |s| HookEvent::PostToolUse {
        call: call(s),
        response: s["tool_response"].clone(),
        duration_ms: 104,
    });
    check("PostToolUseFailure", |s| HookEvent::PostToolUseFailure {
        call: call(s),
        error: text(&s["error"]),
        is_interrupt: false,
        duration_ms: 116,
    });
    check("PostToolBatch", |s| HookEvent::PostToolBatch {
        call: call(&s["tool_calls"][0]),
        response: s["tool_calls"][0]["tool_response"].clone(),
    });
    check("PermissionRequest", |s| HookEvent::PermissionRequest {
        name: text(&s["tool_name"]),
        input: s["tool_input"].clone(),
        suggestions: Some(s["permission_suggestions"].clone()),
    });
}

#[test]
fn the_status_line_of_a_subscription() {
    let sample = sample("StatusLine-subscription");
    let numbers = StatusNumbers {
        session_name: Some("Lab".into()),
        model: "claude-opus-4-8[1m]".into(),
        git_worktree: Some("wt".into()),
        version: "2.1.197".into(),
        cost: 0.0225,
        duration_ms: 36094,
        api_duration_ms: 95,
        lines_added: 0,
        lines_removed: 0,
        usage: Some(sample["context_window"]["current_usage"].clone()),
        rate_limits: Some(sample["rate_limits"].clone()),
    };
    assert_eq!(status_line(&common(&sample), &numbers), sample);
}

#[test]
fn without_a_subscription_and_before_the_first_answer_there_are_no_limits_and_no_usage() {
    let sample = sample("SessionStart");
    let json = status_line(&common(&sample), &StatusNumbers::default());
    assert_eq!(json.get("rate_limits"), None);
    assert_eq!(json["context_window"]["current_usage"], Value::Null);
}
