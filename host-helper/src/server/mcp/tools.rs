//! The tools: what each is called, what it says of itself, and what it does.

use std::{
    future::Future,
    sync::{Arc, LazyLock},
};

use claustre_protocol::{
    ids::{SessionId, SubtaskId},
    rpc::Fault,
    status::Word,
};
use rmcp::{
    handler::server::tool::schema_for_input,
    model::{JsonObject, Tool, ToolAnnotations},
};
use serde_json::{Map, Value};
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    arguments::{self, SubtaskAction},
    backend::{McpBackend, TaskStep, TaskText},
    calls::Calls,
    rate::Bucket,
};
use crate::text;

/// What a model reads of this server as a whole.
pub const INSTRUCTIONS: &str = "Claustre runs this session and shows the user how it goes. \
Report with claustre_status when you start, and again whenever what you are doing changes or you get stuck. \
When the task is finished and checked, call claustre_task_done with a summary. \
When you need a decision, call claustre_ask: the user sees the question at once, and the answer comes back as its result.";

/// Most questions of one connection that wait at once.
const MAX_WAITING_QUESTIONS: usize = 4;

/// The tools by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolName {
    Status,
    TaskDone,
    Usage,
    Log,
    Task,
    Subtask,
    Ask,
    TaskCreate,
}

impl ToolName {
    /// All, in the order they are listed.
    pub const ALL: &'static [Self] = &[
        Self::Status,
        Self::TaskDone,
        Self::Usage,
        Self::Log,
        Self::Task,
        Self::Subtask,
        Self::Ask,
        Self::TaskCreate,
    ];

    /// The name on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Status => "claustre_status",
            Self::TaskDone => "claustre_task_done",
            Self::Usage => "claustre_usage",
            Self::Log => "claustre_log",
            Self::Task => "claustre_task",
            Self::Subtask => "claustre_subtask",
            Self::Ask => "claustre_ask",
            Self::TaskCreate => "claustre_task_create",
        }
    }

    /// The tool of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|tool| tool.word() == name)
    }

    const fn description(self) -> &'static str {
        match self {
            Self::Status => {
                "Tell the user what you are doing: working, waiting_for_input, done or error, with a short message. Call it at the start and whenever it changes."
            }
            Self::TaskDone => {
                "Say that your task is finished and checked. It goes to review with your summary. Call it once, at the end."
            }
            Self::Usage => {
                "Report tokens and cost used, for work that Claude Code itself does not count. Rarely needed."
            }
            Self::Log => "Write one line to the timeline of your task, for the user to read later.",
            Self::Task => "Read your own task: title, description, status and steps.",
            Self::Subtask => "Tick off a step of your task, or add one.",
            Self::Ask => {
                "Ask the user a question and wait for the answer, which is returned. Use it when you cannot go on without a decision."
            }
            Self::TaskCreate => {
                "Propose a follow-up task for work outside your own. It becomes a draft that the user accepts or discards; nothing starts by itself."
            }
        }
    }

    fn schema(self) -> Result<Arc<JsonObject>, String> {
        match self {
            Self::Status => schema_for_input::<arguments::Status>(),
            Self::TaskDone => schema_for_input::<arguments::TaskDone>(),
            Self::Usage => schema_for_input::<arguments::Usage>(),
            Self::Log => schema_for_input::<arguments::Log>(),
            Self::Task => schema_for_input::<arguments::OwnTask>(),
            Self::Subtask => schema_for_input::<arguments::Subtask>(),
            Self::Ask => schema_for_input::<arguments::Ask>(),
            Self::TaskCreate => schema_for_input::<arguments::TaskCreate>(),
        }
    }

    fn listed(self) -> Option<Tool> {
        let schema = self
            .schema()
            .inspect_err(|error| tracing::error!(tool = self.word(), %error, "no schema"))
            .ok()?;
        let annotations = ToolAnnotations::new()
            .read_only(self == Self::Task)
            .destructive(false)
            .open_world(false);
        Some(Tool::new(self.word(), self.description(), schema).with_annotations(annotations))
    }
}

