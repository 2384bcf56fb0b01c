//! What sessions report becomes commands. One thread owns the agent adapter, takes reports in their order and hands what
//! they mean to the writer; it waits for nobody, so that many reports share one transaction.
//!
//! It also knows which hooks are connected and wait for an answer: an ask is told as attended while one does, and an answer that
//! is stored goes to it.

use std::{
    collections::{BTreeMap, HashMap},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use claustre_domain::{
    command::{Command, SessionCommand},
    event::{AskOutcome, Event, Recorded},
    session::{AskState, Session},
};
use claustre_protocol::{
    hook::{Report, ReportBody},
    ids::{AskId, EventId, SessionId},
    rpc::{Fault, FaultCode},
};
use tokio::sync::oneshot;

use super::{Advanced, Engine, Order, boot, prompt_box::is_prompt_of};
use crate::ports::{Agent, Heard, KnownSession, PlanOrder, PortError};

/// Something for the thread.
pub enum Input {
    /// A session reported.
    Report {
        /// What.
        report: Box<Report>,
        /// How it came.
        arrival: Arrival,
        /// Told once it is durable.
        reply: oneshot::Sender<Result<Reported, Fault>>,
    },
    /// The client's registry changed.
    Look,
    /// Events were stored.
    Stored(Advanced),
    /// Something was not told, for want of room: look in the store, and at the connections.
    CatchUp,
    /// The log knows this session.
    Know(Box<KnownSession>),
    /// Write a launch plan.
    Plan {
        /// Of what.
        order: Box<PlanOrder>,
        /// What stands in the way of the launch, or why there is no plan.
        reply: oneshot::Sender<Result<Vec<String>, PortError>>,
    },
    /// End the thread.
    Stop,
}

/// How a report came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// By a connection that still stands: a hook that asks something waits at its end.
    Connected,
    /// From the spool: nobody waits.
    Spooled,
}

/// What a report came to.
#[derive(Debug)]
pub enum Reported {
    /// It is stored.
    Stored,
    /// It is stored, and the reporter waits for the answer to what it asked.
    Waiting(WaitingHook),
}

/// The connection's end of a hook that waits for an answer.
#[derive(Debug)]
pub struct WaitingHook {
    /// Whose.
    pub session: SessionId,
    /// What it asked.
    pub ask: AskId,
    /// The text to print comes here once the ask is answered; nothing to print where it was answered elsewhere.
    pub answer: oneshot::Receiver<Option<String>>,
    /// To be kept for as long as the hook is connected.
    pub presence: Presence,
}

/// Says that a hook is connected. Dropped, it says that the hook is gone.
#[derive(Debug)]
pub struct Presence {
    alive: Option<Arc<()>>,
    nudge: Nudge,
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.alive = None;
        self.nudge.catch_up();
    }
}

/// Tells the thread that there is something to look up. That is never lost, however full its queue is.
#[derive(Debug, Clone)]
pub struct Nudge {
    queue: mpsc::SyncSender<Input>,
    is_behind: Arc<AtomicBool>,
}

impl Nudge {
    /// For the thread behind this queue.
    pub fn new(queue: mpsc::SyncSender<Input>) -> Self {
        Self {
            queue,
            is_behind: Arc::default(),
        }
    }

    /// Hands on what was stored; where there is no room for it, the thread reads it in the store.
    pub fn stored(&self, advanced: Advanced) {
        if self.queue.try_send(Input::Stored(advanced)).is_err() {
            self.catch_up();
        }
    }

    /// Has the thread look in the store and at its connections.
    pub fn catch_up(&self) {
        // The mark first: where the queue is full, whatever is taken from it next finds the mark.
        if !self.is_behind.swap(true, Ordering::SeqCst) {
            self.queue.try_send(Input::CatchUp).ok();
        }
    }

    fn is_behind(&self) -> bool {
        self.is_behind.swap(false, Ordering::SeqCst)
    }
}

