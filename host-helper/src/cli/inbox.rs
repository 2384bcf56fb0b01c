//! `claustre inbox`.

use clap::{Args, Subcommand};
use claustre_protocol::{
    model::InboxItem,
    request::{Done, Named, Nothing, Request},
};

use super::{
    Context,
    error::{CliError, Kind},
    project,
    task::decide::apart,
    ui::{Column, Ui, age},
};

#[derive(Debug, Args)]
pub struct InboxArgs {
    #[command(subcommand)]
    command: Option<InboxCommand>,
}

#[derive(Debug, Subcommand)]
pub enum InboxCommand {
    /// Go to the session that needs you most.
    Next,
}

pub fn run(context: &mut Context, args: InboxArgs) -> Result<(), CliError> {
    let items: Vec<InboxItem> = context.call(Request::InboxList(Nothing {}))?;
    match args.command {
        None if context.ui.json => context.ui.json(&items),
        None if items.is_empty() => {
            context.ui.say("nothing needs you");
            Ok(())
        }
        None => table(context.ui, &items),
        Some(InboxCommand::Next) => next(context, &items),
    }
}

fn next(context: &mut Context, items: &[InboxItem]) -> Result<(), CliError> {
    let Some(item) = items.first() else {
        return Err(CliError {
            kind: Kind::NotFound,
            message: "going to what needs you: nothing does".to_owned(),
            hint: None,
        });
    };
    if context.ui.json {
        context.ui.json(item)?;
    } else {
        context
            .ui
            .say(&format!("{}: {} {}", kind(item), item.title, item.detail));
    }
    let Some(session) = item.session_id else {
        return Ok(());
    };
    let done: Done = context.call(Request::SessionFocus(Named {
        of: session.to_string(),
    }))?;
    if context.ui.json {
        Ok(())
    } else {
        project::finish(context, &done)
    }
}

/// The word of its kind.
fn kind(item: &InboxItem) -> String {
    serde_json::to_value(item.kind)
        .ok()
        .and_then(|kind| kind.as_str().map(|word| word.replace('_', " ")))
        .unwrap_or_default()
}

/// The items as a table.
pub fn table(ui: Ui, items: &[InboxItem]) -> Result<(), CliError> {
    let letters = |item: &InboxItem| item.ask_id.map(|id| id.uuid().simple().to_string());
    let asks: Vec<String> = items.iter().filter_map(letters).collect();
    let rows: Vec<Vec<String>> = items
        .iter()
        .map(|item| {
            let detail = if item.only_in_tab {
                format!("answer it in its tab: {}", item.detail)
            } else {
                item.detail.clone()
            };
            let id = item
                .task_id
                .map(|id| id.short())
                .or_else(|| item.session_id.map(|id| id.short()));
            vec![
                kind(item),
                id.unwrap_or_default(),
                letters(item)
                    .map(|ask| apart(&asks, &ask))
                    .unwrap_or_default(),
                age(item.since),
                item.title.clone(),
                detail,
            ]
        })
        .collect();
    let columns = [
        Column::Left("NEEDS"),
        Column::Left("ID"),
        Column::Left("ASK"),
        Column::Right("AGE"),
        Column::Left("WHAT"),
        Column::Left("DETAIL"),
    ];
    ui.table(&columns, &rows)
}
