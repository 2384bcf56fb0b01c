//! Finding, and where need be installing, a toolchain that builds for wasm32-wasip1.
//!
//! Best is the standard library that rustup installs. Where its download fails, Debian's packages hold a compiler and
//! the sources of the standard library, which cargo then builds along with the plugin.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::{self, say};
use crate::workspace::{Workspace, on_path};

/// The target that Zellij runs.
pub const TARGET: &str = "wasm32-wasip1";

/// What Debian needs: compiler, cargo, the sources of the standard library, and the C library below it.
const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "wasi-libc"];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_STANDARD_LIBRARY: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";
const DEBIAN_WASI_LIBRARIES: &str = "/usr/lib/wasm32-wasi";

/// A download that does not come through shall not hold the build up.
const RUSTUP_LIMIT: Duration = Duration::from_secs(60);
const APT_LIMIT: Duration = Duration::from_secs(600);

/// A way to compile for [`TARGET`].
pub enum Toolchain {
    /// The ordinary toolchain with the target's standard library installed.
    Installed,
    /// Debian's toolchain, which builds the standard library too, linked by this linker.
    Debian { linker: PathBuf },
}

impl Toolchain {
    /// Finds a toolchain, in the order of trouble: installed, from rustup, from Debian.
    pub fn find(workspace: &Workspace) -> Result<Self> {
        match std::env::var("CLAUSTRE_WASM_TOOLCHAIN").as_deref() {
            Ok("rustup") => return Self::rustup(workspace),
            Ok("debian") => return Self::debian(workspace),
            Ok("") | Err(_) => {}
            Ok(other) => {
                bail!("CLAUSTRE_WASM_TOOLCHAIN is {other}, but only rustup and debian are known")
            }
        }
        let refusal = match Self::rustup(workspace) {
            Ok(toolchain) => return Ok(toolchain),
            Err(refusal) => refusal,
        };
        say(&format!("{refusal:#}; going on with Debian's packages"));
        Self::debian(workspace).with_context(|| {
            format!(
                "finding a toolchain for {TARGET} (rustup target add {TARGET} would be the easiest)"
            )
        })
    }

    /// A command that builds with this toolchain; the caller adds what is to be built.
    pub fn cargo_build(&self, workspace: &Workspace) -> Command {
        let mut command = match self {
            Self::Installed => workspace.cargo(&["build"]),
            Self::Debian { linker } => {
                let mut command = Command::new(DEBIAN_CARGO);
                command
                    .current_dir(workspace.root())
                    .args(["build", "-Z", "build-std=std,panic_abort"])
                    .env("RUSTC", DEBIAN_RUSTC)
                    // Without it a stable compiler refuses `-Z build-std`.
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("CARGO_TARGET_WASM32_WASIP1_LINKER", linker)
                    // Never wasi-libc's crt1-command.o: see plugin/src/start.rs, which takes its place.
                    .env(
                        "CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS",
                        format!(
                            "-Clinker-flavor=wasm-ld -Clink-self-contained=no -L{DEBIAN_WASI_LIBRARIES} \
                             --cfg claustre_own_start"
                        ),
                    )
                    // What rustup and `cargo run` set for their own compiler would lead this one astray.
                    .env_remove("CARGO")
                    .env_remove("RUSTUP_TOOLCHAIN")
                    .env_remove("LD_LIBRARY_PATH");
                command
            }
        };
        // These are meant for native builds, and would replace the flags above.
        command
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("CARGO_BUILD_TARGET");
        command.args(["--target", TARGET]);
        command
    }

    fn rustup(workspace: &Workspace) -> Result<Self> {
        let sysroot = sysroot(workspace)?;
        let library = sysroot.join("lib/rustlib").join(TARGET).join("lib");
        if library.is_dir() {
            say(&format!("the standard library for {TARGET} is installed"));
            return Ok(Self::Installed);
        }
        let Some(rustup) = on_path("rustup") else {
            bail!(
                "the standard library for {TARGET} is not installed, and there is no rustup to install it"
            );
        };
        say(&format!(
            "the standard library for {TARGET} is not installed; asking rustup for it"
        ));
        let mut command = Command::new(rustup);
        command
            .current_dir(workspace.root())
            .args(["target", "add", TARGET]);
        process::run_limited(&mut command, RUSTUP_LIMIT)?;
        if !library.is_dir() {
            bail!("rustup is content, but {} is missing", library.display());
        }
        Ok(Self::Installed)
    }

