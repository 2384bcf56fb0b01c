//! The stand-in for `gh` as a program on the PATH of an environment.

use claustre_tests::TestEnv;
use serde_json::json;

#[test]
fn a_pull_request_is_created_from_the_current_branch_and_seen_afterwards() {
    let env = TestEnv::new();
    let repository = env.git_repo("shop");
    env.git(&repository, &["switch", "--quiet", "--create", "task/fix"]);
    env.gh_state(&json!({"repository": "you/shop"}));
    let gh = |arguments: &[&str]| {
        let mut command = env.command("gh");
        env.run(command.args(arguments).current_dir(&repository))
    };
    insta::assert_snapshot!(gh(&["pr", "view", "--json", "number"]).snapshot(), @r#"
    exit: 1
    ----- stdout -----

    ----- stderr -----
    no pull requests found for branch "task/fix"
    "#);
    gh(&["pr", "create", "--title", "Fix it", "--body", "Because"]).success();
    let seen = gh(&["pr", "view", "--json", "number,title,state"])
        .success()
        .json();
    assert_eq!(
        seen,
        json!({"number": 1, "title": "Fix it", "state": "OPEN"})
    );
    assert_eq!(env.gh_calls().len(), 3);
}
