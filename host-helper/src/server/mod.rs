//! What front ends connect to: the JSON-RPC socket, MCP, and the dashboards' feed.

pub mod agents;
pub mod api;
pub mod dashboard;
pub mod mcp;
pub mod socket;
