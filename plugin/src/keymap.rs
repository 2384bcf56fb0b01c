//! Every key the dashboard understands, in one table.
//!
//! The dispatch, the help overlay, the command palette and the help line are all drawn from it, so none of them can
//! promise a key that does nothing, or hide one that does something.

mod key;
mod table;

use crate::msg::Key;

pub use key::{Named, parse_key};
pub use table::TABLE;

/// What a person wants when a key is pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Intent {
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// First row.
    Top,
    /// Last row.
    Bottom,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// Focus the projects.
    FocusProjects,
    /// Focus the detail panel.
    FocusDetail,
    /// Focus the tasks.
    FocusTasks,
    /// Focus the panel to the left.
    FocusLeft,
    /// Focus the panel to the right.
    FocusRight,
    /// Expand, look at what is asked, or go to the tab.
    Open,
    /// Allow what is asked.
    Approve,
    /// Refuse what is asked.
    Deny,
    /// Write to the session, or answer its question.
    Message,
    /// Go to what needs a person next.
    NextInNeed,
    /// List what needs a person.
    Inbox,
    /// Write a task.
    NewTask,
    /// Edit a task.
    EditTask,
    /// Add a project.
    AddProject,
    /// Open a session without a task.
    NewSession,
    /// The steps of a task.
    Steps,
    /// Launch a task.
    Launch,
    /// Review finished work.
    Review,
    /// Try again or resume.
    Retry,
    /// Everything about a task.
    Details,
    /// Open the pull request.
    OpenPullRequest,
    /// Kill the session, put the task back.
    Kill,
    /// Delete.
    Delete,
    /// Move the task down in the queue.
    MoveDown,
    /// Move the task up in the queue.
    MoveUp,
    /// Filter the tasks.
    Filter,
    /// Take the last deletion back.
    Undo,
    /// Choose a command by name.
    Palette,
    /// List the keys.
    Help,
    /// Back, and at last hide.
    Back,
    /// Send, save or take what is chosen.
    Submit,
    /// A new line in a text.
    NewLine,
    /// Next field.
    NextField,
    /// Previous field.
    PreviousField,
    /// Next value of a choice.
    NextChoice,
    /// Previous value of a choice.
    PreviousChoice,
    /// Yes, do it.
    Confirm,
    /// Mark a task as done.
    MarkDone,
    /// Send a task back with feedback.
    SendBack,
    /// Put a task back in the queue.
    Reopen,
    /// Add a step.
    AddStep,
    /// Mark a step as done.
    StepDone,
    /// Take an offered answer, by its number.
    Choose(u8),
}

/// What is on top of the screen and gets the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The panels.
    Main,
    /// The key list.
    Help,
    /// What a session asks, in full.
    Ask,
    /// Everything about a task.
    Details,
    /// The inbox.
    Inbox,
    /// The review menu.
    Review,
    /// The steps of a task.
    Steps,
    /// A confirmation.
    Confirm,
    /// A form.
    Form,
    /// A text that is being written.
    Text,
    /// The command palette.
    Palette,
    /// The filter that is being typed.
    Filter,
}

impl Scope {
    /// Do characters go into a text here?
    pub const fn takes_text(self) -> bool {
        match self {
            Self::Form | Self::Text | Self::Palette | Self::Filter => true,
            Self::Main
            | Self::Help
            | Self::Ask
            | Self::Details
            | Self::Inbox
            | Self::Review
            | Self::Steps
            | Self::Confirm => false,
        }
    }
}

/// What must be selected for an intent to do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// Any project.
    AnyProject,
    /// Something in the list with the focus.
    Rows,
    /// A project or a session in the left panel.
    ProjectSide,
    /// A row that Enter can open.
    Openable,
    /// A permission that can be answered from here.
    Permission,
    /// A session that takes messages.
    OpenSession,
    /// An inbox that is not empty.
    InboxItems,
    /// A task.
    Task,
    /// A task that was not launched yet.
    Editable,
    /// A pending task.
    Launchable,
    /// A task that can be reviewed or reopened.
    Reviewable,
    /// A task or session that stopped.
    Retryable,
    /// A task or a session that asks.
    Detailed,
    /// A task with a pull request.
    PullRequest,
    /// A task with a session, or a session.
    Killable,
    /// A task or a project.
    Deletable,
    /// A task with a neighbour below it in the queue.
    MovableDown,
    /// A task with a neighbour above it in the queue.
    MovableUp,
    /// Offered answers.
    Options,
    /// A question that can be answered from here.
    Question,
    /// Work that a person may call done.
    Finishable,
    /// Work that may go back to its session.
    Returnable,
    /// A finished or blocked task.
    Reopenable,
    /// A step.
    Step,
    /// A step that is open.
    OpenStep,
}

