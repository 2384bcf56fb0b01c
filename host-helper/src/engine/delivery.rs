//! How a message is typed into a client: once, only into a prompt box that was just seen, and confirmed by the client's hook or by
//! the transcript of its conversation.
//!
//! That it is about to be typed is stored before the first letter. From then on, also after a crash, nobody types it again: it is
//! looked for, and Enter is pressed while it stands in the box. Where it is nowhere a person is asked. Only a new client of the
//! same conversation, whose box is empty, gets the text once more, and only where the transcript can be read and does not have it.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use claustre_domain::{
    command::{Command, SessionCommand},
    event::Typed,
    session::{Client, Message, MessageState, Session},
};
use claustre_protocol::{
    ids::{AskId, MessageId},
    rpc::Fault,
    status::{ClaudeStatus, Reason, Source},
    time::Timestamp,
};

use super::{
    Engine, Order,
    effects::{Effects, Ran, facts},
    prompt_box::{holds, is_prompt_of, prompt_box, shows_work},
    worktrees::tail_note,
};
use crate::ports::{Conversations, Launchers, Multiplexer, PaneFacts, PortError};

/// How long after its text the Enter is typed: a client swallows one that comes at once.
const PAUSE_BEFORE_ENTER: Duration = Duration::from_millis(250);
/// How often the screen is looked at for a text that was just typed, a [`PAUSE_BEFORE_ENTER`] apart.
const LOOKS_FOR_TEXT: u32 = 4;
/// How long a client has been at rest before anything is typed into it.
const REST_BEFORE_TYPING_MS: i64 = 1_000;
/// How long a typed prompt may take to be confirmed before Enter is typed again.
const CONFIRM: Duration = Duration::from_secs(2);
/// How often Enter is typed in one go.
const MOST_ENTERS: u32 = 3;
/// How often a message that was typed is looked for before a person is asked.
const LOOKS_BEFORE_ASKING: u32 = 3;
/// Between two of those looks.
const BETWEEN_LOOKS_MS: i64 = 2_000;
/// How long after Zellij failed it is tried again.
const PAUSE_AFTER_FAILURE_MS: i64 = 2_000;
/// How soon a pane is looked at again in which nothing can be typed.
const HELD_MS: i64 = 5_000;
/// How soon at the latest a client that is busy is looked at again: its next status wakes us.
const BUSY_MS: i64 = 60_000;
/// Control-U, by which a client clears the line of its box.
const CLEAR_LINE: &[u8] = b"\x15";
/// How often it is typed at most; one press clears one line.
const MOST_CLEARED_LINES: usize = 60;
/// How long after a key the next bytes are written.
const PAUSE_AFTER_KEY: Duration = Duration::from_millis(60);
/// How often the box is read after a line was cleared before what it shows counts as something that stays.
const LOOKS_AFTER_CLEARING: usize = 15;
/// What begins and ends a paste: inside, a newline is a newline.
const PASTE: (&[u8], &[u8]) = (b"\x1b[200~", b"\x1b[201~");
/// A longer text is written in parts, and may have been cut by a crash.
const ONE_PART: usize = 8 * 1024 - 64;
/// Why nothing is typed into a pane with something else on its screen.
const NO_BOX: &str = "no prompt box is on its screen: look at its pane";

impl Effects {
    /// Types a waiting message, if the client takes prompts now, or looks for one that was typed.
    pub(super) fn deliver(&self, session: &Session, message: MessageId) -> Ran {
        let log = EngineLog(&self.engine);
        let typist = Typist {
            multiplexer: self.multiplexer.as_ref(),
            launchers: self.launchers.as_ref(),
            conversations: self.conversations.as_ref(),
            log: &log,
            tracks: &self.tracks,
        };
        typist.deliver(session, message)
    }
}

/// What this process knows of the messages that were typed and are not confirmed.
pub type Tracks = Mutex<BTreeMap<MessageId, Track>>;

/// See [`Tracks`].
#[derive(Debug, Default)]
pub struct Track {
    /// It was typed to its end by this process.
    is_whole: bool,
    /// How often it was looked for.
    looks: u32,
}

/// What typing needs of the log and the clock.
trait Log {
    fn message(&self, id: MessageId) -> Result<Option<Message>, Fault>;
    /// Stores what the commands come to; returns once it is durable.
    fn store(&self, commands: Vec<Command>) -> Result<(), Fault>;
    /// Waits until the log says that the message does not wait any more; false where it does not say so in time.
    fn wait_until_taken(&self, message: MessageId, limit: Duration) -> bool;
    fn now(&self) -> Timestamp;
    fn new_ask(&self) -> AskId;
    fn pause(&self, time: Duration);
}

