//! What the subcommands of `claustre task` take.

use std::path::PathBuf;

use clap::Args;
use claustre_protocol::status::{Mode, Priority, PushMode, TaskStatus};

use crate::cli::word;

#[derive(Debug, Args)]
pub struct AddArgs {
    /// The project.
    pub project: String,
    /// A short line; the first line of the prompt unless given.
    #[arg(default_value = "", hide_default_value = true)]
    pub title: String,
    #[command(flatten)]
    pub fields: FieldArgs,
    /// Feed review comments back to it.
    #[arg(long)]
    pub review_loop: bool,
    /// What it may cost at most, in USD.
    #[arg(long, value_name = "USD", value_parser = money)]
    pub budget: Option<f64>,
    /// Keep it as a draft.
    #[arg(long)]
    pub draft: bool,
    /// Launch it at once.
    #[arg(long, short, conflicts_with = "draft")]
    pub launch: bool,
}

#[derive(Debug, Args)]
pub struct EditArgs {
    /// The task.
    pub task: String,
    /// New title.
    #[arg(long)]
    pub title: Option<String>,
    #[command(flatten)]
    pub fields: FieldArgs,
    /// No task must be done before.
    #[arg(long, conflicts_with = "after")]
    pub after_none: bool,
    /// Feed review comments back to it?
    #[arg(long, value_name = "true|false")]
    pub review_loop: Option<bool>,
    /// Turn a draft into a pending task.
    #[arg(long)]
    pub submit: bool,
}

// No doc comment: clap would take it for the help of both commands.
#[derive(Debug, Args)]
pub struct FieldArgs {
    /// The prompt: what Claude Code is told to do; `-` reads standard input.
    #[arg(
        long,
        short,
        value_name = "TEXT",
        conflicts_with = "file",
        allow_hyphen_values = true
    )]
    pub description: Option<String>,
    /// Read the prompt from this file.
    #[arg(long, short = 'F')]
    pub file: Option<PathBuf>,
    /// How it is worked on: supervised (you steer), autonomous (on its own), exploration (opens without a prompt).
    #[arg(long, short, value_parser = word::<Mode>)]
    pub mode: Option<Mode>,
    /// How urgent: 0 (most) to 4; a new task has 2.
    #[arg(long, visible_alias = "priority", short = 'P')]
    pub prio: Option<Priority>,
    /// The branch it starts from; empty = the project's default branch.
    #[arg(long)]
    pub base: Option<String>,
    /// The branch it works on; empty = made from the title.
    #[arg(long, short)]
    pub branch: Option<String>,
    /// How it is delivered: pr (a pull request), push (a pushed branch).
    #[arg(long, visible_alias = "push-mode", value_parser = word::<PushMode>)]
    pub push: Option<PushMode>,
    /// A step; may be given several times.
    #[arg(long, short = 's')]
    pub subtask: Vec<String>,
    /// A task that must be done before; may be given several times.
    #[arg(long)]
    pub after: Vec<String>,
    /// The model, as Claude Code names it: opus, sonnet, haiku, or a full name; empty = as configured.
    #[arg(long)]
    pub model: Option<String>,
    /// Effort: low, medium, high, xhigh, max; empty = as configured.
    #[arg(long)]
    pub effort: Option<String>,
    /// What Claude Code may do without asking: default, acceptEdits, plan, auto, dontAsk, bypassPermissions; empty = as configured.
    #[arg(long)]
    pub permission_mode: Option<String>,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only of this project.
    #[arg(long, short)]
    pub project: Option<String>,
    /// Only with this status.
    #[arg(long, value_parser = word::<TaskStatus>)]
    pub status: Option<TaskStatus>,
    /// At most so many; 0 = 1,000.
    #[arg(long, default_value_t = 0)]
    pub limit: u32,
    /// Only those behind this task: the next page.
    #[arg(long, value_name = "TASK")]
    pub after: Option<String>,
}

#[derive(Debug, Args)]
pub struct NameArgs {
    /// The task: its id, the beginning of one, or its title.
    pub task: String,
}

#[derive(Debug, Args)]
pub struct LaunchArgs {
    /// The task.
    pub task: String,
    /// Wait until it is no longer worked on; 0 = in review or done.
    #[arg(long, short)]
    pub wait: bool,
}

#[derive(Debug, Args)]
pub struct SendArgs {
    /// The task.
    pub task: String,
    /// The text.
    #[arg(allow_hyphen_values = true)]
    pub text: String,
}

#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// The task.
    pub task: String,
    /// What is allowed: its id, or the beginning of it, as `claustre inbox` shows it.
    #[arg(long, value_name = "ID")]
    pub ask: Option<String>,
}

#[derive(Debug, Args)]
pub struct DenyArgs {
    /// The task.
    pub task: String,
    /// What is refused: its id, or the beginning of it, as `claustre inbox` shows it.
    #[arg(long, value_name = "ID")]
    pub ask: Option<String>,
    /// What the agent is told.
    #[arg(long, short)]
    pub reason: Option<String>,
}

#[derive(Debug, Args)]
pub struct BlockArgs {
    /// The task.
    pub task: String,
    /// Why.
    #[arg(long, short)]
    pub reason: String,
}

#[derive(Debug, Args)]
pub struct SureArgs {
    /// The task.
    pub task: String,
    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct MoveArgs {
    /// The task.
    pub task: String,
    /// Right before this one.
    #[arg(long, required_unless_present = "after", conflicts_with = "after")]
    pub before: Option<String>,
    /// Right after this one.
    #[arg(long)]
    pub after: Option<String>,
}

fn money(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(amount) if amount.is_finite() && amount > 0.0 => Ok(amount),
        _ => Err("a budget is a number above 0".to_owned()),
    }
}
