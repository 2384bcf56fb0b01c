//! Starting other programs: every one is announced, and what may hang has a time limit.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Says one line on stderr.
pub fn say(line: &str) {
    eprintln!("xtask: {line}");
}

/// Runs a command in the open: its output goes where ours goes. Fails unless it succeeds.
pub fn run(command: &mut Command) -> Result<()> {
    say(&describe(command));
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("starting {}", describe(command)))?;
    check(command, status)
}

/// As [`run`], but ends the command after `limit`. What it prints goes to stderr: it is talk, not our result.
pub fn run_limited(command: &mut Command, limit: Duration) -> Result<()> {
    say(&format!(
        "{} (at most {} s)",
        describe(command),
        limit.as_secs()
    ));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .spawn()
        .with_context(|| format!("starting {}", describe(command)))?;
    match wait_limited(&mut child, limit)? {
        Some(status) => check(command, status),
        None => bail!(
            "{} took longer than {} s",
            describe(command),
            limit.as_secs()
        ),
    }
}

/// Runs a command quietly and gives back its stdout; its stderr is part of the error if it fails.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {}", describe(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{} failed ({}): {}",
            describe(command),
            output.status,
            said.trim()
        );
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("reading the output of {}", describe(command)))
}

/// The command line, short enough to read.
fn describe(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program
        .file_name()
        .unwrap_or(program.as_os_str())
        .to_string_lossy();
    command
        .get_args()
        .fold(name.into_owned(), |line, argument| {
            format!("{line} {}", argument.to_string_lossy())
        })
}

fn check(command: &Command, status: ExitStatus) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    bail!("{} failed ({status})", describe(command))
}

/// Waits until the child ends or the time is over; then it is ended and `None` comes back.
fn wait_limited(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().context("waiting for a program")? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child
                .kill()
                .context("ending a program that takes too long")?;
            child
                .wait()
                .context("waiting for a program that was ended")?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_gives_stdout_and_failure_carries_stderr() {
        assert_eq!(
            output(Command::new("sh").args(["-c", "echo hello"])).unwrap(),
            "hello\n"
        );
        let error = output(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).unwrap_err();
        assert!(format!("{error:#}").contains("why"), "{error:#}");
    }

    #[test]
    fn a_program_that_takes_too_long_is_ended() {
        let started = Instant::now();
        let error =
            run_limited(Command::new("sleep").arg("60"), Duration::from_millis(100)).unwrap_err();
        assert!(format!("{error:#}").contains("took longer"), "{error:#}");
        assert!(started.elapsed() < Duration::from_secs(30));
    }
}
