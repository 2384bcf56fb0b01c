//! The dashboard as a pure library: `update(&mut Model, Msg) -> Vec<Effect>` and `view(&Model) -> Buffer`.
//!
//! Nothing here knows Zellij, a clock or a socket: the wasm shell (`main.rs`, `shell/`) and later the native
//! `claustre dashboard` feed it messages and carry out its effects.

pub mod ansi;
pub mod effect;
pub mod link;
pub mod model;
pub mod msg;
pub mod timers;
pub mod update;
pub mod view;
