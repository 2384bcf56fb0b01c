//! Folds the whole log again and compares the result with the projections that stand.

use std::collections::{BTreeMap, HashMap};

use claustre_domain::{
    entity::{Entity, EntityRef, touched},
    event::Recorded,
    projection::timeline,
    time::{Hlc, Reading},
};
use claustre_protocol::{
    ids::{EventId, MachineId},
    model::Update,
    status::Word,
};
use rusqlite::{Connection, Row, types::Value};
use uuid::Uuid;

use super::{
    Store, StoreError,
    codec::{self, Decoded},
    entities::{self, Standing, TABLES},
    transaction::insert_update,
};

/// Raised when a change of the domain makes older projections stale: the next start then rebuilds them.
pub(super) const FOLD_VERSION: &str = "1";

/// What to do with differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayMode {
    /// Report them.
    Compare,
    /// Report them and put the rows right.
    Repair,
}

/// What a replay found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReplayReport {
    /// Events in the log.
    pub events: u64,
    /// Those of a type or version that this Claustre does not know: kept, not folded.
    pub unknown: u64,
    /// Entities that the log makes.
    pub entities: u64,
    /// Rows that were not as the log makes them. At most [`MOST_DIFFERENCES`] are listed.
    pub differences: Vec<Difference>,
    /// How many there were in all.
    pub different: u64,
    /// Were they put right?
    pub repaired: bool,
}

/// At most so many differences are listed; all are counted, and repaired.
pub const MOST_DIFFERENCES: usize = 1000;

/// A row that is not as the log makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its table.
    pub table: &'static str,
    /// Its id.
    pub id: String,
    /// What is wrong.
    pub kind: DifferenceKind,
}

/// The ways in which a row may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DifferenceKind {
    /// The log makes it, but it is not there.
    Missing,
    /// It is there, but the log does not make it.
    Extra,
    /// It holds something else than the log makes.
    Differs,
}

impl ReplayReport {
    fn note(&mut self, table: &'static str, id: String, kind: DifferenceKind) {
        self.different += 1;
        if self.differences.len() < MOST_DIFFERENCES {
            self.differences.push(Difference { table, id, kind });
        }
    }
}

impl Store {
    /// Folds the whole log in memory and compares every projection with it, in one transaction.
    ///
    /// # Errors
    /// SQLite refuses, or an event's row cannot be read.
    pub fn replay(&mut self, mode: ReplayMode) -> Result<ReplayReport, StoreError> {
        let doing = "replaying the log";
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(StoreError::doing(doing))?;
        let mut report = ReplayReport::default();
        let folded = fold(&transaction, mode, &mut report)?;
        report.entities = u64::try_from(folded.len()).unwrap_or(u64::MAX);
        compare_entities(&transaction, folded, mode, &mut report)?;
        if mode == ReplayMode::Repair {
            transaction
                .execute(
                    "INSERT OR REPLACE INTO meta (key, value) VALUES ('fold_version', ?1)",
                    [FOLD_VERSION],
                )
                .map_err(StoreError::doing(doing))?;
            transaction.commit().map_err(StoreError::doing(doing))?;
            report.repaired = true;
        }
        Ok(report)
    }
}

