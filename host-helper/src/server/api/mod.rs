//! What front ends may ask, answered: each request is resolved to ids, turned into commands, and its answer read back.
//!
//! One file for each area of [`Request`]; [`resolve`] finds what a person named, [`present`] makes what `--json` prints.

mod assign;
mod launch;
pub mod overview;
pub mod present;
mod project;
mod pull_request;
mod resolve;
mod session;
mod store;
mod subtask;
mod task;
mod worktree;

use std::sync::Arc;

use claustre_protocol::{
    request::{Done, PluginLink, PluginLinked, Request},
    rpc::{Fault, FaultCode},
    status::{Mode, PushMode},
    time::Timestamp,
};
use serde::Serialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    engine::Engine,
    limited::Limited,
    paths::Paths,
    ports::{Launchers, Multiplexer, Workspace},
};

/// What a task gets that does not say otherwise.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Defaults {
    /// Mode.
    pub mode: Mode,
    /// Delivery.
    pub push_mode: PushMode,
    /// Base branch; none = the project's.
    pub base: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// Effort.
    pub effort: Option<String>,
    /// Permission mode.
    pub permission_mode: Option<String>,
}

/// Answers requests.
pub struct Api {
    /// The one path of business logic.
    pub engine: Engine,
    /// Repositories and worktrees.
    pub workspace: Arc<dyn Workspace>,
    /// Tabs and panes.
    pub multiplexer: Arc<dyn Multiplexer>,
    /// Launchers.
    pub launchers: Arc<dyn Launchers>,
    /// What people ask of panes: a Zellij that hangs must not hold up what needs none.
    pub on_panes: Limited,
    /// Where everything lies.
    pub paths: Paths,
    /// What a task gets that does not say otherwise.
    pub defaults: Defaults,
    /// How many sessions may work at once.
    pub max_sessions: u32,
    /// Held by whoever opens a session, from counting those that work until it is stored.
    pub opening: tokio::sync::Mutex<()>,
    /// Days that the work of a removed worktree is kept at least.
    pub keep_days: u32,
    /// Since when the daemon runs.
    pub started_at: Timestamp,
    /// Are the programs there that a session needs?
    pub check_programs: Arc<dyn Fn() -> Result<(), crate::ports::PortError> + Send + Sync>,
    /// Ends the daemon.
    pub stop: CancellationToken,
    /// Makes a session's token and remembers it; the hash of it.
    pub mint_token: Arc<
        dyn Fn(claustre_protocol::ids::SessionId) -> Result<String, crate::ports::PortError>
            + Send
            + Sync,
    >,
    /// Connects to the dashboard of a Zellij session, by its server's process; the secret that its lines carry.
    pub link: Arc<dyn Fn(PluginLink) -> String + Send + Sync>,
    /// Puts the dashboard of a Zellij session in front, now or as soon as its plugin calls.
    pub show: Arc<dyn Fn(String) + Send + Sync>,
    /// The Zellij sessions whose dashboard answers.
    pub links: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
}

