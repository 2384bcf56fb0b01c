//! Zellij's calls into the plugin and the plugin's into Zellij, over standard input and output.
//!
//! The names of the calls are those of Zellij's own crate.

use std::{
    cell::RefCell,
    io::{BufRead as _, Write as _},
};

use claustre_plugin::{
    link::Identity,
    zellij::{
        PaneId, VERSION,
        answer::{self, PaneInfo, Session, TabInfo},
        command, event,
        wire::{self, Message},
    },
};

use super::Shell;

thread_local! {
    static SHELL: RefCell<Shell> = RefCell::default();
}

/// What comes before Zellij's first call.
pub fn start() {
    std::panic::set_hook(Box::new(|reason| {
        run(&command::report_crash(
            &reason.to_string().replace('\n', "\r\n"),
        ));
    }));
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

#[expect(unsafe_code, reason = "declares Zellij's one function")]
#[link(wasm_import_module = "zellij")]
unsafe extern "C" {
    fn host_run_plugin_command();
}

fn run(command: &Message) {
    let mut stdout = std::io::stdout().lock();
    let line = wire::to_numbers(command.as_bytes());
    if stdout
        .write_all(&line)
        .and_then(|()| stdout.flush())
        .is_err()
    {
        return;
    }
    drop(stdout);
    #[expect(unsafe_code, reason = "calls Zellij")]
    // SAFETY: Zellij provides it; it takes nothing and returns nothing, and reads the command from standard output.
    unsafe {
        host_run_plugin_command();
    }
}

fn ask(command: &Message) -> Vec<u8> {
    run(command);
    input()
}

pub fn get_plugin_ids() -> Identity {
    answer::ids(&ask(&command::ids()))
}

pub fn subscribe(kinds: &[u64]) {
    run(&command::subscribe(kinds));
}

pub fn request_permission(permissions: &[u64]) {
    run(&command::request_permission(permissions));
}

pub fn set_timeout(seconds: f64) {
    run(&command::timeout(seconds));
}

pub fn show_self() {
    run(&command::show_self());
}

pub fn hide_self() {
    run(&command::hide_self());
}

pub fn launch_or_focus(alias: &str) {
    run(&command::launch_or_focus(alias));
}

pub fn place_floating_pane(pane: PaneId, left: u64, top: u64, width: u64, height: u64) {
    run(&command::place_floating_pane(
        pane, left, top, width, height,
    ));
}

pub fn rename_plugin_pane(id: u32, name: &str) {
    run(&command::rename_plugin_pane(id, name));
}

pub fn run_command(argv: &[&str]) {
    run(&command::run_command(argv));
}

pub fn copy_to_clipboard(text: &str) {
    run(&command::copy(text));
}

pub fn unblock_cli_pipe_input(pipe: &str) {
    run(&command::unblock_pipe(pipe));
}

pub fn block_cli_pipe_input(pipe: &str) {
    run(&command::block_pipe(pipe));
}

pub fn cli_pipe_output(pipe: &str, output: &str) {
    run(&command::pipe_output(pipe, output));
}

pub fn open_command_pane_background(
    program: &str,
    arguments: &[String],
    directory: &str,
) -> Option<PaneId> {
    answer::pane_id(&ask(&command::open_background_pane(
        program, arguments, directory,
    )))
}

pub fn break_panes_to_new_tab(panes: &[PaneId], name: &str) {
    ask(&command::break_panes_to_new_tab(panes, name));
}

pub fn focus_terminal_pane(id: u32) {
    run(&command::focus_terminal(id));
}

pub fn close_pane_with_id(pane: PaneId) {
    run(&command::close_pane(pane));
}

pub fn write_to_pane_id(bytes: &[u8], pane: PaneId) {
    run(&command::write_to_pane(pane, bytes));
}

pub fn get_pane_screen(pane: PaneId) -> Result<Vec<String>, String> {
    answer::screen(&ask(&command::read_pane(pane)))
}

pub fn get_pane_info(pane: PaneId) -> Option<PaneInfo> {
    answer::pane(&ask(&command::pane(pane)))
}

/// The tab's number and the pane that has the focus; none while our client is not attached.
pub fn get_focused_pane_info() -> Option<(u64, PaneId)> {
    answer::focus(&ask(&command::focused_pane()))
}

pub fn get_tab_info(id: u64) -> Option<TabInfo> {
    answer::tab(&ask(&command::tab(id)))
}

pub fn close_tab_with_id(id: u64) {
    run(&command::close_tab(id));
}

pub fn rename_tab_with_id(id: u64, name: &str) {
    run(&command::rename_tab(id, name));
}

/// The session that this plugin runs in; none while the server does not list itself yet.
pub fn get_session() -> Option<Session> {
    answer::session(&ask(&command::sessions()))
}
