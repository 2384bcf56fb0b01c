use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
    sync::mpsc,
    thread,
};

use claustre_protocol::{
    hook::{Report, ReportAnswer, ReportBody},
    ids::SessionId,
    rpc::{Answer, Call},
};

use serde_json::json;

use super::*;
use crate::fast::report::DEADLINE;
use crate::paths::Paths;

struct Home {
    _directory: tempfile::TempDir,
    paths: Paths,
    reporter: Reporter,
}

fn home() -> Home {
    let directory = tempfile::tempdir().unwrap();
    let paths = Paths::at(directory.path()).unwrap();
    std::fs::create_dir_all(paths.run()).unwrap();
    let session = SessionId::new(uuid::Uuid::new_v4());
    let reporter = Reporter::new(paths.clone(), session, "secret".into(), "hook");
    Home {
        _directory: directory,
        paths,
        reporter,
    }
}

impl Home {
    fn spooled(&self) -> Vec<Call> {
        let Ok(entries) = std::fs::read_dir(self.paths.spool()) else {
            return Vec::new();
        };
        entries
            .map(|entry| {
                let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
                assert!(text.ends_with('\n'));
                serde_json::from_str(&text).unwrap()
            })
            .collect()
    }

    /// A daemon for one connection: takes hello and the report, then does `answer`.
    fn serve(
        &self,
        answer: impl FnOnce(UnixStream, Report) + Send + 'static,
    ) -> thread::JoinHandle<()> {
        let listener = UnixListener::bind(self.paths.daemon_socket()).unwrap();
        thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let hello: Call = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
            assert_eq!((hello.method.as_str(), hello.id), ("hello", Some(0)));
            let call: Call = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
            assert_eq!(call.method, "session.report");
            let report = serde_json::from_value(call.params).unwrap();
            answer(stream, report);
        })
    }
}

fn reply(mut stream: &UnixStream, print: Option<&str>) {
    let hello = Answer::result(0, json!({}));
    let answer = ReportAnswer {
        print: print.map(str::to_owned),
    };
    let answer = Answer::result(1, serde_json::to_value(answer).unwrap());
    for line in [hello, answer] {
        writeln!(stream, "{}", serde_json::to_string(&line).unwrap()).unwrap();
    }
}

#[test]
fn a_report_reaches_the_daemon_and_its_answer_comes_back() {
    let home = home();
    let (tell, told) = mpsc::channel();
    let server = home.serve(move |stream, report| {
        reply(&stream, Some("more"));
        tell.send(report).unwrap();
    });
    let (data, asks) = embed(b"{\"hook_event_name\":\"Stop\",\n \"x\": 1}\n", false);
    assert!(!asks);
    let line = home.reporter.line_of_json("hook", &data);
    let delivery = home.reporter.deliver(&line, &Patience::Deadline);
    assert_eq!(
        delivery,
        Delivery::Taken(ReportAnswer {
            print: Some("more".into())
        })
    );
    let report = told.recv().unwrap();
    assert_eq!(report.token, "secret");
    assert_eq!(
        report.body,
        ReportBody::Hook(json!({"hook_event_name": "Stop", "x": 1}))
    );
    server.join().unwrap();
    assert!(home.spooled().is_empty());
}

