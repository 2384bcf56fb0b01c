//! The dashboard as a pure library: `update(&mut Model, Msg) -> Vec<Effect>` and `view(&Model, &mut Buffer)`.
//!
//! Nothing here knows Zellij, a clock or a socket: the wasm shell (`main.rs`, `shell/`) and later the native
//! `claustre dashboard` feed it messages and carry out its effects.
//!
//! | module | holds |
//! |---|---|
//! | [`msg`], [`effect`] | what goes in and what comes out |
//! | [`model`] | what is on the screen |
//! | [`update`](mod@update) | what each message changes |
//! | [`keymap`] | every key, in one table |
//! | [`view`](mod@view) | the drawing |
//! | [`theme`] | styles by meaning, marks of statuses |
//! | [`text`] | columns, cutting, wrapping, cleaning |
//! | [`link`] | the plugin's end of the link to the daemon |
//! | [`grant`] | when to ask Zellij for the permissions again |
//! | [`presence`] | is it before its client's eyes, whose key was it |
//! | [`timers`] | deadlines over Zellij's one-shot timers |
//! | [`zellij`] | what Zellij tells the plugin, as bytes |
//! | [`ansi`] | a drawn buffer as terminal text |

pub mod ansi;
pub mod effect;
#[cfg(test)]
mod fixture;
pub mod grant;
pub mod keymap;
pub mod link;
pub mod model;
pub mod msg;
pub mod presence;
pub mod text;
pub mod theme;
pub mod timers;
pub mod update;
pub mod view;
pub mod zellij;
