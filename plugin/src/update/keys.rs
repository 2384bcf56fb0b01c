//! Keys over the panels.

use claustre_protocol::{
    ids::{AskId, SessionId},
    model::InboxItem,
    request::{Decision, Named, Nothing, Request, TaskMove},
};

use super::{ask, confirms, overlays, pages, quoted, texts, ticket};
use crate::{
    effect::Effect,
    keymap::{self, Intent, Needs, Scope},
    model::editor::Editor,
    model::{
        After, Model, Panel, Row, ToastKind, applies,
        form::Form,
        overlay::{InboxView, Overlay, Palette, TextKind},
    },
    msg::Key,
};

/// A key was pressed.
pub(super) fn press(model: &mut Model, key: Key, effects: &mut Vec<Effect>) {
    let scope = model.scope();
    if let Some(toast) = &model.toast
        && toast.kind == ToastKind::Answer
    {
        // What was said to the key before is no answer to this one, and hides what the keys do.
        model.toast = None;
        model.touch();
    }
    let mut refused = None;
    let mut chosen = None;
    for entry in model.keymap.lookup(scope, key) {
        if model.applies(entry) {
            chosen = Some(entry);
            break;
        }
        refused = refused.or(Some(entry));
    }
    if !model.ready {
        // Nothing is known yet that a key could act on; but the pane can be put away.
        if chosen.is_some_and(|entry| entry.intent == Intent::Back) {
            effects.push(Effect::Hide);
        }
        return;
    }
    match (chosen, refused) {
        (Some(entry), _) => run(model, scope, entry.intent, key, effects),
        // A list that cannot move needs no words.
        (None, Some(entry)) if entry.needs == Needs::Rows => {}
        (None, Some(entry)) if !scope.takes_text() => {
            let why = model.refusal(entry);
            model.say(why);
        }
        (None, _) if scope.takes_text() => texts::type_key(model, scope, key),
        (None, _) => model.say(unknown(model, scope, key)),
    }
}

/// What is said to a key that means nothing here.
fn unknown(model: &Model, scope: Scope, key: Key) -> String {
    let key = keymap::Named(key);
    match model.keymap.key_of(Intent::Help) {
        Some(help) if scope == Scope::Main => {
            format!("{key} does nothing here; {help} lists the keys")
        }
        Some(_) | None => format!("{key} does nothing here"),
    }
}

/// Does what an intent says, in the place that has the keys.
pub(super) fn run(
    model: &mut Model,
    scope: Scope,
    intent: Intent,
    key: Key,
    effects: &mut Vec<Effect>,
) {
    match scope {
        Scope::Main => main(model, intent, effects),
        Scope::Filter | Scope::Form | Scope::Text | Scope::Palette => {
            texts::run(model, scope, intent, key, effects);
        }
        Scope::Help
        | Scope::Ask
        | Scope::Details
        | Scope::Inbox
        | Scope::Review
        | Scope::Steps
        | Scope::Confirm => overlays::run(model, scope, intent, effects),
    }
}

