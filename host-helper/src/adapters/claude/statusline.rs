//! The JSON Claude Code gives its status line command: cost, tokens, context and the account's quota.

use std::path::PathBuf;

use claustre_protocol::model::UsageWindow;
use claustre_protocol::time::Timestamp;
use serde::Deserialize;
use thiserror::Error;

use super::wire::lenient;
use crate::text;

/// What the status line says about one session.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusLine {
    /// The conversation's id.
    pub claude_session_id: Option<String>,
    /// The conversation's transcript.
    pub transcript_path: Option<PathBuf>,
    /// The client's working directory.
    pub cwd: Option<PathBuf>,
    /// The client's version, such as `2.1.197`.
    pub version: Option<String>,
    /// The model's id, such as `claude-opus-4-8[1m]`.
    pub model_id: Option<String>,
    /// The model's name for people.
    pub model_name: Option<String>,
    /// What the client counts, where it counts.
    pub cost: Option<Cost>,
    /// How full the context is.
    pub context: Option<Context>,
    /// The account's quota of five hours; only with a subscription, and only after the first answer.
    pub five_hour: Option<UsageWindow>,
    /// The account's quota of seven days; as above.
    pub seven_day: Option<UsageWindow>,
}

/// What a session cost so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// US dollars.
    pub usd: f64,
    /// Since the client's start, in milliseconds.
    pub duration_ms: u64,
    /// Waiting for the API, in milliseconds.
    pub api_duration_ms: u64,
    /// Lines the client added.
    pub lines_added: u64,
    /// Lines the client removed.
    pub lines_removed: u64,
}

/// How full the context window is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Context {
    /// Tokens in it.
    pub input_tokens: u64,
    /// Tokens answered.
    pub output_tokens: u64,
    /// Its size in tokens, where told.
    pub size: Option<u64>,
    /// Percent used, 0 to 100.
    pub used_percent: f64,
}

/// Why a status line's input could not be understood.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("reading the status line's input as JSON at line {line} column {column}: {reason}")]
pub struct StatusLineError {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1.
    pub column: usize,
    /// What the parser missed.
    pub reason: String,
}

/// Reads the status line's standard input.
pub fn parse(input: &str) -> Result<StatusLine, StatusLineError> {
    let wire: WireStatus = serde_json::from_str(input).map_err(|error| StatusLineError {
        line: error.line(),
        column: error.column(),
        reason: text::one_line(&error.to_string(), 160),
    })?;
    Ok(StatusLine::from(wire))
}

/// One short line for the client's footer, such as `claustre · context 34% · $0.21 · 5h 61%`.
#[must_use]
pub fn footer(status: &StatusLine) -> String {
    let mut parts = vec!["claustre".to_owned()];
    if let Some(context) = status.context {
        parts.push(format!("context {:.0}%", context.used_percent));
    }
    if let Some(cost) = status.cost {
        parts.push(format!("${:.2}", cost.usd));
    }
    for (name, quota) in [("5h", status.five_hour), ("7d", status.seven_day)] {
        if let Some(quota) = quota {
            parts.push(format!("{name} {:.0}%", quota.used_percent));
        }
    }
    parts.join(" · ")
}

/// Understands a status line's input that is JSON already, as a report carries it; anything but an
/// object says nothing.
#[must_use]
pub fn from_value(input: serde_json::Value) -> StatusLine {
    StatusLine::from(serde_json::from_value::<WireStatus>(input).unwrap_or_default())
}

impl From<WireStatus> for StatusLine {
    fn from(wire: WireStatus) -> Self {
        let short = |value: Option<String>| {
            value
                .map(|value| text::one_line(&value, 400))
                .filter(|v| !v.is_empty())
        };
        let model = wire.model.unwrap_or_default();
        let limits = wire.rate_limits.unwrap_or_default();
        Self {
            claude_session_id: short(wire.session_id),
            transcript_path: wire
                .transcript_path
                .filter(|path| !path.is_empty())
                .map(PathBuf::from),
            cwd: wire.cwd.filter(|path| !path.is_empty()).map(PathBuf::from),
            version: short(wire.version),
            model_id: short(model.id),
            model_name: short(model.display_name),
            cost: wire.cost.and_then(|cost| {
                Some(Cost {
                    usd: amount(cost.total_cost_usd)?,
                    duration_ms: cost.total_duration_ms.unwrap_or_default(),
                    api_duration_ms: cost.total_api_duration_ms.unwrap_or_default(),
                    lines_added: cost.total_lines_added.unwrap_or_default(),
                    lines_removed: cost.total_lines_removed.unwrap_or_default(),
                })
            }),
            context: wire.context_window.and_then(|context| {
                Some(Context {
                    input_tokens: context.total_input_tokens.unwrap_or_default(),
                    output_tokens: context.total_output_tokens.unwrap_or_default(),
                    size: context.context_window_size,
                    used_percent: amount(context.used_percentage)?.min(100.0),
                })
            }),
            five_hour: limits.five_hour.and_then(quota),
            seven_day: limits.seven_day.and_then(quota),
        }
    }
}

