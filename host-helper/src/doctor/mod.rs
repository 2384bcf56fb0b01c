//! Looks whether everything that Claustre needs is there and in order. It looks only: it starts nothing and writes nothing, but for
//! what [`mend`] is asked for.

mod dashboards;
mod home;
mod log;
mod programs;

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
};

use serde::Serialize;

use crate::{
    client::{Client, is_held},
    config::{self, Config, Loaded},
    paths::Paths,
};

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Works, but look at it.
    Warn,
    /// Does not work.
    Fail,
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
    /// What to do about it; always there unless all is well.
    pub hint: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self {
            check,
            verdict: Verdict::Ok,
            detail: detail.into(),
            hint: None,
        }
    }
    fn warn(check: &'static str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            check,
            verdict: Verdict::Warn,
            detail: detail.into(),
            hint: Some(hint.into()),
        }
    }
    fn fail(check: &'static str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            check,
            verdict: Verdict::Fail,
            detail: detail.into(),
            hint: Some(hint.into()),
        }
    }
}

/// Makes all checks, in the order in which one follows from another.
#[must_use]
pub fn examine(paths: &Paths) -> Vec<Finding> {
    let loaded = config::load(paths);
    let mut findings = vec![
        home::directory("home", paths.home()),
        home::directory("run", &paths.run()),
        home::socket_path(paths),
        home::file_system(paths.home()),
        home::disk_space(paths.home()),
        configuration(paths, &loaded),
        log::sqlite(),
        log::store(paths),
        log::backups(paths),
    ];
    findings.extend(log::daemon(paths));
    findings.push(home::spool(&paths.spool()));
    findings.push(home::watches());
    findings.push(home::open_files());
    let config = loaded.map_or_else(|_| Config::default(), |loaded| loaded.config);
    findings.push(programs::git());
    findings.push(programs::zellij());
    findings.extend(programs::zellij_setup(paths, &config));
    findings.extend(dashboards::findings(paths));
    findings.extend(programs::claude(paths, &config));
    findings
}

fn configuration(paths: &Paths, loaded: &Result<Loaded, config::ConfigError>) -> Finding {
    let check = "configuration";
    match loaded {
        Err(error) => Finding::fail(check, error.to_string(), error.hint()),
        Ok(loaded) => match loaded.warnings.first() {
            Some(warning) => Finding::warn(
                check,
                warning.to_string(),
                "mend or remove that line; claustre config check names all of them",
            ),
            None if paths.config().exists() => {
                Finding::ok(check, paths.config().display().to_string())
            }
            None => Finding::ok(check, "no file; everything is at its default"),
        },
    }
}

/// Mends what can be mended without losing anything: missing directories, permissions, the socket of a dead daemon, reports that
/// nobody took. Says what it did.
pub fn mend(paths: &Paths) -> Vec<String> {
    let mut done = Vec::new();
    for directory in [
        paths.home().to_path_buf(),
        paths.run(),
        paths.spool(),
        paths.sessions(),
        paths.logs(),
    ] {
        let shown = directory.display();
        let is_new = !directory.exists();
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory);
        match made {
            Ok(()) if is_new => done.push(format!("made {shown}")),
            Ok(()) => {}
            Err(error) => done.push(format!("could not make {shown}: {error}")),
        }
        let open_to_others = fs::symlink_metadata(&directory).is_ok_and(|found| {
            found.is_dir()
                && found.uid() == rustix::process::geteuid().as_raw()
                && found.mode() & 0o077 != 0
        });
        if open_to_others {
            match fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)) {
                Ok(()) => done.push(format!("closed {shown} to others")),
                Err(error) => done.push(format!("could not close {shown} to others: {error}")),
            }
        }
    }
    done.extend(remove_dead_sockets(paths));
    done.extend(hand_in_reports(paths));
    done
}

/// The sockets of a daemon that was killed: nobody holds the lock, so nobody listens.
fn remove_dead_sockets(paths: &Paths) -> Vec<String> {
    if is_held(&paths.daemon_lock()) {
        return Vec::new();
    }
    [paths.daemon_socket(), paths.mcp_socket()]
        .into_iter()
        .filter(|socket| {
            fs::symlink_metadata(socket).is_ok_and(|found| found.file_type().is_socket())
        })
        .filter_map(|socket| match fs::remove_file(&socket) {
            Ok(()) => Some(format!("removed the dead socket {}", socket.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some(format!("could not remove {}: {error}", socket.display())),
        })
        .collect()
}

/// A daemon that starts takes in what waits in the spool.
fn hand_in_reports(paths: &Paths) -> Option<String> {
    let waiting = home::waiting_reports(&paths.spool());
    if waiting == 0 {
        return None;
    }
    Some(match Client::connect_or_start(paths, "cli") {
        Ok(_) => format!("the daemon takes in {waiting} reports that waited"),
        Err(error) => format!("could not start the daemon for {waiting} reports: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_open_to_others_is_found_and_mended() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::at(directory.path().join("home")).unwrap();
        let looked = || home::directory("home", paths.home()).verdict;
        assert_eq!(looked(), Verdict::Ok, "it is made when it is needed");
        fs::create_dir(paths.home()).unwrap();
        fs::set_permissions(paths.home(), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(looked(), Verdict::Warn);
        fs::set_permissions(paths.home(), fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(looked(), Verdict::Fail);
        let done = mend(&paths);
        assert!(
            done.contains(&format!("closed {} to others", paths.home().display())),
            "{done:?}"
        );
        assert_eq!(looked(), Verdict::Ok);
        assert_eq!(home::directory("run", &paths.run()).verdict, Verdict::Ok);
    }

    #[test]
    fn dead_sockets_go_and_living_ones_stay() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::at(directory.path()).unwrap();
        fs::create_dir(paths.run()).unwrap();
        let sockets = [paths.daemon_socket(), paths.mcp_socket()];
        for socket in &sockets {
            drop(std::os::unix::net::UnixListener::bind(socket).unwrap());
        }
        let lock = fs::File::create(paths.daemon_lock()).unwrap();
        lock.lock().unwrap();
        assert_eq!(remove_dead_sockets(&paths), [""; 0]);
        drop(lock);
        let done = remove_dead_sockets(&paths);
        assert_eq!(done.len(), 2, "{done:?}");
        assert!(sockets.iter().all(|socket| !socket.exists()));
    }

    #[test]
    fn every_finding_that_is_not_well_says_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::at(directory.path().join("home")).unwrap();
        fs::create_dir(paths.home()).unwrap();
        fs::write(paths.config(), "[defaults]\nmode = \"x\"\n").unwrap();
        fs::write(
            paths.store(),
            "no store at all, and longer than a header ".repeat(40),
        )
        .unwrap();
        let findings = examine(&paths);
        for finding in &findings {
            assert_eq!(
                finding.hint.is_none(),
                finding.verdict == Verdict::Ok,
                "{finding:?}"
            );
        }
        for check in ["configuration", "store"] {
            let finding = findings.iter().find(|finding| finding.check == check);
            assert_eq!(finding.unwrap().verdict, Verdict::Fail, "{check}");
        }
    }
}
