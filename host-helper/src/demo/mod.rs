//! The demo: the main story, played on a throw-away home with real parts.
//!
//! This process prepares the [`home`], starts the player (itself once more, in the home's environment: see [`story`]) and
//! shows Zellij. When Zellij ends, everything that ran in the home is ended and the home is removed.

mod home;
mod story;

use std::{fs, path::PathBuf, time::Duration};

use self::home::DemoHome;
pub use self::{home::Agent, story::play};
use crate::{
    adapters::process::{ErrorOutput, Invocation, spawn_detached},
    cli::{error::CliError, ui::Ui},
    client::own_program,
    launcher::{signals::Signals, terminal::Terminal},
};

/// How long a story without a terminal may take in all; the player has shorter limits of its own.
const HEADLESS_LIMIT: Duration = Duration::from_secs(45 * 60);

/// How the demo is wanted.
#[derive(Debug)]
pub struct Wanted {
    /// In a terminal, with Zellij in front; otherwise unseen.
    pub is_shown: bool,
    /// Is the home left where it is?
    pub keep: bool,
    /// Where the home is made; none = a new directory below `/tmp`.
    pub home: Option<PathBuf>,
    /// Who plays Claude Code.
    pub agent: Agent,
}

/// Prepares, plays, ends and removes.
///
/// # Errors
/// Something is missing, or the story did not come to its end; what was started is ended all the same.
pub fn run(ui: Ui, wanted: Wanted) -> Result<(), CliError> {
    if wanted.is_shown && std::env::var_os("ZELLIJ").is_some() {
        return Err(CliError::usage(
            "starting the demo: this terminal is inside Zellij, which would keep its keys to itself",
        )
        .with_hint("start it in a terminal of its own, or with --headless"));
    }
    // A terminal that goes away, or takes us for a job in the background, must not keep us from ending all.
    let _signals = wanted
        .is_shown
        .then(Signals::catch)
        .transpose()
        .map_err(|error| CliError::failed("catching signals", error))?;
    let home = DemoHome::create(wanted.home, wanted.agent, wanted.is_shown)?;
    ui.say(&format!("the demo's home: {}", home.root().display()));
    let played = if wanted.is_shown {
        show(ui, &home)
    } else {
        play_unseen(ui, &home)
    };
    let ended = home.end();
    if wanted.keep {
        ui.say(&format!("kept {}", home.root().display()));
    } else if ended.is_ok() {
        home.remove()?;
        ui.say(&format!("removed {}", home.root().display()));
    }
    played.and(ended)
}

/// Plays behind a Zellij in this terminal, until that ends.
fn show(ui: Ui, home: &DemoHome) -> Result<(), CliError> {
    ui.say("Alt c hides and shows the dashboard; Ctrl q ends Zellij, and with it the demo");
    if home.is_real() {
        ui.say("Claude Code works with your account here; answer its own questions in its tabs");
    }
    let mut environment: Vec<_> = home
        .environment()
        .into_iter()
        .filter_map(|(name, value)| Some((name.into(), value?)))
        .collect();
    environment.push(("CLAUSTRE_DEMO_SHOWN".into(), "1".into()));
    let own = own_program().map_err(|error| CliError::failed("finding this program", error))?;
    let arguments = ["demo".into(), "--play".into()];
    let doing = "starting the story";
    let player = spawn_detached(&own, &arguments, &environment, Some(&home.log()))
        .map_err(|error| CliError::failed(doing, error))?;

    let terminal = Terminal::remember();
    let mut zellij = home
        .apply(Invocation::new(home.zellij()))
        .args(["--session", home::SESSION, "--new-session-with-layout"])
        .arg(home.layout())
        .cwd(home.root())
        .spawn_foreground(ErrorOutput::Terminal)
        .map_err(|error| {
            CliError::failed("starting Zellij", error)
                .with_hint("claustre doctor says whether Zellij is there")
        })?;
    let ended = zellij.wait();
    terminal.take_back(false);
    home::end_player(player);
    match ended {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(CliError::failed("running Zellij", status)),
        Err(error) => Err(CliError::failed("waiting for Zellij", error)),
    }
}

/// Plays with nobody looking: the sessions run in a Zellij in the background.
fn play_unseen(ui: Ui, home: &DemoHome) -> Result<(), CliError> {
    let own = own_program().map_err(|error| CliError::failed("finding this program", error))?;
    let finished = home
        .apply(Invocation::new(own))
        .args(["demo", "--play"])
        .cwd(home.root())
        .time_limit(HEADLESS_LIMIT)
        .run_lines(&mut |_, line| drop(ui.raw(line)))
        .map_err(|error| CliError::failed("playing the story", error))?;
    fs::write(home.log(), &finished.stdout)
        .map_err(|error| CliError::failed("writing the log of the demo", error))?;
    if finished.success() {
        Ok(())
    } else {
        // It has said why, and its words were passed on.
        Err(CliError::failed(
            "playing the story",
            "it did not come to its end",
        ))
    }
}
