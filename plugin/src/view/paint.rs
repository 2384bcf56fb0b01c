//! Putting text into cells.
//!
//! Plain ASCII goes byte by byte; only other text is taken apart into what is drawn as one. Whatever is put here is
//! cleaned on the way, and never leaves the columns it was given.

use ratatui_core::{
    buffer::{Buffer, Cell},
    layout::Rect,
    style::{Modifier, Style},
};

use crate::{
    text,
    theme::{Marks, Theme},
};

/// A buffer and how things look.
pub struct Painter<'a> {
    buffer: &'a mut Buffer,
    /// Styles by meaning.
    pub theme: &'a Theme,
    /// Characters.
    pub marks: &'a Marks,
}

impl<'a> Painter<'a> {
    /// Paints into this buffer.
    pub const fn new(buffer: &'a mut Buffer, theme: &'a Theme, marks: &'a Marks) -> Self {
        Self {
            buffer,
            theme,
            marks,
        }
    }

    /// The whole place.
    pub const fn area(&self) -> Rect {
        self.buffer.area
    }

    /// The cells of a piece of a row, as far as they exist.
    fn cells(&mut self, x: u16, y: u16, columns: u16) -> &mut [Cell] {
        let area = self.buffer.area;
        if x >= area.width || y >= area.height {
            return &mut [];
        }
        let columns = columns.min(area.width - x);
        let start = usize::from(y) * usize::from(area.width) + usize::from(x);
        self.buffer
            .content
            .get_mut(start..start + usize::from(columns))
            .unwrap_or_default()
    }

    /// Writes one line of text, cut to the columns. Gives the columns it took.
    pub fn put(&mut self, x: u16, y: u16, columns: u16, text: &str, style: Style) -> u16 {
        let ellipsis = self.marks.ellipsis;
        if !text::is_plain(text) {
            let marks = *self.marks;
            if text
                .chars()
                .any(|character| marks.plain(character).is_some())
            {
                let plain: String = text
                    .chars()
                    .map(|character| marks.plain(character).unwrap_or(character))
                    .collect();
                return self.put_wide(x, y, columns, &plain, style);
            }
            return self.put_wide(x, y, columns, text, style);
        }
        let cells = self.cells(x, y, columns);
        let room = cells.len();
        let cut = text.len() > room;
        let kept = if cut {
            room.saturating_sub(1)
        } else {
            text.len()
        };
        for (at, cell) in cells.iter_mut().take(kept).enumerate() {
            if let Some(symbol) = text.get(at..at + 1) {
                cell.set_symbol(symbol).set_style(style);
            }
        }
        if cut && let Some(last) = cells.last_mut() {
            last.set_symbol(ellipsis).set_style(style);
        }
        u16::try_from(text.len().min(room)).unwrap_or(u16::MAX)
    }

    fn put_wide(&mut self, x: u16, y: u16, columns: u16, text: &str, style: Style) -> u16 {
        let ellipsis = self.marks.ellipsis;
        let cells = self.cells(x, y, columns);
        let room = cells.len();
        let mut used = 0;
        let mut rest = text::graphemes(text);
        // The last column may be needed for the ellipsis: what stands there is kept until it is clear whether it fits.
        let mut cut_at = 0;
        for (symbol, wide) in rest.by_ref() {
            let wide = usize::from(wide);
            if used + wide > room {
                if let Some(tail) = cells.get_mut(cut_at..) {
                    for cell in tail.iter_mut() {
                        cell.set_symbol(" ").set_style(style);
                    }
                    if let Some(first) = tail.first_mut() {
                        first.set_symbol(ellipsis);
                    }
                }
                return u16::try_from(room).unwrap_or(u16::MAX);
            }
            if let Some(cell) = cells.get_mut(used) {
                cell.set_symbol(symbol).set_style(style);
            }
            if wide == 2
                && let Some(cell) = cells.get_mut(used + 1)
            {
                cell.set_symbol(" ").set_style(style);
            }
            used += wide;
            if used < room {
                cut_at = used;
            }
        }
        u16::try_from(used).unwrap_or(u16::MAX)
    }

    /// Writes text that ends at the column before `right`. Gives the columns it took.
    pub fn put_right(&mut self, right: u16, y: u16, columns: u16, text: &str, style: Style) -> u16 {
        let wide = text::width(text).min(columns);
        self.put(right.saturating_sub(wide), y, wide, text, style)
    }

    /// Lays a style over a piece of a row.
    pub fn lay(&mut self, x: u16, y: u16, columns: u16, style: Style) {
        for cell in self.cells(x, y, columns) {
            cell.set_style(style);
        }
    }

    /// Takes colours and weight away: this is old.
    pub fn fade(&mut self, area: Rect) {
        let style = self.theme.dim.remove_modifier(Modifier::BOLD);
        for y in area.top()..area.bottom() {
            for cell in self.cells(area.x, y, area.width) {
                cell.set_style(style);
            }
        }
    }

    /// Makes a place blank.
    pub fn clear(&mut self, area: Rect) {
        for y in area.top()..area.bottom() {
            for cell in self.cells(area.x, y, area.width) {
                cell.reset();
            }
            // Half of a wide character must not stick out of what is covered.
            if let Some(before) = area.x.checked_sub(1)
                && let Some(cell) = self.cells(before, y, 1).first_mut()
                && text::width(cell.symbol()) > 1
            {
                cell.set_symbol(" ");
            }
        }
    }

