//! What comes over the socket from programs that are not quite ours.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use claustre_protocol::PROTOCOL;
use claustre_tests::TestEnv;
use serde_json::{Value, json};

fn connect(env: &TestEnv) -> BufReader<UnixStream> {
    let stream = UnixStream::connect(env.claustre_home().join("run/daemon.sock")).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    BufReader::new(stream)
}

fn say(stream: &mut BufReader<UnixStream>, line: &[u8]) -> Value {
    // A line that is too long is refused before its end: writing the rest fails then.
    drop(
        stream
            .get_mut()
            .write_all(line)
            .and_then(|()| stream.get_mut().write_all(b"\n")),
    );
    let mut answer = String::new();
    stream.read_line(&mut answer).unwrap();
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

fn hello(major: u16, minor: u16) -> Vec<u8> {
    json!({"jsonrpc": "2.0", "id": 0, "method": "hello", "params": {
        "protocol": {"major": major, "minor": minor}, "build": "9.9.9", "program": "test", "pid": 1}})
    .to_string()
    .into_bytes()
}

#[test]
fn other_versions_unknown_methods_and_nonsense_are_answered_in_words() {
    let env = TestEnv::new();
    env.claustre(&["daemon", "start"]).success();
    // A newer minor version talks on; a newer or older major one is told what to do.
    let mut stream = connect(&env);
    let greeted = say(&mut stream, &hello(PROTOCOL.major, PROTOCOL.minor + 7));
    assert_eq!(greeted["result"]["program"], "daemon");
    for major in [PROTOCOL.major + 1, PROTOCOL.major.wrapping_sub(1)] {
        let refused = say(&mut connect(&env), &hello(major, 0));
        assert!(
            refused["error"]["message"]
                .as_str()
                .unwrap()
                .contains("9.9.9"),
            "{refused}"
        );
        assert_eq!(refused["error"]["data"]["hint"], "claustre daemon restart");
    }
    for (line, code, words) in [
        (
            json!({"jsonrpc": "2.0", "id": 1, "method": "fly.away", "params": {}}).to_string(),
            -32601,
            "fly.away",
        ),
        (
            json!({"jsonrpc": "2.0", "id": 2, "method": "task.show", "params": {"off": 1}})
                .to_string(),
            -32602,
            "task.show",
        ),
        ("no JSON at all".to_owned(), -32700, "reading a message"),
        (
            "{\"jsonrpc\": \"1.0\"}".to_owned(),
            -32700,
            "reading a message",
        ),
        ("[1, 2".to_owned(), -32700, "reading a message"),
        (String::new(), -32700, "reading a message"),
    ] {
        let answer = say(&mut stream, line.as_bytes());
        assert_eq!(answer["error"]["code"], code, "{line}: {answer}");
        assert!(
            answer["error"]["message"].as_str().unwrap().contains(words),
            "{answer}"
        );
    }
    let not_text = say(&mut connect(&env), b"\xff\xfe");
    assert!(
        not_text["error"]["message"]
            .as_str()
            .unwrap()
            .contains("UTF-8"),
        "{not_text}"
    );
    let before_hello = say(
        &mut connect(&env),
        json!({"jsonrpc": "2.0", "id": 1, "method": "task.list"})
            .to_string()
            .as_bytes(),
    );
    assert!(
        before_hello["error"]["message"]
            .as_str()
            .unwrap()
            .contains("hello"),
        "{before_hello}"
    );
    let long = say(
        &mut connect(&env),
        &vec![b'x'; claustre_protocol::rpc::MAX_LINE + 2],
    );
    assert!(
        long["error"]["message"]
            .as_str()
            .unwrap()
            .contains("longer than"),
        "{long}"
    );
    // Whoever only connects, or goes away in the middle of a line, harms nobody.
    let silent: Vec<_> = (0..50).map(|_| connect(&env)).collect();
    let mut half = connect(&env);
    half.get_mut().write_all(b"{\"jsonrpc\"").unwrap();
    drop(half);
    env.claustre(&["status"]).success();
    drop(silent);
    env.claustre(&["status"]).success();
}

/// What the daemon has written to its log.
fn log(env: &TestEnv) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(env.claustre_home().join("logs")).unwrap() {
        text += &std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
    }
    text
}

#[test]
fn connections_that_say_nothing_keep_nobody_out() {
    let env = TestEnv::new();
    env.claustre(&["daemon", "start"]).success();
    // More than the daemon takes of one process: this one may need more files than it has at first.
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).unwrap();
    for socket in ["run/daemon.sock", "mcp.sock"] {
        let path = env.claustre_home().join(socket);
        let silent: Vec<_> = (0..1_040)
            .map(|_| UnixStream::connect(&path).unwrap())
            .collect();
        let status = env
            .run_within(
                env.command("claustre").arg("status"),
                Duration::from_secs(4),
            )
            .unwrap_or_else(|| panic!("{socket}: the status came too late"));
        status.success();
        // The last of them is told why.
        let mut last = silent.last().unwrap();
        last.set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut answer = String::new();
        BufReader::new(&mut last).read_line(&mut answer).unwrap();
        assert!(
            answer.contains("connections open already"),
            "{socket}: {answer}"
        );
        // Those that were taken in are ended when they have said nothing for long enough.
        let mut first = silent.first().unwrap();
        first
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut rest = String::new();
        BufReader::new(&mut first).read_line(&mut rest).unwrap();
        drop(silent);
    }
    let log = log(&env);
    assert!(log.contains("a connection was turned away"), "{log}");
}

#[test]
fn a_daemon_of_another_version_is_said_in_one_sentence() {
    let env = TestEnv::new();
    std::fs::create_dir_all(env.claustre_home().join("run")).unwrap();
    let listener = UnixListener::bind(env.claustre_home().join("run/daemon.sock")).unwrap();
    let serving = std::thread::spawn(move || {
        for answer in [
            json!({"jsonrpc": "2.0", "id": 0, "result": {
                "protocol": {"major": PROTOCOL.major + 1, "minor": 0}, "build": "9.9.9", "program": "daemon", "pid": 1}}),
            json!({"jsonrpc": "2.0", "id": 0, "error": {"code": -32007, "message": "greeting: too new"}}),
        ] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(stream.try_clone().unwrap())
                .read_line(&mut line)
                .unwrap();
            stream.write_all(format!("{answer}\n").as_bytes()).unwrap();
        }
    });
    let newer = env.claustre(&["status"]);
    assert_eq!(newer.code, Some(4), "{}", newer.snapshot());
    assert!(
        newer.stderr.contains("runs version 9.9.9"),
        "{}",
        newer.stderr
    );
    assert!(
        newer.stderr.contains("hint: claustre daemon restart"),
        "{}",
        newer.stderr
    );
    let refused = env.claustre(&["status"]);
    assert_ne!(refused.code, Some(0), "{}", refused.snapshot());
    serving.join().unwrap();
}
