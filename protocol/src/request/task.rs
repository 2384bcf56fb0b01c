//! Requests about tasks and their steps: what they take.

use serde::{Deserialize, Serialize};

use super::Selector;
use crate::status::{Mode, Priority, PushMode, TaskStatus};

/// Parameters of `task.add`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskAdd {
    /// The project.
    pub project: Selector,
    /// A short line; empty = the first line of the description.
    pub title: String,
    /// The prompt.
    pub description: String,
    /// How it is worked on; absent = as configured.
    pub mode: Option<Mode>,
    /// How urgent.
    pub priority: Option<Priority>,
    /// Base branch.
    pub base: Option<String>,
    /// Branch.
    pub branch: Option<String>,
    /// How it is delivered.
    pub push_mode: Option<PushMode>,
    /// Feed review comments back?
    pub review_loop: bool,
    /// Titles of its steps.
    pub subtasks: Vec<String>,
    /// Tasks that must be done before.
    pub after: Vec<Selector>,
    /// Model.
    pub model: Option<String>,
    /// Effort.
    pub effort: Option<String>,
    /// Permission mode.
    pub permission_mode: Option<String>,
    /// What it may cost at most, in USD.
    pub budget_usd: Option<f64>,
    /// Keep it as a draft?
    pub draft: bool,
}

/// Parameters of `task.assign`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskAssign {
    /// The task.
    pub of: Selector,
    /// The session that goes on with it.
    pub session: Selector,
}

/// Parameters of `task.list`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskList {
    /// Only of this project.
    pub project: Option<Selector>,
    /// Only with this status.
    pub status: Option<TaskStatus>,
    /// At most so many; 0 = 1,000.
    pub limit: u32,
    /// Only those behind this one: the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Selector>,
}

/// Parameters of `task.edit`; what is absent stays.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskEdit {
    /// Which.
    pub of: Selector,
    /// New title.
    pub title: Option<String>,
    /// New prompt.
    pub description: Option<String>,
    /// New mode.
    pub mode: Option<Mode>,
    /// New priority.
    pub priority: Option<Priority>,
    /// New base branch; empty = the project's default.
    pub base: Option<String>,
    /// New branch; empty = made from the title.
    pub branch: Option<String>,
    /// New delivery.
    pub push_mode: Option<PushMode>,
    /// Feed review comments back?
    pub review_loop: Option<bool>,
    /// New list of dependencies.
    pub after: Option<Vec<Selector>>,
    /// New model; empty = as configured.
    pub model: Option<String>,
    /// New effort; empty = as configured.
    pub effort: Option<String>,
    /// New permission mode; empty = as configured.
    pub permission_mode: Option<String>,
    /// New list of steps' titles; steps with an unchanged title keep their state.
    pub subtasks: Option<Vec<String>>,
    /// Turn a draft into a pending task?
    pub submit: bool,
}

/// Parameters of `task.move`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskMove {
    /// Which.
    pub of: Selector,
    /// Put it right before this one.
    #[serde(default)]
    pub before: Option<Selector>,
    /// Put it right after this one.
    #[serde(default)]
    pub after: Option<Selector>,
}

/// One step of one task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubtaskNamed {
    /// The task.
    pub task: Selector,
    /// The step: its id, the beginning of it, its title, or its number from 1.
    pub of: Selector,
}
