//! This program under the name `claude`: says when it was started, and sleeps until it is ended.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// Variable with the file that each start adds a line to.
pub const STARTS: &str = "CLAUSTRE_BENCH_STARTS";

/// Is this program to play the client?
#[must_use]
pub fn is_called() -> bool {
    std::env::args_os()
        .next()
        .is_some_and(|name| std::path::Path::new(&name).ends_with("claude"))
}

/// Plays the client.
#[must_use]
pub fn run() -> ExitCode {
    let now = nanos();
    if std::env::args().any(|argument| argument == "--version" || argument == "-v") {
        println!("2.1.197 (Claude Code)");
        return ExitCode::SUCCESS;
    }
    if let Some(path) = std::env::var_os(STARTS) {
        let session = std::env::var("CLAUSTRE_SESSION_ID").unwrap_or_default();
        let opened = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path);
        if let Ok(mut file) = opened {
            // One write, so that two that start at once never mix.
            drop(file.write_all(format!("{now} {session}\n").as_bytes()));
        }
    }
    loop {
        std::thread::park();
    }
}

/// Nanoseconds since 1970, comparable between the processes of this host.
#[must_use]
pub fn nanos() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos()
}
