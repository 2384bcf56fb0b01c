//! Everything that can happen to the dashboard.

use claustre_protocol::{
    dashboard::DashboardUpdate, link::DashboardSettings, rpc::Fault, time::Timestamp,
};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(
    not(target_family = "wasm"),
    expect(
        clippy::large_enum_variant,
        reason = "a message lives only as long as it takes to be handled, one at a time"
    )
)]
pub enum Msg {
    /// A key was pressed while the dashboard had the focus.
    Key(Key),
    /// Text was pasted.
    Pasted(String),
    /// The mouse did something.
    Mouse(Mouse),
    /// The pane has this size now.
    Resized {
        /// Columns.
        columns: u16,
        /// Rows.
        rows: u16,
    },
    /// The key binding asked to show or hide the dashboard.
    Toggle,
    /// The dashboard came on the screen or left it.
    Visible(bool),
    /// The colours of the user's Zellij theme.
    Theme(Palette),
    /// What to draw changed.
    Dashboard(DashboardUpdate),
    /// A request of ours was answered.
    Reply {
        /// The id that [`crate::effect::Effect::Ask`] carried.
        id: u64,
        /// The result, or why not.
        outcome: Result<serde_json::Value, Fault>,
    },
    /// A line to show for a few seconds.
    Toast {
        /// Sanitised text.
        text: String,
        /// Does it tell of a failure?
        error: bool,
    },
    /// What the user configured for the dashboard.
    Settings(DashboardSettings),
    /// How the connection to the daemon stands.
    Link(LinkState),
    /// A timer ran out; carries the time, so that ages and toasts move on.
    Tick(Timestamp),
}

/// How the connection to the daemon stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LinkState {
    /// No daemon has answered yet.
    #[default]
    Connecting,
    /// It answers.
    Up,
    /// It answered once and does not any more.
    Lost,
    /// It speaks another protocol; the sentence says what to do.
    Mismatch(String),
}

/// A key with its modifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// Which.
    pub code: KeyCode,
    /// With Control?
    pub ctrl: bool,
    /// With Alt?
    pub alt: bool,
    /// With Shift, where the character itself does not say so?
    pub shift: bool,
}

impl Key {
    /// A key without modifiers.
    pub const fn plain(code: KeyCode) -> Self {
        Self {
            code,
            ctrl: false,
            alt: false,
            shift: false,
        }
    }

    /// A character without modifiers.
    pub const fn char(character: char) -> Self {
        Self::plain(KeyCode::Char(character))
    }

    /// A character with Control.
    pub const fn ctrl(character: char) -> Self {
        Self {
            code: KeyCode::Char(character),
            ctrl: true,
            alt: false,
            shift: false,
        }
    }
}

/// Which key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]

pub enum KeyCode {
    Char(char),
    Enter,
    Esc,
    Tab,
    Backspace,
    Delete,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
    Function(u8),
}

/// What the mouse did; places are counted from 0 at the top left of the pane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mouse {
    /// The left button was pressed.
    Click {
        /// Column.
        column: u16,
        /// Row.
        row: u16,
    },
    /// The wheel was turned up so many lines.
    ScrollUp(u16),
    /// The wheel was turned down so many lines.
    ScrollDown(u16),
}

/// The few colours the dashboard uses, taken from the user's theme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Palette {
    /// Ordinary text; none = the terminal's own.
    pub text: Option<Colour>,
    /// Old, done and secondary things.
    pub dim: Option<Colour>,
    /// The one accent: what has the focus.
    pub accent: Option<Colour>,
    /// Background of the selected row.
    pub selection: Option<Colour>,
    /// Text on that background.
    pub selected_text: Option<Colour>,
    /// Needs a person.
    pub warning: Option<Colour>,
    /// Failed.
    pub error: Option<Colour>,
    /// Went well.
    pub success: Option<Colour>,
    /// Lines of frames.
    pub frame: Option<Colour>,
}

/// A colour as terminals know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Of the 256.
    Indexed(u8),
    /// Red, green, blue.
    Rgb(u8, u8, u8),
}
