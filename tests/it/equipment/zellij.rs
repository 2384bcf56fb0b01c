//! The driver of a real Zellij.

use std::time::Duration;

use claustre_tests::zellij::{Options, Zellij, binary};
use claustre_tests::{TestEnv, wait_for};

use super::skip;

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn a_session_is_driven_detached_and_attached_again() {
    if let Err(reason) = binary() {
        return skip("the Zellij driver", &reason);
    }
    let env = TestEnv::new();
    let mut zellij = Zellij::start(
        &env,
        &Options {
            session: "drive".into(),
            ..Options::default()
        },
    );
    assert_eq!(zellij.sessions(), ["drive"]);

    zellij.action(&[
        "new-tab",
        "--name",
        "shop:fix",
        "--",
        "sh",
        "-c",
        "echo ready-$((40 + 2)); exec cat",
    ]);
    wait_for("the new tab", PATIENCE, || {
        zellij
            .list_tabs_json()
            .iter()
            .any(|tab| tab["name"] == "shop:fix")
    });
    zellij.terminal.wait_for_text("ready-42", PATIENCE);
    let panes = zellij.list_panes_json();
    let pane = panes
        .iter()
        .find(|pane| pane["is_plugin"] == false && pane["pane_command"].to_string().contains("cat"))
        .unwrap_or_else(|| panic!("no pane runs cat: {panes:#?}"));
    let pane = format!("terminal_{}", pane["id"]);
    zellij.wait_for_pane_text(&pane, "ready-42", PATIENCE);
    zellij.terminal.send("typed\r");
    zellij.wait_for_pane_text(&pane, "typed", PATIENCE);

    zellij.detach();
    assert_eq!(zellij.sessions(), ["drive"]);
    let again = zellij.attach(100, 30);
    again.wait_for_text("typed", PATIENCE);
    again.resize(90, 25);
    again.wait_until("a smaller frame", PATIENCE, |screen| {
        screen.lines().count() <= 25 && screen.contains("typed")
    });
}

#[test]
fn no_process_of_an_environment_outlives_it() {
    if let Err(reason) = binary() {
        return skip("the end of an environment", &reason);
    }
    let env = TestEnv::new();
    let zellij = Zellij::start(
        &env,
        &Options {
            session: "short".into(),
            ..Options::default()
        },
    );
    let root = env.root().to_owned();
    // The first client goes without a goodbye, and the session is not killed either.
    std::mem::forget(zellij);
    drop(env);
    let left: Vec<_> = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|process| {
            let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
            String::from_utf8_lossy(&environment).contains(&root.display().to_string())
        })
        .collect();
    assert!(left.is_empty(), "still running: {left:?}");
}
