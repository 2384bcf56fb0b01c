//! Runs `claustre demo` in a terminal of its own, with the stand-in for Claude Code, and prints the dashboard as it
//! stands at the end. What a person would see is what is printed: real Zellij, real plugin, real daemon.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use claustre_tests::env::{built_binary, claustre_binary};
use claustre_tests::{Terminal, TestEnv, zellij};

/// Columns and rows of the terminal.
const SIZE: (u16, u16) = (128, 28);
/// How long the story may take; alone on a machine it takes less than a minute.
const STORY: Duration = Duration::from_secs(300);
/// How long the dashboard may take to show the last step.
const PAINT: Duration = Duration::from_secs(15);
/// How long the demo may take to end.
const END: Duration = Duration::from_secs(40);
/// Zellij's key for its own end.
const CTRL_Q: &str = "\x11";
/// The last line of the story, and what the dashboard's head then says.
const LAST: &str = "all tasks wait for review";
const HEAD: &str = "3 in review";

fn main() -> anyhow::Result<()> {
    let claustre = claustre_binary().context("no claustre binary beside this program")?;
    let env = TestEnv::new();
    env.set(
        "CLAUSTRE_ZELLIJ",
        zellij::binary().map_err(anyhow::Error::msg)?,
    );
    let home = env.path("demo");
    let stand_in = built_binary("fake-claude");
    let arguments = [
        "demo",
        "--home",
        home.to_str().context("a path that is no text")?,
        "--stand-in",
        stand_in.to_str().context("a path that is no text")?,
    ];
    let mut terminal = Terminal::spawn(&env, claustre, &arguments, SIZE.0, SIZE.1);
    follow(&mut terminal, &home.join("story.log"))?;
    terminal.wait_for_text(HEAD, PAINT);
    // From the project to its first session.
    terminal.send("j");
    // The frame that said so may still be on its way to the other rows.
    let screen = settled(&terminal);
    println!("{screen}");
    terminal.send(CTRL_Q);
    let status = terminal.wait_exit(END);
    if !status.success() {
        bail!("the demo ended with {status:?}:\n{}", terminal.screen());
    }
    if home.exists() {
        bail!("the demo has left {} behind", home.display());
    }
    eprintln!("the demo has ended and removed its home");
    Ok(())
}

/// Passes on what the story says, until its last line.
fn follow(terminal: &mut Terminal, log: &std::path::Path) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut told = 0;
    loop {
        let said = std::fs::read_to_string(log).unwrap_or_default();
        let whole = said.rfind('\n').map_or(0, |end| end + 1);
        for line in said[told..whole].lines() {
            eprintln!("{:>3} s  {line}", begun.elapsed().as_secs());
            if line == LAST {
                return Ok(());
            }
            if line.starts_with("the story failed") {
                bail!("{line}\nthe screen:\n{}", terminal.screen());
            }
        }
        told = whole;
        if !terminal.is_running() {
            bail!("the demo has ended early:\n{}", terminal.screen());
        }
        if begun.elapsed() > STORY {
            bail!(
                "the story is not over after {STORY:?}; the screen:\n{}",
                terminal.screen()
            );
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The screen once it has stayed the same for half a second, or after [`PAINT`].
fn settled(terminal: &Terminal) -> String {
    let begun = Instant::now();
    let mut screen = terminal.screen();
    let mut since = Instant::now();
    while since.elapsed() < Duration::from_millis(500) && begun.elapsed() < PAINT {
        std::thread::sleep(Duration::from_millis(20));
        let now = terminal.screen();
        if now != screen {
            (screen, since) = (now, Instant::now());
        }
    }
    screen
}
