//! What `--json` prints and every front end shows. Names are never changed or removed, only added.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{AskId, EventId, MachineId, ProjectId, SessionId, SubtaskId, TaskId},
    status::{
        ClaudeStatus, LogLevel, Mode, Priority, ProjectStatus, PushMode, Reason, Source, TaskStatus,
    },
    time::Timestamp,
};

/// A repository under a unique name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Unique among the projects that are not removed.
    pub name: String,
    /// Absolute path of the main checkout on this host.
    pub repo_path: String,
    /// The branch that tasks start from unless they say otherwise.
    pub default_branch: String,
    /// What it is for, in a sentence.
    pub goal: String,
    /// Who answers for it.
    pub owner: String,
    /// Where it stands.
    pub status: ProjectStatus,
    /// When it was added.
    pub created_at: Timestamp,
}

/// An ordered step of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subtask {
    /// Its id.
    pub id: SubtaskId,
    /// What to do.
    pub title: String,
    /// Finished?
    pub done: bool,
    /// Place among its siblings, from 0.
    pub position: u32,
}

/// A unit of work with a prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// The project it belongs to.
    pub project_id: ProjectId,
    /// The project's name.
    pub project: String,
    /// A short line.
    pub title: String,
    /// The prompt.
    pub description: String,
    /// Where it stands.
    pub status: TaskStatus,
    /// Why, where the status needs a reason.
    pub status_reason: Option<String>,
    /// How it is worked on.
    pub mode: Mode,
    /// How urgent it is.
    pub priority: Priority,
    /// The branch its worktree starts from and its pull request aims at; none = the project's default.
    pub base: Option<String>,
    /// The branch of its worktree; known from its first launch at the latest.
    pub branch: Option<String>,
    /// How it is delivered.
    pub push_mode: PushMode,
    /// Are review comments fed back by themselves?
    pub review_loop: bool,
    /// Tasks that must be done before it starts.
    pub depends_on: Vec<TaskId>,
    /// Its steps in order.
    pub subtasks: Vec<Subtask>,
    /// The session that works, or last worked, on it.
    pub session_id: Option<SessionId>,
    /// Its pull request.
    pub pr_url: Option<String>,
    /// Word for its checks: running, passed, failed.
    pub ci_status: Option<String>,
    /// Model asked for.
    pub model: Option<String>,
    /// Effort asked for.
    pub effort: Option<String>,
    /// Permission mode asked for.
    pub permission_mode: Option<String>,
    /// What it may cost at most, in USD.
    pub budget_usd: Option<f64>,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it was first launched.
    pub started_at: Option<Timestamp>,
    /// When it was done.
    pub completed_at: Option<Timestamp>,
    /// Tokens read, caches included.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Cost in USD.
    pub cost: f64,
}

/// One Claude Code conversation in one worktree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Its id, ours.
    pub id: SessionId,
    /// The project it belongs to.
    pub project_id: ProjectId,
    /// The project's name.
    pub project: String,
    /// The task it works on now.
    pub task_id: Option<TaskId>,
    /// Its branch.
    pub branch_name: String,
    /// Absolute path of its worktree.
    pub worktree_path: String,
    /// The name of its tab: `{project}:{branch}`.
    pub zellij_tab_name: String,
    /// The Zellij session that holds its pane.
    pub zellij_session: Option<String>,
    /// The terminal pane in that Zellij session.
    pub pane_id: Option<u32>,
    /// The host it runs on.
    pub host: String,
    /// Claude's own id of the conversation.
    pub claude_session_id: Option<String>,
    /// What it is doing.
    pub claude_status: ClaudeStatus,
    /// Why.
    pub reason: Option<Reason>,
    /// What told us so.
    pub source: Source,
    /// Since when.
    pub since: Timestamp,
    /// One line: what the agent says it is doing.
    pub status_message: String,
    /// When anything was last heard of it.
    pub last_activity_at: Timestamp,
    /// Files that differ from the base.
    pub files_changed: u32,
    /// Lines added to the base.
    pub lines_added: u32,
    /// Lines removed from the base.
    pub lines_removed: u32,
    /// Tokens read, caches included.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Cost in USD.
    pub cost: f64,
    /// How full the context window is, 0 to 100.
    pub context_percent: Option<u8>,
    /// The model in use.
    pub model: Option<String>,
    /// What it waits for, while it waits.
    pub ask: Option<Ask>,
    /// Messages that wait to be typed.
    pub queued_messages: u32,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
}

