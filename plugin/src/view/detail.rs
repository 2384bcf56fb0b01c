//! The top right panel: the selected session, task or project.

use claustre_protocol::{
    dashboard::{ProjectCard, SessionCard, TaskCard},
    ids::AskId,
    model::Ask,
    status::{TaskStatus, Word},
};
use ratatui_core::layout::Rect;

use super::{
    paint::Painter,
    projects::{session_mark, short_branch},
};
use crate::{
    keymap::Intent,
    model::{
        Model, Panel,
        data::{session_time, task_time},
    },
    text,
    theme::{Tone, reason_words},
};

/// A line of the panel.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    tone: Tone,
    text: String,
    /// At the right end, dim.
    right: String,
}

impl Line {
    fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self {
            tone,
            text: text.into(),
            right: String::new(),
        }
    }
}

/// Title, and the status at the right with its tone.
pub fn titles(model: &Model) -> (String, String, Tone) {
    if let Some(session) = model.current_session() {
        let mark = session_mark(model, session);
        let mut status = format!("{} {}", mark.glyph, mark.word);
        if let Some(reason) = session.reason {
            let words = reason_words(reason);
            if session.ask.is_none() && words != mark.word {
                status.push_str(", ");
                status.push_str(words);
            }
        }
        let age = text::age(session_time(session), model.now);
        let dot = model.marks.dot;
        let columns = model.areas().detail.width;
        // What it does matters more than how its branch ends, and that more than who told us.
        let short = short_branch(&session.branch);
        let told = format!("{status} {dot} {} {}", session.source.word(), age.as_str());
        if text::width(&told) + text::width(short).min(12) + 7 <= columns {
            status = told;
        }
        let room = columns.saturating_sub(text::width(&status) + 7).max(12);
        let name = if text::width(&session.branch) <= room {
            session.branch.as_str()
        } else {
            short
        };
        let name = text::truncate(name, room, model.marks.ellipsis).into_owned();
        return (name, status, mark.tone);
    }
    if let Some(task) = model.current_task() {
        let mark = model.marks.task(task.status);
        let mut status = format!("{} {}", mark.glyph, mark.word);
        if let Some(time) = task_time(task, None) {
            status.push(' ');
            status.push_str(text::age(time, model.now).as_str());
        }
        return ("Task".to_owned(), status, mark.tone);
    }
    match model.current_project() {
        Some(project) => (
            project.name.clone(),
            project.status.word().to_owned(),
            Tone::Dim,
        ),
        None => ("Session".to_owned(), String::new(), Tone::Dim),
    }
}

/// How many lines there are, to know how far they can be scrolled.
pub fn line_count(model: &Model) -> usize {
    lines(model, model.areas().detail).len()
}

/// Draws the lines.
pub fn draw(model: &Model, painter: &mut Painter<'_>, area: Rect) {
    let lines = lines(model, area);
    let top = first_row(model, area, lines.len());
    let dim = painter.theme.dim;
    for (y, line) in (area.top()..area.bottom()).zip(lines.iter().skip(top)) {
        let taken = text::width(&line.right);
        let room = area.width.saturating_sub(2);
        // A title may be cut for what stands at its right; numbers are worth more than that.
        let least = if line.tone == Tone::Strong {
            16
        } else {
            text::width(&line.text)
        };
        let fits = taken > 0 && room >= taken + 2 + least;
        if fits {
            painter.put_right(area.right() - 1, y, room, &line.right, dim);
        }
        let room = if fits { room - taken - 2 } else { room };
        let style = painter.theme.tone(line.tone);
        painter.put(area.x + 1, y, room, &line.text, style);
    }
    // There is more than what is seen.
    let hidden = lines.len().saturating_sub(top + usize::from(area.height));
    let [above, below] = painter.marks.more;
    if top > 0 {
        painter.put(area.right() - 1, area.y, 1, above, dim);
    }
    if hidden > 0 {
        painter.put(area.right() - 1, area.bottom() - 1, 1, below, dim);
    }
}

/// The first line that is drawn.
fn first_row(model: &Model, area: Rect, count: usize) -> usize {
    model
        .detail_top
        .min(count.saturating_sub(usize::from(area.height)))
}

/// Where the lines of what is asked begin: under the title.
const ASK_AT: usize = 1;

