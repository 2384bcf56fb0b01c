//! What the engine needs of the world, as traits. The adapters stand behind them; only `daemon` knows which.
//!
//! All calls block and are made on the blocking pool. A failure carries words for people, and advice where there is any.

use std::{path::PathBuf, time::Duration};

use claustre_domain::{command::Command, event::AskOutcome};
use claustre_protocol::{
    hook::Report,
    ids::{AskId, EventId, SessionId},
    model::UsageWindow,
    request::{LostPath, RemovalPreview, ShownLoss},
    status::Mode,
    time::Timestamp,
};
use uuid::Uuid;

/// Why something could not be done, in words for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PortError {
    /// What was being done, and why it failed.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Is it worth trying again by itself?
    pub passing: bool,
}

impl PortError {
    /// A failure that will repeat itself.
    pub fn lasting(message: impl Into<String>, hint: Option<String>) -> Self {
        Self {
            message: message.into(),
            hint,
            passing: false,
        }
    }

    /// A failure that may be over in a moment.
    pub fn passing(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            passing: true,
        }
    }
}

/// Wall clock and chance.
pub trait Host: Send + Sync {
    /// The time.
    fn now(&self) -> Timestamp;
    /// A new random id.
    fn uuid(&self) -> Uuid;
    /// The name of this host.
    fn name(&self) -> String;
}

/// How a thread that may block lets time pass: the engine's own tests put a clock of their own here.
pub trait Waits: Send + Sync {
    /// Blocks for so long.
    fn sleep(&self, time: Duration);
    /// Blocks until `is_done`, which is asked at once and after everything that was stored, or until `most` has passed. What it
    /// answered last.
    fn until(&self, most: Duration, is_done: &mut dyn FnMut() -> bool) -> bool;
    /// Something was stored, or an answer was given: those who wait look again.
    fn news(&self);
}

/// A repository that was looked at and found good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryFacts {
    /// The main checkout.
    pub root: PathBuf,
    /// Its default branch.
    pub default_branch: String,
}

/// What making a worktree needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorktreeOrder {
    /// The main checkout.
    pub repository: PathBuf,
    /// The project's name: a directory of its own below the root of all worktrees.
    pub project: String,
    /// The branch.
    pub branch: String,
    /// The branch to start from.
    pub base: Option<String>,
}

/// A worktree that is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorktreeFacts {
    /// Where.
    pub path: PathBuf,
    /// Its branch.
    pub branch: String,
    /// The branch it started from.
    pub base: String,
    /// The commit it started from.
    pub base_commit: String,
    /// Was it there already?
    pub reused: bool,
    /// What people should know.
    pub notes: Vec<String>,
}

/// What removing a worktree needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovalOrder {
    /// The main checkout.
    pub repository: PathBuf,
    /// The worktree.
    pub path: PathBuf,
    /// Name of the snapshot, should one be needed.
    pub snapshot: String,
    /// What a person was shown of what goes for good; none = nothing was shown.
    pub shown: Option<ShownLoss>,
}

/// A worktree that was removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RemovalFacts {
    /// The ref that keeps its work, where there was any.
    pub snapshot: Option<String>,
    /// Was the branch merged, and deleted?
    pub branch_deleted: bool,
    /// What went for good, the largest first.
    pub lost: Vec<LostPath>,
}

/// A process that may still write into a worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningProcess {
    /// Its number, where it is known.
    pub pid: Option<u32>,
    /// What it is, for people: `its client`, `npm run dev`. Safe to print.
    pub what: String,
}

/// What a session is told besides its prompt.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Brief {
    /// What goes into its system prompt.
    pub prompt: Option<String>,
    /// What people should know.
    pub notes: Vec<String>,
}

/// How a worktree differs from what it started from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct DiffFacts {
    /// Files.
    pub files: u32,
    /// Lines added.
    pub added: u32,
    /// Lines removed.
    pub removed: u32,
}

