//! The marks before the names of tabs, while a session needs a person.
//!
//! They are no effects: nothing of them is stored, a mark that was overtaken is never shown, and they wait while anything else is
//! asked of the multiplexer. After a restart they are made anew from the sessions and from what the tabs are called.

mod schedule;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use claustre_domain::{event::Event, session::Session};
use claustre_protocol::{
    ids::{SessionId, TaskId},
    status::{ClaudeStatus, TaskStatus},
};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::{Engine, effects::facts};
use crate::{
    ports::{Multiplexer, PaneFacts},
    store::{Reader, SessionFilter, StoreError},
};

pub use schedule::{Mark, Marks, Naming, Wanted, Went};

/// What changes is gathered for so long before it is read.
const GATHER: Duration = Duration::from_millis(200);
/// Until it is looked again whether the multiplexer has other work.
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// What may have changed a mark.
#[derive(Debug, Default)]
struct Changed {
    sessions: BTreeSet<SessionId>,
    tasks: BTreeSet<TaskId>,
    everything: bool,
}

impl Changed {
    fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.tasks.is_empty() && !self.everything
    }

    fn add(&mut self, event: &Event) {
        match event {
            Event::SessionStatusChanged { session, .. }
            | Event::SessionPaneOpened { session, .. }
            | Event::SessionAskClosed { session, .. }
            | Event::SessionClosed { session, .. }
            | Event::TaskAssigned { session, .. }
            | Event::AssignmentEnded { session, .. } => {
                self.sessions.insert(*session);
            }
            Event::SessionAsked(asked) => {
                self.sessions.insert(asked.session);
            }
            Event::TaskStatusChanged { task, .. } => {
                self.tasks.insert(*task);
            }
            _ => {}
        }
    }
}

/// A session as far as its mark depends on it; no tab = none of its own, or closed.
struct Standing {
    session: SessionId,
    tab: Option<Wanted>,
}

/// Keeps the marks until cancelled.
pub async fn run(engine: Engine, multiplexer: Arc<dyn Multiplexer>, stop: CancellationToken) {
    let started = Instant::now();
    let now = || u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut advanced = engine.subscribe();
    let mut marks = Marks::default();
    let mut changed = Changed {
        everything: true,
        ..Changed::default()
    };
    let mut gathered = Some(tokio::time::Instant::now());
    loop {
        let wait = marks.wait(now()).map(Duration::from_millis);
        tokio::select! {
            () = stop.cancelled() => return,
            received = advanced.recv() => {
                match received {
                    Ok(news) => news.events.iter().for_each(|recorded| changed.add(&recorded.event)),
                    Err(RecvError::Lagged(_)) => changed.everything = true,
                    Err(RecvError::Closed) => return,
                }
                if !changed.is_empty() && gathered.is_none() {
                    gathered = Some(tokio::time::Instant::now() + GATHER);
                }
            }
            () = tokio::time::sleep_until(gathered.unwrap_or_else(tokio::time::Instant::now)), if gathered.is_some() => {
                gathered = None;
                let changed = std::mem::take(&mut changed);
                let anew = changed.everything;
                let standings = read(&engine, changed).await;
                note(&mut marks, standings, anew, &multiplexer, now()).await;
            }
            () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {
                if multiplexer.is_busy() {
                    tokio::time::sleep(BUSY_PAUSE).await;
                } else if let Some(naming) = marks.due(now()) {
                    let went = name(&multiplexer, naming.clone()).await;
                    marks.went(&naming, went, now());
                }
            }
        }
    }
}

async fn read(engine: &Engine, changed: Changed) -> Vec<Standing> {
    let read = engine.read(move |reader| {
        let mut sessions = changed.sessions;
        for task in changed.tasks {
            let of = reader.task(task)?.and_then(|task| task.active_session());
            sessions.extend(of);
        }
        if changed.everything {
            let filter = SessionFilter {
                project: None,
                open_only: true,
            };
            sessions.extend(reader.sessions(filter)?.iter().map(|session| session.id));
        }
        sessions
            .into_iter()
            .map(|session| standing(reader, session))
            .collect::<Result<Vec<_>, StoreError>>()
    });
    read.await.unwrap_or_else(|fault| {
        tracing::error!(%fault, "reading what tabs are to be marked");
        Vec::new()
    })
}

