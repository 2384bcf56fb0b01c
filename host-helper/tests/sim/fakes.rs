//! All ports, in memory. Each call may be the last thing that the daemon does.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use claustre::{
    adapters::claude::monitor::ClaudeAgent,
    ports::{
        Agent, Brief, Conversations, DiffFacts, GitHooks, Heard, Host, KnownSession, Launchers,
        Multiplexer, Notifier, OpenedPane, PaneFacts, PaneOrder, PlanOrder, PortError,
        RemovalFacts, RemovalOrder, RepositoryFacts, RunningProcess, ScriptFailure, ScriptOrder,
        Scripts, Waits, Workspace, WorktreeFacts, WorktreeOrder,
    },
};
use claustre_domain::{command::Command, event::AskOutcome};
use claustre_protocol::{
    hook::Report,
    ids::{AskId, EventId, SessionId},
    request::RemovalPreview,
    time::Timestamp,
};
use uuid::Uuid;

use crate::{
    outside::Phase,
    world::{World, world},
};

/// Stands for everything outside; the world of this thread is behind it.
pub struct Fake;

/// The pane is of another server, or gone.
fn no_pane() -> PortError {
    PortError::lasting("there is no such pane", None)
}

fn within<T>(world: &World, what: impl FnOnce() -> Result<T, PortError>) -> Result<T, PortError> {
    world.may_be_killed();
    if world.fails() {
        return Err(PortError::passing("it does not answer"));
    }
    let done = what();
    world.may_be_killed();
    done
}

impl Host for Fake {
    fn now(&self) -> Timestamp {
        world(|world| {
            world.may_be_killed();
            world.now()
        })
    }

    fn uuid(&self) -> Uuid {
        world(|world| world.random.uuid())
    }

    fn name(&self) -> String {
        "host".into()
    }
}

impl Waits for Fake {
    fn sleep(&self, time: Duration) {
        self.until(time, &mut || false);
    }

    fn until(&self, most: Duration, is_done: &mut dyn FnMut() -> bool) -> bool {
        world(|world| world.until(most, is_done))
    }

    fn news(&self) {}
}

impl Workspace for Fake {
    fn inspect(&self, path: &Path) -> Result<RepositoryFacts, PortError> {
        Ok(RepositoryFacts {
            root: path.to_owned(),
            default_branch: "main".into(),
        })
    }

    fn check_branch(&self, _: &str) -> Result<(), PortError> {
        Ok(())
    }

    fn check_base(&self, _: &Path, _: &str) -> Result<(), PortError> {
        Ok(())
    }

    fn check_start(&self, _: &WorktreeOrder) -> Result<(), PortError> {
        Ok(())
    }

    fn branch_for(&self, title: &str, _: Uuid) -> String {
        title.into()
    }

    fn prepare(&self, order: &WorktreeOrder) -> Result<WorktreeFacts, PortError> {
        world(|world| {
            within(world, || {
                world.log(|| format!("worktree of {}", order.branch));
                Ok(WorktreeFacts {
                    path: PathBuf::from("/w").join(&order.branch),
                    branch: order.branch.clone(),
                    base: "main".into(),
                    base_commit: "0".repeat(40),
                    reused: false,
                    notes: Vec::new(),
                })
            })
        })
    }

    fn preview_removal(&self, _: &Path, _: &Path) -> Result<RemovalPreview, PortError> {
        Ok(RemovalPreview::default())
    }

    fn remove(&self, order: &RemovalOrder) -> Result<RemovalFacts, PortError> {
        world(|world| {
            within(world, || {
                let session: SessionId = order.snapshot.parse().unwrap();
                let mut outside = world.outside.borrow_mut();
                let Some(place) = outside.place_of(session) else {
                    return Err(PortError::lasting("there is none", None));
                };
                let (was_removed, has_client) = (place.is_removed, place.client.is_some());
                place.is_removed = true;
                if has_client && !was_removed {
                    outside.violated(format!(
                        "the worktree {} went while its client ran",
                        order.path.display()
                    ));
                }
                Ok(RemovalFacts::default())
            })
        })
    }

    fn restore(&self, _: &Path, path: &Path, _: &str) -> Result<PathBuf, PortError> {
        Ok(path.to_owned())
    }

    fn forget(&self, _: &Path, _: &str) -> Result<(), PortError> {
        Ok(())
    }

    fn diff(&self, _: &Path, _: &str) -> Result<DiffFacts, PortError> {
        Ok(DiffFacts::default())
    }

    fn diff_text(&self, _: &Path, _: &str) -> Result<String, PortError> {
        Ok(String::new())
    }

    fn brief(&self, _: &Path, _: &Path) -> Brief {
        Brief::default()
    }
}