/// On which rows of the panels a key has this meaning; one key may have one on each side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Both.
    Both,
    /// Projects and sessions.
    Projects,
    /// Tasks.
    Tasks,
}

impl Side {
    fn overlaps(self, other: Self) -> bool {
        self == other || self == Self::Both || other == Self::Both
    }
}

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// What it does.
    pub intent: Intent,
    /// Its name in the configuration; empty = cannot be remapped.
    pub name: &'static str,
    /// The keys, the one to show first.
    pub keys: &'static [Key],
    /// Two words for the help line.
    pub label: &'static str,
    /// A line for the help overlay and the palette.
    pub about: &'static str,
    /// Where it applies.
    pub scopes: &'static [Scope],
    /// What it needs.
    pub needs: Needs,
    /// On which side.
    pub side: Side,
    /// How early it stands in the help line; 0 = not there.
    pub rank: u8,
}

/// Why keys cannot be remapped as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeymapError {
    /// One key would do two things.
    Clash {
        /// The key.
        key: String,
        /// Name of what it already does.
        first: &'static str,
        /// Name of what it shall also do.
        second: &'static str,
    },
    /// A plain character would be typed instead.
    Typed {
        /// The key.
        key: String,
        /// Name of what it shall do.
        name: &'static str,
    },
    /// The configuration names something that is not there.
    Unknown {
        /// The name.
        name: String,
    },
    /// What the configuration gives for a key is none.
    NoKey {
        /// What it gives.
        text: String,
        /// Name of what it shall do.
        name: String,
    },
    /// This has a fixed key.
    Fixed {
        /// Label of what cannot be moved.
        label: &'static str,
    },
}

impl std::fmt::Display for KeymapError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Clash { key, first, second } => {
                write!(f, "'{key}' cannot be both '{first}' and '{second}'")
            }
            Self::Typed { key, name } => {
                write!(f, "'{key}' is typed in texts and cannot be '{name}'")
            }
            Self::Unknown { name } => write!(f, "there is no action '{name}'"),
            Self::NoKey { text, name } => write!(f, "'{text}' is no key (for '{name}')"),
            Self::Fixed { label } => write!(f, "the key of '{label}' is fixed"),
        }
    }
}

impl std::error::Error for KeymapError {}

/// The table with the user's changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Keymap {
    overrides: Vec<(Intent, Key)>,
}

impl Keymap {
    /// The table with other keys for some intents: the given key takes the place of all the keys of its intent.
    ///
    /// # Errors
    /// A key would do two things in one place, would be typed, or belongs to an intent that is fixed.
    pub fn with_overrides(overrides: &[(Intent, Key)]) -> Result<Self, KeymapError> {
        let keymap = Self {
            overrides: overrides
                .iter()
                .map(|(intent, key)| (*intent, normal(*key)))
                .collect(),
        };
        for (intent, key) in &keymap.overrides {
            let mut fixed = None;
            let mut moved = false;
            for entry in TABLE.iter().filter(|entry| entry.intent == *intent) {
                if entry.name.is_empty() {
                    fixed = Some(entry.label);
                } else {
                    moved = true;
                    keymap.check(entry, *key)?;
                }
            }
            if let (false, Some(label)) = (moved, fixed) {
                return Err(KeymapError::Fixed { label });
            }
        }
        Ok(keymap)
    }

    /// The table with the keys that the configuration gives: name of the action, and the key as it is written there.
    ///
    /// # Errors
    /// As [`Keymap::with_overrides`], or a name or a key is not known.
    pub fn from_names<'a>(
        keys: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, KeymapError> {
        let mut overrides = Vec::new();
        for (name, text) in keys {
            let intent = Intent::by_name(name).ok_or_else(|| KeymapError::Unknown {
                name: name.to_owned(),
            })?;
            let key = parse_key(text).ok_or_else(|| KeymapError::NoKey {
                text: text.to_owned(),
                name: name.to_owned(),
            })?;
            overrides.push((intent, key));
        }
        Self::with_overrides(&overrides)
    }

    fn check(&self, entry: &'static Entry, key: Key) -> Result<(), KeymapError> {
        let typed = matches!(key.code, crate::msg::KeyCode::Char(_)) && !key.ctrl && !key.alt;
        if typed && entry.scopes.iter().any(|scope| scope.takes_text()) {
            return Err(KeymapError::Typed {
                key: Named(key).to_string(),
                name: entry.name,
            });
        }
        let clash = TABLE.iter().find(|other| {
            other.intent != entry.intent
                && other.side.overlaps(entry.side)
                && other
                    .scopes
                    .iter()
                    .any(|scope| entry.scopes.contains(scope))
                && self.keys(other).any(|taken| taken == key)
        });
        match clash {
            Some(other) => Err(KeymapError::Clash {
                key: Named(key).to_string(),
                first: title(other),
                second: title(entry),
            }),
            None => Ok(()),
        }
    }

