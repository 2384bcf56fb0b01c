//! The plugin's end of the link to the daemon, without Zellij: which line is meant for us, which is missing, what to answer.
//!
//! Every instance of the plugin sees every line of the daemon, so the numbers of the lines tell each of them what it missed.
//! Whoever can run `zellij pipe` can write to the plugin, so only lines that carry the secret of the daemon are taken. The secret
//! comes on another way, and may come after the first lines: the last few that could not be opened are kept for it.
//!
//! A break of any kind (our reload, a new daemon, a lost line) ends in one hello or one resync, which the daemon answers
//! with the whole state. An action that is told twice is done once: its outcome is remembered and told again.

use std::collections::{BTreeSet, VecDeque};

use claustre_protocol::{
    BUILD, PROTOCOL,
    link::{
        ActionResult, DashboardSettings, DownLine, FromPlugin, HEARTBEAT_MILLIS, MAX_UP_LINE,
        Opening, PaneAction, ToPlugin, UpLine, is_secret, seal, unseal,
    },
    request::Request,
    rpc::{Fault, FaultCode},
};

use crate::msg::{LinkState, Msg};

#[cfg(test)]
mod tests;

/// Outcomes remembered, so that a repeated action is answered and not repeated.
const OUTCOMES_KEPT: usize = 256;
/// Lines kept that no known secret opens.
const UNOPENED_KEPT: usize = 8;
/// Longest of them, in bytes: no line of the daemon is longer.
const UNOPENED_LONGEST: usize = 40 * 1024;
/// Without any line for so long the daemon counts as gone; it pings every 15 seconds.
const SILENCE_MILLIS: u64 = 45_000;

/// Who we are inside the Zellij server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Identity {
    /// The Zellij plugin id.
    pub plugin_id: u32,
    /// The client this instance belongs to.
    pub client_id: u16,
    /// Process id of the Zellij server.
    pub server_pid: u32,
}

/// What the shell has to do for the link.
#[derive(Debug, Clone, PartialEq)]
pub enum LinkEffect {
    /// Write a line (its end included) to a pipe that is held open.
    Send {
        /// Zellij's id of the pipe.
        pipe: String,
        /// The line.
        line: String,
    },
    /// Give this to the dashboard.
    Deliver(Msg),
    /// Do this in Zellij, then call [`Link::acted`].
    Perform {
        /// Its number.
        action: u64,
        /// What.
        what: PaneAction,
    },
    /// Ask Zellij whether our client is attached, then call [`Link::clients_are`].
    CheckClient,
    /// Let go of a pipe that was held and is not the daemon's.
    Release(String),
}

/// What came through a pipe and could not be opened.
#[derive(Debug)]
enum Unopened {
    /// Into the pipe that takes our lines.
    Opening { pipe: String, sealed: String },
    /// A line to us.
    Line { pipe: String, sealed: String },
}

/// The state of the link.
#[derive(Debug, Default)]
pub struct Link {
    me: Identity,
    name: String,
    secret: String,
    unopened: VecDeque<Unopened>,
    ignored: u64,
    epoch: u64,
    pipe: Option<String>,
    /// The pipe that brings the daemon's lines.
    from_daemon: Option<String>,
    greeted: bool,
    welcomed: bool,
    leader: bool,
    awaits_reset: bool,
    next_line: Option<u64>,
    own_lines: u64,
    heard_at: u64,
    last_heartbeat: u64,
    owes_heartbeat: bool,
    visible: bool,
    clients: Vec<u16>,
    open_asks: BTreeSet<u64>,
    running: BTreeSet<u64>,
    settings: DashboardSettings,
    outcomes: VecDeque<(u64, Result<ActionResult, String>)>,
}

impl Link {
    /// The link of this instance; nothing is connected yet.
    pub fn new(me: Identity) -> Self {
        Self {
            me,
            name: format!("{}-{}", me.plugin_id, me.client_id),
            ..Self::default()
        }
    }

    /// Has the daemon welcomed us, and was it heard since?
    pub fn is_up(&self) -> bool {
        self.welcomed
    }

    /// Do we act for the daemon?
    pub fn is_leader(&self) -> bool {
        self.leader
    }

