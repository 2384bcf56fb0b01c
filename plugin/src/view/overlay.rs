//! What covers the panels.

use claustre_protocol::status::TaskStatus;
use ratatui_core::layout::Rect;

use super::{form, paint::Painter};
use crate::{
    keymap::Scope,
    model::{
        Model,
        overlay::{
            AskView, Confirm, ConfirmLine, DetailsView, InboxView, Overlay, Page, Palette,
            StepsView, TextPrompt,
        },
    },
    text,
    theme::Tone,
};

/// Draws the topmost overlay.
pub fn draw(model: &Model, painter: &mut Painter<'_>) {
    let Some(overlay) = model.overlays.last() else {
        return;
    };
    let frame = model.overlay_area();
    painter.clear(frame);
    let style = painter.theme.accent;
    painter.frame(frame, style);
    let inside = Rect::new(
        frame.x + 1,
        frame.y + 1,
        frame.width.saturating_sub(2),
        frame.height.saturating_sub(2),
    );
    let (title, place) = match overlay {
        Overlay::Help(shown) => {
            page(model, painter, inside, shown);
            ("Keys".to_owned(), position(shown, inside))
        }
        Overlay::Ask(view) => ask(model, painter, inside, view),
        Overlay::Details(view) => details(model, painter, inside, view),
        Overlay::Inbox(view) => inbox(model, painter, inside, view),
        Overlay::Review(_) => review(model, painter, inside),
        Overlay::Steps(view) => steps(model, painter, inside, view),
        Overlay::Confirm(shown) => confirm(model, painter, inside, shown),
        Overlay::Form(shown) => {
            form::draw(shown, painter, inside);
            (shown.title.clone(), String::new())
        }
        Overlay::Text(prompt) => prompt_text(painter, inside, prompt),
        Overlay::Palette(shown) => palette(model, painter, inside, shown),
    };
    let strong = painter.theme.strong;
    painter.title(inside.x, inside.width, frame.y, &title, &place, strong);
}

/// Where in a page one is; nothing where all of it is seen.
fn position(page: &Page, area: Rect) -> String {
    let count = page.lines.len();
    let room = usize::from(area.height);
    if count <= room {
        return String::new();
    }
    format!(
        "{}-{} of {count}",
        page.top + 1,
        (page.top + room).min(count)
    )
}

fn page(model: &Model, painter: &mut Painter<'_>, area: Rect, page: &Page) {
    let dim = painter.theme.dim;
    let strong = painter.theme.strong;
    for (y, line) in (area.top()..area.bottom()).zip(page.lines.iter().skip(page.top)) {
        let x = area.x + 1;
        let label_width = if line.whole { 0 } else { page.label_width };
        if label_width > 0 {
            let room = page.label_width.saturating_sub(1);
            match line.at {
                Some(at) => {
                    let age = text::age(at, model.now);
                    painter.put_right(x + room, y, room, age.as_str(), dim);
                }
                None if matches!(model.overlays.last(), Some(Overlay::Help(_))) => {
                    painter.put(x, y, room, &line.label, strong);
                }
                None => {
                    painter.put(x, y, room, &line.label, dim);
                }
            }
        }
        let style = painter.theme.tone(line.tone);
        let room = area.width.saturating_sub(2 + label_width);
        painter.put(x + label_width, y, room, &line.text, style);
    }
}

fn ask(model: &Model, painter: &mut Painter<'_>, area: Rect, view: &AskView) -> (String, String) {
    page(model, painter, area, &view.page);
    let session = model.data.sessions.get(&view.session);
    let name = session.map_or("the session", |session| session.tab_name.as_str());
    if view.gone {
        let y = area.bottom().saturating_sub(1);
        painter.clear(Rect::new(area.x, y, area.width, 1));
        let style = painter.theme.warning;
        painter.put(
            area.x + 1,
            y,
            area.width.saturating_sub(2),
            "Answered or withdrawn meanwhile. Esc closes this.",
            style,
        );
    }
    let glyph = painter.marks.needs_you().glyph;
    (format!("{glyph} {name} asks"), position(&view.page, area))
}

fn details(
    model: &Model,
    painter: &mut Painter<'_>,
    area: Rect,
    view: &DetailsView,
) -> (String, String) {
    let (dim, error) = (painter.theme.dim, painter.theme.error);
    let room = area.width.saturating_sub(2);
    let place = match (&view.page, &view.error) {
        (_, Some(why)) => {
            for (y, line) in (area.top()..area.bottom()).zip(text::wrap(why, room)) {
                painter.put(area.x + 1, y, room, &line, error);
            }
            String::new()
        }
        (Some(shown), None) => {
            page(model, painter, area, shown);
            position(shown, area)
        }
        (None, None) => {
            painter.put(area.x + 1, area.y, room, "Loading …", dim);
            String::new()
        }
    };
    (format!("Task · {}", view.title), place)
}

