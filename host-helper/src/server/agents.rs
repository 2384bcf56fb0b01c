//! What the agents themselves may do, by MCP: each only for its own session and task.

use std::sync::Arc;

use claustre_domain::{
    command::{AgentState, Command, CreateTask, SessionCommand, TaskCommand},
    event::{AskOutcome, Event, NewSubtask},
    session::Session,
    task::Task,
};
use claustre_protocol::{
    ids::{AskId, EventId, SessionId, SubtaskId, TaskId},
    model::AskKind,
    rpc::{Fault, FaultCode},
    status::LogLevel,
};
use tokio::sync::broadcast::error::RecvError;
use uuid::Uuid;

use super::{
    api::Api,
    mcp::backend::{McpBackend, TaskStep, TaskText},
    quota::{self, Quotas},
};

/// The engine as agents see it.
pub struct Agents {
    /// Answers requests.
    pub api: Arc<Api>,
    /// Is this the session's token?
    pub is_token: super::IsToken,
    quotas: Quotas,
}

impl Agents {
    /// Agents that show these tokens.
    pub fn new(api: Arc<Api>, is_token: super::IsToken) -> Self {
        Self {
            api,
            is_token,
            quotas: Quotas::default(),
        }
    }

    async fn session(&self, id: SessionId) -> Result<Session, Fault> {
        self.api
            .engine
            .read(move |reader| reader.session(id))
            .await?
            .filter(Session::is_open)
            .ok_or_else(|| Fault::new(FaultCode::Refused, "this session is closed", None))
    }

    async fn task(&self, id: SessionId) -> Result<Task, Fault> {
        let task = self.session(id).await?.task.value();
        let found = match task {
            Some(task) => {
                self.api
                    .engine
                    .read(move |reader| reader.task(task))
                    .await?
            }
            None => None,
        };
        found.ok_or_else(|| {
            Fault::new(
                FaultCode::Refused,
                "this session works on no task",
                Some("report with claustre_status; the user sees it beside the session".into()),
            )
        })
    }

    /// Submits what a call wants done; a call that comes again changes nothing.
    async fn submit(&self, call: Option<Uuid>, command: Command) -> Result<(), Fault> {
        self.api
            .engine
            .submit_all(vec![command], "agent", call.map(EventId::new))
            .await
            .map(|_| ())
    }

    /// Counts a text that is about to be written down for a session.
    async fn count(&self, session: SessionId, text: usize) -> Result<(), Fault> {
        let now = self.api.engine.host.now();
        if !self.quotas.knows(session, now) {
            let since = quota::start_of_day(now);
            let bytes = self
                .api
                .engine
                .read(move |reader| reader.bytes_by(session, "agent", since))
                .await?;
            self.quotas.know(session, now, bytes);
        }
        self.quotas.take(session, now, text)
    }
}

impl McpBackend for Agents {
    async fn authenticate(&self, session: SessionId, token: &str) -> Option<()> {
        let is_token = self.is_token.clone();
        let token = token.to_owned();
        let is_own = tokio::task::spawn_blocking(move || is_token(session, &token))
            .await
            .is_ok_and(|checked| checked.unwrap_or(false));
        if !is_own {
            return None;
        }
        self.session(session).await.ok().map(|_| ())
    }

    async fn report_state(
        &self,
        session: SessionId,
        call: Option<Uuid>,
        state: AgentState,
        message: String,
    ) -> Result<(), Fault> {
        self.count(session, message.len()).await?;
        let command = Command::Session(SessionCommand::ReportState {
            session,
            state,
            message,
        });
        self.submit(call, command).await
    }

    /// Not counted: it is what the session is for, and ends it.
    async fn task_done(
        &self,
        session: SessionId,
        call: Option<Uuid>,
        summary: String,
    ) -> Result<(), Fault> {
        let task = self.task(session).await?.id;
        let command = Command::Task(TaskCommand::ReportFinished {
            task,
            session,
            summary,
        });
        self.submit(call, command).await
    }

