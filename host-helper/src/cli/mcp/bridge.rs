//! Messages between the client and a server that may go away and come back: the handshake is repeated with each new one, and a
//! call that was under way is made again. The server knows such a call by its id and does what it wants done only once.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::Duration,
};

use claustre_protocol::rpc::{Fault, FaultCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::error::CliError;

/// How often a call is made again before the client is told that it failed.
const TRIES: u32 = 4;
/// Pause before the next try with a daemon that was ending.
const PAUSE: Duration = Duration::from_millis(100);
/// Pauses before the next try with a daemon that has no room: about six seconds in all.
const BUSY_PAUSES: [Duration; 6] = [
    PAUSE,
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1_600),
    Duration::from_millis(3_000),
];

enum News {
    /// A line of the client, without its end.
    Client(Vec<u8>),
    ClientEnded,
    /// A line of a server: they are numbered from 1.
    Server(u64, Vec<u8>),
    ServerEnded(u64),
}

/// What must be known of a message.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Peek {
    id: Option<Value>,
    method: Option<String>,
    error: Option<Value>,
}

/// A request that has no answer yet.
struct OpenCall {
    id: Value,
    line: Vec<u8>,
    tries: u32,
}

struct Bridge<Out, Connect> {
    client: Out,
    connect: Connect,
    news: Sender<News>,
    server: Option<UnixStream>,
    number: u64,
    /// The request that began the conversation with its id, and the client's word that it may go on.
    handshake: Option<(Value, Vec<u8>)>,
    initialized: Option<Vec<u8>>,
    /// The first server has answered the handshake.
    greeted: bool,
    /// This server is asked once more; its answer is not for the client, and the lines wait for it.
    greeting_again: bool,
    waiting: Vec<Vec<u8>>,
    /// Why this server does not take us in.
    refusal: Option<Fault>,
    /// How often servers had no room for us, one after the other.
    busy: usize,
    open: Vec<OpenCall>,
    client_ended: bool,
}

/// Hands messages on until the client ends.
///
/// # Errors
/// The first server cannot be reached, or the client reads no more.
pub fn run<In, Out, Connect>(client_in: In, client: Out, connect: Connect) -> Result<(), CliError>
where
    In: Read + Send + 'static,
    Out: Write,
    Connect: FnMut() -> Result<UnixStream, CliError>,
{
    let (news, coming) = mpsc::channel();
    let mut bridge = Bridge {
        client,
        connect,
        news: news.clone(),
        server: None,
        number: 0,
        handshake: None,
        initialized: None,
        greeted: false,
        greeting_again: false,
        waiting: Vec::new(),
        refusal: None,
        busy: 0,
        open: Vec::new(),
        client_ended: false,
    };
    bridge.reach()?;
    read_lines(client_in, "from-client", move |line| {
        let told = line.map_or(News::ClientEnded, News::Client);
        news.send(told).is_ok()
    })?;
    bridge.attend(&coming)
}

/// Reads lines on a thread of its own and tells each, then the end.
fn read_lines(
    from: impl Read + Send + 'static,
    name: &str,
    tell: impl Fn(Option<Vec<u8>>) -> bool + Send + 'static,
) -> Result<(), CliError> {
    let reading = move || {
        let mut reader = BufReader::with_capacity(64 * 1024, from);
        loop {
            let mut line = Vec::new();
            match reader.read_until(b'\n', &mut line) {
                Ok(1..) => {
                    if line.last() == Some(&b'\n') {
                        line.pop();
                    }
                    if !tell(Some(line)) {
                        return;
                    }
                }
                Ok(0) | Err(_) => {
                    tell(None);
                    return;
                }
            }
        }
    };
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(reading)
        .map(drop)
        .map_err(|error| CliError::failed("connecting to the MCP server", error))
}

