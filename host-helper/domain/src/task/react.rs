//! What a task's events ask of the world.

use claustre_protocol::status::{TaskStatus, Word};

use crate::{
    effect::Effect,
    entity::World,
    event::{Event, Recorded},
};

/// Says what must be done after an event of a task: people are told of what needs them.
pub fn react(world: &dyn World, recorded: &Recorded) -> Vec<Effect> {
    let Event::TaskStatusChanged {
        task, to, reason, ..
    } = &recorded.event
    else {
        return Vec::new();
    };
    let tells = matches!(
        to,
        TaskStatus::InReview
            | TaskStatus::Conflict
            | TaskStatus::CiFailed
            | TaskStatus::Blocked
            | TaskStatus::Interrupted
            | TaskStatus::Error
    );
    let Some(known) = world.task(*task).filter(|_| tells) else {
        return Vec::new();
    };
    let title = known.title.value();
    let status = to.word().replace('_', " ");
    let text = match reason {
        Some(reason) => format!("{title}: {status} ({reason})"),
        None => format!("{title}: {status}"),
    };
    vec![Effect::Notify {
        session: known.active_session(),
        task: Some(*task),
        text,
        cause: recorded.id,
    }]
}
