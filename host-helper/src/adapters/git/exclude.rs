//! Our block in `info/exclude` of the common git directory: the only file outside the worktrees
//! that we add to, because it is the only ignore list that all worktrees share and none commits.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::GitError;

/// What is always excluded: the files that we put into a worktree.
pub const ALWAYS: &[&str] = &["/.mcp.json", "/CLAUDE.local.md"];

const BEGIN: &str =
    "# >>> claustre >>> (kept by claustre; lines between these marks are rewritten)";
const BEGIN_MARK: &str = "# >>> claustre >>>";
const END: &str = "# <<< claustre <<<";

/// Two launches in one repository read and write the same file.
static WRITING: Mutex<()> = Mutex::new(());

/// Adds [`ALWAYS`] and `patterns` to our block, once each; what else is in the file stays.
/// Returns whether the file changed.
pub fn add(common_dir: &Path, patterns: &[String]) -> Result<bool, GitError> {
    let _guard = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let path = file(common_dir)?;
    let before = read(&path)?;
    let (own, mut ours) = split(&before);
    let wanted = ALWAYS
        .iter()
        .map(|pattern| (*pattern).to_owned())
        .chain(patterns.iter().cloned());
    for pattern in wanted {
        let one_line = !pattern.is_empty() && !pattern.contains(['\n', '\r', '\0']);
        if one_line && !pattern.starts_with('#') && !ours.contains(&pattern) {
            ours.push(pattern);
        }
    }
    let mut after = own;
    if !after.is_empty() && !after.ends_with('\n') {
        after.push('\n');
    }
    after.push_str(BEGIN);
    after.push('\n');
    for pattern in &ours {
        after.push_str(pattern);
        after.push('\n');
    }
    after.push_str(END);
    after.push('\n');
    replace(&path, &before, &after)
}

/// Takes our block out again; what else is in the file stays. Returns whether the file changed.
pub fn remove(common_dir: &Path) -> Result<bool, GitError> {
    let _guard = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let path = file(common_dir)?;
    let before = read(&path)?;
    let (own, _) = split(&before);
    replace(&path, &before, &own)
}

/// The path of the file. Links are refused: an agent could have pointed them anywhere.
fn file(common_dir: &Path) -> Result<PathBuf, GitError> {
    let info = common_dir.join("info");
    let path = info.join("exclude");
    for part in [&info, &path] {
        if part.symlink_metadata().is_ok_and(|data| data.is_symlink()) {
            let refusal = std::io::Error::other("it is a symbolic link");
            return Err(GitError::file("writing", part)(refusal));
        }
    }
    Ok(path)
}

fn read(path: &Path) -> Result<String, GitError> {
    match fs::read(path) {
        // A file that is not UTF-8 is left alone rather than rewritten with losses.
        Ok(bytes) => String::from_utf8(bytes)
            .map_err(|error| GitError::file("reading", path)(std::io::Error::other(error))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(GitError::file("reading", path)(error)),
    }
}

/// What is the user's, and the patterns of our block.
fn split(text: &str) -> (String, Vec<String>) {
    let mut own = String::new();
    let mut ours = Vec::new();
    let mut inside = false;
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for (at, line) in lines.iter().enumerate() {
        let bare = line.trim_end();
        // A begin that somebody left without its end begins nothing: what follows is the user's.
        let mut marks = lines.iter().skip(at + 1).map(|later| later.trim_end());
        if bare.starts_with(BEGIN_MARK)
            && marks.find(|later| *later == END || later.starts_with(BEGIN_MARK)) == Some(END)
        {
            inside = true;
        } else if inside && bare == END {
            inside = false;
        } else if inside {
            ours.push(bare.to_owned());
        } else {
            own.push_str(line);
        }
    }
    (own, ours)
}

/// Writes a new file beside it and renames it over, so that git never reads half of it.
fn replace(path: &Path, before: &str, after: &str) -> Result<bool, GitError> {
    if before == after {
        return Ok(false);
    }
    if let Some(info) = path.parent() {
        fs::create_dir_all(info).map_err(GitError::file("making", info))?;
    }
    let fresh = path.with_file_name(format!("exclude.claustre-{}", std::process::id()));
    let write = || -> std::io::Result<()> {
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = fs::File::create_new(&fresh)?;
        file.write_all(after.as_bytes())?;
        let mode = fs::metadata(path).map_or(0o644, |data| data.permissions().mode() & 0o777);
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    write().map_err(GitError::file("writing", path))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_block_is_written_once_and_goes_without_a_trace() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("info/exclude");
        assert!(add(dir.path(), &[]).unwrap());
        assert!(remove(dir.path()).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "");

        let users = "# mine\n*.swp\nno newline at the end";
        fs::write(&path, users).unwrap();
        assert!(add(dir.path(), &["/node_modules".into()]).unwrap());
        assert!(!add(dir.path(), &["/node_modules".into(), "bad\nline".into()]).unwrap());
        assert!(add(dir.path(), &["/venv".into()]).unwrap());
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with(users), "{text}");
        for line in [
            "/.mcp.json",
            "/CLAUDE.local.md",
            "/node_modules",
            "/venv",
            END,
        ] {
            assert_eq!(
                text.lines().filter(|have| *have == line).count(),
                1,
                "{line}: {text}"
            );
        }
        fs::write(&path, format!("{text}after\n")).unwrap();
        assert!(remove(dir.path()).unwrap());
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!("{users}\nafter\n")
        );
        assert!(!remove(dir.path()).unwrap());
    }

    #[test]
    fn a_planted_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("info")).unwrap();
        let victim = dir.path().join("bashrc");
        fs::write(&victim, "x").unwrap();
        std::os::unix::fs::symlink(&victim, dir.path().join("info/exclude")).unwrap();
        assert!(add(dir.path(), &[]).is_err());
        assert_eq!(fs::read_to_string(&victim).unwrap(), "x");
    }
}
