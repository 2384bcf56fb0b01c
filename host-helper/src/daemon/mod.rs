//! The daemon's composition root: the only place that knows all parts. It takes the lock, opens the store, starts the writer and the
//! reports' thread, brings the log in line with the host, serves, and ends in order.

mod links;
mod lock;
mod logs;
mod needs;
mod showing;
mod spool;
mod supervise;
mod tokens;
mod upkeep;
mod watch;

use std::{
    io,
    sync::{
        Arc, OnceLock,
        mpsc::{self, SyncSender},
    },
    thread,
    time::Duration,
};

use anyhow::Context as _;
use claustre_protocol::{dashboard::DashboardUpdate, link::DashboardSettings};
use tokio::{
    net::UnixListener,
    runtime::Handle,
    signal::unix::{SignalKind, signal},
    sync::{broadcast, mpsc as channel, watch as watched},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    links::Dashboards,
    lock::DaemonLock,
    showing::Showing,
    spool::{Daemon, Spool},
    tokens::Tokens,
};
use crate::{
    adapters::{
        claude::{
            conversation::ClaudeConversations,
            monitor::{ClaudeAgent, ClaudeHost},
            prices::{Price, PriceTable},
        },
        git::{Git, KeepLimits},
        host::{SystemHost, SystemWaits},
        launchers::SessionLaunchers,
        notify::{NotifySettings, ProcessNotifier},
        scripts::{ScriptRunner, ScriptSettings},
        workspace::{GitWorkspace, WorkspaceSettings},
        zellij::{LinkEvent, LinkKey, Links, Zellij, ZellijMultiplexer, port::ZellijPort},
    },
    config::{ClaudeMd, Config},
    engine::{
        Advanced, Engine, Order, Parts, ReaderPool, StoreHealth, Writer, boot,
        effects::Effects,
        live, marks, outbox, recount,
        reports::{self, Input, Nudge},
        starting, writer,
    },
    limited::Limited,
    paths::Paths,
    ports::{Agent, Host, Launchers, Multiplexer, Waits, Workspace},
    server::{
        admission::Limits,
        agents::Agents,
        api::{Api, Defaults},
        mcp,
        socket::Server,
    },
    store::{Reader, Store},
};

/// Orders that may wait for the writer.
const WAITING_ORDERS: usize = 4_096;
/// Of them, those of people, which are taken first.
const WAITING_ORDERS_OF_PEOPLE: usize = 256;
/// Reports that may wait to be understood.
const WAITING_REPORTS: usize = 4_096;
/// Transactions that a slow listener may miss before it must look at the log.
const WAITING_NEWS: usize = 4_096;
/// How long an orderly end may take.
const LAST_MOMENT: Duration = Duration::from_secs(5);

/// Serves this home until told to end.
///
/// # Errors
/// Another daemon serves it, or its store or sockets cannot be had.
pub fn run(paths: &Paths, config: &Config) -> anyhow::Result<()> {
    config.check_keys()?;
    let lock = lock::take(paths)?;
    lock::private_directory(&paths.logs())?;
    // There from the start, so that it can be watched: who writes the first report should not have to wait to be found.
    lock::private_directory(&paths.spool())?;
    logs::start(&paths.logs())
        .with_context(|| format!("writing logs to {}", paths.logs().display()))?;
    tracing::info!(build = claustre_protocol::BUILD, home = %paths.home().display(), "the daemon starts");
    let open_files = crate::adapters::process::raise_file_limit();
    tracing::info!(open_files, "files that may be open at once");
    let ended_in_order = upkeep::ended_in_order(paths);
    let store = Store::open(&paths.store(), uuid::Uuid::new_v4)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(16)
        .thread_keep_alive(Duration::from_secs(10))
        .build()
        .context("starting the daemon's runtime")?;
    let limits = Limits::sharing(open_files);
    let result = runtime.block_on(serve(paths, config, &lock, store, limits, !ended_in_order));
    runtime.shutdown_timeout(LAST_MOMENT);
    if matches!(result, Ok(End::InOrder)) {
        upkeep::leave_word(paths);
    }
    tracing::info!("the daemon ended");
    result.map(|_| ())
}

