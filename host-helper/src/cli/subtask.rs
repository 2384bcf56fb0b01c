//! `claustre subtask`.

use clap::{Args, Subcommand};
use claustre_protocol::{
    model::Subtask,
    request::{Done, Named, Request, SubtaskNamed, WithText},
};

use super::{
    Context,
    error::CliError,
    project,
    ui::{Column, Ui},
};

#[derive(Debug, Subcommand)]
pub enum SubtaskCommand {
    /// Add a step to a task.
    Add(AddArgs),
    /// Print the steps of a task.
    #[command(visible_alias = "ls")]
    List(TaskArgs),
    /// Mark a step done.
    Done(StepArgs),
    /// Remove a step.
    Remove(StepArgs),
}

#[derive(Debug, Args)]
pub struct TaskArgs {
    /// The task.
    task: String,
}

#[derive(Debug, Args)]
pub struct AddArgs {
    /// The task.
    task: String,
    /// What to do.
    #[arg(allow_hyphen_values = true)]
    title: String,
}

#[derive(Debug, Args)]
pub struct StepArgs {
    /// The task.
    task: String,
    /// The step: its id, the beginning of it, its title, or its number from 1.
    step: String,
}

pub fn run(context: &mut Context, command: SubtaskCommand) -> Result<(), CliError> {
    match command {
        SubtaskCommand::Add(args) => one(
            context,
            Request::SubtaskAdd(WithText {
                of: args.task,
                text: args.title,
            }),
        ),
        SubtaskCommand::List(args) => {
            let steps: Vec<Subtask> =
                context.call(Request::SubtaskList(Named { of: args.task }))?;
            if context.ui.json {
                return context.ui.json(&steps);
            }
            if steps.is_empty() {
                context.ui.say("no steps");
                return Ok(());
            }
            table(context.ui, &steps)
        }
        SubtaskCommand::Done(args) => one(
            context,
            Request::SubtaskDone(SubtaskNamed {
                task: args.task,
                of: args.step,
            }),
        ),
        SubtaskCommand::Remove(args) => {
            let request = SubtaskNamed {
                task: args.task,
                of: args.step,
            };
            let done: Done = context.call(Request::SubtaskRemove(request))?;
            project::finish(context, &done)
        }
    }
}

fn one(context: &mut Context, request: Request) -> Result<(), CliError> {
    let step: Subtask = context.call(request)?;
    if context.ui.json {
        return context.ui.json(&step);
    }
    table(context.ui, &[step])
}

/// The steps as a table.
pub fn table(ui: Ui, steps: &[Subtask]) -> Result<(), CliError> {
    let rows: Vec<Vec<String>> = steps
        .iter()
        .map(|step| {
            vec![
                (step.position + 1).to_string(),
                if step.done { "done" } else { "open" }.to_owned(),
                step.title.clone(),
            ]
        })
        .collect();
    ui.table(
        &[
            Column::Right("STEP"),
            Column::Left("STATE"),
            Column::Left("TITLE"),
        ],
        &rows,
    )
}
