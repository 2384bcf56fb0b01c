//! Messages between the client and a server that may go away and come back: the handshake is repeated with each new one, and a
//! call that was under way is made again where making it twice does no harm.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::Duration,
};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::error::CliError;

/// Calls that would leave two of something when they are made twice.
const ONLY_ONCE: [&str; 3] = ["claustre_log", "claustre_subtask", "claustre_task_create"];
/// How often a call is made again before the client is told that it failed.
const TRIES: u32 = 4;
/// Pause before the next try with a daemon that was ending.
const PAUSE: Duration = Duration::from_millis(100);

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
    params: PeekParams,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PeekParams {
    name: Option<String>,
}

/// A request that has no answer yet.
struct OpenCall {
    id: Value,
    line: Vec<u8>,
    repeatable: bool,
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
                    // One that never took us in does not want us: that is for the client to see.
                    if self.client_ended || !self.greeted {
                        return Ok(());
                    }
                    self.server_lost()?;
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
                let once = peek
                    .params
                    .name
                    .is_some_and(|name| ONLY_ONCE.contains(&name.as_str()));
                self.open.push(OpenCall {
                    id,
                    line: line.clone(),
                    repeatable: !once,
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
        if peek.method.is_none()
            && let Some(id) = &peek.id
        {
            let handshake = self.handshake.as_ref().map(|(id, _)| id);
            if handshake == Some(id) {
                self.greeted = true;
                if self.greeting_again {
                    self.greeting_again = false;
                    let lines = std::mem::take(&mut self.waiting);
                    for line in self.initialized.clone().into_iter().chain(lines) {
                        self.tell_server(&line);
                    }
                    return Ok(());
                }
            }
            self.open.retain(|call| call.id != *id);
        }
        self.tell_client(line)
    }

    /// A server went away: what it had been asked is asked again, or answered with an error.
    fn server_lost(&mut self) -> Result<(), CliError> {
        // One that ends before it has greeted us was ending when we came, or does not want us. It was asked nothing.
        let greeted = !std::mem::take(&mut self.greeting_again);
        self.waiting.clear();
        let (again, over): (Vec<_>, Vec<_>) = std::mem::take(&mut self.open)
            .into_iter()
            .partition(|call| (call.repeatable || !greeted) && call.tries < TRIES);
        self.open = again;
        let why = if greeted {
            "the daemon was restarted while this ran; look with claustre_task whether it took effect"
        } else {
            "the daemon does not take this session in; it may have been closed"
        };
        for call in over {
            self.fail(&call.id, why)?;
        }
        if self.open.is_empty() {
            // Nobody waits: the next message finds a daemon.
            return Ok(());
        }
        for call in &mut self.open {
            call.tries = call.tries.saturating_add(1);
        }
        if !greeted {
            thread::sleep(PAUSE);
        }
        self.begin_again()
    }

    /// Finds a server again and repeats the handshake; what has no answer yet follows it.
    fn begin_again(&mut self) -> Result<(), CliError> {
        if let Err(error) = self.reach() {
            return self.give_up(&error.message);
        }
        let calls = self.open.iter().map(|call| call.line.clone()).collect();
        match self.handshake.clone() {
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

        // It goes in the middle of two calls.
        say(&call(1, "claustre_status"));
        say(&call(2, "claustre_log"));
        assert_eq!(line(&mut asked)["id"], 1);
        assert_eq!(line(&mut asked)["id"], 2);
        drop((asked, server));
        let failed = line(&mut answers);
        assert_eq!(
            (&failed["id"], failed["error"].is_object()),
            (&json!(2), true)
        );

        let (mut asked, server) = accept();
        assert_eq!(line(&mut asked)["method"], "initialize");
        say(&call(3, "claustre_task"));
        answer(&server, 0, "second");
        assert_eq!(line(&mut asked)["method"], "notifications/initialized");
        let again = [
            line(&mut asked)["id"].clone(),
            line(&mut asked)["id"].clone(),
        ];
        assert_eq!(again, [json!(1), json!(3)]);
        answer(&server, 3, "three");
        answer(&server, 1, "one");
        assert_eq!(line(&mut answers)["result"], "three");
        assert_eq!(line(&mut answers)["result"], "one");

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
}