/// A hook that is connected because of what it asked.
struct Attending {
    session: SessionId,
    /// Takes the text to print; none once it was sent.
    answer: Option<oneshot::Sender<Option<String>>>,
    /// Gone with the connection.
    alive: Weak<()>,
}

/// Events read at once when some were missed.
const PAGE: usize = 500;
/// How long the thread waits for the outcome of its orders before it looks again; only while some are under way.
const LOOK_AT_OUTCOMES: Duration = Duration::from_millis(100);
/// The same while a reporter waits for such an outcome.
const LOOK_AT_HELD: Duration = Duration::from_millis(2);
/// No look is further away than this: one that seems to be was planned before the clock was set back.
const FURTHEST_LOOK: Duration = Duration::from_secs(6);

/// Takes inputs until told to stop.
pub fn run(agent: Box<dyn Agent>, inputs: &mpsc::Receiver<Input>, nudge: &Nudge, engine: &Engine) {
    let mut reports = Reports::new(agent, nudge.clone(), engine.clone());
    loop {
        let input = match reports.next_look() {
            None => inputs.recv().ok(),
            Some(left) => match inputs.recv_timeout(left) {
                Ok(input) => Some(input),
                Err(mpsc::RecvTimeoutError::Timeout) => Some(Input::Look),
                Err(mpsc::RecvTimeoutError::Disconnected) => None,
            },
        };
        match input {
            None | Some(Input::Stop) => break,
            Some(input) => reports.handle(input),
        }
    }
}

/// What the writer made of one order of a session.
struct Told {
    session: SessionId,
    report: Option<EventId>,
    stored: bool,
    /// It was in the log before this daemon started: nothing of it was stored now.
    repeated: bool,
}

/// Orders of one session that are under way.
#[derive(Default)]
struct Flight {
    orders: usize,
    /// Nothing of one was stored: what the agent adapter believes of the session is not what the log says.
    failed: bool,
    /// Reports that wait for these orders: they came since then, or mean nothing if all is stored.
    held: Vec<(Box<Report>, Arrival, ReportReply)>,
}

type ReportReply = oneshot::Sender<Result<Reported, Fault>>;

