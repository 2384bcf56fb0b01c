//! What people read: entities as the protocol shows them, the timeline and the inbox. Pure functions of folded entities.

pub mod board;
pub mod inbox;
pub mod timeline;
