//! The command line: one file per subcommand. Each thing the dashboard can do can be done here.
//!
//! [`error`] makes errors into words and exit codes, [`ui`] makes output; no command prints by itself.

mod assign;
mod completions;
mod config;
mod daemon;
mod demo;
mod doctor;
pub mod error;
mod inbox;
mod init;
mod link;
mod manual;
mod mcp;
mod older;
pub mod open;
mod project;
mod removal;
mod session;
mod setup;
mod status;
mod store;
mod subtask;
mod task;
mod text;
mod trust;
pub mod ui;
mod watch;
mod worktree;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand, error::ErrorKind};
use claustre_protocol::{BUILD, request::Request};
use serde::de::DeserializeOwned;

use self::{error::CliError, ui::Ui};
use crate::{client::Client, paths::Paths};

/// What is true of all commands.
const AFTERWORD: &str = "\
Exit codes: 0 done, 1 refused or failed, 2 not understood, 3 no such project, task or session, 4 the daemon cannot be reached.

Environment: CLAUSTRE_HOME is where everything lies, ~/.claustre unless set. CLAUSTRE_CLAUDE and CLAUSTRE_ZELLIJ are the programs, \
where they are not on PATH. CLAUSTRE_LOG is what the daemon logs, such as debug. NO_COLOR, if set, means no colours.

Files: ~/.claustre/config.toml is the configuration (claustre config show prints every value), claustre.db beside it the store \
(claustre backup copies it), worktrees/ the worktrees of all sessions, logs/daemon.log what the daemon did.";

/// Run many Claude Code sessions at once from a Zellij dashboard.
///
/// Without a command it opens the dashboard. Things are named by id, by the unique beginning of one, or by a unique name.
#[derive(Debug, Parser)]
#[command(name = "claustre", version = BUILD, max_term_width = 100, after_long_help = AFTERWORD)]
struct Cli {
    /// Print JSON instead of text.
    #[arg(long, global = true, display_order = 900)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prepare this machine: the home, a configuration, and the plugin in Zellij.
    Init(init::InitArgs),
    /// Put the dashboard into Zellij: shows what it writes, asks first, and can take it back.
    Setup(setup::SetupArgs),
    /// Look whether everything works; where it does not, say what to do.
    Doctor(doctor::DoctorArgs),
    /// Play three tasks on a throw-away home, to see what this is.
    Demo(demo::DemoArgs),
    /// Open the dashboard: in this Zellij, or in a new one.
    #[command(visible_alias = "dashboard")]
    Open,
    /// Start, stop and look at the daemon that keeps everything.
    #[command(subcommand)]
    Daemon(daemon::DaemonCommand),
    /// Look at the configuration and check it.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Add repositories and look after them.
    #[command(subcommand)]
    Project(project::ProjectCommand),
    /// Write tasks, launch them, answer them, review them.
    #[command(subcommand)]
    Task(Box<task::TaskCommand>),
    /// The steps of a task.
    #[command(subcommand)]
    Subtask(subtask::SubtaskCommand),
    /// Open, close and resume Claude Code sessions.
    #[command(subcommand)]
    Session(session::SessionCommand),
    /// Give a task to a session that is open.
    Assign(assign::AssignArgs),
    /// What needs you, the most urgent first.
    Inbox(inbox::InboxArgs),
    /// What runs and what waits.
    Status(status::StatusArgs),
    /// Print each event as it happens, one JSON line each.
    Watch(watch::WatchArgs),
    /// Look at what was kept of removed worktrees, and bring it back.
    #[command(subcommand)]
    Worktree(worktree::WorktreeCommand),
    /// Let a repository's own hooks and scripts run, as they are now; shows them and asks first.
    Trust(trust::TrustArgs),
    /// Let nothing of a repository run any more.
    Untrust(trust::PlaceArgs),
    /// Compare every table with what the event log makes of it.
    Replay,
    /// Copy the store, also while it is in use.
    Backup(store::BackupArgs),
    /// Print a completion script for your shell.
    Completions(completions::CompletionsArgs),
    /// Print the manual page of claustre or of one of its commands.
    Man(manual::ManArgs),
    /// Connect standard input and output to the MCP server: what Claude Code starts.
    #[command(hide = true)]
    Mcp,
    /// Have the daemon connect to the dashboard of a Zellij session: what the plugin runs.
    #[command(hide = true)]
    Link(link::LinkArgs),
    /// Older spelling of `project add`.
    #[command(hide = true)]
    AddProject(project::AddArgs),
    /// Older spelling of `task add`.
    #[command(hide = true)]
    AddTask(Box<task::AddArgs>),
    /// Older spelling of `project list`.
    #[command(hide = true)]
    ListProjects(project::ListArgs),
    /// Older spelling of `task list`.
    #[command(hide = true)]
    ListTasks(older::ListTasksArgs),
    /// Older spelling of `project remove`.
    #[command(hide = true)]
    RemoveProject(project::RemoveArgs),
    /// Say where the pull request of a session's task is: for scripts and hooks.
    #[command(hide = true)]
    SessionUpdate(older::SessionUpdateArgs),
    /// Give a session the next task of its project's queue: for scripts and hooks.
    #[command(hide = true)]
    FeedNext(assign::FeedNextArgs),
}

