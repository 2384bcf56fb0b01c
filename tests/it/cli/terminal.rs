//! How output adapts to where it goes: a pipe that closes, no colours, narrow and wide terminals.

use std::time::Duration;

use claustre_tests::{Terminal, TestEnv, wait_for};

fn env_with_tasks() -> TestEnv {
    let env = TestEnv::new();
    let shop = env.git_repo("shop");
    env.claustre_in(
        &shop,
        &[
            "project",
            "add",
            "shop",
            "--goal",
            "sell everything that can be sold, and 漢字 as well",
        ],
    )
    .success();
    for title in [
        "Fix the login form that loses its focus whenever somebody types too fast for it",
        "Short",
    ] {
        env.claustre(&["task", "add", "shop", title]).success();
    }
    env
}

#[test]
fn whoever_stops_reading_ends_the_command_without_a_word() {
    let env = env_with_tasks();
    for command in [
        "task list",
        "task list --json",
        "task show Short",
        "man",
        "completions bash",
        "help",
        "doctor",
        "config show",
    ] {
        // With nobody at the other end from the start, the first write fails.
        let script = format!(
            "( claustre {command}; echo $? >exit-code ) 2>errors | head -c 0; while [ ! -s exit-code ]; do :; done"
        );
        env.run(env.command("sh").args(["-c", &script])).success();
        let errors = std::fs::read_to_string(env.home().join("errors")).unwrap();
        let code = std::fs::read_to_string(env.home().join("exit-code")).unwrap();
        assert!(
            !errors.contains("panic") && !errors.contains("error"),
            "{command}: {errors}"
        );
        assert_eq!(code.trim(), "0", "{command}");
        std::fs::remove_file(env.home().join("exit-code")).unwrap();
    }
}

#[test]
fn tables_fit_the_terminal_and_colours_can_be_refused() {
    let env = env_with_tasks();
    let longest = |width: u16, variables: &str, command: &str| {
        // As it was printed, before the terminal wraps what is too long.
        let codes = regex_lite::Regex::new("\u{1b}\\[[0-9;]*m").unwrap();
        let printed = output(&env, width, variables, command);
        let lines = printed
            .lines()
            .map(|line| codes.replace_all(line.trim_end(), "").chars().count());
        lines.max().unwrap()
    };
    for command in ["task list", "project list", "status", "task log Short"] {
        // Numbers, dates and short words keep their width; only what is left of a narrow terminal is for the texts.
        let least = longest(1, "", command);
        assert!(least < 72, "{command} needs {least} columns");
        for width in [40, 80, 200] {
            let wanted = usize::from(width).max(least);
            for found in [
                longest(width, "", command),
                longest(240, &format!("COLUMNS={width}"), command),
            ] {
                assert!(
                    found <= wanted,
                    "{command} is {found} wide in {width} columns"
                );
            }
        }
    }
    // In a pipe nothing is cut.
    assert!(
        env.claustre(&["task", "list"])
            .stdout
            .contains("too fast for it")
    );
    let is_coloured =
        |variables: &str| output(&env, 100, variables, "task list").contains("\u{1b}[2m");
    assert!(is_coloured(""));
    assert!(!is_coloured("NO_COLOR=1"));
    assert!(!is_coloured("TERM=dumb"));
}

/// What a command prints into a terminal of this width, to its end.
fn output(env: &TestEnv, width: u16, variables: &str, command: &str) -> String {
    let script = format!("{variables} claustre {command}; echo end-of-it");
    let terminal = Terminal::spawn(env, "sh", &["-c", &script], width, 40);
    wait_for(
        &format!("the end of {command}"),
        Duration::from_secs(20),
        || terminal.output().contains("end-of-it"),
    );
    let output = terminal.output();
    output.split("end-of-it").next().unwrap().to_owned()
}
