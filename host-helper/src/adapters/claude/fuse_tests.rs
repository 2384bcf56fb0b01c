use super::*;
use crate::adapters::claude::hook_event::Hook;
use crate::adapters::claude::hook_wire::parse_hook;
use serde_json::{Value, json};

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_000_000 + millis)
}

fn hook(name: &str, fields: Value) -> Hook {
    let mut all = json!({"hook_event_name": name, "session_id": "s", "cwd": "/srv/wt"});
    for (key, value) in fields.as_object().expect("fields") {
        all[key] = value.clone();
    }
    parse_hook(&all.to_string()).expect("hook")
}

fn heard(events: &[(i64, Hook)]) -> Option<HookState> {
    let ((first_at, first), rest) = events.split_first()?;
    let mut state = HookState::first(first, at(*first_at));
    for (millis, hook) in rest {
        state.apply(hook, at(*millis));
    }
    Some(state)
}

fn start() -> Hook {
    hook("SessionStart", json!({"source": "startup"}))
}
fn prompt() -> Hook {
    hook("UserPromptSubmit", json!({"prompt": "go"}))
}
fn bash(event: &str) -> Hook {
    hook(
        event,
        json!({"tool_name": "Bash", "tool_input": {"command": "npm test"}}),
    )
}
fn question() -> Hook {
    let input = json!({"questions": [{"question": "Which?", "options": [{"label": "A"}]}]});
    hook(
        "PermissionRequest",
        json!({"tool_name": "AskUserQuestion", "tool_input": input}),
    )
}
fn stop() -> Hook {
    hook("Stop", json!({"background_tasks": []}))
}
fn failure(error: &str) -> Hook {
    hook(
        "StopFailure",
        json!({"error": error, "last_assistant_message": "limit text"}),
    )
}
fn registry(millis: i64, status: RegistryStatus) -> Option<RegistryView> {
    Some(RegistryView {
        status,
        since: at(millis),
        read_at: at(60_000),
    })
}
fn waiting(millis: i64, what: WaitingFor) -> Option<RegistryView> {
    registry(millis, RegistryStatus::Waiting(what))
}

/// Looks a minute after the launch; `wanted` is `status/reason source @since detail`.
fn check(
    case: &str,
    events: &[(i64, Hook)],
    registry: Option<RegistryView>,
    process: &ProcessState,
    wanted: &str,
) {
    check_at(case, 60_000, events, registry, process, wanted);
}

fn check_at(
    case: &str,
    now: i64,
    events: &[(i64, Hook)],
    registry: Option<RegistryView>,
    process: &ProcessState,
    wanted: &str,
) {
    use claustre_protocol::status::Word;
    let hook = heard(events);
    let fused = fuse(&Inputs {
        hook: hook.as_ref(),
        registry: registry.as_ref(),
        process,
        launched_at: at(0),
        now: at(now),
        foreseen: "",
    });
    let reason = fused.reason.map(Word::word).unwrap_or("-");
    let since = fused.since.millis() - at(0).millis();
    let detail = fused.detail.unwrap_or_default();
    let said = format!(
        "{}/{reason} {} @{since} {detail}",
        fused.status.word(),
        fused.source.word()
    );
    assert_eq!(said.trim_end(), wanted, "{case}");
}

const ALIVE: &ProcessState = &ProcessState::Alive;

fn exited(code: Option<i32>, signal: Option<i32>) -> ProcessState {
    ProcessState::Exited {
        code,
        signal,
        at: at(50_000),
    }
}

