//! `cargo xtask`: what cargo alone cannot do for this workspace.
//!
//! Cargo cannot build the plugin for wasm, embed it in the helper, bring Zellij and run the tests in a real terminal.
//! Every command says on stderr what it does; stdout carries only what a script may want to read.

mod claude;
mod install;
mod plugin;
mod process;
mod run;
mod test;
mod tidy;
mod toolchain;
mod wasm;
mod workspace;
mod zellij;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::workspace::Workspace;

const HELP: &str = "\
cargo xtask COMMAND

  build-plugin              build the plugin for wasm32-wasip1 into target/plugin/claustre-plugin.wasm
  run [ARG]..               build everything and start `claustre demo`; ARGs are its own
  run --headless            the same in a terminal of the tests' own: plays it to its end, prints the dashboard
  test [--quick] [-- ARG].. tidy, format, lints, all tests; --quick leaves out what needs a real Zellij;
                            arguments after -- narrow the run to `cargo test --workspace -- ARG..`
  ci                        what the CI runs: the same as `test`, and no test may be skipped
  tidy                      the house rules that neither the compiler nor clippy knows
  bench [ARG]..             build in release mode and run the benchmarks
  install [--root DIR]      install the helper with its plugin, and Zellij where it is missing
  tools                     install what the tests need (Zellij, Claude Code) and print where it is

environment
  CLAUSTRE_TOOLS            where Zellij and Claude Code are kept (default: claustre-tools in the user's cache)
  CLAUSTRE_ZELLIJ           the zellij to use instead of searching for one
  CLAUSTRE_WASM_TOOLCHAIN   rustup or debian: build the plugin with this toolchain only
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<()> {
    let Some((command, rest)) = arguments.split_first() else {
        print!("{HELP}");
        return Ok(());
    };
    if matches!(command.as_str(), "help" | "-h" | "--help") {
        print!("{HELP}");
        return Ok(());
    }
    let workspace = Workspace::find()?;
    match command.as_str() {
        "build-plugin" => {
            no_arguments(rest)?;
            let wasm = plugin::build(&workspace)?;
            println!("{}", wasm.display());
            Ok(())
        }
        "run" => run::demo(&workspace, rest),
        "test" => test::run(&workspace, &test::Options::parse(rest)?),
        "ci" => {
            no_arguments(rest)?;
            test::run(&workspace, &test::Options::complete())
        }
        "tidy" => {
            no_arguments(rest)?;
            tidy::run(&workspace)
        }
        "bench" => run::bench(&workspace, rest),
        "install" => install::run(&workspace, rest),
        "tools" => {
            no_arguments(rest)?;
            test::print_tools(&workspace)
        }
        other => bail!("no such command: {other} (`cargo xtask help` lists them)"),
    }
}

fn no_arguments(rest: &[String]) -> Result<()> {
    match rest.first() {
        None => Ok(()),
        Some(first) => bail!("unexpected argument: {first}"),
    }
}
