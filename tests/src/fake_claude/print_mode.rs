//! `claude -p`: one turn without a terminal, one result on stdout.

use std::sync::Arc;

use serde_json::json;

use super::payload::HookEvent;
use super::shared::{Event, TurnEnd};
use super::startup::Prepared;
use super::turn;

/// Runs one turn and prints its result; returns the exit code.
#[must_use]
pub fn run(prepared: Prepared, prompt: &str, as_json: bool) -> i32 {
    let Prepared {
        shared,
        events,
        source,
        ..
    } = prepared;
    let common = shared.common();
    drop(shared.hook(&HookEvent::SessionStart {
        source: source.into(),
        model: Some(shared.model.clone()),
        title: shared.name.clone(),
    }));
    drop(shared.servers().start_all(&common));
    // Nobody can answer a dialog: what would ask is refused.
    let answering = Arc::clone(&shared);
    std::thread::spawn(move || {
        for event in events {
            if let Event::Dialog(Some((number, dialog))) = event {
                let message = format!("{} is not allowed without a terminal", dialog.title);
                answering
                    .control
                    .answer(number, super::control::Answer::HookDenies { message });
            }
        }
    });
    let end = turn::run(&shared, vec![prompt.to_owned()]);
    let (result, is_error) = last_words(&shared);
    let numbers = shared.status_numbers();
    let session_id = shared.common().session_id;
    shared.end("other");
    if as_json {
        println!(
            "{}",
            json!({
                "type": "result", "subtype": "success", "is_error": is_error, "num_turns": 1, "result": result,
                "duration_ms": numbers.duration_ms, "stop_reason": "end_turn", "session_id": session_id,
                "total_cost_usd": numbers.cost, "usage": numbers.usage, "permission_denials": [],
                "terminal_reason": "completed",
            })
        );
    } else {
        println!("{result}");
    }
    match end {
        TurnEnd::Exit(code) => code,
        _ => i32::from(is_error),
    }
}

/// The last text of the transcript, and whether it is an error of the API.
fn last_words(shared: &super::shared::Shared) -> (String, bool) {
    let records = shared.state().transcript.records();
    let last = records
        .iter()
        .rev()
        .find(|record| record["type"] == "assistant");
    last.map_or_else(Default::default, |record| {
        let text = record["message"]["content"][0]["text"]
            .as_str()
            .unwrap_or_default();
        (text.to_owned(), record["isApiErrorMessage"] == true)
    })
}