#[test]
fn the_life_of_a_turn() {
    let s = (600, start());
    let p = (700, prompt());
    check(
        "started",
        std::slice::from_ref(&s),
        None,
        ALIVE,
        "idle/- hook @600",
    );
    check(
        "prompt taken",
        &[s.clone(), p.clone()],
        None,
        ALIVE,
        "working/- hook @700",
    );
    let tool = [
        s.clone(),
        p.clone(),
        (800, bash("PreToolUse")),
        (900, bash("PostToolUse")),
    ];
    check(
        "tools run",
        &tool,
        registry(690, RegistryStatus::Busy),
        ALIVE,
        "working/- hook @700",
    );
    check(
        "turn over",
        &[s.clone(), p.clone(), (2000, stop())],
        registry(2050, RegistryStatus::Idle),
        ALIVE,
        "idle/- hook @2000",
    );
    let background = hook(
        "Stop",
        json!({"background_tasks": [{"status": "running", "description": "tests"}]}),
    );
    let ended = [p.clone(), (2000, background)];
    check(
        "work left behind",
        &ended,
        registry(2050, RegistryStatus::Shell),
        ALIVE,
        "idle/background hook @2000 tests",
    );
    check(
        "that work ended",
        &ended,
        registry(9000, RegistryStatus::Idle),
        ALIVE,
        "idle/- registry @9000",
    );
    check(
        "a shell began unseen",
        &[p.clone(), (2000, stop())],
        registry(2050, RegistryStatus::Shell),
        ALIVE,
        "idle/background registry @2050",
    );
    let woken = (
        3000,
        hook("UserPromptSubmit", json!({"prompt": "<task-notification>"})),
    );
    check(
        "woken up",
        &[p, (2000, stop()), woken],
        registry(2050, RegistryStatus::Idle),
        ALIVE,
        "working/- hook @3000",
    );
}

#[test]
fn a_start_that_does_not_come_to_its_hooks() {
    check_at(
        "just launched",
        1000,
        &[],
        None,
        ALIVE,
        "starting/- process @0",
    );
    check_at(
        "soon up",
        1000,
        &[],
        registry(900, RegistryStatus::Idle),
        ALIVE,
        "starting/- process @0",
    );
    check(
        "silent",
        &[],
        None,
        ALIVE,
        "starting/no_hooks process @0 the client runs and has said nothing yet: a dialog may be open in its pane",
    );
    check(
        "nobody looked",
        &[],
        None,
        &ProcessState::Unknown,
        "starting/- process @0",
    );
    check(
        "dialog",
        &[],
        waiting(900, WaitingFor::Dialog),
        ALIVE,
        "waiting_for_input/dialog registry @900 a dialog is open in its pane",
    );
    check(
        "hooks disabled",
        &[],
        registry(900, RegistryStatus::Busy),
        ALIVE,
        "working/no_hooks registry @900 its hooks are not heard; they may be disabled in a settings file",
    );
    check(
        "refused to start",
        &[],
        None,
        &exited(Some(1), None),
        "error/launch_failed process @50000 ended with exit status 1",
    );
    let missing = ProcessState::NotStarted {
        why: "no such file".into(),
        at: at(40),
    };
    check(
        "no client",
        &[],
        None,
        &missing,
        "error/launch_failed process @40 no such file",
    );
}

#[test]
fn questions_to_a_person() {
    let p = (700, prompt());
    let asked = [
        p.clone(),
        (800, bash("PreToolUse")),
        (810, bash("PermissionRequest")),
    ];
    let wanted = "waiting_for_input/permission hook @810 Bash: npm test";
    check("asked", &asked, None, ALIVE, wanted);
    check(
        "asked, registry agrees",
        &asked,
        waiting(815, WaitingFor::Permission),
        ALIVE,
        wanted,
    );
    check(
        "asked, registry behind",
        &asked,
        registry(690, RegistryStatus::Busy),
        ALIVE,
        wanted,
    );
    let noticed = [
        &asked[..],
        &[(
            6810,
            hook(
                "Notification",
                json!({"notification_type": "permission_prompt"}),
            ),
        )],
    ]
    .concat();
    check("noticed after 6 s", &noticed, None, ALIVE, wanted);
    let done = [&asked[..], &[(9000, bash("PostToolUse"))]].concat();
    check("allowed and run", &done, None, ALIVE, "working/- hook @700");
    let failed = [&asked[..], &[(9000, bash("PostToolUseFailure"))]].concat();
    check(
        "allowed and failed",
        &failed,
        None,
        ALIVE,
        "working/- hook @700",
    );
    check(
        "allowed in the pane, still running",
        &asked,
        registry(7000, RegistryStatus::Busy),
        ALIVE,
        "working/- registry @7000",
    );
    check(
        "question",
        &[p.clone(), (810, question())],
        waiting(812, WaitingFor::Input),
        ALIVE,
        "waiting_for_input/question hook @810 Which?",
    );
    let answered = hook(
        "PostToolUse",
        json!({"tool_name": "AskUserQuestion", "tool_input": {}}),
    );
    check(
        "answered",
        &[p.clone(), (810, question()), (900, answered)],
        None,
        ALIVE,
        "working/- hook @700",
    );
    check(
        "old client, no request hook",
        &[
            p.clone(),
            (
                6000,
                hook(
                    "Notification",
                    json!({"notification_type": "permission_prompt", "message": "Claude needs your permission"}),
                ),
            ),
        ],
        None,
        ALIVE,
        "waiting_for_input/permission hook @6000 Claude needs your permission",
    );
    check(
        "a dialog no hook told",
        std::slice::from_ref(&p),
        waiting(5000, WaitingFor::Sandbox),
        ALIVE,
        "waiting_for_input/permission registry @5000 sandbox request",
    );
    check(
        "/cost at rest",
        &[p.clone(), (800, stop())],
        waiting(5000, WaitingFor::Dialog),
        ALIVE,
        "waiting_for_input/dialog registry @5000 a dialog is open in its pane",
    );
    let other = hook(
        "PostToolUse",
        json!({"tool_name": "Read", "tool_input": {"file_path": "/a"}}),
    );
    check(
        "another tool ends meanwhile",
        &[&asked[..], &[(900, other)]].concat(),
        None,
        ALIVE,
        wanted,
    );
    let sub = hook(
        "PermissionRequest",
        json!({"tool_name": "Bash", "tool_input": {"command": "x"}, "agent_id": "a1"}),
    );
    check(
        "a subagent asks behind the turn",
        &[p.clone(), (800, stop()), (900, sub)],
        None,
        ALIVE,
        "waiting_for_input/permission hook @900 Bash: x",
    );
}

