//! Sessions are launched from the command line before anybody has opened a Zellij: it runs in the background, without a client.

use claustre_tests::terminal::Terminal;
use claustre_tests::{TestEnv, wait_for, zellij};
use serde_json::{Value, json};

use super::dashboard::set_up;
use super::support::{Machine, PATIENCE, text};

fn script() -> Value {
    let done =
        json!({"mcp": {"tool": "claustre_task_done", "arguments": {"summary": "Finished."}}});
    json!({"turns": [{"steps": [{"say": "That was quick."}, done]}]})
}

/// A machine after `claustre setup`, with a project and no Zellij; nothing where this test is to be skipped.
fn machine(story: &str) -> Option<Machine> {
    let machine = Machine::with_script(story, &script())?;
    machine.env.install("zellij", &zellij::binary().unwrap());
    if !set_up(&machine, story) {
        return None;
    }
    machine.project("shop");
    Some(machine)
}

/// The names of the tabs of the background session.
fn tabs(env: &TestEnv) -> Vec<String> {
    let mut command = env.command("zellij");
    command.args(["--session", "claustre", "action", "list-tabs", "--json"]);
    let listed = env.run_within(&mut command, std::time::Duration::from_secs(5));
    let listed = listed.map(|result| result.stdout).unwrap_or_default();
    let listed: Vec<Value> = serde_json::from_str(&listed).unwrap_or_default();
    listed.iter().map(|tab| text(&tab["name"])).collect()
}

#[test]
fn the_dashboard_opens_and_each_session_has_its_tab() {
    let story = "launched from the command line first";
    let Some(machine) = machine(story) else {
        return;
    };
    let env = &machine.env;
    let tasks = ["First", "Second"].map(|title| machine.launched("shop", title));
    for task in &tasks {
        machine.wait_task(task, "in_review");
    }

    let terminal = Terminal::spawn(env, "claustre", &[], 150, 45);
    terminal.wait_for_text("◐ 2 in review", PATIENCE);
    for task in &tasks {
        let name = text(&machine.session_now(task)["zellij_tab_name"]);
        wait_for(&format!("one tab for {name}"), PATIENCE, || {
            let tabs = tabs(env);
            tabs.iter().filter(|tab| tab.contains(&name)).count() == 1
        });
        machine.wait_json(
            "the session to have its tab",
            &["session", "show", task],
            |seen| seen["pane_id"].is_number(),
        );
    }
    terminal.send("q");
    terminal.wait_until("the dashboard to be gone", PATIENCE, |screen| {
        !screen.contains("┌ Projects")
    });
    terminal.send("\x1bc");
    terminal.wait_for_text("┌ Projects", PATIENCE);
    let doctor = machine.env.claustre(&["doctor"]);
    assert!(
        doctor.stdout.contains("answers in 1 of 1"),
        "{}",
        doctor.snapshot()
    );

    // What a session needs is marked on its tab, and nothing of it is stored.
    wait_for("the marks of the reviews", PATIENCE, || {
        tabs(env).iter().filter(|tab| tab.starts_with("◐ ")).count() == 2
    });
    machine.replay_agrees();
}

#[test]
fn a_plugin_that_does_not_answer_is_said_to_the_user_and_seen_by_the_doctor() {
    let story = "a plugin that does not answer";
    let Some(machine) = machine(story) else {
        return;
    };
    let env = &machine.env;
    let plugin = env.claustre_home().join("zellij/claustre.wasm");
    std::fs::write(plugin, "no plugin").unwrap();
    let terminal = Terminal::spawn(env, "claustre", &[], 150, 45);
    terminal.wait_for_text("does not answer in Zellij session claustre", PATIENCE);
    let doctor = machine.env.claustre(&["doctor"]);
    let said = doctor.snapshot();
    assert!(
        said.contains("does not answer in Zellij session claustre"),
        "{said}"
    );
}

#[test]
fn without_setup_it_is_said_what_is_missing() {
    let story = "no setup";
    let Some(machine) = Machine::with_script(story, &script()) else {
        return;
    };
    machine.env.install("zellij", &zellij::binary().unwrap());
    let terminal = Terminal::spawn(&machine.env, "claustre", &[], 120, 30);
    terminal.wait_for_text("it is not in Zellij yet", PATIENCE);
    terminal.wait_for_text("hint: claustre setup", PATIENCE);
}
