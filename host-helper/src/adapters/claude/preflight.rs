//! What will stand in the way of a start, foreseen by looking only.
//!
//! Claude Code opens dialogs that wait for a person: a first run, a folder it does not trust, a key it
//! has not seen. Each can be foreseen from files this module reads and never writes: those files belong
//! to the user, and every running client rewrites them.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::config_files::{ConfigPaths, Found, read_json};
use super::hook_event::PermissionMode;
use crate::text;

/// How much of a key the client remembers.
const KEY_TAIL: usize = 20;
/// Settings an administrator puts on the machine.
const MANAGED_SETTINGS: &str = "/etc/claude-code/managed-settings.json";

/// What the start depends on.
#[derive(Debug, Clone)]
pub struct PreflightRequest<'a> {
    /// The user's home.
    pub home: &'a Path,
    /// The value of CLAUDE_CONFIG_DIR, if set.
    pub claude_config_dir: Option<&'a Path>,
    /// The worktree the client starts in.
    pub cwd: &'a Path,
    /// The root of the main repository the worktree belongs to.
    pub main_repository: Option<&'a Path>,
    /// The value of ANTHROPIC_API_KEY the client will see. It is compared, never shown.
    pub api_key: Option<&'a str>,
    /// The mode the client starts in.
    pub permission_mode: &'a PermissionMode,
    /// The user's own arguments.
    pub extra_args: &'a [String],
    /// The client runs as root.
    pub is_root: bool,
    /// IS_SANDBOX is set for the client.
    pub is_sandbox: bool,
    /// Claustre wrote the worktree's `.mcp.json` itself and approves its server in the session's settings.
    pub has_own_mcp_json: bool,
}

/// Something that will stop the start or wait for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreseen {
    /// What kind of thing.
    pub kind: ForeseenKind,
    /// What the user will see in the pane.
    pub what_will_be_on_screen: String,
    /// What to do about it, in one or two sentences.
    pub what_to_do: String,
}

/// The kinds of [`Foreseen`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ForeseenKind {
    /// A configuration file is not readable JSON.
    BrokenConfig,
    /// Claude Code was never set up for this user.
    Onboarding,
    /// The folder is not trusted.
    Trust,
    /// The API key was never approved.
    ApiKey,
    /// The repository brings MCP servers that were never approved.
    McpServers,
    /// The warning of the mode without permission checks was never accepted.
    BypassWarning,
    /// Root may not run without permission checks.
    Root,
    /// Hooks are switched off: the session will report nothing.
    HooksDisabled,
}

impl ForeseenKind {
    /// Whether the session cannot start at all; otherwise someone must answer in the pane, or (hooks
    /// disabled) it runs and its status is uncertain.
    #[must_use]
    pub fn is_fatal(self) -> bool {
        match self {
            Self::Root => true,
            Self::BrokenConfig
            | Self::Onboarding
            | Self::Trust
            | Self::ApiKey
            | Self::McpServers
            | Self::BypassWarning
            | Self::HooksDisabled => false,
        }
    }
}

/// Looks for everything that will stand in the way, in the order it would appear.
#[must_use]
pub fn foresee(request: &PreflightRequest<'_>) -> Vec<Foreseen> {
    let look = Look::new(request);
    let mut found = Vec::new();
    found.extend(look.broken_files());
    found.extend(look.root());
    found.extend(look.onboarding());
    found.extend(look.bypass_warning());
    found.extend(look.trust());
    found.extend(look.api_key());
    found.extend(look.mcp_servers());
    found.extend(look.hooks_disabled());
    found
}

/// The files, read once.
struct Look<'a> {
    request: &'a PreflightRequest<'a>,
    state_path: PathBuf,
    state: Found,
    /// User, project, local and managed settings, with their paths.
    settings: Vec<(PathBuf, Found)>,
    mcp_json: Found,
}

