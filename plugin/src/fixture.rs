//! A board as it looks on a busy day, for tests.

use claustre_protocol::{
    dashboard::{DashboardUpdate, Header, ProjectCard, SessionCard, StepCard, TaskCard},
    ids::{AskId, EventId, ProjectId, SessionId, SubtaskId, TaskId},
    model::{Ask, AskKind, InboxItem, InboxKind, Subtask, Task, TaskDetail, Update, UsageWindow},
    status::{
        ClaudeStatus, LogLevel, Mode, Priority, ProjectStatus, PushMode, Reason, Source, TaskStatus,
    },
    time::Timestamp,
};
use ratatui_core::{buffer::Buffer, layout::Rect};
use uuid::Uuid;

use crate::{
    ansi::to_text,
    effect::Effect,
    keymap::parse_key,
    model::Model,
    msg::{LinkState, Msg},
    update::update,
    view::view,
};

pub const NOW: Timestamp = Timestamp::from_millis(1_795_169_840_000);

pub fn ago(seconds: i64) -> Timestamp {
    NOW.plus_millis(-seconds * 1000)
}

pub fn project_id(number: u128) -> ProjectId {
    ProjectId::new(Uuid::from_u128(number))
}

pub fn session_id(number: u128) -> SessionId {
    SessionId::new(Uuid::from_u128(0x5000 + number))
}

pub fn task_id(number: u128) -> TaskId {
    TaskId::new(Uuid::from_u128(0x7000 + number))
}

pub fn ask_id(number: u128) -> AskId {
    AskId::new(Uuid::from_u128(0xa000 + number))
}

pub fn project(number: u128, name: &str, goal: &str) -> ProjectCard {
    ProjectCard {
        id: project_id(number),
        name: name.into(),
        status: ProjectStatus::Active,
        goal: goal.into(),
        repo_path: format!("/home/mara/code/{name}"),
        default_branch: "main".into(),
        tasks: Default::default(),
    }
}

pub fn task(
    number: u128,
    project: u128,
    priority: u8,
    status: TaskStatus,
    title: &str,
) -> TaskCard {
    TaskCard {
        id: task_id(number),
        project_id: project_id(project),
        title: title.into(),
        status,
        note: String::new(),
        mode: Mode::Autonomous,
        priority: Priority::new(priority).unwrap(),
        push_mode: PushMode::Pr,
        rank: f64::from(u32::try_from(number).unwrap()),
        base: None,
        branch: None,
        review_loop: false,
        steps_done: 0,
        steps_total: 0,
        steps: Vec::new(),
        session_id: None,
        pr_url: None,
        model: None,
        created_at: ago(90_000),
        updated_at: ago(3_700),
        started_at: None,
        completed_at: None,
        tokens: 0,
        cost: 0.0,
    }
}

pub fn session(number: u128, project: u128, branch: &str, status: ClaudeStatus) -> SessionCard {
    let name = ["", "shop", "site", "tools"][usize::try_from(project).unwrap()];
    SessionCard {
        id: session_id(number),
        project_id: project_id(project),
        task_id: None,
        branch: branch.into(),
        base: "main".into(),
        worktree_path: format!("/home/mara/.claustre/worktrees/{name}/{branch}"),
        tab_name: format!("{name}:{branch}"),
        zellij_session: Some("work".into()),
        pane_id: Some(10 + u32::try_from(number).unwrap()),
        status,
        reason: None,
        source: Source::Hook,
        since: ago(300),
        last_activity_at: ago(3),
        message: String::new(),
        ask: None,
        files_changed: 0,
        lines_added: 0,
        lines_removed: 0,
        input_tokens: 0,
        output_tokens: 0,
        cost: 0.0,
        context_percent: None,
        model: Some("opus".into()),
        queued_messages: 0,
        created_at: ago(1_080),
    }
}

pub fn permission(number: u128) -> Ask {
    Ask {
        id: ask_id(number),
        kind: AskKind::Permission,
        title: "Bash: rm -rf dist && npm run build".into(),
        detail: "Bash\n\n  rm -rf dist && npm run build\n\nIn /home/mara/.claustre/worktrees/shop/fix/login-form\nClaude says: rebuild the bundle so that the focus trap of the login form is part of it, then run the whole suite once more.".into(),
        options: Vec::new(),
        answerable: true,
        since: ago(125),
        answered: false,
        cut: false,
    }
}

