//! A real Zellij in a terminal of the test.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::env::{CommandResult, TestEnv, find_in_path};
use crate::terminal::Terminal;

/// How long one `zellij action` may take: now and then one hangs for ever.
const ACTION_LIMIT: Duration = Duration::from_secs(5);
const ACTION_TRIES: usize = 3;
const START_LIMIT: Duration = Duration::from_secs(30);

/// How a Zellij is started.
pub struct Options {
    pub session: String,
    pub columns: u16,
    pub rows: u16,
    /// A plugin that needs no permission dialog.
    pub plugin: Option<Plugin>,
    /// More lines for `config.kdl`.
    pub config: String,
    /// Layout file.
    pub layout: Option<PathBuf>,
    /// The configuration is there already, as `claustre setup` left it: nothing of the above but the layout is written.
    pub prepared: bool,
}

/// A plugin of the session.
pub struct Plugin {
    pub path: PathBuf,
    /// Name in the `plugins` block; it is also loaded at the start, beside `zellij:link`.
    pub alias: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            session: "test".into(),
            columns: 120,
            rows: 40,
            plugin: None,
            config: String::new(),
            layout: None,
            prepared: false,
        }
    }
}

/// Every permission of a plugin in 0.45.
const PERMISSIONS: [&str; 17] = [
    "ReadApplicationState",
    "ChangeApplicationState",
    "OpenFiles",
    "RunCommands",
    "OpenTerminalsOrPlugins",
    "WriteToStdin",
    "WebAccess",
    "ReadCliPipes",
    "MessageAndLaunchOtherPlugins",
    "Reconfigure",
    "FullHdAccess",
    "StartWebServer",
    "InterceptInput",
    "ReadPaneContents",
    "RunActionsAsUser",
    "WriteToClipboard",
    "ReadSessionEnvironmentVariables",
];

/// The Zellij to test with: `CLAUSTRE_TEST_ZELLIJ`, the PATH, or the project's tool cache.
///
/// # Errors
/// With the reason to skip a test.
pub fn binary() -> Result<PathBuf, String> {
    let cached = std::env::var_os("HOME")
        .map(|home| Path::new(&home).join(".cache/claustre-tools/bin/zellij"))
        .filter(|program| program.is_file());
    std::env::var_os("CLAUSTRE_TEST_ZELLIJ")
        .map(PathBuf::from)
        .or_else(|| find_in_path("zellij"))
        .or(cached)
        .filter(|program| program.is_file())
        .ok_or_else(|| "no zellij: set CLAUSTRE_TEST_ZELLIJ or put one on the PATH".into())
}

/// A session with one client attached.
pub struct Zellij<'env> {
    env: &'env TestEnv,
    session: String,
    /// The first client.
    pub terminal: Terminal,
}

impl<'env> Zellij<'env> {
    /// Starts a session and waits until its first pane is there.
    ///
    /// # Panics
    /// When there is no Zellij (see [`binary`]) or it does not come up.
    #[must_use]
    #[track_caller]
    pub fn start(env: &'env TestEnv, options: &Options) -> Self {
        env.install("zellij", &binary().unwrap());
        if !options.prepared {
            write_config(env, options);
        }
        let layout = options
            .layout
            .as_ref()
            .map(|path| path.display().to_string());
        let mut arguments = vec![];
        match &layout {
            // `--session NAME --layout` would add tabs to a running session; this makes a new one.
            Some(layout) => arguments.extend([
                "--new-session-with-layout",
                layout,
                "--session",
                &options.session,
            ]),
            None => arguments.extend(["--session", &options.session]),
        }
        let terminal = Terminal::spawn(env, "zellij", &arguments, options.columns, options.rows);
        let zellij = Self {
            env,
            session: options.session.clone(),
            terminal,
        };
        // Not a call before the first client has drawn: one that comes while the server starts can wedge the start.
        zellij
            .terminal
            .wait_until("the first client to draw", START_LIMIT, |screen| {
                !screen.trim().is_empty()
            });
        let end = std::time::Instant::now() + START_LIMIT;
        while !zellij
            .try_panes()
            .is_some_and(|panes| panes.iter().any(|pane| pane["is_plugin"] == false))
        {
            assert!(
                std::time::Instant::now() < end,
                "waited {START_LIMIT:?} in vain for the first pane of Zellij; the screen:\n{}",
                zellij.terminal.screen()
            );
        }
        zellij
    }

    #[must_use]
    pub fn session(&self) -> &str {
        &self.session
    }

    /// Names of the sessions that are alive.
    #[must_use]
    pub fn sessions(&self) -> Vec<String> {
        let mut command = self.env.command("zellij");
        let result = self.env.run_within(
            command.args(["list-sessions", "--no-formatting"]),
            ACTION_LIMIT,
        );
        let listed = result.map(|result| result.stdout).unwrap_or_default();
        listed
            .lines()
            .filter(|line| !line.contains("EXITED"))
            .filter_map(|line| line.split_whitespace().next())
            .map(str::to_owned)
            .collect()
    }

    /// Runs `zellij action ARGUMENTS` and returns what it printed. An action that hangs is tried again, so that one
    /// that is not idempotent may in rare cases happen twice.
    ///
    /// # Panics
    /// When it fails or hangs each time.
    #[track_caller]
    pub fn action(&self, arguments: &[&str]) -> String {
        match self.try_action(arguments) {
            Ok(printed) => printed,
            Err(why) => panic!("zellij action {arguments:?}: {why}"),
        }
    }

