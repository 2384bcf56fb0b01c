use claustre_protocol::{dashboard::DashboardUpdate, link::DashboardSettings, request::Nothing};

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const OTHER_SECRET: &str = "ffffffffffffffff0123456789abcdef";
const DOWN: &str = "pipe-down";

const ME: Identity = Identity {
    plugin_id: 3,
    client_id: 1,
    server_pid: 77,
};

fn down(seq: u64, target: Option<&str>, body: ToPlugin) -> String {
    down_of(5, seq, target, body)
}

fn down_of(epoch: u64, seq: u64, target: Option<&str>, body: ToPlugin) -> String {
    let line = DownLine {
        seq,
        epoch,
        target: target.map(str::to_owned),
        body,
    };
    seal(SECRET, &(serde_json::to_string(&line).unwrap() + "\n"))
}

/// What the daemon writes into the pipe that takes our lines.
fn opening(epoch: u64) -> String {
    seal(SECRET, &format!("{{\"epoch\":{epoch}}}\n"))
}

/// A link that knows the secret, and nothing else.
fn told() -> Link {
    let mut link = Link::new(ME);
    assert_eq!(link.secret_is(&format!("{SECRET}\n"), 0), []);
    link
}

fn welcome() -> ToPlugin {
    ToPlugin::Welcome {
        protocol: PROTOCOL,
        build: BUILD.to_owned(),
        leader: true,
        mismatch: None,
        settings: DashboardSettings::default(),
    }
}

fn update(reset: bool) -> ToPlugin {
    ToPlugin::Dashboard(DashboardUpdate {
        reset,
        ..DashboardUpdate::default()
    })
}

fn focus(action: u64) -> ToPlugin {
    ToPlugin::Act {
        action,
        what: PaneAction::Focus { pane: 9 },
    }
}

fn sent(effects: &[LinkEffect]) -> Vec<FromPlugin> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            LinkEffect::Send { line, .. } => {
                let line = unseal(SECRET, line).unwrap();
                Some(serde_json::from_str::<UpLine>(line).unwrap().body)
            }
            _ => None,
        })
        .collect()
}

fn delivered(effects: &[LinkEffect]) -> usize {
    effects
        .iter()
        .filter(|effect| matches!(effect, LinkEffect::Deliver(Msg::Dashboard(_))))
        .count()
}

/// A link that said hello in epoch 5 and was welcomed and reset by lines 1 and 2.
fn connected() -> Link {
    let mut link = told();
    link.pipe_opened("pipe-a", &opening(5), 0);
    link.line(DOWN, &down(1, Some("3-1"), welcome()), 0);
    link.line(DOWN, &down(2, Some("3-1"), update(true)), 0);
    assert!(link.is_up() && link.is_leader());
    link
}

#[test]
fn an_opened_pipe_is_answered_by_one_hello() {
    let mut link = told();
    let effects = link.pipe_opened("pipe-a", &opening(5), 0);
    assert!(matches!(
        sent(&effects).as_slice(),
        [FromPlugin::Hello { plugin_id: 3, client_id: 1, server_pid: 77, epoch: 5, pipe, .. }] if pipe == "pipe-a"
    ));
    assert!(sent(&link.pipe_opened("pipe-a", &opening(5), 0)).is_empty());
}

#[test]
fn an_instance_that_loads_late_learns_the_pipe_from_a_ping() {
    let mut link = told();
    assert!(sent(&link.line(DOWN, &down(900, None, update(false)), 0)).is_empty());
    let ping = ToPlugin::Ping {
        pipe: Some("pipe-a".to_owned()),
    };
    let effects = link.line(DOWN, &down(901, None, ping), 0);
    assert!(matches!(
        sent(&effects).first(),
        Some(FromPlugin::Hello { epoch: 5, .. })
    ));
}

#[test]
fn lines_for_others_and_repeated_lines_are_left_alone() {
    let mut link = connected();
    assert!(
        link.line(DOWN, &down(3, Some("3-2"), update(false)), 0)
            .is_empty()
    );
    assert_eq!(
        delivered(&link.line(DOWN, &down(4, None, update(false)), 0)),
        1
    );
    assert!(link.line(DOWN, &down(4, None, update(false)), 0).is_empty());
}

#[test]
fn a_gap_asks_for_a_reset_once_and_draws_nothing_until_it_comes() {
    let mut link = connected();
    let effects = link.line(DOWN, &down(9, None, update(false)), 0);
    assert_eq!(sent(&effects), [FromPlugin::Resync {}]);
    assert_eq!(delivered(&effects), 0);
    assert!(
        link.line(DOWN, &down(12, None, update(false)), 0)
            .is_empty()
    );
    assert_eq!(
        delivered(&link.line(DOWN, &down(13, Some("3-1"), update(true)), 0)),
        1
    );
    assert_eq!(
        delivered(&link.line(DOWN, &down(14, None, update(false)), 0)),
        1
    );
}

