//! Reading: lookups of folded entities on a connection of its own, beside the one that writes.

use std::{collections::BTreeMap, path::Path};

use claustre_domain::{
    entity::{Entity, EntityRef},
    project::Project,
    session::{Ask, Message, Session},
    task::Task,
};
use claustre_protocol::{
    ids::{AskId, MachineId, MessageId, ProjectId, SessionId, TaskId},
    status::{TaskStatus, Word},
};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use super::{StoreError, entities, open};

/// A read-only connection. Each call sees all that was committed before it.
pub struct Reader {
    pub(super) connection: Connection,
    machine: MachineId,
}

/// Which tasks are wanted, in the order of the board: priority, then rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskFilter {
    /// Only of this project.
    pub project: Option<ProjectId>,
    /// Only with this status.
    pub status: Option<TaskStatus>,
    /// At most so many.
    pub limit: usize,
    /// Those that come after this one: the next page.
    pub after: Option<TaskId>,
    /// Deleted ones too.
    pub include_deleted: bool,
}

impl Default for TaskFilter {
    fn default() -> Self {
        Self {
            project: None,
            status: None,
            limit: usize::MAX,
            after: None,
            include_deleted: false,
        }
    }
}

/// Which sessions are wanted, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionFilter {
    /// Only of this project.
    pub project: Option<ProjectId>,
    /// Only those that are not closed.
    pub open_only: bool,
}

