use claustre_protocol::{
    ids::SessionId,
    link::HEARTBEAT_MILLIS,
    request::{Nothing, Request},
};
use uuid::Uuid;

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const EPOCH: u64 = 5;
const SERVER: u32 = 77;

/// A core, its clock, and what it said since the last look.
struct Scene {
    core: Core,
    now: u64,
    said: Vec<DownLine>,
    events: Vec<LinkEvent>,
    finished: Vec<(u64, Result<ActionResult, LinkError>)>,
    snapshots: Vec<Instance>,
}

impl Scene {
    fn new() -> Self {
        let mut core = Core::new(
            SERVER,
            claustre_protocol::link::DashboardSettings::default(),
            Secret(SECRET.to_owned()),
        );
        core.opened(EPOCH, 0);
        Self {
            core,
            now: 0,
            said: Vec::new(),
            events: Vec::new(),
            finished: Vec::new(),
            snapshots: Vec::new(),
        }
    }

    fn take(&mut self, out: Vec<Out>) {
        for out in out {
            match out {
                Out::Line(line) => {
                    let line = unseal(SECRET, &line).unwrap();
                    self.said.push(serde_json::from_str(line).unwrap());
                }
                Out::Event(event) => self.events.push(event),
                Out::Finished { action, outcome } => self.finished.push((action, outcome)),
                Out::Snapshot { instance } => self.snapshots.push(instance),
            }
        }
    }

    fn up(&mut self, from: &str, seq: u64, body: FromPlugin) {
        let line = UpLine {
            from: from.to_owned(),
            seq,
            body,
        };
        let mut out = Vec::new();
        let sealed = seal(SECRET, &serde_json::to_string(&line).unwrap());
        self.core.line(&sealed, self.now, &mut out);
        self.take(out);
    }

    fn hello(&mut self, plugin_id: u32, client_id: u16, seq: u64) {
        let body = FromPlugin::Hello {
            protocol: PROTOCOL,
            build: BUILD.to_owned(),
            plugin_id,
            client_id,
            server_pid: SERVER,
            epoch: self.core.epoch,
            pipe: "pipe".to_owned(),
        };
        self.up(&format!("{plugin_id}-{client_id}"), seq, body);
    }

    fn heartbeat(&mut self, from: &str, clients: &[u16]) {
        let body = FromPlugin::Heartbeat {
            visible: false,
            last_seq: 0,
            clients: clients.to_vec(),
        };
        self.up(from, 9, body);
    }

    fn act(&mut self, what: PaneAction) -> u64 {
        self.act_by(what, None)
    }

    fn act_by(&mut self, what: PaneAction, by: Option<&str>) -> u64 {
        let mut out = Vec::new();
        let by = by.map(str::to_owned);
        let action = self.core.act(what, by, self.now, &mut out);
        self.take(out);
        action
    }

    fn tick(&mut self, now: u64) {
        self.now = now;
        let mut out = Vec::new();
        self.core.tick(now, &mut out);
        self.take(out);
    }

    /// Who was told to act, and the number, since the last look.
    fn told(&mut self) -> Vec<(Instance, u64)> {
        std::mem::take(&mut self.said)
            .into_iter()
            .filter_map(|line| match line.body {
                ToPlugin::Act { action, .. } => Some((line.target.unwrap(), action)),
                _ => None,
            })
            .collect()
    }
}

fn open() -> PaneAction {
    PaneAction::OpenTab {
        session: SessionId::new(Uuid::from_u128(1)),
        name: "shop:b".to_owned(),
        argv: vec!["claustre".to_owned()],
        cwd: "/w".to_owned(),
        attached: true,
        shell: false,
    }
}

#[test]
fn a_hello_is_welcomed_and_gets_the_state() {
    let mut scene = Scene::new();
    scene.hello(3, 1, 1);
    assert!(matches!(
        scene.said.as_slice(),
        [DownLine {
            seq: 1,
            epoch: EPOCH,
            body: ToPlugin::Welcome {
                leader: true,
                mismatch: None,
                ..
            },
            ..
        }]
    ));
    assert_eq!(scene.snapshots, ["3-1"]);
    assert_eq!(scene.events, [LinkEvent::Up]);
}

#[test]
fn a_hello_of_another_epoch_or_server_is_not_answered() {
    let mut scene = Scene::new();
    let hello = |epoch, server_pid| FromPlugin::Hello {
        protocol: PROTOCOL,
        build: BUILD.to_owned(),
        plugin_id: 3,
        client_id: 1,
        server_pid,
        epoch,
        pipe: String::new(),
    };
    scene.up("3-1", 1, hello(EPOCH - 1, SERVER));
    scene.up("3-1", 2, hello(EPOCH, SERVER + 1));
    assert!(scene.said.is_empty() && scene.events.is_empty());
}

