//! The table of the design, row by row.

use claustre_protocol::{
    ids::{AssignmentId, MessageId, ProjectId, SessionId, SubtaskId, TaskId},
    model::InboxKind,
    status::{ClaudeStatus, Mode, ProjectStatus, PushMode, Source, TaskStatus as S, Word},
};

use super::{Task, may_move, next_for_itself};
use crate::{
    command::{
        AgentState, Command, CreateTask, EditTask, ProjectCommand, PullRequestState,
        SessionCommand, TaskCommand,
    },
    effect::Effect,
    entity::World,
    event::{Event, NewSubtask},
    projection::inbox,
    rejection::RejectionKind,
    session::Session,
    support::{MemoryWorld, edit_of, new_session, new_task},
};

/// One project with one task, and the session that works on it once it was launched.
struct Board {
    world: MemoryWorld,
    project: ProjectId,
    task: TaskId,
    session: SessionId,
}

impl Board {
    fn with(change: impl FnOnce(&mut CreateTask)) -> Self {
        let mut world = MemoryWorld::new(0);
        let project = ProjectId::new(world.mint());
        world
            .run(Command::Project(ProjectCommand::Add {
                project,
                name: "shop".into(),
                repo_path: "/code/shop".into(),
                default_branch: "main".into(),
                goal: String::new(),
                owner: String::new(),
            }))
            .unwrap();
        let task = TaskId::new(world.mint());
        let session = SessionId::new(world.mint());
        let mut create = new_task(task, project, "Fix login");
        change(&mut create);
        world
            .run(Command::Task(TaskCommand::Create(Box::new(create))))
            .unwrap();
        Self {
            world,
            project,
            task,
            session,
        }
    }

    fn new() -> Self {
        Self::with(|_| {})
    }

    /// A second task of the project.
    fn another(&mut self, title: &str, depends_on: Vec<TaskId>) -> TaskId {
        let task = TaskId::new(self.world.mint());
        let create = CreateTask {
            depends_on,
            ..new_task(task, self.project, title)
        };
        self.go(TaskCommand::Create(Box::new(create)));
        task
    }

    fn go(&mut self, command: TaskCommand) -> Vec<Event> {
        self.world.run(Command::Task(command)).unwrap()
    }

    fn report(&mut self, command: SessionCommand) -> Vec<Event> {
        self.world.run(Command::Session(command)).unwrap()
    }

    fn refused(&mut self, command: TaskCommand) -> String {
        let refused = self.world.run(Command::Task(command)).unwrap_err();
        assert_eq!(refused.kind, RejectionKind::Refused, "{refused}");
        refused.to_string()
    }

    fn launch_of(&mut self, task: TaskId, session: SessionId) -> TaskCommand {
        TaskCommand::Launch {
            task,
            assignment: AssignmentId::new(self.world.mint()),
            open: Box::new(new_session(session, self.project)),
        }
    }

    fn launch(&mut self) -> &mut Self {
        let launch = self.launch_of(self.task, self.session);
        self.go(launch);
        let session = self.session;
        self.report(SessionCommand::ReportClientStarted {
            session,
            pid: 10,
            launcher_pid: 9,
            resumed: false,
        });
        self
    }

    /// The session's status as a hook tells it.
    fn session_is(&mut self, status: ClaudeStatus) {
        let (session, since) = (self.session, self.world.now);
        self.report(SessionCommand::ReportStatus {
            session,
            status,
            reason: None,
            source: Source::Hook,
            since,
            detail: String::new(),
        });
    }

    fn see_pull_request(&mut self) {
        self.go(TaskCommand::ReportPullRequest {
            task: self.task,
            url: "https://example.invalid/1".into(),
        });
    }

    fn status(&self) -> S {
        self.world.status(self.task)
    }

