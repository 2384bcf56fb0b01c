//! `claustre doctor`.

use std::process::ExitCode;

use clap::Args;

use super::{Context, error::CliError};
use crate::doctor::{self, Finding, Verdict};

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Mend what can be mended without losing anything: missing directories, permissions, a dead daemon's socket, waiting reports.
    #[arg(long)]
    fix: bool,
}

pub fn run(context: &mut Context, args: DoctorArgs) -> Result<ExitCode, CliError> {
    if args.fix {
        for done in doctor::mend(&context.paths) {
            context.ui.say(&done);
        }
    }
    let findings = doctor::examine(&context.paths);
    if context.ui.json {
        context.ui.json(&findings)?;
    } else {
        report(context, &findings)?;
    }
    let failed = findings
        .iter()
        .any(|finding| finding.verdict == Verdict::Fail);
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Nothing is cut here: what is wrong must be readable.
fn report(context: &Context, findings: &[Finding]) -> Result<(), CliError> {
    let widest = findings
        .iter()
        .map(|finding| finding.check.len())
        .max()
        .unwrap_or(0);
    for finding in findings {
        let mark = match finding.verdict {
            Verdict::Ok => "ok  ",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
        };
        let detail = super::ui::one_line(&finding.detail);
        context
            .ui
            .raw(&format!("{mark}  {:widest$}  {detail}", finding.check))?;
        if let Some(hint) = &finding.hint {
            let hint = super::ui::one_line(hint);
            context
                .ui
                .raw(&format!("{:4}  {:widest$}  hint: {hint}", "", ""))?;
        }
    }
    let of = |verdict| {
        findings
            .iter()
            .filter(|finding| finding.verdict == verdict)
            .count()
    };
    context
        .ui
        .say(&match (of(Verdict::Fail), of(Verdict::Warn)) {
            (0, 0) => "all is well".to_owned(),
            (0, warned) => format!("it works; {warned} to look at"),
            (failed, 0) => format!("{failed} failed"),
            (failed, warned) => format!("{failed} failed, {warned} to look at"),
        });
    Ok(())
}
