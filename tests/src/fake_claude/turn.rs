//! One turn: the prompt's hooks, the script's steps, the Stop hooks and what they ask for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::control::Interrupted;
use super::hooks::Outcome;
use super::payload::HookEvent;
use super::registry::Status;
use super::screen::first_line;
use super::script::{ErrorStep, Step, Substitutions};
use super::shared::{Shared, TurnEnd};

/// Stop hooks may keep a turn going this many times in a row.
const STOP_HOOK_CAP: usize = 8;

/// Why the steps of a turn ended early.
pub(super) enum Break {
    Interrupted,
    /// The API failed; StopFailure has been told.
    Failed {
        usage_limit: bool,
    },
    Exit(i32),
}

impl From<Interrupted> for Break {
    fn from(_: Interrupted) -> Self {
        Self::Interrupted
    }
}

/// Runs a turn for prompts that were submitted together.
pub fn run(shared: &Arc<Shared>, prompts: Vec<String>) -> TurnEnd {
    shared.control.begin_turn();
    let mut turn = Turn {
        shared,
        prompt: String::new(),
        message: None,
        last_message: String::new(),
        answered: false,
        started: Instant::now(),
    };
    if !turn.submit(prompts) {
        shared.set_status(&Status::Idle);
        return TurnEnd::Done;
    }
    let end = turn.run();
    if matches!(end, TurnEnd::Done | TurnEnd::Interrupted(_)) {
        shared.set_status(&Status::Idle);
    }
    shared.refresh_status_line();
    end
}

pub(super) struct Turn<'a> {
    pub(super) shared: &'a Arc<Shared>,
    prompt: String,
    /// Id of the answer that the next content block belongs to.
    message: Option<String>,
    last_message: String,
    pub(super) answered: bool,
    started: Instant,
}

