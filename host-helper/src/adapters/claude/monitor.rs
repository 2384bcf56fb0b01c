//! All sessions under watch: what they report, and what the client's files show, becomes commands.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::PathBuf;

use claustre_domain::{
    command::{Command, SessionCommand},
    event::AskOutcome,
};
use claustre_protocol::{
    hook::{Report, ReportBody},
    ids::{AskId, EventId, SessionId},
    time::Timestamp,
};
use serde_json::Value;
use uuid::Uuid;

use super::bill::Bill;
use super::config_files::ConfigPaths;
use super::conversation::Projects;
use super::counting::{Counted, Order, Reader};
use super::fuse::ProcessState;
use super::hook_answer::{HookAnswer, answer_questions};
use super::hook_event::HookEvent;
use super::hook_wire::hook_from_value;
use super::plan::LaunchPlan;
use super::prices::PriceTable;
use super::registry_cache::RegistryCache;
use super::statusline;
use super::watched::Watched;
use crate::lenient_json::CUT;
use crate::paths::Paths;
use crate::ports::{Agent, Heard, KnownSession, LiveChange, PlanOrder, PortError};
use crate::text;

/// Tools after which the files of the worktree may differ.
const CHANGING_TOOLS: &[&str] = &["Edit", "Write", "MultiEdit", "NotebookEdit", "Bash"];
/// What the model reads where a person refused without a word.
const DENIED: &str = "The user denied this.";
/// Longest model name shown, in characters.
const MODEL_LIMIT: usize = 120;

/// What the adapter needs of the host; see [`ClaudeHost::from_environment`].
#[derive(Debug, Clone)]
pub struct ClaudeHost {
    /// Where everything of Claustre lies.
    pub paths: Paths,
    /// The helper's own executable, absolute.
    pub claustre: PathBuf,
    /// The user's home.
    pub home: PathBuf,
    /// The value of CLAUDE_CONFIG_DIR.
    pub claude_config_dir: Option<PathBuf>,
    /// The client, where the user named it: a name or an absolute path.
    pub claude: Option<PathBuf>,
    /// Where programs are looked up, as PATH is written.
    pub search: Option<OsString>,
    /// The value of ANTHROPIC_API_KEY. It is compared, never shown.
    pub api_key: Option<String>,
    /// IS_SANDBOX is set.
    pub is_sandbox: bool,
    /// The user's own arguments for the client.
    pub extra_args: Vec<String>,
    /// Prices, to check the client's own count.
    pub prices: PriceTable,
}

impl ClaudeHost {
    /// As this process was started. `claude` and `extra_args` are the user's configuration; the variable
    /// `CLAUSTRE_CLAUDE` goes over it.
    #[must_use]
    pub fn from_environment(
        paths: Paths,
        claustre: PathBuf,
        claude: Option<PathBuf>,
        extra_args: Vec<String>,
        prices: PriceTable,
    ) -> Self {
        let given = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            home: given("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from),
            claude_config_dir: given("CLAUDE_CONFIG_DIR").map(PathBuf::from),
            claude: given(super::client::CLAUDE_VARIABLE)
                .map(PathBuf::from)
                .or(claude),
            search: given("PATH"),
            api_key: given("ANTHROPIC_API_KEY").and_then(|key| key.into_string().ok()),
            is_sandbox: given("IS_SANDBOX").is_some(),
            paths,
            claustre,
            extra_args,
            prices,
        }
    }

    /// The user's Claude configuration.
    pub(super) fn config(&self) -> ConfigPaths {
        ConfigPaths::new(&self.home, self.claude_config_dir.as_deref())
    }
}

/// Claude Code behind the port.
#[derive(Debug)]
pub struct ClaudeAgent {
    pub(super) host: ClaudeHost,
    sessions: HashMap<SessionId, Watched>,
    /// Closed: what still comes of them means nothing.
    forgotten: HashSet<SessionId>,
    /// Closed while the client ran: what its last turn used is told when it has ended.
    closing: HashMap<SessionId, Watched>,
    registry: RegistryCache,
    looked_at: Timestamp,
    /// Reads transcripts.
    reader: Reader,
}

