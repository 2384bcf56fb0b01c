//! Requests about projects.

use std::{collections::BTreeMap, path::PathBuf};

use claustre_domain::{
    command::{Command, ProjectCommand},
    project::is_valid_name,
};
use claustre_protocol::{
    ids::ProjectId,
    model::Project,
    request::{Done, ProjectAdd, ProjectEdit, ProjectList, ProjectShow, ProjectShown},
    rpc::{Fault, FaultCode},
    status::Word,
};

use super::{Api, done, present};
use crate::{
    engine::{port_fault, waiting},
    store::SessionFilter,
    text,
    trust::Place,
};

/// Longest goal and owner, in characters.
const LONGEST_LINE: usize = 400;

/// Held while a project is added.
static ADDING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

impl Api {
    pub(super) async fn project_add(&self, add: ProjectAdd, actor: &str) -> Result<Project, Fault> {
        // Two at once could both find that nobody has the repository.
        let _one_at_a_time = ADDING.lock().await;
        let workspace = self.workspace.clone();
        let path = below_home(&add.path, std::env::var_os("HOME").map(PathBuf::from));
        let facts = waiting::on(
            "git",
            tokio::task::spawn_blocking(move || workspace.inspect(&path)),
        )
        .await
        .map_err(|error| {
            Fault::new(
                FaultCode::Internal,
                format!("adding the project: {error}"),
                None,
            )
        })?
        .map_err(port_fault)?;
        if !add.base.is_empty() {
            self.check_base(facts.root.clone(), add.base.clone())
                .await?;
        }
        self.refuse_second_name(facts.root.clone(), add.name.clone())
            .await?;
        let project = ProjectId::new(self.engine.host.uuid());
        let command = Command::Project(ProjectCommand::Add {
            project,
            name: add.name,
            repo_path: facts.root.display().to_string(),
            default_branch: if add.base.is_empty() {
                facts.default_branch
            } else {
                add.base
            },
            goal: text::written_line(&add.goal, LONGEST_LINE),
            owner: text::written_line(&add.owner, LONGEST_LINE),
        });
        self.engine.submit(command, actor).await?;
        self.project_of(project).await
    }

    pub(super) async fn project_list(&self, list: ProjectList) -> Result<Vec<Project>, Fault> {
        let machine = self.engine.machine;
        self.engine
            .read(move |reader| {
                Ok(reader
                    .projects()?
                    .iter()
                    .filter(|project| project.exists())
                    .filter(|project| {
                        list.status
                            .is_none_or(|status| project.status.value() == status)
                    })
                    .filter_map(|project| present::project(project, machine))
                    .collect())
            })
            .await
    }

    pub(super) async fn project_show(&self, show: ProjectShow) -> Result<ProjectShown, Fault> {
        let project = self.find_project("showing the project", &show.of).await?;
        let id = project.id;
        let shown = self.project_of(id).await?;
        let live = self.engine.live.clone();
        self.engine
            .read(move |reader| {
                let names = present::project_names(reader)?;
                let tasks: BTreeMap<String, u64> = reader
                    .task_counts(Some(id))?
                    .into_iter()
                    .map(|(status, count)| (status.word().to_owned(), count))
                    .collect();
                let mut sessions = Vec::new();
                for session in reader.sessions(SessionFilter {
                    project: Some(id),
                    open_only: true,
                })? {
                    sessions.extend(present::session(reader, &session, &names, &live)?);
                }
                let history = if show.history {
                    Some(reader.events_of(id.uuid(), 100_000)?)
                } else {
                    None
                };
                Ok(ProjectShown {
                    project: shown,
                    tasks,
                    sessions,
                    history,
                })
            })
            .await
    }

    pub(super) async fn project_edit(
        &self,
        edit: ProjectEdit,
        actor: &str,
    ) -> Result<Project, Fault> {
        let project = self.find_project("changing the project", &edit.of).await?;
        if let Some(base) = &edit.base {
            match project.path_on(self.engine.machine) {
                Some(path) => self.check_base(path.into(), base.clone()).await?,
                None => self.workspace.check_branch(base).map_err(port_fault)?,
            }
        }
        let command = Command::Project(ProjectCommand::Edit {
            project: project.id,
            name: edit.name,
            goal: edit
                .goal
                .map(|goal| text::written_line(&goal, LONGEST_LINE)),
            owner: edit
                .owner
                .map(|owner| text::written_line(&owner, LONGEST_LINE)),
            default_branch: edit.base,
            status: edit.status,
        });
        self.engine.submit(command, actor).await?;
        self.project_of(project.id).await
    }

