//! The program `claustre`. What runs many times a minute is decided before anything costly is touched.

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let first = arguments.next();
    match first.as_deref().and_then(|word| word.to_str()) {
        // These two may never fail: Claude Code would take another exit code for an objection.
        Some("hook") => {
            claustre::fast::hook::run(arguments.next().is_some_and(|word| word == "--again"))
        }
        Some("statusline") => claustre::fast::statusline::run(),
        Some("session") if arguments.next().is_some_and(|word| word == "run") => {
            claustre::launcher::run(arguments.next())
        }
        _ => claustre::cli::run(),
    }
}
