//! Requests about removed worktrees: what is kept of them, its way back, and its end.

use std::path::{Path, PathBuf};

use claustre_domain::command::{Command, WorktreeCommand};
use claustre_protocol::{
    ids::ProjectId,
    request::{Closing, Done, RemovalPreview, SnapshotShown, Swept, WorktreeSweep},
    rpc::{Fault, FaultCode},
};

use super::{Api, done};
use crate::{
    engine::{port_fault, waiting, worktrees},
    ports::{PortError, RemovalOrder},
    store::Snapshot,
};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

impl Api {
    pub(super) async fn worktree_list(&self) -> Result<Vec<SnapshotShown>, Fault> {
        let kept = self.engine.read(|reader| reader.snapshots()).await?;
        Ok(kept.into_iter().map(shown).collect())
    }

    /// Says what removing the worktree of a session would keep and lose.
    pub(super) async fn worktree_preview(&self, named: &str) -> Result<RemovalPreview, Fault> {
        let doing = "looking at the worktree";
        // A task that no session was opened for has no worktree either.
        if let Ok(task) = self.find_task(doing, named).await
            && task.last_session().is_none()
        {
            return Ok(RemovalPreview::default());
        }
        let session = self.find_session(doing, named).await?;
        let (Some(project), Some(worktree)) = (session.project(), session.worktree.get().cloned())
        else {
            return Ok(RemovalPreview::default());
        };
        let Some(repository) = self.repository_of(project).await? else {
            return Ok(RemovalPreview::default());
        };
        if !Path::new(&worktree.path).exists() {
            return Ok(RemovalPreview::default());
        }
        let workspace = self.workspace.clone();
        let preview = tokio::task::spawn_blocking(move || {
            workspace.preview_removal(&repository, Path::new(&worktree.path))
        })
        .await
        .map_err(|error| Fault::new(FaultCode::Internal, format!("{doing}: {error}"), None))?
        .map_err(port_fault)?;
        Ok(RemovalPreview {
            session_id: Some(session.id),
            is_open: session.is_open(),
            ..preview
        })
    }

    /// Removes the worktree of a closed session that stayed when it was closed.
    pub(super) async fn worktree_remove(
        &self,
        closing: Closing,
        actor: &str,
    ) -> Result<Done, Fault> {
        let doing = "removing the worktree";
        let session = self.find_session(doing, &closing.of).await?;
        let refused = |why: String, hint: Option<&str>| {
            Fault::new(
                FaultCode::Refused,
                format!("{doing}: {why}"),
                hint.map(str::to_owned),
            )
        };
        if session.is_open() {
            return Err(refused(
                format!("the session {} is open", session.tab_name()),
                Some("close it: claustre session close"),
            ));
        }
        let (Some(project), Some(worktree)) = (session.project(), session.worktree.get().cloned())
        else {
            return Err(refused("it was never made".into(), None));
        };
        if session.removed.value().is_some() || !Path::new(&worktree.path).exists() {
            return Err(refused(
                "it is gone already".into(),
                Some("claustre worktree list shows what is kept"),
            ));
        }
        let later = self
            .engine
            .read(move |reader| {
                reader.sessions(crate::store::SessionFilter {
                    project: Some(project),
                    open_only: true,
                })
            })
            .await?;
        if let Some(other) = later
            .iter()
            .find(|other| other.branch() == session.branch())
        {
            return Err(refused(
                format!("the session {} works in it", other.id.short()),
                None,
            ));
        }
        let repository = self
            .repository_of(project)
            .await?
            .ok_or_else(|| refused("its project has no repository on this host".into(), None))?;
        let (workspace, launchers) = (self.workspace.clone(), self.launchers.clone());
        let (id, path) = (session.id, PathBuf::from(&worktree.path));
        let removed = tokio::task::spawn_blocking(move || {
            if let Some(why) = worktrees::who_writes(launchers.as_ref(), id, &path) {
                return Err(PortError::lasting(
                    format!("{doing}: {why}"),
                    Some("end that and try again".into()),
                ));
            }
            workspace.remove(&RemovalOrder {
                repository,
                path,
                snapshot: id.to_string(),
                shown: closing.shown,
            })
        })
        .await
        .map_err(|error| Fault::new(FaultCode::Internal, format!("{doing}: {error}"), None))?
        .map_err(port_fault)?;
        for command in worktrees::removed_commands(&session, &removed) {
            self.engine.submit(command, actor).await?;
        }
        Ok(done(match removed.snapshot {
            Some(snapshot) => format!("removed {}; its work is kept in {snapshot}", worktree.path),
            None => format!("removed {}", worktree.path),
        }))
    }

