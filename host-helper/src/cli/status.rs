//! `claustre status`.

use clap::Args;
use claustre_protocol::request::{Request, StatusOverview, StatusShow};

use super::{Context, error::CliError, inbox, project, session};

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Only of this project.
    #[arg(long, short)]
    project: Option<String>,
}

pub fn run(context: &mut Context, args: StatusArgs) -> Result<(), CliError> {
    let overview: StatusOverview = context.call(Request::StatusShow(StatusShow {
        project: args.project,
    }))?;
    let ui = context.ui;
    if ui.json {
        return ui.json(&overview);
    }
    let tasks = project::counts(&overview.tasks);
    ui.fields(&[
        ("needs you", overview.inbox.len().to_string()),
        ("sessions", overview.sessions.len().to_string()),
        (
            "tasks",
            if tasks.is_empty() {
                "none".to_owned()
            } else {
                tasks
            },
        ),
    ])?;
    if !overview.inbox.is_empty() {
        ui.raw("")?;
        inbox::table(ui, &overview.inbox)?;
    }
    if !overview.sessions.is_empty() {
        ui.raw("")?;
        session::table(ui, &overview.sessions)?;
    }
    Ok(())
}
