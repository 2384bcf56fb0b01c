//! A drawn buffer as terminal text.
//!
//! One frame is one string: the cursor is placed at each row, a style is written only where it changes, and no cell
//! is formatted on its own, because that costs ten times as much inside Zellij's interpreter.

use std::fmt::Write as _;

use ratatui_core::{
    buffer::{Buffer, Cell},
    style::{Color, Modifier},
};
use unicode_width::UnicodeWidthStr;

/// Looks of a run of cells.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Look {
    fg: Color,
    bg: Color,
    modifier: Modifier,
}

impl Look {
    const PLAIN: Self = Self {
        fg: Color::Reset,
        bg: Color::Reset,
        modifier: Modifier::empty(),
    };

    const fn of(cell: &Cell) -> Self {
        Self {
            fg: cell.fg,
            bg: cell.bg,
            modifier: cell.modifier,
        }
    }
}

/// Writes the whole frame; `out` is emptied first and keeps its capacity.
pub fn encode(buffer: &Buffer, out: &mut String) {
    out.clear();
    encode_rows(buffer, None, out);
}

/// Writes only the rows that differ from `previous`; where the sizes differ, all of them.
pub fn encode_changes(previous: &Buffer, buffer: &Buffer, out: &mut String) {
    out.clear();
    let comparable = previous.area == buffer.area;
    encode_rows(buffer, comparable.then_some(previous), out);
}

fn encode_rows(buffer: &Buffer, previous: Option<&Buffer>, out: &mut String) {
    let columns = usize::from(buffer.area.width).max(1);
    let mut look = Look::PLAIN;
    out.push_str("\x1b[0m");
    for (index, row) in buffer.content.chunks(columns).enumerate() {
        let same = previous.is_some_and(|previous| {
            let start = index * columns;
            previous.content.get(start..start + columns) == Some(row)
        });
        if same {
            continue;
        }
        place(index + 1, 1, out);
        let mut column = 0;
        let mut covered = 0;
        for cell in row {
            column += 1;
            if covered > 0 {
                covered -= 1;
                continue;
            }
            let next = Look::of(cell);
            if next != look {
                switch(look, next, out);
                look = next;
            }
            let symbol = cell.symbol();
            match symbol.as_bytes() {
                [byte] if (0x20..0x7f).contains(byte) => out.push_str(symbol),
                [] | [_] => out.push(' '),
                _ => {
                    let wide = symbol.width().clamp(1, 2);
                    covered = wide - 1;
                    out.push_str(symbol);
                    // Terminals disagree about the width of joined characters: say where the next one stands.
                    if wide > 1 || symbol.chars().nth(1).is_some() {
                        place(index + 1, column + wide, out);
                    }
                }
            }
        }
    }
    out.push_str("\x1b[0m");
}

fn place(row: usize, column: usize, out: &mut String) {
    let written = write!(out, "\x1b[{row};{column}H");
    debug_assert!(written.is_ok(), "writing to a string never fails");
}

fn switch(from: Look, to: Look, out: &mut String) {
    let mut from = from;
    out.push_str("\x1b[");
    let mut first = true;
    if !to.modifier.contains(from.modifier) {
        out.push('0');
        first = false;
        from = Look::PLAIN;
    }
    for (modifier, code) in [
        (Modifier::BOLD, "1"),
        (Modifier::DIM, "2"),
        (Modifier::ITALIC, "3"),
        (Modifier::UNDERLINED, "4"),
        (Modifier::REVERSED, "7"),
        (Modifier::CROSSED_OUT, "9"),
    ] {
        if to.modifier.contains(modifier) && !from.modifier.contains(modifier) {
            separate(&mut first, out);
            out.push_str(code);
        }
    }
    if to.fg != from.fg {
        separate(&mut first, out);
        paint(to.fg, 30, out);
    }
    if to.bg != from.bg {
        separate(&mut first, out);
        paint(to.bg, 40, out);
    }
    out.push('m');
}