    /// Brings the worktree of a closed session back where it was.
    pub(super) async fn worktree_restore(&self, named: &str, actor: &str) -> Result<Done, Fault> {
        let doing = "restoring the worktree";
        let session = self.find_session(doing, named).await?;
        let refused = |why: &str| {
            Fault::new(
                FaultCode::Refused,
                format!("{doing}: {why}"),
                Some("claustre worktree list shows what is kept".into()),
            )
        };
        let snapshot = session
            .removed
            .value()
            .ok_or_else(|| refused("nothing of it is kept; its branch may still be there"))?;
        let project = session
            .project()
            .ok_or_else(|| refused("its project is not known"))?;
        let repository = self
            .repository_of(project)
            .await?
            .ok_or_else(|| refused("its project has no repository on this host"))?;
        let path = PathBuf::from(session.worktree.value().path);
        let workspace = self.workspace.clone();
        let restored = waiting::on(
            "git",
            tokio::task::spawn_blocking(move || workspace.restore(&repository, &path, &snapshot)),
        )
        .await
        .map_err(|error| Fault::new(FaultCode::Internal, format!("{doing}: {error}"), None))?
        .map_err(port_fault)?;
        let command = Command::Worktree(WorktreeCommand::ReportRestored {
            session: session.id,
            path: restored.display().to_string(),
        });
        self.engine.submit(command, actor).await?;
        Ok(done(format!("restored at {}", restored.display())))
    }

    /// Lets go of the snapshots that were kept long enough, the oldest last; one that cannot be let go stops no other.
    pub(super) async fn worktree_sweep(
        &self,
        sweep: WorktreeSweep,
        actor: &str,
    ) -> Result<Swept, Fault> {
        let days = sweep.days.unwrap_or(self.keep_days);
        let until = self.engine.host.now().millis() - i64::from(days) * DAY_MS;
        let kept = self.engine.read(|reader| reader.snapshots()).await?;
        let mut swept = Swept {
            days,
            ..Swept::default()
        };
        for snapshot in kept {
            let is_wanted = sweep
                .only
                .as_ref()
                .is_none_or(|only| only.contains(&snapshot.snapshot));
            if snapshot.at.millis() > until || !is_wanted {
                continue;
            }
            if !sweep.dry_run
                && let Err(fault) = self.let_go(&snapshot, actor).await
            {
                swept.failed.push(match fault.hint() {
                    Some(hint) => format!("{} ({hint})", fault.message),
                    None => fault.message,
                });
                continue;
            }
            swept.expired.push(shown(snapshot));
        }
        Ok(swept)
    }

    async fn let_go(&self, snapshot: &Snapshot, actor: &str) -> Result<(), Fault> {
        let reference = snapshot.snapshot.clone();
        let doing = format!("letting {reference} go");
        let repository = self.repository_of(snapshot.project).await?.ok_or_else(|| {
            Fault::new(
                FaultCode::Refused,
                format!("{doing}: its project has no repository on this host"),
                None,
            )
        })?;
        let workspace = self.workspace.clone();
        // With a repository that is gone its snapshots are.
        waiting::on(
            "git",
            tokio::task::spawn_blocking(move || match repository.is_dir() {
                true => workspace.forget(&repository, &reference),
                false => Ok(()),
            }),
        )
        .await
        .map_err(|error| Fault::new(FaultCode::Internal, format!("{doing}: {error}"), None))?
        .map_err(port_fault)?;
        let command = Command::Worktree(WorktreeCommand::ReportExpired {
            session: snapshot.session,
            snapshot: snapshot.snapshot.clone(),
        });
        self.engine.submit(command, actor).await?;
        Ok(())
    }

    /// Where the project's repository is on this host.
    async fn repository_of(&self, project: ProjectId) -> Result<Option<PathBuf>, Fault> {
        let machine = self.engine.machine;
        let known = self
            .engine
            .read(move |reader| reader.project(project))
            .await?;
        Ok(known.and_then(|project| project.path_on(machine).map(PathBuf::from)))
    }
}

fn shown(snapshot: Snapshot) -> SnapshotShown {
    SnapshotShown {
        name: snapshot.session.to_string(),
        project_id: snapshot.project,
        branch: snapshot.branch,
        reference: snapshot.snapshot,
        task_id: snapshot.task,
        created_at: snapshot.at,
    }
}
