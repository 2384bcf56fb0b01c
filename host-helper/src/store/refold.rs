//! Folds the whole log in memory on two threads: this one reads, the other decodes and folds, and this one helps to decode
//! where the other falls behind. Then the other makes the rows that the entities should have, and this one takes them.

use std::{
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread,
};

use claustre_domain::{
    event::Recorded,
    time::{Hlc, Reading},
};
use claustre_protocol::ids::{EventId, MachineId};
use rusqlite::{Connection, Row};
use uuid::Uuid;

use super::{
    StoreError,
    codec::{self, Decoded, FOLD_COLUMNS},
    entities::Wanted,
    folded::Folded,
};

/// Events that go from one thread to the other together.
const BATCH: usize = 256;
/// Batches that wait between the threads: all that is in memory beside the entities themselves.
const WAITING: usize = 8;

/// What was counted on the way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Events in the log.
    pub(super) events: u64,
    /// Those that this version does not know.
    pub(super) unknown: u64,
}

/// Folds all events, then hands over the row of each entity, in the order of [`claustre_domain::entity::EntityRef`]. Entities stay in
/// memory until what they were made from has `most` bytes.
///
/// # Errors
/// SQLite refuses, an event's row cannot be read, or `take` fails.
pub(super) fn refold(
    connection: &Connection,
    most: usize,
    mut take: impl FnMut(Wanted) -> Result<(), StoreError>,
) -> Result<Counts, StoreError> {
    thread::scope(|scope| {
        let (batches, incoming) = sync_channel::<Batch>(WAITING);
        let (spare, emptied) = sync_channel::<RawBatch>(WAITING);
        let (made, rows) = sync_channel::<Result<Vec<Wanted>, StoreError>>(WAITING);
        let folding = scope.spawn(move || fold(most, &incoming, &spare, &made));
        let events = read(connection, batches, &emptied)?;
        while let Ok(batch) = rows.recv() {
            for wanted in batch? {
                take(wanted)?;
            }
        }
        // Had the receiver gone on an error, the other thread would have ended at its next batch.
        drop(rows);
        let unknown = folding
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok(Counts { events, unknown })
    })
}

/// A batch on its way to be folded.
enum Batch {
    Raw(RawBatch),
    /// With the bytes that they had.
    Decoded(Vec<Option<Recorded>>, usize),
}

/// Events as they were read, with all their text in one place.
#[derive(Default)]
struct RawBatch {
    text: String,
    events: Vec<RawRow>,
}

struct RawRow {
    id: EventId,
    hlc: Hlc,
    version: u32,
    /// Where in the text its type ends; it begins where the event before it ended.
    type_end: usize,
    /// Where its payload ends.
    end: usize,
}

impl RawBatch {
    fn push(&mut self, row: &Row<'_>, machines: &mut Machines) -> rusqlite::Result<()> {
        let id = EventId::new(codec::uuid_column(row, 0)?);
        let hlc = Hlc {
            machine: machines.parse(row, 1)?,
            reading: Reading {
                wall_ms: row.get(2)?,
                counter: row.get(3)?,
            },
        };
        self.text.push_str(row.get_ref(4)?.as_str()?);
        let type_end = self.text.len();
        self.text.push_str(row.get_ref(6)?.as_str()?);
        self.events.push(RawRow {
            id,
            hlc,
            version: row.get(5)?,
            type_end,
            end: self.text.len(),
        });
        Ok(())
    }

    /// The events; none where this version does not know one.
    fn decoded(&self) -> impl Iterator<Item = Option<Recorded>> + '_ {
        let mut begin = 0;
        self.events.iter().map(move |row| {
            let part = |from, to| self.text.get(from..to).unwrap_or_default();
            let event_type = part(begin, row.type_end);
            let payload = part(row.type_end, row.end);
            begin = row.end;
            match codec::decode(event_type, row.version, payload) {
                Decoded::Known(event) => Some(Recorded {
                    id: row.id,
                    hlc: row.hlc,
                    event,
                }),
                Decoded::Unknown(_) => None,
            }
        })
    }

    fn clear(&mut self) {
        self.text.clear();
        self.events.clear();
    }
}

