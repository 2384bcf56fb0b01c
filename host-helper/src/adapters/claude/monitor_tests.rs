use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use claustre_protocol::{
    ids::EventId,
    model::AskKind,
    status::{Mode, Word},
};
use serde_json::json;

use super::*;
use crate::ports::KnownAsk;

const SAMPLES: &str = include_str!("fixtures/hook-samples.json");
const USAGE_LIMIT: &str = include_str!("fixtures/hooks-usage-limit.jsonl");
/// The conversation of all samples.
const CONVERSATION: &str = "ee5420d8-7ef2-4e40-8ff4-a169b42d5b73";
/// No system has such a process.
const DEAD: u32 = 4_000_000_000;

struct World {
    agent: ClaudeAgent,
    session: SessionId,
    reports: u128,
    /// The newest time of any report: what is older than that came by the spool.
    now: i64,
    home: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("temp dir");
        let host = ClaudeHost {
            paths: Paths::at(home.path().join("c")).expect("paths"),
            claustre: "/opt/claustre".into(),
            home: home.path().to_owned(),
            claude_config_dir: None,
            claude: None,
            search: None,
            api_key: None,
            is_sandbox: false,
            extra_args: Vec::new(),
            prices: PriceTable::default(),
        };
        Self {
            agent: ClaudeAgent::new(host),
            session: SessionId::new(Uuid::from_u128(1)),
            reports: 100,
            now: 0,
            home,
        }
    }

    /// A session whose client has started, a second after the beginning of time.
    fn started() -> Self {
        let mut world = Self::new();
        world.start(std::process::id(), 1_000);
        let heard = world.hook("SessionStart", json!({}), 1_600);
        assert_eq!(words(&heard.commands), ["identity", "idle hook"]);
        world
    }

    fn report(&mut self, body: ReportBody, at: i64) -> Report {
        self.reports += 1;
        Report {
            id: EventId::new(Uuid::from_u128(self.reports)),
            session: self.session,
            token: "secret".into(),
            at: Timestamp::from_millis(at),
            zellij_session: None,
            pane_id: None,
            acknowledges: false,
            body,
        }
    }

    fn hear(&mut self, body: ReportBody, at: i64) -> Heard {
        let report = self.report(body, at);
        self.now = self.now.max(at);
        self.agent.hear(&report, Timestamp::from_millis(self.now))
    }

    fn start(&mut self, pid: u32, at: i64) {
        let body = ReportBody::ClientStarted {
            pid,
            launcher_pid: 2,
            resumed: false,
        };
        assert_eq!(words(&self.hear(body, at).commands), ["started"]);
    }

    fn hook(&mut self, sample: &str, patch: Value, at: i64) -> Heard {
        self.hear(ReportBody::Hook(hook(sample, patch)), at)
    }

    fn registry(&self, status: &str, waiting_for: Option<&str>, since: i64) {
        let directory = self.home.path().join(".claude/sessions");
        fs::create_dir_all(&directory).expect("made");
        let pid = std::process::id();
        let entry = json!({"pid": pid, "sessionId": CONVERSATION, "kind": "interactive", "status": status,
            "waitingFor": waiting_for, "statusUpdatedAt": since, "startedAt": 1_000});
        fs::write(directory.join(format!("{pid}.json")), entry.to_string()).expect("written");
    }

    /// Where a transcript may lie; its directory is made.
    fn transcript(&self) -> std::path::PathBuf {
        let folder = self.home.path().join(".claude/projects/wt");
        fs::create_dir_all(&folder).expect("made");
        folder.join("t.jsonl")
    }

    fn look(&mut self, at: i64) -> Vec<String> {
        words(&self.agent.look(Timestamp::from_millis(at)))
    }
}

fn hook(sample: &str, patch: Value) -> Value {
    let mut samples: Value = serde_json::from_str(SAMPLES).expect("samples");
    let mut input = samples[sample].take();
    assert!(input.is_object(), "{sample}");
    for (name, value) in patch.as_object().expect("object") {
        input[name] = value.clone();
    }
    input
}

