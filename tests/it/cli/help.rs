//! What the program says of itself.

use claustre_tests::TestEnv;

/// All commands of `claustre help`, at any depth, as they are typed.
fn commands(env: &TestEnv, path: &[String], found: &mut Vec<Vec<String>>) {
    let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
    arguments.push("--help");
    let help = env.claustre(&arguments).success().stdout;
    let list = help.split("\nCommands:\n").nth(1).unwrap_or_default();
    for line in list.lines().take_while(|line| !line.is_empty()) {
        let Some(name) = line
            .split_whitespace()
            .next()
            .filter(|_| line.starts_with("  ") && !line.starts_with("   "))
        else {
            continue;
        };
        if name == "help" {
            continue;
        }
        let mut deeper = path.to_vec();
        deeper.push(name.to_owned());
        commands(env, &deeper, found);
        found.push(deeper);
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let env = TestEnv::new();
    let mut found = Vec::new();
    commands(&env, &[], &mut found);
    assert!(found.len() > 50, "{found:?}");
    let dir = env.home().join("man1");
    env.claustre(&["man", "--dir", dir.to_str().unwrap()])
        .success();
    for command in found {
        let page = dir.join(format!("claustre-{}.1", command.join("-")));
        let page = std::fs::read_to_string(&page)
            .unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        let synopsis = format!("claustre {}", command.join(" "));
        let plain = page.replace('\\', "");
        assert!(plain.contains(&synopsis), "no `{synopsis}` in {plain}");
    }
    let one = env.claustre(&["man", "worktree", "sweep"]).success().stdout;
    assert!(one.contains("keep_days"), "{one}");
}

#[test]
fn completions_are_made_for_every_shell() {
    let env = TestEnv::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = env.claustre(&["completions", shell]).success().stdout;
        for word in ["worktree", "restore", "permission-mode"] {
            assert!(script.contains(word), "{shell} completes no {word}");
        }
        if shell == "bash" {
            let file = env.write("complete.sh", &script);
            env.run(env.command("bash").args(["-n", file.to_str().unwrap()]))
                .success();
        }
    }
}

#[test]
fn help_is_reached_in_every_way_and_mistakes_point_to_it() {
    let env = TestEnv::new();
    let by_option = env.claustre(&["task", "add", "--help"]).success().stdout;
    let by_command = env.claustre(&["help", "task", "add"]).success().stdout;
    assert_eq!(by_option, by_command);
    let mut said = super::transcript::Transcript::new(&env);
    for arguments in [
        &["tsak"][..],
        &["task", "lst"],
        &["task", "add"],
        &["task", "list", "--status", "nosuch"],
        &["task", "add", "shop", "t", "--prio", "9"],
        &["task", "add", "shop", "t", "-m", "sideways"],
        &["task", "add", "shop", "t", "--budget", "-1"],
        &["task", "add", "shop", "t", "--draft", "--launch"],
        &["task", "move", "t"],
        &["task", "\u{1b}]0;owned\u{7}"],
        &["completions", "nosuch"],
    ] {
        said.run(arguments);
    }
    insta::assert_snapshot!(said.finish());
}
