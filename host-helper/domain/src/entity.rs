//! What the log is folded into, and how a decision looks things up.

use claustre_protocol::ids::{AskId, MessageId, ProjectId, SessionId, TaskId};

use crate::{
    event::{Event, Recorded},
    project::Project,
    session::{Ask, Message, Session},
    task::Task,
};

/// Names one entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntityRef {
    /// A project.
    Project(ProjectId),
    /// A task.
    Task(TaskId),
    /// A session.
    Session(SessionId),
    /// Something a session asked.
    Ask(AskId),
    /// A message to a session.
    Message(MessageId),
}

/// An entity folded from its events.
#[derive(Debug, Clone, PartialEq)]
pub enum Entity {
    /// A project.
    Project(Box<Project>),
    /// A task.
    Task(Box<Task>),
    /// A session.
    Session(Box<Session>),
    /// Something a session asked.
    Ask(Box<Ask>),
    /// A message to a session.
    Message(Box<Message>),
}

impl Entity {
    /// The entity before its first event.
    pub fn empty(of: EntityRef) -> Self {
        match of {
            EntityRef::Project(id) => Self::Project(Box::new(Project::new(id))),
            EntityRef::Task(id) => Self::Task(Box::new(Task::new(id))),
            EntityRef::Session(id) => Self::Session(Box::new(Session::new(id))),
            EntityRef::Ask(id) => Self::Ask(Box::new(Ask::new(id))),
            EntityRef::Message(id) => Self::Message(Box::new(Message::new(id))),
        }
    }

    /// Folds one event in. Total, and indifferent to the order and repetition of events.
    pub fn evolve(&mut self, recorded: &Recorded) {
        match self {
            Self::Project(project) => project.evolve(recorded),
            Self::Task(task) => task.evolve(recorded),
            Self::Session(session) => session.evolve(recorded),
            Self::Ask(ask) => ask.evolve(recorded),
            Self::Message(message) => message.evolve(recorded),
        }
    }
}

/// The entities that an event is folded into, the one it is mainly about first.
pub fn touched(event: &Event) -> impl Iterator<Item = EntityRef> + use<> {
    let (first, second) = touches(event);
    first.into_iter().chain(second)
}

/// At most two, so that the fold of a long log asks for no memory here.
fn touches(event: &Event) -> (Option<EntityRef>, Option<EntityRef>) {
    use EntityRef as R;
    let one = |of| (Some(of), None);
    let both = |first, second| (Some(first), Some(second));
    match event {
        Event::ProjectAdded(added) => one(R::Project(added.project)),
        Event::ProjectEdited(edited) => one(R::Project(edited.project)),
        Event::ProjectRemoved { project, .. } => one(R::Project(*project)),
        Event::TaskCreated(created) => one(R::Task(created.task)),
        Event::TaskEdited(edited) => one(R::Task(edited.task)),
        Event::TaskStatusChanged { task, .. }
        | Event::TaskMoved { task, .. }
        | Event::TaskDeleted { task, .. }
        | Event::TaskRestored { task, .. }
        | Event::TaskPullRequestSeen { task, .. }
        | Event::SubtaskAdded { task, .. }
        | Event::SubtaskCompleted { task, .. }
        | Event::SubtaskRemoved { task, .. } => one(R::Task(*task)),
        Event::TaskAssigned { task, session, .. }
        | Event::AssignmentEnded { task, session, .. } => {
            both(R::Task(*task), R::Session(*session))
        }
        // A line of the timeline is read from the log; no entity changes.
        Event::TaskNoted { .. } => (None, None),
        Event::SessionOpened(opened) => one(R::Session(opened.session)),
        Event::SessionWorktreeReady { session, .. }
        | Event::SessionPaneOpened { session, .. }
        | Event::SessionClientStarted { session, .. }
        | Event::SessionIdentified { session, .. }
        | Event::SessionStatusChanged { session, .. }
        | Event::SessionReported { session, .. }
        | Event::SessionClosed { session, .. }
        | Event::WorktreeRemoved { session, .. }
        | Event::WorktreeRestored { session, .. }
        | Event::SnapshotExpired { session, .. } => one(R::Session(*session)),
        Event::SessionAsked(asked) => both(R::Ask(asked.ask), R::Session(asked.session)),
        Event::SessionAskAttended { session, ask }
        | Event::SessionAskUnattended { session, ask }
        | Event::SessionAskAnswered { session, ask, .. }
        | Event::SessionAskClosed { session, ask, .. } => both(R::Ask(*ask), R::Session(*session)),
        Event::MessageQueued {
            message, session, ..
        }
        | Event::MessageTyped {
            message, session, ..
        }
        | Event::MessageRetried {
            message, session, ..
        }
        | Event::MessageDelivered {
            message, session, ..
        }
        | Event::MessageDropped {
            message, session, ..
        } => both(R::Message(*message), R::Session(*session)),
        Event::UsageRecorded { session, task, .. } => {
            (Some(R::Session(*session)), task.map(R::Task))
        }
    }
}

/// The entities as a decision sees them. An implementation over a store keeps a failed read to itself, answers `None`,
/// and refuses to commit.
pub trait World {
    /// A project, removed ones too.
    fn project(&self, id: ProjectId) -> Option<Project>;
    /// The project of this name that is not removed.
    fn project_named(&self, name: &str) -> Option<Project>;
    /// A task, deleted ones too.
    fn task(&self, id: TaskId) -> Option<Task>;
    /// A session, closed ones too.
    fn session(&self, id: SessionId) -> Option<Session>;
    /// Something a session asked.
    fn ask(&self, id: AskId) -> Option<Ask>;
    /// A message to a session.
    fn message(&self, id: MessageId) -> Option<Message>;
    /// The sessions of a project that are not closed.
    fn open_sessions(&self, project: ProjectId) -> Vec<Session>;
    /// The tasks that depend on this one and are not deleted.
    fn dependents(&self, task: TaskId) -> Vec<Task>;
    /// The messages of a session that still wait, oldest first.
    fn waiting_messages(&self, session: SessionId) -> Vec<Message>;
}
