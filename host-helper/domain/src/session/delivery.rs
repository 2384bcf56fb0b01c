//! What becomes of a message to a session: typed, arrived, or in doubt.
//!
//! Once typed it is never typed again by itself. Its arrival is reported by the client's hook or seen in the transcript; where
//! neither says anything and the text is not in the prompt box, a person is asked.

use claustre_protocol::{
    ids::{AskId, MessageId},
    model::AskKind,
    status::{ClaudeStatus, Reason, Source},
};

use super::{
    Message, MessageState, Session,
    decide::{if_open, status_change},
    report::task_goes_on,
};
use crate::{
    Context,
    command::SessionCommand,
    entity::World,
    event::{AskOutcome, Event, SessionAsked},
    rejection::Rejection,
};

/// The answer that has a message in doubt typed once more.
pub const SEND_AGAIN: &str = "send it again";
/// The answer that gives a message in doubt up.
pub const DO_NOT_SEND: &str = "do not send it";
/// So much of a message is shown in a title, in characters.
const TITLE_TEXT: usize = 80;
/// So much of it is shown in full, in characters.
const DETAIL_TEXT: usize = 4_000;

/// What a report about a message changes.
pub(super) fn report(world: &dyn World, command: &SessionCommand, context: Context) -> Vec<Event> {
    use SessionCommand as C;
    match command {
        C::ReportMessageTyped {
            session,
            message,
            typed,
        } => if_open(world, *session, |known| {
            if waiting(world, known, *message).is_none() {
                return Vec::new();
            }
            vec![Event::MessageTyped {
                message: *message,
                session: *session,
                task: known.task.value(),
                typed: typed.clone(),
            }]
        }),
        C::ReportMessageSeen { session, message } => if_open(world, *session, |known| {
            let mut events = arrived(world, known, *message);
            if !events.is_empty() {
                events.extend(task_goes_on(world, known));
            }
            events
        }),
        C::ReportMessageInDoubt {
            session,
            message,
            ask,
        } => if_open(world, *session, |known| {
            let typed = waiting(world, known, *message).filter(Message::may_have_arrived);
            match typed {
                Some(found) if doubt(world, known, *message).is_none() => {
                    let mut events = vec![asks(known, &found, *ask, context)];
                    if known.status().status == ClaudeStatus::Idle {
                        events.extend(status_change(
                            known,
                            ClaudeStatus::WaitingForInput,
                            Some(Reason::Dialog),
                            Source::Screen,
                            context.now,
                            "it does not take what is typed: look at its pane, or restart it"
                                .into(),
                        ));
                    }
                    events
                }
                _ => Vec::new(),
            }
        }),
        C::ReportMessageHeld { session, why } => if_open(world, *session, |known| {
            let standing = known.status();
            if standing.status != ClaudeStatus::Idle {
                return Vec::new();
            }
            status_change(
                known,
                ClaudeStatus::Idle,
                standing.reason,
                standing.source,
                standing.since,
                why.clone(),
            )
        }),
        // `report::decide` sends only those here.
        _ => Vec::new(),
    }
}

/// The events of a message that arrived; none where that is known.
pub(super) fn arrived(world: &dyn World, session: &Session, message: MessageId) -> Vec<Event> {
    if !session.queued.contains(message) {
        return Vec::new();
    }
    let mut events = vec![Event::MessageDelivered {
        message,
        session: session.id,
        task: session.task.value(),
    }];
    events.extend(
        doubt(world, session, message)
            .map(|asked| closed(session, &asked, AskOutcome::Elsewhere, None)),
    );
    events
}

/// What a person's answer to a message in doubt changes.
///
/// # Errors
/// It is none of the two answers.
pub(super) fn answered(
    world: &dyn World,
    session: &Session,
    asked: &SessionAsked,
    message: MessageId,
    outcome: AskOutcome,
    text: Option<&str>,
    context: Context,
) -> Result<Vec<Event>, Rejection> {
    let again = match (outcome, text.map(str::trim)) {
        (AskOutcome::Denied, _) => false,
        (_, Some(text)) if text.eq_ignore_ascii_case(SEND_AGAIN) => true,
        (_, Some(text)) if text.eq_ignore_ascii_case(DO_NOT_SEND) => false,
        _ => {
            return Err(Rejection::refused(
                format!(
                    "answering whether to send the message to {} again",
                    session.tab_name()
                ),
                "it is neither of the two answers",
            )
            .hint(format!("answer '{SEND_AGAIN}' or '{DO_NOT_SEND}'")));
        }
    };
    let mut events = vec![closed(session, asked, outcome, text)];
    let task = session.task.value();
    if waiting(world, session, message).is_some() {
        events.push(if again {
            Event::MessageRetried {
                message,
                session: session.id,
                task,
            }
        } else {
            Event::MessageDropped {
                message,
                session: session.id,
                task,
                why:
                    "it was typed, nothing showed that it arrived, and it was not to be sent again"
                        .into(),
            }
        });
    }
    let standing = session.status();
    if session.asks.len() == 1 && standing.source == Source::Screen {
        events.extend(status_change(
            session,
            ClaudeStatus::Idle,
            None,
            Source::User,
            context.now,
            String::new(),
        ));
    }
    Ok(events)
}

/// The message, while it waits in this session.
fn waiting(world: &dyn World, session: &Session, message: MessageId) -> Option<Message> {
    world
        .message(message)
        .filter(|found| session.queued.contains(message) && found.state == MessageState::Waiting)
}

/// The open question whether this message arrived.
fn doubt(world: &dyn World, session: &Session, message: MessageId) -> Option<Box<SessionAsked>> {
    session
        .asks
        .iter()
        .filter_map(|ask| world.ask(ask)?.asked)
        .find(|asked| asked.message == Some(message))
}

fn asks(session: &Session, message: &Message, ask: AskId, context: Context) -> Event {
    let line = message
        .text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty());
    let line = line.unwrap_or_default();
    let shown = cut(line, TITLE_TEXT);
    Event::SessionAsked(Box::new(SessionAsked {
        session: session.id,
        task: session.task.value(),
        ask,
        kind: AskKind::Question,
        title: format!("it does not take what is typed; send it again? \"{shown}\""),
        detail: format!(
            "This message was typed into the client. No hook reported it, it is not in the conversation's transcript, and it \
             does not stand in the prompt box. Look at its pane before you send it again.\n\n{}",
            cut(&message.text, DETAIL_TEXT)
        ),
        options: vec![SEND_AGAIN.into(), DO_NOT_SEND.into()],
        answerable: true,
        since: context.now,
        attended: None,
        message: Some(message.id),
    }))
}

fn closed(
    session: &Session,
    asked: &SessionAsked,
    outcome: AskOutcome,
    text: Option<&str>,
) -> Event {
    Event::SessionAskClosed {
        session: session.id,
        task: session.task.value(),
        ask: asked.ask,
        outcome,
        text: text.map(str::to_owned),
    }
}

/// The beginning of a text, with a mark where something is left out.
fn cut(text: &str, most: usize) -> String {
    let mut shown: String = text.chars().take(most).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