impl ClaudeAgent {
    /// Watches nothing yet, and reads transcripts on the spot.
    #[must_use]
    pub fn new(host: ClaudeHost) -> Self {
        Self {
            reader: Reader::here(Projects::of(&host.config())),
            host,
            sessions: HashMap::new(),
            forgotten: HashSet::new(),
            closing: HashMap::new(),
            registry: RegistryCache::default(),
            looked_at: Timestamp::default(),
        }
    }

    /// Reads transcripts on a thread of its own, which calls `done` when a [`Agent::look`] is worth it.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn reading_aside(mut self, done: impl Fn() + Send + 'static) -> std::io::Result<Self> {
        self.reader = Reader::aside(Projects::of(&self.host.config()), done)?;
        Ok(self)
    }

    fn watched(&mut self, session: SessionId, at: Timestamp) -> &mut Watched {
        self.sessions
            .entry(session)
            .or_insert_with(|| Watched::new(session, at))
    }

    fn hear_hook(
        &mut self,
        report: &Report,
        input: &Value,
        at: Timestamp,
        is_connected: bool,
    ) -> Heard {
        let mut input = input.clone();
        let is_cut = input.get(CUT).is_some();
        if is_cut
            && let Some(fields) = input.as_object_mut()
            && let Some(known) = self.sessions.get(&report.session)
            && let Some(id) = &known.claude_session_id
        {
            // The rest of it is lost, but not that it happened.
            fields
                .entry("session_id")
                .or_insert_with(|| Value::from(id.as_str()));
        }
        let hook = match hook_from_value(input) {
            Ok(hook) => hook,
            Err(error) => {
                tracing::warn!(session = %report.session, %error, "a hook was not understood");
                return Heard::default();
            }
        };
        let watched = self.watched(report.session, at);
        if watched.is_stored(report.id) {
            let asked = watched.ask_of(report.id);
            // It came before; the log knows it. Whoever waits for its answer still may. What came from the spool too late to
            // be believed is believed of a hook that is there.
            if asked.is_some() || !is_connected {
                return Heard {
                    waits_for: asked,
                    ..Heard::default()
                };
            }
        }
        let mut meaning = watched.hear(&hook, report.id, at, is_connected);
        if is_cut {
            leave_to_tab(&mut meaning.commands);
            meaning.waits_for = None;
        }
        let live = live_of(&hook.event, at);
        for command in &meaning.commands {
            if let SessionCommand::ReportIdentity {
                claude_session_id, ..
            } = command
            {
                self.keep_in_plan(report.session, claude_session_id);
            }
        }
        Heard {
            commands: meaning.commands.into_iter().map(Command::Session).collect(),
            live: Some(live),
            waits_for: meaning.waits_for,
        }
    }

    fn take(&mut self, report: &Report, now: Timestamp, is_connected: bool) -> Heard {
        // Nothing happens after it is reported: then the clock was set back in between.
        let at = report.at.min(now);
        if let Some(watched) = self.sessions.get_mut(&report.session) {
            watched.keep_to_the_clock(at, now);
        }
        if self.forgotten.contains(&report.session) {
            return self.hear_last(report);
        }
        match &report.body {
            ReportBody::Hook(input) => self.hear_hook(report, input, at, is_connected),
            ReportBody::StatusLine(input) => self.hear_status_line(report.session, input, at),
            // Of the log alone: see `engine::reports`.
            ReportBody::AnswerTaken { .. } => Heard::default(),
            body => self.hear_launcher(report.session, body, at),
        }
    }

    /// After `/clear` the next start continues the new conversation.
    fn keep_in_plan(&self, session: SessionId, claude_session_id: &str) {
        let directory = self.host.paths.session(session);
        let Ok(id) = Uuid::parse_str(claude_session_id) else {
            return;
        };
        // Without a plan there is nothing to continue: the session was not started by us.
        let Ok(mut plan) = LaunchPlan::load(&directory) else {
            return;
        };
        if plan.claude_session_id == id {
            return;
        }
        plan.claude_session_id = id;
        // The first prompt belongs to the conversation that was left. Should this one have to begin again, it begins empty.
        plan.prompt_file = None;
        if let Err(error) = plan.save(&directory) {
            tracing::warn!(%session, %error, "the launch plan still names the earlier conversation");
        }
    }

    fn hear_status_line(&mut self, session: SessionId, input: &Value, at: Timestamp) -> Heard {
        let status = statusline::from_value(input.clone());
        let watched = self.watched(session, at);
        if let Some(cost) = status.cost {
            watched.bill.told(cost.usd, at);
        }
        let percent = status.context.map(|context| percent(context.used_percent));
        Heard {
            live: Some(LiveChange {
                context_percent: percent,
                model: status
                    .model_name
                    .or(status.model_id)
                    .map(|model| text::one_line(&model, MODEL_LIMIT)),
                five_hour: status.five_hour,
                seven_day: status.seven_day,
                read_transcript: true,
                ..LiveChange::default()
            }),
            ..Heard::default()
        }
    }

    /// Of a closed session only the end of its client is of use: then its usage is final.
    fn hear_last(&mut self, report: &Report) -> Heard {
        let has_ended = matches!(
            report.body,
            ReportBody::ClientExited { .. } | ReportBody::LauncherEnded {}
        );
        let live = LiveChange {
            read_transcript: true,
            ..LiveChange::default()
        };
        Heard {
            live: (has_ended && self.closing.contains_key(&report.session)).then_some(live),
            ..Heard::default()
        }
    }

    fn hear_launcher(&mut self, session: SessionId, body: &ReportBody, at: Timestamp) -> Heard {
        let watched = self.watched(session, at);
        let commands = match body {
            ReportBody::ClientStarted {
                pid,
                launcher_pid,
                resumed,
            } => watched.started(*pid, *launcher_pid, *resumed, at),
            ReportBody::ClientExited { code, signal, tail } => {
                let (code, signal) = (*code, *signal);
                let is_news = watched.ended(ProcessState::Exited { code, signal, at }, at);
                let command = || SessionCommand::ReportClientEnded {
                    session,
                    code,
                    signal,
                    tail: text::sanitise(tail, 4_000),
                };
                is_news.then(command).into_iter().collect()
            }
            ReportBody::LaunchFailed { why } => {
                let why = text::one_line(why, 1_000);
                watched.ended(
                    ProcessState::NotStarted {
                        why: why.clone(),
                        at,
                    },
                    at,
                );
                vec![SessionCommand::ReportLaunchFailed { session, why }]
            }
            ReportBody::LauncherEnded {} => {
                let is_news = watched.ended(ProcessState::Lost { at }, at);
                let command = || SessionCommand::ReportLost {
                    session,
                    why: "its pane was closed".to_owned(),
                };
                is_news.then(command).into_iter().collect()
            }
            ReportBody::Hook(_) | ReportBody::StatusLine(_) | ReportBody::AnswerTaken { .. } => {
                Vec::new()
            }
        };
        let has_ended = watched.has_ended();
        Heard {
            commands: commands.into_iter().map(Command::Session).collect(),
            live: Some(LiveChange {
                active_at: Some(at),
                doing: has_ended.then(String::new),
                recount: has_ended,
                read_transcript: has_ended,
                ..LiveChange::default()
            }),
            waits_for: None,
        }
    }
}

