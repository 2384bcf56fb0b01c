use super::*;

fn gh(state: &mut Value, line: &[&str]) -> Answer {
    let arguments: Vec<String> = line.iter().map(|&word| word.to_owned()).collect();
    answer(&arguments, Some(state), "task/fix")
}

fn shop() -> Value {
    json!({"repository": "you/shop", "pull_requests": [
        {"number": 411, "headRefName": "task/old", "state": "MERGED"},
        {"number": 412, "headRefName": "task/fix", "title": "Fix it", "statusCheckRollup": [
            {"__typename": "CheckRun", "name": "build", "status": "COMPLETED", "conclusion": "SUCCESS"},
            {"__typename": "CheckRun", "name": "test", "status": "IN_PROGRESS", "conclusion": ""}]}]})
}

#[test]
fn a_pull_request_is_found_by_branch_number_and_url() {
    let mut state = shop();
    for wanted in [None, Some("412"), Some("task/fix")] {
        let mut line = vec!["pr", "view"];
        line.extend(wanted);
        line.extend(["--json", "number,state,url"]);
        assert_eq!(
            gh(&mut state, &line).stdout,
            r#"{"number":412,"state":"OPEN","url":"https://github.com/you/shop/pull/412"}"#
        );
    }
    let missing = gh(&mut state, &["pr", "view", "task/none", "--json", "number"]);
    assert_eq!(
        missing,
        Answer::error(1, "no pull requests found for branch \"task/none\"")
    );
}

#[test]
fn a_list_shows_open_ones_unless_told_otherwise() {
    let mut state = shop();
    assert_eq!(
        gh(&mut state, &["pr", "list", "--json", "number"]).stdout,
        r#"[{"number":412}]"#
    );
    let all = gh(
        &mut state,
        &[
            "pr",
            "list",
            "--state",
            "all",
            "--head",
            "task/old",
            "--json",
            "number,state",
        ],
    );
    assert_eq!(all.stdout, r#"[{"number":411,"state":"MERGED"}]"#);
    assert_eq!(
        gh(
            &mut state,
            &["pr", "list", "--head", "nope", "--json", "number"]
        )
        .stdout,
        "[]"
    );
}

#[test]
fn a_created_pull_request_is_there_afterwards() {
    let mut state = json!({"repository": "you/shop"});
    let created = gh(
        &mut state,
        &[
            "pr", "create", "--title", "T", "--body", "B", "--base", "main",
        ],
    );
    assert_eq!(created.stdout, "https://github.com/you/shop/pull/1");
    assert_eq!(
        gh(&mut state, &["pr", "view", "--json", "title"]).stdout,
        r#"{"title":"T"}"#
    );
    assert_eq!(
        gh(&mut state, &["pr", "create", "--title", "T", "--body", "B"]).code,
        1
    );
    gh(&mut state, &["pr", "merge", "1", "--squash"]);
    assert_eq!(
        gh(&mut state, &["pr", "view", "1", "--json", "state"]).stdout,
        r#"{"state":"MERGED"}"#
    );
}

#[test]
fn an_unknown_field_and_an_unknown_address_are_errors() {
    let mut state = shop();
    let answer = gh(&mut state, &["pr", "view", "--json", "numbr"]);
    assert!(answer.code == 1 && answer.stderr.starts_with("Unknown JSON field: \"numbr\""));
    assert_eq!(
        gh(&mut state, &["api", "repos/you/shop/none"]).stderr,
        "gh: Not Found (HTTP 404)"
    );
    state["api"] = json!({"repos/you/shop/pulls/412/comments": [{"body": "x"}]});
    let found = gh(
        &mut state,
        &["api", "/repos/you/shop/pulls/412/comments?per_page=100"],
    );
    assert_eq!(found.stdout, r#"[{"body":"x"}]"#);
}

#[test]
fn a_scripted_failure_counts_down() {
    let mut state = shop();
    state["fail"] = json!({"pr view": {"code": 1, "stderr": "HTTP 502", "times": 1}});
    assert_eq!(
        gh(&mut state, &["pr", "view", "--json", "number"]),
        Answer::error(1, "HTTP 502")
    );
    assert_eq!(gh(&mut state, &["pr", "view", "--json", "number"]).code, 0);
}

#[test]
fn without_a_state_nobody_is_logged_in() {
    assert_eq!(answer(&["pr".into(), "list".into()], None, "main").code, 4);
}

#[test]
fn pending_checks_have_their_own_exit_code() {
    let checks = gh(&mut shop(), &["pr", "checks"]);
    assert_eq!(
        (checks.stdout.as_str(), checks.code),
        ("build\tpass\t0\t\ntest\tpending\t0\t", 8)
    );
}