fn sessions() -> Vec<SessionCard> {
    let mut list = vec![
        session(1, 1, "fix/login-form", ClaudeStatus::WaitingForInput),
        session(2, 1, "task/fix-auth-token-1f3a9c02", ClaudeStatus::Working),
        session(3, 1, "feat/retry", ClaudeStatus::Idle),
        session(
            4,
            1,
            "task/rename-the-whole-billing-module-to-payments-9c02aa31",
            ClaudeStatus::Idle,
        ),
        session(5, 1, "決済/日本語ブランチ", ClaudeStatus::Working),
        session(6, 2, "spike/search", ClaudeStatus::Idle),
        session(7, 2, "feat/emoji-🎉-picker", ClaudeStatus::WaitingForInput),
        session(8, 2, "task/sitemap-0badcafe", ClaudeStatus::Error),
        session(9, 1, "chore/limits", ClaudeStatus::Working),
        session(
            10,
            1,
            "task/\u{1b}[31mred\u{7}-00000000",
            ClaudeStatus::Starting,
        ),
    ];
    for (number, task) in [
        (1, 1),
        (2, 2),
        (3, 3),
        (4, 4),
        (5, 5),
        (7, 24),
        (8, 25),
        (9, 6),
    ] {
        list[number - 1].task_id = Some(task_id(task));
    }
    list[0].ask = Some(permission(1));
    list[0].reason = Some(Reason::Permission);
    list[0].since = ago(125);
    let auth = &mut list[1];
    auth.message = "refactoring auth middleware".into();
    (auth.files_changed, auth.lines_added, auth.lines_removed) = (4, 52, 18);
    (auth.input_tokens, auth.output_tokens, auth.cost) = (12_400, 3_100, 0.21);
    auth.context_percent = Some(34);
    auth.queued_messages = 1;
    list[4].message =
        "支払い処理のリファクタリングを続けています。すべてのテストが通るまで待ってください 🚀"
            .into();
    list[5].since = ago(41 * 60);
    list[6].ask = Some(Ask {
        id: ask_id(7),
        kind: AskKind::Question,
        title: "Which emoji set shall the picker use?".into(),
        detail: String::new(),
        options: vec!["Twemoji".into(), "The system's own 👩‍💻".into()],
        answerable: true,
        since: ago(700),
        answered: false,
        cut: false,
    });
    list[6].reason = Some(Reason::Question);
    list[7].reason = Some(Reason::Crashed);
    list[7].source = Source::Process;
    list[8].reason = Some(Reason::UsageLimit);
    list
}

