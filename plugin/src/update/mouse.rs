//! Mouse: a click selects and focuses, the wheel moves.

use ratatui_core::layout::{Position, Rect};

use super::{keys, overlays};
use crate::{
    model::{Model, Panel, overlay::Overlay},
    msg::Mouse,
};

/// The mouse did something.
pub(super) fn act(model: &mut Model, mouse: Mouse) {
    if !model.ready || !model.areas().enough {
        return;
    }
    match mouse {
        Mouse::ScrollUp(lines) => scroll(model, -isize::try_from(lines).unwrap_or(1)),
        Mouse::ScrollDown(lines) => scroll(model, isize::try_from(lines).unwrap_or(1)),
        Mouse::Click { column, row } => click(model, Position::new(column, row)),
    }
}

fn scroll(model: &mut Model, by: isize) {
    if model.overlays.is_empty() {
        keys::step(model, by);
    } else {
        overlays::step(model, by);
    }
}

fn row_in(area: Rect, position: Position) -> Option<usize> {
    area.contains(position)
        .then(|| usize::from(position.y - area.y))
}

fn click(model: &mut Model, position: Position) {
    if !model.overlays.is_empty() {
        click_overlay(model, position);
        return;
    }
    let areas = model.areas();
    if let Some(row) = row_in(areas.left, position) {
        model.focus_on(Panel::Projects);
        let index = model.left.top + row;
        if index < model.rows.len() && model.select_left(index) {
            model.touch();
        }
    } else if let Some(row) = row_in(areas.tasks, position) {
        model.focus_on(Panel::Tasks);
        let index = model.task.top + row;
        if index < model.tasks.len() && model.select_task(index) {
            model.touch();
        }
    } else if areas.detail.contains(position) {
        model.focus_on(Panel::Detail);
    }
}

fn click_overlay(model: &mut Model, position: Position) {
    let frame = model.overlay_area();
    let Some(row) = row_in(frame, position).and_then(|row| row.checked_sub(1)) else {
        return;
    };
    let place = |top: usize, taken: usize, index: usize| {
        let target = isize::try_from(top + row.checked_sub(taken)?).ok()?;
        Some(target - isize::try_from(index).ok()?)
    };
    let by = match model.overlays.last_mut() {
        Some(Overlay::Inbox(view)) => place(view.top, 0, view.index),
        Some(Overlay::Steps(view)) => place(view.top, 2, view.index),
        Some(Overlay::Palette(palette)) => place(palette.top, 2, palette.index),
        Some(Overlay::Form(form)) => {
            let target = crate::view::form::field_at(form, frame, position.y);
            if let Some(target) = target
                && form.focus != target
            {
                form.focus = target;
                model.touch();
            }
            None
        }
        Some(
            Overlay::Help(_)
            | Overlay::Ask(_)
            | Overlay::Details(_)
            | Overlay::Review(_)
            | Overlay::Confirm(_)
            | Overlay::Text(_),
        )
        | None => None,
    };
    if let Some(by) = by {
        overlays::step(model, by);
    }
}
