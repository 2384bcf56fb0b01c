//! Projections can always be made again from the log, and older stores become newer ones.

use claustre_domain::command::WorktreeCommand;

use super::*;

fn meddle(bench: &mut Bench, sql: &str) {
    bench.store().connection.execute_batch(sql).unwrap();
}

#[test]
fn replay_finds_and_repairs_whatever_was_done_to_the_projections() {
    let mut bench = Bench::new();
    let shop = bench.project("shop");
    let first = bench.task(shop, "First");
    let second = bench.task(shop, "Second");
    bench.launch(shop, first);
    let wanted = bench.reader().tasks(TaskFilter::default()).unwrap();
    let timeline = bench.reader().updates(first, 100).unwrap();
    let counts = bench.reader().task_counts(Some(shop)).unwrap();
    for (sql, table, kind) in [
        (
            "UPDATE tasks SET title = 'x' WHERE title = 'First'",
            "tasks",
            DifferenceKind::Differs,
        ),
        (
            "UPDATE tasks SET state = replace(state, 'First', 'F')",
            "tasks",
            DifferenceKind::Differs,
        ),
        ("DELETE FROM sessions", "sessions", DifferenceKind::Missing),
        (
            "INSERT INTO asks VALUES ('7f2c1d6e-8f0e-4a53-9c41-000000000001', NULL, 0, 0, '{}')",
            "asks",
            DifferenceKind::Extra,
        ),
        (
            "UPDATE projects SET present = 0",
            "projects",
            DifferenceKind::Differs,
        ),
        (
            "INSERT INTO task_dependencies SELECT id, 'nothing' FROM tasks WHERE title = 'Second'",
            "tasks",
            DifferenceKind::Differs,
        ),
        (
            "DELETE FROM tasks WHERE title = 'Second'",
            "tasks",
            DifferenceKind::Missing,
        ),
    ] {
        meddle(&mut bench, sql);
        let report = bench.store().replay(ReplayMode::Compare).unwrap();
        assert_eq!(bench.reader().replay_within(0).unwrap(), report);
        assert_eq!(report.different, 1, "{sql}: {:?}", report.differences);
        assert_eq!(
            (report.differences[0].table, report.differences[0].kind),
            (table, kind),
            "{sql}"
        );
        assert!(!report.repaired);
        let report = bench.store().replay(ReplayMode::Repair).unwrap();
        assert!(report.repaired && report.different == 1);
        assert_eq!(
            bench
                .store()
                .replay(ReplayMode::Compare)
                .unwrap()
                .differences,
            [],
            "{sql}"
        );
        assert_eq!(
            bench.reader().tasks(TaskFilter::default()).unwrap(),
            wanted,
            "{sql}"
        );
        assert_eq!(
            bench.reader().updates(first, 100).unwrap(),
            timeline,
            "{sql}"
        );
        assert_eq!(
            bench.reader().task_counts(Some(shop)).unwrap(),
            counts,
            "{sql}"
        );
    }
    assert!(bench.reader().task(second).unwrap().is_some());
}

#[test]
fn projections_of_an_older_fold_are_made_again_at_the_start() {
    let mut bench = Bench::new();
    let shop = bench.project("shop");
    let task = bench.task(shop, "First");
    let counts = bench.reader().task_counts(None).unwrap();
    meddle(
        &mut bench,
        "DELETE FROM tasks; UPDATE meta SET value = '0' WHERE key = 'fold_version'",
    );
    bench.reopen();
    assert!(bench.reader().task(task).unwrap().is_some());
    assert_eq!(bench.reader().updates(task, 9).unwrap().len(), 1);
    assert_eq!(bench.reader().task_counts(None).unwrap(), counts);
}

#[test]
fn counts_follow_every_change_of_a_task() {
    let mut bench = Bench::new();
    let shop = bench.project("shop");
    let first = bench.task(shop, "First");
    let second = bench.task(shop, "Second");
    let counts = |bench: &Bench| {
        let counts = bench.reader().task_counts(Some(shop)).unwrap();
        let of = |status| counts.get(&status).copied().unwrap_or(0);
        (of(TaskStatus::Pending), of(TaskStatus::Done))
    };
    assert_eq!(counts(&bench), (2, 0));
    bench.run(Command::Task(TaskCommand::MarkDone { task: first }));
    assert_eq!(counts(&bench), (1, 1));
    bench.run(Command::Task(TaskCommand::Delete { task: second }));
    assert_eq!(counts(&bench), (0, 1));
    assert_eq!(bench.reader().last_deleted_task().unwrap(), Some(second));
    assert_eq!(bench.reader().resolve_task(&second.short()).unwrap(), []);
    assert_eq!(
        bench.reader().resolve_task(&second.to_string()).unwrap(),
        [second]
    );
    let with_deleted = TaskFilter {
        include_deleted: true,
        ..TaskFilter::default()
    };
    assert_eq!(bench.reader().tasks(with_deleted).unwrap().len(), 2);
    bench.run(Command::Task(TaskCommand::Restore { task: second }));
    assert_eq!(counts(&bench), (1, 1));
    assert_eq!(bench.reader().last_deleted_task().unwrap(), None);
}

