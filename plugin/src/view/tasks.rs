//! The bottom right panel: the tasks of the selected project.

use claustre_protocol::{
    dashboard::{SessionCard, TaskCard},
    status::{Reason, TaskStatus},
};
use ratatui_core::layout::Rect;

use super::paint::Painter;
use crate::{
    keymap::Intent,
    model::{
        Model, Panel,
        data::{needs_person, task_time},
    },
    text,
    theme::{Mark, Tone},
};

/// Title, and where in the list the selection is.
pub fn titles(model: &Model) -> (String, String) {
    let mut title = "Tasks".to_owned();
    if let Some(project) = model.current_project() {
        title.push_str(" · ");
        title.push_str(&project.name);
    }
    let filter = model.filter.text();
    if model.filtering || !filter.is_empty() {
        title.push_str(" · /");
        title.push_str(filter);
        if model.filtering {
            title.push(' ');
        }
    }
    if model.current_project().is_none() {
        return (title, String::new());
    }
    let position = if model.tasks.is_empty() {
        0
    } else {
        model.task.index + 1
    };
    let mut place = format!("{position} of {}", model.tasks.len());
    // Of a long list the dashboard holds a part.
    let stored: u64 = model
        .current_project()
        .map_or(0, |project| project.tasks.values().sum());
    if filter.is_empty() && stored > model.tasks.len() as u64 {
        place.push_str(&format!(" shown, {stored} in all"));
    }
    let narrow = model.areas().tasks.width < 48;
    if !filter.is_empty() && !narrow {
        place.push_str(&format!(", {} in all", model.tasks_total));
    } else if let Some(key) = model.keymap.key_of(Intent::Filter)
        && !narrow
    {
        place.push_str(&format!(" · {key} to filter"));
    }
    (title, place)
}

/// Draws the rows.
pub fn draw(model: &Model, painter: &mut Painter<'_>, area: Rect) {
    if model.filtering {
        let (title, _) = titles(model);
        painter.caret(
            (area.x + text::width(&title)).min(area.right() - 1),
            area.y - 1,
        );
    }
    if model.tasks.is_empty() {
        empty(model, painter, area);
        return;
    }
    let columns = Columns::of(area);
    let ids = model.tasks.iter().enumerate().skip(model.task.top);
    for (y, (index, id)) in (area.top()..area.bottom()).zip(ids) {
        if let Some(task) = model.data.tasks.get(id) {
            row(model, painter, area, columns, y, task);
        }
        if index == model.task.index {
            painter.select(area, y, model.focus == Panel::Tasks);
        }
    }
}

fn empty(model: &Model, painter: &mut Painter<'_>, area: Rect) {
    if !model.ready || model.current_project().is_none() {
        return;
    }
    let (plain, dim) = (painter.theme.text, painter.theme.dim);
    let (what, advice) = if model.filter.text().is_empty() {
        let key = model.keymap.key_of(Intent::NewTask);
        let advice = key.map(|key| format!("Press {key} to write one."));
        ("No task yet.", advice.unwrap_or_default())
    } else {
        (
            "No task matches the filter.",
            "Press Esc to clear it.".to_owned(),
        )
    };
    painter.put(area.x + 1, area.y, area.width - 1, what, plain);
    painter.put(area.x + 1, area.y + 1, area.width - 1, &advice, dim);
}

/// A blank before the frame, where there is room for it.
const fn margin(area: Rect) -> u16 {
    if area.width >= 48 { 1 } else { 0 }
}

/// Where the columns of a row are.
#[derive(Clone, Copy)]
struct Columns {
    title: u16,
    title_width: u16,
    note: u16,
    note_width: u16,
}

impl Columns {
    fn of(area: Rect) -> Self {
        // A bar, the mark, a blank, the priority, a blank; on the right a blank and the age.
        let title = area.x + 6;
        let rest = area.width.saturating_sub(6 + 5 + margin(area));
        if rest < 38 {
            return Self {
                title,
                title_width: rest,
                note: title + rest,
                note_width: 0,
            };
        }
        let title_width = (rest * 11 / 20).min(80);
        Self {
            title,
            title_width,
            note: title + title_width + 2,
            note_width: rest - title_width - 2,
        }
    }
}

