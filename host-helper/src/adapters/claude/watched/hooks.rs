//! What a hook changes: who the client is, what it asks, and what it asks no more.

use claustre_domain::{command::SessionCommand, event::AskOutcome};
use claustre_protocol::{
    ids::{AskId, EventId},
    model::AskKind,
    time::Timestamp,
};

use super::{
    EARLIER, Grace, Meaning, OpenAsk, REMEMBERED_QUESTIONS, REMEMBERED_REPORTS, SETTLE_MILLIS,
    Watched,
};
use crate::adapters::claude::hook_event::{Hook, HookEvent, Question};
use crate::adapters::claude::hook_state::HookState;
use crate::adapters::claude::permission::FULL_LIMIT;

impl Watched {
    /// Takes in a hook. One that is connected waits for an answer at this moment, however old it is.
    pub fn hear(
        &mut self,
        hook: &Hook,
        report: EventId,
        at: Timestamp,
        is_connected: bool,
    ) -> Meaning {
        let heard_at = self.hook.as_ref().map(|state| state.heard_at);
        let asks = matches!(
            hook.event,
            HookEvent::PermissionRequested { .. } | HookEvent::QuestionAsked { .. }
        );
        if asks
            && !is_connected
            && heard_at.is_some_and(|heard| heard.millis_since(at) > SETTLE_MILLIS)
        {
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
        self.close_earlier(hook, report);
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

    /// What was asked before our start is known by its line only: a tool of that line has run, or asks anew.
    fn close_earlier(&mut self, hook: &Hook, report: EventId) {
        let line = match &hook.event {
            HookEvent::ToolFinished { tool, .. }
            | HookEvent::ToolFailed { tool, .. }
            | HookEvent::PermissionRequested { tool, .. } => Some(tool.summary.as_str()),
            HookEvent::QuestionAsked { questions, .. } => {
                questions.first().map(|one| one.question.as_str())
            }
            _ => None,
        };
        let again = AskId::new(report.uuid());
        for open in self.asks.iter().filter(|open| open.tool == EARLIER) {
            if (Some(open.summary.as_str()) == line || open.ask == again)
                && let Some(state) = &mut self.hook
            {
                state.answered(&open.tool, &open.summary, open.agent_id.as_deref());
            }
        }
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
        let has_new_path =
            hook.transcript_path.is_some() && self.transcript != hook.transcript_path;
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
    fn open_ask(
        &mut self,
        hook: &Hook,
        report: EventId,
        at: Timestamp,
        meaning: &mut Meaning,
    ) -> Option<AskId> {
        let (kind, tool, title, detail, options) = match &hook.event {
            HookEvent::PermissionRequested {
                tool, full_view, ..
            } => (
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
                        .map(|one| {
                            one.options
                                .iter()
                                .map(|option| option.label.clone())
                                .collect()
                        })
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
            other.tool == open.tool
                && other.agent_id == open.agent_id
                && other.detail == open.detail
        }) {
            open.ask = same.ask;
        }
        let ask = open.ask;
        if self.made.len() >= REMEMBERED_REPORTS {
            self.made.pop_front();
        }
        self.made.push_back((report, ask));
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
        // What is too long to be shown whole is not answered from here.
        let answerable = detail.chars().count() < FULL_LIMIT;
        meaning.commands.push(SessionCommand::ReportAsk {
            session: self.session,
            ask,
            kind,
            title,
            detail,
            options,
            answerable,
            since: at,
            // Whoever takes the report knows.
            attended: Some(false),
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
        let pending = self
            .hook
            .as_ref()
            .map(|hook| hook.pending.as_slice())
            .unwrap_or_default();
        let newest = mine
            .and_then(|mine| self.asks.iter().find(|open| open.ask == mine))
            .cloned();
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
        meaning
            .commands
            .extend(closed.iter().map(|closed| SessionCommand::ReportAskClosed {
                session: self.session,
                ask: Some(closed.ask),
                outcome,
            }));
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
