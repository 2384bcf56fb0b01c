//! The demo's home: one directory with everything the demo reads and writes, and the environment that leads there.

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use claustre_protocol::request::{Done, Nothing, Request};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    adapters::{process::Invocation, zellij::Zellij},
    cli::{error::CliError, ui},
    client::Client,
    paths::Paths,
    plugin_wasm,
    setup::{self, Targets},
};

/// The Zellij session of the demo.
pub const SESSION: &str = "demo";
/// Says that a directory was made by a demo, so that nothing else is ever removed.
const MARK: &str = "made-by-claustre-demo";
/// Longest path of a home: Zellij adds its version and the name of the session to make a socket.
const LONGEST: usize = 60;
/// How long what ran in the home may take to end.
const END: Duration = Duration::from_secs(10);
/// Pause between two looks at what still runs.
const LOOK: Duration = Duration::from_millis(50);

/// Who plays Claude Code.
#[derive(Debug)]
pub enum Agent {
    /// Claude Code itself, in PATH or named. It needs the user's HOME, where its login is.
    Real(Option<PathBuf>),
    /// A stand-in that takes its words from `FAKE_CLAUDE_SCRIPT`.
    StandIn(PathBuf),
}

/// The home.
pub struct DemoHome {
    root: PathBuf,
    agent: Agent,
    zellij: PathBuf,
}

