//! Zellij's calls into the plugin.
//!
//! They are what `register_plugin!` of Zellij's crate would declare, but for how their input is read. The macro decodes
//! each event with the crate's own types, which turn a typed character into one byte (`ж` arrives as `6`), end the plugin
//! on anything they do not know, and bring a third of a megabyte of code with them. Once the crate keeps characters whole, only
//! size speaks for this module.

use std::{cell::RefCell, io::BufRead as _};

use claustre_plugin::zellij::{event, wire};
use zellij_tile::prelude::{VERSION, report_panic};

use super::Shell;

thread_local! {
    static SHELL: RefCell<Shell> = RefCell::default();
}

/// What comes before Zellij's first call.
pub fn start() {
    std::panic::set_hook(Box::new(report_panic));
}

#[expect(unsafe_code, reason = "Zellij calls it by this name")]
#[unsafe(no_mangle)]
extern "C" fn load() {
    let configuration = event::configuration(&input());
    SHELL.with_borrow_mut(|shell| shell.load(configuration));
}

#[expect(unsafe_code, reason = "Zellij calls it by this name")]
#[unsafe(no_mangle)]
extern "C" fn update() -> bool {
    let event = event::event(&input());
    SHELL.with_borrow_mut(|shell| shell.update(event))
}

#[expect(unsafe_code, reason = "Zellij calls it by this name")]
#[unsafe(no_mangle)]
extern "C" fn pipe() -> bool {
    let message = event::pipe_message(&input());
    SHELL.with_borrow_mut(|shell| shell.pipe(message))
}

#[expect(unsafe_code, reason = "Zellij calls it by this name")]
#[unsafe(no_mangle)]
extern "C" fn render(rows: i32, columns: i32) {
    let cells = |number| u16::try_from(number).unwrap_or_default();
    SHELL.with_borrow_mut(|shell| shell.render(cells(rows), cells(columns)));
}

#[expect(unsafe_code, reason = "Zellij calls it by this name")]
#[unsafe(no_mangle)]
extern "C" fn plugin_version() {
    println!("{VERSION}");
}

/// The bytes of the line that Zellij wrote; none if it wrote none, as where a permission is missing.
fn input() -> Vec<u8> {
    let mut line = Vec::new();
    match std::io::stdin().lock().read_until(b'\n', &mut line) {
        Ok(_) => wire::from_numbers(&line),
        Err(_) => Vec::new(),
    }
}
