//! What is around the engine, as far as it matters: launchers, clients with their prompt boxes and transcripts, the hooks they start,
//! the spool, and the people.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use claustre::engine::reports::{Presence, Reported, WaitingHook};
use claustre_domain::event::AskOutcome;
use claustre_protocol::{
    hook::{Report, ReportBody},
    ids::{AskId, EventId, MessageId, SessionId},
    rpc::Fault,
    time::Timestamp,
};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use uuid::Uuid;

/// What a client does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// It was started and has said nothing.
    Starting,
    Idle,
    Working,
    /// A permission is asked, by the report of this id.
    Dialog(EventId),
}

#[derive(Debug)]
pub struct Client {
    pub pid: u32,
    pub phase: Phase,
    pub held: String,
    /// Permissions in this turn.
    pub asked: u32,
    /// Tells its last tool from others.
    pub tool: u64,
}

#[derive(Debug)]
pub struct Place {
    pub id: SessionId,
    pub conversation: Uuid,
    pub pane: u32,
    pub launcher: Option<u32>,
    pub client: Option<Client>,
    /// A pane was ordered and its launcher is on its way.
    pub is_opening: bool,
    /// The launcher was told to start the client.
    pub is_to_start: bool,
    pub starts: u32,
    pub prompts: Vec<String>,
    pub is_removed: bool,
}

/// A short-lived child of a session with something to tell.
#[derive(Debug)]
pub struct Hook {
    pub place: usize,
    /// The client that waits for it, where one does.
    pub client: Option<u32>,
    pub report: Report,
    pub is_ask: bool,
    pub state: HookState,
    /// Sent once more after it was stored.
    pub is_doubled: bool,
    /// The answer that the client reads once this hook ends.
    pub printed: Option<Printed>,
}

/// What a permission hook printed, and its connection, which stands until it has said so.
#[derive(Debug)]
pub struct Printed {
    pub ask: EventId,
    pub text: String,
    pub _presence: Presence,
}

#[derive(Debug)]
pub enum HookState {
    New,
    Sent(oneshot::Receiver<Result<Reported, Fault>>),
    /// Stored, and it waits for the answer.
    Waiting(WaitingHook),
}

/// A message that a person sent.
#[derive(Debug)]
pub struct Sent {
    pub place: usize,
    pub text: String,
    pub is_acknowledged: bool,
    /// A person ordered it once more.
    pub again: usize,
}

/// An ask, and what became of it.
#[derive(Debug, Default)]
pub struct Asked {
    pub place: usize,
    /// What was acknowledged to a person.
    pub acknowledged: Option<AskOutcome>,
    /// How often the client took an answer from its hook.
    pub taken: Vec<String>,
    /// It is not on the screen any more.
    pub is_gone: bool,
}

#[derive(Debug, Default)]
pub struct Outside {
    pub places: Vec<Place>,
    pub hooks: Vec<Hook>,
    pub spool: VecDeque<Report>,
    pub messages: BTreeMap<MessageId, Sent>,
    pub asks: BTreeMap<AskId, Asked>,
    pub notices: BTreeMap<String, u32>,
    /// Events of orders that were acknowledged.
    pub acknowledged: BTreeSet<EventId>,
    /// Orders to restart a client: given by people, carried out by launchers.
    pub restarts: BTreeMap<SessionId, (u32, u32)>,
    pub closed: BTreeSet<SessionId>,
    pub next_pid: u32,
    pub violations: Vec<String>,
}

impl Outside {
    pub fn place_of(&mut self, id: SessionId) -> Option<&mut Place> {
        self.places.iter_mut().find(|place| place.id == id)
    }

    pub fn pid(&mut self) -> u32 {
        self.next_pid += 1;
        // Above what any system gives.
        4_200_000 + self.next_pid
    }

    pub fn violated(&mut self, rule: impl Into<String>) {
        self.violations.push(rule.into());
    }
}

impl Place {
    pub fn transcript(&self) -> String {
        format!("/transcripts/{}.jsonl", self.conversation)
    }

    /// The end of the client's screen.
    pub fn screen(&self) -> String {
        let rule = "────────────────────";
        match &self.client {
            None => "claustre: waiting to be told to continue\n".to_owned(),
            Some(client) => match client.phase {
                Phase::Starting => String::new(),
                Phase::Idle => format!(
                    "● Done.\n\n{rule}\n❯ {}\n{rule}\n  ? for shortcuts\n",
                    client.held
                ),
                Phase::Working => format!(
                    "● Reading (esc to interrupt)\n\n{rule}\n❯ {}\n{rule}\n",
                    client.held
                ),
                Phase::Dialog(_) => format!(
                    "{rule}\n Bash command\n Do you want to proceed?\n ❯ 1. Yes\n   2. No\n Esc to cancel\n"
                ),
            },
        }
    }

    pub fn report(&self, id: Uuid, at: Timestamp, body: ReportBody) -> Report {
        Report {
            id: EventId::new(id),
            session: self.id,
            token: "token".into(),
            at,
            zellij_session: Some("z".into()),
            pane_id: Some(self.pane),
            acknowledges: true,
            body,
        }
    }

    pub fn hook(&self, name: &str, more: Value) -> ReportBody {
        let mut input = json!({
            "session_id": self.conversation.to_string(),
            "transcript_path": self.transcript(),
            "cwd": "/w",
            "hook_event_name": name,
            "permission_mode": "default",
        });
        if let (Some(input), Some(more)) = (input.as_object_mut(), more.as_object()) {
            input.extend(more.clone());
        }
        ReportBody::Hook(input)
    }
}