    /// As [`Self::action`].
    ///
    /// # Errors
    /// When it fails or hangs each time.
    pub fn try_action(&self, arguments: &[&str]) -> Result<String, String> {
        let mut last = String::new();
        for _ in 0..ACTION_TRIES {
            match self.run_once(&["action"], arguments) {
                Some(result) if result.code == Some(0) => return Ok(result.stdout),
                Some(result) => last = result.snapshot(),
                None => last = format!("still running after {ACTION_LIMIT:?}"),
            }
        }
        Err(last)
    }

    fn run_once(&self, subcommand: &[&str], arguments: &[&str]) -> Option<CommandResult> {
        let mut command = self.env.command("zellij");
        command
            .args(["--session", &self.session])
            .args(subcommand)
            .args(arguments);
        self.env.run_within(&mut command, ACTION_LIMIT)
    }

    fn try_panes(&self) -> Option<Vec<Value>> {
        let result = self.run_once(&["action"], &["list-panes", "--all", "--json"])?;
        serde_json::from_str::<Value>(&result.stdout)
            .ok()?
            .as_array()
            .cloned()
    }

    /// All panes, as `list-panes --all --json` tells them.
    ///
    /// # Panics
    /// When they cannot be listed.
    #[must_use]
    #[track_caller]
    pub fn list_panes_json(&self) -> Vec<Value> {
        self.list("list-panes")
    }

    /// All tabs, as `list-tabs --all --json` tells them.
    ///
    /// # Panics
    /// When they cannot be listed.
    #[must_use]
    #[track_caller]
    pub fn list_tabs_json(&self) -> Vec<Value> {
        self.list("list-tabs")
    }

    /// A busy Zellij now and then prints nothing and exits 0: then it is asked again.
    #[track_caller]
    fn list(&self, what: &str) -> Vec<Value> {
        let mut printed = String::new();
        for _ in 0..ACTION_TRIES {
            printed = self.action(&[what, "--all", "--json"]);
            if let Ok(list) = serde_json::from_str(&printed) {
                return list;
            }
        }
        panic!("{what} printed no list: {printed:?}")
    }

    /// What a pane shows, for example of `terminal_0`.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    #[track_caller]
    pub fn dump_screen(&self, pane: &str) -> String {
        self.action(&["dump-screen", "--pane-id", pane])
    }

    /// Waits until a pane shows a text.
    ///
    /// # Panics
    /// With what it shows, when it does not in time.
    #[track_caller]
    pub fn wait_for_pane_text(&self, pane: &str, text: &str, deadline: Duration) {
        let what = format!("{text:?} in pane {pane}");
        let mut shown = String::new();
        let end = std::time::Instant::now() + deadline;
        while !shown.contains(text) {
            assert!(
                std::time::Instant::now() < end,
                "waited {deadline:?} in vain for {what}; it shows:\n{shown}"
            );
            shown = self.dump_screen(pane);
        }
    }

    /// Runs `zellij pipe` once and returns what it printed.
    ///
    /// # Errors
    /// When it fails or does not end within the limit.
    pub fn pipe(&self, arguments: &[&str], limit: Duration) -> Result<String, String> {
        let mut command = self.env.command("zellij");
        command
            .args(["--session", &self.session, "pipe"])
            .args(arguments);
        match self.env.run_within(&mut command, limit) {
            Some(result) if result.code == Some(0) => Ok(result.stdout),
            Some(result) => Err(result.snapshot()),
            None => Err(format!("still running after {limit:?}")),
        }
    }

    /// Detaches the first client; the session lives on.
    ///
    /// # Panics
    /// When the client does not end.
    #[track_caller]
    pub fn detach(&mut self) {
        self.action(&["detach"]);
        self.terminal.wait_exit(Duration::from_secs(10));
    }

    /// Attaches one more client.
    ///
    /// # Panics
    /// When the client draws nothing.
    #[must_use]
    #[track_caller]
    pub fn attach(&self, columns: u16, rows: u16) -> Terminal {
        for _ in 0..ACTION_TRIES {
            let arguments = ["attach", &self.session];
            let terminal = Terminal::spawn(self.env, "zellij", &arguments, columns, rows);
            terminal.wait_until("the attached client to draw", START_LIMIT, |screen| {
                !screen.trim().is_empty()
            });
            // A busy server now and then does not answer in time to be found.
            if !terminal.screen().contains("No session with the name") {
                return terminal;
            }
        }
        panic!("Zellij does not find its session {}", self.session)
    }
}

impl Drop for Zellij<'_> {
    fn drop(&mut self) {
        let mut command = self.env.command("zellij");
        drop(
            self.env
                .run_within(command.args(["kill-session", &self.session]), ACTION_LIMIT),
        );
    }
}

fn write_config(env: &TestEnv, options: &Options) {
    let mut config = String::from(
        "show_startup_tips false\nshow_release_notes false\nsession_serialization true\n\
         default_shell \"/bin/sh\"\nsupport_kitty_keyboard_protocol false\n",
    );
    if let Some(plugin) = &options.plugin {
        let path = plugin.path.display();
        if let Some(alias) = &plugin.alias {
            config.push_str(&format!(
                "plugins {{\n    {alias} location=\"file:{path}\"\n}}\n\
                 load_plugins {{\n    \"zellij:link\"\n    {alias}\n}}\n"
            ));
        }
        let mut granted = format!("\"{path}\" {{\n");
        for permission in PERMISSIONS {
            granted.push_str(&format!("    {permission}\n"));
        }
        granted.push_str("}\n");
        env.write("home/.cache/zellij/permissions.kdl", &granted);
    }
    config.push_str(&options.config);
    let path = env.write("home/.config/zellij/config.kdl", &config);
    // As on a user's machine it is not of this very second: Zellij sees a change by the second in which the file was written.
    let earlier = std::time::SystemTime::now() - Duration::from_secs(3_600);
    let file = std::fs::File::options().append(true).open(path).unwrap();
    file.set_modified(earlier).unwrap();
}
