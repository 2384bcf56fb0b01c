//! What sessions report becomes commands. One thread owns the agent adapter, takes reports in their order and hands what
//! they mean to the writer; it waits for nobody, so that many reports share one transaction.

use std::{
    collections::{BTreeMap, HashMap},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::Duration,
};

use claustre_domain::{
    command::{Command, SessionCommand},
    event::{AskOutcome, Event, Recorded},
    session::Session,
};
use claustre_protocol::{
    hook::{Report, ReportBody},
    ids::{AskId, EventId, SessionId},
    rpc::{Fault, FaultCode},
};
use tokio::sync::oneshot;

use super::{Engine, Order, boot, prompt_box::is_prompt_of};
use crate::ports::{Agent, Heard, KnownSession, PlanOrder, PortError};

/// Something for the thread.
pub enum Input {
    /// A session reported.
    Report {
        /// What.
        report: Box<Report>,
        /// Told once it is durable.
        reply: oneshot::Sender<Result<Reported, Fault>>,
    },
    /// The client's registry changed.
    Look,
    /// Events were stored.
    Stored(Arc<Vec<Recorded>>),
    /// Some events were missed: look at the store for what is waited for.
    Lagged,
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

/// What a report came to.
#[derive(Debug)]
pub enum Reported {
    /// It is stored.
    Stored,
    /// It is stored, and the reporter waits: the text to print comes here once the ask is closed.
    Waiting(oneshot::Receiver<Option<String>>),
}

/// Those who wait for an ask to be closed.
type Waiting = HashMap<AskId, (SessionId, oneshot::Sender<Option<String>>)>;

/// How long the thread waits for the outcome of its orders before it looks again; only while some are under way.
const LOOK_AT_OUTCOMES: Duration = Duration::from_millis(100);
/// No look is further away than this: one that seems to be was planned before the clock was set back.
const FURTHEST_LOOK: Duration = Duration::from_secs(6);

/// Takes inputs until told to stop.
pub fn run(agent: Box<dyn Agent>, inputs: &mpsc::Receiver<Input>, engine: &Engine) {
    let mut reports = Reports::new(agent, engine.clone());
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
    /// Reports that came since then.
    held: Vec<(Box<Report>, ReportReply)>,
}

type ReportReply = oneshot::Sender<Result<Reported, Fault>>;

/// What the thread owns.
pub struct Reports {
    agent: Box<dyn Agent>,
    engine: Engine,
    waiting: Waiting,
    under_way: BTreeMap<SessionId, Flight>,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Reports {
    /// Nothing is reported yet.
    pub fn new(agent: Box<dyn Agent>, engine: Engine) -> Self {
        Self {
            agent,
            engine,
            waiting: Waiting::new(),
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
        let outcomes = (!self.under_way.is_empty()).then_some(LOOK_AT_OUTCOMES);
        planned.into_iter().chain(outcomes).min()
    }

    /// Takes one input; [`Input::Stop`] is the caller's.
    pub fn handle(&mut self, input: Input) {
        self.take_outcomes();
        match input {
            Input::Report { report, reply } => self.take(report, reply),
            Input::Look => {
                let commands = self.agent.look(self.engine.host.now());
                self.send_each(commands, "registry");
            }
            Input::Stored(events) => self.learn(&events),
            Input::Lagged => self.look_again(),
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
    }

    fn take(&mut self, report: Box<Report>, reply: ReportReply) {
        if let Some(flight) = self.under_way.get_mut(&report.session)
            && flight.failed
        {
            flight.held.push((report, reply));
            return;
        }
        let now = self.engine.host.now();
        let agent = self.agent.as_mut();
        let Ok(Heard {
            mut commands,
            live,
            waits_for,
        }) = catch_unwind(AssertUnwindSafe(|| agent.hear(&report, now)))
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
        if matches!(report.body, ReportBody::ClientStarted { .. }) {
            commands.extend(pane_command(&report, &self.engine));
        }
        if matches!(report.body, ReportBody::Hook(_)) && commands.iter().any(is_prompt) {
            name_delivered(&mut commands, &report, &self.engine);
        }
        let reported = match waits_for {
            None => Reported::Stored,
            Some(ask) => Reported::Waiting(self.wait_for(report.session, ask)),
        };
        let (session, id) = (report.session, report.id);
        // What was counted may be another session's.
        let (mine, others): (Vec<_>, Vec<_>) = counted
            .into_iter()
            .partition(|command| session_of(command) == Some(session));
        commands.extend(mine);
        self.send_each(others, "hook");
        if commands.is_empty() {
            self.agent.stored(session, id);
            reply.send(Ok(reported)).ok();
            return;
        }
        self.order(session, commands, "hook", Some(id), move |result| {
            // Straight from the writer to the connection: a hook waits. Where the writer has ended, that is seen by the reply's end.
            drop(reply.send(result.map(|()| reported)));
        });
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
            for (report, reply) in held.into_iter().flatten() {
                self.take(report, reply);
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

    /// Where the answer to an ask will come.
    fn wait_for(&mut self, session: SessionId, ask: AskId) -> oneshot::Receiver<Option<String>> {
        let (answer, answered) = oneshot::channel();
        // A report that comes a second time, from a hook that lost its daemon, may find its ask closed already.
        match closed_in_store(ask, &self.engine) {
            Some((outcome, text)) => {
                let text = self
                    .agent
                    .answer_text(session, ask, outcome, text.as_deref());
                answer.send(text).ok();
            }
            None => {
                self.waiting.insert(ask, (session, answer));
            }
        }
        answered
    }

    fn look_again(&mut self) {
        let asks: Vec<AskId> = self.waiting.keys().copied().collect();
        for ask in asks {
            if let Some((outcome, text)) = closed_in_store(ask, &self.engine) {
                self.tell(ask, outcome, text.as_deref());
            }
        }
    }

    /// Gives whoever waits for this ask the text to print.
    fn tell(&mut self, ask: AskId, outcome: AskOutcome, text: Option<&str>) {
        if let Some((session, answer)) = self.waiting.remove(&ask) {
            // The client may have ended its hook meanwhile.
            answer
                .send(self.agent.answer_text(session, ask, outcome, text))
                .ok();
        }
    }

    fn learn(&mut self, events: &[Recorded]) {
        for recorded in events {
            match &recorded.event {
                Event::SessionAskClosed {
                    session,
                    ask,
                    outcome,
                    text,
                    ..
                } => {
                    self.tell(*ask, *outcome, text.as_deref());
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

fn closed_in_store(ask: AskId, engine: &Engine) -> Option<(AskOutcome, Option<String>)> {
    let known = engine.read_blocking(|reader| reader.ask(ask)).ok()??;
    known
        .outcome
        .get()
        .map(|outcome| (*outcome, known.text.value()))
}

/// Hands a report in at once; the future waits until it is durable.
///
/// # Errors
/// The store failed, too many reports wait, or the thread has ended.
pub fn report(
    inputs: &mpsc::SyncSender<Input>,
    report: Report,
) -> impl Future<Output = Result<Reported, Fault>> + use<> {
    let (reply, answer) = oneshot::channel();
    let handed_in = inputs.try_send(Input::Report {
        report: Box::new(report),
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
