//! The daemon's end of the link without processes or a clock: who is there, who leads, what was sent and what came back.
//!
//! An action is never done twice. It goes to one instance. If that one loses its memory (a reload) or is gone without an
//! answer, only an action that may be repeated goes to another; what opens or types something ends as "unknown", and the
//! engine looks whether it happened.

use std::collections::BTreeMap;

use claustre_protocol::{
    BUILD, PROTOCOL,
    dashboard::DashboardUpdate,
    link::{
        ActionResult, DashboardSettings, DownLine, FromPlugin, Instance, MAX_LINE, MAX_UP_LINE,
        PaneAction, SECRET_DIGITS, ToPlugin, UpLine, seal, unseal,
    },
    rpc::{Fault, FaultCode, ProtocolVersion},
};

use super::{LinkError, LinkEvent, Secret};
use crate::adapters::zellij::{
    election::{Candidate, SILENCE_MILLIS, elect},
    feed::{Feed, split_update},
};

mod actions;

#[cfg(test)]
mod tests;

use actions::Pending;

/// An action without an answer for so long is given up.
const ACTION_MILLIS: u64 = 15_000;
/// Between two pings.
const PING_MILLIS: u64 = 15_000;
/// Between two pings that ask an unknown instance to say hello.
const INTRODUCTION_MILLIS: u64 = 3_000;

/// What the connection has to do.
#[derive(Debug)]
pub(super) enum Out {
    /// Send this line.
    Line(String),
    /// Tell the engine.
    Event(LinkEvent),
    /// Tell whoever ordered the action.
    Finished {
        action: u64,
        outcome: Result<ActionResult, LinkError>,
    },
    /// Fetch the whole state and call [`Core::snapshot`].
    Snapshot { instance: Instance },
}

#[derive(Debug)]
struct Peer {
    candidate: Candidate,
    visible: bool,
    /// Does it know that it leads?
    leads: bool,
}

/// One link of one server, over all its connections.
#[derive(Debug)]
pub(super) struct Core {
    server_pid: u32,
    settings: DashboardSettings,
    secret: Secret,
    /// Lines that did not carry the secret.
    ignored: u64,
    epoch: u64,
    lines: u64,
    actions: u64,
    pipe: Option<String>,
    peers: BTreeMap<Instance, Peer>,
    leader: Option<Instance>,
    pending: BTreeMap<u64, Pending>,
    feed: Feed,
    up: bool,
    /// Was anybody there on this connection?
    was_up: bool,
    clients: Vec<u16>,
    visible: bool,
    heard_at: u64,
    pinged_at: u64,
}

impl Core {
    /// A link that is not connected yet.
    pub(super) fn new(server_pid: u32, settings: DashboardSettings, secret: Secret) -> Self {
        Self {
            server_pid,
            settings,
            secret,
            ignored: 0,
            epoch: 0,
            lines: 0,
            actions: 0,
            pipe: None,
            peers: BTreeMap::new(),
            leader: None,
            pending: BTreeMap::new(),
            feed: Feed::default(),
            up: false,
            was_up: false,
            clients: Vec::new(),
            visible: false,
            heard_at: 0,
            pinged_at: 0,
        }
    }

    /// A connection was opened. `epoch` must be higher than all before it on this link; former daemons had another secret.
    pub(super) fn opened(&mut self, epoch: u64, now: u64) {
        self.epoch = epoch;
        self.was_up = false;
        self.lines = 0;
        self.pipe = None;
        self.heard_at = now;
        self.pinged_at = now;
    }

    /// The connection broke. What waits for an answer goes on waiting: the instances may still be there, and remember.
    pub(super) fn broke(&mut self, out: &mut Vec<Out>) {
        self.peers.clear();
        self.leader = None;
        self.pipe = None;
        self.feed.clear();
        self.report(out);
    }

    /// The server is gone, and all that was ordered with it.
    pub(super) fn ended(&mut self, out: &mut Vec<Out>) {
        self.broke(out);
        for action in std::mem::take(&mut self.pending).into_keys() {
            out.push(Out::Finished {
                action,
                outcome: Err(LinkError::Gone),
            });
        }
    }

