//! Reports that no daemon took in time lie in `spool/`, one call a line. They are handed in as if they came just now, in the order
//! they were made. A file goes when all of it is stored; a report that is handed in twice counts once.
//!
//! What this daemon cannot read, or will never take, is kept in `spool/bad` and tried again by the next start: it may be of another
//! version. What it cannot take at the moment stays, and is tried again by a timer.

use std::{
    collections::{HashSet, VecDeque},
    ffi::OsString,
    fs::{self, OpenOptions},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, mpsc::SyncSender},
    time::{Duration, Instant, SystemTime},
};

use claustre_protocol::{
    hook::{REPORT_METHOD, Report},
    rpc::{Fault, FaultCode},
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::tokens::Tokens;
use crate::{
    engine::{
        Engine,
        reports::{self, Arrival, Input},
    },
    fast::spool::{BEING_WRITTEN, COMPLETE, time_in_name},
    lenient_json,
};

/// Files that are read and handed in together: more would keep live reports waiting behind them.
const AT_ONCE: usize = 64;
/// How long the daemon's start waits for the spool; the rest is taken in while it serves.
const START_LIMIT: Duration = Duration::from_secs(2);
/// First pause before what could not be taken is tried again; doubled each time.
const RETRY: Duration = Duration::from_secs(1);
/// Longest pause between two looks, also where no change was noticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A file that has not changed for so long is not being written any more.
const WRITTEN: Duration = Duration::from_secs(10);
/// Longest file that is read, in bytes.
const LONGEST_FILE: u64 = 64 * 1024 * 1024;
/// Files kept in `spool/bad`; the oldest go first.
const MOST_BAD: usize = 2_000;

/// Who takes reports in.
pub trait Taker: Send + Sync + 'static {
    /// Does the report carry its session's token?
    ///
    /// # Errors
    /// Nobody can say at the moment.
    fn is_own(&self, report: &Report) -> Result<bool, Fault>;
    /// Hands reports in, in this order, and waits until each is durable.
    fn hand_in(&self, reports: Vec<Report>) -> impl Future<Output = Vec<Result<(), Fault>>> + Send;
}

/// The daemon's own parts.
pub struct Daemon {
    /// Reads the sessions.
    pub engine: Engine,
    /// Knows their tokens.
    pub tokens: Arc<Tokens>,
    /// Understands reports.
    pub inputs: SyncSender<Input>,
}

impl Taker for Daemon {
    fn is_own(&self, report: &Report) -> Result<bool, Fault> {
        self.tokens
            .check(&self.engine, report.session, &report.token)
    }

    async fn hand_in(&self, reports: Vec<Report>) -> Vec<Result<(), Fault>> {
        // All first, then their outcomes: they share transactions.
        let handed_in: Vec<_> = reports
            .into_iter()
            .map(|report| reports::report(&self.inputs, report, Arrival::Spooled))
            .collect();
        let mut outcomes = Vec::with_capacity(handed_in.len());
        for stored in handed_in {
            outcomes.push(stored.await.map(|_| ()));
        }
        outcomes
    }
}

/// The directory and who takes in what lies there.
pub struct Spool<T> {
    directory: PathBuf,
    taker: Arc<T>,
    /// Files of which the log has heard already.
    logged: Mutex<HashSet<OsString>>,
}

/// A file that was found.
struct Found {
    path: PathBuf,
    lines: Vec<Result<Report, String>>,
}

/// What reading a file came to.
enum Content {
    /// Its lines, and why one is no report.
    Lines(Vec<Result<Report, String>>),
    /// Somebody still writes it.
    NotYet,
    /// It cannot be read at the moment.
    Unreadable(io::Error),
    /// It is no file with reports, and never will be.
    Hopeless(String),
    /// Somebody took it away.
    Gone,
}

impl<T: Taker> Spool<T> {
    /// The spool in this directory.
    pub fn new(directory: PathBuf, taker: T) -> Self {
        Self {
            directory,
            taker: Arc::new(taker),
            logged: Mutex::default(),
        }
    }

    /// Takes in what lies there, for as long as the start may wait.
    pub async fn drain_at_start(&self) {
        let deadline = Instant::now() + START_LIMIT;
        if !self.drain(Some(deadline)).await {
            tracing::info!("not all of the spool was taken in at the start; the rest follows");
        }
    }

    /// Takes in what comes to lie there from now on, until cancelled.
    pub async fn watch(self, stop: CancellationToken) {
        let again = self.directory.clone();
        // What an earlier daemon could not read, this one may.
        tokio::task::spawn_blocking(move || give_another_try(&again))
            .await
            .ok();
        let (changed, mut news) = mpsc::channel::<()>(1);
        let watching = super::watch::directory(
            self.directory.clone(),
            move || {
                // One that waits already stands for this one as well.
                changed.try_send(()).ok();
            },
            stop.clone(),
        );
        let draining = async {
            let mut pause = RETRY;
            loop {
                let is_empty = self.drain(None).await;
                pause = if is_empty {
                    LONGEST_PAUSE
                } else {
                    (pause * 2).clamp(RETRY, LONGEST_PAUSE)
                };
                tokio::select! {
                    changed = news.recv() => match changed {
                        Some(()) if is_empty => pause = RETRY,
                        Some(()) => {}
                        None => return,
                    },
                    () = tokio::time::sleep(pause) => {}
                }
            }
        };
        tokio::select! {
            () = watching => {}
            () = draining => {}
            () = stop.cancelled() => {}
        }
    }

