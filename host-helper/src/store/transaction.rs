//! The one way to write: append events, fold them, enqueue what they ask of the world, all or nothing.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap, btree_map},
};

use claustre_domain::{
    entity::{Entity, EntityRef, World, touched},
    event::{EVENT_VERSION, Event, Recorded},
    project::Project,
    session::{Ask, Message, Session},
    task::Task,
    time::{Hlc, Reading},
};
use claustre_protocol::{
    ids::{AskId, EventId, MachineId, MessageId, ProjectId, SessionId, TaskId},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, ToSql, params};

use super::{
    Store, StoreError,
    codec::{self, Hash, RawEvent},
    entities::{self, Standing, Wanted},
    recent::Recent,
};
use crate::ids;

/// Everything between `BEGIN IMMEDIATE` and the commit. Dropped without [`Transaction::commit`] it leaves nothing behind.
pub struct Transaction<'store> {
    pub(super) store: &'store mut Store,
    pub(super) now: Timestamp,
    /// `now` as the log has it.
    now_text: String,
    reading: Reading,
    seq: i64,
    hash: Hash,
    position: i64,
    entities: RefCell<BTreeMap<EntityRef, Held>>,
    /// What earlier transactions used; goes back to the store with the commit, and is lost where that fails.
    recent: RefCell<Recent>,
    /// The first read that failed where the caller could not be told.
    failure: RefCell<Option<StoreError>>,
    /// The chains of other hosts, as far as they were touched.
    foreign: HashMap<MachineId, (i64, Hash)>,
    finished: bool,
}

/// An entity in this transaction: read once, written once.
struct Held {
    entity: Option<Entity>,
    standing: Standing,
    changed: bool,
}

impl<'store> Transaction<'store> {
    pub(super) fn begin(store: &'store mut Store, now: Timestamp) -> Result<Self, StoreError> {
        store
            .connection
            .prepare_cached("BEGIN IMMEDIATE")
            .and_then(|mut statement| statement.execute([]))
            .map_err(StoreError::doing("beginning a change"))?;
        Ok(Self {
            now,
            now_text: now.to_rfc3339(),
            reading: store.reading,
            seq: store.seq,
            hash: store.hash,
            position: store.position,
            entities: RefCell::default(),
            recent: RefCell::new(std::mem::take(&mut store.recent)),
            failure: RefCell::default(),
            foreign: HashMap::new(),
            finished: false,
            store,
        })
    }

