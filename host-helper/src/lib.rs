//! The native helper of Claustre: everything that must last beyond a Zellij pane.

pub mod adapters;
pub mod text;
