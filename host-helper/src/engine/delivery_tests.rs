//! Messages are typed into a client that is a few lines of Rust, while calls fail and the daemon dies between any two of them.

use std::sync::atomic::{AtomicUsize, Ordering};

use claustre_domain::{
    event::{Event, Recorded, SessionOpened},
    register::Stamp,
    time::{Hlc, Reading},
};
use claustre_protocol::{
    ids::{EventId, MachineId, ProjectId, SessionId},
    status::Mode,
};
use uuid::Uuid;

use super::*;
use crate::ports::{OpenedPane, PaneOrder};

const CLIENT: Client = Client {
    pid: 20,
    launcher_pid: 10,
};
const TRANSCRIPT: &str = "/home/you/.claude/projects/wt/c.jsonl";

/// What a client does with what is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behaviour {
    /// It takes prompts and its hook tells of them.
    Good,
    /// Its hook for prompts is lost.
    HookLost,
    /// Its hook is lost, and its transcript cannot be read.
    NoWitness,
    /// It takes nothing.
    TakesNothing,
    /// It shows what is typed but Enter does nothing.
    IgnoresEnter,
    /// A key takes effect only after its screen was read a few times.
    Slow,
}

/// What is on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Box,
    Dialog,
    Editor,
}

/// A client in its pane, with the log beside it. A panic in a port is the end of the daemon.
struct Bench {
    behaviour: Behaviour,
    shown: Shared<Shown>,
    paused: Shared<bool>,
    held: Shared<String>,
    /// A slow client clears its box when its screen was read so often.
    clears_in: Shared<Option<u32>>,
    /// A paste that was begun and not ended.
    open_paste: Shared<Option<String>>,
    /// The prompts that the client took.
    taken: Shared<Vec<String>>,
    /// How often a whole paste came.
    pastes: Shared<u32>,
    enters: Shared<u32>,
    message: Shared<Message>,
    session: Shared<Session>,
    asked: Shared<Vec<AskId>>,
    held_why: Shared<String>,
    stuck: Shared<u32>,
    clock: Shared<u32>,
    /// Calls made; the one of this number is the last of the daemon.
    calls: AtomicUsize,
    dies_at: Shared<Option<usize>>,
    tracks: Tracks,
}

/// A value that is changed behind a shared reference, as the ports give it.
#[derive(Debug, Default)]
struct Shared<T>(Mutex<T>);

impl<T> Shared<T> {
    fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }
    fn borrow(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn set(&self, value: T) {
        *self.borrow() = value;
    }
}

impl<T: Copy> Shared<T> {
    fn get(&self) -> T {
        *self.borrow()
    }
}

/// The end of the daemon in the middle of something.
struct Dead;

impl Bench {
    fn new(behaviour: Behaviour, text: &str) -> Self {
        let machine = MachineId::new(Uuid::from_u128(1));
        let id = SessionId::new(Uuid::from_u128(2));
        let mut counter = 0;
        let mut record = |event| {
            counter += 1;
            Recorded {
                id: EventId::new(Uuid::from_u128(counter.into())),
                hlc: Hlc {
                    reading: Reading {
                        wall_ms: 1,
                        counter,
                    },
                    machine,
                },
                event,
            }
        };
        let mut session = Session::new(id);
        for event in [
            Event::SessionOpened(Box::new(SessionOpened {
                session: id,
                project: ProjectId::new(Uuid::from_u128(3)),
                task: None,
                title: "Survey".into(),
                branch: "b".into(),
                base: None,
                tab_name: "shop:b".into(),
                mode: Mode::Supervised,
                host: "here".into(),
                claude_session_id: "c".into(),
                token_hash: String::new(),
                prompt: None,
                model: None,
                effort: None,
                permission_mode: None,
            })),
            Event::SessionPaneOpened {
                session: id,
                zellij_session: "claustre".into(),
                server_pid: 5,
                pane: 3,
                background: false,
            },
            Event::SessionClientStarted {
                session: id,
                pid: CLIENT.pid,
                launcher_pid: CLIENT.launcher_pid,
                resumed: false,
            },
            Event::SessionIdentified {
                session: id,
                claude_session_id: "c".into(),
                transcript_path: TRANSCRIPT.into(),
                model: None,
            },
            Event::SessionStatusChanged {
                session: id,
                status: ClaudeStatus::Idle,
                reason: None,
                source: Source::Hook,
                since: Timestamp::from_millis(1),
                detail: String::new(),
            },
        ] {
            session.evolve(&record(event));
        }
        let mut message = Message::new(MessageId::new(Uuid::from_u128(4)));
        message.session = Some(id);
        message.text = text.to_owned();
        Self {
            behaviour,
            shown: Shared::new(Shown::Box),
            paused: Shared::new(false),
            held: Shared::default(),
            clears_in: Shared::default(),
            open_paste: Shared::default(),
            taken: Shared::default(),
            pastes: Shared::new(0),
            enters: Shared::new(0),
            message: Shared::new(message),
            session: Shared::new(session),
            asked: Shared::default(),
            held_why: Shared::default(),
            stuck: Shared::new(0),
            clock: Shared::new(100),
            calls: AtomicUsize::new(0),
            dies_at: Shared::new(None),
            tracks: Tracks::default(),
        }
    }

