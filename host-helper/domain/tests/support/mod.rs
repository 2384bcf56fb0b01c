//! A world in memory, and commands at random, for tests.
#![allow(
    dead_code,
    reason = "each test target uses its own part of what they share"
)]

use std::collections::{BTreeMap, BTreeSet};

use claustre_domain::{
    Context,
    command::{
        AgentState, Command, CreateTask, EditTask, OpenSession, ProjectCommand, PullRequestState,
        SessionCommand, TaskCommand, WorktreeCommand,
    },
    decide,
    effect::Effect,
    entity::{Entity, EntityRef, World, touched},
    event::{AskOutcome, Event, NewSubtask, Recorded, UsageTotals},
    project::Project,
    react,
    rejection::Rejection,
    session::{Ask, Message, MessageState, Session},
    task::Task,
    time::{Hlc, Reading},
};
use claustre_protocol::{
    ids::{
        AskId, AssignmentId, EventId, MachineId, MessageId, ProjectId, SessionId, SubtaskId, TaskId,
    },
    model::AskKind,
    status::{
        ClaudeStatus, LogLevel, Mode, Priority, ProjectStatus, PushMode, Reason, Source, TaskStatus,
    },
    time::Timestamp,
};
use uuid::Uuid;

/// One host: its clock, its log, and what it folded.
pub struct MemoryWorld {
    pub machine: MachineId,
    pub now: Timestamp,
    pub reading: Reading,
    pub log: Vec<Recorded>,
    pub effects: Vec<Effect>,
    pub entities: BTreeMap<EntityRef, Entity>,
    heard: BTreeSet<EventId>,
    minted: u64,
}

impl MemoryWorld {
    pub fn new(machine: u64) -> Self {
        Self {
            machine: MachineId::new(Uuid::from_u64_pair(machine + 1, 0)),
            now: Timestamp::from_millis(1_800_000_000_000),
            reading: Reading::default(),
            log: Vec::new(),
            effects: Vec::new(),
            entities: BTreeMap::new(),
            heard: BTreeSet::new(),
            minted: 0,
        }
    }

    /// A new id that no other world makes.
    pub fn mint(&mut self) -> Uuid {
        self.minted += 1;
        Uuid::from_u64_pair(self.machine.uuid().as_u64_pair().0, self.minted)
    }

    /// Decides, records, folds and reacts.
    pub fn run(&mut self, command: impl Into<Command>) -> Result<Vec<Event>, Rejection> {
        let events = decide(self, &command.into(), Context { now: self.now })?;
        for event in &events {
            self.record(event.clone());
        }
        Ok(events)
    }

    /// Records a fact.
    pub fn record(&mut self, event: Event) -> Recorded {
        self.reading = self.reading.tick(self.now.millis());
        let recorded = Recorded {
            id: EventId::new(self.mint()),
            hlc: Hlc {
                reading: self.reading,
                machine: self.machine,
            },
            event,
        };
        self.hear(&recorded);
        let effects = react(self, &recorded);
        self.effects.extend(effects);
        recorded
    }

    /// Takes an event, of this or another host, unless it came before.
    pub fn hear(&mut self, recorded: &Recorded) {
        if !self.heard.insert(recorded.id) {
            return;
        }
        if recorded.hlc.machine != self.machine {
            self.reading = self
                .reading
                .observe(recorded.hlc.reading, self.now.millis());
        }
        fold(&mut self.entities, recorded);
        self.log.push(recorded.clone());
    }

    pub fn task_now(&self, task: TaskId) -> Task {
        self.task(task).unwrap()
    }

    pub fn session_now(&self, session: SessionId) -> Session {
        self.session(session).unwrap()
    }

    pub fn status(&self, task: TaskId) -> TaskStatus {
        self.task_now(task).status_now()
    }

    fn find<'a, T: 'a>(
        &'a self,
        pick: impl Fn(&'a Entity) -> Option<&'a T>,
    ) -> impl Iterator<Item = &'a T> {
        self.entities.values().filter_map(pick)
    }
}

