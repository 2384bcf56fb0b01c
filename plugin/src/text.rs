//! Text in columns: how wide it is, cut, wrapped and freed of everything that could move the terminal's cursor.
//!
//! Text of agents, repositories and the network is data. Whatever is drawn passes [`graphemes`] or its ASCII
//! short cut, so that control characters, escape sequences and direction marks never reach the buffer.

use std::borrow::Cow;

use claustre_protocol::time::Timestamp;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Is every byte a printable ASCII character? Then one byte is one column.
pub fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

/// Characters that draw nothing and change how their neighbours are drawn, or move the cursor.
fn is_hostile(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// The text without control characters; line ends and tabs become spaces. One line comes out.
pub fn clean(text: &str) -> Cow<'_, str> {
    if is_plain(text) || !text.chars().any(is_hostile) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        text.chars()
            .filter_map(|character| match character {
                '\n' | '\t' => Some(' '),
                other if is_hostile(other) => None,
                other => Some(other),
            })
            .collect(),
    )
}

/// As [`clean`], but line ends stay and tabs become four spaces.
pub fn clean_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => out.push('\n'),
            '\t' => out.push_str("    "),
            other if is_hostile(other) => {}
            other => out.push(other),
        }
    }
    out
}

/// What is drawn as one, with its columns (1 or 2). Nothing hostile comes out; what has no width is left out.
pub fn graphemes(text: &str) -> impl Iterator<Item = (&str, u16)> {
    text.graphemes(true).filter_map(|grapheme| {
        if grapheme.chars().any(is_hostile) {
            return matches!(grapheme, "\n" | "\t" | "\r\n").then_some((" ", 1));
        }
        match grapheme.width() {
            0 => None,
            1 => Some((grapheme, 1)),
            _ => Some((grapheme, 2)),
        }
    })
}

/// Columns that the text takes once it is drawn.
pub fn width(text: &str) -> u16 {
    let columns = if is_plain(text) {
        text.len()
    } else {
        graphemes(text)
            .map(|(_, columns)| usize::from(columns))
            .sum()
    };
    u16::try_from(columns).unwrap_or(u16::MAX)
}

/// The beginning of the text that fits `columns`, ended by `ellipsis` (one column) where something is cut.
pub fn truncate<'a>(text: &'a str, columns: u16, ellipsis: &str) -> Cow<'a, str> {
    if is_plain(text) {
        if text.len() <= usize::from(columns) {
            return Cow::Borrowed(text);
        }
        let Some(kept) = columns.checked_sub(1) else {
            return Cow::Borrowed("");
        };
        let kept = text.get(..usize::from(kept)).unwrap_or_default();
        return Cow::Owned(format!("{kept}{ellipsis}"));
    }
    if width(text) <= columns {
        return clean(text);
    }
    let Some(room) = columns.checked_sub(1) else {
        return Cow::Borrowed("");
    };
    let mut out = String::new();
    let mut used = 0;
    for (grapheme, columns) in graphemes(text) {
        if used + columns > room {
            break;
        }
        used += columns;
        out.push_str(grapheme);
    }
    out.push_str(ellipsis);
    Cow::Owned(out)
}

/// Breaks the text at its line ends and, where a line is wider than `columns`, between words, or inside a word
/// that is wider than a whole line. Always gives at least one line.
pub fn wrap(text: &str, columns: u16) -> Vec<String> {
    let columns = columns.max(2);
    let mut lines = Vec::new();
    for line in clean_lines(text).split('\n') {
        wrap_line(line, columns, &mut lines);
    }
    lines
}

fn wrap_line(line: &str, columns: u16, lines: &mut Vec<String>) {
    let line = line.trim_end();
    if width(line) <= columns {
        lines.push(line.to_owned());
        return;
    }
    let mut current = String::new();
    let mut used: u16 = 0;
    for token in line.split_inclusive(' ') {
        let word = token.trim_end();
        let wide = width(word);
        if used.saturating_add(wide) > columns && wide <= columns {
            lines.push(std::mem::take(&mut current).trim_end().to_owned());
            used = 0;
        }
        if used.saturating_add(wide) <= columns {
            current.push_str(token);
            used = used.saturating_add(width(token));
            continue;
        }
        // Longer than a line, or written without blanks: it starts here and is cut where the line ends.
        for (grapheme, wide) in graphemes(token) {
            if used.saturating_add(wide) > columns {
                lines.push(std::mem::take(&mut current));
                used = 0;
            }
            current.push_str(grapheme);
            used += wide;
        }
    }
    if !current.trim().is_empty() {
        lines.push(current.trim_end().to_owned());
    }
}

