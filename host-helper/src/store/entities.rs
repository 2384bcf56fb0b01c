//! Folded entities as rows: the JSON of the entity beside the columns that queries need.

use claustre_domain::{
    entity::{Entity, EntityRef},
    project::Project,
    session::{Ask, Message, MessageState, Session},
    task::Task,
};
use claustre_protocol::{
    ids::{AskId, MessageId, ProjectId, SessionId, TaskId},
    status::Word,
};
use rusqlite::{Connection, OptionalExtension, ToSql, params_from_iter, types::Value};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{StoreError, codec::uuid_of};

/// One table of entities.
pub(super) struct Table {
    /// Its name.
    pub(super) name: &'static str,
    /// Reads the state by id.
    pub(super) load: &'static str,
    /// Reads the columns in the order of [`columns`], then the state, by id.
    pub(super) compare: &'static str,
    save: &'static str,
    save_state: &'static str,
}

const PROJECTS: Table = Table {
    name: "projects",
    load: "SELECT state FROM projects WHERE id = ?1",
    compare: "SELECT name, present, state FROM projects WHERE id = ?1",
    save: "INSERT INTO projects (id, state, name, present) VALUES (?1, ?2, ?3, ?4)
           ON CONFLICT (id) DO UPDATE SET state = ?2, name = ?3, present = ?4",
    save_state: "UPDATE projects SET state = ?2 WHERE id = ?1",
};
const TASKS: Table = Table {
    name: "tasks",
    load: "SELECT state FROM tasks WHERE id = ?1",
    compare: "SELECT project, status, priority, rank, deleted, title, branch, state FROM tasks WHERE id = ?1",
    save: "INSERT INTO tasks (id, state, project, status, priority, rank, deleted, title, branch)
           VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
           ON CONFLICT (id) DO UPDATE SET state = ?2, project = ?3, status = ?4, priority = ?5, rank = ?6, deleted = ?7,
               title = ?8, branch = ?9",
    save_state: "UPDATE tasks SET state = ?2 WHERE id = ?1",
};
const SESSIONS: Table = Table {
    name: "sessions",
    load: "SELECT state FROM sessions WHERE id = ?1",
    compare: "SELECT project, open, task, branch, tab_name, title, claude, snapshot, created, state FROM sessions WHERE id = ?1",
    save: "INSERT INTO sessions (id, state, project, open, task, branch, tab_name, title, claude, snapshot, created)
           VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
           ON CONFLICT (id) DO UPDATE SET state = ?2, project = ?3, open = ?4, task = ?5, branch = ?6, tab_name = ?7,
               title = ?8, claude = ?9, snapshot = ?10, created = ?11",
    save_state: "UPDATE sessions SET state = ?2 WHERE id = ?1",
};
const ASKS: Table = Table {
    name: "asks",
    load: "SELECT state FROM asks WHERE id = ?1",
    compare: "SELECT session, open, since, state FROM asks WHERE id = ?1",
    save: "INSERT INTO asks (id, state, session, open, since) VALUES (?1, ?2, ?3, ?4, ?5)
           ON CONFLICT (id) DO UPDATE SET state = ?2, session = ?3, open = ?4, since = ?5",
    save_state: "UPDATE asks SET state = ?2 WHERE id = ?1",
};
const MESSAGES: Table = Table {
    name: "messages",
    load: "SELECT state FROM messages WHERE id = ?1",
    compare: "SELECT session, waiting, queued, counter, state FROM messages WHERE id = ?1",
    save: "INSERT INTO messages (id, state, session, waiting, queued, counter) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
           ON CONFLICT (id) DO UPDATE SET state = ?2, session = ?3, waiting = ?4, queued = ?5, counter = ?6",
    save_state: "UPDATE messages SET state = ?2 WHERE id = ?1",
};

/// All tables of entities.
pub(super) const TABLES: [Table; 5] = [PROJECTS, TASKS, SESSIONS, ASKS, MESSAGES];

