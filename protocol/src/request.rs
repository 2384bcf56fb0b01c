//! What any front end may ask of the daemon: the CLI over the socket, the dashboard over its link, and later the web.
//!
//! A [`Request`] is the `method` and `params` of a JSON-RPC call. Things are named by [`Selector`]: an id, the unique
//! beginning of one, or a unique name or title.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{AskId, ProjectId, TaskId},
    model::{InboxItem, Project, Session, StoredEvent},
    rpc::Call,
    status::{Mode, Priority, ProjectStatus, PushMode, TaskStatus},
    time::Timestamp,
};

/// Text by which a person names a thing.
pub type Selector = String;

/// Everything that may be asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", content = "params")]
pub enum Request {
    /// Adds a repository. Answer: [`Project`].
    #[serde(rename = "project.add")]
    ProjectAdd(ProjectAdd),
    /// Answer: list of [`Project`].
    #[serde(rename = "project.list")]
    ProjectList(ProjectList),
    /// Answer: [`ProjectShown`].
    #[serde(rename = "project.show")]
    ProjectShow(ProjectShow),
    /// Changes what is given. Answer: [`Project`].
    #[serde(rename = "project.edit")]
    ProjectEdit(ProjectEdit),
    /// Forgets a project; its repository stays untouched. Answer: [`Done`].
    #[serde(rename = "project.remove")]
    ProjectRemove(Named),
    /// Writes a task. Answer: [`Task`](crate::model::Task).
    #[serde(rename = "task.add")]
    TaskAdd(TaskAdd),
    /// Answer: list of [`Task`](crate::model::Task).
    #[serde(rename = "task.list")]
    TaskList(TaskList),
    /// Answer: [`TaskDetail`](crate::model::TaskDetail).
    #[serde(rename = "task.show")]
    TaskShow(Named),
    /// Changes what is given. Answer: [`Task`](crate::model::Task).
    #[serde(rename = "task.edit")]
    TaskEdit(TaskEdit),
    /// Opens a session for it. Answer: [`Task`](crate::model::Task).
    #[serde(rename = "task.launch")]
    TaskLaunch(Named),
    /// Marks it done. Answer: [`Task`](crate::model::Task).
    #[serde(rename = "task.done")]
    TaskDone(Named),
    /// Sends it back to work with feedback. Answer: [`Task`](crate::model::Task).
    #[serde(rename = "task.send_back")]
    TaskSendBack(WithText),
    /// Says that it cannot go on. Answer: [`Task`](crate::model::Task).
    #[serde(rename = "task.block")]
    TaskBlock(WithText),
    /// Puts a finished or blocked one back in the queue. Answer: [`Task`](crate::model::Task).
    #[serde(rename = "task.reopen")]
    TaskReopen(Named),
    /// Tries again: resumes its session, or launches it anew. Answer: [`Task`](crate::model::Task).
    #[serde(rename = "task.retry")]
    TaskRetry(Named),
    /// Closes its session, keeps its work in a snapshot, puts it back in the queue. Answer: [`Task`](crate::model::Task).
    #[serde(rename = "task.kill")]
    TaskKill(Named),
    /// Changes its place in the queue. Answer: [`Task`](crate::model::Task).
    #[serde(rename = "task.move")]
    TaskMove(TaskMove),
    /// Removes it from the board. Answer: [`Done`].
    #[serde(rename = "task.delete")]
    TaskDelete(Named),
    /// Takes the last deletion back. Answer: [`Task`](crate::model::Task).
    #[serde(rename = "task.undo")]
    TaskUndo(Nothing),
    /// Adds a step. Answer: [`Subtask`](crate::model::Subtask).
    #[serde(rename = "subtask.add")]
    SubtaskAdd(WithText),
    /// Answer: list of [`Subtask`](crate::model::Subtask).
    #[serde(rename = "subtask.list")]
    SubtaskList(Named),
    /// Marks a step done. Answer: [`Subtask`](crate::model::Subtask).
    #[serde(rename = "subtask.done")]
    SubtaskDone(SubtaskNamed),
    /// Removes a step. Answer: [`Done`].
    #[serde(rename = "subtask.remove")]
    SubtaskRemove(SubtaskNamed),
    /// Answer: list of [`Session`].
    #[serde(rename = "session.list")]
    SessionList(SessionList),
    /// Answer: [`Session`].
    #[serde(rename = "session.show")]
    SessionShow(Named),
    /// Opens a session without a task. Answer: [`Session`].
    #[serde(rename = "session.new")]
    SessionNew(SessionNew),
    /// Closes it; its work is kept. Answer: [`Session`].
    #[serde(rename = "session.close")]
    SessionClose(Named),
    /// Continues its conversation in its pane, or in a new one. Answer: [`Session`].
    #[serde(rename = "session.resume")]
    SessionResume(Named),
    /// Ends the client and continues its conversation at once. Answer: [`Session`].
    #[serde(rename = "session.restart")]
    SessionRestart(Named),
    /// The text of its pane. Answer: [`Preview`].
    #[serde(rename = "session.preview")]
    SessionPreview(Named),
    /// Goes to its tab. Answer: [`Done`].
    #[serde(rename = "session.focus")]
    SessionFocus(Named),
    /// Queues a message for a session, or the session of a task. Answer: [`Session`].
    #[serde(rename = "session.send")]
    SessionSend(WithText),
    /// Allows what it asks. Answer: [`Session`].
    #[serde(rename = "session.approve")]
    SessionApprove(Decision),
    /// Refuses what it asks. Answer: [`Session`].
    #[serde(rename = "session.deny")]
    SessionDeny(Decision),
    /// Answers its question. Answer: [`Session`].
    #[serde(rename = "session.answer")]
    SessionAnswer(Decision),
    /// Answer: list of [`InboxItem`], the most urgent first.
    #[serde(rename = "inbox.list")]
    InboxList(Nothing),
    /// Answer: [`StatusOverview`].
    #[serde(rename = "status.show")]
    StatusShow(StatusShow),
    /// From now on events come as notifications `event` with [`StoredEvent`]. Answer: [`Done`].
    #[serde(rename = "events.watch")]
    EventsWatch(EventsWatch),
    /// Answer: list of [`SnapshotShown`].
    #[serde(rename = "worktree.list")]
    WorktreeList(Nothing),
    /// Brings a removed worktree back from its snapshot. Answer: [`Done`].
    #[serde(rename = "worktree.restore")]
    WorktreeRestore(Named),
    /// A dashboard asks the daemon to connect to it. Answer: [`Done`], at once.
    #[serde(rename = "plugin.link")]
    PluginLink(PluginLink),
    /// Puts the dashboard of a Zellij session in front, now or as soon as its plugin calls. Answer: [`Done`], at once.
    #[serde(rename = "dashboard.show")]
    DashboardShow(DashboardShow),
    /// Answer: [`DaemonStatus`].
    #[serde(rename = "daemon.status")]
    DaemonStatus(Nothing),
    /// Ends the daemon in order. Answer: [`Done`].
    #[serde(rename = "daemon.stop")]
    DaemonStop(Nothing),
    /// Rebuilds every projection and compares. Answer: [`ReplayReport`].
    #[serde(rename = "store.replay")]
    StoreReplay(Nothing),
    /// Copies the store. Answer: [`Done`] with the path.
    #[serde(rename = "store.backup")]
    StoreBackup(Backup),
}