/// Types one message.
struct Typist<'a> {
    multiplexer: &'a dyn Multiplexer,
    launchers: &'a dyn Launchers,
    conversations: &'a dyn Conversations,
    log: &'a dyn Log,
    tracks: &'a Tracks,
}

/// A client that can be typed into.
struct Ready {
    pane: PaneFacts,
    client: Client,
}

impl Typist<'_> {
    fn deliver(&self, session: &Session, message: MessageId) -> Ran {
        let waiting = match self.log.message(message) {
            Ok(Some(known)) if known.state == MessageState::Waiting && session.is_open() => known,
            Ok(_) => return self.done(message, Vec::new()),
            Err(fault) => return later(PAUSE_AFTER_FAILURE_MS, fault.message),
        };
        let text = crate::text::written(&waiting.text, 1_000_000);
        let ran = match waiting.typed.value() {
            None => self.type_it(session, &waiting, &text),
            Some(typed) => self.look(session, &waiting, &typed, &text),
        };
        ran.unwrap_or_else(|later| later)
    }

    /// Types a message that was not typed, or is to be typed once more.
    fn type_it(&self, session: &Session, waiting: &Message, text: &str) -> Result<Ran, Ran> {
        let ready = self.ready(session)?;
        // A client that has just started says that it is there before it reads its terminal, and what is typed then is lost, with
        // all that follows (seen with 2.1.197 under load, 0.1 s after SessionStart).
        let (now, since) = (self.log.now(), session.status().since);
        let rested = now.millis_since(since);
        // A clock that was set back says nothing of it.
        if now >= since && rested < REST_BEFORE_TYPING_MS {
            return Err(later(
                REST_BEFORE_TYPING_MS - rested + 10,
                "the client has only just come to rest",
            ));
        }
        self.clear(session, &ready.pane, !waiting.typed.is_empty())?;
        let typed = self.moment(session, ready.client);
        self.store(SessionCommand::ReportMessageTyped {
            session: session.id,
            message: waiting.id,
            typed: typed.clone(),
        })?;
        self.tracks().remove(&waiting.id);
        // Storing takes its time, and the client may have ended meanwhile: then its launcher, or a shell, would read the text.
        self.foreground(session, ready.client)?;
        let (begin, end) = PASTE;
        self.write(&ready.pane, &[begin, text.as_bytes(), end].concat())?;
        self.tracks().entry(waiting.id).or_default().is_whole = true;
        self.press(session, waiting.id, &typed, &ready, text)
    }

    /// Looks for a message that was typed: in the transcript, on the screen.
    fn look(
        &self,
        session: &Session,
        waiting: &Message,
        typed: &Typed,
        text: &str,
    ) -> Result<Ran, Ran> {
        let seen = self.in_transcript(session, typed, text);
        if seen == Some(true) {
            return Ok(self.seen(session, waiting.id));
        }
        let Some(client) = session.running_client() else {
            return Err(later(BUSY_MS, "its client does not run"));
        };
        if client.pid != typed.client {
            // What stood in the box of the earlier client has gone with it, so the conversation alone decides.
            return match seen {
                Some(_) => self.type_it(session, waiting, text),
                None if session.takes_prompts() => self.ask(session, waiting.id),
                None => Err(busy()),
            };
        }
        if !session.takes_prompts() {
            return Err(match self.count_look(waiting.id) {
                looks if looks < LOOKS_BEFORE_ASKING => {
                    later(BETWEEN_LOOKS_MS, "it may have arrived")
                }
                _ => busy(),
            });
        }
        let ready = self.ready(session)?;
        let screen = self.read(&ready.pane)?;
        let held = prompt_box(&screen);
        // A text in parts may have been cut by a crash; only what this process typed to its end is known to be whole.
        let is_whole = text.len() <= ONE_PART
            || (self.tracks().get(&waiting.id)).is_some_and(|track| track.is_whole);
        match held {
            Some(held) if is_whole && holds(&held, text) => {
                return self.press(session, waiting.id, typed, &ready, text);
            }
            None if !shows_work(&screen) => return Err(self.hold(session, NO_BOX)),
            _ if shows_work(&screen) => return Err(later(BETWEEN_LOOKS_MS, "the client works")),
            _ => {}
        }
        if self.count_look(waiting.id) < LOOKS_BEFORE_ASKING {
            return Err(later(
                BETWEEN_LOOKS_MS,
                "it was typed and is nowhere to be seen yet",
            ));
        }
        self.ask(session, waiting.id)
    }

    /// Presses Enter for as long as the text stands in the box, and waits for the client to take it.
    fn press(
        &self,
        session: &Session,
        message: MessageId,
        typed: &Typed,
        ready: &Ready,
        text: &str,
    ) -> Result<Ran, Ran> {
        for _ in 0..MOST_ENTERS {
            if !self.stands(&ready.pane, text)? {
                break;
            }
            self.foreground(session, ready.client)?;
            // Whatever comes of it, what is seen next decides.
            if let Err(error) = self.multiplexer.write(&ready.pane, b"\r") {
                tracing::warn!(session = %session.id, error = %error.message, "pressing Enter");
            }
            if self.log.wait_until_taken(message, CONFIRM) {
                return Ok(self.done(message, Vec::new()));
            }
            if self.in_transcript(session, typed, text) == Some(true) {
                return Ok(self.seen(session, message));
            }
        }
        let looks = self.count_look(message);
        if looks >= LOOKS_BEFORE_ASKING && self.stands(&ready.pane, text)? {
            self.report_stuck(session, &ready.pane);
        }
        Err(later(
            BETWEEN_LOOKS_MS,
            "the client did not take the prompt",
        ))
    }

    /// Does the text come to stand in the box?
    fn stands(&self, pane: &PaneFacts, text: &str) -> Result<bool, Ran> {
        for _ in 0..LOOKS_FOR_TEXT {
            self.log.pause(PAUSE_BEFORE_ENTER);
            if prompt_box(&self.read(pane)?).is_some_and(|held| holds(&held, text)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The pane and client of a session that takes a prompt, with the client in the foreground.
    fn ready(&self, session: &Session) -> Result<Ready, Ran> {
        let Some(pane) = session.pane.get().map(facts) else {
            return Err(later(PAUSE_AFTER_FAILURE_MS, "it has no pane yet"));
        };
        // While a dialog is open an Enter would accept it; a busy client would take the text in the middle of its turn.
        let Some(client) = session.running_client().filter(|_| session.takes_prompts()) else {
            return Err(busy());
        };
        self.foreground(session, client)?;
        Ok(Ready { pane, client })
    }

    fn foreground(&self, session: &Session, client: Client) -> Result<(), Ran> {
        self.launchers
            .in_foreground(client.launcher_pid, client.pid)
            .map_err(|why| self.hold(session, &why))
    }

    /// Clears what a person, or the client after an interrupt, left in the box. Types nothing where there is no box.
    fn clear(&self, session: &Session, pane: &PaneFacts, ends_paste: bool) -> Result<(), Ran> {
        let in_box = || prompt_box(&self.read(pane)?).ok_or_else(|| self.hold(session, NO_BOX));
        let mut held = in_box()?;
        if ends_paste {
            // One that a crash left open would swallow all that follows.
            self.write(pane, PASTE.1)?;
        }
        for _ in 0..MOST_CLEARED_LINES {
            // A key that arrives together with other bytes is taken as text (seen with 2.1.197).
            self.write(pane, CLEAR_LINE)?;
            let mut holds = held.clone();
            for _ in 0..LOOKS_AFTER_CLEARING {
                self.log.pause(PAUSE_AFTER_KEY);
                holds = in_box()?;
                // A client on a busy machine takes its time: a text that still stands there is not known to stay.
                if holds != held || holds.is_empty() {
                    break;
                }
            }
            // Empty, or a hint that is always there.
            if held == holds {
                break;
            }
            held = holds;
        }
        Ok(())
    }

    /// Where the transcript ends before the message is typed.
    fn moment(&self, session: &Session, client: Client) -> Typed {
        let transcript = session.transcript_path.value();
        let offset = self.conversations.length(Path::new(&transcript));
        let (transcript, offset) = match offset {
            Ok(offset) => (transcript, offset),
            Err(error) => {
                tracing::debug!(session = %session.id, error = %error.message, "no second witness");
                (String::new(), 0)
            }
        };
        Typed {
            client: client.pid,
            transcript,
            offset,
        }
    }

    /// Does the conversation have the message since it was typed? None where that cannot be known.
    fn in_transcript(&self, session: &Session, typed: &Typed, text: &str) -> Option<bool> {
        if typed.transcript.is_empty() {
            return None;
        }
        let now = session.transcript_path.value();
        let mut files = vec![(typed.transcript.as_str(), typed.offset)];
        // After `/clear` the conversation goes on in another file.
        if now != typed.transcript {
            files.push((now.as_str(), 0));
        }
        let mut found = false;
        for (file, offset) in files {
            let prompts = self.conversations.prompts_since(Path::new(file), offset);
            match prompts {
                Ok(prompts) => found |= prompts.iter().any(|prompt| is_prompt_of(prompt, text)),
                Err(error) => {
                    tracing::debug!(session = %session.id, error = %error.message, "no second witness");
                    return None;
                }
            }
        }
        Some(found)
    }

    /// Asks a person, who can look at the pane, and keeps what its screen shows.
    fn ask(&self, session: &Session, message: MessageId) -> Result<Ran, Ran> {
        let mut commands = vec![Command::Session(SessionCommand::ReportMessageInDoubt {
            session: session.id,
            message,
            ask: self.log.new_ask(),
        })];
        if let Some(pane) = session.pane.get().map(facts) {
            commands.extend(self.screen_note(session, &pane));
        }
        self.store_all(commands)?;
        Err(later(BUSY_MS, "a person is asked whether to send it again"))
    }

    /// Reports where a person will see it that a client at rest does not take what stands in its box.
    fn report_stuck(&self, session: &Session, pane: &PaneFacts) {
        let mut commands = vec![Command::Session(SessionCommand::ReportStatus {
            session: session.id,
            status: ClaudeStatus::WaitingForInput,
            reason: Some(Reason::Dialog),
            source: Source::Screen,
            since: self.log.now(),
            detail: "it does not take what is typed: look at its pane, or restart it".into(),
        })];
        commands.extend(self.screen_note(session, pane));
        if let Err(fault) = self.log.store(commands) {
            tracing::warn!(%fault, "reporting a client that takes nothing");
        }
    }

    fn screen_note(&self, session: &Session, pane: &PaneFacts) -> Vec<Command> {
        let screen = self
            .multiplexer
            .read(pane)
            .unwrap_or_else(|error| format!("(its screen cannot be read: {})", error.message));
        let text = format!("a message was typed and not taken; the screen:\n{screen}");
        tail_note(session.id, session.about(), "pane", &text)
    }

    /// Leaves the message waiting, and says why where a person looks at the session.
    fn hold(&self, session: &Session, why: &str) -> Ran {
        let held = self
            .log
            .store(vec![Command::Session(SessionCommand::ReportMessageHeld {
                session: session.id,
                why: format!("a message waits: {why}"),
            })]);
        if let Err(fault) = held {
            tracing::warn!(%fault, "reporting why a message waits");
        }
        later(HELD_MS, why)
    }

    fn read(&self, pane: &PaneFacts) -> Result<String, Ran> {
        self.multiplexer.read(pane).map_err(failed)
    }

    /// However often it fails: it is tried again, in a new pane after a resume.
    fn write(&self, pane: &PaneFacts, bytes: &[u8]) -> Result<(), Ran> {
        self.multiplexer.write(pane, bytes).map_err(failed)
    }

    fn store(&self, command: SessionCommand) -> Result<(), Ran> {
        self.store_all(vec![Command::Session(command)])
    }

    fn store_all(&self, commands: Vec<Command>) -> Result<(), Ran> {
        self.log
            .store(commands)
            .map_err(|fault| later(PAUSE_AFTER_FAILURE_MS, fault.message))
    }

    fn seen(&self, session: &Session, message: MessageId) -> Ran {
        let seen = SessionCommand::ReportMessageSeen {
            session: session.id,
            message,
        };
        self.done(message, vec![Command::Session(seen)])
    }

    fn done(&self, message: MessageId, commands: Vec<Command>) -> Ran {
        self.tracks().remove(&message);
        Ran::Done(commands)
    }

    /// One more look; gives how many there were.
    fn count_look(&self, message: MessageId) -> u32 {
        let mut tracks = self.tracks();
        let track = tracks.entry(message).or_default();
        track.looks = track.looks.saturating_add(1);
        track.looks
    }

    fn tracks(&self) -> MutexGuard<'_, BTreeMap<MessageId, Track>> {
        self.tracks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn later(after_ms: i64, why: impl Into<String>) -> Ran {
    Ran::Later {
        after_ms,
        why: why.into(),
    }
}

fn busy() -> Ran {
    later(BUSY_MS, "the client is not ready for a prompt")
}

fn failed(error: PortError) -> Ran {
    tracing::warn!(error = %error.message, "typing a message");
    later(PAUSE_AFTER_FAILURE_MS, error.message)
}

/// The log of a running engine.
struct EngineLog<'a>(&'a Engine);

impl Log for EngineLog<'_> {
    fn message(&self, id: MessageId) -> Result<Option<Message>, Fault> {
        self.0.read_blocking(|reader| reader.message(id))
    }

    fn store(&self, commands: Vec<Command>) -> Result<(), Fault> {
        let order = Order {
            commands,
            actor: "engine".into(),
            report: None,
            finishes: None,
            reply: None,
        };
        self.0.store_blocking(order).map(drop)
    }

    fn wait_until_taken(&self, message: MessageId, limit: Duration) -> bool {
        self.0.waits.until(limit, &mut || {
            matches!(self.message(message), Ok(Some(known)) if known.state != MessageState::Waiting)
        })
    }

    fn now(&self) -> Timestamp {
        self.0.host.now()
    }

    fn new_ask(&self) -> AskId {
        AskId::new(self.0.host.uuid())
    }

    fn pause(&self, time: Duration) {
        self.0.waits.sleep(time);
    }
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
