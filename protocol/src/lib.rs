//! The types that cross a process border: between the helper and the dashboard plugin, the CLI, the hooks and the launcher.
//!
//! Only data and its JSON form live here. No input, no output, no clock, no randomness; it builds for wasm and native alike.
//!
//! | module | holds |
//! |---|---|
//! | [`ids`] | one typed id per thing |
//! | [`time`] | [`time::Timestamp`], milliseconds inside, RFC 3339 outside |
//! | [`status`] | every status, mode and reason, with its spellings |
//! | [`model`] | project, task, session, update, inbox item and event, with the names that `--json` prints |
//! | [`request`] | what any front end may ask of the daemon |
//! | [`rpc`] | JSON-RPC 2.0 lines, hello, error codes |
//! | [`dashboard`] | what the dashboard draws: cards, header and their changes |
//! | [`link`] | the lines between the daemon and the plugin |
//! | [`base64`] | bytes in text lines |
//! | [`hook`] | what the short-lived children of a session report |

pub mod base64;
pub mod dashboard;
pub mod hook;
pub mod ids;
pub mod link;
pub mod model;
pub mod request;
pub mod rpc;
pub mod status;
pub mod time;

/// The protocol that this build speaks. Same `major`: they understand each other; a higher `minor` only adds.
pub const PROTOCOL: rpc::ProtocolVersion = rpc::ProtocolVersion { major: 1, minor: 0 };

/// The version of the whole build, said in every hello.
pub const BUILD: &str = env!("CARGO_PKG_VERSION");