/// What the panel asks, where every line of it is drawn in full.
pub fn ask_in_full(model: &Model) -> Option<AskId> {
    let area = model.areas().detail;
    let ask = model.current_session()?.ask.as_ref()?;
    let (ask_lines, whole) = ask_lines(model, area, ask);
    let end = ASK_AT + ask_lines.len();
    let top = first_row(model, area, lines(model, area).len());
    let bottom = area.bottom().min(super::head::free_rows(model));
    let rows = usize::from(bottom.saturating_sub(area.y));
    (whole && top <= ASK_AT && end <= top + rows).then_some(ask.id)
}

/// The lines of what is asked, and whether they are all of it: all where they fit the panel, else its beginning.
fn ask_lines(model: &Model, area: Rect, ask: &Ask) -> (Vec<Line>, bool) {
    let columns = area.width.saturating_sub(2);
    let room = usize::from(area.height).saturating_sub(ASK_AT);
    let title = format!("{} {}", model.marks.needs_you().glyph, ask.title);
    let right = text::age(ask.since, model.now).as_str().to_owned();
    let mut detail = ask.detail.trim();
    if detail == ask.title.trim() {
        detail = "";
    }
    // Only what the panel has room for is laid out: a question may be long.
    let beginning = |text: &str, rows: usize| -> (String, bool) {
        let mut rest = text.chars();
        let beginning = rest.by_ref().take(rows * usize::from(columns)).collect();
        (beginning, rest.next().is_none())
    };
    let indented = |text: &str| -> Vec<Line> {
        let lines = text::wrap(text, columns.saturating_sub(2)).into_iter();
        lines
            .map(|line| Line::new(Tone::Text, format!("  {line}")))
            .collect()
    };
    let (first, title_ends) = beginning(&title, room);
    let (more, detail_ends) = beginning(detail, room);
    if title_ends && detail_ends && !ask.cut {
        let wrapped = text::wrap(&first, columns).into_iter();
        let mut lines: Vec<_> = wrapped.map(|line| Line::new(Tone::Warning, line)).collect();
        if !detail.is_empty() {
            lines.extend(indented(&more));
        }
        if lines.len() <= room {
            if let Some(title) = lines.first_mut() {
                title.right = right;
            }
            return (lines, true);
        }
    }
    let mut lines = vec![Line {
        tone: Tone::Warning,
        text: title,
        right,
    }];
    if area.height >= 8 && !detail.is_empty() {
        let limit = usize::from(area.height / 3).max(1);
        lines.extend(indented(&more).into_iter().take(limit));
        lines.push(Line::new(Tone::Dim, format!("  {}", model.marks.ellipsis)));
    }
    (lines, false)
}

fn lines(model: &Model, area: Rect) -> Vec<Line> {
    let session = model.current_session();
    match (session, model.current_task()) {
        (Some(session), task) => {
            let task = task.or_else(|| model.data.tasks.get(&session.task_id?));
            session_lines(model, area, session, task)
        }
        (None, Some(task)) => task_lines(model, area, task),
        (None, None) => match model.current_project() {
            Some(project) => project_lines(model, project),
            None => welcome(model),
        },
    }
}

fn how(task: &TaskCard, session: Option<&SessionCard>) -> String {
    let mut how = format!("{} · {}", task.mode.word(), task.priority);
    let model = session
        .and_then(|session| session.model.as_deref())
        .or(task.model.as_deref());
    if let Some(model) = model.filter(|model| !model.is_empty()) {
        how.push_str(" · ");
        how.push_str(model);
    }
    how
}

fn session_lines(
    model: &Model,
    area: Rect,
    session: &SessionCard,
    task: Option<&TaskCard>,
) -> Vec<Line> {
    let columns = area.width.saturating_sub(2);
    let roomy = area.height >= 8;
    let mut lines = Vec::new();
    match task {
        Some(task) => lines.push(Line {
            tone: Tone::Strong,
            text: task.title.clone(),
            right: how(task, Some(session)),
        }),
        None => lines.push(Line {
            tone: Tone::Dim,
            text: "No task: opened by hand".into(),
            right: session.model.clone().unwrap_or_default(),
        }),
    }
    if let Some(ask) = &session.ask {
        lines.extend(ask_lines(model, area, ask).0);
    } else if !session.message.is_empty() {
        let limit = if roomy { 3 } else { 1 };
        let quoted = format!("\"{}\"", text::clean(&session.message));
        if limit == 1 {
            lines.push(Line::new(Tone::Text, quoted));
        } else {
            let wrapped = text::wrap(&quoted, columns);
            lines.extend(
                wrapped
                    .into_iter()
                    .take(limit)
                    .map(|line| Line::new(Tone::Text, line)),
            );
        }
    }
    lines.push(facts(model, session));
    if session.queued_messages > 0 {
        let noun = if session.queued_messages == 1 {
            "message waits"
        } else {
            "messages wait"
        };
        lines.push(Line::new(
            Tone::Dim,
            format!("{} {noun} to be typed", session.queued_messages),
        ));
    }
    if let Some(task) = task {
        steps(model, task, roomy, &mut lines);
    }
    let mut place = format!("tab {}", session.tab_name);
    if let Some(pane) = session.pane_id {
        place.push_str(&format!(" · pane {pane}"));
    }
    place.push_str(&format!(
        " · {} {} {}",
        session.base, model.marks.arrow, session.branch
    ));
    lines.push(Line::new(Tone::Dim, place));
    if let Some(url) = task.and_then(|task| task.pr_url.as_deref()) {
        lines.push(Line::new(Tone::Dim, url));
    }
    if roomy {
        lines.push(Line::new(Tone::Dim, session.worktree_path.clone()));
    }
    lines
}

