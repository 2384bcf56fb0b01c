//! Requests about tasks and their steps.

use claustre_domain::{
    command::{Command, CreateTask, EditTask, OpenSession, SessionCommand, TaskCommand},
    event::NewSubtask,
    task::{Task as TaskEntity, prompt, unmet_dependencies_in},
};
use claustre_protocol::{
    ids::{AssignmentId, MessageId, SessionId, SubtaskId, TaskId},
    model::{Subtask, Task, TaskDetail},
    request::{Done, SubtaskNamed, TaskAdd, TaskEdit, TaskList, TaskMove, WithText},
    rpc::{Fault, FaultCode},
    status::{Mode, Priority},
};

use super::{Api, done, present};
use crate::{engine::port_fault, ports::WorktreeOrder, store::TaskFilter, text};

/// Longest title, in characters.
const LONGEST_TITLE: usize = 200;
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
        let depends_on = self.find_all(&add.after).await?;
        let description = text::sanitise(&add.description, LONGEST_PROMPT);
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
        let filter = TaskFilter {
            project,
            status: list.status,
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
        let depends_on = match &edit.after {
            Some(after) => Some(self.find_all(after).await?),
            None => None,
        };
        let mut commands = vec![Command::Task(TaskCommand::Edit(Box::new(EditTask {
            task: task.id,
            title: edit
                .title
                .map(|title| text::one_line(&title, LONGEST_TITLE)),
            description: edit
                .description
                .map(|description| text::sanitise(&description, LONGEST_PROMPT)),
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

    pub(super) async fn task_launch(&self, named: &str, actor: &str) -> Result<Task, Fault> {
        let task = self.find_task("launching the task", named).await?;
        self.launch(&task, actor).await?;
        self.task_of(task.id).await
    }

    async fn launch(&self, task: &TaskEntity, actor: &str) -> Result<SessionId, Fault> {
        let project_id = *task.project.get().ok_or_else(gone)?;
        let project = self
            .engine
            .read(move |reader| reader.project(project_id))
            .await?
            .ok_or_else(gone)?;
        let base = task
            .base
            .value()
            .unwrap_or_else(|| project.default_branch.value());
        let branch = task.branch.value().unwrap_or_else(|| {
            self.workspace
                .branch_for(&task.title.value(), task.id.uuid())
        });
        self.check_start(&project, &branch, &base).await?;
        let mut open =
            self.open_session(project_id, task.title.value(), branch, task.mode.value())?;
        open.base = Some(base.clone());
        open.prompt = prompt::first_prompt(task, &base);
        open.model = task.model.value().or(open.model);
        open.effort = task.effort.value().or(open.effort);
        open.permission_mode = task.permission_mode.value().or(open.permission_mode);
        let session = open.session;
        let command = Command::Task(TaskCommand::Launch {
            task: task.id,
            assignment: AssignmentId::new(self.engine.host.uuid()),
            open: Box::new(open),
        });
        self.engine.submit(command, actor).await?;
        Ok(session)
    }

    /// Refuses at once what would otherwise fail a moment later, where nobody looks: a program that is missing, a base that is not
    /// there, a branch that is checked out elsewhere.
    pub(super) async fn check_start(
        &self,
        project: &claustre_domain::project::Project,
        branch: &str,
        base: &str,
    ) -> Result<(), Fault> {
        let Some(repository) = project.path_on(self.engine.machine) else {
            return Ok(());
        };
        let order = WorktreeOrder {
            repository: repository.into(),
            project: project.name.value(),
            branch: branch.to_owned(),
            base: Some(base.to_owned()),
        };
        let (workspace, check_programs) = (self.workspace.clone(), self.check_programs.clone());
        tokio::task::spawn_blocking(move || {
            workspace.check_start(&order)?;
            check_programs()
        })
        .await
        .map_err(|error| Fault::new(FaultCode::Internal, format!("launching: {error}"), None))?
        .map_err(port_fault)
    }

    /// An order for a new session, with its token minted.
    pub(super) fn open_session(
        &self,
        project: claustre_protocol::ids::ProjectId,
        title: String,
        branch: String,
        mode: Mode,
    ) -> Result<OpenSession, Fault> {
        self.workspace.check_branch(&branch).map_err(port_fault)?;
        let session = SessionId::new(self.engine.host.uuid());
        let token_hash = (self.mint_token)(session).map_err(port_fault)?;
        Ok(OpenSession {
            session,
            project,
            title,
            branch,
            base: None,
            mode,
            host: self.engine.host.name(),
            claude_session_id: self.engine.host.uuid().to_string(),
            token_hash,
            prompt: None,
            model: self.defaults.model.clone(),
            effort: self.defaults.effort.clone(),
            permission_mode: self.defaults.permission_mode.clone(),
        })
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
            feedback: text::sanitise(&with.text, LONGEST_PROMPT),
        };
        self.order_task(task.id, command, actor).await
    }

    pub(super) async fn task_block(&self, with: WithText, actor: &str) -> Result<Task, Fault> {
        let task = self.find_task("blocking the task", &with.of).await?;
        let command = TaskCommand::Block {
            task: task.id,
            reason: text::one_line(&with.text, LONGEST_TEXT),
        };
        self.order_task(task.id, command, actor).await
    }

    pub(super) async fn task_reopen(&self, named: &str, actor: &str) -> Result<Task, Fault> {
        let task = self.find_task("reopening the task", named).await?;
        self.order_task(task.id, TaskCommand::Reopen { task: task.id }, actor)
            .await
    }

    /// Resumes the session where there is one, else launches anew.
    pub(super) async fn task_retry(&self, named: &str, actor: &str) -> Result<Task, Fault> {
        let task = self.find_task("trying the task again", named).await?;
        let session = match task.active_session() {
            Some(id) => self.engine.read(move |reader| reader.session(id)).await?,
            None => None,
        };
        match session.filter(|session| session.is_open()) {
            // Its worktree was never made: there is nothing to resume.
            Some(session) if session.worktree.is_empty() => {
                self.engine
                    .submit(
                        Command::Session(SessionCommand::Close {
                            session: session.id,
                        }),
                        actor,
                    )
                    .await?;
                let id = task.id;
                let fresh = self
                    .engine
                    .read(move |reader| reader.task(id))
                    .await?
                    .ok_or_else(gone)?;
                self.launch(&fresh, actor).await?;
            }
            Some(session) => {
                self.engine
                    .submit(
                        Command::Session(SessionCommand::Resume {
                            session: session.id,
                        }),
                        actor,
                    )
                    .await?;
            }
            None => {
                self.launch(&task, actor).await?;
            }
        }
        self.task_of(task.id).await
    }

    pub(super) async fn task_kill(&self, named: &str, actor: &str) -> Result<Task, Fault> {
        let task = self.find_task("killing the task", named).await?;
        self.order_task(task.id, TaskCommand::Kill { task: task.id }, actor)
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

    pub(super) async fn subtask_add(&self, with: WithText, actor: &str) -> Result<Subtask, Fault> {
        let task = self.find_task("adding a step", &with.of).await?;
        let subtask = SubtaskId::new(self.engine.host.uuid());
        let command = TaskCommand::AddSubtask {
            task: task.id,
            subtask,
            title: text::one_line(&with.text, LONGEST_TITLE),
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

    async fn order_task(
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

    fn new_subtasks(&self, titles: &[String]) -> Vec<NewSubtask> {
        titles
            .iter()
            .map(|title| text::one_line(title, LONGEST_TITLE))
            .filter(|title| !title.is_empty())
            .map(|title| NewSubtask {
                subtask: SubtaskId::new(self.engine.host.uuid()),
                title,
            })
            .collect()
    }
}

/// The title given, else the first line of the description.
fn title_of(title: &str, description: &str) -> String {
    let given = text::one_line(title, LONGEST_TITLE);
    if !given.trim().is_empty() {
        return given;
    }
    let first = description
        .lines()
        .map(|line| line.trim_start_matches(['#', ' ']))
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    text::one_line(first, 80)
}

/// A text that says something.
fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

fn gone() -> Fault {
    Fault::new(FaultCode::NotFound, "reading the task: it is gone", None)
}
