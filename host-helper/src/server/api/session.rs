//! Requests about sessions.

use std::{path::Path, time::Duration};

use claustre_domain::{
    command::{Command, SessionCommand},
    entity::{EntityRef, touched},
    event::{AskOutcome, Event, Recorded},
    projection::board,
    session::{AskState, Session as SessionEntity},
};
use claustre_protocol::{
    ids::{AskId, MessageId, SessionId},
    model::{Ask, Session},
    request::{Closing, Decision, Done, Preview, SessionList, SessionNew, WithText},
    rpc::{Fault, FaultCode},
    status::Mode,
};

use tokio::{sync::broadcast, time::timeout};

use super::{Api, done, present};
use crate::{
    engine::{Advanced, effects, port_fault, waiting},
    ports::{Multiplexer, PaneFacts, PortError},
    store::SessionFilter,
    text,
};

/// Longest message or answer, in characters.
const LONGEST_MESSAGE: usize = 1_000_000;
/// How long the client may take to take an answer: its hook is connected and only prints it.
const ANSWER_TAKEN: Duration = Duration::from_secs(5);
/// Longest diff that is given, in characters: a line of an answer has its limit, and a reader too.
const LONGEST_DIFF: usize = 2_000_000;
/// How long reading or focusing a pane may take, with waiting for its turn.
const PANE_LIMIT: Duration = Duration::from_secs(8);

impl Api {
    pub(super) async fn session_list(&self, list: SessionList) -> Result<Vec<Session>, Fault> {
        let project = match &list.project {
            Some(named) => Some(self.find_project("listing sessions", named).await?.id),
            None => None,
        };
        self.sessions(SessionFilter {
            project,
            open_only: !list.all,
        })
        .await
    }

    pub(super) async fn sessions(&self, filter: SessionFilter) -> Result<Vec<Session>, Fault> {
        let live = self.engine.live.clone();
        self.engine
            .read(move |reader| {
                let names = present::project_names(reader)?;
                let mut shown = Vec::new();
                for session in reader.sessions(filter)? {
                    shown.extend(present::session(reader, &session, &names, &live)?);
                }
                Ok(shown)
            })
            .await
    }

    pub(super) async fn session_show(&self, named: &str) -> Result<Session, Fault> {
        let session = self.find_session("showing the session", named).await?;
        self.session_of(session.id).await
    }

    pub(super) async fn session_new(&self, new: SessionNew, actor: &str) -> Result<Session, Fault> {
        let project = self.find_project("opening a session", &new.project).await?;
        let short = self.engine.host.uuid().simple().to_string();
        let branch = new
            .branch
            .filter(|branch| !branch.is_empty())
            .unwrap_or_else(|| format!("explore/{}", short.get(..8).unwrap_or(&short)));
        let prompt = new
            .prompt
            .map(|prompt| text::written(&prompt, LONGEST_MESSAGE))
            .filter(|prompt| !prompt.trim().is_empty());
        let mode = if prompt.is_some() {
            Mode::Supervised
        } else {
            Mode::Exploration
        };
        let title = prompt
            .as_deref()
            .map_or_else(|| branch.clone(), |prompt| text::written_line(prompt, 80));
        let base = new.base.filter(|base| !base.is_empty());
        let from = base
            .clone()
            .unwrap_or_else(|| project.default_branch.value());
        self.check_start(&project, &branch, &from).await?;
        let mut open = self.open_session(project.id, title, branch, mode)?;
        open.base = base;
        open.prompt = prompt;
        let session = open.session;
        let _turn = self.room_for_a_session("opening a session").await?;
        self.order_session(session, SessionCommand::Open(Box::new(open)), actor)
            .await
    }

    pub(super) async fn session_close(
        &self,
        closing: Closing,
        actor: &str,
    ) -> Result<Session, Fault> {
        let session = self
            .find_session("closing the session", &closing.of)
            .await?
            .id;
        let shown = closing.shown;
        self.order_session(session, SessionCommand::Close { session, shown }, actor)
            .await
    }

