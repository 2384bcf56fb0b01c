//! Sessions: one Claude Code conversation in one worktree in one pane, on one host.

mod answer;
mod decide;
mod delivery;
mod ending;
mod evolve;
mod react;
mod report;

#[cfg(test)]
mod answer_tests;
#[cfg(test)]
mod tests;

pub use answer::recover as recover_asks;
pub use decide::{close, decide, end_assignment, opened};
pub use delivery::{DO_NOT_SEND, SEND_AGAIN};
pub use ending::Ending;
pub use evolve::{
    Ask, AskState, Client, GivenAnswer, Message, MessageState, Pane, Session, SessionStanding,
};
pub use react::react;
