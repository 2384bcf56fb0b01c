//! Which instance of the plugin acts for the daemon.
//!
//! Zellij makes one instance for each client and never unloads those of clients that left: they go on hearing and answering.
//! If all acted, one order would open two tabs. So one is chosen: it must have been heard lately; one whose client is
//! attached goes before one that is left over; and who leads stays, because a change costs and gains nothing.

use claustre_protocol::link::{HEARTBEAT_MILLIS, Instance};

/// An instance that was not heard for three heartbeats, and a moment, is gone.
pub const SILENCE_MILLIS: u64 = 3 * HEARTBEAT_MILLIS + 500;

/// An instance that said hello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub instance: Instance,
    /// Its plugin id: a higher one was loaded later.
    pub plugin_id: u32,
    /// The client it belongs to.
    pub client_id: u16,
    /// Is that client attached?
    pub attached: bool,
    /// When it was last heard, in milliseconds.
    pub heard_at: u64,
}

impl Candidate {
    /// Was it heard lately?
    pub fn is_fresh(&self, now: u64) -> bool {
        now.saturating_sub(self.heard_at) <= SILENCE_MILLIS
    }
}

/// Who acts from now on; none if nobody was heard lately.
pub fn elect<'candidates>(
    candidates: &'candidates [Candidate],
    leader: Option<&str>,
    now: u64,
) -> Option<&'candidates Instance> {
    let fresh = || {
        candidates
            .iter()
            .filter(|candidate| candidate.is_fresh(now))
    };
    let attached = fresh().any(|candidate| candidate.attached);
    let able = || fresh().filter(|candidate| candidate.attached == attached);
    able()
        .find(|candidate| Some(candidate.instance.as_str()) == leader)
        .or_else(|| {
            able().min_by_key(|candidate| (candidate.client_id, u32::MAX - candidate.plugin_id))
        })
        .map(|candidate| &candidate.instance)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(plugin_id: u32, client_id: u16, attached: bool, heard_at: u64) -> Candidate {
        Candidate {
            instance: format!("{plugin_id}-{client_id}"),
            plugin_id,
            client_id,
            attached,
            heard_at,
        }
    }

    fn check(candidates: &[Candidate], leader: Option<&str>, now: u64, expected: Option<&str>) {
        assert_eq!(elect(candidates, leader, now).map(String::as_str), expected);
        let reversed: Vec<_> = candidates.iter().rev().cloned().collect();
        assert_eq!(
            elect(&reversed, leader, now).map(String::as_str),
            expected,
            "the order must not matter"
        );
    }

    #[test]
    fn the_attached_go_before_ghosts() {
        check(
            &[candidate(1, 1, false, 0), candidate(1, 2, true, 0)],
            None,
            0,
            Some("1-2"),
        );
        check(
            &[candidate(1, 1, false, 0), candidate(1, 2, true, 0)],
            Some("1-1"),
            0,
            Some("1-2"),
        );
    }

    #[test]
    fn with_nobody_attached_a_ghost_acts_and_stays() {
        check(
            &[candidate(1, 1, false, 0), candidate(1, 2, false, 0)],
            None,
            0,
            Some("1-1"),
        );
        check(
            &[candidate(1, 1, false, 0), candidate(1, 2, false, 0)],
            Some("1-2"),
            0,
            Some("1-2"),
        );
    }

    #[test]
    fn a_leader_stays_until_it_is_silent_for_three_heartbeats() {
        let both = [candidate(1, 1, true, 10_000), candidate(1, 2, true, 1_000)];
        check(&both, Some("1-2"), 1_000 + SILENCE_MILLIS, Some("1-2"));
        check(&both, Some("1-2"), 1_001 + SILENCE_MILLIS, Some("1-1"));
        check(&both, Some("1-2"), 100_000, None);
    }

    #[test]
    fn of_two_copies_of_the_plugin_the_newer_acts() {
        check(
            &[candidate(1, 1, true, 0), candidate(7, 1, true, 0)],
            None,
            0,
            Some("7-1"),
        );
    }
}
