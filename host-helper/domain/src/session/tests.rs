//! What orders and reports do to a session.

use claustre_protocol::{
    ids::{AskId, AssignmentId, MessageId, ProjectId, SessionId, TaskId},
    model::AskKind,
    status::{ClaudeStatus as C, Reason, Source, TaskStatus},
    time::Timestamp,
};

use crate::{
    command::{
        AgentState, Command, ProjectCommand, SessionCommand as S, TaskCommand, WorktreeCommand,
    },
    effect::Effect,
    entity::World,
    event::{AskOutcome, Event, Typed, UsageTotals},
    recovery::{Observed, recover},
    rejection::Rejection,
    session::{DO_NOT_SEND, MessageState, SEND_AGAIN},
    support::{MemoryWorld, new_session, new_task},
};

/// One session that works on a task.
pub(super) struct Desk {
    pub(super) world: MemoryWorld,
    project: ProjectId,
    task: TaskId,
    pub(super) session: SessionId,
}

impl Desk {
    fn new() -> Self {
        let mut world = MemoryWorld::new(0);
        let project = ProjectId::new(world.mint());
        let task = TaskId::new(world.mint());
        let session = SessionId::new(world.mint());
        for command in [
            Command::Project(ProjectCommand::Add {
                project,
                name: "shop".into(),
                repo_path: "/code/shop".into(),
                default_branch: "main".into(),
                goal: String::new(),
                owner: String::new(),
            }),
            Command::Task(TaskCommand::Create(Box::new(new_task(
                task, project, "Fix",
            )))),
            Command::Task(TaskCommand::Launch {
                task,
                assignment: AssignmentId::new(world.mint()),
                open: Box::new(new_session(session, project)),
            }),
        ] {
            world.run(command).unwrap();
        }
        Self {
            world,
            project,
            task,
            session,
        }
    }

    /// With a client that waits for a prompt.
    pub(super) fn idle() -> Self {
        let mut desk = Self::new();
        let session = desk.session;
        desk.go(S::ReportClientStarted {
            session,
            pid: 10,
            launcher_pid: 9,
            resumed: false,
        });
        desk.says(C::Idle);
        desk
    }

    pub(super) fn go(&mut self, command: S) -> Vec<Event> {
        self.attempt(command).unwrap()
    }

    pub(super) fn attempt(&mut self, command: S) -> Result<Vec<Event>, Rejection> {
        self.world.now = self.world.now.plus_millis(1000);
        self.world.run(Command::Session(command))
    }

    pub(super) fn refused(&mut self, command: S) -> String {
        self.attempt(command).unwrap_err().to_string()
    }

    pub(super) fn says(&mut self, status: C) {
        let (session, since) = (self.session, self.world.now);
        self.go(S::ReportStatus {
            session,
            status,
            reason: None,
            source: Source::Hook,
            since,
            detail: String::new(),
        });
    }

    pub(super) fn stands(&self) -> (C, Option<Reason>) {
        let standing = self.world.session_now(self.session).status();
        (standing.status, standing.reason)
    }

    fn task_status(&self) -> TaskStatus {
        self.world.status(self.task)
    }

    pub(super) fn ask(&mut self, kind: AskKind, answerable: bool) -> AskId {
        let ask = AskId::new(self.world.mint());
        let (session, since) = (self.session, self.world.now);
        self.go(S::ReportAsk {
            session,
            ask,
            kind,
            title: "Bash: ls".into(),
            detail: "ls -la".into(),
            options: Vec::new(),
            answerable,
            since,
            attended: (kind == AskKind::Permission).then_some(true),
        });
        ask
    }

    pub(super) fn answer(&self, ask: Option<AskId>, outcome: AskOutcome) -> S {
        S::Answer {
            session: self.session,
            ask,
            outcome,
            text: Some("because".into()),
        }
    }

    /// The client takes the answer to this.
    fn taken(&mut self, ask: AskId) {
        let session = self.session;
        self.go(S::ReportAnswerTaken { session, ask });
    }

