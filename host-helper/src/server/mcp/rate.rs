//! How often one session may call: a bucket of tokens, shared by all of its connections.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use claustre_protocol::ids::SessionId;
use tokio::time::Instant;

/// Calls a second in the long run.
const PER_SECOND: f64 = 20.0;
/// Calls at once after a pause.
const BURST: f64 = 50.0;
/// Calls that may wait for their turn; a further one is refused.
const WAITING: f64 = 100.0;

/// The buckets of the sessions that are connected now.
#[derive(Default)]
pub struct RateLimits {
    buckets: Mutex<HashMap<SessionId, Weak<Bucket>>>,
}

/// One session's bucket.
pub struct Bucket {
    state: Mutex<State>,
}

struct State {
    tokens: f64,
    at: Instant,
}

impl RateLimits {
    /// The session's bucket: the one its other connections use, or a full one.
    pub fn bucket(&self, session: SessionId) -> Arc<Bucket> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get(&session).and_then(Weak::upgrade) {
            return bucket;
        }
        buckets.retain(|_, bucket| bucket.strong_count() > 0);
        let bucket = Arc::new(Bucket::full(Instant::now()));
        buckets.insert(session, Arc::downgrade(&bucket));
        bucket
    }
}

impl Bucket {
    fn full(now: Instant) -> Self {
        Self {
            state: Mutex::new(State {
                tokens: BURST,
                at: now,
            }),
        }
    }

    /// How long one more call has to wait for its turn, which is counted; none: too many wait already.
    pub fn take(&self, now: Instant) -> Option<Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(state.at).as_secs_f64();
        state.tokens = passed.mul_add(PER_SECOND, state.tokens).min(BURST);
        state.at = now;
        if state.tokens < 1.0 - WAITING {
            return None;
        }
        state.tokens -= 1.0;
        Some(Duration::from_secs_f64(
            (-state.tokens).max(0.0) / PER_SECOND,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use uuid::Uuid;

    #[test]
    fn a_burst_passes_then_twenty_a_second_and_too_many_are_refused() {
        let start = Instant::now();
        let bucket = Bucket::full(start);
        let waits: Vec<_> = (0..200).map_while(|_| bucket.take(start)).collect();
        assert_eq!(waits.len(), 150);
        assert_eq!(waits.iter().filter(|wait| wait.is_zero()).count(), 50);
        assert_eq!(waits[50], Duration::from_millis(50));
        assert_eq!(waits[149], Duration::from_secs(5));
        let later = start + Duration::from_secs(1);
        let waits: Vec<_> = (0..80).map_while(|_| bucket.take(later)).collect();
        assert_eq!(waits.len(), 20);
        assert_eq!(waits[0], Duration::from_millis(4_050));
    }

    #[test]
    fn connections_of_a_session_share_and_the_gone_are_forgotten() {
        let limits = RateLimits::default();
        let one = SessionId::new(Uuid::from_u128(1));
        let first = limits.bucket(one);
        assert!(Arc::ptr_eq(&first, &limits.bucket(one)));
        drop(first);
        drop(limits.bucket(SessionId::new(Uuid::from_u128(2))));
        let two = limits.bucket(SessionId::new(Uuid::from_u128(3)));
        assert_eq!(limits.buckets.lock().unwrap().len(), 1);
        drop(two);
    }
}