#[test]
fn an_action_told_twice_is_done_once_and_answered_twice() {
    let mut link = connected();
    let first = link.line(DOWN, &down(3, Some("3-1"), focus(41)), 0);
    assert!(matches!(
        first.as_slice(),
        [LinkEffect::Perform { action: 41, .. }]
    ));
    assert!(
        link.line(DOWN, &down(4, Some("3-1"), focus(41)), 0)
            .is_empty()
    );
    let done = link.acted(41, Ok(ActionResult::Done {}));
    let again = link.line(DOWN, &down(5, Some("3-1"), focus(41)), 0);
    assert_eq!(sent(&done), sent(&again));
    // The memory outlives the link: a new daemon may repeat an action of its outbox.
    link.pipe_opened("pipe-b", &opening(6), 0);
    let repeated = link.line(DOWN, &down_of(6, 1, Some("3-1"), focus(41)), 0);
    assert_eq!(sent(&done), sent(&repeated));
}

#[test]
fn a_new_epoch_starts_over_and_an_old_one_is_not_heard() {
    let mut link = connected();
    let effects = link.pipe_opened("pipe-b", &opening(6), 0);
    assert!(matches!(
        sent(&effects).as_slice(),
        [FromPlugin::Hello { epoch: 6, .. }]
    ));
    assert!(effects.contains(&LinkEffect::Deliver(Msg::Link(LinkState::Lost))));
    assert!(link.line(DOWN, &down(3, None, update(true)), 0).is_empty());
    assert!(link.pipe_opened("pipe-a", &opening(5), 0).is_empty());
    assert!(!link.is_up() && !link.is_leader());
}

#[test]
fn questions_that_are_open_when_the_link_breaks_are_answered_with_a_fault() {
    let mut link = connected();
    let request = Box::new(Request::InboxList(Nothing {}));
    assert!(matches!(
        sent(&link.ask(7, request.clone())).as_slice(),
        [FromPlugin::Ask { id: 7, .. }]
    ));
    let broken = link.pipe_closed(DOWN);
    assert!(broken.iter().any(|effect| matches!(
        effect,
        LinkEffect::Deliver(Msg::Reply {
            id: 7,
            outcome: Err(_)
        })
    )));
    let refused = link.ask(8, request);
    assert!(matches!(
        refused.as_slice(),
        [LinkEffect::Deliver(Msg::Reply {
            id: 8,
            outcome: Err(_)
        })]
    ));
}

#[test]
fn heartbeats_come_every_two_seconds_and_only_while_connected() {
    let mut link = told();
    assert_eq!(link.next_tick(0), None);
    assert!(link.tick(100_000).is_empty());
    link.pipe_opened("pipe-a", &opening(5), 1_000);
    assert_eq!(link.next_tick(1_500), Some(1_500));
    assert!(link.tick(2_000).is_empty());
    assert!(matches!(
        sent(&link.tick(3_000)).as_slice(),
        [FromPlugin::Heartbeat { .. }]
    ));
    link.tick(60_000);
    assert_eq!(link.next_tick(60_000), None, "a silent daemon is lost");
}

#[test]
fn a_line_that_cannot_be_read_leads_to_a_resync() {
    let mut link = connected();
    assert_eq!(
        sent(&link.line(
            DOWN,
            &seal(SECRET, "{\"seq\":3,\"epoch\":5,\"method\":\"news\"}"),
            0
        )),
        [FromPlugin::Resync {}]
    );
    assert_eq!(
        delivered(&link.line(DOWN, &down(4, Some("3-1"), update(true)), 0)),
        1
    );
}

#[test]
fn a_version_that_does_not_fit_is_said_and_nothing_is_asked() {
    let mut link = told();
    link.pipe_opened("pipe-a", &opening(5), 0);
    let sentence = "run claustre setup".to_owned();
    let body = ToPlugin::Welcome {
        protocol: PROTOCOL,
        build: "9".to_owned(),
        leader: false,
        settings: DashboardSettings::default(),
        mismatch: Some(sentence.clone()),
    };
    let effects = link.line(DOWN, &down(1, Some("3-1"), body), 0);
    assert_eq!(
        effects,
        [LinkEffect::Deliver(Msg::Link(LinkState::Mismatch(
            sentence
        )))]
    );
    assert!(!link.is_up());
}

#[test]
fn what_the_user_configured_is_delivered_once_and_again_when_it_changes() {
    let mut link = told();
    link.pipe_opened("pipe-a", &opening(5), 0);
    let settings = |ascii| DashboardSettings {
        keys: vec![("launch".to_owned(), "L".to_owned())],
        ascii,
    };
    let mut told = Vec::new();
    for (seq, ascii) in (1..).zip([true, true, false]) {
        let body = ToPlugin::Welcome {
            protocol: PROTOCOL,
            build: BUILD.to_owned(),
            leader: true,
            mismatch: None,
            settings: settings(ascii),
        };
        let effects = link.line(DOWN, &down(seq, Some("3-1"), body), 0);
        told.extend(effects.into_iter().filter_map(|effect| match effect {
            LinkEffect::Deliver(Msg::Settings(settings)) => Some(settings),
            _ => None,
        }));
    }
    assert_eq!(told, [settings(true), settings(false)]);
}