/// Folds one event into all that it touches.
pub fn fold(entities: &mut BTreeMap<EntityRef, Entity>, recorded: &Recorded) {
    for of in touched(&recorded.event) {
        entities
            .entry(of)
            .or_insert_with(|| Entity::empty(of))
            .evolve(recorded);
    }
}

impl World for MemoryWorld {
    fn project(&self, id: ProjectId) -> Option<Project> {
        match self.entities.get(&EntityRef::Project(id))? {
            Entity::Project(project) => Some((**project).clone()),
            _ => None,
        }
    }
    fn project_named(&self, name: &str) -> Option<Project> {
        self.find(|entity| match entity {
            Entity::Project(project) => Some(&**project),
            _ => None,
        })
        .find(|project| project.exists() && project.name.value() == name)
        .cloned()
    }
    fn task(&self, id: TaskId) -> Option<Task> {
        match self.entities.get(&EntityRef::Task(id))? {
            Entity::Task(task) => Some((**task).clone()),
            _ => None,
        }
    }
    fn session(&self, id: SessionId) -> Option<Session> {
        match self.entities.get(&EntityRef::Session(id))? {
            Entity::Session(session) => Some((**session).clone()),
            _ => None,
        }
    }
    fn ask(&self, id: AskId) -> Option<Ask> {
        match self.entities.get(&EntityRef::Ask(id))? {
            Entity::Ask(ask) => Some((**ask).clone()),
            _ => None,
        }
    }
    fn message(&self, id: MessageId) -> Option<Message> {
        match self.entities.get(&EntityRef::Message(id))? {
            Entity::Message(message) => Some((**message).clone()),
            _ => None,
        }
    }
    fn open_sessions(&self, project: ProjectId) -> Vec<Session> {
        self.find(|entity| match entity {
            Entity::Session(session) => Some(&**session),
            _ => None,
        })
        .filter(|session| session.is_open() && session.project() == Some(project))
        .cloned()
        .collect()
    }
    fn dependents(&self, task: TaskId) -> Vec<Task> {
        self.find(|entity| match entity {
            Entity::Task(task) => Some(&**task),
            _ => None,
        })
        .filter(|other| other.exists() && other.depends_on.value().contains(&task))
        .cloned()
        .collect()
    }
    fn waiting_messages(&self, session: SessionId) -> Vec<Message> {
        let mut waiting: Vec<Message> = self
            .find(|entity| match entity {
                Entity::Message(message) => Some(&**message),
                _ => None,
            })
            .filter(|message| {
                message.session == Some(session) && message.state == MessageState::Waiting
            })
            .cloned()
            .collect();
        waiting.sort_by_key(|message| (message.queued_at, message.queued_counter, message.id));
        waiting
    }
}

/// A task to be written.
pub fn new_task(task: TaskId, project: ProjectId, title: &str) -> CreateTask {
    CreateTask {
        description: format!("{title}, in full"),
        mode: Mode::Autonomous,
        ..CreateTask::new(task, project, title)
    }
}

/// An edit that changes nothing yet.
pub fn edit_of(task: TaskId) -> EditTask {
    EditTask {
        task,
        title: None,
        description: None,
        mode: None,
        priority: None,
        base: None,
        branch: None,
        push_mode: None,
        review_loop: None,
        depends_on: None,
        model: None,
        effort: None,
        permission_mode: None,
        subtasks: None,
    }
}

/// A session to be opened.
pub fn new_session(session: SessionId, project: ProjectId) -> OpenSession {
    OpenSession {
        session,
        project,
        title: "work".into(),
        branch: format!("task/{}", session.uuid().as_u64_pair().1),
        base: None,
        mode: Mode::Autonomous,
        host: "here".into(),
        claude_session_id: format!("claude-{session}"),
        token_hash: "hash".into(),
        prompt: None,
        model: None,
        effort: None,
        permission_mode: None,
    }
}

