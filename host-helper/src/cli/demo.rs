//! `claustre demo`.

use std::path::PathBuf;

use clap::Args;

use super::{error::CliError, ui::Ui};
use crate::demo::{self, Agent, Wanted};

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Play it without a terminal, and print where the tasks stand.
    #[arg(long)]
    headless: bool,
    /// Leave its directory where it is.
    #[arg(long)]
    keep: bool,
    /// Play it in this directory, which must be new or empty and have a short path.
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,
    /// The Claude Code to use instead of the one in PATH. It works with your account.
    #[arg(long, value_name = "PROGRAM", conflicts_with = "stand_in")]
    claude: Option<PathBuf>,
    /// A program that stands in for Claude Code; it gets a HOME of its own.
    #[arg(long, value_name = "PROGRAM")]
    stand_in: Option<PathBuf>,
    /// Only play the story, in the home that the environment names.
    #[arg(long, hide = true)]
    play: bool,
}

pub fn run(ui: Ui, args: DemoArgs) -> Result<(), CliError> {
    if args.play {
        return demo::play(ui);
    }
    let agent = match (args.stand_in, args.claude) {
        (Some(stand_in), _) => Agent::StandIn(absolute(stand_in)?),
        (None, Some(claude)) => Agent::Real(Some(absolute(claude)?)),
        (None, None) => Agent::Real(None),
    };
    let wanted = Wanted {
        is_shown: !args.headless && ui.interactive && ui.width.is_some(),
        keep: args.keep,
        home: args.home.map(absolute).transpose()?,
        agent,
    };
    demo::run(ui, wanted)
}

fn absolute(path: PathBuf) -> Result<PathBuf, CliError> {
    std::path::absolute(&path)
        .map_err(|error| CliError::failed(&format!("finding {}", path.display()), error))
}
