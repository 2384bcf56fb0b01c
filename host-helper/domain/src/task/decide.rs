//! What may be done with a task.

use claustre_protocol::{
    ids::TaskId,
    request::ShownLoss,
    status::{LogLevel, ProjectStatus, Reason, TaskStatus, Word},
};

use super::{Task, assign, edit, may_move, move_to, pull_request};
use crate::{
    Context,
    command::{CreateTask, OpenSession, TaskCommand},
    entity::World,
    event::{Event, TaskCreated, TaskEdited},
    project,
    register::Edit,
    rejection::Rejection,
    session,
};

/// Says what a command about a task changes, or why it may not.
///
/// # Errors
/// The task is unknown, or may not move so now.
pub fn decide(
    world: &dyn World,
    command: &TaskCommand,
    context: Context,
) -> Result<Vec<Event>, Rejection> {
    match command {
        TaskCommand::Create(create) => create_task(world, create, context),
        TaskCommand::Edit(wanted) => edit::decide(world, wanted),
        TaskCommand::Submit { task } => {
            let known = existing(world, "submitting the task", *task)?;
            match known.status_now() {
                TaskStatus::Draft => Ok(moved(&known, TaskStatus::Pending, None)),
                _ => Ok(Vec::new()),
            }
        }
        TaskCommand::Launch {
            task,
            assignment,
            open,
        } => launch(world, *task, *assignment, open),
        TaskCommand::Assign {
            task,
            assignment,
            session,
            message,
        } => assign::decide(world, *task, *assignment, *session, *message),
        TaskCommand::MarkDone { task } => {
            let known = existing(world, "marking the task done", *task)?;
            refuse_unless(&known, TaskStatus::Done, "marking the task done")?;
            let mut events = moved(&known, TaskStatus::Done, None);
            events.extend(close_active_session(
                world,
                &known,
                "the task is done",
                None,
            ));
            Ok(events)
        }
        TaskCommand::SendBack {
            task,
            message,
            feedback,
        } => send_back(world, *task, *message, feedback),
        TaskCommand::Block { task, reason } => {
            let known = existing(world, "blocking the task", *task)?;
            refuse_unless(&known, TaskStatus::Blocked, "blocking the task")?;
            Ok(moved(&known, TaskStatus::Blocked, Some(reason.clone())))
        }
        TaskCommand::Reopen { task } => reopen(world, *task),
        TaskCommand::Kill { task, shown } => {
            let known = existing(world, "killing the task", *task)?;
            if known.status_now() == TaskStatus::Done {
                return Err(Rejection::refused(doing("killing", &known), "it is done")
                    .hint("reopen it instead"));
            }
            let mut events =
                close_active_session(world, &known, "killed and reset", shown.as_ref());
            events.extend(moved(&known, TaskStatus::Pending, None));
            Ok(events)
        }
        TaskCommand::Move {
            task,
            rank,
            priority,
        } => {
            let known = existing(world, "moving the task", *task)?;
            let mut events = vec![Event::TaskMoved {
                task: *task,
                rank: *rank,
                edit_no: known.rank.next_edit(),
            }];
            if known.priority.value() != *priority {
                events.push(Event::TaskEdited(Box::new(TaskEdited {
                    task: *task,
                    changes: crate::event::TaskChanges {
                        priority: Some(Edit::after(&known.priority, *priority)),
                        ..Default::default()
                    },
                })));
            }
            Ok(events)
        }
        TaskCommand::Delete { task } => {
            let known = existing(world, "deleting the task", *task)?;
            let mut events = close_active_session(world, &known, "the task was deleted", None);
            // Brought back it is in the queue again, unless it was done.
            if !events.is_empty() && known.status_now() != TaskStatus::Done {
                events.extend(moved(&known, TaskStatus::Pending, None));
            }
            events.push(Event::TaskDeleted {
                task: *task,
                edit_no: known.deleted.next_edit(),
            });
            Ok(events)
        }
        TaskCommand::Restore { task } => match world.task(*task) {
            Some(known) if known.created_at.is_some() && known.deleted.value() => {
                Ok(vec![Event::TaskRestored {
                    task: *task,
                    edit_no: known.deleted.next_edit(),
                }])
            }
            Some(known) if known.exists() => Ok(Vec::new()),
            _ => Err(unknown("restoring the task", *task)),
        },
        TaskCommand::AddSubtask { .. }
        | TaskCommand::CompleteSubtask { .. }
        | TaskCommand::RemoveSubtask { .. } => edit::decide_subtask(world, command),
        TaskCommand::ReportFinished {
            task,
            session,
            summary,
        } => {
            let known = existing(world, "finishing the task", *task)?;
            if known.active_session() != Some(*session) {
                return Err(Rejection::refused(
                    doing("finishing", &known),
                    "this session does not work on it",
                ));
            }
            let mut events = vec![Event::TaskNoted {
                task: Some(*task),
                session: Some(*session),
                source: "summary".into(),
                level: LogLevel::Info,
                text: summary.clone(),
            }];
            // The summary's first line says at a glance what waits for review.
            let line = summary.lines().map(str::trim).find(|line| !line.is_empty());
            events.extend(move_to(
                &known,
                TaskStatus::InReview,
                line.map(str::to_owned),
            ));
            Ok(events)
        }
        TaskCommand::ReportPullRequest { task, url } => pull_request::seen(world, *task, url),
        TaskCommand::ReportPullRequestState { task, state } => {
            pull_request::state(world, *task, *state)
        }
        TaskCommand::ReportPushed { task } => {
            let known = existing(world, "noting the push", *task)?;
            if known.push_mode.value() != claustre_protocol::status::PushMode::Push
                || known.status_now() != TaskStatus::Working
            {
                return Ok(Vec::new());
            }
            Ok(moved(&known, TaskStatus::Done, Some("pushed".into())))
        }
        TaskCommand::Note {
            task,
            session,
            source,
            level,
            text,
        } => Ok(vec![Event::TaskNoted {
            task: *task,
            session: *session,
            source: source.clone(),
            level: *level,
            text: text.clone(),
        }]),
    }
}

