//! Events of other hosts: taken once, in their order, kept as they came.

use claustre_protocol::ids::{EventId, MachineId};

use super::*;

fn all(bench: &Bench) -> Vec<RawEvent> {
    let events = bench.reader().raw_events_after(0, 10_000).unwrap();
    events.into_iter().map(|(_, raw)| raw).collect()
}

fn take(bench: &mut Bench, events: &[RawEvent]) -> Result<Vec<bool>, StoreError> {
    let now = Timestamp::from_millis(bench.now);
    let mut transaction = bench.store().begin(now)?;
    let taken = events
        .iter()
        .map(|raw| transaction.take(raw))
        .collect::<Result<_, _>>()?;
    transaction.commit()?;
    Ok(taken)
}

#[test]
fn another_hosts_events_make_the_same_tables() {
    let mut here = Bench::new();
    let mut there = Bench::new();
    let shop = there.project("shop");
    let task = there.task(shop, "Fix");
    there.launch(shop, task);
    let events = all(&there);
    assert!(take(&mut here, &events).unwrap().iter().all(|new| *new));
    assert!(
        take(&mut here, &events).unwrap().iter().all(|new| !*new),
        "twice is once"
    );
    assert_eq!(all(&here), events, "not a byte was changed");
    assert_eq!(
        here.reader().task(task).unwrap(),
        there.reader().task(task).unwrap()
    );
    assert_eq!(
        here.reader().updates(task, 99).unwrap(),
        there.reader().updates(task, 99).unwrap()
    );
    // Both go on, and an edit that saw the other's wins on both.
    let own = here.project("site");
    here.run(Command::Task(TaskCommand::Block {
        task,
        reason: "wait".into(),
    }));
    let mine: Vec<RawEvent> = all(&here)
        .into_iter()
        .filter(|raw| raw.machine == here.store.as_ref().unwrap().machine())
        .collect();
    take(&mut there, &mine).unwrap();
    assert_eq!(
        here.reader().task(task).unwrap(),
        there.reader().task(task).unwrap()
    );
    assert!(there.reader().project(own).unwrap().is_some());
    for bench in [&mut here, &mut there] {
        assert_eq!(bench.reader().verify_chain().unwrap().breaks, []);
        assert_eq!(
            bench
                .store()
                .replay(ReplayMode::Compare)
                .unwrap()
                .differences,
            []
        );
    }
}

#[test]
fn events_with_a_gap_a_wrong_hash_or_our_name_are_refused() {
    let mut here = Bench::new();
    let mut there = Bench::new();
    let shop = there.project("shop");
    there.task(shop, "One");
    there.task(shop, "Two");
    let events = all(&there);
    let refused =
        |here: &mut Bench, events: &[RawEvent]| take(here, events).unwrap_err().to_string();
    assert!(refused(&mut here, &events[1..]).contains("events before it are missing"));
    let mut forged = events.clone();
    forged[1].payload = forged[1].payload.replace("One", "1");
    assert!(refused(&mut here, &forged).contains("hash"));
    assert_eq!(here.store().position(), 0, "nothing of it was kept");
    assert!(refused(&mut there, &events[..1]).contains("this host"));
    take(&mut here, &events).unwrap();
}

#[test]
fn events_that_this_version_does_not_know_are_kept_handed_on_and_not_folded() {
    let mut bench = Bench::new();
    let machine = MachineId::new(Uuid::new_v4());
    let mut previous = [0; codec::HASH_LENGTH];
    let mut events = Vec::new();
    for (seq, (event_type, version)) in (1..).zip([
        ("task_dreamt", 1),
        ("task_deleted", 2),
        ("task_deleted", 1),
        ("Weird \"type\"", 1),
    ]) {
        let mut raw = RawEvent {
            id: EventId::new(Uuid::new_v4()),
            machine,
            seq,
            reading: Reading {
                wall_ms: 1000 + seq,
                counter: 0,
            },
            event_type: event_type.into(),
            version,
            subject: None,
            payload: "{ \"of\" : \"sheep\" }".into(),
            actor: "somebody".into(),
            cause: None,
            created_at: "2026-11-20T10:00:00.000Z".into(),
            hash: previous,
        };
        raw.hash = raw.link(&previous);
        previous = raw.hash;
        events.push(raw);
    }
    take(&mut bench, &events).unwrap();
    assert_eq!(all(&bench), events);
    let report = bench.store().replay(ReplayMode::Compare).unwrap();
    assert_eq!((report.events, report.unknown, report.entities), (4, 4, 0));
    assert_eq!(report.differences, []);
    assert_eq!(bench.reader().verify_chain().unwrap().breaks, []);
    let shown = bench.reader().events_after(0, 9).unwrap();
    assert_eq!(shown[0].1.event_type, "task_dreamt");
    assert_eq!(shown[0].1.payload["of"], "sheep");
    assert_eq!(bench.reader().changed_since(0).unwrap(), []);
}

#[test]
fn the_clock_follows_other_hosts_but_not_into_a_far_future() {
    let mut here = Bench::new();
    let mut there = Bench::new();
    there.now += 30_000;
    there.project("near");
    let near = all(&there);
    take(&mut here, &near).unwrap();
    here.reopen();
    here.project("after");
    let mine = here.reader().raw_events_after(1, 1).unwrap().remove(0).1;
    assert!(
        mine.reading > near[0].reading,
        "later than what it heard of, after a restart too"
    );

    there.now += 3_600_000;
    there.project("far");
    let far = all(&there);
    take(&mut here, &far).unwrap();
    here.project("still");
    let mine = here.reader().raw_events_after(3, 1).unwrap().remove(0).1;
    assert!(
        mine.reading < far[1].reading,
        "a wrong clock is not adopted"
    );
}
