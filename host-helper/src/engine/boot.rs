//! The start of the daemon: what the log believes is brought in line with what the host shows.

use claustre_domain::{
    command::Command,
    recovery::{Observed, recover},
    session::{Session, recover_asks},
};
use claustre_protocol::{rpc::Fault, time::Timestamp};

use super::Engine;
use crate::{
    ports::{KnownAsk, KnownSession, Launchers},
    store::SessionFilter,
};

/// Reads the open sessions of this host and says what must be reported of them.
///
/// # Errors
/// The store cannot be read.
pub fn observe(
    engine: &Engine,
    launchers: &dyn Launchers,
) -> Result<(Vec<KnownSession>, Vec<Command>), Fault> {
    let machine = engine.machine;
    let sessions: Vec<Session> = engine
        .read_blocking(|reader| {
            reader.sessions(SessionFilter {
                open_only: true,
                ..SessionFilter::default()
            })
        })?
        .into_iter()
        .filter(|session| session.machine == Some(machine))
        .collect();
    let commands = recover(&sessions, |id| {
        let client = sessions
            .iter()
            .find(|session| session.id == id)
            .and_then(Session::running_client);
        let launcher_alive =
            client.is_some_and(|client| launchers.is_launcher(id, client.launcher_pid));
        Observed {
            launcher_alive,
            // A pid alone proves nothing after a reboot; the launcher, its parent, does.
            client_alive: launcher_alive
                && client.is_some_and(|client| launchers.is_alive(client.pid)),
        }
    });
    let mut commands = commands;
    let mut known = Vec::with_capacity(sessions.len());
    for session in &sessions {
        let id = session.id;
        let asks = engine.read_blocking(|reader| reader.open_asks(id))?;
        commands.extend(recover_asks(&asks).into_iter().map(Command::Session));
        known.push(know(engine, session)?);
    }
    Ok((known, commands))
}

/// What the agent adapter should know of a session.
///
/// # Errors
/// The store cannot be read.
pub fn know(engine: &Engine, session: &Session) -> Result<KnownSession, Fault> {
    let id = session.id;
    let asks = engine.read_blocking(|reader| reader.open_asks(id))?;
    Ok(KnownSession {
        session: id,
        claude_session_id: session.claude_session_id.get().cloned(),
        transcript_path: session.transcript_path.get().map(Into::into),
        client_pid: session.running_client().map(|client| client.pid),
        launched_at: launched_at(session),
        asks: asks
            .iter()
            .filter_map(|ask| ask.asked.as_deref())
            // What Claustre itself asks is no dialog of the client.
            .filter(|asked| asked.message.is_none())
            .map(|asked| KnownAsk {
                ask: asked.ask,
                title: asked.title.clone(),
                since: asked.since,
            })
            .collect(),
    })
}

/// No later than the running client was started: an end that is reported from before was another client's. Its status may be newer
/// than a report of its end that is still to come.
fn launched_at(session: &Session) -> Timestamp {
    let started = session
        .running_client()
        .and_then(|_| session.client.stamp())
        .map(|stamp| Timestamp::from_millis(stamp.hlc.reading.wall_ms));
    started.map_or_else(Timestamp::default, |started| {
        started.min(session.status().since)
    })
}
