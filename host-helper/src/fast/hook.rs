//! `claustre hook`: hands what Claude Code tells a hook to the daemon. Always ends with 0, prints only what the daemon wants
//! Claude to read.

use std::{
    borrow::Cow,
    io,
    process::ExitCode,
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::json;

use super::{
    parent::Callers,
    print, read_limited,
    report::{Delivery, Patience, Reporter},
};

/// Longest input that is passed on whole, in bytes.
const LIMIT: usize = 4 * 1024 * 1024;
/// Longest text that is passed on where the input is not JSON, in bytes.
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
fn ask(reporter: &Reporter, line: &[u8]) -> Delivery {
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
    if !cut
        && let Ok(text) = str::from_utf8(input)
        && let Ok(peek) = serde_json::from_str::<Peek<'_>>(text)
    {
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
    let start = input
        .get(..input.len().min(BROKEN_LIMIT))
        .unwrap_or_default();
    let start = String::from_utf8_lossy(start);
    if cut {
        // Too long to pass on, but what happened must be known: a tool that read a film has ended all the same.
        let mut data = serde_json::Map::new();
        for name in [
            "hook_event_name",
            "session_id",
            "transcript_path",
            "cwd",
            "tool_name",
            "tool_use_id",
        ] {
            if let Some(value) = text_of(&start, name) {
                data.insert(name.to_owned(), value);
            }
        }
        data.insert("claustre_cut".to_owned(), json!(true));
        return (serde_json::Value::Object(data).to_string(), false);
    }
    (json!(start).to_string(), false)
}

/// The text value behind the first `"name":` of a JSON text that may be cut.
fn text_of(json: &str, name: &str) -> Option<serde_json::Value> {
    let behind = json.split_once(&format!("\"{name}\":"))?.1.trim_start();
    let value = serde_json::Deserializer::from_str(behind)
        .into_iter::<serde_json::Value>()
        .next()?
        .ok()?;
    value.is_string().then_some(value)
}

#[cfg(test)]
#[path = "hook_tests.rs"]
mod tests;