/// The answer to `tools/list`, made once.
pub fn list() -> Vec<Tool> {
    static LIST: LazyLock<Vec<Tool>> = LazyLock::new(|| {
        ToolName::ALL
            .iter()
            .copied()
            .filter_map(ToolName::listed)
            .collect()
    });
    LIST.clone()
}

/// The tools of one connection.
pub struct Tools<B> {
    backend: Arc<B>,
    session: SessionId,
    calls: Calls,
    rate: Arc<Bucket>,
    questions: Semaphore,
    /// Cancelled when the peer is gone or the daemon stops.
    gone: CancellationToken,
}

impl<B: McpBackend> Tools<B> {
    /// The tools of an authenticated session.
    pub fn new(
        backend: Arc<B>,
        session: SessionId,
        calls: Calls,
        rate: Arc<Bucket>,
        gone: CancellationToken,
    ) -> Self {
        Self {
            backend,
            session,
            calls,
            rate,
            questions: Semaphore::new(MAX_WAITING_QUESTIONS),
            gone,
        }
    }

    /// Runs a tool; `request` is the id of the call in its connection, `cancelled` its own.
    ///
    /// # Errors
    /// What the agent should read: what is wrong and, behind `hint:`, what to do about it.
    pub async fn call(
        &self,
        tool: ToolName,
        given: Map<String, Value>,
        request: &str,
        cancelled: &CancellationToken,
    ) -> Result<String, String> {
        self.take_turn(cancelled).await?;
        let call = self.calls.id(request);
        match tool {
            ToolName::Status => self.status(arguments::read(given)?, call).await,
            ToolName::TaskDone => self.task_done(arguments::read(given)?, call).await,
            ToolName::Usage => self.usage(arguments::read(given)?, call).await,
            ToolName::Log => self.log(arguments::read(given)?, call).await,
            ToolName::Task => {
                let arguments::OwnTask {} = arguments::read(given)?;
                self.backend
                    .own_task(self.session)
                    .await
                    .map(|task| task_text(&task))
                    .map_err(told)
            }
            ToolName::Subtask => self.subtask(arguments::read(given)?, call).await,
            ToolName::Ask => self.ask(arguments::read(given)?, call, cancelled).await,
            ToolName::TaskCreate => self.task_create(arguments::read(given)?, call).await,
        }
    }

    /// The session's own task as text, for the resource.
    ///
    /// # Errors
    /// What the agent should read.
    pub async fn own_task(&self) -> Result<String, String> {
        self.take_turn(&CancellationToken::new()).await?;
        let task = self.backend.own_task(self.session).await.map_err(told)?;
        Ok(task_text(&task))
    }

    /// Waits until the session may call again.
    async fn take_turn(&self, cancelled: &CancellationToken) -> Result<(), String> {
        let wait = self.rate.take(Instant::now()).ok_or(
            "too many calls: slow down, at most 20 a second are taken\nhint: wait a few seconds; report only what changed",
        )?;
        if wait.is_zero() {
            return Ok(());
        }
        let turn = async {
            tokio::time::sleep(wait).await;
            Ok(String::new())
        };
        self.until_gone(cancelled, turn).await.map(drop)
    }

    async fn status(&self, given: arguments::Status, call: Option<Uuid>) -> Result<String, String> {
        arguments::own_session(given.session_id.as_deref(), self.session)?;
        let message = arguments::message(&given.message);
        self.backend
            .report_state(self.session, call, given.state.into(), message)
            .await
            .map(|()| "reported".to_owned())
            .map_err(told)
    }

    async fn task_done(
        &self,
        given: arguments::TaskDone,
        call: Option<Uuid>,
    ) -> Result<String, String> {
        arguments::own_session(given.session_id.as_deref(), self.session)?;
        let summary = arguments::message(&given.summary);
        self.backend
            .task_done(self.session, call, summary)
            .await
            .map(|()| "recorded: the task is finished".to_owned())
            .map_err(told)
    }

