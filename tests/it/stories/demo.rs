//! The demo, played by somebody who has no terminal.

use std::time::Duration;

use claustre_tests::env::{built_binary, claustre_binary};

use super::support::Machine;
use crate::equipment::skip;

#[test]
fn the_demo_comes_to_its_end_and_leaves_nothing_behind() {
    let story = "the demo without a terminal";
    let Some(machine) = Machine::bare(story) else {
        return;
    };
    let env = &machine.env;
    let home = env.path("demo");
    let mut command = env.command(claustre_binary().expect("the helper is built"));
    command
        .args(["demo", "--headless", "--home"])
        .arg(&home)
        .arg("--stand-in")
        .arg(built_binary("fake-claude"));
    let played = env
        .run_within(&mut command, Duration::from_secs(180))
        .expect("the demo ends");
    if played.stderr.contains("carries none") {
        skip(story, "the helper was built without the plugin");
        return;
    }
    let said = played.snapshot();
    assert_eq!(played.code, Some(0), "{said}");
    assert!(said.contains("a session asks: Bash: sh test.sh"), "{said}");
    assert!(said.contains("it is allowed"), "{said}");
    assert!(said.contains("it is denied"), "{said}");
    let reviewed = played.stdout.lines();
    let reviewed = reviewed
        .filter(|line| line.starts_with("in_review"))
        .count();
    assert_eq!(reviewed, 3, "{said}");
    assert!(!home.exists(), "{said}");
    // Nothing of it went to the home of the one who played it.
    assert!(!env.home().join(".claude.json").exists());
    assert!(!env.claustre_home().exists());
}