    fn send(&mut self, text: &str) -> MessageId {
        let message = MessageId::new(self.world.mint());
        let session = self.session;
        self.go(S::Send {
            session,
            message,
            text: text.into(),
            from: "user".into(),
        });
        message
    }

    fn deliveries(&mut self) -> Vec<MessageId> {
        std::mem::take(&mut self.world.effects)
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::DeliverMessage { message, .. } => Some(message),
                _ => None,
            })
            .collect()
    }

    fn message_state(&self, message: MessageId) -> MessageState {
        self.world.message(message).unwrap().state
    }
}

fn ended(code: Option<i32>, signal: Option<i32>, session: SessionId) -> S {
    S::ReportClientEnded {
        session,
        code,
        signal,
        tail: "line one\nlast words\n".into(),
    }
}

#[test]
fn how_the_client_ended_tells_an_exit_from_a_crash() {
    let cases = [
        (Some(0), None, C::Done, Reason::Exited),
        (Some(143), None, C::Error, Reason::Crashed),
        (Some(130), None, C::Error, Reason::Crashed),
        (None, Some(15), C::Error, Reason::Crashed),
        (None, Some(1), C::Error, Reason::Lost),
        (Some(129), None, C::Error, Reason::Lost),
        (Some(1), None, C::Error, Reason::Crashed),
        (Some(137), None, C::Error, Reason::Crashed),
        (None, Some(9), C::Error, Reason::Crashed),
        (None, Some(11), C::Error, Reason::Crashed),
        (None, None, C::Error, Reason::Crashed),
    ];
    for (code, signal, status, reason) in cases {
        let mut desk = Desk::idle();
        let session = desk.session;
        desk.go(ended(code, signal, session));
        assert_eq!(desk.stands(), (status, Some(reason)), "{code:?} {signal:?}");
        assert_eq!(desk.task_status(), TaskStatus::Interrupted);
        let known = desk.world.session_now(session);
        assert!(known.status().detail.ends_with(": last words"));
        assert_eq!(known.running_client(), None);
        assert!(known.is_open(), "it can be resumed");
    }
}

#[test]
fn a_crashed_session_that_is_lost_as_well_stays_crashed() {
    let mut desk = Desk::idle();
    let session = desk.session;
    desk.go(ended(Some(1), None, session));
    let lost = S::ReportLost {
        session,
        why: "the pane is gone".into(),
    };
    assert_eq!(desk.go(lost), []);
    assert_eq!(desk.stands(), (C::Error, Some(Reason::Crashed)));
}

#[test]
fn a_session_is_resumed_only_while_no_client_runs() {
    let mut desk = Desk::idle();
    let session = desk.session;
    assert!(
        desk.refused(S::Resume { session })
            .contains("its client is running")
    );
    desk.go(ended(Some(1), None, session));
    desk.world.effects.clear();
    desk.go(S::Resume { session });
    assert_eq!(desk.stands(), (C::Starting, None));
    assert_eq!(desk.task_status(), TaskStatus::Working);
    assert!(matches!(
        desk.world.effects[..],
        [Effect::ResumeClient { session: of, .. }] if of == session
    ));
    desk.go(S::ReportClientStarted {
        session,
        pid: 20,
        launcher_pid: 9,
        resumed: true,
    });
    assert_eq!(
        desk.world
            .session_now(session)
            .running_client()
            .unwrap()
            .pid,
        20
    );
}

#[test]
fn a_restart_ends_the_client_and_starts_it_again() {
    let mut desk = Desk::idle();
    let session = desk.session;
    desk.world.effects.clear();
    desk.go(S::Restart { session });
    assert!(matches!(
        desk.world.effects[..],
        [Effect::EndClient { resume: true, .. }]
    ));
    assert_eq!(desk.task_status(), TaskStatus::Working);
}