#[test]
fn what_was_kept_of_a_worktree_is_listed_until_it_is_brought_back() {
    let mut bench = Bench::new();
    let shop = bench.project("shop");
    let task = bench.task(shop, "First");
    let session = bench.launch(shop, task);
    bench.run(Command::Task(TaskCommand::Kill { task, shown: None }));
    let report = |snapshot: &str| {
        Command::Worktree(WorktreeCommand::ReportRemoved {
            session,
            snapshot: Some(snapshot.into()),
            branch_deleted: false,
        })
    };
    bench.run(report("refs/claustre/trash/1"));
    let kept = bench.reader().snapshots().unwrap();
    assert_eq!(
        kept,
        [Snapshot {
            session,
            project: shop,
            branch: format!("task/{}", task.short()),
            snapshot: "refs/claustre/trash/1".into(),
            task: Some(task),
            at: Timestamp::from_millis(bench.now),
        }]
    );
    bench.run(Command::Worktree(WorktreeCommand::ReportRestored {
        session,
        path: "/worktrees/x".into(),
    }));
    assert_eq!(bench.reader().snapshots().unwrap(), []);
}

#[test]
fn dependents_are_seen_by_decisions_and_readers() {
    let mut bench = Bench::new();
    let shop = bench.project("shop");
    let first = bench.task(shop, "First");
    let second = TaskId::new(Uuid::new_v4());
    bench.run(Command::Task(TaskCommand::Create(Box::new(CreateTask {
        depends_on: vec![first],
        ..new_task(second, shop, "Second")
    }))));
    let reader = bench.reader();
    assert_eq!(reader.dependents(first).unwrap()[0].id, second);
    let waits =
        claustre_domain::task::unmet_dependencies(&reader, &reader.task(second).unwrap().unwrap());
    assert_eq!(waits[0].id, first);
    bench.run(Command::Task(TaskCommand::MarkDone { task: first }));
    bench.launch(shop, second);
    bench.run(Command::Task(TaskCommand::Reopen { task: first }));
    let blocked = bench.reader().task(second).unwrap().unwrap();
    assert_eq!(blocked.status_now(), TaskStatus::Blocked);
}

#[test]
fn all_migrations_are_built_in() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, migrate::names());
}

#[test]
fn a_migration_keeps_the_data_and_a_copy_of_the_store() {
    let mut bench = Bench::new();
    let shop = bench.project("shop");
    let path = bench.path();
    let next = migrate::Migration {
        name: "99-test",
        sql: "CREATE TABLE later (id INTEGER PRIMARY KEY) STRICT; INSERT INTO later VALUES (7)",
    };
    let copy = migrate::migrate_with(&mut bench.store().connection, &path, next)
        .unwrap()
        .unwrap();
    assert!(bench.reader().project(shop).unwrap().is_some());
    let later: i64 = bench
        .store()
        .connection
        .query_row("SELECT id FROM later", [], |row| row.get(0))
        .unwrap();
    assert_eq!(later, 7);
    // The copy is the store as it was: this version opens it.
    assert!(copy.starts_with(path.parent().unwrap().join("backups")));
    let old = open_at(&copy).unwrap();
    assert!(old.reader().unwrap().project(shop).unwrap().is_some());
    let error = open_at(&path).err().unwrap();
    assert!(matches!(error, StoreError::Newer { .. }), "{error}");
}

#[test]
fn a_migration_that_fails_changes_nothing() {
    let mut bench = Bench::new();
    let shop = bench.project("shop");
    let path = bench.path();
    let broken = migrate::Migration {
        name: "99-broken",
        sql: "CREATE TABLE later (id INTEGER); CREATE TABLE later (id INTEGER)",
    };
    let error = migrate::migrate_with(&mut bench.store().connection, &path, broken).unwrap_err();
    assert!(error.to_string().contains("99-broken"), "{error}");
    bench.reopen();
    assert!(bench.reader().project(shop).unwrap().is_some());
}
