//! Reading the log and the timelines.

use std::collections::BTreeSet;

use claustre_domain::{
    entity::{EntityRef, touched},
    event::Recorded,
    projection::timeline,
};
use claustre_protocol::{
    ids::{ProjectId, SessionId, TaskId},
    model::{StoredEvent, Update},
    time::Timestamp,
};
use rusqlite::params;
use uuid::Uuid;

use super::{
    Reader, StoreError,
    codec::{self, Decoded, EVENT_COLUMNS, FOLD_COLUMNS, RawEvent},
    reader::limited,
};

/// Whose timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimelineOf {
    /// A task's.
    Task(TaskId),
    /// A session's.
    Session(SessionId),
}

impl From<TaskId> for TimelineOf {
    fn from(task: TaskId) -> Self {
        Self::Task(task)
    }
}

impl From<SessionId> for TimelineOf {
    fn from(session: SessionId) -> Self {
        Self::Session(session)
    }
}

/// What was kept of a removed worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its session.
    pub session: SessionId,
    /// The project.
    pub project: ProjectId,
    /// Its branch.
    pub branch: String,
    /// The git ref that keeps its work.
    pub snapshot: String,
    /// The task it was for.
    pub task: Option<TaskId>,
    /// When it was removed.
    pub at: Timestamp,
}