    /// Draws the lines around a place.
    pub fn frame(&mut self, area: Rect, style: Style) {
        let marks = *self.marks;
        let [top_left, top_right, bottom_left, bottom_right] = marks.corners;
        let bottom = area.bottom().saturating_sub(1);
        for (y, left, right) in [
            (area.y, top_left, top_right),
            (bottom, bottom_left, bottom_right),
        ] {
            let cells = self.cells(area.x, y, area.width);
            for cell in cells.iter_mut() {
                cell.set_symbol(marks.horizontal).set_style(style);
            }
            if let Some(cell) = cells.first_mut() {
                cell.set_symbol(left);
            }
            if let Some(cell) = cells.last_mut() {
                cell.set_symbol(right);
            }
        }
        for y in area.y + 1..bottom {
            for x in [area.x, area.right().saturating_sub(1)] {
                if let Some(cell) = self.cells(x, y, 1).first_mut() {
                    cell.set_symbol(marks.vertical).set_style(style);
                }
            }
        }
    }

    /// Joins two frames that share a line.
    pub fn joint(&mut self, x: u16, columns: u16, y: u16, style: Style) {
        let [left, right] = self.marks.joints;
        let horizontal = self.marks.horizontal;
        let cells = self.cells(x, y, columns);
        for cell in cells.iter_mut() {
            cell.set_symbol(horizontal).set_style(style);
        }
        if let Some(cell) = cells.first_mut() {
            cell.set_symbol(left);
        }
        if let Some(cell) = cells.last_mut() {
            cell.set_symbol(right);
        }
    }

    /// Writes a title into the line of a frame, and something dim at its right end where both fit.
    pub fn title(&mut self, x: u16, columns: u16, y: u16, title: &str, place: &str, style: Style) {
        let dim = self.theme.dim;
        let place_wide = if place.is_empty() {
            0
        } else {
            text::width(place) + 3
        };
        let room = columns.saturating_sub(place_wide);
        let fits = place_wide > 0 && room >= text::width(title).min(12) + 3;
        let room = if fits { room } else { columns };
        let mut taken = 0;
        if !title.is_empty() && room > 3 {
            let style_blank = self.theme.text;
            self.put(x, y, 1, " ", style_blank);
            taken = 1 + self.put(x + 1, y, room - 3, title, style);
            taken += self.put(x + taken, y, 1, " ", style_blank);
        }
        if fits {
            self.title_right(x, columns, y, taken, place, dim);
        }
    }

    /// Writes something at the right end of the line of a frame, behind the columns that are taken.
    pub fn title_right(
        &mut self,
        x: u16,
        columns: u16,
        y: u16,
        taken: u16,
        place: &str,
        style: Style,
    ) {
        let room = columns.saturating_sub(taken + 3);
        if place.is_empty() || room < 4 {
            return;
        }
        let right = x + columns - 1;
        let blank = self.theme.text;
        self.put(right - 1, y, 1, " ", blank);
        let wide = self.put_right(right - 1, y, room, place, style);
        self.put((right - 1).saturating_sub(wide + 1), y, 1, " ", blank);
    }

    /// A full row of a list: what is selected is marked by a bar and a background.
    pub fn select(&mut self, area: Rect, y: u16, focused: bool) {
        let (cursor, shadow) = (self.marks.cursor, self.marks.shadow);
        let (selection, accent, dim) = (self.theme.selection, self.theme.accent, self.theme.dim);
        if focused {
            let plain = self.theme.text.fg.unwrap_or_default();
            for cell in self.cells(area.x, y, area.width) {
                // Dim text on the background of the selection would be hard to read.
                if Some(cell.fg) == dim.fg {
                    cell.fg = plain;
                }
                cell.set_style(selection);
            }
            self.put(area.x, y, 1, cursor, accent);
        } else {
            self.put(area.x, y, 1, shadow, dim);
        }
    }

    /// Shows where the next character goes.
    pub fn caret(&mut self, x: u16, y: u16) {
        self.lay(x, y, 1, Style::new().add_modifier(Modifier::REVERSED));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ansi::to_text;

    fn put(text: &str, columns: u16) -> (String, u16) {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 8, 1));
        let theme = Theme::default();
        let marks = Marks::unicode();
        let mut painter = Painter::new(&mut buffer, &theme, &marks);
        let used = painter.put(1, 0, columns, text, Style::new());
        (to_text(&buffer), used)
    }

    #[test]
    fn text_stays_in_its_columns() {
        for (text, columns, expected) in [
            ("abcdef", 4, (" abc…\n", 4)),
            ("abcd", 4, (" abcd\n", 4)),
            ("日本語", 4, (" 日…\n", 4)),
            ("日本", 4, (" 日本\n", 4)),
            ("a日本", 4, (" a日…\n", 4)),
            ("ééé", 2, (" é…\n", 2)),
            ("abcdefghijk", 99, (" abcdef…\n", 7)),
            ("a\u{1b}[2Jb", 99, (" a[2Jb\n", 5)),
            ("日", 1, (" …\n", 1)),
            ("x", 0, ("\n", 0)),
        ] {
            let (drawn, used) = put(text, columns);
            assert_eq!((drawn.as_str(), used), expected, "{text:?} in {columns}");
        }
    }
}
