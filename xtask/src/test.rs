//! `cargo xtask test`: bring what the tests need, then check everything.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::process::{self, say};
use crate::workspace::Workspace;
use crate::{claude, plugin, tidy, zellij};

/// What to run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Leave out the tests that need a real Zellij.
    quick: bool,
    /// Arguments of the test programs. If there are any, nothing but tests is run.
    filter: Vec<String>,
}

impl Options {
    /// Reads `[--quick] [-- ARG..]`.
    pub fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--" => options.filter.extend(rest.by_ref().cloned()),
                other => {
                    bail!("unexpected argument: {other} (arguments for the tests follow `--`)")
                }
            }
        }
        Ok(options)
    }
}

/// Runs the checks and prints how long each took. Every check runs, so that one run shows all that is wrong; only when
/// what a check needs cannot be built does it end early.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let mut report = Report::default();
    let everything = options.filter.is_empty();
    if everything {
        report.step("tidy", || tidy::run(workspace));
        report.step("format", || {
            process::run(&mut workspace.cargo(&["fmt", "--all", "--check"]))
        });
    }
    let environment = report.value("what tests need", || {
        test_environment(workspace, options.quick)
    });
    if let Some(environment) = environment {
        if everything {
            report.step("clippy", || {
                let arguments = [
                    "clippy",
                    "--locked",
                    "--workspace",
                    "--all-targets",
                    "--",
                    "-D",
                    "warnings",
                ];
                process::run(&mut workspace.cargo(&arguments))
            });
        }
        // With all targets, so that the programs which tests start are built, and with the same features.
        let built = report.step("build", || {
            process::run(&mut workspace.cargo(&[
                "build",
                "--locked",
                "--workspace",
                "--all-targets",
            ]))
        });
        if built {
            report.step("tests", || {
                let mut command =
                    workspace.cargo(&["test", "--locked", "--workspace", "--no-fail-fast"]);
                command.envs(environment);
                if !options.filter.is_empty() {
                    command.arg("--").args(&options.filter);
                }
                process::run(&mut command)
            });
        }
    }
    report.finish()
}

/// Installs what the tests need and prints it as variables of a shell, for running tests by hand.
pub fn print_tools(workspace: &Workspace) -> Result<()> {
    for (name, value) in test_environment(workspace, false)? {
        println!("{name}={}", value.display());
    }
    Ok(())
}

/// The variables by which tests find the plugin, Zellij and Claude Code. A quick run installs nothing.
fn test_environment(workspace: &Workspace, quick: bool) -> Result<Vec<(&'static str, OsString)>> {
    let mut environment = Vec::new();
    environment.push((
        "CLAUSTRE_TEST_PLUGIN",
        plugin::build(workspace)?.into_os_string(),
    ));
    if quick {
        environment.push(("CLAUSTRE_TEST_SKIP_E2E", OsString::from("1")));
        environment.extend(
            zellij::find(workspace)?.map(|path| ("CLAUSTRE_TEST_ZELLIJ", path.into_os_string())),
        );
        environment.extend(
            claude::find(workspace).map(|path| ("CLAUSTRE_TEST_CLAUDE", path.into_os_string())),
        );
        return Ok(environment);
    }
    environment.push((
        "CLAUSTRE_TEST_ZELLIJ",
        zellij::find_or_install(workspace)?.into_os_string(),
    ));
    match claude::find_or_install(workspace) {
        Ok(claude) => environment.push(("CLAUSTRE_TEST_CLAUDE", claude.into_os_string())),
        Err(error) => say(&format!(
            "SKIPPED: tests with the real Claude Code, which cannot be installed: {error:#}"
        )),
    }
    Ok(environment)
}

/// What was run, how long it took, and what failed.
#[derive(Default)]
struct Report {
    steps: Vec<(&'static str, Duration, bool)>,
}

impl Report {
    /// Runs one step; false if it failed.
    fn step(&mut self, name: &'static str, action: impl FnOnce() -> Result<()>) -> bool {
        self.value(name, action).is_some()
    }

    /// Runs one step that gives something; `None` if it failed.
    fn value<Value>(
        &mut self,
        name: &'static str,
        action: impl FnOnce() -> Result<Value>,
    ) -> Option<Value> {
        say(&format!("── {name}"));
        let started = Instant::now();
        let result = action();
        self.steps.push((name, started.elapsed(), result.is_ok()));
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                say(&format!("{name} failed: {error:#}"));
                None
            }
        }
    }

    fn finish(&self) -> Result<()> {
        for (name, took, passed) in &self.steps {
            say(&format!(
                "{} {name:<16} {:>7.1} s",
                if *passed { "ok    " } else { "FAILED" },
                took.as_secs_f64()
            ));
        }
        let failed: Vec<&str> = self
            .steps
            .iter()
            .filter(|(_, _, passed)| !passed)
            .map(|(name, _, _)| *name)
            .collect();
        if failed.is_empty() {
            return Ok(());
        }
        bail!("failed: {}", failed.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options> {
        Options::parse(
            &arguments
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn options_are_read() {
        assert_eq!(parse(&[]).unwrap(), Options::default());
        let filter = vec!["stories".to_owned(), "--nocapture".to_owned()];
        assert_eq!(
            parse(&["--quick", "--", "stories", "--nocapture"]).unwrap(),
            Options {
                quick: true,
                filter
            }
        );
        assert!(parse(&["stories"]).is_err());
    }

    #[test]
    fn a_report_names_what_failed_and_runs_what_follows() {
        let mut report = Report::default();
        assert!(report.step("first", || Ok(())));
        assert!(!report.step("second", || bail!("no")));
        assert_eq!(report.value("third", || Ok(3)), Some(3));
        assert_eq!(
            format!("{:#}", report.finish().unwrap_err()),
            "failed: second"
        );
    }
}
