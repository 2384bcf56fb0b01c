//! Keys where something is written: forms, messages, the palette and the filter.

use claustre_protocol::{
    ids::{AskId, SessionId, TaskId},
    request::{Decision, Request, WithText},
};
use uuid::Uuid;

use super::{ask, forms, keys, overlays, ticket};
use crate::{
    effect::Effect,
    keymap::{Entry, Intent, Scope},
    model::{
        After, Model,
        editor::Editor,
        form::{FieldName, Stage, Value},
        overlay::{Overlay, TextKind, TextPrompt},
    },
    msg::{Key, KeyCode},
};

/// Does what an intent says where something is written.
pub(super) fn run(
    model: &mut Model,
    scope: Scope,
    intent: Intent,
    key: Key,
    effects: &mut Vec<Effect>,
) {
    match scope {
        Scope::Filter => match intent {
            Intent::Submit => {
                model.filtering = false;
                model.touch();
            }
            Intent::Back => {
                model.filtering = false;
                model.filter = Editor::line("");
                model.rebuild_tasks();
                model.touch();
            }
            other => keys::main(model, other, effects),
        },
        Scope::Palette => match intent {
            Intent::Submit => run_palette(model, effects),
            other => overlays::run(model, scope, other, effects),
        },
        Scope::Text => match intent {
            Intent::Submit => submit(model, effects),
            Intent::NewLine => write(model, "\n"),
            Intent::Back => keep(model),
            _ => type_key(model, scope, key),
        },
        Scope::Form => forms::run(model, intent, key, effects),
        Scope::Main
        | Scope::Help
        | Scope::Ask
        | Scope::Details
        | Scope::Inbox
        | Scope::Review
        | Scope::Steps
        | Scope::Confirm => {}
    }
}

/// A key that means nothing else goes into the text.
pub(super) fn type_key(model: &mut Model, scope: Scope, key: Key) {
    let Some(editor) = editor(model) else {
        return;
    };
    if !editor.key(key) {
        if scope == Scope::Form && matches!(key.code, KeyCode::Up | KeyCode::Down) {
            forms::step(model, key.code == KeyCode::Down);
        }
        return;
    }
    written(model);
}

/// Text was pasted.
pub(super) fn paste(model: &mut Model, text: &str) {
    write(model, text);
}

fn write(model: &mut Model, text: &str) {
    let Some(editor) = editor(model) else {
        return;
    };
    let fits = editor.insert(text);
    written(model);
    if !fits {
        model.complain("The text is longer than a megabyte: its end was cut", None);
    }
}

/// What must follow a change of a text.
fn written(model: &mut Model) {
    model.touch();
    let query = match model.overlays.last() {
        Some(Overlay::Palette(palette)) => Some(palette.query.text().to_owned()),
        Some(_) => None,
        None => {
            model.rebuild_tasks();
            None
        }
    };
    if let Some(query) = query {
        let found = search(model, &query);
        if let Some(Overlay::Palette(palette)) = model.overlays.last_mut() {
            palette.found = found;
            palette.index = 0;
            palette.top = 0;
        }
    }
}

/// The text that characters go into.
fn editor(model: &mut Model) -> Option<&mut Editor> {
    match model.overlays.last_mut() {
        Some(Overlay::Form(form)) => {
            if form.stage != Stage::Open {
                return None;
            }
            match &mut form.focused_mut()?.value {
                Value::Text(editor) => Some(editor),
                Value::Choice { .. } => None,
            }
        }
        Some(Overlay::Text(prompt)) => (!prompt.sending).then_some(&mut prompt.editor),
        Some(Overlay::Palette(palette)) => Some(&mut palette.query),
        Some(
            Overlay::Help(_)
            | Overlay::Ask(_)
            | Overlay::Details(_)
            | Overlay::Inbox(_)
            | Overlay::Review(_)
            | Overlay::Steps(_)
            | Overlay::Confirm(_),
        ) => None,
        None => model.filtering.then_some(&mut model.filter),
    }
}

/// Starts to write something; what was written for the same thing before is there again.
pub(super) fn open(
    model: &mut Model,
    kind: TextKind,
    of: Uuid,
    ask: Option<AskId>,
    title: String,
    about: String,
) {
    let before = model.unsent.get(&(kind, of)).cloned().unwrap_or_default();
    let editor = match kind {
        TextKind::Step => Editor::line(&before),
        TextKind::Message | TextKind::Answer | TextKind::Deny | TextKind::Feedback => {
            Editor::lines(&before)
        }
    };
    let prompt = TextPrompt {
        kind,
        of,
        ask,
        title,
        about,
        editor,
        ticket: ticket(model),
        sending: false,
        error: None,
    };
    keys::push(model, Overlay::Text(prompt));
}