/// What to do about an error of [`run`], where it is known.
pub fn hint(error: &anyhow::Error) -> Option<String> {
    if let Some(error) = error.downcast_ref::<lock::LockError>() {
        return Some(error.hint());
    }
    let error = error.downcast_ref::<crate::store::StoreError>()?;
    error.hint().map(str::to_owned)
}

/// How serving ended.
enum End {
    /// The store was closed as it should be.
    InOrder,
    /// The store is damaged, or was not closed: the next start looks at it.
    InDoubt,
}

async fn serve(
    paths: &Paths,
    config: &Config,
    lock: &DaemonLock,
    store: Store,
    limits: Limits,
    is_to_be_checked: bool,
) -> anyhow::Result<End> {
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    let host: Arc<dyn Host> = Arc::new(SystemHost);
    let started_at = host.now();
    let own = std::env::current_exe().context("finding this program")?;
    let own_program = own.clone();

    // The writer.
    let (work, orders) = channel::channel(WAITING_ORDERS);
    let (first, of_people) = channel::channel(WAITING_ORDERS_OF_PEOPLE);
    let (advanced, _) = broadcast::channel::<Advanced>(WAITING_NEWS);
    let (position_sender, position) = watched::channel(store.position());
    let machine = store.machine();
    let waits: Arc<dyn Waits> = Arc::new(SystemWaits::default());
    let health = Arc::new(StoreHealth::default());
    let store_path = paths.store();
    let writing = Writer::new(
        store,
        advanced.clone(),
        position_sender,
        host.clone(),
        waits.clone(),
        health.clone(),
    );
    // Without its threads a daemon would take orders and never answer them: where one ends by itself, all of it ends.
    let broken = CancellationToken::new();
    let writer = indispensable("writer", &broken, move || {
        let ended = writer::run(writing, writer::Inbox { orders, of_people });
        if let Err(error) = &ended {
            tracing::error!(%error, "the writer ended");
        }
        ended.is_ok()
    })?;

    // Zellij, whose links ask the engine for what they draw.
    let drawn: Arc<OnceLock<(Engine, u32)>> = Arc::default();
    let (link_sender, link_events) = channel::channel::<(LinkKey, LinkEvent)>(1_024);
    let zellij = Zellij::find().unwrap_or_else(|error| {
        tracing::warn!(%error, "looking for Zellij");
        Zellij::at("zellij")
    });
    let snapshot_of = drawn.clone();
    let settings = DashboardSettings {
        keys: config
            .keys
            .iter()
            .map(|(name, key)| (name.clone(), key.clone()))
            .collect(),
        ascii: config.theme.ascii,
    };
    let links = Links::new(
        zellij.clone(),
        Arc::new(move || whole_dashboard(&snapshot_of)),
        link_sender,
    );
    let links = Arc::new(links.with_settings(settings));
    let multiplexer: Arc<dyn Multiplexer> = Arc::new(ZellijPort::new(
        ZellijMultiplexer::new(zellij.clone(), links.clone(), paths.setup_journal()),
        links.clone(),
        Handle::current(),
        config.zellij.shell_beside,
    ));

    let server_of = multiplexer.clone();
    let engine = Engine::new(Parts {
        work,
        first,
        advanced,
        position,
        readers: ReaderPool::new(move || Reader::open(&store_path, machine)),
        host: host.clone(),
        waits,
        health,
        machine,
        server_of: Arc::new(move |session| server_of.server_of(session)),
    });
    let capacity = config.queue.max_sessions;
    drawn.set((engine.clone(), capacity)).ok();

    // The agent adapter, on a thread of its own.
    let workspace: Arc<dyn Workspace> = Arc::new(workspace(paths, config));
    let launchers: Arc<dyn Launchers> = Arc::new(SessionLaunchers::new(paths.clone(), own.clone()));
    let claude = ClaudeHost::from_environment(
        paths.clone(),
        own,
        config.defaults.claude.clone(),
        config.defaults.extra_args.clone(),
        prices(config),
    );
    let needed = needs::Needs::new(claude.clone());
    let conversations = Arc::new(ClaudeConversations::new(&claude));
    let (reports, inputs) = mpsc::sync_channel(WAITING_REPORTS);
    let counted = reports.clone();
    let agent = ClaudeAgent::new(claude)
        .reading_aside(move || hand_in(&counted, Input::Look))
        .context("starting to read transcripts")?;
    let registry = agent.registry();
    let nudge = Nudge::new(reports.clone());
    let for_reports = (engine.clone(), nudge.clone());
    let understanding = indispensable("reports", &broken, move || {
        reports::run(Box::new(agent), &inputs, &for_reports.1, &for_reports.0);
    })?;
    engine
        .live
        .restore(engine.read(|reader| reader.all_live()).await?);
    tasks.spawn(live::flush(engine.clone(), stop.clone()));
    tasks.spawn(forward(engine.clone(), nudge, stop.clone()));

    // What the log believes against what the host shows.
    let (known, commands) = {
        let (engine, launchers) = (engine.clone(), launchers.clone());
        tokio::task::spawn_blocking(move || boot::observe(&engine, launchers.as_ref())).await??
    };
    for session in known {
        hand_in(&reports, Input::Know(Box::new(session)));
    }
    let tokens = Arc::new(Tokens::new(paths.clone()));
    let spool = Spool::new(
        paths.spool(),
        Daemon {
            engine: engine.clone(),
            tokens: tokens.clone(),
            inputs: reports.clone(),
        },
    );
    spool.drain_at_start().await;
    engine
        .order(Order {
            commands,
            actor: "engine".into(),
            report: None,
            finishes: None,
            reply: None,
        })
        .await?;

    // What follows from events.
    let reading = tokens.clone();
    let effects = Arc::new(Effects {
        engine: engine.clone(),
        workspace: workspace.clone(),
        scripts: Arc::new(ScriptRunner::new(
            paths.clone(),
            ScriptSettings {
                setup: config.worktrees.setup.clone(),
                teardown: config.worktrees.teardown.clone(),
                limit: Duration::from_secs(u64::from(config.worktrees.script_minutes) * 60),
            },
        )),
        multiplexer: multiplexer.clone(),
        launchers: launchers.clone(),
        notifier: Arc::new(ProcessNotifier::new(NotifySettings {
            desktop: config.notifications.desktop,
            command: config.notifications.command.clone(),
        })),
        reports: reports.clone(),
        tokens: Arc::new(move |session| reading.read(session)),
        conversations,
        tracks: Default::default(),
        made: Default::default(),
    });
    tasks.spawn(outbox::run(engine.clone(), effects, stop.clone()));
    tasks.spawn(marks::run(
        engine.clone(),
        multiplexer.clone(),
        stop.clone(),
    ));
    tasks.spawn(recount::run(
        engine.clone(),
        workspace.clone(),
        stop.clone(),
    ));
    tasks.spawn(starting::run(engine.clone(), stop.clone()));
    tasks.spawn(supervise::run(
        engine.clone(),
        launchers.clone(),
        stop.clone(),
    ));
    tasks.spawn(upkeep::run(
        engine.clone(),
        paths.clone(),
        is_to_be_checked,
        stop.clone(),
    ));
    if let Some(registry) = registry {
        let looking = reports.clone();
        tasks.spawn(watch::directory(
            registry,
            move || hand_in(&looking, Input::Look),
            stop.clone(),
        ));
    }
    tasks.spawn(spool.watch(stop.clone()));

    // Front ends.
    let minting = tokens.clone();
    let showing = Arc::new(Showing::new(
        zellij,
        links.clone(),
        own_program,
        paths.zellij().join("claustre.wasm"),
    ));
    let shows = showing.clone();
    let (linking, shown_links) = (links.clone(), links.clone());
    let api = Arc::new(Api {
        engine: engine.clone(),
        workspace,
        multiplexer: multiplexer.clone(),
        launchers,
        on_panes: Limited::new("panes", 4, 12),
        paths: paths.clone(),
        defaults: Defaults {
            mode: config.defaults.mode,
            push_mode: config.defaults.push_mode,
            base: config.defaults.base.clone(),
            model: config.defaults.model.clone(),
            effort: config.defaults.effort.clone(),
            permission_mode: config.defaults.permission_mode.clone(),
        },
        max_sessions: config.queue.max_sessions,
        opening: Default::default(),
        keep_days: config.worktrees.keep_days,
        started_at,
        check_programs: Arc::new(move || needed.check()),
        stop: stop.clone(),
        mint_token: Arc::new(move |session| minting.mint(session)),
        show: Arc::new(move |session| shows.show(session)),
        link: Arc::new(move |link| {
            let key = LinkKey {
                session: link.session,
                server_pid: link.server_pid,
            };
            let link = linking.ensure(key, link.plugin);
            link.secret().reveal().to_owned()
        }),
        links: Arc::new(move || {
            shown_links
                .all()
                .iter()
                .filter(|link| link.is_up())
                .map(|link| link.key().to_string())
                .collect()
        }),
    });
    let dashboards = Arc::new(Dashboards {
        engine: engine.clone(),
        links: links.clone(),
        api: api.clone(),
        multiplexer,
        capacity,
        showing,
        adopting: Default::default(),
    });
    let drawing = dashboards.clone();
    let drawing_stop = stop.clone();
    tasks.spawn(async move { drawing.draw_changes(drawing_stop).await });
    tasks.spawn(dashboards.answer(link_events, stop.clone()));
    let checking = (engine.clone(), tokens.clone());
    let is_token: crate::server::IsToken =
        Arc::new(move |session, token: &str| checking.1.check(&checking.0, session, token));
    let agents = Arc::new(Agents::new(api.clone(), is_token.clone()));
    let mcp_listener = UnixListener::from_std(lock.bind(&paths.mcp_socket())?)?;
    tasks.spawn(mcp::socket::serve(
        mcp_listener,
        agents,
        limits,
        stop.clone(),
    ));
    let server = Arc::new(Server {
        api,
        reports: reports.clone(),
        is_token,
        limits,
    });
    let listener = UnixListener::from_std(lock.bind(&paths.daemon_socket())?)?;
    tasks.spawn(server.run(listener, stop.clone()));
    tracing::info!(position = *engine.position().borrow(), "the daemon serves");

    let is_broken = tokio::select! {
        ended = wait_for_the_end(&stop) => {
            ended?;
            false
        }
        () = broken.cancelled() => {
            stop.cancel();
            true
        }
    };
    tasks.close();
    if tokio::time::timeout(LAST_MOMENT, tasks.wait())
        .await
        .is_err()
    {
        tracing::warn!("some tasks did not end in time");
    }
    links.close();
    hand_in(&reports, Input::Stop);
    engine.end().await;
    let threads = tokio::task::spawn_blocking(move || {
        // Each logs how it ended.
        understanding.join().ok();
        writer.join().unwrap_or(false)
    });
    let is_closed = tokio::time::timeout(LAST_MOMENT, threads).await;
    if is_closed.is_err() {
        tracing::warn!("the store was not closed in order; the next start reads its journal");
    }
    let is_closed = matches!(is_closed, Ok(Ok(true)));
    anyhow::ensure!(
        !is_broken,
        "serving: a thread that nothing works without ended by itself; the log says how. The next command starts a new daemon"
    );
    Ok(if is_closed && engine.live.warning().is_none() {
        End::InOrder
    } else {
        End::InDoubt
    })
}

