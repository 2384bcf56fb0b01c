//! One id type for each thing, all of them UUIDs; mixing two kinds up does not compile.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    marker::PhantomData,
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// A UUID that knows what it names.
pub struct Id<Kind> {
    uuid: Uuid,
    kind: PhantomData<fn() -> Kind>,
}

/// Kind of a project's id.
pub enum ProjectKind {}
/// Kind of a task's id.
pub enum TaskKind {}
/// Kind of a subtask's id.
pub enum SubtaskKind {}
/// Kind of a session's id.
pub enum SessionKind {}
/// Kind of an assignment's id.
pub enum AssignmentKind {}
/// Kind of a queued message's id.
pub enum MessageKind {}
/// Kind of a permission's or question's id.
pub enum AskKind {}
/// Kind of a host's id.
pub enum MachineKind {}
/// Kind of an event's id.
pub enum EventKind {}

/// Names a project.
pub type ProjectId = Id<ProjectKind>;
/// Names a task.
pub type TaskId = Id<TaskKind>;
/// Names a subtask.
pub type SubtaskId = Id<SubtaskKind>;
/// Names a session: ours, stable over `/clear` and resume; Claude's own id is another one.
pub type SessionId = Id<SessionKind>;
/// Names an assignment of a task to a session.
pub type AssignmentId = Id<AssignmentKind>;
/// Names a message on its way to a session.
pub type MessageId = Id<MessageKind>;
/// Names one permission request or question of a session.
pub type AskId = Id<AskKind>;
/// Names a host's store.
pub type MachineId = Id<MachineKind>;
/// Names an event.
pub type EventId = Id<EventKind>;

impl<Kind> Id<Kind> {
    /// Takes a UUID as the id of this kind.
    pub const fn new(uuid: Uuid) -> Self {
        Self {
            uuid,
            kind: PhantomData,
        }
    }

    /// The bare UUID.
    pub const fn uuid(self) -> Uuid {
        self.uuid
    }

    /// The first eight hexadecimal digits, as shown to people and used in branch names.
    pub fn short(self) -> String {
        self.uuid.simple().to_string().chars().take(8).collect()
    }
}

impl<Kind> Clone for Id<Kind> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<Kind> Copy for Id<Kind> {}
impl<Kind> PartialEq for Id<Kind> {
    fn eq(&self, other: &Self) -> bool {
        self.uuid == other.uuid
    }
}
impl<Kind> Eq for Id<Kind> {}
impl<Kind> PartialOrd for Id<Kind> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<Kind> Ord for Id<Kind> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.uuid.cmp(&other.uuid)
    }
}
impl<Kind> Hash for Id<Kind> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.uuid.hash(state);
    }
}
impl<Kind> fmt::Debug for Id<Kind> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.uuid, f)
    }
}
impl<Kind> fmt::Display for Id<Kind> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.uuid, f)
    }
}
impl<Kind> FromStr for Id<Kind> {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self::new)
    }
}
impl<Kind> Serialize for Id<Kind> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.uuid.serialize(serializer)
    }
}
impl<'de, Kind> Deserialize<'de> for Id<Kind> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Uuid::deserialize(deserializer).map(Self::new)
    }
}