    /// Brings the task to a status by the shortest legal way.
    fn bring_to(&mut self, wanted: S) {
        let (task, session) = (self.task, self.session);
        if !matches!(wanted, S::Draft | S::Pending) {
            self.launch();
        }
        let pull_request = |state| TaskCommand::ReportPullRequestState { task, state };
        match wanted {
            S::Draft | S::Pending | S::Working => {}
            S::Interrupted => {
                self.report(SessionCommand::ReportLost {
                    session,
                    why: "gone".into(),
                });
            }
            S::Blocked => {
                self.go(TaskCommand::Block {
                    task,
                    reason: "stuck".into(),
                });
            }
            S::Error => {
                self.report(SessionCommand::ReportLaunchFailed {
                    session,
                    why: "no git".into(),
                });
            }
            S::Done => {
                self.go(TaskCommand::MarkDone { task });
            }
            S::InReview | S::Conflict | S::CiFailed => {
                self.session_is(ClaudeStatus::Idle);
                self.see_pull_request();
                if wanted == S::Conflict {
                    self.go(pull_request(PullRequestState::Conflict));
                }
                if wanted == S::CiFailed {
                    self.go(pull_request(PullRequestState::CiFailed));
                }
            }
        }
        assert_eq!(self.status(), wanted);
    }
}

/// What moves a task in the design's table.
#[derive(Debug, Clone, Copy)]
enum By {
    Submit,
    Launch,
    PullRequest,
    Finished,
    Pushed,
    Lost,
    Crashed,
    Closed,
    Resume,
    Activity,
    Help,
    Block,
    LaunchFailed,
    SendBack,
    Clear,
    Conflict,
    CiFailed,
    Merged,
    MarkDone,
    Kill,
    Reopen,
}

fn check(from: S, by: By, to: S) {
    let mut board = Board::with(|create| {
        create.draft = from == S::Draft;
        if matches!(by, By::Pushed) {
            create.push_mode = PushMode::Push;
        }
    });
    board.bring_to(from);
    let (task, session) = (board.task, board.session);
    let state = |state| Command::Task(TaskCommand::ReportPullRequestState { task, state });
    let command = match by {
        By::Submit => Command::Task(TaskCommand::Submit { task }),
        By::Launch => Command::Task(board.launch_of(task, session)),
        By::PullRequest => {
            board.session_is(ClaudeStatus::Idle);
            Command::Task(TaskCommand::ReportPullRequest {
                task,
                url: "https://example.invalid/2".into(),
            })
        }
        By::Finished => Command::Task(TaskCommand::ReportFinished {
            task,
            session,
            summary: "all done".into(),
        }),
        By::Pushed => Command::Task(TaskCommand::ReportPushed { task }),
        By::Lost => Command::Session(SessionCommand::ReportLost {
            session,
            why: "the host was restarted".into(),
        }),
        By::Crashed => Command::Session(SessionCommand::ReportClientEnded {
            session,
            code: None,
            signal: Some(11),
            tail: String::new(),
        }),
        By::Closed => Command::Session(SessionCommand::Close {
            session,
            shown: None,
        }),
        By::Resume => Command::Session(SessionCommand::Resume { session }),
        By::Activity => Command::Session(SessionCommand::ReportStatus {
            session,
            status: ClaudeStatus::Working,
            reason: None,
            source: Source::Hook,
            since: board.world.now,
            detail: String::new(),
        }),
        By::Help => Command::Session(SessionCommand::ReportState {
            session,
            state: AgentState::Error,
            message: "I need a key".into(),
        }),
        By::Block => Command::Task(TaskCommand::Block {
            task,
            reason: "budget spent".into(),
        }),
        By::LaunchFailed => Command::Session(SessionCommand::ReportLaunchFailed {
            session,
            why: "no such branch".into(),
        }),
        By::SendBack => Command::Task(TaskCommand::SendBack {
            task,
            message: MessageId::new(board.world.mint()),
            feedback: "please add a test".into(),
        }),
        By::Clear => state(PullRequestState::Clear),
        By::Conflict => state(PullRequestState::Conflict),
        By::CiFailed => state(PullRequestState::CiFailed),
        By::Merged => state(PullRequestState::Merged),
        By::MarkDone => Command::Task(TaskCommand::MarkDone { task }),
        By::Kill => Command::Task(TaskCommand::Kill { task, shown: None }),
        By::Reopen => Command::Task(TaskCommand::Reopen { task }),
    };
    let moves = from != to;
    assert!(!moves || may_move(from, to), "{from:?} to {to:?}");
    let before = board.world.log.len();
    board
        .world
        .run(command)
        .unwrap_or_else(|refused| panic!("{from:?} by {by:?}: {refused}"));
    assert_eq!(board.status(), to, "{from:?} by {by:?}");
    let told: Vec<(S, S)> = board.world.log[before..]
        .iter()
        .filter_map(|recorded| match recorded.event {
            Event::TaskStatusChanged { from, to, .. } => Some((from, to)),
            _ => None,
        })
        .collect();
    let wanted = if moves { vec![(from, to)] } else { Vec::new() };
    assert_eq!(told, wanted, "{from:?} by {by:?}");
}

