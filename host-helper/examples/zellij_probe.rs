//! Drives a real Zellij through the link and prints what it sees; for trying the link by hand.
//!
//! `cargo run -p claustre --example zellij_probe -- SESSION SERVER_PID`, then lines on standard input:
//! `open NAME CWD PROGRAM [ARGUMENT]...`, `adopt PANE NAME`, `focus PANE`, `read PANE`, `write PANE TEXT`, `close PANE NAME`,
//! `rename PANE NAME`, `draw COUNT`, `latency COUNT`, `ensure`, `quit`.

#![expect(clippy::print_stdout, reason = "a program for people")]

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
};

use claustre::adapters::zellij::{
    LinkEvent, LinkKey, Links, Multiplexer, OpenSession, PanePlace, Zellij, ZellijMultiplexer,
};
use claustre_protocol::{
    dashboard::{DashboardUpdate, ProjectCard},
    ids::{ProjectId, SessionId},
    link::{PaneAction, ToPlugin},
    status::ProjectStatus,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    sync::mpsc,
};
use uuid::Uuid;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(std::env::var("RUST_LOG").unwrap_or_else(|_| "claustre=debug".to_owned()))
        .init();
    let mut arguments = std::env::args().skip(1);
    let session = arguments.next().ok_or("which session?")?;
    let server_pid: u32 = arguments.next().ok_or("which server?")?.parse()?;
    let zellij = Zellij::find()?;
    println!("version {}", zellij.version()?);
    let (events, mut received) = mpsc::channel(64);
    let position = Arc::new(AtomicI64::new(1));
    let state = Arc::clone(&position);
    let snapshot = Arc::new(move || {
        println!("snapshot");
        board(state.load(Ordering::Relaxed))
    });
    let links = Arc::new(Links::new(zellij.clone(), snapshot, events));
    let key = LinkKey {
        session: session.clone(),
        server_pid,
    };
    let link = links.ensure(key.clone(), None);
    // Something that is there: the session that is probed has the plugin.
    let is_set_up = std::env::current_exe()?;
    let screens = Arc::new(ZellijMultiplexer::new(
        zellij,
        Arc::clone(&links),
        is_set_up,
    ));
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        let line = tokio::select! {
            line = lines.next_line() => line?,
            Some((key, event)) = received.recv() => {
                println!("event {key} {event:?}");
                if let LinkEvent::Ask { instance, id, .. } = event {
                    link.send(ToPlugin::Reply { id, outcome: Ok(serde_json::json!([])) }, Some(instance))?;
                }
                continue;
            }
        };
        let Some(line) = line else { break };
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let word = |index: usize| words.get(index).cloned().unwrap_or_default();
        let pane = word(1).parse().unwrap_or_default();
        let place = PanePlace {
            session: session.clone(),
            server_pid: Some(server_pid),
            pane,
        };
        let started = Instant::now();
        let said = match word(0).as_str() {
            "open" => {
                let open = OpenSession {
                    session: SessionId::new(Uuid::from_u128(1)),
                    zellij_session: Some(session.clone()),
                    name: word(1),
                    argv: words.get(3..).unwrap_or_default().to_vec(),
                    cwd: word(2),
                    shell: true,
                };
                let screens = Arc::clone(&screens);
                // Not in this loop: events must be taken meanwhile.
                tokio::spawn(async move {
                    println!(
                        "opened {:?} {:?}",
                        screens.open_session(open).await,
                        started.elapsed()
                    )
                });
                continue;
            }
            "adopt" => format!(
                "{:?}",
                link.act(PaneAction::AdoptPanes {
                    panes: vec![(pane, word(2))]
                })
                .await
            ),
            "focus" => format!("{:?}", screens.focus(place).await),
            "read" => format!("{:?}", screens.read(place).await),
            "write" => format!(
                "{:?}",
                screens
                    .write(
                        place,
                        (words.get(2..).unwrap_or_default().join(" ") + "\r").into_bytes()
                    )
                    .await
            ),
            "close" => {
                let session = word(3).parse().unwrap_or(SessionId::new(Uuid::nil()));
                format!("{:?}", screens.close(session, place, word(2)).await)
            }
            "rename" => format!("{:?}", screens.rename(place, word(2), String::new()).await),
            "linkclose" => format!(
                "{:?}",
                link.act(PaneAction::CloseTab {
                    pane,
                    name: word(2)
                })
                .await
            ),
            "linkrename" => format!(
                "{:?}",
                link.act(PaneAction::RenameTab {
                    pane,
                    name: word(2)
                })
                .await
            ),
            "draw" => {
                for _ in 0..pane {
                    let next = position.fetch_add(1, Ordering::Relaxed) + 1;
                    links.to_all(&board(next));
                }
                "drawn".to_owned()
            }
            "latency" => {
                let mut millis = Vec::new();
                for _ in 0..pane {
                    let started = Instant::now();
                    drop(link.act(PaneAction::AdoptPanes { panes: Vec::new() }).await);
                    millis.push(started.elapsed().as_secs_f64() * 1e3);
                }
                for chunk in millis.chunks(500) {
                    let mut sorted = chunk.to_vec();
                    sorted.sort_by(f64::total_cmp);
                    let at = |share: usize| {
                        sorted
                            .get(sorted.len() * share / 100)
                            .copied()
                            .unwrap_or_default()
                    };
                    println!(
                        "of {}: p50 {:.2} ms, p99 {:.2} ms",
                        sorted.len(),
                        at(50),
                        at(99)
                    );
                }
                "measured".to_owned()
            }
            "ensure" => {
                links.ensure(key.clone(), None);
                "ensured".to_owned()
            }
            "quit" => break,
            other => format!("what is {other}?"),
        };
        println!("{line}: {said} {:?}", started.elapsed());
    }
    links.close();
    drop(link);
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    Ok(())
}

/// A board with one project, named for its position.
fn board(position: i64) -> DashboardUpdate {
    DashboardUpdate {
        position,
        projects: vec![ProjectCard {
            id: ProjectId::new(Uuid::from_u128(7)),
            name: format!("project-{position}"),
            status: ProjectStatus::Active,
            goal: "g".repeat(200),
            repo_path: "/r".to_owned(),
            default_branch: "main".to_owned(),
            tasks: Default::default(),
        }],
        ..DashboardUpdate::default()
    }
}
