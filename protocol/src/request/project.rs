//! Requests about projects: what they take and what they answer.

use serde::{Deserialize, Serialize};

use super::Selector;
use crate::{
    model::{Project, Session, StoredEvent},
    status::ProjectStatus,
};

/// Parameters of `project.add`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ProjectAdd {
    /// Unique; letters, digits, `.`, `_`, `-`.
    pub name: String,
    /// Absolute path.
    pub path: String,
    /// What it is for.
    pub goal: String,
    /// Who answers for it.
    pub owner: String,
    /// Default branch; empty = as the repository says.
    pub base: String,
}

/// Parameters of `project.list`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ProjectList {
    /// Only these.
    pub status: Option<ProjectStatus>,
}

/// Parameters of `project.show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectShow {
    /// Which.
    pub of: Selector,
    /// With all its events?
    #[serde(default)]
    pub history: bool,
}

/// Answer of `project.show`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProjectShown {
    /// The project.
    #[serde(flatten)]
    pub project: Project,
    /// How many of its tasks have each status.
    pub tasks: std::collections::BTreeMap<String, u64>,
    /// Its open sessions.
    pub sessions: Vec<Session>,
    /// Its events, oldest first, where asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<Vec<StoredEvent>>,
}

/// Parameters of `project.edit`; what is absent stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ProjectEdit {
    /// Which.
    pub of: Selector,
    /// New name.
    pub name: Option<String>,
    /// New goal.
    pub goal: Option<String>,
    /// New owner.
    pub owner: Option<String>,
    /// New default branch.
    pub base: Option<String>,
    /// New status.
    pub status: Option<ProjectStatus>,
}
