//! `claustre statusline`: hands the status line's JSON to the daemon and prints the line that Claude Code shows.
//!
//! Where the user has a status line of their own, the settings put its command behind ours and theirs is what shows.

use std::{env, io, process::ExitCode};

use serde_json::Value;

use super::{print, read_limited, report::Reporter};

/// Argument after which the input is handed on unchanged: the user's own status line command stands behind us in a pipe.
pub const PASS_THROUGH: &str = "--pass-through";
/// Longest input that is read, in bytes.
const LIMIT: usize = 1024 * 1024;
/// Runs the status line.
pub fn run() -> ExitCode {
    let (input, cut) = read_limited(io::stdin().lock(), LIMIT);
    let value: Option<Value> = if cut {
        None
    } else {
        serde_json::from_slice(&input).ok()
    };
    // The line first: it must not wait for anything.
    if env::args_os().any(|argument| argument == PASS_THROUGH) {
        print(&String::from_utf8_lossy(&input)).ok();
    } else {
        print(&line(value.as_ref())).ok();
    }
    if let (Some(reporter), Some(value)) = (Reporter::from_environment("statusline"), value) {
        let line = reporter.line_of_json("status_line", &value.to_string());
        reporter.deliver(&line);
    }
    ExitCode::SUCCESS
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