    /// Milliseconds since anything was heard on this connection.
    pub(super) fn silence(&self, now: u64) -> u64 {
        now.saturating_sub(self.heard_at)
    }

    /// Is anybody there?
    pub(super) fn is_up(&self) -> bool {
        self.up
    }

    /// Was anybody there on this connection?
    pub(super) fn was_up(&self) -> bool {
        self.was_up
    }

    /// An instance said a line.
    pub(super) fn line(&mut self, text: &str, now: u64, out: &mut Vec<Out>) {
        let Some(text) = unseal(self.secret.reveal(), text) else {
            self.ignored = self.ignored.saturating_add(1);
            if self.ignored.is_power_of_two() {
                tracing::warn!(
                    ignored = self.ignored,
                    "lines without the secret of the link are ignored"
                );
            }
            return;
        };
        let Ok(line) = serde_json::from_str::<UpLine>(text) else {
            tracing::debug!(bytes = text.len(), "a line of the plugin cannot be read");
            return;
        };
        self.heard_at = now;
        if let Some(peer) = self.peers.get_mut(&line.from) {
            peer.candidate.heard_at = now;
        } else if !matches!(line.body, FromPlugin::Hello { .. }) {
            // Without its hello nothing is known of it; the answer to the ping is one.
            if now.saturating_sub(self.pinged_at) >= INTRODUCTION_MILLIS {
                self.ping(now, out);
            }
            return;
        }
        match line.body {
            FromPlugin::Hello {
                protocol,
                build,
                plugin_id,
                client_id,
                server_pid,
                epoch,
                pipe,
            } => {
                if epoch != self.epoch || server_pid != self.server_pid {
                    return;
                }
                if !pipe.is_empty() {
                    self.pipe = Some(pipe);
                }
                if let Some(mismatch) = mismatch(protocol, &build) {
                    let welcome = self.welcome(false, Some(mismatch));
                    self.say(Some(line.from), welcome, out);
                    return;
                }
                let candidate = Candidate {
                    instance: line.from.clone(),
                    plugin_id,
                    client_id,
                    attached: false,
                    heard_at: now,
                };
                self.greet(candidate, line.seq == 1, now, out);
            }
            FromPlugin::Heartbeat {
                visible, clients, ..
            } => {
                if let Some(peer) = self.peers.get_mut(&line.from) {
                    peer.visible = visible;
                    peer.candidate.attached = clients.contains(&peer.candidate.client_id);
                }
                self.settle(now, out);
            }
            FromPlugin::Resync {} => out.push(Out::Snapshot {
                instance: line.from,
            }),
            FromPlugin::Ask { id, request } => out.push(Out::Event(LinkEvent::Ask {
                instance: line.from,
                id,
                request,
            })),
            FromPlugin::Acted { action, outcome } => {
                if self.pending.remove(&action).is_some() {
                    let outcome = outcome.map_err(LinkError::Refused);
                    out.push(Out::Finished { action, outcome });
                }
            }
            FromPlugin::PaneClosed { pane } => out.push(Out::Event(LinkEvent::PaneClosed { pane })),
        }
    }

    /// Says something to one instance, or to all.
    pub(super) fn say(&mut self, target: Option<Instance>, body: ToPlugin, out: &mut Vec<Out>) {
        let id = match &body {
            ToPlugin::Reply { id, .. } => Some(*id),
            _ => None,
        };
        let limit = if id.is_some() { MAX_UP_LINE } else { MAX_LINE } + SECRET_DIGITS + 1;
        let mut line = DownLine {
            seq: self.lines + 1,
            epoch: self.epoch,
            target,
            body,
        };
        let mut text = self.encode(&line);
        if text.len() > limit
            && let Some(id) = id
        {
            let fault = Fault::new(
                FaultCode::Refused,
                "showing the answer: it is too long for the dashboard",
                Some("the command line shows it whole".to_owned()),
            );
            line.body = ToPlugin::Reply {
                id,
                outcome: Err(fault),
            };
            text = self.encode(&line);
        }
        if text.len() > limit || text.is_empty() {
            tracing::warn!(
                bytes = text.len(),
                "a line for the plugin is too long and is not sent"
            );
            return;
        }
        self.lines += 1;
        out.push(Out::Line(text));
    }

