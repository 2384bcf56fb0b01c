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
    effects::{Effects, Ran, facts, tail_note},
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
        let mut typed = Vec::new();
        // Clears what a person may have left in the box, line by line, then pastes: inside the brackets a newline is a newline.
        typed.extend_from_slice(b"\x15\x15");
        typed.extend_from_slice(b"\x1b[200~");
        typed.extend_from_slice(crate::text::sanitise(&waiting.text, 1_000_000).as_bytes());
        typed.extend_from_slice(b"\x1b[201~");
        if let Err(error) = self.multiplexer.write(&pane, &typed) {
            return Ran::Failed {
                error: PortError {
                    passing: true,
                    ..error
                },
                commands: vec![Command::Session(SessionCommand::ReportMessageDropped {
                    session: session.id,
                    message,
                    why: "its pane does not take text".into(),
                })],
            };
        }
        let mut advanced = self.engine.subscribe();
        for _ in 0..MOST_ENTERS {
            std::thread::sleep(PAUSE_BEFORE_ENTER);
            if let Err(error) = self.multiplexer.write(&pane, b"\r") {
                return later(2_000, &error.message);
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
        // The text stands in the box; typing it again would double it. The next try clears the box first.
        later(5_000, "the client did not take the prompt")
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
        if let Some(opened) = session.opened.as_deref() {
            let text = format!("a message was typed and not taken; the screen:\n{screen}");
            commands.extend(tail_note(session.id, opened, "pane", &text));
        }
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
