//! Where the panels are, by plain arithmetic.

use ratatui_core::layout::Rect;

/// The narrowest pane that is drawn.
pub const MIN_COLUMNS: u16 = 60;
/// The lowest pane that is drawn.
pub const MIN_ROWS: u16 = 18;

/// The insides of the panels, without their frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Areas {
    /// Is there room at all?
    pub enough: bool,
    /// The whole pane.
    pub whole: Rect,
    /// Projects and sessions.
    pub left: Rect,
    /// The selected session, task or project.
    pub detail: Rect,
    /// The tasks.
    pub tasks: Rect,
}

impl Areas {
    /// The places in a pane of this size.
    pub fn of(columns: u16, rows: u16) -> Self {
        let whole = Rect::new(0, 0, columns, rows);
        if columns < MIN_COLUMNS || rows < MIN_ROWS {
            return Self {
                whole,
                ..Self::default()
            };
        }
        let left_width = (columns * 3 / 10).clamp(24, 48);
        // The head line, the help line, and the frames above and below.
        let inside = rows - 4;
        let detail_height = (inside * 2 / 5).clamp(5, 16);
        let right_x = left_width + 1;
        let right_width = columns - left_width - 2;
        Self {
            enough: true,
            whole,
            left: Rect::new(1, 2, left_width - 2, inside),
            detail: Rect::new(right_x, 2, right_width, detail_height),
            tasks: Rect::new(
                right_x,
                2 + detail_height + 1,
                right_width,
                inside - detail_height - 1,
            ),
        }
    }

    /// Where something that covers the panels goes: as large as it wants to be, as far as there is room.
    pub fn over(&self, columns: u16, rows: u16) -> Rect {
        let width = columns.min(self.whole.width.saturating_sub(4));
        let height = rows.min(self.whole.height.saturating_sub(4));
        Rect::new(
            (self.whole.width - width) / 2,
            (self.whole.height - height) / 2,
            width,
            height,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_panels_fill_the_pane_without_overlap() {
        for columns in MIN_COLUMNS..260 {
            for rows in MIN_ROWS..120 {
                let areas = Areas::of(columns, rows);
                assert!(areas.enough);
                assert_eq!(areas.left.right() + 2, areas.detail.left());
                assert_eq!(areas.detail.right() + 1, columns);
                assert_eq!(areas.left.bottom() + 2, rows);
                assert_eq!(areas.detail.bottom() + 1, areas.tasks.top());
                assert_eq!(areas.tasks.bottom() + 2, rows);
                assert!(areas.tasks.height >= 5);
            }
        }
        assert!(!Areas::of(59, 40).enough);
        assert!(!Areas::of(90, 17).enough);
    }
}
