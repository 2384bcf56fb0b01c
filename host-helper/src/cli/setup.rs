//! `claustre setup`.

use clap::Args;

use super::{Context, error::CliError};

#[derive(Debug, Args)]
pub struct SetupArgs {
    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
    /// Take back what an earlier setup wrote.
    #[arg(long)]
    pub undo: bool,
}

pub fn run(context: &mut Context, args: SetupArgs) -> Result<(), CliError> {
    let _ = (&context.paths, args.yes, args.undo);
    // CALL SITE of `crate::setup`: replace this answer by the call when the two are joined.
    Err(CliError::failed(
        "setting up Zellij",
        "this build was made without it",
    ))
}
