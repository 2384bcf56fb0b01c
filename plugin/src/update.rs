//! What each message changes. No clock, no input, no output: time comes with messages, orders go out as effects.

mod clock;
mod confirms;
mod forms;
mod keys;
mod mouse;
mod overlays;
mod pages;
mod replies;
mod texts;

use claustre_protocol::{dashboard::DashboardUpdate, link::DashboardSettings, request::Request};
use uuid::Uuid;

use crate::{
    effect::Effect,
    keymap::Keymap,
    model::{After, Model, Pending, data::Data, overlay::Overlay},
    msg::{LinkState, Msg},
    text,
    theme::{Marks, Theme},
};

/// Takes what the user configured; keys that cannot be are told, and then all keys are as they were made.
fn configure(model: &mut Model, settings: &DashboardSettings) {
    model.marks = if settings.ascii {
        Marks::ascii()
    } else {
        Marks::default()
    };
    let keys = settings.keys.iter();
    match Keymap::from_names(keys.map(|(name, key)| (&**name, &**key))) {
        Ok(keymap) => model.keymap = keymap,
        Err(error) => {
            model.keymap = Keymap::default();
            let text = format!("the keys of your configuration are left out: {error}");
            model.complain(text::clean(&text).into_owned(), None);
        }
    }
    model.touch();
}

/// Takes one message; gives what is to be done.
pub fn update(model: &mut Model, msg: Msg) -> Vec<Effect> {
    let mut effects = Vec::new();
    pages::note_frame(model);
    match msg {
        Msg::Key(key) => keys::press(model, key, &mut effects),
        Msg::Pasted(text) => texts::paste(model, &text),
        Msg::Mouse(mouse) => mouse::act(model, mouse),
        Msg::Resized { columns, rows } => resized(model, columns, rows),
        Msg::Toggle => effects.push(if model.visible {
            Effect::Hide
        } else {
            Effect::Show
        }),
        Msg::Visible(visible) => {
            model.visible = visible;
            model.on_screen.set(None);
            // Ticks that were asked for before may have been dropped meanwhile.
            model.fast_due = None;
            model.slow_due = None;
            model.touch();
        }
        Msg::Theme(palette) => {
            let theme = Theme::from_palette(&palette);
            if theme != model.theme {
                model.theme = theme;
                model.touch();
            }
        }
        Msg::Dashboard(update) => dashboard(model, update, &mut effects),
        Msg::Reply { id, outcome } => replies::take(model, id, outcome),
        Msg::Toast { text, error } => {
            let text = text::clean(&text).into_owned();
            if error {
                model.complain(text, None);
            } else {
                model.tell(text);
            }
        }
        Msg::Settings(settings) => configure(model, &settings),
        Msg::Link(state) => link(model, state, &mut effects),
        Msg::Tick(now) => clock::tick(model, now),
    }
    clock::schedule(model, &mut effects);
    effects
}

fn resized(model: &mut Model, columns: u16, rows: u16) {
    if model.size == (columns, rows) {
        return;
    }
    model.size = (columns, rows);
    let areas = model.areas();
    model.left.settle(&model.rows, areas.left.height);
    model.task.settle(&model.tasks, areas.tasks.height);
    pages::wrap_again(model);
    model.touch();
}

fn dashboard(model: &mut Model, update: DashboardUpdate, effects: &mut Vec<Effect>) {
    let (more, now) = (update.more, update.now);
    let touched: Vec<_> = update.tasks.iter().map(|task| task.id).collect();
    if update.reset {
        model.staged = Some(Data::default());
    }
    let changed = match &mut model.staged {
        Some(staged) => {
            staged.apply(update);
            true
        }
        None => model.data.apply(update),
    };
    if now > model.now {
        model.now = now;
    }
    model.heard = model.now;
    // A state that comes in parts is shown as a whole.
    if more {
        return;
    }
    if let Some(staged) = model.staged.take() {
        model.data = staged;
        model.ready = true;
    }
    if !changed || !model.ready {
        return;
    }
    model.rebuild();
    pages::refresh(model, &touched, effects);
    model.touch();
}

fn link(model: &mut Model, state: LinkState, effects: &mut Vec<Effect>) {
    if model.link == state {
        return;
    }
    if model.link == LinkState::Up {
        // As long as the link stood, what was shown was true.
        model.heard = model.now;
    }
    model.link = state;
    model.touch();
    if model.link == LinkState::Up {
        forms::connected(model);
        pages::load_ask(model, effects);
        pages::wrap_again(model);
        return;
    }
    // No answer will come any more to what was asked over the old link.
    let lost = std::mem::take(&mut model.pending);
    let orders = lost
        .values()
        .filter(|pending| !matches!(pending.after, After::Fill { .. }))
        .count();
    for overlay in &mut model.overlays {
        let no_answer =
            || Some("The daemon did not answer: it is not known whether this was done.".to_owned());
        match overlay {
            Overlay::Form(form) => {
                if form.stage == crate::model::form::Stage::Sending {
                    form.stage = crate::model::form::Stage::Open;
                    form.error = no_answer();
                }
            }
            Overlay::Text(prompt) => {
                if prompt.sending {
                    prompt.sending = false;
                    prompt.error = no_answer();
                }
            }
            Overlay::Ask(view) if view.text().cut => {
                view.error = Some("the connection broke".into());
            }
            Overlay::Help(_)
            | Overlay::Ask(_)
            | Overlay::Details(_)
            | Overlay::Inbox(_)
            | Overlay::Review(_)
            | Overlay::Steps(_)
            | Overlay::Palette(_) => {}
            Overlay::Confirm(confirm) => confirms::blame(confirm, "the connection broke"),
        }
    }
    pages::wrap_again(model);
    if orders > 0 {
        model.complain(
            "The connection broke before the daemon answered",
            Some("look whether it was done before you repeat it"),
        );
    }
}

const NOT_CONNECTED: &str = "Nothing was done: the daemon is not connected";

/// Asks the daemon, unless nobody listens. Says whether it was asked.
fn ask(
    model: &mut Model,
    effects: &mut Vec<Effect>,
    request: Request,
    after: After,
    target: Option<Uuid>,
) -> bool {
    if model.link != LinkState::Up {
        model.complain(NOT_CONNECTED, None);
        return false;
    }
    let id = ticket(model);
    model.pending.insert(id, Pending { after, target });
    effects.push(Effect::Ask {
        id,
        request: Box::new(request),
    });
    model.touch();
    true
}

/// A number that was not used before.
const fn ticket(model: &mut Model) -> u64 {
    let id = model.next_id;
    model.next_id += 1;
    id
}

/// A title as it stands in a sentence.
fn quoted(title: &str) -> String {
    format!("“{}”", text::truncate(title, 40, "…"))
}

#[cfg(test)]
mod tests;