fn tasks() -> Vec<TaskCard> {
    use TaskStatus::{Blocked, CiFailed, Conflict, Done, Draft, Error, InReview, Pending, Working};
    let mut list = vec![
        task(1, 1, 0, Working, "Login form loses focus"),
        task(2, 1, 1, Working, "Fix auth token refresh"),
        task(3, 1, 1, InReview, "Add retry logic"),
        task(4, 1, 2, Conflict, "Rename billing module"),
        task(
            5,
            1,
            2,
            Working,
            "支払いモジュールを新しいAPIに移行する（長いタイトルの例です）",
        ),
        task(
            6,
            1,
            3,
            Working,
            "Respect the rate limits of the payment provider",
        ),
        task(7, 1, 2, Pending, "Update API docs"),
        task(8, 1, 2, Pending, "Drop legacy endpoint"),
        task(9, 1, 2, Draft, "Think about webhooks"),
        task(
            10,
            1,
            1,
            CiFailed,
            "Upgrade the test runner 🧪 and fix what breaks",
        ),
        task(11, 1, 3, Blocked, "Move the sessions to Redis"),
        task(
            12,
            1,
            4,
            Error,
            "A title that is so long that no pane on this planet will ever show all of it at once, however wide the monitor may be",
        ),
        task(13, 1, 3, Done, "Bump toolchain"),
        task(
            14,
            1,
            2,
            Pending,
            "Evil \u{1b}[2J\u{1b}[31mtitle\u{7} with \u{202e}tricks\r\nand lines",
        ),
    ];
    for number in 15..23 {
        list.push(task(
            number,
            1,
            3,
            Pending,
            &format!("Chore number {number}"),
        ));
    }
    list.push(task(23, 2, 2, Pending, "Landing page"));
    list.push(task(24, 2, 1, Working, "Emoji picker 🎉"));
    list.push(task(25, 2, 2, TaskStatus::Interrupted, "Sitemap"));
    for number in 26..32 {
        list.push(task(number, 2, 3, Done, &format!("Old page {number}")));
    }
    for (number, session) in [
        (1, 1),
        (2, 2),
        (3, 3),
        (4, 4),
        (5, 5),
        (6, 9),
        (24, 7),
        (25, 8),
    ] {
        list[number - 1].session_id = Some(session_id(session));
        list[number - 1].branch = Some(
            sessions()[usize::try_from(session).unwrap() - 1]
                .branch
                .clone(),
        );
    }
    let auth = &mut list[1];
    auth.steps = [
        ("find callers", true),
        ("rewrite refresh", false),
        ("add tests", false),
    ]
    .map(|(title, done)| StepCard {
        title: title.into(),
        done,
    })
    .into();
    (auth.steps_done, auth.steps_total) = (1, 3);
    list[2].pr_url = Some("https://github.com/mara/shop/pull/412".into());
    list[2].note = "CI 2/5 · 1 comment".into();
    list[2].updated_at = ago(14 * 60);
    list[3].note = "conflicts with feat/retry".into();
    list[6].note = "after: Add retry logic".into();
    list[9].note = "3 of 41 checks failed: lint, unit, e2e".into();
    list[9].pr_url = Some("https://github.com/mara/shop/pull/409".into());
    list[10].note = "needs the address of the cluster".into();
    list[12].note = "merged #400".into();
    list[12].completed_at = Some(ago(3 * 3600));
    list
}

fn inbox() -> Vec<InboxItem> {
    let item = |kind, task: Option<u128>, session: Option<u128>, title: &str, detail: &str, age| {
        InboxItem {
            kind,
            task_id: task.map(task_id),
            session_id: session.map(session_id),
            title: title.into(),
            detail: detail.into(),
            since: ago(age),
            ask_id: None,
            only_in_tab: false,
        }
    };
    vec![
        item(
            InboxKind::Permission,
            Some(1),
            Some(1),
            "Login form loses focus",
            "Bash: rm -rf dist && npm run build",
            125,
        ),
        item(
            InboxKind::Question,
            Some(24),
            Some(7),
            "Emoji picker 🎉",
            "Which emoji set shall the picker use?",
            700,
        ),
        item(
            InboxKind::Error,
            Some(25),
            Some(8),
            "Sitemap",
            "client crashed",
            300,
        ),
        item(
            InboxKind::CiFailed,
            Some(10),
            None,
            "Upgrade the test runner 🧪 and fix what breaks",
            "3 of 41 checks failed",
            3_700,
        ),
        item(
            InboxKind::Review,
            Some(3),
            Some(3),
            "Add retry logic",
            "#412",
            840,
        ),
    ]
}

pub fn snapshot() -> DashboardUpdate {
    DashboardUpdate {
        reset: true,
        more: false,
        position: 1,
        now: NOW,
        header: Some(Header {
            host: "desk".into(),
            build: "0.1.0".into(),
            queue_running: 4,
            queue_capacity: 6,
            five_hour: Some(UsageWindow {
                used_percent: 61.0,
                resets_at: None,
            }),
            seven_day: Some(UsageWindow {
                used_percent: 38.2,
                resets_at: None,
            }),
            warning: String::new(),
        }),
        projects: vec![
            project(1, "shop", "The web shop and its payments"),
            project(2, "site", "Landing pages"),
            project(3, "tools", ""),
        ],
        sessions: sessions(),
        tasks: tasks(),
        inbox: Some(inbox()),
        removed: Vec::new(),
    }
}

