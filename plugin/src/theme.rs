//! What things look like: styles by meaning, and the marks of statuses.
//!
//! Calm by default: one accent for what has the focus, dim for what is old or done, the warning colours only for what
//! needs a person. Colour never carries a meaning alone: a mark or a word always says the same.

use claustre_protocol::{
    model::InboxKind,
    status::{ClaudeStatus, Reason, TaskStatus},
};
use ratatui_core::style::{Color, Modifier, Style};

use crate::msg::{Colour, Palette};

/// Styles by meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    /// Ordinary text.
    pub text: Style,
    /// What stands out: names, titles.
    pub strong: Style,
    /// Old, done and secondary things.
    pub dim: Style,
    /// What has the focus.
    pub accent: Style,
    /// The selected row; laid over the row's own styles.
    pub selection: Style,
    /// Needs a person.
    pub warning: Style,
    /// Failed.
    pub error: Style,
    /// Went well.
    pub success: Style,
    /// Lines of frames.
    pub frame: Style,
}

impl Default for Theme {
    fn default() -> Self {
        Self::from_palette(&Palette::default())
    }
}

impl Theme {
    /// Takes the user's colours; what is absent becomes a colour that every terminal has.
    pub fn from_palette(palette: &Palette) -> Self {
        let base = Style::new();
        let coloured = |given: Option<Colour>, otherwise: Style| {
            given.map_or(otherwise, |given| base.fg(colour(given)))
        };
        let text = coloured(palette.text, base);
        Self {
            text,
            strong: text.add_modifier(Modifier::BOLD),
            dim: coloured(palette.dim, base.fg(Color::DarkGray)),
            accent: coloured(palette.accent, base.fg(Color::Cyan)),
            selection: palette
                .selection
                .map_or(base.add_modifier(Modifier::REVERSED), |given| {
                    // The theme's text goes with its background: the terminal's own may be as light, or as dark.
                    coloured(palette.selected_text, base).bg(colour(given))
                }),
            warning: coloured(palette.warning, base.fg(Color::Yellow)),
            error: coloured(palette.error, base.fg(Color::Red)),
            success: coloured(palette.success, base.fg(Color::Green)),
            frame: coloured(palette.frame, base.fg(Color::DarkGray)),
        }
    }

    /// The style of a tone.
    pub fn tone(&self, tone: Tone) -> Style {
        match tone {
            Tone::Text => self.text,
            Tone::Strong => self.strong,
            Tone::Dim => self.dim,
            Tone::Accent => self.accent,
            Tone::Warning => self.warning,
            Tone::Error => self.error,
            Tone::Success => self.success,
        }
    }
}

fn colour(given: Colour) -> Color {
    match given {
        Colour::Indexed(index) => Color::Indexed(index),
        Colour::Rgb(red, green, blue) => Color::Rgb(red, green, blue),
    }
}

/// A meaning that has a style.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Ordinary.
    Text,
    /// Stands out.
    Strong,
    /// Secondary.
    Dim,
    /// Has the focus.
    Accent,
    /// Needs a person.
    Warning,
    /// Failed.
    Error,
    /// Went well.
    Success,
}

/// A status as drawn: its glyph, the word that says the same, and its tone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// One column.
    pub glyph: &'static str,
    /// What it means, in a word or two.
    pub word: &'static str,
    /// How it is coloured.
    pub tone: Tone,
}

