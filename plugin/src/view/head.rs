//! The first and the last line.

use claustre_protocol::{
    model::{InboxKind, UsageWindow},
    status::{ClaudeStatus, TaskStatus},
};

use super::paint::Painter;
use crate::{
    keymap::Scope,
    model::{Model, Toast, ToastKind},
    msg::LinkState,
    text,
    theme::Tone,
};

/// A piece of the first line; the highest `rank` goes first where there is no room.
struct Piece {
    text: String,
    tone: Tone,
    rank: u8,
}

/// Draws the first line: where we are, what needs somebody, how much is used.
pub fn draw(model: &Model, painter: &mut Painter<'_>) {
    let width = painter.area().width;
    let (accent, dim) = (painter.theme.accent, painter.theme.dim);
    let mut x = 1 + painter.put(1, 0, width, "claustre", accent);
    let mut pieces = pieces(model);
    let (name, tone) = headline(model);
    if !name.is_empty() {
        x += painter.put(x, 0, width, " · ", dim);
    }
    // Something everybody must know goes before every number.
    let wanted = if tone == Tone::Text {
        text::width(&name).min(24)
    } else {
        text::width(&name)
    };
    let gap = 3;
    let total = |pieces: &[Piece]| -> u16 {
        pieces
            .iter()
            .map(|piece| text::width(&piece.text) + gap)
            .sum()
    };
    while x.saturating_add(wanted).saturating_add(total(&pieces)) > width.saturating_sub(1) {
        let Some(least) = pieces
            .iter()
            .enumerate()
            .max_by_key(|(_, piece)| piece.rank)
            .map(|(index, _)| index)
        else {
            break;
        };
        pieces.remove(least);
    }
    let room = width.saturating_sub(x + 1 + total(&pieces));
    let style = painter.theme.tone(tone);
    painter.put(x, 0, room, &name, style);
    let mut right = width.saturating_sub(1);
    for piece in pieces.iter().rev() {
        let style = painter.theme.tone(piece.tone);
        right = right.saturating_sub(painter.put_right(right, 0, width, &piece.text, style) + gap);
    }
}

fn headline(model: &Model) -> (String, Tone) {
    let known = if model.ready {
        format!(
            " · this is {} old",
            text::age(model.heard, model.now).as_str()
        )
    } else {
        String::new()
    };
    match &model.link {
        LinkState::Connecting => (format!("connecting to the daemon{known}"), Tone::Dim),
        LinkState::Lost => (format!("the daemon does not answer{known}"), Tone::Warning),
        LinkState::Mismatch(sentence) => (sentence.clone(), Tone::Error),
        LinkState::Up if !model.data.header.warning.is_empty() => {
            (model.data.header.warning.clone(), Tone::Warning)
        }
        LinkState::Up if !model.ready => ("waiting for the daemon's first word".into(), Tone::Dim),
        LinkState::Up => {
            let name = model.current_project().map(|project| project.name.clone());
            (name.unwrap_or_default(), Tone::Text)
        }
    }
}

fn pieces(model: &Model) -> Vec<Piece> {
    if !model.ready {
        return Vec::new();
    }
    let marks = &model.marks;
    let data = &model.data;
    let mut pieces = Vec::new();
    let mut add = |text: String, tone, rank| pieces.push(Piece { text, tone, rank });
    let need = data
        .inbox
        .iter()
        .filter(|item| item.kind < InboxKind::Review)
        .count();
    if need > 0 {
        let verb = if need == 1 { "needs" } else { "need" };
        add(
            format!("{} {need} {verb} you", marks.needs_you().glyph),
            Tone::Warning,
            0,
        );
    }
    let review = data
        .tasks
        .values()
        .filter(|task| task.status == TaskStatus::InReview)
        .count();
    if review > 0 {
        add(
            format!(
                "{} {review} in review",
                marks.task(TaskStatus::InReview).glyph
            ),
            Tone::Text,
            2,
        );
    }
    let working = data
        .sessions
        .values()
        .filter(|session| session.status == ClaudeStatus::Working)
        .count();
    if working > 0 {
        add(
            format!(
                "{} {working} working",
                marks.task(TaskStatus::Working).glyph
            ),
            Tone::Text,
            1,
        );
    }
    let header = &data.header;
    if header.queue_capacity > 0 {
        let text = format!("queue {}/{}", header.queue_running, header.queue_capacity);
        add(text, Tone::Dim, 3);
    }
    let mut usage = |name: &str, window: Option<UsageWindow>, cells: u16, rank| {
        if let Some(window) = window {
            let percent = window.used_percent.clamp(0.0, 999.0);
            let full = (percent / 100.0 * f64::from(cells)).round();
            let bar: String = (0..cells)
                .map(|cell| {
                    let [filled, empty] = marks.bar;
                    if f64::from(cell) < full {
                        filled
                    } else {
                        empty
                    }
                })
                .collect();
            let tone = if percent >= 90.0 {
                Tone::Warning
            } else {
                Tone::Dim
            };
            add(format!("{name} {bar} {percent:.0}%"), tone, rank);
        }
    };
    usage("5h", header.five_hour, 8, 4);
    usage("7d", header.seven_day, 5, 5);
    pieces
}