#[test]
fn closing_ends_all_that_hangs_on_a_session() {
    let mut desk = Desk::idle();
    let (session, task) = (desk.session, desk.task);
    let ask = desk.ask(AskKind::Permission, true);
    let message = desk.send("one more thing");
    desk.world.effects.clear();
    desk.go(S::Close {
        session,
        shown: None,
    });
    let known = desk.world.session_now(session);
    assert!(!known.is_open() && known.asks.is_empty() && known.queued.is_empty());
    assert_eq!(known.task.value(), None);
    assert_eq!(
        desk.world.ask(ask).unwrap().outcome.get(),
        Some(&AskOutcome::Gone)
    );
    assert_eq!(desk.message_state(message), MessageState::Dropped);
    assert_eq!(desk.task_status(), TaskStatus::Interrupted);
    assert_eq!(desk.world.task_now(task).active_session(), None);
    assert_eq!(desk.world.task_now(task).last_session(), Some(session));
    for effect in [
        Effect::CloseTab { session },
        Effect::RemoveWorktree {
            session,
            shown: None,
        },
    ] {
        assert!(desk.world.effects.contains(&effect), "{effect:?}");
    }
    assert!(
        desk.refused(S::Close {
            session,
            shown: None,
        })
        .contains("is closed")
    );
    // Reports that come too late change nothing, but what was used counts.
    assert_eq!(desk.go(ended(Some(0), None, session)), []);
    let totals = UsageTotals {
        input_tokens: 5,
        ..UsageTotals::default()
    };
    assert_eq!(desk.go(S::ReportUsage { session, totals }).len(), 1);
}

#[test]
fn killing_a_task_closes_its_session_and_keeps_its_work() {
    let mut desk = Desk::idle();
    let (session, task) = (desk.session, desk.task);
    desk.world
        .run(Command::Task(TaskCommand::Kill { task, shown: None }))
        .unwrap();
    assert_eq!(desk.task_status(), TaskStatus::Pending);
    assert!(!desk.world.session_now(session).is_open());
    let removed = |snapshot: &str| {
        Command::Worktree(WorktreeCommand::ReportRemoved {
            session,
            snapshot: Some(snapshot.into()),
            branch_deleted: false,
        })
    };
    let restored = Command::Worktree(WorktreeCommand::ReportRestored {
        session,
        path: "/worktrees/x".into(),
    });
    let kept = |desk: &Desk| desk.world.session_now(session).removed.value();
    desk.world.run(removed("refs/claustre/trash/1")).unwrap();
    assert_eq!(kept(&desk).as_deref(), Some("refs/claustre/trash/1"));
    desk.world.run(restored).unwrap();
    assert_eq!(kept(&desk), None);
    // Removed once more after it was brought back.
    desk.world.run(removed("refs/claustre/trash/2")).unwrap();
    assert_eq!(kept(&desk).as_deref(), Some("refs/claustre/trash/2"));
    let expired = |snapshot: &str| {
        Command::Worktree(WorktreeCommand::ReportExpired {
            session,
            snapshot: snapshot.into(),
        })
    };
    desk.world.run(expired("refs/claustre/trash/1")).unwrap();
    assert_eq!(kept(&desk).as_deref(), Some("refs/claustre/trash/2"));
    desk.world.run(expired("refs/claustre/trash/2")).unwrap();
    assert_eq!(kept(&desk), None);
}

#[test]
fn a_permission_is_answered_through_claustre() {
    for (outcome, kind) in [
        (AskOutcome::Approved, AskKind::Permission),
        (AskOutcome::Denied, AskKind::Permission),
        (AskOutcome::Answered, AskKind::Question),
        (AskOutcome::Denied, AskKind::Question),
    ] {
        let mut desk = Desk::idle();
        let ask = desk.ask(kind, true);
        assert_eq!(desk.stands().0, C::WaitingForInput);
        let answer = desk.answer(Some(ask), outcome);
        desk.go(answer.clone());
        desk.taken(ask);
        assert_eq!(desk.stands(), (C::Working, None));
        let known = desk.world.ask(ask).unwrap();
        assert_eq!(known.outcome.get(), Some(&outcome));
        assert_eq!(known.text.value().as_deref(), Some("because"));
        assert!(desk.refused(answer).contains("answered meanwhile"));
    }
}

