//! The Zellij plugin: the one binary that speaks Zellij's plugin interface.
//!
//! All that it shows and decides lives in the library, which is pure and tested natively. Zellij's crate builds only for
//! wasm, so on every other target this program says how the plugin is built and ends.

#[cfg(target_family = "wasm")]
mod shell;
#[cfg(all(target_family = "wasm", claustre_own_start))]
mod start;

#[cfg(target_family = "wasm")]
fn main() {
    shell::start();
}

#[cfg(not(target_family = "wasm"))]
fn main() {
    println!("The Claustre plugin runs inside Zellij; `cargo xtask build-plugin` builds it.");
}
