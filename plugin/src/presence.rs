//! Is the dashboard before its client's eyes, and was it this client who pressed the key?
//!
//! There is one pane, and an instance of the plugin for each client that ever was attached. Zellij tells all of them of a
//! key binding and none of them whose key it was; and it tells nobody when the pane is shown or hidden by one of them. So
//! neither is remembered from what was done: the first is read from what Zellij says right before the message, the second
//! is asked for.

/// Between Zellij's word that a client typed and the message of the key binding lies no more than this; they come
/// one after the other.
const KEY_MILLIS: u64 = 60;
/// On a busy machine more may lie between them. Who typed so lately may have meant the key, and acts where nobody else did.
const CLAIM_MILLIS: u64 = 1_500;
/// A command that was typed is run by a shell, and sends its message through the daemon.
const COMMAND_MILLIS: u64 = 3_000;

/// While an instance loads, Zellij keeps what is meant for any of them, and then gives it to all.
const LOAD_MILLIS: u64 = 250;
/// A key of so long ago is not acted on any more: timers get lost, and then fire with the next one.
const TOO_LATE_MILLIS: u64 = 1_900;
/// Clients are numbered from 1, and the lowest free number is given away first.
const FIRST_CLIENT: u16 = 1;

/// Was this instance probably loaded because one more client came, and not because the plugin was?
pub const fn joins_others(client: u16) -> bool {
    client > FIRST_CLIENT
}

/// What Zellij says of the dashboard's pane and of our client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// Has our client its focus on the dashboard?
    pub focused: bool,
    /// The tab our client looks at; none where it is not attached.
    pub tab: Option<usize>,
    /// Is the pane kept off the screen?
    pub suppressed: bool,
    /// Does that tab show its floating panes?
    pub floating: bool,
}

impl Seen {
    /// Must it be drawn? In doubt it must: a frame too many costs little, one too few stands still before the user.
    /// (The pane may lie in another tab, which Zellij does not tell at once.)
    pub const fn visible(self) -> bool {
        self.tab.is_some() && (self.focused || !self.suppressed && self.floating)
    }
}

/// What is to be done about the key that shows and hides the dashboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Toggle {
    /// Show it, with the focus, where our client is.
    Show,
    /// Take it off the screen.
    Hide,
    /// The key came before our time: only look what became of it.
    Look,
    /// The key was another client's, or what tells whose it was got lost: whoever leads looks in a moment whether anybody
    /// acted, and acts if not. Before that one looks who may have pressed it.
    Wait {
        /// May it have been our client's?
        claims: bool,
    },
}

/// A key that may have been another client's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pressed {
    /// What was known when it came.
    pub known: Seen,
    /// What was seen when it came. The instance whose key it was may have acted by then.
    pub seen: Seen,
    /// When it came.
    pub at: u64,
}

impl Pressed {
    /// Has nobody acted on it, as far as can be seen now? In doubt somebody has: to act once more would undo it. So it is where
    /// the look comes too late to tell.
    pub fn is_unanswered(self, after: Seen, now: u64) -> bool {
        let as_before =
            |before: Seen| before.focused == after.focused && before.suppressed == after.suppressed;
        now.saturating_sub(self.at) <= TOO_LATE_MILLIS
            && as_before(self.known)
            && as_before(self.seen)
    }
}

/// What our client typed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Typed {
    at: Option<u64>,
    key: bool,
}

impl Typed {
    /// Our client typed, whatever it was.
    pub const fn typed(&mut self, now: u64) {
        self.at = Some(now);
        self.key = true;
    }

    /// What was typed last was not the key: it came to us as a key, or was a line of the daemon, which Zellij announces as
    /// if our client had typed it.
    pub const fn explained(&mut self) {
        self.key = false;
    }

    /// The key binding's message came to this client's instance, so many milliseconds after it was loaded: what is to be
    /// done?
    pub fn toggle(&mut self, client: u16, seen: Seen, now: u64) -> Toggle {
        let replayed = joins_others(client) && now < LOAD_MILLIS;
        let pressed = std::mem::take(&mut self.key);
        let ours = pressed && self.within(KEY_MILLIS, now);
        if replayed || seen.tab.is_none() {
            Toggle::Look
        } else if !ours {
            let claims = pressed && self.within(CLAIM_MILLIS, now);
            Toggle::Wait { claims }
        } else if seen.focused {
            Toggle::Hide
        } else {
            Toggle::Show
        }
    }

    /// May our client have typed the command whose message comes now?
    pub fn commanded(&self, now: u64) -> bool {
        self.within(COMMAND_MILLIS, now)
    }