impl Request {
    /// The call that carries this request.
    pub fn into_call(self, id: u64) -> Result<Call, serde_json::Error> {
        let mut value = serde_json::to_value(self)?;
        let params = value
            .get_mut("params")
            .map(serde_json::Value::take)
            .unwrap_or_default();
        let method = value
            .get("method")
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default()
            .to_owned();
        Ok(Call {
            jsonrpc: crate::rpc::JsonRpc::V2,
            id: Some(id),
            method,
            params,
        })
    }

    /// The request that a call carries.
    ///
    /// # Errors
    /// The method is unknown, or does not take these parameters.
    pub fn from_call(method: &str, params: serde_json::Value) -> Result<Self, serde_json::Error> {
        let params = if params.is_null() {
            serde_json::Value::Object(serde_json::Map::new())
        } else {
            params
        };
        serde_json::from_value(serde_json::json!({ "method": method, "params": params }))
    }
}

/// No parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Nothing {}

/// The answer of an order that has no better one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Done {
    /// What happened, for people.
    #[serde(default)]
    pub message: String,
}

/// One thing, named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Which.
    pub of: Selector,
}

/// One thing and a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithText {
    /// Which.
    pub of: Selector,
    /// Feedback, reason, message or title.
    pub text: String,
}

/// Parameters of `project.add`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ProjectAdd {
    /// Unique; letters, digits, `.`, `_`, `-`.
    pub name: String,
    /// Absolute path.
    pub path: String,
    /// What it is for.
    pub goal: String,
    /// Who answers for it.
    pub owner: String,
    /// Default branch; empty = as the repository says.
    pub base: String,
}