#[test]
fn what_no_hook_reports() {
    let turn = [(700, prompt()), (800, bash("PreToolUse"))];
    check(
        "Esc",
        &turn,
        registry(5000, RegistryStatus::Idle),
        ALIVE,
        "idle/interrupted registry @5000",
    );
    let asked = [&turn[..], &[(810, bash("PermissionRequest"))]].concat();
    check(
        "dialog refused with Esc",
        &asked,
        registry(5000, RegistryStatus::Idle),
        ALIVE,
        "idle/interrupted registry @5000",
    );
    check(
        "prompt typed while a tool runs",
        &turn,
        registry(690, RegistryStatus::Busy),
        ALIVE,
        "working/- hook @700",
    );
    check(
        "retries of the API",
        &turn,
        registry(810, RegistryStatus::Busy),
        ALIVE,
        "working/- hook @700",
    );
    check(
        "kill -9 seen by the launcher",
        &turn,
        None,
        &exited(None, Some(9)),
        "error/crashed process @50000 ended by signal 9",
    );
    check(
        "kill -9, registry left behind",
        &turn,
        registry(810, RegistryStatus::Busy),
        &ProcessState::Gone { at: at(4000) },
        "error/lost process @4000",
    );
    let again = [&turn[..], &[(9000, prompt())]].concat();
    check(
        "a new prompt after Esc",
        &again,
        registry(5000, RegistryStatus::Idle),
        ALIVE,
        "working/- hook @9000",
    );
    let late = [&turn[..], &[(5030, bash("PostToolUse"))]].concat();
    check(
        "a late hook after Esc",
        &late,
        registry(5000, RegistryStatus::Idle),
        ALIVE,
        "idle/interrupted registry @5000",
    );
    let settling = RegistryView {
        status: RegistryStatus::Idle,
        since: at(5000),
        read_at: at(5040),
    };
    check_at(
        "a hook just ahead of the registry",
        5050,
        &late,
        Some(settling),
        ALIVE,
        "working/- hook @700",
    );
    let worked_on = [&turn[..], &[(9000, bash("PostToolUse"))]].concat();
    check(
        "a registry that stood still long ago",
        &worked_on,
        registry(5000, RegistryStatus::Idle),
        ALIVE,
        "working/- hook @700",
    );
    let unrelated = [&turn[..], &[(9000, hook("InstructionsLoaded", json!({})))]].concat();
    check(
        "an unrelated hook after Esc",
        &unrelated,
        registry(5000, RegistryStatus::Idle),
        ALIVE,
        "idle/interrupted registry @5000",
    );
}