    fn within(&self, millis: u64, now: u64) -> bool {
        self.at.is_some_and(|at| now.saturating_sub(at) <= millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOT_OURS: Toggle = Toggle::Wait { claims: false };
    const ELSEWHERE: Seen = Seen {
        focused: false,
        tab: Some(3),
        suppressed: false,
        floating: true,
    };
    const FOCUSED: Seen = Seen {
        focused: true,
        ..ELSEWHERE
    };

    #[test]
    fn what_may_be_on_the_screen_is_drawn() {
        assert!(FOCUSED.visible());
        assert!(ELSEWHERE.visible(), "another client has the focus on it");
        let suppressed = Seen {
            suppressed: true,
            ..ELSEWHERE
        };
        assert!(!suppressed.visible());
        let beneath = Seen {
            floating: false,
            ..ELSEWHERE
        };
        assert!(!beneath.visible());
        let left = Seen {
            tab: None,
            ..FOCUSED
        };
        assert!(!left.visible(), "its client is gone");
    }

    #[test]
    fn of_two_clients_only_the_one_that_pressed_the_key_acts() {
        let (mut first, mut second) = (Typed::default(), Typed::default());
        second.typed(1_000);
        first.typed(9_000);
        assert_eq!(first.toggle(1, FOCUSED, 9_001), Toggle::Hide);
        assert_eq!(second.toggle(2, FOCUSED, 9_001), NOT_OURS);
        second.typed(9_500);
        assert_eq!(first.toggle(1, ELSEWHERE, 9_501), NOT_OURS);
        assert_eq!(second.toggle(2, ELSEWHERE, 9_501), Toggle::Show);
    }

    #[test]
    fn one_press_counts_once_and_what_came_otherwise_is_none() {
        let mut typed = Typed::default();
        typed.typed(10);
        assert_eq!(typed.toggle(1, ELSEWHERE, 11), Toggle::Show);
        assert_eq!(typed.toggle(1, ELSEWHERE, 12), NOT_OURS);
        typed.typed(20);
        typed.explained();
        assert_eq!(typed.toggle(1, ELSEWHERE, 21), NOT_OURS);
    }

    #[test]
    fn on_a_busy_machine_who_typed_lately_claims_the_key_and_others_do_not() {
        let (mut first, mut second) = (Typed::default(), Typed::default());
        first.typed(1_000);
        second.typed(9_000);
        assert_eq!(
            second.toggle(2, ELSEWHERE, 9_400),
            Toggle::Wait { claims: true }
        );
        assert_eq!(first.toggle(1, ELSEWHERE, 9_400), NOT_OURS);
        assert_eq!(second.toggle(2, ELSEWHERE, 9_410), NOT_OURS, "once");
    }

    #[test]
    fn a_key_that_nobody_took_is_seen_by_what_did_not_change() {
        const HIDDEN: Seen = Seen {
            suppressed: true,
            ..ELSEWHERE
        };
        let pressed = |known, seen| Pressed {
            known,
            seen,
            at: 1_000,
        };
        let unanswered = |pressed: Pressed, after| pressed.is_unanswered(after, 1_200);
        assert!(unanswered(pressed(FOCUSED, FOCUSED), FOCUSED));
        assert!(!unanswered(pressed(FOCUSED, FOCUSED), HIDDEN), "hidden");
        assert!(!unanswered(pressed(HIDDEN, HIDDEN), ELSEWHERE), "shown");
        assert!(
            !unanswered(pressed(FOCUSED, HIDDEN), HIDDEN),
            "it was hidden before we could look"
        );
        let moved = Seen {
            tab: Some(4),
            ..FOCUSED
        };
        assert!(
            unanswered(pressed(FOCUSED, FOCUSED), moved),
            "only the tab is another"
        );
        assert!(
            !pressed(FOCUSED, FOCUSED).is_unanswered(FOCUSED, 9_000),
            "a timer that fires so late tells nothing"
        );
    }

    #[test]
    fn what_is_replayed_to_a_newcomer_was_done_by_those_who_were_there() {
        let mut newcomer = Typed::default();
        newcomer.typed(40);
        assert_eq!(newcomer.toggle(2, FOCUSED, 41), Toggle::Look);
        newcomer.typed(600);
        assert_eq!(newcomer.toggle(2, FOCUSED, 601), Toggle::Hide);
        let mut first = Typed::default();
        first.typed(40);
        assert_eq!(first.toggle(1, ELSEWHERE, 41), Toggle::Show);
    }

    #[test]
    fn an_instance_without_a_client_does_nothing() {
        let mut typed = Typed::default();
        typed.typed(10);
        let left = Seen {
            tab: None,
            ..ELSEWHERE
        };
        assert_eq!(typed.toggle(1, left, 10), Toggle::Look);
    }

    #[test]
    fn a_command_follows_what_was_typed() {
        let mut typed = Typed::default();
        assert!(!typed.commanded(10));
        typed.typed(10);
        assert!(typed.commanded(900));
        assert!(!typed.commanded(9_000));
    }
}
