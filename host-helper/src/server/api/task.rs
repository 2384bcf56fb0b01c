//! Requests about tasks; launching is in [`super::launch`], their steps are in [`super::subtask`].

use std::path::PathBuf;

use claustre_domain::{
    command::{Command, CreateTask, EditTask, TaskCommand},
    task::{Task as TaskEntity, unmet_dependencies_in},
};
use claustre_protocol::{
    ids::{MessageId, TaskId},
    model::{Task, TaskDetail},
    request::{Closing, Done, TaskAdd, TaskEdit, TaskList, TaskMove, WithText},
    rpc::{Fault, FaultCode},
    status::Priority,
};

use super::{Api, done, present};
use crate::{engine::port_fault, store::TaskFilter, text};

/// Longest title, in characters.
pub(super) const LONGEST_TITLE: usize = 200;
/// Longest prompt, in characters: more than a megabyte of text.
const LONGEST_PROMPT: usize = 2_000_000;
/// Longest reason, feedback line or step, in characters.
const LONGEST_TEXT: usize = 20_000;
/// What `task list` answers at most, unless asked for less.
const MOST_TASKS: usize = 1_000;

impl Api {
    pub(super) async fn task_add(&self, add: TaskAdd, actor: &str) -> Result<Task, Fault> {
        let project = self.find_project("adding a task", &add.project).await?;
        self.check_branches(add.base.as_deref(), add.branch.as_deref())?;
        if add.budget_usd.is_some() {
            return Err(Fault::new(
                FaultCode::Refused,
                "adding a task: a budget is not kept yet, so none is taken",
                Some("leave it out; claustre task show prints what a task has cost".into()),
            ));
        }
        self.check_task_base(&project, add.base.as_deref()).await?;
        let depends_on = self.find_all(&add.after).await?;
        let description = text::written(&add.description, LONGEST_PROMPT);
        let title = title_of(&add.title, &description);
        let task = TaskId::new(self.engine.host.uuid());
        let defaults = &self.defaults;
        let command = Command::Task(TaskCommand::Create(Box::new(CreateTask {
            task,
            project: project.id,
            title,
            description,
            draft: add.draft,
            mode: add.mode.unwrap_or(defaults.mode),
            priority: add.priority.unwrap_or_default(),
            base: given(add.base).or_else(|| defaults.base.clone()),
            branch: given(add.branch),
            push_mode: add.push_mode.unwrap_or(defaults.push_mode),
            review_loop: add.review_loop,
            depends_on,
            model: given(add.model),
            effort: given(add.effort),
            permission_mode: given(add.permission_mode),
            budget_usd: add.budget_usd,
            subtasks: self.new_subtasks(&add.subtasks),
        })));
        self.engine.submit(command, actor).await?;
        self.task_of(task).await
    }

    pub(super) async fn task_list(&self, list: TaskList) -> Result<Vec<Task>, Fault> {
        let project = match &list.project {
            Some(named) => Some(self.find_project("listing tasks", named).await?.id),
            None => None,
        };
        let after = match &list.after {
            Some(named) => Some(self.find_task("listing tasks", named).await?.id),
            None => None,
        };
        let filter = TaskFilter {
            project,
            status: list.status,
            after,
            limit: if list.limit == 0 {
                MOST_TASKS
            } else {
                usize::try_from(list.limit).unwrap_or(MOST_TASKS)
            },
            ..TaskFilter::default()
        };
        self.engine
            .read(move |reader| {
                let names = present::project_names(reader)?;
                Ok(reader
                    .tasks(filter)?
                    .iter()
                    .filter_map(|task| present::task(task, &names))
                    .collect())
            })
            .await
    }

    pub(super) async fn task_show(&self, named: &str) -> Result<TaskDetail, Fault> {
        let task = self.find_task("showing the task", named).await?;
        let live = self.engine.live.clone();
        self.engine
            .read(move |reader| {
                let names = present::project_names(reader)?;
                let session = match task.last_session() {
                    Some(id) => reader.session(id)?,
                    None => None,
                };
                let session = match session {
                    Some(session) => present::session(reader, &session, &names, &live)?,
                    None => None,
                };
                let mut waits_for = Vec::new();
                for id in task.depends_on.value() {
                    let other = reader.task(id)?;
                    waits_for.extend(unmet_dependencies_in(other.as_ref()));
                }
                let updates = reader.updates(task.id, 500)?;
                Ok(present::task(&task, &names).map(|shown| TaskDetail {
                    task: shown,
                    session,
                    updates,
                    waits_for,
                }))
            })
            .await?
            .ok_or_else(gone)
    }

