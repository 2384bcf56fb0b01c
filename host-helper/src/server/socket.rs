//! `run/daemon.sock`: JSON-RPC 2.0, one message a line, for the CLI, hooks and launchers.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use claustre_domain::command::{Command, SessionCommand};
use claustre_protocol::{
    BUILD, PROTOCOL,
    hook::{REPORT_METHOD, Report, ReportAnswer},
    ids::{AskId, SessionId},
    request::{EventsWatch, Request},
    rpc::{Answer, Call, Fault, FaultCode, Hello, JsonRpc, MAX_LINE},
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    admission::{Admission, Limits, Place},
    api::Api,
};
use crate::{
    engine::{
        reports::{self, Arrival, Input, Presence, Reported},
        waiting,
    },
    lenient_json,
};

/// How long a client may read nothing of what it asked for before it is cut off.
const MOST_PATIENCE: Duration = Duration::from_secs(30);

/// What a connection needs.
pub struct Server {
    /// Answers requests.
    pub api: Arc<Api>,
    /// Takes reports.
    pub reports: mpsc::SyncSender<Input>,
    /// Is this the session's token?
    pub is_token: super::IsToken,
    /// How many may be connected.
    pub limits: Limits,
}

impl Server {
    /// Serves until cancelled, then waits for what is under way.
    pub async fn run(self: Arc<Self>, listener: UnixListener, stop: CancellationToken) {
        let admission = Admission::new("daemon.sock", self.limits);
        let tasks = TaskTracker::new();
        let own_uid = rustix::process::geteuid().as_raw();
        loop {
            let stream = tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "accepting a connection");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
            };
            let peer = match stream.peer_cred() {
                Ok(peer) if peer.uid() == own_uid => peer,
                _ => {
                    tracing::warn!("a connection of another user was refused");
                    continue;
                }
            };
            let place = match admission.enter(peer.pid()) {
                Ok(place) => place,
                Err(fault) => {
                    turn_away(&stream, fault);
                    continue;
                }
            };
            let server = self.clone();
            let stop = stop.clone();
            tasks.spawn(async move {
                tokio::select! {
                    () = server.serve(stream, place) => {}
                    // What was stored is stored; whoever waits for an answer asks again.
                    () = stopped_for_a_while(stop) => {}
                }
            });
            // Those who came before say their first word before the next one is taken in.
            tokio::task::yield_now().await;
        }
        tasks.close();
        tasks.wait().await;
    }

    async fn serve(self: &Arc<Self>, stream: UnixStream, mut place: Place) {
        let (read, write) = stream.into_split();
        let mut answers = Answers {
            write,
            waiting: Vec::new(),
        };
        // Until the connection ends, whoever asks is there.
        let mut hook = None;
        let mut reader = BufReader::new(read);
        let Some(actor) = greeting(&mut reader, &mut answers, &mut place).await else {
            // A refusal must reach a client that has closed its side for writing.
            answers.flush().await;
            return;
        };
        loop {
            // A hook sends hello and its report at once, and is answered at once.
            let is_next_here = reader.buffer().contains(&b'\n');
            if !is_next_here && !self.flush(&mut answers, &mut hook).await {
                return;
            }
            let goes_on = match next_line(&mut reader).await {
                None => false,
                Some(Ok(line)) => {
                    self.take(&line, &actor, &mut hook, &mut answers, &mut reader)
                        .await
                }
                Some(Err(fault)) => {
                    answers.add(&Answer::fault(None, fault));
                    false
                }
            };
            if !goes_on {
                break;
            }
        }
        // The last answer must reach a client that has closed its side for writing.
        self.flush(&mut answers, &mut hook).await;
    }

    /// Sends what waits. An answer that nobody will acknowledge counts as taken once it is on its way.
    async fn flush(&self, answers: &mut Answers, hook: &mut Option<AnsweredHook>) -> bool {
        if !answers.flush().await {
            return false;
        }
        if let Some(answered) = hook.take_if(|hook| !hook.acknowledges) {
            let command = Command::Session(SessionCommand::ReportAnswerTaken {
                session: answered.session,
                ask: answered.ask,
            });
            if let Err(fault) = self.api.engine.submit(command, "hook").await {
                tracing::warn!(%fault, "an answer was taken, and that was not stored");
            }
        }
        true
    }

    /// Answers one line. False: the connection ends.
    async fn take(
        self: &Arc<Self>,
        line: &str,
        actor: &str,
        hook: &mut Option<AnsweredHook>,
        answers: &mut Answers,
        reader: &mut BufReader<OwnedReadHalf>,
    ) -> bool {
        let call = match read_call(line) {
            Ok(call) => call,
            Err(fault) => return answers.add(&Answer::fault(None, fault)),
        };
        let id = call.id;
        // What takes its time must not hold back what was answered before.
        if call.method != REPORT_METHOD && !answers.flush().await {
            return false;
        }
        let outcome = match call.method.as_str() {
            REPORT_METHOD => self.take_report(call.params, hook, answers, reader).await,
            "events.watch" => {
                let watch = serde_json::from_value::<EventsWatch>(call.params).unwrap_or_default();
                answers.add(&Answer::result(
                    id.unwrap_or_default(),
                    serde_json::json!({ "message": "watching" }),
                ));
                self.watch(watch, answers, reader).await;
                return false;
            }
            _ => match Request::from_call(&call.method, call.params) {
                Ok(request) => {
                    let who = if is_of_a_person(actor) { "user" } else { actor };
                    waiting::watched(&call.method, who, self.api.handle(request, who)).await
                }
                Err(error) => Err(unknown_call(&call.method, &error)),
            },
        };
        match (id, outcome) {
            (Some(id), Ok(result)) => answers.add(&Answer::result(id, result)),
            (Some(id), Err(fault)) => answers.add(&Answer::fault(Some(id), fault)),
            (None, _) => true,
        }
    }

    async fn take_report(
        &self,
        params: Value,
        hook: &mut Option<AnsweredHook>,
        answers: &mut Answers,
        reader: &mut BufReader<OwnedReadHalf>,
    ) -> Result<Value, Fault> {
        let report: Report = serde_json::from_value(params).map_err(|error| {
            Fault::new(
                FaultCode::InvalidParams,
                format!("reading a report: {error}"),
                None,
            )
        })?;
        if !(self.is_token)(report.session, &report.token)? {
            return Err(Fault::new(
                FaultCode::Refused,
                format!(
                    "taking a report: this is not the token of session {}",
                    report.session.short()
                ),
                None,
            ));
        }
        let acknowledges = report.acknowledges;
        let storing = reports::report(&self.reports, report, Arrival::Connected);
        match waiting::watched(REPORT_METHOD, "hook", storing).await? {
            Reported::Stored => answer(None, None),
            Reported::Waiting(waiting) => {
                answers.flush().await;
                let print = tokio::select! {
                    // The client gave up on its hook: nobody reads the answer any more.
                    _ = reader.fill_buf() => return answer(None, None),
                    text = waiting.answer => text.unwrap_or_default(),
                };
                let ask = (acknowledges && print.is_some()).then_some(waiting.ask);
                if print.is_some() {
                    *hook = Some(AnsweredHook {
                        session: waiting.session,
                        ask: waiting.ask,
                        acknowledges,
                        _presence: waiting.presence,
                    });
                }
                answer(print, ask)
            }
        }
    }

    /// Sends events until the reader goes away.
    async fn watch(
        &self,
        watch: EventsWatch,
        answers: &mut Answers,
        reader: &mut BufReader<OwnedReadHalf>,
    ) {
        let engine = &self.api.engine;
        let mut position = engine.position();
        let mut at = watch.after.unwrap_or_else(|| *position.borrow());
        loop {
            let after = at;
            let Ok(events) = engine
                .read(move |reader| reader.events_after(after, 500))
                .await
            else {
                return;
            };
            let got_all = events.len() < 500;
            for (local, event) in events {
                at = local;
                let Ok(params) = serde_json::to_value(&event) else {
                    continue;
                };
                let call = Call {
                    jsonrpc: JsonRpc::V2,
                    id: None,
                    method: "event".into(),
                    params,
                };
                answers.add(&call);
            }
            if !answers.flush_patiently().await {
                return;
            }
            if got_all {
                tokio::select! {
                    changed = position.changed() => if changed.is_err() { return },
                    _ = reader.fill_buf() => return,
                }
            }
        }
    }
}

