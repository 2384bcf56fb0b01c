//! The same work from the dashboard: a real Zellij, the real plugin in it, and keys.

use std::path::Path;
use std::time::{Duration, Instant};

use claustre_tests::terminal::{ENTER, Terminal};
use claustre_tests::wait_for;
use claustre_tests::zellij::{Options, Zellij};
use serde_json::{Value, json};

use super::support::{Machine, PATIENCE, text, tool_results};
use crate::equipment::skip;

const TOGGLE: &str = "\x1bc";

fn script() -> Value {
    let bash = |command: &str, ask: bool| json!({"tool": {"name": "Bash", "input": {"command": command}, "needs_permission": ask}});
    let done =
        json!({"mcp": {"tool": "claustre_task_done", "arguments": {"summary": "Finished."}}});
    json!({"turns": [
        {"match": "Quick", "steps": [{"say": "That was quick."}, done]},
        {"steps": [
            bash("echo asked > asked.txt", true),
            bash("git add . && git commit --quiet --allow-empty --message=Work", false),
            done]}]})
}

/// A machine after `claustre setup`; nothing where this test is to be skipped.
fn machine(story: &str) -> Option<Machine> {
    let machine = Machine::with_script(story, &script())?;
    set_up(&machine, story).then_some(machine)
}

/// Puts the dashboard into Zellij; false where this test is to be skipped.
#[track_caller]
pub fn set_up(machine: &Machine, story: &str) -> bool {
    let setup = machine.env.claustre(&["setup", "--yes"]);
    if setup.stderr.contains("build-plugin") {
        skip(
            story,
            "the helper carries no plugin: cargo xtask build-plugin",
        );
        return false;
    }
    assert_eq!(setup.code, Some(0), "{}", setup.snapshot());
    true
}

/// A Zellij with one client.
pub fn zellij(machine: &Machine) -> Zellij<'_> {
    Zellij::start(
        &machine.env,
        &Options {
            session: "desk".into(),
            columns: 150,
            rows: 45,
            prepared: true,
            ..Options::default()
        },
    )
}

/// Shows the dashboard and waits until it knows what there is.
#[track_caller]
pub fn open_dashboard(terminal: &Terminal) {
    terminal.send(TOGGLE);
    terminal.wait_for_text("a add project", PATIENCE);
}

/// Writes a task with the form and returns its id.
#[track_caller]
fn write_task(machine: &Machine, terminal: &Terminal, prompt: &str) -> String {
    terminal.wait_for_text("n new task", PATIENCE);
    terminal.send("n");
    terminal.wait_for_text("New task · shop", PATIENCE);
    terminal.send(prompt);
    terminal.wait_for_text(prompt, PATIENCE);
    terminal.send(ENTER);
    let tasks = machine.wait_json("the task", &["task", "list"], |tasks| {
        named(tasks, prompt).is_some()
    });
    terminal.wait_until("the form to close", PATIENCE, |screen| {
        !screen.contains("New task")
    });
    text(&named(&tasks, prompt).unwrap()["id"])
}

fn named<'a>(tasks: &'a Value, title: &str) -> Option<&'a Value> {
    tasks
        .as_array()?
        .iter()
        .find(|task| task["title"] == json!(title))
}

/// Selects the last task of the list, which is the newest that waits, and launches it.
#[track_caller]
fn launch_last(machine: &Machine, terminal: &Terminal, task: &str) {
    terminal.send("3G");
    terminal.send("l");
    machine.wait_json("the launch", &["task", "show", task], |seen| {
        seen["session"]["id"].is_string()
    });
}

/// Goes from a finished task to the question, once the dashboard knows of it.
#[track_caller]
fn select_what_needs_me(terminal: &Terminal) {
    terminal.wait_for_text("▲ 1 needs you", PATIENCE);
    terminal.send("3g");
    terminal.wait_for_text("r review", PATIENCE);
    terminal.send("!");
    terminal.wait_for_text("y allow", PATIENCE);
}

fn tabs_of(zellij: &Zellij, branch: &str) -> usize {
    let tabs = zellij.list_tabs_json();
    tabs.iter()
        .filter(|tab| text(&tab["name"]).contains(branch))
        .count()
}

fn active_tab(zellij: &Zellij) -> String {
    let tabs = zellij.list_tabs_json();
    let active = tabs.iter().find(|tab| tab["active"] == true);
    text(&active.unwrap_or_else(|| panic!("no tab is active: {tabs:#?}"))["name"])
}

/// The session's own tab is there, once, and its client was started once.
#[track_caller]
fn has_one_tab(machine: &Machine, zellij: &Zellij, task: &str) -> String {
    let name = text(&machine.session_now(task)["zellij_tab_name"]);
    wait_for(&format!("the tab {name}"), PATIENCE, || {
        tabs_of(zellij, &name) == 1
    });
    let worktree = machine.wait_json("the worktree", &["session", "show", task], |seen| {
        seen["worktree_path"] != json!("") && seen["pane_id"].is_number()
    });
    let worktree = text(&worktree["worktree_path"]);
    machine.last_client(Path::new(&worktree));
    assert_eq!(machine.clients_started(Path::new(&worktree)), 1);
    name
}

