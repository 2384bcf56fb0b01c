//! What may be done with a session, and what reports of it mean.

use claustre_protocol::{
    ids::{SessionId, TaskId},
    status::{ClaudeStatus, LogLevel, Reason, Source, TaskStatus},
    time::Timestamp,
};

use super::{Session, answer};
use crate::{
    Context,
    command::{AgentState, OpenSession, SessionCommand},
    entity::World,
    event::{AskOutcome, Event, SessionOpened, UsageTotals},
    project::Project,
    rejection::Rejection,
    task::{Task, move_to, pull_request},
};

/// Says what a command about a session changes, or why it may not.
///
/// # Errors
/// The session is unknown or closed, or may not do that now. Reports of a closed session change nothing.
pub fn decide(
    world: &dyn World,
    command: &SessionCommand,
    context: Context,
) -> Result<Vec<Event>, Rejection> {
    use SessionCommand as C;
    match command {
        C::Open(open) => {
            let project = world
                .project(open.project)
                .filter(Project::exists)
                .ok_or_else(|| {
                    Rejection::not_found("opening a session", "there is no such project")
                })?;
            Ok(vec![opened(&project, open, None)])
        }
        C::Close { session } => {
            let known = open_session(world, "closing the session", *session)?;
            let mut events = Vec::new();
            if let Some(task) = task_of(world, &known) {
                events.extend(end_assignment(&task, &known, "the session was closed"));
                if matches!(task.status_now(), TaskStatus::Working | TaskStatus::Blocked) {
                    events.extend(move_to(
                        &task,
                        TaskStatus::Interrupted,
                        Some("its session was closed".into()),
                    ));
                }
            }
            events.extend(close(&known, Reason::Closed));
            Ok(events)
        }
        C::Resume { session } => {
            let known = open_session(world, "resuming the session", *session)?;
            if known.running_client().is_some() {
                return Err(Rejection::refused(
                    format!("resuming the session {}", known.tab_name()),
                    "its client is running",
                )
                .hint("go to its tab, or restart it: claustre session restart"));
            }
            Ok(starting_again(world, &known, context.now))
        }
        C::Restart { session } => {
            let known = open_session(world, "restarting the session", *session)?;
            Ok(starting_again(world, &known, context.now))
        }
        C::Send {
            session,
            message,
            text,
            from,
        } => {
            let known = open_session(world, "sending a message", *session)?;
            if text.trim().is_empty() {
                return Err(Rejection::refused("sending a message", "it is empty"));
            }
            // Ordered again, after an answer that was lost: it is on its way, or has arrived.
            if world
                .message(*message)
                .is_some_and(|known| known.session.is_some())
            {
                return Ok(Vec::new());
            }
            Ok(vec![Event::MessageQueued {
                message: *message,
                session: *session,
                task: known.task.value(),
                text: text.clone(),
                from: from.clone(),
            }])
        }
        C::Answer {
            session,
            ask,
            outcome,
            text,
        } => answer::decide(world, *session, *ask, *outcome, text.as_deref(), context),
        _ => report(world, command, context),
    }
}

