//! `claustre link`: what the dashboard plugin runs to have the daemon connect to it.

use clap::Args;
use claustre_protocol::request::{Done, PluginAddress, PluginLink, Request};

use super::{Context, error::CliError};

#[derive(Debug, Args)]
pub struct LinkArgs {
    /// Name of the Zellij session.
    #[arg(long)]
    session: String,
    /// Process id of its server.
    #[arg(long)]
    server_pid: u32,
    /// Where that server has the plugin from, where it does not know its alias.
    #[arg(long, requires = "helper")]
    plugin: Option<String>,
    /// The program that the plugin was loaded with.
    #[arg(long)]
    helper: Option<String>,
}

/// Asks and is gone at once: the plugin waits for this process.
pub fn run(context: &mut Context, args: LinkArgs) -> Result<(), CliError> {
    let _done: Done = context.call(Request::PluginLink(PluginLink {
        session: args.session,
        server_pid: args.server_pid,
        plugin: args
            .plugin
            .zip(args.helper)
            .map(|(location, helper)| PluginAddress { location, helper }),
    }))?;
    Ok(())
}