/// The ids that random commands are about.
#[derive(Debug, Default, Clone)]
pub struct Known {
    pub projects: Vec<ProjectId>,
    pub tasks: Vec<(ProjectId, TaskId)>,
    pub sessions: Vec<(ProjectId, SessionId)>,
    pub asks: Vec<AskId>,
    pub messages: Vec<MessageId>,
    pub subtasks: Vec<(TaskId, SubtaskId)>,
}

/// A step of a random story: which command, about what, with what.
pub type Step = (u8, u8, u8);

/// Makes a command from a step. Many are refused; that is part of the story.
pub fn command(
    known: &mut Known,
    mut mint: impl FnMut() -> Uuid,
    now: Timestamp,
    step: Step,
) -> Command {
    let (kind, what, with) = step;
    fn pick<T: Copy>(from: &[T], place: u8) -> Option<T> {
        from.get(usize::from(place) % from.len().max(1)).copied()
    }
    let Some(project) = pick(&known.projects, what) else {
        let project = ProjectId::new(mint());
        known.projects.push(project);
        return Command::Project(ProjectCommand::Add {
            project,
            name: format!("p{}", known.projects.len()),
            repo_path: "/code".into(),
            default_branch: "main".into(),
            goal: "goal".into(),
            owner: "ana".into(),
        });
    };
    let Some((task_project, task)) = pick(&known.tasks, what).filter(|_| kind > 12) else {
        if kind.is_multiple_of(6) && known.projects.len() < 3 {
            let project = ProjectId::new(mint());
            known.projects.push(project);
            return Command::Project(ProjectCommand::Add {
                project,
                name: format!("p{}", with % 4),
                repo_path: "/code".into(),
                default_branch: "main".into(),
                goal: "goal".into(),
                owner: "ana".into(),
            });
        }
        if kind % 6 == 1 {
            return Command::Project(ProjectCommand::Edit {
                project,
                name: (with.is_multiple_of(3)).then(|| format!("q{with}")),
                goal: Some(format!("goal {with}")),
                owner: None,
                default_branch: None,
                status: (with.is_multiple_of(2)).then_some(ProjectStatus::Paused),
            });
        }
        let task = TaskId::new(mint());
        let subtask = SubtaskId::new(mint());
        let depends_on = pick(&known.tasks, with)
            .filter(|_| with.is_multiple_of(3))
            .map(|(_, task)| task);
        known.tasks.push((project, task));
        known.subtasks.push((task, subtask));
        return Command::Task(TaskCommand::Create(Box::new(CreateTask {
            draft: with.is_multiple_of(5),
            push_mode: if with.is_multiple_of(2) {
                PushMode::Pr
            } else {
                PushMode::Push
            },
            priority: Priority::new(with % 5).unwrap_or_default(),
            depends_on: depends_on.into_iter().collect(),
            budget_usd: Some(f64::from(with) / 7.0),
            subtasks: vec![NewSubtask {
                subtask,
                title: "a step".into(),
            }],
            ..new_task(task, project, &format!("task {with}"))
        })));
    };
    let text = format!("text {with}");
    let session = pick(&known.sessions, with);
    let of_session = |session: SessionId| session_command(kind, what, with, session, now);
    match kind % 40 {
        13..=17 => {
            let session = SessionId::new(mint());
            known.sessions.push((task_project, session));
            Command::Task(TaskCommand::Launch {
                task,
                assignment: AssignmentId::new(mint()),
                open: Box::new(new_session(session, task_project)),
            })
        }
        18 => match session {
            Some((_, session)) if what.is_multiple_of(2) => Command::Task(TaskCommand::Assign {
                task,
                assignment: AssignmentId::new(mint()),
                session,
                message: MessageId::new(mint()),
            }),
            _ => Command::Task(TaskCommand::Submit { task }),
        },
        19 => Command::Task(TaskCommand::MarkDone { task }),
        20 => Command::Task(TaskCommand::SendBack {
            task,
            message: MessageId::new(mint()),
            feedback: text,
        }),
        21 => Command::Task(TaskCommand::Block { task, reason: text }),
        22 => Command::Task(TaskCommand::Reopen { task }),
        23 => Command::Task(TaskCommand::Kill { task, shown: None }),
        24 => Command::Task(TaskCommand::Move {
            task,
            rank: f64::from(with) / 3.0,
            priority: Priority::new(with % 5).unwrap_or_default(),
        }),
        25 => Command::Task(TaskCommand::Delete { task }),
        26 => Command::Task(TaskCommand::Restore { task }),
        27 => Command::Task(TaskCommand::Edit(Box::new(EditTask {
            title: (with.is_multiple_of(2)).then_some(text),
            description: Some(format!("description {with}")),
            depends_on: (with.is_multiple_of(3)).then(|| {
                pick(&known.tasks, with)
                    .map(|(_, task)| task)
                    .into_iter()
                    .collect()
            }),
            subtasks: (with.is_multiple_of(4)).then(|| {
                vec![NewSubtask {
                    subtask: SubtaskId::new(mint()),
                    title: "another step".into(),
                }]
            }),
            ..edit_of(task)
        }))),
        28 => {
            let subtask = SubtaskId::new(mint());
            known.subtasks.push((task, subtask));
            Command::Task(TaskCommand::AddSubtask {
                task,
                subtask,
                title: text,
            })
        }
        29 => match pick(&known.subtasks, with) {
            Some((task, subtask)) if what.is_multiple_of(3) => {
                Command::Task(TaskCommand::RemoveSubtask { task, subtask })
            }
            Some((task, subtask)) => Command::Task(TaskCommand::CompleteSubtask {
                task,
                subtask,
                done: what.is_multiple_of(2),
            }),
            None => Command::Task(TaskCommand::Submit { task }),
        },
        30 => Command::Task(TaskCommand::ReportPullRequest {
            task,
            url: format!("https://example.invalid/pull/{with}"),
        }),
        31 => Command::Task(TaskCommand::ReportPullRequestState {
            task,
            state: match with % 4 {
                0 => PullRequestState::Clear,
                1 => PullRequestState::Conflict,
                2 => PullRequestState::CiFailed,
                _ => PullRequestState::Merged,
            },
        }),
        32 => Command::Task(TaskCommand::ReportPushed { task }),
        33 => match session {
            Some((_, session)) => Command::Task(TaskCommand::ReportFinished {
                task,
                session,
                summary: text,
            }),
            None => Command::Task(TaskCommand::Note {
                task: Some(task),
                session: None,
                source: "log".into(),
                level: LogLevel::Warn,
                text,
            }),
        },
        34 | 35 => match session {
            Some((_, session)) => {
                let message = MessageId::new(mint());
                known.messages.push(message);
                Command::Session(SessionCommand::Send {
                    session,
                    message,
                    text,
                    from: "user".into(),
                })
            }
            None => Command::Task(TaskCommand::Submit { task }),
        },
        36 | 37 => match session {
            Some((_, session)) if with.is_multiple_of(2) && !known.asks.is_empty() => {
                let ask = pick(&known.asks, what).unwrap_or(AskId::new(session.uuid()));
                Command::Session(match with % 3 {
                    0 => SessionCommand::ReportAskAttended { session, ask },
                    1 => SessionCommand::ReportAskUnattended { session, ask },
                    _ => SessionCommand::ReportAnswerTaken { session, ask },
                })
            }
            Some((_, session)) => {
                let ask = AskId::new(mint());
                known.asks.push(ask);
                Command::Session(SessionCommand::ReportAsk {
                    session,
                    ask,
                    kind: if what.is_multiple_of(2) {
                        AskKind::Permission
                    } else {
                        AskKind::Question
                    },
                    title: text,
                    detail: "all of it".into(),
                    options: vec!["yes".into(), "no".into()],
                    answerable: with % 5 != 0,
                    since: now,
                    attended: [None, Some(true), Some(false)]
                        .get(usize::from(with % 3))
                        .copied()
                        .flatten(),
                })
            }
            None => Command::Task(TaskCommand::Submit { task }),
        },
        38 => match (session, pick(&known.messages, what)) {
            (Some((_, session)), message) => Command::Session(SessionCommand::ReportPromptTaken {
                session,
                message,
                since: now,
            }),
            (None, _) => Command::Task(TaskCommand::Submit { task }),
        },
        _ => match session {
            Some((_, session)) => of_session(session),
            None => Command::Task(TaskCommand::Submit { task }),
        },
    }
}

