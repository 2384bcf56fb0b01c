//! `claustre task`.

mod args;
pub mod decide;

use std::process::ExitCode;

use clap::Subcommand;
use claustre_protocol::{
    model::{Session, Task, TaskDetail},
    request::{
        Closing, Decision, Done, EventsWatch, Named, Nothing, Preview, Request, StatusOverview,
        StatusShow, TaskAdd, TaskEdit, TaskList, TaskMove, WithText,
    },
    status::{TaskStatus, Word},
};

use super::{
    Context,
    error::{CliError, Kind},
    project, removal, session, subtask, text,
    ui::{Column, Ui, age, count},
};

use decide::Verdict;

pub use args::{AddArgs, ListArgs};
use args::{
    ApproveArgs, BlockArgs, DenyArgs, EditArgs, LaunchArgs, MoveArgs, NameArgs, SendArgs, SureArgs,
};

#[derive(Debug, Subcommand)]
pub enum TaskCommand {
    /// Write a task.
    #[command(visible_alias = "new")]
    Add(Box<AddArgs>),
    /// Print the tasks.
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Print one task.
    Show(NameArgs),
    /// Change a task: what is given takes the place of what was there, lists as a whole.
    Edit(Box<EditArgs>),
    /// Open a session that works on it.
    Launch(LaunchArgs),
    /// Send its session a message, delivered when it is ready; `-` reads standard input.
    Send(SendArgs),
    /// Allow what its session asks to do: what --ask names, or what is shown here and confirmed.
    Approve(ApproveArgs),
    /// Refuse what its session asks to do: what --ask names, or what is shown here and confirmed.
    Deny(DenyArgs),
    /// Answer the question of its session.
    Answer(SendArgs),
    /// Go to the tab of its session.
    Attach(NameArgs),
    /// Print what its worktree holds that its base does not, uncommitted work included.
    Diff(NameArgs),
    /// Print its timeline, oldest first.
    Log(NameArgs),
    /// Try again: resume its session, or launch it anew.
    Retry(NameArgs),
    /// Mark it done.
    Done(NameArgs),
    /// Send it back to work with feedback; `-` reads standard input.
    #[command(visible_alias = "send-back")]
    Review(SendArgs),
    /// Mark it as blocked, and say by what.
    Block(BlockArgs),
    /// Put a finished or blocked one back in the queue.
    Reopen(NameArgs),
    /// Close its session, keep its work in a snapshot, put it back in the queue.
    Kill(SureArgs),
    /// Change its place in the queue.
    Move(MoveArgs),
    /// Remove it from the board; `claustre task undo` brings it back.
    Delete(SureArgs),
    /// Take the last deletion back.
    Undo,
}