#[test]
fn without_a_daemon_the_same_line_waits_in_the_spool() {
    let home = home();
    report(
        &home.reporter,
        br#"{"hook_event_name":"PermissionRequest"}"#,
        false,
    );
    report(&home.reporter, br#"{"hook_event_name":"Stop"}"#, false);
    let spooled = home.spooled();
    assert_eq!(spooled.len(), 2);
    for call in spooled {
        assert_eq!(call.method, "session.report");
        serde_json::from_value::<Report>(call.params).unwrap();
    }
}

#[test]
fn a_slow_daemon_costs_a_tenth_of_a_second_and_nothing_is_lost() {
    let home = home();
    let (release, released) = mpsc::channel::<()>();
    let server = home.serve(move |stream, _| {
        let _ = released.recv();
        drop(stream);
    });
    let before = Instant::now();
    report(&home.reporter, br#"{"hook_event_name":"Stop"}"#, false);
    assert!(before.elapsed() >= DEADLINE);
    assert_eq!(home.spooled().len(), 1);
    release.send(()).unwrap();
    server.join().unwrap();
}

#[test]
fn a_refused_report_is_dropped_and_one_for_another_daemon_is_kept() {
    for (code, spooled) in [(1, 0), (3, 0), (5, 1), (6, 1), (-32_602, 1), (-32_700, 1)] {
        let home = home();
        let server = home.serve(move |mut stream, _| {
            let line = json!({"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": "no"}});
            writeln!(stream, "{line}").unwrap();
        });
        report(&home.reporter, b"{}", false);
        server.join().unwrap();
        assert_eq!(home.spooled().len(), spooled, "code {code}");
    }
}

#[test]
fn a_permission_waits_longer_than_the_deadline() {
    let home = home();
    let (arrived, arrives) = mpsc::channel();
    let (decide, decided) = mpsc::channel::<()>();
    let server = home.serve(move |stream, _| {
        arrived.send(()).unwrap();
        decided.recv().unwrap();
        reply(&stream, Some("allow"));
    });
    let reporter = home.reporter.clone();
    let (data, asks) = embed(br#"{"hook_event_name":"PermissionRequest"}"#, false);
    assert!(asks);
    let line = reporter.line_of_json("hook", &data);
    let waiting = thread::spawn(move || {
        let begun = Instant::now();
        (ask(&reporter, &line), begun.elapsed())
    });
    arrives.recv().unwrap();
    // The deadline itself is what must pass here.
    let passed = decided_after(DEADLINE * 2);
    decide.send(()).unwrap();
    let (delivery, waited) = waiting.join().unwrap();
    assert_eq!(
        delivery,
        Delivery::Taken(ReportAnswer {
            print: Some("allow".into())
        })
    );
    assert!(waited >= passed);
    server.join().unwrap();
    assert!(home.spooled().is_empty());
}

#[test]
fn a_permission_finds_a_daemon_that_was_started_again() {
    let home = home();
    let first = home.serve(|stream, _| drop(stream));
    let (data, _) = embed(br#"{"hook_event_name":"PermissionRequest"}"#, false);
    let line = home.reporter.line_of_json("hook", &data);
    let reporter = home.reporter.clone();
    let waiting = thread::spawn(move || ask(&reporter, &line));
    first.join().unwrap();
    std::fs::remove_file(home.paths.daemon_socket()).unwrap();
    let second = home.serve(|stream, _| reply(&stream, Some("deny")));
    second.join().unwrap();
    assert_eq!(
        waiting.join().unwrap(),
        Delivery::Taken(ReportAnswer {
            print: Some("deny".into())
        })
    );
    assert!(home.spooled().is_empty());
}

/// Waits on a channel that never gets anything.
fn decided_after(time: Duration) -> Duration {
    let (_never, nothing) = mpsc::channel::<()>();
    assert!(nothing.recv_timeout(time).is_err());
    time
}

#[test]
fn what_is_no_json_or_too_long_keeps_its_names() {
    let names = |input: &[u8], cut| {
        let (data, asks) = embed(input, cut);
        assert!(!asks, "nothing that was not read whole is answered");
        serde_json::from_str::<serde_json::Value>(&data).unwrap()
    };
    assert_eq!(names(b"not json", false), json!({"claustre_cut": true}));
    assert_eq!(
        names(b"{\"hook_event_name\":\"Stop\",\"x\":\"\xff\"}", false),
        json!({"hook_event_name": "Stop", "claustre_cut": true})
    );
    assert_eq!(
        names(
            br#"{"session_id":"s","hook_event_name":"PostToolUse","tool_input":{"a"#,
            true
        ),
        json!({"session_id": "s", "hook_event_name": "PostToolUse", "claustre_cut": true})
    );
}

#[test]
fn half_a_surrogate_pair_reaches_the_daemon_as_a_replacement() {
    let (data, asks) = embed(
        br#"{"hook_event_name":"PermissionRequest","\ud83d":"a\udc00"}"#,
        false,
    );
    assert!(asks);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&data).unwrap(),
        json!({"hook_event_name": "PermissionRequest", "\u{fffd}": "a\u{fffd}"})
    );
}

#[test]
fn a_nested_name_is_not_the_name_of_the_hook() {
    let (_, asks) = embed(
        br#"{"hook_event_name":"PreToolUse","tool_input":{"hook_event_name":"PermissionRequest"}}"#,
        false,
    );
    assert!(!asks);
}

#[test]
fn the_rest_of_a_long_input_is_read_and_dropped() {
    let (kept, cut) = read_limited(&b"abcdef"[..], 4);
    assert_eq!((kept.as_slice(), cut), (&b"abcd"[..], true));
    let (kept, cut) = read_limited(&b"abcd"[..], 4);
    assert_eq!((kept.as_slice(), cut), (&b"abcd"[..], false));
}
