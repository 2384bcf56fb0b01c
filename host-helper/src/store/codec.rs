//! Events as rows: encoding, decoding, and the hash that chains them.

use claustre_domain::{
    entity::{EntityRef, touched},
    event::{EVENT_VERSION, Event, Recorded},
    time::{Hlc, Reading},
};
use claustre_protocol::{
    ids::{EventId, MachineId},
    model::StoredEvent,
    time::Timestamp,
};
use rusqlite::Row;
use serde::Deserialize as _;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{StoreError, tagged::Tagged};

/// Length of a link of the chain.
pub const HASH_LENGTH: usize = 32;

/// A link of the chain of one machine's events.
pub type Hash = [u8; HASH_LENGTH];

/// An event as it is stored, and as it travels: whatever its type, not a byte of it is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawEvent {
    /// Its id.
    pub id: EventId,
    /// The host it happened on.
    pub machine: MachineId,
    /// Its number on that host, from 1.
    pub seq: i64,
    /// That host's clock.
    pub reading: Reading,
    /// The word for what happened.
    pub event_type: String,
    /// The version of the payload's form.
    pub version: u32,
    /// The entity it is mainly about.
    pub subject: Option<Uuid>,
    /// The facts as JSON.
    pub payload: String,
    /// Who or what brought it about.
    pub actor: String,
    /// The event that led to it.
    pub cause: Option<EventId>,
    /// That host's wall clock.
    pub created_at: String,
    /// The chain up to and with this event.
    pub hash: Hash,
}

/// What a stored event is to this version of Claustre.
#[derive(Debug, Clone, PartialEq)]
pub enum Decoded {
    /// It is folded.
    Known(Event),
    /// It is kept and handed on, not folded. Says why.
    Unknown(String),
}

/// The columns of an event in the order that [`RawEvent::from_row`] takes them.
pub(super) const EVENT_COLUMNS: &str = "uuid, machine_id, seq, wall_ms, counter, event_type, version, subject, payload, \
     actor, cause, created_at, prev_hash";

/// What a fold needs of an event, in the order that [`recorded_row`] takes it.
pub(super) const FOLD_COLUMNS: &str =
    "uuid, machine_id, wall_ms, counter, event_type, version, payload";

/// The payload of an event as JSON.
pub fn encode_payload(event: &Event) -> Result<String, StoreError> {
    let unwritable = |why: String| StoreError::Unreadable {
        what: format!("a new event {}", event.event_type()),
        why,
    };
    let whole = serde_json::to_string(event).map_err(|error| unwritable(error.to_string()))?;
    // Serde writes the tag first and the content last: what is between is the payload, without a second pass over it.
    whole
        .strip_prefix("{\"event_type\":\"")
        .and_then(|rest| rest.strip_prefix(event.event_type()))
        .and_then(|rest| rest.strip_prefix("\",\"payload\":"))
        .and_then(|rest| rest.strip_suffix('}'))
        .map(str::to_owned)
        .ok_or_else(|| unwritable("its form is not tag and payload".into()))
}

/// Reads a payload.
pub fn decode(event_type: &str, version: u32, payload: &str) -> Decoded {
    if version > EVENT_VERSION {
        return Decoded::Unknown(format!("it has version {version}"));
    }
    match Event::deserialize(Tagged {
        event_type,
        payload,
    }) {
        Ok(event) => Decoded::Known(event),
        Err(error) => Decoded::Unknown(error.to_string()),
    }
}

/// The entity that an event is mainly about: the first it is folded into, else the one its line belongs to.
pub fn subject(event: &Event) -> Option<Uuid> {
    if let Event::TaskNoted { task, session, .. } = event {
        return task.map(|id| id.uuid()).or(session.map(|id| id.uuid()));
    }
    touched(event).next().map(uuid_of)
}

/// The bare id of an entity.
pub fn uuid_of(entity: EntityRef) -> Uuid {
    match entity {
        EntityRef::Project(id) => id.uuid(),
        EntityRef::Task(id) => id.uuid(),
        EntityRef::Session(id) => id.uuid(),
        EntityRef::Ask(id) => id.uuid(),
        EntityRef::Message(id) => id.uuid(),
    }
}

