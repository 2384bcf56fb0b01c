//! Forms.

use ratatui_core::layout::Rect;

use super::paint::Painter;
use crate::{
    model::form::{FieldName, Form, MOST_LINES, Stage, Value},
    text,
};

/// Columns of the labels, the bar on their left included.
const LABELS: u16 = 12;

/// Rows of each field: one each, and what is left for those of many lines.
fn heights(form: &Form, rows: u16) -> Vec<u16> {
    let many = |name| matches!(name, FieldName::Prompt | FieldName::Steps);
    let single = form.fields.iter().filter(|field| !many(field.name)).count();
    let single = u16::try_from(single).unwrap_or(0);
    // The last row is for what is wrong, with a blank above it where there is room.
    let rest = rows.saturating_sub(single + if rows > 14 { 2 } else { 1 });
    let steps = if form
        .fields
        .iter()
        .any(|field| field.name == FieldName::Steps)
    {
        (rest / 3).clamp(2, 6)
    } else {
        0
    };
    form.fields
        .iter()
        .map(|field| match field.name {
            FieldName::Prompt => rest.saturating_sub(steps).max(1),
            FieldName::Steps => steps,
            FieldName::Mode
            | FieldName::Base
            | FieldName::Branch
            | FieldName::Push
            | FieldName::Loop
            | FieldName::Priority
            | FieldName::Name
            | FieldName::Path
            | FieldName::Goal => 1,
        })
        .collect()
}

/// The field that is drawn at this row of the pane.
pub fn field_at(form: &Form, frame: Rect, row: u16) -> Option<usize> {
    let mut y = frame.y + 1;
    for (index, height) in heights(form, frame.height.saturating_sub(2))
        .into_iter()
        .enumerate()
    {
        if (y..y + height).contains(&row) {
            return Some(index);
        }
        y += height;
    }
    None
}

/// Draws the fields into the inside of a frame.
pub fn draw(form: &Form, painter: &mut Painter<'_>, area: Rect) {
    let (plain, dim, accent) = (painter.theme.text, painter.theme.dim, painter.theme.accent);
    let strong = painter.theme.strong;
    let mut y = area.y;
    for (index, (field, height)) in form
        .fields
        .iter()
        .zip(heights(form, area.height))
        .enumerate()
    {
        let focused = index == form.focus && form.stage == Stage::Open;
        if focused {
            for row in y..y + height {
                let cursor = painter.marks.cursor;
                painter.put(area.x, row, 1, cursor, accent);
            }
        }
        let style = if focused { strong } else { dim };
        painter.put(area.x + 2, y, LABELS - 3, field.label, style);
        let x = area.x + LABELS;
        let room = area.width.saturating_sub(LABELS + 1);
        match &field.value {
            Value::Choice { options, chosen } => {
                // The brackets stand outside the column in which all values begin.
                let mut x = x - 1;
                for (index, option) in options.iter().enumerate() {
                    if index == *chosen {
                        let style = if focused { accent } else { plain };
                        x += painter.put(x, y, room, &format!("[{option}]"), style) + 1;
                    } else {
                        x += painter.put(x + 1, y, room, option, dim) + 3;
                    }
                }
            }
            Value::Text(editor) if editor.text().is_empty() => {
                painter.put(x, y, room, field.empty, dim);
                if focused {
                    painter.caret(x, y);
                }
            }
            Value::Text(editor) => {
                let shown = editor.shown(room, height);
                let one_line = height == 1;
                for (row, line) in (y..y + height).zip(&shown.rows) {
                    painter.put(x, row, room, line, plain);
                }
                let [above, below] = painter.marks.more;
                let right = area.right().saturating_sub(1);
                if shown.more.0 && !one_line {
                    painter.put(right, y, 1, above, dim);
                }
                if shown.more.1 && !one_line {
                    painter.put(right, y + height - 1, 1, below, dim);
                }
                if focused {
                    painter.caret(x + shown.cursor.0, y + shown.cursor.1);
                }
            }
        }
        y += height;
    }
    let (said, style) = match (&form.error, form.stage) {
        (Some(error), _) => (error.as_str(), painter.theme.error),
        (None, Stage::Loading) => ("Loading …", dim),
        (None, Stage::Sending) => ("Saving …", dim),
        (None, Stage::Open) => (hint(form), dim),
    };
    // What is wrong is told whole, over the end of the fields if need be.
    let room = area.width.saturating_sub(3);
    let mut lines = text::wrap(said, room);
    lines.truncate(MOST_LINES);
    let count = u16::try_from(lines.len()).unwrap_or(1).max(1);
    let top = area.bottom().saturating_sub(count).max(area.y);
    if top < y {
        painter.clear(Rect::new(area.x, top, area.width, area.bottom() - top));
    }
    for (row, line) in (top..area.bottom()).zip(&lines) {
        painter.put(area.x + 2, row, room, line, style);
    }
}

/// What the field with the cursor wants to say.
fn hint(form: &Form) -> &'static str {
    let Some(field) = form.focused() else {
        return "";
    };
    match (field.name, &field.value) {
        (FieldName::Mode, Value::Choice { chosen: 0, .. }) => {
            "Claude starts with the prompt, you steer"
        }
        (FieldName::Mode, Value::Choice { chosen: 1, .. }) => {
            "Claude works by itself and edits without asking"
        }
        (FieldName::Mode, _) => "Claude opens without a prompt",
        (FieldName::Push, Value::Choice { chosen: 0, .. }) => {
            "finished work becomes a pull request"
        }
        (FieldName::Push, _) => "finished work is pushed to the branch",
        (FieldName::Loop, Value::Choice { chosen: 0, .. }) => "review comments wait for you",
        (FieldName::Loop, _) => "kept with the task; nothing reads review comments yet",
        (FieldName::Priority, _) => "P0 is the most urgent",
        (FieldName::Steps, _) => "Enter: next step; on a blank line it saves",
        (FieldName::Base, _) => "start of the worktree, aim of the pull request",
        (FieldName::Branch, _) => "an existing branch is taken as it is",
        (FieldName::Prompt, _) => "Enter saves; alt+Enter is a new line",
        (FieldName::Name, _) => "letters, digits and . _ -",
        (FieldName::Path, _) => "it stays as it is; work happens in worktrees",
        (FieldName::Goal, _) => "one sentence, shown with the project",
    }
}