/// The table of an entity.
pub(super) const fn table(of: EntityRef) -> &'static Table {
    match of {
        EntityRef::Project(_) => &PROJECTS,
        EntityRef::Task(_) => &TASKS,
        EntityRef::Session(_) => &SESSIONS,
        EntityRef::Ask(_) => &ASKS,
        EntityRef::Message(_) => &MESSAGES,
    }
}

/// The entity of a table's row.
pub(super) fn reference(table: &str, id: Uuid) -> Option<EntityRef> {
    match table {
        "projects" => Some(EntityRef::Project(ProjectId::new(id))),
        "tasks" => Some(EntityRef::Task(TaskId::new(id))),
        "sessions" => Some(EntityRef::Session(SessionId::new(id))),
        "asks" => Some(EntityRef::Ask(AskId::new(id))),
        "messages" => Some(EntityRef::Message(MessageId::new(id))),
        _ => None,
    }
}

/// Reads an entity; none where no event of it was folded.
pub(super) fn load(connection: &Connection, of: EntityRef) -> Result<Option<Entity>, StoreError> {
    let table = table(of);
    let state: Option<String> = connection
        .prepare_cached(table.load)
        .and_then(|mut statement| {
            statement
                .query_row([uuid_of(of).to_string()], |row| row.get(0))
                .optional()
        })
        .map_err(StoreError::doing(format!("reading from {}", table.name)))?;
    state.map(|state| decode(of, &state)).transpose()
}

/// Reads an entity's state.
pub(super) fn decode(of: EntityRef, state: &str) -> Result<Entity, StoreError> {
    Ok(match of {
        EntityRef::Project(_) => Entity::Project(Box::new(from_state(of, state)?)),
        EntityRef::Task(_) => Entity::Task(Box::new(from_state(of, state)?)),
        EntityRef::Session(_) => Entity::Session(Box::new(from_state(of, state)?)),
        EntityRef::Ask(_) => Entity::Ask(Box::new(from_state(of, state)?)),
        EntityRef::Message(_) => Entity::Message(Box::new(from_state(of, state)?)),
    })
}

fn from_state<T: DeserializeOwned>(of: EntityRef, state: &str) -> Result<T, StoreError> {
    serde_json::from_str(state).map_err(|error| StoreError::Unreadable {
        what: format!("{of:?}"),
        why: error.to_string(),
    })
}

/// The entity's state.
pub(super) fn encode(of: EntityRef, entity: &Entity) -> Result<String, StoreError> {
    match entity {
        Entity::Project(project) => serde_json::to_string(project),
        Entity::Task(task) => serde_json::to_string(task),
        Entity::Session(session) => serde_json::to_string(session),
        Entity::Ask(ask) => serde_json::to_string(ask),
        Entity::Message(message) => serde_json::to_string(message),
    }
    .map_err(|error| StoreError::Unreadable {
        what: format!("the new state of {of:?}"),
        why: error.to_string(),
    })
}

/// The columns beside id and state, in the table's order.
fn columns(entity: &Entity) -> Vec<Value> {
    match entity {
        Entity::Project(project) => project_columns(project),
        Entity::Task(task) => task_columns(task),
        Entity::Session(session) => session_columns(session),
        Entity::Ask(ask) => ask_columns(ask),
        Entity::Message(message) => message_columns(message),
    }
}

/// What the task depends on; nothing for other entities.
fn dependencies(entity: &Entity) -> Vec<TaskId> {
    match entity {
        Entity::Task(task) => task.depends_on.value(),
        Entity::Project(_) | Entity::Session(_) | Entity::Ask(_) | Entity::Message(_) => Vec::new(),
    }
}

/// An entity's row as it was read: what did not change is not written.
#[derive(Debug, Default)]
pub(super) struct Standing {
    columns: Option<Vec<Value>>,
    dependencies: Vec<TaskId>,
}

impl Standing {
    /// The row of an entity that was just read, or of none.
    pub(super) fn of(entity: Option<&Entity>) -> Self {
        Self {
            columns: entity.map(columns),
            dependencies: entity.map(dependencies).unwrap_or_default(),
        }
    }
}

/// An entity as it is to stand in its table.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) of: EntityRef,
    pub(super) id: String,
    pub(super) state: String,
    /// As [`columns`].
    pub(super) columns: Vec<Value>,
    pub(super) dependencies: Vec<TaskId>,
}

