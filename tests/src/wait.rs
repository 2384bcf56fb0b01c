//! Waiting for a named condition with a deadline: the only way a test may wait.

use std::time::{Duration, Instant};

/// How often a condition is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Waits until `condition` holds.
///
/// # Panics
/// With the name of what it waited for, once `deadline` has passed.
#[track_caller]
pub fn wait_for(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) {
    wait_for_value(what, deadline, || condition().then_some(()));
}

/// Waits until `look` finds a value, and returns it.
///
/// # Panics
/// With the name of what it waited for, once `deadline` has passed.
#[track_caller]
pub fn wait_for_value<T>(what: &str, deadline: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(value) = look() {
            return value;
        }
        assert!(
            Instant::now() < end,
            "waited {deadline:?} in vain for: {what}"
        );
        std::thread::sleep(LOOK_AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_is_returned_as_soon_as_it_is_there() {
        let mut looks = 0;
        let found = wait_for_value("the third look", Duration::from_secs(5), || {
            looks += 1;
            (looks == 3).then_some("here")
        });
        assert_eq!(found, "here");
    }

    #[test]
    #[should_panic(expected = "the moon to fall")]
    fn the_panic_names_what_was_waited_for() {
        wait_for("the moon to fall", Duration::from_millis(20), || false);
    }
}
