//! STUB until merged.
use ratatui_core::{buffer::Buffer, style::Style};
pub fn view(model: &crate::model::Model, buffer: &mut Buffer) {
    buffer.set_stringn(0, 0, format!("claustre lines={} link={:?} last={}", model.lines, model.link, model.last), usize::from(buffer.area.width), Style::default());
}