/// Folds all events, and compares the timelines on the way: both lie in the order of arrival.
fn fold(
    connection: &Connection,
    mode: ReplayMode,
    report: &mut ReplayReport,
) -> Result<HashMap<EntityRef, Entity>, StoreError> {
    let doing = "replaying the log";
    let mut events = connection
        .prepare(
            "SELECT local_id, uuid, machine_id, wall_ms, counter, event_type, version, payload FROM events ORDER BY local_id",
        )
        .map_err(StoreError::doing(doing))?;
    let mut lines = connection
        .prepare(
            "SELECT local_id, task, session, source, level, text, wall_ms, counter FROM updates ORDER BY local_id",
        )
        .map_err(StoreError::doing(doing))?;
    let mut events = events.query([]).map_err(StoreError::doing(doing))?;
    let mut lines = lines.query([]).map_err(StoreError::doing(doing))?;
    let mut line = lines.next().map_err(StoreError::doing(doing))?;

    let mut folded: HashMap<EntityRef, Entity> = HashMap::new();
    let mut repairs: Vec<(i64, Reading, Option<Update>)> = Vec::new();
    let mut machines = Machines::default();
    let mut buffer = String::new();
    while let Some(row) = events.next().map_err(StoreError::doing(doing))? {
        report.events += 1;
        let local_id: i64 = row.get(0).map_err(StoreError::doing(doing))?;
        // Lines of events that are not there.
        while let Some(extra) = line.filter(|line| line_id(line) < local_id) {
            let id = line_id(extra);
            report.note("updates", id.to_string(), DifferenceKind::Extra);
            repairs.push((id, Reading::default(), None));
            line = lines.next().map_err(StoreError::doing(doing))?;
        }
        let standing = line.filter(|line| line_id(line) == local_id);
        let decoded = codec::decode(
            text(row, 5)?,
            row.get(6).map_err(StoreError::doing(doing))?,
            text(row, 7)?,
            &mut buffer,
        );
        let wanted = match decoded {
            Decoded::Unknown(_) => {
                report.unknown += 1;
                None
            }
            Decoded::Known(event) => {
                let recorded = Recorded {
                    id: EventId::new(parse_uuid(text(row, 1)?)?),
                    hlc: Hlc {
                        reading: Reading {
                            wall_ms: row.get(3).map_err(StoreError::doing(doing))?,
                            counter: row.get(4).map_err(StoreError::doing(doing))?,
                        },
                        machine: machines.parse(text(row, 2)?)?,
                    },
                    event,
                };
                for of in touched(&recorded.event) {
                    folded
                        .entry(of)
                        .or_insert_with(|| Entity::empty(of))
                        .evolve(&recorded);
                }
                timeline::update(&recorded).map(|update| (recorded.hlc.reading, update))
            }
        };
        let kind = match (&wanted, standing) {
            (None, None) => None,
            (None, Some(_)) => Some(DifferenceKind::Extra),
            (Some(_), None) => Some(DifferenceKind::Missing),
            (Some((reading, update)), Some(row)) => (!same_line(row, *reading, update)
                .map_err(StoreError::doing(doing))?)
            .then_some(DifferenceKind::Differs),
        };
        if standing.is_some() {
            line = lines.next().map_err(StoreError::doing(doing))?;
        }
        if let Some(kind) = kind {
            report.note("updates", local_id.to_string(), kind);
            let (reading, update) = wanted
                .map_or((Reading::default(), None), |(reading, update)| {
                    (reading, Some(update))
                });
            if mode == ReplayMode::Repair {
                repairs.push((local_id, reading, update));
            }
        }
    }
    while let Some(extra) = line {
        let id = line_id(extra);
        report.note("updates", id.to_string(), DifferenceKind::Extra);
        repairs.push((id, Reading::default(), None));
        line = lines.next().map_err(StoreError::doing(doing))?;
    }
    drop(lines);
    if mode == ReplayMode::Repair {
        for (local_id, reading, update) in repairs {
            match update {
                Some(update) => insert_update(connection, local_id, reading, &update)?,
                None => {
                    connection
                        .execute("DELETE FROM updates WHERE local_id = ?1", [local_id])
                        .map_err(StoreError::doing(doing))?;
                }
            }
        }
    }
    Ok(folded)
}

fn line_id(row: &Row<'_>) -> i64 {
    // The rowid of its table: always there, always a number.
    row.get(0).unwrap_or(i64::MIN)
}

fn same_line(row: &Row<'_>, reading: Reading, update: &Update) -> rusqlite::Result<bool> {
    let id_is = |column, id: Option<Uuid>| -> rusqlite::Result<bool> {
        let mut buffer = Uuid::encode_buffer();
        let wanted = id.map(|id| &*id.hyphenated().encode_lower(&mut buffer));
        Ok(row.get_ref(column)?.as_str_or_null()? == wanted)
    };
    Ok(id_is(1, update.task_id.map(|id| id.uuid()))?
        && id_is(2, update.session_id.map(|id| id.uuid()))?
        && row.get_ref(3)?.as_str()? == update.source
        && row.get_ref(4)?.as_str()? == update.level.word()
        && row.get_ref(5)?.as_str()? == update.payload
        && row.get::<_, i64>(6)? == reading.wall_ms
        && row.get::<_, u32>(7)? == reading.counter)
}

