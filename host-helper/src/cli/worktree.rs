//! `claustre worktree`.

use clap::{Args, Subcommand};
use claustre_protocol::request::{
    Closing, Done, Named, Nothing, Request, SnapshotShown, Swept, WorktreeSweep,
};

use super::{
    Context,
    error::CliError,
    project, removal,
    ui::{Column, Ui, age},
};

#[derive(Debug, Subcommand)]
pub enum WorktreeCommand {
    /// Print the removed worktrees that are kept.
    #[command(visible_alias = "ls")]
    List,
    /// Remove the worktree of a closed session, where it stayed; shows what goes for good and asks first.
    Remove(RemoveArgs),
    /// Bring a removed worktree back.
    Restore(RestoreArgs),
    /// Let go for good of what was kept long enough; shows it and asks first.
    Sweep(SweepArgs),
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Its name, as `claustre worktree list` prints it.
    name: String,
}

#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// The session, or its task.
    session: String,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

#[derive(Debug, Args)]
pub struct SweepArgs {
    /// Only what has been kept for so many days [default: `keep_days` of the configuration].
    #[arg(long)]
    days: Option<u32>,
    /// Only print what would go.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

pub fn run(context: &mut Context, command: WorktreeCommand) -> Result<(), CliError> {
    match command {
        WorktreeCommand::List => {
            let kept: Vec<SnapshotShown> = context.call(Request::WorktreeList(Nothing {}))?;
            if context.ui.json {
                return context.ui.json(&kept);
            }
            if kept.is_empty() {
                context.ui.say("nothing was removed");
                return Ok(());
            }
            table(context.ui, &kept)
        }
        WorktreeCommand::Remove(args) => {
            let preview = removal::of_worktree(context, &args.session)?;
            let question = format!("Remove the worktree of {}?", args.session);
            context.ui.confirm(args.yes, &question)?;
            let closing = Closing {
                of: args.session,
                shown: removal::shown(&preview),
            };
            let done: Done = context.call(Request::WorktreeRemove(closing))?;
            project::finish(context, &done)
        }
        WorktreeCommand::Restore(args) => {
            let done: Done = context.call(Request::WorktreeRestore(Named { of: args.name }))?;
            project::finish(context, &done)
        }
        WorktreeCommand::Sweep(args) => sweep(context, &args),
    }
}

fn sweep(context: &mut Context, args: &SweepArgs) -> Result<(), CliError> {
    let would: Swept = context.call(Request::WorktreeSweep(WorktreeSweep {
        days: args.days,
        only: None,
        dry_run: true,
    }))?;
    let swept = if args.dry_run || would.expired.is_empty() {
        would
    } else {
        if context.ui.json {
            for one in &would.expired {
                context.ui.say(&format!("{} {}", one.branch, one.reference));
            }
        } else {
            table(context.ui, &would.expired)?;
        }
        let shown = would
            .expired
            .iter()
            .map(|one| one.reference.clone())
            .collect();
        let question = format!(
            "Let go of {} for good? Work that is on no branch is lost with it.",
            number(&would.expired)
        );
        context.ui.confirm(args.yes, &question)?;
        context.call(Request::WorktreeSweep(WorktreeSweep {
            days: Some(would.days),
            // What comes of age while the question stands was not asked about.
            only: Some(shown),
            dry_run: false,
        }))?
    };
    if context.ui.json {
        context.ui.json(&swept)?;
    } else if args.dry_run && !swept.expired.is_empty() {
        table(context.ui, &swept.expired)?;
    } else if swept.expired.is_empty() && swept.failed.is_empty() {
        let days = swept.days;
        context
            .ui
            .say(&format!("nothing was kept for {days} days or longer"));
    } else {
        context
            .ui
            .say(&format!("let go of {}", number(&swept.expired)));
    }
    if swept.failed.is_empty() {
        Ok(())
    } else {
        Err(CliError::failed(
            "sweeping",
            format!("some stay: {}", swept.failed.join("; ")),
        )
        .with_hint("mend what is said there and sweep again"))
    }
}

/// `1 snapshot`, `3 snapshots`.
fn number(snapshots: &[SnapshotShown]) -> String {
    match snapshots.len() {
        1 => "1 snapshot".to_owned(),
        many => format!("{many} snapshots"),
    }
}

fn table(ui: Ui, snapshots: &[SnapshotShown]) -> Result<(), CliError> {
    let rows: Vec<Vec<String>> = snapshots
        .iter()
        .map(|one| {
            vec![
                one.name.clone(),
                one.branch.clone(),
                age(one.created_at),
                one.reference.clone(),
            ]
        })
        .collect();
    let columns = [
        Column::Left("NAME"),
        Column::Left("BRANCH"),
        Column::Right("AGE"),
        Column::Left("REF"),
    ];
    ui.table(&columns, &rows)
}
