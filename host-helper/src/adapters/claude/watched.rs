//! One session under watch: its hooks folded, its process, its registry entry, and what was reported of it.

use std::collections::VecDeque;
use std::path::PathBuf;

use claustre_domain::{command::SessionCommand, event::AskOutcome};
use claustre_protocol::{
    ids::{AskId, EventId, SessionId},
    model::AskKind,
    status::{ClaudeStatus, Source},
    time::Timestamp,
};
use serde_json::Value;

use super::bill::Bill;
use super::fuse::{Fused, HOOKS_EXPECTED_MILLIS, Inputs, ProcessState, RegistryView, fuse};
use super::hook_event::{Hook, HookEvent, Question};
use super::hook_state::{HookState, Pending, Phase};
use super::registry::{self, Liveness, RegistryEntry, RegistryStatus};
use crate::ports::KnownSession;

/// How long readings of two sources may contradict each other before the question is settled.
const SETTLE_MILLIS: i64 = 2_000;
/// How long a launcher has to report the end of a client that is seen to be gone.
const LAUNCHER_REPORTS_MILLIS: i64 = 3_000;
/// How many reports are remembered, so that one that comes again by the spool counts once.
const REMEMBERED_REPORTS: usize = 256;
/// How many questions are kept with their input, for an answer that comes after they were closed.
const REMEMBERED_QUESTIONS: usize = 16;

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
    reported: Option<Fused>,
    grace: Grace,
    missing_since: Option<Timestamp>,
    seen: VecDeque<EventId>,
}

