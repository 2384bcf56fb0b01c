//! Keys in forms, and what becomes of a form.

use claustre_protocol::request::{Named, ProjectAdd, Request, SessionNew, TaskAdd, TaskEdit};
use claustre_protocol::status::{Mode, TaskStatus};

use super::{ask, keys, quoted, texts, ticket};
use crate::{
    effect::Effect,
    keymap::{Intent, Scope},
    model::{
        After, Model,
        form::{FieldName, Form, FormKind, Stage, Value},
        overlay::{Confirm, ConfirmLine, OnYes, Overlay},
    },
    msg::Key,
    text,
    theme::Tone,
};

/// How a form is left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leave {
    Submit,
    KeepAsDraft,
}

/// Opens the form of the selected task; its texts are asked for.
pub(super) fn edit(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(task) = model.current_task() else {
        return;
    };
    let (id, title) = (task.id, task.title.clone());
    let draft = task.status == TaskStatus::Draft;
    let ticket = ticket(model);
    let request = Request::TaskShow(Named { of: id.to_string() });
    if ask(
        model,
        effects,
        request,
        After::Fill { ticket },
        Some(id.uuid()),
    ) {
        let title = text::truncate(&title, 50, "…").into_owned();
        let form = Form::edit_task(id, draft, &title, ticket);
        keys::push(model, Overlay::Form(Box::new(form)));
    }
}

/// To the next or the previous field.
pub(super) fn step(model: &mut Model, forward: bool) {
    if let Some(Overlay::Form(form)) = model.overlays.last_mut() {
        form.step(forward);
        model.touch();
    }
}

/// Does what an intent says in the topmost form.
pub(super) fn run(model: &mut Model, intent: Intent, key: Key, effects: &mut Vec<Effect>) {
    let Some(Overlay::Form(form)) = model.overlays.last_mut() else {
        return;
    };
    match intent {
        Intent::NextField => step(model, true),
        Intent::PreviousField => step(model, false),
        Intent::NextChoice | Intent::PreviousChoice => {
            if form.stage == Stage::Open && form.turn(intent == Intent::NextChoice) {
                model.touch();
            } else {
                texts::type_key(model, Scope::Form, key);
            }
        }
        Intent::NewLine => {
            if form.stage == Stage::Open
                && let Some(Value::Text(editor)) = form.focused_mut().map(|field| &mut field.value)
            {
                editor.new_line();
                model.touch();
            }
        }
        Intent::Submit => {
            // In the list of steps Enter starts the next one; on a blank line it ends the form.
            if !key.ctrl
                && form.stage == Stage::Open
                && let Some(field) = form.focused_mut()
                && texts::is_list(field.name)
                && let Value::Text(editor) = &mut field.value
                && !editor.line_is_blank()
            {
                editor.new_line();
                model.touch();
                return;
            }
            leave(model, Leave::Submit, effects);
        }
        Intent::Back => back(model, effects),
        _ => texts::type_key(model, Scope::Form, key),
    }
}

fn back(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(Overlay::Form(form)) = model.overlays.last() else {
        return;
    };
    let keeps = match form.kind {
        FormKind::NewTask(_) => true,
        FormKind::EditTask { draft, .. } => draft,
        FormKind::AddProject | FormKind::NewSession(_) => false,
    };
    match form.stage {
        Stage::Open if form.changed() && keeps && form.error.is_none() => {
            leave(model, Leave::KeepAsDraft, effects);
        }
        Stage::Open if form.changed() => confirm_discard(model, "Nothing of it is saved."),
        Stage::Sending => confirm_discard(
            model,
            "It was sent, and the daemon has not answered yet: it may or may not be saved.",
        ),
        Stage::Open | Stage::Loading => keys::pop(model),
    }
}

fn confirm_discard(model: &mut Model, what: &str) {
    let confirm = Confirm {
        title: "Throw away what you wrote?".into(),
        lines: vec![ConfirmLine::new(Tone::Warning, "", what)],
        preview: None,
        yes: OnYes::DiscardForm,
    };
    keys::push(model, Overlay::Confirm(confirm));
}

fn leave(model: &mut Model, how: Leave, effects: &mut Vec<Effect>) {
    let edit_key = model
        .keymap
        .key_of(Intent::EditTask)
        .map_or_else(String::new, |key| format!(" · {key} opens it again"));
    let Some(Overlay::Form(form)) = model.overlays.last_mut() else {
        return;
    };
    if form.stage != Stage::Open {
        return;
    }
    if let Err(why) = check(form, how) {
        form.error = Some(why.into());
        model.touch();
        return;
    }
    let (request, say) = order(form, how, &edit_key);
    let ticket = form.ticket;
    let target = match form.kind {
        FormKind::NewTask(project) | FormKind::NewSession(project) => Some(project.uuid()),
        FormKind::EditTask { task, .. } => Some(task.uuid()),
        FormKind::AddProject => None,
    };
    let asked = ask(
        model,
        effects,
        request,
        After::Close { ticket, say },
        target,
    );
    if let Some(Overlay::Form(form)) = model.overlays.last_mut() {
        if asked {
            form.stage = Stage::Sending;
            form.error = None;
        } else {
            form.error = Some(NOT_CONNECTED.into());
            // The form says it.
            model.toast = None;
        }
    }
}