#[test]
fn a_notice_says_who_asks() {
    let mut desk = Desk::idle();
    desk.world.effects.clear();
    desk.ask(AskKind::Permission, true);
    let notices: Vec<_> = std::mem::take(&mut desk.world.effects)
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Notify { text, .. } => Some(text),
            _ => None,
        })
        .collect();
    assert_eq!(notices, ["Fix asks: Bash: ls"]);
}

#[test]
fn an_answer_must_fit_what_is_asked() {
    let mut desk = Desk::idle();
    let anything = desk.answer(None, AskOutcome::Approved);
    assert!(desk.refused(anything.clone()).contains("it asks nothing"));
    let question = desk.ask(AskKind::Question, true);
    assert!(
        desk.refused(anything.clone())
            .contains("cannot be approved")
    );
    let permission = desk.ask(AskKind::Permission, true);
    desk.go(anything);
    desk.taken(permission);
    let known = desk.world.session_now(desk.session);
    assert!(!known.asks.contains(permission) && known.asks.contains(question));
    assert_eq!(
        desk.stands().0,
        C::WaitingForInput,
        "the question still waits"
    );
    let dialog = desk.ask(AskKind::Dialog, false);
    let answer = desk.answer(Some(dialog), AskOutcome::Approved);
    assert!(desk.refused(answer).contains("only be answered in its tab"));
}

#[test]
fn what_was_answered_elsewhere_or_is_gone_is_not_asked_any_more() {
    let mut desk = Desk::idle();
    let session = desk.session;
    let first = desk.ask(AskKind::Permission, true);
    desk.go(S::ReportAskClosed {
        session,
        ask: None,
        outcome: AskOutcome::Elsewhere,
    });
    assert_eq!(
        desk.world.ask(first).unwrap().outcome.get(),
        Some(&AskOutcome::Elsewhere)
    );
    let late = desk.answer(Some(first), AskOutcome::Approved);
    assert!(desk.refused(late).contains("answered meanwhile"));

    let second = desk.ask(AskKind::Permission, true);
    let since = desk.world.now;
    desk.go(S::ReportPromptTaken {
        session,
        message: None,
        since,
    });
    assert_eq!(
        desk.world.ask(second).unwrap().outcome.get(),
        Some(&AskOutcome::Gone)
    );

    let third = desk.ask(AskKind::Question, true);
    desk.go(ended(Some(0), None, session));
    assert_eq!(
        desk.world.ask(third).unwrap().outcome.get(),
        Some(&AskOutcome::Gone)
    );
    assert!(desk.world.session_now(session).asks.is_empty());
}

#[test]
fn a_report_of_an_ask_that_comes_again_does_not_ask_again() {
    let mut desk = Desk::idle();
    let (session, ask) = (desk.session, desk.ask(AskKind::Permission, true));
    let again = S::ReportAsk {
        session,
        ask,
        kind: AskKind::Permission,
        title: "Bash: ls".into(),
        detail: String::new(),
        options: Vec::new(),
        answerable: true,
        since: desk.world.now,
        attended: Some(true),
    };
    assert_eq!(desk.go(again.clone()), []);
    let answer = desk.answer(Some(ask), AskOutcome::Approved);
    desk.go(answer);
    assert_eq!(desk.go(again.clone()), []);
    desk.taken(ask);
    assert_eq!(desk.go(again), []);
    assert!(desk.world.session_now(session).asks.is_empty());
}

#[test]
fn messages_wait_until_the_client_is_idle_and_go_one_at_a_time() {
    let mut desk = Desk::idle();
    let session = desk.session;
    desk.says(C::Working);
    desk.world.effects.clear();
    let first = desk.send("one");
    let second = desk.send("two");
    assert_eq!(desk.deliveries(), [], "it works");
    desk.says(C::Idle);
    assert_eq!(desk.deliveries(), [first]);
    let since = desk.world.now;
    let taken = S::ReportPromptTaken {
        session,
        message: Some(first),
        since,
    };
    desk.go(taken.clone());
    assert_eq!(desk.message_state(first), MessageState::Delivered);
    assert_eq!(desk.deliveries(), []);
    let told_again = desk.go(taken);
    assert!(
        !told_again
            .iter()
            .any(|event| matches!(event, Event::MessageDelivered { .. }))
    );
    desk.says(C::Idle);
    assert_eq!(desk.deliveries(), [second]);
}

