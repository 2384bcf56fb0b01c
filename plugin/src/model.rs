//! STUB until merged.
#[derive(Debug, Default)]
pub struct Model { pub lines: u64, pub link: crate::msg::LinkState, pub last: String, pub asked: u64 }
