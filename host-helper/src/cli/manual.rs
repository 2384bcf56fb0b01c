//! The manual page: everything on one page, because one page can be searched.

use std::fmt::Write;

use clap::{Arg, Command};
use claustre_protocol::BUILD;

const HEAD: &str = ".SH NAME
claustre \\- run many Claude Code sessions at once from a Zellij dashboard
.SH SYNOPSIS
.B claustre
[\\fICOMMAND\\fR] [\\fIOPTIONS\\fR]
.SH DESCRIPTION
";
const TAIL: &str = ".SH EXIT STATUS
.TP
.B 0
done
.TP
.B 1
refused or failed
.TP
.B 2
not understood
.TP
.B 3
no such project, task or session
.TP
.B 4
the daemon cannot be reached
.SH ENVIRONMENT
.TP
.B CLAUSTRE_HOME
where everything lies; ~/.claustre unless set
.TP
.B CLAUSTRE_CLAUDE, CLAUSTRE_ZELLIJ
the programs, where they are not on PATH
.TP
.B CLAUSTRE_LOG
what the daemon logs, such as debug
.TP
.B NO_COLOR
no colours, if set
.SH FILES
.TP
.B ~/.claustre/config.toml
the configuration; claustre config show prints every value
.TP
.B ~/.claustre/claustre.db
the store; claustre backup copies it
.TP
.B ~/.claustre/worktrees
the worktrees of all sessions
.TP
.B ~/.claustre/logs/daemon.log
what the daemon did
";

/// The page, for `man`.
pub fn page(command: &Command) -> String {
    let mut page = format!(".TH CLAUSTRE 1 \"\" \"claustre {BUILD}\"\n{HEAD}");
    text(&mut page, command.get_long_about().or(command.get_about()));
    page.push_str(".SH OPTIONS\n");
    options(&mut page, command);
    page.push_str(".SH COMMANDS\n");
    for inner in command.get_subcommands() {
        one(&mut page, "claustre", inner);
    }
    page.push_str(TAIL);
    page
}

/// A command, then those below it.
fn one(page: &mut String, above: &str, command: &Command) {
    if command.is_hide_set() {
        return;
    }
    let name = format!("{above} {}", command.get_name());
    // Writing to a string cannot fail.
    writeln!(page, ".SS {}", escaped(&name)).ok();
    text(page, command.get_about());
    let positionals: Vec<String> = command
        .get_positionals()
        .map(|argument| {
            let name = argument.get_id().as_str().to_uppercase();
            if argument.is_required_set() {
                name
            } else {
                format!("[{name}]")
            }
        })
        .collect();
    let aliases: Vec<&str> = command.get_visible_aliases().collect();
    if !positionals.is_empty() {
        writeln!(
            page,
            ".PP\n.B {}\n.I {}",
            escaped(&name),
            escaped(&positionals.join(" "))
        )
        .ok();
    }
    if !aliases.is_empty() {
        writeln!(page, ".PP\nAlso: {}", escaped(&aliases.join(", "))).ok();
    }
    options(page, command);
    for inner in command.get_subcommands() {
        one(page, &name, inner);
    }
}

fn options(page: &mut String, command: &Command) {
    for argument in command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set())
    {
        let shown = spelling(argument);
        let help = argument
            .get_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        if help.is_empty() {
            continue;
        }
        writeln!(page, ".TP\n.B {}\n{}", escaped(&shown), escaped(&help)).ok();
    }
}

/// `-m, --mode MODE`.
fn spelling(argument: &Arg) -> String {
    let mut names: Vec<String> = Vec::new();
    names.extend(argument.get_short().map(|short| format!("-{short}")));
    names.extend(argument.get_long().map(|long| format!("--{long}")));
    if names.is_empty() {
        return argument.get_id().as_str().to_uppercase();
    }
    let takes_value = argument.get_action().takes_values();
    let value = argument.get_value_names().and_then(<[_]>::first);
    match value.filter(|_| takes_value) {
        Some(value) => format!("{} {value}", names.join(", ")),
        None => names.join(", "),
    }
}

fn text(page: &mut String, text: Option<&clap::builder::StyledStr>) {
    for paragraph in text
        .map(ToString::to_string)
        .unwrap_or_default()
        .split("\n\n")
    {
        writeln!(page, "{}\n.PP", escaped(paragraph)).ok();
    }
}

/// Text of ours, so that none of it is taken for a request of the formatter.
fn escaped(text: &str) -> String {
    let text = text
        .replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\n', " ");
    if text.starts_with(['.', '\'']) {
        format!("\\&{text}")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_taken_for_a_request_of_the_formatter() {
        assert_eq!(escaped("-x"), "\\-x");
        assert_eq!(escaped(".env\nnext"), "\\&.env next");
        assert_eq!(escaped("a\\b"), "a\\eb");
    }
}
