//! Nothing is lost, and what cannot be done is said in one clear sentence.

use std::{fs, os::unix::fs::PermissionsExt};

use claustre_domain::entity::World as _;

use super::*;

#[test]
fn the_store_is_its_owners_alone_and_keeps_its_identity() {
    let mut bench = Bench::new();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let path = bench.path();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    bench.project("shop");
    assert_eq!(mode(&path.with_extension("db-wal")), 0o600);
    let (machine, position) = (bench.store().machine(), bench.store().position());
    bench.reopen();
    assert_eq!(bench.store().machine(), machine);
    assert_eq!(bench.store().position(), position);
    let pragma = |name: &str| -> String {
        let connection = &bench.store.as_ref().unwrap().connection;
        connection
            .pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
            .map(|value| format!("{value:?}"))
            .unwrap()
    };
    assert_eq!(pragma("journal_mode"), "Text(\"wal\")");
    assert_eq!(pragma("synchronous"), "Integer(2)", "FULL");
    assert_eq!(pragma("busy_timeout"), "Integer(5000)");
}

#[test]
fn a_change_that_is_not_committed_leaves_nothing() {
    let mut bench = Bench::new();
    let shop = bench.project("shop");
    let before = bench.store().position();
    let task = TaskId::new(Uuid::new_v4());
    {
        let mut transaction = bench.store().begin(Timestamp::from_millis(1)).unwrap();
        let create = Command::Task(TaskCommand::Create(Box::new(new_task(task, shop, "Lost"))));
        run_in(&mut transaction, &create, Timestamp::from_millis(1));
        assert!(
            !transaction
                .seen_report(EventIdOf::new(task.uuid()))
                .unwrap()
        );
        // Dropped here, as by a crash before the commit.
    }
    assert_eq!(bench.store().position(), before);
    assert_eq!(bench.reader().position().unwrap(), before);
    assert_eq!(bench.reader().task(task).unwrap(), None);
    let kept = bench.task(shop, "Kept");
    assert!(bench.reader().task(kept).unwrap().is_some());
    // Nor does the store remember a change of what it knew before.
    let done = Command::Task(TaskCommand::MarkDone { task: kept });
    let of_task = |transaction: &Transaction<'_>| transaction.task(kept).unwrap();
    let mut transaction = bench.store().begin(Timestamp::from_millis(2)).unwrap();
    let before = of_task(&transaction);
    run_in(&mut transaction, &done, Timestamp::from_millis(2));
    assert_ne!(of_task(&transaction), before);
    drop(transaction);
    let transaction = bench.store().begin(Timestamp::from_millis(3)).unwrap();
    assert_eq!(of_task(&transaction), before);
    drop(transaction);
    let report = bench.reader().verify_chain().unwrap();
    assert_eq!((report.events, report.breaks), (2, Vec::new()));
}

type EventIdOf = claustre_protocol::ids::EventId;

#[test]
fn a_decision_on_a_row_that_cannot_be_read_is_not_committed() {
    let mut bench = Bench::new();
    let shop = bench.project("shop");
    let task = bench.task(shop, "Broken");
    // What this store wrote itself it still knows.
    bench.reopen();
    bench
        .store()
        .connection
        .execute(
            "UPDATE tasks SET state = '{' WHERE id = ?1",
            [task.to_string()],
        )
        .unwrap();
    let before = bench.store().position();
    let now = Timestamp::from_millis(bench.now);
    let mut transaction = bench.store().begin(now).unwrap();
    let refused = decide(
        &transaction,
        &Command::Task(TaskCommand::Submit { task }),
        Context { now },
    );
    assert!(refused.is_err(), "as if it were not there");
    transaction
        .append(note("on top of it"), "test", None)
        .unwrap();
    let error = transaction.commit().unwrap_err();
    assert!(matches!(error, StoreError::Unreadable { .. }), "{error}");
    assert!(error.hint().unwrap().contains("claustre replay"));
    assert_eq!(bench.store().position(), before);
    bench.store().replay(ReplayMode::Repair).unwrap();
    assert!(bench.reader().task(task).unwrap().is_some());
}

