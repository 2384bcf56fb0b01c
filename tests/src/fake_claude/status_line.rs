//! The status line: a command that gets the session's numbers and prints the footer.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::hooks::{add_environment, run_with_input, shell};
use super::payload;
use super::shared::{Event, Shared};

/// Requests within this time become one run.
const DEBOUNCE: Duration = Duration::from_millis(300);

/// Runs the command on each request and at its own interval, until the session ends.
pub fn serve(shared: &Arc<Shared>, requests: &Receiver<()>) {
    let Some(line) = shared.settings.status_line.clone() else {
        return;
    };
    let interval = line
        .refresh_interval
        .map_or(Duration::from_secs(3600), Duration::from_secs_f64);
    loop {
        match requests.recv_timeout(interval) {
            Ok(()) => while requests.recv_timeout(DEBOUNCE).is_ok() {},
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let common = shared.common();
        let input = payload::status_line(&common, &shared.status_numbers());
        let mut command = shell(&line.command);
        add_environment(&mut command, &common);
        let outcome = run_with_input(command, &input.to_string(), Duration::from_secs(5));
        shared.send(Event::StatusLine(
            outcome.stdout.lines().next().unwrap_or_default().to_owned(),
        ));
    }
}
