//! The last telemetry of each session: kept for a restart of the daemon, never in the log.

use claustre_protocol::{ids::SessionId, time::Timestamp};
use rusqlite::{Row, params};

use super::{Reader, Store, StoreError, codec};

/// Telemetry of one session.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveRow {
    /// The session.
    pub session: SessionId,
    /// When it was gathered.
    pub at: Timestamp,
    /// What; its form is the engine's.
    pub state: serde_json::Value,
}

impl Store {
    /// Writes telemetry over what stands, in one transaction.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn flush_live(&mut self, rows: &[LiveRow]) -> Result<(), StoreError> {
        let doing = "writing telemetry";
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(StoreError::doing(doing))?;
        for row in rows {
            transaction
                .prepare_cached(
                    "INSERT INTO live (session, at, state) VALUES (?1, ?2, ?3)
                     ON CONFLICT (session) DO UPDATE SET at = ?2, state = ?3",
                )
                .and_then(|mut statement| {
                    statement.execute(params![
                        row.session.to_string(),
                        row.at.millis(),
                        row.state.to_string()
                    ])
                })
                .map_err(StoreError::doing(doing))?;
        }
        transaction.commit().map_err(StoreError::doing(doing))
    }
}

impl Reader {
    /// The telemetry of a session.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn live(&self, session: SessionId) -> Result<Option<LiveRow>, StoreError> {
        self.one(
            "reading telemetry",
            "SELECT session, at, state FROM live WHERE session = ?1",
            [session.to_string()],
            live_row,
        )
    }

    /// The telemetry of all sessions that are open.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn all_live(&self) -> Result<Vec<LiveRow>, StoreError> {
        self.rows(
            "reading telemetry",
            "SELECT live.session, live.at, live.state FROM live JOIN sessions ON sessions.id = live.session
             WHERE sessions.open = 1",
            [],
            live_row,
        )
    }
}

fn live_row(row: &Row<'_>) -> rusqlite::Result<LiveRow> {
    let state: String = row.get(2)?;
    Ok(LiveRow {
        session: SessionId::new(codec::uuid_column(row, 0)?),
        at: Timestamp::from_millis(row.get(1)?),
        // Telemetry of another version is none.
        state: serde_json::from_str(&state).unwrap_or_default(),
    })
}