fn session_command(kind: u8, what: u8, with: u8, session: SessionId, now: Timestamp) -> Command {
    let text = format!("text {what}");
    Command::Session(match kind.wrapping_add(what) % 17 {
        0 => SessionCommand::Close {
            session,
            shown: None,
        },
        1 => SessionCommand::Resume { session },
        2 => SessionCommand::Restart { session },
        3 | 4 => SessionCommand::Answer {
            session,
            ask: None,
            outcome: match with % 3 {
                0 => AskOutcome::Approved,
                1 => AskOutcome::Denied,
                _ => AskOutcome::Answered,
            },
            text: Some(text),
        },
        5 => SessionCommand::ReportWorktree {
            session,
            path: format!("/worktrees/{what}"),
            branch: text,
            base: "main".into(),
            base_commit: "0123".into(),
            reused: false,
            notes: Vec::new(),
        },
        6 => SessionCommand::ReportPane {
            session,
            zellij_session: "main".into(),
            server_pid: 7,
            pane: what.into(),
            background: false,
        },
        7 => SessionCommand::ReportLaunchFailed { session, why: text },
        8 | 9 => SessionCommand::ReportClientStarted {
            session,
            pid: what.into(),
            launcher_pid: 1,
            resumed: with.is_multiple_of(2),
        },
        10 => SessionCommand::ReportClientEnded {
            session,
            code: (with.is_multiple_of(2)).then_some(i32::from(with % 3)),
            signal: (with % 2 == 1).then_some(i32::from(with % 16)),
            tail: text,
        },
        11 => SessionCommand::ReportLost { session, why: text },
        12 => SessionCommand::ReportIdentity {
            session,
            claude_session_id: text,
            transcript_path: "/t".into(),
            model: Some("opus".into()),
        },
        13 => SessionCommand::ReportStatus {
            session,
            status: match with % 3 {
                0 => ClaudeStatus::Idle,
                1 => ClaudeStatus::Working,
                _ => ClaudeStatus::WaitingForInput,
            },
            reason: (with.is_multiple_of(4)).then_some(Reason::UsageLimit),
            source: Source::Hook,
            since: now,
            detail: String::new(),
        },
        14 => SessionCommand::ReportAskClosed {
            session,
            ask: None,
            outcome: AskOutcome::Elsewhere,
        },
        15 => SessionCommand::ReportState {
            session,
            state: match with % 3 {
                0 => AgentState::Working,
                1 => AgentState::Error,
                _ => AgentState::WaitingForInput,
            },
            message: text,
        },
        _ if with.is_multiple_of(4) => {
            return Command::Worktree(WorktreeCommand::ReportRemoved {
                session,
                snapshot: Some(format!("refs/claustre/trash/{with}")),
                branch_deleted: false,
            });
        }
        _ if with % 4 == 1 => {
            return Command::Worktree(WorktreeCommand::ReportRestored {
                session,
                path: text,
            });
        }
        _ if with % 4 == 2 => {
            return Command::Worktree(WorktreeCommand::ReportExpired {
                session,
                snapshot: format!("refs/claustre/trash/{}", with & !3),
            });
        }
        _ => SessionCommand::ReportUsage {
            session,
            totals: UsageTotals {
                input_tokens: u64::from(what) * 100,
                output_tokens: u64::from(what) * 10,
                cache_read_tokens: 3,
                cache_write_tokens: 4,
                cost: f64::from(what) / 9.0,
            },
        },
    })
}
