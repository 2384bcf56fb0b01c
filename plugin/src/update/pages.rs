//! What is read over the panels: what a session asks, everything about a task, the steps, the keys.

use claustre_protocol::{
    ids::{SessionId, TaskId},
    model::{Ask, AskKind, TaskDetail},
    request::{Named, Request},
    status::{LogLevel, Word},
    time::Timestamp,
};

use super::{ask, keys, ticket};
use crate::{
    effect::Effect,
    keymap::Scope,
    model::{
        After, Model,
        overlay::{AskView, DetailsView, Overlay, Page, PageLine, StepsView},
    },
    text,
    theme::Tone,
};

/// Longest prompt that the page of a task shows, in bytes; a form shows all of it.
const PROMPT_SHOWN: usize = 8 * 1024;
/// Most lines of a timeline that are shown.
const UPDATES_SHOWN: usize = 200;

/// Rows of the topmost overlay that can hold a list.
pub(super) fn room(model: &Model) -> usize {
    let rows = model.overlay_area().height.saturating_sub(2);
    let taken = match model.overlays.last() {
        Some(Overlay::Palette(_) | Overlay::Steps(_)) => 2,
        Some(_) | None => 0,
    };
    usize::from(rows.saturating_sub(taken)).max(1)
}

/// Shows what a session asks.
pub(super) fn open_ask(model: &mut Model, session: SessionId, effects: &mut Vec<Effect>) {
    let Some(question) = model
        .data
        .sessions
        .get(&session)
        .and_then(|card| card.ask.clone())
    else {
        return;
    };
    let view = AskView {
        session,
        ask: question.id,
        card: question,
        whole: None,
        error: None,
        ticket: ticket(model),
        page: Page::default(),
        end_seen: false,
        gone: false,
    };
    keys::push(model, Overlay::Ask(view));
    load_ask(model, effects);
    wrap_again(model);
}

/// Asks for the whole of what is asked, where only its beginning is here.
pub(super) fn load_ask(model: &mut Model, effects: &mut Vec<Effect>) {
    let wanted = model.overlays.iter_mut().find_map(|overlay| match overlay {
        Overlay::Ask(view) if !view.gone && view.text().cut => {
            view.error = None;
            Some((view.session, view.ticket))
        }
        _ => None,
    });
    let Some((session, ticket)) = wanted else {
        return;
    };
    let request = Request::SessionAsks(Named {
        of: session.to_string(),
    });
    if !ask(model, effects, request, After::Fill { ticket }, None) {
        super::replies::blame(model, ticket, "the daemon is not connected");
    }
}

/// Takes the whole of what is asked.
pub(super) fn fill_ask(view: &mut AskView, asks: Vec<Ask>) {
    match asks.into_iter().find(|found| found.id == view.ask) {
        Some(found) if !found.cut => {
            view.error = None;
            view.whole = Some(found);
        }
        Some(_) => view.error = Some("the daemon has only its beginning".into()),
        None => view.error = Some("it was answered or withdrawn meanwhile".into()),
    }
}

/// Notes whether what the newest frame showed was the end of what is asked.
pub(super) fn note_frame(model: &mut Model) {
    let shown = model.on_screen.get();
    if let Some(Overlay::Ask(view)) = model.overlays.last_mut() {
        view.end_seen |= shown == Some(view.ask);
    }
}

/// Shows everything about the selected task.
pub(super) fn open_details(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(task) = model.acting_task() else {
        return;
    };
    let (id, title) = (task.id, task.title.clone());
    let ticket = ticket(model);
    if load_details(model, id, ticket, effects) {
        let view = DetailsView {
            task: id,
            title,
            ticket,
            page: None,
            error: None,
            detail: None,
        };
        keys::push(model, Overlay::Details(view));
    }
}

fn load_details(model: &mut Model, task: TaskId, ticket: u64, effects: &mut Vec<Effect>) -> bool {
    let request = Request::TaskShow(Named {
        of: task.to_string(),
    });
    ask(model, effects, request, After::Fill { ticket }, None)
}

/// Shows the steps of the selected task.
pub(super) fn open_steps(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(task) = model.acting_task().map(|task| task.id) else {
        return;
    };
    let view = StepsView {
        task,
        ticket: ticket(model),
        steps: None,
        error: None,
        item: None,
        index: 0,
        top: 0,
    };
    keys::push(model, Overlay::Steps(view));
    load_steps(model, effects);
}

