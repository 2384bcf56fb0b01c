//! The lines between daemon and plugin.

use claustre_protocol::{
    link::{
        ActionResult, DashboardSettings, DownLine, FromPlugin, Opening, PaneAction, ToPlugin,
        UpLine,
    },
    request::{Named, Request},
    rpc::{Fault, FaultCode, ProtocolVersion},
};

use crate::{
    check::{Golden, names, tag_of, variants},
    dashboard,
    samples::SESSION,
};

const PROTOCOL: ProtocolVersion = ProtocolVersion { major: 1, minor: 2 };

fn down(body: ToPlugin) -> DownLine {
    DownLine {
        seq: 3,
        epoch: 9,
        target: Some("3-1".into()),
        body,
    }
}

fn up(body: FromPlugin) -> UpLine {
    UpLine {
        from: "3-1".into(),
        seq: 3,
        body,
    }
}

fn fault() -> Fault {
    Fault::new(
        FaultCode::NotFound,
        "launching the task: there is no task 2200",
        Some("claustre task list shows them".into()),
    )
}

#[test]
fn every_line_to_the_plugin_is_as_its_golden_file() {
    let bodies = [
        ToPlugin::Welcome {
            protocol: PROTOCOL,
            build: "0.1.0".into(),
            leader: true,
            mismatch: Some("run claustre setup".into()),
            settings: DashboardSettings {
                keys: vec![("launch".into(), "ctrl+l".into())],
                ascii: true,
            },
        },
        ToPlugin::Dashboard(dashboard::update()),
        ToPlugin::Act {
            action: 5,
            what: PaneAction::Focus { pane: 14 },
        },
        ToPlugin::Reply {
            id: 7,
            outcome: Ok(serde_json::json!({ "message": "connecting" })),
        },
        ToPlugin::Toast {
            text: "launched".into(),
            error: true,
        },
        ToPlugin::Ping {
            pipe: Some("0b7f9a52".into()),
        },
    ];
    let mut golden = Golden::of("link/down");
    let lines: Vec<DownLine> = bodies.into_iter().map(down).collect();
    for line in &lines {
        let name = tag_of(line, "method");
        // Its inbox is of the time before what is asked was named.
        if name == "dashboard" {
            golden.holds_in_part(&name, line);
        } else {
            golden.holds(&name, line);
        }
    }
    let refused = down(ToPlugin::Reply {
        id: 7,
        outcome: Err(fault()),
    });
    golden.holds("reply_of_a_fault", &refused);
    golden.finish(&variants::<ToPlugin>("method"));
    for line in lines.into_iter().chain([refused]) {
        let text = serde_json::to_string_pretty(&line).unwrap();
        assert_eq!(DownLine::parse(&text).unwrap(), line, "the other reader");
    }
}

#[test]
fn every_line_from_the_plugin_is_as_its_golden_file() {
    let bodies = [
        FromPlugin::Hello {
            protocol: PROTOCOL,
            build: "0.1.0".into(),
            plugin_id: 3,
            client_id: 1,
            server_pid: 4711,
            epoch: 9,
            pipe: "0b7f9a52".into(),
        },
        FromPlugin::Heartbeat {
            visible: true,
            last_seq: 12,
            clients: vec![1, 2],
        },
        FromPlugin::Resync {},
        FromPlugin::Ask {
            id: 7,
            request: Box::new(Request::TaskLaunch(Named { of: "2200".into() })),
        },
        FromPlugin::Acted {
            action: 5,
            outcome: Ok(ActionResult::Pane { pane: 14 }),
        },
        FromPlugin::PaneClosed { pane: 14 },
    ];
    let mut golden = Golden::of("link/up");
    for body in bodies {
        let line = up(body);
        golden.holds(&tag_of(&line, "method"), &line);
    }
    golden.holds(
        "acted_in_vain",
        &up(FromPlugin::Acted {
            action: 5,
            outcome: Err("there is no such pane".into()),
        }),
    );
    golden.finish(&variants::<FromPlugin>("method"));
}

#[test]
fn every_action_and_its_result_is_as_its_golden_file() {
    let actions = [
        PaneAction::OpenTab {
            session: SESSION,
            name: "shop:fix/cart".into(),
            argv: vec!["claustre".into(), "session".into(), "run".into()],
            cwd: "/home/mara/.claustre/worktrees/shop/fix-cart".into(),
            attached: true,
            shell: true,
        },
        PaneAction::AdoptPanes {
            panes: vec![(14, "shop:fix/cart".into())],
        },
        PaneAction::Focus { pane: 14 },
        PaneAction::CloseTab {
            pane: 14,
            name: "shop:fix/cart".into(),
        },
        PaneAction::RenameTab {
            pane: 14,
            name: "▲ shop:fix/cart".into(),
        },
        PaneAction::Write {
            pane: 14,
            bytes: "aGkK".into(),
        },
        PaneAction::Read { pane: 14 },
    ];
    let mut golden = Golden::of("link/action");
    for action in actions {
        golden.holds(&tag_of(&action, "do"), &action);
    }
    golden.finish(&variants::<PaneAction>("do"));

    let results = [
        ActionResult::Done {},
        ActionResult::Pane { pane: 14 },
        ActionResult::Text {
            text: "> run the tests".into(),
        },
    ];
    let mut golden = Golden::of("link/result");
    for result in results {
        golden.holds(&tag_of(&result, "got"), &result);
    }
    golden.finish(&variants::<ActionResult>("got"));

    let mut golden = Golden::of("link/opening");
    golden.holds("opening", &Opening { epoch: 9 });
    golden.finish(&names([]));
}
