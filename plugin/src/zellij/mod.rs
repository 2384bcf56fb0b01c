//! What Zellij tells a plugin, as bytes: the few messages of its plugin interface that the dashboard listens to, in the
//! encoding of Zellij's own `plugin_api/*.proto`.
//!
//! What the plugin asks of Zellij goes through Zellij's crate for plugins. Its reading side is not used, for two reasons:
//! it cuts every typed character to one byte, so that only ASCII can be typed; and it reads every event there is, with
//! all of Zellij's actions and layouts behind them, a third of a megabyte of code. Field numbers are forever in this encoding
//! and unknown fields are skipped, so what is read here stays right when Zellij adds to its messages.
//!
//! | module | holds |
//! |---|---|
//! | [`wire`] | the encoding itself, and the JSON array of numbers that carries it |
//! | [`event`] | configuration, events, lines of pipes |

pub mod event;
pub mod wire;

#[cfg(test)]
mod tests;
