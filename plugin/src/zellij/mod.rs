//! What Zellij and a plugin say to each other, as bytes: the few messages of Zellij's plugin interface that the dashboard
//! uses, in the encoding of Zellij's own `plugin_api/*.proto`.
//!
//! Zellij's crate for plugins reads and writes every message there is, with all of Zellij's actions, layouts and
//! addresses behind them: 0.6 MB of code, and half a millisecond more for each key in Zellij's interpreter. It also cuts
//! every typed character to one byte. Field numbers are forever in this encoding and unknown fields are skipped, so what
//! is read here stays right when Zellij adds to its messages.
//!
//! | module | holds |
//! |---|---|
//! | [`wire`] | the encoding itself, and the JSON array of numbers that carries it |
//! | [`event`] | what Zellij tells |
//! | [`command`] | what the plugin asks for |
//! | [`answer`] | what Zellij answers |

pub mod answer;
pub mod command;
pub mod event;
pub mod wire;

#[cfg(test)]
mod tests;

/// The version of Zellij whose interface this is.
pub const VERSION: &str = "0.45.1";

/// A pane, by kind and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaneId {
    /// One that runs a command.
    Terminal(u32),
    /// One that shows a plugin.
    Plugin(u32),
}