/// Starts a thread whose end, however it comes, cancels `broken`.
fn indispensable<T: Send + 'static>(
    name: &'static str,
    broken: &CancellationToken,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<thread::JoinHandle<T>> {
    let tells = broken.clone().drop_guard();
    thread::Builder::new().name(name.into()).spawn(move || {
        let _tells = tells;
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        tracing::info!(thread = name, in_order = done.is_ok(), "a thread ended");
        done.unwrap_or_else(|defect| std::panic::resume_unwind(defect))
    })
}

async fn wait_for_the_end(stop: &CancellationToken) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // The terminal that it was started from may go; the daemon stays.
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {}
            () = stop.cancelled() => break,
        }
    }
    tracing::info!("the daemon ends");
    stop.cancel();
    Ok(())
}

fn whole_dashboard(drawn: &OnceLock<(Engine, u32)>) -> DashboardUpdate {
    let Some((engine, capacity)) = drawn.get() else {
        return DashboardUpdate {
            reset: true,
            ..DashboardUpdate::default()
        };
    };
    engine
        .read_blocking(|reader| links::draw(engine, *capacity, reader, |drawing| drawing.whole()))
        .unwrap_or_else(|fault| {
            tracing::error!(%fault, "drawing the dashboard");
            DashboardUpdate::default()
        })
}

