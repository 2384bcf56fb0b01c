//! One report on its way: to the daemon in time, else to the spool, so that nothing is lost.

use std::{
    env,
    io::{self, Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    path::PathBuf,
    process,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use claustre_protocol::{
    BUILD, PROTOCOL,
    hook::{REPORT_METHOD, ReportAnswer, ReportBody, SESSION_VARIABLE, TOKEN_VARIABLE},
    ids::{AskId, EventId, SessionId},
    rpc::{Answer, FaultCode, Hello},
    time::Timestamp,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType},
};

use super::{parent::Callers, spool};
use crate::{ids, paths::Paths};

/// Time a report has from connecting to its answer.
pub const DEADLINE: Duration = Duration::from_millis(100);
/// Pause before a full or absent socket is tried again within the deadline.
const RETRY: Duration = Duration::from_millis(2);
/// Id of the call that carries the report, behind hello.
const REPORT_CALL: u64 = 1;

/// A report as it is sent and kept.
#[derive(Debug, Clone)]
pub struct Line {
    /// When it was made.
    pub at: Timestamp,
    /// A call and a line break.
    pub bytes: Vec<u8>,
}

/// Who reports.
#[derive(Debug, Clone)]
pub struct Reporter {
    paths: Paths,
    session: SessionId,
    token: String,
    program: &'static str,
}

/// What became of a report.
#[derive(Debug, Clone, PartialEq)]
pub enum Delivery {
    /// The daemon has it.
    Taken(ReportAnswer),
    /// The daemon does not want it, now or later.
    Refused,
    /// This daemon cannot read it; one of another version may.
    Unreadable,
    /// No daemon took it in time.
    Missed,
    /// A daemon had it and went away without an answer.
    Lost,
    /// The client that waited for the answer is gone.
    Abandoned,
}

/// How long an answer is waited for.
enum Patience<'a> {
    /// Until this moment.
    Until(Instant),
    /// Until a person has answered, or nobody waits for it any more.
    WhileWaitedFor(&'a Callers),
}

impl Reporter {
    /// The reporter that the environment names; none outside a session of ours.
    pub fn from_environment(program: &'static str) -> Option<Self> {
        let session = env::var(SESSION_VARIABLE).ok()?.parse().ok()?;
        let token = env::var(TOKEN_VARIABLE).unwrap_or_default();
        Some(Self::new(
            Paths::from_environment().ok()?,
            session,
            token,
            program,
        ))
    }

    /// The reporter of this session.
    pub fn new(paths: Paths, session: SessionId, token: String, program: &'static str) -> Self {
        Self {
            paths,
            session,
            token,
            program,
        }
    }

    /// The directory of the session.
    pub fn directory(&self) -> PathBuf {
        self.paths.session(self.session)
    }

    /// The line that carries a report whose body is JSON already: no line break may be in it.
    pub fn line_of_json(&self, kind: &str, data: &str) -> Line {
        self.line_with(kind, data, false)
    }

    /// As [`Reporter::line_of_json`], for a hook that asks: it waits for the answer and says when it was taken.
    pub fn asking_line(&self, data: &str) -> Line {
        self.line_with("hook", data, true)
    }

    fn line_with(&self, kind: &str, data: &str, acknowledges: bool) -> Line {
        let at = now();
        let head = Head {
            id: EventId::new(ids::in_time(uuid::Uuid::new_v4(), at.millis())),
            session: self.session,
            token: &self.token,
            at,
            zellij_session: env::var("ZELLIJ_SESSION_NAME")
                .ok()
                .filter(|name| !name.is_empty()),
            pane_id: env::var("ZELLIJ_PANE_ID")
                .ok()
                .and_then(|id| id.parse().ok()),
            acknowledges,
        };
        let head = serde_json::to_string(&head).unwrap_or_default();
        let head = head.strip_suffix('}').unwrap_or(&head);
        let line = format!(
            r#"{{"jsonrpc":"2.0","id":{REPORT_CALL},"method":"{REPORT_METHOD}","params":{head},"report":"{kind}","data":{data}}}}}{}"#,
            '\n'
        );
        Line {
            at,
            bytes: line.into_bytes(),
        }
    }

    /// The line that carries this report.
    pub fn line(&self, body: &ReportBody) -> Line {
        let value = serde_json::to_value(body).unwrap_or_default();
        let kind = value
            .get("report")
            .and_then(|kind| kind.as_str())
            .unwrap_or_default();
        let data = value.get("data").cloned().unwrap_or_default();
        self.line_of_json(kind, &data.to_string())
    }

    /// Hands the line to the daemon; where it is not taken in time, to the spool.
    pub fn deliver(&self, line: &Line) -> Delivery {
        let delivery = self.offer(line);
        if matches!(
            delivery,
            Delivery::Missed | Delivery::Lost | Delivery::Unreadable
        ) {
            // A full disk is the one thing that loses a report, and there is nobody to tell.
            drop(self.spool(line));
        }
        delivery
    }

    /// Makes and delivers a report within the deadline.
    pub fn report(&self, body: &ReportBody) -> Delivery {
        self.deliver(&self.line(body))
    }

    /// Offers the line to the daemon within the deadline, and keeps nothing where it is not taken.
    fn offer(&self, line: &Line) -> Delivery {
        let deadline = Instant::now() + DEADLINE;
        match self.send(line, deadline) {
            Ok(stream) => read_answer(&stream, &Patience::Until(deadline)),
            Err(_) => Delivery::Missed,
        }
    }

    /// Asks the daemon, and waits for the answer until nobody waits for ours any more. The connection comes with it, for
    /// [`Reporter::acknowledge`].
    pub fn ask(&self, line: &Line, callers: &Callers) -> (Delivery, Option<UnixStream>) {
        match self.send(line, Instant::now() + DEADLINE) {
            Ok(stream) => {
                let delivery = read_answer(&stream, &Patience::WhileWaitedFor(callers));
                (delivery, Some(stream))
            }
            Err(_) => (Delivery::Missed, None),
        }
    }

    /// Says that the answer was printed: over the connection it came by, else to whoever is there, else to the spool.
    pub fn acknowledge(&self, connection: Option<&UnixStream>, ask: AskId) {
        let line = self.line(&ReportBody::AnswerTaken { ask });
        let deadline = Instant::now() + DEADLINE;
        let delivery = match connection {
            Some(stream) if write_all(stream, &line.bytes, deadline).is_ok() => {
                read_answer(stream, &Patience::Until(deadline))
            }
            _ => Delivery::Lost,
        };
        if !matches!(delivery, Delivery::Taken(_) | Delivery::Refused) {
            self.deliver(&line);
        }
    }

    fn send(&self, line: &Line, deadline: Instant) -> io::Result<UnixStream> {
        let stream = connect(&self.paths, deadline)?;
        let mut message = hello_line(self.program);
        message.extend_from_slice(&line.bytes);
        write_all(&stream, &message, deadline)?;
        Ok(stream)
    }

    /// The directory in which a daemon appears.
    pub fn run_directory(&self) -> PathBuf {
        self.paths.run()
    }

    /// Keeps the line on disk for the next daemon.
    ///
    /// # Errors
    /// The disk does not take it.
    pub fn spool(&self, line: &Line) -> io::Result<()> {
        spool::write(&self.paths.spool(), line.at, &line.bytes)
    }
}

#[derive(serde::Serialize)]
struct Head<'a> {
    id: EventId,
    session: SessionId,
    token: &'a str,
    at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    zellij_session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pane_id: Option<u32>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    acknowledges: bool,
}

fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn hello_line(program: &str) -> Vec<u8> {
    let hello = Hello {
        protocol: PROTOCOL,
        build: BUILD.to_owned(),
        program: program.to_owned(),
        pid: process::id(),
    };
    let hello = serde_json::to_string(&hello).unwrap_or_default();
    format!("{{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"hello\",\"params\":{hello}}}\n")
        .into_bytes()
}

/// Connects without ever blocking: a daemon that does not accept must not hold up a turn.
fn connect(paths: &Paths, deadline: Instant) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(paths.daemon_socket())?;
    loop {
        let socket = rustix::net::socket_with(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::empty(),
            None,
        )?;
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&socket, true)?;
        match rustix::net::connect(&socket, &address) {
            Ok(()) => return Ok(UnixStream::from(socket)),
            // The daemon's queue is full at the moment.
            Err(rustix::io::Errno::AGAIN) if Instant::now() + RETRY < deadline => {
                std::thread::sleep(RETRY);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn write_all(mut stream: &UnixStream, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                wait(stream, PollFlags::OUT, deadline)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn wait(stream: &UnixStream, what: PollFlags, deadline: Instant) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let mut wanted = [PollFd::from_borrowed_fd(stream.as_fd(), what)];
    match poll(&mut wanted, Some(&timespec(left))) {
        Ok(0) => Err(io::ErrorKind::TimedOut.into()),
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

/// Reads lines until the answer to the report is there.
fn read_answer(mut stream: &UnixStream, patience: &Patience<'_>) -> Delivery {
    let mut received = Vec::new();
    let mut start = 0;
    let mut chunk = [0_u8; 4096];
    loop {
        while let Some(line) = next_line(&received, &mut start) {
            if let Some(delivery) = judge(line) {
                return delivery;
            }
        }
        let ready = match patience {
            Patience::Until(deadline) => wait(stream, PollFlags::IN, *deadline).is_ok(),
            Patience::WhileWaitedFor(callers) => match callers.wait_with(stream.as_fd()) {
                Ok(true) => true,
                Ok(false) => return Delivery::Abandoned,
                Err(_) => false,
            },
        };
        if !ready {
            return Delivery::Missed;
        }
        match stream.read(&mut chunk) {
            Ok(0) => return Delivery::Lost,
            Ok(read) => received.extend_from_slice(chunk.get(..read).unwrap_or_default()),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) => {}
            Err(_) => return Delivery::Lost,
        }
    }
}

fn next_line<'a>(received: &'a [u8], start: &mut usize) -> Option<&'a [u8]> {
    let rest = received.get(*start..)?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    *start += end + 1;
    rest.get(..end)
}

/// What one line from the daemon means for the report; none where it is about something else.
fn judge(line: &[u8]) -> Option<Delivery> {
    let answer: Answer = serde_json::from_slice(line).ok()?;
    match answer.error {
        Some(fault) => {
            let is = |code: FaultCode| code.number() == fault.code;
            Some(if is(FaultCode::Refused) || is(FaultCode::NotFound) {
                Delivery::Refused
            } else if [
                FaultCode::Parse,
                FaultCode::InvalidCall,
                FaultCode::InvalidParams,
            ]
            .into_iter()
            .any(is)
            {
                Delivery::Unreadable
            } else {
                // Another daemon, later, may take what this one cannot.
                Delivery::Missed
            })
        }
        None if answer.id == Some(REPORT_CALL) => {
            let answer = answer
                .result
                .and_then(|result| serde_json::from_value(result).ok());
            Some(Delivery::Taken(answer.unwrap_or_default()))
        }
        None => None,
    }
}
