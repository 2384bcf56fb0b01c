use claustre_protocol::{dashboard::DashboardUpdate, link::DashboardSettings, request::Nothing};

use super::*;

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
    serde_json::to_string(&line).unwrap() + "\n"
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
    let mut link = Link::new(ME);
    link.pipe_opened("pipe-a", r#"{"epoch":5}"#, 0);
    link.line(&down(1, Some("3-1"), welcome()), 0);
    link.line(&down(2, Some("3-1"), update(true)), 0);
    assert!(link.is_up() && link.is_leader());
    link
}

#[test]
fn an_opened_pipe_is_answered_by_one_hello() {
    let mut link = Link::new(ME);
    let effects = link.pipe_opened("pipe-a", "{\"epoch\":5}\n", 0);
    assert!(matches!(
        sent(&effects).as_slice(),
        [FromPlugin::Hello { plugin_id: 3, client_id: 1, server_pid: 77, epoch: 5, pipe, .. }] if pipe == "pipe-a"
    ));
    assert!(sent(&link.pipe_opened("pipe-a", r#"{"epoch":5}"#, 0)).is_empty());
}

#[test]
fn an_instance_that_loads_late_learns_the_pipe_from_a_ping() {
    let mut link = Link::new(ME);
    assert!(sent(&link.line(&down(900, None, update(false)), 0)).is_empty());
    let ping = ToPlugin::Ping {
        pipe: Some("pipe-a".to_owned()),
    };
    let effects = link.line(&down(901, None, ping), 0);
    assert!(matches!(
        sent(&effects).first(),
        Some(FromPlugin::Hello { epoch: 5, .. })
    ));
}

#[test]
fn lines_for_others_and_repeated_lines_are_left_alone() {
    let mut link = connected();
    assert!(
        link.line(&down(3, Some("3-2"), update(false)), 0)
            .is_empty()
    );
    assert_eq!(delivered(&link.line(&down(4, None, update(false)), 0)), 1);
    assert!(link.line(&down(4, None, update(false)), 0).is_empty());
}

#[test]
fn a_gap_asks_for_a_reset_once_and_draws_nothing_until_it_comes() {
    let mut link = connected();
    let effects = link.line(&down(9, None, update(false)), 0);
    assert_eq!(sent(&effects), [FromPlugin::Resync {}]);
    assert_eq!(delivered(&effects), 0);
    assert!(link.line(&down(12, None, update(false)), 0).is_empty());
    assert_eq!(
        delivered(&link.line(&down(13, Some("3-1"), update(true)), 0)),
        1
    );
    assert_eq!(delivered(&link.line(&down(14, None, update(false)), 0)), 1);
}

#[test]
fn an_action_told_twice_is_done_once_and_answered_twice() {
    let mut link = connected();
    let first = link.line(&down(3, Some("3-1"), focus(41)), 0);
    assert!(matches!(
        first.as_slice(),
        [LinkEffect::Perform { action: 41, .. }]
    ));
    assert!(link.line(&down(4, Some("3-1"), focus(41)), 0).is_empty());
    let done = link.acted(41, Ok(ActionResult::Done {}));
    let again = link.line(&down(5, Some("3-1"), focus(41)), 0);
    assert_eq!(sent(&done), sent(&again));
    // The memory outlives the link: a new daemon may repeat an action of its outbox.
    link.pipe_opened("pipe-b", r#"{"epoch":6}"#, 0);
    let repeated = link.line(&down_of(6, 1, Some("3-1"), focus(41)), 0);
    assert_eq!(sent(&done), sent(&repeated));
}

#[test]
fn a_new_epoch_starts_over_and_an_old_one_is_not_heard() {
    let mut link = connected();
    let effects = link.pipe_opened("pipe-b", r#"{"epoch":6}"#, 0);
    assert!(matches!(
        sent(&effects).as_slice(),
        [FromPlugin::Hello { epoch: 6, .. }]
    ));
    assert!(effects.contains(&LinkEffect::Deliver(Msg::Link(LinkState::Lost))));
    assert!(link.line(&down(3, None, update(true)), 0).is_empty());
    assert!(link.pipe_opened("pipe-a", r#"{"epoch":5}"#, 0).is_empty());
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
    let broken = link.pipe_closed();
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
    let mut link = Link::new(ME);
    assert_eq!(link.next_tick(0), None);
    assert!(link.tick(100_000).is_empty());
    link.pipe_opened("pipe-a", r#"{"epoch":5}"#, 1_000);
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
        sent(&link.line("{\"seq\":3,\"epoch\":5,\"method\":\"news\"}", 0)),
        [FromPlugin::Resync {}]
    );
    assert_eq!(
        delivered(&link.line(&down(4, Some("3-1"), update(true)), 0)),
        1
    );
}

#[test]
fn a_version_that_does_not_fit_is_said_and_nothing_is_asked() {
    let mut link = Link::new(ME);
    link.pipe_opened("pipe-a", r#"{"epoch":5}"#, 0);
    let sentence = "run claustre setup".to_owned();
    let body = ToPlugin::Welcome {
        protocol: PROTOCOL,
        build: "9".to_owned(),
        leader: false,
        settings: DashboardSettings::default(),
        mismatch: Some(sentence.clone()),
    };
    let effects = link.line(&down(1, Some("3-1"), body), 0);
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
    let mut link = Link::new(ME);
    link.pipe_opened("pipe-a", r#"{"epoch":5}"#, 0);
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
        let effects = link.line(&down(seq, Some("3-1"), body), 0);
        told.extend(effects.into_iter().filter_map(|effect| match effect {
            LinkEffect::Deliver(Msg::Settings(settings)) => Some(settings),
            _ => None,
        }));
    }
    assert_eq!(told, [settings(true), settings(false)]);
}