#[test]
fn a_message_for_an_idle_client_goes_at_once_and_only_once() {
    let mut desk = Desk::idle();
    let session = desk.session;
    desk.world.effects.clear();
    let message = desk.send("hello");
    assert_eq!(desk.deliveries(), [message]);
    let again = S::Send {
        session,
        message,
        text: "hello".into(),
        from: "user".into(),
    };
    assert_eq!(desk.go(again.clone()), [], "the same order again");
    let since = desk.world.now;
    desk.go(S::ReportPromptTaken {
        session,
        message: Some(message),
        since,
    });
    assert_eq!(desk.go(again), []);
    let empty = S::Send {
        session,
        message: MessageId::new(desk.world.mint()),
        text: "  \n".into(),
        from: "user".into(),
    };
    assert!(desk.refused(empty).contains("it is empty"));
}

#[test]
fn a_message_that_arrived_and_was_given_up_has_arrived_whichever_is_heard_first() {
    let mut desk = Desk::idle();
    let session = desk.session;
    let message = desk.send("hello");
    let delivered = Event::MessageDelivered {
        message,
        session,
        task: None,
    };
    let dropped = Event::MessageDropped {
        message,
        session,
        task: None,
        why: "the session was closed by another host".into(),
    };
    let queued = desk.world.entities.clone();
    for order in [
        [delivered.clone(), dropped.clone()],
        [dropped.clone(), delivered.clone()],
    ] {
        desk.world.entities = queued.clone();
        for event in order {
            desk.world.record(event);
        }
        assert_eq!(desk.message_state(message), MessageState::Delivered);
        assert!(desk.world.session_now(session).queued.is_empty());
    }
}

#[test]
fn messages_of_one_moment_keep_their_order() {
    let mut desk = Desk::idle();
    desk.says(C::Working);
    let session = desk.session;
    let mut sent = Vec::new();
    for text in ["a", "b", "c"] {
        // The ids fall as the order rises, and the clock stands.
        let message = MessageId::new(uuid::Uuid::from_u128(u128::from(9 - sent.len() as u64)));
        desk.world
            .run(Command::Session(S::Send {
                session,
                message,
                text: text.into(),
                from: "user".into(),
            }))
            .unwrap();
        sent.push(message);
    }
    let waiting: Vec<MessageId> = desk
        .world
        .waiting_messages(session)
        .iter()
        .map(|message| message.id)
        .collect();
    assert_eq!(waiting, sent);
}

#[test]
fn what_a_session_used_is_split_over_its_tasks() {
    let mut desk = Desk::idle();
    let (session, first, project) = (desk.session, desk.task, desk.project);
    let used = |input_tokens, cost| S::ReportUsage {
        session,
        totals: UsageTotals {
            input_tokens,
            cost,
            ..UsageTotals::default()
        },
    };
    assert_eq!(desk.go(used(0, 0.0)), [], "nothing is no news");
    desk.go(used(100, 1.0));
    desk.go(used(150, 1.5));
    assert_eq!(desk.go(used(150, 1.5)), [], "the same again is no news");

    // The session goes from one task to the next.
    let second = TaskId::new(desk.world.mint());
    desk.world
        .run(Command::Task(TaskCommand::Create(Box::new(new_task(
            second, project, "Next",
        )))))
        .unwrap();
    let known = desk.world.task_now(first);
    let assigned = known.assigned.get().unwrap().clone();
    for event in [
        Event::AssignmentEnded {
            assignment: assigned.assignment,
            task: first,
            session,
            why: "finished".into(),
            edit_no: known.assigned.next_edit(),
        },
        Event::TaskAssigned {
            assignment: AssignmentId::new(desk.world.mint()),
            task: second,
            session,
            edit_no: 0,
        },
    ] {
        desk.world.record(event);
    }
    assert_eq!(desk.world.session_now(session).task.value(), Some(second));
    desk.go(used(400, 4.0));
    let of = |desk: &Desk, task| desk.world.task_now(task).usage_total();
    assert_eq!(of(&desk, first).input_tokens, 150);
    assert_eq!(of(&desk, second).input_tokens, 250);
    assert!((of(&desk, second).cost - 2.5).abs() < 1e-9);
    assert_eq!(
        desk.world.session_now(session).usage_total().input_tokens,
        400
    );
}

