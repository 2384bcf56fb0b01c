//! STUB until merged.
use ratatui_core::buffer::Buffer;
pub fn encode(buffer: &Buffer, out: &mut String) {
    for x in 0..buffer.area.width { if let Some(cell) = buffer.cell((x, 0)) { out.push_str(cell.symbol()); } }
}
