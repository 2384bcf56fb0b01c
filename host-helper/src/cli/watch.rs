//! `claustre watch`.

use clap::Args;
use claustre_protocol::request::{Done, EventsWatch, Request};

use super::{
    Context,
    error::{CliError, Kind},
};

#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Start behind this position; only what happens from now on unless given.
    #[arg(long)]
    after: Option<i64>,
}

pub fn run(context: &mut Context, args: WatchArgs) -> Result<(), CliError> {
    let _watching: Done = context.call(Request::EventsWatch(EventsWatch { after: args.after }))?;
    let ui = context.ui;
    while let Some(call) = context.client()?.notification()? {
        if call.method == "event" {
            // One line each, whoever reads it.
            ui.raw(&serde_json::to_string(&call.params)?)?;
        }
    }
    Err(CliError {
        kind: Kind::Unreachable,
        message: "watching events: the daemon has ended".to_owned(),
        hint: Some("claustre watch starts it again".to_owned()),
    })
}
