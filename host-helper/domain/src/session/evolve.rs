//! The session, what it asked and what was sent to it, as their events make them.

use std::collections::BTreeMap;

use claustre_protocol::{
    ids::{AskId, MachineId, MessageId, ProjectId, SessionId, TaskId},
    model::AskKind,
    status::{ClaudeStatus, Mode, Reason, Source},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{
    event::{AskOutcome, Event, Recorded, SessionAsked, SessionOpened, Typed, UsageTotals},
    register::{OpenSet, Register},
};

/// What a session does, why, what told us, and since when.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SessionStanding {
    /// What.
    pub status: ClaudeStatus,
    /// Why.
    pub reason: Option<Reason>,
    /// What told us.
    pub source: Source,
    /// Since when.
    pub since: Timestamp,
    /// One line for people; may be empty.
    pub detail: String,
}

/// Where its pane is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pane {
    /// The Zellij session.
    pub zellij_session: String,
    /// The server's process: with it the pane's id is unique.
    pub server_pid: u32,
    /// The terminal pane.
    pub pane: u32,
    /// Does it still wait for a tab of its own?
    pub background: bool,
}

/// Its client's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// The client.
    pub pid: u32,
    /// The launcher, its parent.
    pub launcher_pid: u32,
}

/// One Claude Code conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// How it was ordered; none until that was heard of.
    pub opened: Option<Box<SessionOpened>>,
    /// The host it runs on.
    pub machine: Option<MachineId>,
    /// When it was ordered.
    pub created_at: Option<Timestamp>,
    /// The task it works on.
    pub task: Register<Option<TaskId>>,
    /// The task that it worked on last, or does.
    #[serde(default)]
    pub last_task: Register<TaskId>,
    /// Its worktree, its branch, and the base and commit that started from.
    pub worktree: Register<Worktree>,
    /// Its worktree was removed; the snapshot that keeps its work.
    pub removed: Register<Option<String>>,
    /// Where its pane is.
    pub pane: Register<Pane>,
    /// Its client's process, while one runs.
    pub client: Register<Option<Client>>,
    /// Claude's id of the conversation; changes on `/clear`.
    pub claude_session_id: Register<String>,
    /// Its transcript.
    pub transcript_path: Register<String>,
    /// The model in use.
    pub model: Register<Option<String>>,
    /// What it does.
    pub standing: Register<SessionStanding>,
    /// What the agent says it is doing.
    pub message: Register<String>,
    /// What it waits for.
    pub asks: OpenSet<AskId>,
    /// Messages that wait to be typed.
    pub queued: OpenSet<MessageId>,
    /// What it used for each task; without a task under the nil id.
    pub usage: BTreeMap<TaskId, Register<UsageTotals>>,
    /// Closed, and why.
    pub closed: Register<Reason>,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
}

/// A worktree as it was made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Worktree {
    /// Where.
    pub path: String,
    /// Its branch.
    pub branch: String,
    /// The branch it started from.
    pub base: String,
    /// The commit it started from.
    pub base_commit: String,
}

impl Session {
    /// The session before its first event.
    pub fn new(id: SessionId) -> Self {
        Self {
            id,
            opened: None,
            machine: None,
            created_at: None,
            task: Register::default(),
            last_task: Register::default(),
            worktree: Register::default(),
            removed: Register::default(),
            pane: Register::default(),
            client: Register::default(),
            claude_session_id: Register::default(),
            transcript_path: Register::default(),
            model: Register::default(),
            standing: Register::default(),
            message: Register::default(),
            asks: OpenSet::default(),
            queued: OpenSet::default(),
            usage: BTreeMap::new(),
            closed: Register::default(),
            closed_at: None,
        }
    }

    /// Was it ordered, and not closed since?
    pub fn is_open(&self) -> bool {
        self.opened.is_some() && self.closed.is_empty()
    }

    /// What it does.
    pub fn status(&self) -> SessionStanding {
        self.standing.value()
    }

