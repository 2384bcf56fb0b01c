//! When the plugin asks Zellij for its permissions again.
//!
//! Zellij hands the answer to the instances of attached clients only. A session that is started in the background has lost its
//! client before the plugin is loaded, and the one instance it has waits for ever, also for the client that attaches later.
//! To ask again costs one call where the permissions are on file.

/// Least milliseconds between two requests.
const PAUSE_MILLIS: u64 = 150;

/// What became of the requests so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Grant {
    /// When the last request was made; the first one is made while loading, at 0.
    asked_at: u64,
    refused: bool,
}

impl Grant {
    /// The user answered no.
    pub const fn refused(&mut self) {
        self.refused = true;
    }

    /// Something came while the permissions are missing: is Zellij to be asked again? `wanted` = a person wants to see the
    /// dashboard; only that asks again somebody who answered no.
    pub const fn asks_again(&mut self, wanted: bool, now: u64) -> bool {
        let due = now.saturating_sub(self.asked_at) >= PAUSE_MILLIS;
        if !due || self.refused && !wanted {
            return false;
        }
        self.asked_at = now;
        self.refused = false;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_answer_is_asked_for_again_but_not_with_every_event() {
        let mut grant = Grant::default();
        assert!(!grant.asks_again(false, 20), "the first is under way");
        assert!(grant.asks_again(false, 200));
        assert!(!grant.asks_again(false, 210));
        assert!(grant.asks_again(false, 600));
    }

    #[test]
    fn who_answered_no_is_asked_again_only_when_the_dashboard_is_wanted() {
        let mut grant = Grant::default();
        grant.refused();
        assert!(!grant.asks_again(false, 9_000));
        assert!(grant.asks_again(true, 9_001));
        assert!(grant.asks_again(false, 9_500), "nobody refused that one");
    }
}
