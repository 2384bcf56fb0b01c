//! What the helper does to the world outside its store: start processes, drive git.

pub mod git;
pub mod process;
