//! `cargo xtask install`: the helper with its plugin, and Zellij where it is missing.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::process::say;
use crate::workspace::{Workspace, environment_path, home, on_path};
use crate::{plugin, run, zellij};

/// Builds and installs; `--root DIR` says where.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let root = match arguments {
        [] => default_root()?,
        [option, directory] if option == "--root" => {
            std::path::absolute(directory).with_context(|| format!("finding {directory}"))?
        }
        [option] if option.starts_with("--root=") => {
            let directory = option.trim_start_matches("--root=");
            std::path::absolute(directory).with_context(|| format!("finding {directory}"))?
        }
        _ => bail!("usage: cargo xtask install [--root DIR]"),
    };
    let programs = root.join("bin");
    say(&format!("installing into {}", programs.display()));
    std::fs::create_dir_all(&programs)
        .with_context(|| format!("creating {}", programs.display()))?;

    plugin::build(workspace)?;
    run::release(workspace)?;
    place(
        &workspace.built("release", "claustre"),
        &programs.join("claustre"),
    )?;

    let found = zellij::find_or_install(workspace)?;
    // What lies among the tools is on nobody's PATH.
    if on_path("zellij").as_deref() != Some(found.as_path()) {
        let target = programs.join("zellij");
        if target.exists() {
            say(&format!(
                "{} is left as it is; {} is the newer one",
                target.display(),
                found.display()
            ));
        } else {
            place(&found, &target)?;
        }
    }

    if on_path("claustre").as_deref() != Some(programs.join("claustre").as_path()) {
        say(&format!(
            "`claustre` on PATH is not this one: put {} first on PATH",
            programs.display()
        ));
    }
    say("done; `claustre setup` connects it with Zellij");
    Ok(())
}

/// Where programs of the user go: where `cargo install` puts them, if that is on PATH, else `~/.local`.
fn default_root() -> Result<PathBuf> {
    if let Some(chosen) = environment_path("CARGO_INSTALL_ROOT") {
        return std::path::absolute(&chosen)
            .with_context(|| format!("finding {}", chosen.display()));
    }
    let home = home().context("HOME is not set; use --root DIR")?;
    let cargo = environment_path("CARGO_HOME").unwrap_or_else(|| home.join(".cargo"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|directory| directory == cargo.join("bin")) {
        return Ok(cargo);
    }
    Ok(home.join(".local"))
}

/// Copies a program beside its place and moves it there, because the present one may be running.
fn place(program: &Path, target: &Path) -> Result<()> {
    let mut name = target
        .file_name()
        .context("a program needs a name")?
        .to_os_string();
    name.push(".new");
    let unfinished = target.with_file_name(name);
    std::fs::copy(program, &unfinished)
        .with_context(|| format!("copying {} to {}", program.display(), unfinished.display()))?;
    std::fs::rename(&unfinished, target)
        .with_context(|| format!("writing {}", target.display()))?;
    say(&format!("installed {}", target.display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_placed_program_replaces_the_present_one_and_may_be_executed() {
        let directory =
            std::env::temp_dir().join(format!("claustre-xtask-place-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let (program, target) = (directory.join("built"), directory.join("installed"));
        std::fs::write(&program, "new").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(&target, "old").unwrap();
        place(&program, &target).unwrap();
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "new");
        assert!(crate::workspace::is_program(&target));
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 2);
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
