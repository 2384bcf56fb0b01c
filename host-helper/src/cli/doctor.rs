//! `claustre doctor`.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Args;
use claustre_protocol::request::{DaemonStatus, Nothing, Request};
use serde::Serialize;

use super::{Context, error::CliError, ui::Column};
use crate::{
    adapters::process::Invocation,
    client::{Client, is_held},
    config,
    paths::{LONGEST_SOCKET_PATH, Paths},
};

/// Reports in the spool that a daemon would long have taken.
const SPOOL_MANY: usize = 100;
/// Oldest SQLite that is safe with several connections in WAL mode.
const SQLITE_LEAST: (u32, u32, u32) = (3, 51, 3);
/// Time a program has to say its version.
const VERSION_LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Mend what can be mended without losing anything: create directories, take permissions away from others.
    #[arg(long)]
    fix: bool,
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Works, but look at it.
    Warning,
    /// Does not work.
    Bad,
}

/// One check with what it found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// What was found.
    pub verdict: Verdict,
    /// In words.
    pub detail: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Finding {
    /// As it should be.
    pub fn good(check: &'static str, detail: impl Into<String>) -> Self {
        Self {
            check,
            verdict: Verdict::Good,
            detail: detail.into(),
            hint: None,
        }
    }
    /// Works, but look at it.
    pub fn warning(
        check: &'static str,
        detail: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            check,
            verdict: Verdict::Warning,
            detail: detail.into(),
            hint: Some(hint.into()),
        }
    }
    /// Does not work.
    pub fn bad(check: &'static str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            check,
            verdict: Verdict::Bad,
            detail: detail.into(),
            hint: Some(hint.into()),
        }
    }
}

pub fn run(context: &mut Context, args: DoctorArgs) -> Result<ExitCode, CliError> {
    if args.fix {
        mend(&context.paths);
    }
    let paths = &context.paths;
    // One line each: further checks are added here.
    let findings: Vec<Finding> = [
        configuration(paths),
        private("home", paths.home()),
        private("run", &paths.run()),
        socket_path(paths),
        file_system(paths.home()),
        sqlite(),
        spool(&paths.spool()),
        daemon(paths),
        program("git", "git", &["--version"], "install git"),
        program(
            "zellij",
            "zellij",
            &["--version"],
            "install Zellij 0.45 or newer",
        ),
        claude(paths),
    ]
    .into();
    report(context, &findings)?;
    let bad = findings
        .iter()
        .any(|finding| finding.verdict == Verdict::Bad);
    Ok(if bad {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn report(context: &Context, findings: &[Finding]) -> Result<(), CliError> {
    if context.ui.json {
        return context.ui.json(findings);
    }
    let rows: Vec<Vec<String>> = findings
        .iter()
        .map(|finding| {
            let mark = match finding.verdict {
                Verdict::Good => "ok",
                Verdict::Warning => "look",
                Verdict::Bad => "BAD",
            };
            let hint = finding
                .hint
                .as_ref()
                .map(|hint| format!(" (hint: {hint})"))
                .unwrap_or_default();
            vec![
                mark.to_owned(),
                finding.check.to_owned(),
                format!("{}{hint}", finding.detail),
            ]
        })
        .collect();
    // Nothing is cut here: what is wrong must be readable.
    let ui = super::ui::Ui {
        width: None,
        ..context.ui
    };
    ui.table(&["", "CHECK", "FOUND"].map(Column::Left), &rows)
}

/// What `--fix` does.
fn mend(paths: &Paths) {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    for directory in [
        paths.home().to_path_buf(),
        paths.run(),
        paths.spool(),
        paths.sessions(),
        paths.logs(),
    ] {
        // What cannot be mended is found by the checks that follow.
        drop(
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&directory),
        );
        let ours = fs::symlink_metadata(&directory).is_ok_and(|found| {
            found.is_dir() && found.uid() == rustix::process::geteuid().as_raw()
        });
        if ours {
            drop(fs::set_permissions(
                &directory,
                fs::Permissions::from_mode(0o700),
            ));
        }
    }
}

fn configuration(paths: &Paths) -> Finding {
    let check = "configuration";
    match config::load(paths) {
        Ok(loaded) => match loaded.warnings.first() {
            None => Finding::good(check, paths.config().display().to_string()),
            Some(warning) => Finding::warning(check, warning.to_string(), "claustre config check"),
        },
        Err(error) => Finding::bad(check, error.to_string(), "mend the line it names"),
    }
}

/// Ours, a real directory, and nobody else's business.
fn private(check: &'static str, directory: &Path) -> Finding {
    let path = directory.display();
    let found = match fs::symlink_metadata(directory) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Finding::warning(check, format!("{path} is not there yet"), "claustre init");
        }
        Err(error) => {
            return Finding::bad(check, format!("{path}: {error}"), "claustre doctor --fix");
        }
    };
    let mode = found.mode() & 0o777;
    if !found.is_dir() {
        Finding::bad(
            check,
            format!("{path} is not a directory of its own"),
            "move it away",
        )
    } else if found.uid() != rustix::process::geteuid().as_raw() {
        Finding::bad(
            check,
            format!("{path} belongs to user {}", found.uid()),
            "set CLAUSTRE_HOME to a directory of yours",
        )
    } else if mode & 0o077 != 0 {
        Finding::bad(
            check,
            format!("{path} is open to others ({mode:o})"),
            "claustre doctor --fix",
        )
    } else {
        Finding::good(check, format!("{path}, {mode:o}"))
    }
}