/// Parameters of `project.list`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ProjectList {
    /// Only these.
    pub status: Option<ProjectStatus>,
}

/// Parameters of `project.show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectShow {
    /// Which.
    pub of: Selector,
    /// With all its events?
    #[serde(default)]
    pub history: bool,
}

/// Answer of `project.show`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProjectShown {
    /// The project.
    #[serde(flatten)]
    pub project: Project,
    /// How many of its tasks have each status.
    pub tasks: std::collections::BTreeMap<String, u64>,
    /// Its open sessions.
    pub sessions: Vec<Session>,
    /// Its events, oldest first, where asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<Vec<StoredEvent>>,
}

/// Parameters of `project.edit`; what is absent stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ProjectEdit {
    /// Which.
    pub of: Selector,
    /// New name.
    pub name: Option<String>,
    /// New goal.
    pub goal: Option<String>,
    /// New owner.
    pub owner: Option<String>,
    /// New default branch.
    pub base: Option<String>,
    /// New status.
    pub status: Option<ProjectStatus>,
}

/// Parameters of `task.add`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskAdd {
    /// The project.
    pub project: Selector,
    /// A short line; empty = the first line of the description.
    pub title: String,
    /// The prompt.
    pub description: String,
    /// How it is worked on; absent = as configured.
    pub mode: Option<Mode>,
    /// How urgent.
    pub priority: Option<Priority>,
    /// Base branch.
    pub base: Option<String>,
    /// Branch.
    pub branch: Option<String>,
    /// How it is delivered.
    pub push_mode: Option<PushMode>,
    /// Feed review comments back?
    pub review_loop: bool,
    /// Titles of its steps.
    pub subtasks: Vec<String>,
    /// Tasks that must be done before.
    pub after: Vec<Selector>,
    /// Model.
    pub model: Option<String>,
    /// Effort.
    pub effort: Option<String>,
    /// Permission mode.
    pub permission_mode: Option<String>,
    /// What it may cost at most, in USD.
    pub budget_usd: Option<f64>,
    /// Keep it as a draft?
    pub draft: bool,
}

/// Parameters of `task.list`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskList {
    /// Only of this project.
    pub project: Option<Selector>,
    /// Only with this status.
    pub status: Option<TaskStatus>,
    /// At most so many; 0 = 1,000.
    pub limit: u32,
}

/// Parameters of `task.edit`; what is absent stays.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskEdit {
    /// Which.
    pub of: Selector,
    /// New title.
    pub title: Option<String>,
    /// New prompt.
    pub description: Option<String>,
    /// New mode.
    pub mode: Option<Mode>,
    /// New priority.
    pub priority: Option<Priority>,
    /// New base branch; empty = the project's default.
    pub base: Option<String>,
    /// New branch; empty = made from the title.
    pub branch: Option<String>,
    /// New delivery.
    pub push_mode: Option<PushMode>,
    /// Feed review comments back?
    pub review_loop: Option<bool>,
    /// New list of dependencies.
    pub after: Option<Vec<Selector>>,
    /// New model; empty = as configured.
    pub model: Option<String>,
    /// New effort; empty = as configured.
    pub effort: Option<String>,
    /// New permission mode; empty = as configured.
    pub permission_mode: Option<String>,
    /// New list of steps' titles; steps with an unchanged title keep their state.
    pub subtasks: Option<Vec<String>>,
    /// Turn a draft into a pending task?
    pub submit: bool,
}

