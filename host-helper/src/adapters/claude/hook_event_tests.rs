use super::*;
use crate::adapters::claude::hook_wire::parse_hook;
use serde_json::json;

const SAMPLES: &str = include_str!("fixtures/hook-samples.json");
const USAGE_LIMIT: &str = include_str!("fixtures/hooks-usage-limit.jsonl");

fn sample(name: &str) -> Hook {
    let samples: Value = serde_json::from_str(SAMPLES).expect("samples are JSON");
    parse_hook(&samples[name].to_string()).expect(name)
}

fn tool(name: &str, summary: &str, id: Option<&str>) -> ToolCall {
    ToolCall {
        name: name.into(),
        summary: summary.into(),
        tool_use_id: id.map(Into::into),
    }
}

fn check(name: &str, wanted: HookEvent) {
    assert_eq!(sample(name).event, wanted, "{name}");
}

#[test]
fn every_sample_of_2_1_197_is_read() {
    check(
        "SessionStart",
        HookEvent::SessionStarted {
            source: StartSource::Startup,
            model: Some("claude-opus-4-8[1m]".into()),
        },
    );
    check(
        "UserPromptSubmit",
        HookEvent::PromptSubmitted {
            prompt: "demo".into(),
            is_wakeup: false,
        },
    );
    check(
        "InstructionsLoaded",
        HookEvent::Other {
            name: "InstructionsLoaded".into(),
        },
    );
    let echo = || {
        tool(
            "Bash",
            "Bash: echo hello-from-bash",
            Some("toolu_a714d56e229248aeb57235d1"),
        )
    };
    check("PreToolUse", HookEvent::ToolStarted { tool: echo() });
    check(
        "PostToolUse",
        HookEvent::ToolFinished {
            tool: echo(),
            ok: true,
            duration_ms: Some(104),
        },
    );
    check(
        "PostToolBatch",
        HookEvent::Other {
            name: "PostToolBatch".into(),
        },
    );
    check(
        "Stop",
        HookEvent::Stopped {
            last_message: "All done.".into(),
            background_tasks: vec![],
            stop_hook_active: false,
        },
    );
    check(
        "SubagentStart",
        HookEvent::SubagentStarted {
            agent_type: "general-purpose".into(),
        },
    );
    assert_eq!(
        sample("SubagentStart").agent_id.as_deref(),
        Some("af669927f4877a7c2")
    );
    let HookEvent::SubagentStopped {
        last_message,
        transcript_path,
        ..
    } = sample("SubagentStop").event
    else {
        panic!("SubagentStop");
    };
    assert_eq!(last_message, "sub finished");
    assert!(
        transcript_path
            .is_some_and(|path| path.ends_with("subagents/agent-af669927f4877a7c2.jsonl"))
    );
    check(
        "TaskCreated",
        HookEvent::Other {
            name: "TaskCreated".into(),
        },
    );
    check(
        "TaskCompleted",
        HookEvent::Other {
            name: "TaskCompleted".into(),
        },
    );
    check(
        "PermissionRequest",
        HookEvent::PermissionRequested {
            tool: tool("Bash", "Bash: mkdir -p sub && cd sub", None),
            input: json!({"command": "mkdir -p sub && cd sub", "description": "cd"}),
            full_view: "Bash\nin /home/you/lab/wt\nwhat for: cd\n\nmkdir -p sub && cd sub".into(),
            suggestions: vec![Suggestion::SetMode {
                mode: "acceptEdits".into(),
                destination: "session".into(),
            }],
        },
    );
    check(
        "CwdChanged",
        HookEvent::CwdChanged {
            old: "/home/you/lab/wt".into(),
            new: "/home/you/lab/wt/sub".into(),
        },
    );
    check(
        "StopFailure",
        HookEvent::StopFailed {
            kind: StopFailureKind::Unknown,
            message: "API Error: 400 bad request scripted".into(),
        },
    );
    check(
        "Notification:permission_prompt",
        HookEvent::Notified {
            kind: NotificationKind::PermissionPrompt,
            message: "Claude needs your permission".into(),
        },
    );
    check(
        "PostToolUseFailure",
        HookEvent::ToolFailed {
            tool: tool(
                "Bash",
                "Bash: ls /nonexistent-xyz",
                Some("toolu_3b6fa09f789c4f5d95f61cdb"),
            ),
            error: "Exit code 2\nls: cannot access '/nonexistent-xyz': No such file or directory"
                .into(),
            is_interrupt: false,
        },
    );
    check(
        "Notification:idle_prompt",
        HookEvent::Notified {
            kind: NotificationKind::IdlePrompt,
            message: "Claude is waiting for your input".into(),
        },
    );
    check("PreCompact", HookEvent::Compacting { is_manual: true });
    check("PostCompact", HookEvent::Compacted { is_manual: true });
    check(
        "SessionEnd",
        HookEvent::SessionEnded {
            reason: EndReason::PromptInputExit,
        },
    );
    let samples: Value = serde_json::from_str(SAMPLES).expect("samples");
    assert_eq!(
        samples.as_object().map(serde_json::Map::len),
        Some(20),
        "a sample without a check above"
    );
}