pub fn run(context: &mut Context, command: TaskCommand) -> Result<ExitCode, CliError> {
    let named = |args: NameArgs| Named { of: args.task };
    let done = match command {
        TaskCommand::Launch(args) => return launch(context, args),
        TaskCommand::Add(args) => add(context, *args),
        TaskCommand::List(args) => list(context, args),
        TaskCommand::Show(args) => show(context, named(args)),
        TaskCommand::Edit(args) => edit(context, *args),
        TaskCommand::Send(args) => session::send(context, args.task, args.text),
        TaskCommand::Approve(args) => decide::run(
            context,
            Verdict::Approve,
            args.task,
            args.ask.as_deref(),
            None,
        ),
        TaskCommand::Deny(args) => decide::run(
            context,
            Verdict::Deny,
            args.task,
            args.ask.as_deref(),
            args.reason,
        ),
        TaskCommand::Answer(args) => {
            let decision = Decision {
                of: args.task,
                ask: None,
                text: Some(args.text),
            };
            session::changed(context, Request::SessionAnswer(decision))
        }
        TaskCommand::Attach(args) => session::attach(context, args.task),
        TaskCommand::Diff(args) => diff(context, named(args)),
        TaskCommand::Log(args) => log(context, named(args)),
        TaskCommand::Retry(args) => changed(context, Request::TaskRetry(named(args))),
        TaskCommand::Done(args) => changed(context, Request::TaskDone(named(args))),
        TaskCommand::Review(args) => {
            let text = text::given(Some(args.text), None)?.unwrap_or_default();
            changed(
                context,
                Request::TaskSendBack(WithText {
                    of: args.task,
                    text,
                }),
            )
        }
        TaskCommand::Block(args) => changed(
            context,
            Request::TaskBlock(WithText {
                of: args.task,
                text: args.reason,
            }),
        ),
        TaskCommand::Reopen(args) => changed(context, Request::TaskReopen(named(args))),
        TaskCommand::Kill(args) => {
            let preview = removal::of_closing(context, &args.task)?;
            let question = format!(
                "Close the session of {}? Its work is kept in a snapshot, its turn is lost.",
                args.task
            );
            context.ui.confirm(args.yes, &question)?;
            let closing = Closing {
                of: args.task,
                shown: removal::shown(&preview),
            };
            changed(context, Request::TaskKill(closing))
        }
        TaskCommand::Move(args) => changed(
            context,
            Request::TaskMove(TaskMove {
                of: args.task,
                before: args.before,
                after: args.after,
            }),
        ),
        TaskCommand::Delete(args) => {
            let question = format!(
                "Delete the task {}? `claustre task undo` brings it back.",
                args.task
            );
            context.ui.confirm(args.yes, &question)?;
            let done: Done = context.call(Request::TaskDelete(Named { of: args.task }))?;
            project::finish(context, &done)
        }
        TaskCommand::Undo => changed(context, Request::TaskUndo(Nothing {})),
    };
    done.map(|()| ExitCode::SUCCESS)
}

pub fn add(context: &mut Context, args: AddArgs) -> Result<(), CliError> {
    let description =
        text::given(args.fields.description, args.fields.file.as_deref())?.unwrap_or_default();
    if args.title.trim().is_empty() && description.trim().is_empty() {
        return Err(
            CliError::usage("adding a task: neither a title nor a description was given")
                .with_hint("claustre task add PROJECT TITLE -d TEXT"),
        );
    }
    let request = TaskAdd {
        project: args.project,
        title: args.title,
        description,
        mode: args.fields.mode,
        priority: args.fields.prio,
        base: args.fields.base,
        branch: args.fields.branch,
        push_mode: args.fields.push,
        review_loop: args.review_loop,
        subtasks: args.fields.subtask,
        after: args.fields.after,
        model: args.fields.model,
        effort: args.fields.effort,
        permission_mode: args.fields.permission_mode,
        budget_usd: args.budget,
        draft: args.draft,
    };
    let mut task: Task = context.call(Request::TaskAdd(request))?;
    if args.launch {
        task = context.call(Request::TaskLaunch(Named {
            of: task.id.to_string(),
        }))?;
    }
    if context.ui.json {
        return context.ui.json(&task);
    }
    context.ui.say(&format!(
        "{}: {} in {}",
        task.status.word(),
        task.title,
        task.project
    ));
    context.ui.raw(&task.id.to_string())
}

pub fn list(context: &mut Context, args: ListArgs) -> Result<(), CliError> {
    let request = TaskList {
        project: args.project.clone(),
        status: args.status,
        limit: args.limit,
        after: args.after,
    };
    let tasks: Vec<Task> = context.call(Request::TaskList(request))?;
    if tasks.len() >= page_size(args.limit) {
        say_cut(context, &tasks, args.project, args.status)?;
    }
    if context.ui.json {
        return context.ui.json(&tasks);
    }
    if tasks.is_empty() {
        context
            .ui
            .say("no tasks; claustre task add PROJECT TITLE writes one");
        return Ok(());
    }
    let rows: Vec<Vec<String>> = tasks
        .iter()
        .map(|task| {
            vec![
                task.id.short(),
                task.project.clone(),
                task.status.word().replace('_', " "),
                task.priority.to_string(),
                task.title.clone(),
                age(task.updated_at),
                format!("${:.2}", task.cost),
            ]
        })
        .collect();
    let columns = [
        Column::Left("ID"),
        Column::Left("PROJECT"),
        Column::Left("STATUS"),
        Column::Left("PRIO"),
        Column::Left("TITLE"),
        Column::Right("AGE"),
        Column::Right("COST"),
    ];
    context.ui.table(&columns, &rows)
}

