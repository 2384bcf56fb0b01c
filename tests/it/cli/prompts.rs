//! Prompts of any size and content: what is written arrives whole, and nothing of it is obeyed by a terminal.

use std::time::Duration;

use claustre_tests::skip::skip;
use claustre_tests::{TestEnv, wait_for, zellij};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

/// A project, and what the client will do. The script comes first: the daemon hands on the environment that it was started with.
fn shop(script: Option<&Value>) -> Option<TestEnv> {
    let program = zellij::binary()
        .inspect_err(|why| skip("a prompt", &why.to_string()))
        .ok()?;
    let env = TestEnv::new();
    env.install("zellij", &program);
    if let Some(script) = script {
        env.claude_script(script);
    }
    let shop = env.git_repo("shop");
    env.claustre_in(&shop, &["project", "add", "shop"])
        .success();
    Some(env)
}

/// The argument behind `--`: what the client takes as its prompt.
fn prompt_of(start: &Value) -> String {
    let words = start["argv"].as_array().unwrap();
    let at = words.iter().position(|word| word == "--").unwrap();
    words[at + 1].as_str().unwrap().to_owned()
}

#[test]
fn a_megabyte_from_a_file_or_standard_input_arrives_whole() {
    let Some(env) = shop(None) else {
        return;
    };
    let text = format!("-first line\n{}\nlast line", "word 漢字 ".repeat(90_000));
    assert!(text.len() > 1_000_000);
    let file = env.write("prompt.md", &text);
    let file = file.to_str().unwrap();
    env.claustre(&[
        "task",
        "add",
        "shop",
        "from file",
        "--file",
        file,
        "--launch",
    ])
    .success();
    let mut shell = env.command("sh");
    let script = "claustre task add shop 'from input' -d - < \"$0\"";
    env.run(shell.args(["-c", script, file])).success();
    for title in ["from file", "from input"] {
        let task = env.claustre(&["task", "show", title, "--json"]).json();
        assert_eq!(task["task"]["description"], text.as_str(), "{title}");
    }
    wait_for("the client to start", PATIENCE, || {
        !env.claude_starts().is_empty()
    });
    // An argument may not be that long: the client is told to read the file, which it may read without a question.
    let told = prompt_of(&env.claude_starts()[0]);
    let path = told
        .strip_prefix("Read the file ")
        .and_then(|rest| rest.strip_suffix(" and do what it says."))
        .unwrap_or_else(|| panic!("{told:.200}"));
    let given = std::fs::read_to_string(path).unwrap();
    assert!(given.contains(&text), "the whole prompt is in the file");
    let settings = std::path::Path::new(path).with_file_name("settings.json");
    let settings: Value =
        serde_json::from_str(&std::fs::read_to_string(settings).unwrap()).unwrap();
    let allowed = settings["permissions"]["allow"].as_array().unwrap();
    assert!(
        allowed.contains(&json!(format!("Read(/{path})"))),
        "{allowed:?}"
    );
}

#[test]
fn a_prompt_that_begins_with_a_dash_is_a_prompt() {
    let Some(env) = shop(None) else {
        return;
    };
    let text = "--dangerously-skip-permissions $(touch owned) `touch owned` ; \"'";
    env.claustre(&["task", "add", "shop", "-", "-d", text, "--launch"])
        .success();
    wait_for("the client to start", PATIENCE, || {
        !env.claude_starts().is_empty()
    });
    let start = &env.claude_starts()[0];
    assert!(prompt_of(start).contains(text), "{start}");
    let words = start["argv"].as_array().unwrap();
    assert!(!words.contains(&json!("--dangerously-skip-permissions")));
}

#[test]
fn what_is_no_prompt_is_refused_with_a_hint() {
    let env = TestEnv::new();
    let shop = env.git_repo("shop");
    env.claustre_in(&shop, &["project", "add", "shop"])
        .success();
    std::fs::write(env.path("binary"), [0xff, 0xfe, 0]).unwrap();
    std::fs::write(env.path("huge"), vec![b'x'; 9_000_000]).unwrap();
    let mut said = super::transcript::Transcript::new(&env);
    for (file, code) in [("no-such-file", 1), ("home", 1), ("binary", 1), ("huge", 1)] {
        let path = env.path(file).display().to_string();
        let result = said.run(&["task", "add", "shop", "t", "--file", &path]);
        assert_eq!(result.code, Some(code), "{file}");
    }
    assert_eq!(said.run(&["task", "add", "shop", ""]).code, Some(2));
    assert_eq!(
        said.run(&["task", "add", "shop", "\u{1b}[2J", "-d", "\u{1b}[2J"])
            .code,
        Some(1)
    );
    said.run(&["task", "list", "--json"]);
    insta::assert_snapshot!(said.finish());
}

