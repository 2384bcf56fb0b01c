//! The drawing: a model in, cells out. Nothing is decided here.
//!
//! Rows are written with helpers of our own ([`paint`]), because stock widgets and layout solvers take more than a
//! whole key press is allowed to take inside Zellij's interpreter.

pub(crate) mod detail;
pub(crate) mod form;
mod head;
mod overlay;
mod paint;
mod projects;
pub(crate) mod shown;
mod tasks;

use ratatui_core::{buffer::Buffer, layout::Rect};

use crate::{
    model::{
        Model, Panel,
        areas::{MIN_COLUMNS, MIN_ROWS},
    },
    msg::LinkState,
    text,
};
use paint::Painter;

/// Draws everything into the buffer, which should have the size of the pane. From then on
/// [`Model::needs_redraw`] is false until something changes.
pub fn view(model: &Model, buffer: &mut Buffer) {
    model.dirty.set(false);
    model.on_screen.set(None);
    buffer.reset();
    let mut painter = Painter::new(buffer, &model.theme, &model.marks);
    let areas = model.areas();
    if !areas.enough || areas.whole != painter.area() {
        no_room(model, &mut painter);
        return;
    }
    head::draw(model, &mut painter);
    frames(model, &mut painter);
    projects::draw(model, &mut painter, areas.left);
    detail::draw(model, &mut painter, areas.detail);
    tasks::draw(model, &mut painter, areas.tasks);
    if model.ready && model.link != LinkState::Up {
        // What is old looks old.
        painter.fade(Rect::new(0, 1, areas.whole.width, areas.whole.height - 2));
    }
    overlay::draw(model, &mut painter);
    head::bottom(model, &mut painter);
    model.on_screen.set(shown::ask_in_full(model));
}

/// Is a pane of this size large enough to draw into?
pub const fn fits(columns: u16, rows: u16) -> bool {
    columns >= MIN_COLUMNS && rows >= MIN_ROWS
}

fn no_room(model: &Model, painter: &mut Painter<'_>) {
    let area = painter.area();
    let sentence = if area == model.areas().whole {
        format!("Claustre needs {MIN_COLUMNS}×{MIN_ROWS}: please make this pane larger.")
    } else {
        "Claustre waits for the size of its pane.".to_owned()
    };
    let style = painter.theme.text;
    for (row, line) in (0..area.height).zip(text::wrap(&sentence, area.width)) {
        painter.put(0, row, area.width, &line, style);
    }
}

/// The lines around the panels and their titles.
fn frames(model: &Model, painter: &mut Painter<'_>) {
    let areas = model.areas();
    let frame_of = |panel: Panel| {
        if model.focus == panel && model.overlays.is_empty() {
            model.theme.accent
        } else {
            model.theme.frame
        }
    };
    let title_of = |panel: Panel| {
        if model.focus == panel {
            model.theme.strong
        } else {
            model.theme.text
        }
    };
    let left = areas.left;
    painter.frame(
        Rect::new(0, 1, left.width + 2, left.height + 2),
        frame_of(Panel::Projects),
    );
    let (title, place) = projects::titles(model);
    painter.title(1, left.width, 1, &title, &place, title_of(Panel::Projects));

    let detail = areas.detail;
    let tasks = areas.tasks;
    let x = detail.x - 1;
    let width = detail.width + 2;
    painter.frame(
        Rect::new(x, tasks.y - 1, width, tasks.height + 2),
        frame_of(Panel::Tasks),
    );
    painter.frame(
        Rect::new(x, 1, width, detail.height + 2),
        frame_of(Panel::Detail),
    );
    painter.joint(x, width, tasks.y - 1, frame_of(Panel::Tasks));
    let (title, place, tone) = detail::titles(model);
    painter.title(
        detail.x,
        detail.width,
        1,
        &title,
        "",
        title_of(Panel::Detail),
    );
    let style = model.theme.tone(tone);
    painter.title_right(
        detail.x,
        detail.width,
        1,
        text::width(&title) + 4,
        &place,
        style,
    );
    let (title, place) = tasks::titles(model);
    painter.title(
        tasks.x,
        tasks.width,
        tasks.y - 1,
        &title,
        &place,
        title_of(Panel::Tasks),
    );
}

#[cfg(test)]
mod tests;