/// What a report changes; nothing where the session is closed or unknown: it comes too late.
fn report(
    world: &dyn World,
    command: &SessionCommand,
    context: Context,
) -> Result<Vec<Event>, Rejection> {
    use SessionCommand as C;
    match command {
        C::ReportWorktree {
            session,
            path,
            branch,
            base,
            base_commit,
            reused,
            notes,
        } => Ok(if_open(world, *session, |_| {
            vec![Event::SessionWorktreeReady {
                session: *session,
                path: path.clone(),
                branch: branch.clone(),
                base: base.clone(),
                base_commit: base_commit.clone(),
                reused: *reused,
                notes: notes.clone(),
            }]
        })),
        C::ReportPane {
            session,
            zellij_session,
            server_pid,
            pane,
            background,
        } => Ok(if_open(world, *session, |known| {
            let new = super::Pane {
                zellij_session: zellij_session.clone(),
                server_pid: *server_pid,
                pane: *pane,
                background: *background,
            };
            if known.pane.get() == Some(&new) {
                return Vec::new();
            }
            vec![Event::SessionPaneOpened {
                session: *session,
                zellij_session: new.zellij_session,
                server_pid: new.server_pid,
                pane: new.pane,
                background: new.background,
            }]
        })),
        C::ReportLaunchFailed { session, why } => Ok(if_open(world, *session, |known| {
            let mut events = ended(known, Reason::LaunchFailed, why.clone(), context.now);
            if let Some(task) = task_of(world, known) {
                // A launch that never came to a client leaves the task for a retry, a resumed one its work.
                events.extend(move_to(&task, TaskStatus::Error, Some(why.clone())));
            }
            events
        })),
        C::ReportClientStarted {
            session,
            pid,
            launcher_pid,
            resumed,
        } => Ok(if_open(world, *session, |known| {
            let mut events = vec![Event::SessionClientStarted {
                session: *session,
                pid: *pid,
                launcher_pid: *launcher_pid,
                resumed: *resumed,
            }];
            events.extend(status_change(
                known,
                ClaudeStatus::Starting,
                None,
                Source::Process,
                context.now,
                String::new(),
            ));
            events
        })),
        C::ReportClientEnded {
            session,
            code,
            signal,
            tail,
        } => Ok(if_open(world, *session, |known| {
            let (reason, detail) = match (code, signal) {
                (Some(0), _) => (Reason::Exited, "the client exited".to_owned()),
                (Some(143 | 129 | 130), _) | (None, Some(15 | 1 | 2)) => {
                    (Reason::Exited, "the client was told to end".to_owned())
                }
                (Some(code), _) => (Reason::Crashed, format!("the client exited with {code}")),
                (None, Some(signal)) => (
                    Reason::Crashed,
                    format!("the client was ended by signal {signal}"),
                ),
                (None, None) => (Reason::Crashed, "the client ended".to_owned()),
            };
            let detail = match tail.trim() {
                "" => detail,
                tail => format!("{detail}: {}", tail.lines().last().unwrap_or_default()),
            };
            client_gone(world, known, reason, detail, context.now)
        })),
        C::ReportLost { session, why } => Ok(if_open(world, *session, |known| {
            client_gone(world, known, Reason::Lost, why.clone(), context.now)
        })),
        C::ReportIdentity {
            session,
            claude_session_id,
            transcript_path,
            model,
        } => Ok(if_open(world, *session, |known| {
            if known.claude_session_id.get() == Some(claude_session_id)
                && known.transcript_path.get() == Some(transcript_path)
                && (model.is_none() || known.model.get() == Some(model))
            {
                return Vec::new();
            }
            vec![Event::SessionIdentified {
                session: *session,
                claude_session_id: claude_session_id.clone(),
                transcript_path: transcript_path.clone(),
                model: model.clone(),
            }]
        })),
        C::ReportStatus {
            session,
            status,
            reason,
            source,
            since,
            detail,
        } => Ok(if_open(world, *session, |known| {
            let mut events =
                status_change(known, *status, *reason, *source, *since, detail.clone());
            if !events.is_empty() && *status == ClaudeStatus::Working {
                events.extend(task_goes_on(world, known));
            }
            if !events.is_empty()
                && let Some(task) = task_of(world, known)
            {
                events.extend(pull_request::after_turn(&task, known, *status, *reason));
            }
            events
        })),
        C::ReportPromptTaken {
            session,
            message,
            since,
        } => Ok(if_open(world, *session, |known| {
            let mut events = answer::close_all(known, AskOutcome::Gone);
            if let Some(message) = message.filter(|message| known.queued.contains(*message)) {
                events.push(Event::MessageDelivered {
                    message,
                    session: *session,
                    task: known.task.value(),
                });
            }
            events.extend(status_change(
                known,
                ClaudeStatus::Working,
                None,
                Source::Hook,
                *since,
                String::new(),
            ));
            events.extend(task_goes_on(world, known));
            events
        })),
        C::ReportAsk { .. } | C::ReportAskClosed { .. } => Ok(answer::report(world, command)),
        C::ReportState {
            session,
            state,
            message,
        } => Ok(if_open(world, *session, |known| {
            agent_state(world, known, *state, message, context.now)
        })),
        C::ReportUsage { session, totals } => Ok(world
            .session(*session)
            .map(|known| usage(&known, totals))
            .unwrap_or_default()),
        // The orders are decided above.
        C::Open(_)
        | C::Close { .. }
        | C::Resume { .. }
        | C::Restart { .. }
        | C::Send { .. }
        | C::Answer { .. } => Ok(Vec::new()),
    }
}

