//! Everything that has happened, in the past tense. Stored for ever: a variant or field is added, never changed or removed.

use claustre_protocol::{
    ids::{AskId, AssignmentId, EventId, MessageId, ProjectId, SessionId, SubtaskId, TaskId},
    model::AskKind,
    request::ShownLoss,
    status::{
        ClaudeStatus, LogLevel, Mode, Priority, ProjectStatus, PushMode, Reason, Source, TaskStatus,
    },
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{register::Edit, time::Hlc};

/// The version that [`Event`]s are stored with.
pub const EVENT_VERSION: u32 = 1;

/// A fact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event_type", content = "payload", rename_all = "snake_case")]
pub enum Event {
    /// A repository was added under a name.
    ProjectAdded(ProjectAdded),
    /// Some of its fields changed.
    ProjectEdited(ProjectEdited),
    /// It was taken off the list; its repository was not touched.
    ProjectRemoved { project: ProjectId, edit_no: u32 },

    /// A task was written.
    TaskCreated(Box<TaskCreated>),
    /// Some of its fields changed.
    TaskEdited(Box<TaskEdited>),
    /// It moved on the board.
    TaskStatusChanged {
        task: TaskId,
        from: TaskStatus,
        to: TaskStatus,
        reason: Option<String>,
        edit_no: u32,
    },
    /// It got another place in the queue.
    TaskMoved {
        task: TaskId,
        rank: f64,
        edit_no: u32,
    },
    /// It was taken off the board.
    TaskDeleted { task: TaskId, edit_no: u32 },
    /// A deletion was taken back.
    TaskRestored { task: TaskId, edit_no: u32 },
    /// A session began to work on it.
    TaskAssigned {
        assignment: AssignmentId,
        task: TaskId,
        session: SessionId,
        edit_no: u32,
    },
    /// The session does not work on it any more.
    AssignmentEnded {
        assignment: AssignmentId,
        task: TaskId,
        session: SessionId,
        why: String,
        edit_no: u32,
    },
    /// Its pull request was seen.
    TaskPullRequestSeen {
        task: TaskId,
        url: String,
        edit_no: u32,
    },
    /// A line for its timeline, from the agent or from us.
    TaskNoted {
        task: Option<TaskId>,
        session: Option<SessionId>,
        source: String,
        level: LogLevel,
        text: String,
    },
    /// A step was added.
    SubtaskAdded {
        task: TaskId,
        subtask: SubtaskId,
        title: String,
        position: u32,
    },
    /// A step was finished, or opened again.
    SubtaskCompleted {
        task: TaskId,
        subtask: SubtaskId,
        done: bool,
        edit_no: u32,
    },
    /// A step was removed.
    SubtaskRemoved {
        task: TaskId,
        subtask: SubtaskId,
        edit_no: u32,
    },

    /// A session was ordered; its worktree and pane are on the way.
    SessionOpened(Box<SessionOpened>),
    /// Its worktree is there.
    SessionWorktreeReady {
        session: SessionId,
        path: String,
        branch: String,
        base: String,
        base_commit: String,
        reused: bool,
        notes: Vec<String>,
    },
    /// Its pane is there.
    SessionPaneOpened {
        session: SessionId,
        zellij_session: String,
        server_pid: u32,
        pane: u32,
        background: bool,
    },
    /// Its launcher started the client.
    SessionClientStarted {
        session: SessionId,
        pid: u32,
        launcher_pid: u32,
        resumed: bool,
    },
    /// The client told who it is.
    SessionIdentified {
        session: SessionId,
        claude_session_id: String,
        transcript_path: String,
        model: Option<String>,
    },
    /// It does something else now.
    SessionStatusChanged {
        session: SessionId,
        status: ClaudeStatus,
        reason: Option<Reason>,
        source: Source,
        since: Timestamp,
        detail: String,
    },
    /// The agent said by MCP what it is doing.
    SessionReported {
        session: SessionId,
        task: Option<TaskId>,
        state: String,
        message: String,
    },
    /// It waits for a person's answer.
    SessionAsked(Box<SessionAsked>),
    /// A hook of its client waits for the answer.
    SessionAskAttended { session: SessionId, ask: AskId },
    /// No hook waits for the answer any more: it can only be given in the client itself.
    SessionAskUnattended { session: SessionId, ask: AskId },
    /// It was answered through Claustre. The client has not taken the answer yet.
    SessionAskAnswered {
        session: SessionId,
        task: Option<TaskId>,
        ask: AskId,
        outcome: AskOutcome,
        text: Option<String>,
    },
    /// It does not wait for that answer any more: it was taken, or is not wanted.
    SessionAskClosed {
        session: SessionId,
        task: Option<TaskId>,
        ask: AskId,
        outcome: AskOutcome,
        text: Option<String>,
    },
    /// A message waits to be typed.
    MessageQueued {
        message: MessageId,
        session: SessionId,
        task: Option<TaskId>,
        text: String,
        from: String,
    },
    /// It is about to be typed into a client: from here on it may have arrived.
    MessageTyped {
        message: MessageId,
        session: SessionId,
        task: Option<TaskId>,
        typed: Typed,
    },
    /// It was typed and did not arrive: a person wants it typed once more.
    MessageRetried {
        message: MessageId,
        session: SessionId,
        task: Option<TaskId>,
    },
    /// It was typed, and the client took it as a prompt.
    MessageDelivered {
        message: MessageId,
        session: SessionId,
        task: Option<TaskId>,
    },
    /// It was given up; its text stays in the timeline.
    MessageDropped {
        message: MessageId,
        session: SessionId,
        task: Option<TaskId>,
        why: String,
    },
    /// What a session has used for a task so far, in all.
    UsageRecorded {
        session: SessionId,
        task: Option<TaskId>,
        totals: UsageTotals,
    },
    /// It was closed.
    SessionClosed {
        session: SessionId,
        why: Reason,
        /// What the person who closed it was shown of what goes for good with its worktree.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shown: Option<ShownLoss>,
    },
    /// Its worktree was removed, its work is kept.
    WorktreeRemoved {
        session: SessionId,
        project: ProjectId,
        task: Option<TaskId>,
        branch: String,
        snapshot: Option<String>,
        branch_deleted: bool,
    },
    /// A removed worktree was brought back.
    WorktreeRestored {
        session: SessionId,
        path: String,
        edit_no: u32,
    },
    /// What was kept of a removed worktree was let go.
    SnapshotExpired {
        session: SessionId,
        snapshot: String,
    },
}

/// Payload of `project_added`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProjectAdded {
    pub project: ProjectId,
    pub name: String,
    pub repo_path: String,
    pub default_branch: String,
    pub goal: String,
    pub owner: String,
}