#[test]
fn another_protocol_is_answered_with_the_command_that_mends_it() {
    let mut scene = Scene::new();
    scene.up(
        "3-1",
        1,
        FromPlugin::Hello {
            protocol: ProtocolVersion {
                major: PROTOCOL.major + 1,
                minor: 0,
            },
            build: "9.9".to_owned(),
            plugin_id: 3,
            client_id: 1,
            server_pid: SERVER,
            epoch: EPOCH,
            pipe: "pipe".to_owned(),
        },
    );
    assert!(matches!(
        &scene.said.first().unwrap().body,
        ToPlugin::Welcome { mismatch: Some(sentence), .. } if sentence.contains("claustre setup")
    ));
    assert!(scene.events.is_empty(), "it is not there for us");
}

#[test]
fn with_two_instances_one_acts_and_the_other_takes_over_when_its_client_is_the_attached_one() {
    let mut scene = Scene::new();
    scene.hello(3, 1, 1);
    scene.hello(3, 2, 1);
    scene.heartbeat("3-1", &[]);
    scene.heartbeat("3-2", &[2]);
    scene.said.clear();
    let action = scene.act(open());
    assert_eq!(scene.told(), [("3-2".to_owned(), action)]);
    scene.up(
        "3-2",
        10,
        FromPlugin::Acted {
            action,
            outcome: Ok(ActionResult::Pane { pane: 4 }),
        },
    );
    assert!(
        matches!(scene.finished.as_slice(), [(number, Ok(ActionResult::Pane { pane: 4 }))] if *number == action)
    );
    scene.up(
        "3-2",
        11,
        FromPlugin::Acted {
            action,
            outcome: Ok(ActionResult::Done {}),
        },
    );
    assert_eq!(scene.finished.len(), 1, "a second answer is not passed on");
}

#[test]
fn an_action_waits_for_the_first_instance() {
    let mut scene = Scene::new();
    let action = scene.act(PaneAction::Focus { pane: 1 });
    assert!(scene.told().is_empty());
    scene.hello(3, 1, 1);
    assert_eq!(scene.told(), [("3-1".to_owned(), action)]);
}

#[test]
fn what_is_for_one_client_is_done_by_its_instance_while_that_is_there() {
    let mut scene = Scene::new();
    scene.hello(3, 1, 1);
    scene.hello(3, 2, 1);
    scene.told();
    let focus = || PaneAction::Focus { pane: 1 };
    for instance in ["3-1", "3-2"] {
        let action = scene.act_by(focus(), Some(instance));
        assert_eq!(scene.told(), [(instance.to_owned(), action)]);
    }
    let action = scene.act_by(focus(), Some("3-9"));
    let leader = scene.act(focus());
    let told = scene.told();
    assert_eq!(told[0].1, action);
    assert_eq!(
        (&told[0].0, leader),
        (&told[1].0, told[1].1),
        "the leader does it for one that is gone"
    );
}

#[test]
fn a_reload_in_between_repeats_what_may_be_repeated_and_nothing_else() {
    let mut scene = Scene::new();
    scene.hello(3, 1, 1);
    let opened = scene.act(open());
    let focused = scene.act(PaneAction::Focus { pane: 1 });
    scene.told();
    scene.hello(3, 1, 1);
    assert_eq!(scene.told(), [("3-1".to_owned(), focused)]);
    assert!(
        matches!(scene.finished.as_slice(), [(number, Err(LinkError::Unknown))] if *number == opened)
    );
}

#[test]
fn an_instance_that_remembers_is_told_again_after_a_new_connection() {
    let mut scene = Scene::new();
    scene.hello(3, 1, 1);
    let opened = scene.act(open());
    scene.told();
    let mut out = Vec::new();
    scene.core.broke(&mut out);
    scene.core.opened(EPOCH + 1, 100);
    scene.take(out);
    assert_eq!(scene.events, [LinkEvent::Up, LinkEvent::Down]);
    scene.hello(3, 1, 7);
    assert_eq!(scene.told(), [("3-1".to_owned(), opened)]);
    assert!(scene.finished.is_empty());
}

