//! Embeds the plugin in the helper, so that one program installs both.
//!
//! The plugin is `CLAUSTRE_PLUGIN_WASM`, or what `cargo xtask build-plugin` left in the workspace. Without one the helper
//! builds all the same and says at run time that it carries no plugin. An empty `CLAUSTRE_PLUGIN_WASM` asks for that.

use std::error::Error;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CLAUSTRE_PLUGIN_WASM");
    println!("cargo::rustc-check-cfg=cfg(claustre_plugin_embedded)");
    let Some(plugin) = find_plugin()? else {
        return Ok(());
    };
    // A copy of our own: the original may be replaced while the compiler reads it.
    let copy = Path::new(&std::env::var("OUT_DIR")?).join("claustre-plugin.wasm");
    std::fs::copy(&plugin, &copy)
        .map_err(|error| format!("copying {}: {error}", plugin.display()))?;
    println!("cargo::rustc-cfg=claustre_plugin_embedded");
    Ok(())
}

fn find_plugin() -> Result<Option<PathBuf>, Box<dyn Error>> {
    if let Some(chosen) = std::env::var_os("CLAUSTRE_PLUGIN_WASM") {
        if chosen.is_empty() {
            return Ok(None);
        }
        let chosen = PathBuf::from(chosen);
        println!("cargo::rerun-if-changed={}", chosen.display());
        if !chosen.is_file() {
            return Err(format!(
                "CLAUSTRE_PLUGIN_WASM is {}, which is no file",
                chosen.display()
            )
            .into());
        }
        return Ok(Some(chosen));
    }
    let manifest = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let workspace = manifest.parent().ok_or("the helper has no workspace")?;
    let directory = workspace.join("target").join("plugin");
    // Watching a file that does not exist would run this at every build, so the directory is watched. Outside the
    // workspace (a published package) there may be no such place, and nothing to wait for either.
    if std::fs::create_dir_all(&directory).is_ok() {
        println!("cargo::rerun-if-changed={}", directory.display());
    }
    let plugin = directory.join("claustre-plugin.wasm");
    Ok(plugin.is_file().then_some(plugin))
}
