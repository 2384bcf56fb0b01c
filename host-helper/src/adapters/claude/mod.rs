//! Claude Code as an outside program: its hooks, files, command line and status.
//!
//! Everything here parses or writes formats that belong to Claude Code (facts measured with 2.1.197).
//! A format is read into a tolerant `Wire*` type first (every field optional, a wrong type counts as
//! absent) and then into a strict type. Nothing here knows of the store, of sockets or of tokio, and
//! nothing here ever writes into the user's own Claude configuration.

mod bill;
pub mod client;
pub mod config_files;
pub mod conversation;
mod counting;
pub mod files;
pub mod fuse;
pub mod hook_answer;
pub mod hook_event;
pub mod hook_state;
pub mod hook_wire;
pub mod hook_words;
pub mod mcp_config;
pub mod monitor;
pub mod permission;
pub mod plan;
mod port;
pub mod preflight;
pub mod prices;
pub mod registry;
mod registry_cache;
pub mod settings;
pub mod statusline;
pub mod suggestion;
pub mod transcript;
pub mod version;
mod watched;
mod wire;
