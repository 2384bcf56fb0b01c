use std::{
    os::unix::net::UnixListener,
    sync::atomic::{AtomicUsize, Ordering},
};

use claustre_protocol::{
    request::{Done, Nothing},
    rpc::ProtocolVersion,
};
use serde_json::json;

use super::*;

fn home() -> (tempfile::TempDir, Paths) {
    let directory = tempfile::tempdir().unwrap();
    let paths = Paths::at(directory.path()).unwrap();
    (directory, paths)
}

/// A daemon that answers hello with this version, and every call with its method's name. Ends with the test.
fn serve(paths: &Paths, protocol: ProtocolVersion) {
    fs::create_dir_all(paths.run()).unwrap();
    let listener = UnixListener::bind(paths.daemon_socket()).unwrap();
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            thread::spawn(move || {
                let mut writer = stream.try_clone().unwrap();
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let call: Call = serde_json::from_str(&line).unwrap();
                    let result = if call.method == "hello" {
                        let hello = Hello {
                            protocol,
                            build: "9.9".into(),
                            program: "daemon".into(),
                            pid: 1,
                        };
                        serde_json::to_value(hello).unwrap()
                    } else {
                        writeln!(
                            writer,
                            "{}",
                            json!({"jsonrpc": "2.0", "method": "event", "params": 7})
                        )
                        .unwrap();
                        json!({"message": call.method})
                    };
                    let answer = Answer::result(call.id.unwrap(), result);
                    drop(writeln!(
                        writer,
                        "{}",
                        serde_json::to_string(&answer).unwrap()
                    ));
                }
            });
        }
    });
}

#[test]
fn a_call_is_answered_and_notifications_are_kept() {
    let (_directory, paths) = home();
    serve(&paths, PROTOCOL);
    let mut client = Client::connect(&paths, "cli").unwrap();
    assert_eq!(client.daemon.build, "9.9");
    let done: Done = client.call(Request::DaemonStop(Nothing {})).unwrap();
    assert_eq!(done.message, "daemon.stop");
    assert_eq!(client.notification().unwrap().unwrap().params, json!(7));
}

#[test]
fn another_major_version_is_said_in_one_sentence() {
    let (_directory, paths) = home();
    serve(
        &paths,
        ProtocolVersion {
            major: PROTOCOL.major + 1,
            minor: 0,
        },
    );
    let error = Client::connect_or_start(&paths, "cli").unwrap_err();
    assert!(matches!(&error, ClientError::Version { daemon, .. } if daemon == "9.9"));
    assert_eq!(error.hint().unwrap(), "claustre daemon restart");
}

#[test]
fn many_clients_start_one_daemon() {
    let (_directory, paths) = home();
    let starts = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                Client::connect_or_start_with(&paths, "cli", &|| {
                    starts.fetch_add(1, Ordering::SeqCst);
                    serve(&paths, PROTOCOL);
                    Ok(std::process::id())
                })
                .unwrap();
            });
        }
    });
    assert_eq!(starts.load(Ordering::SeqCst), 1);
}

#[test]
fn a_daemon_that_cannot_start_is_said_with_its_reason() {
    let (_directory, paths) = home();
    let error =
        Client::connect_or_start_with(&paths, "cli", &|| Err(not_started("no disk".into())));
    assert_eq!(
        error.unwrap_err().to_string(),
        "starting the daemon: no disk"
    );
    fs::create_dir_all(paths.logs()).unwrap();
    fs::write(
        paths.logs().join(OUTPUT),
        "error: old\nerror: running the daemon: why\nhint: do\n",
    )
    .unwrap();
    let error = Client::connect_or_start_with(&paths, "cli", &|| {
        let ends = ["-c".into(), "exit 1".into()];
        Ok(
            crate::adapters::process::spawn_detached(Path::new("/bin/sh"), &ends, &[], None)
                .unwrap(),
        )
    })
    .unwrap_err();
    assert_eq!(error.to_string(), "starting the daemon: why");
    assert_eq!(error.hint().as_deref(), Some("do"));
}

#[test]
fn a_holder_that_does_not_answer_is_named() {
    let (_directory, paths) = home();
    fs::create_dir_all(paths.run()).unwrap();
    fs::write(paths.daemon_lock(), "4711\n").unwrap();
    let lock = OpenOptions::new()
        .write(true)
        .open(paths.daemon_lock())
        .unwrap();
    lock.try_lock().unwrap();
    assert!(is_held(&paths.daemon_lock()));
    let error = stuck(
        &paths,
        ClientError::Unreachable {
            why: "silence".into(),
        },
    );
    assert!(error.to_string().contains("process 4711"), "{error}");
}

#[test]
fn a_busy_daemon_is_waited_for_and_no_second_one_is_started() {
    let (_directory, paths) = home();
    fs::create_dir_all(paths.run()).unwrap();
    let lock = File::create(paths.daemon_lock()).unwrap();
    lock.try_lock().unwrap();
    let listener = UnixListener::bind(paths.daemon_socket()).unwrap();
    let (said_hello, hello) = std::sync::mpsc::channel();
    let (answer_now, may_answer) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut line = String::new();
        BufReader::new(stream.try_clone().unwrap())
            .read_line(&mut line)
            .unwrap();
        said_hello.send(()).unwrap();
        may_answer.recv().unwrap();
        let hello = Hello {
            protocol: PROTOCOL,
            build: "9.9".into(),
            program: "daemon".into(),
            pid: 1,
        };
        let answer = Answer::result(0, serde_json::to_value(hello).unwrap());
        writeln!(stream, "{}", serde_json::to_string(&answer).unwrap()).unwrap();
        // Its second connection would find nobody.
        drop(listener);
    });
    thread::scope(|scope| {
        let calling = scope
            .spawn(|| Client::connect_or_start_with(&paths, "cli", &|| panic!("a second daemon")));
        hello.recv().unwrap();
        let asked = Instant::now();
        while asked.elapsed() < HELLO * 3 {
            thread::yield_now();
            assert!(!calling.is_finished(), "it gave up on a busy daemon");
            thread::park_timeout(LOOK);
        }
        answer_now.send(()).unwrap();
        assert_eq!(calling.join().unwrap().unwrap().daemon.build, "9.9");
    });
}
