//! Tasks: units of work with a prompt, on the board from draft to done.

mod assign;
mod decide;
mod edit;
mod evolve;
pub mod prompt;
pub(crate) mod pull_request;
mod react;
mod transition;

#[cfg(test)]
mod tests;

pub use assign::next_for_itself;
pub use decide::{decide, unmet_dependencies, unmet_dependencies_in};
pub use evolve::{Standing, Subtask, Task};
pub use react::react;
pub use transition::{may_move, move_to};
