//! Test equipment of Claustre: hermetic environments, stand-ins for the programs around it, terminal drivers.
//!
//! Nothing here is a mock inside a process: `fake-claude`, `fake-gh` and `fake-anthropic` are real programs that
//! speak the outside surface of the programs they stand for, so that the code under test cannot tell.

pub mod anthropic;
pub mod bench;
pub mod env;
pub mod fake_claude;
pub mod fake_gh;
pub mod netns;
pub mod skip;
pub mod terminal;
pub mod wait;
pub mod zellij;

pub use env::{CommandResult, TestEnv};
pub use terminal::Terminal;
pub use wait::wait_for;
