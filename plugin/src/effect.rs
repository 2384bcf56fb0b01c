//! Everything the dashboard may ask of its surroundings.

use claustre_protocol::request::Request;

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Ask the daemon; the answer comes as [`crate::msg::Msg::Reply`] with this id.
    Ask {
        /// Joins the reply.
        id: u64,
        /// What.
        request: Box<Request>,
    },
    /// Put the dashboard on the screen, focused.
    Show,
    /// Take the dashboard off the screen.
    Hide,
    /// Send a [`crate::msg::Msg::Tick`] in this many milliseconds.
    Tick {
        /// How long from now.
        millis: u64,
    },
    /// Open an `https:` address with the desktop's browser.
    OpenUrl(String),
    /// Put text on the clipboard.
    Copy(String),
}
