//! Sessions whose launcher does not report: after a while each is reported as a launch that failed, so that it can be tried again.
//!
//! One timer for all of them, on a clock that nobody can set back.

use std::{collections::BTreeMap, time::Duration};

use claustre_domain::{
    command::{Command, SessionCommand},
    event::Event,
    session::Session,
};
use claustre_protocol::{
    ids::SessionId,
    status::{ClaudeStatus, Source},
};
use tokio::{sync::broadcast::error::RecvError, time::Instant};
use tokio_util::sync::CancellationToken;

use super::Engine;
use crate::store::SessionFilter;

/// How long a launcher has from the moment that it could be started until it reports its client. Zellij may be slow, and its tries
/// are repeated for half a minute.
const LIMIT: Duration = Duration::from_secs(90);
/// Why it is given up.
const WHY: &str = "its launcher did not report within 90 seconds: look at its tab, or try it again with R (claustre session resume)";

/// Reports launchers that stay silent, until cancelled.
pub async fn run(engine: Engine, stop: CancellationToken) {
    let mut advanced = engine.subscribe();
    let mut waited_for = WaitedFor::default();
    waited_for.begin_all(&engine).await;
    loop {
        let next = waited_for.next();
        tokio::select! {
            () = stop.cancelled() => return,
            received = advanced.recv() => match received {
                Ok(advanced) => {
                    for recorded in advanced.events.iter() {
                        waited_for.hear(&recorded.event, Instant::now());
                    }
                }
                Err(RecvError::Lagged(_)) => waited_for.begin_all(&engine).await,
                Err(RecvError::Closed) => return,
            },
            () = sleep_until(next) => {
                for session in waited_for.take_due(Instant::now()) {
                    give_up(&engine, session).await;
                }
            }
        }
    }
}

async fn sleep_until(next: Option<Instant>) {
    match next {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn give_up(engine: &Engine, id: SessionId) {
    let known = engine.read(move |reader| reader.session(id)).await;
    if !matches!(known, Ok(Some(known)) if is_silent(&known)) {
        return;
    }
    let failed = Command::Session(SessionCommand::ReportLaunchFailed {
        session: id,
        why: WHY.into(),
    });
    if let Err(fault) = engine.submit(failed, "engine").await {
        tracing::warn!(%fault, session = %id, "reporting a launcher that stays silent");
    }
}

/// Could its launcher have reported, and has it not? A worktree that is still being made reports its own failure.
fn is_silent(session: &Session) -> bool {
    let standing = session.status();
    session.is_open()
        && !session.worktree.is_empty()
        && standing.status == ClaudeStatus::Starting
        && (session.running_client().is_none() || standing.source == Source::User)
}

/// The sessions whose launcher is waited for, and until when.
#[derive(Debug, Default)]
struct WaitedFor(BTreeMap<SessionId, Instant>);

impl WaitedFor {
    /// Waits for all that the log shows as starting: at the start of the daemon, and after events were missed.
    async fn begin_all(&mut self, engine: &Engine) {
        let open = engine
            .read(|reader| {
                reader.sessions(SessionFilter {
                    open_only: true,
                    ..SessionFilter::default()
                })
            })
            .await
            .unwrap_or_default();
        let machine = Some(engine.machine);
        for session in open {
            if session.machine == machine && is_silent(&session) {
                let until = Instant::now() + LIMIT;
                self.0.entry(session.id).or_insert(until);
            }
        }
    }

    fn hear(&mut self, event: &Event, now: Instant) {
        match event {
            Event::SessionWorktreeReady { session, .. }
            | Event::SessionStatusChanged {
                session,
                status: ClaudeStatus::Starting,
                source: Source::User,
                ..
            } => {
                self.0.insert(*session, now + LIMIT);
            }
            // It comes after its pane was asked for, which may have taken a while.
            Event::SessionPaneOpened { session, .. } => {
                self.0.entry(*session).and_modify(|at| *at = now + LIMIT);
            }
            Event::SessionClientStarted { session, .. }
            | Event::SessionClosed { session, .. }
            | Event::SessionStatusChanged { session, .. } => {
                self.0.remove(session);
            }
            _ => {}
        }
    }

    fn next(&self) -> Option<Instant> {
        self.0.values().min().copied()
    }

    fn take_due(&mut self, now: Instant) -> Vec<SessionId> {
        let due: Vec<SessionId> = self
            .0
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(session, _)| *session)
            .collect();
        for session in &due {
            self.0.remove(session);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use claustre_protocol::{status::Reason, time::Timestamp};
    use uuid::Uuid;

    use super::*;

    fn session(number: u128) -> SessionId {
        SessionId::new(Uuid::from_u128(number))
    }

    fn ready(session: SessionId) -> Event {
        Event::SessionWorktreeReady {
            session,
            path: "/w".into(),
            branch: "b".into(),
            base: "main".into(),
            base_commit: "c".into(),
            reused: false,
            notes: Vec::new(),
        }
    }

    fn status(session: SessionId, status: ClaudeStatus, source: Source) -> Event {
        Event::SessionStatusChanged {
            session,
            status,
            reason: None::<Reason>,
            source,
            since: Timestamp::default(),
            detail: String::new(),
        }
    }

    #[test]
    fn a_launcher_is_waited_for_from_its_worktree_or_an_order_until_it_reports() {
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        let mut waited_for = WaitedFor::default();
        assert_eq!(
            waited_for.next(),
            None,
            "nothing is waited for, no timer runs"
        );
        let (silent, resumed, good, closed) = (session(1), session(2), session(3), session(4));
        for one in [silent, good, closed] {
            waited_for.hear(&ready(one), begun);
        }
        let order = status(resumed, ClaudeStatus::Starting, Source::User);
        waited_for.hear(&order, after(10));
        waited_for.hear(
            &Event::SessionClientStarted {
                session: good,
                pid: 1,
                launcher_pid: 2,
                resumed: false,
            },
            after(20),
        );
        let closing = status(closed, ClaudeStatus::Done, Source::User);
        waited_for.hear(&closing, after(20));
        assert_eq!(waited_for.next(), Some(after(90)));
        assert_eq!(waited_for.take_due(after(89)), []);
        assert_eq!(waited_for.take_due(after(90)), [silent]);
        assert_eq!(waited_for.take_due(after(100)), [resumed]);
        assert_eq!(waited_for.next(), None);

        // Its pane took its time, and then it failed by itself.
        waited_for.hear(&ready(silent), begun);
        let pane = Event::SessionPaneOpened {
            session: silent,
            zellij_session: "claustre".into(),
            server_pid: 1,
            pane: 1,
            background: false,
        };
        waited_for.hear(&pane, after(60));
        assert_eq!(waited_for.take_due(after(120)), []);
        waited_for.hear(
            &status(silent, ClaudeStatus::Error, Source::Process),
            after(130),
        );
        assert_eq!(waited_for.take_due(after(999)), []);
    }
}