    pub(super) async fn task_edit(&self, edit: TaskEdit, actor: &str) -> Result<Task, Fault> {
        let task = self.find_task("editing the task", &edit.of).await?;
        self.check_branches(edit.base.as_deref(), edit.branch.as_deref())?;
        if let Some(project) = task.project.get().copied() {
            let project = self
                .engine
                .read(move |reader| reader.project(project))
                .await?;
            if let Some(project) = project {
                self.check_task_base(&project, edit.base.as_deref()).await?;
            }
        }
        let depends_on = match &edit.after {
            Some(after) => Some(self.find_all(after).await?),
            None => None,
        };
        let mut commands = vec![Command::Task(TaskCommand::Edit(Box::new(EditTask {
            task: task.id,
            title: edit
                .title
                .map(|title| text::written_line(&title, LONGEST_TITLE)),
            description: edit
                .description
                .map(|description| text::written(&description, LONGEST_PROMPT)),
            mode: edit.mode,
            priority: edit.priority,
            base: edit.base.map(|base| given(Some(base))),
            branch: edit.branch.map(|branch| given(Some(branch))),
            push_mode: edit.push_mode,
            review_loop: edit.review_loop,
            depends_on,
            model: edit.model.map(|model| given(Some(model))),
            effort: edit.effort.map(|effort| given(Some(effort))),
            permission_mode: edit.permission_mode.map(|mode| given(Some(mode))),
            subtasks: edit.subtasks.map(|titles| self.new_subtasks(&titles)),
        })))];
        if edit.submit {
            commands.push(Command::Task(TaskCommand::Submit { task: task.id }));
        }
        self.engine.submit_all(commands, actor, None).await?;
        self.task_of(task.id).await
    }

    pub(super) async fn task_done(&self, named: &str, actor: &str) -> Result<Task, Fault> {
        let task = self.find_task("marking the task done", named).await?;
        self.order_task(task.id, TaskCommand::MarkDone { task: task.id }, actor)
            .await
    }

    pub(super) async fn task_send_back(&self, with: WithText, actor: &str) -> Result<Task, Fault> {
        let task = self.find_task("sending the task back", &with.of).await?;
        let command = TaskCommand::SendBack {
            task: task.id,
            message: MessageId::new(self.engine.host.uuid()),
            feedback: text::written(&with.text, LONGEST_PROMPT),
        };
        self.order_task(task.id, command, actor).await
    }

    pub(super) async fn task_block(&self, with: WithText, actor: &str) -> Result<Task, Fault> {
        let task = self.find_task("blocking the task", &with.of).await?;
        let command = TaskCommand::Block {
            task: task.id,
            reason: text::written_line(&with.text, LONGEST_TEXT),
        };
        self.order_task(task.id, command, actor).await
    }

    pub(super) async fn task_reopen(&self, named: &str, actor: &str) -> Result<Task, Fault> {
        let task = self.find_task("reopening the task", named).await?;
        self.order_task(task.id, TaskCommand::Reopen { task: task.id }, actor)
            .await
    }

    pub(super) async fn task_kill(&self, closing: Closing, actor: &str) -> Result<Task, Fault> {
        let task = self.find_task("killing the task", &closing.of).await?.id;
        let shown = closing.shown;
        self.order_task(task, TaskCommand::Kill { task, shown }, actor)
            .await
    }

    pub(super) async fn task_move(&self, wanted: TaskMove, actor: &str) -> Result<Task, Fault> {
        let doing = "moving the task";
        let task = self.find_task(doing, &wanted.of).await?;
        let (anchor, before) = match (&wanted.before, &wanted.after) {
            (Some(anchor), None) => (anchor, true),
            (None, Some(anchor)) => (anchor, false),
            _ => {
                return Err(Fault::new(
                    FaultCode::InvalidParams,
                    format!("{doing}: say either before or after which task"),
                    Some("claustre task move TASK --before OTHER".into()),
                ));
            }
        };
        let anchor = self.find_task(doing, anchor).await?;
        let priority: Priority = anchor.priority.value();
        let filter = TaskFilter {
            project: anchor.project.get().copied(),
            status: None,
            ..TaskFilter::default()
        };
        let others: Vec<TaskEntity> = self
            .engine
            .read(move |reader| reader.tasks(filter))
            .await?
            .into_iter()
            .filter(|other| other.id != task.id && other.priority.value() == priority)
            .collect();
        let place = others.iter().position(|other| other.id == anchor.id);
        let neighbour = place.and_then(|place| {
            if before {
                place.checked_sub(1).and_then(|place| others.get(place))
            } else {
                others.get(place + 1)
            }
        });
        let here = anchor.rank.value();
        let rank = match neighbour {
            Some(other) => f64::midpoint(here, other.rank.value()),
            None if before => here - 1_000.0,
            None => here + 1_000.0,
        };
        let command = TaskCommand::Move {
            task: task.id,
            rank,
            priority,
        };
        self.order_task(task.id, command, actor).await
    }