    /// Hands in what lies there. False: something is left to be tried again.
    pub async fn drain(&self, deadline: Option<Instant>) -> bool {
        let directory = self.directory.clone();
        let listed = tokio::task::spawn_blocking(move || list(&directory)).await;
        let mut files = match listed {
            Ok(Ok(files)) => VecDeque::from(files),
            Ok(Err(error)) => {
                tracing::warn!(%error, "reading the spool");
                return false;
            }
            Err(_) => return false,
        };
        let mut is_done = true;
        while !files.is_empty() {
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return false;
            }
            let some: Vec<PathBuf> = files.drain(..files.len().min(AT_ONCE)).collect();
            let read = tokio::task::spawn_blocking(move || {
                some.into_iter()
                    .map(|path| {
                        let content = read(&path);
                        (path, content)
                    })
                    .collect::<Vec<_>>()
            });
            let mut found = Vec::new();
            for (path, content) in read.await.unwrap_or_default() {
                match content {
                    Content::Lines(lines) => found.push(Found { path, lines }),
                    Content::Gone => {}
                    Content::NotYet => is_done = false,
                    Content::Unreadable(error) => {
                        is_done = false;
                        if self.is_news(&path) {
                            tracing::warn!(%error, path = %path.display(), "reading a spooled file; it is tried again");
                        }
                    }
                    Content::Hopeless(why) => is_done &= self.put_aside(&path, &why),
                }
            }
            is_done &= self.take_in(found).await;
        }
        is_done
    }

    /// Hands in the reports of these files. False: some must be tried again.
    async fn take_in(&self, found: Vec<Found>) -> bool {
        let taker = self.taker.clone();
        let checked = tokio::task::spawn_blocking(move || {
            found
                .into_iter()
                .map(|file| check(taker.as_ref(), file))
                .collect::<Vec<_>>()
        });
        let Ok(mut checked) = checked.await else {
            return false;
        };
        let mut reports = Vec::new();
        for file in &mut checked {
            file.from = reports.len();
            reports.append(&mut file.reports);
            file.to = reports.len();
        }
        let stored = self.taker.hand_in(reports).await;
        let mut is_done = true;
        for mut file in checked {
            for outcome in stored.get(file.from..file.to).unwrap_or_default() {
                match outcome {
                    Ok(()) => {}
                    Err(fault) if is_lasting(fault) => {
                        file.bad.get_or_insert_with(|| fault.to_string());
                    }
                    Err(fault) => {
                        file.passing.get_or_insert_with(|| fault.to_string());
                    }
                }
            }
            is_done &= self.settle(&file);
        }
        is_done
    }

    /// What becomes of a file whose reports were handed in. False: it must be tried again.
    fn settle(&self, file: &Checked) -> bool {
        if let Some(why) = &file.passing {
            if self.is_news(&file.path) {
                tracing::warn!(why, path = %file.path.display(), "a spooled report was not stored; it is tried again");
            }
            return false;
        }
        if let Some(why) = &file.bad {
            return self.put_aside(&file.path, why);
        }
        match fs::remove_file(&file.path) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => {
                if self.is_news(&file.path) {
                    tracing::warn!(%error, path = %file.path.display(), "removing a spooled file");
                }
                false
            }
        }
    }

    /// Keeps a file out of the way. False: it is still there.
    fn put_aside(&self, path: &Path, why: &str) -> bool {
        let why = crate::text::one_line(why, 200);
        let kept = keep_bad(path);
        match &kept {
            Ok(to) => {
                tracing::warn!(why, path = %to.display(), "a spooled file was put aside: not all of it could be stored");
            }
            Err(error) if self.is_news(path) => {
                tracing::warn!(%error, why, path = %path.display(), "putting a spooled file aside");
            }
            Err(_) => {}
        }
        kept.is_ok()
    }

    /// Was nothing logged of this file yet?
    fn is_news(&self, path: &Path) -> bool {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.len() >= MOST_BAD {
            logged.clear();
        }
        logged.insert(path.as_os_str().to_owned())
    }
}

/// A file whose lines were looked at.
struct Checked {
    path: PathBuf,
    reports: Vec<Report>,
    /// Where its reports are among all that are handed in.
    from: usize,
    to: usize,
    /// Why a line of it will never be taken.
    bad: Option<String>,
    /// Why a line of it cannot be taken now.
    passing: Option<String>,
}

