//! What the hooks of a session, one after the other, say it is doing.
//!
//! A pure fold. Where it is blind (no hook reports Esc, for instance) `fuse` looks at other sources.

use claustre_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::hook_event::{
    EndReason, Hook, HookEvent, NotificationKind, StartSource, StopFailureKind,
};

/// The state after the hooks heard so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HookState {
    /// Where the conversation is.
    pub phase: Phase,
    /// Since when it is in that phase.
    pub since: Timestamp,
    /// When the last hook came that says anything of the phase.
    pub heard_at: Timestamp,
    /// Open questions to a person, oldest first.
    pub pending: Vec<Pending>,
}

/// Where a conversation is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The client is up and no turn has begun.
    Ready,
    /// A turn runs.
    Working,
    /// The turn is over.
    TurnEnded {
        /// What still runs behind it, in one line.
        background: Option<String>,
    },
    /// A person stopped the turn.
    Interrupted,
    /// The API ended the turn.
    Failed {
        /// The usage limit is reached.
        usage_limit: bool,
        /// The text on the user's screen.
        message: String,
    },
    /// The user ended the conversation.
    Ended,
    /// The client said goodbye because something outside ended it: a signal, or the end of its terminal. What that was, its launcher
    /// and the kernel tell.
    Leaving,
}

/// One open question to a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// A question of the model, not a permission.
    pub is_question: bool,
    /// The tool's name.
    pub tool: String,
    /// One line: what is asked.
    pub summary: String,
    /// The subagent that asks.
    pub agent_id: Option<String>,
    /// Since when.
    pub since: Timestamp,
}

impl HookState {
    /// The state after the first hook heard.
    #[must_use]
    pub fn first(hook: &Hook, at: Timestamp) -> Self {
        let mut state = Self {
            phase: Phase::Ready,
            since: at,
            heard_at: at,
            pending: Vec::new(),
        };
        state.apply(hook, at);
        state
    }

    /// Takes in one hook. One that is older than the newest heard (it came by the spool) opens and
    /// closes questions, but does not turn the phase back.
    pub fn apply(&mut self, hook: &Hook, at: Timestamp) {
        let is_subagent = hook.agent_id.is_some();
        match &hook.event {
            HookEvent::SessionStarted { source, .. } => match source {
                // Inside a turn the compaction is part of it; after `/compact` PostCompact has told.
                StartSource::Compact => {}
                StartSource::Startup
                | StartSource::Resume
                | StartSource::Clear
                | StartSource::Other(_) => {
                    self.enter(Phase::Ready, at);
                    self.close_all();
                }
            },
            HookEvent::PromptSubmitted { .. } => {
                self.enter(Phase::Working, at);
                if at == self.heard_at {
                    // A new turn, even if the last one ended unheard (Esc).
                    self.since = at;
                }
                self.close_all();
            }
            HookEvent::ToolStarted { .. } => self.work(is_subagent, at),
            HookEvent::ToolFinished { tool, .. } => {
                self.close(&tool.name, &tool.summary, hook.agent_id.as_deref());
                self.work(is_subagent, at);
            }
            HookEvent::ToolFailed {
                tool, is_interrupt, ..
            } => {
                self.close(&tool.name, &tool.summary, hook.agent_id.as_deref());
                if *is_interrupt && !is_subagent {
                    self.enter(Phase::Interrupted, at);
                } else {
                    self.work(is_subagent, at);
                }
            }
            HookEvent::PermissionRequested { tool, .. } => {
                self.work(is_subagent, at);
                self.open(false, &tool.name, &tool.summary, hook, at);
            }
            HookEvent::QuestionAsked { questions, .. } => {
                self.work(is_subagent, at);
                let question = questions
                    .first()
                    .map(|question| question.question.as_str())
                    .unwrap_or_default();
                self.open(true, "AskUserQuestion", question, hook, at);
            }
            HookEvent::Notified { kind, message } => self.notice(kind, message, hook, at),
            HookEvent::Stopped {
                background_tasks, ..
            } => {
                let running = background_tasks.iter().find(|task| task.is_running());
                self.enter(
                    Phase::TurnEnded {
                        background: running.map(|task| task.summary.clone()),
                    },
                    at,
                );
                self.close_main();
            }
            HookEvent::StopFailed { kind, message } => {
                let usage_limit = *kind == StopFailureKind::RateLimit;
                self.enter(
                    Phase::Failed {
                        usage_limit,
                        message: message.clone(),
                    },
                    at,
                );
                self.close_main();
            }
            HookEvent::Compacting { .. } => self.enter(Phase::Working, at),
            HookEvent::Compacted { is_manual: true } => {
                self.enter(Phase::TurnEnded { background: None }, at)
            }
            HookEvent::Compacted { is_manual: false } => self.enter(Phase::Working, at),
            HookEvent::SessionEnded { reason } => match reason {
                // The process goes on with a new conversation; its SessionStart follows.
                EndReason::Clear => {}
                EndReason::PromptInputExit | EndReason::Logout => {
                    self.enter(Phase::Ended, at);
                    self.close_all();
                }
                EndReason::Other(_) => {
                    self.enter(Phase::Leaving, at);
                    self.close_all();
                }
            },
            // These say nothing of the phase, and a later time would make an old phase look fresh.
            HookEvent::SubagentStarted { .. }
            | HookEvent::SubagentStopped { .. }
            | HookEvent::CwdChanged { .. }
            | HookEvent::Other { .. } => {}
        }
    }

