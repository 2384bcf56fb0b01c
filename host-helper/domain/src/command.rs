//! Everything that anybody may order or report, in the imperative. New ids come with the command.

use claustre_protocol::{
    ids::{AskId, AssignmentId, MessageId, ProjectId, SessionId, SubtaskId, TaskId},
    model::AskKind,
    request::ShownLoss,
    status::{
        ClaudeStatus, LogLevel, Mode, Priority, ProjectStatus, PushMode, Reason, Source, TaskStatus,
    },
    time::Timestamp,
};

use crate::event::{AskOutcome, NewSubtask, TaskCreated, Typed, UsageTotals};

/// An order or a report.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// About a project.
    Project(ProjectCommand),
    /// About a task.
    Task(TaskCommand),
    /// About a session.
    Session(SessionCommand),
    /// About a worktree.
    Worktree(WorktreeCommand),
}

/// Orders about projects.
#[derive(Debug, Clone, PartialEq)]
pub enum ProjectCommand {
    /// Add a repository that was inspected and found good.
    Add {
        project: ProjectId,
        name: String,
        repo_path: String,
        default_branch: String,
        goal: String,
        owner: String,
    },
    /// Change what is given.
    Edit {
        project: ProjectId,
        name: Option<String>,
        goal: Option<String>,
        owner: Option<String>,
        default_branch: Option<String>,
        status: Option<ProjectStatus>,
    },
    /// Forget it.
    Remove { project: ProjectId },
}

/// Orders about tasks, and reports that concern them.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskCommand {
    /// Write one.
    Create(Box<CreateTask>),
    /// Change what is given.
    Edit(Box<EditTask>),
    /// Turn a draft into a pending task.
    Submit { task: TaskId },
    /// Open a session for it.
    Launch {
        task: TaskId,
        assignment: AssignmentId,
        open: Box<OpenSession>,
    },
    /// Give it to a session that is open, as its next message.
    Assign {
        task: TaskId,
        assignment: AssignmentId,
        session: SessionId,
        message: MessageId,
    },
    /// It is finished, says a person.
    MarkDone { task: TaskId },
    /// Back to work, with feedback.
    SendBack {
        task: TaskId,
        message: MessageId,
        feedback: String,
    },
    /// It cannot go on.
    Block { task: TaskId, reason: String },
    /// Back in the queue, or out of a block.
    Reopen { task: TaskId },
    /// Close its session, keep its work, back in the queue.
    Kill {
        task: TaskId,
        /// What the person was shown of what goes for good with the worktree.
        shown: Option<ShownLoss>,
    },
    /// Put it at another place.
    Move {
        task: TaskId,
        rank: f64,
        priority: Priority,
    },
    /// Take it off the board.
    Delete { task: TaskId },
    /// Take the deletion back.
    Restore { task: TaskId },
    /// Add a step.
    AddSubtask {
        task: TaskId,
        subtask: SubtaskId,
        title: String,
    },
    /// Finish a step, or open it again.
    CompleteSubtask {
        task: TaskId,
        subtask: SubtaskId,
        done: bool,
    },
    /// Remove a step.
    RemoveSubtask { task: TaskId, subtask: SubtaskId },
    /// The agent says by `claustre_task_done` that it is finished.
    ReportFinished {
        task: TaskId,
        session: SessionId,
        summary: String,
    },
    /// A pull request of its branch exists.
    ReportPullRequest { task: TaskId, url: String },
    /// How its pull request stands.
    ReportPullRequestState {
        task: TaskId,
        state: PullRequestState,
    },
    /// Its turn ended, its branch is clean and pushed.
    ReportPushed { task: TaskId },
    /// A line for its timeline.
    Note {
        task: Option<TaskId>,
        session: Option<SessionId>,
        source: String,
        level: LogLevel,
        text: String,
    },
}

/// How a pull request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullRequestState {
    /// Open, mergeable, checks not failed.
    Clear,
    /// Conflicts with its base.
    Conflict,
    /// A check failed.
    CiFailed,
    /// Merged.
    Merged,
}

