//! How a message is typed into a client: only while it rests, once, and confirmed by the client's own hook.

use std::{
    collections::BTreeMap,
    sync::{MutexGuard, PoisonError},
    time::Duration,
};

use claustre_domain::{
    command::{Command, SessionCommand},
    session::{MessageState, Session},
};
use claustre_protocol::{
    ids::MessageId,
    status::{ClaudeStatus, Reason, Source},
};
use tokio::{
    runtime::Handle,
    sync::broadcast::{self, error::RecvError},
};

use super::{
    Advanced, Order,
    effects::{Effects, Ran, facts},
    reports::squeezed,
    worktrees::tail_note,
};
use crate::ports::{PaneFacts, PortError};

/// How long after its text the Enter is typed: a client swallows one that comes at once.
const PAUSE_BEFORE_ENTER: Duration = Duration::from_millis(250);
/// How long a client has been at rest before anything is typed into it.
const REST_BEFORE_TYPING_MS: i64 = 1_000;
/// How long a typed prompt may take to be confirmed before Enter is typed again.
const CONFIRM: Duration = Duration::from_secs(2);
/// How often a prompt is typed in vain before a person is told.
const TRIES_BEFORE_TOLD: u32 = 2;
/// So much of a text tells it from others in an input box.
const BEGINNING: usize = 24;
/// How a client shows a long text that was pasted, without its blanks.
const PLACEHOLDER: &str = "[Pastedtext#";
/// How long after Zellij failed it is tried again.
const PAUSE_AFTER_FAILURE_MS: i64 = 2_000;
/// Control-U, by which a client clears the line of its box.
const CLEAR_LINE: &[u8] = b"\x15";
/// How often it is typed at most; one press clears one line.
const MOST_CLEARED_LINES: usize = 60;
/// How long after a key the next bytes are written.
const PAUSE_AFTER_KEY: Duration = Duration::from_millis(60);
/// How often Enter is typed.
const MOST_ENTERS: u32 = 3;

impl Effects {
    /// Types a waiting message, if the client takes prompts now, and waits for its confirmation.
    pub(super) fn deliver(&self, session: &Session, message: MessageId) -> Ran {
        let later = |after_ms, why: &str| Ran::Later {
            after_ms,
            why: why.into(),
        };
        let (Ok(Some(waiting)), true) = (
            self.engine.read_blocking(|reader| reader.message(message)),
            session.is_open(),
        ) else {
            return Ran::Done(Vec::new());
        };
        if waiting.state != MessageState::Waiting {
            return Ran::Done(Vec::new());
        }
        let Some(pane) = session.pane.get().map(facts) else {
            return later(2_000, "it has no pane yet");
        };
        // While a dialog is open an Enter would accept it; a busy client would take the text in the middle of its turn.
        if !session.takes_prompts() {
            return later(15_000, "the client is not ready for a prompt");
        }
        // A client that has just started says that it is there before it reads its terminal, and what is typed then leaves it
        // deaf (seen with 2.1.197 under load, 0.1 s after SessionStart).
        let rested = self.engine.host.now().millis_since(session.status().since);
        if rested < REST_BEFORE_TYPING_MS {
            return later(
                REST_BEFORE_TYPING_MS - rested + 10,
                "the client has only just come to rest",
            );
        }
        let text = crate::text::written(&waiting.text, 1_000_000);
        let stands = self.deaf().contains_key(&message)
            && (self.multiplexer.read(&pane)).is_ok_and(|screen| stands_in_box(&screen, &text));
        if !stands && let Err(error) = self.type_text(&pane, &text) {
            // However often: it is typed once the pane takes text again, in a new one after a resume.
            tracing::warn!(session = %session.id, error = %error.message, "typing a message");
            return later(PAUSE_AFTER_FAILURE_MS, &error.message);
        }
        let mut advanced = self.engine.subscribe();
        for _ in 0..MOST_ENTERS {
            std::thread::sleep(PAUSE_BEFORE_ENTER);
            if let Err(error) = self.multiplexer.write(&pane, b"\r") {
                return later(PAUSE_AFTER_FAILURE_MS, &error.message);
            }
            if self.is_taken(message, &mut advanced) {
                self.deaf().remove(&message);
                return Ran::Done(Vec::new());
            }
        }
        let tries = *self
            .deaf()
            .entry(message)
            .and_modify(|tries| *tries += 1)
            .or_insert(1);
        if tries >= TRIES_BEFORE_TOLD {
            self.tell_deaf(session, &pane);
        }
        later(5_000, "the client did not take the prompt")
    }

