//! Random stories told to a real store, with restarts and a clock that is set back.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use support::{Known, Step, command, fold};

/// One step, or a restart with the clock set to another time.
fn steps() -> impl Strategy<Value = Vec<(Step, Option<i64>)>> {
    prop::collection::vec(
        (
            (0u8..160, any::<u8>(), any::<u8>()),
            prop::option::weighted(0.05, 0i64..10_000),
        ),
        1..80,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn replay_finds_what_was_folded_step_by_step(steps in steps(), batch in 1usize..6) {
        let mut bench = Bench::new();
        let mut known = Known::default();
        for batch in steps.chunks(batch) {
            if let Some(clock) = batch.iter().find_map(|(_, clock)| *clock) {
                bench.now = 1_800_000_000_000 - clock;
                bench.reopen();
            }
            bench.now += 1;
            let now = Timestamp::from_millis(bench.now);
            let mut transaction = bench.store().begin(now).unwrap();
            for (step, _) in batch {
                let command = command(&mut known, Uuid::new_v4, now, *step);
                if decide(&transaction, &command, Context { now }).is_ok() {
                    run_in(&mut transaction, &command, now);
                }
            }
            transaction.commit().unwrap();
        }

        let report = bench.store().replay(ReplayMode::Compare).unwrap();
        // However little stays in memory on the way.
        for in_memory in [0, 1_000, usize::MAX] {
            prop_assert_eq!(&bench.reader().replay_within(in_memory).unwrap(), &report);
        }
        prop_assert_eq!(report.differences, []);
        let reader = bench.reader();
        prop_assert_eq!(reader.verify_chain().unwrap().breaks, []);
        let events = reader.raw_events_after(0, 100_000).unwrap();
        prop_assert!(
            events.is_sorted_by(|(_, a), (_, b)| a.reading < b.reading && a.seq + 1 == b.seq),
            "the clock only moves forward and no number is missing"
        );

        // Folded here, in memory, backwards.
        let mut folded = BTreeMap::new();
        for (_, raw) in events.iter().rev() {
            fold(&mut folded, &raw.recorded().unwrap());
        }
        let connection = &bench.store.as_ref().unwrap().connection;
        for (of, entity) in folded {
            prop_assert_eq!(entities::load(connection, of).unwrap(), Some(entity));
        }

        // The counts that triggers keep are those that a scan finds.
        let counted = |sql: &str| -> Vec<(String, String, i64)> {
            connection
                .prepare(sql)
                .unwrap()
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .unwrap()
                .collect::<Result<_, _>>()
                .unwrap()
        };
        prop_assert_eq!(
            counted("SELECT project, status, count FROM task_counts WHERE count <> 0 ORDER BY 1, 2"),
            counted(
                "SELECT project, status, count(*) FROM tasks WHERE deleted = 0 AND project IS NOT NULL
                 GROUP BY 1, 2 ORDER BY 1, 2"
            )
        );
    }
}