/// The task, if it was written and not deleted.
pub(crate) fn existing(world: &dyn World, doing: &str, task: TaskId) -> Result<Task, Rejection> {
    world
        .task(task)
        .filter(Task::exists)
        .ok_or_else(|| unknown(doing, task))
}

/// The tasks that this one still waits for.
pub fn unmet_dependencies(world: &dyn World, task: &Task) -> Vec<Task> {
    task.depends_on
        .value()
        .into_iter()
        .filter_map(|id| world.task(id))
        .filter(|other| other.exists() && other.status_now() != TaskStatus::Done)
        .collect()
}

/// The title of a dependency that still must be done.
pub fn unmet_dependencies_in(dependency: Option<&Task>) -> Option<String> {
    dependency
        .filter(|other| other.exists() && other.status_now() != TaskStatus::Done)
        .map(|other| other.title.value())
}

fn unknown(doing: &str, task: TaskId) -> Rejection {
    Rejection::not_found(doing, format!("there is no task {}", task.short()))
        .hint("claustre task list shows them")
}

pub(super) fn doing(verb: &str, task: &Task) -> String {
    format!("{verb} the task '{}'", task.title.value())
}

fn moved(task: &Task, to: TaskStatus, reason: Option<String>) -> Vec<Event> {
    move_to(task, to, reason).into_iter().collect()
}

fn refuse_unless(task: &Task, to: TaskStatus, doing: &str) -> Result<(), Rejection> {
    let from = task.status_now();
    if from == to || may_move(from, to) {
        Ok(())
    } else {
        Err(Rejection::refused(
            format!("{doing} '{}'", task.title.value()),
            format!("it is {}", from.word()),
        ))
    }
}

