//! The lines between the daemon and the plugin, over two `zellij pipe` children.
//!
//! `down` carries [`ToPlugin`] lines (daemon → plugin), `up` carries [`FromPlugin`] lines (plugin → daemon). Every line is one JSON
//! object of at most [`MAX_LINE`] bytes ([`MAX_UP_LINE`] from the plugin). The plugin keeps nothing that cannot be sent again: after any break the daemon answers the
//! next hello with a reset.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    dashboard::DashboardUpdate,
    ids::SessionId,
    request::Request,
    rpc::{Fault, ProtocolVersion},
};

/// Longest line on the link, in bytes; larger ones cost tens of milliseconds in the plugin's interpreter.
pub const MAX_LINE: usize = 32 * 1024;

/// Name of the Zellij pipe that carries daemon → plugin lines.
pub const PIPE_TO_PLUGIN: &str = "claustre-to-plugin";
/// Name of the Zellij pipe that the plugin holds open for plugin → daemon lines.
pub const PIPE_FROM_PLUGIN: &str = "claustre-from-plugin";
/// Name of the message that the key binding sends.
pub const MESSAGE_TOGGLE: &str = "toggle";
/// Name of the message by which a command line has the dashboard shown and focused.
pub const MESSAGE_SHOW: &str = "show";

/// Longest line from the plugin, in bytes: a task's prompt is in it as it was typed. It costs the plugin 40 ms to send.
pub const MAX_UP_LINE: usize = 256 * 1024;
/// Longest text that [`PaneAction::Read`] gives, in bytes.
pub const MAX_READ: usize = 16 * 1024;
/// Milliseconds between two heartbeats of an instance.
pub const HEARTBEAT_MILLIS: u64 = 2_000;

/// Hexadecimal digits of the secret that joins daemon and plugin of one Zellij server.
pub const SECRET_DIGITS: usize = 32;

/// A line as it goes over a pipe: the secret, a space, the line. Everybody who can run `zellij pipe` can write to the plugin; the
/// secret is handed over by `claustre link`, which the plugin runs itself.
#[must_use]
pub fn seal(secret: &str, line: &str) -> String {
    format!("{secret} {line}")
}

/// The line, if it carries this secret; nothing carries an empty one.
#[must_use]
pub fn unseal<'line>(secret: &str, sealed: &'line str) -> Option<&'line str> {
    if secret.is_empty() {
        return None;
    }
    sealed.strip_prefix(secret)?.strip_prefix(' ')
}

/// Is this what a secret looks like?
#[must_use]
pub fn is_secret(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == SECRET_DIGITS && text.bytes().all(is_digit)
}

/// First and only line into [`PIPE_FROM_PLUGIN`]; the plugin then holds the pipe open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// The epoch of the link.
    pub epoch: u64,
}

/// One plugin instance: `<plugin id>-<client id>` inside one Zellij server.
pub type Instance = String;

/// A line to the plugin. Instances other than `target` ignore it; no target = all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DownLine {
    /// Counts up by one for each line of this link.
    pub seq: u64,
    /// The link's identity: changes when the daemon opens the link anew.
    pub epoch: u64,
    /// Who is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Instance>,
    /// What.
    #[serde(flatten)]
    pub body: ToPlugin,
}

/// A line with its parameters as they stand.
#[derive(Deserialize)]
struct RawDownLine<'line> {
    seq: u64,
    epoch: u64,
    #[serde(default)]
    target: Option<Instance>,
    method: &'line str,
    #[serde(borrow, default)]
    params: Option<&'line RawValue>,
}

impl DownLine {
    /// Reads a line, as `Deserialize` does, but without holding it twice: in the plugin's interpreter that is half the time
    /// and a good part of the code.
    ///
    /// # Errors
    /// It is no line of this protocol.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let raw: RawDownLine<'_> = serde_json::from_str(text)?;
        let params = raw.params.map_or("null", RawValue::get);
        let body = match raw.method {
            "welcome" => {
                let WelcomeParams {
                    protocol,
                    build,
                    leader,
                    mismatch,
                    settings,
                } = serde_json::from_str(params)?;
                ToPlugin::Welcome {
                    protocol,
                    build,
                    leader,
                    mismatch,
                    settings,
                }
            }
            "dashboard" => ToPlugin::Dashboard(serde_json::from_str(params)?),
            "act" => {
                let ActParams { action, what } = serde_json::from_str(params)?;
                ToPlugin::Act { action, what }
            }
            "reply" => {
                let ReplyParams { id, outcome } = serde_json::from_str(params)?;
                ToPlugin::Reply { id, outcome }
            }
            "toast" => {
                let ToastParams { text, error } = serde_json::from_str(params)?;
                ToPlugin::Toast { text, error }
            }
            "ping" => {
                let PingParams { pipe } = serde_json::from_str(params)?;
                ToPlugin::Ping { pipe }
            }
            other => return Err(serde::de::Error::unknown_variant(other, &METHODS)),
        };
        Ok(Self {
            seq: raw.seq,
            epoch: raw.epoch,
            target: raw.target,
            body,
        })
    }
}