    fn debian(workspace: &Workspace) -> Result<Self> {
        let missing = missing_debian_packages();
        if missing.is_empty() {
            say("Debian's packages for wasm are installed");
        } else {
            install_debian_packages(&missing)?;
        }
        for needed in [
            DEBIAN_RUSTC,
            DEBIAN_CARGO,
            DEBIAN_STANDARD_LIBRARY,
            DEBIAN_WASI_LIBRARIES,
        ] {
            if !Path::new(needed).exists() {
                bail!(
                    "{} are installed, but {needed} is missing",
                    DEBIAN_PACKAGES.join(", ")
                );
            }
        }
        let linker = linker(workspace)?;
        say(&format!("linking with {}", linker.display()));
        Ok(Self::Debian { linker })
    }
}

/// The directory of the ordinary compiler.
fn sysroot(workspace: &Workspace) -> Result<PathBuf> {
    let mut command = Command::new("rustc");
    command
        .current_dir(workspace.root())
        .args(["--print", "sysroot"]);
    Ok(PathBuf::from(process::output(&mut command)?.trim()))
}

/// A linker that writes wasm: the one of the ordinary toolchain, or LLVM's own.
fn linker(workspace: &Workspace) -> Result<PathBuf> {
    let hosts = sysroot(workspace)?.join("lib/rustlib");
    if let Ok(entries) = std::fs::read_dir(&hosts) {
        let mut found: Vec<PathBuf> = entries
            .flatten()
            .map(|entry| entry.path().join("bin/rust-lld"))
            .filter(|path| path.is_file())
            .collect();
        found.sort();
        if let Some(first) = found.into_iter().next() {
            return Ok(first);
        }
    }
    for name in [
        "wasm-ld",
        "rust-lld",
        "lld",
        "wasm-ld-22",
        "wasm-ld-21",
        "wasm-ld-20",
        "wasm-ld-19",
    ] {
        if let Some(found) = on_path(name) {
            return Ok(found);
        }
    }
    bail!(
        "there is no linker for wasm: neither rust-lld in {} nor wasm-ld on PATH (apt-get install lld)",
        hosts.display()
    )
}

fn missing_debian_packages() -> Vec<&'static str> {
    DEBIAN_PACKAGES
        .into_iter()
        .filter(|package| !is_debian_package_installed(package))
        .collect()
}

fn is_debian_package_installed(package: &str) -> bool {
    let mut command = Command::new("dpkg-query");
    command.args(["--show", "--showformat", "${db:Status-Status}", package]);
    process::output(&mut command).is_ok_and(|status| status.trim() == "installed")
}

fn install_debian_packages(missing: &[&str]) -> Result<()> {
    let advice = format!(
        "apt-get install --no-install-recommends {}",
        missing.join(" ")
    );
    if on_path("apt-get").is_none() {
        bail!(
            "this is no Debian (there is no apt-get), so {} cannot be installed",
            missing.join(", ")
        );
    }
    let root = is_root()?;
    if !root && process::output(Command::new("sudo").args(["-n", "true"])).is_err() {
        bail!(
            "{} are missing and only root may install them; run: sudo {advice}",
            missing.join(", ")
        );
    }
    say(&format!(
        "installing {} (about 150 MB to download, a minute or two)",
        missing.join(", ")
    ));
    // Old package lists often still serve, so that a failed update alone is no reason to stop.
    if let Err(error) = process::run_limited(apt_get(root).arg("update"), APT_LIMIT) {
        say(&format!(
            "{error:#}; trying with the package lists that are there"
        ));
    }
    // They conflict with Debian's own rustc, cargo and rustup, which nobody asked us to remove.
    let mut install = apt_get(root);
    install
        .args(["install", "--yes", "--no-install-recommends", "--no-remove"])
        .args(missing);
    process::run_limited(&mut install, APT_LIMIT)
        .with_context(|| format!("installing packages; by hand: {advice}"))
}

fn apt_get(root: bool) -> Command {
    let mut command = if root {
        Command::new("env")
    } else {
        let mut command = Command::new("sudo");
        command.args(["-n", "env"]);
        command
    };
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"]);
    command
}

fn is_root() -> Result<bool> {
    Ok(process::output(Command::new("id").arg("-u"))?.trim() == "0")
}