    async fn usage(&self, given: arguments::Usage, call: Option<Uuid>) -> Result<String, String> {
        arguments::own_session(given.session_id.as_deref(), self.session)?;
        let cost = arguments::cost(given.cost)?;
        self.backend
            .usage(
                self.session,
                call,
                given.input_tokens,
                given.output_tokens,
                cost,
            )
            .await
            .map(|()| "recorded".to_owned())
            .map_err(told)
    }

    async fn log(&self, given: arguments::Log, call: Option<Uuid>) -> Result<String, String> {
        arguments::own_session(given.session_id.as_deref(), self.session)?;
        let message = arguments::required(&given.message, arguments::MAX_MESSAGE, "message")?;
        self.backend
            .log(self.session, call, given.level.into(), message)
            .await
            .map(|()| "recorded".to_owned())
            .map_err(told)
    }

    async fn subtask(
        &self,
        given: arguments::Subtask,
        call: Option<Uuid>,
    ) -> Result<String, String> {
        match given.action {
            SubtaskAction::Add => {
                let title = given.title.ok_or("`add` needs `title`")?;
                let title = arguments::title(&title, "title")?;
                self.backend
                    .subtask_add(self.session, call, title.clone())
                    .await
                    .map(|()| format!("added: {title}"))
                    .map_err(told)
            }
            SubtaskAction::Done => {
                let step = given
                    .step
                    .or(given.title)
                    .ok_or("`done` needs `step`: a number, id or title from claustre_task")?;
                let task = self.backend.own_task(self.session).await.map_err(told)?;
                let step = find_step(&task.steps, &step)?;
                self.backend
                    .subtask_done(self.session, call, step.id)
                    .await
                    .map(|()| format!("done: {}", step.title))
                    .map_err(told)
            }
        }
    }

    async fn ask(
        &self,
        given: arguments::Ask,
        call: Option<Uuid>,
        cancelled: &CancellationToken,
    ) -> Result<String, String> {
        let question = arguments::required(&given.question, arguments::MAX_QUESTION, "question")?;
        let options = arguments::titles(&given.options, arguments::MAX_OPTIONS, "option")?;
        let _place = self.questions.try_acquire().map_err(|_| {
            format!("{MAX_WAITING_QUESTIONS} of your questions wait already\nhint: wait for an answer first")
        })?;
        self.until_gone(
            cancelled,
            self.backend.ask(self.session, call, question, options),
        )
        .await
    }

    async fn task_create(
        &self,
        given: arguments::TaskCreate,
        call: Option<Uuid>,
    ) -> Result<String, String> {
        let title = arguments::title(&given.title, "title")?;
        let description = arguments::description(&given.description)?;
        let steps = arguments::titles(&given.steps, arguments::MAX_STEPS, "step")?;
        self.backend
            .task_create(self.session, call, title, description, steps)
            .await
            .map(|task| format!("proposed as draft {task}; the user decides about it"))
            .map_err(told)
    }

    /// Waits for what may take hours, unless nobody waits for it any more.
    async fn until_gone(
        &self,
        cancelled: &CancellationToken,
        answer: impl Future<Output = Result<String, Fault>>,
    ) -> Result<String, String> {
        tokio::select! {
            biased;
            () = self.gone.cancelled() => Err("the connection ended before the answer came\nhint: ask again".to_owned()),
            () = cancelled.cancelled() => Err("cancelled before the answer came".to_owned()),
            answer = answer => answer.map_err(told),
        }
    }
}

