//! The benchmarks: every budget of the design, each with its own floor measured in the same run.
//!
//! Nothing that is printed was measured anywhere else. Everything runs in environments of its own, which end with it.
//!
//! | module | measures |
//! |---|---|
//! | [`hook`] | the whole process of `claustre hook` |
//! | [`append`] | durable appends, alone and in groups |
//! | [`replay`] | rebuilding the projections, and the start of the store |
//! | [`large`] | memory and questions with many sessions and tasks |
//! | [`idle`] | what sleeping sessions cost, and the memory of a launcher |
//! | [`dashboard`] | hook and key to what is seen, the plugin itself |
//! | [`launch`] | a request until the client runs |
//! | [`flood`] | a person's call while sessions report as fast as they can |

pub mod append;
pub mod client_stand_in;
pub mod dashboard;
pub mod fleet;
pub mod flood;
pub mod hook;
pub mod idle;
pub mod large;
pub mod launch;
pub mod processes;
pub mod replay;
pub mod report;
pub mod sample;
pub mod stage;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use self::report::Report;

const HELP: &str = "\
claustre-bench [--quick] [--strict] [--list] [NAME]..

  --quick     smaller numbers, under two minutes in all
  --strict    exit code 1 where a budget is missed or could not be measured
  --list      print the names of the benchmarks
  NAME        run only these
";

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Scale {
    pub hooks: usize,
    pub appends: usize,
    pub group_appends: usize,
    pub events: usize,
    pub tasks: usize,
    pub sessions: usize,
    pub queries: usize,
    pub launchers: usize,
    pub idle: Duration,
    pub repaints: usize,
    pub keys: usize,
    pub pipe_lines: usize,
    pub launches: usize,
}

impl Scale {
    fn full() -> Self {
        Self {
            hooks: 400,
            appends: 2_000,
            group_appends: 64_000,
            events: 1_000_000,
            tasks: 100_000,
            sessions: 1_000,
            queries: 400,
            launchers: 50,
            idle: Duration::from_secs(60),
            repaints: 200,
            keys: 200,
            pipe_lines: 10_000,
            launches: 20,
        }
    }

    fn quick() -> Self {
        Self {
            hooks: 300,
            appends: 500,
            group_appends: 16_000,
            events: 100_000,
            idle: Duration::from_secs(10),
            repaints: 60,
            keys: 60,
            ..Self::full()
        }
    }
}

type Bench = fn(&mut Report, &Scale) -> Result<()>;

const ALL: [(&str, Bench); 8] = [
    ("hook", hook::run),
    ("append", append::run),
    ("replay", replay::run),
    ("large", large::run),
    ("idle", idle::run),
    ("dashboard", dashboard::run),
    ("launch", launch::run),
    ("flood", flood::run),
];

/// Runs what the command line asks for.
#[must_use]
pub fn main() -> ExitCode {
    if client_stand_in::is_called() {
        return client_stand_in::run();
    }
    let (mut quick, mut strict, mut names) = (false, false, Vec::new());
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--quick" => quick = true,
            "--strict" => strict = true,
            "--list" => {
                for (name, _) in ALL {
                    println!("{name}");
                }
                return ExitCode::SUCCESS;
            }
            name if ALL.iter().any(|(known, _)| *known == name) => names.push(name.to_owned()),
            "-h" | "--help" => {
                print!("{HELP}");
                return ExitCode::SUCCESS;
            }
            other => {
                eprintln!("claustre-bench: unknown argument {other}\n\n{HELP}");
                return ExitCode::from(2);
            }
        }
    }
    let scale = if quick { Scale::quick() } else { Scale::full() };
    let mut report = Report::default();
    let begun = Instant::now();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    for (name, bench) in ALL {
        if !names.is_empty() && !names.iter().any(|wanted| wanted == name) {
            continue;
        }
        eprintln!("measuring {name} ...");
        let measured =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| bench(&mut report, &scale)));
        match measured {
            Ok(Ok(())) => {}
            Ok(Err(error)) => report.skip(name, "-", format!("{error:#}")),
            // The equipment panics where something does not come up; the other benchmarks go on.
            Err(_) => report.skip(name, "-", "the equipment failed, as said above"),
        }
    }
    report.print_table();
    let path = PathBuf::from("target/bench.json");
    let about = json!({"quick": quick, "seconds": begun.elapsed().as_secs_f64(), "load_at_start": load.trim(),
        "processors": std::thread::available_parallelism().map_or(0, usize::from),
        "kernel": rustix::system::uname().release().to_string_lossy(),
        "build": if cfg!(debug_assertions) { "debug" } else { "release" }});
    println!(
        "\nload average at the start {}, {:.0} s, written to {}",
        load.trim(),
        begun.elapsed().as_secs_f64(),
        path.display()
    );
    if cfg!(debug_assertions) {
        println!("this is a debug build: its numbers say nothing");
    }
    if let Err(error) = report.write(&path, &about) {
        eprintln!("claustre-bench: error: writing {}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    if strict && (report.missed() || !report.complete()) {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