impl<Out, Connect> Bridge<Out, Connect>
where
    Out: Write,
    Connect: FnMut() -> Result<UnixStream, CliError>,
{
    fn attend(&mut self, coming: &Receiver<News>) -> Result<(), CliError> {
        for news in coming {
            match news {
                News::Client(line) => self.client_said(line)?,
                News::ClientEnded => {
                    self.client_ended = true;
                    // The server may end, once it has answered what it was asked.
                    match &self.server {
                        Some(server) => drop(server.shutdown(Shutdown::Write)),
                        None => return Ok(()),
                    }
                }
                News::Server(number, line) if number == self.number => self.server_said(&line)?,
                News::ServerEnded(number) if number == self.number => {
                    self.server = None;
                    if self.client_ended {
                        return Ok(());
                    }
                    self.server_lost()?;
                    // One that does not want us from the start: the client has read why.
                    if !self.greeted && self.handshake.is_some() && self.open.is_empty() {
                        return Ok(());
                    }
                }
                News::Server(..) | News::ServerEnded(..) => {}
            }
        }
        Ok(())
    }

    /// Connects, and listens.
    fn reach(&mut self) -> Result<(), CliError> {
        let stream = (self.connect)()?;
        let doing = "connecting to the MCP server";
        let listening = stream
            .try_clone()
            .map_err(|error| CliError::failed(doing, error))?;
        self.number = self.number.wrapping_add(1);
        let (number, news) = (self.number, self.news.clone());
        read_lines(listening, "from-server", move |line| {
            let told = line.map_or(News::ServerEnded(number), |line| News::Server(number, line));
            news.send(told).is_ok()
        })?;
        self.server = Some(stream);
        Ok(())
    }

    fn client_said(&mut self, line: Vec<u8>) -> Result<(), CliError> {
        let peek: Peek = serde_json::from_slice(&line).unwrap_or_default();
        match (peek.method.as_deref(), peek.id) {
            (Some(method), Some(id)) => {
                if method == "initialize" {
                    self.handshake = Some((id.clone(), line.clone()));
                }
                self.open.push(OpenCall {
                    id,
                    line: line.clone(),
                    tries: 1,
                });
            }
            (Some("notifications/initialized"), None) => self.initialized = Some(line.clone()),
            _ => {}
        }
        if self.server.is_none() {
            // It is among the open calls, which are made again.
            return self.begin_again();
        }
        if self.greeting_again {
            self.waiting.push(line);
        } else {
            self.tell_server(&line);
        }
        Ok(())
    }

    fn server_said(&mut self, line: &[u8]) -> Result<(), CliError> {
        let peek: Peek = serde_json::from_slice(line).unwrap_or_default();
        if peek.method.is_none() {
            match &peek.id {
                // It does not take us in, and ends the connection next: whoever waits is answered then, under its own id.
                None if peek.error.is_some() => {
                    self.refusal = peek
                        .error
                        .and_then(|error| serde_json::from_value(error).ok());
                    return Ok(());
                }
                None => {}
                Some(id) => {
                    let is_greeting = self.handshake.as_ref().is_some_and(|(own, _)| own == id);
                    let is_waited_for = self.open.iter().any(|call| call.id == *id);
                    self.open.retain(|call| call.id != *id);
                    if is_greeting {
                        self.greeted = true;
                        self.busy = 0;
                        if std::mem::take(&mut self.greeting_again) {
                            let lines = std::mem::take(&mut self.waiting);
                            for line in self.initialized.clone().into_iter().chain(lines) {
                                self.tell_server(&line);
                            }
                            if !is_waited_for {
                                return Ok(());
                            }
                        }
                    }
                }
            }
        }
        self.tell_client(line)
    }

    /// A server went away: what it had been asked is asked again, or answered with an error.
    fn server_lost(&mut self) -> Result<(), CliError> {
        self.waiting.clear();
        self.greeting_again = false;
        let refusal = self.refusal.take();
        let is_busy = refusal
            .as_ref()
            .is_some_and(|fault| fault.code == FaultCode::Busy.number());
        if is_busy {
            let pause = BUSY_PAUSES.get(self.busy).copied();
            self.busy = self.busy.saturating_add(1);
            if let Some(pause) = pause {
                if self.open.is_empty() {
                    // Nobody waits: the next message finds a daemon.
                    return Ok(());
                }
                thread::sleep(pause);
                return self.begin_again();
            }
            self.busy = 0;
        }
        if let Some(fault) = refusal {
            let hint = fault.hint().map(|hint| format!("; {hint}"));
            let why = format!(
                "the daemon does not take this session in: {}{}",
                fault.message,
                hint.unwrap_or_default()
            );
            return self.give_up(&why);
        }
        let (again, over): (Vec<_>, Vec<_>) = std::mem::take(&mut self.open)
            .into_iter()
            .partition(|call| call.tries < TRIES);
        self.open = again;
        for call in over {
            self.fail(
                &call.id,
                "the daemon was restarted while this ran, more than once; look with claustre_task whether it took effect",
            )?;
        }
        if self.open.is_empty() {
            return Ok(());
        }
        let is_first = self.open.iter().all(|call| call.tries == 1);
        for call in &mut self.open {
            call.tries = call.tries.saturating_add(1);
        }
        if !is_first {
            thread::sleep(PAUSE);
        }
        self.begin_again()
    }

    /// Finds a server again and repeats the handshake; what has no answer yet follows it.
    fn begin_again(&mut self) -> Result<(), CliError> {
        if let Err(error) = self.reach() {
            return self.give_up(&error.message);
        }
        let handshake = self.handshake.clone();
        let own = handshake.as_ref().map(|(id, _)| id);
        let calls: Vec<_> = self
            .open
            .iter()
            .filter(|call| Some(&call.id) != own)
            .map(|call| call.line.clone())
            .collect();
        match handshake {
            Some((_, handshake)) => {
                self.greeting_again = true;
                self.waiting = calls;
                self.tell_server(&handshake);
            }
            None => {
                for line in &calls {
                    self.tell_server(line);
                }
            }
        }
        Ok(())
    }

    fn give_up(&mut self, why: &str) -> Result<(), CliError> {
        self.greeting_again = false;
        self.waiting.clear();
        for call in std::mem::take(&mut self.open) {
            self.fail(&call.id, why)?;
        }
        Ok(())
    }

    fn fail(&mut self, id: &Value, why: &str) -> Result<(), CliError> {
        let answer = json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32000, "message": why}});
        self.tell_client(answer.to_string().as_bytes())
    }

    fn tell_client(&mut self, line: &[u8]) -> Result<(), CliError> {
        write_line(&mut self.client, line).map_err(CliError::from)
    }

    /// One that cannot be written to has ended, and its reader says so next.
    fn tell_server(&mut self, line: &[u8]) {
        if let Some(server) = &mut self.server
            && let Err(error) = write_line(server, line)
        {
            tracing::debug!(%error, "writing to the MCP server");
        }
    }
}

