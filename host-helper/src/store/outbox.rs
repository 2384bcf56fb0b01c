//! What the world must still be asked to do: written with the events that ask for it, run after the commit.

use claustre_domain::effect::Effect;
use claustre_protocol::time::Timestamp;
use rusqlite::{Connection, params};

use super::{Reader, StoreError, Transaction};

/// An effect that waits to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingEffect {
    /// Its place in the outbox.
    pub id: i64,
    /// What to do.
    pub effect: Effect,
    /// How often it was tried.
    pub attempts: u32,
    /// A try that must not simply be repeated was begun: whether it was done is found out by looking.
    pub started_before: bool,
}

/// The longest an effect waits for its next try, in milliseconds. One that seems to wait longer was written before the clock was set
/// back, and is due.
pub const LONGEST_WAIT_MS: i64 = 60_000;

/// How a try went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EffectOutcome {
    /// Nothing yet, but from here on a crash leaves it in doubt.
    Started,
    /// Nothing; asks only whether the store takes anything.
    Probe,
    /// It is done and will not be done again.
    Done,
    /// Try again at this time.
    Retry {
        /// When.
        at: Timestamp,
        /// Why it failed.
        why: String,
    },
    /// Given up.
    Failed {
        /// Why.
        why: String,
    },
}

impl Transaction<'_> {
    /// Puts an effect into the outbox. False where one with its key is, or was, there.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn enqueue(&mut self, effect: &Effect, not_before: Timestamp) -> Result<bool, StoreError> {
        let text = serde_json::to_string(effect).map_err(|error| StoreError::Unreadable {
            what: "a new effect".into(),
            why: error.to_string(),
        })?;
        let added = self
            .connection()
            .prepare_cached(
                "INSERT OR IGNORE INTO outbox (key, effect, state, not_before, created) VALUES (?1, ?2, 'pending', ?3, ?4)",
            )
            .and_then(|mut statement| {
                statement.execute(params![
                    effect.key(),
                    text,
                    not_before.millis(),
                    self.now.millis()
                ])
            })
            .map_err(StoreError::doing("adding to the outbox"))?;
        if added > 0 {
            return Ok(true);
        }
        // Asked for again: what waits for a better moment is tried at this one.
        self.connection()
            .prepare_cached(
                "UPDATE outbox SET not_before = min(not_before, ?2) WHERE key = ?1 AND state = 'pending'",
            )
            .and_then(|mut statement| {
                statement.execute(params![effect.key(), not_before.millis()])
            })
            .map_err(StoreError::doing("moving an effect forward"))?;
        Ok(false)
    }

    /// Notes how a try of a pending effect went. One that is not pending any more stays as it is.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn finish_effect(&mut self, id: i64, outcome: EffectOutcome) -> Result<(), StoreError> {
        let (state, not_before, why, finished) = match outcome {
            EffectOutcome::Started => {
                return self.note_effect(
                    "UPDATE outbox SET begun = coalesce(begun, ?2) WHERE id = ?1 AND state = 'pending'",
                    id,
                );
            }
            EffectOutcome::Probe => {
                return self.note_effect(
                    "UPDATE outbox SET created = min(created, ?2) WHERE id = ?1 AND state = 'pending'",
                    id,
                );
            }
            EffectOutcome::Done => ("done", None, None, Some(self.now.millis())),
            EffectOutcome::Retry { at, why } => ("pending", Some(at.millis()), Some(why), None),
            EffectOutcome::Failed { why } => ("failed", None, Some(why), Some(self.now.millis())),
        };
        self.connection()
            .prepare_cached(
                "UPDATE outbox SET state = ?2, not_before = coalesce(?3, not_before), why = ?4, finished = ?5,
                     attempts = attempts + 1
                 WHERE id = ?1 AND state = 'pending'",
            )
            .and_then(|mut statement| {
                statement.execute(params![id, state, not_before, why, finished])
            })
            .map(|_| ())
            .map_err(StoreError::doing("noting what became of an effect"))
    }

    fn note_effect(&self, sql: &str, id: i64) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(params![id, self.now.millis()]))
            .map(|_| ())
            .map_err(StoreError::doing("noting the start of an effect"))
    }
}

/// What is due, and what seems to wait longer than anything may. The signs keep SQLite from walking the table in the order of its
/// ids, through everything that is finished, to save the sorting of the few that are due.
pub(super) const DUE: &str = "SELECT id, effect, attempts, begun IS NOT NULL FROM outbox
     WHERE state = 'pending' AND NOT (+not_before > ?1 AND +not_before <= ?2) ORDER BY +id LIMIT ?3";

impl Reader {
    /// The effects that are due, oldest first.
    ///
    /// # Errors
    /// SQLite refuses, or a row cannot be read.
    pub fn pending_effects(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<PendingEffect>, StoreError> {
        let rows: Vec<(i64, String, u32, bool)> = self.rows(
            "reading the outbox",
            DUE,
            params![
                now.millis(),
                now.plus_millis(LONGEST_WAIT_MS).millis(),
                super::reader::limited(limit)
            ],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )?;
        rows.into_iter()
            .map(|(id, text, attempts, started_before)| {
                Ok(PendingEffect {
                    id,
                    effect: parse(id, &text)?,
                    attempts,
                    started_before,
                })
            })
            .collect()
    }

    /// When the next effect that is not due yet will be.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn next_effect_at(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let found: Option<i64> = self
            .one(
                "reading the outbox",
                "SELECT min(not_before) FROM outbox WHERE state = 'pending' AND not_before > ?1 AND not_before <= ?2",
                params![now.millis(), now.plus_millis(LONGEST_WAIT_MS).millis()],
                |row| row.get(0),
            )?
            .flatten();
        Ok(found.map(Timestamp::from_millis))
    }
}

fn parse(id: i64, text: &str) -> Result<Effect, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Unreadable {
        what: format!("effect {id} of the outbox"),
        why: error.to_string(),
    })
}

/// Takes effects that this version does not know out of the way, so that they do not hold up the others.
pub(super) fn park_unknown(connection: &Connection, now: Timestamp) -> Result<(), StoreError> {
    let doing = "looking through the outbox";
    let rows: Vec<(i64, String)> = connection
        .prepare("SELECT id, effect FROM outbox WHERE state = 'pending'")
        .and_then(|mut statement| {
            statement
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
        .map_err(StoreError::doing(doing))?;
    for (id, text) in rows {
        if let Err(error) = parse(id, &text) {
            tracing::warn!(id, %error, "giving up an effect of another version");
            connection
                .execute(
                    "UPDATE outbox SET state = 'failed', why = ?2, finished = ?3 WHERE id = ?1",
                    params![id, error.to_string(), now.millis()],
                )
                .map_err(StoreError::doing(doing))?;
        }
    }
    Ok(())
}

/// Forgets what finished, and which reports were seen, so long ago that neither can come again.
pub(super) fn prune(connection: &Connection, now: Timestamp) -> Result<(), StoreError> {
    const DAY_MS: i64 = 86_400_000;
    connection
        .execute(
            "DELETE FROM outbox WHERE finished IS NOT NULL AND finished < ?1",
            [now.plus_millis(-30 * DAY_MS).millis()],
        )
        .and_then(|_| {
            connection.execute(
                "DELETE FROM seen_reports WHERE at < ?1",
                [now.plus_millis(-14 * DAY_MS).millis()],
            )
        })
        .map(|_| ())
        .map_err(StoreError::doing("forgetting old reports"))
}
