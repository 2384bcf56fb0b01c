//! `claustre config`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Context, error::CliError};
use crate::config;

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print every value and where it comes from.
    Show(ShowArgs),
    /// Print the path of the file.
    Path,
    /// Look whether the file is right.
    Check(ShowArgs),
}

#[derive(Debug, Args)]
pub struct ShowArgs {
    /// With what this repository says.
    #[arg(long)]
    repo: Option<PathBuf>,
}

pub fn run(context: &mut Context, command: ConfigCommand) -> Result<(), CliError> {
    let ui = context.ui;
    match command {
        ConfigCommand::Path => ui.raw(&context.paths.config().display().to_string()),
        ConfigCommand::Show(args) => {
            let loaded = config::load_for(&context.paths, args.repo.as_deref())?;
            for warning in &loaded.warnings {
                ui.say(&format!("warning: {warning}"));
            }
            if ui.json {
                return ui.json(&loaded.to_json());
            }
            ui.raw(loaded.to_toml().trim_end())
        }
        ConfigCommand::Check(args) => {
            let loaded = config::load_for(&context.paths, args.repo.as_deref())?;
            loaded.config.check_keys()?;
            if ui.json {
                return ui.json(&loaded.warnings);
            }
            for warning in &loaded.warnings {
                ui.say(&format!("warning: {warning}"));
            }
            ui.say(if loaded.warnings.is_empty() {
                "the configuration is right"
            } else {
                "nothing is wrong besides"
            });
            Ok(())
        }
    }
}