    /// Draws a change, soon.
    pub(super) fn dashboard(&mut self, update: DashboardUpdate) {
        if !self.peers.is_empty() {
            self.feed.add(update);
        }
    }

    /// Gives one instance the whole state.
    pub(super) fn snapshot(
        &mut self,
        instance: &Instance,
        state: DashboardUpdate,
        out: &mut Vec<Out>,
    ) {
        let state = DashboardUpdate {
            reset: true,
            ..state
        };
        for part in split_update(state) {
            self.say(Some(instance.clone()), ToPlugin::Dashboard(part), out);
        }
    }

    /// Gives every instance the whole state: a change was lost on the way.
    pub(super) fn refresh(&mut self, out: &mut Vec<Out>) {
        self.feed.clear();
        out.extend(self.peers.keys().map(|instance| Out::Snapshot {
            instance: instance.clone(),
        }));
    }

    /// Asks who is there; an instance that loaded lately says hello.
    pub(super) fn ping(&mut self, now: u64, out: &mut Vec<Out>) {
        self.pinged_at = now;
        let pipe = self.pipe.clone();
        self.say(None, ToPlugin::Ping { pipe }, out);
    }

    /// Time passed.
    pub(super) fn tick(&mut self, now: u64, out: &mut Vec<Out>) {
        if now.saturating_sub(self.pinged_at) >= PING_MILLIS && self.up {
            self.ping(now, out);
        }
        let late: Vec<u64> = self
            .pending
            .iter()
            .filter(|(_, pending)| now.saturating_sub(pending.since) > ACTION_MILLIS)
            .map(|(action, _)| *action)
            .collect();
        for action in late {
            if let Some(pending) = self.pending.remove(&action) {
                let error = if pending.target.is_some() {
                    LinkError::Unknown
                } else {
                    LinkError::NoPlugin
                };
                out.push(Out::Finished {
                    action,
                    outcome: Err(error),
                });
            }
        }
        self.settle(now, out);
        if let Some(update) = self.feed.take(now, self.visible) {
            for part in split_update(update) {
                self.say(None, ToPlugin::Dashboard(part), out);
            }
        }
    }

    /// Milliseconds until [`Core::tick`] has something to do.
    pub(super) fn next_tick(&self, now: u64) -> u64 {
        let feed = self.feed.wait(now, self.visible).unwrap_or(u64::MAX);
        let idle = if self.peers.is_empty() && self.pending.is_empty() {
            PING_MILLIS
        } else {
            SILENCE_MILLIS / 3
        };
        feed.min(idle).max(1)
    }

    fn greet(&mut self, candidate: Candidate, forgot: bool, now: u64, out: &mut Vec<Out>) {
        let instance = candidate.instance.clone();
        // Its first heartbeat follows at once; until then what was known of its client stays true.
        let known = self.peers.get(&instance);
        let attached = known.is_some_and(|peer| peer.candidate.attached);
        let visible = known.is_some_and(|peer| peer.visible);
        self.was_up = true;
        self.peers.insert(
            instance.clone(),
            Peer {
                candidate: Candidate {
                    attached,
                    ..candidate
                },
                visible,
                leads: false,
            },
        );
        if forgot {
            self.release(&instance, out);
        } else {
            // It was told before and the answer may be lost; it knows what it did.
            let told: Vec<(u64, PaneAction)> = self
                .pending
                .iter()
                .filter(|(_, pending)| pending.target.as_ref() == Some(&instance))
                .map(|(action, pending)| (*action, pending.what.clone()))
                .collect();
            for (action, what) in told {
                self.say(Some(instance.clone()), ToPlugin::Act { action, what }, out);
            }
        }
        let leader = self.choose(now);
        let leads = leader.as_ref() == Some(&instance);
        if let Some(peer) = self.peers.get_mut(&instance) {
            peer.leads = leads;
        }
        let welcome = self.welcome(leads, None);
        self.say(Some(instance.clone()), welcome, out);
        out.push(Out::Snapshot { instance });
        self.settle(now, out);
    }