impl Api {
    /// Answers one request of `actor`.
    ///
    /// # Errors
    /// It is refused, names nothing, or failed; in words for the person who asked.
    pub async fn handle(&self, request: Request, actor: &str) -> Result<Value, Fault> {
        use Request as R;
        match request {
            R::ProjectAdd(add) => json(self.project_add(add, actor).await?),
            R::ProjectList(list) => json(self.project_list(list).await?),
            R::ProjectShow(show) => json(self.project_show(show).await?),
            R::ProjectEdit(edit) => json(self.project_edit(edit, actor).await?),
            R::ProjectRemove(named) => json(self.project_remove(&named.of, actor).await?),
            R::TaskAdd(add) => json(self.task_add(add, actor).await?),
            R::TaskList(list) => json(self.task_list(list).await?),
            R::TaskShow(named) => json(self.task_show(&named.of).await?),
            R::TaskEdit(edit) => json(self.task_edit(edit, actor).await?),
            R::TaskLaunch(named) => json(self.task_launch(&named.of, actor).await?),
            R::TaskAssign(wanted) => json(self.task_assign(wanted, actor).await?),
            R::TaskDone(named) => json(self.task_done(&named.of, actor).await?),
            R::TaskSendBack(with) => json(self.task_send_back(with, actor).await?),
            R::TaskBlock(with) => json(self.task_block(with, actor).await?),
            R::TaskReopen(named) => json(self.task_reopen(&named.of, actor).await?),
            R::TaskRetry(named) => json(self.task_retry(&named.of, actor).await?),
            R::TaskKill(closing) => json(self.task_kill(closing, actor).await?),
            R::TaskMove(wanted) => json(self.task_move(wanted, actor).await?),
            R::TaskDelete(named) => json(self.task_delete(&named.of, actor).await?),
            R::TaskUndo(_) => json(self.task_undo(actor).await?),
            R::SubtaskAdd(with) => json(self.subtask_add(with, actor).await?),
            R::SubtaskList(named) => json(self.subtask_list(&named.of).await?),
            R::SubtaskDone(named) => json(self.subtask_done(named, actor).await?),
            R::SubtaskRemove(named) => json(self.subtask_remove(named, actor).await?),
            R::SessionList(list) => json(self.session_list(list).await?),
            R::SessionShow(named) => json(self.session_show(&named.of).await?),
            R::SessionNew(new) => json(self.session_new(new, actor).await?),
            R::SessionClose(closing) => json(self.session_close(closing, actor).await?),
            R::SessionResume(named) => json(self.session_resume(&named.of, actor).await?),
            R::SessionRestart(named) => json(self.session_restart(&named.of, actor).await?),
            R::SessionPreview(named) => json(self.session_preview(&named.of).await?),
            R::SessionDiff(named) => json(self.session_diff(&named.of).await?),
            R::SessionAsks(named) => json(self.session_asks(&named.of).await?),
            R::SessionFocus(named) => json(self.session_focus(&named.of).await?),
            R::SessionSend(with) => json(self.session_send(with, actor).await?),
            R::SessionApprove(decision) => json(
                self.session_answer(
                    decision,
                    claustre_domain::event::AskOutcome::Approved,
                    actor,
                )
                .await?,
            ),
            R::SessionDeny(decision) => json(
                self.session_answer(decision, claustre_domain::event::AskOutcome::Denied, actor)
                    .await?,
            ),
            R::SessionAnswer(decision) => json(
                self.session_answer(
                    decision,
                    claustre_domain::event::AskOutcome::Answered,
                    actor,
                )
                .await?,
            ),
            R::SessionPullRequest(wanted) => json(self.session_pull_request(wanted, actor).await?),
            R::SessionFeedNext(named) => json(self.session_feed_next(&named.of, actor).await?),
            R::InboxList(_) => json(self.inbox().await?),
            R::StatusShow(show) => json(self.status(show).await?),
            // The socket answers these itself: they live as long as their connection.
            R::EventsWatch(_) => Err(Fault::new(
                FaultCode::InvalidCall,
                "watching events: only a connection of its own can",
                None,
            )),
            R::WorktreeList(_) => json(self.worktree_list().await?),
            R::WorktreePreview(named) => json(self.worktree_preview(&named.of).await?),
            R::WorktreeRemove(closing) => json(self.worktree_remove(closing, actor).await?),
            R::WorktreeRestore(named) => json(self.worktree_restore(&named.of, actor).await?),
            R::WorktreeSweep(sweep) => json(self.worktree_sweep(sweep, actor).await?),
            R::PluginLink(link) => {
                let secret = (self.link)(link);
                json(PluginLinked { secret })
            }
            R::DashboardShow(show) => {
                (self.show)(show.session);
                json(done("it comes as soon as its plugin calls"))
            }
            R::DaemonStatus(_) => json(self.daemon_status().await?),
            R::DaemonStop(_) => {
                self.stop.cancel();
                json(done("the daemon is ending"))
            }
            R::StoreReplay(_) => json(self.replay().await?),
            R::StoreBackup(backup) => json(self.backup(backup).await?),
        }
    }
}

fn done(message: impl Into<String>) -> Done {
    Done {
        message: message.into(),
    }
}

fn json(answer: impl Serialize) -> Result<Value, Fault> {
    serde_json::to_value(answer).map_err(|error| {
        Fault::new(
            FaultCode::Internal,
            format!("writing the answer: {error}"),
            None,
        )
    })
}