/// Tasks of a list that names this limit.
fn page_size(limit: u32) -> usize {
    match limit {
        0 => 1_000,
        limit => usize::try_from(limit).unwrap_or(usize::MAX),
    }
}

/// Says where a list is a part of what there is, and how to see the rest.
fn say_cut(
    context: &mut Context,
    tasks: &[Task],
    project: Option<String>,
    status: Option<TaskStatus>,
) -> Result<(), CliError> {
    let Some(last) = tasks.last() else {
        return Ok(());
    };
    let shown: StatusOverview = context.call(Request::StatusShow(StatusShow { project }))?;
    let all: u64 = shown
        .tasks
        .iter()
        .filter(|(word, _)| status.is_none_or(|status| status.word() == word.as_str()))
        .map(|(_, count)| count)
        .sum();
    if all > tasks.len() as u64 {
        context.ui.say(&format!(
            "{} of {all} tasks; --after {} lists what comes behind them, --limit more at once",
            tasks.len(),
            last.id
        ));
    }
    Ok(())
}

fn edit(context: &mut Context, args: EditArgs) -> Result<(), CliError> {
    let list = |given: Vec<String>| (!given.is_empty()).then_some(given);
    let edit = TaskEdit {
        of: args.task,
        title: args.title,
        description: text::given(args.fields.description, args.fields.file.as_deref())?,
        mode: args.fields.mode,
        priority: args.fields.prio,
        base: args.fields.base,
        branch: args.fields.branch,
        push_mode: args.fields.push,
        review_loop: args.review_loop,
        after: if args.after_none {
            Some(Vec::new())
        } else {
            list(args.fields.after)
        },
        model: args.fields.model,
        effort: args.fields.effort,
        permission_mode: args.fields.permission_mode,
        subtasks: list(args.fields.subtask),
        submit: args.submit,
    };
    let nothing = TaskEdit {
        of: edit.of.clone(),
        ..TaskEdit::default()
    };
    if edit == nothing {
        return Err(
            CliError::usage(format!("changing {}: nothing to change was given", edit.of))
                .with_hint("claustre task edit --help"),
        );
    }
    changed(context, Request::TaskEdit(edit))
}

pub fn changed(context: &mut Context, request: Request) -> Result<(), CliError> {
    let task: Task = context.call(request)?;
    say_changed(context, &task)
}

/// Says where the task stands.
pub fn say_changed(context: &Context, task: &Task) -> Result<(), CliError> {
    if context.ui.json {
        return context.ui.json(task);
    }
    context.ui.say(&format!("{}: {}", task.title, state(task)));
    Ok(())
}

/// `blocked (needs a key)`.
fn state(task: &Task) -> String {
    let status = task.status.word().replace('_', " ");
    match &task.status_reason {
        Some(reason) => format!("{status} ({reason})"),
        None => status,
    }
}