/// Draws the last line: what just happened, else what the keys do now.
pub fn bottom(model: &Model, painter: &mut Painter<'_>) {
    // What covers the panels has keys of its own, which must be seen while it is read or written in.
    let keys_stay = model.scope() != Scope::Main;
    let above = u16::from(keys_stay);
    if let Some(toast) = headline_toast(model) {
        draw_toast(&toast, 1 + above, painter);
    }
    if keys_stay || model.toast.is_none() {
        help_line(model, painter);
    }
    if let Some(toast) = &model.toast {
        draw_toast(toast, above, painter);
    }
}

/// What must be read and has no room in the first line.
fn headline_toast(model: &Model) -> Option<Toast> {
    let (name, tone) = headline(model);
    (tone != Tone::Text && text::width(&name) + 13 > model.size.0).then(|| Toast {
        text: name,
        hint: String::new(),
        kind: ToastKind::Failure,
        until: None,
    })
}

/// Rows from the top that no toast covers.
pub fn free_rows(model: &Model) -> u16 {
    let (columns, rows) = model.size;
    let above = u16::from(model.scope() != Scope::Main);
    let taken = |toast: &Toast, above: u16| {
        let lines = toast_lines(toast, columns).len();
        u16::try_from(lines)
            .unwrap_or(u16::MAX)
            .saturating_add(above)
    };
    let headline = headline_toast(model).map_or(0, |toast| taken(&toast, 1 + above));
    let toast = model.toast.as_ref().map_or(0, |toast| taken(toast, above));
    rows.saturating_sub(headline.max(toast))
}

/// The lines of a toast, at most five.
fn toast_lines(toast: &Toast, columns: u16) -> Vec<String> {
    let room = columns.saturating_sub(4);
    let mut lines = match toast.kind {
        // News are told in full where they belong; they only have to be noticed here.
        ToastKind::News => vec![text::truncate(&toast.text, room, "…").into_owned()],
        ToastKind::Answer | ToastKind::Failure => text::wrap(&toast.text, room),
    };
    if !toast.hint.is_empty() {
        let hint = text::wrap(&format!("hint: {}", toast.hint), room);
        let joined = lines.last().map_or(0, |line| text::width(line));
        match (lines.last_mut(), hint.as_slice()) {
            (Some(last), [only]) if joined + text::width(only) + 6 < columns => {
                last.push_str("   ");
                last.push_str(only);
            }
            _ => lines.extend(hint),
        }
    }
    lines.truncate(5);
    lines
}

/// Draws a toast so many rows above the last one.
fn draw_toast(toast: &Toast, above: u16, painter: &mut Painter<'_>) {
    let area = painter.area();
    let (glyph, tone) = match toast.kind {
        ToastKind::Failure => (painter.marks.task(TaskStatus::Error).glyph, Tone::Error),
        ToastKind::Answer | ToastKind::News => (painter.marks.dot, Tone::Text),
    };
    let lines = toast_lines(toast, area.width);
    let count = u16::try_from(lines.len()).unwrap_or(1);
    let top = area.height.saturating_sub(count + above);
    painter.clear(ratatui_core::layout::Rect::new(0, top, area.width, count));
    let style = painter.theme.tone(tone);
    painter.put(1, top, 1, glyph, style);
    for (y, line) in (top..).zip(&lines) {
        painter.put(3, y, area.width.saturating_sub(4), line, style);
    }
}

fn help_line(model: &Model, painter: &mut Painter<'_>) {
    let area = painter.area();
    let y = area.height.saturating_sub(1);
    let scope = model.scope();
    let mut entries: Vec<_> = model
        .keymap
        .entries(scope)
        .filter(|entry| entry.rank > 0)
        .filter(|entry| model.ready || entry.intent == crate::keymap::Intent::Back)
        .filter(|entry| model.applies(entry))
        .collect();
    entries.sort_by_key(|entry| entry.rank);
    let (strong, dim) = (painter.theme.strong, painter.theme.dim);
    // The way to all other keys is always shown.
    let last = (scope == Scope::Main && model.ready)
        .then(|| model.keymap.key_of(crate::keymap::Intent::Help))
        .flatten()
        .map(|key| key.to_string());
    let reserved = last.as_ref().map_or(0, |key| text::width(key) + 7);
    let mut x = 1;
    for entry in entries {
        if last.is_some() && entry.intent == crate::keymap::Intent::Help {
            continue;
        }
        let Some(key) = model.keymap.shown(entry).map(|key| key.to_string()) else {
            continue;
        };
        let key = if matches!(entry.intent, crate::keymap::Intent::Choose(_)) {
            let count = model
                .acting_ask()
                .map_or(1, |(_, ask)| ask.options.len().clamp(1, 9));
            if count == 1 {
                key
            } else {
                format!("{key}-{count}")
            }
        } else {
            key
        };
        let label = match (entry.intent, scope) {
            (crate::keymap::Intent::Approve, _) if super::shown::allows(model) => entry.label,
            (crate::keymap::Intent::Approve, Scope::Ask) => "allow, after its end",
            (crate::keymap::Intent::Approve, _) => "read all",
            _ => entry.label,
        };
        let wide = text::width(&key) + 1 + text::width(label) + 2;
        if x + wide + reserved > area.width {
            continue;
        }
        let used = painter.put(x, y, area.width, &key, strong);
        painter.put(x + used + 1, y, area.width, label, dim);
        x += wide;
    }
    if let Some(key) = last {
        let used = painter.put(x, y, area.width, &key, strong);
        painter.put(x + used + 1, y, area.width, "help", dim);
    }
}
