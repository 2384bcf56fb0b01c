//! The command line as its user meets it: the real program, its two outputs and its exit code.

mod config;
mod doctor;
mod help;
mod home;
mod limits;
mod long_lists;
mod names;
mod programs;
mod prompts;
mod repository;
mod shapes;
mod terminal;
pub mod transcript;
