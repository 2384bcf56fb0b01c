//! What the plugin asks Zellij for. Each function gives the bytes of one command.

use super::{PaneId, wire::Message};

/// What the plugin may be allowed to do, by Zellij's numbers.
pub mod permission {
    /// To see panes and tabs.
    pub const READ_APPLICATION_STATE: u64 = 0;
    /// To change them.
    pub const CHANGE_APPLICATION_STATE: u64 = 1;
    /// To run commands.
    pub const RUN_COMMANDS: u64 = 3;
    /// To open panes.
    pub const OPEN_TERMINALS_OR_PLUGINS: u64 = 4;
    /// To write into panes.
    pub const WRITE_TO_STDIN: u64 = 5;
    /// To hold pipes open and answer on them.
    pub const READ_CLI_PIPES: u64 = 7;
    /// To read what panes show.
    pub const READ_PANE_CONTENTS: u64 = 13;
    /// To do what a key binding can do.
    pub const RUN_ACTIONS_AS_USER: u64 = 14;
    /// To copy.
    pub const WRITE_TO_CLIPBOARD: u64 = 15;
}

/// Wants these kinds of events ([`super::event::kind`]).
pub fn subscribe(kinds: &[u64]) -> Message {
    named(0).message(2, &Message::new().message(1, &numbers(kinds)))
}

/// Asks who we are; answered by [`super::answer::ids`].
pub fn ids() -> Message {
    named(3)
}

/// Wants an event in so many seconds.
pub fn timeout(seconds: f64) -> Message {
    named(12).message(12, &Message::new().fraction(1, seconds))
}

/// Takes the plugin's pane off the screen.
pub fn hide_self() -> Message {
    named(16)
}

/// Shows the plugin's pane, floating, and focuses it.
pub fn show_self() -> Message {
    named(17).number(16, 1)
}

/// Closes a pane.
pub fn close_pane(pane: PaneId) -> Message {
    match pane {
        PaneId::Terminal(id) => named(58).number(30, u64::from(id)),
        PaneId::Plugin(id) => named(59).number(31, u64::from(id)),
    }
}

/// Shows a terminal pane's tab and focuses it.
pub fn focus_terminal(id: u32) -> Message {
    named(60).message(32, &Message::new().number(1, u64::from(id)))
}

/// Names a plugin's pane.
pub fn rename_plugin_pane(id: u32, name: &str) -> Message {
    named(63).message(35, &Message::new().number(1, u64::from(id)).text(2, name))
}

/// Tells why the plugin ends.
pub fn report_crash(reason: &str) -> Message {
    named(65).text(37, reason)
}

/// Asks the user for these ([`permission`]).
pub fn request_permission(permissions: &[u64]) -> Message {
    named(66).message(38, &numbers(permissions))
}

/// Runs a program outside of any pane.
pub fn run_command(argv: &[&str]) -> Message {
    let command = argv
        .iter()
        .fold(Message::new(), |command, word| command.text(1, word));
    named(71).message(43, &command.text(3, "."))
}

/// Lets the pipe's program go on, or end.
pub fn unblock_pipe(pipe: &str) -> Message {
    named(76).text(47, pipe)
}

/// Holds the pipe open: what is written to it is no longer answered by itself.
pub fn block_pipe(pipe: &str) -> Message {
    named(77).text(48, pipe)
}

/// Writes to a pipe.
pub fn pipe_output(pipe: &str, output: &str) -> Message {
    named(78).message(49, &Message::new().text(1, pipe).text(2, output))
}

/// Starts a command in a pane off the screen; answered by [`super::answer::pane_id`].
pub fn open_background_pane(program: &str, arguments: &[String], directory: &str) -> Message {
    let command = arguments
        .iter()
        .fold(Message::new().text(1, program), |command, argument| {
            command.text(2, argument)
        });
    named(90).message(66, &Message::new().message(1, &command.text(3, directory)))
}

/// Types bytes into a pane.
pub fn write_to_pane(pane: PaneId, bytes: &[u8]) -> Message {
    named(94).message(70, &Message::new().bytes(1, bytes).message(2, &id(pane)))
}

/// Moves panes into a new tab without moving the focus; the answer says which.
pub fn break_panes_to_new_tab(panes: &[PaneId], name: &str) -> Message {
    let content = panes.iter().fold(Message::new(), |content, pane| {
        content.message(1, &id(*pane))
    });
    named(108).message(84, &content.text(3, name))
}

/// Gives a floating pane its place and size, in percent of the screen.
pub fn place_floating_pane(pane: PaneId, left: u64, top: u64, width: u64, height: u64) -> Message {
    let coordinates = [left, top, width, height].into_iter().zip(1..).fold(
        Message::new(),
        |coordinates, (percent, field)| {
            coordinates.message(field, &Message::new().number(1, 1).number(2, percent))
        },
    );
    let one = Message::new()
        .message(1, &id(pane))
        .message(2, &coordinates);
    named(117).message(92, &Message::new().message(1, &one))
}

/// Asks for what a pane shows; answered by [`super::answer::screen`].
pub fn read_pane(pane: PaneId) -> Message {
    named(163).message(113, &Message::new().message(1, &id(pane)))
}

/// Shows the plugin of this alias, floating, in the tab that has the focus.
pub fn launch_or_focus(alias: &str) -> Message {
    let plugin = Message::new().text(1, alias).number(2, 1).number(4, 1);
    let action = Message::new().number(1, 53).message(25, &plugin);
    named(164).message(114, &Message::new().message(1, &action))
}

/// Copies.
pub fn copy(text: &str) -> Message {
    named(170).message(120, &Message::new().text(1, text))
}

/// Asks which pane has the focus; answered by [`super::answer::focus`].
pub fn focused_pane() -> Message {
    named(183)
}

/// Asks for a pane; answered by [`super::answer::pane`].
pub fn pane(pane: PaneId) -> Message {
    named(188).message(139, &Message::new().message(1, &id(pane)))
}

/// Asks for a tab; answered by [`super::answer::tab`].
pub fn tab(id: u64) -> Message {
    named(189).message(140, &Message::new().number(1, id))
}

/// Closes a tab.
pub fn close_tab(id: u64) -> Message {
    named(194).message(145, &Message::new().number(1, id))
}

/// Names a tab.
pub fn rename_tab(id: u64, name: &str) -> Message {
    named(195).message(146, &Message::new().number(1, id).text(2, name))
}

/// Asks for the sessions with their tabs and panes; answered by [`super::answer::session`].
pub fn sessions() -> Message {
    named(211)
}

fn named(name: u64) -> Message {
    Message::new().number(1, name)
}

fn numbers(numbers: &[u64]) -> Message {
    numbers
        .iter()
        .fold(Message::new(), |list, number| list.number(1, *number))
}

fn id(pane: PaneId) -> Message {
    let (kind, id) = match pane {
        PaneId::Terminal(id) => (0, id),
        PaneId::Plugin(id) => (1, id),
    };
    Message::new().number(1, kind).number(2, u64::from(id))
}
