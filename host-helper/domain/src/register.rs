//! Fields that several hosts may write: the last writer wins, the same way in whatever order the writes arrive.

use std::collections::BTreeMap;

use claustre_protocol::ids::MachineId;
use serde::{Deserialize, Serialize};

use crate::time::{Hlc, Reading};

/// Where a write stands among all writes of one field.
///
/// `edit_no` is one more than that of the value its writer saw: an edit made after seeing another always wins, however
/// wrong a clock is. The clock only decides between edits that did not know of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(
    into = "(u32, i64, u32, MachineId)",
    from = "(u32, i64, u32, MachineId)"
)]
pub struct Stamp {
    /// Edits of this field before this one, as its writer knew.
    pub edit_no: u32,
    /// When and where it was written.
    pub hlc: Hlc,
}

impl From<Stamp> for (u32, i64, u32, MachineId) {
    fn from(stamp: Stamp) -> Self {
        (
            stamp.edit_no,
            stamp.hlc.reading.wall_ms,
            stamp.hlc.reading.counter,
            stamp.hlc.machine,
        )
    }
}

impl From<(u32, i64, u32, MachineId)> for Stamp {
    fn from((edit_no, wall_ms, counter, machine): (u32, i64, u32, MachineId)) -> Self {
        Self {
            edit_no,
            hlc: Hlc {
                reading: Reading { wall_ms, counter },
                machine,
            },
        }
    }
}

/// A field with the stamp of its last write; empty until the first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Register<T> {
    written: Option<(T, Stamp)>,
}

impl<T> Default for Register<T> {
    fn default() -> Self {
        Self { written: None }
    }
}

impl<T> Register<T> {
    /// Takes the write if it is later than what stands here.
    pub fn write(&mut self, value: T, stamp: Stamp) {
        match &self.written {
            Some((_, standing)) if *standing >= stamp => {}
            _ => self.written = Some((value, stamp)),
        }
    }

    /// The value, if any was written.
    pub fn get(&self) -> Option<&T> {
        self.written.as_ref().map(|(value, _)| value)
    }

    /// When and where it was written last, if ever.
    pub fn stamp(&self) -> Option<Stamp> {
        self.written.as_ref().map(|(_, stamp)| *stamp)
    }

    /// The number that the next edit of this field carries.
    pub fn next_edit(&self) -> u32 {
        self.written
            .as_ref()
            .map_or(0, |(_, stamp)| stamp.edit_no.saturating_add(1))
    }

    /// Nothing was written yet?
    pub fn is_empty(&self) -> bool {
        self.written.is_none()
    }
}

impl<T: Default> Register<T> {
    /// As [`Register::write`], in place: `set` sets every part of the value, and may use the memory that it holds.
    pub fn write_in_place(&mut self, stamp: Stamp, set: impl FnOnce(&mut T)) {
        match &mut self.written {
            Some((_, standing)) if *standing >= stamp => {}
            Some((value, standing)) => {
                set(value);
                *standing = stamp;
            }
            None => {
                let mut value = T::default();
                set(&mut value);
                self.written = Some((value, stamp));
            }
        }
    }
}

impl<T: Clone + Default> Register<T> {
    /// The value, or the type's default.
    pub fn value(&self) -> T {
        self.get().cloned().unwrap_or_default()
    }
}

/// A new value for a field with its edit number, as events carry it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Edit<T> {
    /// The new value.
    pub value: T,
    /// Its edit number.
    pub edit_no: u32,
}

impl<T> Edit<T> {
    /// An edit that follows what `register` holds.
    pub fn after(register: &Register<T>, value: T) -> Self {
        Self {
            value,
            edit_no: register.next_edit(),
        }
    }
}

/// Things that are opened once and closed, perhaps by two hosts at a time, in whatever order that is heard of; only the open
/// ones are kept. Each opening and closing must be folded in exactly once, as the store does by event id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    transparent,
    bound(
        deserialize = "Key: Ord + Deserialize<'de>",
        serialize = "Key: Ord + Serialize"
    )
)]
pub struct OpenSet<Key> {
    /// Openings less closings, without zeros: sums do not care about order.
    balance: BTreeMap<Key, i32>,
}

impl<Key> Default for OpenSet<Key> {
    fn default() -> Self {
        Self {
            balance: BTreeMap::new(),
        }
    }
}

impl<Key: Ord + Copy> OpenSet<Key> {
    /// It was opened.
    pub fn open(&mut self, key: Key) {
        self.add(key, 1);
    }

    /// It was closed.
    pub fn close(&mut self, key: Key) {
        self.add(key, -1);
    }

    fn add(&mut self, key: Key, amount: i32) {
        let balance = self.balance.entry(key).or_insert(0);
        *balance = balance.saturating_add(amount);
        if *balance == 0 {
            self.balance.remove(&key);
        }
    }

    /// Is it open?
    pub fn contains(&self, key: Key) -> bool {
        self.balance.get(&key).is_some_and(|balance| *balance > 0)
    }

    /// Those that are open.
    pub fn iter(&self) -> impl Iterator<Item = Key> + '_ {
        self.balance
            .iter()
            .filter(|(_, balance)| **balance > 0)
            .map(|(key, _)| *key)
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Is none open?
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn stamp() -> impl Strategy<Value = Stamp> {
        (0u32..3, 0i64..4, 0u32..3, 0u128..3).prop_map(|(edit_no, wall_ms, counter, machine)| {
            Stamp::from((
                edit_no,
                wall_ms,
                counter,
                MachineId::new(Uuid::from_u128(machine)),
            ))
        })
    }

    proptest! {
        #[test]
        fn any_order_and_repetition_of_writes_gives_the_same_value(
            stamps in prop::collection::btree_set(stamp().prop_map(<(u32, i64, u32, MachineId)>::from), 1..12),
            order in prop::collection::vec(any::<prop::sample::Index>(), 1..40),
        ) {
            // The value is made from the stamp: two different writes never carry the same one.
            let writes: Vec<Stamp> = stamps.into_iter().map(Stamp::from).collect();
            let mut straight = Register::default();
            for write in &writes {
                straight.write(format!("{write:?}"), *write);
            }
            let mut shuffled = Register::default();
            for index in &order {
                let write = writes[index.index(writes.len())];
                shuffled.write(format!("{write:?}"), write);
            }
            for write in writes.iter().rev() {
                shuffled.write_in_place(*write, |value| *value = format!("{write:?}"));
            }
            prop_assert_eq!(straight, shuffled);
        }
    }

    #[test]
    fn what_was_closed_twice_is_closed_in_every_order() {
        let mut sets = [(); 3].map(|()| OpenSet::default());
        for (place, set) in sets.iter_mut().enumerate() {
            for step in 0..3 {
                if step == place {
                    set.open(7);
                } else {
                    set.close(7);
                }
            }
            assert!(!set.contains(7) && set.is_empty());
        }
        assert!(sets.iter().all(|set| *set == sets[0]));
    }

    #[test]
    fn an_edit_that_saw_another_wins_against_a_wrong_clock() {
        let machine = MachineId::new(Uuid::nil());
        let mut register = Register::default();
        register.write("first", Stamp::from((0, 9_000, 0, machine)));
        let edit = Edit::after(&register, "second");
        register.write(edit.value, Stamp::from((edit.edit_no, 10, 0, machine)));
        assert_eq!(register.get(), Some(&"second"));
    }
}