const METHODS: [&str; 6] = ["welcome", "dashboard", "act", "reply", "toast", "ping"];

#[derive(Deserialize)]
struct WelcomeParams {
    protocol: ProtocolVersion,
    build: String,
    leader: bool,
    #[serde(default)]
    mismatch: Option<String>,
    #[serde(default)]
    settings: DashboardSettings,
}

#[derive(Deserialize)]
struct ActParams {
    action: u64,
    what: PaneAction,
}

#[derive(Deserialize)]
struct ReplyParams {
    id: u64,
    outcome: Result<serde_json::Value, Fault>,
}

#[derive(Deserialize)]
struct ToastParams {
    text: String,
    error: bool,
}

#[derive(Deserialize)]
struct PingParams {
    #[serde(default)]
    pipe: Option<String>,
}

/// What the user configured for the dashboard.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DashboardSettings {
    /// Other keys: name of the action, and the key as the configuration writes it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<(String, String)>,
    /// Marks and frames in ASCII only?
    #[serde(default)]
    pub ascii: bool,
}

impl DashboardSettings {
    /// Did the user configure nothing?
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.keys.is_empty() && !self.ascii
    }
}

/// What the daemon tells the plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", content = "params", rename_all = "snake_case")]
pub enum ToPlugin {
    /// Answers a hello.
    Welcome {
        /// The daemon's protocol.
        protocol: ProtocolVersion,
        /// The daemon's version.
        build: String,
        /// Does this instance act for the daemon? Exactly one per server does.
        leader: bool,
        /// The sentence to show when the versions do not fit, with the command that mends it.
        mismatch: Option<String>,
        /// What the user configured for it.
        #[serde(default, skip_serializing_if = "DashboardSettings::is_default")]
        settings: DashboardSettings,
    },
    /// Draw this.
    Dashboard(DashboardUpdate),
    /// Do this, then report [`FromPlugin::Acted`]. Doing one `action` twice is forbidden.
    Act {
        /// Its number in the daemon's outbox.
        action: u64,
        /// What.
        what: PaneAction,
    },
    /// Answers [`FromPlugin::Ask`].
    Reply {
        /// The call it answers.
        id: u64,
        /// The result, or why not.
        outcome: Result<serde_json::Value, Fault>,
    },
    /// A line to show for a few seconds.
    Toast {
        /// Sanitised text.
        text: String,
        /// Does it tell of a failure?
        error: bool,
    },
    /// Are you there? Answered by a heartbeat, or by a hello of an instance that is new on this link.
    Ping {
        /// Zellij's id of the pipe that takes the plugin's lines: an instance that loaded later has not seen it opened.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pipe: Option<String>,
    },
}

/// What only Zellij can do, done by the leader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum PaneAction {
    /// Opens a tab with the launcher in its first pane, without moving the focus.
    OpenTab {
        /// Whose.
        session: SessionId,
        /// `{project}:{branch}`.
        name: String,
        /// Program and arguments of the launcher.
        argv: Vec<String>,
        /// Absolute directory to start in.
        cwd: String,
        /// Is anybody attached? Otherwise the pane starts in the background and gets its tab later.
        attached: bool,
        /// Open a shell beside it?
        shell: bool,
    },
    /// Gives background panes their own tabs, now that somebody is attached.
    AdoptPanes {
        /// Terminal pane and tab name of each.
        panes: Vec<(u32, String)>,
    },
    /// Shows the pane's tab and focuses the pane.
    Focus {
        /// The terminal pane.
        pane: u32,
    },
    /// Closes the pane and the rest of its tab.
    CloseTab {
        /// The terminal pane.
        pane: u32,
        /// The tab's name, with or without a mark: only a tab that carries it is closed.
        name: String,
    },
    /// Names the tab of a pane, if it carries this name already, with or without a mark: another name is the user's own.
    RenameTab {
        /// The terminal pane.
        pane: u32,
        /// The new name.
        name: String,
    },
    /// Writes bytes into the pane.
    Write {
        /// The terminal pane.
        pane: u32,
        /// What, base64: it may hold control characters.
        bytes: String,
    },
    /// Reads the pane's visible text.
    Read {
        /// The terminal pane.
        pane: u32,
    },
}

