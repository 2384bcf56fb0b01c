//! Editing a task and its steps.

use std::collections::BTreeSet;

use claustre_protocol::{
    ids::{SubtaskId, TaskId},
    status::{TaskStatus, Word},
};

use super::{Task, decide::existing};
use crate::{
    command::{EditTask, TaskCommand},
    entity::World,
    event::{Event, NewSubtask, TaskChanges, TaskEdited},
    project::changed,
    rejection::Rejection,
};

/// Says what an edit changes.
///
/// # Errors
/// The task is unknown, its branch or base would change under a session, or its dependencies would form a circle.
pub(super) fn decide(world: &dyn World, wanted: &EditTask) -> Result<Vec<Event>, Rejection> {
    let task = existing(world, "editing the task", wanted.task)?;
    let doing = format!("editing the task '{}'", task.title.value());
    if wanted
        .title
        .as_deref()
        .is_some_and(|title| title.trim().is_empty())
    {
        return Err(Rejection::refused(doing, "its title would be empty"));
    }
    let before_work = matches!(task.status_now(), TaskStatus::Draft | TaskStatus::Pending);
    let moves_branch = wanted
        .base
        .as_ref()
        .is_some_and(|base| *base != task.base.value())
        || wanted
            .branch
            .as_ref()
            .is_some_and(|branch| *branch != task.branch.value());
    if moves_branch && !before_work {
        return Err(Rejection::refused(
            doing,
            format!(
                "it is {}: base and branch are fixed once it was launched",
                task.status_now().word()
            ),
        )
        .hint("kill and reset it first"));
    }
    if let Some(depends_on) = &wanted.depends_on {
        for id in depends_on {
            existing(world, &doing, *id)?;
        }
        if reaches(world, depends_on, task.id) {
            return Err(Rejection::refused(
                doing,
                "its dependencies would form a circle",
            ));
        }
    }
    let changes = TaskChanges {
        title: changed(&task.title, &wanted.title),
        description: changed(&task.description, &wanted.description),
        mode: changed(&task.mode, &wanted.mode),
        priority: changed(&task.priority, &wanted.priority),
        base: changed(&task.base, &wanted.base),
        branch: changed(&task.branch, &wanted.branch),
        push_mode: changed(&task.push_mode, &wanted.push_mode),
        review_loop: changed(&task.review_loop, &wanted.review_loop),
        depends_on: changed(&task.depends_on, &wanted.depends_on),
        model: changed(&task.model, &wanted.model),
        effort: changed(&task.effort, &wanted.effort),
        permission_mode: changed(&task.permission_mode, &wanted.permission_mode),
    };
    let mut events = Vec::new();
    if changes != TaskChanges::default() {
        events.push(Event::TaskEdited(Box::new(TaskEdited {
            task: task.id,
            changes,
        })));
    }
    if let Some(subtasks) = &wanted.subtasks {
        events.extend(replace_steps(&task, subtasks));
    }
    Ok(events)
}

/// Says what a command about a step changes.
///
/// # Errors
/// The task or the step is unknown, or its title is empty.
pub(super) fn decide_subtask(
    world: &dyn World,
    command: &TaskCommand,
) -> Result<Vec<Event>, Rejection> {
    match command {
        TaskCommand::AddSubtask {
            task,
            subtask,
            title,
        } => {
            let known = existing(world, "adding a step", *task)?;
            if title.trim().is_empty() {
                return Err(Rejection::refused("adding a step", "its title is empty"));
            }
            Ok(vec![Event::SubtaskAdded {
                task: *task,
                subtask: *subtask,
                title: title.clone(),
                position: known
                    .steps()
                    .last()
                    .map_or(0, |(_, step)| step.position().saturating_add(1)),
            }])
        }
        TaskCommand::CompleteSubtask {
            task,
            subtask,
            done,
        } => {
            let known = existing(world, "finishing a step", *task)?;
            let step = step_of(&known, "finishing a step", *subtask)?;
            Ok(if step.done.value() == *done {
                Vec::new()
            } else {
                vec![Event::SubtaskCompleted {
                    task: *task,
                    subtask: *subtask,
                    done: *done,
                    edit_no: step.done.next_edit(),
                }]
            })
        }
        TaskCommand::RemoveSubtask { task, subtask } => {
            let known = existing(world, "removing a step", *task)?;
            let step = step_of(&known, "removing a step", *subtask)?;
            Ok(vec![Event::SubtaskRemoved {
                task: *task,
                subtask: *subtask,
                edit_no: step.removed.next_edit(),
            }])
        }
        // `decide` sends only those three here.
        _ => Ok(Vec::new()),
    }
}

fn step_of<'a>(
    task: &'a Task,
    doing: &str,
    subtask: SubtaskId,
) -> Result<&'a super::Subtask, Rejection> {
    task.subtasks
        .get(&subtask)
        .filter(|step| step.exists())
        .ok_or_else(|| {
            Rejection::not_found(
                doing,
                format!(
                    "the task '{}' has no step {}",
                    task.title.value(),
                    subtask.short()
                ),
            )
        })
}

/// Steps that keep their title keep their state; the others are removed or added.
fn replace_steps(task: &Task, wanted: &[NewSubtask]) -> Vec<Event> {
    let present = task.steps();
    let same = present.len() == wanted.len()
        && present
            .iter()
            .zip(wanted)
            .all(|((_, step), wanted)| step.title() == wanted.title);
    if same {
        return Vec::new();
    }
    let mut kept = BTreeSet::new();
    let mut events = Vec::new();
    for (position, new) in wanted.iter().enumerate() {
        let position = u32::try_from(position).unwrap_or(u32::MAX);
        match present
            .iter()
            .find(|(id, step)| step.title() == new.title && !kept.contains(id))
        {
            // The same step at its place; one that moved is told again with its new place.
            Some((id, step)) => {
                kept.insert(*id);
                if step.position() != position {
                    events.push(Event::SubtaskAdded {
                        task: task.id,
                        subtask: *id,
                        title: new.title.clone(),
                        position,
                    });
                }
            }
            None => events.push(Event::SubtaskAdded {
                task: task.id,
                subtask: new.subtask,
                title: new.title.clone(),
                position,
            }),
        }
    }
    for (id, step) in present {
        if !kept.contains(&id) {
            events.push(Event::SubtaskRemoved {
                task: task.id,
                subtask: id,
                edit_no: step.removed.next_edit(),
            });
        }
    }
    events
}

/// Does one of `from` depend, over any number of steps, on `target`?
fn reaches(world: &dyn World, from: &[TaskId], target: TaskId) -> bool {
    let mut seen = BTreeSet::new();
    let mut open: Vec<TaskId> = from.to_vec();
    while let Some(id) = open.pop() {
        if id == target {
            return true;
        }
        if seen.insert(id)
            && let Some(task) = world.task(id)
        {
            open.extend(task.depends_on.value());
        }
    }
    false
}
