//! Requests about removed worktrees: what is kept of them, its way back, and its end.

use std::path::PathBuf;

use claustre_domain::command::{Command, WorktreeCommand};
use claustre_protocol::{
    ids::ProjectId,
    request::{Done, SnapshotShown, Swept, WorktreeSweep},
    rpc::{Fault, FaultCode},
};

use super::{Api, done};
use crate::{engine::port_fault, store::Snapshot};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

impl Api {
    pub(super) async fn worktree_list(&self) -> Result<Vec<SnapshotShown>, Fault> {
        let kept = self.engine.read(|reader| reader.snapshots()).await?;
        Ok(kept.into_iter().map(shown).collect())
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
        let restored =
            tokio::task::spawn_blocking(move || workspace.restore(&repository, &path, &snapshot))
                .await
                .map_err(|error| {
                    Fault::new(FaultCode::Internal, format!("{doing}: {error}"), None)
                })?
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
        tokio::task::spawn_blocking(move || match repository.is_dir() {
            true => workspace.forget(&repository, &reference),
            false => Ok(()),
        })
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