/// Does what an intent says over the panels.
pub(super) fn main(model: &mut Model, intent: Intent, effects: &mut Vec<Effect>) {
    match intent {
        Intent::Up => step(model, -1),
        Intent::Down => step(model, 1),
        Intent::PageUp => step(model, -page(model)),
        Intent::PageDown => step(model, page(model)),
        Intent::Top => step(model, isize::MIN),
        Intent::Bottom => step(model, isize::MAX),
        Intent::FocusProjects => model.focus_on(Panel::Projects),
        Intent::FocusDetail => model.focus_on(Panel::Detail),
        Intent::FocusTasks => model.focus_on(Panel::Tasks),
        Intent::FocusLeft => model.focus_on(match model.focus {
            Panel::Projects | Panel::Detail => Panel::Projects,
            Panel::Tasks => Panel::Detail,
        }),
        Intent::FocusRight => model.focus_on(match model.focus {
            Panel::Projects => Panel::Detail,
            Panel::Detail | Panel::Tasks => Panel::Tasks,
        }),
        Intent::Open => open(model, effects),
        Intent::Approve => allow(model, read_here(model), effects),
        Intent::Deny => deny(model),
        Intent::Message => {
            if let Some(session) = model.current_session() {
                let (id, branch) = (session.id, session.branch.clone());
                texts::open(
                    model,
                    TextKind::Message,
                    id.uuid(),
                    None,
                    format!("Message to {branch}"),
                    String::new(),
                );
            }
        }
        Intent::NextInNeed => next_in_need(model),
        Intent::Inbox => {
            let view = InboxView {
                item: model.data.inbox.first().and_then(item_key),
                ..InboxView::default()
            };
            push(model, Overlay::Inbox(view));
        }
        Intent::NewTask => {
            if let Some(project) = model.current_project() {
                let (id, name) = (project.id, project.name.clone());
                let form = Form::new_task(id, &name, ticket(model));
                push(model, Overlay::Form(Box::new(form)));
            }
        }
        Intent::EditTask => super::forms::edit(model, effects),
        Intent::AddProject => {
            let form = Form::add_project(ticket(model));
            push(model, Overlay::Form(Box::new(form)));
        }
        Intent::NewSession => {
            if let Some(project) = model.current_project() {
                let (id, name) = (project.id, project.name.clone());
                let form = Form::new_session(id, &name, ticket(model));
                push(model, Overlay::Form(Box::new(form)));
            }
        }
        Intent::Steps => pages::open_steps(model, effects),
        Intent::Launch => order_task(model, effects, "Launched", Request::TaskLaunch),
        Intent::Retry => retry(model, effects),
        Intent::Review => {
            if let Some(task) = model.current_task().map(|task| task.id) {
                push(model, Overlay::Review(task));
            }
        }
        Intent::Details => match (model.current_task(), model.current_session()) {
            // Only a session without a task has no more than its question to show.
            (None, Some(session)) => pages::open_ask(model, session.id, effects),
            (Some(_), _) | (None, None) => pages::open_details(model, effects),
        },
        Intent::OpenPullRequest => {
            if let Some(url) = model.current_task().and_then(|task| task.pr_url.clone()) {
                effects.push(Effect::OpenUrl(url));
                model.say("Opening the pull request in the browser");
            }
        }
        Intent::Kill => confirms::kill(model, effects),
        Intent::Delete => confirms::delete(model),
        Intent::MoveDown => move_task(model, true, effects),
        Intent::MoveUp => move_task(model, false, effects),
        Intent::Filter => {
            model.filtering = true;
            model.focus_on(Panel::Tasks);
            model.touch();
        }
        Intent::Undo => {
            let after = After::Say("The last deletion was taken back".into());
            ask(model, effects, Request::TaskUndo(Nothing {}), after, None);
        }
        Intent::Palette => {
            let palette = Palette {
                query: Editor::line(""),
                read: read_here(model),
                found: texts::search(model, ""),
                index: 0,
                top: 0,
            };
            push(model, Overlay::Palette(palette));
        }
        Intent::Help => pages::open_help(model),
        Intent::Back => back(model, effects),
        // These have no key over the panels.
        Intent::Submit
        | Intent::NewLine
        | Intent::NextField
        | Intent::PreviousField
        | Intent::NextChoice
        | Intent::PreviousChoice
        | Intent::Confirm
        | Intent::MarkDone
        | Intent::SendBack
        | Intent::Reopen
        | Intent::AddStep
        | Intent::StepDone
        | Intent::Choose(_) => {}
    }
}

/// Puts something over the panels.
pub(super) fn push(model: &mut Model, overlay: Overlay) {
    model.overlays.push(overlay);
    model.touch();
}

/// Takes the topmost thing away.
pub(super) fn pop(model: &mut Model) {
    model.overlays.pop();
    // What is uncovered may have been laid out for another size.
    pages::wrap_again(model);
    model.touch();
}