#[test]
fn from_the_first_project_to_a_review_with_keys() {
    let story = "the dashboard";
    let Some(machine) = machine(story) else {
        return;
    };
    let shop = machine.env.git_repo("shop");
    let zellij = zellij(&machine);
    let terminal = &zellij.terminal;
    open_dashboard(terminal);
    terminal.wait_for_text("No project yet.", PATIENCE);
    let home = active_tab(&zellij);

    terminal.send("a");
    terminal.wait_for_text("Add project", PATIENCE);
    terminal.send(&format!("shop\t{}", shop.display()));
    terminal.send(ENTER);
    terminal.wait_for_text("▾ shop", PATIENCE);
    assert_eq!(machine.json(&["project", "list"])[0]["name"], "shop");

    // The tab appears and takes nobody away; the question is answered where it is seen.
    let clean = write_task(&machine, terminal, "Clean the build – ж, é, 漢");
    launch_last(&machine, terminal, &clean);
    let tab = has_one_tab(&machine, &zellij, &clean);
    assert_eq!(active_tab(&zellij), home, "the focus stays");
    machine.wait_ask(&clean, "permission");
    // It is the selected one: it was just launched.
    terminal.wait_for_text("y allow", PATIENCE);
    terminal.send("y");
    machine.wait_task(&clean, "in_review");
    assert!(machine.worktree(&clean).join("asked.txt").exists());

    // The next question is answered with no, and why.
    let publish = write_task(&machine, terminal, "Publish it");
    launch_last(&machine, terminal, &publish);
    has_one_tab(&machine, &zellij, &publish);
    machine.wait_ask(&publish, "permission");
    select_what_needs_me(terminal);
    terminal.send("N");
    terminal.wait_for_text("Deny: why?", PATIENCE);
    terminal.send("not before Monday");
    terminal.send(ENTER);
    machine.wait_task(&publish, "in_review");
    assert!(!machine.worktree(&publish).join("asked.txt").exists());
    let told = tool_results(&machine.transcript(&publish));
    assert!(told[0].contains("not before Monday"), "{told:#?}");

    // Enter goes to the tab of the selected task, the dashboard makes room.
    terminal.send("3g");
    terminal.wait_for_text("Enter", PATIENCE);
    terminal.send(ENTER);
    wait_for("the tab to have the focus", PATIENCE, || {
        let active = active_tab(&zellij);
        active.contains(&tab) || active.contains("publish-it")
    });
    terminal.wait_until("the dashboard to be gone", PATIENCE, |screen| {
        !screen.contains("┌ Projects")
    });
    terminal.send(TOGGLE);
    terminal.wait_for_text("┌ Projects", PATIENCE);
    terminal.send("q");
    terminal.wait_until("the dashboard to be gone", PATIENCE, |screen| {
        !screen.contains("┌ Projects")
    });
    for task in [&clean, &publish] {
        has_one_tab(&machine, &zellij, task);
        machine.wait_session(task, "idle", "");
    }
    machine.is_clean_everywhere(&shop);
    machine.replay_agrees();
}

#[test]
fn detached_attached_twice_and_reloaded_nothing_is_lost_or_done_twice() {
    let story = "the dashboard, detached and reloaded";
    let Some(machine) = machine(story) else {
        return;
    };
    let shop = machine.project("shop");
    let mut zellij = zellij(&machine);
    open_dashboard(&zellij.terminal);
    let first = write_task(&machine, &zellij.terminal, "Quick one");
    launch_last(&machine, &zellij.terminal, &first);
    has_one_tab(&machine, &zellij, &first);
    machine.wait_task(&first, "in_review");

    // Detached: what is launched meanwhile works, and gets its tab when somebody is back.
    let asking = machine.task("shop", "Ask first", &[]);
    zellij.terminal.send("q");
    zellij
        .terminal
        .wait_until("the dashboard to be gone", PATIENCE, |screen| {
            !screen.contains("┌ Projects")
        });
    zellij.detach();
    machine.claustre(&["task", "launch", &asking]);
    machine.wait_ask(&asking, "permission");
    let attached = zellij.attach(150, 45);
    has_one_tab(&machine, &zellij, &asking);

    // Two clients see the same, and one action is one action.
    let second = zellij.attach(120, 40);
    second.wait_for_text("shop:task/ask-first", PATIENCE);
    attached.send(TOGGLE);
    attached.wait_for_text("┌ Projects", PATIENCE);
    second.wait_for_text("┌ Projects", PATIENCE);
    let third = write_task(&machine, &attached, "Quick two");
    launch_last(&machine, &attached, &third);
    second.wait_for_text("Quick two", PATIENCE);
    has_one_tab(&machine, &zellij, &third);
    machine.wait_task(&third, "in_review");

    // A plugin that is loaded anew knows all of it, and answers.
    zellij.action(&["start-or-reload-plugin", "claustre"]);
    let fourth = machine.task("shop", "Quick three", &[]);
    machine.claustre(&["task", "launch", &fourth]);
    has_one_tab(&machine, &zellij, &fourth);
    machine.wait_task(&fourth, "in_review");
    machine.approve(&asking);
    machine.wait_task(&asking, "in_review");

    for task in [&first, &asking, &third, &fourth] {
        machine.wait_session(task, "idle", "");
        has_one_tab(&machine, &zellij, task);
    }
    machine.is_clean_everywhere(&shop);
    machine.replay_agrees();
}

