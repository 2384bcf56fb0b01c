//! One session under watch: its hooks folded, its process, its registry entry, and what was reported of it.

mod hooks;

use std::collections::VecDeque;
use std::path::PathBuf;

use claustre_domain::{command::SessionCommand, event::AskOutcome};
use claustre_protocol::{
    ids::{AskId, EventId, SessionId},
    status::{ClaudeStatus, Source},
    time::Timestamp,
};
use serde_json::Value;

use super::bill::Bill;
use super::fuse::{Fused, HOOKS_EXPECTED_MILLIS, Inputs, ProcessState, RegistryView, fuse};
use super::hook_state::{HookState, Pending, Phase};
use super::registry::{self, Liveness, RegistryEntry, RegistryStatus};
use crate::ports::{KnownAsk, KnownSession};

/// How long readings of two sources may contradict each other before the question is settled.
const SETTLE_MILLIS: i64 = 2_000;
/// How long a launcher has to report the end of a client that is seen to be gone.
const LAUNCHER_REPORTS_MILLIS: i64 = 3_000;
/// How many reports are remembered, so that one that comes again by the spool counts once.
const REMEMBERED_REPORTS: usize = 256;
/// How many questions are kept with their input, for an answer that comes after they were closed.
const REMEMBERED_QUESTIONS: usize = 16;

/// Stands for the tool of what was asked before our start: the log keeps only its line.
const EARLIER: &str = "(asked earlier)";

/// Something that is asked and has an id in the log.
#[derive(Debug, Clone)]
struct OpenAsk {
    ask: AskId,
    is_question: bool,
    tool: String,
    summary: String,
    agent_id: Option<String>,
    /// The whole question as shown to the person who answers; none where it was asked before our start.
    detail: Option<String>,
}

impl OpenAsk {
    fn is_of(&self, pending: &Pending) -> bool {
        self.is_question == pending.is_question
            && self.tool == pending.tool
            && self.summary == pending.summary
            && self.agent_id == pending.agent_id
    }
}

/// After an answer through Claustre the dialog stays in the registry for a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grace {
    None,
    Begun,
    Until(Timestamp),
}

/// What a hook means.
#[derive(Debug, Default)]
pub(super) struct Meaning {
    pub commands: Vec<SessionCommand>,
    pub waits_for: Option<AskId>,
}

/// One session under watch.
#[derive(Debug)]
pub(super) struct Watched {
    pub session: SessionId,
    pub claude_session_id: Option<String>,
    pub transcript: Option<PathBuf>,
    pub bill: Bill,
    /// The transcript grew while it was read.
    pub is_to_be_read_again: bool,
    /// The session is closed and its client has ended: the next count is the last.
    pub is_final: bool,
    pid: Option<u32>,
    identified_at: Timestamp,
    process: ProcessState,
    launched_at: Timestamp,
    hook: Option<HookState>,
    /// The hook state is from before our start: the registry may know better.
    is_remembered: bool,
    registry: Option<RegistryView>,
    asks: Vec<OpenAsk>,
    questions: VecDeque<(AskId, Value)>,
    /// Which report asked what.
    made: VecDeque<(EventId, AskId)>,
    reported: Option<Fused>,
    grace: Grace,
    missing_since: Option<Timestamp>,
    /// See [`Inputs::foreseen`].
    pub foreseen: String,
    /// Reports whose meaning is in the log, so that one that comes again by the spool counts once.
    stored: VecDeque<EventId>,
}

impl Watched {
    /// A session of which nothing is known yet.
    pub fn new(session: SessionId, at: Timestamp) -> Self {
        Self {
            session,
            claude_session_id: None,
            transcript: None,
            bill: Bill::default(),
            is_to_be_read_again: false,
            is_final: false,
            pid: None,
            identified_at: Timestamp::default(),
            process: ProcessState::Unknown,
            launched_at: at,
            hook: None,
            is_remembered: false,
            registry: None,
            asks: Vec::new(),
            questions: VecDeque::new(),
            made: VecDeque::new(),
            reported: None,
            grace: Grace::None,
            missing_since: None,
            foreseen: String::new(),
            stored: VecDeque::new(),
        }
    }

    /// A session that the log knows, with what was kept of it on disk.
    pub fn known(known: KnownSession, bill: Bill, kept: Option<HookState>) -> Self {
        let mut watched = Self::new(known.session, known.launched_at);
        watched.process = match known.client_pid {
            Some(_) => ProcessState::Alive,
            None => ProcessState::Unknown,
        };
        watched.pid = known.client_pid;
        watched.claude_session_id = known.claude_session_id;
        // A transcript is known since its SessionStart: hooks were heard.
        if known.transcript_path.is_some() && known.client_pid.is_some() {
            let mut hook = kept.unwrap_or(HookState {
                phase: Phase::Ready,
                since: Timestamp::default(),
                heard_at: Timestamp::default(),
                pending: Vec::new(),
            });
            hook.pending.clear();
            for ask in &known.asks {
                hook.phase = Phase::Working;
                hook.heard_at = hook.heard_at.max(ask.since);
            }
            watched.hook = Some(hook);
            watched.is_remembered = true;
            for ask in known.asks {
                watched.ask_earlier(ask);
            }
        }
        watched.transcript = known.transcript_path;
        watched.bill = bill;
        watched
    }