#[test]
fn the_agents_word_counts_for_what_only_it_knows() {
    let mut desk = Desk::idle();
    desk.says(C::Working);
    let session = desk.session;
    let word = |state, message: &str| S::ReportState {
        session,
        state,
        message: message.into(),
    };
    desk.go(word(AgentState::Working, "reading"));
    assert_eq!(desk.stands(), (C::Working, None));
    assert_eq!(desk.world.session_now(session).message.value(), "reading");
    desk.go(word(AgentState::WaitingForInput, "which one?"));
    assert_eq!(desk.stands(), (C::WaitingForInput, Some(Reason::Question)));
    desk.go(word(AgentState::Error, "no access"));
    assert_eq!(desk.task_status(), TaskStatus::Blocked);
}

#[test]
fn a_status_that_says_nothing_new_is_no_event() {
    let mut desk = Desk::idle();
    let before = desk.world.log.len();
    desk.says(C::Idle);
    desk.says(C::Idle);
    assert_eq!(desk.world.log.len(), before);
}

#[test]
fn after_a_restart_of_the_host_what_ran_is_lost_and_the_rest_is_left_alone() {
    let mut desk = Desk::idle();
    let session = desk.session;
    let known = [desk.world.session_now(session)];
    let alive = Observed {
        client_alive: true,
        launcher_alive: true,
    };
    assert_eq!(recover(&known, |_| alive), []);
    let reports = recover(&known, |_| Observed::default());
    for report in reports {
        desk.world.run(report).unwrap();
    }
    assert_eq!(desk.stands(), (C::Error, Some(Reason::Lost)));
    assert_eq!(desk.task_status(), TaskStatus::Interrupted);
    let known = [desk.world.session_now(session)];
    assert_eq!(recover(&known, |_| Observed::default()), [], "said once");
    let never_started = [Desk::new().world.session_now(session)];
    assert_eq!(recover(&never_started, |_| Observed::default()), []);
}

#[test]
fn a_session_without_a_task_is_opened_and_closed() {
    let mut desk = Desk::new();
    let session = SessionId::new(desk.world.mint());
    let open = new_session(session, desk.project);
    desk.go(S::Open(Box::new(open)));
    let known = desk.world.session_now(session);
    assert!(known.is_open() && known.task.value().is_none());
    assert_eq!(known.tab_name(), format!("shop:{}", known.branch()));
    assert!(
        desk.world
            .effects
            .contains(&Effect::PrepareSession { session })
    );
    let since = Timestamp::from_millis(0);
    let stranger = SessionId::new(desk.world.mint());
    let of_stranger = S::ReportPromptTaken {
        session: stranger,
        message: None,
        since,
    };
    assert_eq!(desk.go(of_stranger), [], "a report of an unknown session");
    desk.go(S::Close {
        session,
        shown: None,
    });
    let project = desk.project;
    assert_eq!(desk.world.open_sessions(project).len(), 1, "the other one");
    let refused = desk
        .world
        .run(Command::Project(ProjectCommand::Remove { project }))
        .unwrap_err();
    assert!(refused.to_string().contains("1 of its sessions are open"));
}

/// A message that was typed into the client.
fn typed(desk: &mut Desk, text: &str) -> MessageId {
    let message = desk.send(text);
    let session = desk.session;
    let typed = Typed {
        client: 20,
        transcript: "/t.jsonl".into(),
        offset: 7,
    };
    desk.go(S::ReportMessageTyped {
        session,
        message,
        typed: typed.clone(),
    });
    let known = desk.world.message(message).unwrap();
    assert_eq!(known.typed.value(), Some(typed));
    assert!(known.may_have_arrived());
    message
}

fn in_doubt(desk: &mut Desk, message: MessageId) -> AskId {
    let ask = AskId::new(desk.world.mint());
    let session = desk.session;
    desk.go(S::ReportMessageInDoubt {
        session,
        message,
        ask,
    });
    ask
}

