//! The launcher in a real terminal, with a script as its client and a listener as its daemon.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::PathBuf,
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use claustre::{
    adapters::{claude::plan::LaunchPlan, launchers::SessionLaunchers},
    launcher::orders::{self, Order},
    paths::Paths,
    ports::Launchers,
};
use claustre_protocol::{
    hook::{Report, ReportBody},
    ids::SessionId,
    rpc::{Answer, Call},
};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use serde_json::json;

const DEADLINE: Duration = Duration::from_secs(20);

struct Home {
    directory: tempfile::TempDir,
    paths: Paths,
    session: SessionId,
    reports: Option<Receiver<Report>>,
}

struct Running {
    master: Option<Box<dyn MasterPty + Send>>,
    writer: Option<Box<dyn Write + Send>>,
    output: Receiver<Vec<u8>>,
    seen: String,
    child: Box<dyn Child + Send + Sync>,
}

/// A home whose session runs this script as its client.
fn home(script: &str, mode: &str, with_daemon: bool) -> Home {
    let directory = tempfile::tempdir().unwrap();
    let paths = Paths::at(directory.path().canonicalize().unwrap()).unwrap();
    let session = SessionId::new(uuid::Uuid::new_v4());
    fs::create_dir_all(paths.session(session)).unwrap();
    fs::create_dir_all(paths.run()).unwrap();
    fs::write(paths.session(session).join("token"), "secret\n").unwrap();
    let program = paths.home().join("client");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let plan = LaunchPlan {
        version: 1,
        session_id: session.to_string(),
        claude_session_id: uuid::Uuid::new_v4(),
        program,
        options: Vec::new(),
        prompt_file: None,
        cwd: paths.home().to_path_buf(),
        env: BTreeMap::from([("CLAUSTRE_MODE".to_owned(), mode.to_owned())]),
        env_remove: Vec::new(),
    };
    plan.save(&paths.session(session)).unwrap();
    let reports = with_daemon.then(|| serve(&paths));
    Home {
        directory,
        paths,
        session,
        reports,
    }
}

/// A daemon that takes every report.
fn serve(paths: &Paths) -> Receiver<Report> {
    let listener = UnixListener::bind(paths.daemon_socket()).unwrap();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let reader = BufReader::new(stream.try_clone().unwrap());
            for line in reader.lines().map_while(Result::ok) {
                let call: Call = serde_json::from_str(&line).unwrap();
                let answer = Answer::result(call.id.unwrap(), json!({}));
                let written = writeln!(stream, "{}", serde_json::to_string(&answer).unwrap());
                if call.method == "session.report" {
                    assert!(written.is_ok());
                    if tell
                        .send(serde_json::from_value(call.params).unwrap())
                        .is_err()
                    {
                        return;
                    }
                }
            }
        }
    });
    told
}

