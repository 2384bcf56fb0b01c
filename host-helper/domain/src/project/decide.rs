//! What may be done with a project.

use claustre_protocol::ids::ProjectId;

use super::{Project, is_valid_name};
use crate::{
    command::ProjectCommand,
    entity::World,
    event::{Event, ProjectAdded, ProjectEdited},
    register::{Edit, Register},
    rejection::Rejection,
};

/// Says what a command about a project changes, or why it may not.
///
/// # Errors
/// The name is taken or not allowed, the project is unknown, or it still has open sessions.
pub fn decide(world: &dyn World, command: &ProjectCommand) -> Result<Vec<Event>, Rejection> {
    match command {
        ProjectCommand::Add {
            project,
            name,
            repo_path,
            default_branch,
            goal,
            owner,
        } => {
            check_name(world, "adding the project", name, *project)?;
            Ok(vec![Event::ProjectAdded(ProjectAdded {
                project: *project,
                name: name.clone(),
                repo_path: repo_path.clone(),
                default_branch: default_branch.clone(),
                goal: goal.clone(),
                owner: owner.clone(),
            })])
        }
        ProjectCommand::Edit {
            project,
            name,
            goal,
            owner,
            default_branch,
            status,
        } => {
            let known = existing(world, "changing the project", *project)?;
            if let Some(name) = name {
                check_name(world, "renaming the project", name, *project)?;
            }
            let edited = ProjectEdited {
                project: *project,
                name: changed(&known.name, name),
                goal: changed(&known.goal, goal),
                owner: changed(&known.owner, owner),
                default_branch: changed(&known.default_branch, default_branch),
                status: changed(&known.status, status),
            };
            let nothing = ProjectEdited {
                project: *project,
                name: None,
                goal: None,
                owner: None,
                default_branch: None,
                status: None,
            };
            Ok(if edited == nothing {
                Vec::new()
            } else {
                vec![Event::ProjectEdited(edited)]
            })
        }
        ProjectCommand::Remove { project } => {
            let known = existing(world, "removing the project", *project)?;
            let open = world.open_sessions(*project).len();
            if open > 0 {
                return Err(Rejection::refused(
                    format!("removing the project {}", known.name.value()),
                    format!("{open} of its sessions are open"),
                )
                .hint("close them first: claustre session list, claustre session close ID"));
            }
            Ok(vec![Event::ProjectRemoved {
                project: *project,
                edit_no: known.removed.next_edit(),
            }])
        }
    }
}

/// The project, if it was added and not removed.
pub(crate) fn existing(
    world: &dyn World,
    doing: &str,
    project: ProjectId,
) -> Result<Project, Rejection> {
    world
        .project(project)
        .filter(Project::exists)
        .ok_or_else(|| {
            Rejection::not_found(doing, format!("there is no project {}", project.short()))
                .hint("claustre project list shows them")
        })
}

/// The edit that brings `field` to `wanted`, if it is not there already.
pub(crate) fn changed<T: Clone + PartialEq>(
    field: &Register<T>,
    wanted: &Option<T>,
) -> Option<Edit<T>> {
    wanted
        .as_ref()
        .filter(|wanted| field.get() != Some(*wanted))
        .map(|wanted| Edit::after(field, wanted.clone()))
}

fn check_name(
    world: &dyn World,
    doing: &str,
    name: &str,
    project: ProjectId,
) -> Result<(), Rejection> {
    let shown: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
    if !is_valid_name(name) {
        return Err(
            Rejection::refused(doing, format!("'{shown}' cannot be a project's name")).hint(
                "use letters, digits, '.', '_' and '-', at most 60, not beginning with '.' or '-'",
            ),
        );
    }
    match world.project_named(name) {
        Some(other) if other.id != project => {
            Err(
                Rejection::refused(doing, format!("there already is a project '{shown}'")).hint(
                    format!("choose another name, or see claustre project show {shown}"),
                ),
            )
        }
        _ => Ok(()),
    }
}
