use std::{
    collections::HashMap,
    os::unix::fs::PermissionsExt,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use claustre_protocol::{
    hook::ReportBody,
    ids::{EventId, SessionId},
    time::Timestamp,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::fast::spool::write;

/// Takes reports as it is told to, and remembers in which order.
#[derive(Default)]
struct Book {
    taken: Mutex<Vec<EventId>>,
    /// What comes of a report, the first of the list first; stored where nothing is left.
    outcomes: Mutex<HashMap<EventId, Vec<FaultCode>>>,
    /// Token checks that fail before one succeeds.
    store_fails: AtomicUsize,
}

impl Taker for Book {
    fn is_own(&self, report: &Report) -> Result<bool, Fault> {
        let fails = self
            .store_fails
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        if fails.is_ok() {
            return Err(Fault::new(FaultCode::Internal, "reading the store", None));
        }
        Ok(report.token == "good")
    }

    async fn hand_in(&self, reports: Vec<Report>) -> Vec<Result<(), Fault>> {
        let outcome = |report: Report| {
            let mut outcomes = self.outcomes.lock().unwrap();
            if let Some(code) = outcomes.get_mut(&report.id).and_then(Vec::pop) {
                return Err(Fault::new(code, "no", None));
            }
            self.taken.lock().unwrap().push(report.id);
            Ok(())
        };
        reports.into_iter().map(outcome).collect()
    }
}

struct Bench {
    directory: tempfile::TempDir,
    spool: Spool<Book>,
}

fn bench() -> Bench {
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::new(directory.path().join("spool"), Book::default());
    fs::create_dir_all(&spool.directory).unwrap();
    Bench { directory, spool }
}

fn id(number: u128) -> EventId {
    EventId::new(Uuid::from_u128(number))
}

fn report(number: u128, at: i64) -> Report {
    Report {
        id: id(number),
        session: SessionId::new(Uuid::from_u128(1)),
        token: "good".into(),
        at: Timestamp::from_millis(at),
        zellij_session: None,
        pane_id: None,
        acknowledges: false,
        body: ReportBody::Hook(json!({})),
    }
}

fn line(params: impl serde::Serialize) -> String {
    let params = serde_json::to_value(params).unwrap();
    format!(
        "{}\n",
        json!({"jsonrpc": "2.0", "id": 1, "method": "session.report", "params": params})
    )
}

impl Bench {
    fn spooled(&self, number: u128, at: i64) {
        let line = line(report(number, at));
        write(
            &self.spool.directory,
            Timestamp::from_millis(at),
            line.as_bytes(),
        )
        .unwrap();
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.spool.directory.join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn old(&self, path: &Path) {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - WRITTEN * 2).unwrap();
    }

    fn drain(&self) -> bool {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(self.spool.drain(None))
    }

    fn taken(&self) -> Vec<EventId> {
        self.spool.taker.taken.lock().unwrap().clone()
    }

    fn names(&self, below: &str) -> usize {
        list(&self.directory.path().join("spool").join(below))
            .unwrap()
            .len()
    }
}

#[test]
fn reports_are_taken_in_the_order_they_were_made_and_their_files_go() {
    let bench = bench();
    for (number, at) in [
        (3, 1_700_000_000_003),
        (1, 1_700_000_000_001),
        (2, 1_700_000_000_002),
    ] {
        bench.spooled(number, at);
    }
    // As earlier versions wrote it: no time in the name, two lines.
    let two = line(report(8, 5)) + &line(report(9, 6));
    let path = bench.file("4711-abc.ndjson", &two);
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    fs::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(long_ago)
        .unwrap();
    assert!(bench.drain());
    assert_eq!(bench.taken(), [8, 9, 1, 2, 3].map(id));
    assert_eq!((bench.names(""), bench.names("bad")), (0, 0));
}

#[test]
fn a_file_that_is_being_written_waits_until_it_is_whole() {
    let bench = bench();
    let whole = line(report(1, 1));
    let (start, rest) = whole.split_at(whole.len() / 2);
    let path = bench.file("17-abc.ndjson", start);
    assert!(!bench.drain());
    assert_eq!((bench.taken().len(), bench.names("")), (0, 1));
    fs::write(&path, format!("{start}{rest}")).unwrap();
    assert!(bench.drain());
    assert_eq!(bench.taken(), [id(1)]);
    // Nobody writes this one any more: what is whole of it counts, and the rest is kept.
    let half = bench.file("18-abc.ndjson", &format!("{}{start}", line(report(2, 2))));
    bench.old(&half);
    assert!(bench.drain());
    assert_eq!(bench.taken(), [1, 2].map(id));
    assert_eq!((bench.names(""), bench.names("bad")), (0, 1));
}

#[test]
fn what_was_written_aside_by_a_hook_that_was_killed_is_found() {
    let bench = bench();
    let path = bench.file("1700000000000-abc.new", &line(report(1, 1)));
    assert!(bench.drain());
    assert_eq!(bench.taken(), [], "it may still be written");
    bench.old(&path);
    assert!(bench.drain());
    assert_eq!((bench.taken(), bench.names("bad")), (vec![id(1)], 0));
    assert!(!path.exists());
}

#[test]
fn what_cannot_be_stored_now_stays_and_what_never_can_be_is_put_aside() {
    let newer = {
        let mut value = serde_json::to_value(report(2, 2)).unwrap();
        value["report"] = Value::from("a_later_kind");
        line(value)
    };
    let foreign = line(Report {
        token: "bad".into(),
        ..report(2, 2)
    });
    for (name, second, outcomes, tries, in_bad) in [
        ("busy", line(report(2, 2)), vec![FaultCode::Busy], 2, 0),
        (
            "store",
            line(report(2, 2)),
            vec![FaultCode::Internal; 2],
            3,
            0,
        ),
        (
            "refused",
            line(report(2, 2)),
            vec![FaultCode::Refused],
            1,
            1,
        ),
        ("newer", newer, vec![], 1, 1),
        ("foreign", foreign, vec![], 1, 1),
        ("broken", "{\"jsonrpc\":\n".into(), vec![], 1, 1),
        ("method", "{\"method\":\"other\"}\n".into(), vec![], 1, 1),
    ] {
        let bench = bench();
        bench.file(
            "1-a.ndjson",
            &(line(report(1, 1)) + &second + &line(report(3, 3))),
        );
        let book = &bench.spool.taker;
        book.outcomes.lock().unwrap().insert(id(2), outcomes);
        for turn in 1..=tries {
            assert_eq!(bench.drain(), turn == tries, "{name}, try {turn}");
            let is_there = bench.names("") == 1;
            assert_eq!(is_there, turn < tries, "{name}, try {turn}");
        }
        let taken = bench.taken();
        assert!(taken.contains(&id(1)) && taken.contains(&id(3)), "{name}");
        assert_eq!(taken.contains(&id(2)), in_bad == 0, "{name}");
        assert_eq!(bench.names("bad"), in_bad, "{name}");
    }
}

#[test]
fn a_store_that_cannot_be_read_is_no_wrong_token() {
    let bench = bench();
    bench.spooled(1, 1);
    bench.spool.taker.store_fails.store(1, Ordering::SeqCst);
    assert!(!bench.drain());
    assert_eq!((bench.names(""), bench.names("bad")), (1, 0));
    assert!(bench.drain());
    assert_eq!((bench.taken(), bench.names("")), (vec![id(1)], 0));
}

#[test]
fn what_is_no_file_holds_nobody_up() {
    let bench = bench();
    let path = bench.spool.directory.join("1-fifo.ndjson");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    std::os::unix::fs::symlink("/dev/zero", bench.spool.directory.join("2-link.ndjson")).unwrap();
    bench.spooled(1, 1);
    assert!(bench.drain());
    assert_eq!(bench.taken(), [id(1)]);
    assert_eq!((bench.names(""), bench.names("bad")), (0, 2));
}

#[test]
fn what_an_earlier_daemon_could_not_read_the_next_one_tries_again() {
    let bench = bench();
    bench.file("1-a.ndjson", &line(report(1, 1)));
    keep_bad(&bench.spool.directory.join("1-a.ndjson")).unwrap();
    assert!(bench.drain());
    assert_eq!(bench.taken(), []);
    give_another_try(&bench.spool.directory);
    assert!(bench.drain());
    assert_eq!(bench.taken(), [id(1)]);
}

#[test]
fn a_file_that_must_not_be_read_stays() {
    if rustix::process::geteuid().is_root() {
        // Nothing is forbidden to root.
        return;
    }
    let bench = bench();
    let path = bench.file("1-a.ndjson", &line(report(1, 1)));
    fs::set_permissions(&path, PermissionsExt::from_mode(0o000)).unwrap();
    assert!(!bench.drain());
    assert!(path.exists());
}

#[test]
fn of_1200_reports_that_come_while_it_is_read_none_is_lost() {
    const WRITERS: u128 = 6;
    const EACH: u128 = 200;
    let bench = bench();
    let left = Arc::new(AtomicUsize::new(usize::try_from(WRITERS).unwrap()));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (directory, left) = (bench.spool.directory.clone(), left.clone());
            thread::spawn(move || {
                for number in 0..EACH {
                    let at = 1_700_000_000_000 + i64::try_from(number).unwrap();
                    let line = line(report(writer * EACH + number, at));
                    write(&directory, Timestamp::from_millis(at), line.as_bytes()).unwrap();
                }
                left.fetch_sub(1, Ordering::SeqCst);
            })
        })
        .collect();
    while left.load(Ordering::SeqCst) > 0 {
        bench.drain();
    }
    for writer in writers {
        writer.join().unwrap();
    }
    assert!(bench.drain());
    let mut taken = bench.taken();
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken.len(), 1_200);
    assert_eq!(bench.names("bad"), 0);
}

#[test]
fn ten_thousand_files_do_not_hold_up_the_start() {
    let bench = bench();
    for number in 0..10_000_u128 {
        bench.file(
            &format!("{:013}-x.ndjson", 1_700_000_000_000 + number),
            &line(report(number, 1)),
        );
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let over = Instant::now();
    assert!(!runtime.block_on(bench.spool.drain(Some(over))));
    assert!(bench.taken().is_empty(), "a deadline that is over is kept");
    assert!(bench.drain());
    let taken = bench.taken();
    assert_eq!(taken.len(), 10_000);
    assert!(taken.is_sorted());
}