/// Payload of `project_edited`; what is absent stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProjectEdited {
    pub project: ProjectId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Edit<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<Edit<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Edit<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_branch: Option<Edit<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Edit<ProjectStatus>>,
}

/// Payload of `task_created`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskCreated {
    pub task: TaskId,
    pub project: ProjectId,
    pub title: String,
    pub description: String,
    pub status: TaskStatus,
    pub mode: Mode,
    pub priority: Priority,
    pub rank: f64,
    pub base: Option<String>,
    pub branch: Option<String>,
    pub push_mode: PushMode,
    pub review_loop: bool,
    pub depends_on: Vec<TaskId>,
    pub model: Option<String>,
    pub effort: Option<String>,
    pub permission_mode: Option<String>,
    pub budget_usd: Option<f64>,
    pub subtasks: Vec<NewSubtask>,
}

/// A step that comes with its task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewSubtask {
    pub subtask: SubtaskId,
    pub title: String,
}

/// Payload of `task_edited`; what is absent stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskEdited {
    pub task: TaskId,
    #[serde(flatten)]
    pub changes: TaskChanges,
}

/// The fields of a task that a person edits.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskChanges {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<Edit<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Edit<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Edit<Mode>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Edit<Priority>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<Edit<Option<String>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<Edit<Option<String>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push_mode: Option<Edit<PushMode>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review_loop: Option<Edit<bool>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<Edit<Vec<TaskId>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Edit<Option<String>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<Edit<Option<String>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission_mode: Option<Edit<Option<String>>>,
}

/// Payload of `session_opened`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionOpened {
    pub session: SessionId,
    pub project: ProjectId,
    pub task: Option<TaskId>,
    pub title: String,
    pub branch: String,
    pub base: Option<String>,
    pub tab_name: String,
    pub mode: Mode,
    pub host: String,
    /// The id our first start gives the conversation.
    pub claude_session_id: String,
    /// SHA-256 of the session's token, hexadecimal.
    pub token_hash: String,
    pub prompt: Option<String>,
    pub model: Option<String>,
    pub effort: Option<String>,
    pub permission_mode: Option<String>,
}

/// Payload of `session_asked`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionAsked {
    pub session: SessionId,
    pub task: Option<TaskId>,
    pub ask: AskId,
    pub kind: AskKind,
    pub title: String,
    pub detail: String,
    pub options: Vec<String>,
    pub answerable: bool,
    pub since: Timestamp,
    /// Claustre asks, not the client: whether this message arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    /// For what a hook asks: did it wait for the answer? None where no hook must take it, and in events of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attended: Option<bool>,
}

