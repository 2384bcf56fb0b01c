//! `claustre trust`, `claustre untrust`: whether a repository's own hooks and scripts may run.

use std::{
    env,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use claustre_protocol::time::Timestamp;
use serde_json::json;

use super::{Context, error::CliError, ui::Ui};
use crate::trust::{
    Change, Content, Files, Place, Shown, Standing, TrustError, TrustStore, collect, filters,
    shown, visible,
};

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
    /// Trust this file although it is a program or too long to be shown; may be repeated.
    #[arg(long, value_name = "FILE")]
    unread: Vec<String>,
    /// Instead of its files: allow the filters that the repository's git configuration defines, such as git-crypt's.
    #[arg(long)]
    filters: bool,
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
    if args.filters {
        return give_filters(ui, &store, &place, args.yes);
    }
    let (files, changes) = match store.standing(&place)? {
        Standing::Empty => return tell(ui, &place, "empty", &[]),
        Standing::Trusted(_) => return tell(ui, &place, "trusted", &[]),
        Standing::Untrusted(files) => (files, Vec::new()),
        Standing::Changed { files, changes } => (files, changes),
    };
    let mut lines = Vec::new();
    for (path, content) in &files {
        lines.extend(whole(path, content, &args.unread)?);
    }
    for change in &changes {
        lines.push(format!("since it was trusted: {}", headline(change)));
    }
    ui.page(&lines, args.yes)?;
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

/// Allows the filters of the repository's own git configuration, in the words that are shown.
fn give_filters(ui: Ui, store: &TrustStore, place: &Place, yes: bool) -> Result<(), CliError> {
    let filters = filters(place)?;
    let told = |allowed: bool| {
        if ui.json {
            return ui.json(&json!({
                "repository": place.root,
                "filters": filters.iter().map(|(key, value)| json!({ "key": key, "program": value })).collect::<Vec<_>>(),
                "allowed": allowed,
            }));
        }
        let root = place.root.display();
        ui.text(&match (filters.is_empty(), allowed) {
            (true, _) => format!("{root} defines no filters of its own"),
            (false, true) => format!("the filters of {root} may run as they are"),
            (false, false) => format!("the filters of {root} do not run"),
        })
    };
    if filters.is_empty() || store.allowed_filters(place) == filters {
        return told(true);
    }
    let lines: Vec<String> = filters
        .iter()
        .map(|(key, value)| format!("{} = {}", visible(key), visible(value)))
        .collect();
    ui.page(&lines, yes)?;
    ui.confirm(
        yes,
        &format!(
            "let claustre's git run these programs in {}?",
            place.root.display()
        ),
    )?;
    // Any other word in them is not allowed by this.
    store.allow_filters(place, &filters)?;
    told(true)
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

/// A file as a person reads it before trusting it, whole. One that nobody could judge must have been named.
fn whole(path: &str, content: &Content, unread: &[String]) -> Result<Vec<String>, CliError> {
    let kind = if content.executable {
        ""
    } else {
        " (not executable)"
    };
    let name = visible(path);
    let mut lines = vec![format!("── {name}{kind}")];
    match shown(content) {
        Shown::Lines(all) => lines.extend(all),
        Shown::Unreadable(why) if unread.iter().any(|named| named == path) => {
            lines.push(format!("(not shown: {why})"));
        }
        Shown::Unreadable(why) => {
            return Err(CliError::failed(
                "trusting the repository",
                format!("{name} cannot be shown: {why}"),
            )
            .with_hint(format!("look at it yourself, then add: --unread {name}")));
        }
    }
    lines.push(String::new());
    Ok(lines)
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
    fn a_file_is_shown_whole_or_must_be_named() {
        let content = |bytes: &[u8], executable| Content {
            bytes: bytes.to_vec(),
            executable,
        };
        let long = "line\n".repeat(1_000);
        assert_eq!(
            whole("hooks/setup", &content(long.as_bytes(), true), &[])
                .unwrap()
                .len(),
            1_002
        );
        let program = content(b"\xff\xfe", false);
        let refused = whole("hooks/x", &program, &["hooks/y".into()]).unwrap_err();
        assert!(refused.hint.unwrap().contains("--unread hooks/x"));
        assert_eq!(
            whole("hooks/x", &program, &["hooks/x".into()]).unwrap(),
            [
                "── hooks/x (not executable)",
                "(not shown: it is a program of 2 bytes, not text)",
                ""
            ]
        );
    }
}