    pub(super) async fn task_delete(&self, named: &str, actor: &str) -> Result<Done, Fault> {
        let task = self.find_task("deleting the task", named).await?;
        self.engine
            .submit(Command::Task(TaskCommand::Delete { task: task.id }), actor)
            .await?;
        Ok(done(format!(
            "'{}' was deleted; claustre task undo brings it back",
            task.title.value()
        )))
    }

    pub(super) async fn task_undo(&self, actor: &str) -> Result<Task, Fault> {
        let task = self
            .engine
            .read(|reader| reader.last_deleted_task())
            .await?
            .ok_or_else(|| Fault::new(FaultCode::Refused, "undoing: no task was deleted", None))?;
        self.order_task(task, TaskCommand::Restore { task }, actor)
            .await
    }

    pub(super) async fn task_of(&self, id: TaskId) -> Result<Task, Fault> {
        self.engine
            .read(move |reader| {
                let names = present::project_names(reader)?;
                Ok(reader
                    .task(id)?
                    .and_then(|task| present::task(&task, &names)))
            })
            .await?
            .ok_or_else(gone)
    }

    pub(super) async fn order_task(
        &self,
        task: TaskId,
        command: TaskCommand,
        actor: &str,
    ) -> Result<Task, Fault> {
        self.engine.submit(Command::Task(command), actor).await?;
        self.task_of(task).await
    }

    async fn find_all(&self, named: &[String]) -> Result<Vec<TaskId>, Fault> {
        let mut found = Vec::with_capacity(named.len());
        for one in named {
            found.push(self.find_task("finding a dependency", one).await?.id);
        }
        Ok(found)
    }

    /// Refuses a base that is not there now, unless it is the branch that another task of the project will make.
    async fn check_task_base(
        &self,
        project: &claustre_domain::project::Project,
        base: Option<&str>,
    ) -> Result<(), Fault> {
        let Some(base) = base.filter(|base| !base.is_empty()) else {
            return Ok(());
        };
        let Some(repository) = project.path_on(self.engine.machine).map(PathBuf::from) else {
            return Ok(());
        };
        let missing = match self.check_base(repository, base.to_owned()).await {
            Ok(()) => return Ok(()),
            Err(missing) => missing,
        };
        let filter = TaskFilter {
            project: Some(project.id),
            limit: MOST_TASKS,
            ..TaskFilter::default()
        };
        let tasks = self.engine.read(move |reader| reader.tasks(filter)).await?;
        let is_to_come = tasks.iter().any(|task| {
            task.branch.value().as_deref() == Some(base)
                || self
                    .workspace
                    .branch_for(&task.title.value(), task.id.uuid())
                    == base
        });
        if is_to_come { Ok(()) } else { Err(missing) }
    }

    fn check_branches(&self, base: Option<&str>, branch: Option<&str>) -> Result<(), Fault> {
        for name in [base, branch]
            .into_iter()
            .flatten()
            .filter(|name| !name.is_empty())
        {
            self.workspace.check_branch(name).map_err(port_fault)?;
        }
        Ok(())
    }
}

/// The title given, else the first line of the description.
fn title_of(title: &str, description: &str) -> String {
    let given = text::written_line(title, LONGEST_TITLE);
    if !given.trim().is_empty() {
        return given;
    }
    let first = description
        .lines()
        .map(|line| line.trim_start_matches(['#', ' ']))
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    text::written_line(first, 80)
}

/// A text that says something.
fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

pub(super) fn gone() -> Fault {
    Fault::new(FaultCode::NotFound, "reading the task: it is gone", None)
}