impl Scripts for Fake {
    fn setup(&self, _: &ScriptOrder) -> Result<Vec<String>, ScriptFailure> {
        world(|world| {
            world.may_be_killed();
            world.until(
                Duration::from_millis(world.random.below(3_000)),
                &mut || false,
            );
            Ok(Vec::new())
        })
    }

    fn has_setup(&self, _: &ScriptOrder) -> bool {
        true
    }

    fn has_teardown(&self, _: &ScriptOrder) -> bool {
        false
    }

    fn teardown(&self, _: &ScriptOrder) -> Result<Vec<String>, ScriptFailure> {
        Ok(Vec::new())
    }

    fn git_hooks(&self, _: &ScriptOrder) -> Result<GitHooks, PortError> {
        Ok(GitHooks::default())
    }
}

impl Multiplexer for Fake {
    fn open(&self, order: &PaneOrder) -> Result<OpenedPane, PortError> {
        world(|world| {
            within(world, || {
                world.log(|| format!("a tab for {}", order.name));
                let mut outside = world.outside.borrow_mut();
                let pane = outside.pid();
                let place = outside.place_of(order.session).unwrap();
                let is_second = place.launcher.is_some() || place.is_opening;
                place.is_opening = true;
                if !is_second {
                    place.pane = pane;
                }
                if is_second && world.is_strict() {
                    outside.violated(format!("a second tab for {}", order.name));
                }
                Ok(OpenedPane {
                    zellij_session: "z".into(),
                    server_pid: Some(77),
                    pane: Some(pane),
                    background: false,
                })
            })
        })
    }

    fn adopt(&self, _: &str, _: &[(u32, String)]) -> Result<(), PortError> {
        Ok(())
    }

    fn server_of(&self, _: &str) -> Option<u32> {
        Some(77)
    }

    fn focus(&self, _: &PaneFacts) -> Result<(), PortError> {
        Ok(())
    }

    fn close(&self, session: SessionId, pane: &PaneFacts, _: &str) -> Result<(), PortError> {
        world(|world| {
            within(world, || {
                let id = world
                    .outside
                    .borrow_mut()
                    .place_of(session)
                    .map(|place| place.pane);
                if id == Some(pane.pane) {
                    world.end_launcher(session, true);
                }
                Ok(())
            })
        })
    }

    fn rename(&self, _: &PaneFacts, _: &str, _: &str) -> Result<(), PortError> {
        Ok(())
    }

    fn write(&self, pane: &PaneFacts, bytes: &[u8]) -> Result<(), PortError> {
        world(|world| within(world, || world.typed(pane.pane, bytes).ok_or_else(no_pane)))
    }

    fn read(&self, pane: &PaneFacts) -> Result<String, PortError> {
        world(|world| {
            within(world, || {
                let outside = world.outside.borrow();
                let found = outside
                    .places
                    .iter()
                    .find(|place| place.pane == pane.pane && place.launcher.is_some());
                found.map(|place| place.screen()).ok_or_else(no_pane)
            })
        })
    }

    fn toast(&self, _: &str, _: bool) {}
}

impl Launchers for Fake {
    fn argv(&self, session: SessionId) -> Vec<String> {
        vec!["claustre".into(), session.to_string()]
    }

    fn resume(&self, session: SessionId, _: u32) -> Result<bool, PortError> {
        world(|world| {
            within(world, || {
                let mut outside = world.outside.borrow_mut();
                let Some(place) = outside.place_of(session) else {
                    return Ok(false);
                };
                if place.launcher.is_none() {
                    return Ok(false);
                }
                // To a client that runs the order means nothing.
                place.is_to_start |= place.client.is_none();
                Ok(true)
            })
        })
    }

    fn end(&self, session: SessionId, _: u32, resume: bool) -> Result<bool, PortError> {
        world(|world| {
            within(world, || {
                let has_launcher = {
                    let mut outside = world.outside.borrow_mut();
                    let has_launcher = outside
                        .place_of(session)
                        .is_some_and(|place| place.launcher.is_some());
                    if has_launcher && resume {
                        outside.restarts.entry(session).or_default().1 += 1;
                    }
                    has_launcher
                };
                if has_launcher && resume {
                    world.end_client(session, None, Some(15));
                    if let Some(place) = world.outside.borrow_mut().place_of(session) {
                        place.is_to_start = true;
                    }
                } else if has_launcher {
                    world.end_launcher(session, true);
                }
                Ok(has_launcher)
            })
        })
    }

    fn is_running(&self, session: SessionId) -> bool {
        world(|world| {
            world.may_be_killed();
            let mut outside = world.outside.borrow_mut();
            let place = outside.place_of(session);
            place.is_some_and(|place| place.launcher.is_some())
        })
    }

    fn is_launcher(&self, session: SessionId, pid: u32) -> bool {
        world(|world| {
            let mut outside = world.outside.borrow_mut();
            let place = outside.place_of(session);
            place.is_some_and(|place| place.launcher == Some(pid))
        })
    }