    /// How many lines were ignored because they do not carry the daemon's secret.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    /// The daemon's secret, as the program that calls for it printed it. Another one than before is another daemon: what the former
    /// one ordered is over, and its numbers may come again.
    pub fn secret_is(&mut self, secret: &str, now: u64) -> Vec<LinkEffect> {
        let secret = secret.trim();
        let mut effects = Vec::new();
        if !is_secret(secret) || secret == self.secret {
            return effects;
        }
        self.lose(&mut effects);
        secret.clone_into(&mut self.secret);
        self.epoch = 0;
        self.next_line = None;
        self.from_daemon = None;
        self.outcomes.clear();
        self.running.clear();
        for unopened in std::mem::take(&mut self.unopened) {
            effects.extend(match unopened {
                Unopened::Opening { pipe, sealed } => self.pipe_opened(&pipe, &sealed, now),
                Unopened::Line { pipe, sealed } => self.line(&pipe, &sealed, now),
            });
        }
        // What is still there was sealed by nobody we know.
        for unopened in std::mem::take(&mut self.unopened) {
            effects.extend(self.ignore(unopened));
        }
        effects
    }

    /// The daemon opened the pipe that takes our lines. The shell holds it open.
    pub fn pipe_opened(&mut self, pipe: &str, payload: &str, now: u64) -> Vec<LinkEffect> {
        let mut effects = Vec::new();
        let Some(payload) = unseal(&self.secret, payload) else {
            let unopened = Unopened::Opening {
                pipe: pipe.to_owned(),
                sealed: payload.to_owned(),
            };
            return self.keep(unopened).into_iter().collect();
        };
        let Ok(opening) = serde_json::from_str::<Opening>(payload.trim_end()) else {
            return effects;
        };
        if opening.epoch < self.epoch {
            return effects;
        }
        self.heard_at = now;
        self.enter_epoch(opening.epoch, &mut effects);
        self.learn_pipe(pipe, &mut effects);
        effects
    }

    /// A pipe to us ended. Where it was the daemon's: it is gone, or about to open another.
    pub fn pipe_closed(&mut self, pipe: &str) -> Vec<LinkEffect> {
        let mut effects = Vec::new();
        if self.from_daemon.as_deref() == Some(pipe) {
            self.from_daemon = None;
            self.lose(&mut effects);
        }
        effects
    }

    /// A line came through this pipe.
    pub fn line(&mut self, pipe: &str, text: &str, now: u64) -> Vec<LinkEffect> {
        let mut effects = Vec::new();
        let Some(opened) = unseal(&self.secret, text) else {
            let unopened = Unopened::Line {
                pipe: pipe.to_owned(),
                sealed: text.to_owned(),
            };
            return self.keep(unopened).into_iter().collect();
        };
        let text = opened.trim_end();
        let line = match DownLine::parse(text) {
            Ok(line) => line,
            Err(_) => {
                // A daemon of another version may say what we do not know; what is lost is asked for again.
                self.next_line = None;
                self.ask_for_reset(&mut effects);
                return effects;
            }
        };
        if line.epoch < self.epoch {
            return effects;
        }
        self.heard_at = now;
        self.enter_epoch(line.epoch, &mut effects);
        if self.from_daemon.as_deref() != Some(pipe) {
            self.from_daemon = Some(pipe.to_owned());
        }
        match self.next_line {
            Some(next) if line.seq < next => return effects,
            Some(next) if line.seq > next => self.ask_for_reset(&mut effects),
            Some(_) => {}
            // The first line we see: what came before is in the answer to our hello.
            None => self.awaits_reset = true,
        }
        self.next_line = Some(line.seq.saturating_add(1));
        if line
            .target
            .as_deref()
            .is_none_or(|target| target == self.name)
        {
            self.take(line.body, &mut effects);
        }
        effects
    }

    /// A request of the dashboard.
    pub fn ask(&mut self, id: u64, request: Box<Request>) -> Vec<LinkEffect> {
        if !self.welcomed {
            return vec![refuse(
                id,
                FaultCode::Busy,
                "asking the daemon: it is not connected yet",
            )];
        }
        let body = FromPlugin::Ask { id, request };
        match self.encode(body) {
            Some(effect) => {
                self.open_asks.insert(id);
                vec![effect]
            }
            None => vec![refuse(
                id,
                FaultCode::Refused,
                "asking the daemon: the text is too long (at most 256 kB)",
            )],
        }
    }

