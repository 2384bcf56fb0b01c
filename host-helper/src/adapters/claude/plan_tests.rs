use super::*;
use crate::adapters::claude::version::MEASURED;
use claustre_protocol::status::Mode;
use std::os::unix::fs::PermissionsExt;

struct Session {
    home: tempfile::TempDir,
    id: Uuid,
}

impl Session {
    fn new() -> Self {
        Self {
            home: tempfile::tempdir().expect("temp dir"),
            id: Uuid::from_u128(7),
        }
    }

    fn directory(&self) -> PathBuf {
        self.home.path().join("sessions/s1")
    }

    fn request(&self) -> PlanRequest<'static> {
        PlanRequest {
            session_id: "s1",
            claude_session_id: self.id,
            claude: Path::new("/usr/bin/claude"),
            version: MEASURED,
            claustre: Path::new("/usr/bin/claustre"),
            cwd: Path::new("/srv/wt"),
            title: "Fix login",
            permission_mode: PermissionMode::Default,
            model: None,
            effort: None,
            append_system_prompt: None,
            extra_args: &[],
            prompt: None,
            env: BTreeMap::from([("CLAUSTRE_SESSION_ID".to_owned(), "s1".to_owned())]),
            user_status_line: None,
            approve_worktree_mcp: false,
        }
    }

    /// Writes the plan, loads it as the launcher would, and gives the arguments of that start.
    fn args(&self, request: &PlanRequest<'_>, start: Start) -> Vec<String> {
        let written = write(&self.directory(), request).expect("written");
        let loaded = LaunchPlan::load(&self.directory()).expect("loaded");
        assert_eq!(written, loaded);
        loaded.command_line(start).expect("command line").args
    }
}

#[test]
fn the_first_start_names_the_id_and_later_ones_resume_it() {
    let session = Session::new();
    let directory = session.directory();
    let extra = ["--add-dir".to_owned(), "/srv/shared".to_owned()];
    let request = PlanRequest {
        model: Some("opus"),
        effort: Some("high"),
        append_system_prompt: Some("Be kind."),
        extra_args: &extra,
        prompt: Some("-v: fix \"it\"\n$HOME `x`"),
        ..session.request()
    };
    let id = session.id.to_string();
    let mcp = directory.join("mcp.json").display().to_string();
    let settings = directory.join("settings.json").display().to_string();
    let common = [
        "--name",
        "Fix login",
        "--permission-mode",
        "default",
        "--model",
        "opus",
        "--effort",
        "high",
        "--append-system-prompt",
        "Be kind.",
        "--mcp-config",
        &mcp,
        "--settings",
        &settings,
        "--add-dir",
        "/srv/shared",
    ];
    let prompt = ["--", "-v: fix \"it\"\n$HOME `x`"];
    let first = [&["--session-id", id.as_str()], &common[..], &prompt].concat();
    assert_eq!(session.args(&request, Start::First), first);
    let resumed = [&["--resume", id.as_str()], &common[..]].concat();
    assert_eq!(session.args(&request, Start::Resume), resumed);
    let prompted = [&["--resume", id.as_str()], &common[..], &prompt].concat();
    assert_eq!(session.args(&request, Start::ResumeWithPrompt), prompted);
    for name in ["settings.json", "mcp.json", "prompt.md", "launch.json"] {
        let mode = fs::metadata(directory.join(name))
            .expect(name)
            .permissions()
            .mode()
            & 0o777;
        assert_eq!(mode, 0o600, "{name}");
    }
    assert_eq!(
        fs::metadata(&directory)
            .expect("directory")
            .permissions()
            .mode()
            & 0o777,
        0o700
    );
}

#[test]
fn without_a_prompt_nothing_follows_the_options() {
    let session = Session::new();
    for prompt in [None, Some(" \n\u{1b}")] {
        let args = session.args(
            &PlanRequest {
                prompt,
                ..session.request()
            },
            Start::First,
        );
        assert!(!args.contains(&"--".to_owned()), "{args:?}");
        assert!(!session.directory().join("prompt.md").exists());
    }
}

#[test]
fn a_prompt_of_a_megabyte_is_read_from_its_file() {
    let session = Session::new();
    let prompt = "x".repeat(1_000_000);
    let args = session.args(
        &PlanRequest {
            prompt: Some(&prompt),
            ..session.request()
        },
        Start::First,
    );
    let path = session.directory().join("prompt.md");
    assert_eq!(
        args.last(),
        Some(&format!(
            "Read the file {} and do what it says.",
            path.display()
        ))
    );
    assert_eq!(fs::read(&path).expect("prompt").len(), 1_000_000);
}

