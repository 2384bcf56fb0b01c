//! `claustre project`.

use std::{collections::BTreeMap, env, path::PathBuf};

use clap::{Args, Subcommand};
use claustre_protocol::{
    model::Project,
    request::{
        Done, Named, ProjectAdd, ProjectEdit, ProjectList, ProjectShow, ProjectShown, Request,
    },
    status::{ProjectStatus, Word},
};

use super::{
    Context,
    error::CliError,
    session,
    ui::{Column, age},
};

#[derive(Debug, Subcommand)]
pub enum ProjectCommand {
    /// Add a repository under a name.
    #[command(visible_alias = "new")]
    Add(AddArgs),
    /// Print the projects.
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Print one project with its tasks and sessions.
    Show(ShowArgs),
    /// Change a project.
    Edit(EditArgs),
    /// Launch nothing of it by itself.
    Pause(NameArgs),
    /// Take it up again.
    Resume(NameArgs),
    /// Say that it is finished.
    Done(NameArgs),
    /// Forget a project; its repository stays untouched.
    Remove(RemoveArgs),
}

#[derive(Debug, Args)]
pub struct AddArgs {
    /// Its name: letters, digits, `.`, `_`, `-`.
    name: String,
    /// The repository; the current directory unless given.
    path: Option<PathBuf>,
    /// What it is for, in a sentence.
    #[arg(long, default_value = "")]
    goal: String,
    /// Who answers for it.
    #[arg(long, default_value = "")]
    owner: String,
    /// Default branch; as the repository says unless given.
    #[arg(long, default_value = "")]
    base: String,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only with this status: active, paused, done.
    #[arg(long, value_parser = super::word::<ProjectStatus>)]
    status: Option<ProjectStatus>,
}

#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The project.
    name: String,
    /// With all its events.
    #[arg(long)]
    history: bool,
}

#[derive(Debug, Args)]
pub struct NameArgs {
    /// The project.
    name: String,
}

#[derive(Debug, Args)]
pub struct EditArgs {
    /// The project.
    of: String,
    /// New name.
    #[arg(long)]
    name: Option<String>,
    /// New goal.
    #[arg(long)]
    goal: Option<String>,
    /// New owner.
    #[arg(long)]
    owner: Option<String>,
    /// New default branch.
    #[arg(long)]
    base: Option<String>,
}

#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// The project.
    name: String,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

pub fn run(context: &mut Context, command: ProjectCommand) -> Result<(), CliError> {
    match command {
        ProjectCommand::Add(args) => add(context, args),
        ProjectCommand::List(args) => list(context, args),
        ProjectCommand::Show(args) => show(context, args),
        ProjectCommand::Edit(args) => {
            if args.name.is_none()
                && args.goal.is_none()
                && args.owner.is_none()
                && args.base.is_none()
            {
                return Err(CliError::usage(format!(
                    "changing {}: nothing to change was given",
                    args.of
                ))
                .with_hint("claustre project edit --help"));
            }
            let edit = ProjectEdit {
                of: args.of,
                name: args.name,
                goal: args.goal,
                owner: args.owner,
                base: args.base,
                status: None,
            };
            changed(context, edit, "changed")
        }
        ProjectCommand::Pause(args) => set(context, args.name, ProjectStatus::Paused),
        ProjectCommand::Resume(args) => set(context, args.name, ProjectStatus::Active),
        ProjectCommand::Done(args) => set(context, args.name, ProjectStatus::Done),
        ProjectCommand::Remove(args) => remove(context, args),
    }
}

pub fn add(context: &mut Context, args: AddArgs) -> Result<(), CliError> {
    let path = absolute(args.path)?;
    let request = ProjectAdd {
        name: args.name,
        path,
        goal: args.goal,
        owner: args.owner,
        base: args.base,
    };
    let project: Project = context.call(Request::ProjectAdd(request))?;
    if context.ui.json {
        return context.ui.json(&project);
    }
    context.ui.say(&format!(
        "added {} at {} on {}",
        project.name, project.repo_path, project.default_branch
    ));
    context.ui.raw(&project.id.to_string())
}