/// The commands in short.
fn words(commands: &[Command]) -> Vec<String> {
    let word = |command: &Command| match command {
        Command::Session(SessionCommand::ReportStatus {
            status,
            reason,
            source,
            ..
        }) => {
            let reason = reason
                .map(|reason| format!("/{}", reason.word()))
                .unwrap_or_default();
            format!("{}{reason} {}", status.word(), source.word())
        }
        Command::Session(SessionCommand::ReportIdentity { .. }) => "identity".into(),
        Command::Session(SessionCommand::ReportPromptTaken { .. }) => "prompt".into(),
        Command::Session(SessionCommand::ReportAsk { title, .. }) => format!("ask {title}"),
        Command::Session(SessionCommand::ReportAskClosed { outcome, .. }) => {
            format!("closed {outcome:?}")
        }
        Command::Session(SessionCommand::ReportClientStarted { .. }) => "started".into(),
        Command::Session(SessionCommand::ReportClientEnded { signal, .. }) => {
            format!("ended {signal:?}")
        }
        Command::Session(SessionCommand::ReportLost { why, .. }) => format!("lost: {why}"),
        Command::Session(SessionCommand::ReportLaunchFailed { .. }) => "launch failed".into(),
        other => format!("{other:?}"),
    };
    commands.iter().map(word).collect()
}

const ASK: &str = "ask Bash: mkdir -p sub && cd sub";
const CALL: &str = r#"{"command":"mkdir -p sub && cd sub","description":"cd"}"#;

fn call() -> Value {
    json!({"tool_input": serde_json::from_str::<Value>(CALL).expect("JSON")})
}

#[test]
fn a_turn_with_a_permission_that_is_approved_here() {
    let mut world = World::started();
    let heard = world.hook("UserPromptSubmit", json!({}), 2_000);
    assert_eq!(words(&heard.commands), ["prompt", "working hook"]);
    let heard = world.hook("PreToolUse", call(), 2_100);
    assert!(heard.commands.is_empty());
    assert_eq!(
        heard.live.and_then(|live| live.doing).as_deref(),
        Some("Bash: mkdir -p sub && cd sub")
    );
    let heard = world.hook("PermissionRequest", json!({}), 2_200);
    assert_eq!(
        words(&heard.commands),
        [ASK, "waiting_for_input/permission hook"]
    );
    let Some(Command::Session(SessionCommand::ReportAsk {
        kind,
        detail,
        answerable,
        ..
    })) = heard.commands.first()
    else {
        panic!("no ask");
    };
    assert!(*kind == AskKind::Permission && *answerable && detail.contains("mkdir -p sub"));
    let ask = heard.waits_for.expect("waits");
    // The dialog is in the registry still when the answer is on its way.
    world.registry("waiting", Some("permission prompt"), 2_210);
    assert_eq!(world.look(2_300), Vec::<String>::new());
    world.agent.answered(world.session, ask);
    let text = world
        .agent
        .answer_text(world.session, ask, AskOutcome::Approved, None)
        .expect("text");
    assert!(text.contains("\"allow\""));
    assert_eq!(world.look(2_310), ["working hook"]);
    let heard = world.hook("PostToolUse", call(), 2_400);
    assert!(heard.commands.is_empty(), "{:?}", heard.commands);
    assert!(heard.live.expect("live").recount);
    let heard = world.hook("Stop", json!({}), 2_500);
    assert_eq!(words(&heard.commands), ["idle hook"]);
    let live = heard.live.expect("live");
    assert!(live.read_transcript && live.recount);
    assert_eq!(live.doing.as_deref(), Some(""));
}

#[test]
fn a_permission_answered_in_the_client_or_refused_with_esc() {
    let mut world = World::started();
    world.hook("UserPromptSubmit", json!({}), 2_000);
    world.hook("PermissionRequest", json!({}), 2_200);
    let heard = world.hook("PostToolUse", call(), 3_000);
    assert_eq!(words(&heard.commands), ["closed Elsewhere", "working hook"]);
    world.hook("PermissionRequest", json!({}), 4_000);
    world.registry("idle", None, 5_000);
    assert_eq!(
        world.look(5_010),
        ["closed Elsewhere", "idle/interrupted registry"]
    );
    assert_eq!(world.look(5_020), Vec::<String>::new());
}