    /// An action was done, or could not be.
    pub fn acted(&mut self, action: u64, outcome: Result<ActionResult, String>) -> Vec<LinkEffect> {
        self.running.remove(&action);
        if self.outcomes.len() >= OUTCOMES_KEPT {
            self.outcomes.pop_front();
        }
        self.outcomes.push_back((action, outcome.clone()));
        self.encode(FromPlugin::Acted { action, outcome })
            .into_iter()
            .collect()
    }

    /// A terminal pane closed. Only the leader tells.
    pub fn pane_closed(&mut self, pane: u32) -> Vec<LinkEffect> {
        if !(self.welcomed && self.leader) {
            return Vec::new();
        }
        self.encode(FromPlugin::PaneClosed { pane })
            .into_iter()
            .collect()
    }

    /// Zellij says which client is attached; told at once if it changed or the daemon asked.
    pub fn clients_are(&mut self, mut clients: Vec<u16>, now: u64) -> Vec<LinkEffect> {
        clients.sort_unstable();
        clients.dedup();
        if clients == self.clients && !self.owes_heartbeat {
            return Vec::new();
        }
        self.owes_heartbeat = false;
        self.clients = clients;
        self.heartbeat(now)
    }

    /// The dashboard came on the screen or left it.
    pub fn visible_is(&mut self, visible: bool, now: u64) -> Vec<LinkEffect> {
        if visible == self.visible {
            return Vec::new();
        }
        self.visible = visible;
        self.heartbeat(now)
    }

    /// Time passed: a heartbeat where one is due, and the loss of a daemon that fell silent.
    pub fn tick(&mut self, now: u64) -> Vec<LinkEffect> {
        let mut effects = Vec::new();
        if self.greeted && now.saturating_sub(self.heard_at) > SILENCE_MILLIS {
            self.lose(&mut effects);
        } else if self.greeted && now.saturating_sub(self.last_heartbeat) >= HEARTBEAT_MILLIS {
            effects.extend(self.heartbeat(now));
        }
        effects
    }

    /// Milliseconds until [`Link::tick`] has something to do; none while nothing is connected.
    pub fn next_tick(&self, now: u64) -> Option<u64> {
        self.greeted
            .then(|| HEARTBEAT_MILLIS.saturating_sub(now.saturating_sub(self.last_heartbeat)))
    }

    fn take(&mut self, body: ToPlugin, effects: &mut Vec<LinkEffect>) {
        match body {
            ToPlugin::Welcome {
                leader,
                mismatch,
                settings,
                ..
            } => {
                self.leader = leader;
                self.welcomed = mismatch.is_none();
                if self.welcomed && settings != self.settings {
                    self.settings.clone_from(&settings);
                    effects.push(LinkEffect::Deliver(Msg::Settings(settings)));
                }
                let state = mismatch.map_or(LinkState::Up, LinkState::Mismatch);
                effects.push(LinkEffect::Deliver(Msg::Link(state)));
            }
            ToPlugin::Dashboard(update) => {
                if update.reset {
                    self.awaits_reset = false;
                }
                if !self.awaits_reset {
                    effects.push(LinkEffect::Deliver(Msg::Dashboard(update)));
                }
            }
            ToPlugin::Act { action, what } => {
                let known = self.outcomes.iter().find(|(number, _)| *number == action);
                if let Some((_, outcome)) = known {
                    let outcome = outcome.clone();
                    effects.extend(self.encode(FromPlugin::Acted { action, outcome }));
                } else if self.running.insert(action) {
                    effects.push(LinkEffect::Perform { action, what });
                }
            }
            ToPlugin::Reply { id, outcome } => {
                if self.open_asks.remove(&id) {
                    effects.push(LinkEffect::Deliver(Msg::Reply { id, outcome }));
                }
            }
            ToPlugin::Toast { text, error } => {
                effects.push(LinkEffect::Deliver(Msg::Toast { text, error }))
            }
            ToPlugin::Ping { pipe } => {
                if let Some(pipe) = pipe {
                    self.learn_pipe(&pipe, effects);
                }
                // The heartbeat goes out once it is known who is attached.
                self.owes_heartbeat = true;
                effects.push(LinkEffect::CheckClient);
            }
        }
    }