/// What the thread owns.
pub struct Reports {
    agent: Box<dyn Agent>,
    engine: Engine,
    nudge: Nudge,
    attending: HashMap<AskId, Attending>,
    /// Position of the newest event it has learned of.
    learned: i64,
    under_way: BTreeMap<SessionId, Flight>,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Reports {
    /// Nothing is reported yet.
    pub fn new(agent: Box<dyn Agent>, nudge: Nudge, engine: Engine) -> Self {
        Self {
            agent,
            learned: *engine.position().borrow(),
            engine,
            nudge,
            attending: HashMap::new(),
            under_way: BTreeMap::new(),
            told: Arc::default(),
        }
    }

    /// When a look is due although nothing comes in.
    pub fn next_look(&self) -> Option<Duration> {
        let planned = self.agent.next_look().map(|at| {
            let left = at.millis_since(self.engine.host.now()).unsigned_abs() + 1;
            Duration::from_millis(left).min(FURTHEST_LOOK)
        });
        let holds = self
            .under_way
            .values()
            .any(|flight| !flight.held.is_empty());
        let soon = if holds {
            LOOK_AT_HELD
        } else {
            LOOK_AT_OUTCOMES
        };
        let outcomes = (!self.under_way.is_empty()).then_some(soon);
        planned.into_iter().chain(outcomes).min()
    }

    /// Takes one input; [`Input::Stop`] is the caller's.
    pub fn handle(&mut self, input: Input) {
        self.take_outcomes();
        match input {
            Input::Report {
                report,
                arrival,
                reply,
            } => self.take(report, arrival, reply),
            Input::Look => {
                let commands = self.agent.look(self.engine.host.now());
                self.send_each(commands, "registry");
            }
            Input::Stored(advanced) => {
                // It may have been read in the store already.
                if advanced.position > self.learned {
                    for recorded in advanced.events.iter() {
                        self.learn(recorded);
                    }
                    self.learned = advanced.position;
                }
            }
            // The mark that came with it says so too.
            Input::CatchUp => self.catch_up(),
            Input::Know(known) => self.agent.know(*known),
            Input::Plan { order, reply } => {
                let written = self
                    .agent
                    .write_plan(&order)
                    .map(|()| self.agent.foresee(&order, self.engine.host.now()));
                // The one who asked may have given up.
                reply.send(written).ok();
                self.engine.waits.news();
            }
            Input::Stop => {}
        }
        if self.nudge.is_behind() {
            self.catch_up();
        }
    }

    fn take(&mut self, report: Box<Report>, arrival: Arrival, reply: ReportReply) {
        if let Some(flight) = self.under_way.get_mut(&report.session)
            && flight.failed
        {
            flight.held.push((report, arrival, reply));
            return;
        }
        let now = self.engine.host.now();
        let agent = self.agent.as_mut();
        let Ok(Heard {
            mut commands,
            live,
            waits_for,
        }) = catch_unwind(AssertUnwindSafe(|| match arrival {
            Arrival::Connected => agent.hear_connected(&report, now),
            Arrival::Spooled => agent.hear(&report, now),
        }))
        else {
            // It must not end the daemon, which would hear it again at its next start.
            self.under_way.entry(report.session).or_default().failed = true;
            reply.send(Err(defect())).ok();
            return;
        };
        let mut counted = Vec::new();
        if let Some(change) = &live {
            self.engine.live.apply(report.session, change);
            if change.recount {
                self.engine.recount.ask(report.session);
            }
            if change.read_transcript {
                counted = self.agent.usage(report.session);
            }
        }
        match &report.body {
            ReportBody::ClientStarted { .. } => {
                commands.extend(pane_command(&report, &self.engine))
            }
            ReportBody::Hook(_) if commands.iter().any(is_prompt) => {
                name_delivered(&mut commands, &report, &self.engine);
            }
            ReportBody::AnswerTaken { ask } => {
                commands.push(Command::Session(SessionCommand::ReportAnswerTaken {
                    session: report.session,
                    ask: *ask,
                }));
            }
            _ => {}
        }
        let is_under_way = |flight: &Flight| flight.orders > 0;
        if commands.is_empty()
            && self
                .under_way
                .get(&report.session)
                .is_some_and(is_under_way)
        {
            // It may mean nothing only because of what is not stored yet, such as itself when it came first: it is heard again then.
            self.send_each(counted, "hook");
            let flight = self.under_way.entry(report.session).or_default();
            flight.held.push((report, arrival, reply));
            return;
        }
        let waits_for = waits_for.filter(|_| arrival == Arrival::Connected);
        let attended = waits_for.map(|ask| {
            Command::Session(SessionCommand::ReportAskAttended {
                session: report.session,
                ask,
            })
        });
        let reported = match waits_for {
            None => Reported::Stored,
            Some(ask) => {
                for command in &mut commands {
                    if let Command::Session(SessionCommand::ReportAsk { attended, .. }) = command {
                        *attended = Some(true);
                    }
                }
                Reported::Waiting(self.attend(&report, ask))
            }
        };
        let (session, id) = (report.session, report.id);
        // What was counted may be another session's.
        let (mine, others): (Vec<_>, Vec<_>) = counted
            .into_iter()
            .partition(|command| session_of(command) == Some(session));
        commands.extend(mine);
        self.send_each(others, "hook");
        // Straight from the writer to the connection: a hook waits. Where the writer has ended, that is seen by the reply's end.
        let answer = move |result: Result<(), Fault>| drop(reply.send(result.map(|()| reported)));
        // That a hook is connected is no part of its report: that may be stored since long, and come again with this connection.
        let attended = attended.into_iter().collect::<Vec<_>>();
        if !commands.is_empty() {
            self.order(session, commands, "hook", Some(id), answer);
            if !attended.is_empty() {
                self.send_each(attended, "hook");
            }
            return;
        }
        self.agent.stored(session, id);
        if attended.is_empty() {
            answer(Ok(()));
        } else {
            self.order(session, attended, "hook", None, answer);
        }
    }

    /// Hands an order of one session to the writer, and remembers that it is under way.
    fn order(
        &mut self,
        session: SessionId,
        commands: Vec<Command>,
        actor: &str,
        report: Option<EventId>,
        reply: impl FnOnce(Result<(), Fault>) + Send + 'static,
    ) {
        let told = self.told.clone();
        let order = Order {
            commands,
            actor: actor.into(),
            report,
            finishes: None,
            reply: Some(Box::new(move |outcome| {
                // A refusal is final: to hear it again would change nothing.
                let is_failure = |fault: &Fault| fault.code == FaultCode::Internal.number();
                told.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(Told {
                        session,
                        report,
                        stored: !outcome.as_ref().is_err_and(is_failure),
                        repeated: outcome.as_ref().is_ok_and(|outcome| outcome.repeated),
                    });
                reply(outcome.map(|_| ()));
            })),
        };
        match self.engine.order_blocking(order) {
            Ok(()) => self.under_way.entry(session).or_default().orders += 1,
            Err(fault) => tracing::warn!(%fault, "a report was not stored; it waits in the spool"),
        }
    }

    /// An order for each session that the commands are about: none fails for another's sake.
    fn send_each(&mut self, commands: Vec<Command>, actor: &str) {
        let mut of: BTreeMap<SessionId, Vec<Command>> = BTreeMap::new();
        for command in commands {
            if let Some(session) = session_of(&command) {
                of.entry(session).or_default().push(command);
            }
        }
        for (session, commands) in of {
            self.order(session, commands, actor, None, |result| {
                if let Err(fault) = result {
                    tracing::warn!(%fault, "what was seen of a session was not stored");
                }
            });
        }
    }

    /// Learns what became of the orders under way. Where one was not stored, what is believed of its session begins again from the
    /// log as soon as no other is under way; reports that came since wait for that.
    fn take_outcomes(&mut self) {
        let told = std::mem::take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner));
        for one in told {
            if let (true, Some(report)) = (one.stored, one.report) {
                self.agent.stored(one.session, report);
            }
            let flight = self.under_way.entry(one.session).or_default();
            flight.orders = flight.orders.saturating_sub(1);
            flight.failed |= !one.stored || one.repeated;
        }
        let landed: Vec<SessionId> = self
            .under_way
            .iter()
            .filter(|(_, flight)| flight.orders == 0)
            .map(|(session, _)| *session)
            .collect();
        for session in landed {
            let failed = self
                .under_way
                .get(&session)
                .is_some_and(|flight| flight.failed);
            if failed && !self.relearn(session) {
                continue;
            }
            let held = self.under_way.remove(&session).map(|flight| flight.held);
            for (report, arrival, reply) in held.into_iter().flatten() {
                self.take(report, arrival, reply);
            }
        }
    }

    /// Begins again from the log. False: it cannot be read now.
    fn relearn(&mut self, session: SessionId) -> bool {
        let known = self
            .engine
            .read_blocking(|reader| reader.session(session))
            .and_then(|found| match found.filter(Session::is_open) {
                Some(open) => boot::know(&self.engine, &open).map(Some),
                None => Ok(None),
            });
        let commands = match known {
            Ok(Some(known)) => self.agent.relearn(known, self.engine.host.now()),
            Ok(None) => Vec::new(),
            Err(fault) => {
                tracing::warn!(%fault, %session, "what the log knows of a session cannot be read");
                return false;
            }
        };
        // What was held is heard first: it is what the session said next.
        if let Some(flight) = self.under_way.get_mut(&session) {
            flight.failed = false;
        }
        self.send_each(commands, "registry");
        true
    }

    /// A hook is connected and waits for the answer to this.
    fn attend(&mut self, report: &Report, ask: AskId) -> WaitingHook {
        let session = report.session;
        let alive = Arc::new(());
        let (sender, answer) = oneshot::channel();
        let mut attending = Attending {
            session,
            answer: Some(sender),
            alive: Arc::downgrade(&alive),
        };
        // A report that comes a second time, from a hook that lost its daemon, may find its ask answered already.
        match self.in_store(ask) {
            Some((AskState::Closed(outcome), text)) => {
                attending.tell(self.agent.as_mut(), ask, outcome, text.as_deref());
            }
            Some((AskState::Answered(given), _)) if ask.uuid() == report.id.uuid() => {
                attending.tell(
                    self.agent.as_mut(),
                    ask,
                    given.outcome,
                    given.text.as_deref(),
                );
            }
            // The same was asked again before the first answer was taken: that answer was for the first.
            Some((AskState::Answered(_), _)) => {
                attending.tell(self.agent.as_mut(), ask, AskOutcome::Elsewhere, None);
            }
            Some((AskState::Open | AskState::OnlyInTab, _)) | None => {}
        }
        self.attending.insert(ask, attending);
        WaitingHook {
            session,
            ask,
            answer,
            presence: Presence {
                alive: Some(alive),
                nudge: self.nudge.clone(),
            },
        }
    }

    fn in_store(&self, ask: AskId) -> Option<(AskState, Option<String>)> {
        let known = self.engine.read_blocking(|reader| reader.ask(ask)).ok()??;
        known.asked.as_ref()?;
        Some((known.state(), known.text.value()))
    }

    fn learn(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::SessionAskAnswered {
                ask, outcome, text, ..
            } => self.tell(*ask, *outcome, text.as_deref()),
            Event::SessionAskClosed {
                session,
                ask,
                outcome,
                text,
                ..
            } => {
                self.tell(*ask, *outcome, text.as_deref());
                self.attending.remove(ask);
                if matches!(
                    outcome,
                    AskOutcome::Approved | AskOutcome::Denied | AskOutcome::Answered
                ) {
                    self.agent.answered(*session, *ask);
                }
            }
            Event::SessionOpened(opened) => self.agent.know(KnownSession {
                session: opened.session,
                claude_session_id: Some(opened.claude_session_id.clone()),
                transcript_path: None,
                client_pid: None,
                launched_at: recorded.at(),
                asks: Vec::new(),
            }),
            Event::SessionClosed { session, .. } => {
                self.agent.forget(*session);
                self.engine.live.forget(*session);
            }
            _ => {}
        }
    }

    /// Gives whoever waits for this ask the text to print.
    fn tell(&mut self, ask: AskId, outcome: AskOutcome, text: Option<&str>) {
        if let Some(attending) = self.attending.get_mut(&ask) {
            attending.tell(self.agent.as_mut(), ask, outcome, text);
        }
    }

    /// Learns what was stored unheard, and which hooks have gone.
    fn catch_up(&mut self) {
        loop {
            let after = self.learned;
            let page = self
                .engine
                .read_blocking(|reader| reader.recorded_after(after, PAGE));
            let page = match page {
                Ok(page) => page,
                Err(fault) => {
                    tracing::error!(%fault, "reading what was stored meanwhile");
                    break;
                }
            };
            let is_last = page.len() < PAGE;
            for (position, recorded) in page {
                if let Some(recorded) = recorded {
                    self.learn(&recorded);
                }
                self.learned = position;
            }
            if is_last {
                break;
            }
        }
        let mut gone = Vec::new();
        self.attending.retain(|ask, attending| {
            let is_there = attending.alive.strong_count() > 0;
            if !is_there {
                gone.push(Command::Session(SessionCommand::ReportAskUnattended {
                    session: attending.session,
                    ask: *ask,
                }));
            }
            is_there
        });
        self.send_each(gone, "hook");
    }
}

