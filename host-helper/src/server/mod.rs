//! What others reach the daemon through: one folder or file per front door.

pub mod mcp;
