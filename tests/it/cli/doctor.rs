//! `claustre doctor`: what it finds, what it says to do, and what it mends.

use std::os::unix::fs::PermissionsExt;

use claustre_tests::TestEnv;
use serde_json::Value;

fn finding(findings: &Value, check: &str) -> Value {
    findings
        .as_array()
        .unwrap()
        .iter()
        .find(|finding| finding["check"] == check)
        .unwrap_or_else(|| panic!("no check {check} in {findings}"))
        .clone()
}

#[test]
fn all_is_well_where_all_is_well() {
    let env = TestEnv::new();
    let shop = env.git_repo("shop");
    env.install_script("zellij", "#!/bin/sh\necho zellij 0.45.1\n");
    env.trust(&shop);
    env.claustre_in(&shop, &["project", "add", "shop"])
        .success();
    let result = env.claustre(&["doctor", "--json"]);
    let findings = result.json();
    for check in [
        "home",
        "run",
        "socket path",
        "file system",
        "disk space",
        "configuration",
        "sqlite",
        "store",
        "daemon",
        "projections",
        "spool",
        "file watches",
        "open files",
        "git",
        "zellij",
        "zellij setup",
        "claude",
    ] {
        let finding = finding(&findings, check);
        assert_ne!(finding["verdict"], "fail", "{finding}");
        assert_eq!(
            finding["verdict"] == "ok",
            finding["hint"].is_null(),
            "{finding}"
        );
    }
    assert_eq!(result.code, Some(0), "{}", result.snapshot());
    let text = env.claustre(&["doctor"]);
    assert_eq!(text.code, Some(0));
    assert!(
        text.stdout
            .lines()
            .any(|line| line.starts_with("ok    store ")),
        "{}",
        text.stdout
    );
}

#[test]
fn what_fails_is_named_with_a_hint_and_exit_code_1() {
    let env = TestEnv::new();
    env.install_script("zellij", "#!/bin/sh\necho zellij 0.40.0\n");
    env.install_script("claude", "#!/bin/sh\necho '1.0.3 (Claude Code)'\n");
    env.install_script("git", "#!/bin/sh\necho git version 2.20.1\n");
    env.claustre(&["daemon", "start"]).success();
    env.claustre(&["daemon", "stop"]).success();
    env.write(
        "home/.claustre/config.toml",
        "[queue]\nmax_sessions = \"x\"\n",
    );
    std::fs::set_permissions(env.claustre_home(), PermissionsExt::from_mode(0o777)).unwrap();
    let result = env.claustre(&["doctor", "--json"]);
    assert_eq!(result.code, Some(1));
    let findings = result.json();
    for check in ["configuration", "home", "zellij", "claude", "git"] {
        let finding = finding(&findings, check);
        assert_eq!(finding["verdict"], "fail", "{finding}");
        assert!(finding["hint"].is_string(), "{finding}");
    }
    assert_eq!(finding(&findings, "store")["verdict"], "ok");
}

#[test]
fn a_changed_log_is_found() {
    let env = TestEnv::new();
    let shop = env.git_repo("shop");
    env.claustre_in(&shop, &["project", "add", "shop", "--goal", "sell things"])
        .success();
    env.claustre(&["daemon", "stop"]).success();
    claustre_tests::wait_for(
        "the daemon to end",
        std::time::Duration::from_secs(20),
        || {
            !env.claustre_home().join("claustre.db-wal").exists()
                || env.claustre(&["daemon", "status"]).code == Some(4)
        },
    );
    let path = env.claustre_home().join("claustre.db");
    let mut store = std::fs::read(&path).unwrap();
    let word = b"sell things";
    let places: Vec<usize> = (0..store.len() - word.len())
        .filter(|at| store[*at..].starts_with(word))
        .collect();
    assert!(!places.is_empty());
    for at in places {
        store[at] = b'T';
    }
    std::fs::write(&path, store).unwrap();
    let result = env.claustre(&["doctor", "--json"]);
    let finding = finding(&result.json(), "store");
    assert_eq!(
        (result.code, finding["verdict"].as_str()),
        (Some(1), Some("fail")),
        "{finding}"
    );
    assert!(
        finding["detail"].as_str().unwrap().contains("was changed"),
        "{finding}"
    );
}

#[test]
fn fix_closes_the_home_removes_a_dead_socket_and_hands_in_reports() {
    let env = TestEnv::new();
    let home = env.claustre_home();
    std::fs::create_dir_all(home.join("run")).unwrap();
    std::fs::create_dir_all(home.join("spool")).unwrap();
    std::fs::set_permissions(&home, PermissionsExt::from_mode(0o777)).unwrap();
    drop(std::os::unix::net::UnixListener::bind(home.join("run/daemon.sock")).unwrap());
    std::fs::write(home.join("spool/1-x.ndjson"), "no report\n").unwrap();
    let mended = env.claustre(&["doctor", "--fix"]);
    for done in [
        "closed",
        "removed the dead socket",
        "the daemon takes in 1 reports",
    ] {
        assert!(
            mended.stderr.contains(done),
            "{done}: {}",
            mended.snapshot()
        );
    }
    let mode = std::fs::metadata(&home).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700);
    assert!(env.claustre(&["daemon", "status"]).code == Some(0));
    claustre_tests::wait_for(
        "the spool to be empty",
        std::time::Duration::from_secs(20),
        || {
            let names = std::fs::read_dir(home.join("spool")).unwrap();
            names.flatten().all(|entry| entry.file_name() == "bad")
        },
    );
    let kept = std::fs::read_to_string(home.join("spool/bad/1-x.ndjson")).unwrap();
    assert_eq!(kept, "no report\n", "what cannot be read is kept");
}
