//! `claustre trust`, `claustre untrust`: whether a repository's own hooks and scripts may run.

use std::{
    env,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use claustre_protocol::time::Timestamp;
use serde_json::json;

use super::{Context, error::CliError, ui::Ui};
use crate::trust::{Change, Content, Files, Place, Standing, TrustError, TrustStore, collect};

/// Most lines of one file that are shown; the file itself can be opened.
const MOST_LINES: usize = 400;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct TrustArgs {
    #[command(subcommand)]
    command: Option<TrustCommand>,
    #[command(flatten)]
    give: GiveArgs,
}

#[derive(Debug, Subcommand)]
pub enum TrustCommand {
    /// Print how a repository stands, and what changed since it was trusted.
    Show(PlaceArgs),
}

#[derive(Debug, Args)]
pub struct GiveArgs {
    /// The repository, or any path in it; the current directory unless given.
    path: Option<PathBuf>,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Args)]
pub struct PlaceArgs {
    /// The repository, or any path in it; the current directory unless given.
    path: Option<PathBuf>,
}

pub fn run(context: &mut Context, args: TrustArgs) -> Result<(), CliError> {
    match args.command {
        Some(TrustCommand::Show(args)) => show(context, args),
        None => give(context, args.give),
    }
}

fn give(context: &mut Context, args: GiveArgs) -> Result<(), CliError> {
    let ui = context.ui;
    let (store, place) = open(context, args.path)?;
    let (files, changes) = match store.standing(&place)? {
        Standing::Empty => return tell(ui, &place, "empty", &[]),
        Standing::Trusted(_) => return tell(ui, &place, "trusted", &[]),
        Standing::Untrusted(files) => (files, Vec::new()),
        Standing::Changed { files, changes } => (files, changes),
    };
    for (path, content) in &files {
        ui.say(&shown(path, content));
    }
    for change in &changes {
        ui.say(&format!("since it was trusted: {}", headline(change)));
    }
    ui.confirm(
        args.yes,
        &format!(
            "let these {} files of {} run for its sessions?",
            files.len(),
            place.root.display()
        ),
    )?;
    // What is there now may not be what was read: only what was shown is trusted.
    store.trust(&place, &files, now())?;
    if collect(&place.root)? != files {
        ui.say("the files changed meanwhile: what was shown is trusted, what is there now is not");
    }
    tell(ui, &place, "trusted", &[])
}

fn show(context: &mut Context, args: PlaceArgs) -> Result<(), CliError> {
    let ui = context.ui;
    let (store, place) = open(context, args.path)?;
    match store.standing(&place)? {
        Standing::Empty => tell(ui, &place, "empty", &[]),
        Standing::Trusted(trusted) => {
            tell(ui, &place, "trusted", &[])?;
            list(ui, &trusted.files)
        }
        Standing::Untrusted(files) => {
            tell(ui, &place, "untrusted", &[])?;
            list(ui, &files)
        }
        Standing::Changed { changes, .. } => tell(ui, &place, "changed", &changes),
    }
}

pub fn take(context: &mut Context, args: PlaceArgs) -> Result<(), CliError> {
    let ui = context.ui;
    let (store, place) = open(context, args.path)?;
    let was = store.untrust(&place)?;
    if ui.json {
        return ui.json(&json!({ "repository": place.root, "was_trusted": was }));
    }
    ui.say(&if was {
        format!("{} is not trusted any more", place.root.display())
    } else {
        format!("{} was not trusted", place.root.display())
    });
    Ok(())
}

fn open(context: &Context, path: Option<PathBuf>) -> Result<(TrustStore, Place), CliError> {
    let path = match path {
        Some(path) => path,
        None => env::current_dir()
            .map_err(|error| CliError::failed("finding the current directory", error))?,
    };
    Ok((
        TrustStore::new(context.paths.trust()),
        Place::find(Path::new(&path))?,
    ))
}

fn tell(ui: Ui, place: &Place, standing: &str, changes: &[Change]) -> Result<(), CliError> {
    if ui.json {
        let changes: Vec<_> = changes
            .iter()
            .map(|change| {
                json!({
                    "path": change.path,
                    "change": change.kind.word(),
                    "lines": change.lines,
                })
            })
            .collect();
        return ui.json(&json!({
            "repository": place.root,
            "standing": standing,
            "changes": changes,
        }));
    }
    let root = place.root.display();
    ui.text(&match standing {
        "empty" => format!("{root} has no hooks and no configuration of its own"),
        "trusted" => format!("{root} is trusted as it is"),
        "untrusted" => format!("{root} is not trusted: nothing of it runs"),
        _ => format!("{root} changed since it was trusted: nothing of it runs"),
    })?;
    for change in changes {
        ui.text(&headline(change))?;
        for line in &change.lines {
            ui.text(&format!("    {line}"))?;
        }
    }
    Ok(())
}

fn list(ui: Ui, files: &Files) -> Result<(), CliError> {
    if ui.json {
        return Ok(());
    }
    for (path, content) in files {
        ui.text(&format!("  {path} ({} bytes)", content.bytes.len()))?;
    }
    Ok(())
}

fn headline(change: &Change) -> String {
    format!("  {}: {}", change.kind.word(), change.path)
}

/// A file as a person reads it before trusting it.
fn shown(path: &str, content: &Content) -> String {
    let kind = if content.executable {
        ""
    } else {
        " (not executable)"
    };
    let mut text = format!("── {path}{kind}\n");
    let Ok(words) = std::str::from_utf8(&content.bytes) else {
        return format!(
            "{text}(a program of {} bytes, not text)\n",
            content.bytes.len()
        );
    };
    let mut lines = words.lines();
    for line in lines.by_ref().take(MOST_LINES) {
        text.push_str(line);
        text.push('\n');
    }
    let more = lines.count();
    if more > 0 {
        text.push_str(&format!("(… {more} more lines)\n"));
    }
    text
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

impl From<TrustError> for CliError {
    fn from(error: TrustError) -> Self {
        let hint = match &error {
            TrustError::NoRepository(_) => Some("name a path in a git repository".to_owned()),
            TrustError::Refused { .. } => {
                Some("hooks that are trusted are plain files in plain folders".to_owned())
            }
            TrustError::File { .. } => None,
        };
        Self {
            hint,
            ..Self::failed("looking at trust", error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_shown_with_what_a_person_must_know() {
        let content = |bytes: &[u8], executable| Content {
            bytes: bytes.to_vec(),
            executable,
        };
        assert_eq!(
            shown("hooks/setup", &content(b"#!/bin/sh\necho\n", true)),
            "── hooks/setup\n#!/bin/sh\necho\n"
        );
        assert_eq!(
            shown("hooks/x", &content(b"\xff\xfe", false)),
            "── hooks/x (not executable)\n(a program of 2 bytes, not text)\n"
        );
        let long = "line\n".repeat(MOST_LINES + 3);
        assert!(shown("x", &content(long.as_bytes(), true)).ends_with("(… 3 more lines)\n"));
    }
}
