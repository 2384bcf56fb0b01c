//! What a hook reports, as strict types. Every text in here is sanitised and bounded.

use std::path::PathBuf;

use serde_json::Value;

use super::hook_wire::{HookError, WireBackgroundTask, WireHook};
pub use super::hook_words::{
    EndReason, NotificationKind, PermissionMode, StartSource, StopFailureKind,
};
use super::permission;
use super::suggestion::Suggestion;
use crate::text;

/// Longest prompt kept from a hook, in characters; the prompt itself stays with whoever sent it.
const PROMPT_LIMIT: usize = 16 * 1024;
/// Longest message, error or answer kept, in characters.
const MESSAGE_LIMIT: usize = 4 * 1024;
/// Longest name, id or path kept, in characters.
const NAME_LIMIT: usize = 4 * 1024;

/// One hook call: who it concerns, and what happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Hook {
    /// The conversation's id. It changes on `/clear`, so it never names a Claustre session by itself.
    pub claude_session_id: String,
    /// The conversation's transcript, as the client names it.
    pub transcript_path: Option<PathBuf>,
    /// The client's working directory at that moment.
    pub cwd: PathBuf,
    /// Which prompt the event belongs to; none before the first.
    pub prompt_id: Option<String>,
    /// The permission mode in force, where the event tells it.
    pub permission_mode: Option<PermissionMode>,
    /// The effort level in force, where the event tells it.
    pub effort: Option<String>,
    /// Set when the event comes from a subagent.
    pub agent_id: Option<String>,
    /// What happened.
    pub event: HookEvent,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum HookEvent {
    /// The client is up, or started over inside the same process.
    SessionStarted {
        /// Why.
        source: StartSource,
        /// The model; absent after `/clear`.
        model: Option<String>,
    },
    /// A prompt was taken up and the turn begins.
    PromptSubmitted {
        /// What was asked, cut to a bound.
        prompt: String,
        /// Not a person's prompt: a background task ended and woke the model.
        is_wakeup: bool,
    },
    /// A tool is about to run (its permission may still be asked).
    ToolStarted {
        /// The call.
        tool: ToolCall,
    },
    /// A tool ran to its end.
    ToolFinished {
        /// The call.
        tool: ToolCall,
        /// False when it was interrupted.
        ok: bool,
        /// Run time in milliseconds.
        duration_ms: Option<u64>,
    },
    /// A tool failed or was interrupted.
    ToolFailed {
        /// The call.
        tool: ToolCall,
        /// What it said.
        error: String,
        /// The user stopped it.
        is_interrupt: bool,
    },
    /// A permission dialog is on screen. It may be answered by the hook or by the user, who is first.
    PermissionRequested {
        /// The call that needs permission; it has no id here.
        tool: ToolCall,
        /// The whole input, sanitised and bounded.
        input: Value,
        /// The whole question for the person who decides.
        full_view: String,
        /// What the client offers beside allow and deny.
        suggestions: Vec<Suggestion>,
    },
    /// The model asks the user something, with choices.
    QuestionAsked {
        /// In the order asked.
        questions: Vec<Question>,
        /// The tool's input exactly as it came, for the answer; never to be shown.
        raw_input: Value,
    },
    /// The client told the user something.
    Notified {
        /// What kind of notice.
        kind: NotificationKind,
        /// Its text.
        message: String,
    },
    /// The turn is over.
    Stopped {
        /// The model's last words: the turn's summary.
        last_message: String,
        /// What still runs behind it.
        background_tasks: Vec<BackgroundTask>,
        /// The turn was already continued by a Stop hook.
        stop_hook_active: bool,
    },
    /// The turn ended by an error of the API.
    StopFailed {
        /// Which.
        kind: StopFailureKind,
        /// The text on the user's screen.
        message: String,
    },
    /// A subagent began.
    SubagentStarted {
        /// Such as `general-purpose`.
        agent_type: String,
    },
    /// A subagent ended.
    SubagentStopped {
        /// Such as `general-purpose`; empty for the client's own helpers.
        agent_type: String,
        /// Its transcript, where its tokens are.
        transcript_path: Option<PathBuf>,
        /// Its last words.
        last_message: String,
    },
    /// The conversation is about to be compacted.
    Compacting {
        /// The user asked for it; otherwise it happens inside a turn.
        is_manual: bool,
    },
    /// The conversation was compacted.
    Compacted {
        /// The user asked for it; otherwise the turn goes on.
        is_manual: bool,
    },
    /// The conversation ended.
    SessionEnded {
        /// Why.
        reason: EndReason,
    },
    /// The client moved to another directory.
    CwdChanged {
        /// From.
        old: PathBuf,
        /// To.
        new: PathBuf,
    },
    /// An event of no meaning to Claustre, or one it does not know.
    Other {
        /// Its name in the client's spelling.
        name: String,
    },
}

