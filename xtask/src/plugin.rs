//! Building the plugin: compile, check, strip, put it where the helper's build finds it.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::process::{self, say};
use crate::toolchain::{TARGET, Toolchain};
use crate::wasm;
use crate::workspace::Workspace;

/// Where the finished plugin lies; host-helper/build.rs looks here.
const OUTPUT: &str = "target/plugin/claustre-plugin.wasm";
/// Its own target directory, so that a wasm build and a native one never wait for each other or undo each other's work.
const BUILD_DIRECTORY: &str = "target/wasm";
/// Written after a complete build; its age decides whether the next build has anything to do. The plugin itself cannot
/// tell: it is left untouched when a build gives the same bytes, so that the helper is not built again.
const STAMP: &str = "target/wasm/claustre-plugin.built";
/// What the plugin is made of.
const INPUTS: [&str; 7] = [
    "Cargo.toml",
    "Cargo.lock",
    "plugin/Cargo.toml",
    "plugin/build.rs",
    "plugin/src",
    "protocol/Cargo.toml",
    "protocol/src",
];
/// Bytes. Zellij compiles the plugin at every start, and the helper carries it.
const SIZE_LIMIT: usize = 1_500_000;
/// What Zellij calls.
const NEEDED_EXPORTS: [&str; 6] = [
    "_start",
    "load",
    "update",
    "pipe",
    "render",
    "plugin_version",
];

/// Builds the plugin if anything changed and gives its path.
pub fn build(workspace: &Workspace) -> Result<PathBuf> {
    let output = workspace.path(OUTPUT);
    if is_current(workspace, &output)? {
        say(&format!("the plugin is up to date: {OUTPUT}"));
        return Ok(output);
    }
    // The time before the build: a file that changes meanwhile makes the next build necessary.
    let started = SystemTime::now();
    let toolchain = Toolchain::find(workspace)?;
    let mut command = toolchain.cargo_build(workspace);
    command
        .args([
            "--locked",
            "--package",
            "claustre-plugin",
            "--bin",
            "claustre-plugin",
            "--profile",
            "plugin",
        ])
        .args(["--target-dir", BUILD_DIRECTORY])
        // The check below reads the names of functions; stripping follows it.
        .env("CARGO_PROFILE_PLUGIN_STRIP", "none");
    match toolchain {
        Toolchain::Installed => say("building the plugin (the first time a minute or two)"),
        Toolchain::Debian { .. } => {
            say("building the plugin and the standard library (the first time about 5 minutes)")
        }
    }
    process::run(&mut command)?;

    let built = workspace
        .path(BUILD_DIRECTORY)
        .join(TARGET)
        .join("plugin/claustre-plugin.wasm");
    let module = std::fs::read(&built).with_context(|| format!("reading {}", built.display()))?;
    let finished = finish(&module).with_context(|| format!("checking {}", built.display()))?;
    say(&format!(
        "the plugin has {} kB (limit {} kB)",
        finished.len() / 1000,
        SIZE_LIMIT / 1000
    ));
    replace(&output, &finished)?;
    let stamp = workspace.path(STAMP);
    let file =
        std::fs::File::create(&stamp).with_context(|| format!("writing {}", stamp.display()))?;
    file.set_modified(started)
        .with_context(|| format!("dating {}", stamp.display()))?;
    Ok(output)
}

/// Checks an unstripped module and gives it back stripped.
fn finish(module: &[u8]) -> Result<Vec<u8>> {
    if !wasm::has_names(module)? {
        bail!("the module carries no function names, so that it cannot be checked");
    }
    if wasm::mentions(module, "command_export") {
        bail!(
            "the linker wrapped every export in constructor calls (names with command_export), which makes the plugin \
             slower with every call; plugin/src/start.rs says more"
        );
    }
    let exports = wasm::exports(module)?;
    if let Some(missing) = NEEDED_EXPORTS
        .iter()
        .find(|needed| !exports.iter().any(|name| name == *needed))
    {
        bail!(
            "Zellij needs the export {missing}, and the module has only: {}",
            exports.join(", ")
        );
    }
    let stripped = wasm::strip(module)?;
    if stripped.len() > SIZE_LIMIT {
        // A missed budget is told, here and by the bench; it does not keep anybody from working.
        eprintln!(
            "xtask: warning: the plugin has {} bytes, {} over its budget of {SIZE_LIMIT}",
            stripped.len(),
            stripped.len() - SIZE_LIMIT
        );
    }
    Ok(stripped)
}