#[test]
fn a_long_tool_after_a_yes_in_the_client_closes_the_ask_once_it_is_settled() {
    let mut world = World::started();
    world.hook("UserPromptSubmit", json!({}), 2_000);
    world.hook("PermissionRequest", json!({}), 2_200);
    world.registry("busy", None, 4_000);
    assert_eq!(world.look(4_010), Vec::<String>::new());
    let due = world.agent.next_look().expect("due");
    assert_eq!(due.millis(), 6_001);
    assert_eq!(
        world.look(due.millis()),
        ["closed Elsewhere", "working registry"]
    );
}

#[test]
fn two_subagents_that_ask_at_once_are_told_apart() {
    let mut world = World::started();
    world.hook("UserPromptSubmit", json!({}), 2_000);
    let first = world.hook("PermissionRequest", json!({"agent_id": "a"}), 2_200);
    let second = world.hook("PermissionRequest", json!({"agent_id": "b"}), 2_201);
    assert_eq!(
        words(&first.commands),
        [ASK, "waiting_for_input/permission hook"]
    );
    assert_eq!(words(&second.commands), [ASK]);
    let (first, second) = (
        first.waits_for.expect("first"),
        second.waits_for.expect("second"),
    );
    assert_ne!(first, second);
    world.agent.answered(world.session, first);
    let mut patch = call();
    patch["agent_id"] = json!("b");
    let heard = world.hook("PostToolUse", patch, 2_500);
    assert_eq!(words(&heard.commands), ["closed Elsewhere", "working hook"]);
    assert!(heard.commands.iter().any(|command| matches!(command,
        Command::Session(SessionCommand::ReportAskClosed { ask: Some(ask), .. }) if *ask == second)));
}

#[test]
fn the_same_line_with_another_content_never_shares_an_answer() {
    let mut world = World::started();
    let mut call = call();
    call["tool_input"]["description"] = json!("x".repeat(300));
    let first = world
        .hook("PermissionRequest", call.clone(), 2_200)
        .waits_for
        .expect("first");
    let same = world
        .hook("PermissionRequest", call.clone(), 2_300)
        .waits_for
        .expect("same");
    assert_eq!(first, same);
    call["tool_input"]["run_in_background"] = json!(true);
    let heard = world.hook("PermissionRequest", call, 2_400);
    assert_ne!(heard.waits_for, Some(first));
    assert!(
        words(&heard.commands).contains(&"closed Elsewhere".to_owned()),
        "{:?}",
        heard.commands
    );
}

fn question() -> Value {
    json!({"tool_name": "AskUserQuestion", "tool_input": {"questions": [
        {"question": "Which color?", "header": "Color", "multiSelect": false,
            "options": [{"label": "Blue", "description": "calm"}, {"label": "Red", "description": ""}]},
        {"question": "And size?", "header": "Size", "multiSelect": false, "options": [{"label": "L", "description": ""}]}]}})
}

#[test]
fn a_question_is_answered_line_by_line() {
    let mut world = World::started();
    world.hook("UserPromptSubmit", json!({}), 2_000);
    let heard = world.hook("PermissionRequest", question(), 2_200);
    assert_eq!(
        words(&heard.commands),
        ["ask Which color?", "waiting_for_input/question hook"]
    );
    let Some(Command::Session(SessionCommand::ReportAsk {
        kind,
        options,
        detail,
        ..
    })) = heard.commands.first()
    else {
        panic!("no ask");
    };
    assert_eq!(
        (*kind, options.as_slice()),
        (
            AskKind::Question,
            ["Blue".to_owned(), "Red".to_owned()].as_slice()
        )
    );
    assert!(detail.contains("- Blue: calm") && detail.contains("And size?"));
    let ask = heard.waits_for.expect("waits");
    world.agent.answered(world.session, ask);
    let mut text = |outcome, text| world.agent.answer_text(world.session, ask, outcome, text);
    let answer: Value =
        serde_json::from_str(&text(AskOutcome::Answered, Some("Blue\nL")).expect("text"))
            .expect("JSON");
    let answers = answer
        .pointer("/hookSpecificOutput/decision/updatedInput/answers")
        .expect("answers");
    assert_eq!(*answers, json!({"Which color?": "Blue", "And size?": "L"}));
    assert!(
        text(AskOutcome::Denied, Some("  "))
            .expect("text")
            .contains(DENIED)
    );
    assert_eq!(text(AskOutcome::Elsewhere, None), None);
    assert_eq!(text(AskOutcome::Gone, Some("x")), None);
}

