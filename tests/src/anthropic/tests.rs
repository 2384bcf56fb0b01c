use super::*;
use std::io::Read as _;

/// Posts a body to the server and returns status line, head and body of the answer.
fn post(server: &AnthropicServer, body: &Value) -> (String, String, String) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).unwrap();
    let body = body.to_string();
    let length = body.len();
    write!(
        stream,
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.lines().next().unwrap().to_owned();
    (status, head.to_owned(), body.to_owned())
}

fn conversation(messages: Value) -> Value {
    json!({"model": "claude-opus-4-8", "tools": [{"name": "Bash"}], "messages": messages})
}

fn start(script: Value) -> AnthropicServer {
    AnthropicServer::start(Script::from_json(&script)).unwrap()
}

#[test]
fn the_position_in_a_turn_comes_from_the_conversation() {
    let server = start(json!({"turns": [{"match": "(?i)demo", "steps": [
        {"text": "Looking.", "tool_use": {"name": "Bash", "input": {"command": "id"}}},
        {"text": "Done."}]}]}));
    let first = json!([{"role": "user", "content": "run the DEMO"}]);
    let (_, _, body) = post(&server, &conversation(first));
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["content"][1]["name"], "Bash");
    assert_eq!(answer["stop_reason"], "tool_use");

    let second = json!([
        {"role": "user", "content": [{"type": "text", "text": "<system-reminder>x</system-reminder>"},
                                     {"type": "text", "text": "run the demo"}]},
        {"role": "assistant", "content": answer["content"]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "ok"}]}]);
    let (_, _, body) = post(&server, &conversation(second));
    assert!(body.contains("Done."), "{body}");
    assert_eq!(server.main_requests().len(), 2);
}

#[test]
fn errors_carry_their_headers_and_then_the_turn_goes_on() {
    let server = start(json!({"turns": [{"match": "limit", "steps": [
        {"times": 2, "error": {"status": 429, "type": "rate_limit_error", "message": "slow down",
            "headers": {"retry-after": 2, "anthropic-ratelimit-unified-5h-reset": "$NOW+3600"}}},
        {"text": "Went through."}]}]}));
    let body = conversation(json!([{"role": "user", "content": "limit"}]));
    for _ in 0..2 {
        let (status, head, answer) = post(&server, &body);
        assert_eq!(status, "HTTP/1.1 429 Too Many Requests");
        assert!(
            head.contains("retry-after: 2\r\n") || head.ends_with("retry-after: 2"),
            "{head}"
        );
        assert!(!head.contains("$NOW"), "{head}");
        assert!(answer.contains("rate_limit_error"));
    }
    assert!(post(&server, &body).2.contains("Went through."));
}

#[test]
fn a_stream_has_the_events_of_the_real_service_in_order() {
    let server = start(json!({"turns": [{"steps": [
        {"thinking": "Hm.", "text": "A text that is longer than one piece of it.", "tool_use": {"name": "Read"}}]}]}));
    let mut body = conversation(json!([{"role": "user", "content": "anything"}]));
    body["stream"] = json!(true);
    let (_, head, stream) = post(&server, &body);
    assert!(head.contains("content-type: text/event-stream"));
    let names: Vec<&str> = stream
        .lines()
        .filter_map(|line| line.strip_prefix("event: "))
        .collect();
    insta::assert_snapshot!(names.join(" "), @"message_start content_block_start content_block_delta content_block_delta content_block_stop content_block_start content_block_delta content_block_delta content_block_stop content_block_start content_block_delta content_block_stop message_delta message_stop");
    // Each data line is one JSON object that repeats the name of its event.
    for data in stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
    {
        let data: Value = serde_json::from_str(data).unwrap();
        assert!(names.contains(&data["type"].as_str().unwrap()));
    }
}

#[test]
fn a_cut_stream_ends_without_its_stop_event() {
    let server = start(json!({"turns": [{"steps": [{"text": "in the middle of", "cut": true}]}]}));
    let mut body = conversation(json!([{"role": "user", "content": "x"}]));
    body["stream"] = json!(true);
    let (_, _, stream) = post(&server, &body);
    assert!(stream.contains("in the middle of") && !stream.contains("message_stop"));
}

#[test]
fn turns_without_a_pattern_are_handed_out_once_and_side_calls_do_not_take_them() {
    let server = start(json!({"side_text": "a title", "turns": [
        {"steps": [{"text": "one"}]}, {"steps": [{"text": "two"}]}]}));
    let side = json!({"model": "m", "messages": [{"role": "user", "content": "title please"}]});
    assert!(post(&server, &side).2.contains("a title"));
    let ask = |text: &str| {
        post(
            &server,
            &conversation(json!([{"role": "user", "content": text}])),
        )
        .2
    };
    assert!(ask("first").contains("one"));
    assert!(ask("second").contains("two"));
    assert!(ask("third").contains("\"OK\""));
    assert!(
        ask("first").contains("one"),
        "a retry of the same prompt gets the same turn"
    );
}

#[test]
fn a_misspelt_script_is_refused() {
    let error = Script::parse(r#"{"turns": [{"steps": [{"txt": "x"}]}]}"#).unwrap_err();
    assert!(format!("{error:#}").contains("txt"));
}
