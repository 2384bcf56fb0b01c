//! What any front end may ask of the daemon: the CLI over the socket, the dashboard over its link, and later the web.
//!
//! A [`Request`] is the `method` and `params` of a JSON-RPC call. Things are named by [`Selector`]: an id, the unique
//! beginning of one, or a unique name or title.

use serde::{Deserialize, Serialize};

mod daemon;
mod project;
mod session;
mod task;
mod worktree;

pub use daemon::*;
pub use project::*;
pub use session::*;
pub use task::*;
pub use worktree::*;

use crate::rpc::Call;

/// Text by which a person names a thing.
pub type Selector = String;

/// Everything that may be asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", content = "params")]
pub enum Request {
    /// Adds a repository. Answer: [`Project`](crate::model::Project).
    #[serde(rename = "project.add")]
    ProjectAdd(ProjectAdd),
    /// Answer: list of [`Project`](crate::model::Project).
    #[serde(rename = "project.list")]
    ProjectList(ProjectList),
    /// Answer: [`ProjectShown`].
    #[serde(rename = "project.show")]
    ProjectShow(ProjectShow),
    /// Changes what is given. Answer: [`Project`](crate::model::Project).
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
    /// Gives it to a session that is open. Answer: [`Task`](crate::model::Task).
    #[serde(rename = "task.assign")]
    TaskAssign(TaskAssign),
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
    TaskKill(Closing),
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
    /// Answer: list of [`Session`](crate::model::Session).
    #[serde(rename = "session.list")]
    SessionList(SessionList),
    /// Answer: [`Session`](crate::model::Session).
    #[serde(rename = "session.show")]
    SessionShow(Named),
    /// Opens a session without a task. Answer: [`Session`](crate::model::Session).
    #[serde(rename = "session.new")]
    SessionNew(SessionNew),
    /// Closes it; its work is kept. Answer: [`Session`](crate::model::Session).
    #[serde(rename = "session.close")]
    SessionClose(Closing),
    /// Continues its conversation in its pane, or in a new one. Answer: [`Session`](crate::model::Session).
    #[serde(rename = "session.resume")]
    SessionResume(Named),
    /// Ends the client and continues its conversation at once. Answer: [`Session`](crate::model::Session).
    #[serde(rename = "session.restart")]
    SessionRestart(Named),
    /// The text of its pane. Answer: [`Preview`].
    #[serde(rename = "session.preview")]
    SessionPreview(Named),
    /// What its worktree holds that its base does not, uncommitted work included. Answer: [`Preview`].
    #[serde(rename = "session.diff")]
    SessionDiff(Named),
    /// Everything it asks now, the most urgent first. Answer: a list of [`Ask`](crate::model::Ask).
    #[serde(rename = "session.asks")]
    SessionAsks(Named),
    /// Goes to its tab. Answer: [`Done`].
    #[serde(rename = "session.focus")]
    SessionFocus(Named),
    /// Queues a message for a session, or the session of a task. Answer: [`Session`](crate::model::Session).
    #[serde(rename = "session.send")]
    SessionSend(WithText),
    /// Allows what it asks. Answer: [`Session`](crate::model::Session).
    #[serde(rename = "session.approve")]
    SessionApprove(Decision),
    /// Refuses what it asks. Answer: [`Session`](crate::model::Session).
    #[serde(rename = "session.deny")]
    SessionDeny(Decision),
    /// Answers its question. Answer: [`Session`](crate::model::Session).
    #[serde(rename = "session.answer")]
    SessionAnswer(Decision),
    /// Notes the pull request of the task it works on. Answer: [`Task`](crate::model::Task).
    #[serde(rename = "session.pull_request")]
    SessionPullRequest(PullRequest),
    /// Gives it the next task of its project's queue that may run by itself. Answer: [`Task`](crate::model::Task), or null where
    /// none waits.
    #[serde(rename = "session.feed_next")]
    SessionFeedNext(Named),
    /// Answer: list of [`InboxItem`](crate::model::InboxItem), the most urgent first.
    #[serde(rename = "inbox.list")]
    InboxList(Nothing),
    /// Answer: [`StatusOverview`].
    #[serde(rename = "status.show")]
    StatusShow(StatusShow),
    /// From now on events come as notifications `event` with [`StoredEvent`](crate::model::StoredEvent). Answer: [`Done`].
    #[serde(rename = "events.watch")]
    EventsWatch(EventsWatch),
    /// Answer: list of [`SnapshotShown`].
    #[serde(rename = "worktree.list")]
    WorktreeList(Nothing),
    /// What removing the worktree of a session, or of a task's session, would keep and lose. Changes nothing. Answer:
    /// [`RemovalPreview`].
    #[serde(rename = "worktree.preview")]
    WorktreePreview(Named),
    /// Removes the worktree of a closed session, which stayed when the session was closed. Answer: [`Done`].
    #[serde(rename = "worktree.remove")]
    WorktreeRemove(Closing),
    /// Brings a removed worktree back from its snapshot. Answer: [`Done`].
    #[serde(rename = "worktree.restore")]
    WorktreeRestore(Named),
    /// Lets go of what was kept long enough. Answer: [`Swept`].
    #[serde(rename = "worktree.sweep")]
    WorktreeSweep(WorktreeSweep),
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
