//! The project as its events make it.

use std::collections::BTreeMap;

use claustre_protocol::{
    ids::{MachineId, ProjectId},
    status::ProjectStatus,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{
    event::{Event, Recorded},
    register::Register,
};

/// A repository under a unique name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: Register<String>,
    /// Where the main checkout lies, on each host that has one.
    pub paths: BTreeMap<MachineId, Register<String>>,
    /// The branch tasks start from.
    pub default_branch: Register<String>,
    /// What it is for.
    pub goal: Register<String>,
    /// Who answers for it.
    pub owner: Register<String>,
    /// Where it stands.
    pub status: Register<ProjectStatus>,
    /// Taken off the list?
    pub removed: Register<bool>,
    /// When it was added.
    pub created_at: Option<Timestamp>,
}

impl Project {
    /// The project before its first event.
    pub fn new(id: ProjectId) -> Self {
        Self {
            id,
            name: Register::default(),
            paths: BTreeMap::new(),
            default_branch: Register::default(),
            goal: Register::default(),
            owner: Register::default(),
            status: Register::default(),
            removed: Register::default(),
            created_at: None,
        }
    }

    /// Was it added, and not removed since?
    pub fn exists(&self) -> bool {
        self.created_at.is_some() && !self.removed.value()
    }

    /// Where the main checkout lies on this host.
    pub fn path_on(&self, machine: MachineId) -> Option<&str> {
        self.paths.get(&machine)?.get().map(String::as_str)
    }

    /// Folds one event in.
    pub fn evolve(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::ProjectAdded(added) if added.project == self.id => {
                let stamp = recorded.stamp(0);
                self.name.write(added.name.clone(), stamp);
                self.paths
                    .entry(recorded.hlc.machine)
                    .or_default()
                    .write(added.repo_path.clone(), stamp);
                self.default_branch
                    .write(added.default_branch.clone(), stamp);
                self.goal.write(added.goal.clone(), stamp);
                self.owner.write(added.owner.clone(), stamp);
                self.status.write(ProjectStatus::Active, stamp);
                self.created_at = Some(
                    self.created_at
                        .map_or(recorded.at(), |known| known.min(recorded.at())),
                );
            }
            Event::ProjectEdited(edited) if edited.project == self.id => {
                let text =
                    |field: &mut Register<String>, edit: &Option<crate::register::Edit<String>>| {
                        if let Some(edit) = edit {
                            field.write(edit.value.clone(), recorded.stamp(edit.edit_no));
                        }
                    };
                text(&mut self.name, &edited.name);
                text(&mut self.goal, &edited.goal);
                text(&mut self.owner, &edited.owner);
                text(&mut self.default_branch, &edited.default_branch);
                if let Some(edit) = &edited.status {
                    self.status.write(edit.value, recorded.stamp(edit.edit_no));
                }
            }
            Event::ProjectRemoved { project, edit_no } if *project == self.id => {
                self.removed.write(true, recorded.stamp(*edit_no));
            }
            _ => {}
        }
    }
}
