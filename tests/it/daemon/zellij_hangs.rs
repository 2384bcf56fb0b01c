//! A Zellij that takes calls and never answers.

use std::time::{Duration, Instant};

use claustre_tests::{TestEnv, wait_for};

/// Opens panes, and hangs when one is to be read.
const HANGS: &str = r#"#!/bin/sh
case "$*" in
    *--version*) echo "zellij 0.45.1" ;;
    *list-sessions*) echo "desk [Created 1s ago]" ;;
    *list-clients*) echo "CLIENT_ID ZELLIJ_PANE_ID RUNNING_COMMAND" ;;
    *" run "*) echo "terminal_7" ;;
    *dump-screen*) echo "$$" >> "$HOME/hung"; exec sleep 600 ;;
    *) echo "[]" ;;
esac
"#;

#[test]
fn forty_previews_that_hang_hold_up_nothing_else_and_are_answered() {
    let env = TestEnv::new();
    env.install_script("zellij", HANGS);
    let shop = env.git_repo("shop");
    let shop = shop.display().to_string();
    env.claustre(&["project", "add", "shop", &shop]).success();
    env.claustre(&["task", "add", "shop", "Task"]).success();
    env.claustre(&["task", "launch", "Task"]).success();
    wait_for("the session's pane", Duration::from_secs(30), || {
        let sessions = env
            .claustre(&["session", "list", "--json"])
            .success()
            .json();
        sessions[0]["pane_id"] == 7
    });

    let sessions = env
        .claustre(&["session", "list", "--json"])
        .success()
        .json();
    let session = sessions[0]["id"].as_str().unwrap().to_owned();

    let begun = Instant::now();
    let mut previews: Vec<_> = (0..40)
        .map(|_| {
            let mut preview = env.command("claustre");
            preview.args(["session", "preview", &session]);
            preview.stdout(std::process::Stdio::null());
            preview.stderr(std::process::Stdio::piped());
            preview.spawn().unwrap()
        })
        .collect();
    let hung = || {
        let hung = std::fs::read_to_string(env.home().join("hung")).unwrap_or_default();
        hung.lines().count()
    };
    wait_for("zellij to hang in a call", Duration::from_secs(30), || {
        hung() > 0
    });

    // All the while, and as long as previews hang, what needs no Zellij is answered.
    let mut answered = 0;
    while previews
        .iter_mut()
        .any(|preview| preview.try_wait().unwrap().is_none())
    {
        for arguments in [["session", "list"].as_slice(), &["inbox"]] {
            let asked = Instant::now();
            env.claustre(arguments).success();
            // A second is the rule; the machine of the tests has other work.
            let took = asked.elapsed();
            assert!(took < Duration::from_secs(4), "{arguments:?} took {took:?}");
            answered += 1;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "some previews are never answered"
        );
    }
    assert!(answered > 0);
    for preview in previews {
        let ended = preview.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(!ended.status.success() && said.contains("hint:"), "{said}");
    }
    assert!(hung() <= 20, "each of {} calls was given to zellij", hung());
}