    /// Counts a call; the daemon may die in place of it.
    fn called(&self) {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if self.dies_at.get() == Some(call) {
            std::panic::panic_any(Dead);
        }
    }

    /// One attempt of the daemon that runs now.
    fn attempt(&self) -> Ran {
        let session = self.session.borrow().clone();
        let message = self.message.borrow().id;
        let typist = Typist {
            multiplexer: self,
            launchers: self,
            conversations: self,
            log: self,
            tracks: &self.tracks,
        };
        let ran = typist.deliver(&session, message);
        if let Ran::Done(commands) = &ran {
            for command in commands {
                if matches!(
                    command,
                    Command::Session(SessionCommand::ReportMessageSeen { .. })
                ) {
                    self.message.borrow().state = MessageState::Delivered;
                }
            }
        }
        ran
    }

    /// Attempts, as the outbox makes them, until the message is done or a person is asked.
    fn attempts(&self) {
        for _ in 0..12 {
            let ran = self.attempt();
            if matches!(ran, Ran::Done(_)) || !self.asked.borrow().is_empty() {
                return;
            }
        }
    }

    /// The daemon dies at the call of this number; false where it got through before.
    fn dies_at(&self, call: usize) -> bool {
        self.dies_at.set(Some(call));
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.attempts()));
        self.dies_at.set(None);
        // What it knew goes with it.
        self.tracks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        match ended {
            Ok(()) => false,
            Err(cause) => {
                assert!(cause.is::<Dead>(), "a panic of the code under test");
                true
            }
        }
    }

    fn stamp(&self) -> Stamp {
        let next = self.clock.get() + 1;
        self.clock.set(next);
        Stamp {
            edit_no: 0,
            hlc: Hlc {
                reading: Reading {
                    wall_ms: 2,
                    counter: self.clock.get(),
                },
                machine: MachineId::new(Uuid::from_u128(1)),
            },
        }
    }

    fn is_delivered(&self) -> bool {
        self.message.borrow().state == MessageState::Delivered
    }

    /// The user restarts the client: the conversation is continued in an empty box.
    fn restart_client(&self) {
        self.held.borrow().clear();
        let stamp = self.stamp();
        self.session.borrow().client.write(
            Some(Client {
                pid: 21,
                launcher_pid: 10,
            }),
            stamp,
        );
    }

    fn type_bytes(&self, bytes: &[u8]) {
        let (begin, end) = PASTE;
        if bytes == CLEAR_LINE && self.behaviour == Behaviour::Slow {
            self.clears_in.set(self.clears_in.get().or(Some(5)));
        } else if bytes == CLEAR_LINE {
            self.held.borrow().clear();
        } else if bytes == b"\r" {
            *self.enters.borrow() += 1;
            let held = self.held.borrow().clone();
            if held.is_empty() || self.behaviour == Behaviour::IgnoresEnter {
                return;
            }
            self.held.borrow().clear();
            let is_it = held == self.message.borrow().text;
            if self.behaviour == Behaviour::Good && is_it {
                self.message.borrow().state = MessageState::Delivered;
            }
            self.taken.borrow().push(held);
        } else if let Some(text) = bytes
            .strip_prefix(begin)
            .and_then(|text| text.strip_suffix(end))
        {
            *self.pastes.borrow() += 1;
            self.held.borrow().push_str(&String::from_utf8_lossy(text));
        } else if bytes == end {
            if let Some(text) = self.open_paste.borrow().take() {
                self.held.borrow().push_str(&text);
            }
        } else {
            panic!("unexpected keys: {bytes:?}");
        }
    }
}

