//! `claustre assign` and `claustre feed-next`: tasks for sessions that are open already.

use clap::Args;
use claustre_protocol::{
    model::Task,
    request::{Named, Request, TaskAssign},
};

use super::{Context, error::CliError, task};

/// Give a task to a session that is open.
///
/// The session gets its prompt as the next message and works on it in its worktree, on its branch. It must be idle and have no task:
/// `claustre session new` opens such a session. What waits for review stays alone on its branch.
#[derive(Debug, Args)]
pub struct AssignArgs {
    /// The task.
    task: String,
    /// The session.
    session: String,
}

/// Give a session the next task of its project's queue: for scripts and hooks.
///
/// Only autonomous tasks are given by themselves, the most urgent first, and none that waits for another or has a branch of its own.
/// Where none waits, nothing happens. The session must be as for `claustre assign`.
#[derive(Debug, Args)]
pub struct FeedNextArgs {
    /// The session.
    #[arg(long, value_name = "ID")]
    session_id: String,
}

pub fn assign(context: &mut Context, args: AssignArgs) -> Result<(), CliError> {
    let request = TaskAssign {
        of: args.task,
        session: args.session,
    };
    task::changed(context, Request::TaskAssign(request))
}

pub fn feed_next(context: &mut Context, args: FeedNextArgs) -> Result<(), CliError> {
    let request = Request::SessionFeedNext(Named {
        of: args.session_id,
    });
    let given: Option<Task> = context.call(request)?;
    match given {
        _ if context.ui.json => context.ui.json(&given),
        Some(task) => task::say_changed(context, &task),
        None => {
            context.ui.say("no autonomous task waits in its project");
            Ok(())
        }
    }
}
