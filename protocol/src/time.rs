//! Points in time: whole milliseconds since 1970 inside, RFC 3339 UTC in JSON.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Takes milliseconds since 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Milliseconds from `earlier` to this; never negative.
    pub const fn millis_since(self, earlier: Self) -> i64 {
        let difference = self.0.saturating_sub(earlier.0);
        if difference < 0 { 0 } else { difference }
    }

    /// This much later.
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// `2026-11-20T10:44:33.293Z`.
    pub fn to_rfc3339(self) -> String {
        DateTime::<Utc>::from_timestamp_millis(self.0)
            .unwrap_or_default()
            .to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    /// Reads RFC 3339 with any offset.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text)
            .ok()
            .map(|time| Self(time.timestamp_millis()))
    }

    /// The age seen from `now`, short: `12s`, `4m`, `3h`, `2d`.
    pub fn age(self, now: Self) -> String {
        let seconds = now.millis_since(self) / 1000;
        match seconds {
            0..60 => format!("{seconds}s"),
            60..3600 => format!("{}m", seconds / 60),
            3600..86_400 => format!("{}h", seconds / 3600),
            _ => format!("{}d", seconds / 86_400),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}
impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_rfc3339())
    }
}
impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse_rfc3339(&text)
            .ok_or_else(|| D::Error::custom(format!("not an RFC 3339 time: {text}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_survives_its_text() {
        let time = Timestamp::from_millis(1_795_169_840_307);
        assert_eq!(Timestamp::parse_rfc3339(&time.to_rfc3339()), Some(time));
        assert_eq!(
            Timestamp::parse_rfc3339("2026-11-20T12:00:00+02:00"),
            Timestamp::parse_rfc3339("2026-11-20T10:00:00Z")
        );
    }

    #[test]
    fn ages_are_short_and_never_negative() {
        let start = Timestamp::from_millis(0);
        for (millis, text) in [
            (-5, "0s"),
            (59_999, "59s"),
            (60_000, "1m"),
            (7_200_000, "2h"),
            (180_000_000, "2d"),
        ] {
            assert_eq!(start.age(Timestamp::from_millis(millis)), text);
        }
    }
}
