//! The program as a user, a hook and Claude Code run it, with a listener as its daemon.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use claustre::paths::Paths;
use claustre_protocol::{
    BUILD, PROTOCOL,
    ids::SessionId,
    rpc::{Answer, Call, Fault, FaultCode, Hello},
};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(20);

struct Home {
    _directory: tempfile::TempDir,
    paths: Paths,
    session: SessionId,
    calls: Receiver<Call>,
}

/// A home with a daemon that answers each call with what `answer` makes of it.
fn home(answer: fn(&Call) -> Result<Value, Fault>) -> Home {
    let directory = tempfile::tempdir().unwrap();
    let paths = Paths::at(directory.path().canonicalize().unwrap()).unwrap();
    fs::create_dir_all(paths.run()).unwrap();
    let listener = UnixListener::bind(paths.daemon_socket()).unwrap();
    let (tell, calls) = mpsc::channel();
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let tell = tell.clone();
            thread::spawn(move || converse(stream, answer, &tell));
        }
    });
    Home {
        _directory: directory,
        paths,
        session: SessionId::new(uuid::Uuid::new_v4()),
        calls,
    }
}

fn converse(
    mut stream: UnixStream,
    answer: fn(&Call) -> Result<Value, Fault>,
    tell: &mpsc::Sender<Call>,
) {
    let reader = BufReader::new(stream.try_clone().unwrap());
    for line in reader.lines().map_while(Result::ok) {
        let call: Call = serde_json::from_str(&line).unwrap();
        let id = call.id.unwrap();
        let answer = if call.method == "hello" {
            let hello = Hello {
                protocol: PROTOCOL,
                build: BUILD.into(),
                program: "daemon".into(),
                pid: 1,
            };
            Answer::result(id, serde_json::to_value(hello).unwrap())
        } else {
            drop(tell.send(call.clone()));
            match answer(&call) {
                Ok(value) => Answer::result(id, value),
                Err(fault) => Answer::fault(Some(id), fault),
            }
        };
        if writeln!(stream, "{}", serde_json::to_string(&answer).unwrap()).is_err() {
            return;
        }
    }
}

impl Home {
    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_claustre"));
        command
            .args(line.split_whitespace())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.paths.home())
            .env("CLAUSTRE_HOME", self.paths.home())
            .env("CLAUSTRE_SESSION_ID", self.session.to_string())
            .env("CLAUSTRE_TOKEN", "secret")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// Exit code, standard output and standard error.
    fn said(&self, line: &str) -> (i32, String, String) {
        let output = self.run(line);
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    }

    fn feed(&self, line: &str, input: &str) -> Output {
        let mut child = self
            .command(line)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        child.wait_with_output().unwrap()
    }

    fn call(&self) -> Call {
        self.calls.recv_timeout(DEADLINE).expect("a call")
    }
}

fn project(name: &str) -> Value {
    json!({
        "id": "11111111-2222-4333-8444-555555555555", "name": name, "repo_path": "/r", "default_branch": "main",
        "goal": "sell\u{1b}]0;evil\u{7} things", "owner": "", "status": "active", "created_at": "2026-11-20T10:00:00Z",
    })
}

fn projects(call: &Call) -> Result<Value, Fault> {
    match call.method.as_str() {
        "project.list" => Ok(json!([project("shop")])),
        "project.add" => Ok(project("shop")),
        "project.remove" => Ok(json!({"message": "removed shop"})),
        "project.show" => Err(Fault::new(
            FaultCode::NotFound,
            "showing x: no such project",
            Some("claustre project list".into()),
        )),
        _ => Err(Fault::new(
            FaultCode::Refused,
            "changing shop: not now\u{1b}[2J",
            None,
        )),
    }
}

#[test]
fn data_goes_to_stdout_talk_to_stderr_and_nothing_is_coloured_in_a_pipe() {
    let home = home(projects);
    let (code, out, err) = home.said("project list");
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(
        out,
        "ID        NAME  STATUS  BRANCH  PATH  GOAL\n11111111  shop  active  main    /r    sell things\n"
    );
    let (_, out, _) = home.said("project list --json");
    assert_eq!(
        serde_json::from_str::<Value>(&out).unwrap()[0]["name"],
        "shop"
    );
    assert!(
        out.contains("\"created_at\":\"2026-11-20T10:00:00.000Z\""),
        "{out}"
    );
    assert!(!out.contains('\u{1b}'));
    let (code, out, err) = home.said("add-project shop /");
    assert_eq!(
        (code, out.as_str(), err.as_str()),
        (
            0,
            "11111111-2222-4333-8444-555555555555\n",
            "added shop at /r on main\n"
        )
    );
}