impl DemoHome {
    /// Makes the home with its repositories, the plugin and a configuration for Zellij.
    pub fn create(wanted: Option<PathBuf>, agent: Agent, is_shown: bool) -> Result<Self, CliError> {
        let zellij = program("CLAUSTRE_ZELLIJ", "zellij").ok_or_else(|| {
            CliError::failed("looking for Zellij", "there is none in PATH")
                .with_hint("in a clone, cargo xtask run brings one; or name one in CLAUSTRE_ZELLIJ")
        })?;
        let is_missing = match &agent {
            Agent::Real(None) => program("CLAUSTRE_CLAUDE", "claude").is_none(),
            Agent::Real(Some(named)) | Agent::StandIn(named) => !named.is_file(),
        };
        if is_missing {
            return Err(
                CliError::failed("looking for Claude Code", "it is not there")
                    .with_hint("in a clone, cargo xtask run brings a stand-in for it"),
            );
        }
        let home = Self {
            root: make_root(wanted)?,
            agent,
            zellij,
        };
        if let Err(error) = home.fill(is_shown) {
            drop(home.remove());
            return Err(error);
        }
        Ok(home)
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Does Claude Code itself work here?
    pub fn is_real(&self) -> bool {
        matches!(self.agent, Agent::Real(_))
    }

    /// The Zellij to start.
    pub fn zellij(&self) -> &Path {
        &self.zellij
    }

    /// What the player says.
    pub fn log(&self) -> PathBuf {
        self.root.join("story.log")
    }

    /// The layout to start with.
    pub fn layout(&self) -> PathBuf {
        self.root.join("zellij/layouts/claustre.kdl")
    }

    /// Variables of everything that runs here; none = it is taken out.
    pub fn environment(&self) -> Vec<(&'static str, Option<OsString>)> {
        let place = |name: &str| Some(self.root.join(name).into_os_string());
        let mut variables = vec![
            ("CLAUSTRE_HOME", place("claustre")),
            ("CLAUSTRE_DEMO", Some(self.root.clone().into_os_string())),
            (
                "CLAUSTRE_ZELLIJ",
                Some(self.zellij.clone().into_os_string()),
            ),
            ("ZELLIJ_SOCKET_DIR", place("z")),
            ("ZELLIJ_CONFIG_DIR", place("zellij")),
            ("ZELLIJ_CONFIG_FILE", None),
            // Zellij keeps permissions and ended sessions in it.
            ("XDG_CACHE_HOME", place("cache")),
            ("ZELLIJ", None),
            ("ZELLIJ_SESSION_NAME", None),
            ("ZELLIJ_PANE_ID", None),
            ("CLAUDECODE", None),
            ("CLAUDE_CODE_ENTRYPOINT", None),
        ];
        match &self.agent {
            Agent::Real(None) => {}
            Agent::Real(Some(claude)) => {
                variables.push(("CLAUSTRE_CLAUDE", Some(claude.clone().into_os_string())));
            }
            Agent::StandIn(stand_in) => variables.extend([
                ("CLAUSTRE_CLAUDE", Some(stand_in.clone().into_os_string())),
                ("CLAUDE_CONFIG_DIR", None),
                ("FAKE_CLAUDE_SCRIPT", place("script.json")),
                ("HOME", place("home")),
                ("XDG_CONFIG_HOME", place("home/.config")),
                ("XDG_DATA_HOME", place("home/.local/share")),
                ("XDG_STATE_HOME", place("home/.local/state")),
                ("GIT_CONFIG_GLOBAL", place("home/.gitconfig")),
                ("GIT_CONFIG_NOSYSTEM", Some("1".into())),
                // A shell with a first-start dialog would ask in a home that is empty.
                ("SHELL", Some("/bin/sh".into())),
            ]),
        }
        variables
    }

    /// The invocation with these variables.
    pub fn apply(&self, invocation: Invocation) -> Invocation {
        self.environment()
            .into_iter()
            .fold(invocation, |invocation, (name, value)| match value {
                Some(value) => invocation.env(name, value),
                None => invocation.env_remove(name),
            })
    }

    /// Ends what runs in the home: the Zellij sessions, the daemon, and what is left, each by its process id.
    pub fn end(&self) -> Result<(), CliError> {
        for session in self.calls().sessions().unwrap_or_default() {
            // One that ends meanwhile is what is wanted; one that stays is found below.
            let kill = Invocation::new(&self.zellij).args(["kill-session", &session]);
            drop(self.apply(kill).time_limit(END).run());
        }
        if let Ok(paths) = Paths::at(self.root.join("claustre"))
            && let Ok(mut client) = Client::connect(&paths, "demo")
        {
            drop(client.call::<Done>(Request::DaemonStop(Nothing {})));
        }
        let begun = Instant::now();
        loop {
            let left = running_in(&self.root);
            if left.is_empty() {
                return Ok(());
            }
            let signal = match begun.elapsed() {
                passed if passed < Duration::from_secs(2) => None,
                passed if passed < Duration::from_secs(5) => Some(Signal::TERM),
                passed if passed < END => Some(Signal::KILL),
                _ => {
                    return Err(CliError::failed(
                        "ending the demo",
                        format!("these processes still run: {left:?}"),
                    ));
                }
            };
            if let Some(signal) = signal {
                for pid in left.iter().filter_map(|pid| Pid::from_raw(*pid)) {
                    // It may have ended just now.
                    let _ = kill_process(pid, signal);
                }
            }
            thread::sleep(LOOK);
        }
    }

    /// Removes the directory, which a demo made.
    pub fn remove(&self) -> Result<(), CliError> {
        let doing = format!("removing {}", self.root.display());
        if !self.root.join(MARK).is_file() {
            return Err(CliError::failed(&doing, "it was not made by a demo"));
        }
        fs::remove_dir_all(&self.root).map_err(|error| CliError::failed(&doing, error))
    }

    fn fill(&self, is_shown: bool) -> Result<(), CliError> {
        self.write(MARK, "")?;
        for name in [
            "claustre",
            "z",
            "cache",
            "home/.config",
            "home/.local/share",
        ] {
            make_private(&self.root.join(name))?;
        }
        self.write("claustre/config.toml", "[notifications]\ndesktop = false\n")?;
        self.fill_zellij()?;
        self.repository("shop", SHOP)?;
        self.repository("site", SITE)?;
        if !self.is_real() {
            self.write(
                "home/.gitconfig",
                "[user]\n\tname = Demo\n\temail = demo@localhost\n",
            )?;
            self.write("script.json", super::story::script(is_shown).to_string())?;
            // What the stand-in may work in, as Claude Code itself would have been told by a person.
            let trusted = serde_json::json!({"hasTrustDialogAccepted": true});
            let projects = serde_json::json!({
                self.code("shop").display().to_string(): &trusted,
                self.code("site").display().to_string(): &trusted,
            });
            let state = serde_json::json!({"hasCompletedOnboarding": true, "projects": projects});
            self.write("home/.claude.json", state.to_string())?;
        }
        Ok(())
    }

    /// The directory of a repository.
    fn code(&self, name: &str) -> PathBuf {
        self.root.join("code").join(name)
    }

    fn fill_zellij(&self) -> Result<(), CliError> {
        self.write(
            "zellij/config.kdl",
            "show_startup_tips false\nshow_release_notes false\nsession_serialization false\n",
        )?;
        let failed = |error: &dyn std::fmt::Display| CliError::failed("preparing Zellij", error);
        let own = crate::client::own_program().map_err(|error| failed(&error))?;
        let paths = Paths::at(self.root.join("claustre"))?;
        let targets = Targets::find(&paths, &self.calls(), own, setup::DEFAULT_KEY)
            .map_err(|error| failed(&error))?;
        // Zellij said where it would look: nothing of the user's may be among it.
        if !targets.config.starts_with(&self.root) || !targets.permissions.starts_with(&self.root) {
            return Err(failed(&"Zellij does not look into the demo's home"));
        }
        let changes =
            setup::plan(&targets, plugin_wasm::bytes()).map_err(|error| failed(&error))?;
        setup::apply(&changes, &targets, ui::now().millis()).map_err(|error| failed(&error))
    }

    /// Zellij with the variables of the home.
    fn calls(&self) -> Zellij {
        let variables = self.environment().into_iter();
        let variables = variables
            .filter_map(|(name, value)| Some((name.to_owned(), value?.into_string().ok()?)))
            .collect();
        Zellij::at(&self.zellij).with_environment(variables)
    }

    /// A repository with one commit.
    fn repository(&self, name: &str, files: &[(&str, &str)]) -> Result<(), CliError> {
        let directory = self.code(name);
        for (path, text) in files {
            self.write(&format!("code/{name}/{path}"), text)?;
        }
        let identity = ["-c", "user.name=Demo", "-c", "user.email=demo@localhost"];
        for arguments in [
            ["init", "--quiet", "--initial-branch=main"].as_slice(),
            &["add", "--all"],
            &["commit", "--quiet", "--message=First commit"],
        ] {
            let git = Invocation::new("git").args(identity).args(arguments);
            self.apply(git)
                .cwd(&directory)
                .run()
                .and_then(|finished| finished.require_success())
                .map_err(|error| CliError::failed("making a repository for the demo", error))?;
        }
        Ok(())
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<(), CliError> {
        let path = self.root.join(name);
        if let Some(directory) = path.parent() {
            make_private(directory)?;
        }
        fs::write(&path, content)
            .map_err(|error| CliError::failed(&format!("writing {}", path.display()), error))
    }
}

/// A repository whose test fails, because one number is left out.
const SHOP: &[(&str, &str)] = &[
    ("README.md", "# shop\n\nAdds up what is in the cart.\n"),
    (
        "cart.sh",
        "# Prints the sum of the prices it is given.\nsum=0\nshift\nfor price; do sum=$((sum + price)); done\necho \"$sum\"\n",
    ),
    (
        "test.sh",
        "# Fails unless the cart adds up.\nset -e\nsum=$(sh cart.sh 3 4 5)\nif [ \"$sum\" = 12 ]; then echo ok; else echo \"3 + 4 + 5 gave $sum\"; exit 1; fi\n",
    ),
    ("dist/shop-1.0.txt", "what customers have\n"),
];

/// A repository with nothing to show yet.
const SITE: &[(&str, &str)] = &[(
    "README.md",
    "# site\n\nThe page of the shop. There is none yet.\n",
)];

/// A program that a variable names or PATH holds.
fn program(variable: &str, name: &str) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| {
        fs::metadata(path)
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    match std::env::var_os(variable).filter(|named| !named.is_empty()) {
        Some(named) => Some(PathBuf::from(named)).filter(is_program),
        None => std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .map(|directory| directory.join(name))
            .find(is_program),
    }
}

/// The directory asked for, or a new one that nobody else can have made.
fn make_root(wanted: Option<PathBuf>) -> Result<PathBuf, CliError> {
    let is_new = wanted.is_none();
    let root = wanted.unwrap_or_else(|| {
        // Not the user's TMPDIR, whose path is too long for sockets on macOS.
        let mut name = uuid::Uuid::new_v4().simple().to_string();
        name.truncate(8);
        PathBuf::from(format!("/tmp/claustre-demo-{name}"))
    });
    let doing = format!("making {}", root.display());
    let failed = |error: std::io::Error| CliError::failed(&doing, error);
    if root.as_os_str().len() > LONGEST {
        return Err(CliError::usage(format!(
            "{doing}: its path is too long for sockets (at most {LONGEST} bytes)"
        )));
    }
    fs::DirBuilder::new()
        .recursive(!is_new)
        .mode(0o700)
        .create(&root)
        .map_err(failed)?;
    if fs::read_dir(&root).map_err(failed)?.next().is_some() {
        return Err(CliError::usage(format!("{doing}: it is not empty")));
    }
    root.canonicalize().map_err(failed)
}

fn make_private(directory: &Path) -> Result<(), CliError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| CliError::failed(&format!("making {}", directory.display()), error))
}

/// Ends the player, so that it launches nothing while all else ends. It may have ended before.
pub fn end_player(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::TERM);
    }
}

/// Processes that were started in the home, by the variable they carry. Only where the system tells (Linux); elsewhere what
/// Zellij and the daemon do not end themselves is left to end by itself.
fn running_in(root: &Path) -> Vec<i32> {
    let mark = [b"CLAUSTRE_DEMO=", root.as_os_str().as_encoded_bytes()].concat();
    let own = std::process::id().to_string();
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| *name != own)
        .filter_map(|name| name.parse::<i32>().ok())
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|found| found.split(|byte| *byte == 0).any(|entry| entry == mark))
        })
        .collect()
}
