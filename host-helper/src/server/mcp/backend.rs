//! What the MCP server needs of the engine.

use std::future::Future;

use claustre_domain::command::AgentState;
use claustre_protocol::{
    ids::{SessionId, SubtaskId, TaskId},
    rpc::Fault,
    status::{LogLevel, TaskStatus},
};
use uuid::Uuid;

/// The engine as the MCP server sees it. Every text that arrives here is bounded and free of control characters.
///
/// A [`Fault`] is shown to the agent, message and hint, as the error of the tool it called.
/// `call` is the same when a bridge that lost its daemon makes a call again: what the call does is done once, and what it makes is
/// made under that id.
/// Implementations may write the methods as `async fn`.
pub trait McpBackend: Send + Sync + 'static {
    /// Whether the token is that of this living session. `None`: refused, for whatever reason.
    fn authenticate(
        &self,
        session: SessionId,
        token: &str,
    ) -> impl Future<Output = Option<()>> + Send;

    /// The agent says what it is doing. The message may be empty.
    fn report_state(
        &self,
        session: SessionId,
        call: Option<Uuid>,
        state: AgentState,
        message: String,
    ) -> impl Future<Output = Result<(), Fault>> + Send;

    /// The agent says that its task is finished.
    fn task_done(
        &self,
        session: SessionId,
        call: Option<Uuid>,
        summary: String,
    ) -> impl Future<Output = Result<(), Fault>> + Send;

    /// The agent says what it has used: tokens, and US dollars where it knows them (finite, not negative).
    fn usage(
        &self,
        session: SessionId,
        call: Option<Uuid>,
        input_tokens: u64,
        output_tokens: u64,
        cost: Option<f64>,
    ) -> impl Future<Output = Result<(), Fault>> + Send;

    /// A line for the timeline.
    fn log(
        &self,
        session: SessionId,
        call: Option<Uuid>,
        level: LogLevel,
        message: String,
    ) -> impl Future<Output = Result<(), Fault>> + Send;

    /// The task this session works on. A fault with a hint when it has none.
    fn own_task(&self, session: SessionId) -> impl Future<Output = Result<TaskText, Fault>> + Send;

    /// A step of the session's own task, as [`Self::own_task`] named it, is done.
    fn subtask_done(
        &self,
        session: SessionId,
        call: Option<Uuid>,
        step: SubtaskId,
    ) -> impl Future<Output = Result<(), Fault>> + Send;

    /// One more step for the session's own task.
    fn subtask_add(
        &self,
        session: SessionId,
        call: Option<Uuid>,
        title: String,
    ) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Puts a question to the user and waits for the answer, for as long as it takes.
    ///
    /// The future is dropped when the agent cancels the call or goes away; what must be taken back then
    /// (the entry in the inbox) belongs into the drop of something it holds.
    fn ask(
        &self,
        session: SessionId,
        call: Option<Uuid>,
        question: String,
        options: Vec<String>,
    ) -> impl Future<Output = Result<String, Fault>> + Send;

    /// Proposes a task in the session's project: a draft that the user accepts or throws away.
    fn task_create(
        &self,
        session: SessionId,
        call: Option<Uuid>,
        title: String,
        description: String,
        steps: Vec<String>,
    ) -> impl Future<Output = Result<TaskId, Fault>> + Send;
}

/// A task, as its agent may read it.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskText {
    /// One line.
    pub title: String,
    /// The prompt.
    pub description: String,
    /// Where it stands.
    pub status: TaskStatus,
    /// In order.
    pub steps: Vec<TaskStep>,
    /// Names or paths of what is attached to it.
    pub documents: Vec<String>,
}

/// A step of a [`TaskText`].
#[derive(Debug, Clone, PartialEq)]
pub struct TaskStep {
    /// Names it.
    pub id: SubtaskId,
    /// One line.
    pub title: String,
    /// Whether it is done.
    pub done: bool,
}