#[test]
fn a_full_disk_is_one_clear_error_and_loses_nothing() {
    let mut bench = Bench::new();
    bench.project("shop");
    let pages: i64 = bench
        .store()
        .connection
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .unwrap();
    let limit = |bench: &mut Bench, pages: i64| {
        bench
            .store()
            .connection
            .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
            .unwrap();
    };
    limit(&mut bench, pages + 8);
    let mut kept = bench.store().position();
    let text = "x".repeat(2000);
    let error = loop {
        let mut transaction = bench.store().begin(Timestamp::from_millis(5)).unwrap();
        let outcome = transaction
            .append(note(&text), "test", None)
            .and_then(|_| transaction.commit());
        match outcome {
            Ok(position) => kept = position,
            Err(error) => break error,
        }
        assert!(kept < 1000, "the limit holds");
    };
    assert!(error.to_string().contains("full"), "{error}");
    assert!(error.hint().unwrap().contains("free some space"));
    assert_eq!(bench.store().position(), kept);
    assert_eq!(bench.reader().position().unwrap(), kept);
    limit(&mut bench, 1_000_000);
    bench.project("site");
    let report = bench.reader().verify_chain().unwrap();
    assert_eq!(report.breaks, []);
    assert_eq!(
        bench
            .store()
            .replay(ReplayMode::Compare)
            .unwrap()
            .differences,
        []
    );
}

#[test]
fn a_place_that_cannot_hold_a_store_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "not a directory").unwrap();
    for path in [
        file.join("claustre.db"),
        "/proc/claustre/claustre.db".into(),
    ] {
        let error = open_at(&path).err().unwrap();
        assert!(matches!(error, StoreError::Io { .. }), "{error}");
        assert!(error.to_string().contains("making the"), "{error}");
    }
    let error = open_at(&file).err().unwrap();
    assert!(error.to_string().contains("opening the store"), "{error}");
    assert!(error.hint().unwrap().contains("backups"), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "not a directory");
    for (kind, advice) in [
        (std::io::ErrorKind::PermissionDenied, "writable"),
        (std::io::ErrorKind::ReadOnlyFilesystem, "writable"),
        (std::io::ErrorKind::StorageFull, "free some space"),
    ] {
        let error = StoreError::with("making the store", &file)(kind.into());
        assert!(error.hint().unwrap().contains(advice), "{kind:?}");
    }
}

#[test]
fn a_store_that_may_only_be_read_is_refused_and_not_touched() {
    let mut bench = Bench::new();
    bench.project("shop");
    bench.store().checkpoint().unwrap();
    bench
        .store()
        .connection
        .pragma_update(None, "query_only", true)
        .unwrap();
    let error = bench
        .store()
        .begin(Timestamp::from_millis(1))
        .and_then(|mut transaction| {
            transaction.append(note("no"), "test", None)?;
            transaction.commit()
        })
        .unwrap_err();
    assert!(error.to_string().contains("readonly"), "{error}");
    assert!(error.hint().unwrap().contains("writable"));
    assert_eq!(bench.reader().events_after(0, 10).unwrap().len(), 1);
}

#[test]
fn network_file_systems_are_known_by_their_numbers() {
    let known = [
        (0x6969, "nfs"),
        (0x517B, "smb"),
        (0xFE53_4D42, "smb2"),
        (0xFF53_4D42, "cifs"),
        (0x0102_1997, "9p"),
        (0x6573_5546, "fuse"),
    ];
    for (magic, name) in known {
        assert_eq!(filesystem::network_file_system(magic), Some(name));
    }
    // ext4, xfs, btrfs, tmpfs, overlay, zfs
    for local in [
        0xEF53,
        0x5846_5342,
        0x9123_683E,
        0x0102_1994,
        0x794C_7630,
        0x2FC1_2FC1,
    ] {
        assert_eq!(filesystem::network_file_system(local), None);
    }
}

#[test]
fn an_old_sqlite_is_refused() {
    assert!(open::refuse_old_sqlite(3_051_003, "3.51.3").is_ok());
    let error = open::refuse_old_sqlite(3_051_002, "3.51.2").unwrap_err();
    assert!(error.to_string().contains("3.51.2 is too old"));
}

#[test]
fn a_store_of_a_newer_claustre_is_refused_and_not_touched() {
    let mut bench = Bench::new();
    bench.project("shop");
    bench
        .store()
        .connection
        .pragma_update(None, "user_version", 99)
        .unwrap();
    bench.store = None;
    let before = fs::read(bench.path()).unwrap();
    let error = open_at(&bench.path()).err().unwrap();
    assert!(
        matches!(error, StoreError::Newer { found: 99, .. }),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("was not touched"));
    assert_eq!(fs::read(bench.path()).unwrap(), before);
}

#[test]
fn a_changed_lost_or_added_event_breaks_the_chain() {
    let meddle = |sql: &str| {
        let mut bench = Bench::new();
        let shop = bench.project("shop");
        for title in ["one", "two", "three"] {
            bench.task(shop, title);
        }
        assert_eq!(bench.store().connection.execute(sql, []).unwrap(), 1);
        let report = bench.reader().verify_chain().unwrap();
        assert_eq!(report.breaks.len(), 1, "{sql}");
        report.breaks[0].seq
    };
    assert_eq!(
        meddle("UPDATE events SET payload = replace(payload, 'two', 'TWO') WHERE seq = 3"),
        3
    );
    assert_eq!(
        meddle("UPDATE events SET actor = 'mallory' WHERE seq = 4"),
        4
    );
    assert_eq!(meddle("DELETE FROM events WHERE seq = 2"), 3);
}