#[test]
fn a_message_in_doubt_is_asked_about_once_and_nothing_is_typed_meanwhile() {
    let mut desk = Desk::idle();
    let (session, message) = (desk.session, typed(&mut desk, "one"));
    let second = desk.send("two");
    let ask = in_doubt(&mut desk, message);
    assert_eq!(desk.stands(), (C::WaitingForInput, Some(Reason::Dialog)));
    let asked = desk.world.ask(ask).unwrap().asked.unwrap();
    assert_eq!(asked.message, Some(message));
    assert_eq!(asked.options, [SEND_AGAIN, DO_NOT_SEND]);
    assert!(asked.title.contains("\"one\""), "{}", asked.title);
    let again = AskId::new(desk.world.mint());
    let repeated = S::ReportMessageInDoubt {
        session,
        message,
        ask: again,
    };
    assert_eq!(desk.go(repeated), []);
    // A prompt that a person types in the pane answers no question of ours.
    let since = desk.world.now;
    desk.go(S::ReportPromptTaken {
        session,
        message: None,
        since,
    });
    desk.says(C::Idle);
    assert!(desk.world.session_now(session).asks.contains(ask));
    assert!(!desk.world.session_now(session).takes_prompts());
    desk.world.effects.clear();

    let answer = |text: &str| S::Answer {
        session,
        ask: Some(ask),
        outcome: AskOutcome::Answered,
        text: Some(text.into()),
    };
    let (odd, good) = (answer("perhaps"), answer("Send it again "));
    assert!(desk.refused(odd).contains("neither of the two answers"));
    desk.go(good);
    assert!(desk.world.message(message).unwrap().typed.value().is_none());
    assert_eq!(desk.stands(), (C::Idle, None));
    assert_eq!(desk.deliveries().first(), Some(&message), "before {second}");
}

#[test]
fn a_message_in_doubt_may_be_given_up_or_turn_out_to_have_arrived() {
    for outcome in [AskOutcome::Answered, AskOutcome::Denied] {
        let mut desk = Desk::idle();
        let (session, message) = (desk.session, typed(&mut desk, "one"));
        let ask = in_doubt(&mut desk, message);
        desk.go(S::Answer {
            session,
            ask: Some(ask),
            outcome,
            text: Some(DO_NOT_SEND.into()),
        });
        assert_eq!(desk.message_state(message), MessageState::Dropped);
        assert_eq!(desk.stands(), (C::Idle, None));
    }
    for seen in [true, false] {
        let mut desk = Desk::idle();
        let (session, message) = (desk.session, typed(&mut desk, "one"));
        let (ask, since) = (in_doubt(&mut desk, message), desk.world.now);
        desk.go(if seen {
            S::ReportMessageSeen { session, message }
        } else {
            S::ReportPromptTaken {
                session,
                message: Some(message),
                since,
            }
        });
        assert_eq!(desk.message_state(message), MessageState::Delivered);
        let known = desk.world.ask(ask).unwrap();
        assert_eq!(known.outcome.get(), Some(&AskOutcome::Elsewhere));
        assert_eq!(desk.go(S::ReportMessageSeen { session, message }), []);
    }
}

#[test]
fn a_restarted_client_is_no_longer_asked_about_and_its_message_waits() {
    let mut desk = Desk::idle();
    let (session, message) = (desk.session, typed(&mut desk, "one"));
    in_doubt(&mut desk, message);
    desk.go(S::Restart { session });
    assert!(desk.world.session_now(session).asks.is_empty());
    assert_eq!(desk.message_state(message), MessageState::Waiting);
    desk.world.effects.clear();
    desk.says(C::Idle);
    assert_eq!(desk.deliveries(), [message]);
}