impl RawEvent {
    /// Makes the event from a row of [`EVENT_COLUMNS`], the first of which is column `from`.
    pub(super) fn from_row(row: &Row<'_>, from: usize) -> rusqlite::Result<Self> {
        let hash: Vec<u8> = row.get(from + 12)?;
        Ok(Self {
            id: EventId::new(uuid_column(row, from)?),
            machine: MachineId::new(uuid_column(row, from + 1)?),
            seq: row.get(from + 2)?,
            reading: Reading {
                wall_ms: row.get(from + 3)?,
                counter: row.get(from + 4)?,
            },
            event_type: row.get(from + 5)?,
            version: row.get(from + 6)?,
            subject: optional_uuid_column(row, from + 7)?,
            payload: row.get(from + 8)?,
            actor: row.get(from + 9)?,
            cause: optional_uuid_column(row, from + 10)?.map(EventId::new),
            created_at: row.get(from + 11)?,
            hash: Hash::try_from(hash.as_slice())
                .map_err(|_| conversion(from + 12, "the hash does not have 32 bytes".to_owned()))?,
        })
    }

    /// Its place in the order of all hosts' events.
    pub fn hlc(&self) -> Hlc {
        Hlc {
            reading: self.reading,
            machine: self.machine,
        }
    }

    /// The link that follows `previous`, the link of the same machine's event before this one (zeros before its first).
    pub fn link(&self, previous: &Hash) -> Hash {
        let mut hasher = Sha256::new();
        hasher.update(previous);
        // Each field with its length before it: no two events have the same bytes.
        let mut field = |bytes: &[u8]| {
            hasher.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
            hasher.update(bytes);
        };
        field(self.id.uuid().as_bytes());
        field(self.machine.uuid().as_bytes());
        field(&self.seq.to_le_bytes());
        field(&self.reading.wall_ms.to_le_bytes());
        field(&self.reading.counter.to_le_bytes());
        field(self.event_type.as_bytes());
        field(&self.version.to_le_bytes());
        field(self.subject.as_ref().map_or(&[], |id| id.as_bytes()));
        field(self.payload.as_bytes());
        field(self.actor.as_bytes());
        field(
            self.cause
                .map(EventId::uuid)
                .as_ref()
                .map_or(&[], |id| id.as_bytes()),
        );
        field(self.created_at.as_bytes());
        hasher.finalize().into()
    }

    /// The event as it is folded, if this version knows it.
    pub fn recorded(&self) -> Option<Recorded> {
        match decode(&self.event_type, self.version, &self.payload) {
            Decoded::Known(event) => Some(Recorded {
                id: self.id,
                hlc: self.hlc(),
                event,
            }),
            Decoded::Unknown(_) => None,
        }
    }

    /// The event as `watch` prints it.
    pub fn stored(&self) -> StoredEvent {
        StoredEvent {
            uuid: self.id,
            hlc: self.hlc().to_string(),
            machine_id: self.machine,
            event_type: self.event_type.clone(),
            payload: serde_json::from_str(&self.payload)
                .unwrap_or_else(|_| serde_json::Value::String(self.payload.clone())),
            created_at: Timestamp::parse_rfc3339(&self.created_at)
                .unwrap_or(Timestamp::from_millis(self.reading.wall_ms)),
        }
    }
}

/// The event of a row of [`FOLD_COLUMNS`]; none where this version does not know it.
pub(super) fn recorded_row(row: &Row<'_>) -> rusqlite::Result<Option<Recorded>> {
    let decoded = decode(
        row.get_ref(4)?.as_str()?,
        row.get(5)?,
        row.get_ref(6)?.as_str()?,
    );
    let Decoded::Known(event) = decoded else {
        return Ok(None);
    };
    Ok(Some(Recorded {
        id: EventId::new(uuid_column(row, 0)?),
        hlc: Hlc {
            reading: Reading {
                wall_ms: row.get(2)?,
                counter: row.get(3)?,
            },
            machine: MachineId::new(uuid_column(row, 1)?),
        },
        event,
    }))
}

/// Reads a UUID written as text.
pub(super) fn uuid_column(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    let text = row.get_ref(column)?.as_str()?;
    Uuid::try_parse(text).map_err(|error| conversion(column, error.to_string()))
}

pub(super) fn optional_uuid_column(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Uuid>> {
    match row.get_ref(column)?.as_str_or_null()? {
        Some(text) => Uuid::try_parse(text)
            .map(Some)
            .map_err(|error| conversion(column, error.to_string())),
        None => Ok(None),
    }
}

fn conversion(column: usize, why: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, why.into())
}