/// Contents of [`TaskCommand::Create`].
#[derive(Debug, Clone, PartialEq)]
pub struct CreateTask {
    pub task: TaskId,
    pub project: ProjectId,
    pub title: String,
    pub description: String,
    pub draft: bool,
    pub mode: Mode,
    pub priority: Priority,
    pub base: Option<String>,
    pub branch: Option<String>,
    pub push_mode: PushMode,
    pub review_loop: bool,
    pub depends_on: Vec<TaskId>,
    pub model: Option<String>,
    pub effort: Option<String>,
    pub permission_mode: Option<String>,
    pub budget_usd: Option<f64>,
    pub subtasks: Vec<NewSubtask>,
}

impl CreateTask {
    /// A task of which nothing is said but its title.
    pub fn new(task: TaskId, project: ProjectId, title: impl Into<String>) -> Self {
        Self {
            task,
            project,
            title: title.into(),
            description: String::new(),
            draft: false,
            mode: Mode::default(),
            priority: Priority::default(),
            base: None,
            branch: None,
            push_mode: PushMode::default(),
            review_loop: false,
            depends_on: Vec::new(),
            model: None,
            effort: None,
            permission_mode: None,
            budget_usd: None,
            subtasks: Vec::new(),
        }
    }
}

impl From<CreateTask> for TaskCreated {
    /// The task as it was ordered, at the front of its queue.
    fn from(create: CreateTask) -> Self {
        Self {
            task: create.task,
            project: create.project,
            title: create.title,
            description: create.description,
            status: if create.draft {
                TaskStatus::Draft
            } else {
                TaskStatus::Pending
            },
            mode: create.mode,
            priority: create.priority,
            rank: 0.0,
            base: create.base,
            branch: create.branch,
            push_mode: create.push_mode,
            review_loop: create.review_loop,
            depends_on: create.depends_on,
            model: create.model,
            effort: create.effort,
            permission_mode: create.permission_mode,
            budget_usd: create.budget_usd,
            subtasks: create.subtasks,
        }
    }
}

/// Contents of [`TaskCommand::Edit`]; what is absent stays.
#[derive(Debug, Clone, PartialEq)]
pub struct EditTask {
    pub task: TaskId,
    pub title: Option<String>,
    pub description: Option<String>,
    pub mode: Option<Mode>,
    pub priority: Option<Priority>,
    pub base: Option<Option<String>>,
    pub branch: Option<Option<String>>,
    pub push_mode: Option<PushMode>,
    pub review_loop: Option<bool>,
    pub depends_on: Option<Vec<TaskId>>,
    pub model: Option<Option<String>>,
    pub effort: Option<Option<String>>,
    pub permission_mode: Option<Option<String>>,
    /// The wanted steps in order; those with an unchanged title keep their id and state.
    pub subtasks: Option<Vec<NewSubtask>>,
}

/// What opening a session needs.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenSession {
    pub session: SessionId,
    pub project: ProjectId,
    /// A short line for the client's window.
    pub title: String,
    pub branch: String,
    pub base: Option<String>,
    pub mode: Mode,
    pub host: String,
    pub claude_session_id: String,
    pub token_hash: String,
    pub prompt: Option<String>,
    pub model: Option<String>,
    pub effort: Option<String>,
    pub permission_mode: Option<String>,
}

