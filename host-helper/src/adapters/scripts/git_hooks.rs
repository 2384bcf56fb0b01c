//! The hooks of a session's git, in the session's directory.
//!
//! Git looks for hooks in one directory only. So each name that git knows gets a wrapper there, which runs ours and then the
//! repository's own of that name, found when it runs: a repository may install its hooks later.

use std::{fs, io, path::Path};

use crate::trust::{Content, Files, HOOKS, TrustError, write_file};

/// Hooks of a client's git, by the name git gives them.
const NAMES: [&str; 15] = [
    "applypatch-msg",
    "commit-msg",
    "post-applypatch",
    "post-checkout",
    "post-commit",
    "post-merge",
    "post-rewrite",
    "pre-applypatch",
    "pre-auto-gc",
    "pre-commit",
    "pre-merge-commit",
    "pre-push",
    "pre-rebase",
    "prepare-commit-msg",
    "sendemail-validate",
];
/// Hooks that run so often that a wrapper would be felt: they get one only where somebody has such a hook already.
const FREQUENT: [&str; 2] = ["post-index-change", "reference-transaction"];
/// Runs ours, then the repository's own.
const WRAPPER: &str = include_str!("wrapper.sh");

/// What was made.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Made {
    /// Is there any hook of ours? Otherwise nothing was written.
    pub(super) any: bool,
    /// Hooks that were left out because they are not executable.
    pub(super) idle: Vec<String>,
}

/// Writes the folder anew, from these files (`hooks/…`).
pub(super) fn write(
    folder: &Path,
    files: &Files,
    common_dir: Option<&Path>,
) -> Result<Made, TrustError> {
    let failed = |doing: &'static str| {
        let path = folder.to_owned();
        move |error: io::Error| TrustError::File { doing, path, error }
    };
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("removing")(error));
        }
        _ => {}
    }
    let prefix = format!("{HOOKS}/");
    let ours = |name: &str| files.get(&format!("{prefix}{name}"));
    let mut made = Made::default();
    for name in NAMES.iter().chain(&FREQUENT) {
        match ours(name) {
            Some(content) if content.executable => made.any = true,
            Some(_) => made.idle.push((*name).to_owned()),
            None => {}
        }
    }
    if !made.any {
        return Ok(made);
    }
    // With what else is there: a hook may call a file beside it.
    for (path, content) in files {
        if let Some(path) = path.strip_prefix(&prefix) {
            write_file(folder, &format!("files/{path}"), content)?;
        }
    }
    let wrapper = Content {
        bytes: WRAPPER.as_bytes().to_vec(),
        executable: true,
    };
    for name in NAMES {
        write_file(folder, name, &wrapper)?;
    }
    for name in FREQUENT {
        if ours(name).is_some_and(|content| content.executable)
            || common_dir.is_some_and(|common_dir| may_have(common_dir, name))
        {
            write_file(folder, name, &wrapper)?;
        }
    }
    Ok(made)
}

/// May the repository have a hook of this name?
fn may_have(common_dir: &Path, name: &str) -> bool {
    common_dir.join("hooks").join(name).is_file()
        || fs::read(common_dir.join("config")).is_ok_and(|config| {
            String::from_utf8_lossy(&config)
                .to_ascii_lowercase()
                .contains("hookspath")
        })
}
