//! One turn: the prompt's hooks, the script's steps, the Stop hooks and what they ask for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::control::{Answer, Interrupted};
use super::hooks::Outcome;
use super::mcp::text_of;
use super::payload::{HookEvent, ToolCall};
use super::permission::{self, Verdict};
use super::registry::Status;
use super::screen::{Dialog, first_line};
use super::script::{AskStep, BackgroundStep, ErrorStep, McpStep, Step, Substitutions, ToolStep};
use super::shared::{BackgroundTask, Event, Shared, TurnEnd};
use super::tools;

/// Stop hooks may keep a turn going this many times in a row.
const STOP_HOOK_CAP: usize = 8;

/// Why the steps of a turn ended early.
enum Break {
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

struct Turn<'a> {
    shared: &'a Arc<Shared>,
    prompt: String,
    /// Id of the answer that the next content block belongs to.
    message: Option<String>,
    last_message: String,
    answered: bool,
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

    fn prompt_id(&self) -> String {
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
    fn block(&mut self, block: &Value, last: bool, more_follow: bool) -> String {
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

    /// Announces a tool call: its content block and PreToolUse. The error is what a hook refused it with.
    fn announce(&mut self, call: &ToolCall) -> (String, Result<(), String>) {
        let block =
            json!({"type": "tool_use", "id": call.id, "name": call.name, "input": call.input});
        let source = self.block(&block, false, false);
        let outcomes = self.shared.hook(&HookEvent::PreToolUse(call.clone()));
        match outcomes.iter().find(|outcome| outcome.blocks()) {
            Some(refusal) => (
                source,
                Err(format!("PreToolUse hook error: {}", refusal.stderr.trim())),
            ),
            None => (source, Ok(())),
        }
    }

    fn tool(&mut self, step: &ToolStep, words: &Substitutions) -> Result<(), Break> {
        let mut input = words.value(&step.input);
        if step.name == "Bash" && input.get("description").is_none() {
            input["description"] = json!("Run a command");
        }
        if let Some(path) = input["file_path"].as_str() {
            // The real tools take absolute paths only.
            input["file_path"] = json!(self.shared.cwd.join(path));
        }
        let call = ToolCall {
            name: step.name.clone(),
            input,
            id: super::fresh_id("toolu_", 24),
        };
        let subject = call.input["command"]
            .as_str()
            .or(call.input["file_path"].as_str())
            .unwrap_or_default();
        self.shared
            .print(format!("\n● {}({})", call.name, first_line(subject)));

        let (source, announced) = self.announce(&call);
        if let Err(refusal) = announced {
            return self.refused(&call, &source, &refusal);
        }
        if step.needs_permission
            && let Err(refusal) = self.permission(&call)?
        {
            return self.refused(&call, &source, &refusal);
        }
        let common = self.shared.common();
        let run = step.run.as_ref().map(|command| words.text(command));
        self.shared.control.set_tool_running(true);
        let ran = tools::run(
            &call.name,
            &call.input,
            run.as_deref(),
            &common,
            &self.shared.control,
        );
        self.shared.control.set_tool_running(false);
        if ran.interrupted {
            let prompt_id = self.prompt_id();
            self.shared.state().transcript.interrupted(&prompt_id, true);
            return Err(Break::Interrupted);
        }
        let mut state = self.shared.state();
        state.lines_added += ran.lines_added;
        state.lines_removed += ran.lines_removed;
        drop(state);
        self.finish(&call, &source, ran.result, json!(ran.text), ran.duration_ms);
        Ok(())
    }

    /// Tells hooks, transcript and screen how a call went.
    fn finish(
        &mut self,
        call: &ToolCall,
        source: &str,
        result: Result<Value, String>,
        text: Value,
        duration_ms: u64,
    ) {
        let prompt_id = self.prompt_id();
        let shown = match &text {
            Value::String(text) => text.clone(),
            content => text_of(content),
        };
        self.shared.print(format!(
            "  ⎿ {}",
            first_line(if shown.is_empty() {
                "(No output)"
            } else {
                &shown
            })
        ));
        match result {
            Ok(response) => {
                self.shared
                    .state()
                    .transcript
                    .tool_result(&call.id, &prompt_id, &text, &response, false, source);
                let call = call.clone();
                let event = HookEvent::PostToolUse {
                    call: call.clone(),
                    response,
                    duration_ms,
                };
                self.drop_outcomes(&event);
                self.drop_outcomes(&HookEvent::PostToolBatch {
                    call,
                    response: text,
                });
            }
            Err(error) => {
                let result = json!(format!("Error: {error}"));
                self.shared.state().transcript.tool_result(
                    &call.id,
                    &prompt_id,
                    &json!(error),
                    &result,
                    true,
                    source,
                );
                self.drop_outcomes(&HookEvent::PostToolUseFailure {
                    call: call.clone(),
                    error,
                    is_interrupt: false,
                    duration_ms,
                });
            }
        }
    }

    /// Runs hooks whose answers nobody reads.
    fn drop_outcomes(&self, event: &HookEvent) {
        let outcomes: Vec<Outcome> = self.shared.hook(event);
        drop(outcomes);
    }

    /// The model reads why the call was refused, and goes on.
    fn refused(&mut self, call: &ToolCall, source: &str, why: &str) -> Result<(), Break> {
        let prompt_id = self.prompt_id();
        self.shared.print(format!("  ⎿ {}", first_line(why)));
        self.shared.state().transcript.tool_result(
            &call.id,
            &prompt_id,
            &json!(why),
            &json!(format!("Error: {why}")),
            true,
            source,
        );
        Ok(())
    }

    /// Asks, unless the mode or a rule decides. The outer error ends the turn, the inner one is read by the model.
    fn permission(&mut self, call: &ToolCall) -> Result<Result<(), String>, Break> {
        match permission::verdict(
            &self.shared.permission_mode,
            &self.shared.allow,
            &call.name,
            &call.input,
        ) {
            Verdict::Run => return Ok(Ok(())),
            Verdict::Refuse => {
                return Ok(Err(format!(
                    "Permission to use {} has been denied.",
                    call.name
                )));
            }
            Verdict::Ask => {}
        }
        let subject = call.input["command"]
            .as_str()
            .map_or_else(|| call.input.to_string(), str::to_owned);
        let title = match call.name.as_str() {
            "Bash" => "Bash command".to_owned(),
            name => match name
                .strip_prefix("mcp__")
                .and_then(|rest| rest.split_once("__"))
            {
                Some((server, tool)) => format!("Tool use {server} - {tool} (MCP)"),
                None => format!("{name} file"),
            },
        };
        let dialog = Dialog {
            title,
            lines: subject.lines().take(6).map(str::to_owned).collect(),
            question: "Do you want to proceed?".into(),
            options: vec![
                "Yes".into(),
                "No, and tell Claude what to do differently (esc)".into(),
            ],
            selected: 0,
        };
        match self.dialog(dialog, call) {
            Answer::Option(0) | Answer::HookAllows { .. } => Ok(Ok(())),
            Answer::HookDenies { message } => Ok(Err(message)),
            Answer::Option(_) | Answer::Dismissed => {
                let prompt_id = self.prompt_id();
                self.shared.state().transcript.interrupted(&prompt_id, true);
                self.answered = true;
                Err(Break::Interrupted)
            }
        }
    }

    /// Opens a dialog; keyboard and PermissionRequest hooks may answer it, the first one wins.
    fn dialog(&mut self, dialog: Dialog, call: &ToolCall) -> Answer {
        let number = self.shared.control.open_dialog();
        self.shared
            .set_status(&Status::Waiting("permission prompt"));
        self.shared.send(Event::Dialog(Some((number, dialog))));
        let asking = Arc::clone(self.shared);
        let event = HookEvent::PermissionRequest {
            name: call.name.clone(),
            input: call.input.clone(),
            suggestions: permission::suggestions(&call.name),
        };
        // Not ended when the keyboard is first: its answer is then dropped.
        std::thread::spawn(move || {
            for outcome in asking.hook(&event) {
                if let Some(answer) = outcome.json().as_ref().and_then(decision) {
                    asking.control.answer(number, answer);
                }
            }
        });
        let notify = super::milliseconds("FAKE_CLAUDE_NOTIFY_MS", 6000);
        let mut answer = self.shared.control.wait_answer(number, Some(notify));
        if answer.is_none() {
            let telling = Arc::clone(self.shared);
            std::thread::spawn(move || {
                drop(telling.hook(&HookEvent::Notification {
                    message: "Claude needs your permission".into(),
                    kind: "permission_prompt".into(),
                }));
            });
            answer = self.shared.control.wait_answer(number, None);
        }
        self.shared.send(Event::Dialog(None));
        self.shared.set_status(&Status::Busy);
        answer.unwrap_or(Answer::Dismissed)
    }

    fn mcp(&mut self, step: &McpStep, words: &Substitutions) -> Result<(), Break> {
        if step.optional && !self.shared.servers().is_configured(&step.server) {
            return Ok(());
        }
        let mut arguments = words.value(&step.arguments);
        if arguments.is_null() {
            arguments = json!({});
        }
        let call = ToolCall {
            name: format!("mcp__{}__{}", step.server, step.tool),
            input: arguments,
            id: super::fresh_id("toolu_", 24),
        };
        self.shared.print(format!(
            "\n● {} - {} (MCP)({})",
            step.server, step.tool, call.input
        ));
        let (source, announced) = self.announce(&call);
        if let Err(refusal) = announced {
            return self.refused(&call, &source, &refusal);
        }
        if let Err(refusal) = self.permission(&call)? {
            return self.refused(&call, &source, &refusal);
        }
        let common = self.shared.common();
        let start = Instant::now();
        let interrupted = || self.shared.control.is_interrupted();
        let result = self.shared.servers().call(
            &step.server,
            &step.tool,
            &call.input,
            &call.id,
            &common,
            &interrupted,
        );
        if interrupted() {
            return Err(Break::Interrupted);
        }
        let text = match &result {
            Ok(content) => content.clone(),
            Err(error) => json!(error),
        };
        self.finish(
            &call,
            &source,
            result,
            text,
            start.elapsed().as_millis() as u64,
        );
        Ok(())
    }

    fn ask(&mut self, step: &AskStep, words: &Substitutions) -> Result<(), Break> {
        let question = words.text(&step.question);
        let options: Vec<Value> = step
            .options
            .iter()
            .map(|label| json!({"label": label, "description": label}))
            .collect();
        let input = json!({"questions": [
            {"question": question, "header": "Question", "multiSelect": false, "options": options}]});
        let call = ToolCall {
            name: "AskUserQuestion".into(),
            input,
            id: super::fresh_id("toolu_", 24),
        };
        let (source, announced) = self.announce(&call);
        if let Err(refusal) = announced {
            return self.refused(&call, &source, &refusal);
        }
        let dialog = Dialog {
            title: "Question".into(),
            lines: Vec::new(),
            question: question.clone(),
            options: if step.options.is_empty() {
                vec!["OK".into()]
            } else {
                step.options.clone()
            },
            selected: 0,
        };
        let start = Instant::now();
        let chosen = match self.dialog(dialog.clone(), &call) {
            Answer::Option(index) => dialog.options.get(index).cloned().unwrap_or_default(),
            Answer::HookAllows { updated_input } => updated_input
                .and_then(|input| input["answers"][&question].as_str().map(str::to_owned))
                .unwrap_or_default(),
            Answer::HookDenies { message } => return self.refused(&call, &source, &message),
            Answer::Dismissed => {
                let prompt_id = self.prompt_id();
                self.shared.state().transcript.interrupted(&prompt_id, true);
                return Err(Break::Interrupted);
            }
        };
        // What comes after the answer carries it in the input, too.
        let mut call = call;
        call.input["answers"] = json!({question.clone(): chosen});
        call.input["annotations"] = json!({});
        let response = call.input.clone();
        let text = format!(
            "User has answered your questions: \"{question}\"=\"{chosen}\". You can now continue with the user's answers in mind."
        );
        self.finish(
            &call,
            &source,
            Ok(response),
            json!(text),
            start.elapsed().as_millis() as u64,
        );
        Ok(())
    }

    fn background(&mut self, step: &BackgroundStep, words: &Substitutions) {
        let task = BackgroundTask {
            id: super::fresh_id("b", 8),
            command: words.text(&step.command),
            description: step.description.clone(),
        };
        let call = ToolCall {
            name: "Bash".into(),
            input: json!({"command": task.command, "description": task.description, "run_in_background": true}),
            id: super::fresh_id("toolu_", 24),
        };
        self.shared.print(format!(
            "\n● Bash({}) in the background",
            first_line(&task.command)
        ));
        let (source, announced) = self.announce(&call);
        if announced.is_err() {
            return;
        }
        self.shared.state().background.push(task.clone());
        let text = format!("Command running in background with ID: {}", task.id);
        let response = json!({"stdout": "", "stderr": "", "interrupted": false, "isImage": false,
                              "noOutputExpected": false, "backgroundTaskId": task.id});
        self.finish(&call, &source, Ok(response), json!(text), 1);
        let running = Arc::clone(self.shared);
        std::thread::spawn(move || {
            let mut command = super::hooks::shell(&task.command);
            super::hooks::add_environment(&mut command, &running.common());
            let outcome = super::hooks::run_with_input(command, "", Duration::from_secs(3600));
            running
                .state()
                .background
                .retain(|other| other.id != task.id);
            running.send(Event::BackgroundEnded(format!(
                "<task-notification>\n<task-id>{}</task-id>\n<status>completed</status>\n<summary>Background command \"{}\" completed (exit code {})</summary>\n</task-notification>",
                task.id,
                task.description,
                outcome.exit.unwrap_or(-1)
            )));
        });
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

/// The decision in the answer of a PermissionRequest hook.
fn decision(answer: &Value) -> Option<Answer> {
    let output = &answer["hookSpecificOutput"];
    if output["hookEventName"] != "PermissionRequest" {
        return None;
    }
    let decision = &output["decision"];
    match decision["behavior"].as_str()? {
        "allow" => Some(Answer::HookAllows {
            updated_input: decision.get("updatedInput").cloned(),
        }),
        "deny" => Some(Answer::HookDenies {
            message: decision["message"]
                .as_str()
                .unwrap_or("Permission denied by hook")
                .to_owned(),
        }),
        _ => None,
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
