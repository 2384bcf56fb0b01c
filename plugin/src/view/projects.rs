//! The left panel: projects with their sessions.

use claustre_protocol::{
    dashboard::{ProjectCard, SessionCard},
    model::AskKind,
    status::{ClaudeStatus, ProjectStatus, TaskStatus},
};
use ratatui_core::layout::Rect;

use super::paint::Painter;
use crate::{
    keymap::Intent,
    model::{
        Model, Panel, Row,
        data::{needs_person, session_time},
    },
    text,
    theme::{Mark, Tone},
};

/// Title, and where in the list the selection is.
pub fn titles(model: &Model) -> (String, String) {
    let place = if model.rows.is_empty() {
        String::new()
    } else {
        format!("{}/{}", model.left.index + 1, model.rows.len())
    };
    ("Projects".to_owned(), place)
}

/// Draws the rows.
pub fn draw(model: &Model, painter: &mut Painter<'_>, area: Rect) {
    if model.rows.is_empty() {
        empty(model, painter, area);
        return;
    }
    let rows = model.rows.iter().enumerate().skip(model.left.top);
    for (y, (index, row)) in (area.top()..area.bottom()).zip(rows) {
        match row {
            Row::Project(id) => {
                if let Some(project) = model.data.projects.get(id) {
                    project_row(model, painter, area, y, project);
                }
            }
            Row::Session(id) => {
                if let Some(session) = model.data.sessions.get(id) {
                    session_row(model, painter, area, y, session);
                }
            }
        }
        if index == model.left.index {
            painter.select(area, y, model.focus == Panel::Projects);
        }
    }
}

fn empty(model: &Model, painter: &mut Painter<'_>, area: Rect) {
    let (text_style, dim) = (painter.theme.text, painter.theme.dim);
    if !model.ready {
        painter.put(
            area.x + 1,
            area.y,
            area.width - 1,
            "Nothing known yet.",
            dim,
        );
        return;
    }
    painter.put(
        area.x + 1,
        area.y,
        area.width - 1,
        "No project yet.",
        text_style,
    );
    if let Some(key) = model.keymap.key_of(Intent::AddProject) {
        let advice = format!("Press {key} to add one.");
        painter.put(area.x + 1, area.y + 1, area.width - 1, &advice, dim);
    }
}

fn project_row(
    model: &Model,
    painter: &mut Painter<'_>,
    area: Rect,
    y: u16,
    project: &ProjectCard,
) {
    let mut count = 0_usize;
    let mut need = 0_usize;
    for session in model.data.sessions.values() {
        if session.project_id == project.id {
            count += 1;
            need += usize::from(needs_person(session));
        }
    }
    let closed = model.collapsed.contains(&project.id);
    let glyph = if closed {
        painter.marks.closed
    } else {
        painter.marks.open
    };
    let (dim, warning) = (painter.theme.dim, painter.theme.warning);
    let name_style = match project.status {
        ProjectStatus::Active => painter.theme.strong,
        ProjectStatus::Paused | ProjectStatus::Done => dim,
    };
    let mut right = area.right();
    if need > 0 {
        let note = format!("{}{need}", painter.marks.needs_you().glyph);
        right -= painter.put_right(right, y, area.width, &note, warning) + 1;
    } else if model.is_pending(project.id.uuid()) {
        let glyph = painter.marks.pending;
        right -= painter.put_right(right, y, area.width, glyph, dim) + 1;
    }
    let note = match project.status {
        ProjectStatus::Active => format!("[{count}]"),
        ProjectStatus::Paused => format!("paused [{count}]"),
        ProjectStatus::Done => format!("done [{count}]"),
    };
    right -= painter.put_right(right, y, area.width, &note, dim) + 1;
    painter.put(area.x + 1, y, 1, glyph, dim);
    let x = area.x + 3;
    painter.put(x, y, right.saturating_sub(x), &project.name, name_style);
}

/// The mark of a session: what needs a person first, then where its task stands, then what it does.
pub fn session_mark(model: &Model, session: &SessionCard) -> Mark {
    if needs_person(session) {
        return model.marks.needs_you();
    }
    let task = session.task_id.and_then(|id| model.data.tasks.get(&id));
    if session.status == ClaudeStatus::Idle
        && let Some(task) = task
    {
        match task.status {
            TaskStatus::InReview
            | TaskStatus::Conflict
            | TaskStatus::CiFailed
            | TaskStatus::Blocked
            | TaskStatus::Done => return model.marks.task(task.status),
            TaskStatus::Draft
            | TaskStatus::Pending
            | TaskStatus::Working
            | TaskStatus::Interrupted
            | TaskStatus::Error => {}
        }
    }
    model.marks.session(session.status, session.reason)
}

/// The branch without what is the same for all: `task/` in front and the id at the end.
pub fn short_branch(branch: &str) -> &str {
    let Some(rest) = branch.strip_prefix("task/") else {
        return branch;
    };
    match rest.rsplit_once('-') {
        Some((slug, id)) if id.len() == 8 && id.bytes().all(|b| b.is_ascii_hexdigit()) => slug,
        Some(_) | None => rest,
    }
}

fn session_row(
    model: &Model,
    painter: &mut Painter<'_>,
    area: Rect,
    y: u16,
    session: &SessionCard,
) {
    let mark = session_mark(model, session);
    let style = painter.theme.tone(mark.tone);
    let (dim, warning) = (painter.theme.dim, painter.theme.warning);
    let right = area.right();
    let taken = if model.is_pending(session.id.uuid()) {
        let glyph = painter.marks.pending;
        painter.put_right(right, y, 4, glyph, dim)
    } else if let Some(ask) = &session.ask {
        let what = match ask.kind {
            AskKind::Permission => {
                let tool = ask.title.split([':', ' ', '(']).next().unwrap_or_default();
                let tool: String = tool.chars().take(8).flat_map(char::to_lowercase).collect();
                if tool.is_empty() {
                    "allow?".to_owned()
                } else {
                    format!("{tool}?")
                }
            }
            AskKind::Question => "asks".to_owned(),
            AskKind::Dialog => "dialog".to_owned(),
        };
        painter.put_right(right, y, 10, &what, warning)
    } else {
        let age = text::age(session_time(session), model.now);
        painter.put_right(right, y, 4, age.as_str(), dim)
    };
    painter.put(area.x + 3, y, 1, mark.glyph, style);
    let x = area.x + 5;
    let room = right.saturating_sub(x + taken.max(4) + 1);
    let style = if mark.tone == Tone::Dim {
        dim
    } else {
        painter.theme.text
    };
    painter.put(x, y, room, short_branch(&session.branch), style);
}
