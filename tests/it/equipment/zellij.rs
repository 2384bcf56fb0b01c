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

#[test]
fn the_stand_in_for_claude_works_in_a_pane() {
    if let Err(reason) = binary() {
        return skip("the stand-in in a pane", &reason);
    }
    let env = TestEnv::new();
    let repository = env.git_repo("shop");
    env.claude_script(&serde_json::json!({"turns": [
        {"match": "again", "steps": [{"say": "Second answer."}]},
        {"steps": [{"say": "First answer."}]}]}));
    let zellij = Zellij::start(
        &env,
        &Options {
            session: "pane".into(),
            ..Options::default()
        },
    );
    let folder = repository.display().to_string();
    let claude = env.path("bin/claude").display().to_string();
    zellij.action(&[
        "new-tab",
        "--name",
        "shop:main",
        "--cwd",
        &folder,
        "--",
        &claude,
        "--",
        "hello there",
    ]);
    zellij.terminal.wait_for_text("First answer.", PATIENCE);
    let starts = env.claude_starts();
    let pane = format!(
        "terminal_{}",
        starts[0]["env"]["ZELLIJ_PANE_ID"].as_str().unwrap()
    );
    assert_eq!(starts[0]["cwd"], *folder);
    // The recipe of the project: clear the line, paste, pause, Enter, and Enter again until it is taken.
    zellij.action(&["send-keys", "--pane-id", &pane, "Ctrl u"]);
    zellij.action(&["paste", "--pane-id", &pane, "once again"]);
    zellij.wait_for_pane_text(&pane, "> once again", PATIENCE);
    wait_for("the second answer", PATIENCE, || {
        zellij.action(&["send-keys", "--pane-id", &pane, "Enter"]);
        zellij.dump_screen(&pane).contains("Second answer.")
    });
}

#[test]
fn a_session_starts_with_a_layout_and_settings_of_its_own() {
    if let Err(reason) = binary() {
        return skip("a session with a layout", &reason);
    }
    let env = TestEnv::new();
    let layout = "layout {\n    tab name=\"first-tab\" {\n        pane command=\"echo\" {\n            args \"from-the-layout\"\n        }\n    }\n}\n";
    let layout = env.write("layout.kdl", layout);
    let mut zellij = Zellij::start(
        &env,
        &Options {
            session: "laid-out".into(),
            layout: Some(layout),
            config: "pane_frames false\n".into(),
            ..Options::default()
        },
    );
    zellij.terminal.wait_for_text("from-the-layout", PATIENCE);
    assert_eq!(zellij.list_tabs_json()[0]["name"], "first-tab");
    let second = zellij.attach(100, 30);
    second.wait_for_text("from-the-layout", PATIENCE);
    zellij.terminal.hang_up();
    assert_eq!(zellij.sessions(), ["laid-out"]);
}