#[test]
fn a_draft_waits_once_it_is_submitted() {
    check(S::Draft, By::Submit, S::Pending);
}

#[test]
fn a_pending_task_is_worked_on_once_it_is_launched() {
    check(S::Pending, By::Launch, S::Working);
}

#[test]
fn work_is_reviewed_once_a_pull_request_is_seen_or_the_agent_says_so() {
    check(S::Working, By::PullRequest, S::InReview);
    check(S::Working, By::Finished, S::InReview);
}

#[test]
fn a_pull_request_takes_work_to_review_when_the_turn_ends_and_not_before() {
    let mut board = Board::new();
    board.bring_to(S::Working);
    board.session_is(ClaudeStatus::Working);
    board.see_pull_request();
    assert_eq!(board.status(), S::Working, "the turn goes on");
    board.session_is(ClaudeStatus::WaitingForInput);
    assert_eq!(board.status(), S::Working, "it asks something");
    board.session_is(ClaudeStatus::Idle);
    assert_eq!(board.status(), S::InReview);
    board.see_pull_request();
    assert_eq!(board.status(), S::InReview, "seen again");

    // Sent back it works on, and comes to review again with the same pull request.
    let message = MessageId::new(board.world.mint());
    board.go(TaskCommand::SendBack {
        task: board.task,
        message,
        feedback: "add a test".into(),
    });
    board.session_is(ClaudeStatus::Starting);
    board.session_is(ClaudeStatus::Idle);
    assert_eq!(board.status(), S::Working, "it has not seen the feedback");
    let session = board.session;
    board.report(SessionCommand::ReportPromptTaken {
        session,
        message: Some(message),
        since: board.world.now,
    });
    board.session_is(ClaudeStatus::Idle);
    assert_eq!(board.status(), S::InReview);
}

#[test]
fn a_pull_request_of_pushed_work_is_only_noted() {
    let mut board = Board::with(|create| create.push_mode = PushMode::Push);
    board.bring_to(S::Working);
    board.session_is(ClaudeStatus::Working);
    board.see_pull_request();
    board.session_is(ClaudeStatus::Idle);
    board.see_pull_request();
    assert_eq!(board.status(), S::Working);
    let task = board.world.task(board.task).unwrap();
    assert!(task.pr_url.get().is_some());
}

#[test]
fn pushed_work_is_done_without_a_review_only_in_push_mode() {
    check(S::Working, By::Pushed, S::Done);
    let mut board = Board::new();
    let task = board.task;
    board.bring_to(S::Working);
    assert_eq!(board.go(TaskCommand::ReportPushed { task }), []);
}

#[test]
fn work_without_its_session_is_interrupted_and_goes_on_with_it() {
    check(S::Working, By::Lost, S::Interrupted);
    check(S::Working, By::Crashed, S::Interrupted);
    check(S::Working, By::Closed, S::Interrupted);
    check(S::Interrupted, By::Resume, S::Working);
    check(S::Interrupted, By::Activity, S::Working);
}

