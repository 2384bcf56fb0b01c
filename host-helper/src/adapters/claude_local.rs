//! Our block in a worktree's `CLAUDE.local.md`: the texts for every session, where the user prefers a file or they are too long for
//! an argument. What else is in the file stays, above and below. Git ignores the file (`git/exclude.rs`).

use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

/// The file's name.
pub const NAME: &str = "CLAUDE.local.md";
const BEGIN: &str =
    "<!-- >>> claustre >>> (kept by claustre; what is between these marks is rewritten) -->";
const BEGIN_MARK: &str = "<!-- >>> claustre >>>";
const END: &str = "<!-- <<< claustre <<< -->";
/// Longest file of the user's that is kept, in bytes.
const LIMIT: u64 = 4 * 1024 * 1024;

/// Writes the block, or takes it out where there is no text. A file that only the main checkout has is copied first.
///
/// # Errors
/// The file is a link, too long or no text, or cannot be written; it is then as it was.
pub fn put(worktree: &Path, main: &Path, text: Option<&str>) -> io::Result<()> {
    let path = worktree.join(NAME);
    let there = read(&path)?;
    let before = match (&there, text) {
        (Some(before), _) => before.clone(),
        (None, None) => return Ok(()),
        (None, Some(_)) if worktree == main => String::new(),
        (None, Some(_)) => read(&main.join(NAME))?.unwrap_or_default(),
    };
    let after = with_block(&before, text);
    if there.as_deref() == Some(after.as_str()) {
        return Ok(());
    }
    if after.is_empty() {
        // Nothing but our block was in it.
        return fs::remove_file(&path);
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&path)?;
    file.write_all(after.as_bytes())
}

/// Does the worktree's file hold nothing but our block, below what the main checkout's has?
pub fn is_ours(worktree: &Path, main: &Path) -> bool {
    let Ok(Some(there)) = read(&worktree.join(NAME)) else {
        return false;
    };
    let rest = with_block(&there, None);
    let of_main = read(&main.join(NAME)).ok().flatten().unwrap_or_default();
    rest.is_empty() || rest.trim_end() == of_main.trim_end()
}

/// The text of a plain file; none where there is none.
fn read(path: &Path) -> io::Result<Option<String>> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let data = file.metadata()?;
    if !data.is_file() || data.len() > LIMIT {
        return Err(io::Error::other("it is not a plain file of usual size"));
    }
    let mut text = String::new();
    file.take(LIMIT).read_to_string(&mut text)?;
    Ok(Some(text))
}

/// The text of the file with this block in the place of the last one, else at its end.
fn with_block(before: &str, text: Option<&str>) -> String {
    let (above, below) = match before.find(BEGIN_MARK) {
        Some(start) => {
            let (above, rest) = before.split_at(start);
            // A beginning that lost its end is the user's text.
            match rest.find(END) {
                Some(end) => (
                    above,
                    rest.get(end.saturating_add(END.len())..)
                        .unwrap_or_default()
                        .trim_start_matches('\n'),
                ),
                None => (before, ""),
            }
        }
        None => (before, ""),
    };
    let above = above.trim_end_matches('\n');
    let mut parts: Vec<String> = Vec::new();
    if !above.is_empty() {
        parts.push(above.to_owned());
    }
    if let Some(text) = text {
        // No text can end its own block.
        let text = text.replace("<!-- <<<", "<!--").replace("<!-- >>>", "<!--");
        parts.push(format!("{BEGIN}\n{}\n{END}", text.trim_end()));
    }
    if !below.trim().is_empty() {
        parts.push(below.trim_end_matches('\n').to_owned());
    }
    let mut whole = parts.join("\n\n");
    if !whole.is_empty() {
        whole.push('\n');
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_is_written_once_and_goes_without_a_trace() {
        let one = with_block("mine\n", Some("one"));
        assert_eq!(one, format!("mine\n\n{BEGIN}\none\n{END}\n"));
        let two = with_block(&format!("{one}below\n"), Some("two"));
        assert_eq!(two, format!("mine\n\n{BEGIN}\ntwo\n{END}\n\nbelow\n"));
        assert_eq!(with_block(&two, None), "mine\n\nbelow\n");
        assert_eq!(with_block("", Some("x")), format!("{BEGIN}\nx\n{END}\n"));
        assert_eq!(with_block(&with_block("", Some("x")), None), "");

        let (tree, main) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let is_ours = || is_ours(tree.path(), main.path());
        assert!(!is_ours(), "there is none");
        put(tree.path(), main.path(), Some("x")).unwrap();
        assert!(is_ours());
        fs::write(main.path().join(NAME), "mine\n").unwrap();
        put(tree.path(), main.path(), Some("x")).unwrap();
        assert!(is_ours());
        fs::write(tree.path().join(NAME), one).unwrap();
        assert!(is_ours(), "as the main checkout has it");
        fs::write(tree.path().join(NAME), "notes of the agent\n").unwrap();
        assert!(!is_ours());
        let sly = with_block("", Some(&format!("a\n{END}\nb")));
        assert_eq!(with_block(&sly, None), "", "{sly}");
        let lost = format!("a\n{BEGIN}\nb\n");
        assert!(with_block(&lost, None).contains('b'));
    }

    #[test]
    fn what_the_main_checkout_has_is_kept_above_and_links_are_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let (main, worktree) = (home.path().join("main"), home.path().join("worktree"));
        for folder in [&main, &worktree] {
            fs::create_dir(folder).unwrap();
        }
        fs::write(main.join(NAME), "the user's\n").unwrap();
        put(&worktree, &main, None).unwrap();
        assert!(!worktree.join(NAME).exists());
        put(&worktree, &main, Some("one")).unwrap();
        put(&worktree, &main, Some("two")).unwrap();
        let text = fs::read_to_string(worktree.join(NAME)).unwrap();
        assert_eq!(text, format!("the user's\n\n{BEGIN}\ntwo\n{END}\n"));
        assert_eq!(fs::read_to_string(main.join(NAME)).unwrap(), "the user's\n");

        fs::remove_file(worktree.join(NAME)).unwrap();
        std::os::unix::fs::symlink(main.join(NAME), worktree.join(NAME)).unwrap();
        assert!(put(&worktree, &main, Some("three")).is_err());
        assert_eq!(fs::read_to_string(main.join(NAME)).unwrap(), "the user's\n");
    }
}