fn create_task(
    world: &dyn World,
    create: &CreateTask,
    context: Context,
) -> Result<Vec<Event>, Rejection> {
    let project = project_for_work(world, "adding the task", create.project)?;
    if create.title.trim().is_empty() {
        return Err(Rejection::refused(
            format!("adding a task to {}", project.name.value()),
            "it has neither a title nor a description",
        )
        .hint("give it a title, or a description with -d"));
    }
    for id in &create.depends_on {
        existing(world, "adding the task: its dependency", *id)?;
    }
    // The time as rank: new tasks come last, and any two have room between them.
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds since 1970 are exact in an f64"
    )]
    let rank = context.now.millis() as f64;
    Ok(vec![Event::TaskCreated(Box::new(TaskCreated {
        rank,
        ..create.clone().into()
    }))])
}

fn project_for_work(
    world: &dyn World,
    doing: &str,
    id: claustre_protocol::ids::ProjectId,
) -> Result<project::Project, Rejection> {
    world
        .project(id)
        .filter(project::Project::exists)
        .ok_or_else(|| {
            Rejection::not_found(doing, format!("there is no project {}", id.short()))
                .hint("claustre project list shows them")
        })
}

fn launch(
    world: &dyn World,
    task: TaskId,
    assignment: claustre_protocol::ids::AssignmentId,
    open: &OpenSession,
) -> Result<Vec<Event>, Rejection> {
    let known = existing(world, "launching the task", task)?;
    let project = ready_to_start(world, &known, &doing("launching", &known))?;
    let mut events: Vec<Event> = on_branch(&known, &open.branch).into_iter().collect();
    events.push(session::opened(&project, open, Some(task)));
    events.push(Event::TaskAssigned {
        assignment,
        task,
        session: open.session,
        edit_no: known.assigned.next_edit(),
    });
    events.extend(move_to(&known, TaskStatus::Working, None));
    Ok(events)
}

/// Refuses a task that cannot be begun now: one that is worked on, is no longer in the queue, or waits for another. Its project.
pub(super) fn ready_to_start(
    world: &dyn World,
    known: &Task,
    verb: &str,
) -> Result<project::Project, Rejection> {
    if let Some(session) = known
        .active_session()
        .and_then(|id| world.session(id))
        .filter(session::Session::is_open)
    {
        return Err(Rejection::refused(
            verb,
            format!("session {} already works on it", session.id.short()),
        )
        .hint("go to its tab, or resume it with R (claustre session resume)"));
    }
    let status = known.status_now();
    if status == TaskStatus::Draft {
        return Err(Rejection::refused(verb, "it is a draft")
            .hint("edit and submit it first: claustre task edit --submit"));
    }
    if !may_move(status, TaskStatus::Working) {
        return Err(Rejection::refused(verb, format!("it is {}", status.word()))
            .hint("reopen it first: claustre task reopen"));
    }
    let waits: Vec<String> = unmet_dependencies(world, known)
        .iter()
        .map(|other| format!("'{}'", other.title.value()))
        .collect();
    if !waits.is_empty() {
        return Err(Rejection::refused(
            verb,
            format!("it waits for {}", waits.join(", ")),
        )
        .hint("finish what it waits for, or let it wait no more: claustre task edit ID --after-none"));
    }
    let id = known.project.get().copied();
    let project = project_for_work(world, verb, id.ok_or_else(|| unknown(verb, known.id))?)?;
    if project.status.value() == ProjectStatus::Done {
        return Err(Rejection::refused(
            verb,
            format!("the project {} is done", project.name.value()),
        )
        .hint("claustre project resume makes it active again"));
    }
    Ok(project)
}