#[test]
fn a_backup_is_a_whole_store_and_never_overwrites() {
    let mut bench = Bench::new();
    let shop = bench.project("shop");
    let task = bench.task(shop, "Keep me");
    let copy = bench.directory.path().join("backups/today.db");
    super::super::copy(&bench.path(), &copy).unwrap();
    assert!(
        super::super::copy(&bench.path(), &copy).is_err(),
        "there is one already"
    );
    assert_eq!(
        fs::metadata(&copy).unwrap().permissions().mode() & 0o777,
        0o600
    );
    bench.task(shop, "Later");
    bench.store = None;
    for leftover in ["db", "db-wal", "db-shm"] {
        let path = bench.path().with_extension(leftover);
        if path.exists() {
            fs::remove_file(path).unwrap();
        }
    }
    fs::copy(&copy, bench.path()).unwrap();
    bench.reopen();
    assert!(bench.reader().task(task).unwrap().is_some());
    assert_eq!(
        bench.reader().tasks(TaskFilter::default()).unwrap().len(),
        1
    );
    assert_eq!(
        bench
            .store()
            .replay(ReplayMode::Compare)
            .unwrap()
            .differences,
        []
    );
    bench.task(shop, "After");
    assert_eq!(bench.reader().verify_chain().unwrap().breaks, []);
    assert_eq!(bench.reader().quick_check().unwrap(), Vec::<String>::new());
}

#[test]
fn a_reader_cannot_write() {
    let mut bench = Bench::new();
    bench.project("shop");
    let reader = bench.reader();
    assert!(reader.connection.execute("DELETE FROM events", []).is_err());
}

#[test]
fn stores_and_readers_may_go_to_other_threads() {
    fn goes<T: Send>() {}
    goes::<Store>();
    goes::<Reader>();
}

#[test]
fn a_commit_writes_over_what_is_there_and_does_not_make_a_file_longer() {
    let mut bench = Bench::new();
    let log = bench.path().with_file_name("claustre.db-wal");
    let length = || fs::metadata(&log).unwrap().len();
    let made = length();
    assert!(made > 16_000_000, "the write-ahead log has {made} bytes");
    let shop = bench.project("shop");
    let task = bench.task(shop, "First");
    bench.launch(shop, task);
    assert_eq!(length(), made);
    bench.reopen();
    assert_eq!(length(), made);
    // Room was made, nothing stored: it is as old as the store.
    assert!(
        fs::metadata(&log).unwrap().modified().unwrap()
            <= fs::metadata(bench.path()).unwrap().modified().unwrap()
    );
    assert!(bench.reader().task(task).unwrap().is_some());
}

#[test]
fn a_commit_writes_few_pages() {
    let mut bench = Bench::new();
    let shop = bench.project("shop");
    let task = bench.task(shop, "First");
    let session = bench.launch(shop, task);
    let frames = |bench: &mut Bench, event: &dyn Fn(u64) -> Event| {
        let log = bench.path().with_file_name("claustre.db-wal");
        let size = |log: &Path| std::fs::metadata(log).unwrap().len();
        bench.store().checkpoint().unwrap();
        let commits = 40;
        for number in 0..commits {
            bench.now += 1;
            let now = Timestamp::from_millis(bench.now);
            let mut transaction = bench.store().begin(now).unwrap();
            transaction.append(event(number), "test", None).unwrap();
            transaction.commit().unwrap();
        }
        // Each page with 24 bytes before it; the file begins with 32.
        (size(&log) - 32) as f64 / (4096.0 + 24.0) / commits as f64
    };
    let of_note = frames(&mut bench, &|_| Event::TaskNoted {
        task: Some(task),
        session: None,
        source: "log".into(),
        level: LogLevel::Info,
        text: "found 14 callers in 6 files, all of them in the reader".into(),
    });
    let of_status = frames(&mut bench, &|number| Event::SessionStatusChanged {
        session,
        status: claustre_protocol::status::ClaudeStatus::Working,
        reason: None,
        source: claustre_protocol::status::Source::Hook,
        since: now_of(number),
        detail: format!("step {number}"),
    });
    // The log, its three indexes (one of them for the timeline), the entity; and now and then a page splits.
    assert!(of_note < 5.5, "a note takes {of_note} pages");
    assert!(
        of_status < 6.5,
        "a change of status takes {of_status} pages"
    );
}

fn now_of(number: u64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + i64::try_from(number).unwrap())
}
