//! Deadlines over Zellij's one-shot timers, which cannot be told apart or taken back.
//!
//! Each purpose has one deadline, or several where the dashboard asked for several ticks. The shell arms a Zellij timer for the earliest, and when any timer fires asks which
//! deadlines have passed. A timer that fires for nothing costs one call.

/// A timer that did not fire so long after its time will not fire.
const LOST_MILLIS: u64 = 1_000;

/// What a deadline is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// Draw what changed since the last frame.
    Frame,
    /// Give the dashboard's pane its size.
    Place,
    /// Look whether the dashboard is on the screen.
    Look,
    /// Show the dashboard, if nobody else did.
    Show,
    /// Act on the key, if nobody else did.
    Toggle,
    /// A heartbeat on the link.
    Heartbeat,
    /// Ask the daemon to connect.
    Bootstrap,
    /// A tick that the dashboard asked for.
    Tick,
}

/// All deadlines, in milliseconds of a clock that only goes forward.
#[derive(Debug, Default)]
pub struct Timers {
    deadlines: Vec<(Purpose, u64)>,
    armed: Vec<u64>,
}

impl Timers {
    /// Sets the deadline of a purpose; an earlier one stays.
    pub fn set(&mut self, purpose: Purpose, at: u64) {
        match self
            .deadlines
            .iter_mut()
            .find(|(known, _)| *known == purpose)
        {
            Some((_, deadline)) => *deadline = at.min(*deadline),
            None => self.deadlines.push((purpose, at)),
        }
    }

    /// Sets one more deadline of a purpose.
    pub fn add(&mut self, purpose: Purpose, at: u64) {
        if !self.deadlines.contains(&(purpose, at)) {
            self.deadlines.push((purpose, at));
        }
    }

    /// Is a deadline of this purpose waiting?
    pub fn waits(&self, purpose: Purpose) -> bool {
        self.deadlines.iter().any(|(known, _)| *known == purpose)
    }

    /// Takes the purposes whose deadlines have passed. Called when a timer fires.
    pub fn fired(&mut self, now: u64) -> Vec<Purpose> {
        self.armed.retain(|at| *at > now);
        let mut due: Vec<Purpose> = self
            .deadlines
            .iter()
            .filter(|(_, at)| *at <= now)
            .map(|(purpose, _)| *purpose)
            .collect();
        due.sort_unstable();
        due.dedup();
        self.deadlines.retain(|(_, at)| *at > now);
        due
    }

    /// Milliseconds for which a new timer must be started; none where one that fires early enough runs already.
    pub fn to_arm(&mut self, now: u64) -> Option<u64> {
        let earliest = self.deadlines.iter().map(|(_, at)| *at).min()?;
        // One that is long overdue is lost; waiting for it would be waiting for ever.
        self.armed.retain(|at| at.saturating_add(LOST_MILLIS) > now);
        if self.armed.iter().any(|at| *at <= earliest) {
            return None;
        }
        // A timer of 0 would fire before this call returns to Zellij; and one that fires a moment early does so for nothing.
        let wait = earliest.saturating_sub(now).max(1);
        self.armed.push(now.saturating_add(wait));
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_timer_runs_for_the_earliest_deadline() {
        let mut timers = Timers::default();
        assert_eq!(timers.to_arm(0), None);
        timers.set(Purpose::Heartbeat, 2_000);
        assert_eq!(timers.to_arm(0), Some(2_000));
        assert_eq!(timers.to_arm(10), None);
        timers.set(Purpose::Frame, 50);
        assert_eq!(timers.to_arm(10), Some(40));
        assert_eq!(timers.fired(50), [Purpose::Frame]);
        assert_eq!(timers.to_arm(50), None, "the first timer still runs");
        assert_eq!(timers.fired(2_000), [Purpose::Heartbeat]);
        assert_eq!(timers.fired(2_001), []);
    }

    #[test]
    fn the_earlier_deadline_of_a_purpose_stays() {
        let mut timers = Timers::default();
        timers.set(Purpose::Bootstrap, 30);
        timers.set(Purpose::Bootstrap, 90);
        assert!(timers.waits(Purpose::Bootstrap));
        assert_eq!(timers.fired(30), [Purpose::Bootstrap]);
        assert!(!timers.waits(Purpose::Bootstrap));
    }

    #[test]
    fn a_lost_timer_does_not_stop_the_clock() {
        let mut timers = Timers::default();
        timers.set(Purpose::Heartbeat, 2_000);
        assert_eq!(timers.to_arm(0), Some(2_000));
        assert_eq!(timers.to_arm(2_500), None, "it may be late");
        assert_eq!(timers.to_arm(3_001), Some(1));
    }

    #[test]
    fn several_ticks_may_be_asked_for() {
        let mut timers = Timers::default();
        timers.add(Purpose::Tick, 90);
        timers.add(Purpose::Tick, 30);
        timers.add(Purpose::Tick, 31);
        assert_eq!(timers.fired(31), [Purpose::Tick]);
        assert_eq!(timers.fired(90), [Purpose::Tick]);
    }
}
