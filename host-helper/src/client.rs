//! The blocking client of the daemon's socket: connects, says hello, calls; starts the daemon where there is none.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::{
        fs::{DirBuilderExt, OpenOptionsExt},
        net::UnixStream,
    },
    path::Path,
    thread,
    time::{Duration, Instant},
};

use claustre_protocol::{
    BUILD, PROTOCOL,
    request::Request,
    rpc::{Answer, Call, Fault, FaultCode, Hello, MAX_LINE},
};
use serde::de::DeserializeOwned;

use crate::paths::Paths;

/// Time a daemon has to answer hello; one that does not is not alive.
const HELLO: Duration = Duration::from_millis(250);
/// Time to connect: the kernel keeps whoever connects waiting while the daemon's queue is full.
const CONNECT: Duration = Duration::from_secs(2);
/// Pause between two looks for a daemon that is starting.
const LOOK: Duration = Duration::from_millis(40);
/// Time a daemon has to start.
const START: Duration = Duration::from_secs(3);
/// Time a daemon has to answer that is there but busy, or starts for somebody else.
const STUCK: Duration = Duration::from_secs(5);

/// A call could not be made, or was not granted.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("reaching the daemon: {why}")]
    Unreachable {
        /// What was found.
        why: String,
    },
    /// Somebody holds the lock and does not answer.
    #[error("reaching the daemon: {holder} holds {lock} but has not answered for {} s", STUCK.as_secs())]
    Stuck {
        /// Who holds it, as far as known.
        holder: String,
        /// The lock.
        lock: String,
    },
    /// The two do not understand each other.
    #[error("talking to the daemon: it runs version {daemon}, this program is version {own}")]
    Version {
        /// Version of the daemon, as far as it said.
        daemon: String,
        /// Version of this program.
        own: &'static str,
    },
    /// The daemon could not be started.
    #[error("starting the daemon: {why}")]
    Start {
        /// Why not.
        why: String,
        /// What it said itself that one could do about it.
        hint: Option<String>,
    },
    /// The connection ended in the middle.
    #[error("talking to the daemon: {0}")]
    Lost(io::Error),
    /// The answer is not what the protocol promises.
    #[error("reading the daemon's answer to {method}: {why}")]
    Answer {
        /// What was asked.
        method: String,
        /// What is wrong with it.
        why: String,
    },
    /// It was refused.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl ClientError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Stuck { .. } | Self::Version { .. } => Some("claustre daemon restart".to_owned()),
            Self::Unreachable { .. } => Some("claustre daemon start".to_owned()),
            Self::Start { hint, .. } => Some(hint.clone().unwrap_or_else(|| {
                "claustre doctor says what is wrong; the daemon's log is in logs/".to_owned()
            })),
            Self::Lost(_) => Some("claustre daemon status says whether it still runs".to_owned()),
            Self::Answer { .. } => None,
            Self::Fault(fault) => fault.hint().map(str::to_owned),
        }
    }
}

/// A connection to the daemon that has said hello.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
    /// Who answered.
    pub daemon: Hello,
    next_id: u64,
    notifications: VecDeque<Call>,
}

impl Client {
    /// Connects to a daemon that runs.
    ///
    /// # Errors
    /// None listens or answers in time, or it speaks another version.
    pub fn connect(paths: &Paths, program: &str) -> Result<Self, ClientError> {
        Self::connect_within(paths, program, HELLO)
    }

    fn connect_within(
        paths: &Paths,
        program: &str,
        patience: Duration,
    ) -> Result<Self, ClientError> {
        let socket = paths.daemon_socket();
        let stream = open_socket(&socket).map_err(|error| ClientError::Unreachable {
            why: format!("{}: {error}", socket.display()),
        })?;
        let timeout = stream
            .set_read_timeout(Some(patience))
            .and_then(|()| stream.set_write_timeout(Some(patience)));
        timeout.map_err(ClientError::Lost)?;
        let own = Hello {
            protocol: PROTOCOL,
            build: BUILD.to_owned(),
            program: program.to_owned(),
            pid: std::process::id(),
        };
        let mut client = Self {
            stream: BufReader::new(stream),
            daemon: own.clone(),
            next_id: 1,
            notifications: VecDeque::new(),
        };
        let call = Call {
            jsonrpc: Default::default(),
            id: Some(0),
            method: "hello".to_owned(),
            params: serde_json::to_value(&own).unwrap_or_default(),
        };
        let silent = |error| match error {
            ClientError::Lost(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) =>
            {
                ClientError::Unreachable {
                    why: format!("no answer within {} ms", patience.as_millis()),
                }
            }
            ClientError::Lost(error) => ClientError::Unreachable {
                why: error.to_string(),
            },
            error => error,
        };
        client.send(&call).map_err(silent)?;
        let daemon: Hello =
            client
                .receive("hello", 0)
                .map_err(silent)
                .map_err(|error| match error {
                    ClientError::Fault(fault) if fault.code == FaultCode::Version.number() => {
                        ClientError::Version {
                            daemon: "another".to_owned(),
                            own: BUILD,
                        }
                    }
                    error => error,
                })?;
        if !PROTOCOL.understands(daemon.protocol) {
            return Err(ClientError::Version {
                daemon: daemon.build,
                own: BUILD,
            });
        }
        client.daemon = daemon;
        let stream = client.stream.get_ref();
        let timeout = stream
            .set_read_timeout(None)
            .and_then(|()| stream.set_write_timeout(None));
        timeout.map_err(ClientError::Lost)?;
        Ok(client)
    }

