//! How output adapts to where it goes: a pipe that closes, no colours, narrow and wide terminals.

use std::time::Duration;

use claustre_tests::{Terminal, TestEnv};

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
            "( claustre {command}; echo $? >code ) 2>errors | head -c 0; while [ ! -s code ]; do :; done"
        );
        env.run(env.command("sh").args(["-c", &script])).success();
        let errors = std::fs::read_to_string(env.home().join("errors")).unwrap();
        let code = std::fs::read_to_string(env.home().join("code")).unwrap();
        assert!(
            !errors.contains("panic") && !errors.contains("error"),
            "{command}: {errors}"
        );
        assert_eq!(code.trim(), "0", "{command}");
        std::fs::remove_file(env.home().join("code")).unwrap();
    }
}

#[test]
fn tables_fit_the_terminal_and_colours_can_be_refused() {
    let env = env_with_tasks();
    for width in [40_u16, 80, 200] {
        env.unset("COLUMNS");
        for command in ["task list", "project list", "status", "task log Short"] {
            let words: Vec<&str> = command.split(' ').collect();
            let mut terminal = Terminal::spawn(&env, "claustre", &words, 240, 30);
            drop(terminal.wait_exit(Duration::from_secs(20)));
            env.set("COLUMNS", width.to_string());
            let mut narrow = Terminal::spawn(&env, "claustre", &words, 240, 30);
            drop(narrow.wait_exit(Duration::from_secs(20)));
            for line in narrow.screen().lines() {
                // Columns of numbers and short words do not shrink; what they need at least is their business.
                let least = if command == "task log Short" || command == "project list" {
                    72
                } else {
                    60
                };
                assert!(
                    line.trim_end().chars().count() <= usize::from(width).max(least),
                    "{width} {command}: {line:?}"
                );
            }
            env.unset("COLUMNS");
        }
    }
    let coloured = |env: &TestEnv| {
        let mut terminal = Terminal::spawn(env, "claustre", &["task", "list"], 100, 20);
        drop(terminal.wait_exit(Duration::from_secs(20)));
        terminal.output().contains("\u{1b}[2m")
    };
    assert!(coloured(&env));
    env.set("NO_COLOR", "1");
    assert!(!coloured(&env));
    env.unset("NO_COLOR");
    env.set("TERM", "dumb");
    assert!(!coloured(&env));
}
