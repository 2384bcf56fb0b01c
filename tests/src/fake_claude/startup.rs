//! From the command line to a session: what is refused, and what is read.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::args::Arguments;
use super::control::Control;
use super::mcp::Servers;
use super::registry::{self, Registry};
use super::script::Script;
use super::settings::{self, Settings};
use super::shared::{Event, Shared, State};
use super::transcript::{self, Transcript};

/// A session that is about to start.
pub struct Prepared {
    pub shared: Arc<Shared>,
    pub events: Receiver<Event>,
    pub status_line: Receiver<()>,
    /// `startup` or `resume`.
    pub source: &'static str,
    /// Text of a dialog that must be answered before anything else.
    pub obstacle: Option<String>,
}

/// The home folder of the user.
#[must_use]
pub fn home() -> PathBuf {
    std::env::var_os("HOME")
        .map(PathBuf::from)
        .unwrap_or_default()
}

/// Adds a line about this start to the log of `FAKE_CLAUDE_LOG`.
pub fn log_start() {
    use std::io::Write as _;
    let Some(path) = std::env::var_os("FAKE_CLAUDE_LOG") else {
        return;
    };
    let variables: serde_json::Map<String, Value> = std::env::vars()
        .filter(|(name, _)| {
            ["CLAUSTRE", "ZELLIJ", "CLAUDE", "ANTHROPIC", "TMUX"]
                .iter()
                .any(|start| name.starts_with(start))
        })
        .map(|(name, value)| (name, json!(value)))
        .collect();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let line = json!({"pid": std::process::id(), "cwd": Arguments::cwd(), "argv": arguments, "env": variables});
    let opened = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path);
    if let Err(error) = opened.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes())) {
        eprintln!("fake-claude: writing {}: {error}", path.display());
    }
}

/// Prepares a session.
///
/// # Errors
/// With the text for stderr; the exit code is 1.
pub fn prepare(arguments: &Arguments) -> Result<Prepared, String> {
    let home = home();
    let cwd = Arguments::cwd();
    let script = Script::load().map_err(|error| format!("fake-claude: {error:#}"))?;
    let servers = settings::mcp_servers(&arguments.mcp_config, |name| std::env::var(name).ok())?;
    let settings = Settings::load(&home, &cwd, arguments.settings.as_deref());
    let (session_id, source) = choose_session(arguments, &home, &cwd)?;

    let mut obstacle = settings.complaint.clone();
    if obstacle.is_none()
        && std::env::var("FAKE_CLAUDE_TRUST").is_ok_and(|value| value == "ask")
        && !is_trusted(&home, &cwd)
    {
        obstacle = Some(format!(
            "Accessing workspace:\n{}\nQuick safety check: Is this a project you created or one you trust?",
            cwd.display()
        ));
    }
    let transcript = Transcript::open(&home, &cwd, &session_id);
    let (cost, last_usage) = spent(&transcript);
    let registry = Registry::create(&home, &session_id, &cwd, arguments.name.as_deref());
    let (events, receiver) = std::sync::mpsc::channel();
    let (status_line, status_line_receiver): (Sender<()>, _) = std::sync::mpsc::channel();
    let mut allow = settings.allow.clone();
    for tools in &arguments.allowed_tools {
        allow.extend(tools.split(',').map(|rule| rule.trim().to_owned()));
    }
    let pace = std::env::var("FAKE_CLAUDE_PACE_MS")
        .ok()
        .and_then(|text| text.parse().ok());
    let shared = Shared {
        name: arguments.name.clone(),
        permission_mode: arguments
            .permission_mode
            .clone()
            .unwrap_or_else(|| "default".into()),
        effort: arguments.effort.clone().unwrap_or_else(|| "high".into()),
        model: arguments
            .model
            .clone()
            .unwrap_or_else(|| script.model().to_owned()),
        settings,
        allow,
        pace: Duration::from_millis(pace.or(script.pace_ms).unwrap_or(0)),
        script,
        started: Instant::now(),
        control: Control::default(),
        events,
        status_line,
        servers: Mutex::new(Servers::new(servers)),
        state: Mutex::new(State {
            session_id,
            prompt_id: None,
            transcript,
            registry,
            usage: json!({"input_tokens": 1200, "output_tokens": 50,
                          "cache_creation_input_tokens": 0, "cache_read_input_tokens": 8000}),
            last_usage,
            cost,
            api_duration_ms: 0,
            lines_added: 0,
            lines_removed: 0,
            limit_reached: None,
            background: Vec::new(),
        }),
        home,
        cwd,
    };
    Ok(Prepared {
        shared: Arc::new(shared),
        events: receiver,
        status_line: status_line_receiver,
        source,
        obstacle,
    })
}

fn choose_session(
    arguments: &Arguments,
    home: &Path,
    cwd: &Path,
) -> Result<(String, &'static str), String> {
    if let Some(id) = &arguments.resume {
        if !transcript::folder(home, cwd)
            .join(format!("{id}.jsonl"))
            .exists()
        {
            return Err(format!("No conversation found with session ID: {id}"));
        }
        return Ok((id.clone(), "resume"));
    }
    if arguments.continue_newest {
        let id = transcript::newest(home, cwd).ok_or("No conversation found to continue")?;
        return Ok((id, "resume"));
    }
    let Some(id) = &arguments.session_id else {
        return Ok((uuid::Uuid::new_v4().to_string(), "startup"));
    };
    let running = registry::alive(home)
        .iter()
        .any(|entry| entry["sessionId"] == **id);
    if running || transcript::exists_anywhere(home, id) {
        return Err(format!("Error: Session ID {id} is already in use."));
    }
    Ok((id.clone(), "startup"))
}

/// What an earlier run of the conversation used up; answers are counted once by their message id.
fn spent(transcript: &Transcript) -> (f64, Option<Value>) {
    let mut seen = std::collections::BTreeSet::new();
    let mut cost = 0.0;
    let mut last = None;
    for record in transcript.records() {
        let message = &record["message"];
        let counts = record["type"] == "assistant" && message["model"] != "<synthetic>";
        if !counts || !seen.insert(message["id"].to_string()) {
            continue;
        }
        let usage = &message["usage"];
        let tokens = |name: &str| usage[name].as_f64().unwrap_or(0.0) / 1e6;
        cost += tokens("input_tokens") * 5.0
            + tokens("output_tokens") * 25.0
            + tokens("cache_read_input_tokens") * 0.5
            + tokens("cache_creation_input_tokens") * 6.25;
        let mut short = json!({});
        for name in [
            "input_tokens",
            "output_tokens",
            "cache_creation_input_tokens",
            "cache_read_input_tokens",
        ] {
            short[name] = usage[name].clone();
        }
        last = Some(short);
    }
    (cost, last)
}

/// Trusted itself, by the main repository it is a worktree of, or by any parent folder.
fn is_trusted(home: &Path, cwd: &Path) -> bool {
    let text = std::fs::read_to_string(home.join(".claude.json")).unwrap_or_default();
    let json: Value = serde_json::from_str(&text).unwrap_or_default();
    let main = transcript::git_dir(cwd).and_then(|folder| {
        // <main>/.git/worktrees/<name>
        let parents = folder.ancestors().nth(3).map(Path::to_path_buf);
        parents.filter(|_| transcript::git_worktree(cwd).is_some())
    });
    cwd.ancestors()
        .map(Path::to_path_buf)
        .chain(main)
        .any(|folder| {
            json["projects"][folder.display().to_string()]["hasTrustDialogAccepted"] == true
        })
}