async fn stopped_for_a_while(stop: CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
}

/// A hook that was given an answer, until it has gone.
struct AnsweredHook {
    session: SessionId,
    ask: AskId,
    /// It says when it has printed the answer; those of earlier versions do not.
    acknowledges: bool,
    _presence: Presence,
}

fn answer(print: Option<String>, ask: Option<AskId>) -> Result<Value, Fault> {
    serde_json::to_value(ReportAnswer { print, ask }).map_err(|error| {
        Fault::new(
            FaultCode::Internal,
            format!("answering a hook: {error}"),
            None,
        )
    })
}

/// Reads the first line of a connection and answers it; the program's name, if the two understand each other.
async fn greeting(
    reader: &mut BufReader<OwnedReadHalf>,
    answers: &mut Answers,
    place: &mut Place,
) -> Option<String> {
    let ended = place.ended().clone();
    let line = tokio::select! {
        // One that has just spoken is not one that says nothing.
        biased;
        line = timeout(place.hello_time(), next_line(reader)) => line,
        () = ended.cancelled() => return None,
    };
    let call = match line {
        Ok(line) => line?.and_then(|line| read_call(&line)),
        Err(_elapsed) => {
            place.timed_out();
            return None;
        }
    };
    let call = match call {
        Ok(call) => call,
        Err(fault) => {
            answers.add(&Answer::fault(None, fault));
            return None;
        }
    };
    let (answer, program) = greet(&call);
    if let Some(program) = &program
        && let Err(fault) = place.greeted(is_of_a_person(program))
    {
        answers.add(&Answer::fault(call.id, fault));
        return None;
    }
    answers.add(&answer);
    program
}