#[test]
fn work_that_cannot_go_on_is_blocked() {
    check(S::Working, By::Help, S::Blocked);
    check(S::Working, By::Block, S::Blocked);
    check(S::Blocked, By::Activity, S::Working);
    check(S::Blocked, By::Reopen, S::Working);
}

#[test]
fn work_that_cannot_start_is_an_error() {
    check(S::Working, By::LaunchFailed, S::Error);
    check(S::Error, By::Resume, S::Working);
}

#[test]
fn a_reviewed_task_goes_back_to_work() {
    for from in [S::InReview, S::Conflict, S::CiFailed] {
        check(from, By::SendBack, S::Working);
        check(from, By::Activity, S::Working);
    }
}

#[test]
fn the_pull_request_moves_a_task_that_is_in_review() {
    check(S::InReview, By::Conflict, S::Conflict);
    check(S::InReview, By::CiFailed, S::CiFailed);
    check(S::Conflict, By::Clear, S::InReview);
    check(S::CiFailed, By::Clear, S::InReview);
    check(S::Conflict, By::CiFailed, S::CiFailed);
    for from in [S::InReview, S::Conflict, S::CiFailed] {
        check(from, By::Merged, S::Done);
        check(from, By::MarkDone, S::Done);
    }
}

#[test]
fn the_pull_request_does_not_move_a_task_that_is_worked_on() {
    for from in [S::Pending, S::Working, S::Blocked, S::Done] {
        check(from, By::Conflict, from);
        check(from, By::Merged, from);
    }
}

#[test]
fn everything_but_done_can_be_killed_and_reset() {
    for from in S::ALL.iter().copied() {
        if from != S::Done {
            check(from, By::Kill, S::Pending);
        }
    }
    let mut board = Board::new();
    board.bring_to(S::Done);
    let task = board.task;
    assert!(
        board
            .refused(TaskCommand::Kill { task, shown: None })
            .contains("is done")
    );
}

#[test]
fn a_done_task_is_reopened() {
    check(S::Done, By::Reopen, S::Pending);
}

#[test]
fn a_task_that_was_pushed_is_reopened_although_its_session_is_open() {
    let mut board = Board::with(|create| create.push_mode = PushMode::Push);
    let (task, session) = (board.task, board.session);
    board.launch();
    board.go(TaskCommand::ReportPushed { task });
    assert!(board.world.session_now(session).is_open());
    board.go(TaskCommand::Reopen { task });
    assert_eq!(board.status(), S::Pending);
    assert!(!board.world.session_now(session).is_open());
    let session = SessionId::new(board.world.mint());
    let again = board.launch_of(task, session);
    board.go(again);
    assert_eq!(board.status(), S::Working);
}

#[test]
fn the_inbox_calls_what_waits_as_the_board_does() {
    for (status, kind) in [
        (S::InReview, InboxKind::Review),
        (S::Conflict, InboxKind::Conflict),
        (S::CiFailed, InboxKind::CiFailed),
        (S::Blocked, InboxKind::Blocked),
        (S::Interrupted, InboxKind::Interrupted),
        (S::Error, InboxKind::Error),
    ] {
        let mut board = Board::new();
        board.bring_to(status);
        let item = inbox::of_task(&board.world.task_now(board.task), false);
        assert_eq!(item.map(|item| item.kind), Some(kind));
    }
    for status in [S::Pending, S::Working, S::Done] {
        let mut board = Board::new();
        board.bring_to(status);
        let item = inbox::of_task(&board.world.task_now(board.task), false);
        assert_eq!(item, None, "{status:?}");
    }
}