    /// Clears what a person, or the client after an interrupt, left in the box, and pastes: inside the brackets a newline is a newline.
    fn type_text(&self, pane: &PaneFacts, text: &str) -> Result<(), PortError> {
        let mut held = None;
        for _ in 0..MOST_CLEARED_LINES {
            // A key that arrives together with other bytes is taken as text (seen with 2.1.197).
            self.multiplexer.write(pane, CLEAR_LINE)?;
            std::thread::sleep(PAUSE_AFTER_KEY);
            let holds = self
                .multiplexer
                .read(pane)
                .map(|screen| in_box(&screen))
                .unwrap_or_default();
            // Empty, or a hint that is always there.
            if held.as_ref() == Some(&holds) {
                break;
            }
            held = Some(holds);
        }
        let typed = [b"\x1b[200~", text.as_bytes(), b"\x1b[201~"].concat();
        self.multiplexer.write(pane, &typed)
    }

    fn deaf(&self) -> MutexGuard<'_, BTreeMap<MessageId, u32>> {
        self.deaf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says where a person will see it that a client at rest takes nothing that is typed, with what its screen shows.
    fn tell_deaf(&self, session: &Session, pane: &PaneFacts) {
        let screen = self
            .multiplexer
            .read(pane)
            .unwrap_or_else(|error| format!("(its screen cannot be read: {})", error.message));
        let mut commands = vec![Command::Session(SessionCommand::ReportStatus {
            session: session.id,
            status: ClaudeStatus::WaitingForInput,
            reason: Some(Reason::Dialog),
            source: Source::Screen,
            since: self.engine.host.now(),
            detail: "it does not take what is typed: look at its pane, or restart it".into(),
        })];
        let text = format!("a message was typed and not taken; the screen:\n{screen}");
        commands.extend(tail_note(session.id, session.about(), "pane", &text));
        let told = self.engine.order_blocking(Order {
            commands,
            actor: "engine".into(),
            report: None,
            finishes: None,
            reply: None,
        });
        if let Err(fault) = told {
            tracing::debug!(%fault, "telling of a client that takes nothing");
        }
    }

    /// Waits until the log says that the client took the message; `advanced` was listening since before it was typed.
    fn is_taken(&self, message: MessageId, advanced: &mut broadcast::Receiver<Advanced>) -> bool {
        let deadline = tokio::time::Instant::now() + CONFIRM;
        loop {
            let state = self.engine.read_blocking(|reader| reader.message(message));
            if let Ok(Some(known)) = state
                && known.state != MessageState::Waiting
            {
                return true;
            }
            let next = tokio::time::timeout_at(deadline, advanced.recv());
            match Handle::current().block_on(next) {
                Ok(Ok(_) | Err(RecvError::Lagged(_))) => {}
                Ok(Err(RecvError::Closed)) | Err(_) => return false,
            }
        }
    }
}

/// The input box of a client, and what is below it: the last thing on its screen that begins with the prompt sign.
fn in_box(screen: &str) -> String {
    let lines: Vec<&str> = screen.lines().collect();
    let begins = |line: &&str| line.trim_start().starts_with(['❯', '>']);
    let from = lines.iter().rposition(begins);
    let held = from.and_then(|from| lines.get(from..)).unwrap_or_default();
    held.join("\n")
}

/// Does the box hold this text? A long one is shown as a placeholder.
fn stands_in_box(screen: &str, text: &str) -> bool {
    let held = squeezed(&in_box(screen));
    let beginning: String = squeezed(text).chars().take(BEGINNING).collect();
    held.contains(PLACEHOLDER) || (!beginning.is_empty() && held.contains(&beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The end of a screen of Claude Code 2.1.197.
    fn screen(held: &str) -> String {
        format!(
            "● That was it.\n\n❯ Go on\n● I went on.\n\n──── Publish it ──\n❯ {held}\n──────────────────\n  claustre · Opus 4.8 · 1%\n  ← for agents\n"
        )
    }

    #[test]
    fn a_text_in_the_box_is_told_from_one_in_the_conversation() {
        assert!(!stands_in_box(&screen(""), "Go on"));
        assert!(stands_in_box(&screen("Go on"), "Go on"));
        assert!(stands_in_box(
            &screen("Look at the second\n  one as well"),
            "Look at the second one as well"
        ));
        assert!(stands_in_box(
            &screen("[Pasted text #1 +40 lines]"),
            &"line\n".repeat(41)
        ));
        assert!(!stands_in_box("a shell without any box", "Go on"));
    }
}
