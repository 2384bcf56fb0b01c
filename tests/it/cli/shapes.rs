//! The names that `--json` prints: never renamed, only added to.

use std::collections::BTreeMap;
use std::time::Duration;

use claustre_tests::skip::skip;
use claustre_tests::{TestEnv, wait_for, zellij};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

/// The names of an object with the kinds of their values; of a list, those of its first element.
fn shape(value: &Value, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "bool".into(),
        Value::Number(_) => "number".into(),
        Value::String(_) => "text".into(),
        Value::Array(list) => match list.first() {
            Some(first) => format!("[{}]", shape(first, depth)),
            None => "[]".into(),
        },
        Value::Object(map) => {
            let lines: BTreeMap<&String, String> = map
                .iter()
                .map(|(name, value)| (name, shape(value, depth + 1)))
                .collect();
            let lines: Vec<String> = lines
                .iter()
                .map(|(name, kind)| format!("{indent}  {name}: {kind}"))
                .collect();
            format!("{{\n{}\n{indent}}}", lines.join("\n"))
        }
    }
}

/// The names of the design, which scripts rely on.
fn promised(what: &str) -> &'static str {
    match what {
        "project" => "id name repo_path default_branch goal owner status created_at",
        "task" => {
            "id project_id project title description status status_reason mode priority base branch push_mode review_loop \
             depends_on subtasks session_id pr_url ci_status created_at updated_at started_at completed_at input_tokens \
             output_tokens cost"
        }
        "session" => {
            "id project_id project branch_name worktree_path zellij_tab_name zellij_session pane_id host claude_session_id \
             claude_status reason source since status_message last_activity_at files_changed lines_added lines_removed \
             input_tokens output_tokens cost context_percent created_at closed_at"
        }
        "update" => "id task_id session_id source payload hlc created_at",
        "inbox" => "kind task_id session_id title detail since",
        "event" => "uuid hlc machine_id event_type payload created_at",
        other => panic!("{other}"),
    }
}

#[track_caller]
fn keeps_promise(what: &str, value: &Value) {
    for name in promised(what).split_whitespace() {
        assert!(value.get(name).is_some(), "{what} has no {name}: {value}");
    }
}

#[test]
fn every_list_and_view_keeps_its_names() {
    let Ok(program) = zellij::binary() else {
        return skip("every_list_and_view_keeps_its_names", "no zellij");
    };
    let env = TestEnv::new();
    env.install("zellij", &program);
    let shop = env.git_repo("shop");
    env.claude_script(&json!({"turns": [{"steps": [
        {"mcp": {"tool": "claustre_ask", "arguments": {"question": "Which one?", "options": ["a", "b"]}}}]}]}));
    env.claustre_in(&shop, &["project", "add", "shop", "--json"])
        .success();
    env.claustre(&[
        "task",
        "add",
        "shop",
        "Ask",
        "--subtask",
        "first",
        "--launch",
    ])
    .success();
    let get = |arguments: &[&str]| {
        let all: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        env.claustre(&all).success().json()
    };
    wait_for("the question", PATIENCE, || get(&["inbox"])[0].is_object());
    keeps_promise("project", &get(&["project", "list"])[0]);
    keeps_promise("project", &get(&["project", "show", "shop"]));
    keeps_promise("task", &get(&["task", "list"])[0]);
    keeps_promise("task", &get(&["task", "show", "Ask"])["task"]);
    keeps_promise("update", &get(&["task", "show", "Ask"])["updates"][0]);
    keeps_promise("session", &get(&["session", "list"])[0]);
    keeps_promise("session", &get(&["session", "show", "Ask"]));
    keeps_promise("inbox", &get(&["inbox"])[0]);
    let history = get(&["project", "show", "shop", "--history"])["history"].clone();
    keeps_promise("event", &history[0]);
    let mut shapes = String::new();
    for arguments in [
        &["project", "list"][..],
        &["task", "list"],
        &["session", "list"],
        &["subtask", "list", "Ask"],
        &["inbox"],
        &["status"],
        &["daemon", "status"],
        &["replay"],
        &["doctor"],
        &["worktree", "list"],
    ] {
        let all: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        let value = env.claustre(&all).json();
        shapes.push_str(&format!(
            "{}: {}\n\n",
            arguments.join(" "),
            shape(&value, 0)
        ));
    }
    // Whether a session has a pane or a cost yet depends on the moment: the kinds of such values are left open.
    let open = regex_lite::Regex::new(
        r"(ask|budget_usd|ci_status|claude_session_id|closed_at|completed_at|context_percent|effort|hint|last_activity_at|model|pane_id|permission_mode|pr_url|reason|session_id|started_at|status_message|status_reason|zellij_session|base|branch|links|worktree_path): (text|null|number|\[\]|\[text\])",
    )
    .unwrap();
    insta::assert_snapshot!(open.replace_all(&shapes, "$1: *"));
}

#[test]
fn watch_prints_one_event_a_line() {
    let env = TestEnv::new();
    let shop = env.git_repo("shop");
    env.claustre(&["daemon", "start"]).success();
    let script = "claustre watch --after 0 >events & watcher=$!; \
                  claustre project add shop \"$0\" >added; \
                  while ! grep -q project_added events; do :; done; kill $watcher";
    env.run(
        env.command("sh")
            .args(["-c", script, shop.to_str().unwrap()]),
    )
    .success();
    let events = claustre_tests::env::read_json_lines(&env.home().join("events"));
    keeps_promise("event", &events[0]);
}
