//! `claustre hook`: hands what Claude Code tells a hook to the daemon. Always ends with 0, prints only what the daemon wants
//! Claude to read.

use std::{
    borrow::Cow,
    io,
    process::ExitCode,
    time::{Duration, Instant},
};

use serde::Deserialize;

use super::{
    parent::Callers,
    print, read_limited,
    report::{Delivery, Line, Patience, Reporter},
};
use crate::lenient_json::{names_of_hook, without_lone_surrogates};

/// Longest input that is passed on whole, in bytes.
const LIMIT: usize = 4 * 1024 * 1024;
/// How much of an input that is too long or no JSON is searched for its names, in bytes.
const BROKEN_LIMIT: usize = 256 * 1024;
/// How long a waiting permission looks for a daemon that went away, before it is left to the dialog.
const RECONNECT: Duration = Duration::from_secs(60);
/// Pause between two tries to find it again.
const PAUSE: Duration = Duration::from_millis(250);

/// What must be known of the input to hand it on; reading it also proves that it is JSON.
#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(borrow, default)]
    hook_event_name: Option<Cow<'a, str>>,
}

/// Runs the hook.
pub fn run() -> ExitCode {
    if let Some(reporter) = Reporter::from_environment("hook") {
        let (input, cut) = read_limited(io::stdin().lock(), LIMIT);
        report(&reporter, &input, cut);
    }
    ExitCode::SUCCESS
}

fn report(reporter: &Reporter, input: &[u8], cut: bool) {
    let (data, asks) = embed(input, cut);
    let line = reporter.line_of_json("hook", &data);
    let delivery = if asks {
        ask(reporter, &line)
    } else {
        reporter.deliver(&line, &Patience::Deadline)
    };
    if let Delivery::Taken(answer) = delivery
        && let Some(text) = answer.print
    {
        print(&text);
    }
}

/// Waits for a person's answer; a daemon that restarts meanwhile is found again.
fn ask(reporter: &Reporter, line: &Line) -> Delivery {
    let callers = Callers::find();
    let patience = Patience::WhileWaitedFor(&callers);
    let mut lost: Option<Instant> = None;
    loop {
        match (reporter.offer(line, &patience), lost) {
            (Delivery::Lost, _) => lost = Some(Instant::now()),
            (Delivery::Missed, Some(since)) if since.elapsed() < RECONNECT => {}
            // There is no daemon at all: the dialog of the client is the place to answer.
            (Delivery::Missed, _) => break,
            (delivery, _) => return delivery,
        }
        if callers.gone_within(PAUSE) {
            return Delivery::Abandoned;
        }
    }
    drop(reporter.spool(line));
    Delivery::Missed
}

/// The input as JSON on one line, and whether it asks for a permission.
fn embed(input: &[u8], cut: bool) -> (String, bool) {
    if !cut && let Ok(text) = str::from_utf8(input) {
        let text = without_lone_surrogates(text);
        if let Ok(peek) = serde_json::from_str::<Peek<'_>>(&text) {
            let asks = peek.hook_event_name.as_deref() == Some("PermissionRequest");
            let text = text.trim();
            // In JSON a line break can only stand between two words, never in a text.
            let line = if text.contains(['\n', '\r']) {
                text.replace(['\n', '\r'], " ")
            } else {
                text.to_owned()
            };
            return (line, asks);
        }
    }
    // Too long to pass on, or no JSON; but what happened must be known: a tool that read a film has ended all the same.
    let start = input
        .get(..input.len().min(BROKEN_LIMIT))
        .unwrap_or_default();
    let start = String::from_utf8_lossy(start);
    (names_of_hook(&start).to_string(), false)
}

#[cfg(test)]
#[path = "hook_tests.rs"]
mod tests;
