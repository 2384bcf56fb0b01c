//! x

pub mod plugin_wasm;