#[test]
fn the_common_fields_are_read() {
    let hook = sample("PreToolUse");
    assert_eq!(
        hook.claude_session_id,
        "ee5420d8-7ef2-4e40-8ff4-a169b42d5b73"
    );
    assert!(
        hook.transcript_path
            .is_some_and(|path| path.extension().is_some_and(|end| end == "jsonl"))
    );
    assert_eq!(hook.cwd, PathBuf::from("/home/you/lab/wt"));
    assert_eq!(
        hook.prompt_id.as_deref(),
        Some("45bb079d-d94f-4d36-af15-752ef592393e")
    );
    assert_eq!(hook.permission_mode, Some(PermissionMode::Default));
    assert_eq!(hook.effort.as_deref(), Some("high"));
    assert_eq!(hook.agent_id, None);
}

#[test]
fn the_usage_limit_samples_are_read() {
    let events: Vec<HookEvent> = USAGE_LIMIT
        .lines()
        .map(|line| {
            let record: Value = serde_json::from_str(line).expect("JSON");
            parse_hook(&record["in"].to_string()).expect("hook").event
        })
        .collect();
    assert_eq!(
        events[1],
        HookEvent::StopFailed {
            kind: StopFailureKind::RateLimit,
            message: "You've hit your session limit · resets 11:18am (UTC)".into(),
        }
    );
    assert_eq!(
        events[2],
        HookEvent::SessionEnded {
            reason: EndReason::Other("other".into())
        }
    );
}

fn parse(mut fields: Value) -> Hook {
    fields["session_id"] = json!("s");
    fields["cwd"] = json!("/srv/wt");
    parse_hook(&fields.to_string()).expect("hook")
}

#[test]
fn a_question_is_told_from_a_permission() {
    let questions = json!([{"question": "Which\u{1b}[2J one?", "header": "Pick", "multiSelect": true,
        "options": [{"label": "A", "description": "first"}, {"label": "B"}]}]);
    let hook = parse(
        json!({"hook_event_name": "PermissionRequest", "tool_name": "AskUserQuestion",
        "tool_input": {"questions": questions}}),
    );
    let HookEvent::QuestionAsked { questions, .. } = hook.event else {
        panic!("not a question")
    };
    assert_eq!(questions[0].question, "Which one?");
    assert_eq!(questions[0].options[1].label, "B");
    assert!(questions[0].multi_select);
    let odd = parse(
        json!({"hook_event_name": "PermissionRequest", "tool_name": "AskUserQuestion", "tool_input": 3}),
    );
    assert!(matches!(odd.event, HookEvent::PermissionRequested { .. }));
}

#[test]
fn a_wake_up_is_told_from_a_prompt() {
    let hook = parse(
        json!({"hook_event_name": "UserPromptSubmit", "prompt": "<task-notification><summary>x"}),
    );
    assert!(matches!(
        hook.event,
        HookEvent::PromptSubmitted {
            is_wakeup: true,
            ..
        }
    ));
}

#[test]
fn background_work_is_kept_with_the_stop() {
    let hook = parse(json!({"hook_event_name": "Stop", "background_tasks": [
        {"id": "bel6oytu0", "type": "shell", "status": "running", "description": "bg", "command": "sleep 6"}, 7]}));
    let HookEvent::Stopped {
        background_tasks, ..
    } = hook.event
    else {
        panic!("not a stop")
    };
    assert_eq!(background_tasks.len(), 1);
    assert!(background_tasks[0].is_running());
    assert_eq!(background_tasks[0].summary, "bg");
}

#[test]
fn unknown_events_and_wrong_types_do_not_fail() {
    let hook = parse(
        json!({"hook_event_name": "SomethingNew", "model": {"a": 1}, "duration_ms": "x", "extra": []}),
    );
    assert_eq!(
        hook.event,
        HookEvent::Other {
            name: "SomethingNew".into()
        }
    );
    let hook = parse(json!({"hook_event_name": "StopFailure", "error": "brand_new"}));
    assert!(
        matches!(hook.event, HookEvent::StopFailed { kind: StopFailureKind::Other(word), .. } if word == "brand_new")
    );
    for name in [
        "SessionStart",
        "UserPromptSubmit",
        "PreToolUse",
        "PostToolUse",
        "PostToolUseFailure",
        "Stop",
        "PermissionRequest",
        "Notification",
        "StopFailure",
        "SubagentStop",
        "PreCompact",
        "SessionEnd",
        "CwdChanged",
    ] {
        assert!(
            !matches!(
                parse(json!({"hook_event_name": name})).event,
                HookEvent::Other { .. }
            ),
            "{name}"
        );
    }
}

#[test]
fn texts_are_safe_and_bounded() {
    let hook = parse(
        json!({"hook_event_name": "UserPromptSubmit", "prompt": format!("\u{1b}[2J{}", "x".repeat(1_000_000))}),
    );
    let HookEvent::PromptSubmitted { prompt, .. } = hook.event else {
        panic!("not a prompt")
    };
    assert_eq!(prompt.chars().count(), PROMPT_LIMIT);
    assert!(prompt.starts_with("xx"));
}