fn inbox(
    model: &Model,
    painter: &mut Painter<'_>,
    area: Rect,
    view: &InboxView,
) -> (String, String) {
    let items = &model.data.inbox;
    let (plain, dim) = (painter.theme.text, painter.theme.dim);
    if items.is_empty() {
        painter.put(
            area.x + 1,
            area.y,
            area.width - 2,
            "Nothing needs you.",
            plain,
        );
        return ("Inbox".to_owned(), String::new());
    }
    let title_x = area.x + 16;
    let rest = area.width.saturating_sub(16 + 5);
    let title_width = rest * 2 / 5;
    let rows = items.iter().enumerate().skip(view.top);
    for (y, (index, item)) in (area.top()..area.bottom()).zip(rows) {
        let mark = painter.marks.inbox(item.kind);
        let style = painter.theme.tone(mark.tone);
        painter.put(area.x + 1, y, 1, mark.glyph, style);
        painter.put(area.x + 3, y, 12, mark.word, style);
        // A task is known by its title; a session without one by its tab.
        let task = item.task_id.and_then(|id| model.data.tasks.get(&id));
        let what = task.map_or(item.title.as_str(), |task| task.title.as_str());
        painter.put(title_x, y, title_width, what, plain);
        let x = title_x + title_width + 2;
        painter.put(
            x,
            y,
            rest.saturating_sub(title_width + 2),
            &item.detail,
            dim,
        );
        let age = text::age(item.since, model.now);
        painter.put_right(area.right() - 1, y, 4, age.as_str(), dim);
        if index == view.index {
            painter.select(area, y, true);
        }
    }
    let place = format!("{} of {}", view.index + 1, items.len());
    ("Inbox · what needs you".to_owned(), place)
}

fn review(model: &Model, painter: &mut Painter<'_>, area: Rect) -> (String, String) {
    let (strong, plain, dim) = (painter.theme.strong, painter.theme.text, painter.theme.dim);
    let room = area.width.saturating_sub(2);
    let Some(task) = model.acting_task() else {
        painter.put(area.x + 1, area.y, room, "The task is gone.", dim);
        return ("Review".to_owned(), String::new());
    };
    painter.put(area.x + 1, area.y, room, &task.title, strong);
    let mut y = area.y + 2;
    let entries = model.keymap.entries(Scope::Review);
    for entry in entries.filter(|entry| entry.rank < 10 && model.applies(entry)) {
        if let Some(key) = model.keymap.shown(entry) {
            painter.put(area.x + 2, y, 3, &key.to_string(), strong);
            painter.put(area.x + 6, y, room.saturating_sub(5), entry.about, plain);
            y += 1;
        }
    }
    if y == area.y + 2 {
        painter.put(
            area.x + 1,
            y,
            room,
            "There is nothing to review any more.",
            dim,
        );
    }
    let word = match task.status {
        TaskStatus::Done => "Reopen",
        _ => "Review",
    };
    (
        word.to_owned(),
        model.marks.task(task.status).word.to_owned(),
    )
}

fn steps(
    model: &Model,
    painter: &mut Painter<'_>,
    area: Rect,
    view: &StepsView,
) -> (String, String) {
    let (strong, dim, error) = (painter.theme.strong, painter.theme.dim, painter.theme.error);
    let room = area.width.saturating_sub(2);
    let title = model
        .data
        .tasks
        .get(&view.task)
        .map_or("The task is gone", |task| task.title.as_str());
    painter.put(area.x + 1, area.y, room, title, strong);
    let list = Rect::new(
        area.x,
        area.y + 2,
        area.width,
        area.height.saturating_sub(2),
    );
    let pending = model.is_pending(view.task.uuid());
    let place = match (&view.steps, &view.error) {
        (_, Some(why)) => {
            painter.put(area.x + 1, list.y, room, why, error);
            String::new()
        }
        (None, None) => {
            painter.put(area.x + 1, list.y, room, "Loading …", dim);
            String::new()
        }
        (Some(steps), None) if steps.is_empty() => {
            painter.put(
                area.x + 1,
                list.y,
                room,
                "No step yet. Press a to add one.",
                dim,
            );
            String::new()
        }
        (Some(steps), None) => {
            let rows = steps.iter().enumerate().skip(view.top);
            for (y, (index, step)) in (list.top()..list.bottom()).zip(rows) {
                let mark = painter.marks.step(step.done);
                let style = painter.theme.tone(mark.tone);
                painter.put(list.x + 2, y, 1, mark.glyph, style);
                painter.put(list.x + 4, y, room.saturating_sub(4), &step.title, style);
                if index == view.index {
                    painter.select(list, y, true);
                }
            }
            let done = steps.iter().filter(|step| step.done).count();
            let pending = if pending { " …" } else { "" };
            format!("{done} of {} done{pending}", steps.len())
        }
    };
    ("Steps".to_owned(), place)
}

