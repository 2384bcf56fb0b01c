//! Entities as `--json` prints them, with what only telemetry knows.

use std::collections::HashMap;

use claustre_domain::{
    project::Project,
    projection::board,
    session::{Ask, Session},
    task::Task,
};
use claustre_protocol::{
    ids::{MachineId, ProjectId},
    model,
};

use crate::{
    engine::Live,
    store::{Reader, StoreError},
};

/// The names of all projects.
///
/// # Errors
/// The store cannot be read.
pub fn project_names(reader: &Reader) -> Result<HashMap<ProjectId, String>, StoreError> {
    Ok(reader
        .projects()?
        .into_iter()
        .map(|project| (project.id, project.name.value()))
        .collect())
}

/// A project.
pub fn project(project: &Project, machine: MachineId) -> Option<model::Project> {
    board::project(project, machine)
}

/// A task with the name of its project.
pub fn task(task: &Task, names: &HashMap<ProjectId, String>) -> Option<model::Task> {
    let name = task
        .project
        .get()
        .and_then(|id| names.get(id))
        .map_or("", String::as_str);
    board::task(task, name)
}

/// A session with what it asks and what telemetry knows of it.
///
/// # Errors
/// The store cannot be read.
pub fn session(
    reader: &Reader,
    session: &Session,
    names: &HashMap<ProjectId, String>,
    live: &Live,
) -> Result<Option<model::Session>, StoreError> {
    let asks: Vec<Ask> = if session.asks.is_empty() {
        Vec::new()
    } else {
        reader.open_asks(session.id)?
    };
    let name = session
        .project()
        .and_then(|id| names.get(&id).cloned())
        .unwrap_or_default();
    let Some(mut shown) = board::session(session, &name, &asks) else {
        return Ok(None);
    };
    let seen = live.of(session.id);
    if let Some(at) = seen.active_at {
        shown.last_activity_at = shown.last_activity_at.max(at);
    }
    shown.context_percent = seen.context_percent;
    shown.model = seen.model.or(shown.model);
    shown.files_changed = seen.diff.files;
    shown.lines_added = seen.diff.added;
    shown.lines_removed = seen.diff.removed;
    if shown.status_message.is_empty() {
        shown.status_message = seen.doing;
    }
    Ok(Some(shown))
}
