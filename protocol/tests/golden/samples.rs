//! Examples that several messages hold, with no field left out.

use claustre_protocol::{
    ids::{AskId, EventId, Id, MachineId, ProjectId, SessionId, SubtaskId, TaskId},
    model::{
        Ask, AskKind, InboxItem, InboxKind, Project, Session, StoredEvent, Subtask, Task, Update,
        UsageWindow,
    },
    status::{
        ClaudeStatus, LogLevel, Mode, Priority, ProjectStatus, PushMode, Reason, Source, TaskStatus,
    },
    time::Timestamp,
};
use uuid::Uuid;

pub(crate) const PROJECT: ProjectId = id(0x11);
pub(crate) const TASK: TaskId = id(0x22);
pub(crate) const OTHER_TASK: TaskId = id(0x23);
pub(crate) const SUBTASK: SubtaskId = id(0x33);
pub(crate) const SESSION: SessionId = id(0x44);
pub(crate) const ASK: AskId = id(0x55);
pub(crate) const EVENT: EventId = id(0x66);
pub(crate) const MACHINE: MachineId = id(0x77);
pub(crate) const HLC: &str = "1795169840307.000002.00000077-0000-4000-8000-000000000000";

/// An id that shows what it is of.
const fn id<Kind>(kind: u128) -> Id<Kind> {
    Id::new(Uuid::from_u128((kind << 96) | 0x4000_8000_0000_0000_0000))
}

/// A moment, so many seconds after the first.
pub(crate) const fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_795_169_840_307 + seconds * 1_000)
}

pub(crate) fn priority(value: u8) -> Priority {
    Priority::new(value).unwrap()
}

pub(crate) fn project() -> Project {
    Project {
        id: PROJECT,
        name: "shop".into(),
        repo_path: "/home/mara/code/shop".into(),
        default_branch: "main".into(),
        goal: "sell things".into(),
        owner: "mara".into(),
        status: ProjectStatus::Active,
        created_at: at(0),
    }
}

pub(crate) fn subtask() -> Subtask {
    Subtask {
        id: SUBTASK,
        title: "find the callers".into(),
        done: true,
        position: 1,
    }
}

pub(crate) fn task() -> Task {
    Task {
        id: TASK,
        project_id: PROJECT,
        project: "shop".into(),
        title: "Fix the cart's sum".into(),
        description: "Run the tests and correct what fails.".into(),
        status: TaskStatus::InReview,
        status_reason: Some("the first price was skipped".into()),
        mode: Mode::Autonomous,
        priority: priority(1),
        base: Some("main".into()),
        branch: Some("task/fix-the-cart-s-sum-00000022".into()),
        push_mode: PushMode::Pr,
        review_loop: true,
        depends_on: vec![OTHER_TASK],
        subtasks: vec![subtask()],
        session_id: Some(SESSION),
        pr_url: Some("https://github.com/mara/shop/pull/412".into()),
        ci_status: Some("passed".into()),
        model: Some("opus".into()),
        effort: Some("high".into()),
        permission_mode: Some("acceptEdits".into()),
        budget_usd: Some(2.5),
        created_at: at(0),
        updated_at: at(60),
        started_at: Some(at(10)),
        completed_at: Some(at(70)),
        input_tokens: 64_400,
        output_tokens: 350,
        cost: 0.25,
    }
}

pub(crate) fn ask() -> Ask {
    Ask {
        id: ASK,
        kind: AskKind::Question,
        title: "Which one?".into(),
        detail: "Which one?\n1. the first\n2. the second".into(),
        options: vec!["the first".into(), "the second".into()],
        answerable: true,
        since: at(30),
        answered: false,
        cut: false,
    }
}

pub(crate) fn session() -> Session {
    Session {
        id: SESSION,
        project_id: PROJECT,
        project: "shop".into(),
        task_id: Some(TASK),
        branch_name: "task/fix-the-cart-s-sum-00000022".into(),
        worktree_path: "/home/mara/.claustre/worktrees/shop/task-fix".into(),
        zellij_tab_name: "shop:task/fix-the-cart-s-sum-00000022".into(),
        zellij_session: Some("main".into()),
        pane_id: Some(14),
        host: "desk".into(),
        claude_session_id: Some("0b7f9a52-3f0e-4c53-9a9e-8a5f6d0c1b2a".into()),
        claude_status: ClaudeStatus::WaitingForInput,
        reason: Some(Reason::Question),
        source: Source::Hook,
        since: at(30),
        status_message: "correcting the sum".into(),
        last_activity_at: at(31),
        files_changed: 4,
        lines_added: 52,
        lines_removed: 18,
        input_tokens: 64_400,
        output_tokens: 350,
        cost: 0.25,
        context_percent: Some(34),
        model: Some("Opus".into()),
        ask: Some(ask()),
        queued_messages: 2,
        created_at: at(10),
        closed_at: Some(at(70)),
    }
}

pub(crate) fn update() -> Update {
    Update {
        id: EVENT,
        task_id: Some(TASK),
        session_id: Some(SESSION),
        source: "log".into(),
        payload: "the first price was skipped".into(),
        level: LogLevel::Warn,
        hlc: HLC.into(),
        created_at: at(40),
    }
}

pub(crate) fn inbox_item() -> InboxItem {
    InboxItem {
        kind: InboxKind::Question,
        task_id: Some(TASK),
        session_id: Some(SESSION),
        title: "Fix the cart's sum".into(),
        detail: "Which one?".into(),
        since: at(30),
        ask_id: None,
        only_in_tab: false,
    }
}

pub(crate) fn event() -> StoredEvent {
    StoredEvent {
        uuid: EVENT,
        hlc: HLC.into(),
        machine_id: MACHINE,
        event_type: "task_moved".into(),
        payload: serde_json::json!({ "edit_no": 3, "rank": 1.5 }),
        created_at: at(40),
    }
}

pub(crate) fn usage_window() -> UsageWindow {
    UsageWindow {
        used_percent: 42.5,
        resets_at: Some(at(3_600)),
    }
}