fn facts(model: &Model, session: &SessionCard) -> Line {
    let mut facts = Vec::new();
    if session.files_changed > 0 {
        let noun = if session.files_changed == 1 {
            "file"
        } else {
            "files"
        };
        facts.push(format!(
            "{} {noun} +{} {}{}",
            session.files_changed, session.lines_added, model.marks.minus, session.lines_removed
        ));
    } else {
        facts.push("no file changed".to_owned());
    }
    if let Some(percent) = session.context_percent {
        facts.push(format!("context {percent}%"));
    }
    if session.input_tokens + session.output_tokens > 0 {
        facts.push(format!(
            "${:.2}  {} in  {} out",
            session.cost,
            text::tokens(session.input_tokens),
            text::tokens(session.output_tokens),
        ));
    }
    Line {
        tone: Tone::Text,
        text: facts.join("   "),
        right: format!("open {}", text::age(session.created_at, model.now).as_str()),
    }
}

fn steps(model: &Model, task: &TaskCard, roomy: bool, lines: &mut Vec<Line>) {
    if task.steps.is_empty() {
        return;
    }
    let count = format!("{}/{}", task.steps_done, task.steps_total);
    if roomy {
        lines.push(Line::new(Tone::Dim, format!("steps {count}")));
        let at_work = task.steps.iter().position(|step| !step.done);
        for (index, step) in task.steps.iter().enumerate() {
            let mark = if task.status == TaskStatus::Working && at_work == Some(index) {
                model.marks.task(TaskStatus::Working)
            } else {
                model.marks.step(step.done)
            };
            lines.push(Line::new(
                mark.tone,
                format!("  {} {}", mark.glyph, step.title),
            ));
        }
        return;
    }
    let mut text = "steps ".to_owned();
    // The step in work and what follows matter more than what is done.
    let first_open = task.steps.iter().position(|step| !step.done).unwrap_or(0);
    for (index, step) in task
        .steps
        .iter()
        .enumerate()
        .skip(first_open.saturating_sub(1))
    {
        let mark = if task.status == TaskStatus::Working && index == first_open && !step.done {
            model.marks.task(TaskStatus::Working)
        } else {
            model.marks.step(step.done)
        };
        text.push_str(&format!(" {} {} ", mark.glyph, step.title));
    }
    lines.push(Line {
        tone: Tone::Text,
        text,
        right: count,
    });
}

fn task_lines(model: &Model, area: Rect, task: &TaskCard) -> Vec<Line> {
    let roomy = area.height >= 8;
    let columns = area.width.saturating_sub(2);
    let mut lines = Vec::new();
    let mut title = text::wrap(&task.title, columns.saturating_sub(2)).into_iter();
    lines.push(Line {
        tone: Tone::Strong,
        text: title.next().unwrap_or_default(),
        right: how(task, None),
    });
    lines.extend(title.take(1).map(|line| Line::new(Tone::Strong, line)));
    if !task.note.is_empty() {
        let tone = model.marks.task(task.status).tone;
        lines.push(Line::new(tone, text::clean(&task.note).into_owned()));
    }
    if let Some(advice) = advice(model, task) {
        lines.push(Line::new(Tone::Dim, advice));
    }
    let mut delivery = match task.push_mode.word() {
        "pr" => "delivers a pull request".to_owned(),
        _ => "delivers by push".to_owned(),
    };
    if task.review_loop {
        delivery.push_str(" · review loop on");
    }
    if task.tokens > 0 {
        delivery.push_str(&format!(
            " · {} tokens  ${:.2}",
            text::tokens(task.tokens),
            task.cost
        ));
    }
    lines.push(Line {
        tone: Tone::Text,
        text: delivery,
        right: format!("written {}", text::age(task.created_at, model.now).as_str()),
    });
    steps(model, task, roomy, &mut lines);
    let base = task.base.as_deref().unwrap_or("default branch");
    lines.push(Line::new(
        Tone::Dim,
        match task.branch.as_deref() {
            Some(branch) => format!("{base} {} {branch}", model.marks.arrow),
            None => format!("from {base}"),
        },
    ));
    if let Some(url) = task.pr_url.as_deref() {
        lines.push(Line::new(Tone::Dim, url));
    }
    lines
}

