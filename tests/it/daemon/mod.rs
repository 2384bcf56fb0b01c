//! The daemon under bad luck: killed, doubled, out of disk, spoken to in tongues.

mod agent_calls;
mod disk;
mod hooks;
mod idle;
mod protocol;
mod single;
mod upkeep;
mod zellij_hangs;
