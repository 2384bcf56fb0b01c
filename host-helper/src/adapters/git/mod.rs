//! Git, driven safely in worktrees whose files and configuration an agent can write.
//!
//! Everything runs through [`Git`], which takes every way a repository's configuration could
//! start a program out of each call. Calls block: the engine runs them on its blocking pool.
//! Nothing here deletes what it did not make, and nothing is removed before it is kept in a
//! snapshot under `refs/claustre/trash/`.

mod base;
mod command;
mod error;
pub mod exclude;
mod guard;
mod ignored;
mod include;
pub mod names;
pub mod remove;
pub mod repository;
pub mod snapshot;
pub mod status;
#[cfg(test)]
mod tests;
pub mod worktree;
mod worktree_list;

pub use command::{Git, own_filters};
pub use error::GitError;
pub use ignored::KeepLimits;