/// A tool call, for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// The tool's name in the client's spelling, such as `Bash` or `mcp__lab__ping`.
    pub name: String,
    /// One line that says what it does: `Bash: npm test`.
    pub summary: String,
    /// Joins the events of one call; permission requests lack it.
    pub tool_use_id: Option<String>,
}

/// One question of the model to the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// A word or two.
    pub header: String,
    /// The question.
    pub question: String,
    /// The choices offered; the user may always answer freely.
    pub options: Vec<QuestionOption>,
    /// More than one choice may be taken.
    pub multi_select: bool,
}

/// One choice of a [`Question`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuestionOption {
    /// The choice.
    pub label: String,
    /// What it means.
    pub description: String,
}

/// Something still running after the turn's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackgroundTask {
    /// The client's id of it.
    pub id: String,
    /// Such as `shell`.
    pub kind: String,
    /// Such as `running`.
    pub status: String,
    /// What it is, from its description or else its command, in one line.
    pub summary: String,
}

impl BackgroundTask {
    /// Whether it still runs, as far as the client says.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self.status.as_str(), "running" | "pending" | "")
    }
}

impl TryFrom<WireHook> for Hook {
    type Error = HookError;

    fn try_from(wire: WireHook) -> Result<Self, HookError> {
        let name = wire
            .hook_event_name
            .clone()
            .filter(|name| !name.trim().is_empty());
        let name = name.ok_or(HookError::Missing {
            field: "hook_event_name",
        })?;
        let session = wire
            .session_id
            .as_deref()
            .map(short)
            .filter(|id| !id.is_empty());
        let claude_session_id = session.ok_or(HookError::Missing {
            field: "session_id",
        })?;
        let cwd = PathBuf::from(wire.cwd.clone().unwrap_or_default());
        Ok(Self {
            claude_session_id,
            transcript_path: wire.transcript_path.as_deref().and_then(path),
            prompt_id: wire.prompt_id.as_deref().map(short),
            permission_mode: wire.permission_mode.clone().map(PermissionMode::from),
            effort: wire
                .effort
                .as_ref()
                .and_then(|effort| effort.level.as_deref())
                .map(short),
            agent_id: wire
                .agent_id
                .as_deref()
                .map(short)
                .filter(|id| !id.is_empty()),
            event: event(&name, &wire, &cwd),
            cwd,
        })
    }
}