fn show(context: &mut Context, named: Named) -> Result<(), CliError> {
    let detail: TaskDetail = context.call(Request::TaskShow(named))?;
    let ui = context.ui;
    if ui.json {
        return ui.json(&detail);
    }
    let task = &detail.task;
    let usage = format!(
        "{} in, {} out, ${:.2}",
        count(task.input_tokens),
        count(task.output_tokens),
        task.cost
    );
    ui.fields(&[
        ("task", task.title.clone()),
        ("id", task.id.to_string()),
        ("project", task.project.clone()),
        ("status", format!("{}, {}", state(task), task.priority)),
        (
            "mode",
            format!(
                "{}, delivered by {}",
                task.mode.word(),
                task.push_mode.word()
            ),
        ),
        ("waits for", detail.waits_for.join(", ")),
        ("base", task.base.clone().unwrap_or_default()),
        ("branch", task.branch.clone().unwrap_or_default()),
        ("model", task.model.clone().unwrap_or_default()),
        ("effort", task.effort.clone().unwrap_or_default()),
        (
            "permissions",
            task.permission_mode.clone().unwrap_or_default(),
        ),
        (
            "budget",
            task.budget_usd
                .map(|budget| format!("${budget:.2}"))
                .unwrap_or_default(),
        ),
        ("pull request", task.pr_url.clone().unwrap_or_default()),
        ("checks", task.ci_status.clone().unwrap_or_default()),
        ("usage", usage),
        ("written", format!("{} ago", age(task.created_at))),
    ])?;
    if !task.description.is_empty() {
        ui.raw("")?;
        ui.text(&task.description)?;
    }
    if !task.subtasks.is_empty() {
        ui.raw("")?;
        subtask::table(ui, &task.subtasks)?;
    }
    if let Some(session) = &detail.session {
        ui.raw("")?;
        session::show(ui, session)?;
    }
    if !detail.updates.is_empty() {
        ui.raw("")?;
        let newest = detail
            .updates
            .get(..detail.updates.len().min(10))
            .unwrap_or_default();
        timeline(ui, newest.iter().rev())?;
    }
    Ok(())
}

fn diff(context: &mut Context, named: Named) -> Result<(), CliError> {
    let changed: Preview = context.call(Request::SessionDiff(named))?;
    if context.ui.json {
        return context.ui.json(&changed);
    }
    if changed.text.is_empty() {
        context.ui.say("nothing has changed");
        return Ok(());
    }
    context.ui.diff(&changed.text)
}

fn log(context: &mut Context, named: Named) -> Result<(), CliError> {
    let detail: TaskDetail = context.call(Request::TaskShow(named))?;
    if context.ui.json {
        return context.ui.json(&detail.updates);
    }
    timeline(context.ui, detail.updates.iter().rev())
}

fn timeline<'a>(
    ui: Ui,
    updates: impl Iterator<Item = &'a claustre_protocol::model::Update>,
) -> Result<(), CliError> {
    let rows: Vec<Vec<String>> = updates
        .map(|update| {
            vec![
                update.created_at.to_string(),
                update.source.clone(),
                update.level.word().to_owned(),
                update.payload.clone(),
            ]
        })
        .collect();
    ui.table(&["TIME", "WHAT", "LEVEL", "TEXT"].map(Column::Left), &rows)
}

fn launch(context: &mut Context, args: LaunchArgs) -> Result<ExitCode, CliError> {
    if args.wait {
        // Before the launch, so that nothing that follows is missed.
        let _watching: Done = context.call(Request::EventsWatch(EventsWatch { after: None }))?;
    }
    let mut task: Task = context.call(Request::TaskLaunch(Named { of: args.task }))?;
    if args.wait {
        task = wait(context, task)?;
    }
    if context.ui.json {
        context.ui.json(&task)?;
    } else {
        context.ui.say(&format!("{}: {}", task.title, state(&task)));
        if let Some(session) = task.session_id {
            context.ui.raw(&session.to_string())?;
        }
    }
    let failed = args.wait && !matches!(task.status, TaskStatus::InReview | TaskStatus::Done);
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Sleeps from event to event until the task is no longer worked on; says once what its session waits for.
fn wait(context: &mut Context, mut task: Task) -> Result<Task, CliError> {
    let mut said = None;
    loop {
        let detail: TaskDetail = context.call(Request::TaskShow(Named {
            of: task.id.to_string(),
        }))?;
        task = detail.task;
        if !matches!(task.status, TaskStatus::Pending | TaskStatus::Working) {
            return Ok(task);
        }
        if let Some(ask) = detail
            .session
            .as_ref()
            .and_then(|session: &Session| session.ask.as_ref())
            && said != Some(ask.id)
        {
            said = Some(ask.id);
            context.ui.say(&format!("waits for you: {}", ask.title));
        }
        if context.client()?.notification()?.is_none() {
            return Err(CliError {
                kind: Kind::Unreachable,
                message: format!("waiting for {}: the daemon has ended", task.title),
                hint: Some("claustre daemon status".to_owned()),
            });
        }
    }
}