impl Multiplexer for Bench {
    fn write(&self, _: &PaneFacts, bytes: &[u8]) -> Result<(), PortError> {
        self.called();
        assert!(!self.paused.get(), "typed into a paused client");
        assert_eq!(self.shown.get(), Shown::Box, "typed into something else");
        if self.behaviour != Behaviour::TakesNothing {
            self.type_bytes(bytes);
        } else if bytes.starts_with(PASTE.0) {
            *self.pastes.borrow() += 1;
        }
        // Done, but the daemon did not live to hear of it.
        self.called();
        Ok(())
    }

    fn read(&self, _: &PaneFacts) -> Result<String, PortError> {
        self.called();
        match self.clears_in.get() {
            Some(0) => {
                self.held.borrow().clear();
                self.clears_in.set(None);
            }
            Some(left) => self.clears_in.set(Some(left - 1)),
            None => {}
        }
        Ok(match self.shown.get() {
            Shown::Box => format!(
                "❯ Earlier\n● Yes.\n\n────────\n❯ {}\n────────\n  ? for shortcuts",
                self.held.borrow()
            ),
            Shown::Dialog => "────────\n Run this?\n ❯ 1. Yes\n   2. No".into(),
            Shown::Editor => "Go on\n~\n~".into(),
        })
    }

    fn open(&self, _: &PaneOrder) -> Result<OpenedPane, PortError> {
        panic!("nobody calls this here")
    }
    fn adopt(&self, _: &str, _: &[(u32, String)]) -> Result<(), PortError> {
        panic!("nobody calls this here")
    }
    fn server_of(&self, _: &str) -> Option<u32> {
        None
    }
    fn focus(&self, _: &PaneFacts) -> Result<(), PortError> {
        panic!("nobody calls this here")
    }
    fn close(&self, _: SessionId, _: &PaneFacts, _: &str) -> Result<(), PortError> {
        panic!("nobody calls this here")
    }
    fn rename(&self, _: &PaneFacts, _: &str, _: &str) -> Result<(), PortError> {
        panic!("nobody calls this here")
    }
    fn toast(&self, _: &str, _: bool) {}
}

impl Launchers for Bench {
    fn running(&self, _session: SessionId) -> Vec<crate::ports::RunningProcess> {
        Vec::new()
    }
    fn working_in(&self, _directory: &std::path::Path) -> Vec<crate::ports::RunningProcess> {
        Vec::new()
    }
    fn in_foreground(&self, launcher_pid: u32, _: u32) -> Result<(), String> {
        self.called();
        assert_eq!(launcher_pid, CLIENT.launcher_pid);
        if self.paused.get() {
            return Err("its client is paused".into());
        }
        Ok(())
    }
    fn argv(&self, _: SessionId) -> Vec<String> {
        panic!("nobody calls this here")
    }
    fn resume(&self, _: SessionId, _: u32) -> Result<bool, PortError> {
        panic!("nobody calls this here")
    }
    fn end(&self, _: SessionId, _: u32, _: bool) -> Result<bool, PortError> {
        panic!("nobody calls this here")
    }
    fn is_running(&self, _: SessionId) -> bool {
        panic!("nobody calls this here")
    }

    fn is_launcher(&self, _: SessionId, _: u32) -> bool {
        panic!("nobody calls this here")
    }
    fn is_alive(&self, _: u32) -> bool {
        panic!("nobody calls this here")
    }
}

impl Conversations for Bench {
    fn length(&self, transcript: &Path) -> Result<u64, PortError> {
        self.called();
        assert_eq!(transcript, Path::new(TRANSCRIPT));
        if self.behaviour == Behaviour::NoWitness {
            return Err(PortError::lasting("it is not a regular file", None));
        }
        // The earlier prompts count as one.
        Ok(1)
    }

    fn prompts_since(&self, _: &Path, offset: u64) -> Result<Vec<String>, PortError> {
        self.called();
        let mut prompts = self.taken.borrow().clone();
        if offset == 0 {
            prompts.insert(0, "Earlier".into());
        }
        Ok(prompts)
    }
}