    /// Keeps what no known secret opens, for the secret that may still come.
    fn keep(&mut self, unopened: Unopened) -> Option<LinkEffect> {
        let (Unopened::Opening { sealed, .. } | Unopened::Line { sealed, .. }) = &unopened;
        if sealed.len() > UNOPENED_LONGEST {
            return self.ignore(unopened);
        }
        self.unopened.push_back(unopened);
        if self.unopened.len() <= UNOPENED_KEPT {
            return None;
        }
        let oldest = self.unopened.pop_front()?;
        self.ignore(oldest)
    }

    fn ignore(&mut self, unopened: Unopened) -> Option<LinkEffect> {
        self.ignored = self.ignored.saturating_add(1);
        match unopened {
            Unopened::Opening { pipe, .. } => Some(LinkEffect::Release(pipe)),
            Unopened::Line { .. } => None,
        }
    }

    /// A higher epoch is a new link: nothing of the old one counts.
    fn enter_epoch(&mut self, epoch: u64, effects: &mut Vec<LinkEffect>) {
        if epoch > self.epoch {
            self.lose(effects);
            self.epoch = epoch;
            self.next_line = None;
            self.awaits_reset = true;
        }
    }

    fn learn_pipe(&mut self, pipe: &str, effects: &mut Vec<LinkEffect>) {
        if self.greeted && self.pipe.as_deref() == Some(pipe) {
            return;
        }
        self.pipe = Some(pipe.to_owned());
        self.greeted = true;
        self.awaits_reset = true;
        self.last_heartbeat = self.heard_at;
        let hello = FromPlugin::Hello {
            protocol: PROTOCOL,
            build: BUILD.to_owned(),
            plugin_id: self.me.plugin_id,
            client_id: self.me.client_id,
            server_pid: self.me.server_pid,
            epoch: self.epoch,
            pipe: pipe.to_owned(),
        };
        effects.extend(self.encode(hello));
        // Only an instance whose client is attached may lead.
        self.owes_heartbeat = true;
        effects.push(LinkEffect::CheckClient);
    }

    fn ask_for_reset(&mut self, effects: &mut Vec<LinkEffect>) {
        if !self.awaits_reset {
            self.awaits_reset = true;
            effects.extend(self.encode(FromPlugin::Resync {}));
        }
    }

    fn lose(&mut self, effects: &mut Vec<LinkEffect>) {
        if self.welcomed {
            effects.push(LinkEffect::Deliver(Msg::Link(LinkState::Lost)));
        }
        for id in std::mem::take(&mut self.open_asks) {
            effects.push(refuse(
                id,
                FaultCode::Busy,
                "asking the daemon: the connection broke before it answered",
            ));
        }
        self.welcomed = false;
        self.greeted = false;
        self.leader = false;
        self.pipe = None;
    }

    fn heartbeat(&mut self, now: u64) -> Vec<LinkEffect> {
        if !self.greeted {
            return Vec::new();
        }
        self.last_heartbeat = now;
        let body = FromPlugin::Heartbeat {
            visible: self.visible,
            last_seq: self.next_line.map_or(0, |next| next.saturating_sub(1)),
            clients: self.clients.clone(),
        };
        self.encode(body).into_iter().collect()
    }

    /// The line as an effect; none without a pipe or if it is too long.
    fn encode(&mut self, body: FromPlugin) -> Option<LinkEffect> {
        let pipe = self.pipe.clone()?;
        self.own_lines = self.own_lines.saturating_add(1);
        let line = UpLine {
            from: self.name.clone(),
            seq: self.own_lines,
            body,
        };
        let mut text = serde_json::to_string(&line).ok()?;
        text.push('\n');
        let line = seal(&self.secret, &text);
        (text.len() <= MAX_UP_LINE).then_some(LinkEffect::Send { pipe, line })
    }
}

fn refuse(id: u64, code: FaultCode, message: &str) -> LinkEffect {
    let hint = match code {
        FaultCode::Busy => Some("claustre daemon status says whether it runs".to_owned()),
        _ => None,
    };
    LinkEffect::Deliver(Msg::Reply {
        id,
        outcome: Err(Fault::new(code, message, hint)),
    })
}