#[test]
fn the_usage_limit_is_told_from_work() {
    let mut world = World::started();
    let mut told = Vec::new();
    for (place, line) in USAGE_LIMIT
        .lines()
        .filter(|line| !line.trim().is_empty())
        .enumerate()
    {
        let input = serde_json::from_str::<Value>(line).expect("JSON")["in"].take();
        let at = 2_000 + i64::try_from(place).expect("small") * 100;
        told.extend(words(&world.hear(ReportBody::Hook(input), at).commands));
    }
    assert!(
        told.contains(&"waiting_for_input/usage_limit hook".to_owned()),
        "{told:?}"
    );
}

#[test]
fn the_end_of_the_client_is_told_once() {
    let mut world = World::started();
    world.hook("UserPromptSubmit", json!({}), 2_000);
    world.hook("PermissionRequest", json!({}), 2_200);
    let body = ReportBody::ClientExited {
        code: None,
        signal: Some(9),
        tail: "x\u{1b}[2J".into(),
    };
    assert_eq!(words(&world.hear(body, 3_000).commands), ["ended Some(9)"]);
    assert!(
        world
            .hear(ReportBody::LauncherEnded {}, 3_100)
            .commands
            .is_empty()
    );
    assert!(world.hook("Stop", json!({}), 3_200).commands.is_empty());
    assert_eq!(world.agent.next_look(), None);
    world.start(std::process::id(), 4_000);
    let heard = world.hear(ReportBody::LauncherEnded {}, 5_000);
    assert_eq!(words(&heard.commands), ["lost: its pane was closed"]);
    let heard = world.hear(
        ReportBody::LaunchFailed {
            why: "no such program".into(),
        },
        6_000,
    );
    assert_eq!(words(&heard.commands), ["launch failed"]);
}

#[test]
fn a_client_that_vanished_with_its_launcher_is_lost() {
    let mut world = World::new();
    world.start(DEAD, 1_000);
    world.hook("SessionStart", json!({}), 1_600);
    assert_eq!(world.look(10_000), Vec::<String>::new());
    let due = world.agent.next_look().expect("due");
    assert_eq!(due.millis(), 13_000);
    assert_eq!(
        world.look(due.millis()),
        ["lost: its client is gone, and nobody saw how it ended"]
    );
    assert_eq!(world.look(20_000), Vec::<String>::new());
}

#[test]
fn no_hooks_within_five_seconds_are_noticed() {
    let mut world = World::new();
    world.start(std::process::id(), 1_000);
    assert_eq!(world.look(2_000), Vec::<String>::new());
    let due = world.agent.next_look().expect("due");
    assert_eq!(due.millis(), 6_001);
    assert_eq!(world.look(due.millis()), ["starting/no_hooks process"]);
    assert_eq!(world.agent.next_look(), None);
    world.registry("waiting", Some("dialog open"), 7_000);
    assert_eq!(world.look(7_010), ["waiting_for_input/dialog registry"]);
}

#[test]
fn what_lay_in_the_spool_turns_nothing_back() {
    let mut world = World::started();
    world.hook("UserPromptSubmit", json!({}), 10_000);
    world.hook("Stop", json!({}), 20_000);
    let heard = world.hook("PermissionRequest", json!({}), 12_000);
    assert_eq!(
        (words(&heard.commands), heard.waits_for),
        (Vec::new(), None)
    );
    assert!(world.hook("PreToolUse", call(), 11_000).commands.is_empty());
    // The message it took must be told, and that the turn is over since.
    let heard = world.hook("UserPromptSubmit", json!({}), 10_001);
    assert_eq!(words(&heard.commands), ["prompt", "idle hook"]);
}

#[test]
fn a_report_counts_once_it_is_stored_and_not_before() {
    let mut world = World::started();
    let report = world.report(
        ReportBody::Hook(hook("PermissionRequest", json!({}))),
        2_200,
    );
    let first = world.agent.hear(&report, report.at);
    let again = world.agent.hear(&report, report.at);
    assert_eq!(first.waits_for, again.waits_for);
    assert!(
        words(&again.commands).contains(&ASK.to_owned()),
        "the transaction of the first may have failed: {:?}",
        words(&again.commands)
    );
    world.agent.stored(world.session, report.id);
    let again = world.agent.hear(&report, report.at);
    assert!(first.waits_for.is_some() && again.commands.is_empty());
    assert_eq!(first.waits_for, again.waits_for);
    let ask = first.waits_for.expect("waits");
    world.agent.answered(world.session, ask);
    let late = world.agent.hear(&report, report.at);
    assert_eq!((late.commands.len(), late.waits_for), (0, Some(ask)));
}