/// What to press next on a task without an open session.
fn advice(model: &Model, task: &TaskCard) -> Option<String> {
    let key = |intent| model.keymap.key_of(intent).map(|key| key.to_string());
    Some(match task.status {
        TaskStatus::Draft => format!("A draft: {} edits and submits it.", key(Intent::EditTask)?),
        TaskStatus::Pending => format!("In the queue: {} launches it now.", key(Intent::Launch)?),
        TaskStatus::Interrupted | TaskStatus::Error | TaskStatus::Blocked => {
            format!("Stopped: {} tries again.", key(Intent::Retry)?)
        }
        TaskStatus::InReview | TaskStatus::Conflict | TaskStatus::CiFailed => {
            format!("Waits for you: {} reviews it.", key(Intent::Review)?)
        }
        TaskStatus::Working | TaskStatus::Done => return None,
    })
}

fn project_lines(model: &Model, project: &ProjectCard) -> Vec<Line> {
    let mut lines = Vec::new();
    if project.goal.is_empty() {
        lines.push(Line::new(Tone::Dim, "No goal was given."));
    } else {
        lines.push(Line::new(Tone::Strong, project.goal.clone()));
    }
    lines.push(Line {
        tone: Tone::Text,
        text: project.repo_path.clone(),
        right: project.default_branch.clone(),
    });
    let mut counts = Vec::new();
    for status in TaskStatus::ALL.iter().copied() {
        // The store counts; an older daemon leaves it to us.
        let count = if project.tasks.is_empty() {
            let ours = |task: &&TaskCard| task.project_id == project.id && task.status == status;
            model.data.tasks.values().filter(ours).count() as u64
        } else {
            project.tasks.get(&status).copied().unwrap_or_default()
        };
        if count > 0 {
            let mark = model.marks.task(status);
            counts.push(format!("{} {count} {}", mark.glyph, mark.word));
        }
    }
    if counts.is_empty() {
        counts.push("no task yet".into());
    }
    // As many as fit a line; the marks make the rest short.
    let columns = usize::from(model.areas().detail.width.saturating_sub(2));
    let mut line = String::new();
    for count in counts {
        let wide = usize::from(text::width(&line)) + usize::from(text::width(&count)) + 3;
        if !line.is_empty() && wide > columns {
            lines.push(Line::new(Tone::Text, std::mem::take(&mut line)));
        }
        if !line.is_empty() {
            line.push_str("   ");
        }
        line.push_str(&count);
    }
    lines.push(Line::new(Tone::Text, line));
    let keys: Vec<String> = [
        (Intent::NewTask, "writes a task"),
        (Intent::NewSession, "opens a session"),
    ]
    .into_iter()
    .filter_map(|(intent, does)| Some(format!("{} {does}", model.keymap.key_of(intent)?)))
    .collect();
    lines.push(Line::new(Tone::Dim, keys.join(" · ")));
    lines
}

fn welcome(model: &Model) -> Vec<Line> {
    if !model.ready {
        return vec![Line::new(Tone::Dim, "Waiting for the daemon's first word.")];
    }
    let key = |intent, does: &str| match model.keymap.key_of(intent) {
        Some(key) => Line::new(Tone::Text, format!("{key}  {does}")),
        None => Line::new(Tone::Text, does),
    };
    let mut lines = vec![
        Line::new(
            Tone::Strong,
            "Claustre runs Claude Code sessions, each in its own worktree and tab.",
        ),
        key(Intent::AddProject, "add a repository"),
        key(Intent::NewTask, "then write a task"),
        key(Intent::Launch, "and launch it"),
        key(Intent::Help, "all keys"),
    ];
    if model.focus == Panel::Detail {
        lines.push(Line::new(Tone::Dim, ""));
    }
    lines
}
