//! What is asked for and not there: refused in a sentence, never taken and forgotten.

use claustre_tests::skip::skip;
use claustre_tests::{TestEnv, zellij};
use serde_json::json;

#[test]
fn a_budget_that_nobody_keeps_is_not_taken() {
    let env = TestEnv::new();
    let shop = env.git_repo("shop").display().to_string();
    env.claustre(&["project", "add", "shop", &shop]).success();
    let refused = env.claustre(&["task", "add", "shop", "Spend", "--budget", "5"]);
    assert_eq!(refused.code, Some(1), "{}", refused.snapshot());
    assert!(
        refused.stderr.contains("a budget is not kept yet"),
        "{}",
        refused.stderr
    );
    assert_eq!(env.claustre(&["task", "list", "--json"]).stdout, "[]\n");
    // A key that means nothing is named, too.
    std::fs::write(
        env.claustre_home().join("config.toml"),
        "[notifications]\nterminal = true\n",
    )
    .unwrap();
    let checked = env.claustre(&["config", "check"]);
    assert!(
        checked.stderr.contains("notifications.terminal"),
        "{}",
        checked.snapshot()
    );
}

#[test]
fn no_more_sessions_are_opened_than_may_work_at_once() {
    let Ok(program) = zellij::binary() else {
        return skip(
            "no_more_sessions_are_opened_than_may_work_at_once",
            "no zellij",
        );
    };
    let env = TestEnv::new();
    env.install("zellij", &program);
    let shop = env.git_repo("shop");
    env.trust(&shop);
    env.claude_script(&json!({"turns": [{"steps": [{"text": "Hm.", "delay": 600.0}]}]}));
    std::fs::create_dir_all(env.claustre_home()).unwrap();
    std::fs::write(
        env.claustre_home().join("config.toml"),
        "[queue]\nmax_sessions = 2\n",
    )
    .unwrap();
    let shop = shop.display().to_string();
    env.claustre(&["project", "add", "shop", &shop]).success();
    for number in 0..5 {
        let title = format!("Task {number}");
        env.claustre(&["task", "add", "shop", &title]).success();
    }
    // All at once, so that each might see the same free place.
    let launched: Vec<_> = std::thread::scope(|scope| {
        let launching: Vec<_> = (0..5)
            .map(|number| {
                let env = &env;
                scope.spawn(move || env.claustre(&["task", "launch", &format!("Task {number}")]))
            })
            .collect();
        launching
            .into_iter()
            .map(|launch| launch.join().unwrap())
            .collect()
    });
    let refused: Vec<_> = launched
        .iter()
        .filter(|result| result.code != Some(0))
        .collect();
    assert_eq!(refused.len(), 3, "{:?}", launched.len());
    for result in refused {
        assert!(
            result
                .stderr
                .contains("2 sessions work already, as many as [queue] max_sessions allows"),
            "{}",
            result.snapshot()
        );
    }
}
