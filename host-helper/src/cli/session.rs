//! `claustre session`.

use clap::{Args, Subcommand};
use claustre_protocol::{
    model::Session,
    request::{
        Closing, Decision, Done, Named, Preview, Request, SessionList, SessionNew, WithText,
    },
    status::Word,
};

use super::{
    Context,
    error::CliError,
    project, removal, text,
    ui::{Column, Ui, age, count},
};

#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// Print the open sessions.
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Print one session.
    Show(NameArgs),
    /// Open a session without a task.
    New(NewArgs),
    /// Print the text of its pane.
    Preview(NameArgs),
    /// Close it; its work is kept. Shows what goes for good and asks first.
    Close(CloseArgs),
    /// Continue its conversation.
    Resume(NameArgs),
    /// End the client and continue its conversation at once.
    Restart(NameArgs),
    /// Go to its tab.
    Attach(NameArgs),
    /// Queue a message for it; `-` reads standard input.
    Send(TextArgs),
    /// Answer its question.
    Answer(TextArgs),
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only of this project.
    #[arg(long, short)]
    project: Option<String>,
    /// Closed ones too.
    #[arg(long, short)]
    all: bool,
}

#[derive(Debug, Args)]
pub struct CloseArgs {
    /// The session, or the task it works on.
    session: String,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

#[derive(Debug, Args)]
pub struct NameArgs {
    /// The session: its id, the beginning of one, its branch, or the task it works on.
    session: String,
}

#[derive(Debug, Args)]
pub struct NewArgs {
    /// The project.
    project: String,
    /// Its branch.
    #[arg(long, short)]
    branch: Option<String>,
    /// The branch it starts from.
    #[arg(long)]
    base: Option<String>,
    /// A first prompt; `-` reads standard input.
    #[arg(long, short)]
    prompt: Option<String>,
}

#[derive(Debug, Args)]
pub struct TextArgs {
    /// The session, or the task it works on.
    session: String,
    /// The text.
    #[arg(allow_hyphen_values = true)]
    text: String,
}

pub fn run(context: &mut Context, command: SessionCommand) -> Result<(), CliError> {
    let named = |args: NameArgs| Named { of: args.session };
    match command {
        SessionCommand::List(args) => {
            let request = SessionList {
                project: args.project,
                all: args.all,
            };
            let sessions: Vec<Session> = context.call(Request::SessionList(request))?;
            if context.ui.json {
                return context.ui.json(&sessions);
            }
            if sessions.is_empty() {
                context
                    .ui
                    .say("no sessions; claustre task launch TASK opens one");
                return Ok(());
            }
            table(context.ui, &sessions)
        }
        SessionCommand::Show(args) => {
            let session: Session = context.call(Request::SessionShow(named(args)))?;
            if context.ui.json {
                context.ui.json(&session)
            } else {
                show(context.ui, &session)
            }
        }
        SessionCommand::New(args) => {
            let request = SessionNew {
                project: args.project,
                branch: args.branch,
                base: args.base,
                prompt: text::given(args.prompt, None)?,
            };
            let session: Session = context.call(Request::SessionNew(request))?;
            if context.ui.json {
                return context.ui.json(&session);
            }
            context
                .ui
                .say(&format!("opened {}", session.zellij_tab_name));
            context.ui.raw(&session.id.to_string())
        }
        SessionCommand::Preview(args) => {
            let preview: Preview = context.call(Request::SessionPreview(named(args)))?;
            if context.ui.json {
                context.ui.json(&preview)
            } else {
                context.ui.text(&preview.text)
            }
        }
        SessionCommand::Close(args) => {
            let preview = removal::of_closing(context, &args.session)?;
            // A script that loses nothing need not say so.
            if context.ui.interactive || !preview.lost.is_empty() {
                let question = format!("Close the session {}? Its turn is lost.", args.session);
                context.ui.confirm(args.yes, &question)?;
            }
            let closing = Closing {
                of: args.session,
                shown: removal::shown(&preview),
            };
            changed(context, Request::SessionClose(closing))
        }
        SessionCommand::Resume(args) => changed(context, Request::SessionResume(named(args))),
        SessionCommand::Restart(args) => changed(context, Request::SessionRestart(named(args))),
        SessionCommand::Attach(args) => attach(context, args.session),
        SessionCommand::Send(args) => send(context, args.session, args.text),
        SessionCommand::Answer(args) => {
            let decision = Decision {
                of: args.session,
                ask: None,
                text: Some(args.text),
            };
            changed(context, Request::SessionAnswer(decision))
        }
    }
}

/// Queues a message; `-` reads it from standard input.
pub fn send(context: &mut Context, of: String, message: String) -> Result<(), CliError> {
    let text = text::given(Some(message), None)?.unwrap_or_default();
    if text.trim().is_empty() {
        return Err(CliError::usage(format!(
            "sending to {of}: the message is empty"
        )));
    }
    let session: Session = context.call(Request::SessionSend(WithText { of, text }))?;
    if context.ui.json {
        return context.ui.json(&session);
    }
    context.ui.say(&format!(
        "queued for {} ({} waiting)",
        session.zellij_tab_name, session.queued_messages
    ));
    Ok(())
}

/// Goes to its tab; outside Zellij this terminal is attached to the Zellij session that holds it.
pub fn attach(context: &mut Context, of: String) -> Result<(), CliError> {
    let done: Done = context.call(Request::SessionFocus(Named { of: of.clone() }))?;
    let inside = std::env::var_os("ZELLIJ").is_some();
    if inside || context.ui.width.is_none() {
        return project::finish(context, &done);
    }
    let session: Session = context.call(Request::SessionShow(Named { of }))?;
    match session.zellij_session {
        Some(name) => super::open::attach(&name),
        None => project::finish(context, &done),
    }
}

/// Carries out an order and says where the session stands.
pub fn changed(context: &mut Context, request: Request) -> Result<(), CliError> {
    let session: Session = context.call(request)?;
    if context.ui.json {
        return context.ui.json(&session);
    }
    context
        .ui
        .say(&format!("{}: {}", session.zellij_tab_name, state(&session)));
    Ok(())
}

/// `waiting for input (permission)`.
pub fn state(session: &Session) -> String {
    let status = session.claude_status.word().replace('_', " ");
    match session.reason {
        Some(reason) => format!("{status} ({})", reason.word().replace('_', " ")),
        None => status,
    }
}

/// The sessions as a table.
pub fn table(ui: Ui, sessions: &[Session]) -> Result<(), CliError> {
    let rows: Vec<Vec<String>> = sessions
        .iter()
        .map(|session| {
            vec![
                session.id.short(),
                session.zellij_tab_name.clone(),
                state(session),
                session.source.word().to_owned(),
                age(session.last_activity_at),
                session
                    .context_percent
                    .map(|percent| format!("{percent}%"))
                    .unwrap_or_default(),
                format!("${:.2}", session.cost),
                session
                    .ask
                    .as_ref()
                    .map_or_else(|| session.status_message.clone(), |ask| ask.title.clone()),
            ]
        })
        .collect();
    let columns = [
        Column::Left("ID"),
        Column::Left("SESSION"),
        Column::Left("STATUS"),
        Column::Left("BY"),
        Column::Right("AGE"),
        Column::Right("CTX"),
        Column::Right("COST"),
        Column::Left("SAYS"),
    ];
    ui.table(&columns, &rows)
}

/// One session in full.
pub fn show(ui: Ui, session: &Session) -> Result<(), CliError> {
    let changes = format!(
        "{} files +{} -{}",
        session.files_changed, session.lines_added, session.lines_removed
    );
    let pane = session.pane_id.map(|pane| {
        format!(
            "{pane} in {}",
            session
                .zellij_session
                .as_deref()
                .unwrap_or("an unknown Zellij session")
        )
    });
    let usage = format!(
        "{} in, {} out, ${:.2}",
        count(session.input_tokens),
        count(session.output_tokens),
        session.cost
    );
    let status = format!(
        "{}, by {}, for {}",
        state(session),
        session.source.word(),
        age(session.since)
    );
    ui.fields(&[
        ("session", session.zellij_tab_name.clone()),
        ("id", session.id.to_string()),
        ("status", status),
        ("says", session.status_message.clone()),
        (
            "task",
            session
                .task_id
                .map(|task| task.to_string())
                .unwrap_or_default(),
        ),
        ("branch", session.branch_name.clone()),
        ("worktree", session.worktree_path.clone()),
        ("pane", pane.unwrap_or_default()),
        ("host", session.host.clone()),
        (
            "claude",
            session.claude_session_id.clone().unwrap_or_default(),
        ),
        ("model", session.model.clone().unwrap_or_default()),
        (
            "context",
            session
                .context_percent
                .map(|percent| format!("{percent}%"))
                .unwrap_or_default(),
        ),
        ("changes", changes),
        ("usage", usage),
        ("active", format!("{} ago", age(session.last_activity_at))),
    ])?;
    if let Some(ask) = &session.ask {
        ui.raw("")?;
        ui.fields(&[("asks", ask.title.clone()), ("since", age(ask.since))])?;
        ui.text(&ask.detail)?;
        for (at, option) in ask.options.iter().enumerate() {
            ui.text(&format!("{}. {option}", at + 1))?;
        }
    }
    Ok(())
}