/// Parameters of `task.move`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskMove {
    /// Which.
    pub of: Selector,
    /// Put it right before this one.
    #[serde(default)]
    pub before: Option<Selector>,
    /// Put it right after this one.
    #[serde(default)]
    pub after: Option<Selector>,
}

/// One step of one task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubtaskNamed {
    /// The task.
    pub task: Selector,
    /// The step: its id, the beginning of it, its title, or its number from 1.
    pub of: Selector,
}

/// Parameters of `session.list`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionList {
    /// Only of this project.
    pub project: Option<Selector>,
    /// Closed ones too?
    pub all: bool,
}

/// Parameters of `session.new`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionNew {
    /// The project.
    pub project: Selector,
    /// Branch; absent = `explore/<8 of uuid>`.
    pub branch: Option<String>,
    /// Base branch.
    pub base: Option<String>,
    /// First prompt; absent = Claude opens without one.
    pub prompt: Option<String>,
}

/// Parameters of `session.approve`, `session.deny` and `session.answer`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Decision {
    /// The session, or the task it works on.
    pub of: Selector,
    /// What is answered; absent = whatever it asks now. An answer to an older one is refused.
    pub ask: Option<AskId>,
    /// The reason of a refusal, or the answer to a question.
    pub text: Option<String>,
}

/// Parameters of `status.show`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StatusShow {
    /// Only of this project.
    pub project: Option<Selector>,
}

/// Answer of `status.show`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusOverview {
    /// Open sessions, those that need somebody first.
    pub sessions: Vec<Session>,
    /// How many tasks have each status.
    pub tasks: std::collections::BTreeMap<String, u64>,
    /// What needs a person.
    pub inbox: Vec<InboxItem>,
}

/// Parameters of `events.watch`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EventsWatch {
    /// Start behind this position; absent = only what happens from now on.
    pub after: Option<i64>,
}

/// A worktree that was removed and is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotShown {
    /// Its name: what `worktree restore` takes.
    pub name: String,
    /// The project.
    pub project_id: ProjectId,
    /// The branch it had.
    pub branch: String,
    /// The git ref that keeps the work.
    pub reference: String,
    /// The task it belonged to.
    pub task_id: Option<TaskId>,
    /// When it was taken.
    pub created_at: Timestamp,
}

/// Answer of `session.preview`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// The pane's text, sanitised.
    pub text: String,
}

/// Parameters of `plugin.link`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginLink {
    /// Name of the Zellij session.
    pub session: String,
    /// Process id of its server.
    pub server_pid: u32,
    /// How the plugin is known there; none = by its alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<PluginAddress>,
}

/// What a Zellij server knows a plugin by: one that has not started with the alias knows only this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginAddress {
    /// `file:` and the path of the plugin.
    pub location: String,
    /// The program that the plugin was loaded with.
    pub helper: String,
}

/// Parameters of `dashboard.show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DashboardShow {
    /// Name of the Zellij session.
    pub session: String,
}

/// Answer of `daemon.status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DaemonStatus {
    /// Process id.
    pub pid: u32,
    /// Version.
    pub build: String,
    /// Where its store is.
    pub home: String,
    /// Position of the newest event.
    pub position: i64,
    /// Since when it runs.
    pub started_at: Timestamp,
    /// Links to Zellij sessions that answer.
    pub links: Vec<String>,
    /// Open sessions.
    pub sessions: u32,
    /// Version of SQLite.
    pub sqlite: String,
}

/// Answer of `store.replay`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayReport {
    /// Events read.
    pub events: u64,
    /// Rows that differed, described; empty = none.
    pub differences: Vec<String>,
}

/// Parameters of `store.backup`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Backup {
    /// Where to; absent = `backups/` under the home with the time in the name.
    pub path: Option<String>,
}