/// What a session waits for a person to answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// Its id: an answer names it, so that an answer to an older one is refused.
    pub id: AskId,
    /// Permission, question or dialog.
    pub kind: AskKind,
    /// One line: `Bash: rm -rf dist`.
    pub title: String,
    /// The whole of it, several lines.
    pub detail: String,
    /// The answers offered, for a question.
    pub options: Vec<String>,
    /// Can it be answered from here? A dialog of the client cannot, nor what no hook waits for any more.
    pub answerable: bool,
    /// Since when.
    pub since: Timestamp,
    /// It was answered from here, and the client has not taken the answer yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub answered: bool,
    /// The detail is only the beginning of it; `session.show` has the whole.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// The kinds of [`Ask`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskKind {
    /// A tool wants to run.
    Permission,
    /// The agent asks something.
    Question,
    /// The client shows a dialog that only a visit can answer.
    Dialog,
}

/// One line of a task's timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Update {
    /// The event it stems from.
    pub id: EventId,
    /// The task, where there is one.
    pub task_id: Option<TaskId>,
    /// The session, where there is one.
    pub session_id: Option<SessionId>,
    /// What it is: status, log, message, permission, usage, ...
    pub source: String,
    /// One line for people.
    pub payload: String,
    /// How grave.
    pub level: LogLevel,
    /// Its place in the order of all hosts' events.
    pub hlc: String,
    /// When.
    pub created_at: Timestamp,
}

/// Something that needs a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InboxItem {
    /// What kind of attention it wants.
    pub kind: InboxKind,
    /// The task, where there is one.
    pub task_id: Option<TaskId>,
    /// The session, where there is one.
    pub session_id: Option<SessionId>,
    /// What it is about.
    pub title: String,
    /// What is wanted, one line.
    pub detail: String,
    /// Since when.
    pub since: Timestamp,
    /// What is asked, where something is: an answer names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask_id: Option<AskId>,
    /// It can only be answered in its tab.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_in_tab: bool,
}

/// Kinds of attention, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InboxKind {
    /// A tool waits to be allowed.
    Permission,
    /// The agent asked something.
    Question,
    /// The client shows a dialog that only a visit can answer.
    Dialog,
    /// A session or a launch failed.
    Error,
    /// The checks of a pull request failed.
    CiFailed,
    /// A pull request conflicts.
    Conflict,
    /// A task is blocked.
    Blocked,
    /// A task lost its session.
    Interrupted,
    /// A task waits for review.
    Review,
    /// A task was finished.
    Done,
}

/// One stored event, as `watch` and `--history` print it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredEvent {
    /// Its id.
    pub uuid: EventId,
    /// Its place in the order of all hosts' events.
    pub hlc: String,
    /// The host it happened on.
    pub machine_id: MachineId,
    /// What happened.
    pub event_type: String,
    /// The facts, by event type.
    pub payload: serde_json::Value,
    /// Wall clock of that host.
    pub created_at: Timestamp,
}

/// A task with all that its page shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskDetail {
    /// The task.
    pub task: Task,
    /// The session that works, or last worked, on it.
    pub session: Option<Session>,
    /// Its timeline, newest first.
    pub updates: Vec<Update>,
    /// Tasks that it still waits for, by title.
    pub waits_for: Vec<String>,
}

/// How much of an account's allowance is used.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct UsageWindow {
    /// 0 to 100.
    pub used_percent: f64,
    /// When it starts anew.
    pub resets_at: Option<Timestamp>,
}
