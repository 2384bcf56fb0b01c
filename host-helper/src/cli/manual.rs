//! `claustre man`: the manual pages, made of what the command line says of itself.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

use clap::{Args, Command};
use clap_mangen::Man;

use super::error::CliError;

#[derive(Debug, Args)]
#[command(
    after_help = "claustre man | man -l -              the page of claustre
claustre man task add | man -l -     the page of one command
claustre man --dir ~/.local/share/man/man1"
)]
pub struct ManArgs {
    /// The command whose page is printed; none = the page of claustre itself.
    command: Vec<String>,
    /// Write the pages of all commands into this directory.
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    dir: Option<PathBuf>,
}

pub fn run(args: &ManArgs) -> Result<(), CliError> {
    let whole = super::command();
    match &args.dir {
        Some(dir) => fs::create_dir_all(dir)
            .and_then(|()| clap_mangen::generate_to(whole, dir))
            .map_err(|error| {
                CliError::failed(
                    &format!("writing the manual pages to {}", dir.display()),
                    error,
                )
            }),
        // Into memory first: a reader who has seen enough is no error.
        None => Ok(io::stdout().write_all(&page(whole, &args.command)?)?),
    }
}

/// The page of the command with these words, for `man`.
pub fn page(mut whole: Command, words: &[String]) -> Result<Vec<u8>, CliError> {
    whole.build();
    let mut command = &whole;
    for word in words {
        command = command.find_subcommand(word).ok_or_else(|| {
            CliError::usage(format!(
                "printing the manual page of '{}': there is no such command",
                words.join(" ")
            ))
            .with_hint("claustre help lists them")
        })?;
    }
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    Ok(page)
}
