//! Keys in lists, pages, menus and confirmations over the panels.

use claustre_protocol::{
    ids::TaskId,
    request::{Decision, Named, Request, SubtaskNamed},
};

use super::{ask, keys, pages, quoted, texts};
use crate::{
    effect::Effect,
    keymap::Intent,
    keymap::Scope,
    model::{
        After, Model,
        overlay::{Confirm, ConfirmLine, OnYes, Overlay, Page, TextKind},
    },
};

/// Does what an intent says in the topmost overlay.
pub(super) fn run(model: &mut Model, scope: Scope, intent: Intent, effects: &mut Vec<Effect>) {
    match intent {
        Intent::Up => step(model, -1),
        Intent::Down => step(model, 1),
        Intent::PageUp => step(model, -page(model)),
        Intent::PageDown => step(model, page(model)),
        Intent::Top => step(model, isize::MIN),
        Intent::Bottom => step(model, isize::MAX),
        Intent::Back => keys::pop(model),
        Intent::Approve => keys::allow(model, None, effects),
        Intent::Deny => keys::deny(model),
        Intent::Open => open(model, effects),
        Intent::Details => pages::open_details(model, effects),
        Intent::Message => answer_in_words(model),
        Intent::Choose(number) => answer(model, number, effects),
        Intent::Confirm => confirm(model, effects),
        Intent::MarkDone => order(model, "Done:", Request::TaskDone, effects),
        Intent::Reopen => order(model, "Back in the queue:", Request::TaskReopen, effects),
        Intent::SendBack => send_back(model),
        Intent::AddStep => add_step(model),
        Intent::StepDone => step_done(model, effects),
        Intent::Delete => confirm_step(model, scope),
        Intent::FocusProjects
        | Intent::FocusDetail
        | Intent::FocusTasks
        | Intent::FocusLeft
        | Intent::FocusRight
        | Intent::NextInNeed
        | Intent::Inbox
        | Intent::NewTask
        | Intent::EditTask
        | Intent::AddProject
        | Intent::NewSession
        | Intent::Steps
        | Intent::Launch
        | Intent::Review
        | Intent::Retry
        | Intent::OpenPullRequest
        | Intent::Kill
        | Intent::MoveDown
        | Intent::MoveUp
        | Intent::Filter
        | Intent::Undo
        | Intent::Palette
        | Intent::Help
        | Intent::Submit
        | Intent::NewLine
        | Intent::NextField
        | Intent::PreviousField
        | Intent::NextChoice
        | Intent::PreviousChoice => {}
    }
}

fn page(model: &Model) -> isize {
    isize::try_from(pages::room(model))
        .unwrap_or(1)
        .saturating_sub(1)
        .max(1)
}

/// Moves the selection of a list, or scrolls a page.
pub(super) fn step(model: &mut Model, by: isize) {
    let room = pages::room(model);
    let inbox = model.data.inbox.len();
    let key_of = |index: usize| model.data.inbox.get(index).and_then(keys::item_key);
    let changed = match model.overlays.last_mut() {
        Some(Overlay::Help(page)) => scroll(page, by, room),
        Some(Overlay::Ask(view)) => scroll(&mut view.page, by, room),
        Some(Overlay::Details(view)) => view
            .page
            .as_mut()
            .is_some_and(|page| scroll(page, by, room)),
        Some(Overlay::Inbox(view)) => {
            let index = keys::moved(view.index, by, inbox);
            view.top = crate::model::scrolled(view.top, index, inbox, room);
            view.item = key_of(index);
            std::mem::replace(&mut view.index, index) != index
        }
        Some(Overlay::Steps(view)) => {
            let count = view.steps.as_ref().map_or(0, Vec::len);
            let index = keys::moved(view.index, by, count);
            view.top = crate::model::scrolled(view.top, index, count, room);
            let changed = std::mem::replace(&mut view.index, index) != index;
            view.item = view.selected().map(|step| step.id);
            changed
        }
        Some(Overlay::Palette(palette)) => {
            let count = palette.found.len();
            let index = keys::moved(palette.index, by, count);
            palette.top = crate::model::scrolled(palette.top, index, count, room);
            std::mem::replace(&mut palette.index, index) != index
        }
        Some(Overlay::Review(_) | Overlay::Confirm(_) | Overlay::Form(_) | Overlay::Text(_))
        | None => false,
    };
    if changed {
        model.touch();
    }
}

fn scroll(page: &mut Page, by: isize, room: usize) -> bool {
    let top = keys::moved(page.top, by, page.lines.len().saturating_sub(room) + 1);
    std::mem::replace(&mut page.top, top) != top
}

