//! The small terminal interface: a growing conversation above, the prompt box or a dialog below.

use std::io::Write as _;

use rustix::termios::{OptionalActions, Termios};

/// A dialog as it is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Dialog {
    pub title: String,
    pub lines: Vec<String>,
    pub question: String,
    pub options: Vec<String>,
    pub selected: usize,
}

/// What stands below the conversation.
#[derive(Clone, Debug, Default)]
pub struct Bottom {
    pub dialog: Option<Dialog>,
    /// Shown while the model works.
    pub spinner: Option<String>,
    pub queued: Vec<String>,
    pub input: String,
    pub footer: Vec<String>,
}

/// The terminal in raw mode, restored when dropped.
pub struct Screen {
    original: Option<Termios>,
    /// Rows of the bottom part that are on the screen now.
    drawn: usize,
    /// Only whole lines are printed when there is no terminal.
    plain: bool,
}

impl Screen {
    /// Takes over the terminal, if stdout and stdin are one.
    #[must_use]
    pub fn open(title: &str) -> Self {
        let original = rustix::termios::tcgetattr(std::io::stdin()).ok();
        if let Some(original) = &original {
            let mut raw = original.clone();
            raw.make_raw();
            let _raw = rustix::termios::tcsetattr(std::io::stdin(), OptionalActions::Now, &raw);
        }
        let plain = original.is_none();
        let screen = Self {
            original,
            drawn: 0,
            plain,
        };
        if !plain {
            // Bracketed paste and the title of the window.
            let title: String = title
                .chars()
                .filter(|letter| !letter.is_control())
                .collect();
            screen.write(&format!("\x1b[?2004h\x1b]0;✳ {title}\x07"));
        }
        screen
    }

    fn write(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        drop(out.write_all(text.as_bytes()));
        drop(out.flush());
    }

    fn columns() -> usize {
        let size = rustix::termios::tcgetwinsize(std::io::stdout());
        size.map_or(80, |size| usize::from(size.ws_col)).max(20)
    }

    /// Prints new lines of the conversation and draws the bottom part anew.
    pub fn draw(&mut self, lines: &[String], bottom: &Bottom) {
        if self.plain {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            self.write(&text);
            return;
        }
        let columns = Self::columns();
        let mut frame = self.erase();
        for line in lines {
            frame.push_str(&visible(line, columns));
            frame.push_str("\r\n");
        }
        let rows = bottom.rows(columns);
        frame.push_str(&rows.join("\r\n"));
        self.drawn = rows.len();
        self.write(&frame);
    }

    fn erase(&self) -> String {
        match self.drawn {
            0 => String::new(),
            1 => "\r\x1b[J".into(),
            rows => format!("\r\x1b[{}A\x1b[J", rows - 1),
        }
    }

    /// Gives the terminal back, with last words.
    pub fn close(&mut self, words: &str) {
        if self.plain {
            self.write(words);
            return;
        }
        let words = words.replace('\n', "\r\n");
        self.write(&format!("{}\x1b[?2004l{words}", self.erase()));
        self.drawn = 0;
        self.restore();
    }

    fn restore(&mut self) {
        if let Some(original) = self.original.take() {
            let _restored =
                rustix::termios::tcsetattr(std::io::stdin(), OptionalActions::Now, &original);
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.restore();
    }
}

impl Bottom {
    fn rows(&self, columns: usize) -> Vec<String> {
        let rule = "─".repeat(columns - 1);
        let mut rows = Vec::new();
        if let Some(dialog) = &self.dialog {
            rows.push(rule);
            rows.push(format!(" {}", dialog.title));
            rows.extend(dialog.lines.iter().map(|line| format!("   {line}")));
            rows.push(format!(" {}", dialog.question));
            for (index, option) in dialog.options.iter().enumerate() {
                let mark = if index == dialog.selected { "❯" } else { " " };
                rows.push(format!(" {mark} {}. {option}", index + 1));
            }
            rows.push(" Esc to cancel".into());
        } else {
            rows.extend(self.spinner.clone());
            rows.extend(
                self.queued
                    .iter()
                    .map(|prompt| format!("  ⏎ {}", first_line(prompt))),
            );
            rows.push(rule.clone());
            for (index, line) in self.input.split('\n').enumerate() {
                let mark = if index == 0 { ">" } else { " " };
                rows.push(format!("{mark} {line}"));
            }
            rows.push(rule);
            rows.extend(self.footer.iter().map(|line| format!("  {line}")));
        }
        rows.iter().map(|row| visible(row, columns)).collect()
    }
}

/// The first line of a text, with a note on how many follow.
#[must_use]
pub fn first_line(text: &str) -> String {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default().to_owned();
    match lines.count() {
        0 => first,
        more => format!("{first} [+{more} lines]"),
    }
}

/// One screen row: no control characters, cut to the width.
fn visible(text: &str, columns: usize) -> String {
    text.chars()
        .map(|letter| if letter == '\t' { ' ' } else { letter })
        .filter(|letter| !letter.is_control())
        .take(columns - 1)
        .collect()
}