fn quota(wire: WireQuota) -> Option<UsageWindow> {
    Some(UsageWindow {
        used_percent: amount(wire.used_percentage)?,
        resets_at: wire.resets_at.and_then(moment),
    })
}

/// A number that can be an amount: finite and not negative.
fn amount(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite() && *value >= 0.0)
}

/// A moment from seconds since 1970, which other versions may write with a fraction.
fn moment(number: serde_json::Number) -> Option<Timestamp> {
    let seconds = number
        .as_i64()
        .or_else(|| format!("{:.0}", number.as_f64()?).parse().ok())?;
    Some(Timestamp::from_millis(seconds.checked_mul(1000)?))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireStatus {
    #[serde(deserialize_with = "lenient")]
    session_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    transcript_path: Option<String>,
    #[serde(deserialize_with = "lenient")]
    cwd: Option<String>,
    #[serde(deserialize_with = "lenient")]
    version: Option<String>,
    #[serde(deserialize_with = "lenient")]
    model: Option<WireModel>,
    #[serde(deserialize_with = "lenient")]
    cost: Option<WireCost>,
    #[serde(deserialize_with = "lenient")]
    context_window: Option<WireContext>,
    #[serde(deserialize_with = "lenient")]
    rate_limits: Option<WireLimits>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireModel {
    #[serde(deserialize_with = "lenient")]
    id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    display_name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireCost {
    #[serde(deserialize_with = "lenient")]
    total_cost_usd: Option<f64>,
    #[serde(deserialize_with = "lenient")]
    total_duration_ms: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    total_api_duration_ms: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    total_lines_added: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    total_lines_removed: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireContext {
    #[serde(deserialize_with = "lenient")]
    total_input_tokens: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    total_output_tokens: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    context_window_size: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    used_percentage: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireLimits {
    #[serde(deserialize_with = "lenient")]
    five_hour: Option<WireQuota>,
    #[serde(deserialize_with = "lenient")]
    seven_day: Option<WireQuota>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireQuota {
    #[serde(deserialize_with = "lenient")]
    used_percentage: Option<f64>,
    #[serde(deserialize_with = "lenient")]
    resets_at: Option<serde_json::Number>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> StatusLine {
        let file: serde_json::Value =
            serde_json::from_str(include_str!("fixtures/statusline-subscription.json"))
                .expect("JSON");
        parse(&file["in"].to_string()).expect("status line")
    }

    #[test]
    fn the_sample_of_a_subscription_is_read() {
        let status = sample();
        assert_eq!(
            status.claude_session_id.as_deref(),
            Some("b06df846-38a2-4da5-8daf-8bd38afabd5f")
        );
        assert_eq!(status.version.as_deref(), Some("2.1.197"));
        assert_eq!(status.model_id.as_deref(), Some("claude-opus-4-8[1m]"));
        assert_eq!(
            status.five_hour,
            Some(UsageWindow {
                used_percent: 100.0,
                resets_at: Some(Timestamp::from_millis(1_795_177_104_000))
            })
        );
        assert_eq!(
            status.seven_day,
            Some(UsageWindow {
                used_percent: 13.0,
                resets_at: Some(Timestamp::from_millis(1_795_569_904_000))
            })
        );
        let cost = status.cost.expect("cost");
        assert!((cost.usd - 0.0225).abs() < 1e-9);
        assert_eq!(cost.duration_ms, 36094);
        let context = status.context.expect("context");
        assert_eq!(
            (context.input_tokens, context.output_tokens, context.size),
            (9200, 50, Some(1_000_000))
        );
        assert_eq!(
            footer(&status),
            "claustre · context 1% · $0.02 · 5h 100% · 7d 13%"
        );
    }

    #[test]
    fn what_is_absent_or_odd_is_left_out() {
        let status = parse("{}").expect("empty object");
        assert_eq!(footer(&status), "claustre");
        let odd = r#"{"cost":{"total_cost_usd":-1},"context_window":7,"rate_limits":{"five_hour":{"used_percentage":"x"},
            "seven_day":{"used_percentage":5,"resets_at":1795569904.4}},"version":"2\u001b[31m.1"}"#;
        let status = parse(odd).expect("object");
        assert_eq!(
            (status.cost, status.context, status.five_hour),
            (None, None, None)
        );
        assert_eq!(
            status.seven_day.and_then(|quota| quota.resets_at),
            Some(Timestamp::from_millis(1_795_569_904_000))
        );
        assert_eq!(status.version.as_deref(), Some("2.1"));
        assert!(parse("").is_err() && parse("[1").is_err());
    }
}