/// Programs that a person waits for.
fn is_of_a_person(program: &str) -> bool {
    program == "cli"
}

fn read_call(line: &str) -> Result<Call, Fault> {
    lenient_json::call(line).map_err(|error| {
        Fault::new(
            FaultCode::Parse,
            format!("reading a message: {error}"),
            None,
        )
    })
}

/// Says why to one that is not taken in, as far as it can be said at once.
fn turn_away(stream: &UnixStream, fault: Fault) {
    if let Ok(mut line) = serde_json::to_vec(&Answer::fault(None, fault)) {
        line.push(b'\n');
        // Its socket is new and empty: a line fits, or the peer is gone.
        drop(stream.try_write(&line));
    }
}

/// Answers the first call of a connection; the program's name, if the two understand each other.
fn greet(call: &Call) -> (Answer, Option<String>) {
    let refuse = |code, message: String, hint: Option<String>| {
        (
            Answer::fault(call.id, Fault::new(code, message, hint)),
            None,
        )
    };
    if call.method != "hello" {
        return refuse(
            FaultCode::InvalidCall,
            "greeting: the first call must be hello".into(),
            None,
        );
    }
    let hello: Hello = match serde_json::from_value(call.params.clone()) {
        Ok(hello) => hello,
        Err(error) => return refuse(FaultCode::InvalidParams, format!("greeting: {error}"), None),
    };
    if !PROTOCOL.understands(hello.protocol) {
        return refuse(
            FaultCode::Version,
            format!(
                "greeting: this daemon is version {BUILD} (protocol {}.{}), {} is version {} (protocol {}.{})",
                PROTOCOL.major,
                PROTOCOL.minor,
                hello.program,
                hello.build,
                hello.protocol.major,
                hello.protocol.minor
            ),
            Some("claustre daemon restart".into()),
        );
    }
    let own = Hello {
        protocol: PROTOCOL,
        build: BUILD.into(),
        program: "daemon".into(),
        pid: std::process::id(),
    };
    match serde_json::to_value(own) {
        Ok(result) => (
            Answer::result(call.id.unwrap_or_default(), result),
            Some(hello.program),
        ),
        Err(error) => refuse(FaultCode::Internal, format!("greeting: {error}"), None),
    }
}

fn unknown_call(method: &str, error: &serde_json::Error) -> Fault {
    let text = error.to_string();
    if text.contains("unknown variant") {
        Fault::new(
            FaultCode::UnknownMethod,
            format!(
                "answering: there is no method '{}'",
                crate::text::one_line(method, 60)
            ),
            Some("the daemon may be older than this program: claustre daemon restart".into()),
        )
    } else {
        Fault::new(
            FaultCode::InvalidParams,
            format!(
                "answering {}: {}",
                crate::text::one_line(method, 60),
                crate::text::one_line(&text, 200)
            ),
            None,
        )
    }
}

/// What is on its way to one client.
struct Answers {
    write: OwnedWriteHalf,
    waiting: Vec<u8>,
}

impl Answers {
    /// Adds a line. False where it cannot be written as JSON.
    fn add(&mut self, line: &impl serde::Serialize) -> bool {
        let before = self.waiting.len();
        match serde_json::to_writer(&mut self.waiting, line) {
            Ok(()) => {
                self.waiting.push(b'\n');
                true
            }
            Err(error) => {
                tracing::error!(%error, "an answer could not be written");
                self.waiting.truncate(before);
                false
            }
        }
    }

    /// Sends what waits. False where the client is gone, or reads nothing for too long.
    async fn flush(&mut self) -> bool {
        timeout(MOST_PATIENCE, self.flush_patiently())
            .await
            .unwrap_or(false)
    }

    /// Sends what waits, to one who may read it whenever they like. False where the client is gone.
    async fn flush_patiently(&mut self) -> bool {
        let sent = self.write.write_all(&self.waiting).await;
        self.waiting.clear();
        sent.is_ok()
    }
}

/// The next line; none at the end, a fault where it is too long or no text.
async fn next_line(reader: &mut BufReader<OwnedReadHalf>) -> Option<Result<String, Fault>> {
    let mut line = Vec::new();
    let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
    match (&mut *reader)
        .take(limit + 1)
        .read_until(b'\n', &mut line)
        .await
    {
        Ok(0) | Err(_) => None,
        Ok(_) if line.len() > MAX_LINE => Some(Err(Fault::new(
            FaultCode::InvalidCall,
            format!("reading a message: it is longer than {MAX_LINE} bytes"),
            None,
        ))),
        Ok(_) => {
            Some(String::from_utf8(line).map_err(|_| {
                Fault::new(FaultCode::Parse, "reading a message: it is not UTF-8", None)
            }))
        }
    }
}
