//! Commands and what came of them, as one text for a snapshot.

use std::path::PathBuf;

use claustre_tests::TestEnv;
use claustre_tests::env::CommandResult;
use regex_lite::Regex;

/// A session at the command line.
pub struct Transcript<'env> {
    env: &'env TestEnv,
    folder: PathBuf,
    text: String,
}

impl<'env> Transcript<'env> {
    pub fn new(env: &'env TestEnv) -> Self {
        Self {
            env,
            folder: env.home().join("code"),
            text: String::new(),
        }
    }

    /// Runs the helper in `~/code` and writes down what came of it.
    #[track_caller]
    pub fn run(&mut self, arguments: &[&str]) -> CommandResult {
        let result = self.env.claustre_in(&self.folder, arguments);
        let shown: Vec<String> = arguments.iter().map(|word| shown(word)).collect();
        self.note(&format!("claustre {}", shown.join(" ")), &result);
        result
    }

    /// Runs the helper with one variable set otherwise.
    #[track_caller]
    pub fn run_with(&mut self, variable: (&str, &str), arguments: &[&str]) -> CommandResult {
        let (name, value) = variable;
        let before = self.env.variables().get(name).cloned();
        self.env.set(name, value);
        let result = self.env.claustre_in(&self.folder, arguments);
        match before {
            Some(before) => self.env.set(name, before),
            None => self.env.unset(name),
        }
        let title = format!("{name}={} claustre {}", shown(value), arguments.join(" "));
        self.note(&title, &result);
        result
    }

    pub fn note(&mut self, title: &str, result: &CommandResult) {
        let text = result.snapshot();
        for forbidden in ['\u{1b}', '\u{7}', '\u{202e}', '\u{9b}'] {
            assert!(
                !text.contains(forbidden),
                "{title} printed {forbidden:?}: {text:?}"
            );
        }
        self.text.push_str(&format!("$ {title}\n{text}\n\n"));
    }

    /// Everything so far, with what differs between two runs replaced.
    pub fn finish(self) -> String {
        steady(&self.env.filtered(&self.text))
    }
}

/// An argument as a person could type it: short, and without what a terminal would obey.
fn shown(word: &str) -> String {
    let escaped: String = word.escape_debug().collect();
    let cut: String = escaped.chars().take(60).collect();
    match (
        cut.len() < escaped.len(),
        word.contains(' ') || word.is_empty(),
    ) {
        (true, _) => format!("{cut}..."),
        (false, true) => format!("'{cut}'"),
        (false, false) => cut,
    }
}

/// Replaces short ids, process ids and ages.
pub fn steady(text: &str) -> String {
    let filters = [
        (r"\b[0-9a-f]{8}\b", "[ID]"),
        (r"process \d+", "process [PID]"),
        (r"\b\d+s\b", "[AGE]"),
        (r"answered in [0-9.]+ ms", "answered in [MS] ms"),
    ];
    let mut text = text.to_owned();
    for (pattern, name) in filters {
        text = Regex::new(pattern)
            .unwrap()
            .replace_all(&text, name)
            .into_owned();
    }
    text
}
