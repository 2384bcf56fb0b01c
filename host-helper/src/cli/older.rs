//! Older spellings that take other arguments than today's.

use claustre_protocol::request::{PullRequest, Request};

use super::{Context, error::CliError, task};

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
            after: None,
        }
    }
}

/// Say where the pull request of a session's task is.
///
/// A task that is delivered by a pull request goes to review once its turn has ended.
#[derive(Debug, clap::Args)]
pub struct SessionUpdateArgs {
    /// The session, or the task it works on.
    #[arg(long, value_name = "ID")]
    session_id: String,
    /// The address of the pull request.
    #[arg(long, value_name = "URL")]
    pr_url: String,
}

pub fn session_update(context: &mut Context, args: SessionUpdateArgs) -> Result<(), CliError> {
    let request = Request::SessionPullRequest(PullRequest {
        of: args.session_id,
        url: args.pr_url,
    });
    task::changed(context, request)
}
