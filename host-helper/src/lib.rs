//! The native helper of Claustre: daemon, command line, hooks and launcher in one binary.
//!
//! Read [`paths`] for where everything lies, then `ARCHITECTURE.md` for how an event travels.

pub mod adapters;
pub mod paths;
pub mod plugin_wasm;
pub mod setup;
