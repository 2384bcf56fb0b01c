//! The one place where errors become words and exit codes for the user.

use std::{fmt::Display, io, process::ExitCode};

use claustre_protocol::rpc::FaultCode;

use crate::{client::ClientError, config::ConfigError, paths::PathsError, text::terminal_safe};

/// Decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Refused or failed: 1.
    Failed,
    /// Not understood: 2.
    Usage,
    /// No such thing: 3.
    NotFound,
    /// No daemon: 4.
    Unreachable,
    /// Whoever read our output has seen enough: 0, and nothing is said.
    BrokenPipe,
}

/// An error as the user sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CliError {
    /// What kind.
    pub kind: Kind,
    /// What was being done, and why it did not happen.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl CliError {
    /// A failure while doing something.
    pub fn failed(doing: &str, why: impl Display) -> Self {
        Self {
            kind: Kind::Failed,
            message: format!("{doing}: {why}"),
            hint: None,
        }
    }

    /// A wrong use of the command line.
    pub fn usage(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Usage,
            message: message.into(),
            hint: None,
        }
    }

    /// With advice.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With the help of the command that was meant, where nothing better is known. An option's value that begins with a dash gets the
    /// spelling that works.
    #[must_use]
    pub fn with_usage(
        mut self,
        command: &clap::Command,
        arguments: impl Iterator<Item = std::ffi::OsString>,
    ) -> Self {
        let words: Vec<String> = arguments
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        let is_dash_tip = self
            .hint
            .as_deref()
            .is_some_and(|hint| hint.starts_with("to pass '"));
        if is_dash_tip {
            let value = words.windows(2).find_map(|pair| match pair {
                [option, value]
                    if option.starts_with("--")
                        && value.starts_with('-')
                        && self.message.contains(&format!("'{value}'")) =>
                {
                    Some(format!("{option}={value} passes it as a value"))
                }
                _ => None,
            });
            self.hint = value.or(self.hint);
        }
        if self.hint.is_none() {
            let mut path = vec!["claustre".to_owned()];
            let mut at = command;
            for word in &words {
                let Some(deeper) = at.find_subcommand(word) else {
                    break;
                };
                path.push(deeper.get_name().to_owned());
                at = deeper;
            }
            self.hint = Some(format!("{} --help", path.join(" ")));
        }
        self
    }

    /// Prints it and gives its exit code.
    pub fn report(&self) -> ExitCode {
        let code = match self.kind {
            Kind::BrokenPipe => return ExitCode::SUCCESS,
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::NotFound => 3,
            Kind::Unreachable => 4,
        };
        eprintln!("error: {}", terminal_safe(&self.message));
        if let Some(hint) = &self.hint {
            eprintln!("hint: {}", terminal_safe(hint));
        }
        ExitCode::from(code)
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        let kind = match &error {
            ClientError::Fault(fault) if fault.code == FaultCode::NotFound.number() => {
                Kind::NotFound
            }
            ClientError::Fault(_) | ClientError::Answer { .. } => Kind::Failed,
            ClientError::Unreachable { .. }
            | ClientError::Stuck { .. }
            | ClientError::Version { .. }
            | ClientError::Start { .. }
            | ClientError::Lost(_) => Kind::Unreachable,
        };
        Self {
            kind,
            hint: error.hint(),
            message: error.to_string(),
        }
    }
}

impl From<PathsError> for CliError {
    fn from(error: PathsError) -> Self {
        Self {
            kind: Kind::Failed,
            message: error.to_string(),
            hint: Some("set CLAUSTRE_HOME to a short absolute path".to_owned()),
        }
    }
}

impl From<clap::Error> for CliError {
    /// In the form of all other errors: what is wrong, then one hint.
    fn from(error: clap::Error) -> Self {
        let text = error.render().to_string();
        let mut wrong = Vec::new();
        let mut tip = None;
        let mut usage = None;
        for line in text.lines() {
            let line = line.trim();
            if let Some(rest) = line.strip_prefix("tip: ") {
                tip = tip.or(Some(rest.to_owned()));
            } else if let Some(rest) = line.strip_prefix("Usage: ") {
                usage = Some(format!("usage: {rest}"));
            } else if !line.is_empty()
                && !line.starts_with("For more information")
                && usage.is_none()
            {
                wrong.push(line.strip_prefix("error: ").unwrap_or(line));
            }
        }
        Self {
            kind: Kind::Usage,
            message: format!("reading the command line: {}", wrong.join(" ")),
            hint: tip.or(usage),
        }
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        Self {
            kind: Kind::Failed,
            message: error.to_string(),
            hint: Some(error.hint()),
        }
    }
}

impl From<io::Error> for CliError {
    /// Errors of our own output; all others say what was being done.
    fn from(error: io::Error) -> Self {
        let kind = if error.kind() == io::ErrorKind::BrokenPipe {
            Kind::BrokenPipe
        } else {
            Kind::Failed
        };
        Self {
            kind,
            message: format!("writing the output: {error}"),
            hint: None,
        }
    }
}

impl From<serde_json::Error> for CliError {
    fn from(error: serde_json::Error) -> Self {
        Self::failed("writing JSON", error)
    }
}

#[cfg(test)]
mod tests {
    use claustre_protocol::rpc::Fault;

    use super::*;

    #[test]
    fn each_cause_has_its_exit_code_kind() {
        let fault = |code| {
            CliError::from(ClientError::Fault(Fault::new(
                code,
                "doing: why",
                Some("do".into()),
            )))
        };
        assert_eq!(fault(FaultCode::NotFound).kind, Kind::NotFound);
        assert_eq!(fault(FaultCode::Refused).kind, Kind::Failed);
        assert_eq!(fault(FaultCode::Refused).hint.as_deref(), Some("do"));
        assert_eq!(
            CliError::from(ClientError::Start {
                why: "x".into(),
                hint: None
            })
            .kind,
            Kind::Unreachable
        );
        assert_eq!(
            CliError::from(io::Error::from(io::ErrorKind::BrokenPipe)).kind,
            Kind::BrokenPipe
        );
    }
}