#[test]
fn a_session_that_is_free_goes_on_with_the_next_task() {
    let mut board = Board::with(|create| create.push_mode = PushMode::Push);
    let (first, session) = (board.task, board.session);
    board.launch();
    let second = board.another("Add retry logic", Vec::new());
    let assign = |board: &mut Board, task| TaskCommand::Assign {
        task,
        assignment: AssignmentId::new(board.world.mint()),
        session,
        message: MessageId::new(board.world.mint()),
    };
    let too_early = assign(&mut board, second);
    let refused = board.refused(too_early);
    assert!(
        refused.contains("has the task 'Fix login', which is working"),
        "{refused}"
    );

    board.go(TaskCommand::ReportPushed { task: first });
    board.session_is(ClaudeStatus::Working);
    let in_its_turn = assign(&mut board, second);
    let refused = board.refused(in_its_turn);
    assert!(refused.contains("in the middle of something"), "{refused}");
    board.session_is(ClaudeStatus::Idle);
    let elsewhere = TaskId::new(board.world.mint());
    board.go(TaskCommand::Create(Box::new(CreateTask {
        branch: Some("feature/x".into()),
        ..new_task(elsewhere, board.project, "On its own branch")
    })));
    let order = assign(&mut board, elsewhere);
    let refused = board.refused(order);
    assert!(refused.contains("on the branch feature/x"), "{refused}");

    let order = assign(&mut board, second);
    board.go(order);
    assert_eq!(board.world.status(second), S::Working);
    let known = board.world.session_now(session);
    assert_eq!(known.task.value(), Some(second));
    assert_eq!(board.world.task_now(first).active_session(), None);
    let assigned = board.world.task_now(second);
    assert_eq!(assigned.active_session(), Some(session));
    assert_eq!(assigned.branch.value(), Some(known.branch()));
    let waiting = board.world.waiting_messages(session);
    let prompt = &waiting.first().unwrap().text;
    assert!(prompt.starts_with("# Add retry logic\n"), "{prompt}");
    assert!(prompt.contains("claustre_task_done"), "{prompt}");
    assert!(
        board.world.effects.iter().any(
            |effect| matches!(effect, Effect::DeliverMessage { session: to, .. } if *to == session)
        ),
        "it is typed at once: the client waits for a prompt"
    );

    // What ends the session now concerns the second task only.
    board.report(SessionCommand::Close {
        session,
        shown: None,
    });
    assert_eq!(board.world.status(first), S::Done);
    assert_eq!(board.world.status(second), S::Interrupted);
    assert_eq!(board.world.session_now(session).about(), Some(second));
}

#[test]
fn a_task_is_assigned_only_where_it_can_be_worked_on() {
    let mut board = Board::new();
    let (first, session) = (board.task, board.session);
    let launch = board.launch_of(first, session);
    board.go(launch);
    let second = board.another("Add retry logic", vec![first]);
    let third = board.another("Write it down", Vec::new());
    let assign = |board: &mut Board, task, session| TaskCommand::Assign {
        task,
        assignment: AssignmentId::new(board.world.mint()),
        session,
        message: MessageId::new(board.world.mint()),
    };
    let check = |board: &mut Board, task, session, why: &str| {
        let order = assign(board, task, session);
        let refused = board.world.run(Command::Task(order)).unwrap_err();
        assert!(refused.to_string().contains(why), "{refused}");
    };
    check(&mut board, third, session, "does not run");
    check(&mut board, first, session, "already works on it");
    check(&mut board, second, session, "it waits for 'Fix login'");
    let nobody = SessionId::new(board.world.mint());
    check(&mut board, third, nobody, "there is no session");

    let other = ProjectId::new(board.world.mint());
    board
        .world
        .run(Command::Project(ProjectCommand::Add {
            project: other,
            name: "site".into(),
            repo_path: "/code/site".into(),
            default_branch: "main".into(),
            goal: String::new(),
            owner: String::new(),
        }))
        .unwrap();
    let elsewhere = SessionId::new(board.world.mint());
    board.report(SessionCommand::Open(Box::new(new_session(
        elsewhere, other,
    ))));
    board.report(SessionCommand::ReportClientStarted {
        session: elsewhere,
        pid: 20,
        launcher_pid: 19,
        resumed: false,
    });
    board.report(SessionCommand::ReportStatus {
        session: elsewhere,
        status: ClaudeStatus::Idle,
        reason: None,
        source: Source::Hook,
        since: board.world.now,
        detail: String::new(),
    });
    check(&mut board, third, elsewhere, "works on another repository");

    // What waits for review stays alone on its branch.
    board.report(SessionCommand::ReportClientStarted {
        session,
        pid: 10,
        launcher_pid: 9,
        resumed: false,
    });
    board.session_is(ClaudeStatus::Idle);
    board.see_pull_request();
    check(&mut board, third, session, "which is in review");
    board.report(SessionCommand::Close {
        session,
        shown: None,
    });
    check(&mut board, third, session, "is closed");
}

