//! The MCP server: how an agent reports, asks and reads its own task. The only place that names `rmcp`.
//!
//! ```text
//! claude ── stdio ── `claustre mcp` (bridge) ── mcp.sock ── [`socket`] ── hello ── rmcp ── [`tools`] ── [`backend`]
//! ```
//! A connection belongs to one session for its whole life: the [`hello`] line that the bridge sends
//! first names the session and carries its token. No tool takes another session's id, so an agent
//! that was talked into mischief can still act only for itself.
//!
//! What an agent sends is data: bounded and cleaned in [`arguments`] before it reaches the engine. What
//! goes wrong in a tool is told to the agent as a tool error with a hint; a protocol error, which clients
//! show to nobody, is kept for what cannot be routed at all.

mod arguments;
pub mod backend;
mod calls;
pub mod hello;
mod rate;
mod service;
pub mod socket;
mod tools;

#[cfg(test)]
mod tests;