    /// Kept in the timeline: the transcript counts exactly, an agent only guesses.
    async fn usage(
        &self,
        session: SessionId,
        call: Option<Uuid>,
        input_tokens: u64,
        output_tokens: u64,
        cost: Option<f64>,
    ) -> Result<(), Fault> {
        let cost = cost.map(|cost| format!(", ${cost:.4}")).unwrap_or_default();
        self.note(
            session,
            call,
            "usage",
            LogLevel::Info,
            format!("the agent counts {input_tokens} tokens in, {output_tokens} out{cost}"),
        )
        .await
    }

    async fn log(
        &self,
        session: SessionId,
        call: Option<Uuid>,
        level: LogLevel,
        message: String,
    ) -> Result<(), Fault> {
        self.note(session, call, "log", level, message).await
    }

    async fn own_task(&self, session: SessionId) -> Result<TaskText, Fault> {
        let task = self.task(session).await?;
        Ok(TaskText {
            title: task.title.value(),
            description: task.description.value(),
            status: task.status_now(),
            steps: task
                .steps()
                .into_iter()
                .map(|(id, step)| TaskStep {
                    id,
                    title: step.title().to_owned(),
                    done: step.done.value(),
                })
                .collect(),
            documents: Vec::new(),
        })
    }

    async fn subtask_done(
        &self,
        session: SessionId,
        call: Option<Uuid>,
        step: SubtaskId,
    ) -> Result<(), Fault> {
        let task = self.task(session).await?.id;
        let command = Command::Task(TaskCommand::CompleteSubtask {
            task,
            subtask: step,
            done: true,
        });
        self.submit(call, command).await
    }

    async fn subtask_add(
        &self,
        session: SessionId,
        call: Option<Uuid>,
        title: String,
    ) -> Result<(), Fault> {
        let known = self.task(session).await?;
        let task = known.id;
        let subtask = SubtaskId::new(self.id_of(call));
        if known.steps().into_iter().any(|(step, _)| step == subtask) {
            return Ok(());
        }
        self.count(session, title.len()).await?;
        let command = Command::Task(TaskCommand::AddSubtask {
            task,
            subtask,
            title,
        });
        // Its own id says whether it is there: no report id, so that one that was refused can be tried again.
        self.submit(None, command).await
    }

    async fn ask(
        &self,
        session: SessionId,
        call: Option<Uuid>,
        question: String,
        options: Vec<String>,
    ) -> Result<String, Fault> {
        let engine = &self.api.engine;
        let mut ask = AskId::new(self.id_of(call));
        let mut advanced = engine.subscribe();
        let known = engine.read(move |reader| reader.ask(ask)).await?;
        let ended = known
            .as_ref()
            .and_then(|known| Some((*known.outcome.get()?, known.text.value())));
        match ended {
            None => {}
            // Taken back when the daemon of the first time ended in order.
            Some((AskOutcome::Elsewhere | AskOutcome::Gone, _)) => {
                ask = AskId::new(engine.host.uuid());
            }
            Some((outcome, text)) => return answer(outcome, text),
        }
        if known.is_none_or(|known| known.id != ask) {
            let options_size: usize = options.iter().map(String::len).sum();
            self.count(session, question.len() + 2 * options_size)
                .await?;
            let title = crate::text::one_line(&question, 200);
            let mut detail = question;
            if !options.is_empty() {
                detail.push('\n');
            }
            for option in &options {
                detail.push_str("\n• ");
                detail.push_str(option);
            }
            let command = Command::Session(SessionCommand::ReportAsk {
                session,
                ask,
                kind: AskKind::Question,
                title,
                detail,
                options,
                answerable: true,
                since: engine.host.now(),
                attended: None,
            });
            self.submit(None, command).await?;
        }
        let mut open = OpenQuestion {
            api: self.api.clone(),
            session,
            ask: Some(ask),
        };
        let closed = loop {
            match advanced.recv().await {
                Ok(advanced) => {
                    let found = advanced
                        .events
                        .iter()
                        .find_map(|recorded| match &recorded.event {
                            Event::SessionAskClosed {
                                ask: closed,
                                outcome,
                                text,
                                ..
                            } if *closed == ask => Some((*outcome, text.clone())),
                            _ => None,
                        });
                    if let Some(found) = found {
                        break found;
                    }
                }
                Err(RecvError::Lagged(_)) => {
                    let known = engine.read(move |reader| reader.ask(ask)).await?;
                    if let Some(known) = known
                        && let Some(outcome) = known.outcome.get()
                    {
                        break (*outcome, known.text.value());
                    }
                }
                Err(RecvError::Closed) => {
                    return Err(Fault::new(
                        FaultCode::Internal,
                        "asking the user: the daemon is ending",
                        None,
                    ));
                }
            }
        };
        open.ask = None;
        answer(closed.0, closed.1)
    }