/// The event that puts the task on the branch it will be worked on; none where it is there.
pub(super) fn on_branch(known: &Task, branch: &str) -> Option<Event> {
    (known.branch.value().as_deref() != Some(branch)).then(|| {
        Event::TaskEdited(Box::new(TaskEdited {
            task: known.id,
            changes: crate::event::TaskChanges {
                branch: Some(Edit::after(&known.branch, Some(branch.to_owned()))),
                ..Default::default()
            },
        }))
    })
}

fn send_back(
    world: &dyn World,
    task: TaskId,
    message: claustre_protocol::ids::MessageId,
    feedback: &str,
) -> Result<Vec<Event>, Rejection> {
    let known = existing(world, "sending the task back", task)?;
    let verb = doing("sending back", &known);
    if !matches!(
        known.status_now(),
        TaskStatus::InReview | TaskStatus::Conflict | TaskStatus::CiFailed | TaskStatus::Blocked
    ) {
        return Err(Rejection::refused(
            verb,
            format!("it is {}", known.status_now().word()),
        ));
    }
    if feedback.trim().is_empty() {
        return Err(Rejection::refused(verb, "the feedback is empty"));
    }
    let session = known
        .active_session()
        .and_then(|id| world.session(id))
        .filter(session::Session::is_open)
        .ok_or_else(|| {
            Rejection::refused(verb, "its session is closed")
                .hint("reopen it (claustre task reopen) and launch it again")
        })?;
    let mut events = vec![Event::MessageQueued {
        message,
        session: session.id,
        task: Some(task),
        text: feedback.to_owned(),
        from: "user".into(),
    }];
    events.extend(move_to(&known, TaskStatus::Working, None));
    Ok(events)
}

fn reopen(world: &dyn World, task: TaskId) -> Result<Vec<Event>, Rejection> {
    let known = existing(world, "reopening the task", task)?;
    let has_session = known
        .active_session()
        .and_then(|id| world.session(id))
        .is_some_and(|session| session.is_open());
    match known.status_now() {
        TaskStatus::Pending | TaskStatus::Working => Ok(Vec::new()),
        // A blocked task whose session is still there goes on in it.
        TaskStatus::Blocked | TaskStatus::Interrupted if has_session => {
            Ok(moved(&known, TaskStatus::Working, None))
        }
        // It was pushed, or finished by hand, while its session stayed open.
        TaskStatus::Done if has_session => {
            let mut events = close_active_session(world, &known, "the task was reopened", None);
            events.extend(moved(&known, TaskStatus::Pending, None));
            events.extend(block_dependents(world, &known));
            Ok(events)
        }
        _ if has_session => Err(Rejection::refused(
            doing("reopening", &known),
            format!(
                "it is {} and its session is open",
                known.status_now().word()
            ),
        )
        .hint("send it back with feedback, or kill and reset it")),
        was => {
            let mut events = moved(&known, TaskStatus::Pending, None);
            if was == TaskStatus::Done {
                events.extend(block_dependents(world, &known));
            }
            Ok(events)
        }
    }
}

/// Tasks that were started because this one was done cannot go on as if it still were.
fn block_dependents(world: &dyn World, task: &Task) -> Vec<Event> {
    world
        .dependents(task.id)
        .iter()
        .filter(|other| {
            matches!(
                other.status_now(),
                TaskStatus::Working | TaskStatus::InReview
            )
        })
        .filter_map(|other| {
            move_to(
                other,
                TaskStatus::Blocked,
                Some(format!("'{}' was reopened", task.title.value())),
            )
        })
        .collect()
}

/// Ends the assignment and closes the session, where one is open. `shown` is what the person saw of what goes for good with the
/// worktree.
pub(super) fn close_active_session(
    world: &dyn World,
    task: &Task,
    why: &str,
    shown: Option<&ShownLoss>,
) -> Vec<Event> {
    let Some(session) = task.active_session().and_then(|id| world.session(id)) else {
        return Vec::new();
    };
    let mut events = session::end_assignment(task, &session, why);
    if session.is_open() {
        events.extend(session::close(&session, Reason::Closed, shown));
    }
    events
}
