//! What the keyboard and the hooks tell the running turn: interrupts and answers to dialogs.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The turn was interrupted from the keyboard.
#[derive(Debug, PartialEq)]
pub struct Interrupted;

/// How a dialog was answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// An option was chosen at the keyboard, counted from 0.
    Option(usize),
    /// Escape.
    Dismissed,
    HookAllows {
        updated_input: Option<serde_json::Value>,
    },
    HookDenies {
        message: String,
    },
}

#[derive(Default)]
struct State {
    interrupted: bool,
    tool_running: bool,
    dialog: Option<(u64, Option<Answer>)>,
    dialogs: u64,
    /// Prompts typed while a tool ran.
    injected: Vec<String>,
    deaf: bool,
}

/// Shared between the keyboard, the hooks and the turn.
#[derive(Default)]
pub struct Control {
    state: Mutex<State>,
    changed: Condvar,
}

impl Control {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what was meant for the turn before.
    pub fn begin_turn(&self) {
        let mut state = self.lock();
        state.interrupted = false;
        state.tool_running = false;
        state.dialog = None;
    }

    pub fn set_deaf(&self, deaf: bool) {
        self.lock().deaf = deaf;
    }

    #[must_use]
    pub fn is_deaf(&self) -> bool {
        self.lock().deaf
    }

    pub fn interrupt(&self) {
        self.lock().interrupted = true;
        self.changed.notify_all();
    }

    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.lock().interrupted
    }

    /// Waits; ends early with an error when the turn is interrupted.
    ///
    /// # Errors
    /// When the turn is interrupted.
    pub fn pause(&self, time: Duration) -> Result<(), Interrupted> {
        let (state, _) = self
            .changed
            .wait_timeout_while(self.lock(), time, |state| !state.interrupted)
            .unwrap_or_else(PoisonError::into_inner);
        if state.interrupted {
            Err(Interrupted)
        } else {
            Ok(())
        }
    }

    /// Opens a dialog and returns its number.
    pub fn open_dialog(&self) -> u64 {
        let mut state = self.lock();
        state.dialogs += 1;
        let number = state.dialogs;
        state.dialog = Some((number, None));
        number
    }

    /// Answers a dialog. The first answer wins; false when it came too late.
    pub fn answer(&self, number: u64, answer: Answer) -> bool {
        let mut state = self.lock();
        match &mut state.dialog {
            Some((open, slot @ None)) if *open == number => {
                *slot = Some(answer);
                self.changed.notify_all();
                true
            }
            _ => false,
        }
    }

    /// Waits for the answer of the open dialog, at most `limit`.
    #[must_use]
    pub fn wait_answer(&self, number: u64, limit: Option<Duration>) -> Option<Answer> {
        let end = limit.map(|limit| Instant::now() + limit);
        let mut state = self.lock();
        loop {
            match &state.dialog {
                Some((open, Some(answer))) if *open == number => {
                    let answer = answer.clone();
                    state.dialog = None;
                    return Some(answer);
                }
                Some((open, None)) if *open == number => {}
                _ => return Some(Answer::Dismissed),
            }
            let wait = match end {
                Some(end) => end.checked_duration_since(Instant::now())?,
                None => Duration::from_secs(3600),
            };
            let (next, _) = self
                .changed
                .wait_timeout(state, wait)
                .unwrap_or_else(PoisonError::into_inner);
            state = next;
        }
    }

    pub fn set_tool_running(&self, running: bool) {
        self.lock().tool_running = running;
    }

    /// Takes a prompt into the running turn when a tool is running; gives it back otherwise.
    pub fn inject(&self, prompt: String) -> Option<String> {
        let mut state = self.lock();
        if state.tool_running {
            state.injected.push(prompt);
            return None;
        }
        Some(prompt)
    }

    pub fn take_injected(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().injected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_answer_wins() {
        let control = Control::default();
        let number = control.open_dialog();
        assert_eq!(
            control.wait_answer(number, Some(Duration::from_millis(1))),
            None
        );
        assert!(control.answer(number, Answer::Option(0)));
        assert!(!control.answer(
            number,
            Answer::HookDenies {
                message: "late".into()
            }
        ));
        assert_eq!(control.wait_answer(number, None), Some(Answer::Option(0)));
    }

    #[test]
    fn an_interrupt_ends_a_pause() {
        let control = Control::default();
        control.interrupt();
        assert_eq!(control.pause(Duration::from_secs(60)), Err(Interrupted));
        control.begin_turn();
        assert_eq!(control.pause(Duration::from_millis(1)), Ok(()));
    }
}