fn back(model: &mut Model, effects: &mut Vec<Effect>) {
    if model.filter.text().is_empty() {
        effects.push(Effect::Hide);
    } else {
        model.filter = Editor::line("");
        model.rebuild_tasks();
        model.touch();
    }
}

fn page(model: &Model) -> isize {
    let areas = model.areas();
    let height = match model.focus {
        Panel::Projects => areas.left.height,
        Panel::Detail => areas.detail.height,
        Panel::Tasks => areas.tasks.height,
    };
    isize::try_from(height)
        .unwrap_or(1)
        .saturating_sub(1)
        .max(1)
}

/// A place in a list, so many rows further; stays inside the list.
pub(super) fn moved(index: usize, by: isize, count: usize) -> usize {
    let target = isize::try_from(index)
        .unwrap_or(isize::MAX)
        .saturating_add(by)
        .max(0);
    usize::try_from(target)
        .unwrap_or(0)
        .min(count.saturating_sub(1))
}

/// Moves the selection of the panel with the focus.
pub(super) fn step(model: &mut Model, by: isize) {
    let changed = match model.focus {
        Panel::Projects => model.select_left(moved(model.left.index, by, model.rows.len())),
        Panel::Tasks => model.select_task(moved(model.task.index, by, model.tasks.len())),
        Panel::Detail => {
            let lines = crate::view::detail::line_count(model);
            let room = usize::from(model.areas().detail.height);
            let top = moved(model.detail_top, by, lines.saturating_sub(room) + 1);
            std::mem::replace(&mut model.detail_top, top) != top
        }
    };
    if changed {
        model.touch();
    }
}

fn open(model: &mut Model, effects: &mut Vec<Effect>) {
    if model.acting() == Panel::Tasks {
        match model.current_session().map(|session| session.id) {
            Some(session) => open_session(model, session, effects),
            None => pages::open_details(model, effects),
        }
        return;
    }
    match model.left.item {
        Some(Row::Project(id)) => {
            if !model.collapsed.remove(&id) {
                model.collapsed.insert(id);
            }
            model.rebuild();
            model.touch();
        }
        Some(Row::Session(id)) => open_session(model, id, effects),
        None => {}
    }
}

fn open_session(model: &mut Model, id: SessionId, effects: &mut Vec<Effect>) {
    let asks = model
        .data
        .sessions
        .get(&id)
        .is_some_and(|session| session.ask.is_some());
    if asks {
        pages::open_ask(model, id, effects);
    } else {
        focus_tab(model, id, effects);
    }
}

/// Goes to the tab of a session.
pub(super) fn focus_tab(model: &mut Model, id: SessionId, effects: &mut Vec<Effect>) {
    let request = Request::SessionFocus(Named { of: id.to_string() });
    ask(model, effects, request, After::Quiet, Some(id.uuid()));
}

/// The ask that was in full in the newest frame and is still drawn in full now.
fn read_here(model: &Model) -> Option<AskId> {
    let now = crate::view::shown::ask_in_full(model)?;
    (model.on_screen.get() == Some(now)).then_some(now)
}

