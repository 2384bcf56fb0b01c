//! Requests about sessions: what they take and what they answer.

use serde::{Deserialize, Serialize};

use super::Selector;
use crate::ids::AskId;

/// Parameters of `session.list`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionList {
    /// Only of this project.
    pub project: Option<Selector>,
    /// Closed ones too?
    pub all: bool,
}

/// Parameters of `session.new`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionNew {
    /// The project.
    pub project: Selector,
    /// Branch; absent = `explore/<8 of uuid>`.
    pub branch: Option<String>,
    /// Base branch.
    pub base: Option<String>,
    /// First prompt; absent = Claude opens without one.
    pub prompt: Option<String>,
}

/// Parameters of `session.approve`, `session.deny` and `session.answer`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Decision {
    /// The session, or the task it works on.
    pub of: Selector,
    /// What is answered; absent = whatever it asks now. An answer to an older one is refused.
    pub ask: Option<AskId>,
    /// The reason of a refusal, or the answer to a question.
    pub text: Option<String>,
}

/// Answer of `session.preview`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// The pane's text, sanitised.
    pub text: String,
}

/// Parameters of `session.pull_request`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequest {
    /// The session, or the task it works on.
    pub of: Selector,
    /// Where the pull request is: an `https` address.
    pub url: String,
}