/// Puts the plugin in place at once, and only if it differs.
fn replace(output: &Path, module: &[u8]) -> Result<()> {
    if std::fs::read(output).is_ok_and(|present| present == module) {
        return Ok(());
    }
    let directory = output.parent().context("the output has no directory")?;
    std::fs::create_dir_all(directory)
        .with_context(|| format!("creating {}", directory.display()))?;
    let unfinished = output.with_extension("wasm.new");
    std::fs::write(&unfinished, module)
        .with_context(|| format!("writing {}", unfinished.display()))?;
    std::fs::rename(&unfinished, output).with_context(|| format!("writing {}", output.display()))
}

fn is_current(workspace: &Workspace, output: &Path) -> Result<bool> {
    let Ok(stamp) = std::fs::metadata(workspace.path(STAMP)) else {
        return Ok(false);
    };
    if !output.is_file() {
        return Ok(false);
    }
    let built = stamp.modified().context("reading the age of the plugin")?;
    for input in INPUTS {
        if newest(&workspace.path(input))?.is_some_and(|changed| changed >= built) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// When the file, or anything in the directory, last changed. Snapshots of tests do not count.
fn newest(path: &Path) -> Result<Option<SystemTime>> {
    let reading = || format!("reading the age of {}", path.display());
    let Ok(metadata) = std::fs::metadata(path) else {
        return Ok(None);
    };
    if path.file_name().is_some_and(|name| name == "snapshots") {
        return Ok(None);
    }
    // A directory's own time changes when a file in it is added or removed.
    let mut newest_time = metadata.modified().with_context(reading)?;
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path).with_context(reading)? {
            let changed = newest(&entry.with_context(reading)?.path())?;
            newest_time = changed.map_or(newest_time, |changed| changed.max(newest_time));
        }
    }
    Ok(Some(newest_time))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module that exports the given names and calls its functions by others.
    fn module(exports: &[&str], function: &str) -> Vec<u8> {
        let section = |kind: u8, content: &[u8]| {
            let mut section = vec![kind, u8::try_from(content.len()).unwrap()];
            section.extend(content);
            section
        };
        let mut list = vec![u8::try_from(exports.len()).unwrap()];
        for export in exports {
            list.push(u8::try_from(export.len()).unwrap());
            list.extend(export.bytes());
            list.extend([0, 0]);
        }
        let mut names = b"\x04name".to_vec();
        names.extend(function.bytes());
        [
            b"\0asm\x01\0\0\0".to_vec(),
            section(7, &list),
            section(0, &names),
        ]
        .concat()
    }

    #[test]
    fn a_good_module_is_stripped() {
        let module = module(&NEEDED_EXPORTS, "render");
        assert!(finish(&module).unwrap().len() < module.len());
    }

    #[test]
    fn wrapped_exports_are_refused() {
        let error = finish(&module(&NEEDED_EXPORTS, "render.command_export")).unwrap_err();
        assert!(format!("{error:#}").contains("command_export"), "{error:#}");
    }

    #[test]
    fn a_missing_export_is_named() {
        let error = finish(&module(&["_start", "load"], "load")).unwrap_err();
        assert!(
            format!("{error:#}").contains("needs the export update"),
            "{error:#}"
        );
    }

    #[test]
    fn a_module_without_names_is_refused() {
        let stripped = wasm::strip(&module(&NEEDED_EXPORTS, "x")).unwrap();
        assert!(finish(&stripped).is_err());
    }
}