/// A short text on the stack: ages and counts are drawn without a heap allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Short {
    bytes: [u8; 24],
    length: usize,
}

impl Short {
    /// The text.
    pub fn as_str(&self) -> &str {
        self.bytes
            .get(..self.length)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .unwrap_or_default()
    }

    fn number(mut value: u64, suffix: &str) -> Self {
        let mut digits = [0_u8; 20];
        let mut count = 0;
        for slot in &mut digits {
            *slot = b'0' + u8::try_from(value % 10).unwrap_or(0);
            count += 1;
            value /= 10;
            if value == 0 {
                break;
            }
        }
        let mut short = Self {
            bytes: [0; 24],
            length: 0,
        };
        let text = digits
            .iter()
            .take(count)
            .rev()
            .copied()
            .chain(suffix.bytes());
        for (slot, byte) in short.bytes.iter_mut().zip(text) {
            *slot = byte;
            short.length += 1;
        }
        short
    }
}

/// The age seen from `now`: `12s`, `4m`, `3h`, `2d`.
pub fn age(since: Timestamp, now: Timestamp) -> Short {
    let seconds = u64::try_from(now.millis_since(since)).unwrap_or(0) / 1000;
    match seconds {
        0..60 => Short::number(seconds, "s"),
        60..3600 => Short::number(seconds / 60, "m"),
        3600..86_400 => Short::number(seconds / 3600, "h"),
        _ => Short::number(seconds / 86_400, "d"),
    }
}

/// A whole number.
pub fn number(value: usize) -> Short {
    Short::number(u64::try_from(value).unwrap_or(u64::MAX), "")
}

/// A count of tokens: `940`, `12.4k`, `3.1M`.
pub fn tokens(count: u64) -> String {
    let tenths = |unit: u64, letter: char| {
        let tenths = count / (unit / 10);
        if tenths >= 1000 {
            format!("{}{letter}", tenths / 10)
        } else {
            format!("{}.{}{letter}", tenths / 10, tenths % 10)
        }
    };
    match count {
        0..1000 => count.to_string(),
        1000..1_000_000 => tenths(1000, 'k'),
        1_000_000..1_000_000_000 => tenths(1_000_000, 'M'),
        _ => tenths(1_000_000_000, 'G'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_fits_and_says_so() {
        for (text, columns, expected) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("abcd", 0, ""),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("a\u{1b}[31mb", 9, "a[31mb"),
            ("one\ntwo", 9, "one two"),
        ] {
            assert_eq!(
                truncate(text, columns, "…"),
                expected,
                "{text:?} in {columns}"
            );
        }
    }

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("", 4), [""]);
        assert_eq!(wrap("say `run()` x-y", 11), ["say `run()`", "x-y"]);
        assert_eq!(wrap("  in a box", 6), ["  in a", "box"]);
        assert_eq!(wrap("ab 日本語日本語", 5), ["ab 日", "本語", "日本", "語"]);
        assert_eq!(wrap("a\n\nb", 4), ["a", "", "b"]);
        assert_eq!(wrap("日本語日本語", 5), ["日本", "語日", "本語"]);
    }

    #[test]
    fn direction_marks_and_escapes_vanish() {
        assert_eq!(clean("a\u{202e}b\u{7}c"), "abc");
        assert_eq!(width("\u{200b}\u{1b}"), 0);
    }

    #[test]
    fn numbers_are_short() {
        let now = Timestamp::from_millis(10_000_000_000);
        assert_eq!(age(now.plus_millis(-42_000), now).as_str(), "42s");
        assert_eq!(age(now.plus_millis(5), now).as_str(), "0s");
        assert_eq!(age(Timestamp::from_millis(0), now).as_str(), "115d");
        assert_eq!(number(0).as_str(), "0");
        assert_eq!(number(31).as_str(), "31");
        assert_eq!(tokens(940), "940");
        assert_eq!(tokens(12_400), "12.4k");
        assert_eq!(tokens(124_000), "124k");
        assert_eq!(tokens(3_100_000), "3.1M");
    }
}