    /// Connects, and starts the daemon where there is none.
    ///
    /// # Errors
    /// It cannot be started, does not answer, or speaks another version.
    pub fn connect_or_start(paths: &Paths, program: &str) -> Result<Self, ClientError> {
        Self::connect_or_start_with(paths, program, &|| start_daemon(paths))
    }

    fn connect_or_start_with(
        paths: &Paths,
        program: &str,
        start: &dyn Fn() -> Result<u32, ClientError>,
    ) -> Result<Self, ClientError> {
        let begun = Instant::now();
        loop {
            match Self::connect_within(paths, program, STUCK) {
                Err(error @ ClientError::Unreachable { .. }) => {
                    // Whoever holds the lock starts, ends or is only busy: another one could not serve beside it.
                    if !is_held(&paths.daemon_lock()) {
                        break;
                    }
                    if begun.elapsed() >= STUCK {
                        return Err(stuck(paths, error));
                    }
                    thread::sleep(LOOK);
                }
                other => return other,
            }
        }
        make_private(&paths.run()).map_err(|error| ClientError::Start {
            why: format!("creating {}: {error}", paths.run().display()),
            hint: Some("set CLAUSTRE_HOME to a directory that you can write".to_owned()),
        })?;
        let Some(_lock) = take_startup_lock(paths)? else {
            // Whoever starts it had time enough: look once more, then say who holds what.
            return Self::connect(paths, program).map_err(|error| stuck(paths, error));
        };
        // Somebody may have started it while we waited for the lock.
        match Self::connect(paths, program) {
            Err(ClientError::Unreachable { .. }) => {}
            other => return other,
        }
        let pid = start()?;
        let begun = Instant::now();
        loop {
            match Self::connect(paths, program) {
                Err(error @ ClientError::Unreachable { .. }) => {
                    let held = is_held(&paths.daemon_lock());
                    if !held && !is_alive(pid) {
                        // It may have ended because another one had just begun: that one answers now.
                        return Self::connect(paths, program).map_err(|_| ended_at_once(paths));
                    }
                    if begun.elapsed() >= if held { STUCK } else { START } {
                        return Err(stuck(paths, error));
                    }
                    thread::sleep(LOOK);
                }
                other => return other,
            }
        }
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// It is refused, or the connection ends.
    pub fn call<T: DeserializeOwned>(&mut self, request: Request) -> Result<T, ClientError> {
        let id = self.next_id;
        self.next_id += 1;
        let call = request.into_call(id).map_err(|error| ClientError::Answer {
            method: "a request".to_owned(),
            why: error.to_string(),
        })?;
        self.send(&call)?;
        self.receive(&call.method, id)
    }

    /// The next notification; sleeps until there is one. None when the daemon has ended the connection.
    ///
    /// # Errors
    /// The connection breaks.
    pub fn notification(&mut self) -> Result<Option<Call>, ClientError> {
        if let Some(call) = self.notifications.pop_front() {
            return Ok(Some(call));
        }
        while let Some(line) = self.line()? {
            if let Ok(call) = serde_json::from_slice::<Call>(&line)
                && call.id.is_none()
            {
                return Ok(Some(call));
            }
        }
        Ok(None)
    }

    fn send(&mut self, call: &Call) -> Result<(), ClientError> {
        let mut line = serde_json::to_vec(call).map_err(|error| ClientError::Answer {
            method: call.method.clone(),
            why: error.to_string(),
        })?;
        line.push(b'\n');
        if line.len() > MAX_LINE {
            return Err(ClientError::Answer {
                method: call.method.clone(),
                why: format!("the request is longer than {} MB", MAX_LINE / 1024 / 1024),
            });
        }
        self.stream
            .get_mut()
            .write_all(&line)
            .map_err(ClientError::Lost)
    }

    fn receive<T: DeserializeOwned>(&mut self, method: &str, id: u64) -> Result<T, ClientError> {
        let bad = |why: String| ClientError::Answer {
            method: method.to_owned(),
            why,
        };
        while let Some(line) = self.line()? {
            let value: serde_json::Value =
                serde_json::from_slice(&line).map_err(|error| bad(error.to_string()))?;
            if value.get("method").is_some() {
                if let Ok(call) = serde_json::from_value(value) {
                    self.notifications.push_back(call);
                }
                continue;
            }
            let answer: Answer =
                serde_json::from_value(value).map_err(|error| bad(error.to_string()))?;
            if answer.id.is_some_and(|given| given != id) {
                continue;
            }
            return match answer.error {
                Some(fault) => Err(fault.into()),
                None => serde_json::from_value(answer.result.unwrap_or_default())
                    .map_err(|error| bad(error.to_string())),
            };
        }
        Err(ClientError::Lost(io::ErrorKind::UnexpectedEof.into()))
    }

    fn line(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        let mut line = Vec::new();
        // An answer may be longer than a request: a list of everything. Four times as long is broken.
        let limit = u64::try_from(MAX_LINE * 4).unwrap_or(u64::MAX);
        let read = (&mut self.stream)
            .take(limit)
            .read_until(b'\n', &mut line)
            .map_err(ClientError::Lost)?;
        Ok((read > 0).then_some(line))
    }
}

/// Connects to a socket, within [`CONNECT`].
fn open_socket(path: &Path) -> io::Result<UnixStream> {
    use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
    let address = SocketAddrUnix::new(path)?;
    let socket = net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(CONNECT))?;
    match net::connect(&socket, &address) {
        Ok(()) => Ok(UnixStream::from(socket)),
        Err(rustix::io::Errno::AGAIN) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no place in its queue within {} s", CONNECT.as_secs()),
        )),
        Err(error) => Err(error.into()),
    }
}

