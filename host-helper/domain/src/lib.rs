//! The pure core of Claustre: **decide → evolve → react → project**.
//!
//! [`decide`] asks whether a [`command::Command`] is legal and answers with [`event::Event`]s or a [`rejection::Rejection`].
//! `evolve` folds events into the entities; it is total and does not care about their order. [`react`] says as data
//! ([`effect::Effect`]) what the world must be asked to do. [`projection`] turns entities into what people read.
//!
//! Nothing here does input or output, reads a clock or makes a random number: time and ids are arguments.

pub mod command;
pub mod effect;
pub mod entity;
pub mod event;
pub mod project;
pub mod projection;
pub mod recovery;
pub mod register;
pub mod rejection;
pub mod session;
pub mod task;
pub mod time;
pub mod worktree;

// The tests' world is shared with the tests of the crate's outside.
#[cfg(test)]
extern crate self as claustre_domain;
#[cfg(test)]
#[path = "../tests/support/mod.rs"]
mod support;

use claustre_protocol::time::Timestamp;

use crate::{
    command::Command,
    effect::Effect,
    entity::World,
    event::{Event, Recorded},
    rejection::Rejection,
};

/// What a decision may know besides the entities.
#[derive(Debug, Clone, Copy)]
pub struct Context {
    /// The time of the decision.
    pub now: Timestamp,
}

/// Says what a command changes, or why it may not.
///
/// # Errors
/// The command is not allowed in the present state, or names something that does not exist.
pub fn decide(
    world: &dyn World,
    command: &Command,
    context: Context,
) -> Result<Vec<Event>, Rejection> {
    match command {
        Command::Project(command) => project::decide(world, command),
        Command::Task(command) => task::decide(world, command, context),
        Command::Session(command) => session::decide(world, command, context),
        Command::Worktree(command) => worktree::decide(world, command),
    }
}

/// Says what the world must be asked to do after an event. `world` already contains it.
pub fn react(world: &dyn World, event: &Recorded) -> Vec<Effect> {
    let mut effects = session::react(world, event);
    effects.extend(task::react(world, event));
    effects
}
