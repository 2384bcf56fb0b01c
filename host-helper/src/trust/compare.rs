//! What differs between what was trusted and what is there.

use std::collections::BTreeSet;

use super::{Content, Files};

/// Most lines shown of one file.
const MOST_LINES: usize = 200;

/// How a file differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// Its content is another.
    Edited,
    /// It became executable, or is not any more.
    Mode,
}

/// One file that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its path below the folder.
    pub path: String,
    /// How.
    pub kind: Kind,
    /// The lines that differ, `-` before the old and `+` before the new ones; not yet safe for a terminal.
    pub lines: Vec<String>,
}

impl Kind {
    /// One word for people and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Edited => "edited",
            Self::Mode => "mode",
        }
    }
}

/// What differs, in the order of the paths.
pub fn compare(old: &Files, new: &Files) -> Vec<Change> {
    let paths: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    paths
        .into_iter()
        .filter_map(|path| {
            let (before, after) = (old.get(path), new.get(path));
            let kind = match (before, after) {
                (None, _) => Kind::Added,
                (_, None) => Kind::Removed,
                (Some(before), Some(after)) if before.bytes != after.bytes => Kind::Edited,
                (Some(before), Some(after)) if before.executable != after.executable => Kind::Mode,
                _ => return None,
            };
            let lines = if kind == Kind::Mode {
                Vec::new()
            } else {
                differing(before, after)
            };
            Some(Change {
                path: path.clone(),
                kind,
                lines,
            })
        })
        .collect()
}

/// The lines between the common beginning and the common end.
fn differing(before: Option<&Content>, after: Option<&Content>) -> Vec<String> {
    let text = |content: Option<&Content>| {
        content.map_or_else(String::new, |content| {
            String::from_utf8_lossy(&content.bytes).into_owned()
        })
    };
    let (before, after) = (text(before), text(after));
    let old: Vec<&str> = before.lines().collect();
    let new: Vec<&str> = after.lines().collect();
    let start = old
        .iter()
        .zip(&new)
        .take_while(|(old, new)| old == new)
        .count();
    let (old, new) = (
        old.get(start..).unwrap_or_default(),
        new.get(start..).unwrap_or_default(),
    );
    let end = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take_while(|(old, new)| old == new)
        .count();
    let part = |lines: &[&str], mark: char| -> Vec<String> {
        lines
            .get(..lines.len().saturating_sub(end))
            .unwrap_or_default()
            .iter()
            .map(|line| format!("{mark}{line}"))
            .collect()
    };
    let mut lines = part(old, '-');
    lines.extend(part(new, '+'));
    if lines.len() > MOST_LINES {
        let more = lines.len().saturating_sub(MOST_LINES);
        lines.truncate(MOST_LINES);
        lines.push(format!("… {more} more lines"));
    }
    lines
}
