//! `claustre completions` and `claustre man`.

use std::io::{self, Write};

use clap::Args;
use clap_complete::Shell;

use super::error::CliError;

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

pub fn print(args: &CompletionsArgs) -> Result<(), CliError> {
    // Into memory first: the generator does not take a closed pipe.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "claustre", &mut script);
    Ok(io::stdout().write_all(&script)?)
}

pub fn manual() -> Result<(), CliError> {
    let mut page = Vec::new();
    clap_mangen::Man::new(super::command()).render(&mut page)?;
    Ok(io::stdout().write_all(&page)?)
}