#[test]
fn of_an_input_that_nobody_could_read_the_event_still_counts() {
    let mut world = World::started();
    world.hook("UserPromptSubmit", json!({}), 2_000);
    let cut = |name: &str| json!({"hook_event_name": name, "claustre_cut": true});
    let asked = world.hear(ReportBody::Hook(cut("PermissionRequest")), 2_100);
    let Some(Command::Session(SessionCommand::ReportAsk { answerable, .. })) =
        asked.commands.first()
    else {
        panic!("{asked:?}");
    };
    assert!(!answerable, "what cannot be shown cannot be answered here");
    let stopped = world.hear(ReportBody::Hook(cut("Stop")), 2_200);
    let last = words(&stopped.commands).pop();
    assert_eq!(last.as_deref(), Some("idle hook"));
}

#[test]
fn what_was_not_stored_is_told_again_and_what_was_asked_is_what_the_log_says() {
    let mut world = World::started();
    let known = |asks| KnownSession {
        session: SessionId::new(Uuid::from_u128(1)),
        claude_session_id: Some(CONVERSATION.into()),
        transcript_path: None,
        client_pid: Some(std::process::id()),
        launched_at: Timestamp::from_millis(1_000),
        asks,
    };
    let now = Timestamp::from_millis(2_300);
    // A prompt whose transaction failed: the turn runs all the same.
    world.hook("UserPromptSubmit", json!({}), 2_000);
    let commands = world.agent.relearn(known(Vec::new()), now);
    assert_eq!(words(&commands), ["working hook"]);

    // An ask that the log does not have: it is asked once its report comes again, and not before.
    let report = world.report(
        ReportBody::Hook(hook("PermissionRequest", json!({}))),
        2_200,
    );
    let first = world.agent.hear(&report, report.at);
    let commands = world.agent.relearn(known(Vec::new()), now);
    assert_eq!(words(&commands), ["working hook"]);
    let again = world.agent.hear(&report, now);
    assert_eq!(words(&first.commands), words(&again.commands));
    world.agent.stored(world.session, report.id);

    // The end of its tool was not stored: the log has it open, and the report of its end closes it once it comes again.
    let finished = world.report(
        ReportBody::Hook(hook(
            "PostToolUse",
            json!({"tool_input": {"command": "mkdir -p sub && cd sub"}}),
        )),
        2_250,
    );
    world.agent.hear(&finished, now);
    let open = KnownAsk {
        ask: first.waits_for.expect("it asks"),
        title: "Bash: mkdir -p sub && cd sub".into(),
        since: report.at,
    };
    let commands = world.agent.relearn(known(vec![open]), now);
    assert_eq!(words(&commands), ["waiting_for_input/permission hook"]);
    let again = world.agent.hear(&finished, now);
    assert!(
        words(&again.commands)
            .iter()
            .any(|word| word.starts_with("closed")),
        "{:?}",
        words(&again.commands)
    );
}

#[test]
fn a_clock_that_was_set_back_freezes_no_status() {
    let mut world = World::new();
    let hour = 3_600_000;
    world.start(std::process::id(), hour);
    world.hook("SessionStart", json!({}), hour + 600);
    world.hook("UserPromptSubmit", json!({}), hour + 2_000);
    // An hour back.
    world.now = 0;
    let stop = world.hook("Stop", json!({}), 5_000);
    assert_eq!(words(&stop.commands), ["idle hook"]);
    let prompt = world.hook("UserPromptSubmit", json!({}), 6_000);
    assert!(words(&prompt.commands).contains(&"working hook".to_owned()));
    // What the client's registry shows since then is newer, too.
    world.now = 0;
    world.hook("PreToolUse", json!({}), 2 * hour);
    world.registry("idle", None, 7_000);
    let seen = world.agent.look(Timestamp::from_millis(7_100));
    assert_eq!(words(&seen), ["idle/interrupted registry"]);
    // So is the end of the client.
    let body = ReportBody::ClientExited {
        code: None,
        signal: Some(9),
        tail: String::new(),
    };
    world.now = 0;
    assert_eq!(words(&world.hear(body, 900).commands), ["ended Some(9)"]);
}