/// Reads the whole log; the number of its events.
fn read(
    connection: &Connection,
    batches: SyncSender<Batch>,
    emptied: &Receiver<RawBatch>,
) -> Result<u64, StoreError> {
    let doing = || StoreError::doing("replaying the log");
    let mut statement = connection
        .prepare(&format!(
            "SELECT {FOLD_COLUMNS} FROM events ORDER BY local_id"
        ))
        .map_err(doing())?;
    let mut rows = statement.query([]).map_err(doing())?;
    let (mut events, mut machines) = (0, Machines::default());
    let mut batch = RawBatch::default();
    loop {
        let row = rows.next().map_err(doing())?;
        let ends = row.is_none();
        if let Some(row) = row {
            batch.push(row, &mut machines).map_err(doing())?;
            events += 1;
        }
        if ends || batch.events.len() >= BATCH {
            match batches.try_send(Batch::Raw(batch)) {
                Ok(()) => batch = emptied.try_recv().unwrap_or_default(),
                Err(TrySendError::Full(Batch::Raw(full))) => {
                    let decoded = full.decoded().collect();
                    // Where the receiver has gone, there is nothing to wait for: joining it tells why.
                    batches.send(Batch::Decoded(decoded, full.text.len())).ok();
                    batch = full;
                }
                Err(_) => batch = RawBatch::default(),
            }
            batch.clear();
        }
        if ends {
            return Ok(events);
        }
    }
}

/// Folds what comes, then makes the rows. The number of events that this version does not know.
fn fold(
    most: usize,
    incoming: &Receiver<Batch>,
    spare: &SyncSender<RawBatch>,
    made: &SyncSender<Result<Vec<Wanted>, StoreError>>,
) -> u64 {
    match try_fold(most, incoming, spare, made) {
        Ok(unknown) => unknown,
        Err(error) => {
            // Nobody receives it where the other thread has failed itself.
            made.send(Err(error)).ok();
            0
        }
    }
}

fn try_fold(
    most: usize,
    incoming: &Receiver<Batch>,
    spare: &SyncSender<RawBatch>,
    made: &SyncSender<Result<Vec<Wanted>, StoreError>>,
) -> Result<u64, StoreError> {
    let mut folded = Folded::within(most);
    while let Ok(batch) = incoming.recv() {
        match batch {
            Batch::Raw(batch) => {
                for recorded in batch.decoded() {
                    folded.add(recorded.as_ref())?;
                }
                folded.weigh(batch.text.len())?;
                // With enough of them on their way back, this one is let go.
                spare.try_send(batch).ok();
            }
            Batch::Decoded(batch, bytes) => {
                for recorded in &batch {
                    folded.add(recorded.as_ref())?;
                }
                folded.weigh(bytes)?;
            }
        }
    }
    let unknown = folded.unknown;
    let mut rows = Vec::with_capacity(BATCH);
    folded.rows(|wanted| {
        rows.push(wanted);
        rows.len() < BATCH || made.send(Ok(std::mem::take(&mut rows))).is_ok()
    })?;
    if !rows.is_empty() {
        made.send(Ok(rows)).ok();
    }
    Ok(unknown)
}

/// The last host's id, parsed once for a run of its events.
#[derive(Default)]
struct Machines {
    last: Option<(String, MachineId)>,
}

impl Machines {
    fn parse(&mut self, row: &Row<'_>, column: usize) -> rusqlite::Result<MachineId> {
        let text = row.get_ref(column)?.as_str()?;
        if let Some((known, id)) = &self.last
            && known == text
        {
            return Ok(*id);
        }
        let id: Uuid = codec::uuid_column(row, column)?;
        let id = MachineId::new(id);
        self.last = Some((text.to_owned(), id));
        Ok(id)
    }
}