/// The daemon runs elsewhere: it gets an absolute path, links resolved.
fn absolute(path: Option<PathBuf>) -> Result<String, CliError> {
    let path = match path {
        Some(path) => path,
        None => env::current_dir()
            .map_err(|error| CliError::failed("finding the current directory", error))?,
    };
    let doing = format!("adding {}", path.display());
    let path = path.canonicalize().map_err(|error| {
        CliError::failed(&doing, error).with_hint("check the path; it must be there already")
    })?;
    path.into_os_string().into_string().map_err(|_| {
        CliError::failed(&doing, "the path is not UTF-8")
            .with_hint("rename it, or add it through a link whose path is UTF-8")
    })
}

pub fn list(context: &mut Context, args: ListArgs) -> Result<(), CliError> {
    let projects: Vec<Project> = context.call(Request::ProjectList(ProjectList {
        status: args.status,
    }))?;
    if context.ui.json {
        return context.ui.json(&projects);
    }
    if projects.is_empty() {
        context
            .ui
            .say("no projects; claustre project add NAME [PATH] adds one");
        return Ok(());
    }
    let rows: Vec<Vec<String>> = projects
        .iter()
        .map(|project| {
            vec![
                project.id.short(),
                project.name.clone(),
                project.status.word().to_owned(),
                project.default_branch.clone(),
                project.repo_path.clone(),
                project.goal.clone(),
            ]
        })
        .collect();
    let columns = ["ID", "NAME", "STATUS", "BRANCH", "PATH", "GOAL"].map(Column::Left);
    context.ui.table(&columns, &rows)
}

fn show(context: &mut Context, args: ShowArgs) -> Result<(), CliError> {
    let request = Request::ProjectShow(ProjectShow {
        of: args.name,
        history: args.history,
    });
    let shown: ProjectShown = context.call(request)?;
    let ui = context.ui;
    if ui.json {
        return ui.json(&shown);
    }
    let project = &shown.project;
    ui.fields(&[
        ("project", project.name.clone()),
        ("id", project.id.to_string()),
        ("status", project.status.word().to_owned()),
        ("path", project.repo_path.clone()),
        ("branch", project.default_branch.clone()),
        ("goal", project.goal.clone()),
        ("owner", project.owner.clone()),
        ("added", format!("{} ago", age(project.created_at))),
        ("tasks", counts(&shown.tasks)),
    ])?;
    if !shown.sessions.is_empty() {
        ui.raw("")?;
        session::table(ui, &shown.sessions)?;
    }
    if let Some(history) = &shown.history {
        ui.raw("")?;
        let rows: Vec<Vec<String>> = history
            .iter()
            .map(|event| {
                vec![
                    event.created_at.to_string(),
                    event.event_type.clone(),
                    event.payload.to_string(),
                ]
            })
            .collect();
        ui.table(&["TIME", "EVENT", "FACTS"].map(Column::Left), &rows)?;
    }
    Ok(())
}

/// `3 working, 1 done`.
pub fn counts(tasks: &BTreeMap<String, u64>) -> String {
    let parts: Vec<String> = tasks
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(status, count)| format!("{count} {}", status.replace('_', " ")))
        .collect();
    parts.join(", ")
}

fn set(context: &mut Context, of: String, status: ProjectStatus) -> Result<(), CliError> {
    let edit = ProjectEdit {
        of,
        status: Some(status),
        ..ProjectEdit::default()
    };
    changed(context, edit, status.word())
}

fn changed(context: &mut Context, edit: ProjectEdit, word: &str) -> Result<(), CliError> {
    let project: Project = context.call(Request::ProjectEdit(edit))?;
    if context.ui.json {
        return context.ui.json(&project);
    }
    context.ui.say(&format!("{}: {word}", project.name));
    Ok(())
}

pub fn remove(context: &mut Context, args: RemoveArgs) -> Result<(), CliError> {
    let question = format!(
        "Remove the project {} with its tasks? Its repository stays untouched.",
        args.name
    );
    context.ui.confirm(args.yes, &question)?;
    let done: Done = context.call(Request::ProjectRemove(Named { of: args.name }))?;
    finish(context, &done)
}

/// Says what an order without a better answer did.
pub fn finish(context: &Context, done: &Done) -> Result<(), CliError> {
    if context.ui.json {
        return context.ui.json(done);
    }
    if !done.message.is_empty() {
        context.ui.say(&done.message);
    }
    Ok(())
}