impl Watched {
    /// A session of which nothing is known yet.
    pub fn new(session: SessionId, at: Timestamp) -> Self {
        Self {
            session,
            claude_session_id: None,
            transcript: None,
            bill: Bill::default(),
            pid: None,
            identified_at: Timestamp::default(),
            process: ProcessState::Unknown,
            launched_at: at,
            hook: None,
            is_remembered: false,
            registry: None,
            asks: Vec::new(),
            questions: VecDeque::new(),
            reported: None,
            grace: Grace::None,
            missing_since: None,
            seen: VecDeque::new(),
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
            for ask in known.asks {
                hook.phase = Phase::Working;
                hook.heard_at = hook.heard_at.max(ask.since);
                hook.pending.push(Pending {
                    is_question: false,
                    tool: String::new(),
                    summary: ask.title.clone(),
                    agent_id: None,
                    since: ask.since,
                });
                watched.asks.push(OpenAsk {
                    ask: ask.ask,
                    is_question: false,
                    tool: String::new(),
                    summary: ask.title,
                    agent_id: None,
                    detail: None,
                });
            }
            watched.hook = Some(hook);
            watched.is_remembered = true;
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
        let is_shown_idle = self
            .reported
            .as_ref()
            .is_some_and(|fused| fused.source == Source::Registry && fused.status == ClaudeStatus::Idle);
        self.has_ended()
            || is_shown_idle
            || self
                .hook
                .as_ref()
                .is_some_and(|hook| hook.phase != Phase::Working && hook.pending.is_empty())
    }

    /// When the last turn ended, by its hooks.
    pub fn turn_ended_at(&self) -> Timestamp {
        self.hook.as_ref().map_or(self.launched_at, |hook| hook.heard_at)
    }

    /// The fold of the hooks, to be kept on disk.
    pub fn hook_state(&self) -> Option<&HookState> {
        self.hook.as_ref()
    }

    /// Was this report taken in before? Remembers it.
    pub fn is_repeated(&mut self, report: EventId) -> bool {
        if self.seen.contains(&report) {
            return true;
        }
        if self.seen.len() >= REMEMBERED_REPORTS {
            self.seen.pop_front();
        }
        self.seen.push_back(report);
        false
    }

    /// The ask that this report made, if it is open or was answered a moment ago.
    pub fn ask_of(&self, report: EventId) -> Option<AskId> {
        let ask = AskId::new(report.uuid());
        self.asks.iter().any(|open| open.ask == ask).then_some(ask)
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
    pub fn started(&mut self, pid: u32, launcher_pid: u32, resumed: bool, at: Timestamp) -> Vec<SessionCommand> {
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
        if self.has_ended() || at < self.launched_at {
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

    /// Takes in a hook.
    pub fn hear(&mut self, hook: &Hook, report: EventId, at: Timestamp) -> Meaning {
        let heard_at = self.hook.as_ref().map(|state| state.heard_at);
        let asks = matches!(
            hook.event,
            HookEvent::PermissionRequested { .. } | HookEvent::QuestionAsked { .. }
        );
        if asks && heard_at.is_some_and(|heard| heard.millis_since(at) > SETTLE_MILLIS) {
            // It lay in the spool: nobody waits for its answer, and what closed it was heard already.
            return Meaning::default();
        }
        let mut meaning = Meaning::default();
        meaning.commands.extend(self.identify(hook, at));
        match &mut self.hook {
            Some(state) => state.apply(hook, at),
            None => self.hook = Some(HookState::first(hook, at)),
        }
        self.is_remembered = false;
        let mine = self.open_ask(hook, report, at, &mut meaning);
        if let HookEvent::PromptSubmitted { .. } = &hook.event {
            meaning.commands.push(SessionCommand::ReportPromptTaken {
                session: self.session,
                message: None,
                since: at,
            });
            // The log closes them by that, and calls the session working; if it is not, it must be told.
            self.asks.clear();
            self.reported = None;
        }
        self.close_asks(&hook.event, mine, &mut meaning);
        if self.has_ended() {
            // What the process says stands; the log was told.
            return meaning;
        }
        meaning.commands.extend(self.settle(at));
        meaning
    }

    /// The client tells who it is, where that is new.
    fn identify(&mut self, hook: &Hook, at: Timestamp) -> Option<SessionCommand> {
        let (is_start, model) = match &hook.event {
            HookEvent::SessionStarted { model, .. } => (true, model.clone()),
            // It names the conversation that has ended.
            HookEvent::SessionEnded { .. } => return None,
            _ => (false, None),
        };
        let has_new_id = self.claude_session_id.as_ref() != Some(&hook.claude_session_id);
        let has_new_path = hook.transcript_path.is_some() && self.transcript != hook.transcript_path;
        let is_told = is_start || has_new_id || has_new_path;
        if !is_told || hook.agent_id.is_some() || at < self.identified_at {
            return None;
        }
        if has_new_id && self.claude_session_id.is_some() {
            self.bill.conversation_changed();
        }
        self.identified_at = at;
        self.claude_session_id = Some(hook.claude_session_id.clone());
        if hook.transcript_path.is_some() {
            self.transcript.clone_from(&hook.transcript_path);
        }
        Some(SessionCommand::ReportIdentity {
            session: self.session,
            claude_session_id: hook.claude_session_id.clone(),
            transcript_path: self
                .transcript
                .as_ref()
                .map(|path| path.display().to_string())
                .unwrap_or_default(),
            model,
        })
    }

    /// Gives what this hook asks its id: that of the report, so that a report that comes again asks the same.
    fn open_ask(&mut self, hook: &Hook, report: EventId, at: Timestamp, meaning: &mut Meaning) -> Option<AskId> {
        let (kind, tool, title, detail, options) = match &hook.event {
            HookEvent::PermissionRequested { tool, full_view, .. } => (
                AskKind::Permission,
                tool.name.clone(),
                tool.summary.clone(),
                full_view.clone(),
                Vec::new(),
            ),
            HookEvent::QuestionAsked { questions, .. } => {
                let first = questions.first();
                (
                    AskKind::Question,
                    "AskUserQuestion".to_owned(),
                    first.map(|one| one.question.clone()).unwrap_or_default(),
                    in_words(questions),
                    first
                        .map(|one| one.options.iter().map(|option| option.label.clone()).collect())
                        .unwrap_or_default(),
                )
            }
            _ => return None,
        };
        let mut open = OpenAsk {
            ask: AskId::new(report.uuid()),
            is_question: kind == AskKind::Question,
            tool,
            summary: title.clone(),
            agent_id: hook.agent_id.clone(),
            detail: Some(detail.clone()),
        };
        // Some versions ask again for the same dialog. Only what is the same to the last letter shares an answer.
        if let Some(same) = self.asks.iter().find(|other| {
            other.tool == open.tool && other.agent_id == open.agent_id && other.detail == open.detail
        }) {
            open.ask = same.ask;
        }
        let ask = open.ask;
        self.asks.retain(|other| other.ask != ask);
        self.asks.push(open);
        if let HookEvent::QuestionAsked { raw_input, .. } = &hook.event {
            self.questions.retain(|(known, _)| *known != ask);
            if self.questions.len() >= REMEMBERED_QUESTIONS {
                self.questions.pop_front();
            }
            self.questions.push_back((ask, raw_input.clone()));
        }
        self.grace = Grace::None;
        meaning.waits_for = Some(ask);
        meaning.commands.push(SessionCommand::ReportAsk {
            session: self.session,
            ask,
            kind,
            title,
            detail,
            options,
            answerable: true,
            since: at,
        });
        Some(ask)
    }

    /// Closes what the fold has closed.
    fn close_asks(&mut self, event: &HookEvent, mine: Option<AskId>, meaning: &mut Meaning) {
        let outcome = match event {
            HookEvent::ToolFinished { .. }
            | HookEvent::ToolFailed { .. }
            | HookEvent::PermissionRequested { .. }
            | HookEvent::QuestionAsked { .. } => AskOutcome::Elsewhere,
            _ => AskOutcome::Gone,
        };
        let pending = self.hook.as_ref().map(|hook| hook.pending.as_slice()).unwrap_or_default();
        let newest = mine.and_then(|mine| self.asks.iter().find(|open| open.ask == mine)).cloned();
        // The fold takes two with the same line for one dialog: then it is the newer one's.
        let is_replaced = |open: &OpenAsk| {
            newest.as_ref().is_some_and(|newest| {
                newest.ask != open.ask
                    && newest.is_question == open.is_question
                    && newest.tool == open.tool
                    && newest.summary == open.summary
                    && newest.agent_id == open.agent_id
            })
        };
        let (open, closed): (Vec<OpenAsk>, Vec<OpenAsk>) = std::mem::take(&mut self.asks)
            .into_iter()
            .partition(|open| !is_replaced(open) && pending.iter().any(|one| open.is_of(one)));
        self.asks = open;
        meaning.commands.extend(closed.iter().map(|closed| SessionCommand::ReportAskClosed {
            session: self.session,
            ask: Some(closed.ask),
            outcome,
        }));
    }

    /// Takes in what the registry shows of it, at the time of this look.
    pub fn look(&mut self, entry: Option<&RegistryEntry>, at: Timestamp) -> Vec<SessionCommand> {
        if self.has_ended() {
            return Vec::new();
        }
        self.registry = entry.and_then(|entry| RegistryView::of(entry, at));
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
            moments.push(self.launched_at.plus_millis(HOOKS_EXPECTED_MILLIS.saturating_add(1)));
        }
        if let (Some(hook), Some(registry)) = (&self.hook, &self.registry) {
            if hook.phase == Phase::Working && registry.status != RegistryStatus::Busy {
                moments.push(hook.heard_at.plus_millis(SETTLE_MILLIS.saturating_add(1)));
            }
            if !self.asks.is_empty() && registry.status == RegistryStatus::Busy {
                moments.push(registry.since.plus_millis(SETTLE_MILLIS.saturating_add(1)));
            }
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
        if self.has_ended() {
            return None;
        }
        let has_pending = self.hook.as_ref().is_some_and(|hook| !hook.pending.is_empty());
        let registry = self.registry.as_ref().filter(|view| {
            // The dialog that was answered a moment ago is still on the screen.
            let is_answered = matches!(view.status, RegistryStatus::Waiting(_)) && !has_pending;
            !(is_answered && self.grace != Grace::None)
        });
        let has_no_hook = self.hook.is_none() || self.is_remembered;
        if has_no_hook && registry.is_none() && (self.is_remembered || self.process != ProcessState::Alive) {
            return None;
        }
        let mut fused = fuse(&Inputs {
            hook: self.hook.as_ref(),
            registry,
            process: &self.process,
            launched_at: self.launched_at,
            now,
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

/// All questions with their choices, for the person who answers.
fn in_words(questions: &[Question]) -> String {
    let mut words = String::new();
    for question in questions {
        if !words.is_empty() {
            words.push('\n');
        }
        words.push_str(&question.question);
        words.push('\n');
        for option in &question.options {
            words.push_str("- ");
            words.push_str(&option.label);
            if !option.description.is_empty() {
                words.push_str(": ");
                words.push_str(&option.description);
            }
            words.push('\n');
        }
    }
    words
}