    /// The project it belongs to.
    pub fn project(&self) -> Option<ProjectId> {
        self.opened.as_ref().map(|opened| opened.project)
    }

    /// Its mode.
    pub fn mode(&self) -> Mode {
        self.opened
            .as_ref()
            .map(|opened| opened.mode)
            .unwrap_or_default()
    }

    /// Its branch: as made, else as ordered.
    pub fn branch(&self) -> String {
        self.worktree.get().map_or_else(
            || {
                self.opened
                    .as_ref()
                    .map(|opened| opened.branch.clone())
                    .unwrap_or_default()
            },
            |worktree| worktree.branch.clone(),
        )
    }

    /// The task that its worktree is about: the last that it worked on, also after that has ended.
    pub fn about(&self) -> Option<TaskId> {
        let ordered = || self.opened.as_ref().and_then(|opened| opened.task);
        self.last_task.get().copied().or_else(ordered)
    }

    /// The name of its tab.
    pub fn tab_name(&self) -> String {
        self.opened
            .as_ref()
            .map(|opened| opened.tab_name.clone())
            .unwrap_or_default()
    }

    /// Its client's process, while one runs.
    pub fn running_client(&self) -> Option<Client> {
        self.client.get().copied().flatten()
    }

    /// Does its client wait for a prompt, with nothing else on its screen? What was typed anywhere else would go to a shell or
    /// answer a dialog.
    pub fn takes_prompts(&self) -> bool {
        let standing = self.status();
        self.is_open()
            && standing.status == ClaudeStatus::Idle
            && self.asks.is_empty()
            && !matches!(
                standing.reason,
                Some(
                    Reason::Exited
                        | Reason::Crashed
                        | Reason::Lost
                        | Reason::LaunchFailed
                        | Reason::Dialog
                        | Reason::Closed
                )
            )
    }

    /// What it used for all its tasks.
    pub fn usage_total(&self) -> UsageTotals {
        self.usage.values().filter_map(Register::get).copied().sum()
    }

