//! How much one session's agent may have written down in a day: what it says becomes events, which are kept for good.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use claustre_protocol::{
    ids::SessionId,
    rpc::{Fault, FaultCode},
    time::Timestamp,
};

/// Bytes that one session may have written down in a day (UTC): hours of talk, and a thousandth of what a disk has.
const BYTES_PER_DAY: u64 = 4 * 1024 * 1024;
/// What an event takes beside its text, about.
const EVENT: u64 = 400;
const DAY_MS: i64 = 86_400_000;

/// What the sessions have written down today.
#[derive(Default)]
pub struct Quotas {
    used: Mutex<HashMap<SessionId, Used>>,
}

#[derive(Clone, Copy)]
struct Used {
    day: i64,
    bytes: u64,
}

/// The first moment of the day (UTC) of this moment.
pub fn start_of_day(now: Timestamp) -> Timestamp {
    Timestamp::from_millis(now.millis().div_euclid(DAY_MS) * DAY_MS)
}

impl Quotas {
    /// Whether it is known what this session has written today; otherwise it is read from the log and [`Self::know`]n.
    pub fn knows(&self, session: SessionId, now: Timestamp) -> bool {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.get(&session)
            .is_some_and(|used| used.day == start_of_day(now).millis())
    }

    /// Notes what the log says of today.
    pub fn know(&self, session: SessionId, now: Timestamp, bytes: u64) {
        let day = start_of_day(now).millis();
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        // Sessions of days that are over.
        used.retain(|_, used| used.day == day);
        used.entry(session).or_insert(Used { day, bytes });
    }

    /// Counts a text of so many bytes that is about to be written down.
    ///
    /// # Errors
    /// The session has written as much today as it may; nothing was counted.
    pub fn take(&self, session: SessionId, now: Timestamp, text: usize) -> Result<(), Fault> {
        let day = start_of_day(now).millis();
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let used = used.entry(session).or_insert(Used { day, bytes: 0 });
        let wanted = used
            .bytes
            .saturating_add(u64::try_from(text).unwrap_or(u64::MAX))
            .saturating_add(EVENT);
        if wanted > BYTES_PER_DAY {
            return Err(Fault::new(
                FaultCode::Refused,
                format!(
                    "writing this down: this session has written {} MB today, as much as a session may in a day",
                    BYTES_PER_DAY / 1024 / 1024
                ),
                Some(
                    "go on with the work and say it in your answer; it can write again after midnight UTC"
                        .into(),
                ),
            ));
        }
        used.bytes = wanted;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn session(number: u128) -> SessionId {
        SessionId::new(Uuid::from_u128(number))
    }

    #[test]
    fn a_day_has_its_quota_and_each_session_its_own() {
        let quotas = Quotas::default();
        let now = Timestamp::from_millis(1_790_000_000_000);
        let later = now.plus_millis(DAY_MS);
        let mut taken = 0;
        while quotas.take(session(1), now, 2_000).is_ok() {
            taken += 1;
            assert!(taken < 3_000, "there is no end to it");
        }
        assert_eq!(taken, BYTES_PER_DAY / 2_400);
        let fault = quotas.take(session(1), now, 2_000).unwrap_err();
        assert!(fault.message.contains("4 MB today"), "{}", fault.message);
        quotas.take(session(2), now, 2_000).unwrap();
        // The next day begins anew, and what the log says of it counts.
        assert!(quotas.knows(session(1), now) && !quotas.knows(session(1), later));
        quotas.know(session(1), later, BYTES_PER_DAY - 1_000);
        quotas.take(session(1), later, 500).unwrap();
        assert!(quotas.take(session(1), later, 500).is_err());
        assert_eq!(start_of_day(now).millis() % DAY_MS, 0);
    }
}