impl ClaudeAgent {
    /// Has the transcript of a session read on, where its turn is over.
    fn read_transcript(&mut self, session: SessionId) {
        let watched = match self.closing.get_mut(&session) {
            Some(watched) => {
                watched.is_final = true;
                watched
            }
            None => match self.sessions.get_mut(&session) {
                // In the middle of a turn nothing is told, so nothing needs to be read either.
                Some(watched) if watched.is_turn_over() => watched,
                Some(_) | None => return,
            },
        };
        let Some(transcript) = watched.transcript.clone() else {
            self.closing.remove(&session);
            return;
        };
        // Where it is being read, what was written meanwhile is read with it or at the end of the next turn.
        let Some(state) = watched.bill.lend() else {
            watched.is_to_be_read_again = true;
            return;
        };
        self.reader.order(Order {
            session,
            transcript,
            state,
        });
    }

    /// The totals of the transcripts that were read, where they changed since they were last reported.
    fn counted(&mut self) -> Vec<Command> {
        let (mut commands, mut again, mut last) = (Vec::new(), Vec::new(), Vec::new());
        for Counted { session, state } in self.reader.take() {
            let directory = self.host.paths.session(session);
            let (watched, is_closed) = match self.closing.get_mut(&session) {
                Some(watched) => (watched, true),
                None => match self.sessions.get_mut(&session) {
                    Some(watched) => (watched, false),
                    None => continue,
                },
            };
            watched.bill.take_back(state);
            if std::mem::take(&mut watched.is_to_be_read_again) {
                again.push(session);
            } else if watched.is_final {
                last.push(session);
            }
            if !is_closed && !watched.is_turn_over() {
                continue;
            }
            let ended_at = watched.turn_ended_at();
            if let Some(totals) = watched.bill.totals(ended_at, &self.host.prices) {
                watched.bill.save(&directory, watched.hook_state());
                let report = SessionCommand::ReportUsage { session, totals };
                commands.push(Command::Session(report));
            }
        }
        for session in last {
            self.closing.remove(&session);
        }
        for session in again {
            self.read_transcript(session);
        }
        commands
    }
}