#[test]
fn why_a_message_waits_stands_beside_the_status_until_it_changes() {
    let mut desk = Desk::idle();
    let session = desk.session;
    let held = |why: &str| S::ReportMessageHeld {
        session,
        why: why.into(),
    };
    assert_eq!(desk.go(held("its client is paused")).len(), 1);
    let standing = desk.world.session_now(session).status();
    assert_eq!(standing.status, C::Idle);
    assert_eq!(standing.detail, "its client is paused");
    assert_eq!(desk.go(held("its client is paused")), [], "once");
    desk.says(C::Working);
    assert_eq!(
        desk.go(held("its client is paused")),
        [],
        "a status that is over"
    );
}

/// All orders of a few things.
fn orders<T: Clone>(things: &[T]) -> Vec<Vec<T>> {
    if things.is_empty() {
        return vec![Vec::new()];
    }
    (0..things.len())
        .flat_map(|first| {
            let mut rest = things.to_vec();
            let first = rest.remove(first);
            orders(&rest).into_iter().map(move |mut order| {
                order.insert(0, first.clone());
                order
            })
        })
        .collect()
}

#[test]
fn one_end_has_one_word_whichever_report_comes_first() {
    let probe = Desk::idle();
    let (session, now) = (probe.session, probe.world.now);
    let lost = |why: &str| S::ReportLost {
        session,
        why: why.into(),
    };
    let goodbye = S::ReportStatus {
        session,
        status: C::Done,
        reason: Some(Reason::Exited),
        source: Source::Hook,
        since: now,
        detail: String::new(),
    };
    // A hook of the last turn that lay in the spool.
    let late = S::ReportStatus {
        session,
        status: C::Idle,
        reason: None,
        source: Source::Hook,
        since: now,
        detail: String::new(),
    };
    let late_prompt = S::ReportPromptTaken {
        session,
        message: None,
        since: now,
    };
    let cases: [(&str, Vec<S>, C, Reason); 6] = [
        (
            "the user left it, then closed the pane",
            vec![
                goodbye.clone(),
                ended(Some(0), None, session),
                lost("its pane was closed"),
                lost("its launcher is gone"),
            ],
            C::Done,
            Reason::Exited,
        ),
        (
            "the user left it, and it failed at its end",
            vec![
                goodbye,
                ended(Some(1), None, session),
                lost("its pane was closed"),
            ],
            C::Done,
            Reason::Exited,
        ),
        (
            "the client was killed",
            vec![
                ended(None, Some(9), session),
                lost("its client is gone"),
                late.clone(),
                late_prompt.clone(),
            ],
            C::Error,
            Reason::Crashed,
        ),
        (
            "the launcher was killed",
            vec![
                lost("its launcher is gone"),
                lost("its client is gone"),
                late.clone(),
            ],
            C::Error,
            Reason::Lost,
        ),
        (
            "the Zellij server ended",
            vec![
                ended(Some(129), None, session),
                ended(None, Some(1), session),
                lost("its pane was closed"),
                lost("its launcher is gone"),
                late,
            ],
            C::Error,
            Reason::Lost,
        ),
        (
            "it could not be started",
            vec![
                S::ReportLaunchFailed {
                    session,
                    why: "no such program".into(),
                },
                ended(Some(1), None, session),
                lost("its launcher is gone"),
            ],
            C::Error,
            Reason::LaunchFailed,
        ),
    ];
    for (name, reports, status, reason) in cases {
        for order in orders(&reports) {
            let mut desk = Desk::idle();
            desk.world.now = desk.world.now.plus_millis(5_000);
            for report in &order {
                desk.go(report.clone());
            }
            assert_eq!(desk.stands(), (status, Some(reason)), "{name}: {order:?}");
            assert_eq!(
                desk.world.session_now(session).running_client(),
                None,
                "{name}"
            );
            assert_ne!(desk.task_status(), TaskStatus::Working, "{name}: {order:?}");
        }
    }
}

#[test]
fn the_end_that_a_restart_orders_is_no_end() {
    let mut desk = Desk::idle();
    let session = desk.session;
    desk.go(S::Restart { session });
    for late in [
        ended(Some(143), None, session),
        ended(None, Some(9), session),
        S::ReportLost {
            session,
            why: "its client is gone".into(),
        },
    ] {
        assert_eq!(desk.go(late), []);
    }
    assert_eq!(desk.stands(), (C::Starting, None));
}
