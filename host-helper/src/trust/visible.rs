//! Text of others as a person can judge it: nothing in it hides, moves or reorders what is beside it.

use std::fmt::Write as _;

use super::Content;

/// More lines than anybody reads at a terminal.
const MOST_LINES: usize = 2_000;
/// Longest line, in characters: a longer one is no script that a person wrote.
const LONGEST_LINE: usize = 2_000;

/// A file as it is shown before it is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// All of its lines, with what cannot be seen written out.
    Lines(Vec<String>),
    /// It cannot be shown so that somebody could judge it; why.
    Unreadable(String),
}

/// The whole of a file for a person to judge.
pub fn shown(content: &Content) -> Shown {
    let Ok(text) = std::str::from_utf8(&content.bytes) else {
        return Shown::Unreadable(format!(
            "it is a program of {} bytes, not text",
            content.bytes.len()
        ));
    };
    if text.contains('\0') {
        return Shown::Unreadable(format!(
            "it is a program of {} bytes, not text",
            content.bytes.len()
        ));
    }
    // Not `lines`: it would swallow a carriage return, which a shell takes as part of a word.
    let mut lines: Vec<&str> = text.split('\n').collect();
    if lines.last() == Some(&"") {
        lines.pop();
    }
    if lines.len() > MOST_LINES {
        return Shown::Unreadable(format!("it has {} lines", lines.len()));
    }
    if let Some(long) = lines
        .iter()
        .map(|line| line.chars().count())
        .find(|length| *length > LONGEST_LINE)
    {
        return Shown::Unreadable(format!("it has a line of {long} characters"));
    }
    Shown::Lines(lines.into_iter().map(visible).collect())
}

/// The line with every character that is not seen, or that changes how others are seen, written as its number.
pub fn visible(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    for character in line.chars() {
        if character == '\t' || !is_hidden(character) {
            text.push(character);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "<U+{:04X}>", u32::from(character));
        }
    }
    text
}

/// Control characters, what turns the direction of text, and what has no width.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            u32::from(character),
            0xAD | 0x34F
                | 0x61C
                | 0x115F..=0x1160
                | 0x17B4..=0x17B5
                | 0x180B..=0x180F
                | 0x200B..=0x200F
                | 0x2028..=0x202E
                | 0x2060..=0x206F
                | 0x3164
                | 0xFE00..=0xFE0F
                | 0xFEFF
                | 0xFFA0
                | 0xFFF0..=0xFFFB
                | 0x1BCA0..=0x1BCA3
                | 0x1D173..=0x1D17A
                | 0xE0000..=0xE0FFF
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Shown {
        shown(&Content {
            bytes: bytes.to_vec(),
            executable: true,
        })
    }

    #[test]
    fn all_lines_are_shown_and_nothing_in_them_is_hidden() {
        let long = "line\n".repeat(1_500);
        assert!(matches!(of(long.as_bytes()), Shown::Lines(lines) if lines.len() == 1_500));
        for (line, seen) in [
            ("if true; then\techo ü 漢", "if true; then\techo ü 漢"),
            ("a\u{1b}[8mhidden", "a<U+001B>[8mhidden"),
            ("ok \u{202e}lave\u{2066}", "ok <U+202E>lave<U+2066>"),
            ("rm\u{200b} -rf\r", "rm<U+200B> -rf<U+000D>"),
            ("\u{85}\u{9b}2J", "<U+0085><U+009B>2J"),
            ("tag\u{e0041}", "tag<U+E0041>"),
        ] {
            assert_eq!(visible(line), seen);
        }
        assert_eq!(
            of(b"one\r\ntwo"),
            Shown::Lines(vec!["one<U+000D>".into(), "two".into()])
        );
    }

    #[test]
    fn no_character_that_a_terminal_would_not_get_is_left_out_without_a_word() {
        for character in '\0'..=char::MAX {
            let line = character.to_string();
            let seen = visible(&line);
            assert_eq!(crate::text::terminal_safe(&seen), seen, "{character:?}");
        }
    }

    #[test]
    fn what_nobody_could_judge_is_said() {
        let why = |bytes: &[u8]| match of(bytes) {
            Shown::Unreadable(why) => why,
            Shown::Lines(lines) => panic!("{lines:?}"),
        };
        assert_eq!(why(b"\xff\xfe"), "it is a program of 2 bytes, not text");
        assert_eq!(why(b"#!/bin/sh\0"), "it is a program of 10 bytes, not text");
        assert_eq!(why("x\n".repeat(2_001).as_bytes()), "it has 2001 lines");
        assert_eq!(
            why("x".repeat(2_001).as_bytes()),
            "it has a line of 2001 characters"
        );
    }
}
