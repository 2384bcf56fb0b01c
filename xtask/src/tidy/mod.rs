//! `cargo xtask tidy`: the house rules that neither the compiler nor clippy knows.
//!
//! Each rule is a function from files to findings, so that its tests need no files on disk. A finding names the place
//! and the reason; one finding is enough to fail, warnings are only printed.

mod documents;
mod imports;
mod layers;
mod length;
mod output;
mod processes;
mod source;

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{self, say};
use crate::tidy::source::Source;
use crate::workspace::Workspace;

/// One file of the repository.
pub struct File {
    /// Relative to the root, with `/`.
    path: String,
    /// `None` where the content is not text.
    text: Option<String>,
}

/// One thing that is not as it should be.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    path: String,
    /// From 1.
    line: usize,
    reason: String,
    weight: Weight,
}

/// Does a finding stop the build?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    Warning,
    Error,
}

impl Finding {
    fn error(path: &str, line: usize, reason: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            reason: reason.into(),
            weight: Weight::Error,
        }
    }

    fn warning(path: &str, line: usize, reason: impl Into<String>) -> Self {
        Self {
            weight: Weight::Warning,
            ..Self::error(path, line, reason)
        }
    }
}

/// Checks the whole repository and prints what it finds.
pub fn run(workspace: &Workspace) -> Result<()> {
    let files = repository_files(workspace)?;
    let findings = check(&files);
    let mut errors: usize = 0;
    for finding in &findings {
        let label = match finding.weight {
            Weight::Warning => "warning: ",
            Weight::Error => {
                errors += 1;
                ""
            }
        };
        eprintln!(
            "{}:{}: {label}{}",
            finding.path, finding.line, finding.reason
        );
    }
    if errors > 0 {
        bail!("tidy: {errors} findings");
    }
    say(&format!("tidy: {} files are in order", files.len()));
    Ok(())
}

fn check(files: &[File]) -> Vec<Finding> {
    let sources: Vec<Source> = files.iter().filter_map(Source::of).collect();
    let mut findings = Vec::new();
    for source in &sources {
        findings.extend(length::check(source));
        findings.extend(layers::check(source));
        findings.extend(processes::check(source));
        findings.extend(output::check(source));
    }
    findings.extend(layers::check_manifests(files));
    findings.extend(documents::check_named_paths(files));
    findings.extend(documents::check_outside_references(files));
    findings.sort_by(|first, second| (&first.path, first.line).cmp(&(&second.path, second.line)));
    findings
}

/// What git tracks, and what it would track after `git add`, so that a run before a commit sees the new files.
fn repository_files(workspace: &Workspace) -> Result<Vec<File>> {
    let mut list = Command::new("git");
    list.current_dir(workspace.root()).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let names = process::output(&mut list).context("listing the files of the repository")?;
    let mut files = Vec::new();
    for name in names.split('\0').filter(|name| !name.is_empty()) {
        let path = workspace.path(name);
        // Links, submodules, and files that are deleted but still tracked have nothing to check.
        if !std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_file()) {
            continue;
        }
        let content =
            std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        files.push(File {
            path: name.to_owned(),
            text: String::from_utf8(content).ok(),
        });
    }
    Ok(files)
}

/// The lines in which a rule finds something in a source file of this text.
#[cfg(test)]
fn found_lines(rule: fn(&Source) -> Vec<Finding>, path: &str, text: &str) -> Vec<usize> {
    let file = File::new(path, text);
    rule(&Source::of(&file).unwrap())
        .into_iter()
        .map(|finding| finding.line)
        .collect()
}

#[cfg(test)]
impl File {
    /// A file for the tests of rules.
    fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: Some(text.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_sorted_by_place() {
        let files = [
            File::new("plugin/src/b.rs", "fn b() {}\nuse claustre_domain::Task;\n"),
            File::new(
                "plugin/src/a.rs",
                "use claustre_domain::Task;\nuse std::process::Command;\n",
            ),
        ];
        let places: Vec<(String, usize)> = check(&files)
            .into_iter()
            .map(|finding| (finding.path, finding.line))
            .collect();
        assert_eq!(
            places,
            [
                ("plugin/src/a.rs".to_owned(), 1),
                ("plugin/src/a.rs".to_owned(), 2),
                ("plugin/src/b.rs".to_owned(), 2)
            ]
        );
    }

    #[test]
    fn what_is_not_text_is_left_alone() {
        assert_eq!(
            check(&[File {
                path: "tests/fixtures/picture.png".to_owned(),
                text: None
            }]),
            []
        );
    }
}
