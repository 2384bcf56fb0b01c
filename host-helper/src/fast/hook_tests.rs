use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
    sync::{Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use claustre_protocol::{
    hook::{Report, ReportAnswer, ReportBody},
    ids::{AskId, SessionId},
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
        ask: None,
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
    let delivery = home.reporter.deliver(&line);
    assert_eq!(
        delivery,
        Delivery::Taken(ReportAnswer {
            print: Some("more".into()),
            ask: None,
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
    report(&home.reporter, br#"{"hook_event_name":"Stop"}"#, false);
    let spooled = home.spooled();
    assert_eq!(spooled.len(), 1);
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
    let hook = home.asking();
    arrives.recv().unwrap();
    // The deadline itself is what must pass here.
    let begun = Instant::now();
    let passed = decided_after(DEADLINE * 2);
    decide.send(()).unwrap();
    assert_eq!(hook.ended(), (taken("allow"), vec!["allow".to_owned()]));
    assert!(begun.elapsed() >= passed);
    server.join().unwrap();
    assert!(home.spooled().is_empty());
}

/// A hook that asks, on a thread of its own, and what it has printed.
struct Hook {
    thread: thread::JoinHandle<Delivery>,
    printed: std::sync::Arc<Mutex<Vec<String>>>,
}

impl Hook {
    fn ended(self) -> (Delivery, Vec<String>) {
        let delivery = self.thread.join().unwrap();
        let printed = self.printed.lock().unwrap().clone();
        (delivery, printed)
    }
}

impl Home {
    fn asking(&self) -> Hook {
        self.asking_for(Callers::only(None), true)
    }

    fn asking_for(&self, callers: Callers, can_print: bool) -> Hook {
        let (data, asks) = embed(br#"{"hook_event_name":"PermissionRequest"}"#, false);
        assert!(asks);
        let line = self.reporter.asking_line(&data);
        let (reporter, printed) = (self.reporter.clone(), std::sync::Arc::default());
        let prints: std::sync::Arc<Mutex<Vec<String>>> = std::sync::Arc::clone(&printed);
        let thread = thread::spawn(move || {
            ask(&reporter, &line, &callers, &|text| {
                if !can_print {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
                prints.lock().unwrap().push(text.to_owned());
                Ok(())
            })
        });
        Hook { thread, printed }
    }

    fn restarts(&self) {
        std::fs::remove_file(self.paths.daemon_socket()).unwrap();
    }

    /// Waits until so many reports lie in the spool, and gives their kinds.
    fn wait_spooled(&self, wanted: usize) -> Vec<serde_json::Value> {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let complete = std::fs::read_dir(self.paths.spool()).is_ok_and(|entries| {
                let is_complete = |entry: &std::fs::DirEntry| {
                    entry.path().extension().is_some_and(|end| end == "ndjson")
                };
                entries.flatten().filter(is_complete).count() >= wanted
            });
            if complete {
                let kinds = self.spooled().into_iter();
                return kinds.map(|call| call.params["report"].clone()).collect();
            }
            assert!(Instant::now() < end, "nothing in the spool");
            thread::yield_now();
        }
    }
}

fn taken(print: &str) -> Delivery {
    Delivery::Taken(ReportAnswer {
        print: Some(print.into()),
        ask: None,
    })
}

fn an_ask() -> AskId {
    AskId::new(uuid::Uuid::from_u128(7))
}

/// Answers what is asked, so that it is to be acknowledged; nothing is read after that.
fn reply_to_ask(mut stream: &UnixStream) {
    let answer = ReportAnswer {
        print: Some("allow".into()),
        ask: Some(an_ask()),
    };
    let answer = Answer::result(1, serde_json::to_value(answer).unwrap());
    writeln!(stream, "{}", serde_json::to_string(&answer).unwrap()).unwrap();
}

#[test]
fn a_permission_finds_a_daemon_that_was_started_again() {
    let home = home();
    let first = home.serve(|stream, report| {
        assert!(report.acknowledges);
        drop(stream);
    });
    let hook = home.asking();
    first.join().unwrap();
    home.restarts();
    let second = home.serve(|stream, _| reply(&stream, Some("deny")));
    second.join().unwrap();
    assert_eq!(hook.ended().0, taken("deny"));
}

#[test]
fn without_a_daemon_a_permission_is_kept_once_and_waits_on() {
    let home = home();
    let hook = home.asking();
    assert_eq!(home.wait_spooled(1), ["hook"]);
    // Some tries later.
    decided_after(Duration::from_millis(300));
    let server = home.serve(|stream, report| {
        reply(&stream, Some("allow"));
        drop((stream, report));
    });
    server.join().unwrap();
    assert_eq!(hook.ended(), (taken("allow"), vec!["allow".to_owned()]));
    assert_eq!(home.spooled().len(), 1, "kept once");
}

#[test]
fn a_permission_ends_with_the_client_that_waits_for_it() {
    let home = home();
    let mut client = std::process::Command::new("sleep")
        .arg("600")
        .spawn()
        .unwrap();
    let hook = home.asking_for(Callers::only(Some(client.id())), true);
    home.wait_spooled(1);
    client.kill().unwrap();
    client.wait().unwrap();
    assert_eq!(hook.ended(), (Delivery::Abandoned, Vec::new()));
}

#[test]
fn an_answer_that_was_printed_is_acknowledged_over_the_same_connection() {
    let home = home();
    let (tell, told) = mpsc::channel();
    let server = home.serve(move |mut stream, _| {
        reply_to_ask(&stream);
        let mut line = String::new();
        BufReader::new(stream.try_clone().unwrap())
            .read_line(&mut line)
            .unwrap();
        let call: Call = serde_json::from_str(&line).unwrap();
        tell.send(serde_json::from_value::<Report>(call.params).unwrap())
            .unwrap();
        let stored = Answer::result(1, json!({}));
        writeln!(stream, "{}", serde_json::to_string(&stored).unwrap()).unwrap();
    });
    let hook = home.asking();
    assert_eq!(
        told.recv().unwrap().body,
        ReportBody::AnswerTaken { ask: an_ask() }
    );
    assert_eq!(hook.ended().1, ["allow"]);
    server.join().unwrap();
    assert!(home.spooled().is_empty());
}

#[test]
fn an_acknowledgement_outlives_the_daemon_that_gave_the_answer() {
    let home = home();
    let server = home.serve(|stream, _| reply_to_ask(&stream));
    let hook = home.asking();
    server.join().unwrap();
    home.restarts();
    assert_eq!(hook.ended().1, ["allow"]);
    assert_eq!(home.wait_spooled(1), ["answer_taken"]);
}

#[test]
fn an_answer_that_nobody_reads_is_not_acknowledged() {
    let home = home();
    let server = home.serve(|stream, _| {
        reply_to_ask(&stream);
        let mut rest = String::new();
        BufReader::new(stream).read_line(&mut rest).unwrap();
        assert_eq!(rest, "");
    });
    home.asking_for(Callers::only(None), false).ended();
    server.join().unwrap();
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