    /// The client's process, while it runs.
    pub fn running_pid(&self) -> Option<u32> {
        self.pid.filter(|_| self.process == ProcessState::Alive)
    }

    /// Has the client ended, as far as was told?
    pub fn has_ended(&self) -> bool {
        !matches!(self.process, ProcessState::Alive | ProcessState::Unknown)
    }

    /// Is no turn running?
    pub fn is_turn_over(&self) -> bool {
        // No hook tells of Esc; the registry does.
        let is_shown_idle = self.reported.as_ref().is_some_and(|fused| {
            fused.source == Source::Registry && fused.status == ClaudeStatus::Idle
        });
        self.has_ended()
            || is_shown_idle
            || self
                .hook
                .as_ref()
                .is_some_and(|hook| hook.phase != Phase::Working && hook.pending.is_empty())
    }

    /// When the last turn ended, by its hooks.
    pub fn turn_ended_at(&self) -> Timestamp {
        self.hook
            .as_ref()
            .map_or(self.launched_at, |hook| hook.heard_at)
    }

    /// The fold of the hooks, to be kept on disk.
    pub fn hook_state(&self) -> Option<&HookState> {
        self.hook.as_ref()
    }

    /// Is what this report meant in the log?
    pub fn is_stored(&self, report: EventId) -> bool {
        self.stored.contains(&report)
    }

    /// What this report meant is in the log now.
    pub fn remember_stored(&mut self, report: EventId) {
        if self.stored.contains(&report) {
            return;
        }
        if self.stored.len() >= REMEMBERED_REPORTS {
            self.stored.pop_front();
        }
        self.stored.push_back(report);
    }

    /// Something that was heard was not stored. What it asks, who it is, whether it runs and what was told of it is as the log has
    /// it; the reports that told otherwise come again. What its hooks said of its phase stands, and is told once more.
    pub fn relearn(&mut self, known: KnownSession, now: Timestamp) -> Vec<SessionCommand> {
        match (known.client_pid, &self.process) {
            (Some(pid), _) => {
                self.process = ProcessState::Alive;
                self.pid = Some(pid);
                self.launched_at = self.launched_at.min(known.launched_at);
            }
            (None, ProcessState::Alive) => {
                self.process = ProcessState::Unknown;
                self.pid = None;
            }
            (None, _) => {}
        }
        self.claude_session_id = known.claude_session_id;
        self.transcript = known.transcript_path;
        self.identified_at = Timestamp::default();
        self.bill.give_again();
        self.grace = Grace::None;
        self.reported = None;
        let heard = std::mem::take(&mut self.asks);
        let mut missing = Vec::new();
        for ask in known.asks {
            match heard.iter().find(|open| open.ask == ask.ask) {
                Some(open) => self.asks.push(open.clone()),
                None => missing.push(ask),
            }
        }
        let standing = self.asks.clone();
        if let Some(hook) = &mut self.hook {
            // Some come without a report that has an id: notices of older clients.
            hook.pending.retain(|pending| {
                pending.tool.is_empty() || standing.iter().any(|open| open.is_of(pending))
            });
        }
        for ask in missing {
            self.ask_earlier(ask);
        }
        self.settle(now)
    }

    /// Takes in what the log knows as open, of which nothing but its line is known here.
    fn ask_earlier(&mut self, ask: KnownAsk) {
        if let Some(hook) = &mut self.hook {
            hook.pending.push(Pending {
                is_question: false,
                tool: EARLIER.to_owned(),
                summary: ask.title.clone(),
                agent_id: None,
                since: ask.since,
            });
        }
        self.asks.push(OpenAsk {
            ask: ask.ask,
            is_question: false,
            tool: EARLIER.to_owned(),
            summary: ask.title,
            agent_id: None,
            detail: None,
        });
    }