#[test]
fn what_comes_before_the_secret_counts_once_it_is_there() {
    let mut link = Link::new(ME);
    assert_eq!(link.pipe_opened("pipe-a", &opening(1), 0), []);
    let first = down_of(1, 1, None, ToPlugin::Ping { pipe: None });
    assert_eq!(link.line(DOWN, &first, 0), []);
    let effects = link.secret_is(SECRET, 10);
    assert!(matches!(
        sent(&effects).as_slice(),
        [FromPlugin::Hello { epoch: 1, .. }]
    ));
    assert_eq!(link.ignored(), 0);
}

#[test]
fn one_line_of_a_stranger_does_not_take_the_link() {
    let mut link = connected();
    let stranger = r#"{"epoch":9999999999999}"#;
    assert_eq!(link.pipe_opened("pipe-x", stranger, 0), []);
    let order = seal(
        OTHER_SECRET,
        r#"{"seq":99,"epoch":9999999999999,"method":"ping","params":{"pipe":"pipe-x"}}"#,
    );
    assert_eq!(link.line("pipe-y", &order, 0), []);
    assert_eq!(
        link.pipe_closed("pipe-y"),
        [],
        "only the daemon's own pipe counts"
    );
    assert_eq!(
        delivered(&link.line(DOWN, &down(3, None, update(false)), 0)),
        1
    );
    assert!(matches!(
        sent(&link.line(DOWN, &down(4, None, ToPlugin::Ping { pipe: None }), 0)).as_slice(),
        []
    ));
    assert!(link.is_up() && link.is_leader());
}

#[test]
fn a_new_daemon_starts_over_with_low_numbers() {
    let mut link = connected();
    link.line(DOWN, &down(3, Some("3-1"), focus(41)), 0);
    link.acted(41, Ok(ActionResult::Done {}));
    // It counts its epochs from 1, whatever the clock says, and its actions as well.
    let opened = seal(OTHER_SECRET, r#"{"epoch":1}"#);
    assert_eq!(link.pipe_opened("pipe-b", &opened, 0), []);
    let act = DownLine {
        seq: 1,
        epoch: 1,
        target: Some("3-1".to_owned()),
        body: focus(41),
    };
    let act = seal(OTHER_SECRET, &serde_json::to_string(&act).unwrap());
    assert_eq!(link.line("pipe-d", &act, 0), []);
    let effects = link.secret_is(OTHER_SECRET, 0);
    assert!(effects.contains(&LinkEffect::Deliver(Msg::Link(LinkState::Lost))));
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, LinkEffect::Perform { action: 41, .. })),
        "{effects:?}"
    );
    // The former one is not heard any more.
    assert_eq!(link.line(DOWN, &down_of(6, 1, None, welcome()), 0), []);
}

#[test]
fn whatever_strangers_write_the_link_stays_and_their_pipes_are_let_go() {
    let mut random = 7_u64;
    let mut next = |below: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let mut link = connected();
    let genuine = [
        opening(5),
        down(4, Some("3-1"), welcome()),
        down(5, None, update(true)),
        down(6, Some("3-1"), focus(7)),
    ];
    let (mut openings, mut released) = (0, 0);
    for round in 0..20_000_u64 {
        let kind = next(5);
        let mut text = genuine[usize::try_from(next(4)).unwrap()]
            .clone()
            .into_bytes();
        match kind {
            // Without the secret, with half of it, with a changed one, with another, or noise.
            0 => text.drain(..=SECRET.len()).for_each(drop),
            1 => text
                .drain(..usize::try_from(next(32)).unwrap() + 1)
                .for_each(drop),
            2 => text[usize::try_from(next(32)).unwrap()] = b'x',
            3 => text
                .splice(..SECRET.len(), OTHER_SECRET.bytes())
                .for_each(drop),
            _ => {
                text = (0..next(200))
                    .map(|_| u8::try_from(next(256)).unwrap())
                    .collect()
            }
        }
        let mut text = String::from_utf8_lossy(&text).into_owned();
        text = text.replace("\"epoch\":5", &format!("\"epoch\":{}", u64::MAX - next(9)));
        let pipe = format!("pipe-{round}");
        let effects = if next(2) == 0 {
            openings += 1;
            link.pipe_opened(&pipe, &text, round)
        } else if next(4) == 0 {
            link.pipe_closed(&pipe)
        } else {
            link.line(&pipe, &text, round)
        };
        for effect in effects {
            assert!(
                matches!(effect, LinkEffect::Release(_)),
                "{effect:?} after {text:?}"
            );
            released += 1;
        }
    }
    assert!(link.ignored() > 15_000, "{}", link.ignored());
    assert!(
        openings - released <= 8,
        "of {openings} pipes {released} were let go"
    );
    assert!(link.is_up() && link.is_leader());
    assert_eq!(
        delivered(&link.line(DOWN, &down(3, None, update(false)), 20_000)),
        1
    );
}
