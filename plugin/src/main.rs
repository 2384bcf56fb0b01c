//! The Zellij plugin: the one binary that speaks Zellij's plugin interface.
//!
//! All that it shows and decides lives in the library, which is pure and tested natively. Zellij's crate builds only for
//! wasm, so on every other target this program says how the plugin is built and ends.

#[cfg(all(target_family = "wasm", claustre_own_start))]
mod start;

#[cfg(target_family = "wasm")]
use std::collections::BTreeMap;

#[cfg(target_family = "wasm")]
use zellij_tile::prelude::{ZellijPlugin, register_plugin, report_panic};

/// What the plugin remembers between two calls from Zellij.
#[cfg(target_family = "wasm")]
#[derive(Default)]
struct Dashboard {
    configuration: BTreeMap<String, String>,
}

#[cfg(target_family = "wasm")]
impl ZellijPlugin for Dashboard {
    fn load(&mut self, configuration: BTreeMap<String, String>) {
        self.configuration = configuration;
    }

    fn render(&mut self, _rows: usize, columns: usize) {
        let line = format!("claustre {} ({} settings)", env!("CARGO_PKG_VERSION"), self.configuration.len());
        print!("{line:.columns$}");
    }
}

#[cfg(target_family = "wasm")]
register_plugin!(Dashboard);

#[cfg(not(target_family = "wasm"))]
fn main() {
    println!("The Claustre plugin runs inside Zellij; `cargo xtask build-plugin` builds it.");
}
