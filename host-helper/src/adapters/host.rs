//! This host's clock, chance and name.

use std::{
    sync::{Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use claustre_protocol::time::Timestamp;
use uuid::Uuid;

use crate::ports::{Host, Waits};
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

/// Waits by the monotonic clock.
#[derive(Debug, Default)]
pub struct SystemWaits {
    /// How often there was news.
    told: Mutex<u64>,
    changed: Condvar,
}

impl Waits for SystemWaits {
    fn sleep(&self, time: Duration) {
        thread::sleep(time);
    }

    fn until(&self, most: Duration, is_done: &mut dyn FnMut() -> bool) -> bool {
        let begun = Instant::now();
        loop {
            // Counted before the look: news that comes during it is not missed.
            let seen = *self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if is_done() {
                return true;
            }
            let Some(left) = most.checked_sub(begun.elapsed()) else {
                return false;
            };
            let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            drop(
                self.changed
                    .wait_timeout_while(told, left, |told| *told == seen)
                    .unwrap_or_else(PoisonError::into_inner),
            );
        }
    }

    fn news(&self) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_wakes_who_waits_and_silence_ends_with_the_time() {
        let waits = SystemWaits::default();
        assert!(!waits.until(Duration::ZERO, &mut || false));
        let (asked, was_asked) = std::sync::mpsc::channel();
        let telling = &waits;
        thread::scope(|scope| {
            scope.spawn(move || {
                was_asked.recv().expect("a first look");
                telling.news();
            });
            let mut looks = 0;
            assert!(waits.until(Duration::from_secs(60), &mut || {
                looks += 1;
                asked.send(()).ok();
                looks == 2
            }));
        });
    }

    #[test]
    fn the_host_has_a_time_a_name_and_new_ids() {
        let host = SystemHost;
        assert!(host.now() > Timestamp::parse_rfc3339("2024-01-01T00:00:00Z").expect("time"));
        assert!(!host.name().is_empty() && !host.name().contains('.'));
        assert_ne!(host.uuid(), host.uuid());
    }
}
