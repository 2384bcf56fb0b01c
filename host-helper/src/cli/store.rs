//! `claustre replay` and `claustre backup`.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use claustre_protocol::request::{Backup, Done, Nothing, ReplayReport, Request};

use super::{Context, error::CliError, project};

#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Where to; under the home with the time in the name unless given.
    path: Option<PathBuf>,
}

pub fn replay(context: &mut Context) -> Result<ExitCode, CliError> {
    let report: ReplayReport = context.call(Request::StoreReplay(Nothing {}))?;
    if context.ui.json {
        context.ui.json(&report)?;
    } else {
        context.ui.say(&format!(
            "{} events replayed, {} differences",
            report.events,
            report.differences.len()
        ));
        for difference in &report.differences {
            context.ui.text(difference)?;
        }
    }
    Ok(if report.differences.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

pub fn backup(context: &mut Context, args: BackupArgs) -> Result<(), CliError> {
    let path = args
        .path
        .map(|path| {
            let doing = format!("backing up to {}", path.display());
            std::path::absolute(&path)
                .map_err(|error| CliError::failed(&doing, error))?
                .into_os_string()
                .into_string()
                .map_err(|_| CliError::failed(&doing, "the path is not UTF-8"))
        })
        .transpose()?;
    let done: Done = context.call(Request::StoreBackup(Backup { path }))?;
    project::finish(context, &done)
}