    /// A time that is still to come was noted before the clock was set back. What is remembered counts as older than what arrives
    /// `now`, and what happened `at` that time as newer.
    pub fn keep_to_the_clock(&mut self, at: Timestamp, now: Timestamp) {
        let past = |time: &mut Timestamp| {
            if *time > now {
                *time = at;
            }
        };
        past(&mut self.launched_at);
        past(&mut self.identified_at);
        if let Some(hook) = &mut self.hook {
            past(&mut hook.since);
            past(&mut hook.heard_at);
        }
        if let Some(registry) = &mut self.registry {
            past(&mut registry.since);
            past(&mut registry.read_at);
        }
        if let Some(since) = &mut self.missing_since {
            past(since);
        }
        match &mut self.process {
            ProcessState::Exited { at: ended, .. }
            | ProcessState::Gone { at: ended }
            | ProcessState::NotStarted { at: ended, .. }
            | ProcessState::Lost { at: ended } => past(ended),
            ProcessState::Alive | ProcessState::Unknown => {}
        }
        if let Grace::Until(until) = &mut self.grace {
            *until = (*until).min(now.plus_millis(SETTLE_MILLIS));
        }
    }

    /// The ask that this report made, open or not: a hook that reports again may have missed its answer.
    pub fn ask_of(&self, report: EventId) -> Option<AskId> {
        self.made
            .iter()
            .find(|(known, _)| *known == report)
            .map(|(_, ask)| *ask)
    }

    /// The raw input of a question, for the answer.
    pub fn question(&self, ask: AskId) -> Option<&Value> {
        self.questions
            .iter()
            .find(|(known, _)| *known == ask)
            .map(|(_, input)| input)
    }

    /// An ask was answered through Claustre.
    pub fn answered(&mut self, ask: AskId) {
        let Some(place) = self.asks.iter().position(|open| open.ask == ask) else {
            return;
        };
        let open = self.asks.remove(place);
        if let Some(hook) = &mut self.hook {
            hook.answered(&open.tool, &open.summary, open.agent_id.as_deref());
        }
        // The log has set the status itself.
        self.reported = None;
        self.grace = Grace::Begun;
    }

    /// The launcher started the client.
    pub fn started(
        &mut self,
        pid: u32,
        launcher_pid: u32,
        resumed: bool,
        at: Timestamp,
    ) -> Vec<SessionCommand> {
        let ended_later = match &self.process {
            ProcessState::Exited { at: ended, .. }
            | ProcessState::Gone { at: ended }
            | ProcessState::NotStarted { at: ended, .. }
            | ProcessState::Lost { at: ended } => *ended > at,
            ProcessState::Alive | ProcessState::Unknown => false,
        };
        if ended_later {
            // It comes late: that client has ended meanwhile.
            return Vec::new();
        }
        self.process = ProcessState::Alive;
        self.pid = Some(pid);
        self.launched_at = at;
        self.registry = None;
        self.missing_since = None;
        self.grace = Grace::None;
        self.reported = None;
        self.bill.client_started(resumed);
        let mut commands = vec![SessionCommand::ReportClientStarted {
            session: self.session,
            pid,
            launcher_pid,
            resumed,
        }];
        let is_of_earlier_client = self.hook.as_ref().is_some_and(|hook| hook.heard_at < at);
        if is_of_earlier_client {
            self.hook = None;
            self.is_remembered = false;
            if !self.asks.is_empty() {
                self.asks.clear();
                commands.push(SessionCommand::ReportAskClosed {
                    session: self.session,
                    ask: None,
                    outcome: AskOutcome::Gone,
                });
            }
        }
        commands.extend(self.settle(at));
        commands
    }

    /// The client ended, could not be started, or its launcher is gone. False: that was known, or it is of an earlier client.
    pub fn ended(&mut self, process: ProcessState, at: Timestamp) -> bool {
        // Whoever saw how it ended knows more than those who only found it gone.
        let is_seen = matches!(process, ProcessState::Exited { .. })
            && matches!(
                self.process,
                ProcessState::Gone { .. } | ProcessState::Lost { .. }
            );
        if (self.has_ended() && !is_seen) || at < self.launched_at {
            return false;
        }
        self.process = process;
        self.registry = None;
        self.reported = None;
        self.missing_since = None;
        // The log closes them with the client.
        self.asks.clear();
        if let Some(hook) = &mut self.hook {
            hook.pending.clear();
        }
        true
    }

    /// Takes in what the registry shows of it, at the time of this look.
    pub fn look(&mut self, entry: Option<&RegistryEntry>, at: Timestamp) -> Vec<SessionCommand> {
        if self.has_ended() {
            return Vec::new();
        }
        self.registry = entry.and_then(|entry| RegistryView::of(entry, at));
        // Of what was noted by a clock that was set back nothing is known but that it is older than what is shown now.
        self.keep_to_the_clock(at.plus_millis(-SETTLE_MILLIS), at);
        let is_gone = self
            .running_pid()
            .is_some_and(|pid| registry::liveness(pid, None) == Liveness::Dead);
        if is_gone {
            let since = *self.missing_since.get_or_insert(at);
            if at.millis_since(since) >= LAUNCHER_REPORTS_MILLIS {
                self.ended(ProcessState::Gone { at }, at);
                return vec![SessionCommand::ReportLost {
                    session: self.session,
                    why: "its client is gone, and nobody saw how it ended".to_owned(),
                }];
            }
            return Vec::new();
        }
        self.missing_since = None;
        self.settle(at)
    }

