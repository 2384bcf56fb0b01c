//! STUB until merged.
use crate::{effect::Effect, model::Model, msg::{Key, KeyCode, Msg}};
use claustre_protocol::request::{Nothing, Request};
pub fn update(model: &mut Model, msg: Msg) -> Vec<Effect> {
    match msg {
        Msg::Dashboard(update) => { model.lines += 1; model.last = format!("{} reset={}", update.position, update.reset); Vec::new() }
        Msg::Link(state) => { model.link = state; Vec::new() }
        Msg::Key(Key { code: KeyCode::Char('i'), .. }) => { model.asked += 1; vec![Effect::Ask { id: model.asked, request: Box::new(Request::InboxList(Nothing {})) }] }
        Msg::Key(Key { code: KeyCode::Char('q'), .. }) => vec![Effect::Hide],
        Msg::Reply { id, outcome } => { model.last = format!("reply {id} {outcome:?}"); Vec::new() }
        _ => Vec::new(),
    }
}
