//! Giving tasks to sessions that are open already.

use claustre_domain::{
    command::{Command, TaskCommand},
    task::{self, next_for_itself},
};
use claustre_protocol::{
    ids::{AssignmentId, MessageId, SessionId, TaskId},
    model::Task,
    request::TaskAssign,
    rpc::Fault,
    status::{ProjectStatus, TaskStatus},
};

use super::{Api, task::gone};
use crate::store::TaskFilter;

impl Api {
    pub(super) async fn task_assign(&self, wanted: TaskAssign, actor: &str) -> Result<Task, Fault> {
        let doing = "assigning the task";
        let task = self.find_task(doing, &wanted.of).await?;
        let session = self.find_session(doing, &wanted.session).await?;
        self.assign(task.id, session.id, actor).await
    }

    /// Gives the session the first task of its project's queue that may run by itself; none where none waits, or where the project
    /// is paused or done.
    pub(super) async fn session_feed_next(
        &self,
        named: &str,
        actor: &str,
    ) -> Result<Option<Task>, Fault> {
        let doing = "feeding the session its next task";
        let session = self.find_session(doing, named).await?;
        let project = session.project().ok_or_else(gone)?;
        let asking = session.clone();
        let next = self
            .engine
            .read(move |reader| {
                let active = reader
                    .project(project)?
                    .is_some_and(|project| project.status.value() == ProjectStatus::Active);
                if !active {
                    return Ok(None);
                }
                let queue = reader.tasks(TaskFilter {
                    project: Some(project),
                    status: Some(TaskStatus::Pending),
                    ..TaskFilter::default()
                })?;
                Ok(next_for_itself(reader, &asking, queue).map(|task: task::Task| task.id))
            })
            .await?;
        match next {
            Some(task) => Ok(Some(self.assign(task, session.id, actor).await?)),
            None => Ok(None),
        }
    }

    async fn assign(&self, task: TaskId, session: SessionId, actor: &str) -> Result<Task, Fault> {
        let command = TaskCommand::Assign {
            task,
            assignment: AssignmentId::new(self.engine.host.uuid()),
            session,
            message: MessageId::new(self.engine.host.uuid()),
        };
        self.engine.submit(Command::Task(command), actor).await?;
        self.task_of(task).await
    }
}
