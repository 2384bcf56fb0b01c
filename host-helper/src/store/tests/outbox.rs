//! Effects, reports and telemetry.

use claustre_protocol::ids::EventId;

use super::*;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

#[test]
fn an_effect_is_run_once_whatever_becomes_of_it() {
    let mut bench = Bench::new();
    let session = SessionId::new(Uuid::new_v4());
    let effects = [
        Effect::PrepareSession { session },
        Effect::OpenPane { session },
        Effect::CloseTab { session },
    ];
    let mut transaction = bench.store().begin(at(100)).unwrap();
    for (delay, effect) in (0..).zip(&effects) {
        assert!(transaction.enqueue(effect, at(100 + delay)).unwrap());
        assert!(
            !transaction.enqueue(effect, at(500)).unwrap(),
            "its key is there"
        );
    }
    transaction.commit().unwrap();
    let reader = bench.reader();
    let due = |now| reader.pending_effects(at(now), 10).unwrap();
    assert_eq!(due(99), []);
    assert_eq!(due(100).len(), 1);
    assert_eq!(due(200).len(), 3);
    assert_eq!(reader.next_effect_at(at(99)).unwrap(), Some(at(100)));

    let ids: Vec<i64> = due(200).iter().map(|pending| pending.id).collect();
    let mut transaction = bench.store().begin(at(300)).unwrap();
    transaction
        .finish_effect(ids[0], EffectOutcome::Done)
        .unwrap();
    let retry = EffectOutcome::Retry {
        at: at(1000),
        why: "busy".into(),
    };
    transaction.finish_effect(ids[1], retry).unwrap();
    let failed = EffectOutcome::Failed { why: "gone".into() };
    transaction.finish_effect(ids[2], failed).unwrap();
    for effect in &effects {
        assert!(
            !transaction.enqueue(effect, at(2000)).unwrap(),
            "done once is done"
        );
    }
    transaction.commit().unwrap();
    assert_eq!(due(999), []);
    assert_eq!(reader.next_effect_at(at(999)).unwrap(), Some(at(1000)));
    let again = due(1000);
    assert_eq!((&again[0].effect, again[0].attempts), (&effects[1], 1));
}

#[test]
fn an_effect_of_another_version_does_not_hold_up_the_others() {
    let mut bench = Bench::new();
    let session = SessionId::new(Uuid::new_v4());
    let mut transaction = bench.store().begin(at(1)).unwrap();
    transaction
        .enqueue(&Effect::OpenPane { session }, at(1))
        .unwrap();
    transaction
        .enqueue(&Effect::CloseTab { session }, at(1))
        .unwrap();
    transaction.commit().unwrap();
    bench
        .store()
        .connection
        .execute(
            "UPDATE outbox SET effect = '{\"effect\":\"brew\"}' WHERE id = 1",
            [],
        )
        .unwrap();
    bench.reopen();
    let due = bench.reader().pending_effects(at(9), 9).unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].effect, Effect::CloseTab { session });
}

#[test]
fn a_report_counts_once() {
    let mut bench = Bench::new();
    let id = EventId::new(Uuid::new_v4());
    for expected in [false, true, true] {
        let mut transaction = bench.store().begin(at(1)).unwrap();
        assert_eq!(transaction.seen_report(id).unwrap(), expected);
        transaction.commit().unwrap();
        bench.reopen();
    }
}

#[test]
fn old_reports_and_finished_effects_are_forgotten_the_pending_ones_never() {
    let mut bench = Bench::new();
    let session = SessionId::new(Uuid::new_v4());
    let mut transaction = bench.store().begin(at(1)).unwrap();
    transaction
        .seen_report(EventId::new(session.uuid()))
        .unwrap();
    transaction
        .enqueue(&Effect::OpenPane { session }, at(1))
        .unwrap();
    transaction
        .enqueue(&Effect::CloseTab { session }, at(1))
        .unwrap();
    transaction.finish_effect(1, EffectOutcome::Done).unwrap();
    transaction.commit().unwrap();
    // The clock of the newest event says how old things are.
    bench.project("shop");
    bench.reopen();
    let count = |table: &str| -> i64 {
        let connection = &bench.store.as_ref().unwrap().connection;
        connection
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                row.get(0)
            })
            .unwrap()
    };
    assert_eq!(count("seen_reports"), 0);
    assert_eq!(count("outbox"), 1);
}