fn separate(first: &mut bool, out: &mut String) {
    if *first {
        *first = false;
    } else {
        out.push(';');
    }
}

/// `base` is 30 for the foreground and 40 for the background.
fn paint(colour: Color, base: u8, out: &mut String) {
    let bright = base + 60;
    let written = match colour {
        Color::Reset => write!(out, "{}", base + 9),
        Color::Black => write!(out, "{base}"),
        Color::Red => write!(out, "{}", base + 1),
        Color::Green => write!(out, "{}", base + 2),
        Color::Yellow => write!(out, "{}", base + 3),
        Color::Blue => write!(out, "{}", base + 4),
        Color::Magenta => write!(out, "{}", base + 5),
        Color::Cyan => write!(out, "{}", base + 6),
        Color::Gray => write!(out, "{}", base + 7),
        Color::DarkGray => write!(out, "{bright}"),
        Color::LightRed => write!(out, "{}", bright + 1),
        Color::LightGreen => write!(out, "{}", bright + 2),
        Color::LightYellow => write!(out, "{}", bright + 3),
        Color::LightBlue => write!(out, "{}", bright + 4),
        Color::LightMagenta => write!(out, "{}", bright + 5),
        Color::LightCyan => write!(out, "{}", bright + 6),
        Color::White => write!(out, "{}", bright + 7),
        Color::Rgb(red, green, blue) => write!(out, "{};2;{red};{green};{blue}", base + 8),
        Color::Indexed(index) => write!(out, "{};5;{index}", base + 8),
    };
    debug_assert!(written.is_ok(), "writing to a string never fails");
}

/// The characters alone, one line a row, without the blanks at the ends of rows.
pub fn to_text(buffer: &Buffer) -> String {
    let columns = usize::from(buffer.area.width).max(1);
    let mut out = String::new();
    for row in buffer.content.chunks(columns) {
        let start = out.len();
        let mut covered = 0;
        for cell in row {
            if covered > 0 {
                covered -= 1;
                continue;
            }
            covered = cell.symbol().width().clamp(1, 2) - 1;
            out.push_str(cell.symbol());
        }
        let kept = out.get(start..).map_or(0, |row| row.trim_end().len());
        out.truncate(start + kept);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use ratatui_core::{layout::Rect, style::Style};

    use super::*;

    fn buffer(lines: &[(&str, Style)]) -> Buffer {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 6, 2));
        for (row, (text, style)) in (0..).zip(lines) {
            buffer.set_string(0, row, text, *style);
        }
        buffer
    }

    #[test]
    fn a_style_is_written_once_for_a_run_of_cells() {
        let mut out = String::new();
        encode(
            &buffer(&[
                (
                    "abc",
                    Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
                ),
                ("de", Style::new()),
            ]),
            &mut out,
        );
        assert_eq!(
            out,
            "\x1b[0m\x1b[1;1H\x1b[1;31mabc\x1b[0m   \x1b[2;1Hde    \x1b[0m"
        );
    }

    #[test]
    fn the_cursor_is_placed_again_behind_a_wide_character() {
        let mut out = String::new();
        encode(&buffer(&[("日a", Style::new())]), &mut out);
        assert_eq!(out, "\x1b[0m\x1b[1;1H日\x1b[1;3Ha   \x1b[2;1H      \x1b[0m");
    }

    #[test]
    fn only_rows_that_differ_are_written() {
        let mut out = String::new();
        let before = buffer(&[("one", Style::new()), ("two", Style::new())]);
        let after = buffer(&[("one", Style::new()), ("six", Style::new())]);
        encode_changes(&before, &after, &mut out);
        assert_eq!(out, "\x1b[0m\x1b[2;1Hsix   \x1b[0m");
    }

    #[test]
    fn a_control_character_in_a_cell_becomes_a_blank() {
        let mut bad = buffer(&[]);
        bad.content[0].set_symbol("\x1b");
        let mut out = String::new();
        encode(&bad, &mut out);
        assert!(out.starts_with("\x1b[0m\x1b[1;1H      "));
    }
}
