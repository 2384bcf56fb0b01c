//! What the dashboard draws. The daemon sends cards, and from then on only those that changed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    ids::{ProjectId, SessionId, TaskId},
    model::{Ask, InboxItem, UsageWindow},
    status::{ClaudeStatus, Mode, Priority, ProjectStatus, PushMode, Reason, Source, TaskStatus},
    time::Timestamp,
};

/// A change of what is drawn: cards that are new or different, ids that are gone.
/// The first one after a hello has `reset`, and forgets all that was known.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DashboardUpdate {
    /// Forget everything first.
    pub reset: bool,
    /// More parts of this state follow; draw after the last.
    pub more: bool,
    /// Position of the newest event it shows.
    pub position: i64,
    /// The daemon's clock, so that ages are right.
    pub now: Timestamp,
    /// The head line, when it changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<Header>,
    /// Projects, new or changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub projects: Vec<ProjectCard>,
    /// Sessions, new or changed; a closed one comes as removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<SessionCard>,
    /// Tasks, new or changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskCard>,
    /// The whole inbox, when it changed, the most urgent first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inbox: Option<Vec<InboxItem>>,
    /// Projects, sessions and tasks that are gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<Uuid>,
}

/// The head line's numbers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Header {
    /// The host's name.
    pub host: String,
    /// Version of the daemon.
    pub build: String,
    /// Sessions that run, of `queue_capacity` at most.
    pub queue_running: u32,
    /// How many may run at once; 0 = no cap.
    pub queue_capacity: u32,
    /// The five-hour allowance, where known.
    pub five_hour: Option<UsageWindow>,
    /// The seven-day allowance, where known.
    pub seven_day: Option<UsageWindow>,
    /// Something everybody must know (disk full, version mismatch); empty = nothing.
    pub warning: String,
}

/// A project as listed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProjectCard {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub status: ProjectStatus,
    /// What it is for.
    pub goal: String,
    /// Path of the main checkout.
    pub repo_path: String,
    /// Its default branch.
    pub default_branch: String,
    /// How many tasks it has in each status, counted by the store: the dashboard may hold fewer of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tasks: BTreeMap<TaskStatus, u64>,
}

/// A session as listed and detailed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionCard {
    /// Its id.
    pub id: SessionId,
    /// Its project.
    pub project_id: ProjectId,
    /// The task it works on.
    pub task_id: Option<TaskId>,
    /// Its branch.
    pub branch: String,
    /// The branch it started from.
    pub base: String,
    /// Path of its worktree.
    pub worktree_path: String,
    /// Name of its tab.
    pub tab_name: String,
    /// The Zellij session of its pane.
    pub zellij_session: Option<String>,
    /// Its terminal pane.
    pub pane_id: Option<u32>,
    /// What it is doing.
    pub status: ClaudeStatus,
    /// Why.
    pub reason: Option<Reason>,
    /// What told us.
    pub source: Source,
    /// Since when.
    pub since: Timestamp,
    /// When anything was last heard.
    pub last_activity_at: Timestamp,
    /// What the agent says it is doing.
    pub message: String,
    /// What it waits for.
    pub ask: Option<Ask>,
    /// Files changed.
    pub files_changed: u32,
    /// Lines added.
    pub lines_added: u32,
    /// Lines removed.
    pub lines_removed: u32,
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Cost in USD.
    pub cost: f64,
    /// Context used, 0 to 100.
    pub context_percent: Option<u8>,
    /// The model.
    pub model: Option<String>,
    /// Messages that wait to be typed.
    pub queued_messages: u32,
    /// When it was opened.
    pub created_at: Timestamp,
}

/// A task as listed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskCard {
    /// Its id.
    pub id: TaskId,
    /// Its project.
    pub project_id: ProjectId,
    /// Its title.
    pub title: String,
    /// Where it stands.
    pub status: TaskStatus,
    /// One line that explains the status: the question, the conflict, what it waits for.
    pub note: String,
    /// How it is worked on.
    pub mode: Mode,
    /// How urgent.
    pub priority: Priority,
    /// How it is delivered.
    pub push_mode: PushMode,
    /// Its place in the queue; smaller comes first.
    pub rank: f64,
    /// Base branch, where given.
    pub base: Option<String>,
    /// Branch, where known.
    pub branch: Option<String>,
    /// Feed review comments back?
    pub review_loop: bool,
    /// Steps done.
    pub steps_done: u32,
    /// Steps in all.
    pub steps_total: u32,
    /// Titles of the steps with their state, for the detail panel.
    pub steps: Vec<StepCard>,
    /// The session that works, or last worked, on it.
    pub session_id: Option<SessionId>,
    /// Its pull request.
    pub pr_url: Option<String>,
    /// Model asked for.
    pub model: Option<String>,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it was first launched.
    pub started_at: Option<Timestamp>,
    /// When it was done.
    pub completed_at: Option<Timestamp>,
    /// Tokens read and written.
    pub tokens: u64,
    /// Cost in USD.
    pub cost: f64,
}

/// A step as listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepCard {
    /// What to do.
    pub title: String,
    /// Finished?
    pub done: bool,
}
