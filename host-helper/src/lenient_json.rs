//! JSON that another program wrote and that is not quite JSON: what it says is still understood.
//!
//! Claude Code cuts texts by UTF-16 units, so half a surrogate pair (`"\ud83d"`) may stand in what a hook gets. Strict readers
//! refuse such a text, and an event that is refused never happened.

use std::borrow::Cow;

use claustre_protocol::{hook::REPORT_METHOD, rpc::Call};
use serde_json::{Map, Value, json};

/// What stands for half a surrogate pair, as long as the escape it replaces.
const REPLACEMENT: &str = "\\ufffd";
/// Length of `\uXXXX` in bytes.
const ESCAPE: usize = 6;
/// Marks a hook's input of which only the names could be kept.
pub const CUT: &str = "claustre_cut";
/// The texts that say which event it was and of what.
const NAMES: [&str; 7] = [
    "hook_event_name",
    "session_id",
    "transcript_path",
    "cwd",
    "tool_name",
    "tool_use_id",
    "agent_id",
];

/// The JSON with U+FFFD in place of each half of a surrogate pair, in keys and texts alike.
pub fn without_lone_surrogates(json: &str) -> Cow<'_, str> {
    let bytes = json.as_bytes();
    let mut whole = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = find_backslash(bytes, at) {
        at = found;
        match unit(bytes, at) {
            // An escape of another kind; `\\` as well, so that what follows it is no escape.
            None => at += 2,
            Some(0xD800..=0xDBFF) if matches!(unit(bytes, at + ESCAPE), Some(0xDC00..=0xDFFF)) => {
                at += 2 * ESCAPE;
            }
            Some(0xD800..=0xDFFF) => {
                whole.push_str(json.get(copied..at).unwrap_or_default());
                whole.push_str(REPLACEMENT);
                at += ESCAPE;
                copied = at;
            }
            Some(_) => at += ESCAPE,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    whole.push_str(json.get(copied..).unwrap_or_default());
    Cow::Owned(whole)
}

fn find_backslash(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.iter()
        .position(|byte| *byte == b'\\')
        .map(|place| from + place)
}

/// The UTF-16 unit of the escape `\uXXXX` that begins here.
fn unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + ESCAPE)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0_u16, |unit, digit| {
        let value = char::from(*digit).to_digit(16)?;
        Some(unit << 4 | u16::try_from(value).ok()?)
    })
}

/// What can be known of a hook's input that no reader takes, because it is cut, nested too deep or broken: its names.
pub fn names_of_hook(json: &str) -> Value {
    let mut names = Map::new();
    for name in NAMES {
        if let Some(value) = text_of(json, name) {
            names.insert(name.to_owned(), value);
        }
    }
    names.insert(CUT.to_owned(), json!(true));
    Value::Object(names)
}

/// The text value behind `"name":` on the outermost level; where the levels cannot be told, behind the first one.
fn text_of(json: &str, name: &str) -> Option<Value> {
    outermost(json, name)
        .or_else(|| {
            json.split_once(&format!("\"{name}\":"))
                .map(|(_, value)| value)
        })
        .and_then(leading_text)
}

/// The text that a JSON text begins with, where it is one.
fn leading_text(json: &str) -> Option<Value> {
    serde_json::Deserializer::from_str(json.trim_start())
        .into_iter::<Value>()
        .next()?
        .ok()
        .filter(Value::is_string)
}