impl Turn<'_> {
    /// Runs UserPromptSubmit for each prompt; false when all were refused.
    fn submit(&mut self, prompts: Vec<String>) -> bool {
        for prompt in prompts {
            let prompt_id = uuid::Uuid::new_v4().to_string();
            self.shared.state().prompt_id = Some(prompt_id.clone());
            self.shared.set_status(&Status::Busy);
            let outcomes = self.shared.hook(&HookEvent::UserPromptSubmit {
                prompt: prompt.clone(),
                title: self.shared.name.clone(),
            });
            if let Some(refusal) = outcomes.iter().find(|outcome| outcome.blocks()) {
                self.shared.print(format!(
                    "UserPromptSubmit operation blocked by hook:\n[{}]: {}",
                    refusal.command,
                    refusal.stderr.trim()
                ));
                continue;
            }
            let mut state = self.shared.state();
            if state.transcript.records().is_empty() {
                state.transcript.begin(&self.shared.permission_mode);
            }
            state
                .transcript
                .user_prompt(&prompt, &prompt_id, &self.shared.permission_mode);
            drop(state);
            self.shared.print(format!("\n> {}", first_line(&prompt)));
            self.prompt = prompt;
        }
        !self.prompt.is_empty()
    }

    fn run(&mut self) -> TurnEnd {
        let mut continuations = 0;
        let mut text = self.prompt.clone();
        loop {
            match self.steps(&text) {
                Ok(()) => {}
                Err(Break::Interrupted) => return self.interrupted(),
                Err(Break::Failed { usage_limit: true }) => return TurnEnd::UsageLimit,
                Err(Break::Failed { usage_limit: false }) => return TurnEnd::Done,
                Err(Break::Exit(code)) => return TurnEnd::Exit(code),
            }
            let Some(feedback) = self.stop(continuations > 0) else {
                break;
            };
            continuations += 1;
            if continuations > STOP_HOOK_CAP {
                self.shared
                    .print("  ⎿ Stop hook blocked too many times in a row; the turn ends.");
                break;
            }
            let prompt_id = self.prompt_id();
            self.shared
                .state()
                .transcript
                .meta(&format!("Stop hook feedback:\n{feedback}"), &prompt_id);
            text = feedback;
        }
        let duration = self.started.elapsed().as_millis() as u64;
        self.shared.state().transcript.turn_over(duration);
        TurnEnd::Done
    }

    pub(super) fn prompt_id(&self) -> String {
        self.shared.state().prompt_id.clone().unwrap_or_default()
    }

    fn interrupted(&mut self) -> TurnEnd {
        self.shared
            .print("  ⎿ Interrupted · What should Claude do instead?");
        if self.answered {
            let prompt_id = self.prompt_id();
            self.shared
                .state()
                .transcript
                .interrupted(&prompt_id, false);
            return TurnEnd::Interrupted(None);
        }
        TurnEnd::Interrupted(Some(self.prompt.clone()))
    }

    fn steps(&mut self, text: &str) -> Result<(), Break> {
        let mut steps = self.shared.script.steps_for(text);
        if !matches!(
            steps.last(),
            Some(Step::Say(_) | Step::Error(_) | Step::Crash(_) | Step::Exit(_))
        ) {
            // A turn of the real client always ends with words.
            steps.push(Step::Say("Done.".into()));
        }
        let words = Substitutions {
            prompt: text.to_owned(),
            session_id: self.shared.state().session_id.clone(),
        };
        let mut steps = steps.into_iter().peekable();
        while let Some(step) = steps.next() {
            self.shared.control.pause(self.shared.pace)?;
            self.take_injected();
            match step {
                Step::Say(text) => {
                    let last = steps.peek().is_none();
                    let more = matches!(
                        steps.peek(),
                        Some(Step::Tool(_) | Step::Mcp(_) | Step::Ask(_))
                    );
                    self.say(&words.text(&text), last, more);
                }
                Step::Tool(step) => self.tool(&step, &words)?,
                Step::Mcp(step) => self.mcp(&step, &words)?,
                Step::Ask(step) => self.ask(&step, &words)?,
                Step::Usage(usage) => {
                    let mut state = self.shared.state();
                    for (key, value) in usage {
                        state.usage[key] = value;
                    }
                }
                Step::WaitMs(time) => self.shared.control.pause(Duration::from_millis(time))?,
                Step::Background(step) => self.background(&step, &words),
                Step::Error(step) => return Err(self.fail(&step)),
                Step::Crash(false) => {}
                Step::Crash(true) => crash(),
                Step::Deaf(deaf) => self.shared.control.set_deaf(deaf),
                Step::Exit(code) => return Err(Break::Exit(code)),
            }
        }
        Ok(())
    }

    /// Prompts typed while a tool ran join the turn without a UserPromptSubmit.
    fn take_injected(&mut self) {
        for prompt in self.shared.control.take_injected() {
            self.shared
                .state()
                .transcript
                .queue_operation("dequeue", &prompt);
            self.shared.print(format!("> {}", first_line(&prompt)));
        }
    }

    /// Writes a content block; the first one of an answer counts its usage.
    pub(super) fn block(&mut self, block: &Value, last: bool, more_follow: bool) -> String {
        let (id, usage) = match self.message.take() {
            Some(id) => (
                id,
                self.shared.state().last_usage.clone().unwrap_or_default(),
            ),
            None => (super::fresh_id("msg_", 20), self.shared.count_answer()),
        };
        let model = self.shared.model.trim_end_matches("[1m]").to_owned();
        let uuid = self
            .shared
            .state()
            .transcript
            .assistant(&id, &model, block, last, &usage);
        if more_follow {
            self.message = Some(id);
        }
        self.answered = true;
        self.shared.refresh_status_line();
        uuid
    }

    fn say(&mut self, text: &str, last: bool, more_follow: bool) {
        self.block(&json!({"type": "text", "text": text}), last, more_follow);
        self.last_message = text.to_owned();
        self.shared.print(format!("\n● {text}"));
    }

    /// Runs hooks whose answers nobody reads.
    pub(super) fn drop_outcomes(&self, event: &HookEvent) {
        let outcomes: Vec<Outcome> = self.shared.hook(event);
        drop(outcomes);
    }

    /// The API failed: StopFailure in place of Stop.
    fn fail(&mut self, step: &ErrorStep) -> Break {
        let usage_limit = step.kind == "rate_limit";
        let resets_at = super::now_ms() / 1000 + step.resets_in.unwrap_or(3600);
        let (status, text) = match step.kind.as_str() {
            "rate_limit" => (
                Some(429),
                format!(
                    "You've hit your session limit · resets {} (UTC)",
                    clock(resets_at)
                ),
            ),
            "overloaded" => (Some(529), "API Error: 529 Overloaded".to_owned()),
            "authentication_failed" => (
                Some(401),
                "Invalid API key · Fix external API key".to_owned(),
            ),
            "billing_error" => (Some(400), "Credit balance is too low".to_owned()),
            "server_error" => (Some(500), "API Error: 500 Internal server error".to_owned()),
            other => (Some(400), format!("API Error: 400 {other}")),
        };
        let text = step.message.clone().unwrap_or(text);
        let mut state = self.shared.state();
        state.transcript.api_error(&text, &step.kind, status);
        if usage_limit {
            state.limit_reached = Some(resets_at);
        }
        drop(state);
        self.shared.print(format!("  ⎿ {text}"));
        self.drop_outcomes(&HookEvent::StopFailure {
            error: step.kind.clone(),
            last_message: text,
        });
        let duration = self.started.elapsed().as_millis() as u64;
        self.shared.state().transcript.turn_over(duration);
        Break::Failed { usage_limit }
    }

    /// Runs the Stop hooks; returns what they want the turn to go on with.
    fn stop(&mut self, active: bool) -> Option<String> {
        let tasks: Vec<Value> = self
            .shared
            .state()
            .background
            .iter()
            .map(|task| {
                json!({"id": task.id, "type": "shell", "status": "running",
                       "description": task.description, "command": task.command})
            })
            .collect();
        let outcomes = self.shared.hook(&HookEvent::Stop {
            active,
            last_message: self.last_message.clone(),
            background_tasks: json!(tasks),
        });
        let mut errors = Vec::new();
        let mut context = Vec::new();
        for outcome in &outcomes {
            if outcome.blocks() {
                errors.push(outcome.stderr.trim().to_owned());
            }
            let Some(answer) = outcome.json() else {
                continue;
            };
            if answer["decision"] == "block" {
                errors.push(answer["reason"].as_str().unwrap_or_default().to_owned());
            }
            if let Some(text) = answer["hookSpecificOutput"]["additionalContext"].as_str() {
                context.push(text.to_owned());
            }
        }
        let ran: Vec<(String, u64)> = outcomes
            .iter()
            .map(|outcome| (outcome.command.clone(), outcome.duration_ms))
            .collect();
        if !ran.is_empty() {
            self.shared
                .state()
                .transcript
                .stop_hooks(&ran, &errors, &context);
        }
        for error in &errors {
            self.shared
                .print(format!("  ⎿ Stop hook error: {}", first_line(error)));
        }
        for text in &context {
            self.shared
                .print(format!("  ⎿ Stop hook feedback: {}", first_line(text)));
        }
        errors.extend(context);
        (!errors.is_empty()).then(|| errors.join("\n"))
    }
}

/// `11:18am` in UTC.
fn clock(unix: u64) -> String {
    let time = i64::try_from(unix)
        .ok()
        .and_then(|unix| chrono::DateTime::from_timestamp(unix, 0));
    time.map(|time| time.format("%-I:%M%P").to_string())
        .unwrap_or_default()
}

/// Ends this process as `kill -9` would.
fn crash() -> ! {
    let _killed =
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort()
}