/// Finds a step by its number in the list, id (whole or its first eight digits) or title.
fn find_step<'a>(steps: &'a [TaskStep], wanted: &str) -> Result<&'a TaskStep, String> {
    let wanted = wanted.trim();
    let by_number = || {
        let number: usize = wanted.trim_start_matches('#').parse().ok()?;
        steps.get(number.checked_sub(1)?)
    };
    let by_id = || {
        let id: Option<SubtaskId> = wanted.parse().ok();
        steps
            .iter()
            .find(|step| Some(step.id) == id || step.id.short().eq_ignore_ascii_case(wanted))
    };
    let by_title = || {
        let mut same = steps
            .iter()
            .filter(|step| step.title.trim().eq_ignore_ascii_case(wanted));
        // Two steps of one title: only the number says which.
        same.next().filter(|_| same.next().is_none())
    };
    by_id().or_else(by_title).or_else(by_number).ok_or_else(|| {
        let known: Vec<String> = steps
            .iter()
            .enumerate()
            .map(|(index, step)| format!("{} {}", index.saturating_add(1), step.title))
            .collect();
        let known = if known.is_empty() {
            "your task has no steps".to_owned()
        } else {
            format!("the steps are: {}", known.join("; "))
        };
        format!(
            "no step {:?}: {known}\nhint: give its number, id or exact title",
            text::one_line(wanted, 80)
        )
    })
}

/// A task as a model reads it.
fn task_text(task: &TaskText) -> String {
    let mut lines = vec![
        format!("Task: {}", task.title),
        format!("Status: {}", task.status.word()),
    ];
    if !task.description.trim().is_empty() {
        lines.push(String::new());
        lines.push(task.description.trim_end().to_owned());
    }
    if !task.steps.is_empty() {
        lines.push(String::new());
        lines.push("Steps:".to_owned());
        for (index, step) in task.steps.iter().enumerate() {
            let mark = if step.done { 'x' } else { ' ' };
            let number = index.saturating_add(1);
            lines.push(format!(
                "{number}. [{mark}] {} (id {})",
                step.title,
                step.id.short()
            ));
        }
    }
    if !task.documents.is_empty() {
        lines.push(String::new());
        lines.push("Documents:".to_owned());
        lines.extend(task.documents.iter().map(|name| format!("- {name}")));
    }
    lines.join("\n")
}

/// A fault as an agent reads it.
fn told(fault: Fault) -> String {
    match fault.hint() {
        Some(hint) => format!("{}\nhint: {hint}", fault.message),
        None => fault.message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use claustre_protocol::status::TaskStatus;
    use uuid::Uuid;

    fn steps() -> Vec<TaskStep> {
        ["Write it", "Test it", "Test it", "2"]
            .into_iter()
            .zip(1_u128..)
            .map(|(title, id)| TaskStep {
                id: SubtaskId::new(Uuid::from_u128(id << 96)),
                title: title.to_owned(),
                done: id == 1,
            })
            .collect()
    }

    #[test]
    fn a_step_is_found_by_number_id_and_title() {
        let steps = steps();
        let found = |wanted: &str| {
            find_step(&steps, wanted)
                .ok()
                .and_then(|step| steps.iter().position(|one| one.id == step.id))
        };
        assert_eq!(found("1"), Some(0));
        assert_eq!(found("#3"), Some(2));
        assert_eq!(found("00000002"), Some(1));
        assert_eq!(found(&steps[2].id.to_string()), Some(2));
        assert_eq!(found(" write IT "), Some(0));
        assert_eq!(found("2"), Some(3), "a title goes before a number");
        assert_eq!(found("Test it"), None, "which of the two?");
        assert_eq!(found("0"), None);
        assert_eq!(found("5"), None);
        let told = find_step(&steps, "nothing").unwrap_err();
        assert!(told.contains("1 Write it"), "{told}");
    }

    #[test]
    fn a_task_reads_like_a_note() {
        let text = task_text(&TaskText {
            title: "Fix login".to_owned(),
            description: "It fails.\n".to_owned(),
            status: TaskStatus::Working,
            steps: steps().into_iter().take(2).collect(),
            documents: vec!["spec.md".to_owned()],
        });
        assert_eq!(
            text,
            "Task: Fix login\nStatus: working\n\nIt fails.\n\nSteps:\n1. [x] Write it (id 00000001)\n2. [ ] Test it (id 00000002)\n\nDocuments:\n- spec.md"
        );
    }
}