#[test]
fn a_hook_that_is_none_is_dropped() {
    let mut world = World::started();
    let heard = world.hear(ReportBody::Hook(json!([1])), 2_000);
    assert!(heard.commands.is_empty() && heard.live.is_none());
    world.agent.forget(world.session);
    assert!(
        world
            .hook("UserPromptSubmit", json!({}), 3_000)
            .commands
            .is_empty()
    );
}

#[test]
fn a_restarted_daemon_goes_on_with_what_the_log_knows() {
    let mut world = World::new();
    let asked = AskId::new(Uuid::from_u128(7));
    world.agent.know(KnownSession {
        session: world.session,
        claude_session_id: Some(CONVERSATION.into()),
        transcript_path: Some("/t.jsonl".into()),
        client_pid: Some(std::process::id()),
        launched_at: Timestamp::from_millis(1_000),
        asks: vec![KnownAsk {
            ask: asked,
            title: "Bash: x".into(),
            since: Timestamp::from_millis(2_000),
        }],
    });
    assert_eq!(
        world.look(60_000),
        Vec::<String>::new(),
        "nothing is known better"
    );
    world.registry("idle", None, 50_000);
    assert_eq!(
        world.look(60_001),
        ["closed Elsewhere", "idle/interrupted registry"]
    );
    let text = world
        .agent
        .answer_text(world.session, asked, AskOutcome::Approved, None);
    assert!(text.is_some());
    let heard = world.hook("UserPromptSubmit", json!({}), 70_000);
    assert_eq!(
        words(&heard.commands),
        ["identity", "prompt", "working hook"]
    );
}

