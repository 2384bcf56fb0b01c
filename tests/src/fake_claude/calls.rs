//! The calls of a turn: tools, MCP servers, questions, background commands, and the dialogs they open.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::control::Answer;
use super::mcp::text_of;
use super::payload::{HookEvent, ToolCall};
use super::permission::{self, Verdict};
use super::registry::Status;
use super::screen::{Dialog, first_line};
use super::script::{AskStep, BackgroundStep, McpStep, Substitutions, ToolStep};
use super::shared::{BackgroundTask, Event};
use super::tools;
use super::turn::{Break, Turn};

impl Turn<'_> {
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

    pub(super) fn tool(&mut self, step: &ToolStep, words: &Substitutions) -> Result<(), Break> {
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

    pub(super) fn mcp(&mut self, step: &McpStep, words: &Substitutions) -> Result<(), Break> {
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

    pub(super) fn ask(&mut self, step: &AskStep, words: &Substitutions) -> Result<(), Break> {
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

    pub(super) fn background(&mut self, step: &BackgroundStep, words: &Substitutions) {
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
