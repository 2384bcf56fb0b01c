//! The hybrid logical clock: time that only moves forward, on one host and across hosts that hear of each other.

use std::{fmt, str::FromStr};

use claustre_protocol::ids::MachineId;
use serde::{Deserialize, Serialize};

/// Largest counter; one more moves the wall by a millisecond, so that the text form keeps its order.
pub const MAX_COUNTER: u32 = 999_999;

/// A remote clock further ahead than this is kept with its event but never adopted, in milliseconds.
pub const MAX_AHEAD_MS: i64 = 60_000;

/// A reading of the clock on one host. Ordered by wall, then counter.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Reading {
    /// Milliseconds since 1970; never less than 0.
    pub wall_ms: i64,
    /// Tells readings of the same millisecond apart, 0 to [`MAX_COUNTER`].
    pub counter: u32,
}

impl Reading {
    /// The next reading of this host, when its wall clock says `now_ms`.
    #[must_use]
    pub fn tick(self, now_ms: i64) -> Self {
        let now_ms = now_ms.max(0);
        if now_ms > self.wall_ms {
            Self {
                wall_ms: now_ms,
                counter: 0,
            }
        } else if self.counter >= MAX_COUNTER {
            Self {
                wall_ms: self.wall_ms + 1,
                counter: 0,
            }
        } else {
            Self {
                wall_ms: self.wall_ms,
                counter: self.counter + 1,
            }
        }
    }

    /// The reading after hearing of `remote`. A remote clock too far ahead of `now_ms` is not adopted.
    #[must_use]
    pub fn observe(self, remote: Self, now_ms: i64) -> Self {
        if remote.wall_ms > now_ms.saturating_add(MAX_AHEAD_MS) {
            return self;
        }
        self.max(remote).tick(now_ms)
    }
}

/// A reading with the host it was made on: the total order of all events. Its text sorts as it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hlc {
    /// When.
    pub reading: Reading,
    /// Where; breaks ties.
    pub machine: MachineId,
}

impl fmt::Display for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:013}.{:06}.{}",
            self.reading.wall_ms, self.reading.counter, self.machine
        )
    }
}

/// A text that is no [`Hlc`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a hybrid time of the form wall.counter.machine: {0}")]
pub struct InvalidHlc(String);

impl FromStr for Hlc {
    type Err = InvalidHlc;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidHlc(text.chars().take(80).collect());
        let mut parts = text.splitn(3, '.');
        let (Some(wall), Some(counter), Some(machine)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(invalid());
        };
        if wall.len() != 13 || counter.len() != 6 {
            return Err(invalid());
        }
        Ok(Self {
            reading: Reading {
                wall_ms: wall.parse().map_err(|_| invalid())?,
                counter: counter.parse().map_err(|_| invalid())?,
            },
            machine: machine.parse().map_err(|_| invalid())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn reading() -> impl Strategy<Value = Reading> {
        (0i64..9_999_999_999_999, 0u32..=MAX_COUNTER)
            .prop_map(|(wall_ms, counter)| Reading { wall_ms, counter })
    }

    fn hlc() -> impl Strategy<Value = Hlc> {
        (reading(), any::<u128>()).prop_map(|(reading, machine)| Hlc {
            reading,
            machine: MachineId::new(Uuid::from_u128(machine)),
        })
    }

    proptest! {
        #[test]
        fn it_only_moves_forward_whatever_the_wall_clock_says(walls in prop::collection::vec(any::<i64>(), 1..200)) {
            // A restart continues from the last stored reading, so one sequence covers restarts and clocks set back.
            let mut last = Reading::default();
            for wall in walls {
                let next = last.tick(wall.clamp(-5, 9_999_999_999_999));
                prop_assert!(next > last);
                prop_assert!(next.counter <= MAX_COUNTER);
                last = next;
            }
        }

        #[test]
        fn its_text_sorts_as_it_does(a in hlc(), b in hlc()) {
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
            prop_assert_eq!(a.to_string().parse::<Hlc>().unwrap(), a);
        }

        #[test]
        fn hearing_of_another_host_moves_it_past_both(mine in reading(), theirs in reading(), now in 0i64..9_999_999_999_999) {
            let next = mine.observe(theirs, now);
            if theirs.wall_ms > now + MAX_AHEAD_MS {
                prop_assert_eq!(next, mine);
            } else {
                prop_assert!(next > mine && next > theirs);
            }
        }
    }

    #[test]
    fn a_full_counter_moves_the_wall() {
        let full = Reading {
            wall_ms: 5,
            counter: MAX_COUNTER,
        };
        assert_eq!(
            full.tick(1),
            Reading {
                wall_ms: 6,
                counter: 0
            }
        );
    }
}
