//! `claustre completions`.

use std::io::{self, Write};

use clap::Args;
use clap_complete::Shell;

use super::error::CliError;

#[derive(Debug, Args)]
#[command(
    after_help = "bash:  claustre completions bash > ~/.local/share/bash-completion/completions/claustre
zsh:   claustre completions zsh > \"${fpath[1]}/_claustre\"
fish:  claustre completions fish > ~/.config/fish/completions/claustre.fish"
)]
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