/// Allows what is asked if all of it was read: in the panel (`read`), or to its end on its page. Opens the page if
/// it was not.
pub(super) fn allow(model: &mut Model, read: Option<AskId>, effects: &mut Vec<Effect>) {
    let Some((session, question)) = model.acting_ask() else {
        return;
    };
    let (id, title) = (question.id, question.title.clone());
    match model.overlays.last() {
        Some(Overlay::Ask(view)) => {
            if !view.is_whole() {
                let why = match &view.error {
                    _ if !view.text().cut => {
                        "It is too long to be read here: answer it in its tab (Enter goes there)."
                    }
                    Some(_) => {
                        "Its rest could not be read: answer it in its tab (Enter goes there)."
                    }
                    None => "Its rest is still being read.",
                };
                model.say(why);
                return;
            }
            if !view.end_seen {
                model.say("Scroll to the end first.");
                return;
            }
        }
        // The inbox shows one line of it.
        Some(_) => {
            pages::open_ask(model, session, effects);
            return;
        }
        None => {
            if read != Some(id) || crate::view::shown::ask_in_full(model) != read {
                pages::open_ask(model, session, effects);
                return;
            }
        }
    }
    let request = Request::SessionApprove(Decision {
        of: session.to_string(),
        ask: Some(id),
        text: None,
    });
    let after = After::Say(format!("Allowed: {title}"));
    if ask(model, effects, request, after, Some(session.uuid()))
        && matches!(model.overlays.last(), Some(Overlay::Ask(_)))
    {
        pop(model);
    }
}

/// Asks why what is asked is refused.
pub(super) fn deny(model: &mut Model) {
    let Some((session, question)) = model.acting_ask() else {
        return;
    };
    let (id, title) = (question.id, question.title.clone());
    texts::open(
        model,
        TextKind::Deny,
        session.uuid(),
        Some(id),
        "Deny: why?".into(),
        title,
    );
}

/// What an inbox item is about, to find it again.
pub(super) fn item_key(item: &InboxItem) -> Option<uuid::Uuid> {
    item.session_id
        .map(|id| id.uuid())
        .or(item.task_id.map(|id| id.uuid()))
}

fn next_in_need(model: &mut Model) {
    let here = model.data.inbox.get(model.inbox_place).is_some_and(|item| {
        let session = item.session_id.is_some()
            && item.session_id == model.current_session().map(|session| session.id);
        let task =
            item.task_id.is_some() && item.task_id == model.current_task().map(|task| task.id);
        session || task
    });
    let count = model.data.inbox.len();
    let start = if here { model.inbox_place + 1 } else { 0 };
    // An item whose session and task are both gone cannot be shown: take the next one that can.
    for offset in 0..count {
        let place = (start + offset) % count;
        if go_to_item(model, place) {
            model.inbox_place = place;
            model.touch();
            return;
        }
    }
}

/// Selects what an inbox item is about. Says whether it is there.
pub(super) fn go_to_item(model: &mut Model, place: usize) -> bool {
    let Some(item) = model.data.inbox.get(place) else {
        return false;
    };
    let (session, task) = (item.session_id, item.task_id);
    session.is_some_and(|id| model.go_to_session(id)) || task.is_some_and(|id| model.go_to_task(id))
}

fn order_task(
    model: &mut Model,
    effects: &mut Vec<Effect>,
    done: &str,
    request: fn(Named) -> Request,
) {
    if let Some(task) = model.acting_task() {
        let (id, say) = (task.id, format!("{done} {}", quoted(&task.title)));
        let request = request(Named { of: id.to_string() });
        ask(model, effects, request, After::Say(say), Some(id.uuid()));
    }
}

fn retry(model: &mut Model, effects: &mut Vec<Effect>) {
    if model.current_task().is_some_and(applies::retryable) {
        order_task(model, effects, "Trying again:", Request::TaskRetry);
    } else if let Some(session) = model.current_session() {
        let (id, say) = (session.id, format!("Resumed {}", session.branch));
        let request = Request::SessionResume(Named { of: id.to_string() });
        ask(model, effects, request, After::Say(say), Some(id.uuid()));
    }
}

fn move_task(model: &mut Model, down: bool, effects: &mut Vec<Effect>) {
    let Some((task, other)) = model
        .task
        .item
        .zip(model.move_target(down).map(|task| task.id))
    else {
        return;
    };
    let place = Some(other.to_string());
    let request = Request::TaskMove(TaskMove {
        of: task.to_string(),
        before: if down { None } else { place.clone() },
        after: if down { place } else { None },
    });
    ask(model, effects, request, After::Quiet, Some(task.uuid()));
}
