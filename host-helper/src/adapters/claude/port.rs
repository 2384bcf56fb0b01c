//! A launch through the port: the plan with everything around it, and what will stand in its way.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use claustre_protocol::hook::{HOME_VARIABLE, SESSION_VARIABLE, TOKEN_VARIABLE};
use claustre_protocol::status::Word;
use uuid::Uuid;

use super::client;
use super::config_files::read_json;
use super::hook_event::PermissionMode;
use super::mcp_config::{self, BRIDGE_VARIABLES};
use super::monitor::ClaudeHost;
use super::plan::{self, PlanError, PlanRequest};
use super::preflight::{self, PreflightRequest};
use super::settings;
use crate::ports::{PlanOrder, PortError};

/// Variable in the plan's environment with the mode of the task, for the launcher.
pub const MODE_VARIABLE: &str = "CLAUSTRE_MODE";
/// The file by which a client typed by hand in the worktree finds our MCP server.
const WORKTREE_MCP_FILE: &str = ".mcp.json";

/// Foresees what would stand in the way of a launch, in sentences for people.
pub(super) fn foresee(host: &ClaudeHost, order: &PlanOrder) -> Vec<String> {
    let mode = permission_mode(order);
    let found = preflight::foresee(&PreflightRequest {
        home: &host.home,
        claude_config_dir: host.claude_config_dir.as_deref(),
        cwd: &order.cwd,
        main_repository: Some(&order.repository),
        api_key: host.api_key.as_deref(),
        permission_mode: &mode,
        extra_args: &host.extra_args,
        is_root: rustix::process::geteuid().is_root(),
        is_sandbox: host.is_sandbox,
        has_own_mcp_json: is_ours(host, &order.cwd.join(WORKTREE_MCP_FILE)),
    });
    found
        .into_iter()
        .map(|one| {
            format!(
                "its tab will show {}. {}",
                one.what_will_be_on_screen, one.what_to_do
            )
        })
        .collect()
}

/// Writes the plan and, where the repository has none of its own, the worktree's `.mcp.json`.
pub(super) fn write_plan(host: &ClaudeHost, order: &PlanOrder) -> Result<(), PortError> {
    let lasting = |message: String, hint: Option<String>| PortError::lasting(message, hint);
    let claude = client::find(host.claude.as_deref(), host.search.as_deref())
        .map_err(|error| lasting(error.to_string(), Some(error.hint())))?;
    let version = client::version(&claude, &host.paths.run())
        .map_err(|error| lasting(error.to_string(), Some(error.hint())))?;
    let claude_session_id = Uuid::parse_str(&order.claude_session_id).map_err(|error| {
        lasting(
            format!("planning the start of Claude Code: the conversation's id: {error}"),
            None,
        )
    })?;
    let home = host.paths.home().to_str().ok_or_else(|| {
        lasting(
            "planning the start of Claude Code: the home of Claustre is not valid UTF-8".to_owned(),
            None,
        )
    })?;
    let mut env: BTreeMap<String, String> = order.env.iter().cloned().collect();
    env.extend([
        (SESSION_VARIABLE.to_owned(), order.session.to_string()),
        (TOKEN_VARIABLE.to_owned(), order.token.clone()),
        (HOME_VARIABLE.to_owned(), home.to_owned()),
        (MODE_VARIABLE.to_owned(), order.mode.word().to_owned()),
    ]);
    let user_settings = read_json(&host.config().user_settings());
    let user_status_line = settings::user_status_line(user_settings.value());
    let session_id = order.session.to_string();
    let approve_worktree_mcp = offer_mcp(host, order);
    let request = PlanRequest {
        session_id: &session_id,
        claude_session_id,
        claude: &claude,
        version,
        claustre: &host.claustre,
        cwd: &order.cwd,
        title: &order.title,
        permission_mode: permission_mode(order),
        model: order.model.as_deref(),
        effort: order.effort.as_deref(),
        append_system_prompt: order.append_system_prompt.as_deref(),
        extra_args: &host.extra_args,
        prompt: order.prompt.as_deref(),
        env,
        user_status_line: user_status_line.as_ref(),
        approve_worktree_mcp,
    };
    plan::write(&host.paths.session(order.session), &request)
        .map(|_| ())
        .map_err(|error| {
            let hint = match &error {
                PlanError::TooOld { .. } => Some("update it: claude update".to_owned()),
                _ => None,
            };
            lasting(error.to_string(), hint)
        })
}

fn permission_mode(order: &PlanOrder) -> PermissionMode {
    let written = order.permission_mode.clone().map(PermissionMode::from);
    plan::permission_mode(order.mode, written.as_ref())
}

/// Writes the worktree's `.mcp.json` unless the repository has one, tracked or not. True: the worktree's is ours.
fn offer_mcp(host: &ClaudeHost, order: &PlanOrder) -> bool {
    let path = order.cwd.join(WORKTREE_MCP_FILE);
    let is_there = |path: &Path| path.symlink_metadata().is_ok();
    if is_there(&path) {
        return is_ours(host, &path);
    }
    if is_there(&order.repository.join(WORKTREE_MCP_FILE)) {
        return false;
    }
    let Some(content) = mcp_json(host) else {
        return false;
    };
    match write_new(&path, content.as_bytes()) {
        Ok(()) => true,
        // The session has the same server by its plan; only a client typed by hand goes without.
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the worktree's .mcp.json was not written");
            false
        }
    }
}

/// Never follows a link, never replaces anything.
fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(content)
}

/// Only what we would write now to the last letter: anything else may name another program.
fn is_ours(host: &ClaudeHost, path: &Path) -> bool {
    let is_file = path.symlink_metadata().is_ok_and(|data| data.is_file());
    let content = is_file.then(|| fs::read(path).ok()).flatten();
    content.is_some() && content == mcp_json(host).map(String::into_bytes)
}

/// The same as in the session's directory; it holds no secret, the client fills in the variables.
fn mcp_json(host: &ClaudeHost) -> Option<String> {
    let servers = mcp_config::build(&host.claustre, BRIDGE_VARIABLES).ok()?;
    Some(format!("{servers:#}\n"))
}