/// Hands something to the reports' thread; it is full only when a disk hangs, and then a look less does no harm.
fn hand_in(reports: &SyncSender<Input>, input: Input) {
    if reports.try_send(input).is_err() {
        tracing::warn!("the reports' thread is not taking anything");
    }
}

/// Tells the reports' thread what was stored.
async fn forward(engine: Engine, nudge: Nudge, stop: CancellationToken) {
    let mut advanced = engine.subscribe();
    drop(engine);
    loop {
        let received = tokio::select! {
            () = stop.cancelled() => return,
            received = advanced.recv() => received,
        };
        match received {
            Ok(advanced) => nudge.stored(advanced),
            Err(broadcast::error::RecvError::Lagged(_)) => nudge.catch_up(),
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

fn workspace(paths: &Paths, config: &Config) -> GitWorkspace {
    let settings = WorkspaceSettings {
        root: config
            .worktrees
            .root
            .clone()
            .unwrap_or_else(|| paths.worktrees()),
        copy: config.worktrees.copy.clone(),
        symlink: config.worktrees.symlink.clone(),
        keep_ignored: KeepLimits {
            file: u64::from(config.worktrees.keep_ignored_file_kib) * 1024,
            total: u64::from(config.worktrees.keep_ignored_total_mib) * 1024 * 1024,
        },
        brief_in_file: config.defaults.claude_md == ClaudeMd::File,
        ..WorkspaceSettings::new(paths)
    };
    GitWorkspace::new(Git::new(), settings, paths.claude_fragment())
        .with_trust(crate::trust::TrustStore::new(paths.trust()))
}

fn prices(config: &Config) -> PriceTable {
    PriceTable::with_overrides(config.prices.iter().map(|(model, table)| {
        let of = |name: &str| table.get(name).copied();
        let mut price =
            Price::from_input_output(of("input").unwrap_or(0.0), of("output").unwrap_or(0.0));
        if let Some(value) = of("cache_read") {
            price.cache_read = value;
        }
        if let Some(value) = of("cache_write_5m") {
            price.cache_write_5m = value;
        }
        if let Some(value) = of("cache_write_1h") {
            price.cache_write_1h = value;
        }
        (model.clone(), price)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_thread_is_noticed_however_it_comes() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        for panics in [false, true] {
            let broken = CancellationToken::new();
            let thread = indispensable("short", &broken, move || assert!(!panics, "a defect"));
            let noticed = runtime.block_on(async {
                tokio::time::timeout(Duration::from_secs(20), broken.cancelled()).await
            });
            assert!(noticed.is_ok());
            assert_eq!(thread.unwrap().join().is_err(), panics);
        }
    }
}
