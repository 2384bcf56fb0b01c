//! How keys are written.

use std::fmt;

use crate::msg::{Key, KeyCode};

/// A key that is shown: `ctrl+p`, `Enter`, `N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named(pub Key);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(key) = self;
        for (held, name) in [
            (key.ctrl, "ctrl+"),
            (key.alt, "alt+"),
            (key.shift, "shift+"),
        ] {
            if held {
                f.write_str(name)?;
            }
        }
        match key.code {
            KeyCode::Char(' ') => f.write_str("space"),
            KeyCode::Char(character) => write!(f, "{character}"),
            KeyCode::Function(number) => write!(f, "F{number}"),
            other => f.write_str(
                WORDS
                    .iter()
                    .find(|(_, code)| *code == other)
                    .map_or("?", |(word, _)| word),
            ),
        }
    }
}

const WORDS: &[(&str, KeyCode)] = &[
    ("Enter", KeyCode::Enter),
    ("Esc", KeyCode::Esc),
    ("Tab", KeyCode::Tab),
    ("Backspace", KeyCode::Backspace),
    ("Delete", KeyCode::Delete),
    ("↑", KeyCode::Up),
    ("↓", KeyCode::Down),
    ("←", KeyCode::Left),
    ("→", KeyCode::Right),
    ("Up", KeyCode::Up),
    ("Down", KeyCode::Down),
    ("Left", KeyCode::Left),
    ("Right", KeyCode::Right),
    ("Home", KeyCode::Home),
    ("End", KeyCode::End),
    ("PgUp", KeyCode::PageUp),
    ("PgDn", KeyCode::PageDown),
    ("PageUp", KeyCode::PageUp),
    ("PageDown", KeyCode::PageDown),
];

/// Reads a key as the configuration writes it: `l`, `N`, `ctrl+p`, `alt+Enter`, `F5`, `space`.
pub fn parse_key(text: &str) -> Option<Key> {
    let mut key = Key::char(' ');
    let mut rest = text.trim();
    while let Some((modifier, after)) = rest.split_once(['+', '-']) {
        if after.is_empty() || modifier.is_empty() {
            break;
        }
        match modifier.to_ascii_lowercase().as_str() {
            "ctrl" | "control" => key.ctrl = true,
            "alt" => key.alt = true,
            "shift" => key.shift = true,
            _ => return None,
        }
        rest = after;
    }
    let mut characters = rest.chars();
    key.code = match (characters.next(), characters.next()) {
        (Some(character), None) => KeyCode::Char(character),
        _ if rest.eq_ignore_ascii_case("space") => KeyCode::Char(' '),
        (Some('F' | 'f'), Some(_)) if rest.get(1..).is_some_and(|n| n.parse::<u8>().is_ok()) => {
            KeyCode::Function(rest.get(1..)?.parse().ok()?)
        }
        _ => {
            WORDS
                .iter()
                .find(|(word, _)| word.eq_ignore_ascii_case(rest))?
                .1
        }
    };
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_written() {
        for text in [
            "l",
            "N",
            "ctrl+p",
            "alt+Enter",
            "F5",
            "space",
            "Esc",
            "PgDn",
            "+",
            "shift+Tab",
        ] {
            let key = parse_key(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(Named(key).to_string(), text);
        }
        assert_eq!(parse_key("hyper+x"), None);
        assert_eq!(parse_key("nonsense"), None);
    }
}