    /// The keys of an entry.
    pub fn keys(&self, entry: &'static Entry) -> impl Iterator<Item = Key> {
        let moved = self
            .overrides
            .iter()
            .find(|(intent, _)| *intent == entry.intent && !entry.name.is_empty())
            .map(|(_, key)| *key);
        let own = if moved.is_some() { &[] } else { entry.keys };
        moved.into_iter().chain(own.iter().copied())
    }

    /// The key to show for an entry.
    pub fn shown(&self, entry: &'static Entry) -> Option<Named> {
        self.keys(entry).next().map(Named)
    }

    /// The key to show for an intent over the panels.
    pub fn key_of(&self, intent: Intent) -> Option<Named> {
        let entry = TABLE
            .iter()
            .find(|entry| entry.intent == intent && entry.scopes.contains(&Scope::Main))?;
        self.shown(entry)
    }

    /// What a key may mean in this place: more than one only where it depends on the row.
    pub fn lookup(&self, scope: Scope, key: Key) -> impl Iterator<Item = &'static Entry> {
        let key = normal(key);
        TABLE.iter().filter(move |entry| {
            entry.scopes.contains(&scope) && self.keys(entry).any(|own| own == key)
        })
    }

    /// The entries of a place, in the order of the table.
    pub fn entries(&self, scope: Scope) -> impl Iterator<Item = &'static Entry> {
        TABLE
            .iter()
            .filter(move |entry| entry.scopes.contains(&scope))
    }
}

impl Intent {
    /// The intent that the configuration means by this name.
    pub fn by_name(name: &str) -> Option<Self> {
        TABLE
            .iter()
            .find(|entry| !entry.name.is_empty() && entry.name == name)
            .map(|entry| entry.intent)
    }
}

const fn title(entry: &'static Entry) -> &'static str {
    if entry.name.is_empty() {
        entry.label
    } else {
        entry.name
    }
}

/// Terminals say Shift in two ways; one is enough.
fn normal(mut key: Key) -> Key {
    if let crate::msg::KeyCode::Char(character) = key.code {
        if key.shift && character.is_ascii_lowercase() && !key.ctrl {
            key.code = crate::msg::KeyCode::Char(character.to_ascii_uppercase());
        }
        if key.ctrl {
            key.code = crate::msg::KeyCode::Char(character.to_ascii_lowercase());
        }
        key.shift = false;
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msg::KeyCode;

    #[test]
    fn no_key_means_two_things_in_one_place() {
        let keymap = Keymap::default();
        for entry in TABLE {
            for key in entry.keys {
                assert_eq!(keymap.check(entry, *key), Ok(()), "{}", entry.label);
                assert_eq!(normal(*key), *key, "{} is unreachable", entry.label);
            }
        }
    }

    #[test]
    fn a_clash_is_refused_with_both_names() {
        let error = Keymap::with_overrides(&[(Intent::Launch, Key::char('y'))]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "'y' cannot be both 'approve' and 'launch'"
        );
        let error = Keymap::with_overrides(&[
            (Intent::Launch, Key::char('Z')),
            (Intent::Review, Key::char('Z')),
        ])
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "'Z' cannot be both 'review' and 'launch'"
        );
    }

    #[test]
    fn two_keys_may_be_swapped() {
        let keymap = Keymap::with_overrides(&[
            (Intent::Launch, Key::char('r')),
            (Intent::Review, Key::char('l')),
        ])
        .unwrap();
        let found: Vec<_> = keymap
            .lookup(Scope::Main, Key::char('r'))
            .map(|entry| entry.intent)
            .collect();
        assert_eq!(found, [Intent::Launch]);
    }

    #[test]
    fn what_is_typed_cannot_be_a_command() {
        let error = Keymap::with_overrides(&[(Intent::Submit, Key::char('z'))]).unwrap_err();
        assert!(matches!(
            error,
            KeymapError::Typed { .. } | KeymapError::Fixed { .. }
        ));
    }

    #[test]
    fn names_are_unique_and_found() {
        for entry in TABLE.iter().filter(|entry| !entry.name.is_empty()) {
            assert_eq!(
                Intent::by_name(entry.name),
                Some(entry.intent),
                "{}",
                entry.name
            );
        }
    }

    #[test]
    fn shift_is_understood_both_ways() {
        let keymap = Keymap::default();
        let deny = Key {
            shift: true,
            ..Key::char('n')
        };
        for key in [
            deny,
            Key::char('N'),
            Key {
                shift: true,
                ..Key::char('N')
            },
        ] {
            let found: Vec<_> = keymap.lookup(Scope::Main, key).map(|e| e.intent).collect();
            assert_eq!(found, [Intent::Deny]);
        }
        assert_eq!(
            normal(Key::plain(KeyCode::Enter)),
            Key::plain(KeyCode::Enter)
        );
    }
}
