//! Launching a task, or trying it again: all that is looked at before, and the order for its session.

use claustre_domain::{
    command::{Command, OpenSession, SessionCommand, TaskCommand},
    task::{Task as TaskEntity, prompt},
};
use claustre_protocol::{
    ids::{AssignmentId, SessionId},
    model::Task,
    rpc::{Fault, FaultCode},
    status::Mode,
};

use super::{super::dashboard::is_running, Api, task::gone};
use crate::{
    engine::{port_fault, waiting},
    ports::WorktreeOrder,
    store::SessionFilter,
};

impl Api {
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
        let _turn = self.room_for_a_session("launching the task").await?;
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
        waiting::on(
            "git and the programs of a session",
            tokio::task::spawn_blocking(move || {
                workspace.check_start(&order)?;
                check_programs()
            }),
        )
        .await
        .map_err(|error| Fault::new(FaultCode::Internal, format!("launching: {error}"), None))?
        .map_err(port_fault)
    }

    /// Waits for its turn to open a session; keep it until the session is stored, so that forty at once are counted one by one.
    pub(super) async fn room_for_a_session(
        &self,
        doing: &str,
    ) -> Result<tokio::sync::MutexGuard<'_, ()>, Fault> {
        let turn = waiting::on("others that open sessions", self.opening.lock()).await;
        let open = SessionFilter {
            project: None,
            open_only: true,
        };
        let running = self
            .engine
            .read(move |reader| reader.sessions(open))
            .await?
            .iter()
            .filter(|session| is_running(session))
            .count();
        let most = usize::try_from(self.max_sessions).unwrap_or(usize::MAX);
        if running < most {
            return Ok(turn);
        }
        Err(Fault::new(
            FaultCode::Refused,
            format!(
                "{doing}: {running} sessions work already, as many as [queue] max_sessions allows"
            ),
            Some("wait for one of them, or raise max_sessions in the configuration".into()),
        ))
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
                            shown: None,
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
}
