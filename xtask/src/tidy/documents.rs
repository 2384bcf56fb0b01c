//! What documents and files refer to exists, here, in this repository.

use std::collections::BTreeSet;

use crate::tidy::{File, Finding};

/// The document that says where things are.
const MAP: &str = "ARCHITECTURE.md";
/// A name that ends like this is a file's.
const ENDINGS: [&str; 9] = [
    ".rs", ".toml", ".md", ".sql", ".kdl", ".yml", ".json", ".sh", ".html",
];

/// Every path that ARCHITECTURE.md names in backticks exists. A path may be given from the root, or as the end of one
/// (`adapters/process.rs`).
pub fn check_named_paths(files: &[File]) -> Vec<Finding> {
    let Some(text) = files
        .iter()
        .find(|file| file.path == MAP)
        .and_then(|file| file.text.as_deref())
    else {
        return Vec::new();
    };
    let known = Known::of(files);
    let mut findings = Vec::new();
    let mut in_block = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
            continue;
        }
        if in_block {
            continue;
        }
        // Between odd and even backticks stands code.
        for name in line
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|name| known.is_path(name))
        {
            if !known.has(name) {
                findings.push(Finding::error(
                    MAP,
                    number,
                    format!("{name} does not exist"),
                ));
            }
        }
    }
    findings
}

/// Nothing refers to files beside the repository, which nobody else has.
pub fn check_outside_references(files: &[File]) -> Vec<Finding> {
    // In two pieces, so that this file does not find itself.
    let forbidden = concat!("..", "/shared");
    let mut findings = Vec::new();
    for file in files {
        for (number, line) in (1..).zip(file.text.as_deref().unwrap_or_default().lines()) {
            if line.contains(forbidden) {
                findings.push(Finding::error(
                    &file.path,
                    number,
                    format!("{forbidden} is outside the repository"),
                ));
            }
        }
    }
    findings
}

/// The files and directories of the repository.
struct Known<'file> {
    paths: BTreeSet<&'file str>,
    top: BTreeSet<&'file str>,
}

impl<'file> Known<'file> {
    fn of(files: &'file [File]) -> Self {
        let mut paths = BTreeSet::new();
        let mut top = BTreeSet::new();
        for file in files {
            let path = file.path.as_str();
            paths.insert(path);
            paths.extend(
                path.match_indices('/')
                    .filter_map(|(position, _)| path.get(..position)),
            );
            top.extend(path.split('/').next());
        }
        Self { paths, top }
    }

    /// Is the name meant as a path of this repository? Patterns, commands and paths of the user's machine are not.
    fn is_path(&self, name: &str) -> bool {
        let plain = name
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || "._-/".contains(character));
        if !plain || name.starts_with('/') || name.starts_with("./") {
            return false;
        }
        let first = name.split('/').next().unwrap_or_default();
        if !name.contains('/') {
            // A bare word such as `tests` is as likely a word, and `config.toml` the user's.
            return name.ends_with(".rs")
                || name.ends_with(".md") && name.starts_with(|first: char| first.is_uppercase());
        }
        // `.claustre/claude.md` and the like lie in the user's repositories.
        let hidden = first.starts_with('.') && !self.top.contains(first);
        !hidden && (self.top.contains(first) || ENDINGS.iter().any(|ending| name.ends_with(ending)))
    }

    fn has(&self, name: &str) -> bool {
        let name = name.trim_end_matches('/');
        let end = format!("/{name}");
        self.paths.contains(name) || self.paths.iter().any(|path| path.ends_with(&end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(text: &str) -> Vec<(usize, String)> {
        let files = [
            File::new(MAP, text),
            File::new("host-helper/src/adapters/process.rs", ""),
            File::new("layouts/session.kdl", ""),
        ];
        check_named_paths(&files)
            .into_iter()
            .map(|finding| (finding.line, finding.reason))
            .collect()
    }

    #[test]
    fn paths_that_exist_are_fine_from_the_root_and_by_their_end() {
        assert_eq!(
            missing(
                "`host-helper/src/adapters/` `adapters/process.rs` `process.rs` `layouts/session.kdl`"
            ),
            []
        );
    }

    #[test]
    fn paths_that_do_not_exist_are_named_with_their_line() {
        let found = missing(
            "# Map\n`host-helper/src/gone/` and `adapters/gone.rs` and `gone.rs`, `CONTRIBUTING.md`\n",
        );
        assert_eq!(found.len(), 4, "{found:?}");
        assert_eq!(
            found.first(),
            Some(&(2, "host-helper/src/gone/ does not exist".to_owned()))
        );
    }

    #[test]
    fn what_is_no_path_of_the_repository_is_left_alone() {
        let text = "`~/.claustre/config.toml` `/api/v1/events` `config.toml` `tests` `.claustre/claude.md` `a/b` \
                    `{project}/{branch}` `migrations/*/up.sql` `cargo test`\n```\nhost-helper/src/gone.rs\n`gone.rs`\n```\n";
        assert_eq!(missing(text), []);
    }

    #[test]
    fn a_missing_map_is_no_finding() {
        assert_eq!(
            check_named_paths(&[File::new("README.md", "`gone.rs`")]),
            []
        );
    }

    #[test]
    fn references_to_the_outside_are_found() {
        let text = format!("fine\nsee {}/DESIGN.md\n", concat!("..", "/shared"));
        let found = check_outside_references(&[File::new("README.md", &text)]);
        assert_eq!(found.first().map(|finding| finding.line), Some(2));
        assert_eq!(found.len(), 1);
    }
}
