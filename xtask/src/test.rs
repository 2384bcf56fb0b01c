//! `cargo xtask test`: bring what the tests need, then check everything.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{fs, io};

use anyhow::{Context as _, Result, bail};

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
    /// Fail where a test was skipped: what the tests need is there, or it is brought.
    complete: bool,
}

impl Options {
    /// Everything, and nothing may be skipped.
    pub fn complete() -> Self {
        Self {
            complete: true,
            ..Self::default()
        }
    }

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
    let skipped = SkippedTests::new(workspace);
    if options.complete {
        report.step("no ignored tests", || no_ignored_tests(workspace));
    }
    let environment = report.value("what tests need", || {
        skipped.forget()?;
        test_environment(workspace, options)
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
                command.env(SKIPPED_VARIABLE, &skipped.file);
                if !options.filter.is_empty() {
                    command.arg("--").args(&options.filter);
                }
                process::run(&mut command)
            });
            report.step("skipped tests", || skipped.look(options.complete));
        }
    }
    report.finish()
}

/// By this variable tests know where to write that they were skipped, as `claustre_tests::skip` does.
const SKIPPED_VARIABLE: &str = "CLAUSTRE_TEST_SKIPPED";

/// The file that skipped tests are written to.
struct SkippedTests {
    file: PathBuf,
}

impl SkippedTests {
    fn new(workspace: &Workspace) -> Self {
        Self {
            file: workspace.root().join("target/skipped-tests"),
        }
    }

    /// Forgets those of an earlier run.
    fn forget(&self) -> Result<()> {
        match fs::remove_file(&self.file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("removing {}", self.file.display()))
            }
            _ => Ok(()),
        }
    }

    /// Names the tests that were skipped; a failure where none may be.
    fn look(&self, is_failure: bool) -> Result<()> {
        let text = match fs::read_to_string(&self.file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                return Err(error).with_context(|| format!("reading {}", self.file.display()));
            }
        };
        let count = text.lines().count();
        for line in text.lines() {
            say(&format!("SKIPPED: {line}"));
        }
        if is_failure && count > 0 {
            bail!("{count} tests were skipped");
        }
        Ok(())
    }
}

/// An ignored test is one that nobody runs.
fn no_ignored_tests(workspace: &Workspace) -> Result<()> {
    let mut search = Command::new("git");
    search
        .current_dir(workspace.root())
        .args(["grep", "--line-number", "--extended-regexp"])
        .args([r"^\s*#\[ignore", "--", "*.rs"]);
    let found = search.output().context("searching for ignored tests")?;
    match found.status.code() {
        // Nothing was found.
        Some(1) => Ok(()),
        Some(0) => bail!(
            "tests are ignored:\n{}",
            String::from_utf8_lossy(&found.stdout).trim()
        ),
        _ => bail!(
            "searching for ignored tests: {}",
            String::from_utf8_lossy(&found.stderr).trim()
        ),
    }
}

/// Installs what the tests need and prints it as variables of a shell, for running tests by hand.
pub fn print_tools(workspace: &Workspace) -> Result<()> {
    for (name, value) in test_environment(workspace, &Options::default())? {
        println!("{name}={}", value.display());
    }
    Ok(())
}

/// The variables by which tests find the plugin, Zellij and Claude Code. A quick run installs nothing.
fn test_environment(
    workspace: &Workspace,
    options: &Options,
) -> Result<Vec<(&'static str, OsString)>> {
    let mut environment = Vec::new();
    environment.push((
        "CLAUSTRE_TEST_PLUGIN",
        plugin::build(workspace)?.into_os_string(),
    ));
    if options.quick {
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
        Err(error) if options.complete => {
            return Err(error.context("installing Claude Code for the tests"));
        }
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
                filter,
                complete: false,
            }
        );
        assert!(parse(&["stories"]).is_err());
    }

    #[test]
    fn a_skipped_test_fails_a_complete_run_and_is_named_in_any_other() {
        let folder = std::env::temp_dir().join(format!("xtask-skipped-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let skipped = SkippedTests {
            file: folder.join("skipped-tests"),
        };
        skipped.forget().unwrap();
        skipped.look(true).unwrap();
        fs::write(&skipped.file, "one: no zellij\ntwo: not root\n").unwrap();
        skipped.look(false).unwrap();
        assert_eq!(
            skipped.look(true).unwrap_err().to_string(),
            "2 tests were skipped"
        );
        skipped.forget().unwrap();
        skipped.look(true).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert!(Options::complete().complete && !Options::default().complete);
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
