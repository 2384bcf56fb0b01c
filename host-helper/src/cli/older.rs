//! Older spellings that take other arguments than today's.

use super::task;

/// Print the tasks of a project, or all.
#[derive(Debug, clap::Args)]
pub struct ListTasksArgs {
    /// Only of this project.
    project: Option<String>,
    /// Only with this status.
    #[arg(long, value_parser = super::word::<claustre_protocol::status::TaskStatus>)]
    status: Option<claustre_protocol::status::TaskStatus>,
}

impl From<ListTasksArgs> for task::ListArgs {
    fn from(older: ListTasksArgs) -> Self {
        Self {
            project: older.project,
            status: older.status,
            limit: 0,
        }
    }
}