fn confirm(
    model: &Model,
    painter: &mut Painter<'_>,
    area: Rect,
    shown: &Confirm,
) -> (String, String) {
    let room = area.width.saturating_sub(2);
    let (strong, plain) = (painter.theme.strong, painter.theme.text);
    let mut y = area.y;
    let dim = painter.theme.dim;
    for (tone, label, line) in shown.laid_out(room) {
        if y + 2 <= area.bottom() {
            let style = painter.theme.tone(tone);
            let indent = if label.is_empty() {
                0
            } else {
                ConfirmLine::LABELS
            };
            painter.put(area.x + 1, y, indent, label, dim);
            painter.put(
                area.x + 1 + indent,
                y,
                room.saturating_sub(indent),
                &line,
                style,
            );
            y += 1;
        }
    }
    let y = area.bottom().saturating_sub(2);
    let mut x = area.x + 1;
    for entry in model.keymap.entries(Scope::Confirm) {
        if let Some(key) = model.keymap.shown(entry) {
            x += painter.put(x, y + 1, room, &key.to_string(), strong) + 1;
            x += painter.put(x, y + 1, room, entry.label, plain) + 4;
        }
    }
    (shown.title.clone(), String::new())
}

fn prompt_text(painter: &mut Painter<'_>, area: Rect, prompt: &TextPrompt) -> (String, String) {
    let (plain, dim) = (painter.theme.text, painter.theme.dim);
    let room = area.width.saturating_sub(2);
    let mut y = area.y;
    if !prompt.about.is_empty() {
        painter.put(area.x + 1, y, room, &prompt.about, dim);
        y += 2;
    }
    let height = area.bottom().saturating_sub(y + 2).max(1);
    let shown = prompt.editor.shown(room, height);
    for (row, line) in (y..y + height).zip(&shown.rows) {
        painter.put(area.x + 1, row, room, line, plain);
    }
    if !prompt.sending {
        painter.caret(area.x + 1 + shown.cursor.0, y + shown.cursor.1);
    }
    let (text, style) = match (&prompt.error, prompt.sending) {
        (Some(error), _) => (error.as_str(), painter.theme.error),
        (None, true) => ("Sending …", dim),
        (None, false) => match prompt.kind {
            crate::model::overlay::TextKind::Deny => {
                ("The reason goes to Claude; it may be left empty.", dim)
            }
            crate::model::overlay::TextKind::Message => {
                ("It is typed when Claude is idle; until then it waits.", dim)
            }
            crate::model::overlay::TextKind::Answer
            | crate::model::overlay::TextKind::Feedback
            | crate::model::overlay::TextKind::Step => ("", dim),
        },
    };
    painter.put(
        area.x + 1,
        area.bottom().saturating_sub(1),
        room,
        text,
        style,
    );
    (prompt.title.clone(), String::new())
}

fn palette(
    model: &Model,
    painter: &mut Painter<'_>,
    area: Rect,
    shown: &Palette,
) -> (String, String) {
    let (plain, dim, accent) = (painter.theme.text, painter.theme.dim, painter.theme.accent);
    let strong = painter.theme.strong;
    let room = area.width.saturating_sub(2);
    painter.put(area.x + 1, area.y, 1, ":", accent);
    let query = shown.query.shown(room.saturating_sub(2), 1);
    if let Some(line) = query.rows.first() {
        painter.put(area.x + 3, area.y, room.saturating_sub(2), line, plain);
    }
    painter.caret(area.x + 3 + query.cursor.0, area.y);
    let list = Rect::new(
        area.x,
        area.y + 2,
        area.width,
        area.height.saturating_sub(2),
    );
    let rows = shown.found.iter().enumerate().skip(shown.top);
    for (y, (index, entry)) in (list.top()..list.bottom()).zip(rows) {
        if let Some(key) = model.keymap.shown(entry) {
            painter.put(list.x + 2, y, 7, &key.to_string(), strong);
        }
        painter.put(list.x + 10, y, 14, entry.label, plain);
        painter.put(
            list.x + 25,
            y,
            list.width.saturating_sub(26),
            entry.about,
            dim,
        );
        if index == shown.index {
            painter.select(list, y, true);
        }
    }
    if shown.found.is_empty() {
        painter.put(
            area.x + 2,
            list.y,
            room,
            "Nothing that can be done here matches.",
            painter.theme.tone(Tone::Dim),
        );
    }
    ("Commands".to_owned(), shown.found.len().to_string())
}