    /// When a look is due although nothing happens; later than `after`.
    pub fn due(&self, after: Timestamp) -> Option<Timestamp> {
        if self.has_ended() {
            return None;
        }
        let mut moments = Vec::new();
        if self.hook.is_none() && self.process == ProcessState::Alive {
            moments.push(
                self.launched_at
                    .plus_millis(HOOKS_EXPECTED_MILLIS.saturating_add(1)),
            );
        }
        if let (Some(hook), Some(registry)) = (&self.hook, &self.registry) {
            if hook.phase == Phase::Working && registry.status != RegistryStatus::Busy {
                moments.push(hook.heard_at.plus_millis(SETTLE_MILLIS.saturating_add(1)));
            }
            if !self.asks.is_empty() && registry.status == RegistryStatus::Busy {
                moments.push(registry.since.plus_millis(SETTLE_MILLIS.saturating_add(1)));
            }
        }
        if let Some(hook) = &self.hook
            && matches!(hook.phase, Phase::Ended | Phase::Leaving)
        {
            moments.push(hook.heard_at.plus_millis(LAUNCHER_REPORTS_MILLIS));
        }
        if let Some(since) = self.missing_since {
            moments.push(since.plus_millis(LAUNCHER_REPORTS_MILLIS));
        }
        if let Grace::Until(until) = self.grace {
            moments.push(until.plus_millis(1));
        }
        moments.into_iter().filter(|moment| *moment > after).min()
    }

    /// The status from all readings, where it is not the one reported last; closes what was answered unheard.
    fn settle(&mut self, now: Timestamp) -> Vec<SessionCommand> {
        match self.grace {
            Grace::Begun => self.grace = Grace::Until(now.plus_millis(SETTLE_MILLIS)),
            Grace::Until(until) if now > until => self.grace = Grace::None,
            Grace::None | Grace::Until(_) => {}
        }
        let Some(fused) = self.fused(now) else {
            return Vec::new();
        };
        let mut commands = Vec::new();
        if fused.source == Source::Registry && !self.asks.is_empty() {
            let is_settled = self
                .registry
                .as_ref()
                .is_some_and(|registry| now.millis_since(registry.since) > SETTLE_MILLIS);
            match fused.status {
                // Between two dialogs the client is busy for a moment.
                ClaudeStatus::Working if !is_settled => return commands,
                ClaudeStatus::Working | ClaudeStatus::Idle => {
                    for open in std::mem::take(&mut self.asks) {
                        if let Some(hook) = &mut self.hook {
                            hook.answered(&open.tool, &open.summary, open.agent_id.as_deref());
                        }
                        commands.push(SessionCommand::ReportAskClosed {
                            session: self.session,
                            ask: Some(open.ask),
                            outcome: AskOutcome::Elsewhere,
                        });
                    }
                }
                _ => {}
            }
        }
        if self.reported.as_ref() == Some(&fused) {
            return commands;
        }
        commands.push(SessionCommand::ReportStatus {
            session: self.session,
            status: fused.status,
            reason: fused.reason,
            source: fused.source,
            since: fused.since,
            detail: fused.detail.clone().unwrap_or_default(),
        });
        self.reported = Some(fused);
        commands
    }

    /// The status from all readings; none where they say nothing that the log does not know better.
    fn fused(&self, now: Timestamp) -> Option<Fused> {
        let is_leaving = |hook: &HookState| hook.phase == Phase::Leaving;
        if self.has_ended() || self.hook.as_ref().is_some_and(is_leaving) {
            return None;
        }
        let has_pending = self
            .hook
            .as_ref()
            .is_some_and(|hook| !hook.pending.is_empty());
        let registry = self.registry.as_ref().filter(|view| {
            // The dialog that was answered a moment ago is still on the screen.
            let is_answered = matches!(view.status, RegistryStatus::Waiting(_)) && !has_pending;
            !(is_answered && self.grace != Grace::None)
        });
        let has_no_hook = self.hook.is_none() || self.is_remembered;
        if has_no_hook
            && registry.is_none()
            && (self.is_remembered || self.process != ProcessState::Alive)
        {
            return None;
        }
        let mut fused = fuse(&Inputs {
            hook: self.hook.as_ref(),
            registry,
            process: &self.process,
            launched_at: self.launched_at,
            now,
            foreseen: &self.foreseen,
        });
        if self.is_remembered
            && fused.source == Source::Hook
            && fused.since == Timestamp::default()
            && let Some(view) = registry
        {
            fused.source = Source::Registry;
            fused.since = view.since;
        }
        let is_starting = fused.status == ClaudeStatus::Starting && fused.reason.is_none();
        (!is_starting).then_some(fused)
    }
}