    pub(super) async fn session_resume(&self, named: &str, actor: &str) -> Result<Session, Fault> {
        let session = self.find_session("resuming the session", named).await?.id;
        self.order_session(session, SessionCommand::Resume { session }, actor)
            .await
    }

    pub(super) async fn session_restart(&self, named: &str, actor: &str) -> Result<Session, Fault> {
        let session = self.find_session("restarting the session", named).await?.id;
        self.order_session(session, SessionCommand::Restart { session }, actor)
            .await
    }

    pub(super) async fn session_send(&self, with: WithText, actor: &str) -> Result<Session, Fault> {
        let session = self.find_session("sending a message", &with.of).await?.id;
        let command = SessionCommand::Send {
            session,
            message: MessageId::new(self.engine.host.uuid()),
            text: text::written(&with.text, LONGEST_MESSAGE),
            from: actor.to_owned(),
        };
        self.order_session(session, command, actor).await
    }

    pub(super) async fn session_answer(
        &self,
        decision: Decision,
        outcome: AskOutcome,
        actor: &str,
    ) -> Result<Session, Fault> {
        let session = self
            .find_session("answering the session", &decision.of)
            .await?
            .id;
        let command = SessionCommand::Answer {
            session,
            ask: decision.ask,
            outcome,
            text: decision
                .text
                .map(|answer| text::written(&answer, LONGEST_MESSAGE)),
        };
        let mut advanced = self.engine.subscribe();
        let given = self
            .engine
            .submit(Command::Session(command), actor)
            .await?
            .events
            .into_iter()
            .find_map(|recorded| match recorded.event {
                Event::SessionAskAnswered { ask, .. } => Some(ask),
                _ => None,
            });
        if let Some(ask) = given {
            // Only an answer that the client has taken is one.
            timeout(ANSWER_TAKEN, self.taken(ask, &mut advanced))
                .await
                .map_err(|_| not_taken("its client has not taken the answer yet"))??;
        }
        self.session_of(session).await
    }

    /// Waits until the client has taken the answer to this.
    async fn taken(
        &self,
        ask: AskId,
        advanced: &mut broadcast::Receiver<Advanced>,
    ) -> Result<(), Fault> {
        loop {
            let known = self.engine.read(move |reader| reader.ask(ask)).await?;
            let Some(known) = known else {
                return Err(not_taken("it is gone"));
            };
            match known.state() {
                AskState::Closed(
                    AskOutcome::Approved | AskOutcome::Denied | AskOutcome::Answered,
                ) => return Ok(()),
                AskState::Closed(AskOutcome::Elsewhere) => {
                    return Err(not_taken("it was answered in its tab meanwhile"));
                }
                AskState::Closed(AskOutcome::Gone) => {
                    return Err(not_taken("it does not ask any more"));
                }
                AskState::Answered(_) if known.is_attended() => {}
                AskState::Answered(_) | AskState::Open | AskState::OnlyInTab => {
                    return Err(not_taken(
                        "its hook ended before the client took the answer",
                    ));
                }
            }
            let is_about_it =
                |recorded: &Recorded| touched(&recorded.event).any(|of| of == EntityRef::Ask(ask));
            loop {
                match advanced.recv().await {
                    Ok(news) if news.events.iter().any(is_about_it) => break,
                    Ok(_) => {}
                    Err(broadcast::error::RecvError::Lagged(_)) => break,
                    Err(broadcast::error::RecvError::Closed) => {
                        return Err(not_taken("the daemon is ending"));
                    }
                }
            }
        }
    }

    pub(super) async fn session_preview(&self, named: &str) -> Result<Preview, Fault> {
        let session = self.find_session("reading the pane", named).await?;
        let read = self
            .on_pane("reading the pane", &session, |multiplexer, pane| {
                multiplexer.read(pane)
            })
            .await?;
        Ok(Preview {
            text: text::sanitise(&read, 200_000),
        })
    }

