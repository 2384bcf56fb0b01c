//! The brake on a client that ends as fast as it is started.

use std::time::{Duration, Instant};

/// Restarts that are made without a person within [`WINDOW`].
const LIMIT: usize = 3;
/// See [`LIMIT`].
const WINDOW: Duration = Duration::from_secs(60);

/// When the last restarts were.
#[derive(Debug, Default)]
pub struct Restarts {
    times: Vec<Instant>,
}

impl Restarts {
    /// May it be restarted once more at this time? Counts it if so.
    pub fn allow(&mut self, now: Instant) -> bool {
        self.times
            .retain(|time| now.saturating_duration_since(*time) < WINDOW);
        if self.times.len() >= LIMIT {
            return false;
        }
        self.times.push(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_restarts_a_minute_and_no_more() {
        let start = Instant::now();
        let mut restarts = Restarts::default();
        let allowed: Vec<bool> = [0, 1, 2, 3, 59, 60, 61, 62]
            .map(|second| restarts.allow(start + Duration::from_secs(second)))
            .into();
        assert_eq!(allowed, [true, true, true, false, false, true, true, true]);
    }
}