/// Repositories and worktrees.
pub trait Workspace: Send + Sync {
    /// Looks at a directory.
    ///
    /// # Errors
    /// It is no repository, bare, or has no commit.
    fn inspect(&self, path: &std::path::Path) -> Result<RepositoryFacts, PortError>;
    /// Is this a branch name we use?
    ///
    /// # Errors
    /// It is not on the allow-list.
    fn check_branch(&self, name: &str) -> Result<(), PortError>;
    /// Is this base there to start from, in what the repository has now? Nothing is fetched.
    ///
    /// # Errors
    /// It is not on the allow-list, or not there.
    fn check_base(&self, repository: &std::path::Path, base: &str) -> Result<(), PortError>;
    /// Foresees what [`Workspace::prepare`] would refuse, by looking only; what a fetch could still bring is not refused.
    ///
    /// # Errors
    /// The base is missing, or the branch is checked out elsewhere.
    fn check_start(&self, order: &WorktreeOrder) -> Result<(), PortError>;
    /// The branch a task gets that names none.
    fn branch_for(&self, title: &str, id: Uuid) -> String;
    /// Makes the worktree, or finds it made.
    ///
    /// # Errors
    /// The base is missing, the branch is checked out elsewhere, or git failed.
    fn prepare(&self, order: &WorktreeOrder) -> Result<WorktreeFacts, PortError>;
    /// Says what [`Workspace::remove`] would keep and lose, or why the worktree would stay. Changes nothing.
    ///
    /// # Errors
    /// Git failed.
    fn preview_removal(
        &self,
        repository: &std::path::Path,
        path: &std::path::Path,
    ) -> Result<RemovalPreview, PortError>;
    /// Keeps the work, then removes the worktree. One that is gone already is success.
    ///
    /// # Errors
    /// It is not a linked worktree of ours, is locked, its work could not be kept, or more would go for good than was shown.
    fn remove(&self, order: &RemovalOrder) -> Result<RemovalFacts, PortError>;
    /// Brings a removed worktree back.
    ///
    /// # Errors
    /// The snapshot is gone, or its place is taken.
    fn restore(
        &self,
        repository: &std::path::Path,
        path: &std::path::Path,
        snapshot: &str,
    ) -> Result<PathBuf, PortError>;
    /// Lets a snapshot go for good. One that is gone already is success.
    ///
    /// # Errors
    /// Git failed.
    fn forget(&self, repository: &std::path::Path, snapshot: &str) -> Result<(), PortError>;
    /// Counts what differs from the commit it started from.
    ///
    /// # Errors
    /// Git failed.
    fn diff(&self, path: &std::path::Path, base_commit: &str) -> Result<DiffFacts, PortError>;
    /// The same differences as text, as git prints them; files that git does not track yet are named at the end.
    ///
    /// # Errors
    /// Git failed, or there are more differences than anybody reads.
    fn diff_text(&self, path: &std::path::Path, base_commit: &str) -> Result<String, PortError>;
    /// The texts that every session of this repository is told, the global one, then the project's: put into the worktree's
    /// `CLAUDE.local.md`, or given back for the system prompt.
    fn brief(&self, repository: &std::path::Path, worktree: &std::path::Path) -> Brief;
}

/// Around which worktree a script runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptOrder {
    /// For which session.
    pub session: SessionId,
    /// The main checkout.
    pub repository: PathBuf,
    /// The project's name.
    pub project: String,
    /// The worktree: where it runs.
    pub worktree: PathBuf,
    /// The worktree's branch.
    pub branch: String,
    /// The branch it started from.
    pub base: String,
}

/// A script that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptFailure {
    /// Which, how, and what to do.
    pub error: PortError,
    /// The last lines it wrote, safe to show.
    pub tail: String,
}

/// The hooks that a session's git runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GitHooks {
    /// What the session's environment gets for them; nothing where there are none.
    pub env: Vec<(String, String)>,
    /// What people should know, such as that a repository's own were left out.
    pub notes: Vec<String>,
}

