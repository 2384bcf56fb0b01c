//! The test equipment itself, proven against the real programs where they are there.

mod contract;
mod env;
mod fake_anthropic;
mod fake_claude;
mod fake_gh;
pub mod real_client;
mod zellij;

pub use claustre_tests::skip::skip;