/// Sets the clipboard, clears the screen, retitles, reverses the text, hides a word.
const EVIL: &str = "a\u{1b}]52;c;ZXZpbA==\u{7}b\u{1b}[2Jc\u{9b}31md\u{1b}]0;owned\u{1b}\\e\u{202e}f\u{200b}g\u{0}h\u{8}i";

#[test]
fn control_sequences_reach_neither_the_terminal_nor_the_store() {
    let evil = EVIL.replace('\0', "");
    let script = json!({"turns": [{"steps": [
        {"mcp": {"tool": "claustre_status", "arguments": {"state": "working", "message": format!("says {EVIL}")}}},
        {"mcp": {"tool": "claustre_log", "arguments": {"level": "warn", "message": format!("logs {EVIL}")}}},
        {"mcp": {"tool": "claustre_ask", "arguments": {"question": format!("asks {EVIL}"), "options": [EVIL]}}},
        {"say": "waiting"}]}]});
    let Some(env) = shop(Some(&script)) else {
        return;
    };
    let title = format!("title {evil}");
    env.claustre(&[
        "task",
        "add",
        "shop",
        &title,
        "-d",
        &evil,
        "--subtask",
        &evil,
        "--launch",
    ])
    .success();
    env.claustre(&["project", "edit", "shop", "--goal", &evil, "--owner", &evil])
        .success();
    let name = "title abcdefghi";
    wait_for("the agent to have asked", PATIENCE, || {
        let log = env.claustre(&["task", "log", name]).stdout;
        log.contains("asks abcdefghi")
    });
    env.claustre(&["task", "send", name, &evil]).success();
    let mut printed = String::new();
    for arguments in [
        &["task", "list"][..],
        &["task", "list", "--json"],
        &["task", "show", name],
        &["task", "show", name, "--json"],
        &["task", "log", name],
        &["session", "list"],
        &["session", "list", "--json"],
        &["status"],
        &["status", "--json"],
        &["inbox"],
        &["inbox", "--json"],
        &["project", "show", "shop", "--history"],
        &["project", "show", "shop", "--json", "--history"],
        &["subtask", "list", name],
    ] {
        let result = env.claustre(arguments).success();
        printed.push_str(&result.stdout);
        printed.push_str(&result.stderr);
    }
    let forbidden = [
        "\u{1b}", "\u{7}", "\u{9b}", "\u{202e}", "\u{200b}", "ZXZpbA", "\\u001b", "\\u202e",
    ];
    for word in forbidden {
        assert!(!printed.contains(word), "{word:?} was printed: {printed:?}");
    }
    assert!(printed.contains("says abcdefghi"), "{printed}");
    // Nor does the store keep them, in whatever form.
    env.claustre(&["daemon", "stop"]).success();
    wait_for("the daemon to end", PATIENCE, || {
        env.claustre(&["daemon", "status"]).code == Some(4)
    });
    let store = std::fs::read(env.claustre_home().join("claustre.db")).unwrap();
    // Whole sequences: two bytes of a hash may well be an escape and a bracket.
    for word in [
        "\u{1b}]52",
        "\u{1b}[2J",
        "\u{1b}]0;",
        "\u{202e}",
        "\u{200b}",
    ] {
        let found = store
            .windows(word.len())
            .any(|part| part == word.as_bytes());
        assert!(!found, "{word:?} is in the store");
    }
    // What a tool is asked to do is shown as it is, with its control characters spelled out: never as JSON that would become one.
    let text = String::from_utf8_lossy(&store);
    let spelled = regex_lite::Regex::new(r"[^\\]\\u(001b|202e|009b)").unwrap();
    assert!(!spelled.is_match(&text), "{:?}", spelled.find(&text));
}
