//! Every key there is: what it takes, and whether a repository may set it.

use toml_edit::Value;

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// One of these words.
    Word(&'static [&'static str]),
    /// Any text that is not empty.
    Text,
    /// An absolute path.
    Path,
    /// A list of texts.
    Texts,
    /// A whole number from the first to the second.
    Number(i64, i64),
    /// `true` or `false`.
    Flag,
    /// A number from 0.
    Amount,
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// Its section; `prices` stands for every table below it.
    pub section: &'static str,
    /// Its name; `*` = any.
    pub key: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// May `{repo}/.claustre/config.toml` set it? Nothing that starts a program or names a place outside the repository.
    pub from_repository: bool,
    /// May it do so once a person trusted it (`claustre trust`)?
    pub once_trusted: bool,
}

const fn rule(section: &'static str, key: &'static str, takes: Takes) -> Rule {
    Rule {
        section,
        key,
        takes,
        from_repository: false,
        once_trusted: false,
    }
}

const fn shared(section: &'static str, key: &'static str, takes: Takes) -> Rule {
    Rule {
        section,
        key,
        takes,
        from_repository: true,
        once_trusted: true,
    }
}

const fn trusted(section: &'static str, key: &'static str, takes: Takes) -> Rule {
    Rule {
        section,
        key,
        takes,
        from_repository: false,
        once_trusted: true,
    }
}

/// All keys.
pub(super) const RULES: &[Rule] = &[
    shared(
        "defaults",
        "mode",
        Takes::Word(&["supervised", "autonomous", "exploration"]),
    ),
    shared("defaults", "push_mode", Takes::Word(&["pr", "push"])),
    shared("defaults", "base", Takes::Text),
    shared("defaults", "model", Takes::Text),
    shared(
        "defaults",
        "effort",
        Takes::Word(&["low", "medium", "high", "xhigh", "max"]),
    ),
    // What an agent may do without asking, and which program runs, is the user's alone to say.
    rule(
        "defaults",
        "permission_mode",
        Takes::Word(&[
            "default",
            "acceptEdits",
            "auto",
            "dontAsk",
            "plan",
            "bypassPermissions",
        ]),
    ),
    rule("defaults", "claude", Takes::Path),
    rule("defaults", "claude_md", Takes::Word(&["prompt", "file"])),
    rule("defaults", "extra_args", Takes::Texts),
    rule("queue", "max_sessions", Takes::Number(1, 1000)),
    rule("worktrees", "root", Takes::Path),
    shared("worktrees", "copy", Takes::Texts),
    shared("worktrees", "symlink", Takes::Texts),
    rule("worktrees", "keep_days", Takes::Number(0, 36_500)),
    rule(
        "worktrees",
        "keep_ignored_file_kib",
        Takes::Number(0, 1_048_576),
    ),
    rule(
        "worktrees",
        "keep_ignored_total_mib",
        Takes::Number(0, 65_536),
    ),
    trusted("worktrees", "setup", Takes::Texts),
    trusted("worktrees", "teardown", Takes::Texts),
    rule("worktrees", "script_minutes", Takes::Number(1, 1440)),
    rule("notifications", "desktop", Takes::Flag),
    rule("notifications", "command", Takes::Texts),
    rule("keys", "*", Takes::Text),
    rule("theme", "ascii", Takes::Flag),
    rule("prices", "input", Takes::Amount),
    rule("prices", "output", Takes::Amount),
    rule("prices", "cache_read", Takes::Amount),
    rule("prices", "cache_write_5m", Takes::Amount),
    rule("prices", "cache_write_1h", Takes::Amount),
    rule("zellij", "shell_beside", Takes::Flag),
    rule("zellij", "key", Takes::Text),
];

/// The rule of a key, where there is one.
pub(super) fn find(section: &str, key: &str) -> Option<&'static Rule> {
    RULES
        .iter()
        .find(|rule| rule.section == section && (rule.key == key || rule.key == "*"))
}

/// Is there such a section?
pub(super) fn is_section(section: &str) -> bool {
    RULES.iter().any(|rule| rule.section == section)
}

impl Takes {
    /// The value, if the key takes it.
    pub(super) fn check(self, value: &Value) -> Option<serde_json::Value> {
        match self {
            Self::Word(words) => value
                .as_str()
                .filter(|word| words.contains(word))
                .map(Into::into),
            Self::Text => value
                .as_str()
                .filter(|text| !text.trim().is_empty())
                .map(Into::into),
            Self::Path => value
                .as_str()
                .filter(|path| path.starts_with('/'))
                .map(Into::into),
            Self::Texts => {
                let texts: Option<Vec<&str>> =
                    value.as_array()?.iter().map(Value::as_str).collect();
                texts.map(Into::into)
            }
            Self::Number(least, most) => value
                .as_integer()
                .filter(|number| (least..=most).contains(number))
                .map(Into::into),
            Self::Flag => value.as_bool().map(Into::into),
            Self::Amount => {
                let whole = value
                    .as_integer()
                    .and_then(|number| i32::try_from(number).ok())
                    .map(f64::from);
                value
                    .as_float()
                    .or(whole)
                    .filter(|amount| amount.is_finite() && *amount >= 0.0)
                    .map(Into::into)
            }
        }
    }

    /// What it takes, for people.
    pub(super) fn words(self) -> String {
        match self {
            Self::Word(words) => format!("one of: {}", words.join(", ")),
            Self::Text => "a text".to_owned(),
            Self::Path => "an absolute path".to_owned(),
            Self::Texts => "a list of texts".to_owned(),
            Self::Number(least, most) => format!("a whole number from {least} to {most}"),
            Self::Flag => "true or false".to_owned(),
            Self::Amount => "a number from 0, in USD per million tokens".to_owned(),
        }
    }
}