/// A line from the plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpLine {
    /// Who speaks.
    pub from: Instance,
    /// Counts up by one for each line of this instance.
    pub seq: u64,
    /// What.
    #[serde(flatten)]
    pub body: FromPlugin,
}

/// What the plugin tells the daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", content = "params", rename_all = "snake_case")]
pub enum FromPlugin {
    /// First line of an instance on a link.
    Hello {
        /// The plugin's protocol.
        protocol: ProtocolVersion,
        /// The plugin's version.
        build: String,
        /// The Zellij plugin id.
        plugin_id: u32,
        /// The Zellij client it belongs to.
        client_id: u16,
        /// Process id of the Zellij server.
        server_pid: u32,
        /// The epoch of the link it answers.
        epoch: u64,
        /// Zellij's id of the pipe it answers on.
        #[serde(default)]
        pipe: String,
    },
    /// Still there; sent every two seconds and as answer to a ping.
    Heartbeat {
        /// Is the dashboard on the screen?
        visible: bool,
        /// Number of the last line received.
        last_seq: u64,
        /// Clients that Zellij says are attached.
        clients: Vec<u16>,
    },
    /// Lines are missing: send a reset.
    Resync {},
    /// A request of the person in front of the dashboard.
    Ask {
        /// Joins the reply.
        id: u64,
        /// What.
        request: Box<Request>,
    },
    /// An action was done, or could not be.
    Acted {
        /// Its number.
        action: u64,
        /// What came of it.
        outcome: Result<ActionResult, String>,
    },
    /// A pane closed.
    PaneClosed {
        /// The terminal pane.
        pane: u32,
    },
}

/// What came of a [`PaneAction`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "got", rename_all = "snake_case")]
pub enum ActionResult {
    /// Done, nothing to tell.
    Done {},
    /// The pane that was opened.
    Pane {
        /// Its terminal pane id.
        pane: u32,
    },
    /// The text that was read.
    Text {
        /// At most 16 KB.
        text: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_read_a_line_agree() {
        let bodies = [
            ToPlugin::Welcome {
                protocol: ProtocolVersion { major: 1, minor: 2 },
                build: "0.1".to_owned(),
                leader: true,
                mismatch: Some("run \"it\"".to_owned()),
                settings: DashboardSettings::default(),
            },
            ToPlugin::Welcome {
                protocol: ProtocolVersion { major: 1, minor: 2 },
                build: "0.1".to_owned(),
                leader: false,
                mismatch: None,
                settings: DashboardSettings {
                    keys: vec![("launch".to_owned(), "ctrl+l".to_owned())],
                    ascii: true,
                },
            },
            ToPlugin::Dashboard(DashboardUpdate {
                reset: true,
                position: -4,
                ..DashboardUpdate::default()
            }),
            ToPlugin::Act {
                action: u64::MAX,
                what: PaneAction::AdoptPanes {
                    panes: vec![(3, "shop:fix".to_owned())],
                },
            },
            ToPlugin::Reply {
                id: 3,
                outcome: Ok(serde_json::json!({"a": [1, null]})),
            },
            ToPlugin::Toast {
                text: "hé".to_owned(),
                error: true,
            },
            ToPlugin::Ping { pipe: None },
            ToPlugin::Ping {
                pipe: Some("p".to_owned()),
            },
        ];
        for (seq, body) in (1..).zip(bodies) {
            let line = DownLine {
                seq,
                epoch: 9,
                target: (seq % 2 == 0).then(|| "3-1".to_owned()),
                body,
            };
            let text = serde_json::to_string(&line).unwrap();
            assert_eq!(DownLine::parse(&text).unwrap(), line, "{text}");
            assert_eq!(serde_json::from_str::<DownLine>(&text).unwrap(), line);
        }
    }

    #[test]
    fn only_the_holder_of_the_secret_opens_a_line() {
        let secret = "0123456789abcdef0123456789abcdef";
        assert!(is_secret(secret) && !is_secret("") && !is_secret(&secret.to_uppercase()));
        assert_eq!(unseal(secret, &seal(secret, "{}")), Some("{}"));
        assert_eq!(unseal(secret, "{}"), None);
        assert_eq!(unseal(secret, secret), None);
        assert_eq!(unseal("", &seal("", "{}")), None, "no secret opens nothing");
    }

    #[test]
    fn an_unknown_method_is_an_error() {
        assert!(DownLine::parse(r#"{"seq":1,"epoch":1,"method":"news","params":{}}"#).is_err());
    }
}
