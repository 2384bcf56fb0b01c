//! A step of the script as the bytes of the Messages API.

use serde_json::{Map, Value, json};

use super::script::Step;

/// Characters of text in one streamed piece.
const PIECE: usize = 24;

fn id(prefix: &str, length: usize) -> String {
    let digits = uuid::Uuid::new_v4().simple().to_string();
    format!("{prefix}{}", &digits[..length])
}

/// The whole message of a step.
#[must_use]
pub fn message(step: &Step, model: &Value) -> Value {
    let mut blocks = Vec::new();
    if let Some(thinking) = &step.thinking {
        blocks.push(json!({"type": "thinking", "thinking": thinking, "signature": "ZmFrZQ=="}));
    }
    if let Some(text) = &step.text {
        blocks.push(json!({"type": "text", "text": text}));
    }
    for tool in step.tool_use.as_slice() {
        blocks.push(json!({"type": "tool_use", "id": id("toolu_", 24), "name": tool.name, "input": tool.input}));
    }
    if blocks.is_empty() {
        blocks.push(json!({"type": "text", "text": "OK"}));
    }
    let stop_reason = match &step.stop_reason {
        Some(reason) => reason,
        None if step.tool_use.as_slice().is_empty() => "end_turn",
        None => "tool_use",
    };
    json!({
        "id": id("msg_", 20), "type": "message", "role": "assistant", "model": model, "content": blocks,
        "stop_reason": stop_reason, "stop_sequence": null, "usage": usage(step),
    })
}

fn usage(step: &Step) -> Value {
    let mut usage = Map::from_iter([
        ("input_tokens".to_owned(), json!(1000)),
        ("output_tokens".to_owned(), json!(20)),
        ("cache_creation_input_tokens".to_owned(), json!(0)),
        ("cache_read_input_tokens".to_owned(), json!(0)),
    ]);
    usage.extend(step.usage.clone());
    Value::Object(usage)
}

/// Response headers of a step, an error's own over those of the step.
#[must_use]
pub fn headers(step: &Step, now: u64) -> Vec<(String, String)> {
    let mut all = step.headers.clone();
    if let Some(error) = &step.error {
        all.extend(error.headers.clone());
    }
    all.into_iter()
        .map(|(name, value)| {
            let text = match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
            (name, expand_now(&text, now))
        })
        .collect()
}

/// Replaces each `$NOW+N` by the Unix time N seconds after `now`.
fn expand_now(text: &str, now: u64) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("$NOW+") {
        expanded.push_str(before);
        let end = after
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(after.len());
        let (digits, tail) = after.split_at(end);
        match digits.parse::<u64>() {
            Ok(seconds) => expanded.push_str(&(now + seconds).to_string()),
            Err(_) => expanded.push_str("$NOW+"),
        }
        rest = tail;
    }
    expanded.push_str(rest);
    expanded
}

/// The events of one streamed answer, as name and data.
#[must_use]
pub fn events(message: &Value, step: &Step) -> Vec<(&'static str, Value)> {
    let mut events = Vec::new();
    let mut push = |name: &'static str, mut data: Value| {
        data["type"] = json!(name);
        events.push((name, data));
    };

    let mut start = message.clone();
    start["content"] = json!([]);
    start["stop_reason"] = Value::Null;
    start["usage"]["output_tokens"] = json!(1);
    push("message_start", json!({"message": start}));

    let no_blocks = Vec::new();
    for (index, block) in message["content"]
        .as_array()
        .unwrap_or(&no_blocks)
        .iter()
        .enumerate()
    {
        let mut empty = block.clone();
        let deltas: Vec<Value> = match block["type"].as_str() {
            Some("text") => {
                empty["text"] = json!("");
                pieces(block["text"].as_str().unwrap_or_default())
                    .map(|piece| json!({"type": "text_delta", "text": piece}))
                    .collect()
            }
            Some("thinking") => {
                empty["thinking"] = json!("");
                empty["signature"] = json!("");
                vec![
                    json!({"type": "thinking_delta", "thinking": block["thinking"]}),
                    json!({"type": "signature_delta", "signature": block["signature"]}),
                ]
            }
            _ => {
                empty["input"] = json!({});
                vec![
                    json!({"type": "input_json_delta", "partial_json": block["input"].to_string()}),
                ]
            }
        };
        push(
            "content_block_start",
            json!({"index": index, "content_block": empty}),
        );
        for delta in deltas {
            push(
                "content_block_delta",
                json!({"index": index, "delta": delta}),
            );
        }
        push("content_block_stop", json!({"index": index}));
    }

    if let Some(kind) = &step.stream_error {
        push(
            "error",
            json!({"error": {"type": kind, "message": "scripted"}}),
        );
    } else if !step.cut {
        let delta = json!({"stop_reason": message["stop_reason"], "stop_sequence": null});
        push(
            "message_delta",
            json!({"delta": delta, "usage": message["usage"]}),
        );
        push("message_stop", json!({}));
    }
    events
}

fn pieces(text: &str) -> impl Iterator<Item = String> {
    let letters: Vec<char> = text.chars().collect();
    let pieces: Vec<String> = letters
        .chunks(PIECE)
        .map(|piece| piece.iter().collect())
        .collect();
    pieces.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn now_is_expanded_wherever_it_stands() {
        assert_eq!(expand_now("$NOW+7200", 1000), "8200");
        assert_eq!(expand_now("a $NOW+1; b $NOW+2", 10), "a 11; b 12");
        assert_eq!(expand_now("$NOW+x", 10), "$NOW+x");
    }
}