/// Takes the lock of whoever starts the daemon; none where somebody else keeps it for too long.
fn take_startup_lock(paths: &Paths) -> Result<Option<File>, ClientError> {
    let path = paths.startup_lock();
    let failed = |error: io::Error| not_started(format!("locking {}: {error}", path.display()));
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if begun.elapsed() < STUCK => thread::sleep(LOOK),
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
}

/// Is this lock held by somebody? Taken shared and given back at once, so that two who look do not see each other.
pub fn is_held(lock: &Path) -> bool {
    File::open(lock)
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn stuck(paths: &Paths, error: ClientError) -> ClientError {
    let lock = paths.daemon_lock();
    if !is_held(&lock) {
        return match error {
            ClientError::Unreachable { why } => {
                not_started(format!("it was started but does not answer ({why})"))
            }
            error => error,
        };
    }
    ClientError::Stuck {
        holder: holder(&lock),
        lock: lock.display().to_string(),
    }
}

/// Who holds the daemon's lock, by what it wrote into it.
pub fn holder(lock: &Path) -> String {
    let pid = fs::read_to_string(lock).ok().and_then(|text| {
        text.split_whitespace()
            .next()
            .and_then(|word| word.parse::<u32>().ok())
    });
    match pid {
        Some(pid) => format!("process {pid}"),
        None => "another process".to_owned(),
    }
}

fn make_private(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
}

/// Does this child of ours still run? It is waited for by who started it, so it does not linger.
fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}

/// Why the daemon that we started is gone, in its own last words.
fn ended_at_once(paths: &Paths) -> ClientError {
    let output = fs::read(paths.logs().join(OUTPUT)).unwrap_or_default();
    let output = String::from_utf8_lossy(&output);
    // Others may have written before it; its own last words are the last error and the hint behind it.
    let mut last = None;
    let mut hint = None;
    for line in output.lines().filter(|line| !line.trim().is_empty()) {
        match line.strip_prefix("hint: ") {
            Some(text) => hint = Some(text.to_owned()),
            None => {
                last = Some(line.strip_prefix("error: ").unwrap_or(line));
                hint = None;
            }
        }
    }
    ClientError::Start {
        why: match last {
            Some(line) => line
                .strip_prefix("running the daemon: ")
                .unwrap_or(line)
                .to_owned(),
            None => "it ended at once and said nothing".to_owned(),
        },
        hint,
    }
}

fn not_started(why: String) -> ClientError {
    ClientError::Start { why, hint: None }
}

/// The program that runs now, or what was installed in its place since.
///
/// # Errors
/// The system does not say.
pub fn own_program() -> io::Result<std::path::PathBuf> {
    let path = std::env::current_exe()?;
    // So Linux says that the file was replaced; the new one is what is meant.
    let replaced = path
        .to_str()
        .and_then(|path| path.strip_suffix(" (deleted)"))
        .map(std::path::PathBuf::from);
    Ok(replaced.unwrap_or(path))
}

/// What the daemon writes outside its log, in the directory of the logs.
const OUTPUT: &str = "daemon.out";

/// Starts the daemon as a program of its own that outlives us.
fn start_daemon(paths: &Paths) -> Result<u32, ClientError> {
    let failed = not_started;
    let program =
        own_program().map_err(|error| failed(format!("finding this program: {error}")))?;
    let logs = paths.logs();
    make_private(&logs).map_err(|error| failed(format!("creating {}: {error}", logs.display())))?;
    let home = (
        claustre_protocol::hook::HOME_VARIABLE.into(),
        paths.home().as_os_str().to_owned(),
    );
    crate::adapters::process::spawn_detached(
        &program,
        &["daemon".into(), "run".into()],
        &[home],
        Some(&logs.join(OUTPUT)),
    )
    .map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
