//! `claustre statusline`: hands the status line's JSON to the daemon and prints the line that Claude Code shows.

use std::{env, io, process::ExitCode, time::Duration};

use serde_json::Value;

use super::{
    print, read_limited,
    report::{Patience, Reporter},
};
use crate::adapters::process::Invocation;

/// Environment variable with the user's own status line command, as Claude Code would have run it.
pub const CHAIN_VARIABLE: &str = "CLAUSTRE_STATUSLINE_CHAIN";
/// Longest input that is read, in bytes.
const LIMIT: usize = 1024 * 1024;
/// Time the user's own command has.
const CHAIN_LIMIT: Duration = Duration::from_secs(5);

/// Runs the status line.
pub fn run() -> ExitCode {
    let (input, cut) = read_limited(io::stdin().lock(), LIMIT);
    let value: Option<Value> = if cut { None } else { serde_json::from_slice(&input).ok() };
    // The line first: it must not wait for anything.
    let chained = env::var_os(CHAIN_VARIABLE)
        .filter(|command| !command.is_empty())
        .is_some_and(|command| run_chained(&command, &input));
    if !chained {
        print(&line(value.as_ref()));
    }
    if let (Some(reporter), Some(value)) = (Reporter::from_environment("statusline"), value) {
        let line = reporter.line_of_json("status_line", &value.to_string());
        reporter.deliver(&line, &Patience::Deadline);
    }
    ExitCode::SUCCESS
}

/// Runs the user's own command with the same input and prints what it prints; false where it cannot be run.
///
/// It is the command line of the user's own settings, which Claude Code itself hands to the shell; so it is here. This is the
/// only such line there is, and none of it comes from an agent or a repository.
fn run_chained(command: &std::ffi::OsStr, input: &[u8]) -> bool {
    let finished = Invocation::new("/bin/sh")
        .arg("-c")
        .arg(command)
        .env_remove(CHAIN_VARIABLE)
        .stdin(input)
        .time_limit(CHAIN_LIMIT)
        .output_limit(LIMIT)
        .run();
    match finished {
        // Its colours are the user's own: passed on as they are.
        Ok(finished) => {
            print(&finished.stdout_text());
            true
        }
        Err(_) => false,
    }
}

/// `claustre · Opus · 34%`.
fn line(value: Option<&Value>) -> String {
    let mut line = String::from("claustre");
    let at = |path: &str| value.and_then(|value| value.pointer(path));
    if let Some(model) = at("/model/display_name").and_then(Value::as_str) {
        let model: String = model.chars().filter(|c| !c.is_control()).take(40).collect();
        line.push_str(" · ");
        line.push_str(&model);
    }
    if let Some(percent) = at("/context_window/used_percentage").and_then(Value::as_f64) {
        line.push_str(&format!(" · {percent:.0}%"));
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_model_and_context_where_known() {
        let value = serde_json::json!({"model": {"display_name": "Opus\u{1b}[31m"}, "context_window": {"used_percentage": 33.6}});
        assert_eq!(line(Some(&value)), "claustre · Opus[31m · 34%\n");
        assert_eq!(line(None), "claustre\n");
    }
}