/// Asks for the steps that are shown.
pub(super) fn load_steps(model: &mut Model, effects: &mut Vec<Effect>) {
    let shown = model.overlays.iter().find_map(|overlay| match overlay {
        Overlay::Steps(view) => Some((view.task, view.ticket)),
        _ => None,
    });
    if let Some((task, ticket)) = shown {
        let request = Request::SubtaskList(Named {
            of: task.to_string(),
        });
        ask(model, effects, request, After::Fill { ticket }, None);
    }
}

/// Shows the keys.
pub(super) fn open_help(model: &mut Model) {
    keys::push(model, Overlay::Help(Page::default()));
    wrap_again(model);
}

/// The data changed: what is shown over the panels must not be older than what is under it.
pub(super) fn refresh(model: &mut Model, touched: &[TaskId], effects: &mut Vec<Effect>) {
    let mut wanted = None;
    let mut steps = false;
    let (mut ask_changed, mut asked_anew) = (false, false);
    let inbox = &model.data.inbox;
    for overlay in &mut model.overlays {
        match overlay {
            Overlay::Ask(view) => {
                let now = model
                    .data
                    .sessions
                    .get(&view.session)
                    .and_then(|card| card.ask.as_ref());
                view.gone = now.is_none_or(|now| now.id != view.ask);
                if let Some(now) = now.filter(|now| now.id == view.ask && **now != view.card) {
                    let same = now.title == view.card.title
                        && now.detail == view.card.detail
                        && now.options == view.card.options
                        && now.cut == view.card.cut;
                    if !same {
                        // Another text has not been read.
                        view.whole = None;
                        view.end_seen = false;
                        view.page.top = 0;
                        model.on_screen.set(None);
                        asked_anew = true;
                    }
                    view.card = now.clone();
                    if let Some(whole) = &mut view.whole {
                        whole.answerable = now.answerable;
                        whole.answered = now.answered;
                    }
                    ask_changed = true;
                }
            }
            Overlay::Details(view) => {
                if touched.contains(&view.task) {
                    wanted = Some((view.task, view.ticket));
                }
            }
            Overlay::Steps(view) => steps |= touched.contains(&view.task),
            Overlay::Inbox(view) => {
                let at = view.item.and_then(|item| {
                    inbox
                        .iter()
                        .position(|other| keys::item_key(other) == Some(item))
                });
                view.index = at.unwrap_or(view.index).min(inbox.len().saturating_sub(1));
                view.item = inbox.get(view.index).and_then(keys::item_key);
                view.top = view.top.min(view.index);
            }
            Overlay::Help(_)
            | Overlay::Review(_)
            | Overlay::Confirm(_)
            | Overlay::Form(_)
            | Overlay::Text(_)
            | Overlay::Palette(_) => {}
        }
    }
    let waiting = |model: &Model, ticket: u64| {
        model
            .pending
            .values()
            .any(|pending| pending.after == After::Fill { ticket })
    };
    if let Some((task, ticket)) = wanted
        && !waiting(model, ticket)
    {
        load_details(model, task, ticket, effects);
    }
    if steps {
        load_steps(model, effects);
    }
    if asked_anew {
        load_ask(model, effects);
    }
    if ask_changed {
        wrap_again(model);
    }
    if matches!(model.overlays.last(), Some(Overlay::Inbox(_))) {
        super::overlays::step(model, 0);
    }
}

/// Lays the texts of pages out anew, for the width they have now.
pub(super) fn wrap_again(model: &mut Model) {
    let columns = model.overlay_columns();
    let page = match model.overlays.last() {
        Some(Overlay::Help(_)) => Some(help_page(model, columns)),
        Some(Overlay::Ask(view)) => Some(ask_page(view, columns)),
        Some(Overlay::Details(view)) => view
            .detail
            .as_deref()
            .map(|detail| detail_page(detail, columns)),
        Some(_) | None => None,
    };
    let Some(mut page) = page else {
        return;
    };
    let shown = match model.overlays.last_mut() {
        Some(Overlay::Help(shown)) => shown,
        Some(Overlay::Ask(view)) => &mut view.page,
        Some(Overlay::Details(view)) => view.page.get_or_insert_default(),
        Some(_) | None => return,
    };
    page.top = shown.top;
    page.columns = columns;
    *shown = page;
    super::overlays::step(model, 0);
    model.touch();
}

/// A page that is being written.
struct Writer {
    page: Page,
    columns: u16,
}

impl Writer {
    fn new(label_width: u16, columns: u16) -> Self {
        Self {
            page: Page {
                label_width,
                ..Page::default()
            },
            columns: columns.saturating_sub(label_width),
        }
    }