const NOT_CONNECTED: &str = "The daemon is not connected; what you wrote stays here.";

/// The daemon answers again: what said that it does not is no longer true.
pub(super) fn connected(model: &mut Model) {
    for overlay in &mut model.overlays {
        if let Overlay::Form(form) = overlay
            && form.error.as_deref() == Some(NOT_CONNECTED)
        {
            form.error = None;
        }
    }
    let told = model.toast.as_ref().map(|toast| toast.text.as_str());
    if told == Some(super::NOT_CONNECTED) {
        model.toast = None;
    }
}

/// What is missing, in one sentence; the field with the fault gets the cursor.
fn check(form: &mut Form, how: Leave) -> Result<(), &'static str> {
    let (name, why) = match form.kind {
        FormKind::NewTask(_) | FormKind::EditTask { .. } => {
            let needed = how == Leave::Submit && form.mode() != Mode::Exploration;
            if needed && form.given(FieldName::Prompt).is_none() {
                (
                    FieldName::Prompt,
                    "Write the prompt first, or choose exploration.",
                )
            } else {
                return Ok(());
            }
        }
        FormKind::AddProject => match form.given(FieldName::Path) {
            Some(path) if path.starts_with('/') || path.starts_with("~/") => return Ok(()),
            Some(_) => (FieldName::Path, "The path must be absolute: /home/me/shop."),
            None => (FieldName::Path, "Write the path of the repository first."),
        },
        FormKind::NewSession(_) => return Ok(()),
    };
    if let Some(place) = form.fields.iter().position(|field| field.name == name) {
        form.focus = place;
    }
    Err(why)
}

fn order(form: &Form, how: Leave, edit_key: &str) -> (Request, String) {
    let draft = how == Leave::KeepAsDraft;
    let description = form.text(FieldName::Prompt).trim_end().to_owned();
    let title = title_of(form);
    match form.kind {
        FormKind::NewTask(project) => {
            let say = if draft {
                format!("Saved as a draft: {}{edit_key}", quoted(&title))
            } else {
                format!("Added {}", quoted(&title))
            };
            let request = Request::TaskAdd(TaskAdd {
                project: project.to_string(),
                title,
                description,
                mode: Some(form.mode()),
                priority: Some(form.priority()),
                base: form.given(FieldName::Base),
                branch: form.given(FieldName::Branch),
                push_mode: Some(form.push_mode()),
                review_loop: form.review_loop(),
                subtasks: form.steps(),
                draft,
                ..TaskAdd::default()
            });
            (request, say)
        }
        FormKind::EditTask {
            task,
            draft: was_draft,
        } => {
            let say = match (draft, was_draft) {
                (true, _) => format!("Saved, still a draft: {}{edit_key}", quoted(&title)),
                (false, true) => format!("Submitted {}", quoted(&title)),
                (false, false) => format!("Saved {}", quoted(&title)),
            };
            let request = Request::TaskEdit(TaskEdit {
                of: task.to_string(),
                title: (title != form.old_title).then_some(title),
                description: Some(description),
                mode: Some(form.mode()),
                priority: Some(form.priority()),
                base: Some(form.given(FieldName::Base).unwrap_or_default()),
                branch: Some(form.given(FieldName::Branch).unwrap_or_default()),
                push_mode: Some(form.push_mode()),
                review_loop: Some(form.review_loop()),
                subtasks: Some(form.steps()),
                submit: was_draft && !draft,
                ..TaskEdit::default()
            });
            (request, say)
        }
        FormKind::AddProject => {
            let path = form.given(FieldName::Path).unwrap_or_default();
            let last = path
                .trim_end_matches('/')
                .rsplit('/')
                .next()
                .unwrap_or_default();
            let name = form
                .given(FieldName::Name)
                .unwrap_or_else(|| last.to_owned());
            let say = format!("Added the project {}", quoted(&name));
            let request = Request::ProjectAdd(ProjectAdd {
                name,
                path,
                goal: form.given(FieldName::Goal).unwrap_or_default(),
                owner: String::new(),
                base: form.given(FieldName::Base).unwrap_or_default(),
            });
            (request, say)
        }
        FormKind::NewSession(project) => {
            let request = Request::SessionNew(SessionNew {
                project: project.to_string(),
                branch: form.given(FieldName::Branch),
                base: form.given(FieldName::Base),
                prompt: form.given(FieldName::Prompt),
            });
            (request, "Opening the session".into())
        }
    }
}

/// The first line that is not blank, cut; a title that a person gave elsewhere stays.
fn title_of(form: &Form) -> String {
    let first = |text: &str| {
        let line = text.lines().map(str::trim).find(|line| !line.is_empty());
        line.map(|line| text::truncate(line.trim_start_matches(['#', ' ']), 72, "…").into_owned())
    };
    let before = form.before.first().and_then(|prompt| first(prompt));
    let given_elsewhere = !form.old_title.is_empty() && before.as_ref() != Some(&form.old_title);
    if given_elsewhere {
        return form.old_title.clone();
    }
    first(form.text(FieldName::Prompt))
        .or_else(|| form.given(FieldName::Branch))
        .or_else(|| form.steps().into_iter().next())
        .unwrap_or_else(|| match form.mode() {
            Mode::Exploration => "Exploration".to_owned(),
            Mode::Supervised | Mode::Autonomous => "Untitled".to_owned(),
        })
}