impl<'a> Look<'a> {
    fn new(request: &'a PreflightRequest<'a>) -> Self {
        let paths = ConfigPaths::new(request.home, request.claude_config_dir);
        let project = request.cwd.join(".claude");
        let settings = [
            paths.user_settings(),
            project.join("settings.json"),
            project.join("settings.local.json"),
            PathBuf::from(MANAGED_SETTINGS),
        ];
        Self {
            request,
            state: read_json(&paths.state_file),
            state_path: paths.state_file,
            settings: settings
                .into_iter()
                .map(|path| {
                    let found = read_json(&path);
                    (path, found)
                })
                .collect(),
            mcp_json: read_json(&request.cwd.join(".mcp.json")),
        }
    }

    fn broken_files(&self) -> Vec<Foreseen> {
        let mcp_path = self.request.cwd.join(".mcp.json");
        let state = std::iter::once((&self.state_path, &self.state));
        let mcp = std::iter::once((&mcp_path, &self.mcp_json));
        state
            .chain(self.settings.iter().map(|(path, found)| (path, found)))
            .chain(mcp)
            .filter_map(|(path, found)| match found {
                Found::Broken(reason) => Some(foreseen(
                    ForeseenKind::BrokenConfig,
                    format!("a message that {} cannot be read", path.display()),
                    format!("Mend {}: {}", path.display(), text::one_line(reason, 200)),
                )),
                Found::Missing | Found::Json(_) => None,
            })
            .collect()
    }

    fn onboarding(&self) -> Option<Foreseen> {
        let is_done = flag(self.state.value(), "hasCompletedOnboarding")
            || matches!(self.state, Found::Broken(_));
        (!is_done).then(|| {
            foreseen(
                ForeseenKind::Onboarding,
                "the first-run setup of Claude Code; without a network it ends with \"Unable to connect to Anthropic services\"",
                "Run `claude` once by hand and finish its setup.",
            )
        })
    }

    fn trust(&self) -> Option<Foreseen> {
        let projects = self.state.value().get("projects");
        let is_trusted = |path: &Path| {
            let project = path.to_str().and_then(|name| projects?.get(name));
            project.is_some_and(|project| flag(project, "hasTrustDialogAccepted"))
        };
        // The client asks for the worktree, its main repository, and each directory above them.
        let roots = std::iter::once(self.request.cwd).chain(self.request.main_repository);
        let mut candidates: Vec<PathBuf> = Vec::new();
        for root in roots {
            candidates.extend(root.ancestors().map(Path::to_owned));
            if let Ok(real) = root.canonicalize() {
                candidates.extend(real.ancestors().map(Path::to_owned));
            }
        }
        if candidates.iter().any(|path| is_trusted(path)) {
            return None;
        }
        let root = self
            .request
            .main_repository
            .unwrap_or(self.request.cwd)
            .display();
        Some(foreseen(
            ForeseenKind::Trust,
            "\"Quick safety check: Is this a project you created or one you trust?\"",
            format!(
                "Go to the pane and answer it, or run `claude` once in {root} and say yes: that counts for every worktree of it."
            ),
        ))
    }

    fn api_key(&self) -> Option<Foreseen> {
        let key = self
            .request
            .api_key
            .map(str::trim)
            .filter(|key| !key.is_empty())?;
        let state = self.state.value();
        if state.get("oauthAccount").is_some_and(Value::is_object) {
            return None;
        }
        let skipped = key.chars().count().saturating_sub(KEY_TAIL);
        let tail: String = key.chars().skip(skipped).collect();
        let answered = |list: &str| {
            let answers = state
                .pointer("/customApiKeyResponses")
                .and_then(|all| all.get(list))
                .and_then(Value::as_array);
            answers
                .into_iter()
                .flatten()
                .any(|one| one.as_str() == Some(tail.as_str()))
        };
        if answered("approved") || answered("rejected") {
            return None;
        }
        Some(foreseen(
            ForeseenKind::ApiKey,
            "\"Detected a custom API key in your environment\", with No preselected",
            "Go to the pane and choose Yes, or run `claude` once by hand with the same ANTHROPIC_API_KEY.",
        ))
    }