fn check(taker: &impl Taker, file: Found) -> Checked {
    let mut checked = Checked {
        path: file.path,
        reports: Vec::new(),
        from: 0,
        to: 0,
        bad: None,
        passing: None,
    };
    for line in file.lines {
        let outcome = line.and_then(|report| match taker.is_own(&report) {
            Ok(true) => Ok(Some(report)),
            Ok(false) => Err(format!(
                "the report has not the token of session {}",
                report.session.short()
            )),
            Err(fault) => {
                checked.passing.get_or_insert_with(|| fault.to_string());
                Ok(None)
            }
        });
        match outcome {
            Ok(report) => checked.reports.extend(report),
            Err(why) => {
                checked.bad.get_or_insert(why);
            }
        }
    }
    checked
}

/// Will this daemon never take it?
fn is_lasting(fault: &Fault) -> bool {
    [
        FaultCode::Refused,
        FaultCode::NotFound,
        FaultCode::InvalidParams,
    ]
    .iter()
    .any(|code| code.number() == fault.code)
}

/// The files with reports, in the order they were made.
fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files: Vec<(i64, OsString, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let (name, path) = (entry.file_name(), entry.path());
            let ends_with = |end: &str| path.extension().is_some_and(|found| found == end);
            let is_left_behind =
                || ends_with(BEING_WRITTEN) && age(&path).is_some_and(|age| age > WRITTEN);
            if !ends_with(COMPLETE) && !is_left_behind() {
                return None;
            }
            // Earlier versions did not put the time into the name.
            let at = time_in_name(&name.to_string_lossy())
                .or_else(|| millis(fs::symlink_metadata(&path).ok()?.modified().ok()?))
                .unwrap_or_default();
            Some((at, name, path))
        })
        .collect();
    files.sort();
    Ok(files.into_iter().map(|(_, _, path)| path).collect())
}

fn millis(time: SystemTime) -> Option<i64> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

/// Time since a file was last written; none where it cannot be told.
fn age(path: &Path) -> Option<Duration> {
    fs::symlink_metadata(path)
        .ok()?
        .modified()
        .ok()?
        .elapsed()
        .ok()
}

fn read(path: &Path) -> Content {
    // Whatever lies there under such a name: it must not hold us up, and nothing outside is read.
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc_flags())
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Content::Gone,
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Content::Hopeless("it is a symbolic link".into());
        }
        Err(error) => return Content::Unreadable(error),
    };
    match file.metadata() {
        Ok(found) if !found.is_file() => return Content::Hopeless("it is no file".into()),
        Ok(found) if found.len() > LONGEST_FILE => {
            return Content::Hopeless(format!("it is longer than {LONGEST_FILE} bytes"));
        }
        Ok(_) => {}
        Err(error) => return Content::Unreadable(error),
    }
    let mut bytes = Vec::new();
    if let Err(error) = file.take(LONGEST_FILE).read_to_end(&mut bytes) {
        return Content::Unreadable(error);
    }
    // Earlier versions write in place.
    let is_whole = bytes.ends_with(b"\n");
    if !is_whole && age(path).is_none_or(|age| age <= WRITTEN) {
        return Content::NotYet;
    }
    if bytes.is_empty() {
        return Content::Hopeless("it is empty".into());
    }
    let lines = bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(report_of)
        .collect();
    Content::Lines(lines)
}

fn libc_flags() -> i32 {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
    i32::try_from(flags.bits()).unwrap_or_default()
}

fn report_of(line: &[u8]) -> Result<Report, String> {
    let line = str::from_utf8(line).map_err(|error| error.to_string())?;
    let call = lenient_json::call(line).map_err(|error| format!("it is no call: {error}"))?;
    if call.method != REPORT_METHOD {
        return Err(format!("there is no method '{}'", call.method));
    }
    serde_json::from_value(call.params).map_err(|error| format!("it is no report: {error}"))
}

fn bad(directory: &Path) -> PathBuf {
    directory.join("bad")
}

/// Moves a file to `bad`, and the oldest out of it where there are too many.
fn keep_bad(path: &Path) -> io::Result<PathBuf> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let aside = bad(directory);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&aside)?;
    // A half-written one is complete now: nobody writes it any more.
    let to = aside.join(name).with_extension(COMPLETE);
    fs::rename(path, &to)?;
    let kept = list(&aside)?;
    for oldest in kept.iter().take(kept.len().saturating_sub(MOST_BAD)) {
        fs::remove_file(oldest)?;
    }
    Ok(to)
}

fn give_another_try(directory: &Path) {
    let aside = bad(directory);
    for path in list(&aside).unwrap_or_default() {
        if let Some(name) = path.file_name()
            && let Err(error) = fs::rename(&path, directory.join(name))
        {
            tracing::warn!(%error, path = %path.display(), "trying a spooled file again");
        }
    }
}

#[cfg(test)]
#[path = "spool_tests.rs"]
mod tests;