    fn line(&mut self, tone: Tone, label: &str, at: Option<Timestamp>, text: &str) {
        for (index, line) in text::wrap(text, self.columns).into_iter().enumerate() {
            self.page.lines.push(PageLine {
                tone,
                label: if index == 0 {
                    label.to_owned()
                } else {
                    String::new()
                },
                at: if index == 0 { at } else { None },
                text: line,
                whole: false,
            });
        }
    }

    /// A line over both columns.
    fn heading(&mut self, tone: Tone, text: &str) {
        let columns = self.columns.saturating_add(self.page.label_width);
        for text in text::wrap(text, columns) {
            self.page.lines.push(PageLine {
                tone,
                label: String::new(),
                at: None,
                text,
                whole: true,
            });
        }
    }

    fn fact(&mut self, label: &str, text: &str) {
        if !text.is_empty() {
            self.line(Tone::Text, label, None, text);
        }
    }

    fn blank(&mut self) {
        self.line(Tone::Text, "", None, "");
    }
}

/// The beginning of a long text, and how much was left out.
fn shortened(text: &str, limit: usize) -> (&str, Option<String>) {
    if text.len() <= limit {
        return (text, None);
    }
    let mut end = limit;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let left_out = text.len() - end;
    (
        text.get(..end).unwrap_or_default(),
        Some(format!("… and {left_out} more bytes")),
    )
}

fn ask_page(view: &AskView, columns: u16) -> Page {
    let question = view.text();
    let mut writer = Writer::new(0, columns);
    writer.line(Tone::Strong, "", None, &question.title);
    let (detail, rest) = shortened(&question.detail, AskView::MOST);
    let (detail, options) = told_once(question, detail);
    if !detail.trim().is_empty() {
        writer.blank();
        writer.line(Tone::Text, "", None, detail.trim());
    }
    if let Some(rest) = rest {
        writer.line(
            Tone::Warning,
            "",
            None,
            &format!("{rest}: go to the tab to read them all"),
        );
    }
    if question.cut {
        let (tone, why) = match &view.error {
            Some(why) => (Tone::Error, format!("The rest could not be read: {why}")),
            None => (Tone::Dim, "Loading the rest …".to_owned()),
        };
        writer.line(tone, "", None, &why);
    }
    if !options.is_empty() {
        writer.blank();
        for (number, option) in (1..).zip(&options) {
            writer.line(Tone::Accent, "", None, &format!("{number}  {option}"));
        }
    }
    let advice = match question.kind {
        _ if question.answered => Some("It was answered; Claude has not taken the answer yet."),
        _ if !question.answerable => {
            Some("It can be answered in its tab only: press Enter to go there.")
        }
        AskKind::Permission => None,
        AskKind::Question if options.is_empty() => Some("Press m to answer in your own words."),
        AskKind::Question => Some("Press a number, or m to answer in your own words."),
        AskKind::Dialog => Some("Press Enter to go to its tab."),
    };
    if let Some(advice) = advice {
        writer.blank();
        writer.line(Tone::Dim, "", None, advice);
    }
    writer.page
}

/// What is asked without the title and the answers that it repeats, and the answers with what is said about each.
fn told_once(question: &Ask, detail: &str) -> (String, Vec<String>) {
    let title = question.title.trim();
    let detail = match detail.trim_start().strip_prefix(title) {
        Some(more) if more.is_empty() || more.starts_with(['\n', '\r']) => more,
        Some(_) | None => detail,
    };
    let mut lines: Vec<&str> = detail.lines().collect();
    let mut options = Vec::with_capacity(question.options.len());
    for option in &question.options {
        let about = |line: &&str| {
            let told = line
                .strip_prefix("- ")
                .or_else(|| line.strip_prefix("• "))?;
            let about = told.strip_prefix(option.as_str())?;
            match about.strip_prefix(": ") {
                Some(about) => Some(about.to_owned()),
                None => about.is_empty().then(String::new),
            }
        };
        let found = lines
            .iter()
            .enumerate()
            .find_map(|(place, line)| Some((place, about(line)?)));
        options.push(match found {
            Some((place, about)) => {
                lines.remove(place);
                if about.is_empty() || about == *option {
                    option.clone()
                } else {
                    format!("{option}: {about}")
                }
            }
            None => option.clone(),
        });
    }
    (lines.join("\n"), options)
}