    fn mcp_servers(&self) -> Option<Foreseen> {
        let servers = self.mcp_json.value().get("mcpServers")?.as_object()?;
        let main = self.request.main_repository.unwrap_or(self.request.cwd);
        let project = main
            .to_str()
            .and_then(|name| self.state.value().get("projects")?.get(name));
        let places = || {
            self.settings
                .iter()
                .map(|(_, found)| found.value())
                .chain(project)
        };
        if places().any(|place| flag(place, "enableAllProjectMcpServers")) {
            return None;
        }
        let is_answered = |server: &str| {
            places().any(|place| {
                ["enabledMcpjsonServers", "disabledMcpjsonServers"]
                    .iter()
                    .any(|list| {
                        let names = place.get(list).and_then(Value::as_array);
                        names
                            .into_iter()
                            .flatten()
                            .any(|name| name.as_str() == Some(server))
                    })
            })
        };
        let open: Vec<String> = servers
            .keys()
            .filter(|name| {
                !(self.request.has_own_mcp_json && name.as_str() == super::mcp_config::SERVER)
            })
            .filter(|name| !is_answered(name))
            .map(|name| text::one_line(name, 60))
            .collect();
        (!open.is_empty()).then(|| {
            foreseen(
                ForeseenKind::McpServers,
                format!("\"New MCP server found in this project: {}\"", open.join(", ")),
                "Go to the pane and say whether the repository's servers may be used; the answer is kept for all its worktrees.",
            )
        })
    }

    fn skips_permissions(&self) -> bool {
        let has = |name: &str| {
            self.request
                .extra_args
                .iter()
                .any(|argument| argument == name)
        };
        *self.request.permission_mode == PermissionMode::BypassPermissions
            || has("--dangerously-skip-permissions")
    }

    fn bypass_warning(&self) -> Option<Foreseen> {
        let is_accepted = flag(self.state.value(), "bypassPermissionsModeAccepted")
            || self
                .settings
                .iter()
                .any(|(_, found)| flag(found.value(), "skipDangerousModePermissionPrompt"));
        (self.skips_permissions() && !is_accepted).then(|| {
            foreseen(
                ForeseenKind::BypassWarning,
                "\"WARNING: Claude Code running in Bypass Permissions mode\", with \"No, exit\" preselected",
                "Go to the pane and accept it, or choose another permission mode for the task.",
            )
        })
    }

    fn root(&self) -> Option<Foreseen> {
        (self.skips_permissions() && self.request.is_root && !self.request.is_sandbox).then(|| {
            foreseen(
                ForeseenKind::Root,
                "\"--dangerously-skip-permissions cannot be used with root/sudo privileges for security reasons\", and the end",
                "Run as an ordinary user, choose another permission mode, or, inside a sandbox only, set IS_SANDBOX=1.",
            )
        })
    }

    fn hooks_disabled(&self) -> Vec<Foreseen> {
        self.settings
            .iter()
            .filter(|(_, found)| flag(found.value(), "disableAllHooks"))
            .map(|(path, _)| {
                foreseen(
                    ForeseenKind::HooksDisabled,
                    "nothing unusual, but the session reports no hooks: status, approvals and the queue will be blind",
                    format!("Remove \"disableAllHooks\" from {}.", path.display()),
                )
            })
            .collect()
    }
}

fn flag(value: &Value, name: &str) -> bool {
    value.get(name).and_then(Value::as_bool) == Some(true)
}

fn foreseen(kind: ForeseenKind, screen: impl Into<String>, advice: impl Into<String>) -> Foreseen {
    Foreseen {
        kind,
        what_will_be_on_screen: screen.into(),
        what_to_do: advice.into(),
    }
}

#[cfg(test)]
#[path = "preflight_tests.rs"]
mod tests;