impl Attending {
    /// Gives the hook the text to print, once.
    fn tell(&mut self, agent: &mut dyn Agent, ask: AskId, outcome: AskOutcome, text: Option<&str>) {
        if let Some(answer) = self.answer.take() {
            // The client may have ended its hook meanwhile.
            answer
                .send(agent.answer_text(self.session, ask, outcome, text))
                .ok();
        }
    }
}

fn defect() -> Fault {
    Fault::new(
        FaultCode::Refused,
        "taking a report: a defect of Claustre; the log has more",
        None,
    )
}

/// The session that a command of the agent adapter is about.
fn session_of(command: &Command) -> Option<SessionId> {
    match command {
        Command::Session(
            SessionCommand::ReportStatus { session, .. }
            | SessionCommand::ReportLost { session, .. }
            | SessionCommand::ReportAskClosed { session, .. }
            | SessionCommand::ReportAskAttended { session, .. }
            | SessionCommand::ReportAskUnattended { session, .. }
            | SessionCommand::ReportUsage { session, .. },
        ) => Some(*session),
        _ => None,
    }
}

/// The pane that the launcher finds itself in, where the log knows another one or none: it was opened by the command line, or
/// brought back by Zellij's own resurrection.
fn pane_command(report: &Report, engine: &Engine) -> Option<Command> {
    let (zellij_session, pane) = (report.zellij_session.clone()?, report.pane_id?);
    let session = report.session;
    let known = engine
        .read_blocking(|reader| reader.session(session))
        .ok()??;
    let server_pid = (engine.server_of)(&zellij_session).unwrap_or(0);
    if let Some(standing) = known.pane.get()
        && standing.zellij_session == zellij_session
        && standing.pane == pane
        && (server_pid == 0 || standing.server_pid == server_pid)
    {
        return None;
    }
    Some(Command::Session(SessionCommand::ReportPane {
        session,
        zellij_session,
        server_pid,
        pane,
        background: false,
    }))
}

