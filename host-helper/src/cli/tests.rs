use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("claustre").chain(line.split_whitespace()))
}

#[test]
fn the_command_line_is_sound() {
    command().debug_assert();
}

#[test]
fn every_spelling_is_understood() {
    for line in [
        "",
        "open",
        "dashboard",
        "init --yes --no-setup",
        "setup --undo",
        "doctor --fix --json",
        "daemon run",
        "daemon status --json",
        "config show --repo /r",
        "project add shop /r --goal g --owner o --base main",
        "project new shop /r",
        "add-project shop /r",
        "project list --status active --json",
        "list-projects",
        "project show shop --history",
        "project edit shop --name shop2",
        "project pause shop",
        "project remove shop --yes",
        "remove-project shop -y",
        "task add shop title -d text -m autonomous --prio 1 --base main --branch b --push push --review-loop --subtask a --subtask b --after x --model opus --effort high --permission-mode plan --budget 2.5 --draft",
        "task add shop -d -",
        "task add shop title --file /f",
        "add-task shop title -d text -m supervised",
        "task list --project shop --status in_progress --json",
        "list-tasks shop --status todo",
        "task edit x --prio P0 --after-none --submit --review-loop false",
        "task launch x --wait",
        "task send x -",
        "task approve x --ask 1f3a",
        "task deny x --ask 1f3a --reason no",
        "task review x again",
        "task block x --reason why",
        "task kill x --yes",
        "session close x --yes",
        "worktree remove x --yes",
        "task move x --before y",
        "task undo",
        "subtask done x 1",
        "session new shop --branch b",
        "session answer x yes",
        "inbox",
        "inbox next",
        "status --project shop",
        "watch --after 3",
        "worktree restore x",
        "replay",
        "backup /b",
        "completions fish",
        "man",
        "mcp",
    ] {
        if let Err(error) = parse(line) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_the_words_that_would() {
    for (line, said) in [
        (
            "task add shop t -m fast",
            "supervised, autonomous, exploration",
        ),
        ("task add shop t --prio 7", "0, 1, 2, 3, 4"),
        ("task add shop t --budget 0", "above 0"),
        ("task add shop t -d x --file /f", "cannot be used with"),
        ("task move x", "--before"),
        ("task list --status lost", "in_review"),
        ("frobnicate", "unrecognized subcommand"),
    ] {
        let error = parse(line).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line}");
        assert!(error.to_string().contains(said), "{line}: {error}");
    }
}

#[test]
fn a_manual_page_tells_of_its_command_and_of_no_hidden_one() {
    let page = |words: &str| {
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        super::manual::page(command(), &words)
            .map(|page| String::from_utf8(page).unwrap().replace('\\', ""))
    };
    let first = page("").unwrap();
    for part in ["claustre-task(1)", "CLAUSTRE_HOME", "Exit codes"] {
        assert!(first.contains(part), "{part}: {first}");
    }
    assert!(!first.contains("session-update") && !first.contains("claustre-mcp"));
    let of_add = page("task add").unwrap();
    for part in [".SH NAME\nclaustre-task-add", "--permission-mode"] {
        assert!(of_add.contains(part), "{part}: {of_add}");
    }
    assert!(page("task frobnicate").is_err());
}

#[test]
fn mistakes_get_the_help_of_the_command_that_was_meant() {
    let hint = |line: &str| {
        let words = line.split(' ').map(std::ffi::OsString::from);
        super::error::CliError::from(parse(line).unwrap_err())
            .with_usage(&command(), words)
            .hint
            .unwrap()
    };
    for (line, wanted) in [
        ("task add shop t --prio 9", "claustre task add --help"),
        (
            "task add shop t --branch -x",
            "--branch=-x passes it as a value",
        ),
        ("task lst", "some similar subcommands exist: 'ls', 'list'"),
        ("task add", "usage: claustre task add <PROJECT> [TITLE]"),
    ] {
        assert_eq!(hint(line), wanted, "{line}");
    }
}
