//! The test equipment itself, proven against the real programs where they are there.

mod contract;
mod env;
mod fake_anthropic;
mod fake_claude;
mod fake_gh;
pub mod real_client;
mod zellij;

/// Says why a test did not run. It counts as passed: the machine lacks something that is not ours.
pub fn skip(test: &str, reason: &str) {
    eprintln!("skipped {test}: {reason}");
}
