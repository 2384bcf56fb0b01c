//! Worktrees: their end, and their way back. Their beginning is part of a session's.

mod decide;

pub use decide::decide;