    /// Folds one event in.
    pub fn evolve(&mut self, recorded: &Recorded) {
        let stamp = recorded.stamp(0);
        match &recorded.event {
            Event::SessionOpened(opened) => {
                self.claude_session_id
                    .write(opened.claude_session_id.clone(), stamp);
                self.model.write(opened.model.clone(), stamp);
                self.standing.write(
                    SessionStanding {
                        since: recorded.at(),
                        ..SessionStanding::default()
                    },
                    stamp,
                );
                self.machine = Some(recorded.hlc.machine);
                self.created_at = Some(recorded.at());
                self.opened = Some(opened.clone());
            }
            Event::SessionWorktreeReady {
                path,
                branch,
                base,
                base_commit,
                ..
            } => self.worktree.write(
                Worktree {
                    path: path.clone(),
                    branch: branch.clone(),
                    base: base.clone(),
                    base_commit: base_commit.clone(),
                },
                stamp,
            ),
            Event::SessionPaneOpened {
                zellij_session,
                server_pid,
                pane,
                background,
                ..
            } => self.pane.write(
                Pane {
                    zellij_session: zellij_session.clone(),
                    server_pid: *server_pid,
                    pane: *pane,
                    background: *background,
                },
                stamp,
            ),
            Event::SessionClientStarted {
                pid, launcher_pid, ..
            } => self.client.write(
                Some(Client {
                    pid: *pid,
                    launcher_pid: *launcher_pid,
                }),
                stamp,
            ),
            Event::SessionIdentified {
                claude_session_id,
                transcript_path,
                model,
                ..
            } => {
                self.claude_session_id
                    .write(claude_session_id.clone(), stamp);
                self.transcript_path.write(transcript_path.clone(), stamp);
                if model.is_some() {
                    self.model.write(model.clone(), stamp);
                }
            }
            Event::SessionStatusChanged {
                status,
                reason,
                source,
                since,
                detail,
                ..
            } => {
                self.standing.write_in_place(stamp, |standing| {
                    let text = std::mem::take(&mut standing.detail);
                    *standing = SessionStanding {
                        status: *status,
                        reason: *reason,
                        source: *source,
                        since: *since,
                        detail: refilled(text, detail),
                    };
                });
                if matches!(
                    reason,
                    Some(Reason::Exited | Reason::Crashed | Reason::Lost | Reason::LaunchFailed)
                ) {
                    self.client.write(None, stamp);
                }
            }
            Event::SessionReported { message, .. } => self
                .message
                .write_in_place(stamp, |text| text.clone_from(message)),
            Event::SessionAsked(asked) => self.asks.open(asked.ask),
            Event::SessionAskClosed { ask, .. } => self.asks.close(*ask),
            Event::MessageQueued { message, .. } => self.queued.open(*message),
            Event::MessageDelivered { message, .. } | Event::MessageDropped { message, .. } => {
                self.queued.close(*message);
            }
            // The edit numbers of assignments count within a task; a session goes from one task to another.
            Event::TaskAssigned { task, .. } => {
                self.task.write(Some(*task), stamp);
                self.last_task.write(*task, stamp);
            }
            Event::AssignmentEnded { .. } => self.task.write(None, stamp),
            Event::UsageRecorded { task, totals, .. } => self
                .usage
                .entry(task.unwrap_or(TaskId::new(uuid::Uuid::nil())))
                .or_default()
                .write(*totals, stamp),
            Event::SessionClosed { why, .. } => {
                self.closed.write(*why, stamp);
                self.client.write(None, stamp);
                self.closed_at = Some(
                    self.closed_at
                        .map_or(recorded.at(), |known| known.min(recorded.at())),
                );
            }
            Event::WorktreeRemoved { snapshot, .. } => self.removed.write(snapshot.clone(), stamp),
            // One host removes, restores and lets go, so its clock tells which came later.
            Event::WorktreeRestored { .. } | Event::SnapshotExpired { .. } => {
                self.removed.write(None, stamp);
            }
            _ => {}
        }
    }
}

/// The text in the memory of another one.
fn refilled(mut memory: String, text: &str) -> String {
    memory.clear();
    memory.push_str(text);
    memory
}

/// Something a session asked a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// Its id.
    pub id: AskId,
    /// What; none until that was heard of.
    pub asked: Option<Box<SessionAsked>>,
    /// How it ended.
    pub outcome: Register<AskOutcome>,
    /// The reason of a refusal, or the answer.
    pub text: Register<Option<String>>,
    /// Does a hook wait for the answer? Nothing where that was told with the ask only.
    #[serde(default)]
    pub attended: Register<bool>,
    /// The answer that was given through Claustre.
    #[serde(default)]
    pub given: Register<GivenAnswer>,
}

/// An answer given through Claustre.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenAnswer {
    /// Which.
    pub outcome: AskOutcome,
    /// The reason of a refusal, or the answer itself.
    pub text: Option<String>,
}

/// Where an ask is between the client's dialog and a person's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskState {
    /// It can be answered through Claustre.
    Open,
    /// It can only be answered in the client: nobody waits for an answer from here.
    OnlyInTab,
    /// It was answered through Claustre, and the client has not taken the answer yet.
    Answered(GivenAnswer),
    /// It is over.
    Closed(AskOutcome),
}

impl Ask {
    /// The ask before its first event.
    pub fn new(id: AskId) -> Self {
        Self {
            id,
            asked: None,
            outcome: Register::default(),
            text: Register::default(),
            attended: Register::default(),
            given: Register::default(),
        }
    }

