//! What reports about a session mean: from its worktree, its pane, its launcher, its hooks and the agent itself.

use claustre_protocol::{
    ids::TaskId,
    status::{ClaudeStatus, LogLevel, Reason, Source, TaskStatus},
    time::Timestamp,
};

use super::{
    Session, answer,
    decide::{if_open, status_change, task_of},
    delivery,
    ending::{self, Ending, ended},
};
use crate::{
    Context,
    command::{AgentState, SessionCommand},
    entity::World,
    event::{AskOutcome, Event, UsageTotals},
    rejection::Rejection,
    task::{move_to, pull_request},
};

/// What a report changes; nothing where the session is closed or unknown: it comes too late.
pub(super) fn decide(
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
            let (status, reason) = Ending::NotStarted.word();
            let mut events = status_change(
                known,
                status,
                Some(reason),
                Source::Process,
                context.now,
                why.clone(),
            );
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
            let ending = Ending::of_exit(*code, *signal);
            let detail = match (ending, code, signal) {
                (Ending::Left, ..) => "the client exited".to_owned(),
                (Ending::Lost, ..) => "its terminal was closed".to_owned(),
                (_, Some(code), _) => format!("the client exited with {code}"),
                (_, None, Some(signal)) => format!("the client was ended by signal {signal}"),
                (_, None, None) => "the client ended".to_owned(),
            };
            let detail = match tail.trim() {
                "" => detail,
                tail => format!("{detail}: {}", tail.lines().last().unwrap_or_default()),
            };
            ended(world, known, ending, Source::Process, detail, context.now)
        })),
        C::ReportLost { session, why } => Ok(if_open(world, *session, |known| {
            let why = why.clone();
            ended(
                world,
                known,
                Ending::Lost,
                Source::Process,
                why,
                context.now,
            )
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
            if (*status, *reason) == (ClaudeStatus::Done, Some(Reason::Exited)) {
                return ended(world, known, Ending::Left, *source, detail.clone(), *since);
            }
            if ending::is_over(known, *since) {
                return Vec::new();
            }
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
            if ending::is_over(known, *since) {
                return message
                    .map(|message| delivery::arrived(world, known, message))
                    .unwrap_or_default();
            }
            let mut events = answer::close_of_client(world, known, AskOutcome::Gone);
            events.extend(status_change(
                known,
                ClaudeStatus::Working,
                None,
                Source::Hook,
                *since,
                String::new(),
            ));
            // Behind the status: what arrived makes room for the next message, which has to wait for the end of this turn.
            if let Some(message) = message {
                events.extend(delivery::arrived(world, known, *message));
            }
            events.extend(task_goes_on(world, known));
            events
        })),
        C::ReportMessageTyped { .. }
        | C::ReportMessageSeen { .. }
        | C::ReportMessageInDoubt { .. }
        | C::ReportMessageHeld { .. } => Ok(delivery::report(world, command, context)),
        C::ReportAsk { .. }
        | C::ReportAskAttended { .. }
        | C::ReportAskUnattended { .. }
        | C::ReportAnswerTaken { .. }
        | C::ReportAskClosed { .. } => Ok(answer::report(world, command, context)),
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
        // The orders are decided by `session::decide`.
        C::Open(_)
        | C::Close { .. }
        | C::Resume { .. }
        | C::Restart { .. }
        | C::Send { .. }
        | C::Answer { .. } => Ok(Vec::new()),
    }
}

/// Activity in the session takes its task back to work.
pub(super) fn task_goes_on(world: &dyn World, session: &Session) -> Vec<Event> {
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