#[test]
fn turns_that_fail() {
    let p = (700, prompt());
    let limit = [p.clone(), (900, failure("rate_limit"))];
    let wanted = "waiting_for_input/usage_limit hook @900 limit text";
    check("usage limit", &limit, None, ALIVE, wanted);
    check(
        "its menu is open",
        &limit,
        waiting(950, WaitingFor::Dialog),
        ALIVE,
        wanted,
    );
    check(
        "its menu is closed",
        &limit,
        registry(3000, RegistryStatus::Idle),
        ALIVE,
        wanted,
    );
    check(
        "gone on after the reset",
        &[&limit[..], &[(9000, prompt())]].concat(),
        None,
        ALIVE,
        "working/- hook @9000",
    );
    let broken = [p.clone(), (900, failure("server_error"))];
    check(
        "server error",
        &broken,
        registry(950, RegistryStatus::Idle),
        ALIVE,
        "error/api_error hook @900 limit text",
    );
    check(
        "tried again",
        &broken,
        registry(3000, RegistryStatus::Busy),
        ALIVE,
        "working/- registry @3000",
    );
    let stopped = hook(
        "PostToolUseFailure",
        json!({"tool_name": "Bash", "is_interrupt": true}),
    );
    check(
        "tool stopped by a person",
        &[p, (900, stopped)],
        registry(950, RegistryStatus::Idle),
        ALIVE,
        "idle/interrupted hook @900",
    );
}

#[test]
fn how_a_session_ends() {
    let p = (700, prompt());
    let end = |reason: &str| (800, hook("SessionEnd", json!({"reason": reason})));
    let bye = [p.clone(), end("prompt_input_exit")];
    check("left", &bye, None, ALIVE, "done/exited hook @800");
    check(
        "left and gone",
        &bye,
        None,
        &exited(Some(0), None),
        "done/exited process @50000",
    );
    check(
        "left, nobody saw",
        &bye,
        None,
        &ProcessState::Gone { at: at(900) },
        "done/exited process @900",
    );
    check(
        "told to end",
        &[p.clone(), end("other")],
        None,
        &exited(Some(143), None),
        "error/crashed process @50000 ended with exit status 143",
    );
    check(
        "told to end, no hook",
        std::slice::from_ref(&p),
        None,
        &exited(None, Some(15)),
        "error/crashed process @50000 ended by signal 15",
    );
    check(
        "failed in a turn",
        std::slice::from_ref(&p),
        None,
        &exited(Some(1), None),
        "error/crashed process @50000 ended with exit status 1",
    );
    check(
        "host restarted",
        std::slice::from_ref(&p),
        None,
        &ProcessState::Lost { at: at(5) },
        "error/lost process @5",
    );
    check(
        "started again behind our back",
        &bye,
        registry(9000, RegistryStatus::Idle),
        ALIVE,
        "idle/- registry @9000",
    );
    let cleared = [
        p.clone(),
        end("clear"),
        (850, hook("SessionStart", json!({"source": "clear"}))),
    ];
    check("/clear", &cleared, None, ALIVE, "idle/- hook @850");
}

#[test]
fn compaction_is_work() {
    let manual = |name: &str, millis| (millis, hook(name, json!({"trigger": "manual"})));
    let s = (600, start());
    check(
        "compacting",
        &[s.clone(), manual("PreCompact", 700)],
        None,
        ALIVE,
        "working/- hook @700",
    );
    let compacted = [
        s.clone(),
        manual("PreCompact", 700),
        manual("PostCompact", 900),
        (910, hook("SessionStart", json!({"source": "compact"}))),
    ];
    check(
        "compacted on order",
        &compacted,
        None,
        ALIVE,
        "idle/- hook @900",
    );
    let auto = |name: &str, millis| (millis, hook(name, json!({"trigger": "auto"})));
    let inside = [
        s,
        (650, prompt()),
        auto("PreCompact", 700),
        auto("PostCompact", 900),
        (910, hook("SessionStart", json!({"source": "compact"}))),
    ];
    check(
        "compacted inside a turn",
        &inside,
        None,
        ALIVE,
        "working/- hook @650",
    );
}

#[test]
fn a_hook_from_the_spool_does_not_turn_time_back() {
    let late = [(700, prompt()), (2000, stop()), (800, bash("PreToolUse"))];
    check("late tool", &late, None, ALIVE, "idle/- hook @2000");
    let state = heard(&late).expect("state");
    let text = serde_json::to_string(&state).expect("JSON");
    assert_eq!(
        serde_json::from_str::<HookState>(&text).expect("read back"),
        state
    );
}
