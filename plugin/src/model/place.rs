//! Where the topmost overlay is drawn, and how many rows of its list fit.

use ratatui_core::layout::Rect;

use super::{
    Model,
    form::{FieldName, MOST_LINES},
    overlay::Overlay,
};
use crate::text;

impl Model {
    /// The place of the topmost overlay, its frame included.
    pub(crate) fn overlay_area(&self) -> Rect {
        let areas = self.areas();
        let rows = |count: usize| u16::try_from(count).unwrap_or(u16::MAX).saturating_add(2);
        match self.overlays.last() {
            None => Rect::default(),
            Some(Overlay::Help(page)) => areas.over(92, rows(page.lines.len())),
            Some(Overlay::Ask(view)) => areas.over(100, rows(view.page.lines.len()).max(8)),
            Some(Overlay::Details(view)) => {
                let lines = view.page.as_ref().map_or(4, |page| page.lines.len());
                areas.over(112, rows(lines).max(12))
            }
            Some(Overlay::Inbox(_)) => areas.over(112, rows(self.data.inbox.len()).max(6)),
            Some(Overlay::Review(_)) => areas.over(64, 7),
            Some(Overlay::Steps(view)) => {
                let count = view.steps.as_ref().map_or(0, Vec::len);
                areas.over(84, rows(count + 2).max(8))
            }
            Some(Overlay::Confirm(confirm)) => {
                let columns = areas.over(84, 1).width.saturating_sub(4);
                areas.over(84, rows(confirm.laid_out(columns).len() + 2))
            }
            Some(Overlay::Form(form)) => {
                let wanted: usize = form
                    .fields
                    .iter()
                    .map(|field| match field.name {
                        FieldName::Prompt => 9,
                        FieldName::Steps => 4,
                        _ => 1,
                    })
                    .sum();
                // A reason in several lines takes no room from the fields.
                let columns = areas.over(104, 1).width.saturating_sub(5);
                let reason = form
                    .error
                    .as_ref()
                    .map_or(1, |error| text::wrap(error, columns).len());
                areas.over(104, rows(wanted + 1 + reason.clamp(1, MOST_LINES)))
            }
            Some(Overlay::Text(prompt)) => {
                let wanted = if prompt.kind == super::TextKind::Step {
                    6
                } else {
                    14
                };
                areas.over(92, wanted)
            }
            Some(Overlay::Palette(_)) => areas.over(84, 22),
        }
    }

    /// Columns of text inside the topmost overlay: a frame and a blank on each side.
    pub(crate) fn overlay_columns(&self) -> u16 {
        self.overlay_area().width.saturating_sub(4)
    }
}
