//! Whatever order, repetition and batches events arrive in, every host folds the same entities.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "all of it is a test"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use claustre_domain::{
    entity::{Entity, EntityRef},
    event::Recorded,
};
use proptest::prelude::*;
use support::{Known, MemoryWorld, Step, command, fold};

/// Runs a story over several hosts that hear of each other now and then. Returns them and all events.
fn story(hosts: u64, steps: &[(u8, u8, Step)]) -> (Vec<MemoryWorld>, Vec<Recorded>) {
    let mut worlds: Vec<MemoryWorld> = (0..hosts).map(MemoryWorld::new).collect();
    let mut known = Known::default();
    for (host, other, step) in steps {
        let host = usize::from(*host) % worlds.len();
        let other = usize::from(*other) % worlds.len();
        if host != other && step.0.is_multiple_of(4) {
            let heard = worlds[other].log.clone();
            for event in &heard {
                worlds[host].hear(event);
            }
        }
        let world = &mut worlds[host];
        // Clocks run, and are set back.
        world.now = world.now.plus_millis(i64::from(step.1) - 60);
        let mut minted = world.mint();
        let now = world.now;
        let command = command(
            &mut known,
            || {
                let this = minted;
                minted = world.mint();
                this
            },
            now,
            *step,
        );
        // A refusal is part of the story.
        let _refused = world.run(command).is_err();
    }
    let mut all: BTreeMap<_, Recorded> = BTreeMap::new();
    for world in &worlds {
        for event in &world.log {
            all.insert(event.hlc, event.clone());
        }
    }
    (worlds, all.into_values().collect())
}

fn steps() -> impl Strategy<Value = Vec<(u8, u8, Step)>> {
    prop::collection::vec(
        (0u8..3, 0u8..3, (0u8..160, any::<u8>(), any::<u8>())),
        1..120,
    )
}

fn fold_all<'a>(events: impl IntoIterator<Item = &'a Recorded>) -> BTreeMap<EntityRef, Entity> {
    let mut entities = BTreeMap::new();
    for event in events {
        fold(&mut entities, event);
    }
    entities
}

/// Writes all entities as text and reads them again, as a store does between two transactions.
fn through_text(entities: BTreeMap<EntityRef, Entity>) -> BTreeMap<EntityRef, Entity> {
    fn again<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> Box<T> {
        Box::new(serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap())
    }
    entities
        .into_iter()
        .map(|(of, entity)| {
            let entity = match entity {
                Entity::Project(project) => Entity::Project(again(&*project)),
                Entity::Task(task) => Entity::Task(again(&*task)),
                Entity::Session(session) => Entity::Session(again(&*session)),
                Entity::Ask(ask) => Entity::Ask(again(&*ask)),
                Entity::Message(message) => Entity::Message(again(&*message)),
            };
            (of, entity)
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_repetition_and_batching_folds_to_the_same(
        hosts in 1u64..=3,
        steps in steps(),
        order in prop::collection::vec(any::<u32>(), 0..400),
        batch in 1usize..20,
    ) {
        let (worlds, all) = story(hosts, &steps);
        let straight = fold_all(&all);

        // The order of the keys, and after them the rest backwards; each event once or more.
        let mut places: Vec<usize> = order.iter().map(|key| *key as usize % all.len().max(1)).collect();
        places.extend((0..all.len()).rev());
        let mut seen = BTreeSet::new();
        let mut shuffled = BTreeMap::new();
        for batch in places.chunks(batch) {
            for place in batch {
                if let Some(event) = all.get(*place).filter(|event| seen.insert(event.id)) {
                    fold(&mut shuffled, event);
                }
            }
            shuffled = through_text(shuffled);
        }
        prop_assert_eq!(&straight, &shuffled);

        // Each host, once it has heard everything, holds the same.
        for mut world in worlds {
            for event in &all {
                world.hear(event);
            }
            prop_assert_eq!(&straight, &world.entities);
        }
    }

    #[test]
    fn each_hosts_clock_only_moves_forward(hosts in 1u64..=3, steps in steps()) {
        let (worlds, _) = story(hosts, &steps);
        for world in worlds {
            let own: Vec<_> = world
                .log
                .iter()
                .filter(|event| event.hlc.machine == world.machine)
                .map(|event| event.hlc)
                .collect();
            prop_assert!(own.is_sorted_by(|a, b| a < b));
        }
    }
}

/// A story that never gets anywhere would prove nothing.
#[test]
fn random_stories_reach_most_events() {
    let mut reached = BTreeSet::new();
    let mut seed = 12_345_u32;
    let mut random = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed.to_be_bytes()[0]
    };
    for _ in 0..60 {
        let steps: Vec<(u8, u8, Step)> = (0..150)
            .map(|_| {
                (
                    random() % 3,
                    random() % 3,
                    (random() % 160, random(), random()),
                )
            })
            .collect();
        let (_, all) = story(2, &steps);
        reached.extend(all.iter().map(|event| event.event.event_type()));
    }
    assert!(reached.len() >= 30, "only {reached:?}");
}