/// Goes back; what is written is there again the next time.
fn keep(model: &mut Model) {
    if let Some(Overlay::Text(prompt)) = model.overlays.last() {
        let place = (prompt.kind, prompt.of);
        let text = prompt.editor.text().to_owned();
        if prompt.sending || prompt.editor.is_blank() {
            model.unsent.remove(&place);
        } else {
            model.unsent.insert(place, text);
            model.say("Not sent; it is there again when you come back");
        }
    }
    keys::pop(model);
}

fn submit(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(Overlay::Text(prompt)) = model.overlays.last_mut() else {
        return;
    };
    if prompt.sending {
        return;
    }
    let text = prompt.editor.text().trim().to_owned();
    if text.is_empty() && prompt.kind != TextKind::Deny {
        prompt.error = Some("Write something first.".into());
        model.touch();
        return;
    }
    let (of, ticket) = (prompt.of, prompt.ticket);
    let with_text = |of: String| WithText {
        of,
        text: text.clone(),
    };
    let decision = |of: String| Decision {
        of,
        ask: prompt.ask,
        text: (!text.is_empty()).then(|| text.clone()),
    };
    let session = SessionId::new(of).to_string();
    let task = TaskId::new(of).to_string();
    let (request, say) = match prompt.kind {
        TextKind::Message => (
            Request::SessionSend(with_text(session)),
            "The message is on its way",
        ),
        TextKind::Answer => (Request::SessionAnswer(decision(session)), "Answered"),
        TextKind::Deny => (Request::SessionDeny(decision(session)), "Denied"),
        TextKind::Feedback => (Request::TaskSendBack(with_text(task)), "Sent back to work"),
        TextKind::Step => (Request::SubtaskAdd(with_text(task)), "Added the step"),
    };
    let after = After::Close {
        ticket,
        say: say.into(),
    };
    if ask(model, effects, request, after, Some(of))
        && let Some(Overlay::Text(prompt)) = model.overlays.last_mut()
    {
        prompt.sending = true;
        prompt.error = None;
    }
}

fn run_palette(model: &mut Model, effects: &mut Vec<Effect>) {
    let (chosen, read) = match model.overlays.last() {
        Some(Overlay::Palette(palette)) => {
            (palette.found.get(palette.index).copied(), palette.read)
        }
        Some(_) | None => (None, None),
    };
    keys::pop(model);
    if let Some(entry) = chosen {
        // What was selected may have changed while the palette was open.
        if model.applies(entry) {
            match entry.intent {
                // The palette covers what is asked: what counts is what was read before.
                Intent::Approve => keys::allow(model, read, effects),
                intent => keys::main(model, intent, effects),
            }
        } else {
            let why = model.refusal(entry);
            model.say(why);
        }
    }
}

/// The commands that apply now and match, the best first.
pub(super) fn search(model: &mut Model, query: &str) -> Vec<&'static Entry> {
    // What applies is judged as if the palette were not there.
    let covering = model
        .overlays
        .pop_if(|overlay| matches!(overlay, Overlay::Palette(_)));
    let mut found: Vec<(i32, &'static Entry)> = model
        .keymap
        .entries(Scope::Main)
        .filter(|entry| !is_movement(entry.intent) && model.applies(entry))
        .filter_map(|entry| {
            let by_label = score(entry.label, query).map(|score| score + 4);
            let by_about = score(entry.about, query);
            by_label.max(by_about).map(|score| (score, entry))
        })
        .collect();
    model.overlays.extend(covering);
    found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    found.into_iter().map(|(_, entry)| entry).collect()
}

const fn is_movement(intent: Intent) -> bool {
    matches!(
        intent,
        Intent::Up
            | Intent::Down
            | Intent::Top
            | Intent::Bottom
            | Intent::PageUp
            | Intent::PageDown
            | Intent::FocusLeft
            | Intent::FocusRight
            | Intent::Palette
    )
}

/// How well the letters of `query` occur in this order in `text`; none if they do not.
/// Letters in a row and at the beginnings of words count more.
fn score(text: &str, query: &str) -> Option<i32> {
    let mut total = 0;
    let mut letters = text.chars().flat_map(char::to_lowercase);
    let mut before = ' ';
    for wanted in query
        .chars()
        .flat_map(char::to_lowercase)
        .filter(|c| *c != ' ')
    {
        let mut gap = 0;
        loop {
            let letter = letters.next()?;
            let starts_word = before == ' ';
            before = letter;
            if letter == wanted {
                total +=
                    if gap == 0 { 3 } else { 0 } + if starts_word { 3 } else { 0 } - gap.min(3);
                break;
            }
            gap += 1;
        }
    }
    Some(total)
}

/// May a blank line in this field end the form?
pub(super) const fn is_list(name: FieldName) -> bool {
    matches!(name, FieldName::Steps)
}

#[cfg(test)]
mod tests {
    use super::score;

    #[test]
    fn letters_match_in_order_and_word_beginnings_win() {
        assert_eq!(score("launch the task", "xyz"), None);
        assert_eq!(score("launch", ""), Some(0));
        let words = score("open the pull request", "pr");
        let inside = score("approve", "pr");
        assert!(words > inside, "{words:?} {inside:?}");
    }
}
