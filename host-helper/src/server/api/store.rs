//! Requests about the store itself and about removed worktrees.

use std::path::PathBuf;

use claustre_domain::command::{Command, WorktreeCommand};
use claustre_protocol::{
    request::{Backup, Done, ReplayReport, SnapshotShown},
    rpc::{Fault, FaultCode},
};

use super::{Api, done};
use crate::{
    engine::{port_fault, store_fault},
    store,
};

impl Api {
    pub(super) async fn worktree_list(&self) -> Result<Vec<SnapshotShown>, Fault> {
        let kept = self.engine.read(|reader| reader.snapshots()).await?;
        Ok(kept
            .into_iter()
            .map(|snapshot| SnapshotShown {
                name: snapshot.session.to_string(),
                project_id: snapshot.project,
                branch: snapshot.branch,
                reference: snapshot.snapshot,
                task_id: snapshot.task,
                created_at: snapshot.at,
            })
            .collect())
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
        let project_id = session
            .project()
            .ok_or_else(|| refused("its project is not known"))?;
        let machine = self.engine.machine;
        let repository = self
            .engine
            .read(move |reader| reader.project(project_id))
            .await?
            .and_then(|project| project.path_on(machine).map(PathBuf::from))
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

    pub(super) async fn replay(&self) -> Result<ReplayReport, Fault> {
        let report = self.engine.replay().await?;
        Ok(ReplayReport {
            events: report.events,
            differences: report
                .differences
                .iter()
                .map(|difference| {
                    format!(
                        "{} {}: {:?}",
                        difference.table, difference.id, difference.kind
                    )
                })
                .collect(),
        })
    }

    pub(super) async fn backup(&self, backup: Backup) -> Result<Done, Fault> {
        let stamp = self.engine.host.now().to_rfc3339().replace([':', '.'], "-");
        let path = backup.path.map_or_else(
            || self.paths.backups().join(format!("claustre-{stamp}.db")),
            PathBuf::from,
        );
        let shown = path.display().to_string();
        let store = self.paths.store();
        tokio::task::spawn_blocking(move || store::copy(&store, &path))
            .await
            .map_err(|error| {
                Fault::new(
                    FaultCode::Internal,
                    format!("copying the store: {error}"),
                    None,
                )
            })?
            .map_err(store_fault)?;
        Ok(done(shown))
    }
}