    /// Where it is between dialog and answer.
    pub fn state(&self) -> AskState {
        if let Some(outcome) = self.outcome.get() {
            return AskState::Closed(*outcome);
        }
        if !self.asked.as_ref().is_some_and(|asked| asked.answerable) {
            return AskState::OnlyInTab;
        }
        if !self.needs_hook() {
            return AskState::Open;
        }
        match (self.given.get(), self.is_attended()) {
            (Some(given), _) => AskState::Answered(given.clone()),
            (None, true) => AskState::Open,
            (None, false) => AskState::OnlyInTab,
        }
    }

    /// Does an answer count only when a hook has taken it? Earlier versions noted only of permissions that a hook asks them.
    pub fn needs_hook(&self) -> bool {
        self.asked.as_ref().is_some_and(|asked| {
            let is_permission = asked.kind == AskKind::Permission && asked.message.is_none();
            asked.attended.is_some() || is_permission
        })
    }

    /// Does a hook wait for its answer?
    pub fn is_attended(&self) -> bool {
        let at_first = self
            .asked
            .as_ref()
            .and_then(|asked| asked.attended)
            .unwrap_or(true);
        self.attended.get().copied().unwrap_or(at_first)
    }

    /// What kind it is.
    pub fn kind(&self) -> AskKind {
        self.asked
            .as_ref()
            .map_or(AskKind::Dialog, |asked| asked.kind)
    }

    /// Folds one event in.
    pub fn evolve(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::SessionAsked(asked) => self.asked = Some(asked.clone()),
            Event::SessionAskAttended { .. } => self.attended.write(true, recorded.stamp(0)),
            Event::SessionAskUnattended { .. } => self.attended.write(false, recorded.stamp(0)),
            Event::SessionAskAnswered { outcome, text, .. } => self.given.write(
                GivenAnswer {
                    outcome: *outcome,
                    text: text.clone(),
                },
                recorded.stamp(0),
            ),
            Event::SessionAskClosed { outcome, text, .. } => {
                self.outcome.write(*outcome, recorded.stamp(0));
                self.text.write(text.clone(), recorded.stamp(0));
            }
            _ => {}
        }
    }
}

/// Where a message is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// Waits to be typed.
    #[default]
    Waiting,
    /// The client took it as a prompt.
    Delivered,
    /// Given up.
    Dropped,
}

/// A message to a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// The session it is for.
    pub session: Option<SessionId>,
    /// Its text.
    pub text: String,
    /// When it was queued.
    pub queued_at: Option<Timestamp>,
    /// Tells messages that were queued in the same millisecond apart.
    pub queued_counter: u32,
    /// Where it is.
    pub state: MessageState,
    /// When and where it was typed; none while it was not, or is to be typed once more.
    #[serde(default, skip_serializing_if = "Register::is_empty")]
    pub typed: Register<Option<Typed>>,
}

impl Message {
    /// The message before its first event.
    pub fn new(id: MessageId) -> Self {
        Self {
            id,
            session: None,
            text: String::new(),
            queued_at: None,
            queued_counter: 0,
            state: MessageState::Waiting,
            typed: Register::default(),
        }
    }

    /// Waits, and was typed: it may have arrived.
    pub fn may_have_arrived(&self) -> bool {
        self.state == MessageState::Waiting && self.typed.value().is_some()
    }

    /// Folds one event in.
    pub fn evolve(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::MessageQueued { session, text, .. } => {
                self.session = Some(*session);
                self.text.clone_from(text);
                self.queued_at = Some(recorded.at());
                self.queued_counter = recorded.hlc.reading.counter;
            }
            Event::MessageTyped { typed, .. } => {
                self.typed.write(Some(typed.clone()), recorded.stamp(0));
            }
            Event::MessageRetried { .. } => self.typed.write(None, recorded.stamp(0)),
            Event::MessageDelivered { .. } => self.state = MessageState::Delivered,
            // Delivery is the stronger fact: a message that both arrived and was given up has arrived.
            Event::MessageDropped { .. } if self.state == MessageState::Waiting => {
                self.state = MessageState::Dropped;
            }
            _ => {}
        }
    }
}
