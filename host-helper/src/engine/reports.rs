//! What sessions report becomes commands. One thread owns the agent adapter, takes reports in their order and hands what
//! they mean to the writer; it waits for nobody, so that many reports share one transaction.

use std::sync::{Arc, mpsc};

use claustre_domain::{
    command::{Command, SessionCommand},
    event::{AskOutcome, Event, Recorded},
};
use claustre_protocol::{
    hook::{Report, ReportBody},
    ids::AskId,
    rpc::Fault,
};
use tokio::sync::oneshot;

use super::{Engine, Order};
use crate::ports::{Agent, Heard, KnownSession, PlanOrder, PortError};

/// Something for the thread.
pub enum Input {
    /// A session reported. The reply comes once it is durable, with the ask whose answer the reporter waits for.
    Report {
        /// What.
        report: Box<Report>,
        /// Told once it is durable.
        reply: oneshot::Sender<Result<Option<AskId>, Fault>>,
    },
    /// The client's registry changed.
    Look,
    /// Events were stored.
    Stored(Arc<Vec<Recorded>>),
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

/// Takes inputs until told to stop.
pub fn run(mut agent: Box<dyn Agent>, inputs: &mpsc::Receiver<Input>, engine: &Engine, runtime: &tokio::runtime::Handle) {
    while let Ok(input) = inputs.recv() {
        match input {
            Input::Report { report, reply } => take(agent.as_mut(), &report, reply, engine, runtime),
            Input::Look => {
                let now = engine.host.now();
                let commands = agent.look(now);
                send(engine, commands, "registry");
            }
            Input::Stored(events) => learn(agent.as_mut(), &events),
            Input::Know(known) => agent.know(*known),
            Input::Plan { order, reply } => {
                let written = agent.write_plan(&order).map(|()| agent.foresee(&order));
                // The one who asked may have given up.
                let _ = reply.send(written);
            }
            Input::Stop => break,
        }
    }
}

fn take(
    agent: &mut dyn Agent,
    report: &Report,
    reply: oneshot::Sender<Result<Option<AskId>, Fault>>,
    engine: &Engine,
    runtime: &tokio::runtime::Handle,
) {
    let Heard {
        mut commands,
        live,
        waits_for,
    } = agent.hear(report, report.at);
    if let Some(change) = &live {
        engine.live.apply(report.session, change);
        if change.read_transcript {
            commands.extend(agent.usage(report.session));
        }
    }
    if matches!(report.body, ReportBody::Hook(_)) && commands.iter().any(is_prompt) {
        name_delivered(&mut commands, report, engine);
    }
    if commands.is_empty() {
        let _ = reply.send(Ok(waits_for));
        return;
    }
    let (stored, answer) = oneshot::channel();
    let order = Order {
        commands,
        actor: "hook".into(),
        report: Some(report.id),
        finishes: None,
        reply: Some(stored),
    };
    if let Err(fault) = engine.order_blocking(order) {
        let _ = reply.send(Err(fault));
        return;
    }
    runtime.spawn(async move {
        let outcome = match answer.await {
            Ok(Ok(_)) => Ok(waits_for),
            Ok(Err(fault)) => Err(fault),
            Err(_) => Err(Fault::new(
                claustre_protocol::rpc::FaultCode::Internal,
                "storing a report: the writer ended",
                None,
            )),
        };
        let _ = reply.send(outcome);
    });
}

fn is_prompt(command: &Command) -> bool {
    matches!(command, Command::Session(SessionCommand::ReportPromptTaken { .. }))
}

/// Finds the waiting message that the client has just taken as its prompt: by its text, the oldest first.
fn name_delivered(commands: &mut [Command], report: &Report, engine: &Engine) {
    let ReportBody::Hook(hook) = &report.body else {
        return;
    };
    let prompt = squeezed(hook.get("prompt").and_then(serde_json::Value::as_str).unwrap_or_default());
    let session = report.session;
    let waiting = engine
        .read_blocking(|reader| reader.waiting_messages(session))
        .unwrap_or_default();
    let arrived = waiting
        .iter()
        .find(|message| {
            let text = squeezed(&message.text);
            !text.is_empty() && prompt.contains(&text)
        })
        .map(|message| message.id);
    for command in commands {
        if let Command::Session(SessionCommand::ReportPromptTaken { message, .. }) = command {
            *message = arrived;
        }
    }
}

/// The letters of a text: a client may fold white space.
fn squeezed(text: &str) -> String {
    text.chars().filter(|character| !character.is_whitespace()).take(4_000).collect()
}

fn learn(agent: &mut dyn Agent, events: &[Recorded]) {
    for recorded in events {
        match &recorded.event {
            Event::SessionAskClosed {
                session,
                ask,
                outcome: AskOutcome::Approved | AskOutcome::Denied | AskOutcome::Answered,
                ..
            } => agent.answered(*session, *ask),
            Event::SessionOpened(opened) => agent.know(KnownSession {
                session: opened.session,
                claude_session_id: Some(opened.claude_session_id.clone()),
                transcript_path: None,
                client_pid: None,
                launched_at: recorded.at(),
                asks: Vec::new(),
            }),
            Event::SessionClosed { session, .. } => agent.forget(*session),
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

/// Hands a report in and waits until it is durable.
///
/// # Errors
/// The store failed, or the thread has ended.
pub async fn report(inputs: &mpsc::SyncSender<Input>, report: Report) -> Result<Option<AskId>, Fault> {
    let (reply, answer) = oneshot::channel();
    let busy = || {
        Fault::new(
            claustre_protocol::rpc::FaultCode::Busy,
            "taking a report: too many are waiting",
            Some("it was kept in the spool and is read later".into()),
        )
    };
    inputs
        .try_send(Input::Report {
            report: Box::new(report),
            reply,
        })
        .map_err(|_| busy())?;
    answer.await.map_err(|_| busy())?
}