/// The mark of a task: what needs a person first.
pub fn task_mark(model: &Model, task: &TaskCard, session: Option<&SessionCard>) -> Mark {
    match session {
        Some(session) if needs_person(session) => model.marks.needs_you(),
        Some(session)
            if task.status == TaskStatus::Working && session.reason == Some(Reason::UsageLimit) =>
        {
            model.marks.session(session.status, session.reason)
        }
        Some(_) | None => model.marks.task(task.status),
    }
}

fn row(
    model: &Model,
    painter: &mut Painter<'_>,
    area: Rect,
    columns: Columns,
    y: u16,
    task: &TaskCard,
) {
    let session = model.data.session_of(task);
    let mark = task_mark(model, task, session);
    let (plain, dim) = (painter.theme.text, painter.theme.dim);
    let style = painter.theme.tone(mark.tone);
    let quiet = matches!(task.status, TaskStatus::Done | TaskStatus::Draft);
    let title_style = if quiet { dim } else { plain };
    painter.put(area.x + 1, y, 1, mark.glyph, style);
    let priority = match task.priority.get() {
        0 => "P0",
        1 => "P1",
        2 => "P2",
        3 => "P3",
        _ => "P4",
    };
    painter.put(area.x + 3, y, 2, priority, dim);
    painter.put(
        columns.title,
        y,
        columns.title_width,
        &task.title,
        title_style,
    );
    if columns.note_width > 0 {
        note(model, painter, columns, y, task, session);
    }
    let right = area.right() - margin(area);
    if model.is_pending(task.id.uuid()) {
        let glyph = painter.marks.pending;
        painter.put_right(right, y, 4, glyph, dim);
    } else if let Some(time) = task_time(task, session) {
        painter.put_right(right, y, 4, text::age(time, model.now).as_str(), dim);
    }
}

fn note(
    model: &Model,
    painter: &mut Painter<'_>,
    columns: Columns,
    y: u16,
    task: &TaskCard,
    session: Option<&SessionCard>,
) {
    let dim = painter.theme.dim;
    let mut x = columns.note;
    let end = columns.note + columns.note_width;
    if let Some(ask) = session.and_then(|session| session.ask.as_ref()) {
        let warning = painter.theme.tone(Tone::Warning);
        painter.put(x, y, columns.note_width, &ask.title, warning);
        return;
    }
    if let Some(number) = pull_request(task) {
        x += painter.put(x, y, end - x, "#", dim);
        x += painter.put(x, y, end - x, number, dim);
        if !task.note.is_empty() && x + 4 < end {
            x += painter.put(x, y, end - x, " · ", dim);
        }
    }
    let message = session
        .map(|session| session.message.as_str())
        .unwrap_or_default();
    let text = if task.note.is_empty() && x == columns.note {
        message
    } else {
        task.note.as_str()
    };
    if !text.is_empty() {
        let text = if task.status == TaskStatus::Working && task.note.is_empty() {
            message
        } else {
            text
        };
        painter.put(x, y, end.saturating_sub(x), text, dim);
    } else if x == columns.note && task.steps_total > 0 {
        let steps = format!("{}/{} steps", task.steps_done, task.steps_total);
        painter.put(x, y, columns.note_width, &steps, dim);
    } else if x == columns.note {
        let word = match task.status {
            TaskStatus::Pending | TaskStatus::Done => "",
            TaskStatus::Draft
            | TaskStatus::Working
            | TaskStatus::Interrupted
            | TaskStatus::InReview
            | TaskStatus::Conflict
            | TaskStatus::CiFailed
            | TaskStatus::Blocked
            | TaskStatus::Error => task_mark(model, task, session).word,
        };
        painter.put(x, y, columns.note_width, word, dim);
    }
}

/// The number of the pull request.
fn pull_request(task: &TaskCard) -> Option<&str> {
    let number = task
        .pr_url
        .as_deref()?
        .trim_end_matches('/')
        .rsplit('/')
        .next()?;
    (!number.is_empty() && number.len() < 8 && number.bytes().all(|byte| byte.is_ascii_digit()))
        .then_some(number)
}
