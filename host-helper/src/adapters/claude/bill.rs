//! What a session has used: tokens from its transcript, cost from the client's own count where that covers all of it.

use std::fs;
use std::path::Path;

use claustre_domain::event::UsageTotals;
use claustre_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::files;
use super::hook_state::HookState;
use super::prices::PriceTable;
use super::transcript::TranscriptState;

/// The file in the session's directory that keeps what was counted over a restart of the daemon.
const KEPT_FILE: &str = "counted.json";
/// Two amounts that differ by less than this part are the same to people.
const SAME_AMOUNT: f64 = 0.01;
/// Two amounts that differ by more than this part are worth a warning.
const ODD_AMOUNT: f64 = 0.10;

/// What a session has used so far.
#[derive(Debug, Default)]
pub(super) struct Bill {
    transcript: TranscriptState,
    /// The transcript is being read elsewhere, and what was read of it is there.
    is_out: bool,
    /// The client's own amount in USD, and when it was told.
    told: Option<(f64, Timestamp)>,
    /// The client counts since its start: does that cover the whole session?
    covers_all: bool,
    reported: Option<UsageTotals>,
    has_warned: bool,
}

/// What is kept on disk.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    transcript: TranscriptState,
    reported: Option<UsageTotals>,
    hook: Option<HookState>,
}

impl Bill {
    /// What was kept of a session, with the fold of its hooks; nothing where there is no file that fits.
    pub fn load(directory: &Path) -> (Self, Option<HookState>) {
        let kept: Kept = fs::read(directory.join(KEPT_FILE))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let bill = Self {
            transcript: kept.transcript,
            reported: kept.reported,
            ..Self::default()
        };
        (bill, kept.hook)
    }

    /// Keeps it. A failure costs only that the transcript is read from its start once more.
    pub fn save(&self, directory: &Path, hook: Option<&HookState>) {
        let kept = Kept {
            transcript: self.transcript.clone(),
            reported: self.reported,
            hook: hook.cloned(),
        };
        if !directory.is_dir() {
            return;
        }
        let written = serde_json::to_vec(&kept)
            .map_err(|error| error.to_string())
            .and_then(|bytes| {
                files::write_private(&directory.join(KEPT_FILE), &bytes)
                    .map_err(|error| error.to_string())
            });
        if let Err(error) = written {
            tracing::warn!(%error, "what a session has used was not kept");
        }
    }

    /// What was given was not stored: the totals are given again.
    pub fn give_again(&mut self) {
        self.reported = None;
    }

    /// A client was started.
    pub fn client_started(&mut self, resumed: bool) {
        self.covers_all = !resumed && !self.is_out && self.transcript == TranscriptState::default();
        self.told = None;
    }

    /// The conversation changed inside the same client.
    pub fn conversation_changed(&mut self) {
        self.covers_all = false;
    }

    /// The client told its own amount in USD.
    pub fn told(&mut self, usd: f64, at: Timestamp) {
        if self.told.is_none_or(|(_, known)| at >= known) {
            self.told = Some((usd, at));
        }
    }

    /// What was read of the transcript, for whoever reads on; none while that is being done.
    pub fn lend(&mut self) -> Option<TranscriptState> {
        if std::mem::replace(&mut self.is_out, true) {
            return None;
        }
        Some(std::mem::take(&mut self.transcript))
    }

    /// It was read on.
    pub fn take_back(&mut self, transcript: TranscriptState) {
        self.transcript = transcript;
        self.is_out = false;
    }

    /// The totals of what was read, if they changed since they were last given.
    pub fn totals(&mut self, turn_ended_at: Timestamp, prices: &PriceTable) -> Option<UsageTotals> {
        let sum = self.transcript.total();
        let totals = UsageTotals {
            input_tokens: sum.input,
            output_tokens: sum.output,
            cache_read_tokens: sum.cache_read,
            cache_write_tokens: sum.cache_write_5m.saturating_add(sum.cache_write_1h),
            cost: self.cost(turn_ended_at, prices),
        };
        let is_new = match &self.reported {
            None => totals != UsageTotals::default(),
            Some(reported) => {
                let same_tokens = UsageTotals {
                    cost: 0.0,
                    ..*reported
                } == UsageTotals {
                    cost: 0.0,
                    ..totals
                };
                !same_tokens || differ(reported.cost, totals.cost, SAME_AMOUNT)
            }
        };
        if !is_new {
            return None;
        }
        self.reported = Some(totals);
        Some(totals)
    }