/// The moment at which a message is typed, for whoever looks later whether it arrived.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Typed {
    /// The client's process: another one has an empty prompt box.
    pub client: u32,
    /// The transcript of the conversation; empty where none is known.
    #[serde(default)]
    pub transcript: String,
    /// Its length in bytes: what arrives stands behind that.
    #[serde(default)]
    pub offset: u64,
}

/// How an [`SessionAsked`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskOutcome {
    /// Allowed through Claustre.
    Approved,
    /// Refused through Claustre.
    Denied,
    /// Answered through Claustre.
    Answered,
    /// Answered in the client itself.
    Elsewhere,
    /// The turn or the client ended before an answer came.
    Gone,
}

/// Totals since the session began to work on the task; later totals replace earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UsageTotals {
    /// Read without any cache.
    pub input_tokens: u64,
    /// Written.
    pub output_tokens: u64,
    /// Read from the cache.
    pub cache_read_tokens: u64,
    /// Written to the cache.
    pub cache_write_tokens: u64,
    /// In USD.
    pub cost: f64,
}

impl UsageTotals {
    /// All that was read, caches included.
    pub fn input_all(&self) -> u64 {
        self.input_tokens + self.cache_read_tokens + self.cache_write_tokens
    }
}

impl std::iter::Sum for UsageTotals {
    fn sum<Each: Iterator<Item = Self>>(each: Each) -> Self {
        each.fold(Self::default(), |sum, one| Self {
            input_tokens: sum.input_tokens + one.input_tokens,
            output_tokens: sum.output_tokens + one.output_tokens,
            cache_read_tokens: sum.cache_read_tokens + one.cache_read_tokens,
            cache_write_tokens: sum.cache_write_tokens + one.cache_write_tokens,
            cost: sum.cost + one.cost,
        })
    }
}

/// An event with its place in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Its id.
    pub id: EventId,
    /// Its place in the order of all hosts' events.
    pub hlc: Hlc,
    /// The fact.
    pub event: Event,
}

impl Recorded {
    /// When it happened.
    pub fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.hlc.reading.wall_ms)
    }

    /// The stamp of a field it writes.
    pub fn stamp(&self, edit_no: u32) -> crate::register::Stamp {
        crate::register::Stamp {
            edit_no,
            hlc: self.hlc,
        }
    }
}

impl Event {
    /// The word it is stored under.
    pub fn event_type(&self) -> &'static str {
        match self {
            Self::ProjectAdded(_) => "project_added",
            Self::ProjectEdited(_) => "project_edited",
            Self::ProjectRemoved { .. } => "project_removed",
            Self::TaskCreated(_) => "task_created",
            Self::TaskEdited(_) => "task_edited",
            Self::TaskStatusChanged { .. } => "task_status_changed",
            Self::TaskMoved { .. } => "task_moved",
            Self::TaskDeleted { .. } => "task_deleted",
            Self::TaskRestored { .. } => "task_restored",
            Self::TaskAssigned { .. } => "task_assigned",
            Self::AssignmentEnded { .. } => "assignment_ended",
            Self::TaskPullRequestSeen { .. } => "task_pull_request_seen",
            Self::TaskNoted { .. } => "task_noted",
            Self::SubtaskAdded { .. } => "subtask_added",
            Self::SubtaskCompleted { .. } => "subtask_completed",
            Self::SubtaskRemoved { .. } => "subtask_removed",
            Self::SessionOpened(_) => "session_opened",
            Self::SessionWorktreeReady { .. } => "session_worktree_ready",
            Self::SessionPaneOpened { .. } => "session_pane_opened",
            Self::SessionClientStarted { .. } => "session_client_started",
            Self::SessionIdentified { .. } => "session_identified",
            Self::SessionStatusChanged { .. } => "session_status_changed",
            Self::SessionReported { .. } => "session_reported",
            Self::SessionAsked(_) => "session_asked",
            Self::SessionAskAttended { .. } => "session_ask_attended",
            Self::SessionAskUnattended { .. } => "session_ask_unattended",
            Self::SessionAskAnswered { .. } => "session_ask_answered",
            Self::SessionAskClosed { .. } => "session_ask_closed",
            Self::MessageQueued { .. } => "message_queued",
            Self::MessageTyped { .. } => "message_typed",
            Self::MessageRetried { .. } => "message_retried",
            Self::MessageDelivered { .. } => "message_delivered",
            Self::MessageDropped { .. } => "message_dropped",
            Self::UsageRecorded { .. } => "usage_recorded",
            Self::SessionClosed { .. } => "session_closed",
            Self::WorktreeRemoved { .. } => "worktree_removed",
            Self::WorktreeRestored { .. } => "worktree_restored",
            Self::SnapshotExpired { .. } => "snapshot_expired",
        }
    }
}
