//! What hooks, status line and launcher report.

use claustre_protocol::hook::{Report, ReportAnswer, ReportBody};

use crate::{
    check::{Golden, tag_of, variants},
    samples::{ASK, EVENT, SESSION, at},
};

#[test]
fn every_report_is_as_its_golden_file() {
    let bodies = [
        ReportBody::Hook(serde_json::json!({
            "hook_event_name": "Stop",
            "session_id": "0b7f9a52-3f0e-4c53-9a9e-8a5f6d0c1b2a",
        })),
        ReportBody::StatusLine(serde_json::json!({ "cost": { "total_cost_usd": 0.25 } })),
        ReportBody::ClientStarted {
            pid: 4712,
            launcher_pid: 4711,
            resumed: true,
        },
        ReportBody::ClientExited {
            code: Some(3),
            signal: Some(15),
            tail: "no such model".into(),
        },
        ReportBody::LaunchFailed {
            why: "claude is not on the PATH".into(),
        },
        ReportBody::LauncherEnded {},
        ReportBody::AnswerTaken { ask: ASK },
    ];
    let mut golden = Golden::of("hook");
    for body in bodies {
        let report = Report {
            id: EVENT,
            session: SESSION,
            token: "c2VjcmV0".into(),
            at: at(5),
            zellij_session: Some("main".into()),
            pane_id: Some(14),
            acknowledges: false,
            body,
        };
        golden.holds(&tag_of(&report, "report"), &report);
    }
    golden.holds_in_part(
        "answer",
        &ReportAnswer {
            print: Some(r#"{"hookSpecificOutput":{}}"#.into()),
            ask: None,
        },
    );
    golden.holds(
        "answer-to-acknowledge",
        &ReportAnswer {
            print: Some(r#"{"hookSpecificOutput":{}}"#.into()),
            ask: Some(ASK),
        },
    );
    golden.finish(&variants::<ReportBody>("report"));
}
