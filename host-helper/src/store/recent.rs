//! The entities that transactions used last, so that the next one need not read and parse them again.
//!
//! Only the writer's connection writes, so what a committed transaction held is what stands in the tables. A transaction that is
//! not committed leaves nothing here: then all is read anew.

use std::collections::HashMap;

use claustre_domain::entity::{Entity, EntityRef};

use super::entities::Standing;

/// At least so many are kept, at most twice as many; each is a few KB.
const KEPT: usize = 256;

/// Entities with the rows that stand for them.
#[derive(Default)]
pub(super) struct Recent {
    /// Used since the last change of generations.
    young: HashMap<EntityRef, (Entity, Standing)>,
    /// Used in the generation before.
    old: HashMap<EntityRef, (Entity, Standing)>,
}

impl Recent {
    /// Takes an entity out.
    pub(super) fn take(&mut self, of: EntityRef) -> Option<(Entity, Standing)> {
        self.young.remove(&of).or_else(|| self.old.remove(&of))
    }

    /// Gives an entity back as it was committed.
    pub(super) fn give(&mut self, of: EntityRef, entity: Entity, standing: Standing) {
        if self.young.len() >= KEPT {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(of, (entity, standing));
    }

    /// Forgets all: the tables were written by something else than a transaction.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use claustre_protocol::ids::TaskId;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_is_used_stays_and_what_is_not_goes() {
        let of = |number: u128| EntityRef::Task(TaskId::new(Uuid::from_u128(number)));
        let mut recent = Recent::default();
        let give = |recent: &mut Recent, number| {
            recent.give(of(number), Entity::empty(of(number)), Standing::default());
        };
        give(&mut recent, 0);
        give(&mut recent, 1);
        for number in 2..10_000 {
            give(&mut recent, number);
            assert!(recent.take(of(0)).is_some(), "{number}");
            give(&mut recent, 0);
        }
        assert!(recent.take(of(1)).is_none());
        assert!(recent.young.len() + recent.old.len() <= 2 * KEPT);
        recent.clear();
        assert!(recent.take(of(0)).is_none());
    }
}