/// Scripts and hooks of the user, and of repositories that the user trusts.
pub trait Scripts: Send + Sync {
    /// Runs what is to be done in a worktree before the client starts, once for a session. Gives what people should know.
    ///
    /// # Errors
    /// A script could not be started, failed, or took too long.
    fn setup(&self, order: &ScriptOrder) -> Result<Vec<String>, ScriptFailure>;
    /// Would [`Scripts::setup`] run anything? True where that cannot be told.
    fn has_setup(&self, order: &ScriptOrder) -> bool;
    /// Would [`Scripts::teardown`] run anything? True where that cannot be told.
    fn has_teardown(&self, order: &ScriptOrder) -> bool;
    /// Runs what is to be done in a worktree before it is removed.
    ///
    /// # Errors
    /// As [`Scripts::setup`].
    fn teardown(&self, order: &ScriptOrder) -> Result<Vec<String>, ScriptFailure>;
    /// Puts a session's git hooks into its directory.
    ///
    /// # Errors
    /// The disk failed.
    fn git_hooks(&self, order: &ScriptOrder) -> Result<GitHooks, PortError>;
}

/// What writing a launch plan needs.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanOrder {
    /// Whose.
    pub session: SessionId,
    /// Id of the conversation at its first start.
    pub claude_session_id: String,
    /// Secret token of the session.
    pub token: String,
    /// The worktree.
    pub cwd: PathBuf,
    /// The main checkout.
    pub repository: PathBuf,
    /// A short line.
    pub title: String,
    /// First prompt.
    pub prompt: Option<String>,
    /// Mode.
    pub mode: Mode,
    /// Model.
    pub model: Option<String>,
    /// Effort.
    pub effort: Option<String>,
    /// Permission mode.
    pub permission_mode: Option<String>,
    /// Added to the system prompt.
    pub append_system_prompt: Option<String>,
    /// More variables for the client.
    pub env: Vec<(String, String)>,
}

/// What a report means.
#[derive(Debug, Default)]
pub struct Heard {
    /// What to submit.
    pub commands: Vec<Command>,
    /// What changed in telemetry.
    pub live: Option<LiveChange>,
    /// The reporter waits for the answer to this.
    pub waits_for: Option<AskId>,
}

/// A change of what is known of a session but not worth an event.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LiveChange {
    /// Anything was heard at this time.
    pub active_at: Option<Timestamp>,
    /// The context window is so full, 0 to 100.
    pub context_percent: Option<u8>,
    /// The model.
    pub model: Option<String>,
    /// What it does at this moment, one line.
    pub doing: Option<String>,
    /// The account's five-hour allowance.
    pub five_hour: Option<UsageWindow>,
    /// The account's seven-day allowance.
    pub seven_day: Option<UsageWindow>,
    /// Files may have changed: count again.
    pub recount: bool,
    /// The transcript may have grown: read it.
    pub read_transcript: bool,
}