impl Reader {
    /// Opens a connection that reads what is committed.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn open(path: &Path, machine: MachineId) -> Result<Self, StoreError> {
        Ok(Self {
            connection: open::for_reading(path)?,
            machine,
        })
    }

    /// This host.
    pub fn machine(&self) -> MachineId {
        self.machine
    }

    /// The newest event's `local_id`; 0 while there is none.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn position(&self) -> Result<i64, StoreError> {
        let found: Option<Option<i64>> = self.one(
            "reading the store's position",
            "SELECT max(local_id) FROM events",
            [],
            |row| row.get(0),
        )?;
        Ok(found.flatten().unwrap_or(0))
    }

    /// How large the store is, in bytes, with what still stands in its write-ahead log.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn size(&self) -> Result<u64, StoreError> {
        let pages: Option<i64> = self.one(
            "reading the store's size",
            "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
            [],
            |row| row.get(0),
        )?;
        Ok(pages.map_or(0, i64::unsigned_abs))
    }

    /// All projects that are not removed, by name.
    ///
    /// # Errors
    /// SQLite refuses, or a row cannot be read.
    pub fn projects(&self) -> Result<Vec<Project>, StoreError> {
        self.states(
            "reading the projects",
            "SELECT state FROM projects WHERE present = 1 ORDER BY name, id",
            [],
        )
    }

    /// A project, removed ones too.
    ///
    /// # Errors
    /// SQLite refuses, or the row cannot be read.
    pub fn project(&self, id: ProjectId) -> Result<Option<Project>, StoreError> {
        Ok(match self.entity(EntityRef::Project(id))? {
            Some(Entity::Project(project)) => Some(*project),
            _ => None,
        })
    }

    /// A task, deleted ones too.
    ///
    /// # Errors
    /// As [`Reader::project`].
    pub fn task(&self, id: TaskId) -> Result<Option<Task>, StoreError> {
        Ok(match self.entity(EntityRef::Task(id))? {
            Some(Entity::Task(task)) => Some(*task),
            _ => None,
        })
    }

    /// A session, closed ones too.
    ///
    /// # Errors
    /// As [`Reader::project`].
    pub fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        Ok(match self.entity(EntityRef::Session(id))? {
            Some(Entity::Session(session)) => Some(*session),
            _ => None,
        })
    }

    /// Something a session asked, answered ones too.
    ///
    /// # Errors
    /// As [`Reader::project`].
    pub fn ask(&self, id: AskId) -> Result<Option<Ask>, StoreError> {
        Ok(match self.entity(EntityRef::Ask(id))? {
            Some(Entity::Ask(ask)) => Some(*ask),
            _ => None,
        })
    }

    /// A message to a session, delivered ones too.
    ///
    /// # Errors
    /// As [`Reader::project`].
    pub fn message(&self, id: MessageId) -> Result<Option<Message>, StoreError> {
        Ok(match self.entity(EntityRef::Message(id))? {
            Some(Entity::Message(message)) => Some(*message),
            _ => None,
        })
    }

    /// The tasks of a filter, in the order of the board.
    ///
    /// # Errors
    /// As [`Reader::project`].
    pub fn tasks(&self, filter: TaskFilter) -> Result<Vec<Task>, StoreError> {
        // The text is put together from constants, so that each combination walks the index that fits it.
        let mut sql = String::from("SELECT state FROM tasks WHERE true");
        if filter.project.is_some() {
            sql.push_str(" AND project = :project");
        }
        if filter.status.is_some() {
            sql.push_str(" AND status = :status");
        }
        if !filter.include_deleted {
            sql.push_str(" AND deleted = 0");
        }
        if filter.after.is_some() {
            sql.push_str(
                " AND (priority, rank, id) > (SELECT priority, rank, id FROM tasks WHERE id = :after)",
            );
        }
        sql.push_str(" ORDER BY priority, rank, id LIMIT :limit");
        let project = filter.project.map(|id| id.to_string());
        let status = filter.status.map(Word::word);
        let after = filter.after.map(|id| id.to_string());
        let limit = limited(filter.limit);
        let mut parameters: Vec<(&str, &dyn rusqlite::ToSql)> = vec![(":limit", &limit)];
        if let Some(project) = &project {
            parameters.push((":project", project));
        }
        if let Some(status) = &status {
            parameters.push((":status", status));
        }
        if let Some(after) = &after {
            parameters.push((":after", after));
        }
        self.states("reading the tasks", &sql, parameters.as_slice())
    }

    /// The sessions of a filter, oldest first.
    ///
    /// # Errors
    /// As [`Reader::project`].
    pub fn sessions(&self, filter: SessionFilter) -> Result<Vec<Session>, StoreError> {
        let doing = "reading the sessions";
        match (filter.project.map(|id| id.to_string()), filter.open_only) {
            (Some(project), true) => self.states(
                doing,
                "SELECT state FROM sessions WHERE open = 1 AND project = ?1 ORDER BY created, id",
                [project],
            ),
            (Some(project), false) => self.states(
                doing,
                "SELECT state FROM sessions WHERE project = ?1 ORDER BY created, id",
                [project],
            ),
            (None, true) => self.states(
                doing,
                "SELECT state FROM sessions WHERE open = 1 ORDER BY created, id",
                [],
            ),
            (None, false) => self.states(
                doing,
                "SELECT state FROM sessions WHERE project IS NOT NULL ORDER BY created, id",
                [],
            ),
        }
    }

    /// What a session waits for a person to answer, oldest first.
    ///
    /// # Errors
    /// As [`Reader::project`].
    pub fn open_asks(&self, session: SessionId) -> Result<Vec<Ask>, StoreError> {
        self.states(
            "reading what a session asks",
            "SELECT state FROM asks WHERE open = 1 AND session = ?1 ORDER BY since, id",
            [session.to_string()],
        )
    }

    /// The messages of a session that wait to be typed, oldest first.
    ///
    /// # Errors
    /// As [`Reader::project`].
    pub fn waiting_messages(&self, session: SessionId) -> Result<Vec<Message>, StoreError> {
        self.states(
            "reading the messages of a session",
            "SELECT state FROM messages WHERE waiting = 1 AND session = ?1 ORDER BY queued, counter, id",
            [session.to_string()],
        )
    }

    /// The tasks that depend on this one and are not deleted.
    ///
    /// # Errors
    /// As [`Reader::project`].
    pub fn dependents(&self, task: TaskId) -> Result<Vec<Task>, StoreError> {
        self.states(
            "reading what depends on a task",
            "SELECT tasks.state FROM task_dependencies JOIN tasks ON tasks.id = task_dependencies.task
             WHERE task_dependencies.depends_on = ?1 AND tasks.deleted = 0 ORDER BY tasks.priority, tasks.rank, tasks.id",
            [task.to_string()],
        )
    }

    /// How many tasks have each status, in one project or in all. Statuses that no task has are absent.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn task_counts(
        &self,
        project: Option<ProjectId>,
    ) -> Result<BTreeMap<TaskStatus, u64>, StoreError> {
        let rows: Vec<(String, i64)> = self.rows(
            "counting the tasks",
            "SELECT status, sum(count) FROM task_counts WHERE ?1 IS NULL OR project = ?1 GROUP BY status",
            params![project.map(|id| id.to_string())],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        Ok(rows
            .into_iter()
            .filter_map(|(status, count)| {
                let status = TaskStatus::parse_word(&status).ok()?;
                let count = u64::try_from(count).ok().filter(|count| *count > 0)?;
                Some((status, count))
            })
            .collect())
    }

    fn entity(&self, of: EntityRef) -> Result<Option<Entity>, StoreError> {
        entities::load(&self.connection, of)
    }

    /// The entities whose states a query finds.
    pub(super) fn states<T: serde::de::DeserializeOwned>(
        &self,
        doing: &'static str,
        sql: &str,
        parameters: impl Params,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached(sql)
            .map_err(StoreError::doing(doing))?;
        let mut rows = statement
            .query(parameters)
            .map_err(StoreError::doing(doing))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(StoreError::doing(doing))? {
            let state = row
                .get_ref(0)
                .and_then(|value| value.as_str().map_err(Into::into))
                .map_err(StoreError::doing(doing))?;
            found.push(
                serde_json::from_str(state).map_err(|error| StoreError::Unreadable {
                    what: doing.into(),
                    why: error.to_string(),
                })?,
            );
        }
        Ok(found)
    }

    pub(super) fn rows<T>(
        &self,
        doing: &'static str,
        sql: &str,
        parameters: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_map(parameters, read)?.collect())
            .map_err(StoreError::doing(doing))
    }

    pub(super) fn one<T>(
        &self,
        doing: &'static str,
        sql: &str,
        parameters: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row(parameters, read).optional())
            .map_err(StoreError::doing(doing))
    }
}

/// A limit as SQLite takes it.
pub(super) fn limited(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