/// Compares the rows of all entities with what was folded.
fn compare_entities(
    connection: &Connection,
    folded: HashMap<EntityRef, Entity>,
    mode: ReplayMode,
    report: &mut ReplayReport,
) -> Result<(), StoreError> {
    let doing = "comparing the projections";
    let mut missing = folded;
    let mut wrong: Vec<(EntityRef, Entity, DifferenceKind)> = Vec::new();
    let mut extra: Vec<(&'static str, String)> = Vec::new();
    let mut dependencies = dependencies_of_all(connection).map_err(StoreError::doing(doing))?;
    for table in TABLES {
        let mut statement = connection
            .prepare(table.scan)
            .map_err(StoreError::doing(doing))?;
        let state_column = statement.column_count().saturating_sub(1);
        let mut rows = statement.query([]).map_err(StoreError::doing(doing))?;
        while let Some(row) = rows.next().map_err(StoreError::doing(doing))? {
            let id = text(row, 0)?;
            let found = Uuid::try_parse(id)
                .ok()
                .and_then(|id| entities::reference(table.name, id))
                .and_then(|of| missing.remove_entry(&of));
            let Some((of, entity)) = found else {
                extra.push((table.name, id.to_owned()));
                continue;
            };
            let mut same = text(row, state_column)? == entities::encode(of, &entity)?;
            for (place, wanted) in entities::columns(&entity).iter().enumerate() {
                let value: Value = row.get(place + 1).map_err(StoreError::doing(doing))?;
                same &= value == *wanted;
            }
            let mut wanted: Vec<String> = entities::dependencies(&entity)
                .iter()
                .map(ToString::to_string)
                .collect();
            wanted.sort();
            wanted.dedup();
            if table.name == "tasks" {
                same &= dependencies.remove(id).unwrap_or_default() == wanted;
            }
            if !same {
                wrong.push((of, entity, DifferenceKind::Differs));
            }
        }
    }
    wrong.extend(
        missing
            .into_iter()
            .map(|(of, entity)| (of, entity, DifferenceKind::Missing)),
    );
    wrong.sort_by_key(|(of, _, _)| *of);
    for (of, entity, kind) in wrong {
        report.note(
            entities::table(of).name,
            codec::uuid_of(of).to_string(),
            kind,
        );
        if mode == ReplayMode::Repair {
            if matches!(of, EntityRef::Task(_)) {
                connection
                    .execute(
                        "DELETE FROM task_dependencies WHERE task = ?1",
                        [codec::uuid_of(of).to_string()],
                    )
                    .map_err(StoreError::doing(doing))?;
            }
            entities::save(connection, of, &entity, &mut Standing::default())?;
        }
    }
    for (table, id) in extra {
        if mode == ReplayMode::Repair {
            connection
                .execute(&format!("DELETE FROM {table} WHERE id = ?1"), [&id])
                .and_then(|_| {
                    connection.execute("DELETE FROM task_dependencies WHERE task = ?1", [&id])
                })
                .map_err(StoreError::doing(doing))?;
        }
        report.note(table, id, DifferenceKind::Extra);
    }
    Ok(())
}

fn dependencies_of_all(connection: &Connection) -> rusqlite::Result<BTreeMap<String, Vec<String>>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut statement = connection
        .prepare("SELECT task, depends_on FROM task_dependencies ORDER BY task, depends_on")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        all.entry(row.get(0)?).or_default().push(row.get(1)?);
    }
    Ok(all)
}

/// The last host's id, parsed once for a run of its events.
#[derive(Default)]
struct Machines {
    last: Option<(String, MachineId)>,
}

impl Machines {
    fn parse(&mut self, text: &str) -> Result<MachineId, StoreError> {
        if let Some((known, id)) = &self.last
            && known == text
        {
            return Ok(*id);
        }
        let id = MachineId::new(parse_uuid(text)?);
        self.last = Some((text.to_owned(), id));
        Ok(id)
    }
}

fn parse_uuid(text: &str) -> Result<Uuid, StoreError> {
    Uuid::try_parse(text).map_err(|error| StoreError::Unreadable {
        what: "an id in the log".into(),
        why: error.to_string(),
    })
}

fn text<'row>(row: &'row Row<'_>, column: usize) -> Result<&'row str, StoreError> {
    row.get_ref(column)
        .and_then(|value| value.as_str().map_err(Into::into))
        .map_err(StoreError::doing("replaying the log"))
}
