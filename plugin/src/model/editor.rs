//! A text that is being written, of one line or many.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use crate::{
    msg::{Key, KeyCode},
    text,
};

/// Longest text that is taken, in bytes: the daemon takes a prompt of a megabyte.
pub const MAX_BYTES: usize = 1024 * 1024;

/// Longest piece of one line that is laid out around the cursor, in bytes.
const WINDOW: usize = 16 * 1024;

/// A text and where the next character goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Editor {
    text: String,
    cursor: usize,
    lines: bool,
}

/// The part of a text that is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown<'a> {
    /// The rows.
    pub rows: Vec<&'a str>,
    /// Column and row of the cursor.
    pub cursor: (u16, u16),
    /// Is there more above, and below?
    pub more: (bool, bool),
}

impl Editor {
    /// A text of one line; the cursor stands at its end.
    pub fn line(text: &str) -> Self {
        Self::with(text::clean(text).into_owned(), false)
    }

    /// A text of many lines; the cursor stands at its end.
    pub fn lines(text: &str) -> Self {
        Self::with(text::clean_lines(text), true)
    }

    const fn with(text: String, lines: bool) -> Self {
        Self {
            cursor: text.len(),
            text,
            lines,
        }
    }

    /// What is written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Is nothing but blanks written?
    pub fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// Is the line with the cursor blank?
    pub fn line_is_blank(&self) -> bool {
        self.text
            .get(self.line_range())
            .is_none_or(|line| line.trim().is_empty())
    }

    /// Writes at the cursor. Says whether all of it found room.
    pub fn insert(&mut self, text: &str) -> bool {
        let text = if self.lines {
            text::clean_lines(&text.replace("\r\n", "\n").replace('\r', "\n"))
        } else {
            text::clean(text.trim_end_matches(['\r', '\n'])).into_owned()
        };
        let mut room = MAX_BYTES.saturating_sub(self.text.len()).min(text.len());
        while !text.is_char_boundary(room) {
            room -= 1;
        }
        let fitting = text.get(..room).unwrap_or_default();
        self.text.insert_str(self.cursor, fitting);
        self.cursor += fitting.len();
        room == text.len()
    }

    /// Starts a new line, where there may be many.
    pub fn new_line(&mut self) {
        if self.lines {
            self.insert("\n");
        }
    }

    /// Does what an editing key says. Says whether the key is one.
    pub fn key(&mut self, key: Key) -> bool {
        match (key.code, key.ctrl, key.alt) {
            (KeyCode::Char(character), false, false) => {
                self.insert(character.encode_utf8(&mut [0; 4]));
            }
            (KeyCode::Backspace, false, false) => {
                let start = self.before();
                self.text.replace_range(start..self.cursor, "");
                self.cursor = start;
            }
            (KeyCode::Delete, false, false) => {
                let end = self.after();
                self.text.replace_range(self.cursor..end, "");
            }
            (KeyCode::Backspace, _, _) | (KeyCode::Char('w'), true, false) => {
                let start = self.word_start();
                self.text.replace_range(start..self.cursor, "");
                self.cursor = start;
            }
            (KeyCode::Char('u'), true, false) => {
                let start = self.line_range().start;
                self.text.replace_range(start..self.cursor, "");
                self.cursor = start;
            }
            (KeyCode::Left, false, false) => self.cursor = self.before(),
            (KeyCode::Right, false, false) => self.cursor = self.after(),
            (KeyCode::Left, _, _) => self.cursor = self.word_start(),
            (KeyCode::Right, _, _) => self.cursor = self.word_end(),
            (KeyCode::Home, _, _) | (KeyCode::Char('a'), true, false) => {
                self.cursor = self.line_range().start;
            }
            (KeyCode::End, _, _) | (KeyCode::Char('e'), true, false) => {
                self.cursor = self.line_range().end;
            }
            (KeyCode::Up, _, _) => return self.vertical(true),
            (KeyCode::Down, _, _) => return self.vertical(false),
            _ => return false,
        }
        true
    }

    fn head(&self) -> &str {
        self.text.get(..self.cursor).unwrap_or_default()
    }

    fn tail(&self) -> &str {
        self.text.get(self.cursor..).unwrap_or_default()
    }

    fn before(&self) -> usize {
        let last = self.head().graphemes(true).next_back();
        self.cursor - last.map_or(0, str::len)
    }

    fn after(&self) -> usize {
        self.cursor + self.tail().graphemes(true).next().map_or(0, str::len)
    }

    fn word_start(&self) -> usize {
        let head = self.head().trim_end();
        let last = head.split_word_bounds().next_back();
        head.len() - last.map_or(0, str::len)
    }

    fn word_end(&self) -> usize {
        let tail = self.tail();
        let blanks = tail.len() - tail.trim_start().len();
        let word = tail.trim_start().split_word_bounds().next();
        self.cursor + blanks + word.map_or(0, str::len)
    }

    fn line_range(&self) -> Range<usize> {
        let start = self.head().rfind('\n').map_or(0, |at| at + 1);
        let end = self
            .tail()
            .find('\n')
            .map_or(self.text.len(), |at| self.cursor + at);
        start..end
    }