/// Orders about sessions, and what is reported of them.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionCommand {
    /// Open one without a task.
    Open(Box<OpenSession>),
    /// Close it; its work is kept.
    Close {
        session: SessionId,
        /// What the person was shown of what goes for good with the worktree.
        shown: Option<ShownLoss>,
    },
    /// Continue its conversation.
    Resume { session: SessionId },
    /// End the client and continue its conversation at once.
    Restart { session: SessionId },
    /// Queue a message to be typed.
    Send {
        session: SessionId,
        message: MessageId,
        text: String,
        from: String,
    },
    /// Answer what it asks.
    Answer {
        session: SessionId,
        /// None = whatever it asks now.
        ask: Option<AskId>,
        outcome: AskOutcome,
        text: Option<String>,
    },
    /// Its worktree and plan are ready.
    ReportWorktree {
        session: SessionId,
        path: String,
        branch: String,
        base: String,
        base_commit: String,
        reused: bool,
        notes: Vec<String>,
    },
    /// Its pane is open.
    ReportPane {
        session: SessionId,
        zellij_session: String,
        server_pid: u32,
        pane: u32,
        background: bool,
    },
    /// Its worktree, plan, pane or client could not be had.
    ReportLaunchFailed { session: SessionId, why: String },
    /// Its launcher started the client.
    ReportClientStarted {
        session: SessionId,
        pid: u32,
        launcher_pid: u32,
        resumed: bool,
    },
    /// The client ended.
    ReportClientEnded {
        session: SessionId,
        code: Option<i32>,
        signal: Option<i32>,
        tail: String,
    },
    /// The pane or the launcher is gone.
    ReportLost { session: SessionId, why: String },
    /// The client told who it is.
    ReportIdentity {
        session: SessionId,
        claude_session_id: String,
        transcript_path: String,
        model: Option<String>,
    },
    /// What it does now, as fused from all sources.
    ReportStatus {
        session: SessionId,
        status: ClaudeStatus,
        reason: Option<Reason>,
        source: Source,
        since: Timestamp,
        detail: String,
    },
    /// A prompt was taken by the client: work goes on, and a typed message has arrived.
    ReportPromptTaken {
        session: SessionId,
        message: Option<MessageId>,
        since: Timestamp,
    },
    /// A message is about to be typed. Must be stored before the first letter is.
    ReportMessageTyped {
        session: SessionId,
        message: MessageId,
        typed: Typed,
    },
    /// The conversation's transcript has the message: it arrived, though no hook said so.
    ReportMessageSeen {
        session: SessionId,
        message: MessageId,
    },
    /// The message was typed and can be found nowhere: a person decides. `ask` is the question's id.
    ReportMessageInDoubt {
        session: SessionId,
        message: MessageId,
        ask: AskId,
    },
    /// The message cannot be typed now; says why. Empty = it can again.
    ReportMessageHeld { session: SessionId, why: String },
    /// It asks something.
    ReportAsk {
        session: SessionId,
        ask: AskId,
        kind: AskKind,
        title: String,
        detail: String,
        options: Vec<String>,
        answerable: bool,
        since: Timestamp,
        /// For what a hook asks: does it wait for the answer? None where no hook must take it.
        attended: Option<bool>,
    },
    /// A hook waits for the answer to what it asked.
    ReportAskAttended { session: SessionId, ask: AskId },
    /// No hook waits for that answer any more.
    ReportAskUnattended { session: SessionId, ask: AskId },
    /// The client took the answer.
    ReportAnswerTaken { session: SessionId, ask: AskId },
    /// What it asked was answered in the client, or is gone; none = all that it asks.
    ReportAskClosed {
        session: SessionId,
        ask: Option<AskId>,
        outcome: AskOutcome,
    },
    /// The agent says by MCP what it is doing.
    ReportState {
        session: SessionId,
        state: AgentState,
        message: String,
    },
    /// What it has used.
    ReportUsage {
        session: SessionId,
        totals: UsageTotals,
    },
}

/// The states an agent may report of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentState {
    /// Working.
    Working,
    /// Needs a person.
    WaitingForInput,
    /// Finished.
    Done,
    /// Cannot go on.
    Error,
}

impl AgentState {
    /// The word of the tool's argument.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::WaitingForInput => "waiting_for_input",
            Self::Done => "done",
            Self::Error => "error",
        }
    }
}

/// Reports about worktrees.
#[derive(Debug, Clone, PartialEq)]
pub enum WorktreeCommand {
    /// It was removed.
    ReportRemoved {
        session: SessionId,
        snapshot: Option<String>,
        branch_deleted: bool,
    },
    /// It was brought back from a snapshot.
    ReportRestored { session: SessionId, path: String },
    /// Its snapshot was let go: it was kept long enough.
    ReportExpired {
        session: SessionId,
        snapshot: String,
    },
}
