//! What a session asks, and how it is answered: in the client, or through Claustre, whichever comes first.
//!
//! What the client's dialog asks reaches us by a hook, which stays connected and takes the answer back. So an answer goes two steps:
//! it is *given* by a person, and *taken* by the client; only then is the ask over. [`AskState`] says where it is:
//!
//! | state | a hook waits | what may happen |
//! |---|---|---|
//! | open | yes | an answer is given; the hook goes; it is answered in the tab |
//! | only in tab | no | a hook connects for it again; it is answered in the tab |
//! | answered | yes or no | the client takes the answer; the hook goes, and gets it when it connects again |
//! | closed | no matter | nothing |
//!
//! What an agent asks by a tool needs no hook: its answer is kept until it is fetched, so giving it closes the ask.

use claustre_protocol::{
    ids::{AskId, SessionId},
    model::AskKind,
    status::{ClaudeStatus, Reason, Source},
    time::Timestamp,
};

use super::{
    Ask, AskState, GivenAnswer, Session,
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
        .filter_map(|found| {
            let asked = found.asked.clone()?;
            Some((asked, found))
        })
        .collect();
    // The oldest first: it is the one whose dialog is on the screen.
    waiting.sort_by_key(|(asked, _)| (asked.since, asked.ask));
    let wanted_kind = match outcome {
        AskOutcome::Answered => AskKind::Question,
        _ => AskKind::Permission,
    };
    let (chosen, found) = match ask {
        Some(id) => waiting
            .into_iter()
            .find(|(asked, _)| asked.ask == id)
            .ok_or_else(|| {
                Rejection::refused(&doing, "it was answered meanwhile")
                    .hint("look again at what it asks now")
            })?,
        None => {
            let any = waiting.first().cloned();
            waiting
                .into_iter()
                .find(|(asked, _)| asked.kind == wanted_kind)
                .or(any)
                .ok_or_else(|| {
                    Rejection::refused(&doing, "it asks nothing")
                        .hint("claustre inbox shows who asks")
                })?
        }
    };
    match found.state() {
        AskState::Open => {}
        AskState::Answered(_) => {
            return Err(Rejection::refused(
                &doing,
                format!(
                    "'{}' is answered already, and its client has not taken the answer yet",
                    chosen.title
                ),
            )
            .hint("claustre inbox shows whether it still asks"));
        }
        AskState::OnlyInTab | AskState::Closed(_) => {
            let why = if chosen.answerable {
                ": its client does not wait for an answer from here any more"
            } else {
                ""
            };
            return Err(Rejection::refused(
                &doing,
                format!("'{}' can only be answered in its tab{why}", chosen.title),
            )
            .hint("go there with Enter, or claustre task attach"));
        }
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
    if found.needs_hook() {
        return Ok(vec![Event::SessionAskAnswered {
            session,
            task: known.task.value(),
            ask: chosen.ask,
            outcome,
            text: text.map(str::to_owned),
        }]);
    }
    let given = GivenAnswer {
        outcome,
        text: text.map(str::to_owned),
    };
    Ok(closed_by(&known, chosen.ask, given, context.now))
}

/// The events of an answer that was taken: the ask is over, and the session works again unless it asks more.
fn closed_by(session: &Session, ask: AskId, given: GivenAnswer, now: Timestamp) -> Vec<Event> {
    let mut events = vec![Event::SessionAskClosed {
        session: session.id,
        task: session.task.value(),
        ask,
        outcome: given.outcome,
        text: given.text,
    }];
    if session.asks.len() == 1 {
        events.extend(status_change(
            session,
            ClaudeStatus::Working,
            None,
            Source::User,
            now,
            String::new(),
        ));
    }
    events
}

/// The commands that bring what a session asks in line with a daemon that has just started: no hook is connected to it.
pub fn recover(asks: &[Ask]) -> Vec<SessionCommand> {
    asks.iter()
        .filter(|ask| ask.needs_hook() && ask.is_attended())
        .filter_map(|ask| {
            Some(SessionCommand::ReportAskUnattended {
                session: ask.asked.as_ref()?.session,
                ask: ask.id,
            })
        })
        .collect()
}

/// What a report about an ask changes.
pub(super) fn report(world: &dyn World, command: &SessionCommand, context: Context) -> Vec<Event> {
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
            attended,
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
                attended: *attended,
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
        SessionCommand::ReportAskAttended { session, ask } => {
            of_hook(world, *session, *ask, |_, found| {
                if found.is_attended() {
                    return Vec::new();
                }
                vec![Event::SessionAskAttended {
                    session: *session,
                    ask: *ask,
                }]
            })
        }
        SessionCommand::ReportAskUnattended { session, ask } => {
            of_hook(world, *session, *ask, |_, found| {
                if !found.is_attended() {
                    return Vec::new();
                }
                vec![Event::SessionAskUnattended {
                    session: *session,
                    ask: *ask,
                }]
            })
        }
        SessionCommand::ReportAnswerTaken { session, ask } => {
            of_hook(world, *session, *ask, |known, found| {
                let given = found.given.get().cloned();
                given
                    .map(|given| closed_by(known, *ask, given, context.now))
                    .unwrap_or_default()
            })
        }
        // `decide` sends only those here.
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

/// What changes for an ask that a hook must take the answer to; nothing where it is over.
fn of_hook(
    world: &dyn World,
    session: SessionId,
    ask: AskId,
    then: impl FnOnce(&Session, &Ask) -> Vec<Event>,
) -> Vec<Event> {
    if_open(world, session, |known| {
        if !known.asks.contains(ask) {
            return Vec::new();
        }
        match world.ask(ask).filter(Ask::needs_hook) {
            Some(found) => then(known, &found),
            None => Vec::new(),
        }
    })
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