    pub(super) async fn session_diff(&self, named: &str) -> Result<Preview, Fault> {
        let doing = "reading what changed";
        let session = self.find_session(doing, named).await?;
        let worktree = session.worktree.get().cloned();
        let Some(worktree) = worktree.filter(|worktree| Path::new(&worktree.path).is_dir()) else {
            return Err(Fault::new(
                FaultCode::Refused,
                format!("{doing}: {} has no worktree", session.tab_name()),
                Some(
                    "claustre worktree list shows what was removed, and worktree restore brings it back"
                        .into(),
                ),
            ));
        };
        let workspace = self.workspace.clone();
        let text = waiting::on(
            "git",
            tokio::task::spawn_blocking(move || {
                workspace.diff_text(Path::new(&worktree.path), &worktree.base_commit)
            }),
        )
        .await
        .map_err(|_| {
            Fault::new(
                FaultCode::Internal,
                format!("{doing}: it was broken off"),
                None,
            )
        })?
        .map_err(port_fault)?;
        Ok(Preview {
            text: text::sanitise(&text, LONGEST_DIFF),
        })
    }

    pub(super) async fn session_asks(&self, named: &str) -> Result<Vec<Ask>, Fault> {
        let session = self.find_session("reading what it asks", named).await?.id;
        self.engine
            .read(move |reader| Ok(board::asks(&reader.open_asks(session)?)))
            .await
    }

    pub(super) async fn session_focus(&self, named: &str) -> Result<Done, Fault> {
        let session = self.find_session("going to the session", named).await?;
        self.on_pane("going to the session", &session, |multiplexer, pane| {
            multiplexer.focus(pane)
        })
        .await?;
        Ok(done(format!("at {}", session.tab_name())))
    }

    async fn on_pane<T: Send + 'static>(
        &self,
        doing: &str,
        session: &SessionEntity,
        act: impl FnOnce(&dyn Multiplexer, &PaneFacts) -> Result<T, PortError> + Send + 'static,
    ) -> Result<T, Fault> {
        let pane = session.pane.get().map(effects::facts).ok_or_else(|| {
            Fault::new(
                FaultCode::Refused,
                format!("{doing}: {} has no pane yet", session.tab_name()),
                Some("wait until it has started, or try it again: claustre task retry".into()),
            )
        })?;
        let multiplexer = self.multiplexer.clone();
        waiting::on(
            "Zellij",
            self.on_panes
                .call(PANE_LIMIT, move || act(multiplexer.as_ref(), &pane)),
        )
        .await
        .map_err(|error| {
            Fault::new(
                FaultCode::Busy,
                format!("{doing}: Zellij is busy, {error}"),
                Some("try again in a moment; claustre doctor looks at Zellij".into()),
            )
        })?
        .map_err(port_fault)
    }

    pub(super) async fn session_of(&self, id: SessionId) -> Result<Session, Fault> {
        let live = self.engine.live.clone();
        self.engine
            .read(move |reader| {
                let names = present::project_names(reader)?;
                match reader.session(id)? {
                    Some(session) => present::session(reader, &session, &names, &live),
                    None => Ok(None),
                }
            })
            .await?
            .ok_or_else(|| Fault::new(FaultCode::NotFound, "reading the session: it is gone", None))
    }

    async fn order_session(
        &self,
        session: SessionId,
        command: SessionCommand,
        actor: &str,
    ) -> Result<Session, Fault> {
        self.engine.submit(Command::Session(command), actor).await?;
        self.session_of(session).await
    }
}

/// The answer was given, and it is not known that it had an effect.
fn not_taken(why: &str) -> Fault {
    Fault::new(
        FaultCode::Refused,
        format!("answering the session: {why}"),
        Some("claustre inbox shows whether it still asks; its tab can always answer: claustre task attach".into()),
    )
}
