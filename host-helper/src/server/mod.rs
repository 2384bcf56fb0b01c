//! What front ends connect to: the JSON-RPC socket, MCP, and the dashboards' feed.

pub mod admission;
pub mod agents;
pub mod api;
pub mod dashboard;
pub mod mcp;
mod quota;
pub mod socket;

/// Whether a text is the secret token of a session; a fault where the store cannot say.
pub type IsToken = std::sync::Arc<
    dyn Fn(claustre_protocol::ids::SessionId, &str) -> Result<bool, claustre_protocol::rpc::Fault>
        + Send
        + Sync,
>;
