//! The native helper of Claustre: daemon, command line, hooks and launcher in one binary.
//!
//! Read [`paths`] for where everything lies, then `ARCHITECTURE.md` for how an event travels.

pub mod adapters;
pub mod cli;
pub mod client;
pub mod config;
pub mod daemon;
pub mod demo;
pub mod doctor;
pub mod engine;
pub mod fast;
pub mod ids;
pub mod launcher;
pub mod lenient_json;
pub mod limited;
pub mod paths;
pub mod plugin_wasm;
pub mod ports;
pub mod programs;
pub mod server;
pub mod setup;
pub mod store;
pub mod text;
pub mod trust;