    /// The time that this transaction's events are told with.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Appends a fact and folds it in.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn append(
        &mut self,
        event: Event,
        actor: &str,
        cause: Option<EventId>,
    ) -> Result<Recorded, StoreError> {
        let reading = self.reading.tick(self.now.millis());
        let seq = self.seq.saturating_add(1);
        let mut raw = RawEvent {
            id: EventId::new(ids::in_time((self.store.ids)(), self.now.millis())),
            machine: self.store.machine,
            seq,
            reading,
            event_type: event.event_type().to_owned(),
            version: EVENT_VERSION,
            subject: codec::subject(&event),
            payload: codec::encode_payload(&event)?,
            actor: actor.to_owned(),
            cause,
            created_at: self.now_text.clone(),
            hash: [0; codec::HASH_LENGTH],
        };
        raw.hash = raw.link(&self.hash);
        let local_id = insert_event(self.connection(), &raw)?;
        self.reading = reading;
        self.seq = seq;
        self.hash = raw.hash;
        self.position = local_id;
        let recorded = Recorded {
            id: raw.id,
            hlc: Hlc {
                reading,
                machine: self.store.machine,
            },
            event,
        };
        self.fold(&recorded)?;
        Ok(recorded)
    }

    /// Takes an event of another host: kept as it came, and folded if its type is known. False if it was there already.
    ///
    /// # Errors
    /// It is not the next one of that host, its chain does not hold, it claims to be ours, or SQLite refuses.
    pub fn take(&mut self, raw: &RawEvent) -> Result<bool, StoreError> {
        let misfit = |why: &str| StoreError::Misfit {
            machine: raw.machine.to_string(),
            seq: raw.seq,
            why: why.into(),
        };
        if raw.machine == self.store.machine {
            return Err(misfit("it claims to come from this host"));
        }
        let known = match self.foreign.get(&raw.machine) {
            Some(known) => *known,
            None => chain_head(self.connection(), raw.machine)?,
        };
        if raw.seq <= known.0 {
            self.foreign.insert(raw.machine, known);
            return Ok(false);
        }
        if raw.seq != known.0.saturating_add(1) {
            return Err(misfit("events before it are missing"));
        }
        if raw.link(&known.1) != raw.hash {
            return Err(misfit("its hash does not follow from the event before it"));
        }
        let local_id = insert_event(self.connection(), raw)?;
        self.position = local_id;
        self.foreign.insert(raw.machine, (raw.seq, raw.hash));
        self.reading = self.reading.observe(raw.reading, self.now.millis());
        if let Some(recorded) = raw.recorded() {
            self.fold(&recorded)?;
        }
        Ok(true)
    }

    /// Says whether this report came before, and remembers it.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn seen_report(&mut self, id: EventId) -> Result<bool, StoreError> {
        let added = self
            .connection()
            .prepare_cached("INSERT OR IGNORE INTO seen_reports (id, at) VALUES (?1, ?2)")
            .and_then(|mut statement| statement.execute(params![id.to_string(), self.now.millis()]))
            .map_err(StoreError::doing("noting a report"))?;
        Ok(added == 0)
    }

    /// Makes it all durable. Returns the store's new position.
    ///
    /// # Errors
    /// A read failed that a decision was based on, or SQLite refuses. Then nothing was changed.
    pub fn commit(mut self) -> Result<i64, StoreError> {
        if let Some(failure) = self.failure.borrow_mut().take() {
            return Err(failure);
        }
        self.write_entities()?;
        if !self.foreign.is_empty() {
            super::keep_clock(self.connection(), self.reading)?;
        }
        self.connection()
            .prepare_cached("COMMIT")
            .and_then(|mut statement| statement.execute([]))
            .map_err(StoreError::doing("making a change durable"))?;
        self.finished = true;
        self.store.reading = self.reading;
        self.store.seq = self.seq;
        self.store.hash = self.hash;
        self.store.position = self.position;
        self.store.recent = self.recent.take();
        for (of, held) in self.entities.take() {
            if let Some(entity) = held.entity {
                self.store.recent.give(of, entity, held.standing);
            }
        }
        Ok(self.position)
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.store.connection
    }

    fn fold(&mut self, recorded: &Recorded) -> Result<(), StoreError> {
        for of in touched(&recorded.event) {
            self.hold(of)?;
            if let Some(held) = self.entities.get_mut().get_mut(&of) {
                held.entity
                    .get_or_insert_with(|| Entity::empty(of))
                    .evolve(recorded);
                held.changed = true;
            }
        }
        Ok(())
    }

    /// Reads an entity unless it is held already.
    fn hold(&self, of: EntityRef) -> Result<(), StoreError> {
        if let btree_map::Entry::Vacant(place) = self.entities.borrow_mut().entry(of) {
            let recent = self.recent.borrow_mut().take(of);
            let (entity, standing) = match recent {
                Some((entity, standing)) => (Some(entity), standing),
                None => {
                    let entity = entities::load(self.connection(), of)?;
                    let standing = Standing::of(entity.as_ref());
                    (entity, standing)
                }
            };
            place.insert(Held {
                entity,
                standing,
                changed: false,
            });
        }
        Ok(())
    }

    /// Writes what changed, so that queries see it.
    fn write_entities(&self) -> Result<(), StoreError> {
        for (of, held) in self.entities.borrow_mut().iter_mut() {
            if let (true, Some(entity)) = (held.changed, &held.entity) {
                Wanted::of(*of, entity)?.save(self.connection(), &mut held.standing)?;
                held.changed = false;
            }
        }
        Ok(())
    }

    /// The value, or `None` and the error kept for [`Transaction::commit`].
    fn stash<T>(&self, result: Result<T, StoreError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.failure.borrow_mut().get_or_insert(error);
                None
            }
        }
    }

    fn entity(&self, of: EntityRef) -> Option<Entity> {
        self.stash(self.hold(of))?;
        self.entities
            .borrow()
            .get(&of)
            .and_then(|held| held.entity.clone())
    }

    /// The ids that a query finds, with this transaction's changes.
    fn ids(&self, sql: &str, parameter: &dyn ToSql) -> Vec<uuid::Uuid> {
        let found = self.write_entities().and_then(|()| {
            self.connection()
                .prepare_cached(sql)
                .and_then(|mut statement| {
                    statement
                        .query_map([parameter], |row| codec::uuid_column(row, 0))?
                        .collect()
                })
                .map_err(StoreError::doing("asking the store"))
        });
        self.stash(found).unwrap_or_default()
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // SQLite has rolled back by itself after some errors.
        if !self.finished
            && !self.store.connection.is_autocommit()
            && let Err(error) = self.store.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "rolling back a change");
        }
    }
}

