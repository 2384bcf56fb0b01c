//! What a session's short-lived children run: no command line parser, no runtime, no configuration, no threads.
//!
//! | module | holds |
//! |---|---|
//! | [`report`] | one report on its way: to the daemon in time, else to the spool |
//! | [`asking`] | what a permission hook asks, kept for the hook that follows a killed one |
//! | [`parent`] | seeing that the client that waits for us is gone |
//! | [`spool`] | keeping a report on disk for the next daemon |
//! | [`hook`] | `claustre hook` |
//! | [`statusline`] | `claustre statusline` |

pub mod asking;
pub mod hook;
pub mod parent;
pub mod report;
pub mod spool;
pub mod statusline;

use std::io::{self, Read, Write};

/// Reads all of `input`, keeps at most `limit` bytes and says whether there was more. The rest is read as well, so that
/// whoever writes it never meets a closed pipe.
fn read_limited(mut input: impl Read, limit: usize) -> (Vec<u8>, bool) {
    let mut kept = Vec::with_capacity(4096);
    let limit_bytes = u64::try_from(limit).unwrap_or(u64::MAX);
    if input
        .by_ref()
        .take(limit_bytes)
        .read_to_end(&mut kept)
        .is_err()
    {
        return (kept, false);
    }
    let dropped = io::copy(&mut input, &mut io::sink()).unwrap_or(0);
    (kept, dropped > 0)
}

/// Prints for whoever called us.
///
/// # Errors
/// They no longer listen.
fn print(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}