/// The event that opens a session.
pub fn opened(project: &Project, open: &OpenSession, task: Option<TaskId>) -> Event {
    Event::SessionOpened(Box::new(SessionOpened {
        session: open.session,
        project: open.project,
        task,
        title: open.title.clone(),
        branch: open.branch.clone(),
        base: open.base.clone(),
        tab_name: format!("{}:{}", project.name.value(), open.branch),
        mode: open.mode,
        host: open.host.clone(),
        claude_session_id: open.claude_session_id.clone(),
        token_hash: open.token_hash.clone(),
        prompt: open.prompt.clone(),
        model: open.model.clone(),
        effort: open.effort.clone(),
        permission_mode: open.permission_mode.clone(),
    }))
}

/// The events that close an open session: what it asked and what waits for it come to an end first.
pub fn close(session: &Session, why: Reason) -> Vec<Event> {
    let mut events = answer::close_all(session, AskOutcome::Gone);
    for message in session.queued.iter() {
        events.push(Event::MessageDropped {
            message,
            session: session.id,
            task: session.task.value(),
            why: "the session was closed".into(),
        });
    }
    events.push(Event::SessionClosed {
        session: session.id,
        why,
    });
    events
}

/// The event that ends the session's work on the task.
pub fn end_assignment(task: &Task, session: &Session, why: &str) -> Vec<Event> {
    task.assigned
        .get()
        .filter(|assigned| assigned.active && assigned.session == session.id)
        .map(|assigned| Event::AssignmentEnded {
            assignment: assigned.assignment,
            task: task.id,
            session: session.id,
            why: why.to_owned(),
            edit_no: task.assigned.next_edit(),
        })
        .into_iter()
        .collect()
}

/// The session, if it is open.
pub(super) fn open_session(
    world: &dyn World,
    doing: &str,
    id: SessionId,
) -> Result<Session, Rejection> {
    match world.session(id) {
        Some(session) if session.is_open() => Ok(session),
        Some(session) if session.opened.is_some() => Err(Rejection::refused(
            doing,
            format!("the session {} is closed", session.tab_name()),
        )),
        _ => Err(
            Rejection::not_found(doing, format!("there is no session {}", id.short()))
                .hint("claustre session list shows them"),
        ),
    }
}

pub(super) fn if_open(
    world: &dyn World,
    id: SessionId,
    then: impl FnOnce(&Session) -> Vec<Event>,
) -> Vec<Event> {
    match world.session(id) {
        Some(session) if session.is_open() => then(&session),
        _ => Vec::new(),
    }
}

/// The task it works on.
pub(super) fn task_of(world: &dyn World, session: &Session) -> Option<Task> {
    world
        .task(session.task.value()?)
        .filter(|task| task.exists() && task.active_session() == Some(session.id))
}

/// The event of a new status; none where only the time differs.
pub(super) fn status_change(
    session: &Session,
    status: ClaudeStatus,
    reason: Option<Reason>,
    source: Source,
    since: Timestamp,
    detail: String,
) -> Vec<Event> {
    let standing = session.status();
    if standing.status == status && standing.reason == reason && standing.detail == detail {
        return Vec::new();
    }
    vec![Event::SessionStatusChanged {
        session: session.id,
        status,
        reason,
        source,
        since,
        detail,
    }]
}

/// Activity in the session takes its task back to work.
fn task_goes_on(world: &dyn World, session: &Session) -> Vec<Event> {
    let Some(task) = task_of(world, session) else {
        return Vec::new();
    };
    let held_up = matches!(
        task.status_now(),
        TaskStatus::Interrupted
            | TaskStatus::Blocked
            | TaskStatus::InReview
            | TaskStatus::Conflict
            | TaskStatus::CiFailed
            | TaskStatus::Error
    );
    if held_up {
        move_to(&task, TaskStatus::Working, None)
            .into_iter()
            .collect()
    } else {
        Vec::new()
    }
}