    /// The question of this tool was answered from Claustre: it is open no more.
    pub fn answered(&mut self, tool: &str, summary: &str, agent_id: Option<&str>) {
        self.close(tool, summary, agent_id);
    }

    fn notice(&mut self, kind: &NotificationKind, message: &str, hook: &Hook, at: Timestamp) {
        match kind {
            // Clients without the PermissionRequest hook tell it only so.
            NotificationKind::PermissionPrompt
                if self.pending.is_empty() && self.phase == Phase::Working =>
            {
                self.open(false, "", message, hook, at);
            }
            // It is sent only when no turn runs: whatever we missed, the turn is over.
            NotificationKind::IdlePrompt if self.phase == Phase::Working => {
                self.enter(Phase::TurnEnded { background: None }, at);
                self.close_main();
            }
            NotificationKind::PermissionPrompt
            | NotificationKind::IdlePrompt
            | NotificationKind::Other(_) => {}
        }
    }

    /// A tool is at work. A subagent in the background does not make an ended turn run again.
    fn work(&mut self, is_subagent: bool, at: Timestamp) {
        if !is_subagent || self.phase == Phase::Working {
            self.enter(Phase::Working, at);
        }
    }

    fn enter(&mut self, phase: Phase, at: Timestamp) {
        if at < self.heard_at {
            return;
        }
        self.heard_at = at;
        if self.phase != phase {
            self.phase = phase;
            self.since = at;
        }
    }

    fn open(&mut self, is_question: bool, tool: &str, summary: &str, hook: &Hook, at: Timestamp) {
        // Some versions ask the hook again for the same dialog.
        self.close(tool, summary, hook.agent_id.as_deref());
        self.pending.push(Pending {
            is_question,
            tool: tool.to_owned(),
            summary: summary.to_owned(),
            agent_id: hook.agent_id.clone(),
            since: at,
        });
    }

    /// Closes the question of this call; requests carry no call id, so tool, agent and text name it.
    fn close(&mut self, tool: &str, summary: &str, agent_id: Option<&str>) {
        let is_same = |one: &Pending| {
            one.agent_id.as_deref() == agent_id
                && one.tool == tool
                && (one.is_question || one.summary == summary)
        };
        self.pending.retain(|one| !is_same(one));
        // A notice does not name its tool: any finished tool of the main agent answers it.
        self.pending
            .retain(|one| !(one.tool.is_empty() && agent_id.is_none()));
    }

    /// The main agent's turn is over; a subagent in the background may still ask.
    fn close_main(&mut self) {
        self.pending.retain(|one| one.agent_id.is_some());
    }

    fn close_all(&mut self) {
        self.pending.clear();
    }
}
