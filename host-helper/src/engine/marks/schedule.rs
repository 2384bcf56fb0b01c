//! Which tab is named next, and when: pure, the time comes in as an argument.
//!
//! Each change of a name makes every tab's bars draw again, 30 ms of Zellij's time with 16 tabs. So only the last state of a tab is
//! ever shown, each tab changes at most once a second, and all tabs together change no faster than the allowance says.

use std::collections::BTreeMap;

use claustre_protocol::ids::SessionId;

use crate::ports::PaneFacts;

/// Least milliseconds between two changes of one tab.
pub const TAB_MILLIS: u64 = 1_000;
/// Milliseconds in which the allowance of all tabs together grows by one change.
pub const EVERY_MILLIS: u64 = 2_000;
/// So many changes may follow each other at once after a rest.
const BURST: u64 = 3;
/// Questions go before the rest, but after so many of them something else has its turn.
const QUESTIONS_IN_A_ROW: u32 = 3;
/// Until a change that failed for a passing reason is tried again.
const RETRY_MILLIS: u64 = 10_000;
/// So often a change is tried before it is left.
const MOST_TRIES: u32 = 4;

/// What stands before a tab's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mark {
    /// Nothing: its session needs nobody.
    #[default]
    None,
    /// It asks, or waits for input.
    NeedsYou,
    /// Its client failed.
    Error,
    /// Its task waits for a review.
    InReview,
}

impl Mark {
    /// All of them, for reading one back from a name.
    const ALL: [Self; 4] = [Self::NeedsYou, Self::Error, Self::InReview, Self::None];

    /// The mark and the space after it; empty for none.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::NeedsYou => "▲ ",
            Self::Error => "✗ ",
            Self::InReview => "◐ ",
        }
    }

    /// The mark that a tab shows; none where its name is not ours.
    pub fn of(shown: &str, plain: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|mark| shown.strip_prefix(mark.prefix()) == Some(plain))
            .unwrap_or_default()
    }
}

/// What a tab is to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The pane of its session.
    pub pane: PaneFacts,
    /// Its name without a mark.
    pub plain: String,
    /// The mark.
    pub mark: Mark,
}

/// A change of a name that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming {
    /// Whose tab.
    pub session: SessionId,
    /// The pane in it.
    pub pane: PaneFacts,
    /// Its name without a mark: only a tab that is called so may be named.
    pub plain: String,
    /// The mark.
    pub mark: Mark,
}

/// How a change went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Went {
    /// The tab shows it.
    Well,
    /// Not now.
    Passing,
    /// It will not, as where the pane is gone.
    Lasting,
}

#[derive(Debug)]
struct Tab {
    wanted: Wanted,
    shown: Mark,
    /// Since when it shows something else than it is to.
    behind_since: Option<u64>,
    not_before: u64,
    tries: u32,
}

/// What the tabs show and are to show. In memory only: after a restart it is made from the sessions and from the tabs' names.
#[derive(Debug, Default)]
pub struct Marks {
    tabs: BTreeMap<SessionId, Tab>,
    /// The moment at which the whole allowance will be there again.
    full_at: u64,
    questions_in_a_row: u32,
}

impl Marks {
    /// The tab of a session is to show this. A tab that was not known, or whose session moved to another pane, shows `shown`.
    pub fn want(&mut self, session: SessionId, wanted: Wanted, shown: Mark, now: u64) {
        let tab = self.tabs.entry(session).or_insert_with(|| Tab {
            wanted: wanted.clone(),
            shown,
            behind_since: None,
            not_before: now,
            tries: 0,
        });
        if tab.wanted.pane != wanted.pane {
            tab.shown = shown;
            tab.behind_since = None;
        }
        if tab.wanted != wanted {
            tab.tries = 0;
        }
        tab.wanted = wanted;
        tab.settle(now);
    }

    /// The session has no tab any more.
    pub fn forget(&mut self, session: SessionId) {
        self.tabs.remove(&session);
    }

    /// The pane that is known of a session.
    pub fn pane_of(&self, session: SessionId) -> Option<&PaneFacts> {
        self.tabs.get(&session).map(|tab| &tab.wanted.pane)
    }

    /// Milliseconds until something is due; none where all tabs show what they are to show.
    pub fn wait(&self, now: u64) -> Option<u64> {
        let allowed = self.full_at.saturating_sub((BURST - 1) * EVERY_MILLIS);
        let tab = self
            .tabs
            .values()
            .filter(|tab| tab.behind_since.is_some())
            .map(|tab| tab.not_before)
            .min()?;
        Some(tab.max(allowed).saturating_sub(now))
    }

    /// The change that is due now: of what has been waiting longest, questions first.
    pub fn due(&self, now: u64) -> Option<Naming> {
        if self.wait(now)? > 0 {
            return None;
        }
        let (session, tab) = self
            .tabs
            .iter()
            .filter(|(_, tab)| tab.not_before <= now)
            .filter_map(|(session, tab)| Some((session, tab, tab.behind_since?)))
            .min_by_key(|(_, tab, since)| {
                let is_question = tab.wanted.mark == Mark::NeedsYou;
                let goes_first = self.questions_in_a_row < QUESTIONS_IN_A_ROW;
                (is_question != goes_first, *since)
            })
            .map(|(session, tab, _)| (session, tab))?;
        Some(Naming {
            session: *session,
            pane: tab.wanted.pane.clone(),
            plain: tab.wanted.plain.clone(),
            mark: tab.wanted.mark,
        })
    }

    /// A change was made, or could not be.
    pub fn went(&mut self, naming: &Naming, went: Went, now: u64) {
        self.full_at = self.full_at.max(now).saturating_add(EVERY_MILLIS);
        self.questions_in_a_row = match naming.mark {
            Mark::NeedsYou => self.questions_in_a_row.saturating_add(1),
            Mark::None | Mark::Error | Mark::InReview => 0,
        };
        let Some(tab) = self
            .tabs
            .get_mut(&naming.session)
            .filter(|tab| tab.wanted.pane == naming.pane)
        else {
            return;
        };
        tab.not_before = now.saturating_add(TAB_MILLIS);
        tab.tries += 1;
        match went {
            Went::Passing if tab.tries < MOST_TRIES => {
                tab.not_before = now.saturating_add(RETRY_MILLIS);
            }
            // Left as it is until it is to show something else.
            Went::Well | Went::Passing | Went::Lasting => {
                tab.shown = naming.mark;
                tab.tries = 0;
            }
        }
        tab.settle(now);
    }
}

impl Tab {
    fn settle(&mut self, now: u64) {
        self.behind_since = if self.shown == self.wanted.mark {
            None
        } else {
            Some(self.behind_since.unwrap_or(now))
        };
    }
}
