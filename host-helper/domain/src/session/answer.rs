//! What a session asks, and how it is answered: in the client, or through Claustre, whichever comes first.

use claustre_protocol::{
    ids::{AskId, SessionId},
    model::AskKind,
    status::{ClaudeStatus, Reason, Source},
};

use super::{
    Session,
    decide::{if_open, open_session, status_change},
    delivery,
};
use crate::{
    Context,
    command::SessionCommand,
    entity::World,
    event::{AskOutcome, Event, SessionAsked},
    rejection::Rejection,
};

/// Says what an answer given through Claustre changes.
///
/// # Errors
/// The session asks nothing, something else by now, or something that only a visit can answer.
pub(super) fn decide(
    world: &dyn World,
    session: SessionId,
    ask: Option<AskId>,
    outcome: AskOutcome,
    text: Option<&str>,
    context: Context,
) -> Result<Vec<Event>, Rejection> {
    let known = open_session(world, "answering the session", session)?;
    let doing = format!("answering the session {}", known.tab_name());
    let mut waiting: Vec<_> = known
        .asks
        .iter()
        .filter_map(|id| world.ask(id))
        .filter_map(|found| found.asked)
        .collect();
    // The oldest first: it is the one whose dialog is on the screen.
    waiting.sort_by_key(|asked| (asked.since, asked.ask));
    let wanted_kind = match outcome {
        AskOutcome::Answered => AskKind::Question,
        _ => AskKind::Permission,
    };
    let chosen = match ask {
        Some(id) => waiting
            .into_iter()
            .find(|asked| asked.ask == id)
            .ok_or_else(|| {
                Rejection::refused(&doing, "it was answered meanwhile")
                    .hint("look again at what it asks now")
            })?,
        None => {
            let any = waiting.first().cloned();
            waiting
                .into_iter()
                .find(|asked| asked.kind == wanted_kind)
                .or(any)
                .ok_or_else(|| {
                    Rejection::refused(&doing, "it asks nothing")
                        .hint("claustre inbox shows who asks")
                })?
        }
    };
    if !chosen.answerable {
        return Err(Rejection::refused(
            &doing,
            format!("'{}' can only be answered in its tab", chosen.title),
        )
        .hint("go there with Enter, or claustre task attach"));
    }
    match (chosen.kind, outcome) {
        (AskKind::Permission, AskOutcome::Approved | AskOutcome::Denied)
        | (AskKind::Question, AskOutcome::Answered) => {}
        // To refuse a question is an answer as well.
        (AskKind::Question, AskOutcome::Denied) => {}
        (AskKind::Question, _) => {
            return Err(
                Rejection::refused(&doing, "it asks a question, which cannot be approved")
                    .hint("answer it with text, or deny it"),
            );
        }
        _ => return Err(Rejection::refused(&doing, "this cannot be answered so")),
    }
    if let Some(message) = chosen.message {
        return delivery::answered(world, &known, &chosen, message, outcome, text, context);
    }
    let mut events = vec![Event::SessionAskClosed {
        session,
        task: known.task.value(),
        ask: chosen.ask,
        outcome,
        text: text.map(str::to_owned),
    }];
    if known.asks.len() == 1 {
        events.extend(status_change(
            &known,
            ClaudeStatus::Working,
            None,
            Source::User,
            context.now,
            String::new(),
        ));
    }
    Ok(events)
}

/// What a report about an ask changes.
pub(super) fn report(world: &dyn World, command: &SessionCommand) -> Vec<Event> {
    match command {
        SessionCommand::ReportAsk {
            session,
            ask,
            kind,
            title,
            detail,
            options,
            answerable,
            since,
        } => if_open(world, *session, |known| {
            // Reported again: it is open, or was closed meanwhile.
            if world.ask(*ask).is_some_and(|known| known.asked.is_some()) {
                return Vec::new();
            }
            let mut events = vec![Event::SessionAsked(Box::new(SessionAsked {
                session: *session,
                task: known.task.value(),
                ask: *ask,
                kind: *kind,
                title: title.clone(),
                detail: detail.clone(),
                options: options.clone(),
                answerable: *answerable,
                since: *since,
                message: None,
            }))];
            let reason = match kind {
                AskKind::Permission => Reason::Permission,
                AskKind::Question => Reason::Question,
                AskKind::Dialog => Reason::Dialog,
            };
            events.extend(status_change(
                known,
                ClaudeStatus::WaitingForInput,
                Some(reason),
                Source::Hook,
                *since,
                title.clone(),
            ));
            events
        }),
        SessionCommand::ReportAskClosed {
            session,
            ask,
            outcome,
        } => if_open(world, *session, |known| match ask {
            None => close_of_client(world, known, *outcome),
            Some(ask) if known.asks.contains(*ask) => vec![Event::SessionAskClosed {
                session: *session,
                task: known.task.value(),
                ask: *ask,
                outcome: *outcome,
                text: None,
            }],
            Some(_) => Vec::new(),
        }),
        // `decide` sends only those two here.
        _ => Vec::new(),
    }
}

/// The events that close what the client asks; what Claustre itself asks stays open.
pub(super) fn close_of_client(
    world: &dyn World,
    session: &Session,
    outcome: AskOutcome,
) -> Vec<Event> {
    let is_ours = |ask| {
        let asked = world.ask(ask).and_then(|ask| ask.asked);
        asked.is_some_and(|asked| asked.message.is_some())
    };
    let mut events = close_all(session, outcome);
    events.retain(|event| !matches!(event, Event::SessionAskClosed { ask, .. } if is_ours(*ask)));
    events
}

/// The events that close everything the session asks.
pub(super) fn close_all(session: &Session, outcome: AskOutcome) -> Vec<Event> {
    session
        .asks
        .iter()
        .map(|ask| Event::SessionAskClosed {
            session: session.id,
            task: session.task.value(),
            ask,
            outcome,
            text: None,
        })
        .collect()
}