impl Home {
    fn start(&self) -> Running {
        let mut running = self.start_unread();
        let mut reader = running.master.as_ref().unwrap().try_clone_reader().unwrap();
        let (tell, output) = mpsc::channel();
        thread::spawn(move || {
            let mut chunk = [0_u8; 4096];
            while let Ok(read @ 1..) = reader.read(&mut chunk) {
                if tell.send(chunk[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        running.output = output;
        running
    }

    /// Nobody reads its output, so that dropping the master ends the terminal.
    fn start_unread(&self) -> Running {
        let pty = native_pty_system()
            .openpty(PtySize {
                rows: 24,
                cols: 80,
                pixel_width: 0,
                pixel_height: 0,
            })
            .unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_claustre"));
        command.args(["session", "run", &self.session.to_string()]);
        command.env_clear();
        command.env("PATH", "/usr/bin:/bin");
        command.env("HOME", self.paths.home());
        command.env("CLAUSTRE_HOME", self.paths.home());
        command.env("SHELL", "/bin/sh");
        command.env("PS1", "prompt> ");
        command.cwd(self.paths.home());
        let child = pty.slave.spawn_command(command).unwrap();
        drop(pty.slave);
        let writer = pty.master.take_writer().unwrap();
        let (_, output) = mpsc::channel();
        Running {
            master: Some(pty.master),
            writer: Some(writer),
            output,
            seen: String::new(),
            child,
        }
    }

    fn report(&self) -> ReportBody {
        let report = self
            .reports
            .as_ref()
            .unwrap()
            .recv_timeout(DEADLINE)
            .expect("a report");
        assert_eq!(
            (report.session, report.token.as_str()),
            (self.session, "secret")
        );
        report.body
    }

    fn expect_started(&self, resumed: bool) -> u32 {
        match self.report() {
            ReportBody::ClientStarted {
                pid,
                resumed: given,
                ..
            } => {
                assert_eq!(given, resumed);
                pid
            }
            other => panic!("{other:?}"),
        }
    }

    fn expect_exited(&self, code: Option<i32>, signal: Option<i32>) -> String {
        match self.report() {
            ReportBody::ClientExited {
                code: given_code,
                signal: given_signal,
                tail,
            } => {
                assert_eq!((given_code, given_signal), (code, signal));
                tail
            }
            other => panic!("{other:?}"),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Running {
    /// Reads until this was printed; what was printed up to it is used up.
    fn expect(&mut self, text: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            match self
                .output
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(chunk) => self.seen.push_str(&String::from_utf8_lossy(&chunk)),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("no {text:?} in {:?}", self.seen)
                }
            }
        }
    }

    fn press(&mut self, keys: &str) {
        let writer = self.writer.as_mut().unwrap();
        writer.write_all(keys.as_bytes()).unwrap();
        writer.flush().unwrap();
    }

    fn expect_end(mut self) {
        assert!(self.child.wait().unwrap().success());
    }
}

#[test]
fn an_exit_code_is_reported_and_enter_continues_the_conversation() {
    let home = home(
        "echo \"args $1 env $CLAUSTRE_SESSION_ID $CLAUSTRE_TOKEN\"; exit 7",
        "autonomous",
        true,
    );
    let mut running = home.start();
    running.expect(&format!("args --session-id env {} secret", home.session));
    home.expect_started(false);
    home.expect_exited(Some(7), None);
    running.expect("claude ended with exit code 7");
    running.expect("Enter continues");
    running.press("\r");
    running.expect("args --resume");
    home.expect_started(true);
    home.expect_exited(Some(7), None);
    running.expect("Enter continues");
    running.press("q");
    assert_eq!(home.report(), ReportBody::LauncherEnded {});
    running.expect_end();
    // A new launcher, as after a reboot, continues as well.
    let mut again = home.start();
    again.expect("args --resume");
    home.expect_started(true);
    home.expect_exited(Some(7), None);
    again.expect("Enter continues");
    again.press("q");
    again.expect_end();
}

#[test]
fn a_crash_is_reported_with_its_signal_and_the_terminal_put_in_order() {
    let script = "case $1 in --resume) stty -a; exit 3;; esac\nprintf '\\033[?1049h\\033[?25l\\033[?2004h'; stty raw -echo; echo last words >&2; kill -9 $$";
    let home = home(script, "supervised", true);
    let mut running = home.start();
    home.expect_started(false);
    assert_eq!(home.expect_exited(None, Some(9)), "last words");
    running.expect("\u{1b}[?1049l");
    running.expect("\u{1b}[?25h");
    running.expect("claude was ended by signal 9");
    running.expect("Enter continues");
    running.press("\r");
    let settings = running.expect("Enter continues");
    assert!(
        settings.contains(" icanon") && settings.contains(" echo ") && !settings.contains("-opost"),
        "{settings}"
    );
    running.press("q");
    running.expect_end();
}

#[test]
fn without_a_daemon_the_reports_wait_in_the_spool() {
    let home = home("exit 1", "autonomous", false);
    let mut running = home.start();
    running.expect("Enter continues");
    running.press("q");
    running.expect_end();
    let mut kinds: Vec<String> = fs::read_dir(home.paths.spool())
        .unwrap()
        .map(|entry| {
            let text = fs::read_to_string(entry.unwrap().path()).unwrap();
            let call: serde_json::Value = serde_json::from_str(&text).unwrap();
            call["params"]["report"].as_str().unwrap().to_owned()
        })
        .collect();
    kinds.sort();
    assert_eq!(kinds, ["client_exited", "client_started", "launcher_ended"]);
}

#[test]
fn orders_restart_and_close_the_client() {
    let home = home(
        "echo ready $1; while read line; do :; done",
        "supervised",
        true,
    );
    let mut running = home.start();
    home.expect_started(false);
    running.expect("ready --session-id");
    let launchers = SessionLaunchers::new(home.paths.clone(), "/opt/claustre".into());
    let launcher = running.child.process_id().unwrap();
    assert!(launchers.is_launcher(home.session, launcher));
    orders::send(&home.paths, home.session, Order::Resume).unwrap();
    orders::send(&home.paths, home.session, Order::Restart).unwrap();
    home.expect_exited(None, Some(15));
    home.expect_started(true);
    running.expect("ready --resume");
    orders::send(&home.paths, home.session, Order::Close).unwrap();
    home.expect_exited(None, Some(15));
    assert_eq!(home.report(), ReportBody::LauncherEnded {});
    running.expect_end();
    assert!(orders::send(&home.paths, home.session, Order::Close).is_err());
}

#[test]
fn the_end_of_the_pane_ends_client_and_launcher() {
    let home = home("while read line; do :; done; exit 0", "supervised", true);
    let running = home.start_unread();
    home.expect_started(false);
    let Running {
        master,
        writer,
        mut child,
        ..
    } = running;
    drop((master, writer));
    assert!(matches!(home.report(), ReportBody::ClientExited { .. }));
    assert_eq!(home.report(), ReportBody::LauncherEnded {});
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_signal_to_the_launcher_reaches_the_client_as_a_hangup() {
    let script =
        "trap 'echo hung up > hangup; exit 4' HUP; echo ready; while :; do read line; done";
    let home = home(script, "supervised", true);
    let mut running = home.start();
    home.expect_started(false);
    running.expect("ready");
    let pid =
        rustix::process::Pid::from_raw(running.child.process_id().unwrap().try_into().unwrap())
            .unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    // However it takes that: the end of its terminal ended it.
    home.expect_exited(None, Some(1));
    assert_eq!(home.report(), ReportBody::LauncherEnded {});
    assert!(home.file("hangup").exists());
    running.expect_end();
}

#[test]
fn ctrl_c_is_the_clients() {
    let home = home(
        "trap 'exit 5' INT; echo ready; while :; do read line; done",
        "autonomous",
        true,
    );
    let mut running = home.start();
    home.expect_started(false);
    running.expect("ready");
    running.press("\u{3}");
    home.expect_exited(Some(5), None);
    running.expect("Enter continues");
    running.press("\u{3}q");
    running.expect_end();
}

#[test]
fn a_stopped_client_is_continued_by_enter() {
    let home = home(
        "echo ready; read line; echo got $line; exit 6",
        "autonomous",
        true,
    );
    let mut running = home.start();
    running.expect("ready");
    running.press("\u{1a}");
    running.expect("claude is paused");
    running.press("\r");
    running.press("word\r");
    running.expect("got word");
    home.expect_started(false);
    home.expect_exited(Some(6), None);
    running.expect("Enter continues");
    running.press("q");
    running.expect_end();
}

#[test]
fn a_steered_session_leaves_a_shell_that_gives_way_to_an_order() {
    let home = home("echo ran $1", "supervised", true);
    let mut running = home.start();
    running.expect("ran --session-id");
    running.expect("a shell for you");
    running.expect("prompt> ");
    running.press("pwd; echo token=$CLAUSTRE_TOKEN.\r");
    running.expect(&home.paths.home().display().to_string());
    running.expect("token=.");
    orders::send(&home.paths, home.session, Order::Resume).unwrap();
    running.expect("ran --resume");
    running.expect("prompt> ");
    running.press("exit\r");
    running.expect_end();
}

#[test]
fn what_cannot_be_started_is_reported_with_its_reason() {
    let home = home("exit 0", "supervised", true);
    fs::remove_file(home.file("client")).unwrap();
    let mut running = home.start();
    match home.report() {
        ReportBody::LaunchFailed { why } => assert!(why.contains("not found"), "{why}"),
        other => panic!("{other:?}"),
    }
    running.expect("claude could not be started");
    running.expect("q closes");
    running.press("q");
    running.expect_end();
}

#[test]
fn a_client_that_was_killed_before_it_wrote_anything_begins_again_under_its_id() {
    let script = "case $1 in --resume) echo No conversation found with session ID: $2 >&2; exit 1;; esac\necho begins $2; exit 2";
    let home = home(script, "supervised", true);
    fs::write(home.paths.session(home.session).join("started"), "").unwrap();
    let mut running = home.start();
    running.expect("begins ");
    home.expect_started(true);
    home.expect_started(false);
    home.expect_exited(Some(2), None);
    running.expect("Enter continues");
    running.press("q");
    running.expect_end();
}

#[test]
fn a_conversation_that_is_there_already_is_continued() {
    let script = "case $1 in --session-id) echo Error: Session ID $2 is already in use. >&2; exit 1;; esac\necho goes on $2; exit 2";
    let home = home(script, "supervised", true);
    let mut running = home.start();
    running.expect("goes on ");
    home.expect_started(false);
    home.expect_started(true);
    home.expect_exited(Some(2), None);
    running.expect("Enter continues");
    running.press("q");
    running.expect_end();
}

#[test]
fn a_client_that_wants_neither_start_is_reported_and_asked_about() {
    let script = "case $1 in --resume) echo No conversation found with session ID: $2 >&2;; *) echo Error: Session ID $2 is already in use. >&2;; esac; exit 1";
    let home = home(script, "supervised", true);
    fs::write(home.paths.session(home.session).join("started"), "").unwrap();
    let mut running = home.start();
    home.expect_started(true);
    home.expect_started(false);
    assert!(
        home.expect_exited(Some(1), None)
            .contains("is already in use")
    );
    running.expect("Enter continues");
    running.press("\r");
    home.expect_started(true);
    home.expect_started(false);
    home.expect_exited(Some(1), None);
    running.press("q");
    running.expect_end();
}
