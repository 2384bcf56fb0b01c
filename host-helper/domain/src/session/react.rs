//! What a session's events ask of the world.

use claustre_protocol::{
    ids::{SessionId, TaskId},
    status::{ClaudeStatus, Source},
};

use crate::{
    effect::Effect,
    entity::World,
    event::{Event, Recorded},
};

/// Longest name of a session in a notice, in characters: what it asks must be seen beside it.
const LONGEST_NAME: usize = 60;

/// Says what must be done after an event of a session.
pub fn react(world: &dyn World, recorded: &Recorded) -> Vec<Effect> {
    let cause = recorded.id;
    match &recorded.event {
        Event::SessionOpened(opened) => vec![Effect::PrepareSession {
            session: opened.session,
        }],
        Event::SessionWorktreeReady { session, .. } => vec![Effect::OpenPane { session: *session }],
        Event::SessionStatusChanged {
            session,
            status: ClaudeStatus::Starting,
            source: Source::User,
            ..
        } => match world
            .session(*session)
            .and_then(|known| known.running_client())
        {
            Some(_) => vec![Effect::EndClient {
                session: *session,
                resume: true,
                cause,
            }],
            None => vec![Effect::ResumeClient {
                session: *session,
                cause,
            }],
        },
        // A turn that ended makes room for what waits to be typed.
        Event::SessionStatusChanged {
            session, status, ..
        } => {
            if *status == ClaudeStatus::Idle {
                next_message(world, *session)
            } else {
                Vec::new()
            }
        }
        Event::MessageQueued { session, .. } => next_message(world, *session),
        Event::MessageDropped { session, .. }
        | Event::MessageRetried { session, .. }
        | Event::MessageDelivered { session, .. } => next_message(world, *session),
        Event::SessionAsked(asked) => vec![Effect::Notify {
            session: Some(asked.session),
            task: asked.task,
            text: match name_of(world, asked.session, asked.task) {
                Some(name) => format!("{name} asks: {}", asked.title),
                None => asked.title.clone(),
            },
            cause,
        }],
        Event::SessionClosed { session, shown, .. } => vec![
            Effect::EndClient {
                session: *session,
                resume: false,
                cause,
            },
            Effect::CloseTab { session: *session },
            Effect::RemoveWorktree {
                session: *session,
                shown: shown.clone(),
            },
        ],
        _ => Vec::new(),
    }
}

/// How a session is called where its question is told: by its task, else by its branch.
fn name_of(world: &dyn World, session: SessionId, task: Option<TaskId>) -> Option<String> {
    let title = task
        .and_then(|task| world.task(task))
        .map(|task| task.title.value())
        .filter(|title| !title.is_empty());
    let name = title.or_else(|| Some(world.session(session)?.opened?.branch))?;
    let shown: String = name.chars().take(LONGEST_NAME).collect();
    Some(if shown.len() < name.len() {
        format!("{shown}…")
    } else {
        shown
    })
}

/// The oldest waiting message, while the client waits for a prompt.
fn next_message(world: &dyn World, session: SessionId) -> Vec<Effect> {
    // At the end of nearly every turn nothing waits, and the session itself knows that: no need to search.
    let ready = world
        .session(session)
        .is_some_and(|known| known.takes_prompts() && !known.queued.is_empty());
    if !ready {
        return Vec::new();
    }
    world
        .waiting_messages(session)
        .first()
        .map(|message| Effect::DeliverMessage {
            session,
            message: message.id,
        })
        .into_iter()
        .collect()
}