    /// The client's own amount if it is from after the turn's end and covers everything; else by the price table.
    fn cost(&mut self, turn_ended_at: Timestamp, prices: &PriceTable) -> f64 {
        let usage = self.transcript.usage.iter();
        let priced = prices.cost(usage.map(|(model, tokens)| (model.as_str(), *tokens)));
        let told = self
            .told
            .filter(|(_, at)| *at >= turn_ended_at && self.covers_all)
            .map(|(usd, _)| usd);
        match told {
            Some(told) => {
                if priced.unpriced.is_empty()
                    && differ(told, priced.usd, ODD_AMOUNT)
                    && !self.has_warned
                {
                    self.has_warned = true;
                    tracing::warn!(
                        told,
                        priced = priced.usd,
                        "the client's cost and the price table disagree; set [prices] if the table is out of date"
                    );
                }
                told
            }
            // Without a price for some model the client's last word is nearer, however old.
            None if !priced.unpriced.is_empty() => {
                self.told.map_or(priced.usd, |(usd, _)| usd.max(priced.usd))
            }
            None => priced.usd,
        }
    }
}

/// Do the two amounts differ by more than this part of the larger?
fn differ(one: f64, other: f64, part: f64) -> bool {
    (one - other).abs() > part * one.max(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::claude::config_files::ConfigPaths;
    use crate::adapters::claude::conversation::Projects;

    /// A bill with the sample read.
    fn read(bill: &mut Bill, directory: &Path) {
        let folder = directory.join(".claude/projects/p");
        fs::create_dir_all(&folder).expect("made");
        let path = folder.join("t.jsonl");
        fs::write(&path, include_str!("fixtures/transcript-sample.jsonl")).expect("written");
        let mut state = bill.lend().expect("not lent yet");
        assert!(bill.lend().is_none(), "it is read once at a time");
        let projects = Projects::of(&ConfigPaths::new(directory, None));
        state.read(&projects, &path).expect("read");
        bill.take_back(state);
    }

    #[test]
    fn totals_are_given_once_and_survive_a_restart() {
        let directory = tempfile::tempdir().expect("temp dir");
        let prices = PriceTable::default();
        let mut bill = Bill::default();
        read(&mut bill, directory.path());
        let totals = bill.totals(Timestamp::default(), &prices).expect("totals");
        assert!(totals.output_tokens > 0 && totals.cost > 0.0);
        assert_eq!(bill.totals(Timestamp::default(), &prices), None);
        bill.save(directory.path(), None);
        let (mut again, _) = Bill::load(directory.path());
        read(&mut again, directory.path());
        assert_eq!(again.totals(Timestamp::default(), &prices), None);
    }

    #[test]
    fn the_clients_amount_counts_only_when_fresh_and_whole() {
        let directory = tempfile::tempdir().expect("temp dir");
        let prices = PriceTable::default();
        let ended = Timestamp::from_millis(1_000);
        let mut bill = Bill::default();
        bill.client_started(false);
        read(&mut bill, directory.path());
        bill.told(99.0, Timestamp::from_millis(999));
        let priced = bill.totals(ended, &prices).expect("totals").cost;
        assert!(priced < 99.0);
        bill.told(99.0, ended);
        assert_eq!(
            bill.totals(ended, &prices).map(|totals| totals.cost),
            Some(99.0)
        );
        bill.conversation_changed();
        assert_eq!(
            bill.totals(ended, &prices).map(|totals| totals.cost),
            Some(priced)
        );
    }
}
