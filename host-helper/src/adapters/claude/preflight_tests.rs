use super::*;
use serde_json::json;
use std::fs;

/// A home, a repository and a worktree in a temporary directory; all well until a test changes it.
struct Machine {
    root: tempfile::TempDir,
    state: Value,
}

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("temp dir");
        for directory in ["home/.claude", "repo", "wt/.claude"] {
            fs::create_dir_all(root.path().join(directory)).expect("made");
        }
        let repository = root.path().join("repo").display().to_string();
        let state = json!({"hasCompletedOnboarding": true, "projects": {repository: {"hasTrustDialogAccepted": true}}});
        Self { root, state }
    }

    fn write(&self, path: &str, content: impl ToString) {
        fs::write(self.root.path().join(path), content.to_string()).expect("written");
    }

    fn kinds(&self, change: impl FnOnce(&mut PreflightRequest<'_>)) -> Vec<ForeseenKind> {
        self.write("home/.claude.json", &self.state);
        self.look(change).into_iter().map(|one| one.kind).collect()
    }

    fn look(&self, change: impl FnOnce(&mut PreflightRequest<'_>)) -> Vec<Foreseen> {
        let path = |name: &str| self.root.path().join(name);
        let (home, cwd, repository) = (path("home"), path("wt"), path("repo"));
        let mut request = PreflightRequest {
            home: &home,
            claude_config_dir: None,
            cwd: &cwd,
            main_repository: Some(&repository),
            api_key: None,
            permission_mode: &PermissionMode::Default,
            extra_args: &[],
            is_root: false,
            is_sandbox: false,
            has_own_mcp_json: false,
        };
        change(&mut request);
        foresee(&request)
    }
}

#[test]
fn a_machine_in_order_foresees_nothing() {
    assert_eq!(Machine::new().kinds(|_| {}), []);
}

#[test]
fn a_first_run_meets_setup_and_trust() {
    let machine = Machine::new();
    let kinds: Vec<_> = machine
        .look(|_| {})
        .into_iter()
        .map(|one| one.kind)
        .collect();
    assert_eq!(kinds, [ForeseenKind::Onboarding, ForeseenKind::Trust]);
}

#[test]
fn trust_counts_from_the_worktree_the_main_repository_or_above() {
    let mut machine = Machine::new();
    for (trusted, wanted) in [
        ("wt", true),
        ("repo", true),
        ("", true),
        ("other", false),
        ("repo/sub", false),
    ] {
        let path = machine.root.path().join(trusted);
        let path = path
            .to_str()
            .expect("text")
            .trim_end_matches('/')
            .to_owned();
        machine.state["projects"] = json!({path: {"hasTrustDialogAccepted": true}});
        assert_eq!(machine.kinds(|_| {}).is_empty(), wanted, "{trusted}");
    }
}

#[test]
fn a_key_is_known_by_its_last_twenty_characters() {
    let mut machine = Machine::new();
    let key = "sk-ant-secret-0123456789abcdefghij";
    let foreseen = |machine: &Machine, key| machine.kinds(|request| request.api_key = Some(key));
    assert_eq!(foreseen(&machine, key), [ForeseenKind::ApiKey]);
    machine.state["customApiKeyResponses"] =
        json!({"approved": ["0123456789abcdefghij"], "rejected": ["short"]});
    assert_eq!(foreseen(&machine, key), []);
    assert_eq!(foreseen(&machine, "short"), []);
    assert_eq!(foreseen(&machine, " "), []);
    machine.state["customApiKeyResponses"] = json!(7);
    assert_eq!(foreseen(&machine, key), [ForeseenKind::ApiKey]);
    let said = format!("{:?}", machine.look(|request| request.api_key = Some(key)));
    assert!(!said.contains("ghij"), "the key is never shown");
    machine.state["oauthAccount"] = json!({"emailAddress": "x"});
    assert_eq!(foreseen(&machine, key), []);
}

#[test]
fn servers_of_the_repository_are_asked_about_until_answered() {
    let mut machine = Machine::new();
    machine.write(
        "wt/.mcp.json",
        json!({"mcpServers": {"lab\u{1b}[2J": {}, "claustre": {}}}),
    );
    assert_eq!(machine.kinds(|_| {}), [ForeseenKind::McpServers]);
    let said = machine.look(|request| request.has_own_mcp_json = true);
    assert_eq!(
        said[0].what_will_be_on_screen,
        "\"New MCP server found in this project: lab\""
    );
    machine.write("wt/.mcp.json", json!({"mcpServers": {"lab": {}}}));
    let repository = machine.root.path().join("repo").display().to_string();
    machine.state["projects"][&repository]["disabledMcpjsonServers"] = json!(["lab"]);
    assert_eq!(machine.kinds(|_| {}), []);
    machine.state["projects"][&repository]["disabledMcpjsonServers"] = json!([]);
    machine.write(
        "home/.claude/settings.json",
        json!({"enableAllProjectMcpServers": true}),
    );
    assert_eq!(machine.kinds(|_| {}), []);
}

#[test]
fn work_without_permission_checks_is_warned_about() {
    let mut machine = Machine::new();
    static BYPASS: PermissionMode = PermissionMode::BypassPermissions;
    let skip: &'static [String] =
        Box::leak(Box::new(["--dangerously-skip-permissions".to_owned()]));
    assert_eq!(
        machine.kinds(|request| request.permission_mode = &BYPASS),
        [ForeseenKind::BypassWarning]
    );
    assert_eq!(
        machine.kinds(|request| request.extra_args = skip),
        [ForeseenKind::BypassWarning]
    );
    machine.state["bypassPermissionsModeAccepted"] = json!(true);
    assert_eq!(machine.kinds(|request| request.extra_args = skip), []);
    let as_root = |request: &mut PreflightRequest<'_>| {
        request.is_root = true;
    };
    assert_eq!(machine.kinds(as_root), []);
    assert_eq!(
        machine.kinds(|request| (request.extra_args, request.is_root) = (&[], true)),
        []
    );
    let kinds = machine.kinds(|request| {
        (request.permission_mode, request.is_root) = (&PermissionMode::BypassPermissions, true)
    });
    assert_eq!(kinds, [ForeseenKind::Root]);
    assert!(ForeseenKind::Root.is_fatal());
    let sandboxed = machine.kinds(|request| {
        (request.permission_mode, request.is_root, request.is_sandbox) =
            (&PermissionMode::BypassPermissions, true, true);
    });
    assert_eq!(sandboxed, []);
}

#[test]
fn hooks_switched_off_anywhere_are_found() {
    let machine = Machine::new();
    for path in [
        "home/.claude/settings.json",
        "wt/.claude/settings.json",
        "wt/.claude/settings.local.json",
    ] {
        machine.write(path, json!({"disableAllHooks": true}));
        assert_eq!(
            machine.kinds(|_| {}),
            [ForeseenKind::HooksDisabled],
            "{path}"
        );
        machine.write(path, "{}");
    }
}

#[test]
fn a_broken_file_is_named_and_nothing_is_written() {
    let machine = Machine::new();
    machine.write("home/.claude.json", "{broken");
    let found = machine.look(|_| {});
    assert_eq!(found[0].kind, ForeseenKind::BrokenConfig);
    assert!(found[0].what_to_do.contains(".claude.json"), "{found:?}");
    assert_eq!(
        fs::read_to_string(machine.root.path().join("home/.claude.json")).expect("read"),
        "{broken"
    );
    assert_eq!(
        fs::read_dir(machine.root.path().join("home"))
            .expect("list")
            .count(),
        2
    );
}