impl World for Transaction<'_> {
    fn project(&self, id: ProjectId) -> Option<Project> {
        match self.entity(EntityRef::Project(id))? {
            Entity::Project(project) => Some(*project),
            _ => None,
        }
    }

    fn project_named(&self, name: &str) -> Option<Project> {
        self.ids(
            "SELECT id FROM projects WHERE name = ?1 AND present = 1 ORDER BY id LIMIT 1",
            &name,
        )
        .first()
        .and_then(|id| self.project(ProjectId::new(*id)))
    }

    fn task(&self, id: TaskId) -> Option<Task> {
        match self.entity(EntityRef::Task(id))? {
            Entity::Task(task) => Some(*task),
            _ => None,
        }
    }

    fn session(&self, id: SessionId) -> Option<Session> {
        match self.entity(EntityRef::Session(id))? {
            Entity::Session(session) => Some(*session),
            _ => None,
        }
    }

    fn ask(&self, id: AskId) -> Option<Ask> {
        match self.entity(EntityRef::Ask(id))? {
            Entity::Ask(ask) => Some(*ask),
            _ => None,
        }
    }

    fn message(&self, id: MessageId) -> Option<Message> {
        match self.entity(EntityRef::Message(id))? {
            Entity::Message(message) => Some(*message),
            _ => None,
        }
    }

    fn open_sessions(&self, project: ProjectId) -> Vec<Session> {
        self.ids(
            "SELECT id FROM sessions WHERE open = 1 AND project = ?1 ORDER BY created, id",
            &project.to_string(),
        )
        .into_iter()
        .filter_map(|id| self.session(SessionId::new(id)))
        .collect()
    }

    fn dependents(&self, task: TaskId) -> Vec<Task> {
        self.ids(
            "SELECT task FROM task_dependencies WHERE depends_on = ?1 ORDER BY task",
            &task.to_string(),
        )
        .into_iter()
        .filter_map(|id| self.task(TaskId::new(id)))
        .filter(Task::exists)
        .collect()
    }

    fn waiting_messages(&self, session: SessionId) -> Vec<Message> {
        self.ids(
            "SELECT id FROM messages WHERE waiting = 1 AND session = ?1 ORDER BY queued, counter, id",
            &session.to_string(),
        )
        .into_iter()
        .filter_map(|id| self.message(MessageId::new(id)))
        .collect()
    }
}

/// The number and the link of a host's newest event; before its first, 0 and zeros.
pub(super) fn chain_head(
    connection: &Connection,
    machine: MachineId,
) -> Result<(i64, Hash), StoreError> {
    let found: Option<(i64, Vec<u8>)> = connection
        .prepare_cached(
            "SELECT seq, prev_hash FROM events WHERE machine_id = ?1 ORDER BY seq DESC LIMIT 1",
        )
        .and_then(|mut statement| {
            statement
                .query_row([machine.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
        })
        .map_err(StoreError::doing("reading the newest event of a host"))?;
    match found {
        None => Ok((0, [0; codec::HASH_LENGTH])),
        Some((seq, hash)) => {
            let hash = Hash::try_from(hash.as_slice()).map_err(|_| StoreError::Unreadable {
                what: format!("the hash of event {seq} of host {machine}"),
                why: "it does not have 32 bytes".into(),
            })?;
            Ok((seq, hash))
        }
    }
}

fn insert_event(connection: &Connection, raw: &RawEvent) -> Result<i64, StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO events (uuid, machine_id, seq, wall_ms, counter, event_type, version, subject, payload, actor,
                 cause, created_at, prev_hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )
        .and_then(|mut statement| {
            statement.insert(params![
                raw.id.to_string(),
                raw.machine.to_string(),
                raw.seq,
                raw.reading.wall_ms,
                raw.reading.counter,
                raw.event_type,
                raw.version,
                raw.subject.map(|id| id.to_string()),
                raw.payload,
                raw.actor,
                raw.cause.map(|id| id.to_string()),
                raw.created_at,
                raw.hash.as_slice(),
            ])
        })
        .map_err(StoreError::doing("adding an event to the log"))
}