#[test]
fn exit_codes_tell_what_went_wrong() {
    let home = home(projects);
    assert_eq!(
        home.said("project show x"),
        (
            3,
            String::new(),
            "error: showing x: no such project\nhint: claustre project list\n".into()
        )
    );
    assert_eq!(
        home.said("project pause shop"),
        (1, String::new(), "error: changing shop: not now\n".into())
    );
    assert_eq!(home.said("project").0, 2);
    let (code, _, err) = home.said("project remove shop");
    assert_eq!(code, 2);
    assert!(err.ends_with("hint: add --yes\n"), "{err}");
    assert_eq!(home.said("project remove shop --yes").0, 0);
    let elsewhere = home.paths.home().join("empty");
    let output = home
        .command("daemon status")
        .env("CLAUSTRE_HOME", &elsewhere)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let home = home(projects);
    let mut child = home
        .command("project list")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

#[test]
fn a_prompt_may_come_from_standard_input_and_begin_with_a_dash() {
    fn refuse(_: &Call) -> Result<Value, Fault> {
        Err(Fault::new(FaultCode::Refused, "no", None))
    }
    let home = home(refuse);
    home.feed("task add shop title -d -", "- first\n- second\n");
    assert_eq!(home.call().params["description"], "- first\n- second\n");
    home.run("task add shop title -d --flags");
    assert_eq!(home.call().params["description"], "--flags");
    home.run("task list --status in-progress");
    assert_eq!(home.call().params["status"], "working");
}

#[test]
fn a_hook_prints_what_the_daemon_answers_and_always_ends_with_0() {
    fn allow(call: &Call) -> Result<Value, Fault> {
        let asked = call.params["data"]["hook_event_name"] == "PermissionRequest";
        Ok(json!({"print": asked.then_some("{\"decision\":\"allow\"}")}))
    }
    let home = home(allow);
    let output = home.feed("hook", r#"{"hook_event_name":"PermissionRequest"}"#);
    assert_eq!(
        (output.status.code(), output.stdout, output.stderr.len()),
        (Some(0), b"{\"decision\":\"allow\"}".to_vec(), 0)
    );
    assert_eq!(home.call().params["token"], "secret");
    let output = home.feed("hook", r#"{"hook_event_name":"Stop"}"#);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    for (line, input) in [
        ("hook --no-such-option", "{}"),
        ("hook", "not json"),
        ("hook", ""),
    ] {
        let output = home.feed(line, input);
        assert_eq!(
            (
                output.status.code(),
                output.stdout.len(),
                output.stderr.len()
            ),
            (Some(0), 0, 0),
            "{line} {input}"
        );
    }
    // Outside a session it is nothing at all.
    let mut command = home.command("hook");
    command.env_remove("CLAUSTRE_SESSION_ID");
    assert_eq!(command.output().unwrap().status.code(), Some(0));
}

#[test]
fn a_waiting_permission_ends_with_the_client() {
    fn think(_: &Call) -> Result<Value, Fault> {
        // Nobody decides: the connection is kept open.
        loop {
            thread::park();
        }
    }
    let home = home(think);
    let input = home.paths.home().join("input");
    fs::write(&input, r#"{"hook_event_name":"PermissionRequest"}"#).unwrap();
    // The shell stands for Claude Code's; it ends by itself once the hook waits.
    let program = env!("CARGO_BIN_EXE_claustre");
    let mut shell: Child = Command::new("/bin/sh")
        .args(["-c", "\"$0\" hook < \"$1\" & read line; exit 0", program])
        .arg(&input)
        .env("CLAUSTRE_HOME", home.paths.home())
        .env("CLAUSTRE_SESSION_ID", home.session.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = shell.stdin.take().unwrap();
    let mut output = shell.stdout.take().unwrap();
    assert_eq!(home.call().method, "session.report");
    stdin.write_all(b"end\n").unwrap();
    shell.wait().unwrap();
    // The hook holds the output: it is at its end only when the hook has ended as well.
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    assert_eq!(text, "");
}

#[test]
fn the_status_line_is_printed_at_once_and_handed_on() {
    fn take(_: &Call) -> Result<Value, Fault> {
        Ok(json!({}))
    }
    let home = home(take);
    let input = r#"{"model":{"display_name":"Opus"},"context_window":{"used_percentage":34}}"#;
    let output = home.feed("statusline", input);
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "claustre · Opus · 34%\n"
    );
    assert_eq!(home.call().params["report"], "status_line");
    let output = home.feed("statusline --pass-through", input);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), input);
    assert_eq!(home.call().params["data"]["model"]["display_name"], "Opus");
}

#[test]
fn the_bridge_says_who_it_is_and_copies_both_ways() {
    let home = home(projects);
    let listener = UnixListener::bind(home.paths.mcp_socket()).unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let hello: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        stream.write_all(b"welcome\n").unwrap();
        let asked = lines.next().unwrap().unwrap();
        stream.write_all(b"answer\n").unwrap();
        assert!(lines.next().is_none(), "the client's end is handed on");
        (hello, asked)
    });
    let output = home.feed("mcp", "question\n");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "welcome\nanswer\n"
    );
    let (mut hello, asked) = server.join().unwrap();
    assert_eq!(asked, "question");
    let bridge = hello.as_object_mut().unwrap().remove("bridge").unwrap();
    let bridge: uuid::Uuid = serde_json::from_value(bridge).unwrap();
    assert!(
        !bridge.is_nil(),
        "calls of one bridge are told from those of another"
    );
    assert_eq!(
        hello,
        json!({
            "claustre": "hello", "session": home.session.to_string(), "token": "secret",
            "protocol": {"major": PROTOCOL.major, "minor": PROTOCOL.minor},
        })
    );
}