/// What stands behind the key of this name, if that key is on the outermost level.
fn outermost<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    let bytes = json.as_bytes();
    let (mut at, mut depth) = (0_usize, 0_usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                let end = end_of_text(bytes, at + 1)?;
                if depth == 1
                    && json.get(at + 1..end) == Some(name)
                    && let Some(value) = json
                        .get(end + 1..)
                        .and_then(|behind| behind.trim_start().strip_prefix(':'))
                {
                    return Some(value);
                }
                at = end;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// The place of the quote that ends a text, from a place inside it.
fn end_of_text(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Reads a call. A hook's report whose input no reader takes comes with the names of that input.
///
/// # Errors
/// It is no call.
pub fn call(line: &str) -> Result<Call, serde_json::Error> {
    let error = match serde_json::from_str(line) {
        Ok(call) => return Ok(call),
        Err(error) => error,
    };
    let line = without_lone_surrogates(line);
    if let Ok(call) = serde_json::from_str(&line) {
        return Ok(call);
    }
    // The reporter writes these words itself, in this order; in a text their quotes would be escaped.
    let Some((head, input)) = line.split_once(r#","report":"hook","data":"#) else {
        return Err(error);
    };
    let input = input.trim_end();
    let input = input.strip_suffix("}}").unwrap_or(input);
    let whole = format!(
        r#"{head},"report":"hook","data":{}}}}}"#,
        names_of_hook(input)
    );
    serde_json::from_str::<Call>(&whole)
        .ok()
        .filter(|call| call.method == REPORT_METHOD)
        .ok_or(error)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn half_a_pair_becomes_the_replacement_and_all_else_stays() {
        for (json, wanted) in [
            (r#""\ud83d""#, r#""\ufffd""#),
            (r#""\uDC00x""#, r#""\ufffdx""#),
            (r#"{"\ud83d":1}"#, r#"{"\ufffd":1}"#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\ud83d\n""#, r#""\ufffd\n""#),
            (r#""\ud83d\u0041""#, r#""\ufffd\u0041""#),
            (r#""\\ud83d""#, r#""\\ud83d""#),
            (r#""\\\ud83d""#, r#""\\\ufffd""#),
            (r#""\ud83d\\ude00""#, r#""\ufffd\\ude00""#),
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
            (r#""\u00e9é""#, r#""\u00e9é""#),
            (r#""\ud83"#, r#""\ud83"#),
            ("\"\\", "\"\\"),
        ] {
            assert_eq!(without_lone_surrogates(json), wanted, "{json}");
        }
    }

    proptest! {
        /// Any text that is cut anywhere between two UTF-16 units and escaped can be read, and says what
        /// the standard library reads in those units.
        #[test]
        fn what_is_cut_between_two_units_is_read_as_lossy_utf_16(
            text in "\\PC{0,20}",
            from in 0_usize..8,
            length in 0_usize..12,
            escaped in proptest::collection::vec(any::<bool>(), 12),
        ) {
            let units: Vec<u16> = text.encode_utf16().skip(from).take(length).collect();
            let mut json = String::from("\"");
            for (unit, always) in units.iter().zip(escaped) {
                match char::from_u32((*unit).into()) {
                    Some(letter @ ('"' | '\\')) => {
                        json.push('\\');
                        json.push(letter);
                    }
                    Some(letter) if !always && !letter.is_control() => json.push(letter),
                    _ => json.push_str(&format!("\\u{unit:04x}")),
                }
            }
            json.push('"');
            let read: String = serde_json::from_str(&without_lone_surrogates(&json)).unwrap();
            prop_assert_eq!(read, String::from_utf16_lossy(&units));
            let key = format!("{{{json}:[{json}]}}");
            let whole = without_lone_surrogates(&key);
            prop_assert!(serde_json::from_str::<Value>(&whole).is_ok());
        }

        #[test]
        fn what_can_be_read_stays_as_it_is(text in "[\\PC\\\\\"u0-9a-fd]{0,40}") {
            let json = json!({ text.clone(): text }).to_string();
            prop_assert!(matches!(without_lone_surrogates(&json), Cow::Borrowed(_)));
        }

        #[test]
        fn no_line_breaks_the_reader(line in "[\\PC\\\\\"{}:,]{0,60}") {
            names_of_hook(&line);
            call(&line).ok();
        }
    }

    #[test]
    fn the_names_of_a_broken_input_are_those_of_its_outermost_level() {
        let input = r#"{"session_id":"s","tool_input":{"hook_event_name":"Stop","x":[1e999,"}\""]},"hook_event_name" : "PreToolUse","cwd":7"#;
        assert_eq!(
            names_of_hook(input),
            json!({"session_id": "s", "hook_event_name": "PreToolUse", CUT: true})
        );
        assert_eq!(
            names_of_hook(r#"oops "hook_event_name":"Stop""#),
            json!({"hook_event_name": "Stop", CUT: true})
        );
    }

    #[test]
    fn a_report_that_no_reader_takes_keeps_its_head_and_the_name_of_its_event() {
        let line = |data: &str| {
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"session.report","params":{{"id":"x","token":",\"report\":\"hook\",\"data\":","report":"hook","data":{data}}}}}"#
            )
        };
        let names = json!({"hook_event_name": "Stop", CUT: true});
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        for input in [
            format!(r#"{{"hook_event_name":"Stop","x":{deep}}}"#),
            r#"{"hook_event_name":"Stop","x":1e999}"#.to_owned(),
            r#"{"hook_event_name":"Stop","x":"\x"}"#.to_owned(),
        ] {
            let call = call(&line(&input)).unwrap();
            assert_eq!(call.params["id"], "x");
            assert_eq!(call.params["data"], names, "{input}");
        }
        let half = call(&line(r#"{"hook_event_name":"Stop","x":"\ud83d"}"#)).unwrap();
        assert_eq!(
            half.params["data"],
            json!({"hook_event_name": "Stop", "x": "\u{fffd}"})
        );
        assert!(call("{").is_err());
        assert!(call(r#"{"method":"other","params":{"a":1,"report":"hook","data":}}"#).is_err());
    }
}
