//! `claustre worktree`.

use clap::{Args, Subcommand};
use claustre_protocol::request::{Done, Named, Nothing, Request, SnapshotShown};

use super::{
    Context,
    error::CliError,
    project,
    ui::{Column, age},
};

#[derive(Debug, Subcommand)]
pub enum WorktreeCommand {
    /// Print the removed worktrees that are kept.
    #[command(visible_alias = "ls")]
    List,
    /// Bring a removed worktree back.
    Restore(RestoreArgs),
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Its name, as `claustre worktree list` prints it.
    name: String,
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
            let rows: Vec<Vec<String>> = kept
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
            context.ui.table(&columns, &rows)
        }
        WorktreeCommand::Restore(args) => {
            let done: Done = context.call(Request::WorktreeRestore(Named { of: args.name }))?;
            project::finish(context, &done)
        }
    }
}