fn write_line(to: &mut impl Write, line: &[u8]) -> io::Result<()> {
    to.write_all(&[line, b"\n"].concat())?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    /// The next line that comes through a socket.
    fn line(reader: &mut impl BufRead) -> Value {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn call(id: u64, tool: &str) -> String {
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool}})
            .to_string()
    }

    #[test]
    fn a_server_that_comes_back_is_greeted_and_asked_again() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("mcp");
        let listener = UnixListener::bind(&socket).unwrap();
        let (client, ours) = UnixStream::pair().unwrap();
        let bridge = thread::spawn(move || {
            let input = ours.try_clone().unwrap();
            run(input, ours, || Ok(UnixStream::connect(&socket).unwrap())).is_ok()
        });
        let mut answers = BufReader::new(client.try_clone().unwrap());
        let say = |text: &str| writeln!(&client, "{text}").unwrap();
        let accept = || {
            let (stream, _) = listener.accept().unwrap();
            (BufReader::new(stream.try_clone().unwrap()), stream)
        };
        let answer = |stream: &UnixStream, id: u64, result: &str| {
            let answer = json!({"jsonrpc": "2.0", "id": id, "result": result});
            writeln!(&*stream, "{answer}").unwrap();
        };

        let (mut asked, server) = accept();
        say(r#"{"jsonrpc":"2.0","id":0,"method":"initialize"}"#);
        say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        assert_eq!(line(&mut asked)["method"], "initialize");
        answer(&server, 0, "first");
        assert_eq!(line(&mut answers)["result"], "first");
        assert_eq!(line(&mut asked)["method"], "notifications/initialized");

        // It goes in the middle of two calls: both are made again, with the same ids.
        say(&call(1, "claustre_status"));
        say(&call(2, "claustre_log"));
        assert_eq!(line(&mut asked)["id"], 1);
        assert_eq!(line(&mut asked)["id"], 2);
        drop((asked, server));

        let (mut asked, server) = accept();
        assert_eq!(line(&mut asked)["method"], "initialize");
        say(&call(3, "claustre_task"));
        answer(&server, 0, "second");
        assert_eq!(line(&mut asked)["method"], "notifications/initialized");
        let again = [1, 2, 3].map(|_| line(&mut asked)["id"].clone());
        assert_eq!(again, [json!(1), json!(2), json!(3)]);
        for (id, result) in [(3, "three"), (1, "one"), (2, "two")] {
            answer(&server, id, result);
            assert_eq!(line(&mut answers)["result"], result);
        }

        // Nobody waits when it goes again: the next call finds a new one.
        drop((asked, server));
        say(&call(4, "claustre_status"));
        let (mut asked, server) = accept();
        assert_eq!(line(&mut asked)["method"], "initialize");
        answer(&server, 0, "third");
        assert_eq!(line(&mut asked)["method"], "notifications/initialized");
        assert_eq!(line(&mut asked)["id"], 4);
        answer(&server, 4, "four");
        assert_eq!(line(&mut answers)["result"], "four");

        client.shutdown(Shutdown::Write).unwrap();
        let mut rest = String::new();
        asked.read_line(&mut rest).unwrap();
        assert_eq!(rest, "", "the client's end is handed on");
        drop((asked, server));
        assert!(bridge.join().unwrap());
    }

    /// A bridge to a listener, the client's side of it, and the lines that the client reads.
    fn bridged() -> (
        tempfile::TempDir,
        UnixListener,
        UnixStream,
        BufReader<UnixStream>,
        thread::JoinHandle<bool>,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("mcp");
        let listener = UnixListener::bind(&socket).unwrap();
        let (client, ours) = UnixStream::pair().unwrap();
        let bridge = thread::spawn(move || {
            let input = ours.try_clone().unwrap();
            run(input, ours, || Ok(UnixStream::connect(&socket).unwrap())).is_ok()
        });
        let answers = BufReader::new(client.try_clone().unwrap());
        (folder, listener, client, answers, bridge)
    }

    /// Takes the next connection and refuses it, as a socket without room does.
    fn refuse(listener: &UnixListener, code: FaultCode, message: &str) {
        let (mut stream, _) = listener.accept().unwrap();
        let fault = Fault::new(code, message, Some("do this".into()));
        let answer = claustre_protocol::rpc::Answer::fault(None, fault);
        writeln!(stream, "{}", serde_json::to_string(&answer).unwrap()).unwrap();
    }

    #[test]
    fn a_server_without_room_is_tried_again_and_the_client_reads_nothing_of_it() {
        let (_folder, listener, client, mut answers, bridge) = bridged();
        writeln!(
            &client,
            r#"{{"jsonrpc":"2.0","id":0,"method":"initialize"}}"#
        )
        .unwrap();
        for _ in 0..3 {
            refuse(&listener, FaultCode::Busy, "no room");
        }
        let (stream, _) = listener.accept().unwrap();
        let mut asked = BufReader::new(stream.try_clone().unwrap());
        assert_eq!(line(&mut asked)["method"], "initialize");
        writeln!(&stream, r#"{{"jsonrpc":"2.0","id":0,"result":"welcome"}}"#).unwrap();
        assert_eq!(line(&mut answers)["result"], "welcome");
        client.shutdown(Shutdown::Write).unwrap();
        let mut rest = String::new();
        asked.read_line(&mut rest).unwrap();
        assert_eq!(rest, "", "the handshake was made once");
        drop((asked, stream));
        assert!(bridge.join().unwrap());
    }

    #[test]
    fn a_refusal_is_read_under_the_id_of_the_call_that_waits() {
        let (_folder, listener, client, mut answers, bridge) = bridged();
        writeln!(
            &client,
            r#"{{"jsonrpc":"2.0","id":"first","method":"initialize"}}"#
        )
        .unwrap();
        // The first connection may be refused before the client has spoken.
        thread::spawn(move || {
            loop {
                refuse(&listener, FaultCode::Refused, "not its token");
            }
        });
        let answer = line(&mut answers);
        assert_eq!(answer["id"], "first");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(
            message.contains("not its token") && message.contains("do this"),
            "{message}"
        );
        assert!(bridge.join().unwrap(), "and the bridge ends");
    }
}
