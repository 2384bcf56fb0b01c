//! `claustre link`: what the dashboard plugin runs to have the daemon connect to it.

use clap::Args;
use claustre_protocol::request::{PluginAddress, PluginLink, PluginLinked, Request};

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

/// Asks, prints the secret of the link and is gone at once: the plugin waits for this process and reads what it prints. Nobody else
/// does; whoever writes to the plugin through a pipe is not heard without it.
pub fn run(context: &mut Context, args: LinkArgs) -> Result<(), CliError> {
    let linked: PluginLinked = context.call(Request::PluginLink(PluginLink {
        session: args.session,
        server_pid: args.server_pid,
        plugin: args
            .plugin
            .zip(args.helper)
            .map(|(location, helper)| PluginAddress { location, helper }),
    }))?;
    context.ui.raw(&linked.secret)
}