impl Log for Bench {
    fn message(&self, _: MessageId) -> Result<Option<Message>, Fault> {
        Ok(Some(self.message.borrow().clone()))
    }

    fn store(&self, commands: Vec<Command>) -> Result<(), Fault> {
        self.called();
        for command in commands {
            match command {
                Command::Session(SessionCommand::ReportMessageTyped { typed, .. }) => {
                    let stamp = self.stamp();
                    self.message.borrow().typed.write(Some(typed), stamp);
                }
                Command::Session(SessionCommand::ReportMessageInDoubt { ask, .. }) => {
                    self.asked.borrow().push(ask);
                }
                Command::Session(SessionCommand::ReportMessageHeld { why, .. }) => {
                    *self.held_why.borrow() = why;
                }
                Command::Session(SessionCommand::ReportStatus { .. }) => {
                    *self.stuck.borrow() += 1;
                }
                _ => {}
            }
        }
        self.called();
        Ok(())
    }

    fn wait_until_taken(&self, _: MessageId, _: Duration) -> bool {
        self.called();
        self.is_delivered()
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(100_000)
    }

    fn new_ask(&self) -> AskId {
        AskId::new(Uuid::new_v4())
    }

    fn pause(&self, _: Duration) {}
}

#[test]
fn a_message_is_typed_once_and_confirmed_by_hook_or_transcript() {
    for behaviour in [Behaviour::Good, Behaviour::HookLost] {
        let bench = Bench::new(behaviour, "Go on");
        bench.held.borrow().push_str("a draft of somebody");
        assert!(matches!(bench.attempt(), Ran::Done(_)), "{behaviour:?}");
        assert!(bench.is_delivered());
        assert_eq!(*bench.taken.borrow(), ["Go on"]);
        assert!(bench.asked.borrow().is_empty());
    }
}

#[test]
fn a_message_that_nothing_confirms_is_never_typed_again_but_asked_about() {
    for behaviour in [Behaviour::NoWitness, Behaviour::TakesNothing] {
        let bench = Bench::new(behaviour, "Go on");
        bench.attempts();
        assert_eq!(bench.pastes.get(), 1, "{behaviour:?}");
        assert_eq!(bench.asked.borrow().len(), 1, "{behaviour:?}");
        assert!(!bench.is_delivered());
        for _ in 0..5 {
            assert!(matches!(bench.attempt(), Ran::Later { .. }));
        }
        assert_eq!(bench.pastes.get(), 1, "{behaviour:?}");
    }
}

#[test]
fn a_text_that_stands_in_the_box_gets_enter_and_is_never_typed_again() {
    let bench = Bench::new(Behaviour::IgnoresEnter, "Go on");
    for _ in 0..4 {
        assert!(matches!(bench.attempt(), Ran::Later { .. }));
    }
    assert_eq!(bench.pastes.get(), 1);
    assert!(bench.enters.get() > 3);
    assert!(bench.stuck.get() > 0, "a person is told");
    assert!(bench.asked.borrow().is_empty(), "it is known where it is");
}

#[test]
fn what_stood_in_the_box_of_a_slow_client_is_gone_before_anything_is_typed() {
    let bench = Bench::new(Behaviour::Slow, "Go on");
    bench.held.set("Think about it,".into());
    bench.attempts();
    assert_eq!(*bench.taken.borrow(), ["Go on"]);
}

#[test]
fn another_prompt_that_contains_the_message_does_not_confirm_it() {
    let bench = Bench::new(Behaviour::NoWitness, "ok");
    bench.attempts();
    let bench = Bench::new(Behaviour::TakesNothing, "ok");
    bench.taken.borrow().push("It looks ok to me".into());
    bench.attempts();
    assert!(!bench.is_delivered());
    // Neither does the same text from before it was typed.
    let bench = Bench::new(Behaviour::TakesNothing, "Earlier");
    bench.attempts();
    assert!(!bench.is_delivered());
}

