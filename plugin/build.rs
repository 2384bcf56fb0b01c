//! Declares the cfg under which the plugin brings its own `_start`; `cargo xtask build-plugin` sets it.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(claustre_own_start)");
}