impl Agent for ClaudeAgent {
    fn foresee(&mut self, order: &PlanOrder, at: Timestamp) -> Vec<String> {
        let foreseen = super::port::foresee(&self.host, order);
        self.watched(order.session, at).foreseen = foreseen.join(" ");
        foreseen
    }

    fn write_plan(&mut self, order: &PlanOrder) -> Result<(), PortError> {
        super::port::write_plan(&self.host, order)
    }

    fn hear(&mut self, report: &Report, now: Timestamp) -> Heard {
        self.take(report, now, false)
    }

    fn hear_connected(&mut self, report: &Report, now: Timestamp) -> Heard {
        self.take(report, now, true)
    }

    fn stored(&mut self, session: SessionId, report: EventId) {
        if let Some(watched) = self.sessions.get_mut(&session) {
            watched.remember_stored(report);
        }
    }

    fn relearn(&mut self, known: KnownSession, now: Timestamp) -> Vec<Command> {
        let session = known.session;
        let Some(watched) = self.sessions.get_mut(&session) else {
            self.know(known);
            return Vec::new();
        };
        let commands = watched.relearn(known, now);
        let mut commands: Vec<Command> = commands.into_iter().map(Command::Session).collect();
        commands.extend(self.usage(session));
        commands
    }

    fn look(&mut self, at: Timestamp) -> Vec<Command> {
        self.registry.refresh(&self.host.config().sessions());
        self.looked_at = at;
        let mut commands = Vec::new();
        let mut ended = Vec::new();
        for (session, watched) in &mut self.sessions {
            let entry = self
                .registry
                .find(watched.running_pid(), watched.claude_session_id.as_deref());
            let told = watched.look(entry, at);
            // A turn that ended without a hook: nothing else would have its usage read.
            if !told.is_empty() && watched.is_turn_over() {
                ended.push(*session);
            }
            commands.extend(told.into_iter().map(Command::Session));
        }
        for session in ended {
            self.read_transcript(session);
        }
        commands.extend(self.counted());
        commands
    }

    fn next_look(&self) -> Option<Timestamp> {
        self.sessions
            .values()
            .filter_map(|watched| watched.due(self.looked_at))
            .min()
    }

    fn usage(&mut self, session: SessionId) -> Vec<Command> {
        self.read_transcript(session);
        self.counted()
    }

