//! The entities that a log makes while it is folded: in memory up to a limit, beyond it in a temporary file of SQLite's.

use std::collections::HashMap;

use claustre_domain::{
    entity::{Entity, EntityRef, touched},
    event::Recorded,
};
use rusqlite::{Connection, OptionalExtension as _, params};
use uuid::Uuid;

use super::{
    StoreError,
    codec::uuid_of,
    entities::{self, TABLES, Wanted},
};

const DOING: &str = "putting entities aside while the log is replayed";

/// Entities on their way.
pub(super) struct Folded {
    entities: HashMap<EntityRef, Entity>,
    /// Bytes of the events and states that the entities in memory were made from, about.
    weight: usize,
    most: usize,
    aside: Option<Connection>,
    /// Events that this version does not know.
    pub(super) unknown: u64,
}

impl Folded {
    /// Keeps entities in memory until what they were made from has so many bytes.
    pub(super) fn within(most: usize) -> Self {
        Self {
            entities: HashMap::new(),
            weight: 0,
            most,
            aside: None,
            unknown: 0,
        }
    }

    /// Folds one event in; none is one that this version does not know.
    pub(super) fn add(&mut self, recorded: Option<&Recorded>) -> Result<(), StoreError> {
        let Some(recorded) = recorded else {
            self.unknown += 1;
            return Ok(());
        };
        for of in touched(&recorded.event) {
            if let Some(entity) = self.entities.get_mut(&of) {
                entity.evolve(recorded);
                continue;
            }
            let mut entity = match self.take_back(of)? {
                Some(entity) => entity,
                None => Entity::empty(of),
            };
            entity.evolve(recorded);
            self.entities.insert(of, entity);
        }
        Ok(())
    }

    /// Notes that events of so many bytes were folded, and makes room where they are too many.
    pub(super) fn weigh(&mut self, bytes: usize) -> Result<(), StoreError> {
        self.weight = self.weight.saturating_add(bytes);
        if self.weight > self.most {
            self.put_aside().map_err(StoreError::doing(DOING))??;
        }
        Ok(())
    }

    fn take_back(&mut self, of: EntityRef) -> Result<Option<Entity>, StoreError> {
        let Some(aside) = &self.aside else {
            return Ok(None);
        };
        let state: Option<String> = aside
            .prepare_cached("SELECT state FROM aside WHERE kind = ?1 AND id = ?2")
            .and_then(|mut statement| {
                statement
                    .query_row(params![kind(of), uuid_of(of).as_bytes()], |row| row.get(0))
                    .optional()
            })
            .map_err(StoreError::doing(DOING))?;
        let Some(state) = state else {
            return Ok(None);
        };
        self.weight = self.weight.saturating_add(state.len());
        entities::decode(of, &state).map(Some)
    }

    fn put_aside(&mut self) -> rusqlite::Result<Result<(), StoreError>> {
        let aside = match self.aside.take() {
            Some(aside) => aside,
            None => temporary()?,
        };
        let transaction = aside.unchecked_transaction()?;
        {
            let mut write = transaction.prepare_cached(
                "INSERT OR REPLACE INTO aside (kind, id, state) VALUES (?1, ?2, ?3)",
            )?;
            for (of, entity) in self.entities.drain() {
                match entities::encode(of, &entity) {
                    Ok(state) => write.execute(params![kind(of), uuid_of(of).as_bytes(), state])?,
                    Err(error) => return Ok(Err(error)),
                };
            }
        }
        transaction.commit()?;
        self.weight = 0;
        self.aside = Some(aside);
        Ok(Ok(()))
    }

    /// Hands over the row of each entity, in the order of [`EntityRef`], until `take` answers false.
    pub(super) fn rows(mut self, mut take: impl FnMut(Wanted) -> bool) -> Result<(), StoreError> {
        if self.aside.is_some() {
            self.put_aside().map_err(StoreError::doing(DOING))??;
        }
        let Some(aside) = self.aside else {
            let mut all: Vec<(EntityRef, Entity)> = self.entities.into_iter().collect();
            all.sort_unstable_by_key(|(of, _)| *of);
            for (of, entity) in all {
                if !take(Wanted::of(of, &entity)?) {
                    break;
                }
            }
            return Ok(());
        };
        let mut statement = aside
            .prepare("SELECT kind, id, state FROM aside ORDER BY kind, id")
            .map_err(StoreError::doing(DOING))?;
        let mut rows = statement.query([]).map_err(StoreError::doing(DOING))?;
        while let Some(row) = rows.next().map_err(StoreError::doing(DOING))? {
            let read = || -> rusqlite::Result<(i64, [u8; 16], String)> {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            };
            let (kind, id, state) = read().map_err(StoreError::doing(DOING))?;
            let of = usize::try_from(kind)
                .ok()
                .and_then(|kind| TABLES.get(kind))
                .and_then(|table| entities::reference(table.name, Uuid::from_bytes(id)));
            // Written by ourselves: every kind is a table's place.
            let Some(of) = of else { continue };
            let entity = entities::decode(of, &state)?;
            if !take(Wanted::of(of, &entity)?) {
                break;
            }
        }
        Ok(())
    }
}

/// A database in a file without a name, which goes with the connection.
fn temporary() -> rusqlite::Result<Connection> {
    let aside = Connection::open("")?;
    aside.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -4096;
         CREATE TABLE aside (kind INTEGER, id BLOB, state TEXT, PRIMARY KEY (kind, id)) WITHOUT ROWID",
    )?;
    Ok(aside)
}

/// The place of an entity's table, in the order of [`EntityRef`].
fn kind(of: EntityRef) -> i64 {
    match of {
        EntityRef::Project(_) => 0,
        EntityRef::Task(_) => 1,
        EntityRef::Session(_) => 2,
        EntityRef::Ask(_) => 3,
        EntityRef::Message(_) => 4,
    }
}