impl Reader {
    /// A timeline, newest first: made from the log, where each event knows what it says to people.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn updates(
        &self,
        of: impl Into<TimelineOf>,
        limit: usize,
    ) -> Result<Vec<Update>, StoreError> {
        let of = of.into();
        let doing = StoreError::doing("reading a timeline");
        let (column, id) = match of {
            TimelineOf::Task(task) => ("task", task.uuid()),
            TimelineOf::Session(session) => ("session", session.uuid()),
        };
        let read = || -> rusqlite::Result<Vec<Update>> {
            let mut statement = self.connection.prepare_cached(&format!(
                "SELECT {FOLD_COLUMNS} FROM events WHERE {column} = ?1
                 ORDER BY wall_ms DESC, counter DESC, local_id DESC"
            ))?;
            let mut rows = statement.query([id.to_string()])?;
            let mut found = Vec::new();
            // Not every event says something, so the rows cannot be counted beforehand.
            while found.len() < limit
                && let Some(row) = rows.next()?
            {
                found.extend(
                    codec::recorded_row(row)?
                        .and_then(|recorded| timeline::update(&recorded))
                        .filter(|update| match of {
                            TimelineOf::Task(task) => update.task_id == Some(task),
                            TimelineOf::Session(session) => update.session_id == Some(session),
                        }),
                );
            }
            Ok(found)
        };
        read().map_err(doing)
    }

    /// Bytes of what this actor has had stored about a session since then.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn bytes_by(
        &self,
        session: SessionId,
        actor: &str,
        since: Timestamp,
    ) -> Result<u64, StoreError> {
        self.connection
            .prepare_cached(
                "SELECT coalesce(sum(length(payload)), 0) FROM events
                 WHERE session = ?1 AND wall_ms >= ?2 AND actor = ?3",
            )
            .and_then(|mut statement| {
                let wanted = params![session.uuid().to_string(), since.millis(), actor];
                statement.query_one(wanted, |row| row.get::<_, i64>(0))
            })
            .map(|bytes| bytes.unsigned_abs())
            .map_err(StoreError::doing("counting what a session has written"))
    }

    /// The events after a position, oldest first, each with its own position.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn events_after(
        &self,
        position: i64,
        limit: usize,
    ) -> Result<Vec<(i64, StoredEvent)>, StoreError> {
        Ok(self
            .raw_events_after(position, limit)?
            .into_iter()
            .map(|(position, raw)| (position, raw.stored()))
            .collect())
    }

    /// The events after a position, oldest first, each with its own position; none in place of one of an unknown kind.
    ///
    /// # Errors
    /// SQLite refuses, or a row cannot be read.
    pub fn recorded_after(
        &self,
        position: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Option<Recorded>)>, StoreError> {
        self.rows(
            "reading the log",
            &format!(
                "SELECT {FOLD_COLUMNS}, local_id AS place FROM events WHERE local_id > ?1
                 ORDER BY local_id LIMIT ?2"
            ),
            params![position, limited(limit)],
            |row| Ok((row.get("place")?, codec::recorded_row(row)?)),
        )
    }

    /// As [`Reader::events_after`], as they travel to other hosts.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn raw_events_after(
        &self,
        position: i64,
        limit: usize,
    ) -> Result<Vec<(i64, RawEvent)>, StoreError> {
        self.rows(
            "reading the log",
            &format!(
                "SELECT local_id, {EVENT_COLUMNS} FROM events WHERE local_id > ?1 ORDER BY local_id LIMIT ?2"
            ),
            params![position, limited(limit)],
            |row| Ok((row.get(0)?, RawEvent::from_row(row, 1)?)),
        )
    }

    /// The events that are mainly about one project, task or session, newest first.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn events_of(&self, subject: Uuid, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        self.rows(
            "reading the log",
            &events_of(),
            params![subject.to_string(), limited(limit)],
            |row| Ok(RawEvent::from_row(row, 0)?.stored()),
        )
    }

    /// The entities that the events after a position were folded into.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn changed_since(&self, position: i64) -> Result<Vec<EntityRef>, StoreError> {
        let found: Vec<Vec<EntityRef>> = self.rows(
            "reading what changed",
            "SELECT event_type, version, payload FROM events WHERE local_id > ?1 ORDER BY local_id",
            [position],
            |row| {
                let decoded = codec::decode(
                    row.get_ref(0)?.as_str()?,
                    row.get(1)?,
                    row.get_ref(2)?.as_str()?,
                );
                Ok(match decoded {
                    Decoded::Known(event) => touched(&event).collect(),
                    Decoded::Unknown(_) => Vec::new(),
                })
            },
        )?;
        let unique: BTreeSet<EntityRef> = found.into_iter().flatten().collect();
        Ok(unique.into_iter().collect())
    }

    /// The task that was deleted last and is still deleted.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn last_deleted_task(&self) -> Result<Option<TaskId>, StoreError> {
        self.one(
            "looking for the last deleted task",
            "SELECT events.subject FROM events JOIN tasks ON tasks.id = events.subject
             WHERE events.event_type = 'task_deleted' AND tasks.deleted = 1 ORDER BY events.local_id DESC LIMIT 1",
            [],
            |row| Ok(TaskId::new(codec::uuid_column(row, 0)?)),
        )
    }

    /// What was kept of removed worktrees and not brought back, newest first.
    ///
    /// # Errors
    /// SQLite refuses, or a row cannot be read.
    pub fn snapshots(&self) -> Result<Vec<Snapshot>, StoreError> {
        self.rows(
            "reading the snapshots",
            "SELECT sessions.id, sessions.project, sessions.branch, sessions.snapshot,
                 coalesce(json_extract(sessions.state, '$.last_task[0]'), json_extract(sessions.state, '$.opened.task')),
                 (SELECT wall_ms FROM events WHERE event_type = 'worktree_removed' AND subject = sessions.id
                  ORDER BY local_id DESC LIMIT 1) AS at
             FROM sessions WHERE snapshot IS NOT NULL AND project IS NOT NULL ORDER BY at DESC, sessions.id",
            [],
            |row| {
                Ok(Snapshot {
                    session: SessionId::new(codec::uuid_column(row, 0)?),
                    project: ProjectId::new(codec::uuid_column(row, 1)?),
                    branch: row.get(2)?,
                    snapshot: row.get(3)?,
                    task: codec::optional_uuid_column(row, 4)?.map(TaskId::new),
                    at: Timestamp::from_millis(row.get::<_, Option<i64>>(5)?.unwrap_or_default()),
                })
            },
        )
    }
}

/// Each arm walks the index that knows events of its kind.
pub(super) fn events_of() -> String {
    format!(
        "SELECT {EVENT_COLUMNS} FROM events WHERE subject = ?1 AND local_id IN (
             SELECT local_id FROM events WHERE task = ?1
             UNION ALL SELECT local_id FROM events WHERE session = ?1
             UNION ALL SELECT local_id FROM events WHERE subject = ?1 AND task IS NULL AND session IS NULL)
         ORDER BY local_id DESC LIMIT ?2"
    )
}
