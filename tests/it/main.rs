//! All tests that need more than one crate or a real program, as one binary: one link, one list of modules.

mod cli;
mod daemon;
mod equipment;
mod modules;
mod stories;