/// The characters that are drawn: Unicode, or plain ASCII for terminals and readers that want it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// Frame: horizontal, vertical.
    pub horizontal: &'static str,
    /// Vertical line of a frame.
    pub vertical: &'static str,
    /// Corners: top left, top right, bottom left, bottom right.
    pub corners: [&'static str; 4],
    /// Where a line meets a frame from the right, and from the left.
    pub joints: [&'static str; 2],
    /// What is cut ends in this.
    pub ellipsis: &'static str,
    /// An order that is on its way.
    pub pending: &'static str,
    /// Left of the selected row of the list with the focus.
    pub cursor: &'static str,
    /// Left of the selected row of the other list.
    pub shadow: &'static str,
    /// A project whose sessions are shown.
    pub open: &'static str,
    /// A project whose sessions are not shown.
    pub closed: &'static str,
    /// Full and empty cell of a bar.
    pub bar: [&'static str; 2],
    /// Between two facts.
    pub dot: &'static str,
    /// From which branch to which.
    pub arrow: &'static str,
    /// Before lines removed.
    pub minus: &'static str,
    /// More above, more below.
    pub more: [&'static str; 2],
    ascii: bool,
}

impl Default for Marks {
    fn default() -> Self {
        Self::unicode()
    }
}

impl Marks {
    /// The usual ones.
    pub const fn unicode() -> Self {
        Self {
            horizontal: "─",
            vertical: "│",
            corners: ["┌", "┐", "└", "┘"],
            joints: ["├", "┤"],
            ellipsis: "…",
            pending: "…",
            cursor: "▌",
            shadow: "▏",
            open: "▾",
            closed: "▸",
            bar: ["▓", "░"],
            dot: "·",
            arrow: "←",
            minus: "−",
            more: ["↑", "↓"],
            ascii: false,
        }
    }

    /// Plain ASCII.
    pub const fn ascii() -> Self {
        Self {
            horizontal: "-",
            vertical: "|",
            corners: ["+", "+", "+", "+"],
            joints: ["+", "+"],
            ellipsis: "~",
            pending: "~",
            cursor: ">",
            shadow: ":",
            open: "v",
            closed: ">",
            bar: ["#", "."],
            dot: "-",
            arrow: "<-",
            minus: "-",
            more: ["^", "v"],
            ascii: true,
        }
    }

    /// What stands for a character of ours where only ASCII is wanted; none = the character is somebody's text.
    pub const fn plain(&self, character: char) -> Option<char> {
        if !self.ascii {
            return None;
        }
        match character {
            '·' | '−' | '–' => Some('-'),
            '…' => Some('~'),
            '“' | '”' => Some('"'),
            '←' | '‹' => Some('<'),
            '→' | '›' => Some('>'),
            '↑' => Some('^'),
            '↓' => Some('v'),
            '×' => Some('x'),
            '✓' => Some('+'),
            '☐' => Some('.'),
            _ => None,
        }
    }

    const fn mark(
        &self,
        glyph: &'static str,
        ascii: &'static str,
        word: &'static str,
        tone: Tone,
    ) -> Mark {
        Mark {
            glyph: if self.ascii { ascii } else { glyph },
            word,
            tone,
        }
    }

    /// Something waits for a person.
    pub const fn needs_you(&self) -> Mark {
        self.mark("▲", "!", "needs you", Tone::Warning)
    }

    /// The mark of a step.
    pub const fn step(&self, done: bool) -> Mark {
        if done {
            self.mark("✓", "+", "done", Tone::Dim)
        } else {
            self.mark("☐", ".", "open", Tone::Text)
        }
    }

    /// The mark of a task.
    pub const fn task(&self, status: TaskStatus) -> Mark {
        match status {
            TaskStatus::Draft => self.mark("✎", "~", "draft", Tone::Dim),
            TaskStatus::Pending => self.mark("☐", ".", "pending", Tone::Text),
            TaskStatus::Working => self.mark("●", "*", "working", Tone::Accent),
            TaskStatus::Interrupted => self.mark("◌", "z", "interrupted", Tone::Warning),
            TaskStatus::InReview => self.mark("◐", "R", "in review", Tone::Warning),
            TaskStatus::Conflict => self.mark("⚠", "C", "conflict", Tone::Warning),
            TaskStatus::CiFailed => self.mark("⊘", "F", "ci failed", Tone::Error),
            TaskStatus::Blocked => self.mark("■", "B", "blocked", Tone::Warning),
            TaskStatus::Done => self.mark("✓", "+", "done", Tone::Dim),
            TaskStatus::Error => self.mark("✗", "x", "error", Tone::Error),
        }
    }

    /// The mark of a session.
    pub const fn session(&self, status: ClaudeStatus, reason: Option<Reason>) -> Mark {
        match reason {
            Some(Reason::UsageLimit) => {
                return self.mark("⏸", "=", "paused by the usage limit", Tone::Dim);
            }
            Some(Reason::Lost) => return self.mark("◌", "z", "lost", Tone::Warning),
            Some(Reason::Interrupted) => {
                return self.mark("◌", "z", "interrupted", Tone::Warning);
            }
            Some(
                Reason::Permission
                | Reason::Question
                | Reason::Dialog
                | Reason::Background
                | Reason::ApiError
                | Reason::Exited
                | Reason::Crashed
                | Reason::LaunchFailed
                | Reason::NoHooks
                | Reason::Closed,
            )
            | None => {}
        }
        match status {
            ClaudeStatus::Starting => self.mark("☐", ".", "starting", Tone::Dim),
            ClaudeStatus::Idle => self.mark("○", "-", "idle", Tone::Dim),
            ClaudeStatus::Working => self.mark("●", "*", "working", Tone::Accent),
            ClaudeStatus::WaitingForInput => self.needs_you(),
            ClaudeStatus::Done => self.mark("✓", "+", "closed", Tone::Dim),
            ClaudeStatus::Error => self.mark("✗", "x", "error", Tone::Error),
        }
    }

    /// The mark of an inbox item, and its kind in a word.
    pub const fn inbox(&self, kind: InboxKind) -> Mark {
        match kind {
            InboxKind::Permission => self.mark("▲", "!", "permission", Tone::Warning),
            InboxKind::Question => self.mark("▲", "!", "question", Tone::Warning),
            InboxKind::Dialog => self.mark("▲", "!", "dialog", Tone::Warning),
            InboxKind::Error => self.mark("✗", "x", "error", Tone::Error),
            InboxKind::CiFailed => self.mark("⊘", "F", "ci failed", Tone::Error),
            InboxKind::Conflict => self.mark("⚠", "C", "conflict", Tone::Warning),
            InboxKind::Blocked => self.mark("■", "B", "blocked", Tone::Warning),
            InboxKind::Interrupted => self.task(TaskStatus::Interrupted),
            InboxKind::Review => self.mark("◐", "R", "review", Tone::Text),
            InboxKind::Done => self.mark("✓", "+", "done", Tone::Dim),
        }
    }
}

/// Why a session has its status, in words.
pub const fn reason_words(reason: Reason) -> &'static str {
    match reason {
        Reason::Permission => "waits for a permission",
        Reason::Question => "asks something",
        Reason::Dialog => "shows a dialog",
        Reason::UsageLimit => "usage limit reached",
        Reason::Background => "background work runs",
        Reason::Interrupted => "turn was stopped",
        Reason::ApiError => "the model's service failed",
        Reason::Exited => "client exited",
        Reason::Crashed => "client crashed",
        Reason::Lost => "nothing known of the client",
        Reason::LaunchFailed => "could not be started",
        Reason::NoHooks => "reports nothing by hooks",
        Reason::Closed => "closed by a person",
    }
}