/// Claude Code as an outside program.
pub trait Agent: Send {
    /// Foresees what would stand in the way of a launch: a dialog that a person must answer.
    fn foresee(&mut self, order: &PlanOrder, at: Timestamp) -> Vec<String>;
    /// Writes the launch plan.
    ///
    /// # Errors
    /// No usable client, or the disk failed.
    fn write_plan(&mut self, order: &PlanOrder) -> Result<(), PortError>;
    /// Takes a report in that arrives `now`. Reports arrive in the order in which they are to be believed; one from before the
    /// newest known came by the spool.
    fn hear(&mut self, report: &Report, now: Timestamp) -> Heard;
    /// As [`Agent::hear`], of a hook that is connected and would take an answer now: what it asks is asked still, however old its
    /// report is.
    fn hear_connected(&mut self, report: &Report, now: Timestamp) -> Heard {
        self.hear(report, now)
    }
    /// What a report meant is in the log: one that comes again is known.
    fn stored(&mut self, session: SessionId, report: EventId);
    /// Something that was heard of a session was not stored: what the log knows stands. What must be reported for it to be true.
    fn relearn(&mut self, known: KnownSession, now: Timestamp) -> Vec<Command>;
    /// Looks at the client's registry of sessions and at the transcripts that were read, and says what that means.
    fn look(&mut self, at: Timestamp) -> Vec<Command>;
    /// Has what is new in the transcript read. What was read by now is reported; the rest comes by a later [`Agent::look`], so that
    /// nothing waits for a large file.
    fn usage(&mut self, session: SessionId) -> Vec<Command>;
    /// Learns of a session that the log knows: at the start of the daemon, and when it is opened.
    fn know(&mut self, known: KnownSession);
    /// When a look is due although nothing happens, such as where a client was started and says nothing.
    fn next_look(&self) -> Option<Timestamp>;
    /// The text that the hook waiting for this ask prints once it was answered; none = nothing. Works before and
    /// after [`Agent::answered`]. `text` is the reason or the answer; with several questions one line for each.
    fn answer_text(
        &mut self,
        session: SessionId,
        ask: AskId,
        outcome: AskOutcome,
        text: Option<&str>,
    ) -> Option<String>;
    /// An ask was answered through Claustre: it is not on the screen any more.
    fn answered(&mut self, session: SessionId, ask: AskId);
    /// The session is closed.
    fn forget(&mut self, session: SessionId);
    /// The directory whose changes are worth a [`Agent::look`].
    fn registry(&self) -> Option<PathBuf>;
}

/// The conversations as the client keeps them on disk: the second witness of what it was told. Called on any thread; no look
/// takes longer than a second, whatever the path names.
pub trait Conversations: Send + Sync {
    /// The length of a transcript in bytes; 0 where there is none yet.
    ///
    /// # Errors
    /// It is no transcript, or cannot be read.
    fn length(&self, transcript: &std::path::Path) -> Result<u64, PortError>;
    /// What a person typed, by the records of a transcript behind this offset, in their order.
    ///
    /// # Errors
    /// As [`Conversations::length`].
    fn prompts_since(
        &self,
        transcript: &std::path::Path,
        offset: u64,
    ) -> Result<Vec<String>, PortError>;
}

/// What the log knows of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownSession {
    /// Which.
    pub session: SessionId,
    /// The conversation.
    pub claude_session_id: Option<String>,
    /// The transcript.
    pub transcript_path: Option<PathBuf>,
    /// The client's process, while it runs.
    pub client_pid: Option<u32>,
    /// Since when it has been starting.
    pub launched_at: Timestamp,
    /// What it still asks.
    pub asks: Vec<KnownAsk>,
}

/// An ask that the log knows as open.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownAsk {
    /// Which.
    pub ask: AskId,
    /// Its title.
    pub title: String,
    /// Since when.
    pub since: Timestamp,
}

/// What opening a pane needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaneOrder {
    /// Whose.
    pub session: SessionId,
    /// Name of the tab.
    pub name: String,
    /// The launcher.
    pub argv: Vec<String>,
    /// The worktree.
    pub cwd: PathBuf,
}

/// A pane that was opened. What is not known yet, the launcher reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedPane {
    /// The Zellij session.
    pub zellij_session: String,
    /// The server's process.
    pub server_pid: Option<u32>,
    /// The terminal pane.
    pub pane: Option<u32>,
    /// Does it wait for a tab of its own?
    pub background: bool,
}

/// Where a pane is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaneFacts {
    /// The Zellij session.
    pub zellij_session: String,
    /// The server's process; 0 = not known.
    pub server_pid: u32,
    /// The terminal pane.
    pub pane: u32,
    /// Does it wait for a tab of its own?
    pub background: bool,
}

