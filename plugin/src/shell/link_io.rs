//! The link's lines over Zellij's pipes.

use std::collections::BTreeMap;

use claustre_plugin::{
    link::LinkEffect,
    msg::Msg,
    timers::Purpose,
    zellij::event::{PURPOSE, PipeMessage, PipeSource},
};
use claustre_protocol::link::{PIPE_FROM_PLUGIN, PIPE_TO_PLUGIN};
use zellij_tile::prelude::*;

use super::{Shell, home::ALIAS, wall_clock};

/// Milliseconds between two calls for the daemon while nothing is connected.
const BOOTSTRAP_MILLIS: u64 = 7_000;
/// Milliseconds until the daemon is called for once it was lost.
const AGAIN_MILLIS: u64 = 1_500;
/// Milliseconds until the session's name is asked for again.
const FIRST_MILLIS: u64 = 300;
/// What the program that connects the daemon is run for.
pub(super) const LINK_PURPOSE: &str = "link";
/// The program that connects the daemon, where the plugin's configuration names none.
const HELPER: &str = "claustre";
/// Key of the plugin's configuration that names it.
const HELPER_KEY: &str = "helper";

impl Shell {
    /// A line that came in through a pipe, or the end of one.
    pub(super) fn pipe_line(&mut self, message: PipeMessage) {
        let PipeSource::Cli(pipe) = &message.source else {
            return;
        };
        let now = self.now();
        let effects = match (message.name.as_str(), &message.payload) {
            (PIPE_FROM_PLUGIN, Some(payload)) => {
                // Held open for ever: the daemon ends it by ending its process.
                block_cli_pipe_input(pipe);
                self.link.pipe_opened(pipe, payload, now)
            }
            (PIPE_TO_PLUGIN, Some(payload)) => self.link.line(pipe, payload, now),
            (PIPE_TO_PLUGIN, None) => self.link.pipe_closed(pipe),
            _ => return,
        };
        self.link_effects(effects);
        if !self.link.is_up() && !self.timers.waits(Purpose::Bootstrap) {
            self.timers
                .set(Purpose::Bootstrap, now.saturating_add(BOOTSTRAP_MILLIS));
        }
    }

    pub(super) fn link_effects(&mut self, effects: Vec<LinkEffect>) {
        for effect in effects {
            match effect {
                LinkEffect::Send { pipe, line } => cli_pipe_output(&pipe, &line),
                LinkEffect::Deliver(Msg::Link(state)) => {
                    // What was shown was true until now, whenever the last tick was.
                    self.tell(Msg::Tick(wall_clock()));
                    self.tell(Msg::Link(state));
                    if !self.link.is_up() {
                        // A daemon that was restarted is there again at once.
                        self.timers
                            .set(Purpose::Bootstrap, self.now().saturating_add(AGAIN_MILLIS));
                    }
                }
                LinkEffect::Deliver(msg) => self.tell(msg),
                LinkEffect::Perform { action, what } => {
                    let outcome = self.perform(what);
                    let effects = self.link.acted(action, outcome);
                    self.link_effects(effects);
                }
                LinkEffect::CheckClient => self.check_client(),
                LinkEffect::Release(pipe) => unblock_cli_pipe_input(&pipe),
            }
        }
    }

    /// Tells the link whether our client is attached, and looks whether it sees the dashboard. Zellij's list of clients is
    /// of no use here: it leaves out a client whose focus is on the plugin that asks.
    pub(super) fn check_client(&mut self) {
        let attached = self.look().tab.is_some();
        let clients = if attached {
            vec![self.ids.client_id]
        } else {
            Vec::new()
        };
        let effects = self.link.clients_are(clients, self.now());
        self.link_effects(effects);
    }

    /// Calls for the daemon until it has connected; the program returns at once, with the secret of the link.
    pub(super) fn bootstrap(&mut self) {
        if self.link.is_up() {
            return;
        }
        if self.session.is_none() {
            self.session = get_session_list()
                .ok()
                .and_then(|list| {
                    list.live_sessions
                        .into_iter()
                        .find(|session| session.is_current_session)
                })
                .map(|session| session.name);
        }
        // A server that has just started does not list itself yet.
        let wait = if self.session.is_some() {
            BOOTSTRAP_MILLIS
        } else {
            FIRST_MILLIS
        };
        self.timers
            .set(Purpose::Bootstrap, self.now().saturating_add(wait));
        let Some(session) = &self.session else {
            return;
        };
        let helper = self
            .configuration
            .get(HELPER_KEY)
            .map_or(HELPER, String::as_str);
        let server = self.ids.server_pid.to_string();
        let mut call = vec![
            helper,
            "link",
            "--session",
            session,
            "--server-pid",
            &server,
        ];
        // Under our alias the daemon finds us anyway.
        let address = self.address();
        if address != ALIAS {
            call.extend(["--plugin", &address, "--helper", helper]);
        }
        // What it prints is the secret of the link.
        let context = BTreeMap::from([(PURPOSE.to_owned(), LINK_PURPOSE.to_owned())]);
        run_command(&call, context);
    }
}