    fn know(&mut self, known: KnownSession) {
        self.forgotten.remove(&known.session);
        self.closing.remove(&known.session);
        if self.sessions.contains_key(&known.session) {
            // Its reports were faster, and know more.
            return;
        }
        let (bill, hook) = Bill::load(&self.host.paths.session(known.session));
        self.sessions
            .insert(known.session, Watched::known(known, bill, hook));
    }

    fn answered(&mut self, session: SessionId, ask: AskId) {
        if let Some(watched) = self.sessions.get_mut(&session) {
            watched.answered(ask);
        }
    }

    fn answer_text(
        &mut self,
        session: SessionId,
        ask: AskId,
        outcome: AskOutcome,
        text: Option<&str>,
    ) -> Option<String> {
        let given = text.map(str::trim).filter(|text| !text.is_empty());
        let answer = match outcome {
            AskOutcome::Approved => HookAnswer::Allow,
            AskOutcome::Denied => HookAnswer::Deny {
                message: given.unwrap_or(DENIED).to_owned(),
            },
            AskOutcome::Answered => {
                let input = self.sessions.get(&session)?.question(ask)?;
                answer_in_lines(input, given?)?
            }
            AskOutcome::Elsewhere | AskOutcome::Gone => return None,
        };
        Some(answer.to_stdout()).filter(|answer| !answer.is_empty())
    }

    fn forget(&mut self, session: SessionId) {
        if let Some(watched) = self.sessions.remove(&session)
            && watched.running_pid().is_some()
        {
            self.closing.insert(session, watched);
        }
        self.forgotten.insert(session);
    }

    fn registry(&self) -> Option<PathBuf> {
        Some(self.host.config().sessions())
    }
}

/// Several questions are answered by a line each; a single one by the whole text. Questions without a line of
/// their own get the last one given.
fn answer_in_lines(input: &Value, text: &str) -> Option<HookAnswer> {
    let asked = input
        .get("questions")
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    let answers: Vec<String> = if asked <= 1 {
        vec![text.to_owned()]
    } else {
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let last = lines.last().copied().unwrap_or(text);
        (0..asked)
            .map(|place| lines.get(place).copied().unwrap_or(last).to_owned())
            .collect()
    };
    match answer_questions(input, &answers) {
        Ok(answer) => Some(answer),
        Err(error) => {
            tracing::warn!(%error, "a question could not be answered");
            None
        }
    }
}

/// What could not be read whole cannot be shown whole, so nobody may answer it from here.
fn leave_to_tab(commands: &mut [SessionCommand]) {
    for command in commands {
        if let SessionCommand::ReportAsk {
            answerable, detail, ..
        } = command
        {
            *answerable = false;
            detail.push_str("\n(the rest of it could not be read)");
        }
    }
}

/// What a hook changes in telemetry.
fn live_of(event: &HookEvent, at: Timestamp) -> LiveChange {
    let mut live = LiveChange {
        active_at: Some(at),
        ..LiveChange::default()
    };
    match event {
        HookEvent::SessionStarted { model, .. } => live.model.clone_from(model),
        HookEvent::ToolStarted { tool } => live.doing = Some(tool.summary.clone()),
        HookEvent::ToolFinished { tool, .. } | HookEvent::ToolFailed { tool, .. } => {
            live.recount = CHANGING_TOOLS.contains(&tool.name.as_str());
        }
        HookEvent::Stopped { .. }
        | HookEvent::StopFailed { .. }
        | HookEvent::SessionEnded { .. } => {
            live.doing = Some(String::new());
            live.recount = true;
            live.read_transcript = true;
        }
        _ => {}
    }
    live
}

/// A percentage for people.
fn percent(value: f64) -> u8 {
    let clamped = value.clamp(0.0, 100.0).round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it was clamped to 0..=100"
    )]
    let whole = clamped as u8;
    whole
}

#[cfg(test)]
#[path = "monitor_tests.rs"]
mod tests;