#[test]
fn a_session_takes_by_itself_only_an_autonomous_task_that_waits_for_nothing() {
    let mut board = Board::with(|create| create.mode = Mode::Supervised);
    let first = board.task;
    let waits = board.another("Add retry logic", vec![first]);
    let draft = TaskId::new(board.world.mint());
    board.go(TaskCommand::Create(Box::new(CreateTask {
        draft: true,
        ..new_task(draft, board.project, "Some day")
    })));
    let free = board.another("Write it down", Vec::new());
    let queue = |board: &Board, ids: &[TaskId]| -> Option<TaskId> {
        let tasks: Vec<Task> = ids.iter().map(|id| board.world.task_now(*id)).collect();
        let session = Session::new(board.session);
        next_for_itself(&board.world, &session, tasks).map(|task| task.id)
    };
    assert_eq!(queue(&board, &[first, waits, draft]), None);
    assert_eq!(queue(&board, &[first, waits, draft, free]), Some(free));
    board.go(TaskCommand::MarkDone { task: first });
    assert_eq!(queue(&board, &[first, waits, free]), Some(waits));
}

#[test]
fn what_is_not_in_the_table_is_refused() {
    let allowed: &[(S, &[S])] = &[
        (S::Draft, &[S::Pending]),
        (S::Pending, &[S::Working, S::Blocked, S::Done]),
        (
            S::Working,
            &[
                S::Pending,
                S::Interrupted,
                S::InReview,
                S::Conflict,
                S::CiFailed,
                S::Blocked,
                S::Done,
                S::Error,
            ],
        ),
        (
            S::Interrupted,
            &[
                S::Pending,
                S::Working,
                S::InReview,
                S::Blocked,
                S::Done,
                S::Error,
            ],
        ),
        (
            S::InReview,
            &[
                S::Pending,
                S::Working,
                S::Conflict,
                S::CiFailed,
                S::Blocked,
                S::Done,
            ],
        ),
        (
            S::Conflict,
            &[S::Pending, S::Working, S::InReview, S::CiFailed, S::Done],
        ),
        (
            S::CiFailed,
            &[S::Pending, S::Working, S::InReview, S::Conflict, S::Done],
        ),
        (
            S::Blocked,
            &[S::Pending, S::Working, S::InReview, S::Done, S::Error],
        ),
        (S::Done, &[S::Pending]),
        (S::Error, &[S::Pending, S::Working]),
    ];
    for from in S::ALL.iter().copied() {
        let row = allowed
            .iter()
            .find(|(known, _)| *known == from)
            .map_or(&[][..], |(_, to)| to);
        for to in S::ALL.iter().copied() {
            assert_eq!(may_move(from, to), row.contains(&to), "{from:?} to {to:?}");
        }
    }
}

#[test]
fn a_deleted_task_closes_its_session_and_comes_back_in_the_queue() {
    let mut board = Board::new();
    let (task, session) = (board.task, board.session);
    board.bring_to(S::Working);
    board.go(TaskCommand::Delete { task });
    assert!(!board.world.task_now(task).exists());
    assert!(!board.world.session_now(session).is_open());
    let refused = board
        .world
        .run(Command::Task(TaskCommand::Submit { task }))
        .unwrap_err();
    assert_eq!(refused.kind, RejectionKind::NotFound);
    board.go(TaskCommand::Restore { task });
    assert!(board.world.task_now(task).exists());
    assert_eq!(board.status(), S::Pending);
    assert_eq!(board.go(TaskCommand::Restore { task }), []);
    // Deleted and brought back as often as one likes.
    board.go(TaskCommand::Delete { task });
    assert!(!board.world.task_now(task).exists());
}