impl Wanted {
    /// The row of an entity.
    pub(super) fn of(of: EntityRef, entity: &Entity) -> Result<Self, StoreError> {
        Ok(Self {
            of,
            id: uuid_of(of).to_string(),
            state: encode(of, entity)?,
            columns: columns(entity),
            dependencies: dependencies(entity),
        })
    }

    /// Writes it over the row that stands: only what changed.
    pub(super) fn save(
        self,
        connection: &Connection,
        standing: &mut Standing,
    ) -> Result<(), StoreError> {
        let table = table(self.of);
        let doing = || format!("writing to {}", table.name);
        if standing.columns.as_ref() == Some(&self.columns) {
            connection
                .prepare_cached(table.save_state)
                .and_then(|mut statement| statement.execute([&self.id, &self.state]))
                .map_err(StoreError::doing(doing()))?;
        } else {
            connection
                .prepare_cached(table.save)
                .and_then(|mut statement| {
                    let texts: [&dyn ToSql; 2] = [&self.id, &self.state];
                    let others = self.columns.iter().map(|value| value as &dyn ToSql);
                    statement.execute(params_from_iter(texts.into_iter().chain(others)))
                })
                .map_err(StoreError::doing(doing()))?;
        }
        if self.dependencies != standing.dependencies {
            save_dependencies(connection, &self.id, &self.dependencies)
                .map_err(StoreError::doing(doing()))?;
        }
        *standing = Standing {
            columns: Some(self.columns),
            dependencies: self.dependencies,
        };
        Ok(())
    }
}

fn save_dependencies(
    connection: &Connection,
    task: &str,
    wanted: &[TaskId],
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM task_dependencies WHERE task = ?1")?
        .execute([task])?;
    let mut insert = connection.prepare_cached(
        "INSERT OR IGNORE INTO task_dependencies (task, depends_on) VALUES (?1, ?2)",
    )?;
    for id in wanted {
        insert.execute([task, &id.to_string()])?;
    }
    Ok(())
}

fn text(value: impl Into<String>) -> Value {
    Value::Text(value.into())
}

fn optional_text(value: Option<String>) -> Value {
    value.map_or(Value::Null, Value::Text)
}

fn flag(value: bool) -> Value {
    Value::Integer(value.into())
}

fn project_columns(project: &Project) -> Vec<Value> {
    vec![text(project.name.value()), flag(project.exists())]
}

fn task_columns(task: &Task) -> Vec<Value> {
    vec![
        optional_text(task.project.get().map(ToString::to_string)),
        text(task.status_now().word()),
        Value::Integer(task.priority.value().get().into()),
        Value::Real(task.rank.value()),
        flag(!task.exists()),
        text(task.title.value()),
        optional_text(task.branch.value()),
    ]
}

fn session_columns(session: &Session) -> Vec<Value> {
    let opened = session.opened.as_deref();
    vec![
        optional_text(opened.map(|opened| opened.project.to_string())),
        flag(session.is_open()),
        optional_text(session.task.value().map(|task| task.to_string())),
        text(session.branch()),
        text(session.tab_name()),
        text(
            opened
                .map(|opened| opened.title.clone())
                .unwrap_or_default(),
        ),
        optional_text(session.claude_session_id.get().cloned()),
        optional_text(session.removed.value()),
        Value::Integer(session.created_at.unwrap_or_default().millis()),
    ]
}

fn ask_columns(ask: &Ask) -> Vec<Value> {
    let asked = ask.asked.as_deref();
    vec![
        optional_text(asked.map(|asked| asked.session.to_string())),
        flag(asked.is_some() && ask.outcome.is_empty()),
        Value::Integer(asked.map(|asked| asked.since.millis()).unwrap_or_default()),
    ]
}

fn message_columns(message: &Message) -> Vec<Value> {
    vec![
        optional_text(message.session.map(|session| session.to_string())),
        flag(message.session.is_some() && message.state == MessageState::Waiting),
        Value::Integer(message.queued_at.unwrap_or_default().millis()),
        Value::Integer(message.queued_counter.into()),
    ]
}