    pub(super) async fn project_remove(&self, named: &str, actor: &str) -> Result<Done, Fault> {
        let project = self.find_project("removing the project", named).await?;
        self.engine
            .submit(
                Command::Project(ProjectCommand::Remove {
                    project: project.id,
                }),
                actor,
            )
            .await?;
        Ok(done(format!(
            "{} is off the list; its repository was not touched",
            project.name.value()
        )))
    }

    /// Refuses a repository that a project has already, under whatever path: its tasks would get into each other's way.
    async fn refuse_second_name(&self, root: PathBuf, name: String) -> Result<(), Fault> {
        // A name that cannot be one is refused for that, by the domain.
        if !is_valid_name(&name) {
            return Ok(());
        }
        let machine = self.engine.machine;
        let known: Vec<(String, String)> = self
            .engine
            .read(move |reader| {
                Ok(reader
                    .projects()?
                    .iter()
                    // One of the same name is refused for its name.
                    .filter(|project| project.exists() && project.name.value() != name)
                    .filter_map(|project| {
                        let path = project.path_on(machine)?.to_owned();
                        Some((project.name.value(), path))
                    })
                    .collect())
            })
            .await?;
        let doing = "adding the project";
        let shown = root.display().to_string();
        let other = tokio::task::spawn_blocking(move || {
            let wanted = Place::find(&root).ok()?;
            known.into_iter().find(|(_, path)| {
                Place::find(path.as_ref()).is_ok_and(|place| place.common_dir == wanted.common_dir)
            })
        })
        .await
        .map_err(|error| Fault::new(FaultCode::Internal, format!("{doing}: {error}"), None))?;
        match other {
            None => Ok(()),
            Some((name, _)) => Err(Fault::new(
                FaultCode::Refused,
                format!("{doing}: {shown} is the repository of the project '{name}' already"),
                Some(format!(
                    "work in that project, or rename it: claustre project edit {name} --name NEW"
                )),
            )),
        }
    }

    pub(super) async fn check_base(&self, repository: PathBuf, base: String) -> Result<(), Fault> {
        let workspace = self.workspace.clone();
        waiting::on(
            "git",
            tokio::task::spawn_blocking(move || workspace.check_base(&repository, &base)),
        )
        .await
        .map_err(|error| {
            Fault::new(
                FaultCode::Internal,
                format!("checking the base: {error}"),
                None,
            )
        })?
        .map_err(port_fault)
    }

    pub(super) async fn project_of(&self, id: ProjectId) -> Result<Project, Fault> {
        let machine = self.engine.machine;
        self.engine
            .read(move |reader| {
                Ok(reader
                    .project(id)?
                    .and_then(|project| present::project(&project, machine)))
            })
            .await?
            .ok_or_else(|| Fault::new(FaultCode::NotFound, "reading the project: it is gone", None))
    }
}

/// The path that a person wrote in a form, where no shell puts the home in place of `~`.
fn below_home(path: &str, home: Option<PathBuf>) -> PathBuf {
    let rest = if path == "~" {
        Some("")
    } else {
        path.strip_prefix("~/")
    };
    match (rest, home) {
        (Some(rest), Some(home)) => home.join(rest.trim_start_matches('/')),
        (Some(_), None) | (None, _) => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_stands_for_its_sign_only_at_the_beginning() {
        for (written, wanted) in [
            ("~", "/home/mara/"),
            ("~/code/shop", "/home/mara/code/shop"),
            ("~//code", "/home/mara/code"),
            ("/code/~/x", "/code/~/x"),
            ("~other/x", "~other/x"),
        ] {
            assert_eq!(
                below_home(written, Some("/home/mara".into())),
                PathBuf::from(wanted),
                "{written}"
            );
        }
        assert_eq!(below_home("~/x", None), PathBuf::from("~/x"));
    }
}
