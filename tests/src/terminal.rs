//! A terminal for programs that draw: a pty, an emulator that reads it, and answers to what programs ask a terminal.

use std::ffi::OsStr;
use std::io::{Read as _, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};

use crate::env::TestEnv;
use crate::wait::{wait_for, wait_for_value};

/// Pixels of one character cell, for programs that ask.
const CELL: (u16, u16) = (8, 16);

pub const ENTER: &str = "\r";
pub const ESCAPE: &str = "\x1b";
pub const CTRL_C: &str = "\x03";
pub const CTRL_U: &str = "\x15";

/// A program in a terminal. It is ended when this is dropped.
pub struct Terminal {
    master: Box<dyn MasterPty + Send>,
    child: Box<dyn Child + Send + Sync>,
    writer: Writer,
    emulator: Arc<Mutex<Emulator>>,
    program: String,
}

type Writer = Arc<Mutex<Box<dyn Write + Send>>>;

struct Emulator {
    parser: vt100::Parser<Replies>,
    /// Everything the program wrote.
    output: Vec<u8>,
    /// What somebody waits for, and whom to tell.
    watches: Vec<(Condition, Sender<Instant>)>,
}

type Condition = Box<dyn Fn(&str) -> bool + Send>;

impl Emulator {
    /// Takes what was written at this moment, and tells those whose condition it fulfils.
    fn take(&mut self, bytes: &[u8], arrived: Instant) {
        self.output.extend_from_slice(bytes);
        self.parser.process(bytes);
        if !self.watches.is_empty() {
            let shown = self.parser.screen().contents();
            self.watches.retain(|(condition, tell)| {
                let fulfilled = condition(&shown);
                if fulfilled {
                    // Nobody may wait any more.
                    tell.send(arrived).ok();
                }
                !fulfilled
            });
        }
    }
}

