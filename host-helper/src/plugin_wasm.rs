//! The plugin that this helper carries (see `build.rs`).

#[cfg(claustre_plugin_embedded)]
const PLUGIN: Option<&[u8]> = Some(include_bytes!(concat!(
    env!("OUT_DIR"),
    "/claustre-plugin.wasm"
)));
#[cfg(not(claustre_plugin_embedded))]
const PLUGIN: Option<&[u8]> = None;

/// The plugin's wasm, or `None` where the helper was built before the plugin (`cargo xtask build-plugin` builds it).
#[must_use]
pub fn bytes() -> Option<&'static [u8]> {
    PLUGIN
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_embedded_is_a_wasm_module() {
        if let Some(plugin) = super::bytes() {
            assert!(plugin.starts_with(b"\0asm"), "{:?}", plugin.get(..8));
        }
    }
}
