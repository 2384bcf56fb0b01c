//! Requests about the steps of a task.

use claustre_domain::{command::TaskCommand, event::NewSubtask};
use claustre_protocol::{
    ids::{SubtaskId, TaskId},
    model::Subtask,
    request::{Done, SubtaskNamed, WithText},
    rpc::{Fault, FaultCode},
};

use super::{
    Api, done,
    task::{LONGEST_TITLE, gone},
};
use crate::text;

impl Api {
    pub(super) async fn subtask_add(&self, with: WithText, actor: &str) -> Result<Subtask, Fault> {
        let task = self.find_task("adding a step", &with.of).await?;
        let subtask = SubtaskId::new(self.engine.host.uuid());
        let command = TaskCommand::AddSubtask {
            task: task.id,
            subtask,
            title: text::written_line(&with.text, LONGEST_TITLE),
        };
        let shown = self.order_task(task.id, command, actor).await?;
        shown
            .subtasks
            .into_iter()
            .find(|step| step.id == subtask)
            .ok_or_else(gone)
    }

    pub(super) async fn subtask_list(&self, named: &str) -> Result<Vec<Subtask>, Fault> {
        let task = self.find_task("listing steps", named).await?;
        Ok(claustre_domain::projection::board::subtasks(&task))
    }

    pub(super) async fn subtask_done(
        &self,
        named: SubtaskNamed,
        actor: &str,
    ) -> Result<Subtask, Fault> {
        let (task, subtask) = self.find_subtask("finishing a step", &named).await?;
        let command = TaskCommand::CompleteSubtask {
            task,
            subtask,
            done: true,
        };
        let shown = self.order_task(task, command, actor).await?;
        shown
            .subtasks
            .into_iter()
            .find(|step| step.id == subtask)
            .ok_or_else(gone)
    }

    pub(super) async fn subtask_remove(
        &self,
        named: SubtaskNamed,
        actor: &str,
    ) -> Result<Done, Fault> {
        let (task, subtask) = self.find_subtask("removing a step", &named).await?;
        self.order_task(task, TaskCommand::RemoveSubtask { task, subtask }, actor)
            .await?;
        Ok(done("the step was removed"))
    }

    /// A step by id, the beginning of it, its title, or its number from 1.
    pub(super) async fn find_subtask(
        &self,
        doing: &str,
        named: &SubtaskNamed,
    ) -> Result<(TaskId, SubtaskId), Fault> {
        let task = self.find_task(doing, &named.task).await?;
        let steps = claustre_domain::projection::board::subtasks(&task);
        let by_number = named
            .of
            .parse::<usize>()
            .ok()
            .and_then(|number| steps.get(number.checked_sub(1)?))
            .map(|step| step.id);
        let wanted = named.of.to_lowercase();
        let found = by_number.or_else(|| {
            let mut matching = steps.iter().filter(|step| {
                step.title.to_lowercase() == wanted
                    || (wanted.len() >= 4 && step.id.to_string().starts_with(&wanted))
            });
            match (matching.next(), matching.next()) {
                (Some(step), None) => Some(step.id),
                _ => None,
            }
        });
        found.map(|subtask| (task.id, subtask)).ok_or_else(|| {
            Fault::new(
                FaultCode::NotFound,
                format!(
                    "{doing}: the task '{}' has no step '{}'",
                    task.title.value(),
                    text::one_line(&named.of, 60)
                ),
                Some("name it by its number: claustre subtask list".into()),
            )
        })
    }

    /// New steps with these titles; empty ones are left out.
    pub(super) fn new_subtasks(&self, titles: &[String]) -> Vec<NewSubtask> {
        titles
            .iter()
            .map(|title| text::written_line(title, LONGEST_TITLE))
            .filter(|title| !title.is_empty())
            .map(|title| NewSubtask {
                subtask: SubtaskId::new(self.engine.host.uuid()),
                title,
            })
            .collect()
    }
}