impl Terminal {
    /// Starts a program of an environment in its home.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn spawn(
        env: &TestEnv,
        program: impl AsRef<OsStr>,
        arguments: &[&str],
        columns: u16,
        rows: u16,
    ) -> Self {
        Self::spawn_in(env, &env.home(), program, arguments, columns, rows)
    }

    /// Starts a program of an environment in a folder.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn spawn_in(
        env: &TestEnv,
        folder: &Path,
        program: impl AsRef<OsStr>,
        arguments: &[&str],
        columns: u16,
        rows: u16,
    ) -> Self {
        let mut command = CommandBuilder::new(env.resolve(program.as_ref()));
        command.args(arguments);
        command.env_clear();
        for (name, value) in env.variables() {
            // A program in a terminal asks the terminal for its size.
            if name != "COLUMNS" {
                command.env(name, value);
            }
        }
        command.cwd(folder);
        let pair = native_pty_system().openpty(size(columns, rows)).unwrap();
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let writer: Writer = Arc::new(Mutex::new(pair.master.take_writer().unwrap()));
        let replies = Replies {
            pending: Vec::new(),
        };
        let parser = vt100::Parser::new_with_callbacks(cells(rows), cells(columns), 2000, replies);
        let emulator = Arc::new(Mutex::new(Emulator {
            parser,
            output: Vec::new(),
            watches: Vec::new(),
        }));
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (reading, answering) = (Arc::clone(&emulator), Arc::clone(&writer));
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                let arrived = Instant::now();
                let replies = {
                    let mut emulator = lock(&reading);
                    emulator.take(&buffer[..count], arrived);
                    std::mem::take(&mut emulator.parser.callbacks_mut().pending)
                };
                if !replies.is_empty() {
                    let mut writer = lock(&answering);
                    drop(writer.write_all(&replies));
                    drop(writer.flush());
                }
            }
        });
        let program = program.as_ref().display().to_string();
        Self {
            master: pair.master,
            child,
            writer,
            emulator,
            program,
        }
    }

    /// Types.
    ///
    /// # Panics
    /// When the program's terminal is gone.
    #[track_caller]
    pub fn send(&self, keys: &str) {
        let mut writer = lock(&self.writer);
        writer.write_all(keys.as_bytes()).unwrap();
        writer.flush().unwrap();
    }

    /// Pastes, as a terminal does for a program that asked for bracketed paste.
    #[track_caller]
    pub fn paste(&self, text: &str) {
        self.send(&format!("\x1b[200~{text}\x1b[201~"));
    }

    /// What is on the screen: rows without trailing blanks, no blank rows at the end.
    #[must_use]
    pub fn screen(&self) -> String {
        let emulator = lock(&self.emulator);
        let screen = emulator.parser.screen();
        let (_, columns) = screen.size();
        let rows: Vec<String> = screen
            .rows(0, columns.get())
            .map(|row| row.trim_end().to_owned())
            .collect();
        rows.join("\n").trim_end().to_owned()
    }

    /// Everything the program wrote so far, with its escape sequences.
    #[must_use]
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&lock(&self.emulator).output).into_owned()
    }

    /// Tells the moment at which the program wrote what makes the screen fulfil a condition. Looked at whenever it writes,
    /// so that the moment is exact; what is on the screen already does not count.
    #[must_use]
    pub fn when(&self, condition: impl Fn(&str) -> bool + Send + 'static) -> Receiver<Instant> {
        let (tell, told) = channel();
        lock(&self.emulator)
            .watches
            .push((Box::new(condition), tell));
        told
    }

    /// Waits until the screen shows a text.
    ///
    /// # Panics
    /// With the screen, when it does not in time.
    #[track_caller]
    pub fn wait_for_text(&self, text: &str, deadline: Duration) {
        self.wait_until(&format!("the text {text:?}"), deadline, |screen| {
            screen.contains(text)
        });
    }

    /// Waits until the screen fulfils a condition.
    ///
    /// # Panics
    /// With the screen, when it does not in time.
    #[track_caller]
    pub fn wait_until(&self, what: &str, deadline: Duration, condition: impl Fn(&str) -> bool) {
        let end = std::time::Instant::now() + deadline;
        while !condition(&self.screen()) {
            assert!(
                std::time::Instant::now() < end,
                "waited {deadline:?} in vain for {what} in {}; the screen:\n{}",
                self.program,
                self.screen()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Changes the size.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn resize(&self, columns: u16, rows: u16) {
        lock(&self.emulator)
            .parser
            .screen_mut()
            .set_size(cells(rows), cells(columns));
        self.master.resize(size(columns, rows)).unwrap();
    }

    /// Process id of the program.
    ///
    /// # Panics
    /// When it has none any more.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// Sends a signal to the program.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.pid())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
            .unwrap();
        let _sent = rustix::process::kill_process(pid, signal);
    }

    /// Whether the program still runs.
    #[must_use]
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for the program's end.
    ///
    /// # Panics
    /// With the screen, when it does not end in time.
    #[track_caller]
    pub fn wait_exit(&mut self, deadline: Duration) -> ExitStatus {
        let what = format!(
            "the end of {}; the screen:\n{}",
            self.program,
            self.screen()
        );
        wait_for_value(&what, deadline, || self.child.try_wait().unwrap())
    }

    /// Closes the window: the program gets a SIGHUP.
    pub fn hang_up(&mut self) {
        self.signal(rustix::process::Signal::HUP);
        wait_for("the end after a hang-up", Duration::from_secs(10), || {
            !self.is_running()
        });
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).expect("a terminal has at least one row and one column")
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize {
        rows,
        cols: columns,
        pixel_width: columns * CELL.0,
        pixel_height: rows * CELL.1,
    }
}

/// Answers to what programs ask a terminal. Without them some wait for seconds.
struct Replies {
    pending: Vec<u8>,
}

impl Replies {
    fn say(&mut self, text: &str) {
        self.pending.extend_from_slice(text.as_bytes());
    }
}

impl vt100::Callbacks for Replies {
    fn unhandled_csi(
        &mut self,
        screen: &mut vt100::Screen,
        first: Option<u8>,
        second: Option<u8>,
        parameters: &[&[u16]],
        letter: char,
    ) {
        let parameter = parameters
            .first()
            .and_then(|group| group.first())
            .copied()
            .unwrap_or(0);
        let (rows, columns) = screen.size();
        match (first, second, letter, parameter) {
            (None, None, 'c', 0) => self.say("\x1b[?62;22c"),
            (Some(b'>'), None, 'c', 0) => self.say("\x1b[>0;10;1c"),
            (None, None, 'n', 5) => self.say("\x1b[0n"),
            (None, None, 'n', 6) => {
                let (row, column) = screen.cursor_position();
                self.say(&format!("\x1b[{};{}R", row + 1, column + 1));
            }
            (None, None, 't', 14) => {
                let (height, width) = (rows.get() * CELL.1, columns.get() * CELL.0);
                self.say(&format!("\x1b[4;{height};{width}t"));
            }
            (None, None, 't', 16) => self.say(&format!("\x1b[6;{};{}t", CELL.1, CELL.0)),
            (None, None, 't', 18) => self.say(&format!("\x1b[8;{rows};{columns}t")),
            // Is a mode known? No.
            (Some(b'?'), Some(b'$'), 'p', mode) => self.say(&format!("\x1b[?{mode};0$y")),
            _ => {}
        }
    }

    fn unhandled_osc(&mut self, _: &mut vt100::Screen, parameters: &[&[u8]]) {
        match parameters {
            [b"10", b"?"] => self.say("\x1b]10;rgb:dddd/dddd/dddd\x1b\\"),
            [b"11", b"?"] => self.say("\x1b]11;rgb:1111/1111/1111\x1b\\"),
            [b"4", index, b"?"] => {
                let index = String::from_utf8_lossy(index).into_owned();
                self.say(&format!("\x1b]4;{index};rgb:8888/8888/8888\x1b\\"));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replies_to(bytes: &[u8]) -> String {
        let mut parser = vt100::Parser::new_with_callbacks(
            cells(24),
            cells(80),
            0,
            Replies {
                pending: Vec::new(),
            },
        );
        parser.process(bytes);
        String::from_utf8(std::mem::take(&mut parser.callbacks_mut().pending)).unwrap()
    }

    #[test]
    fn what_programs_ask_a_terminal_is_answered() {
        assert_eq!(replies_to(b"\x1b[c"), "\x1b[?62;22c");
        assert_eq!(replies_to(b"ab\r\nc\x1b[6n"), "\x1b[2;2R");
        assert_eq!(
            replies_to(b"\x1b[14t\x1b[16t"),
            "\x1b[4;384;640t\x1b[6;16;8t"
        );
        assert_eq!(replies_to(b"\x1b[?2026$p"), "\x1b[?2026;0$y");
        assert!(replies_to(b"\x1b]11;?\x1b\\").contains("11;rgb:"));
    }
}
