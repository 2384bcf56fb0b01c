//! The children that carry a link's lines, and their life: opened, watched, ended, opened again after a pause.

use std::{
    collections::HashMap,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use claustre_protocol::{
    link::{
        ActionResult, DashboardSettings, MAX_UP_LINE, Opening, PIPE_FROM_PLUGIN, PIPE_TO_PLUGIN,
        SECRET_DIGITS, seal,
    },
    request::PluginAddress,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    sync::{mpsc, oneshot},
    time::{sleep, timeout},
};

use super::{
    LinkError, LinkEvent, LinkKey, Order, Secret, SnapshotSource,
    core::{Core, Out},
};
use crate::adapters::{
    process::{PipedChild, ProcessError},
    zellij::{cli::Zellij, election::SILENCE_MILLIS},
};

/// Lines that may wait for the pipe. More waiting means that the plugin hangs.
const LINES: usize = 512;
/// Between the first two connections; doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A plugin that waits for the user's permission does not answer.
const FIRST_ANSWER_MILLIS: u64 = 20_000;
/// For the plugin to hear that the pipe ends.
const FAREWELL: Duration = Duration::from_millis(200);
/// Where the system has no descriptor of a process, it is looked for so often.
const LOOK: Duration = Duration::from_secs(1);

/// All that a link needs.
pub(super) struct Connection {
    pub(super) zellij: Zellij,
    pub(super) key: LinkKey,
    pub(super) plugin: Option<PluginAddress>,
    pub(super) snapshot: SnapshotSource,
    pub(super) settings: DashboardSettings,
    pub(super) secret: Secret,
    pub(super) events: mpsc::Sender<(LinkKey, LinkEvent)>,
    pub(super) behind: Arc<AtomicBool>,
    pub(super) up: Arc<AtomicBool>,
    pub(super) attached: Arc<AtomicBool>,
}

/// Why a connection ended.
enum End {
    /// Open another.
    Broken(&'static str),
    /// The server is gone.
    ServerGone,
    /// Nobody gives orders any more.
    Closed,
}

/// One pair of children.
struct Pipes {
    /// Daemon → plugin.
    down: PipedChild,
    /// Plugin → daemon.
    up: PipedChild,
    lines: mpsc::Sender<String>,
    heard: mpsc::Receiver<String>,
}

type Waiting = HashMap<u64, oneshot::Sender<Result<ActionResult, LinkError>>>;

impl Connection {
    /// Runs until the server or the registry is gone.
    pub(super) async fn run(self, mut orders: mpsc::Receiver<Order>) {
        let started = Instant::now();
        let mut core = Core::new(
            self.key.server_pid,
            self.settings.clone(),
            self.secret.clone(),
        );
        let mut waiting = Waiting::new();
        let mut pause = FIRST_PAUSE;
        let mut epoch = 0;
        let server = Server::watch(self.key.server_pid);
        tracing::info!(link = %self.key, "link opened");
        loop {
            if server.is_gone() {
                break;
            }
            epoch += 1;
            let opened = Instant::now();
            let end = match self.open(epoch).await {
                Ok(pipes) => {
                    core.opened(epoch, millis(started));
                    self.serve(
                        pipes,
                        &server,
                        &mut core,
                        &mut orders,
                        &mut waiting,
                        started,
                    )
                    .await
                }
                Err(error) => {
                    tracing::debug!(link = %self.key, %error, "the pipes cannot be opened");
                    End::Broken("the pipes cannot be opened")
                }
            };
            let was_up = core.is_up();
            let mut out = Vec::new();
            core.broke(&mut out);
            self.carry_out(out, &mut core, None, &mut waiting).await;
            let why = match end {
                End::Broken(why) => why,
                End::ServerGone | End::Closed => break,
            };
            tracing::debug!(link = %self.key, why, "connection ended");
            if was_up && opened.elapsed() > LONGEST_PAUSE {
                pause = FIRST_PAUSE;
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = server.gone() => break,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        let mut out = Vec::new();
        core.ended(&mut out);
        self.carry_out(out, &mut core, None, &mut waiting).await;
        self.tell(LinkEvent::Gone).await;
        tracing::info!(link = %self.key, "link closed");
    }

    async fn open(&self, epoch: u64) -> Result<Pipes, ProcessError> {
        let pipe = |name| {
            self.zellij
                .pipe(&self.key.session, self.plugin.as_ref(), name)
                // The one that carries the plugin's lines reads nothing and would outlive a daemon that is killed; with a server that
                // is killed as well it would spin for ever.
                .ends_with_us()
                .spawn_piped()
        };
        let mut up = pipe(PIPE_FROM_PLUGIN)?;
        let mut down = pipe(PIPE_TO_PLUGIN)?;
        let (heard_sender, heard) = mpsc::channel(LINES);
        let (lines, mut line_receiver) = mpsc::channel::<String>(LINES);
        if let Some(stdout) = up.stdout.take() {
            tokio::spawn(async move {
                let mut reader = BufReader::new(stdout);
                while let Some(line) = read_line(&mut reader).await {
                    if heard_sender.send(line).await.is_err() {
                        break;
                    }
                }
            });
        }
        if let Some(stdin) = up.stdin.as_mut() {
            let opening = serde_json::to_string(&Opening { epoch }).unwrap_or_default();
            let opening = seal(self.secret.reveal(), &opening) + "\n";
            // A child that ended already is noticed by its end.
            stdin.write_all(opening.as_bytes()).await.ok();
            stdin.flush().await.ok();
        }
        if let Some(mut stdin) = down.stdin.take() {
            tokio::spawn(async move {
                while let Some(line) = line_receiver.recv().await {
                    if stdin.write_all(line.as_bytes()).await.is_err()
                        || stdin.flush().await.is_err()
                    {
                        break;
                    }
                }
                // Dropping it tells the plugin that the pipe ended.
            });
        }
        if let Some(mut stdout) = down.stdout.take() {
            // Nothing comes here, but a full pipe would stop the child.
            tokio::spawn(async move {
                let mut sink = [0_u8; 1024];
                while stdout.read(&mut sink).await.is_ok_and(|read| read > 0) {}
            });
        }
        Ok(Pipes {
            down,
            up,
            lines,
            heard,
        })
    }

    async fn serve(
        &self,
        mut pipes: Pipes,
        server: &Server,
        core: &mut Core,
        orders: &mut mpsc::Receiver<Order>,
        waiting: &mut Waiting,
        started: Instant,
    ) -> End {
        loop {
            let now = millis(started);
            let mut out = Vec::new();
            core.tick(now, &mut out);
            if self.behind.swap(false, Ordering::Relaxed) {
                core.refresh(&mut out);
            }
            if !self.carry_out(out, core, Some(&pipes.lines), waiting).await {
                return End::Broken("the plugin takes no more lines");
            }
            // A ping goes out at the first silence; a second one means that the pipes lead nowhere.
            let longest = if core.was_up() {
                2 * SILENCE_MILLIS
            } else {
                FIRST_ANSWER_MILLIS
            };
            if core.silence(now) > longest {
                return End::Broken("the plugin is silent");
            }
            let mut out = Vec::new();
            tokio::select! {
                line = pipes.heard.recv() => match line {
                    Some(line) => core.line(&line, millis(started), &mut out),
                    None => return End::Broken("the plugin's pipe ended"),
                },
                order = orders.recv() => match order {
                    Some(order) => self.take(order, core, waiting, millis(started), &mut out),
                    None => {
                        farewell(pipes).await;
                        return End::Closed;
                    }
                },
                () = sleep(Duration::from_millis(core.next_tick(now))) => {}
                ended = pipes.down.wait() => {
                    tracing::debug!(link = %self.key, ?ended, said = pipes.down.stderr_tail(), "the pipe to the plugin ended");
                    return End::Broken("the pipe to the plugin ended");
                }
                ended = pipes.up.wait() => {
                    tracing::debug!(link = %self.key, ?ended, said = pipes.up.stderr_tail(), "the pipe from the plugin ended");
                    return End::Broken("the pipe from the plugin ended");
                }
                // The children of a server that was killed spin for ever: they are ended by being dropped.
                () = server.gone() => return End::ServerGone,
            }
            if !self.carry_out(out, core, Some(&pipes.lines), waiting).await {
                return End::Broken("the plugin takes no more lines");
            }
        }
    }

    fn take(
        &self,
        order: Order,
        core: &mut Core,
        waiting: &mut Waiting,
        now: u64,
        out: &mut Vec<Out>,
    ) {
        match order {
            Order::Say(target, body) => core.say(target, body, out),
            Order::Act { what, by, reply } => {
                let action = core.act(what, by, now, out);
                waiting.insert(action, reply);
            }
            Order::Draw(update) => core.dashboard(update),
            Order::Greet => core.ping(now, out),
        }
    }

    /// False where the lines cannot be sent.
    async fn carry_out(
        &self,
        out: Vec<Out>,
        core: &mut Core,
        lines: Option<&mpsc::Sender<String>>,
        waiting: &mut Waiting,
    ) -> bool {
        let mut sent = true;
        let mut queue = std::collections::VecDeque::from(out);
        while let Some(out) = queue.pop_front() {
            match out {
                Out::Line(line) => sent &= lines.is_none_or(|lines| lines.try_send(line).is_ok()),
                Out::Event(event) => self.tell(event).await,
                Out::Finished { action, outcome } => {
                    if let Some(sender) = waiting.remove(&action) {
                        // Whoever ordered it may have stopped waiting.
                        sender.send(outcome).ok();
                    }
                }
                Out::Snapshot { instance } => {
                    let mut more = Vec::new();
                    core.snapshot(&instance, (self.snapshot)(), &mut more);
                    // Before what follows, so that the numbers stay in order.
                    for out in more.into_iter().rev() {
                        queue.push_front(out);
                    }
                }
            }
        }
        sent
    }

    async fn tell(&self, event: LinkEvent) {
        match event {
            LinkEvent::Up => self.up.store(true, Ordering::Relaxed),
            LinkEvent::Down | LinkEvent::Gone => self.up.store(false, Ordering::Relaxed),
            LinkEvent::ClientsChanged { ref clients } => {
                self.attached.store(!clients.is_empty(), Ordering::Relaxed)
            }
            LinkEvent::Ask { .. }
            | LinkEvent::PaneClosed { .. }
            | LinkEvent::VisibleChanged { .. } => {}
        }
        // Without a receiver the daemon is ending.
        self.events.send((self.key.clone(), event)).await.ok();
    }
}

/// Lets the plugin hear that the pipe ends, then ends the children.
async fn farewell(pipes: Pipes) {
    let Pipes {
        mut down,
        up,
        lines,
        ..
    } = pipes;
    drop(lines);
    timeout(FAREWELL, down.wait()).await.ok();
    drop(up);
}

/// One line without its end; none at the end of the stream. A line that is too long ends the stream.
async fn read_line<Reader: tokio::io::AsyncBufRead + Unpin>(reader: &mut Reader) -> Option<String> {
    let mut line = Vec::new();
    let limit = u64::try_from(MAX_UP_LINE + SECRET_DIGITS + 2).unwrap_or(u64::MAX);
    let read = reader.take(limit).read_until(b'\n', &mut line).await.ok()?;
    if read == 0 || line.last() != Some(&b'\n') {
        return None;
    }
    line.pop();
    Some(String::from_utf8_lossy(&line).into_owned())
}

/// Watches a server that is no child of ours.
struct Server {
    pid: u32,
    #[cfg(target_os = "linux")]
    descriptor: Option<tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>>,
}

impl Server {
    fn watch(pid: u32) -> Self {
        #[cfg(target_os = "linux")]
        let descriptor = process_id(pid)
            .and_then(|pid| {
                rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()
            })
            .and_then(|descriptor| {
                #[expect(
                    unsafe_code,
                    reason = "tokio cannot see that the descriptor stays open and the same"
                )]
                // SAFETY: an `OwnedFd` names the same open file until it is dropped, and the `AsyncFd` owns it.
                let registered = unsafe {
                    tokio::io::unix::AsyncFd::register_with_interest(
                        descriptor,
                        tokio::io::Interest::READABLE,
                    )
                };
                registered.ok()
            });
        Self {
            pid,
            #[cfg(target_os = "linux")]
            descriptor,
        }
    }

    fn is_gone(&self) -> bool {
        process_id(self.pid).is_none_or(|pid| {
            matches!(
                rustix::process::test_kill_process(pid),
                Err(rustix::io::Errno::SRCH)
            )
        })
    }

    /// Returns when it is gone.
    async fn gone(&self) {
        #[cfg(target_os = "linux")]
        if let Some(descriptor) = &self.descriptor {
            match descriptor.readable().await {
                Ok(_ready) => return,
                Err(_) => pending::<()>().await,
            }
        }
        while !self.is_gone() {
            sleep(LOOK).await;
        }
    }
}

fn process_id(pid: u32) -> Option<rustix::process::Pid> {
    i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw)
}

fn millis(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
}