/// What a task's page shows.
pub(super) fn detail_page(detail: &TaskDetail, columns: u16) -> Page {
    let task = &detail.task;
    let mut writer = Writer::new(10, columns);
    writer.line(Tone::Strong, "", None, &task.title);
    let reason = task.status_reason.as_deref().unwrap_or_default();
    let status = task.status.word().replace('_', " ");
    let status = if reason.is_empty() {
        status
    } else {
        format!("{status}: {reason}")
    };
    writer.fact("status", &status);
    let mut how = format!(
        "{} · {} · {}",
        task.mode.word(),
        task.priority,
        task.push_mode.word()
    );
    for part in [
        task.model.as_deref(),
        task.effort.as_deref(),
        task.permission_mode.as_deref(),
    ] {
        if let Some(part) = part.filter(|part| !part.is_empty()) {
            how.push_str(" · ");
            how.push_str(part);
        }
    }
    if task.review_loop {
        how.push_str(" · review loop");
    }
    writer.fact("how", &how);
    let base = task.base.as_deref().unwrap_or("the default branch");
    writer.fact(
        "branch",
        &match task.branch.as_deref() {
            Some(branch) => format!("{base} ← {branch}"),
            None => format!("from {base}"),
        },
    );
    writer.fact("pull req.", task.pr_url.as_deref().unwrap_or_default());
    writer.fact("checks", task.ci_status.as_deref().unwrap_or_default());
    writer.fact("waits for", &detail.waits_for.join(", "));
    let used = task.input_tokens + task.output_tokens;
    if used > 0 {
        writer.fact(
            "usage",
            &format!(
                "{} in  {} out  ${:.2}",
                text::tokens(task.input_tokens),
                text::tokens(task.output_tokens),
                task.cost
            ),
        );
    }
    if let Some(session) = &detail.session {
        writer.fact(
            "session",
            &format!("{} · {}", session.zellij_tab_name, session.worktree_path),
        );
    }
    for (index, step) in task.subtasks.iter().enumerate() {
        let label = if index == 0 { "steps" } else { "" };
        let mark = if step.done { "✓" } else { "☐" };
        let tone = if step.done { Tone::Dim } else { Tone::Text };
        writer.line(tone, label, None, &format!("{mark} {}", step.title));
    }
    writer.blank();
    let (prompt, rest) = shortened(&task.description, PROMPT_SHOWN);
    writer.line(
        Tone::Text,
        "prompt",
        None,
        if prompt.is_empty() {
            "none"
        } else {
            prompt.trim_end()
        },
    );
    if let Some(rest) = rest {
        writer.line(Tone::Dim, "", None, &rest);
    }
    writer.blank();
    if detail.updates.is_empty() {
        writer.line(Tone::Dim, "timeline", None, "Nothing has happened yet.");
    }
    for update in detail.updates.iter().take(UPDATES_SHOWN) {
        let tone = match update.level {
            LogLevel::Debug => Tone::Dim,
            LogLevel::Info => Tone::Text,
            LogLevel::Warn => Tone::Warning,
            LogLevel::Error => Tone::Error,
        };
        let line = format!("{}: {}", update.source, update.payload);
        writer.line(tone, "", Some(update.created_at), &line);
    }
    if let Some(more) = detail
        .updates
        .len()
        .checked_sub(UPDATES_SHOWN)
        .filter(|more| *more > 0)
    {
        writer.line(
            Tone::Dim,
            "",
            None,
            &format!("and {more} older lines: claustre task log"),
        );
    }
    writer.page
}

fn help_page(model: &Model, columns: u16) -> Page {
    let mut writer = Writer::new(16, columns);
    writer.heading(
        Tone::Dim,
        "The line at the bottom always shows the keys that do something now.",
    );
    let places = [
        (Scope::Main, "Panels"),
        (Scope::Ask, "What a session asks"),
        (Scope::Inbox, "Inbox"),
        (Scope::Review, "Review"),
        (Scope::Steps, "Steps"),
        (Scope::Form, "Forms"),
        (Scope::Text, "Messages"),
        (Scope::Confirm, "Confirmations"),
    ];
    for (scope, title) in places {
        writer.blank();
        writer.heading(Tone::Accent, title);
        for entry in model.keymap.entries(scope) {
            // Nine lines for nine offered answers, and movement in each place, would hide the rest.
            let repeated =
                scope != Scope::Main && entry.scopes.contains(&Scope::Main) && entry.rank == 0;
            if repeated || matches!(entry.intent, crate::keymap::Intent::Choose(2..)) {
                continue;
            }
            let mut keys: Vec<_> = model
                .keymap
                .keys(entry)
                .map(|key| crate::keymap::Named(key).to_string())
                .collect();
            if entry.intent == crate::keymap::Intent::Choose(1) {
                keys = vec!["1-9".into()];
            }
            let about = if matches!(entry.intent, crate::keymap::Intent::Choose(_)) {
                "take an offered answer"
            } else {
                entry.about
            };
            writer.line(Tone::Text, &keys.join(" "), None, about);
        }
    }
    writer.page
}
