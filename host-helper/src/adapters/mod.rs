//! What talks to the world outside: other programs, their files and their formats.

pub mod claude;
mod claude_local;
pub mod git;
pub mod host;
pub mod launchers;
pub mod notify;
pub mod process;
pub mod scripts;
pub mod workspace;
pub mod zellij;