fn event(name: &str, wire: &WireHook, cwd: &std::path::Path) -> HookEvent {
    let word = |value: &Option<String>| short(value.as_deref().unwrap_or_default());
    let message = |value: &Option<String>| {
        text::sanitise(value.as_deref().unwrap_or_default(), MESSAGE_LIMIT)
    };
    let call = || {
        let name = wire.tool_name.as_deref().unwrap_or_default();
        ToolCall {
            name: short(name),
            summary: permission::summary(name, &wire.tool_input, cwd),
            tool_use_id: wire.tool_use_id.as_deref().map(short),
        }
    };
    match name {
        "SessionStart" => HookEvent::SessionStarted {
            source: match wire.source.as_deref().unwrap_or_default() {
                "startup" => StartSource::Startup,
                "resume" => StartSource::Resume,
                "clear" => StartSource::Clear,
                "compact" => StartSource::Compact,
                other => StartSource::Other(short(other)),
            },
            model: wire.model.as_deref().map(short),
        },
        "UserPromptSubmit" => {
            let prompt = wire.prompt.as_deref().unwrap_or_default();
            HookEvent::PromptSubmitted {
                prompt: text::sanitise(prompt, PROMPT_LIMIT),
                is_wakeup: prompt.trim_start().starts_with("<task-notification>"),
            }
        }
        "PreToolUse" => HookEvent::ToolStarted { tool: call() },
        "PostToolUse" => HookEvent::ToolFinished {
            tool: call(),
            ok: wire
                .tool_response
                .as_ref()
                .and_then(|response| response.interrupted)
                != Some(true),
            duration_ms: wire.duration_ms,
        },
        "PostToolUseFailure" => HookEvent::ToolFailed {
            tool: call(),
            error: message(&wire.error),
            is_interrupt: wire.is_interrupt == Some(true),
        },
        "PermissionRequest" => permission_request(wire, call(), cwd),
        "Notification" => HookEvent::Notified {
            kind: match wire.notification_type.as_deref().unwrap_or_default() {
                "permission_prompt" => NotificationKind::PermissionPrompt,
                "idle_prompt" => NotificationKind::IdlePrompt,
                other => NotificationKind::Other(short(other)),
            },
            message: message(&wire.message),
        },
        "Stop" => HookEvent::Stopped {
            last_message: message(&wire.last_assistant_message),
            background_tasks: wire
                .background_tasks
                .iter()
                .take(100)
                .map(background_task)
                .collect(),
            stop_hook_active: wire.stop_hook_active == Some(true),
        },
        "StopFailure" => HookEvent::StopFailed {
            kind: StopFailureKind::from_word(wire.error.as_deref().unwrap_or("unknown")),
            message: message(&wire.last_assistant_message),
        },
        "SubagentStart" => HookEvent::SubagentStarted {
            agent_type: word(&wire.agent_type),
        },
        "SubagentStop" => HookEvent::SubagentStopped {
            agent_type: word(&wire.agent_type),
            transcript_path: wire.agent_transcript_path.as_deref().and_then(path),
            last_message: message(&wire.last_assistant_message),
        },
        "PreCompact" => HookEvent::Compacting {
            is_manual: wire.trigger.as_deref() == Some("manual"),
        },
        "PostCompact" => HookEvent::Compacted {
            is_manual: wire.trigger.as_deref() == Some("manual"),
        },
        "SessionEnd" => HookEvent::SessionEnded {
            reason: match wire.reason.as_deref().unwrap_or_default() {
                "prompt_input_exit" => EndReason::PromptInputExit,
                "clear" => EndReason::Clear,
                "logout" => EndReason::Logout,
                other => EndReason::Other(short(other)),
            },
        },
        "CwdChanged" => HookEvent::CwdChanged {
            old: wire.old_cwd.clone().unwrap_or_default().into(),
            new: wire.new_cwd.clone().unwrap_or_default().into(),
        },
        other => HookEvent::Other { name: short(other) },
    }
}

fn permission_request(wire: &WireHook, tool: ToolCall, cwd: &std::path::Path) -> HookEvent {
    if tool.name == "AskUserQuestion" {
        let questions = questions(&wire.tool_input);
        if !questions.is_empty() {
            return HookEvent::QuestionAsked {
                questions,
                raw_input: wire.tool_input.clone(),
            };
        }
    }
    HookEvent::PermissionRequested {
        input: permission::bounded_input(&wire.tool_input),
        full_view: permission::full_view(&tool.name, &wire.tool_input, cwd),
        suggestions: wire
            .permission_suggestions
            .iter()
            .take(20)
            .map(Suggestion::from_wire)
            .collect(),
        tool,
    }
}

/// Reads the questions of an AskUserQuestion call; none when its input has another shape.
fn questions(input: &Value) -> Vec<Question> {
    let text_of = |value: &Value, name: &str| {
        text::sanitise(
            value.get(name).and_then(Value::as_str).unwrap_or_default(),
            MESSAGE_LIMIT,
        )
    };
    let list = |value: &Value, name: &str| {
        value
            .get(name)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    list(input, "questions")
        .iter()
        .take(10)
        .filter(|question| question.get("question").is_some_and(Value::is_string))
        .map(|question| Question {
            header: text_of(question, "header"),
            question: text_of(question, "question"),
            options: list(question, "options")
                .iter()
                .take(20)
                .map(|option| QuestionOption {
                    label: text_of(option, "label"),
                    description: text_of(option, "description"),
                })
                .collect(),
            multi_select: question.get("multiSelect").and_then(Value::as_bool) == Some(true),
        })
        .collect()
}

fn background_task(wire: &WireBackgroundTask) -> BackgroundTask {
    let word = |value: &Option<String>| short(value.as_deref().unwrap_or_default());
    let described = wire
        .description
        .as_deref()
        .filter(|text| !text.trim().is_empty());
    BackgroundTask {
        id: word(&wire.id),
        kind: word(&wire.kind),
        status: word(&wire.status),
        summary: text::one_line(
            described.or(wire.command.as_deref()).unwrap_or_default(),
            200,
        ),
    }
}

fn short(value: &str) -> String {
    text::one_line(value, NAME_LIMIT)
}

fn path(value: &str) -> Option<PathBuf> {
    (!value.is_empty()).then(|| PathBuf::from(value))
}

#[cfg(test)]
#[path = "hook_event_tests.rs"]
mod tests;
