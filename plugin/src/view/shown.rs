//! Whether all of what a session asks is on the screen: only then `y` allows it.

use claustre_protocol::ids::AskId;
use ratatui_core::layout::Rect;

use super::{detail, head};
use crate::model::{
    Model,
    overlay::{AskView, Overlay},
};

/// The ask whose text is drawn to its end at the current size: in the panel from its first line, on its page after
/// what was scrolled past. None where anything of it is cut, covered or still to come.
pub fn ask_in_full(model: &Model) -> Option<AskId> {
    if !model.ready || !model.areas().enough {
        return None;
    }
    match model.overlays.last() {
        None => detail::ask_in_full(model),
        Some(Overlay::Ask(view)) => page_end(model, view).then_some(view.ask),
        Some(_) => None,
    }
}

/// Whether `y` allows what is asked, rather than opening or scrolling it.
pub fn allows(model: &Model) -> bool {
    let ended = match model.overlays.last() {
        Some(Overlay::Ask(view)) => view.end_seen && view.is_whole(),
        Some(_) | None => false,
    };
    ended || ask_in_full(model).is_some()
}

fn page_end(model: &Model, view: &AskView) -> bool {
    let frame = model.overlay_area();
    let inside = Rect::new(
        frame.x,
        frame.y + 1,
        frame.width,
        frame.height.saturating_sub(2),
    );
    let bottom = inside.bottom().min(head::free_rows(model));
    let room = usize::from(bottom.saturating_sub(inside.y));
    view.is_whole()
        && !view.gone
        && view.page.columns == model.overlay_columns()
        && view.page.top + room >= view.page.lines.len()
}