    fn in_foreground(&self, launcher_pid: u32, client_pid: u32) -> Result<(), String> {
        world(|world| {
            world.may_be_killed();
            let outside = world.outside.borrow();
            let is_there = outside.places.iter().any(|place| {
                place.launcher == Some(launcher_pid)
                    && place
                        .client
                        .as_ref()
                        .is_some_and(|client| client.pid == client_pid)
            });
            is_there.then_some(()).ok_or_else(|| "it has ended".into())
        })
    }

    fn running(&self, session: SessionId) -> Vec<RunningProcess> {
        world(|world| {
            let mut outside = world.outside.borrow_mut();
            let place = outside.place_of(session);
            let pids = place.map(|place| {
                let client = place.client.as_ref().map(|client| client.pid);
                place.launcher.into_iter().chain(client).collect::<Vec<_>>()
            });
            let pids = pids.into_iter().flatten();
            pids.map(|pid| RunningProcess {
                pid: Some(pid),
                what: "its client".into(),
            })
            .collect()
        })
    }

    fn working_in(&self, _: &Path) -> Vec<RunningProcess> {
        Vec::new()
    }

    fn is_alive(&self, pid: u32) -> bool {
        world(|world| {
            let outside = world.outside.borrow();
            outside.places.iter().any(|place| {
                place.launcher == Some(pid)
                    || place
                        .client
                        .as_ref()
                        .is_some_and(|client| client.pid == pid)
            })
        })
    }
}

impl Notifier for Fake {
    fn notify(&self, text: &str) {
        world(|world| {
            world.may_be_killed();
            *world
                .outside
                .borrow_mut()
                .notices
                .entry(text.to_owned())
                .or_default() += 1;
            world.may_be_killed();
        });
    }
}

impl Conversations for Fake {
    fn length(&self, transcript: &Path) -> Result<u64, PortError> {
        world(|world| {
            within(world, || {
                let outside = world.outside.borrow();
                let found = outside
                    .places
                    .iter()
                    .find(|place| Path::new(&place.transcript()) == transcript);
                Ok(found.map_or(0, |place| place.prompts.len() as u64))
            })
        })
    }

    fn prompts_since(&self, transcript: &Path, offset: u64) -> Result<Vec<String>, PortError> {
        world(|world| {
            within(world, || {
                let outside = world.outside.borrow();
                let found = outside
                    .places
                    .iter()
                    .find(|place| Path::new(&place.transcript()) == transcript);
                Ok(found
                    .map(|place| place.prompts[offset as usize..].to_vec())
                    .unwrap_or_default())
            })
        })
    }
}

/// The real adapter, but for what it would start and read.
pub struct Adapter(pub ClaudeAgent);

impl Agent for Adapter {
    fn foresee(&mut self, _: &PlanOrder, _: Timestamp) -> Vec<String> {
        Vec::new()
    }

    fn write_plan(&mut self, _: &PlanOrder) -> Result<(), PortError> {
        Ok(())
    }

    fn hear(&mut self, report: &Report, now: Timestamp) -> Heard {
        self.0.hear(report, now)
    }

    fn hear_connected(&mut self, report: &Report, now: Timestamp) -> Heard {
        self.0.hear_connected(report, now)
    }

    fn stored(&mut self, session: SessionId, report: EventId) {
        self.0.stored(session, report);
    }

    fn relearn(&mut self, known: KnownSession, now: Timestamp) -> Vec<Command> {
        self.0.relearn(known, now)
    }

    fn look(&mut self, _: Timestamp) -> Vec<Command> {
        // Its processes are not those of this host.
        Vec::new()
    }

    fn usage(&mut self, _: SessionId) -> Vec<Command> {
        Vec::new()
    }

    fn know(&mut self, known: KnownSession) {
        self.0.know(known);
    }

    fn next_look(&self) -> Option<Timestamp> {
        None
    }

    fn answer_text(
        &mut self,
        session: SessionId,
        ask: AskId,
        outcome: AskOutcome,
        text: Option<&str>,
    ) -> Option<String> {
        self.0.answer_text(session, ask, outcome, text)
    }

    fn answered(&mut self, session: SessionId, ask: AskId) {
        self.0.answered(session, ask);
    }

    fn forget(&mut self, session: SessionId) {
        self.0.forget(session);
    }

    fn registry(&self) -> Option<PathBuf> {
        None
    }
}

/// Types into a client: what a terminal would do with these bytes.
pub fn strike(held: &mut String, phase: &Phase, bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    match text.as_str() {
        "\x15" => held.clear(),
        "\r" => {
            if *phase == Phase::Idle && !held.is_empty() {
                return Some(std::mem::take(held));
            }
        }
        text => held.push_str(&text.replace("\x1b[200~", "").replace("\x1b[201~", "")),
    }
    None
}