#[test]
fn a_done_task_that_is_deleted_comes_back_done() {
    let mut board = Board::with(|create| create.push_mode = PushMode::Push);
    let task = board.task;
    board.launch();
    board.go(TaskCommand::ReportPushed { task });
    board.go(TaskCommand::Delete { task });
    board.go(TaskCommand::Restore { task });
    assert_eq!(board.status(), S::Done);
}

#[test]
fn a_task_is_launched_only_when_nothing_stands_against_it() {
    let mut board = Board::with(|create| create.draft = true);
    let (task, session) = (board.task, board.session);
    let launch = board.launch_of(task, session);
    assert!(board.refused(launch).contains("it is a draft"));
    board.go(TaskCommand::Submit { task });

    let before = board.another("First", Vec::new());
    board.go(TaskCommand::Edit(Box::new(EditTask {
        depends_on: Some(vec![before]),
        ..edit_of(task)
    })));
    let launch = board.launch_of(task, session);
    let refused = board.world.run(Command::Task(launch)).unwrap_err();
    assert!(refused.to_string().contains("it waits for 'First'"));
    assert!(refused.hint.unwrap().contains("--after-none"));
    board.go(TaskCommand::MarkDone { task: before });

    let project = board.project;
    let set = |status| {
        Command::Project(ProjectCommand::Edit {
            project,
            name: None,
            goal: None,
            owner: None,
            default_branch: None,
            status: Some(status),
        })
    };
    board.world.run(set(ProjectStatus::Done)).unwrap();
    let launch = board.launch_of(task, session);
    assert!(board.refused(launch).contains("shop is done"));
    board.world.run(set(ProjectStatus::Active)).unwrap();

    let launch = board.launch_of(task, session);
    board.go(launch);
    assert_eq!(board.world.task_now(task).active_session(), Some(session));
    assert_eq!(board.world.session_now(session).task.value(), Some(task));
    assert!(
        board
            .world
            .effects
            .contains(&Effect::PrepareSession { session })
    );
    let second = SessionId::new(board.world.mint());
    let launch = board.launch_of(task, second);
    assert!(board.refused(launch).contains("already works on it"));
}

#[test]
fn an_interrupted_task_whose_session_was_closed_is_launched_again() {
    let mut board = Board::new();
    let (task, session) = (board.task, board.session);
    board.launch();
    board.report(SessionCommand::Close {
        session,
        shown: None,
    });
    assert_eq!(board.status(), S::Interrupted);
    let second = SessionId::new(board.world.mint());
    let launch = board.launch_of(task, second);
    board.go(launch);
    assert_eq!(board.status(), S::Working);
    assert_eq!(board.world.task_now(task).active_session(), Some(second));
}

#[test]
fn reopening_a_task_blocks_what_was_built_on_it() {
    let mut board = Board::new();
    let first = board.task;
    let working = board.another("Working", vec![first]);
    let waiting = board.another("Waiting", vec![first]);
    board.go(TaskCommand::MarkDone { task: first });
    let session = SessionId::new(board.world.mint());
    let launch = board.launch_of(working, session);
    board.go(launch);
    board.go(TaskCommand::Reopen { task: first });
    assert_eq!(board.world.status(first), S::Pending);
    assert_eq!(board.world.status(working), S::Blocked);
    assert_eq!(
        board.world.task_now(working).standing().reason.as_deref(),
        Some("'Fix login' was reopened")
    );
    assert_eq!(board.world.status(waiting), S::Pending);
}

