//! Reports that no daemon took in time lie in `spool/`, one call a line. They are handed in as if they came just now, in the order
//! they were made, and a file goes when all of it is stored: a report that is handed in twice counts once.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, mpsc::SyncSender},
};

use claustre_protocol::{
    hook::{REPORT_METHOD, Report},
    rpc::Call,
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::tokens::Tokens;
use crate::{
    engine::{
        Engine,
        reports::{self, Input},
    },
    paths::Paths,
};

/// Hands in everything that lies in the spool.
pub async fn drain(directory: &Path, engine: &Engine, tokens: &Tokens, inputs: &SyncSender<Input>) {
    let mut files: Vec<(PathBuf, Vec<Report>)> = match files(directory) {
        Ok(files) => files
            .into_iter()
            .map(|path| (path.clone(), read(&path)))
            .collect(),
        Err(error) => {
            tracing::warn!(%error, "reading the spool");
            return;
        }
    };
    // By the time each was made: what happened first is heard first.
    files.sort_by_key(|(_, reports)| reports.first().map(|report| report.at));
    for (path, reports) in files {
        let mut all_stored = true;
        for report in reports {
            if !tokens.check(engine, report.session, &report.token) {
                tracing::warn!(session = %report.session, "a spooled report has not its session's token");
                continue;
            }
            if let Err(fault) = reports::report(inputs, report).await {
                tracing::warn!(%fault, "a spooled report was not stored");
                all_stored = false;
            }
        }
        if all_stored && let Err(error) = fs::remove_file(&path) {
            tracing::warn!(%error, path = %path.display(), "removing a spooled file");
        }
    }
}

/// Hands in what comes to lie there from now on, until cancelled.
pub async fn watch(
    paths: Paths,
    engine: Engine,
    tokens: Arc<Tokens>,
    inputs: SyncSender<Input>,
    stop: CancellationToken,
) {
    let (changed, mut news) = mpsc::channel::<()>(1);
    let watching = super::watch::directory(
        paths.spool(),
        move || {
            // One that waits already stands for this one as well.
            changed.try_send(()).ok();
        },
        stop.clone(),
    );
    let draining = async {
        while news.recv().await.is_some() {
            drain(&paths.spool(), &engine, &tokens, &inputs).await;
        }
    };
    tokio::select! {
        () = watching => {}
        () = draining => {}
    }
}

fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(directory) {
        Ok(entries) => Ok(entries
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "ndjson"))
            .collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn read(path: &Path) -> Vec<Report> {
    let Ok(text) = fs::read_to_string(path) else {
        return Vec::new();
    };
    text.lines()
        .filter_map(|line| {
            let call: Call = serde_json::from_str(line).ok()?;
            (call.method == REPORT_METHOD)
                .then(|| serde_json::from_value(call.params).ok())
                .flatten()
        })
        .collect()
}
