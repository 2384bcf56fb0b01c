//! Projects, tasks and sessions as the protocol shows them. What only telemetry knows (context, diff, last activity) is filled
//! in by the caller.

use claustre_protocol::{
    ids::MachineId,
    model::{self, AskKind},
};

use crate::{
    event::UsageTotals,
    project::Project,
    session::{Ask, AskState, Session},
    task::Task,
};

/// A project; none while its addition was not heard of.
pub fn project(project: &Project, machine: MachineId) -> Option<model::Project> {
    Some(model::Project {
        id: project.id,
        name: project.name.value(),
        repo_path: project.path_on(machine).unwrap_or_default().to_owned(),
        default_branch: project.default_branch.value(),
        goal: project.goal.value(),
        owner: project.owner.value(),
        status: project.status.value(),
        created_at: project.created_at?,
    })
}

/// A task; none while its creation was not heard of.
pub fn task(task: &Task, project_name: &str) -> Option<model::Task> {
    let standing = task.standing();
    let usage = task.usage_total();
    Some(model::Task {
        id: task.id,
        project_id: *task.project.get()?,
        project: project_name.to_owned(),
        title: task.title.value(),
        description: task.description.value(),
        status: standing.status,
        status_reason: standing.reason,
        mode: task.mode.value(),
        priority: task.priority.value(),
        base: task.base.value(),
        branch: task.branch.value(),
        push_mode: task.push_mode.value(),
        review_loop: task.review_loop.value(),
        depends_on: task.depends_on.value(),
        subtasks: subtasks(task),
        session_id: task.last_session(),
        pr_url: task.pr_url.get().cloned(),
        ci_status: None,
        model: task.model.value(),
        effort: task.effort.value(),
        permission_mode: task.permission_mode.value(),
        budget_usd: task.budget_usd.value(),
        created_at: task.created_at?,
        updated_at: task.updated_at,
        started_at: task.started_at,
        completed_at: task.completed_at(),
        input_tokens: usage.input_all(),
        output_tokens: usage.output_tokens,
        cost: usage.cost,
    })
}

/// The steps of a task, in order.
pub fn subtasks(task: &Task) -> Vec<model::Subtask> {
    task.steps()
        .into_iter()
        .enumerate()
        .map(|(place, (id, step))| model::Subtask {
            id,
            title: step.title().to_owned(),
            done: step.done.value(),
            position: u32::try_from(place).unwrap_or(u32::MAX),
        })
        .collect()
}

/// A session; none while its order was not heard of. `asks` are those it still waits for.
pub fn session(session: &Session, project_name: &str, asks: &[Ask]) -> Option<model::Session> {
    let opened = session.opened.as_deref()?;
    let standing = session.status();
    let usage: UsageTotals = session.usage_total();
    let pane = session.pane.get();
    Some(model::Session {
        id: session.id,
        project_id: opened.project,
        project: project_name.to_owned(),
        task_id: session.task.value(),
        branch_name: session.branch(),
        worktree_path: session
            .worktree
            .get()
            .map(|worktree| worktree.path.clone())
            .unwrap_or_default(),
        zellij_tab_name: opened.tab_name.clone(),
        zellij_session: pane.map(|pane| pane.zellij_session.clone()),
        pane_id: pane.map(|pane| pane.pane),
        host: opened.host.clone(),
        claude_session_id: session.claude_session_id.get().cloned(),
        claude_status: if session.is_open() {
            standing.status
        } else {
            claustre_protocol::status::ClaudeStatus::Done
        },
        reason: session.closed.get().copied().or(standing.reason),
        source: standing.source,
        since: session.closed_at.unwrap_or(standing.since),
        status_message: if session.message.is_empty() {
            standing.detail
        } else {
            session.message.value()
        },
        last_activity_at: standing.since,
        files_changed: 0,
        lines_added: 0,
        lines_removed: 0,
        input_tokens: usage.input_all(),
        output_tokens: usage.output_tokens,
        cost: usage.cost,
        context_percent: None,
        model: session.model.value(),
        ask: first_ask(asks),
        queued_messages: u32::try_from(session.queued.len()).unwrap_or(u32::MAX),
        created_at: session.created_at?,
        closed_at: session.closed_at,
    })
}

/// What must be answered first of all that is asked.
pub fn first_ask(open: &[Ask]) -> Option<model::Ask> {
    asks(open).into_iter().next()
}

/// Everything that is asked: a permission before a question before a dialog, the oldest of its kind first.
pub fn asks(asks: &[Ask]) -> Vec<model::Ask> {
    let order = |kind| match kind {
        AskKind::Permission => 0,
        AskKind::Question => 1,
        AskKind::Dialog => 2,
    };
    let mut found: Vec<_> = asks
        .iter()
        .filter_map(|ask| Some((ask.asked.as_deref()?, ask.state())))
        .collect();
    found.sort_by_key(|(asked, _)| (order(asked.kind), asked.since, asked.ask));
    found
        .into_iter()
        .map(|(asked, state)| model::Ask {
            id: asked.ask,
            kind: asked.kind,
            title: asked.title.clone(),
            detail: asked.detail.clone(),
            options: asked.options.clone(),
            answerable: state == AskState::Open,
            since: asked.since,
            answered: matches!(state, AskState::Answered(_)),
            cut: false,
        })
        .collect()
}