fn open(model: &mut Model, effects: &mut Vec<Effect>) {
    match model.overlays.last() {
        Some(Overlay::Ask(view)) => {
            let session = view.session;
            keys::pop(model);
            keys::focus_tab(model, session, effects);
        }
        Some(Overlay::Inbox(view)) => {
            let place = view.index;
            if !keys::go_to_item(model, place) {
                // What is about no session and no task is said in full.
                let said = (model.data.inbox.get(place))
                    .filter(|item| item.session_id.is_none() && item.task_id.is_none())
                    .map(|item| item.detail.clone());
                model.say(said.unwrap_or_else(|| "It is not on the board any more.".to_owned()));
                return;
            }
            model.inbox_place = place;
            keys::pop(model);
            if let Some(session) = model.current_session()
                && session.ask.is_some()
            {
                pages::open_ask(model, session.id, effects);
            }
        }
        _ => {}
    }
}

fn answer_in_words(model: &mut Model) {
    if let Some((session, question)) = model.acting_ask() {
        let (ask, title) = (question.id, question.title.clone());
        texts::open(
            model,
            TextKind::Answer,
            session.uuid(),
            Some(ask),
            "Answer".into(),
            title,
        );
    }
}

fn answer(model: &mut Model, number: u8, effects: &mut Vec<Effect>) {
    let Some((session, question)) = model.acting_ask() else {
        return;
    };
    let Some(option) = usize::from(number)
        .checked_sub(1)
        .and_then(|index| question.options.get(index))
    else {
        model.say("There is no such answer.");
        return;
    };
    let say = format!("Answered: {option}");
    let request = Request::SessionAnswer(Decision {
        of: session.to_string(),
        ask: Some(question.id),
        text: Some(option.clone()),
    });
    if ask(
        model,
        effects,
        request,
        After::Say(say),
        Some(session.uuid()),
    ) {
        keys::pop(model);
    }
}

fn order(model: &mut Model, done: &str, request: fn(Named) -> Request, effects: &mut Vec<Effect>) {
    let Some(task) = model.acting_task() else {
        keys::pop(model);
        return;
    };
    let (id, say) = (task.id, format!("{done} {}", quoted(&task.title)));
    let request = request(Named { of: id.to_string() });
    if ask(model, effects, request, After::Say(say), Some(id.uuid())) {
        keys::pop(model);
    }
}

fn send_back(model: &mut Model) {
    let Some(task) = model.acting_task() else {
        return;
    };
    let (id, title) = (task.id, task.title.clone());
    keys::pop(model);
    texts::open(
        model,
        TextKind::Feedback,
        id.uuid(),
        None,
        "Send back with feedback".into(),
        title,
    );
}

fn add_step(model: &mut Model) {
    let Some(task) = model.acting_task() else {
        return;
    };
    let (id, title) = (task.id, task.title.clone());
    texts::open(
        model,
        TextKind::Step,
        id.uuid(),
        None,
        "Add a step".into(),
        title,
    );
}

fn selected_step(model: &Model) -> Option<(TaskId, SubtaskNamed, String)> {
    match model.overlays.last() {
        Some(Overlay::Steps(view)) => {
            let step = view.selected()?;
            let named = SubtaskNamed {
                task: view.task.to_string(),
                of: step.id.to_string(),
            };
            Some((view.task, named, step.title.clone()))
        }
        Some(_) | None => None,
    }
}

fn step_done(model: &mut Model, effects: &mut Vec<Effect>) {
    if let Some((task, named, _)) = selected_step(model) {
        let asked = ask(
            model,
            effects,
            Request::SubtaskDone(named),
            After::Quiet,
            Some(task.uuid()),
        );
        if asked {
            pages::load_steps(model, effects);
        }
    }
}

fn confirm_step(model: &mut Model, scope: Scope) {
    if scope != Scope::Steps {
        return;
    }
    if let Some((task, named, title)) = selected_step(model) {
        let confirm = Confirm {
            title: "Remove this step?".into(),
            lines: vec![ConfirmLine::heading(&title)],
            preview: None,
            yes: OnYes::Order {
                request: Box::new(Request::SubtaskRemove(named)),
                target: task.uuid(),
                say: format!("Removed the step {}", quoted(&title)),
            },
        };
        keys::push(model, Overlay::Confirm(confirm));
    }
}

fn confirm(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(Overlay::Confirm(confirm)) = model.overlays.last() else {
        return;
    };
    // Nothing goes that was not on the screen.
    if confirm
        .preview
        .as_ref()
        .is_some_and(|preview| !preview.is_here)
    {
        model.tell("Not yet: what goes for good is still being looked at");
        return;
    }
    match confirm.yes.clone() {
        OnYes::Order {
            request,
            target,
            say,
        } => {
            keys::pop(model);
            ask(model, effects, *request, After::Say(say), Some(target));
            pages::load_steps(model, effects);
        }
        OnYes::DiscardForm => {
            keys::pop(model);
            keys::pop(model);
        }
    }
}
