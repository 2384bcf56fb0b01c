//! `claustre init`.

use std::{fs, io::Write as _, os::unix::fs::DirBuilderExt, os::unix::fs::OpenOptionsExt};

use clap::Args;

use super::{Context, error::CliError, setup};

/// What a new configuration holds: only comments, so that later defaults reach it.
const TEMPLATE: &str = "\
# Configuration of Claustre. `claustre config show` prints every value and where it comes from.
#
# [defaults]
# mode = \"supervised\"        # supervised, autonomous, exploration
# push_mode = \"pr\"           # pr, push
# model = \"opus\"
#
# [queue]
# max_sessions = 8
#
# [worktrees]
# copy = [\".env\"]
";

#[derive(Debug, Args)]
pub struct InitArgs {
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// Leave Zellij as it is.
    #[arg(long)]
    no_setup: bool,
}

pub fn run(context: &mut Context, args: InitArgs) -> Result<(), CliError> {
    let paths = context.paths.clone();
    for directory in [
        paths.home().to_path_buf(),
        paths.run(),
        paths.sessions(),
        paths.logs(),
        paths.spool(),
    ] {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(|error| {
                CliError::failed(&format!("creating {}", directory.display()), error)
            })?;
    }
    let path = paths.config();
    let doing = format!("writing {}", path.display());
    match fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
    {
        Ok(mut file) => {
            file.write_all(TEMPLATE.as_bytes())
                .map_err(|error| CliError::failed(&doing, error))?;
            context.ui.say(&format!("wrote {}", path.display()));
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            context.ui.say(&format!("kept {}", path.display()));
        }
        Err(error) => return Err(CliError::failed(&doing, error)),
    }
    if !args.no_setup {
        setup::run(
            context,
            setup::SetupArgs {
                yes: args.yes,
                undo: false,
            },
        )?;
    }
    context.client()?;
    context
        .ui
        .say("ready; next: claustre project add NAME [PATH]");
    Ok(())
}
