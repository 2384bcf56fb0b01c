//! `claustre hook`: hands what Claude Code tells a hook to the daemon. Always ends with 0, prints only what the daemon wants
//! Claude to read.

use std::{borrow::Cow, io, process::ExitCode};

use serde::Deserialize;

use super::{
    asking::Asking,
    parent::{self, Callers, Pause},
    print, read_limited,
    report::{Delivery, Line, Reporter},
};
use crate::lenient_json::{names_of_hook, without_lone_surrogates};

/// Longest input that is passed on whole, in bytes.
const LIMIT: usize = 4 * 1024 * 1024;
/// How much of an input that is too long or no JSON is searched for its names, in bytes.
const BROKEN_LIMIT: usize = 256 * 1024;
/// What must be known of the input to hand it on; reading it also proves that it is JSON.
#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(borrow, default)]
    hook_event_name: Option<Cow<'a, str>>,
}

/// Runs the hook; `again` where its shell starts it after one that was killed.
pub fn run(again: bool) -> ExitCode {
    if let Some(reporter) = Reporter::from_environment("hook") {
        if again {
            ask_again(&reporter);
            return ExitCode::SUCCESS;
        }
        let (input, cut) = read_limited(io::stdin().lock(), LIMIT);
        report(&reporter, &input, cut);
    }
    ExitCode::SUCCESS
}

fn report(reporter: &Reporter, input: &[u8], cut: bool) {
    let (data, asks) = embed(input, cut);
    if asks {
        let line = reporter.asking_line(&data);
        // Without it a kill of this process leaves the dialog to its tab.
        let _kept = parent::id().map(|shell| Asking::keep(&reporter.directory(), shell, &line));
        ask(reporter, &line, &Callers::find(), &print);
        return;
    }
    let line = reporter.line_of_json("hook", &data);
    if let Delivery::Taken(answer) = reporter.deliver(&line)
        && let Some(text) = answer.print
    {
        // Nobody listens any more: then nobody misses it.
        print(&text).ok();
    }
}

/// Asks what a killed hook of the same shell was waiting for. The same report: the daemon knows it.
fn ask_again(reporter: &Reporter) {
    let found = parent::id().and_then(|shell| Asking::find(&reporter.directory(), shell));
    if let Some((_kept, line)) = found {
        ask(reporter, &line, &Callers::find(), &print);
    }
}

/// Waits for a person's answer for as long as the client does, whatever becomes of the daemon meanwhile; prints it and says so.
///
/// What is asked is also put into the spool as soon as no daemon is there, so that the next one knows of it even if we do not
/// live to tell it.
fn ask(
    reporter: &Reporter,
    line: &Line,
    callers: &Callers,
    print: &dyn Fn(&str) -> io::Result<()>,
) -> Delivery {
    let mut is_kept = false;
    let mut pause = Pause::new(&reporter.run_directory());
    loop {
        let (delivery, connection) = reporter.ask(line, callers);
        match delivery {
            Delivery::Taken(answer) => {
                if let Some(text) = &answer.print
                    && print(text).is_ok()
                    && let Some(ask) = answer.ask
                {
                    reporter.acknowledge(connection.as_ref(), ask);
                }
                return Delivery::Taken(answer);
            }
            Delivery::Refused | Delivery::Abandoned => return delivery,
            Delivery::Unreadable => {
                // A full disk is the one thing that loses it, and there is nobody to tell.
                drop(reporter.spool(line));
                return delivery;
            }
            Delivery::Lost => pause.begin_again(),
            Delivery::Missed => {}
        }
        is_kept = is_kept || reporter.spool(line).is_ok();
        if pause.gone(callers) {
            return Delivery::Abandoned;
        }
    }
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