pub fn task_detail() -> TaskDetail {
    let line = |number: u128, seconds, source: &str, payload: &str, level| Update {
        id: EventId::new(Uuid::from_u128(0xe000 + number)),
        task_id: Some(task_id(2)),
        session_id: Some(session_id(2)),
        source: source.into(),
        payload: payload.into(),
        level,
        hlc: String::new(),
        created_at: ago(seconds),
    };
    TaskDetail {
        task: Task {
            id: task_id(2),
            project_id: project_id(1),
            project: "shop".into(),
            title: "Fix auth token refresh".into(),
            description: "Fix auth token refresh\n\nThe token is refreshed too late when the clock of the client is ahead. Find every caller of `refresh()`, and make the margin a setting.\n\n- keep the public API\n- 日本語のテストも追加".into(),
            status: TaskStatus::Draft,
            status_reason: None,
            mode: Mode::Autonomous,
            priority: Priority::new(1).unwrap(),
            base: None,
            branch: Some("task/fix-auth-token-1f3a9c02".into()),
            push_mode: PushMode::Pr,
            review_loop: true,
            depends_on: Vec::new(),
            subtasks: [("find callers", true), ("rewrite refresh", false), ("add tests", false)]
                .into_iter()
                .zip(0_u32..)
                .map(|((title, done), position)| Subtask {
                    id: SubtaskId::new(Uuid::from_u128(0x9000 + u128::from(position))),
                    title: title.into(),
                    done,
                    position,
                })
                .collect(),
            session_id: Some(session_id(2)),
            pr_url: None,
            ci_status: None,
            model: Some("opus".into()),
            effort: None,
            permission_mode: None,
            budget_usd: None,
            created_at: ago(90_000),
            updated_at: ago(60),
            started_at: Some(ago(1_080)),
            completed_at: None,
            input_tokens: 12_400,
            output_tokens: 3_100,
            cost: 0.21,
        },
        session: None,
        updates: vec![
            line(1, 3, "status", "working: refactoring auth middleware", LogLevel::Info),
            line(2, 70, "log", "two callers use a private clock", LogLevel::Warn),
            line(3, 1_000, "step", "done: find callers", LogLevel::Info),
            line(4, 1_080, "status", "launched", LogLevel::Info),
        ],
        waits_for: Vec::new(),
    }
}

/// A dashboard under test.
pub struct Board {
    pub model: Model,
}

impl Board {
    /// Visible, linked, of this size, and knowing nothing yet.
    pub fn blank(columns: u16, rows: u16) -> Self {
        let mut board = Self {
            model: Model::new(),
        };
        board.send(Msg::Resized { columns, rows });
        board.send(Msg::Visible(true));
        board.send(Msg::Link(LinkState::Up));
        board
    }

    /// The busy day.
    pub fn busy(columns: u16, rows: u16) -> Self {
        let mut board = Self::blank(columns, rows);
        board.send(Msg::Dashboard(snapshot()));
        board
    }

    pub fn send(&mut self, msg: Msg) -> Vec<Effect> {
        update(&mut self.model, msg)
    }

    /// Draws and presses keys, one after the other, written as in the configuration, separated by blanks; `'text'` is
    /// typed. Gives all but ticks.
    pub fn keys(&mut self, keys: &str) -> Vec<Effect> {
        let mut effects = Vec::new();
        for word in keys.split(' ').filter(|word| !word.is_empty()) {
            self.buffer();
            match word.strip_prefix('\'') {
                Some(text) => {
                    for character in text.chars() {
                        let character = if character == '_' { ' ' } else { character };
                        effects.extend(self.send(Msg::Key(crate::msg::Key::char(character))));
                    }
                }
                None => {
                    let key = parse_key(word).unwrap_or_else(|| panic!("no key: {word}"));
                    effects.extend(self.send(Msg::Key(key)));
                }
            }
        }
        effects.retain(|effect| !matches!(effect, Effect::Tick { .. }));
        effects
    }

    /// Answers the newest order that was sent.
    pub fn reply(&mut self, effects: &[Effect], value: serde_json::Value) -> Vec<Effect> {
        let id = effects.iter().rev().find_map(|effect| match effect {
            Effect::Ask { id, .. } => Some(*id),
            _ => None,
        });
        self.send(Msg::Reply {
            id: id.expect("nothing was asked"),
            outcome: Ok(value),
        })
    }

    pub fn buffer(&self) -> Buffer {
        let (columns, rows) = self.model.size;
        let mut buffer = Buffer::empty(Rect::new(0, 0, columns, rows));
        view(&self.model, &mut buffer);
        buffer
    }

    pub fn text(&self) -> String {
        to_text(&self.buffer())
    }
}