    async fn task_create(
        &self,
        session: SessionId,
        call: Option<Uuid>,
        title: String,
        description: String,
        steps: Vec<String>,
    ) -> Result<TaskId, Fault> {
        let project = self.session(session).await?.project().ok_or_else(|| {
            Fault::new(
                FaultCode::Refused,
                "this session belongs to no project",
                None,
            )
        })?;
        let host = self.api.engine.host.clone();
        let task = TaskId::new(self.id_of(call));
        if self
            .api
            .engine
            .read(move |reader| reader.task(task))
            .await?
            .is_some()
        {
            return Ok(task);
        }
        let steps_size: usize = steps.iter().map(|step| step.len() + 60).sum();
        self.count(session, title.len() + description.len() + steps_size)
            .await?;
        let defaults = &self.api.defaults;
        let command = Command::Task(TaskCommand::Create(Box::new(CreateTask {
            description,
            // A person decides whether it is done at all.
            draft: true,
            mode: defaults.mode,
            base: defaults.base.clone(),
            push_mode: defaults.push_mode,
            subtasks: steps
                .into_iter()
                .map(|title| NewSubtask {
                    subtask: SubtaskId::new(host.uuid()),
                    title,
                })
                .collect(),
            ..CreateTask::new(task, project, title)
        })));
        self.submit(None, command).await?;
        Ok(task)
    }
}

impl Agents {
    /// The id of what a call makes: the same when the call comes again.
    fn id_of(&self, call: Option<Uuid>) -> Uuid {
        call.unwrap_or_else(|| self.api.engine.host.uuid())
    }

    async fn note(
        &self,
        session: SessionId,
        call: Option<Uuid>,
        source: &str,
        level: LogLevel,
        text: String,
    ) -> Result<(), Fault> {
        let task = self.session(session).await?.task.value();
        self.count(session, text.len()).await?;
        let command = Command::Task(TaskCommand::Note {
            task,
            session: Some(session),
            source: source.into(),
            level,
            text,
        });
        self.submit(call, command).await
    }
}

/// What the agent reads of how its question ended.
fn answer(outcome: AskOutcome, text: Option<String>) -> Result<String, Fault> {
    match outcome {
        AskOutcome::Answered | AskOutcome::Approved => Ok(text.unwrap_or_else(|| "yes".into())),
        AskOutcome::Denied => {
            Ok(text.unwrap_or_else(|| "The user does not want to answer.".into()))
        }
        AskOutcome::Elsewhere | AskOutcome::Gone => Err(Fault::new(
            FaultCode::Refused,
            "asking the user: the question was taken back",
            None,
        )),
    }
}

/// A question that is taken back when the agent does not wait for its answer any more.
struct OpenQuestion {
    api: Arc<Api>,
    session: SessionId,
    ask: Option<AskId>,
}

impl Drop for OpenQuestion {
    fn drop(&mut self) {
        let Some(ask) = self.ask else {
            return;
        };
        let (api, session) = (self.api.clone(), self.session);
        tokio::spawn(async move {
            let command = Command::Session(SessionCommand::ReportAskClosed {
                session,
                ask: Some(ask),
                outcome: AskOutcome::Gone,
            });
            if let Err(fault) = api.engine.submit(command, "engine").await {
                tracing::warn!(%fault, "taking a question back");
            }
        });
    }
}
