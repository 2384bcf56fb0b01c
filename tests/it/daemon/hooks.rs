//! Hooks that get nonsense: Claude Code must never notice.

use claustre_tests::TestEnv;

#[test]
fn nonsense_is_swallowed_with_exit_code_0_and_not_a_word() {
    let env = TestEnv::new();
    env.claustre(&["daemon", "start"]).success();
    let inputs = [
        ("empty", Vec::new()),
        ("half", b"{\"hook_event_name\": \"Stop\"".to_vec()),
        ("list", b"[1, 2, 3]".to_vec()),
        ("binary", vec![0, 0xff, 0xfe, 0x1b]),
        (
            "unknown",
            b"{\"hook_event_name\": \"NoSuchEvent\", \"x\": {\"y\": []}}".to_vec(),
        ),
        (
            "large",
            format!(
                "{{\"hook_event_name\": \"Stop\", \"x\": \"{}\"}}",
                "x".repeat(9_000_000)
            )
            .into_bytes(),
        ),
    ];
    let good = "11111111-2222-4333-8444-555555555555";
    let long = "x".repeat(10_000);
    let environments = [
        [("CLAUSTRE_SESSION_ID", good), ("CLAUSTRE_TOKEN", "wrong")],
        [
            ("CLAUSTRE_SESSION_ID", "garbage \u{1b}[2J"),
            ("CLAUSTRE_TOKEN", ""),
        ],
        [("CLAUSTRE_SESSION_ID", good), ("CLAUSTRE_HOME", "relative")],
        [
            ("CLAUSTRE_SESSION_ID", good),
            ("CLAUSTRE_HOME", "/proc/no/such/place"),
        ],
        [("CLAUSTRE_SESSION_ID", good), ("CLAUSTRE_HOME", &long)],
        [
            ("CLAUSTRE_SESSION_ID", good),
            ("ZELLIJ_PANE_ID", "not a number"),
        ],
    ];
    for (name, input) in inputs {
        let file = env.path(name);
        std::fs::write(&file, input).unwrap();
        for variables in &environments {
            for program in ["hook", "statusline"] {
                let mut command = env.command("sh");
                let script = "exec claustre \"$0\" < \"$1\"";
                let result = env.run(
                    command
                        .args(["-c", script, program])
                        .arg(&file)
                        .envs(variables.iter().copied()),
                );
                let what = format!("{program} {name} {variables:.60?}: {}", result.snapshot());
                assert_eq!(result.code, Some(0), "{what}");
                assert_eq!(result.stderr, "", "{what}");
                if program == "hook" {
                    assert_eq!(result.stdout, "", "{what}");
                }
            }
        }
    }
    env.claustre(&["status"]).success();
}