#[test]
fn the_longest_prompt_that_fits_is_an_argument_the_system_takes() {
    let session = Session::new();
    let fits = "x".repeat(ARGUMENT_LIMIT - 1);
    let args = session.args(
        &PlanRequest {
            prompt: Some(&fits),
            ..session.request()
        },
        Start::First,
    );
    assert_eq!(args.last(), Some(&fits));
    let longer = "x".repeat(ARGUMENT_LIMIT);
    let args = session.args(
        &PlanRequest {
            prompt: Some(&longer),
            ..session.request()
        },
        Start::First,
    );
    assert!(
        args.last()
            .is_some_and(|last| last.starts_with("Read the file "))
    );
}

#[test]
fn control_characters_in_title_and_prompt_do_not_reach_the_client() {
    let session = Session::new();
    let request = PlanRequest {
        title: "\u{1b}]0;x\u{7}a\0b\nc",
        prompt: Some("go\0 on\u{1b}[2J"),
        ..session.request()
    };
    let args = session.args(&request, Start::First);
    assert_eq!(args[3], "ab c");
    assert_eq!(args.last().map(String::as_str), Some("go on[2J"));
    let args = session.args(
        &PlanRequest {
            title: "\u{7}",
            ..session.request()
        },
        Start::First,
    );
    assert!(!args.contains(&"--name".to_owned()));
}

fn refusal(change: impl FnOnce(&mut PlanRequest<'static>)) -> String {
    let session = Session::new();
    let mut request = session.request();
    change(&mut request);
    let error = write(&session.directory(), &request)
        .expect_err("refused")
        .to_string();
    assert!(
        !session.directory().join("launch.json").exists(),
        "a refused plan leaves no plan"
    );
    error
}

#[test]
fn what_cannot_be_started_is_refused_with_a_sentence() {
    let old = ClaudeVersion {
        major: 2,
        minor: 0,
        patch: 1,
    };
    assert_eq!(
        refusal(|request| request.version = old),
        "planning the start of Claude Code 2.0.1: version 2.1.78 or newer is needed"
    );
    let extra: &'static [String] = Box::leak(Box::new(["--resume=x".to_owned()]));
    assert!(
        refusal(|request| request.extra_args = extra)
            .contains("--resume is set by Claustre itself")
    );
    assert!(refusal(|request| request.cwd = Path::new("wt")).contains("not an absolute path"));
    assert!(refusal(|request| request.model = Some("")).contains("the model is empty"));
    assert!(
        refusal(|request| {
            request.env.insert("A=B".into(), "x".into());
        })
        .contains("no name")
    );
    let huge: &'static str = Box::leak("x".repeat(200_000).into_boxed_str());
    assert!(
        refusal(|request| request.append_system_prompt = Some(huge)).contains("at most 131071 fit")
    );
}

#[test]
fn a_plan_of_a_newer_helper_or_a_broken_one_is_refused() {
    let session = Session::new();
    write(&session.directory(), &session.request()).expect("written");
    let path = session.directory().join("launch.json");
    for (content, wanted) in [
        ("{\"version\": 9}", "format 9"),
        ("{}", "no format version"),
        ("{", "EOF"),
        ("{\"version\":1}", "missing field"),
    ] {
        fs::write(&path, content).expect("written");
        let error = LaunchPlan::load(&session.directory())
            .expect_err(content)
            .to_string();
        assert!(error.contains(wanted), "{error}");
    }
    fs::remove_file(&path).expect("removed");
    assert!(matches!(
        LaunchPlan::load(&session.directory()),
        Err(PlanError::Read { .. })
    ));
}

#[test]
fn the_mode_follows_the_work_unless_the_user_wrote_one() {
    use PermissionMode::{AcceptEdits, BypassPermissions, Default};
    assert_eq!(permission_mode(Mode::Supervised, None), Default);
    assert_eq!(permission_mode(Mode::Exploration, None), Default);
    assert_eq!(permission_mode(Mode::Autonomous, None), AcceptEdits);
    assert_eq!(
        permission_mode(Mode::Supervised, Some(&BypassPermissions)),
        BypassPermissions
    );
}

/// The limit is the kernel's, so the kernel is asked.
#[cfg(target_os = "linux")]
#[test]
fn an_argument_of_the_limit_is_the_first_that_cannot_be_executed() {
    let starts = |length: usize| {
        std::process::Command::new("true")
            .arg("x".repeat(length))
            .status()
            .is_ok()
    };
    assert!(starts(ARGUMENT_LIMIT - 1));
    assert!(!starts(ARGUMENT_LIMIT));
}