#[test]
fn the_last_telemetry_of_a_session_is_kept() {
    let mut bench = Bench::new();
    let shop = bench.project("shop");
    let task = bench.task(shop, "Fix");
    let session = bench.launch(shop, task);
    for percent in [10, 20] {
        let row = LiveRow {
            session,
            at: at(percent),
            state: serde_json::json!({ "context_percent": percent }),
        };
        bench.store().flush_live(&[row]).unwrap();
    }
    bench.reopen();
    let live = bench.reader().live(session).unwrap().unwrap();
    assert_eq!(live.at, at(20));
    assert_eq!(live.state["context_percent"], 20);
    assert_eq!(bench.reader().all_live().unwrap(), [live]);
}

#[test]
fn an_effect_that_is_asked_for_again_comes_at_the_earlier_time() {
    let mut bench = Bench::new();
    let effect = Effect::OpenPane {
        session: SessionId::new(Uuid::new_v4()),
    };
    let mut transaction = bench.store().begin(at(100)).unwrap();
    assert!(transaction.enqueue(&effect, at(900)).unwrap());
    transaction.commit().unwrap();
    let mut transaction = bench.store().begin(at(200)).unwrap();
    assert!(!transaction.enqueue(&effect, at(200)).unwrap());
    transaction.commit().unwrap();
    assert_eq!(
        bench.reader().next_effect_at(at(100)).unwrap(),
        Some(at(200))
    );
}

#[test]
fn what_is_due_is_found_without_reading_what_is_finished() {
    let mut bench = Bench::new();
    let plan: String = bench
        .store()
        .connection
        .query_row(
            &format!("EXPLAIN QUERY PLAN {}", crate::store::outbox::DUE),
            [0, 1, 1],
            |row| row.get("detail"),
        )
        .unwrap();
    assert!(plan.contains("outbox_pending"), "{plan}");
}

#[test]
fn an_effect_that_was_begun_is_known_as_such_until_it_is_finished() {
    let mut bench = Bench::new();
    let session = SessionId::new(Uuid::new_v4());
    let mut transaction = bench.store().begin(at(100)).unwrap();
    transaction
        .enqueue(&Effect::OpenPane { session }, at(100))
        .unwrap();
    transaction.commit().unwrap();
    let begun = |bench: &Bench, now| -> Vec<(u32, bool)> {
        let due = bench.reader().pending_effects(at(now), 10).unwrap();
        due.iter()
            .map(|pending| (pending.attempts, pending.started_before))
            .collect()
    };
    assert_eq!(begun(&bench, 100), [(0, false)]);
    for (outcome, expected) in [
        (EffectOutcome::Probe, (0, false)),
        (EffectOutcome::Started, (0, true)),
        (
            EffectOutcome::Retry {
                at: at(100),
                why: "busy".into(),
            },
            (1, true),
        ),
    ] {
        let mut transaction = bench.store().begin(at(200)).unwrap();
        transaction.finish_effect(1, outcome).unwrap();
        transaction.commit().unwrap();
        bench.reopen();
        assert_eq!(begun(&bench, 200), [expected]);
    }
}

#[test]
fn what_was_put_off_before_the_clock_was_set_back_is_due() {
    let mut bench = Bench::new();
    let session = SessionId::new(Uuid::new_v4());
    let hour = 3_600_000;
    let mut transaction = bench.store().begin(at(hour)).unwrap();
    transaction
        .enqueue(&Effect::OpenPane { session }, at(hour))
        .unwrap();
    transaction
        .enqueue(&Effect::CloseTab { session }, at(30_000))
        .unwrap();
    transaction.commit().unwrap();
    let reader = bench.reader();
    let due = reader.pending_effects(at(10_000), 10).unwrap();
    assert_eq!(
        due.len(),
        1,
        "the one that nothing would have put off for an hour"
    );
    assert_eq!(due[0].effect, Effect::OpenPane { session });
    assert_eq!(reader.next_effect_at(at(10_000)).unwrap(), Some(at(30_000)));
}
