//! Why a command is refused, in words for the person who gave it.

/// A refusal is a value, not a failure: nothing happened and nothing is lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{doing}: {why}")]
pub struct Rejection {
    /// Does the thing exist at all?
    pub kind: RejectionKind,
    /// What was being done.
    pub doing: String,
    /// Why not.
    pub why: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Tells "not now" from "no such thing".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectionKind {
    /// The rules forbid it in the present state.
    Refused,
    /// It names something that does not exist.
    NotFound,
}

impl Rejection {
    /// The rules forbid it.
    pub fn refused(doing: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            kind: RejectionKind::Refused,
            doing: doing.into(),
            why: why.into(),
            hint: None,
        }
    }

    /// No such thing.
    pub fn not_found(doing: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            kind: RejectionKind::NotFound,
            ..Self::refused(doing, why)
        }
    }

    /// Adds advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
