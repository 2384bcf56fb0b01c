//! `claustre link`: what the dashboard plugin runs to have the daemon connect to it.

use clap::Args;
use claustre_protocol::request::{Done, PluginLink, Request};

use super::{Context, error::CliError};

#[derive(Debug, Args)]
pub struct LinkArgs {
    /// Name of the Zellij session.
    #[arg(long)]
    session: String,
    /// Process id of its server.
    #[arg(long)]
    server_pid: u32,
}

/// Asks and is gone at once: the plugin waits for this process.
pub fn run(context: &mut Context, args: LinkArgs) -> Result<(), CliError> {
    let _done: Done = context.call(Request::PluginLink(PluginLink {
        session: args.session,
        server_pid: args.server_pid,
    }))?;
    Ok(())
}
