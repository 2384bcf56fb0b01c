//! What the parts of a running session share.

use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};

use super::control::Control;
use super::hooks;
use super::mcp::Servers;
use super::payload::{Common, HookEvent, StatusNumbers};
use super::registry::{Registry, Status};
use super::screen::Dialog;
use super::script::Script;
use super::settings::Settings;
use super::transcript::{self, Transcript};

/// What the main loop hears of.
#[derive(Debug)]
pub enum Event {
    Input(Vec<u8>),
    InputClosed,
    Signal(i32),
    /// SessionStart hooks have run.
    Started,
    Print(String),
    Dialog(Option<(u64, Dialog)>),
    StatusLine(String),
    Redraw,
    TurnEnded(TurnEnd),
    BackgroundEnded(String),
}

/// How a turn ended.
#[derive(Debug)]
pub enum TurnEnd {
    Done,
    /// With the prompt, when nothing had been answered yet: it returns to the input box.
    Interrupted(Option<String>),
    /// The account's limit is used up: a menu opens.
    UsageLimit,
    Exit(i32),
}

/// A command running in the background.
#[derive(Clone, Debug)]
pub struct BackgroundTask {
    pub id: String,
    pub command: String,
    pub description: String,
}

/// What changes while the session runs.
pub struct State {
    pub session_id: String,
    pub prompt_id: Option<String>,
    pub transcript: Transcript,
    pub registry: Registry,
    /// Token counts of one answer.
    pub usage: Value,
    pub last_usage: Option<Value>,
    pub cost: f64,
    pub api_duration_ms: u64,
    pub lines_added: u64,
    pub lines_removed: u64,
    pub limit_reached: Option<u64>,
    pub background: Vec<BackgroundTask>,
}

pub struct Shared {
    pub home: PathBuf,
    pub cwd: PathBuf,
    pub name: Option<String>,
    pub permission_mode: String,
    pub effort: String,
    pub model: String,
    pub settings: Settings,
    pub allow: Vec<String>,
    pub script: Script,
    pub pace: std::time::Duration,
    pub started: Instant,
    pub control: Control,
    pub events: Sender<Event>,
    pub status_line: Sender<()>,
    pub servers: Mutex<Servers>,
    pub state: Mutex<State>,
}

impl Shared {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn servers(&self) -> MutexGuard<'_, Servers> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the main loop; when it is gone the process is about to end anyway.
    pub fn send(&self, event: Event) {
        drop(self.events.send(event));
    }

    pub fn print(&self, line: impl Into<String>) {
        for line in line.into().lines() {
            self.send(Event::Print(line.to_owned()));
        }
    }

    #[must_use]
    pub fn common(&self) -> Common {
        let state = self.state();
        Common {
            session_id: state.session_id.clone(),
            transcript_path: state.transcript.path().display().to_string(),
            cwd: self.cwd.display().to_string(),
            prompt_id: state.prompt_id.clone(),
            permission_mode: self.permission_mode.clone(),
            effort: self.effort.clone(),
        }
    }

    /// Runs the hooks of an event and waits for them.
    #[must_use]
    pub fn hook(&self, event: &HookEvent) -> Vec<hooks::Outcome> {
        let outcomes = hooks::run(&self.settings.hooks, event, &self.common());
        for outcome in &outcomes {
            if !matches!(outcome.exit, Some(0 | 2)) {
                let words = outcome.stderr.lines().next().unwrap_or("cancelled");
                self.print(format!(
                    "  ⎿ {} hook error: Failed with non-blocking status code: {words}",
                    event.name()
                ));
            }
        }
        outcomes
    }

    pub fn set_status(&self, status: &Status) {
        let mut state = self.state();
        let shell = *status == Status::Idle && !state.background.is_empty();
        state
            .registry
            .set_status(if shell { &Status::Shell } else { status });
        drop(state);
        self.send(Event::Redraw);
    }

    pub fn refresh_status_line(&self) {
        // Nobody listens when there is no status line.
        let _sent = self.status_line.send(());
    }

    /// Counts one answer of the model.
    pub fn count_answer(&self) -> Value {
        let mut state = self.state();
        let usage = state.usage.clone();
        let tokens = |name: &str| usage[name].as_f64().unwrap_or(0.0) / 1e6;
        state.cost += tokens("input_tokens") * 5.0
            + tokens("output_tokens") * 25.0
            + tokens("cache_read_input_tokens") * 0.5
            + tokens("cache_creation_input_tokens") * 6.25;
        state.api_duration_ms += 50;
        state.last_usage = Some(usage.clone());
        usage
    }

    #[must_use]
    pub fn status_numbers(&self) -> StatusNumbers {
        let state = self.state();
        let answered = state.last_usage.is_some() || state.limit_reached.is_some();
        let limits = self.script.rate_limits.as_ref().filter(|_| answered).map(|limits| {
            // Counted from the start of the session, so that the reset does not run away.
            let now = super::now_ms() / 1000 - self.started.elapsed().as_secs();
            let entries = limits.iter().map(|(name, limit)| {
                let mut entry = json!({"used_percentage": limit.used_percentage, "resets_at": now + limit.resets_in});
                if let Some(resets_at) = state.limit_reached
                    && name == "five_hour"
                {
                    entry = json!({"used_percentage": 100, "resets_at": resets_at});
                }
                (name.clone(), entry)
            });
            Value::Object(entries.collect())
        });
        StatusNumbers {
            session_name: self.name.clone(),
            model: self.model.clone(),
            git_worktree: transcript::git_worktree(&self.cwd),
            version: super::version(),
            cost: state.cost,
            duration_ms: self.started.elapsed().as_millis() as u64,
            api_duration_ms: state.api_duration_ms,
            lines_added: state.lines_added,
            lines_removed: state.lines_removed,
            usage: state.last_usage.clone(),
            rate_limits: limits,
        }
    }

    /// Ends with SessionEnd hooks and without a registry entry.
    pub fn end(&self, reason: &str) {
        let outcomes = self.hook(&HookEvent::SessionEnd {
            reason: reason.to_owned(),
        });
        drop(outcomes);
        self.state().registry.remove();
    }
}