/// What a command has at hand.
struct Context {
    ui: Ui,
    paths: Paths,
    client: Option<Client>,
}

impl Context {
    /// The connection to the daemon, which is started where there is none.
    fn client(&mut self) -> Result<&mut Client, CliError> {
        if self.client.is_none() {
            self.client = Some(Client::connect_or_start(&self.paths, "cli")?);
        }
        self.client
            .as_mut()
            .ok_or_else(|| CliError::failed("reaching the daemon", "no connection"))
    }

    /// Asks the daemon.
    fn call<T: DeserializeOwned>(&mut self, request: Request) -> Result<T, CliError> {
        Ok(self.client()?.call(request)?)
    }
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version, asked for or for want of a command, go as they are.
            let is_help = matches!(
                error.kind(),
                ErrorKind::DisplayHelp
                    | ErrorKind::DisplayVersion
                    | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            );
            if is_help {
                let code = u8::try_from(error.exit_code()).unwrap_or(2);
                drop(error.print());
                return ExitCode::from(code);
            }
            return CliError::from(error)
                .with_usage(&command(), std::env::args_os().skip(1))
                .report();
        }
    };
    match execute(cli) {
        Ok(code) => code,
        Err(error) => error.report(),
    }
}

fn execute(cli: Cli) -> Result<ExitCode, CliError> {
    let ui = Ui::detect(cli.json);
    // These need no home.
    match cli.command {
        Some(Command::Completions(args)) => {
            return completions::print(&args).map(|()| ExitCode::SUCCESS);
        }
        Some(Command::Man(args)) => return manual::run(&args).map(|()| ExitCode::SUCCESS),
        Some(Command::Demo(args)) => return demo::run(ui, args).map(|()| ExitCode::SUCCESS),
        _ => {}
    }
    let context = &mut Context {
        ui,
        paths: Paths::from_environment()?,
        client: None,
    };
    let done = match cli.command {
        None | Some(Command::Open) => open::run(context),
        Some(Command::Init(args)) => init::run(context, args),
        Some(Command::Setup(args)) => setup::run(context, args),
        Some(Command::Doctor(args)) => return doctor::run(context, args),
        Some(Command::Daemon(command)) => daemon::run(context, command),
        Some(Command::Config(command)) => config::run(context, command),
        Some(Command::Project(command)) => project::run(context, command),
        Some(Command::Task(command)) => return task::run(context, *command),
        Some(Command::Subtask(command)) => subtask::run(context, command),
        Some(Command::Session(command)) => session::run(context, command),
        Some(Command::Assign(args)) => assign::assign(context, args),
        Some(Command::Inbox(args)) => inbox::run(context, args),
        Some(Command::Status(args)) => status::run(context, args),
        Some(Command::Watch(args)) => watch::run(context, args),
        Some(Command::Worktree(command)) => worktree::run(context, command),
        Some(Command::Trust(args)) => trust::run(context, args),
        Some(Command::Untrust(args)) => trust::take(context, args),
        Some(Command::Replay) => return store::replay(context),
        Some(Command::Backup(args)) => store::backup(context, args),
        Some(Command::Mcp) => mcp::run(context),
        Some(Command::Link(args)) => link::run(context, args),
        Some(Command::AddProject(args)) => project::add(context, args),
        Some(Command::AddTask(args)) => task::add(context, *args),
        Some(Command::ListProjects(args)) => project::list(context, args),
        Some(Command::ListTasks(args)) => task::list(context, args.into()),
        Some(Command::RemoveProject(args)) => project::remove(context, args),
        Some(Command::FeedNext(args)) => assign::feed_next(context, args),
        Some(Command::SessionUpdate(args)) => older::session_update(context, args),
        Some(Command::Completions(_) | Command::Man(_) | Command::Demo(_)) => Ok(()),
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// The whole command line, for completions, the manual page and the reference.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Reads a closed set's value by its word, for clap.
fn word<T: claustre_protocol::status::Word>(
    text: &str,
) -> Result<T, claustre_protocol::status::UnknownWord> {
    T::parse_word(text)
}

#[cfg(test)]
mod tests;