#[test]
fn a_silent_leader_is_replaced_and_what_it_was_told_is_not_done_twice() {
    let mut scene = Scene::new();
    scene.hello(3, 1, 1);
    scene.hello(3, 2, 1);
    let opened = scene.act(open());
    assert_eq!(scene.told(), [("3-1".to_owned(), opened)]);
    scene.now = 3 * HEARTBEAT_MILLIS;
    scene.heartbeat("3-2", &[2]);
    scene.tick(SILENCE_MILLIS + 1);
    assert!(scene.told().is_empty());
    assert!(
        matches!(scene.finished.as_slice(), [(number, Err(LinkError::Unknown))] if *number == opened)
    );
    let focused = scene.act(PaneAction::Focus { pane: 1 });
    assert_eq!(scene.told(), [("3-2".to_owned(), focused)]);
}

#[test]
fn what_is_drawn_goes_out_at_once_and_then_at_most_once_a_second_while_hidden() {
    let mut scene = Scene::new();
    scene.hello(3, 1, 1);
    scene.said.clear();
    let update = |position| DashboardUpdate {
        position,
        ..DashboardUpdate::default()
    };
    scene.core.dashboard(update(1));
    scene.tick(2_000);
    assert_eq!(scene.said.len(), 1);
    scene.core.dashboard(update(2));
    scene.core.dashboard(update(3));
    scene.tick(2_100);
    assert_eq!(scene.said.len(), 1);
    scene.tick(3_000);
    assert!(matches!(
        &scene.said.last().unwrap().body,
        ToPlugin::Dashboard(DashboardUpdate { position: 3, .. })
    ));
}

#[test]
fn requests_and_closed_panes_are_passed_on() {
    let mut scene = Scene::new();
    scene.hello(3, 1, 1);
    scene.events.clear();
    let request = Box::new(Request::InboxList(Nothing {}));
    scene.up(
        "3-1",
        2,
        FromPlugin::Ask {
            id: 4,
            request: request.clone(),
        },
    );
    scene.up("3-1", 3, FromPlugin::PaneClosed { pane: 12 });
    let asked = LinkEvent::Ask {
        instance: "3-1".to_owned(),
        id: 4,
        request,
    };
    assert_eq!(scene.events, [asked, LinkEvent::PaneClosed { pane: 12 }]);
}

#[test]
fn an_answer_that_is_too_long_becomes_a_fault_and_the_numbers_have_no_gap() {
    let mut scene = Scene::new();
    scene.hello(3, 1, 1);
    let mut out = Vec::new();
    let long = serde_json::Value::String("x".repeat(MAX_UP_LINE));
    scene.core.say(
        Some("3-1".to_owned()),
        ToPlugin::Reply {
            id: 4,
            outcome: Ok(long),
        },
        &mut out,
    );
    let toast = ToPlugin::Toast {
        text: "y".repeat(MAX_LINE),
        error: false,
    };
    scene.core.say(None, toast, &mut out);
    scene
        .core
        .say(None, ToPlugin::Ping { pipe: None }, &mut out);
    scene.take(out);
    assert!(matches!(
        &scene.said[1].body,
        ToPlugin::Reply {
            id: 4,
            outcome: Err(_)
        }
    ));
    let numbers: Vec<u64> = scene.said.iter().map(|line| line.seq).collect();
    assert_eq!(numbers, [1, 2, 3]);
}

#[test]
fn an_unknown_voice_is_asked_to_introduce_itself() {
    let mut scene = Scene::new();
    scene.now = INTRODUCTION_MILLIS;
    scene.heartbeat("9-9", &[9]);
    assert!(matches!(
        scene.said.as_slice(),
        [DownLine {
            body: ToPlugin::Ping { .. },
            ..
        }]
    ));
}

#[test]
fn lines_without_the_secret_are_ignored_and_counted() {
    let mut scene = Scene::new();
    scene.hello(3, 1, 1);
    scene.events.clear();
    scene.said.clear();
    let line = UpLine {
        from: "3-1".to_owned(),
        seq: 2,
        body: FromPlugin::Ask {
            id: 1,
            request: Box::new(Request::InboxList(Nothing {})),
        },
    };
    let plain = serde_json::to_string(&line).unwrap();
    let strangers = [
        plain.clone(),
        seal("ffffffffffffffffffffffffffffffff", &plain),
        seal("", &plain),
        format!("{SECRET}{plain}"),
        SECRET.to_owned(),
    ];
    let mut out = Vec::new();
    for stranger in &strangers {
        scene.core.line(stranger, 900, &mut out);
    }
    assert!(out.is_empty(), "{out:?}");
    assert_eq!(scene.core.ignored, 5);
    assert_eq!(
        scene.core.silence(900),
        900,
        "a stranger is no sign of life"
    );
    scene.core.line(&seal(SECRET, &plain), 900, &mut out);
    assert!(!out.is_empty());
}