#[test]
fn a_hook_that_still_waits_after_a_restart_asks_the_same() {
    let mut world = World::new();
    let report = world.report(
        ReportBody::Hook(hook("PermissionRequest", json!({"agent_id": "a"}))),
        2_000,
    );
    let asked = |id: u128, title: &str| KnownAsk {
        ask: AskId::new(Uuid::from_u128(id)),
        title: title.into(),
        since: Timestamp::from_millis(2_000),
    };
    world.agent.know(KnownSession {
        session: world.session,
        claude_session_id: Some(CONVERSATION.into()),
        transcript_path: Some("/home/you/.claude/t.jsonl".into()),
        client_pid: Some(std::process::id()),
        launched_at: Timestamp::from_millis(1_000),
        asks: vec![
            asked(world.reports, "Bash: mkdir -p sub && cd sub"),
            asked(7, "Bash: other"),
        ],
    });
    let heard = world.agent.hear(&report, report.at);
    assert_eq!(
        heard.waits_for,
        Some(AskId::new(Uuid::from_u128(world.reports)))
    );
    assert!(
        !words(&heard.commands)
            .iter()
            .any(|word| word.starts_with("closed")),
        "{:?}",
        heard.commands
    );
    let other = json!({"tool_input": {"command": "other"}});
    let heard = world.hook("PostToolUse", other, 3_000);
    let closed: Vec<_> = heard
        .commands
        .iter()
        .filter_map(|command| match command {
            Command::Session(SessionCommand::ReportAskClosed { ask, outcome, .. }) => {
                Some((*ask, *outcome))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        closed,
        [(Some(AskId::new(Uuid::from_u128(7))), AskOutcome::Elsewhere)]
    );
    let heard = world.hook("StopFailure", json!({}), 4_000);
    // A subagent in the background may still ask.
    assert!(!words(&heard.commands).contains(&"closed Gone".to_owned()));
    let left = json!({"reason": "prompt_input_exit"});
    let heard = world.hook("SessionEnd", left, 5_000);
    assert_eq!(words(&heard.commands), ["closed Gone", "done/exited hook"]);
}

#[test]
fn the_end_of_the_turn_takes_its_questions_along() {
    let mut world = World::started();
    world.hook("UserPromptSubmit", json!({}), 2_000);
    world.hook("PermissionRequest", json!({}), 2_200);
    assert_eq!(
        words(&world.hook("Stop", json!({}), 2_300).commands),
        ["closed Gone", "idle hook"]
    );
}

#[test]
fn usage_is_told_at_the_turns_end_and_only_when_it_changed() {
    let mut world = World::started();
    let transcript = world.transcript();
    fs::write(
        &transcript,
        include_str!("fixtures/transcript-sample.jsonl"),
    )
    .expect("written");
    let path = json!({"transcript_path": transcript});
    let heard = world.hook("UserPromptSubmit", path.clone(), 2_000);
    assert_eq!(
        words(&heard.commands),
        ["identity", "prompt", "working hook"]
    );
    let status: Value =
        serde_json::from_str(include_str!("fixtures/statusline-subscription.json")).expect("JSON");
    let heard = world.hear(ReportBody::StatusLine(status["in"].clone()), 2_100);
    let live = heard.live.expect("live");
    assert!(live.read_transcript && heard.commands.is_empty());
    assert_eq!(live.context_percent, Some(1));
    assert_eq!(
        live.five_hour.map(|window| window.used_percent),
        Some(100.0)
    );
    assert_eq!(
        world.agent.usage(world.session),
        [],
        "in the middle of a turn"
    );
    world.hook("Stop", path, 3_000);
    let told = world.agent.usage(world.session);
    let [Command::Session(SessionCommand::ReportUsage { totals, .. })] = told.as_slice() else {
        panic!("no usage");
    };
    assert!(totals.output_tokens > 0 && totals.cost > 0.0);
    assert_eq!(world.agent.usage(world.session), []);
}

#[test]
fn an_interrupted_turn_and_a_closed_session_tell_their_usage_too() {
    let mut world = World::started();
    let transcript = world.transcript();
    let sample = include_str!("fixtures/transcript-sample.jsonl");
    fs::write(&transcript, sample).expect("written");
    world.hook(
        "UserPromptSubmit",
        json!({"transcript_path": transcript}),
        2_000,
    );
    world.registry("idle", None, 5_000);
    let told = world.agent.look(Timestamp::from_millis(5_010));
    assert!(
        matches!(
            told.as_slice(),
            [
                Command::Session(SessionCommand::ReportStatus { .. }),
                Command::Session(SessionCommand::ReportUsage { .. }),
            ]
        ),
        "{told:?}"
    );
    world.hook(
        "UserPromptSubmit",
        json!({"transcript_path": transcript}),
        6_000,
    );
    let more = r#"{"type":"assistant","message":{"id":"new","model":"claude-opus-4-8","usage":{"output_tokens":5}}}"#;
    fs::write(&transcript, format!("{sample}{more}\n")).expect("written");
    world.agent.forget(world.session);
    let heard = world.hear(
        ReportBody::ClientExited {
            code: None,
            signal: Some(15),
            tail: String::new(),
        },
        7_000,
    );
    assert!(heard.commands.is_empty() && heard.live.is_some_and(|live| live.read_transcript));
    assert_eq!(world.agent.usage(world.session).len(), 1);
    assert_eq!(world.agent.usage(world.session), []);
}

fn program(path: &Path, version: &str) {
    fs::write(path, format!("#!/bin/sh\necho '{version} (Claude Code)'\n")).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("mode");
}

fn order(world: &World) -> PlanOrder {
    let (cwd, repository) = (world.home.path().join("wt"), world.home.path().join("repo"));
    fs::create_dir_all(&cwd).expect("made");
    fs::create_dir_all(&repository).expect("made");
    PlanOrder {
        session: world.session,
        claude_session_id: CONVERSATION.into(),
        token: "secret".into(),
        cwd,
        repository,
        title: "Fix auth".into(),
        prompt: Some("Do it.".into()),
        mode: Mode::Autonomous,
        model: None,
        effort: None,
        permission_mode: None,
        append_system_prompt: Some("Be brief.".into()),
        env: Vec::new(),
    }
}

#[test]
fn a_plan_is_written_whole_and_says_what_is_missing() {
    let mut world = World::new();
    let order = order(&world);
    let error = world.agent.write_plan(&order).expect_err("no client");
    assert!(
        error
            .hint
            .expect("hint")
            .contains("npm install -g @anthropic-ai/claude-code")
    );
    let claude = world.home.path().join("claude");
    world.agent.host.claude = Some(claude.clone());
    program(&claude, "2.0.1");
    let error = world.agent.write_plan(&order).expect_err("too old");
    assert!(error.message.contains("2.0.1") && error.hint.is_some());
    program(&claude, "2.1.197");
    world.agent.write_plan(&order).expect("plan");
    let directory = world.agent.host.paths.session(world.session);
    assert_eq!(
        fs::metadata(&directory)
            .expect("there")
            .permissions()
            .mode()
            & 0o777,
        0o700
    );
    let plan = LaunchPlan::load(&directory).expect("plan");
    assert_eq!((plan.program, plan.cwd), (claude, order.cwd.clone()));
    let home = world.home.path().join("c").display().to_string();
    let wanted = [
        ("CLAUSTRE_HOME", home),
        ("CLAUSTRE_MODE", "autonomous".into()),
        ("CLAUSTRE_SESSION_ID", world.session.to_string()),
        ("CLAUSTRE_TOKEN", "secret".into()),
    ];
    let wanted: std::collections::BTreeMap<String, String> = wanted
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    assert_eq!(plan.env, wanted);
    assert!(
        plan.options
            .windows(2)
            .any(|pair| pair == ["--permission-mode", "acceptEdits"])
    );
    // After `/clear` the next start continues the new conversation.
    let cleared = "11111111-2222-4333-8444-555555555555";
    world.hook(
        "SessionStart",
        json!({"source": "clear", "session_id": cleared}),
        2_000,
    );
    let plan = LaunchPlan::load(&directory).expect("plan");
    assert_eq!(plan.claude_session_id.to_string(), cleared);
}

#[test]
fn the_worktree_gets_an_mcp_json_only_where_the_repository_has_none() {
    let mut world = World::new();
    let order = order(&world);
    let claude = world.home.path().join("claude");
    program(&claude, "2.1.197");
    world.agent.host.claude = Some(claude);
    let directory = world.agent.host.paths.session(world.session);
    let is_approved = || {
        fs::read_to_string(directory.join("settings.json"))
            .expect("settings")
            .contains("enabledMcpjsonServers")
    };
    let file = order.cwd.join(".mcp.json");
    world.agent.write_plan(&order).expect("plan");
    let ours = fs::read_to_string(&file).expect("written");
    assert!(is_approved() && ours.contains("${CLAUSTRE_TOKEN}") && !ours.contains("secret"));
    assert!(
        world
            .agent
            .foresee(&order, Timestamp::from_millis(1_000))
            .iter()
            .all(|line| !line.contains("MCP"))
    );
    world.agent.write_plan(&order).expect("again");
    assert!(is_approved());
    // One that only looks like ours may name another program.
    let theirs = ours.replace("/opt/claustre", "/tmp/claustre");
    fs::write(&file, &theirs).expect("written");
    world.agent.write_plan(&order).expect("plan");
    assert!(!is_approved());
    assert_eq!(fs::read_to_string(&file).expect("kept"), theirs);
    fs::remove_file(&file).expect("removed");
    fs::write(order.repository.join(".mcp.json"), "{}").expect("written");
    world.agent.write_plan(&order).expect("plan");
    assert!(!is_approved() && !file.exists());
}

#[test]
fn a_goodbye_that_something_outside_brought_about_waits_for_who_saw_what() {
    let bye = || json!({"reason": "other"});
    // The launcher was killed, and its end is told by the kernel: the goodbye says nothing.
    let mut world = World::started();
    assert_eq!(
        words(&world.hook("SessionEnd", bye(), 3_000).commands),
        [""; 0]
    );
    let due = world.agent.next_look().map(Timestamp::millis);
    assert_eq!(due, Some(6_000), "somebody will look");

    // The client was killed with a signal: its launcher saw that, before or after whoever found it gone.
    let exited = || ReportBody::ClientExited {
        code: Some(143),
        signal: None,
        tail: String::new(),
    };
    let mut world = World::started();
    world.hook("SessionEnd", bye(), 3_000);
    assert_eq!(words(&world.hear(exited(), 3_100).commands), ["ended None"]);
    let mut world = World::started();
    world.hear(ReportBody::LauncherEnded {}, 3_000);
    assert_eq!(words(&world.hear(exited(), 3_100).commands), ["ended None"]);
    assert_eq!(
        words(&world.hook("SessionEnd", bye(), 3_200).commands),
        [""; 0]
    );
    assert_eq!(
        words(&world.hear(exited(), 3_300).commands),
        [""; 0],
        "once"
    );
}