/// Tabs and panes.
pub trait Multiplexer: Send + Sync {
    /// Opens a tab with the launcher, without moving the focus; in the background while nobody is attached.
    ///
    /// # Errors
    /// No multiplexer can be had.
    fn open(&self, order: &PaneOrder) -> Result<OpenedPane, PortError>;
    /// Gives panes that run in the background their own tabs: terminal pane and name of each.
    ///
    /// # Errors
    /// Nobody is attached, or the dashboard does not answer.
    fn adopt(&self, zellij_session: &str, panes: &[(u32, String)]) -> Result<(), PortError>;
    /// The server's process of a Zellij session whose dashboard answers.
    fn server_of(&self, zellij_session: &str) -> Option<u32>;
    /// Shows the pane.
    ///
    /// # Errors
    /// It is gone, or nobody is attached.
    fn focus(&self, pane: &PaneFacts) -> Result<(), PortError>;
    /// Closes the tab of the pane that was opened for the session. One that is gone already is success, and the pane of another
    /// session, which has got its number since, is left alone.
    ///
    /// # Errors
    /// The multiplexer does not answer.
    fn close(&self, session: SessionId, pane: &PaneFacts, name: &str) -> Result<(), PortError>;
    /// Names the pane's tab, if its name contains `only`: another name is the user's own.
    ///
    /// # Errors
    /// It is gone.
    fn rename(&self, pane: &PaneFacts, name: &str, only: &str) -> Result<(), PortError>;
    /// What the tabs of all panes in the pane's Zellij session are called, by terminal pane. Empty where it cannot tell.
    ///
    /// # Errors
    /// The session does not answer.
    fn tab_names(
        &self,
        _pane: &PaneFacts,
    ) -> Result<std::collections::BTreeMap<u32, String>, PortError> {
        Ok(std::collections::BTreeMap::new())
    }
    /// Is anything being done for somebody who waits for it? What can wait should.
    fn is_busy(&self) -> bool {
        false
    }
    /// Writes bytes into the pane.
    ///
    /// # Errors
    /// It is gone.
    fn write(&self, pane: &PaneFacts, bytes: &[u8]) -> Result<(), PortError>;
    /// Reads the pane's visible text.
    ///
    /// # Errors
    /// It is gone.
    fn read(&self, pane: &PaneFacts) -> Result<String, PortError>;
    /// Shows a toast in every dashboard.
    fn toast(&self, text: &str, error: bool);
}

/// The launchers of sessions.
pub trait Launchers: Send + Sync {
    /// The command of a session's pane.
    fn argv(&self, session: SessionId) -> Vec<String>;
    /// Tells a living launcher to start the client again, continuing the conversation. False: there is none.
    ///
    /// # Errors
    /// It could not be told.
    fn resume(&self, session: SessionId, launcher_pid: u32) -> Result<bool, PortError>;
    /// Tells it to end the client, and with `resume` to start it again at once. False: there is none.
    ///
    /// # Errors
    /// It could not be told.
    fn end(&self, session: SessionId, launcher_pid: u32, resume: bool) -> Result<bool, PortError>;
    /// Does a launcher of this session run and take orders?
    fn is_running(&self, session: SessionId) -> bool;
    /// Is this process the launcher of that session?
    fn is_launcher(&self, session: SessionId, pid: u32) -> bool;
    /// Is this client, a child of that launcher, in the foreground of its terminal, so that what is typed reaches it?
    ///
    /// # Errors
    /// Why not: it is paused, another program has the terminal, it has ended.
    fn in_foreground(&self, launcher_pid: u32, client_pid: u32) -> Result<(), String>;
    /// Is this process running?
    fn is_alive(&self, pid: u32) -> bool;
    /// The session's launcher and client, as far as they still run: each is known by more than its number.
    fn running(&self, session: SessionId) -> Vec<RunningProcess>;
    /// All processes that have this directory, or one below it, as their working directory.
    fn working_in(&self, directory: &std::path::Path) -> Vec<RunningProcess>;
}

/// Tells people.
pub trait Notifier: Send + Sync {
    /// Shows a line outside the dashboard.
    fn notify(&self, text: &str);
}