#[test]
fn dependencies_never_form_a_circle() {
    let mut board = Board::new();
    let first = board.task;
    let second = board.another("Second", vec![first]);
    let third = board.another("Third", vec![second]);
    for depends_on in [vec![first], vec![third], vec![second, third]] {
        let refused = board.refused(TaskCommand::Edit(Box::new(EditTask {
            depends_on: Some(depends_on),
            ..edit_of(first)
        })));
        assert!(refused.contains("circle"), "{refused}");
    }
    board.go(TaskCommand::Edit(Box::new(EditTask {
        depends_on: Some(Vec::new()),
        ..edit_of(second)
    })));
    board.go(TaskCommand::Edit(Box::new(EditTask {
        depends_on: Some(vec![third]),
        ..edit_of(first)
    })));
    assert_eq!(board.world.dependents(third).len(), 1);
}

#[test]
fn sending_back_queues_the_feedback_and_needs_an_open_session() {
    let mut board = Board::new();
    let (task, session) = (board.task, board.session);
    board.bring_to(S::InReview);
    let message = MessageId::new(board.world.mint());
    let back = TaskCommand::SendBack {
        task,
        message,
        feedback: "rename it".into(),
    };
    board.go(back.clone());
    assert!(board.world.session_now(session).queued.contains(message));
    assert!(board.refused(back.clone()).contains("it is working"));
    board.report(SessionCommand::ReportPromptTaken {
        session,
        message: Some(message),
        since: board.world.now,
    });
    board.session_is(ClaudeStatus::Idle);
    assert_eq!(board.status(), S::InReview);
    board.report(SessionCommand::Close {
        session,
        shown: None,
    });
    assert!(board.refused(back).contains("its session is closed"));
}

#[test]
fn only_the_session_that_works_on_a_task_finishes_it() {
    let mut board = Board::new();
    let task = board.task;
    board.bring_to(S::Working);
    let stranger = SessionId::new(board.world.mint());
    let refused = board.refused(TaskCommand::ReportFinished {
        task,
        session: stranger,
        summary: "mine".into(),
    });
    assert!(refused.contains("does not work on it"));
}

#[test]
fn base_and_branch_are_fixed_once_a_task_was_launched() {
    let mut board = Board::new();
    let task = board.task;
    let edit = TaskCommand::Edit(Box::new(EditTask {
        base: Some(Some("next".into())),
        ..edit_of(task)
    }));
    board.go(edit.clone());
    assert_eq!(board.go(edit), [], "it says so already");
    board.bring_to(S::Working);
    let refused = board.refused(TaskCommand::Edit(Box::new(EditTask {
        branch: Some(Some("other".into())),
        ..edit_of(task)
    })));
    assert!(refused.contains("fixed once it was launched"), "{refused}");
}

#[test]
fn steps_keep_their_state_when_the_list_is_edited() {
    let mut board = Board::new();
    let task = board.task;
    let mut step = |title: &str| NewSubtask {
        subtask: SubtaskId::new(board.world.mint()),
        title: title.into(),
    };
    let (first, second, third) = (step("find"), step("rewrite"), step("test"));
    let edit = |steps: Vec<NewSubtask>| {
        TaskCommand::Edit(Box::new(EditTask {
            subtasks: Some(steps),
            ..edit_of(task)
        }))
    };
    board.go(edit(vec![first.clone(), second.clone()]));
    board.go(TaskCommand::CompleteSubtask {
        task,
        subtask: second.subtask,
        done: true,
    });
    let again = NewSubtask {
        subtask: SubtaskId::new(board.world.mint()),
        ..second.clone()
    };
    board.go(edit(vec![again, third]));
    let known = board.world.task_now(task);
    let steps: Vec<(&str, bool)> = known
        .steps()
        .iter()
        .map(|(_, step)| (step.title(), step.done.value()))
        .collect();
    assert_eq!(steps, [("rewrite", true), ("test", false)]);
    assert!(!known.steps().iter().any(|(id, _)| *id == first.subtask));
}
