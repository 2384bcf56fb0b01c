//! The hermetic environment itself.

use std::time::Duration;

use claustre_tests::env::claustre_binary;
use claustre_tests::{TestEnv, wait_for};

use super::skip;

#[test]
fn a_command_sees_the_variables_of_its_environment_and_no_others() {
    let env = TestEnv::new();
    env.set("OWN", "yes");
    let seen = env.run(&mut env.command("env")).success().stdout;
    let mut names: Vec<&str> = seen
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        .collect();
    names.sort_unstable();
    let expected: Vec<String> = env.variables().into_keys().collect();
    assert_eq!(names, expected);
    assert!(seen.contains("OWN=yes\n"));
    // A socket path has at most 108 bytes.
    assert!(
        env.claustre_home()
            .join("run/daemon.sock")
            .as_os_str()
            .len()
            < 80
    );
}

#[test]
fn a_result_is_one_text_without_what_differs_between_runs() {
    let env = TestEnv::new();
    let script = "echo $HOME; echo 2026-11-20T10:44:33.877Z; echo oops >&2; exit 3";
    let result = env.run(env.command("sh").args(["-c", script]));
    insta::assert_snapshot!(result.snapshot(), @r"
    exit: 3
    ----- stdout -----
    [ENV]/home
    [TIME]
    ----- stderr -----
    oops
    ");
}

#[test]
fn a_process_that_left_its_parent_ends_with_the_environment() {
    let env = TestEnv::new();
    let script = "setsid sh -c 'echo $$ >$HOME/pid; trap \"\" TERM; while :; do sleep 1; done' </dev/null >/dev/null 2>&1 &";
    env.run(env.command("sh").args(["-c", script])).success();
    let file = env.home().join("pid");
    let mut pid = String::new();
    wait_for(
        "the process to say its number",
        Duration::from_secs(10),
        || {
            pid = std::fs::read_to_string(&file).unwrap_or_default();
            pid.ends_with('\n')
        },
    );
    let process = std::path::Path::new("/proc").join(pid.trim());
    assert!(process.exists());
    drop(env);
    wait_for("its end", Duration::from_secs(5), || !process.exists());
}

#[test]
fn a_command_that_hangs_is_ended_at_the_limit() {
    let env = TestEnv::new();
    let result = env.run_within(env.command("sleep").arg("1000"), Duration::from_millis(50));
    assert!(result.is_none());
}

#[test]
fn a_repository_with_an_origin_can_push() {
    let env = TestEnv::new();
    let repository = env.git_repo_with_origin("shop");
    env.git(&repository, &["switch", "--quiet", "--create", "task/x"]);
    env.git(&repository, &["push", "--quiet", "origin", "task/x"]);
    assert_eq!(
        env.git(&repository, &["rev-parse", "origin/main"]),
        env.git(&repository, &["rev-parse", "HEAD"])
    );
}

#[test]
fn the_helper_runs_in_an_environment() {
    if claustre_binary().is_none() {
        return skip(
            "the helper in an environment",
            "the helper is not built (cargo build -p claustre)",
        );
    }
    let env = TestEnv::new();
    let result = env.claustre(&["--version"]);
    assert_eq!(result.code, Some(0), "{}", result.snapshot());
}