fn socket_path(paths: &Paths) -> Finding {
    let length = paths.daemon_socket().as_os_str().len();
    Finding::good(
        "socket path",
        format!("{length} of {LONGEST_SOCKET_PATH} bytes"),
    )
}

/// SQLite's log needs memory shared between processes, which no network file system gives.
fn file_system(home: &Path) -> Finding {
    let check = "file system";
    let there = home
        .ancestors()
        .find(|path| path.exists())
        .unwrap_or(Path::new("/"));
    #[cfg(target_os = "linux")]
    match rustix::fs::statfs(there) {
        Ok(found) => {
            let kind = u32::try_from(found.f_type & 0xffff_ffff).unwrap_or(0);
            let network = match kind {
                0x6969 => "NFS",
                0x517b | 0xff53_4d42 | 0xfe53_4d42 => "SMB",
                0x0102_1997 => "9p",
                0x0000_5346_414f | 0x6b41_4653 => "AFS",
                0x00c3_6400 => "Ceph",
                _ => return Finding::good(check, format!("local ({kind:#x})")),
            };
            Finding::bad(
                check,
                format!("{} is on {network}", there.display()),
                "set CLAUSTRE_HOME to a local disk",
            )
        }
        Err(error) => Finding::warning(
            check,
            format!("{}: {error}", there.display()),
            "look at the disk",
        ),
    }
    #[cfg(not(target_os = "linux"))]
    Finding::good(check, format!("{}", there.display()))
}

fn sqlite() -> Finding {
    let version = rusqlite::version();
    let mut parts = version
        .split('.')
        .map(|part| part.parse::<u32>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    let number = (next(), next(), next());
    if number >= SQLITE_LEAST {
        Finding::good("sqlite", version)
    } else {
        Finding::bad(
            "sqlite",
            format!("{version} has known faults"),
            "build with SQLite 3.51.3 or newer",
        )
    }
}

fn spool(directory: &Path) -> Finding {
    let check = "spool";
    let Ok(entries) = fs::read_dir(directory) else {
        return Finding::good(check, "empty");
    };
    match entries.count() {
        0 => Finding::good(check, "empty"),
        waiting @ 1..SPOOL_MANY => {
            Finding::good(check, format!("{waiting} reports wait for a daemon"))
        }
        waiting => Finding::warning(
            check,
            format!("{waiting} reports wait for a daemon"),
            "claustre daemon start",
        ),
    }
}

/// Only looks: a doctor starts nothing.
fn daemon(paths: &Paths) -> Finding {
    let check = "daemon";
    let begun = Instant::now();
    match Client::connect(paths, "cli") {
        Ok(mut client) => match client.call::<DaemonStatus>(Request::DaemonStatus(Nothing {})) {
            Ok(status) => Finding::good(
                check,
                format!(
                    "{}, process {}, store at {}, answered in {:.1} ms",
                    status.build,
                    status.pid,
                    status.position,
                    begun.elapsed().as_secs_f64() * 1000.0
                ),
            ),
            Err(error) => Finding::bad(check, error.to_string(), "claustre daemon restart"),
        },
        Err(_) if !is_held(&paths.daemon_lock()) => {
            Finding::good(check, "does not run; it is started when it is needed")
        }
        Err(error) => Finding::bad(check, error.to_string(), "claustre daemon restart"),
    }
}

fn program(check: &'static str, program: &str, arguments: &[&str], hint: &str) -> Finding {
    match Invocation::new(program)
        .args(arguments)
        .time_limit(VERSION_LIMIT)
        .run()
    {
        Ok(finished) if finished.success() => Finding::good(
            check,
            finished
                .stdout_text()
                .lines()
                .next()
                .unwrap_or_default()
                .trim(),
        ),
        Ok(finished) => Finding::bad(check, finished.into_error().to_string(), hint),
        Err(error) => Finding::bad(check, error.to_string(), hint),
    }
}

fn claude(paths: &Paths) -> Finding {
    let configured = config::load(paths)
        .ok()
        .and_then(|loaded| loaded.config.defaults.claude);
    let name = configured.map_or_else(|| "claude".to_owned(), |path| path.display().to_string());
    program(
        "claude",
        &name,
        &["--version"],
        "install Claude Code, or set defaults.claude in the configuration",
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_home_open_to_others_is_found_and_mended() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::at(directory.path().join("home")).unwrap();
        assert_eq!(private("home", paths.home()).verdict, Verdict::Warning);
        fs::create_dir(paths.home()).unwrap();
        fs::set_permissions(paths.home(), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(private("home", paths.home()).verdict, Verdict::Bad);
        mend(&paths);
        assert_eq!(private("home", paths.home()).verdict, Verdict::Good);
        assert_eq!(private("run", &paths.run()).verdict, Verdict::Good);
    }

    #[test]
    fn a_missing_program_is_said_with_what_to_do() {
        let finding = program("zellij", "/no/such/program", &[], "install it");
        assert_eq!(
            (finding.verdict, finding.hint.as_deref()),
            (Verdict::Bad, Some("install it"))
        );
    }

    #[test]
    fn the_sqlite_that_is_built_in_is_new_enough() {
        assert_eq!(sqlite().verdict, Verdict::Good);
    }
}
