//! Zellij: the link to our plugin inside a running server, and the command line for where there is none.
//!
//! | module | holds |
//! |---|---|
//! | [`cli`] | one call of the `zellij` program each, with a time limit and retries |
//! | [`link`] | the two pipes to the plugin, who leads, what is drawn |
//! | [`election`] | which instance of the plugin acts |
//! | [`feed`] | what is drawn, cut into lines and held to 20 a second |
//! | [`multiplexer`] | opening, focusing, typing: through the link where it is up, else by the command line |
//! | [`servers`] | which process serves a session |
//! | [`layout`] | the layouts that this program carries |

pub mod cli;
pub mod directories;
pub mod election;
pub mod feed;
pub mod layout;
pub mod link;
pub mod listed;
pub mod multiplexer;
pub mod port;
pub mod servers;

pub use cli::{Zellij, ZellijError};
pub use link::{LinkError, LinkEvent, LinkHandle, LinkKey, Links};
pub use multiplexer::{
    Multiplexer, MultiplexerError, OpenSession, Opened, PanePlace, ZellijMultiplexer,
};
