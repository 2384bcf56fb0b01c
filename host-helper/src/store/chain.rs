//! The chain of hashes: finds events that were changed, lost or added behind Claustre's back.

use std::collections::HashMap;

use claustre_protocol::ids::MachineId;

use super::{
    Reader, StoreError,
    codec::{self, EVENT_COLUMNS, Hash, RawEvent},
};

/// What the chain shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChainReport {
    /// Events that were looked at.
    pub events: u64,
    /// The breaks, by host the first only: what follows a break proves nothing.
    pub breaks: Vec<ChainBreak>,
}

/// A place where a host's chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainBreak {
    /// The host.
    pub machine: MachineId,
    /// The number of the first event that does not fit.
    pub seq: i64,
    /// What is wrong.
    pub why: String,
}

impl Reader {
    /// Follows the chains of all hosts from their first events.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn verify_chain(&self) -> Result<ChainReport, StoreError> {
        let doing = "verifying the log";
        let mut statement = self
            .connection
            .prepare(&format!(
                "SELECT {EVENT_COLUMNS} FROM events ORDER BY machine_id, seq"
            ))
            .map_err(StoreError::doing(doing))?;
        let mut rows = statement.query([]).map_err(StoreError::doing(doing))?;
        let mut report = ChainReport::default();
        let mut heads: HashMap<MachineId, Option<(i64, Hash)>> = HashMap::new();
        while let Some(row) = rows.next().map_err(StoreError::doing(doing))? {
            let raw = RawEvent::from_row(row, 0).map_err(StoreError::doing(doing))?;
            report.events += 1;
            let head = heads
                .entry(raw.machine)
                .or_insert(Some((0, [0; codec::HASH_LENGTH])));
            let Some((seq, hash)) = *head else { continue };
            let why = if raw.seq != seq.saturating_add(1) {
                Some(format!(
                    "{} events are missing before it",
                    raw.seq.saturating_sub(seq).saturating_sub(1)
                ))
            } else if raw.link(&hash) != raw.hash {
                Some("it, or the event before it, was changed".to_owned())
            } else {
                None
            };
            *head = match why {
                None => Some((raw.seq, raw.hash)),
                Some(why) => {
                    report.breaks.push(ChainBreak {
                        machine: raw.machine,
                        seq: raw.seq,
                        why,
                    });
                    None
                }
            };
        }
        Ok(report)
    }

    /// What SQLite's own check of the file finds; empty when all is well.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn quick_check(&self) -> Result<Vec<String>, StoreError> {
        let found: Vec<String> = self.rows(
            "checking the store's file",
            "PRAGMA quick_check(20)",
            [],
            |row| row.get(0),
        )?;
        Ok(found.into_iter().filter(|line| line != "ok").collect())
    }
}