#[test]
fn nothing_is_typed_into_anything_but_a_prompt_box_in_the_foreground() {
    for (shown, paused, why) in [
        (Shown::Dialog, false, "no prompt box"),
        (Shown::Editor, false, "no prompt box"),
        (Shown::Box, true, "paused"),
    ] {
        let bench = Bench::new(Behaviour::Good, "Go on");
        bench.shown.set(shown);
        bench.paused.set(paused);
        for _ in 0..3 {
            assert!(matches!(bench.attempt(), Ran::Later { .. }));
        }
        assert!(
            bench.held_why.borrow().contains(why),
            "{}",
            bench.held_why.borrow()
        );
        // The person is done with it.
        bench.shown.set(Shown::Box);
        bench.paused.set(false);
        assert!(matches!(bench.attempt(), Ran::Done(_)));
        assert_eq!(*bench.taken.borrow(), ["Go on"]);
    }
}

#[test]
fn no_enter_is_pressed_once_something_else_is_on_the_screen() {
    // Typed; then the daemon dies, and when the next one looks a dialog is open.
    let bench = Bench::new(Behaviour::IgnoresEnter, "Go on");
    assert!(matches!(bench.attempt(), Ran::Later { .. }));
    let enters = bench.enters.get();
    bench.shown.set(Shown::Dialog);
    assert!(matches!(bench.attempt(), Ran::Later { .. }));
    bench.shown.set(Shown::Box);
    bench.paused.set(true);
    assert!(matches!(bench.attempt(), Ran::Later { .. }));
    assert_eq!(bench.enters.get(), enters);
    assert!(bench.asked.borrow().is_empty());
}

#[test]
fn a_daemon_that_dies_between_any_two_calls_never_makes_it_two() {
    for behaviour in [Behaviour::Good, Behaviour::HookLost, Behaviour::NoWitness] {
        let mut call = 0;
        loop {
            let bench = Bench::new(behaviour, "Go on");
            if !bench.dies_at(call) {
                assert!(call > 10, "{behaviour:?}: it made {call} calls only");
                break;
            }
            bench.attempts();
            let taken = bench.taken.borrow().len();
            let asked = !bench.asked.borrow().is_empty();
            let at = format!("{behaviour:?}, dead at call {call}: taken {taken}, asked {asked}");
            assert!(bench.pastes.get() <= 1, "{at}");
            assert!(taken <= 1, "{at}");
            // Never lost: it arrived and that is known, or somebody is asked.
            assert!((taken == 1 && bench.is_delivered()) || asked, "{at}");
            if behaviour != Behaviour::NoWitness {
                // Only the moment between the note and the paste leaves a doubt.
                assert!(!asked || taken == 0, "{at}");
            }
            call += 1;
        }
    }
}

#[test]
fn a_new_client_gets_what_the_conversation_does_not_have() {
    let bench = Bench::new(Behaviour::TakesNothing, "Go on");
    assert!(matches!(bench.attempt(), Ran::Later { .. }));
    let mut fresh = Bench::new(Behaviour::Good, "Go on");
    fresh.message = Shared::new(bench.message.borrow().clone());
    fresh.restart_client();
    assert!(matches!(fresh.attempt(), Ran::Done(_)));
    assert_eq!(*fresh.taken.borrow(), ["Go on"]);

    // What the conversation has, it has.
    let mut fresh = Bench::new(Behaviour::HookLost, "Go on");
    fresh.message = Shared::new(bench.message.borrow().clone());
    fresh.taken.borrow().push("Go on".into());
    fresh.restart_client();
    assert!(matches!(fresh.attempt(), Ran::Done(_)));
    assert!(fresh.is_delivered());
    assert_eq!(fresh.pastes.get(), 0);
}

#[test]
fn a_long_text_that_a_crash_may_have_cut_is_not_sent_by_an_enter() {
    let long = "Mind each of these words. ".repeat(1_000);
    let bench = Bench::new(Behaviour::IgnoresEnter, &long);
    assert!(matches!(bench.attempt(), Ran::Later { .. }));
    let enters = bench.enters.get();
    assert!(enters > 0, "who typed it to its end may send it");
    bench.tracks.lock().unwrap().clear();
    bench.attempts();
    assert_eq!(bench.enters.get(), enters);
    assert_eq!(bench.asked.borrow().len(), 1);
}

#[test]
fn a_clock_set_back_does_not_keep_a_message_waiting() {
    let bench = Bench::new(Behaviour::Good, "Go on");
    let stamp = bench.stamp();
    bench
        .session
        .borrow()
        .standing
        .write_in_place(stamp, |standing| {
            standing.since = Timestamp::from_millis(900_000_000);
        });
    assert!(matches!(bench.attempt(), Ran::Done(_)));
}