fn is_prompt(command: &Command) -> bool {
    matches!(
        command,
        Command::Session(SessionCommand::ReportPromptTaken { .. })
    )
}

/// Finds the message that the client has just taken as its prompt: the one that was typed, where the prompt is its text.
fn name_delivered(commands: &mut [Command], report: &Report, engine: &Engine) {
    let ReportBody::Hook(hook) = &report.body else {
        return;
    };
    let prompt = hook
        .get("prompt")
        .and_then(serde_json::Value::as_str)
        .unwrap_or_default();
    let session = report.session;
    let waiting = engine
        .read_blocking(|reader| reader.waiting_messages(session))
        .unwrap_or_default();
    let arrived = waiting
        .iter()
        .find(|message| message.may_have_arrived() && is_prompt_of(prompt, &message.text))
        .map(|message| message.id);
    for command in commands {
        if let Command::Session(SessionCommand::ReportPromptTaken { message, .. }) = command {
            *message = arrived;
        }
    }
}

/// Hands a report in at once; the future waits until it is durable.
///
/// # Errors
/// The store failed, too many reports wait, or the thread has ended.
pub fn report(
    inputs: &mpsc::SyncSender<Input>,
    report: Report,
    arrival: Arrival,
) -> impl Future<Output = Result<Reported, Fault>> + use<> {
    let (reply, answer) = oneshot::channel();
    let handed_in = inputs.try_send(Input::Report {
        report: Box::new(report),
        arrival,
        reply,
    });
    async move {
        let busy = || {
            Fault::new(
                FaultCode::Busy,
                "taking a report: too many are waiting",
                Some("it was kept in the spool and is read later".into()),
            )
        };
        handed_in.map_err(|_| busy())?;
        answer.await.map_err(|_| busy())?
    }
}

#[cfg(test)]
#[path = "reports_tests.rs"]
mod tests;
