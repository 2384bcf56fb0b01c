//! Requests about the store itself.

use std::path::PathBuf;

use claustre_protocol::{
    request::{Backup, Done, ReplayReport},
    rpc::{Fault, FaultCode},
};

use super::{Api, done};
use crate::{
    engine::{store_fault, waiting},
    store,
};

impl Api {
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
        waiting::on(
            "the copy of the store",
            tokio::task::spawn_blocking(move || store::copy(&store, &path)),
        )
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
