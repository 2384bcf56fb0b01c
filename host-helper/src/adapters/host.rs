//! This host's clock, chance and name.

use std::time::{SystemTime, UNIX_EPOCH};

use claustre_protocol::time::Timestamp;
use uuid::Uuid;

use crate::ports::Host;
use crate::text;

/// Longest host name shown, in characters.
const NAME_LIMIT: usize = 64;

/// The host this process runs on.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemHost;

impl Host for SystemHost {
    fn now(&self) -> Timestamp {
        // A clock before 1970 is not set at all; the log's own clock never goes back.
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn uuid(&self) -> Uuid {
        Uuid::new_v4()
    }

    fn name(&self) -> String {
        let told = rustix::system::uname();
        let name = text::one_line(&told.nodename().to_string_lossy(), NAME_LIMIT);
        // The domain says nothing to the person at this machine.
        match name.split('.').next() {
            Some(first) if !first.is_empty() => first.to_owned(),
            _ => "localhost".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_has_a_time_a_name_and_new_ids() {
        let host = SystemHost;
        assert!(host.now() > Timestamp::parse_rfc3339("2024-01-01T00:00:00Z").expect("time"));
        assert!(!host.name().is_empty() && !host.name().contains('.'));
        assert_ne!(host.uuid(), host.uuid());
    }
}