    /// To the line above or below, at the same column. Says whether there is one.
    fn vertical(&mut self, up: bool) -> bool {
        let line = self.line_range();
        let column = text::width(self.text.get(line.start..self.cursor).unwrap_or_default());
        let target = if up {
            let Some(end) = line.start.checked_sub(1) else {
                return false;
            };
            let start = self.text.get(..end).and_then(|head| head.rfind('\n'));
            start.map_or(0, |at| at + 1)..end
        } else {
            if line.end >= self.text.len() {
                return false;
            }
            let start = line.end + 1;
            let end = self.text.get(start..).and_then(|tail| tail.find('\n'));
            start..end.map_or(self.text.len(), |at| start + at)
        };
        let mut at = target.start;
        let mut used = 0;
        for grapheme in self.text.get(target).unwrap_or_default().graphemes(true) {
            if used >= column {
                break;
            }
            used += text::width(grapheme);
            at += grapheme.len();
        }
        self.cursor = at;
        true
    }

    /// The rows around the cursor that fit this many columns and rows. Only text near the cursor is laid out.
    pub fn shown(&self, columns: u16, rows: u16) -> Shown<'_> {
        let columns = columns.max(2);
        let height = usize::from(rows.max(1));
        let mut start = self.cursor.saturating_sub(WINDOW);
        while !self.text.is_char_boundary(start) {
            start += 1;
        }
        if let Some(at) = self
            .text
            .get(start..self.cursor)
            .and_then(|head| head.find('\n'))
        {
            start = if start == 0 { 0 } else { start + at + 1 };
        }
        let mut end = self.cursor.saturating_add(WINDOW).min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut line_start = start;
        for line in self.text.get(start..end).unwrap_or_default().split('\n') {
            break_rows(line, line_start, columns, &mut ranges);
            line_start += line.len() + 1;
        }
        let row = ranges
            .iter()
            .rposition(|range| range.start <= self.cursor)
            .unwrap_or(0);
        // The first rows stay where they are as long as the cursor is among them.
        let top = (row + 1).saturating_sub(height);
        let column = ranges.get(row).map_or(0, |range| {
            text::width(self.text.get(range.start..self.cursor).unwrap_or_default())
        });
        let more_below = ranges.len() > top + height || end < self.text.len();
        Shown {
            rows: ranges
                .into_iter()
                .skip(top)
                .take(height)
                .map(|range| self.text.get(range).unwrap_or_default())
                .collect(),
            cursor: (
                column.min(columns - 1),
                u16::try_from(row - top).unwrap_or(0),
            ),
            more: (top > 0 || start > 0, more_below),
        }
    }
}

/// Breaks one line into rows, after blanks where there are any.
fn break_rows(line: &str, offset: usize, columns: u16, rows: &mut Vec<Range<usize>>) {
    let mut row_start = 0;
    let mut used = 0;
    let mut after_blank = None;
    for (at, grapheme) in line.grapheme_indices(true) {
        let wide = text::width(grapheme);
        // The last column stays free for the cursor.
        if used + wide >= columns && at > row_start {
            let end = after_blank.filter(|end| *end > row_start).unwrap_or(at);
            rows.push(offset + row_start..offset + end);
            used = text::width(line.get(end..at).unwrap_or_default());
            row_start = end;
            after_blank = None;
        }
        used += wide;
        if grapheme == " " {
            after_blank = Some(at + 1);
        }
    }
    rows.push(offset + row_start..offset + line.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(lines: bool, keys: &[KeyCode]) -> Editor {
        let mut editor = if lines {
            Editor::lines("")
        } else {
            Editor::line("")
        };
        for code in keys {
            editor.key(Key::plain(*code));
        }
        editor
    }

    #[test]
    fn characters_go_where_the_cursor_is() {
        use KeyCode::{Backspace, Char, Delete, Home, Left};
        let editor = typed(
            false,
            &[
                Char('a'),
                Char('日'),
                Char('c'),
                Left,
                Backspace,
                Char('b'),
                Home,
                Delete,
            ],
        );
        assert_eq!(editor.text(), "bc");
    }

    #[test]
    fn pasted_lines_stay_lines_only_where_there_may_be_many() {
        let mut many = Editor::lines("");
        many.insert("a\r\nb\u{1b}[31m\n");
        assert_eq!(many.text(), "a\nb[31m\n");
        let mut one = Editor::line("");
        one.insert("a\nb\n");
        assert_eq!(one.text(), "a b");
    }

    #[test]
    fn the_cursor_keeps_its_column_between_lines() {
        let mut editor = Editor::lines("long line\nab\nlong line");
        assert!(editor.key(Key::plain(KeyCode::Up)));
        assert!(editor.key(Key::plain(KeyCode::Char('!'))));
        assert_eq!(editor.text(), "long line\nab!\nlong line");
        assert!(editor.key(Key::plain(KeyCode::Up)));
        assert!(
            !editor.key(Key::plain(KeyCode::Up)),
            "there is no line above"
        );
    }

    #[test]
    fn the_rows_around_the_cursor_are_shown() {
        let editor = Editor::lines("one two three\nfour");
        let shown = editor.shown(9, 2);
        assert_eq!(shown.rows, ["three", "four"]);
        assert_eq!(shown.cursor, (4, 1));
        assert_eq!(shown.more, (true, false));
    }

    #[test]
    fn a_megabyte_is_taken_and_no_more() {
        let mut editor = Editor::lines("");
        assert!(editor.insert(&"x".repeat(MAX_BYTES)));
        assert!(!editor.insert("日"));
        assert_eq!(editor.shown(40, 5).rows.len(), 5);
    }
}
