//! Answers of the daemon.
//!
//! An answer finds what asked for it by a ticket. Where that is not on the screen any more, the answer is said in one
//! line or dropped; it never changes what took its place.

use claustre_protocol::{
    model::{Subtask, TaskDetail},
    rpc::Fault,
};
use serde_json::Value;

use super::{confirms, pages};
use crate::model::{
    After, Model,
    form::Stage,
    overlay::{Confirm, Overlay, StepsView},
    scrolled,
};

/// An order was answered.
pub(super) fn take(model: &mut Model, id: u64, outcome: Result<Value, Fault>) {
    let Some(pending) = model.pending.remove(&id) else {
        return;
    };
    model.touch();
    match (pending.after, outcome) {
        (After::Say(text), Ok(_)) => model.say(text),
        (After::Quiet, Ok(_)) => {}
        (After::Close { ticket, say }, Ok(_)) => {
            close(model, ticket);
            model.say(say);
        }
        (After::Fill { ticket }, Ok(value)) => fill(model, ticket, value),
        (After::Say(_) | After::Quiet, Err(fault)) => {
            model.complain(fault.message.clone(), fault.hint())
        }
        (After::Close { ticket, .. }, Err(fault)) => {
            let why = sentence(&fault);
            if !reopen(model, ticket, &why) {
                model.complain(fault.message.clone(), fault.hint());
            }
        }
        (After::Fill { ticket }, Err(fault)) => {
            blame(model, ticket, &sentence(&fault));
            pages::wrap_again(model);
        }
    }
}

fn sentence(fault: &Fault) -> String {
    match fault.hint() {
        Some(hint) => format!("{} ({hint})", fault.message),
        None => fault.message.clone(),
    }
}

/// Takes what was saved or sent from the screen, and what it was an answer to.
fn close(model: &mut Model, ticket: u64) {
    let place = model.overlays.iter().position(|overlay| match overlay {
        Overlay::Form(form) => form.ticket == ticket,
        Overlay::Text(prompt) => prompt.ticket == ticket,
        _ => false,
    });
    let Some(place) = place else {
        return;
    };
    let mut keep = place;
    if let Some(Overlay::Text(prompt)) = model.overlays.get(place) {
        model.unsent.remove(&(prompt.kind, prompt.of));
        let answered = prompt.ask;
        let below = place
            .checked_sub(1)
            .and_then(|below| model.overlays.get(below));
        if let (Some(answered), Some(Overlay::Ask(view))) = (answered, below)
            && view.ask == answered
        {
            keep = place - 1;
        }
    }
    // A confirmation about this form may lie over it; anything else cannot.
    model.overlays.truncate(keep);
}

/// Gives a form or text back to the person, with the reason. Says whether it is still there.
fn reopen(model: &mut Model, ticket: u64, why: &str) -> bool {
    for overlay in &mut model.overlays {
        match overlay {
            Overlay::Form(form) if form.ticket == ticket => {
                form.stage = Stage::Open;
                form.error = Some(why.to_owned());
                return true;
            }
            Overlay::Text(prompt) if prompt.ticket == ticket => {
                prompt.sending = false;
                prompt.error = Some(why.to_owned());
                return true;
            }
            _ => {}
        }
    }
    false
}

/// Puts what was asked for where it was asked for.
fn fill(model: &mut Model, ticket: u64, value: Value) {
    const UNREADABLE: &str = "The daemon's answer could not be read: are both of the same version?";
    let wanted = model.overlays.iter_mut().find(|overlay| match overlay {
        Overlay::Form(form) => form.ticket == ticket,
        Overlay::Ask(view) => view.ticket == ticket,
        Overlay::Details(view) => view.ticket == ticket,
        Overlay::Steps(view) => view.ticket == ticket,
        Overlay::Confirm(confirm) => waits_for(confirm, ticket),
        _ => false,
    });
    let done = match wanted {
        Some(Overlay::Form(form)) => serde_json::from_value::<TaskDetail>(value).map(|detail| {
            if form.stage == Stage::Loading {
                form.fill(&detail.task);
            }
        }),
        Some(Overlay::Ask(view)) => {
            serde_json::from_value(value).map(|asks| pages::fill_ask(view, asks))
        }
        Some(Overlay::Details(view)) => serde_json::from_value(value).map(|detail| {
            view.error = None;
            view.detail = Some(detail);
        }),
        Some(Overlay::Steps(view)) => {
            serde_json::from_value(value).map(|steps| fill_steps(view, steps))
        }
        Some(Overlay::Confirm(confirm)) => {
            serde_json::from_value(value).map(|found| confirms::fill(confirm, &found))
        }
        _ => return,
    };
    if done.is_err() {
        blame(model, ticket, UNREADABLE);
    }
    pages::wrap_again(model);
}

fn waits_for(confirm: &Confirm, ticket: u64) -> bool {
    let preview = confirm.preview.as_ref();
    preview.is_some_and(|preview| preview.ticket == ticket)
}

fn fill_steps(view: &mut StepsView, steps: Vec<Subtask>) {
    let at = view
        .item
        .and_then(|item| steps.iter().position(|step| step.id == item));
    view.index = at.unwrap_or(view.index).min(steps.len().saturating_sub(1));
    view.top = scrolled(view.top, view.index, steps.len(), steps.len().max(1));
    view.error = None;
    view.steps = Some(steps);
    view.item = view.selected().map(|step| step.id);
}

/// Says where it was asked for why it did not come.
pub(super) fn blame(model: &mut Model, ticket: u64, why: &str) {
    for overlay in &mut model.overlays {
        match overlay {
            Overlay::Ask(view) if view.ticket == ticket => view.error = Some(why.to_owned()),
            Overlay::Form(form) if form.ticket == ticket => form.error = Some(why.to_owned()),
            Overlay::Details(view) if view.ticket == ticket => view.error = Some(why.to_owned()),
            Overlay::Steps(view) if view.ticket == ticket => view.error = Some(why.to_owned()),
            Overlay::Confirm(confirm) if waits_for(confirm, ticket) => {
                confirms::blame(confirm, why);
            }
            _ => {}
        }
    }
}