#[test]
fn a_zellij_that_runs_already_gets_the_dashboard_at_once() {
    let story = "the dashboard, set up while Zellij runs";
    let Some(machine) = Machine::with_script(story, &script()) else {
        return;
    };
    let zellij = Zellij::start(
        &machine.env,
        &Options {
            session: "desk".into(),
            columns: 150,
            rows: 45,
            ..Options::default()
        },
    );
    let setup = machine.env.claustre(&["setup", "--yes"]);
    if setup.stderr.contains("build-plugin") {
        skip(
            story,
            "the helper carries no plugin: cargo xtask build-plugin",
        );
        return;
    }
    assert_eq!(setup.code, Some(0), "{}", setup.snapshot());
    assert!(
        setup.stderr.contains("session desk: Alt c shows"),
        "{}",
        setup.snapshot()
    );
    // Zellij reads its new key in its own time; a press that comes too early goes to the shell.
    let terminal = &zellij.terminal;
    let mut pressed: Option<Instant> = None;
    wait_for("the key to work", PATIENCE, || {
        let shown = terminal.screen().contains("a add project");
        if !shown && pressed.is_none_or(|at| at.elapsed() > Duration::from_secs(5)) {
            terminal.send(TOGGLE);
            pressed = Some(Instant::now());
        }
        shown
    });
    // It is linked, though this server never heard of the alias: what changes is drawn.
    machine.project("shop");
    terminal.wait_for_text("▾ shop", PATIENCE);
    let task = write_task(&machine, terminal, "Quick one");
    launch_last(&machine, terminal, &task);
    has_one_tab(&machine, &zellij, &task);
    machine.wait_task(&task, "in_review");
}

#[test]
fn two_clients_each_show_and_hide_one_dashboard_and_it_lives_on_both() {
    let story = "the dashboard, two clients";
    let Some(machine) = machine(story) else {
        return;
    };
    machine.project("shop");
    let mut zellij = zellij(&machine);
    open_dashboard(&zellij.terminal);
    // Left open: whoever comes back gets the instance that was left, the second one gets a new one.
    zellij.detach();
    let first = zellij.attach(150, 45);
    first.wait_for_text("┌ Projects", PATIENCE);
    let second = zellij.attach(150, 45);
    second.wait_for_text("┌ Projects", PATIENCE);

    let gone = |screen: &str| !screen.contains("┌ Projects");
    for (presser, other, title) in [(&first, &second, "Alpha"), (&second, &first, "Beta")] {
        // One press hides it, and does not bring it back through the other client's instance.
        presser.send(TOGGLE);
        presser.wait_until("the dashboard to be gone", PATIENCE, gone);
        other.wait_until("the dashboard to be gone there too", PATIENCE, gone);
        presser.send(TOGGLE);
        presser.wait_for_text("┌ Projects", PATIENCE);
        other.wait_for_text("┌ Projects", PATIENCE);
        // What changes is seen on both, though nobody presses a key.
        machine.task("shop", title, &["--draft"]);
        presser.wait_for_text(title, PATIENCE);
        other.wait_for_text(title, PATIENCE);
        presser.send("?");
        presser.wait_for_text("┌ Keys", PATIENCE);
        presser.send("q");
        presser.wait_until("the help to close", PATIENCE, |screen| {
            !screen.contains("┌ Keys")
        });
    }

    // Who goes to a session's tab goes there alone.
    let launch = |title| {
        let task = machine.launched("shop", title);
        machine.wait_task(&task, "in_review");
    };
    launch("Quick one");
    let is_at = |screen: &str, title: &str| screen.contains(title) && gone(screen);
    first.wait_for_text("◐ 1 in review", PATIENCE);
    first.send("3g");
    first.send(ENTER);
    first.wait_until("the tab of one", PATIENCE, |screen| {
        is_at(screen, "Quick one")
    });
    second.wait_until("the dashboard to be gone there too", PATIENCE, gone);
    assert!(!is_at(&second.screen(), "Quick one"));
    // Of two clients that type at the same moment, Zellij does not tell whose the key was.
    launch("Quick two");
    second.send(TOGGLE);
    second.wait_for_text("◐ 2 in review", PATIENCE);
    second.send("3gj");
    second.send(ENTER);
    second.wait_until("the tab of the other", PATIENCE, |screen| {
        is_at(screen, "Quick two")
    });
    assert!(is_at(&first.screen(), "Quick one"), "{}", first.screen());
}
