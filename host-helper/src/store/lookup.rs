//! A reader as the domain's read-only questions see it, such as what a task still waits for. Decisions are made in a
//! [`super::Transaction`], which refuses to commit after a failed read; here a failed read is logged and answers nothing.

use claustre_domain::{
    entity::World,
    project::Project,
    session::{Ask, Message, Session},
    task::Task,
};
use claustre_protocol::ids::{AskId, MessageId, ProjectId, SessionId, TaskId};

use super::{Reader, SessionFilter, StoreError};

fn or_nothing<T: Default>(read: Result<T, StoreError>) -> T {
    read.unwrap_or_else(|error| {
        tracing::error!(%error, "reading the store");
        T::default()
    })
}

impl World for Reader {
    fn project(&self, id: ProjectId) -> Option<Project> {
        or_nothing(Reader::project(self, id))
    }
    fn project_named(&self, name: &str) -> Option<Project> {
        or_nothing(self.projects())
            .into_iter()
            .find(|project| project.name.get().is_some_and(|known| known == name))
    }
    fn task(&self, id: TaskId) -> Option<Task> {
        or_nothing(Reader::task(self, id))
    }
    fn session(&self, id: SessionId) -> Option<Session> {
        or_nothing(Reader::session(self, id))
    }
    fn ask(&self, id: AskId) -> Option<Ask> {
        or_nothing(Reader::ask(self, id))
    }
    fn message(&self, id: MessageId) -> Option<Message> {
        or_nothing(Reader::message(self, id))
    }
    fn open_sessions(&self, project: ProjectId) -> Vec<Session> {
        or_nothing(self.sessions(SessionFilter {
            project: Some(project),
            open_only: true,
        }))
    }
    fn dependents(&self, task: TaskId) -> Vec<Task> {
        or_nothing(Reader::dependents(self, task))
    }
    fn waiting_messages(&self, session: SessionId) -> Vec<Message> {
        or_nothing(Reader::waiting_messages(self, session))
    }
}
