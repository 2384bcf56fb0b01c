//! `claustre setup`.

use clap::Args;
use serde_json::json;

use super::{Context, error::CliError, ui::now};
use crate::{
    config, plugin_wasm,
    setup::{
        self, SetupError, Targets,
        running::{self, RunningSession},
    },
};

#[derive(Debug, Args)]
pub struct SetupArgs {
    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
    /// Take back what an earlier setup wrote.
    #[arg(long)]
    pub undo: bool,
}

pub fn run(context: &mut Context, args: SetupArgs) -> Result<(), CliError> {
    let loaded = config::load(&context.paths)?;
    let key = &loaded.config.zellij.key;
    if args.undo {
        // What was written says where: Zellij itself may be gone.
        let targets = setup::written_targets(&context.paths, key).map_err(failed)?;
        return undo(context, &targets, args.yes);
    }
    let targets = setup::targets(&context.paths, key).map_err(failed)?;
    install(context, &targets, args.yes)
}

fn install(context: &mut Context, targets: &Targets, yes: bool) -> Result<(), CliError> {
    let changes = setup::plan(targets, plugin_wasm::bytes()).map_err(failed)?;
    if changes.is_empty() {
        let sessions = load_into_running(targets, false)?;
        if context.ui.json {
            let nothing: [&str; 0] = [];
            return context
                .ui
                .json(&json!({ "written": nothing, "sessions": sessions }));
        }
        context
            .ui
            .say("Zellij knows Claustre already; nothing to write");
        return tell_sessions(context, targets, &sessions);
    }
    for change in &changes {
        context.ui.say(&change.describe());
    }
    context.ui.confirm(yes, "Write this? Each file is copied beside itself first, and claustre setup --undo takes it back.")?;
    setup::apply(&changes, targets, now().millis()).map_err(failed)?;
    let plugin_changed = changes.iter().any(|change| change.path == targets.plugin);
    let sessions = load_into_running(targets, plugin_changed)?;
    if context.ui.json {
        let written: Vec<String> = changes
            .iter()
            .map(|change| change.path.display().to_string())
            .collect();
        return context
            .ui
            .json(&json!({ "written": written, "sessions": sessions }));
    }
    context.ui.say(&format!(
        "done: {} shows the dashboard in every Zellij session that starts from now on; claustre opens one",
        targets.key
    ));
    tell_sessions(context, targets, &sessions)
}

fn load_into_running(
    targets: &Targets,
    plugin_changed: bool,
) -> Result<Vec<RunningSession>, CliError> {
    running::load(targets, plugin_changed).map_err(|error| failed(error.into()))
}

fn tell_sessions(
    context: &mut Context,
    targets: &Targets,
    sessions: &[RunningSession],
) -> Result<(), CliError> {
    for session in sessions {
        context.ui.say(&session.describe(&targets.key));
    }
    Ok(())
}

fn undo(context: &mut Context, targets: &Targets, yes: bool) -> Result<(), CliError> {
    context.ui.confirm(
        yes,
        "Take back what claustre setup wrote into Zellij's files?",
    )?;
    let said = setup::undo(targets).map_err(failed)?;
    if context.ui.json {
        return context.ui.json(&said);
    }
    if said.is_empty() {
        context.ui.say("nothing was set up");
    }
    for line in said {
        context.ui.say(&line);
    }
    Ok(())
}

fn failed(error: SetupError) -> CliError {
    let hint = error.hint();
    let failed = CliError::failed("setting up Zellij", error);
    match hint {
        Some(hint) => failed.with_hint(&hint),
        None => failed,
    }
}
