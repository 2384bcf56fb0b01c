//! Names that somebody chose to do harm, and names that fit several things.

use claustre_tests::TestEnv;

use super::transcript::Transcript;

#[test]
fn hostile_names_are_refused_and_run_nothing() {
    let env = TestEnv::new();
    env.git_repo("shop");
    let long = "x".repeat(300);
    let mut said = Transcript::new(&env);
    said.run(&["project", "add", "shop", "shop"]).success();
    for name in [
        "-x",
        "$(id)",
        "a;b",
        "a\u{1b}]0;owned\u{7}b",
        "..",
        ".hidden",
        "a/b",
        "",
        " ",
        &long,
        "\u{202e}pohs",
    ] {
        let result = said.run(&["project", "add", "--", name, "shop"]);
        assert_eq!(result.code, Some(1), "{name:?}");
    }
    for name in [
        "-x",
        "$(touch owned)",
        "`touch owned`",
        "a;b",
        "a\u{1b}[31mb",
        "..",
        "a..b",
        "a b",
        "HEAD",
        "refs/heads/x",
        "a.lock",
        &long,
    ] {
        let option = format!("--branch={name}");
        let result = said.run(&["task", "add", "shop", "t", &option]);
        assert_eq!(result.code, Some(1), "{name:?}");
    }
    // Without an equals sign the command line takes it for an option of its own.
    assert_eq!(
        said.run(&["task", "add", "shop", "t", "--branch", "-x"])
            .code,
        Some(2)
    );
    assert_eq!(said.run(&["task", "list", "--json"]).stdout, "[]\n");
    insta::assert_snapshot!(said.finish());
    assert!(!env.home().join("code/owned").exists());
}

/// A home with the project `shop`.
fn with_shop() -> TestEnv {
    let env = TestEnv::new();
    env.git_repo("shop");
    env.claustre_in(
        &env.home().join("code"),
        &["project", "add", "shop", "shop"],
    )
    .success();
    env
}

#[test]
fn things_are_found_by_id_beginning_and_name_and_what_is_ambiguous_is_asked_back() {
    let env = with_shop();
    let ids: Vec<String> = (0..4)
        .map(|number| {
            let title = format!("Task {number}");
            let added = env.claustre(&["task", "add", "shop", &title]).success();
            added.stdout.trim().to_owned()
        })
        .collect();
    env.claustre(&["task", "add", "shop", "Twice"]).success();
    env.claustre(&["task", "add", "shop", "Twice"]).success();
    let shown = |name: &str| env.claustre(&["task", "show", name, "--json"]);
    assert_eq!(shown(&ids[3]).json()["task"]["title"], "Task 3");
    assert_eq!(shown(&ids[3][..13]).json()["task"]["title"], "Task 3");
    assert_eq!(shown("Task 3").json()["task"]["id"], ids[3].as_str());
    // Three digits are too few to be sure what was meant.
    assert_eq!(shown(&ids[3][..3]).code, Some(3));
    let twice = shown("Twice");
    assert_eq!(twice.code, Some(1));
    assert!(
        twice.stderr.contains("'Twice' names 2 tasks"),
        "{}",
        twice.stderr
    );
    assert!(
        twice.stderr.contains("hint: use one of the ids: "),
        "{}",
        twice.stderr
    );
    for name in [
        "nothing",
        "",
        "\u{1b}[2J",
        "ffffffff-ffff-4fff-8fff-ffffffffffff",
    ] {
        let none = shown(name);
        assert_eq!(none.code, Some(3), "{}", none.snapshot());
        assert!(
            none.stderr.contains("hint: claustre task list"),
            "{}",
            none.stderr
        );
        assert!(!none.stderr.contains('\u{1b}'));
    }
}

#[test]
fn a_beginning_that_fits_two_is_refused_with_both_named() {
    let env = with_shop();
    env.claustre(&["daemon", "stop"]).success();
    // Ids are made at random, so these two are written where the daemon finds them.
    let title = |number: u32| format!("Task {number}");
    let ids = two_tasks_with_one_beginning(&env, title);
    let shown = |name: &str| env.claustre(&["task", "show", name, "--json"]);
    let both = shown("1f3a");
    assert_eq!(both.code, Some(1), "{}", both.snapshot());
    assert!(
        both.stderr.contains("'1f3a' names 2 tasks"),
        "{}",
        both.stderr
    );
    let hint = "hint: use one of the ids: 1f3a9c02 (Task 1), 1f3a9c0b (Task 2)";
    assert!(both.stderr.contains(hint), "{}", both.stderr);
    let deleted = env.claustre(&["task", "delete", "1f3a", "--yes"]);
    assert_eq!(deleted.code, Some(1), "{}", deleted.snapshot());
    assert_eq!(shown("1f3a9c0b").json()["task"]["title"], title(2));
    assert_eq!(shown(&ids[0]).json()["task"]["title"], title(1));
}

/// Writes two tasks of the only project into the store of an environment without a daemon; returns their ids.
fn two_tasks_with_one_beginning(env: &TestEnv, title: impl Fn(u32) -> String) -> [String; 2] {
    use claustre_domain::{
        Context,
        command::{Command, CreateTask, TaskCommand},
        decide,
    };
    use claustre_protocol::{ids::TaskId, time::Timestamp};
    let path = env.claustre_home().join("claustre.db");
    let mut store = claustre::store::Store::open(&path, uuid::Uuid::new_v4).unwrap();
    let project = store.reader().unwrap().projects().unwrap()[0].id;
    let now = Timestamp::from_millis(chrono::Utc::now().timestamp_millis());
    [(1, 0x1f3a_9c02_u128), (2, 0x1f3a_9c0b)].map(|(number, beginning)| {
        let task = TaskId::new(uuid::Uuid::from_u128(beginning << 96));
        let create = CreateTask::new(task, project, title(number));
        let mut change = store.begin(now).unwrap();
        let command = Command::Task(TaskCommand::Create(Box::new(create)));
        for event in decide(&change, &command, Context { now }).unwrap() {
            change.append(event, "test", None).unwrap();
        }
        change.commit().unwrap();
        task.to_string()
    })
}

#[test]
fn arguments_that_are_not_text_are_refused() {
    use std::os::unix::ffi::OsStrExt;
    let env = TestEnv::new();
    env.git_repo("shop");
    let bad = std::ffi::OsStr::from_bytes(b"bad\xff");
    std::fs::create_dir(env.home().join("code").join(bad)).unwrap();
    for (before, code) in [
        (&["project", "add"][..], 2),
        (&["task", "show"], 2),
        (&["project", "add", "bad"], 1),
    ] {
        let mut command = env.command("claustre");
        let result = env.run(
            command
                .args(before)
                .arg(bad)
                .current_dir(env.home().join("code")),
        );
        assert_eq!(result.code, Some(code), "{}", result.snapshot());
        assert!(result.stderr.starts_with("error: "), "{}", result.stderr);
        assert!(result.stderr.contains("\nhint: "), "{}", result.stderr);
    }
}
