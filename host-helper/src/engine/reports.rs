//! What sessions report becomes commands. One thread owns the agent adapter, takes reports in their order and hands what
//! they mean to the writer; it waits for nobody, so that many reports share one transaction.

use std::{
    collections::HashMap,
    sync::{Arc, mpsc},
    time::Duration,
};

use claustre_domain::{
    command::{Command, SessionCommand},
    event::{AskOutcome, Event, Recorded},
};
use claustre_protocol::{
    hook::{Report, ReportBody},
    ids::{AskId, SessionId},
    rpc::Fault,
};
use tokio::sync::oneshot;

use super::{Engine, Order, prompt_box::is_prompt_of};
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

/// Takes inputs until told to stop.
pub fn run(mut agent: Box<dyn Agent>, inputs: &mpsc::Receiver<Input>, engine: &Engine) {
    let mut waiting = Waiting::new();
    loop {
        let input = match agent.next_look() {
            None => inputs.recv().ok(),
            Some(at) => {
                let left = at.millis_since(engine.host.now()).unsigned_abs() + 1;
                match inputs.recv_timeout(Duration::from_millis(left)) {
                    Ok(input) => Some(input),
                    Err(mpsc::RecvTimeoutError::Timeout) => Some(Input::Look),
                    Err(mpsc::RecvTimeoutError::Disconnected) => None,
                }
            }
        };
        let Some(input) = input else { break };
        match input {
            Input::Report { report, reply } => {
                take(agent.as_mut(), &report, reply, &mut waiting, engine);
            }
            Input::Look => {
                let now = engine.host.now();
                let commands = agent.look(now);
                send(engine, commands, "registry");
            }
            Input::Stored(events) => learn(agent.as_mut(), &events, &mut waiting, engine),
            Input::Lagged => look_again(agent.as_mut(), &mut waiting, engine),
            Input::Know(known) => agent.know(*known),
            Input::Plan { order, reply } => {
                let written = agent
                    .write_plan(&order)
                    .map(|()| agent.foresee(&order, engine.host.now()));
                // The one who asked may have given up.
                reply.send(written).ok();
            }
            Input::Stop => break,
        }
    }
}

fn take(
    agent: &mut dyn Agent,
    report: &Report,
    reply: oneshot::Sender<Result<Reported, Fault>>,
    waiting: &mut Waiting,
    engine: &Engine,
) {
    let Heard {
        mut commands,
        live,
        waits_for,
    } = agent.hear(report, report.at);
    if let Some(change) = &live {
        engine.live.apply(report.session, change);
        if change.recount {
            engine.recount.ask(report.session);
        }
        if change.read_transcript {
            commands.extend(agent.usage(report.session));
        }
    }
    if matches!(report.body, ReportBody::ClientStarted { .. }) {
        commands.extend(pane_command(report, engine));
    }
    if matches!(report.body, ReportBody::Hook(_)) && commands.iter().any(is_prompt) {
        name_delivered(&mut commands, report, engine);
    }
    let reported = match waits_for {
        None => Reported::Stored,
        Some(ask) => {
            let (answer, answered) = oneshot::channel();
            // A report that comes a second time, from a hook that lost its daemon, may find its ask closed already.
            match closed_in_store(ask, engine) {
                Some((outcome, text)) => {
                    answer
                        .send(agent.answer_text(report.session, ask, outcome, text.as_deref()))
                        .ok();
                }
                None => {
                    waiting.insert(ask, (report.session, answer));
                }
            }
            Reported::Waiting(answered)
        }
    };
    if commands.is_empty() {
        reply.send(Ok(reported)).ok();
        return;
    }
    let order = Order {
        commands,
        actor: "hook".into(),
        report: Some(report.id),
        finishes: None,
        // Straight from the writer to the connection: a hook waits. Where the writer has ended, that is seen by the reply's end.
        reply: Some(Box::new(move |outcome| {
            drop(reply.send(outcome.map(|_| reported)));
        })),
    };
    if let Err(fault) = engine.order_blocking(order) {
        tracing::warn!(%fault, "a report was not stored; it waits in the spool");
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

fn look_again(agent: &mut dyn Agent, waiting: &mut Waiting, engine: &Engine) {
    let asks: Vec<AskId> = waiting.keys().copied().collect();
    for ask in asks {
        if let Some((outcome, text)) = closed_in_store(ask, engine) {
            tell(agent, waiting, ask, outcome, text.as_deref());
        }
    }
}

/// Gives whoever waits for this ask the text to print.
fn tell(
    agent: &mut dyn Agent,
    waiting: &mut Waiting,
    ask: AskId,
    outcome: AskOutcome,
    text: Option<&str>,
) {
    if let Some((session, answer)) = waiting.remove(&ask) {
        // The client may have ended its hook meanwhile.
        answer
            .send(agent.answer_text(session, ask, outcome, text))
            .ok();
    }
}

fn learn(agent: &mut dyn Agent, events: &[Recorded], waiting: &mut Waiting, engine: &Engine) {
    for recorded in events {
        match &recorded.event {
            Event::SessionAskClosed {
                session,
                ask,
                outcome,
                text,
                ..
            } => {
                tell(agent, waiting, *ask, *outcome, text.as_deref());
                if matches!(
                    outcome,
                    AskOutcome::Approved | AskOutcome::Denied | AskOutcome::Answered
                ) {
                    agent.answered(*session, *ask);
                }
            }
            Event::SessionOpened(opened) => agent.know(KnownSession {
                session: opened.session,
                claude_session_id: Some(opened.claude_session_id.clone()),
                transcript_path: None,
                client_pid: None,
                launched_at: recorded.at(),
                asks: Vec::new(),
            }),
            Event::SessionClosed { session, .. } => {
                agent.forget(*session);
                engine.live.forget(*session);
            }
            _ => {}
        }
    }
}

fn send(engine: &Engine, commands: Vec<Command>, actor: &str) {
    if commands.is_empty() {
        return;
    }
    let order = Order {
        commands,
        actor: actor.into(),
        report: None,
        finishes: None,
        reply: None,
    };
    if let Err(fault) = engine.order_blocking(order) {
        tracing::warn!(%fault, "what the registry shows was not stored");
    }
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
                claustre_protocol::rpc::FaultCode::Busy,
                "taking a report: too many are waiting",
                Some("it was kept in the spool and is read later".into()),
            )
        };
        handed_in.map_err(|_| busy())?;
        answer.await.map_err(|_| busy())?
    }
}
