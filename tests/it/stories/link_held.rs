//! The link between daemon and plugin holds: against whoever writes to the plugin, and over a daemon that is killed.

use std::time::Duration;

use claustre_tests::wait_for;
use serde_json::json;

use super::dashboard::{open_dashboard, set_up, zellij};
use super::support::{Machine, PATIENCE, kill_9, parent_of, runs};

fn machine(story: &str) -> Option<Machine> {
    let machine = Machine::with_script(story, &json!({"turns": []}))?;
    set_up(&machine, story).then_some(machine)
}

/// The `zellij pipe` processes that this daemon started.
fn pipes_of(daemon: u32) -> Vec<u32> {
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).any(|word| word == b"pipe")
        })
        .filter(|pid| runs(*pid) && parent_of(*pid) == daemon)
        .collect()
}

#[test]
fn a_line_from_any_pane_does_not_take_the_link() {
    let Some(machine) = machine("strangers on the link") else {
        return;
    };
    let zellij = zellij(&machine);
    open_dashboard(&zellij.terminal);
    let stranger = r#"{"epoch":9999999999999,"seq":1,"method":"ping","params":{"pipe":"mine"}}"#;
    for name in ["claustre-from-plugin", "claustre-to-plugin"] {
        for payload in [stranger, "0123456789abcdef0123456789abcdef {}", "", "{"] {
            let arguments = ["--plugin", "claustre", "--name", name, "--", payload];
            // It may be kept waiting; what matters is what becomes of the link.
            zellij.pipe(&arguments, Duration::from_millis(500)).ok();
        }
    }
    machine.project("shop");
    zellij.terminal.wait_for_text("▾ shop", PATIENCE);
    machine.claustre(&["task", "add", "shop", "Drawn at once"]);
    zellij.terminal.wait_for_text("Drawn at once", PATIENCE);
}

#[test]
fn a_killed_daemon_leaves_no_pipes_and_the_next_one_has_its_link() {
    let Some(machine) = machine("a killed daemon and its pipes") else {
        return;
    };
    let zellij = zellij(&machine);
    open_dashboard(&zellij.terminal);
    for title in ["first", "second"] {
        let daemon = machine.daemon();
        wait_for("the link's two pipes", PATIENCE, || {
            pipes_of(daemon).len() == 2
        });
        let pipes = pipes_of(daemon);
        kill_9(daemon);
        wait_for("the end of the pipes", PATIENCE, || {
            pipes.iter().all(|pid| !runs(*pid))
        });
        machine.project(title);
        zellij
            .terminal
            .wait_for_text(&format!("▾ {title}"), PATIENCE);
    }
}