fn standing(reader: &Reader, id: SessionId) -> Result<Standing, StoreError> {
    let known = reader.session(id)?.filter(Session::is_open);
    let tab = match known {
        None => None,
        Some(session) => {
            let task = match session.task.value() {
                Some(task) => reader.task(task)?.map(|task| task.status_now()),
                None => None,
            };
            // Without a tab of its own there is nothing to mark.
            session
                .pane
                .get()
                .filter(|pane| !pane.background)
                .map(|pane| Wanted {
                    pane: facts(pane),
                    plain: session.tab_name(),
                    mark: mark_of(&session, task),
                })
        }
    };
    Ok(Standing { session: id, tab })
}

/// The mark of a session while it needs a person.
fn mark_of(session: &Session, task: Option<TaskStatus>) -> Mark {
    let status = session.status().status;
    if !session.asks.is_empty() || status == ClaudeStatus::WaitingForInput {
        Mark::NeedsYou
    } else if status == ClaudeStatus::Error {
        Mark::Error
    } else if task == Some(TaskStatus::InReview) {
        Mark::InReview
    } else {
        Mark::None
    }
}

/// Takes note of what is to be shown. `anew` = tabs may carry the marks of a former daemon; so may the tab of a session that came
/// to another pane, where Zellij brought the session back.
async fn note(
    marks: &mut Marks,
    standings: Vec<Standing>,
    anew: bool,
    multiplexer: &Arc<dyn Multiplexer>,
    now: u64,
) {
    let mut names: BTreeMap<(String, u32), BTreeMap<u32, String>> = BTreeMap::new();
    for Standing { session, tab } in standings {
        let Some(wanted) = tab else {
            marks.forget(session);
            continue;
        };
        let mut shown = Mark::None;
        let known = marks.pane_of(session);
        if known.map_or(anew, |known| *known != wanted.pane) {
            let server = (wanted.pane.zellij_session.clone(), wanted.pane.server_pid);
            if !names.contains_key(&server) {
                let found = tab_names(multiplexer, wanted.pane.clone()).await;
                names.insert(server.clone(), found);
            }
            shown = names
                .get(&server)
                .and_then(|names| names.get(&wanted.pane.pane))
                .map_or(Mark::None, |name| Mark::of(name, &wanted.plain));
        }
        marks.want(session, wanted, shown, now);
    }
}

async fn tab_names(multiplexer: &Arc<dyn Multiplexer>, pane: PaneFacts) -> BTreeMap<u32, String> {
    let multiplexer = multiplexer.clone();
    let named = tokio::task::spawn_blocking(move || multiplexer.tab_names(&pane)).await;
    match named {
        Ok(Ok(names)) => names,
        Ok(Err(error)) => {
            tracing::debug!(error = %error.message, "reading what tabs are called");
            BTreeMap::new()
        }
        Err(error) => {
            tracing::error!(%error, "reading what tabs are called");
            BTreeMap::new()
        }
    }
}

async fn name(multiplexer: &Arc<dyn Multiplexer>, naming: Naming) -> Went {
    let multiplexer = multiplexer.clone();
    let done = tokio::task::spawn_blocking(move || {
        let name = format!("{}{}", naming.mark.prefix(), naming.plain);
        multiplexer.rename(&naming.pane, &name, &naming.plain)
    })
    .await;
    match done {
        Ok(Ok(())) => Went::Well,
        Ok(Err(error)) => {
            tracing::debug!(error = %error.message, "marking a tab");
            if error.passing {
                Went::Passing
            } else {
                Went::Lasting
            }
        }
        Err(error) => {
            tracing::error!(%error, "marking a tab");
            Went::Lasting
        }
    }
}
