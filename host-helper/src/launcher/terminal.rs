//! The terminal of the pane: who has it, and putting it back in order when a client left it in disorder.

use std::{
    io::{self, IsTerminal, Write},
    os::fd::AsFd,
};

use rustix::{
    process::getpgrp,
    termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr, tcsetpgrp},
};

/// Shows the cursor, ends bracketed paste, mouse and focus reports, synchronised drawing, the key protocols, colours.
const CALM: &str = "\u{1b}[?25h\u{1b}[?2004l\u{1b}[?1000l\u{1b}[?1002l\u{1b}[?1003l\u{1b}[?1006l\u{1b}[?1004l\u{1b}[?2026l\u{1b}[<u\u{1b}[>4;0m\u{1b}[0m";
/// Leaves the other screen. A client that ended in order did so itself, and a second time would move the cursor.
const LEAVE_SCREEN: &str = "\u{1b}[?1049l";

/// The terminal, with its settings as they were before the first client.
#[derive(Debug)]
pub struct Terminal {
    sane: Option<Termios>,
}

impl Terminal {
    /// Takes note of the settings; there may be no terminal at all.
    pub fn remember() -> Self {
        let stdin = io::stdin();
        let sane = if stdin.is_terminal() {
            tcgetattr(stdin.as_fd()).ok()
        } else {
            None
        };
        Self { sane }
    }

    /// Is there one?
    pub fn is_there(&self) -> bool {
        self.sane.is_some()
    }

    /// Takes it back from a client that ended or stopped.
    pub fn take_back(&self, crashed: bool) {
        let Some(sane) = &self.sane else { return };
        let stdin = io::stdin();
        let _ = tcsetpgrp(stdin.as_fd(), getpgrp());
        let _ = tcsetattr(stdin.as_fd(), OptionalActions::Drain, sane);
        let mut output = io::stdout().lock();
        if crashed {
            drop(output.write_all(LEAVE_SCREEN.as_bytes()));
        }
        drop(output.write_all(CALM.as_bytes()));
        drop(output.flush());
    }

    /// Gives it to this process group.
    pub fn give_to(&self, group: rustix::process::Pid) {
        if self.is_there() {
            let _ = tcsetpgrp(io::stdin().as_fd(), group);
        }
    }

    /// From now on each key can be read at once and is not shown.
    pub fn read_keys(&self) {
        if let Some(sane) = &self.sane {
            let mut keys = sane.clone();
            keys.local_modes &= !(LocalModes::ICANON | LocalModes::ECHO);
            let _ = tcsetattr(io::stdin().as_fd(), OptionalActions::Now, &keys);
        }
    }

    /// Ends [`Terminal::read_keys`].
    pub fn read_lines(&self) {
        if let Some(sane) = &self.sane {
            let _ = tcsetattr(io::stdin().as_fd(), OptionalActions::Now, sane);
        }
    }
}

/// One key that is there; none where the input is closed. Unbuffered: what follows is for the client.
pub fn key() -> Option<u8> {
    let mut byte = [0_u8];
    match rustix::io::retry_on_intr(|| rustix::io::read(io::stdin(), &mut byte)) {
        Ok(1) => byte.first().copied(),
        _ => None,
    }
}

/// Says something in the pane.
pub fn say(text: &str) {
    let mut output = io::stdout().lock();
    drop(writeln!(output, "claustre: {text}"));
    drop(output.flush());
}