    fn choose(&self, now: u64) -> Option<Instance> {
        let candidates: Vec<Candidate> = self
            .peers
            .values()
            .map(|peer| peer.candidate.clone())
            .collect();
        elect(&candidates, self.leader.as_deref(), now).cloned()
    }

    /// Brings everything in line with who is there now.
    fn settle(&mut self, now: u64, out: &mut Vec<Out>) {
        let silent: Vec<Instance> = self
            .peers
            .iter()
            .filter(|(_, peer)| !peer.candidate.is_fresh(now))
            .map(|(instance, _)| instance.clone())
            .collect();
        for instance in &silent {
            self.peers.remove(instance);
        }
        if !silent.is_empty() {
            // It may have been loaded afresh, and then knows nothing of us.
            self.ping(now, out);
        }
        self.leader = self.choose(now);
        let changed: Vec<(Instance, bool)> = self
            .peers
            .iter_mut()
            .filter_map(|(instance, peer)| {
                let leads = self.leader.as_ref() == Some(instance);
                (peer.leads != leads).then(|| {
                    peer.leads = leads;
                    (instance.clone(), leads)
                })
            })
            .collect();
        // First the one that stops, then the one that begins.
        for beginning in [false, true] {
            for (instance, leads) in changed.iter().filter(|(_, leads)| *leads == beginning) {
                let welcome = self.welcome(*leads, None);
                self.say(Some(instance.clone()), welcome, out);
            }
        }
        // Who was told and never came back on this connection.
        let lost: Vec<Instance> = self
            .pending
            .values()
            .filter(|pending| now.saturating_sub(pending.since) > SILENCE_MILLIS)
            .filter_map(|pending| pending.target.clone())
            .filter(|target| !self.peers.contains_key(target))
            .chain(silent)
            .collect();
        for instance in lost {
            self.release(&instance, out);
        }
        self.tell_pending(out);
        self.report(out);
    }

    fn welcome(&self, leader: bool, mismatch: Option<String>) -> ToPlugin {
        ToPlugin::Welcome {
            protocol: PROTOCOL,
            build: BUILD.to_owned(),
            leader,
            mismatch,
            settings: self.settings.clone(),
        }
    }

    /// The line as it goes over the pipe; empty where it cannot be written.
    fn encode(&self, line: &DownLine) -> String {
        serde_json::to_string(line).map_or_else(
            |_| String::new(),
            |text| seal(self.secret.reveal(), &text) + "\n",
        )
    }

    /// Tells the engine what changed for it.
    fn report(&mut self, out: &mut Vec<Out>) {
        let up = !self.peers.is_empty();
        if up != self.up {
            self.up = up;
            out.push(Out::Event(if up { LinkEvent::Up } else { LinkEvent::Down }));
        }
        let mut clients: Vec<u16> = self
            .peers
            .values()
            .filter(|peer| peer.candidate.attached)
            .map(|peer| peer.candidate.client_id)
            .collect();
        clients.sort_unstable();
        clients.dedup();
        if clients != self.clients {
            self.clients.clone_from(&clients);
            out.push(Out::Event(LinkEvent::ClientsChanged { clients }));
        }
        let visible = self.peers.values().any(|peer| peer.visible);
        if visible != self.visible {
            self.visible = visible;
            out.push(Out::Event(LinkEvent::VisibleChanged { visible }));
        }
    }
}

/// The sentence for a plugin that speaks another protocol.
fn mismatch(protocol: ProtocolVersion, build: &str) -> Option<String> {
    (protocol.major != PROTOCOL.major).then(|| {
        format!("The dashboard is of version {build} and the helper of version {BUILD}: run `claustre setup` and press the key again.")
    })
}
