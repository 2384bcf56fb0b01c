//! Other programs, for the command line: a narrow door to the one place where processes start.

use std::ffi::OsString;

use crate::adapters::{
    process::{Invocation, ProcessError},
    zellij::cli::PROGRAM_VARIABLE,
};

/// Runs a program to its end and gives what it printed.
///
/// # Errors
/// It is not there, does not end in time, or fails.
pub fn output(program: &str, arguments: &[&str]) -> Result<String, ProcessError> {
    let finished = Invocation::new(named(program))
        .args(arguments)
        .run()?
        .require_success()?;
    Ok(finished.stdout_text())
}

/// Runs a program to its end and gives what it printed, whether it succeeded or not.
///
/// # Errors
/// It is not there, or does not end in time.
pub fn answer(program: &str, arguments: &[&str]) -> Result<String, ProcessError> {
    let finished = Invocation::new(named(program)).args(arguments).run()?;
    Ok(finished.stdout_text())
}

/// Becomes this program, in this terminal. Comes back only with the reason why it could not.
pub fn become_program(
    program: &str,
    arguments: impl IntoIterator<Item = OsString>,
) -> ProcessError {
    Invocation::new(named(program)).args(arguments).exec()
}

/// The program that the environment names in place of the one in PATH: the daemon and the command line must use the same Zellij.
fn named(program: &str) -> OsString {
    match program {
        "zellij" => std::env::var_os(PROGRAM_VARIABLE).filter(|named| !named.is_empty()),
        _ => None,
    }
    .unwrap_or_else(|| program.into())
}
