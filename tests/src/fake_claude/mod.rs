//! `fake-claude`: a scripted stand-in for the interactive `claude` with the same outside surface.
//!
//! It takes the same flags, runs the hooks and the status line of `--settings`, talks to the MCP servers of
//! `--mcp-config`, keeps the sessions registry and the transcript, and has a small terminal interface with a prompt
//! box and permission dialogs. What the "model" does comes from [`script`]. Shapes and habits follow client 2.1.197.
//!
//! | variable | meaning |
//! |---|---|
//! | `FAKE_CLAUDE_SCRIPT` | file with the script; without it a built-in one edits a file, commits it and reports |
//! | `FAKE_CLAUDE_PACE_MS` | pause before every step |
//! | `FAKE_CLAUDE_LOG` | file that gets one JSON line per start: argv, cwd, pid, chosen environment |
//! | `FAKE_CLAUDE_NOTIFY_MS` | time until the permission notification, 6000 as in the real client |
//! | `FAKE_CLAUDE_IDLE_MS` | time until the idle notification, 60000 as in the real client |
//! | `FAKE_CLAUDE_TRUST` | `ask`: show the trust dialog for folders that `~/.claude.json` does not trust |
//! | `FAKE_CLAUDE_VERSION` | what `--version` claims, 2.1.197 by default |

pub mod app;
pub mod args;
pub mod calls;
pub mod control;
pub mod hooks;
pub mod keys;
pub mod mcp;
pub mod payload;
pub mod permission;
pub mod print_mode;
pub mod registry;
pub mod screen;
pub mod script;
pub mod settings;
pub mod shared;
pub mod startup;
pub mod status_line;
pub mod tools;
pub mod transcript;
pub mod turn;

/// The client version whose surface this is.
pub const VERSION: &str = "2.1.197";

/// The version it claims to be.
#[must_use]
pub fn version() -> String {
    std::env::var("FAKE_CLAUDE_VERSION").unwrap_or_else(|_| VERSION.into())
}

/// A span of time in milliseconds from the environment.
#[must_use]
pub fn milliseconds(variable: &str, default: u64) -> std::time::Duration {
    let value = std::env::var(variable).ok();
    std::time::Duration::from_millis(value.and_then(|text| text.parse().ok()).unwrap_or(default))
}

/// Now, as the transcript writes it.
#[must_use]
pub fn timestamp() -> String {
    chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now())
        .to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// Milliseconds since 1970.
#[must_use]
pub fn now_ms() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

/// A fresh id such as `toolu_0123...`.
#[must_use]
pub fn fresh_id(prefix: &str, length: usize) -> String {
    let digits = uuid::Uuid::new_v4().simple().to_string();
    format!("{prefix}{}", &digits[..length.min(digits.len())])
}