fn ended(session: &Session, reason: Reason, detail: String, now: Timestamp) -> Vec<Event> {
    let status = if reason == Reason::Exited {
        ClaudeStatus::Idle
    } else {
        ClaudeStatus::Error
    };
    status_change(session, status, Some(reason), Source::Process, now, detail)
}

fn client_gone(
    world: &dyn World,
    session: &Session,
    reason: Reason,
    detail: String,
    now: Timestamp,
) -> Vec<Event> {
    // What is known to have ended stays as it ended: a lost launcher adds nothing to a crashed client.
    if session.running_client().is_none() && session.status().status == ClaudeStatus::Error {
        return Vec::new();
    }
    let mut events = answer::close_all(session, AskOutcome::Gone);
    events.extend(ended(session, reason, detail.clone(), now));
    if let Some(task) = task_of(world, session)
        && task.status_now() == TaskStatus::Working
    {
        events.extend(move_to(&task, TaskStatus::Interrupted, Some(detail)));
    }
    events
}

fn starting_again(world: &dyn World, session: &Session, now: Timestamp) -> Vec<Event> {
    let mut events = answer::close_all(session, AskOutcome::Gone);
    events.push(Event::SessionStatusChanged {
        session: session.id,
        status: ClaudeStatus::Starting,
        reason: None,
        source: Source::User,
        since: now,
        detail: if session.running_client().is_some() {
            "restarting".into()
        } else {
            "resuming".into()
        },
    });
    if let Some(task) = task_of(world, session)
        && matches!(
            task.status_now(),
            TaskStatus::Interrupted | TaskStatus::Error
        )
    {
        events.extend(move_to(&task, TaskStatus::Working, None));
    }
    events
}

fn agent_state(
    world: &dyn World,
    session: &Session,
    state: AgentState,
    message: &str,
    now: Timestamp,
) -> Vec<Event> {
    let mut events = vec![Event::SessionReported {
        session: session.id,
        task: session.task.value(),
        state: state.word().into(),
        message: message.to_owned(),
    }];
    match state {
        // Hooks know better whether a turn runs; the agent's word counts for what only it knows.
        AgentState::Working | AgentState::Done => {}
        AgentState::WaitingForInput => events.extend(status_change(
            session,
            ClaudeStatus::WaitingForInput,
            Some(Reason::Question),
            Source::Mcp,
            now,
            message.to_owned(),
        )),
        AgentState::Error => {
            if let Some(task) = task_of(world, session) {
                events.extend(move_to(
                    &task,
                    TaskStatus::Blocked,
                    Some(message.to_owned()),
                ));
            }
            events.push(Event::TaskNoted {
                task: session.task.value(),
                session: Some(session.id),
                source: "agent".into(),
                level: LogLevel::Error,
                text: message.to_owned(),
            });
        }
    }
    events
}

/// What the session used for its present task: all of it, less what it used for earlier ones.
fn usage(session: &Session, totals: &UsageTotals) -> Vec<Event> {
    let task = session.task.value();
    let mut mine = *totals;
    for (other, used) in &session.usage {
        if Some(*other) == task || (task.is_none() && other.uuid().is_nil()) {
            continue;
        }
        let used = used.value();
        mine.input_tokens = mine.input_tokens.saturating_sub(used.input_tokens);
        mine.output_tokens = mine.output_tokens.saturating_sub(used.output_tokens);
        mine.cache_read_tokens = mine
            .cache_read_tokens
            .saturating_sub(used.cache_read_tokens);
        mine.cache_write_tokens = mine
            .cache_write_tokens
            .saturating_sub(used.cache_write_tokens);
        mine.cost = (mine.cost - used.cost).max(0.0);
    }
    let standing = session
        .usage
        .get(&task.unwrap_or(TaskId::new(uuid::Uuid::nil())))
        .and_then(|used| used.get());
    if standing == Some(&mine) || (standing.is_none() && mine == UsageTotals::default()) {
        return Vec::new();
    }
    vec![Event::UsageRecorded {
        session: session.id,
        task,
        totals: mine,
    }]
}
