//! The launch plan of a session: everything needed to start its client, on disk, without a daemon.
//!
//! The plan is written once per launch and loaded by the launcher (`claustre session run ID`), which
//! may run long after, in a pane that Zellij brought back to life.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use claustre_protocol::status::Mode;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use super::files::{self, FileError};
use super::hook_event::PermissionMode;
use super::mcp_config::{self, BRIDGE_VARIABLES, McpPathError};
use super::settings::{self, CommandPathError, SettingsRequest, UserStatusLine};
use super::version::{ClaudeVersion, MINIMUM, observed_events};
use crate::text;

/// The plan's format; a plan of a newer format is refused.
pub const PLAN_VERSION: u32 = 1;
/// The plan's file in the session's directory.
pub const PLAN_FILE: &str = "launch.json";
/// The prompt's file in the session's directory.
pub const PROMPT_FILE: &str = "prompt.md";
/// The client's settings in the session's directory.
pub const SETTINGS_FILE: &str = "settings.json";
/// The client's MCP servers in the session's directory.
pub const MCP_FILE: &str = "mcp.json";

/// Linux refuses to start a program with one argument of this many bytes or more, its final zero
/// included (MAX_ARG_STRLEN).
const ARGUMENT_LIMIT: usize = 128 * 1024;
/// Longest title shown in the client's prompt box, in characters.
const TITLE_LIMIT: usize = 80;

/// Options that would take the client out of Claustre's hands; extra arguments may not hold them.
const RESERVED: &[&str] = &[
    "--",
    "--session-id",
    "--resume",
    "-r",
    "--continue",
    "-c",
    "--fork-session",
    "--settings",
    "--print",
    "-p",
    "--bare",
    "--bg",
    "--worktree",
    "-w",
    "--tmux",
];

/// Variables of a client around us that would confuse the one we start.
const REMOVED_VARIABLES: &[&str] = &[
    "CLAUDECODE",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_SSE_PORT",
];

/// The permission mode to start with: what the user wrote, else `acceptEdits` where it works alone and
/// `default` where the user is there. It is never `bypassPermissions` unless the user wrote that.
#[must_use]
pub fn permission_mode(mode: Mode, written_by_user: Option<&PermissionMode>) -> PermissionMode {
    match (written_by_user, mode) {
        (Some(written), _) => written.clone(),
        (None, Mode::Autonomous) => PermissionMode::AcceptEdits,
        (None, Mode::Supervised | Mode::Exploration) => PermissionMode::Default,
    }
}

/// What a plan is made of.
#[derive(Debug, Clone)]
pub struct PlanRequest<'a> {
    /// Claustre's session id.
    pub session_id: &'a str,
    /// The conversation's id, minted by Claustre for its first start.
    pub claude_session_id: Uuid,
    /// The client's executable, absolute.
    pub claude: &'a Path,
    /// The client's version.
    pub version: ClaudeVersion,
    /// The helper's executable, absolute.
    pub claustre: &'a Path,
    /// The worktree.
    pub cwd: &'a Path,
    /// The task's title; any text.
    pub title: &'a str,
    /// See [`permission_mode`].
    pub permission_mode: PermissionMode,
    /// A model's name or alias.
    pub model: Option<&'a str>,
    /// `low`, `medium`, `high`, `xhigh` or `max`.
    pub effort: Option<&'a str>,
    /// Added to the client's system prompt.
    pub append_system_prompt: Option<&'a str>,
    /// The user's own arguments.
    pub extra_args: &'a [String],
    /// The first prompt, of any length; none or blank opens without one.
    pub prompt: Option<&'a str>,
    /// The session's environment, over the launcher's own: CLAUSTRE_SESSION_ID, CLAUSTRE_TOKEN, ...
    pub env: BTreeMap<String, String>,
    /// The user's own status line, to be kept.
    pub user_status_line: Option<&'a UserStatusLine>,
    /// The worktree has an `.mcp.json` written by Claustre.
    pub approve_worktree_mcp: bool,
}

/// The plan as it stands in `launch.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchPlan {
    /// [`PLAN_VERSION`].
    pub version: u32,
    /// Claustre's session id.
    pub session_id: String,
    /// The conversation's id; `/clear` changes it, and then the plan is written again.
    pub claude_session_id: Uuid,
    /// The client's executable.
    pub program: PathBuf,
    /// Every argument but the conversation's id and the prompt.
    pub options: Vec<String>,
    /// The prompt's file, where there is a first prompt.
    pub prompt_file: Option<PathBuf>,
    /// The worktree.
    pub cwd: PathBuf,
    /// Set for the client, over the launcher's own environment.
    pub env: BTreeMap<String, String>,
    /// Removed from the launcher's own environment first.
    pub env_remove: Vec<String>,
}

/// How the client is started this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The conversation begins: new id, with the first prompt if there is one.
    First,
    /// The conversation goes on and waits for the user.
    Resume,
    /// The conversation goes on with the content of the prompt's file.
    ResumeWithPrompt,
}

/// A program ready to be executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// The executable.
    pub program: PathBuf,
    /// Its arguments, without the program's name.
    pub args: Vec<String>,
    /// The directory to start in.
    pub cwd: PathBuf,
    /// Set, over the caller's own environment.
    pub env: BTreeMap<String, String>,
    /// Removed from the caller's own environment first.
    pub env_remove: Vec<String>,
}

/// Why a plan cannot be made, written or read.
#[derive(Debug, Error)]
pub enum PlanError {
    /// The client is too old.
    #[error("planning the start of Claude Code {found}: version {MINIMUM} or newer is needed")]
    TooOld {
        /// What is installed.
        found: ClaudeVersion,
    },
    /// One of the texts cannot be an argument.
    #[error("planning the start of Claude Code: {what} {reason}")]
    Argument {
        /// Which text.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The helper's path cannot stand in the settings.
    #[error(transparent)]
    CommandPath(#[from] CommandPathError),
    /// The helper's path cannot stand in the MCP configuration.
    #[error(transparent)]
    McpPath(#[from] McpPathError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file could not be read.
    #[error("reading {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason the system gave.
        source: io::Error,
    },
    /// The plan is not one, or is one of a newer helper.
    #[error("reading the launch plan {}: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Writes `settings.json`, `mcp.json`, `prompt.md` and, last, `launch.json` into the session's directory.
pub fn write(directory: &Path, request: &PlanRequest<'_>) -> Result<LaunchPlan, PlanError> {
    let plan = build(directory, request)?;
    let mut settings = settings::build(&SettingsRequest {
        claustre: request.claustre,
        events: &observed_events(request.version),
        user_status_line: request.user_status_line,
        approve_worktree_mcp: request.approve_worktree_mcp,
    })?;
    let prompt_path = directory.join(PROMPT_FILE);
    if given_prompt(request).is_some_and(|prompt| prompt.len() >= ARGUMENT_LIMIT) {
        // It will be told to read this file, which lies outside the worktree: that alone needs no question.
        let rule = format!("Read(/{})", path_text(&prompt_path)?);
        if let Some(allowed) = settings
            .pointer_mut("/permissions/allow")
            .and_then(serde_json::Value::as_array_mut)
        {
            allowed.push(rule.into());
        }
    }
    let variables: Vec<&str> = BRIDGE_VARIABLES
        .iter()
        .copied()
        .filter(|name| request.env.contains_key(*name))
        .collect();
    let servers = mcp_config::build(request.claustre, &variables)?;
    files::private_directory(directory)?;
    files::write_private(&directory.join(SETTINGS_FILE), pretty(&settings).as_bytes())?;
    files::write_private(&directory.join(MCP_FILE), pretty(&servers).as_bytes())?;
    if let Some(prompt) = given_prompt(request) {
        files::write_private(&prompt_path, prompt.as_bytes())?;
    }
    plan.save(directory)?;
    Ok(plan)
}

fn build(directory: &Path, request: &PlanRequest<'_>) -> Result<LaunchPlan, PlanError> {
    if !request.version.is_supported() {
        return Err(PlanError::TooOld {
            found: request.version,
        });
    }
    for (what, path) in [
        ("the client's path", request.claude),
        ("the worktree", request.cwd),
        ("the session's directory", directory),
    ] {
        if !path.is_absolute() {
            return Err(refused(what, format!("{path:?} is not an absolute path")));
        }
    }
    check_environment(&request.env)?;
    let mut options = Vec::new();
    let mut push = |what: &'static str, name: &str, value: &str| {
        checked(what, value)?;
        options.extend([name.to_owned(), value.to_owned()]);
        Ok::<(), PlanError>(())
    };
    let title = text::one_line(request.title, TITLE_LIMIT);
    if !title.is_empty() {
        push("the title", "--name", &title)?;
    }
    push(
        "the permission mode",
        "--permission-mode",
        request.permission_mode.as_str(),
    )?;
    if let Some(model) = request.model {
        push("the model", "--model", model)?;
    }
    if let Some(effort) = request.effort {
        push("the effort", "--effort", effort)?;
    }
    if let Some(addition) = request
        .append_system_prompt
        .map(text::strip_control)
        .filter(|text| !text.trim().is_empty())
    {
        push(
            "the addition to the system prompt",
            "--append-system-prompt",
            &addition,
        )?;
    }
    // `--mcp-config` takes every following word up to the next option, so an option follows it.
    push(
        "the session's directory",
        "--mcp-config",
        &path_text(&directory.join(MCP_FILE))?,
    )?;
    push(
        "the session's directory",
        "--settings",
        &path_text(&directory.join(SETTINGS_FILE))?,
    )?;
    for argument in request.extra_args {
        let name = argument.split('=').next().unwrap_or(argument);
        if RESERVED.contains(&name) {
            return Err(refused(
                "the extra argument",
                format!("{name} is set by Claustre itself"),
            ));
        }
        checked("an extra argument", argument)?;
        options.push(argument.clone());
    }
    Ok(LaunchPlan {
        version: PLAN_VERSION,
        session_id: request.session_id.to_owned(),
        claude_session_id: request.claude_session_id,
        program: request.claude.to_owned(),
        options,
        prompt_file: given_prompt(request).map(|_| directory.join(PROMPT_FILE)),
        cwd: request.cwd.to_owned(),
        env: request.env.clone(),
        env_remove: REMOVED_VARIABLES
            .iter()
            .map(|name| (*name).to_owned())
            .collect(),
    })
}

impl LaunchPlan {
    /// Loads the plan of a session's directory.
    pub fn load(directory: &Path) -> Result<Self, PlanError> {
        let path = directory.join(PLAN_FILE);
        let content = fs::read(&path).map_err(|source| PlanError::Read {
            path: path.clone(),
            source,
        })?;
        let failed = |reason: String| PlanError::Format {
            path: path.clone(),
            reason,
        };
        let value: serde_json::Value =
            serde_json::from_slice(&content).map_err(|error| failed(error.to_string()))?;
        // The version is looked at first: a newer plan may have any shape.
        match value.get("version").and_then(serde_json::Value::as_u64) {
            Some(version) if version == u64::from(PLAN_VERSION) => {}
            Some(version) => {
                return Err(failed(format!(
                    "it has format {version}, this helper knows {PLAN_VERSION}"
                )));
            }
            None => return Err(failed("it names no format version".to_owned())),
        }
        serde_json::from_value(value).map_err(|error| failed(error.to_string()))
    }

    /// Writes the plan, for instance with the new conversation id after `/clear`.
    pub fn save(&self, directory: &Path) -> Result<(), PlanError> {
        let path = directory.join(PLAN_FILE);
        let value = serde_json::to_value(self).map_err(|error| PlanError::Format {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        Ok(files::write_private(&path, pretty(&value).as_bytes())?)
    }

    /// The command to execute now; the prompt is read from its file at this moment.
    pub fn command_line(&self, start: Start) -> Result<CommandLine, PlanError> {
        let id_option = match start {
            Start::First => "--session-id",
            Start::Resume | Start::ResumeWithPrompt => "--resume",
        };
        let mut args = vec![id_option.to_owned(), self.claude_session_id.to_string()];
        args.extend(self.options.iter().cloned());
        let prompt = match (start, &self.prompt_file) {
            (Start::First | Start::ResumeWithPrompt, Some(path)) => prompt_argument(path)?,
            (Start::Resume, _) | (_, None) => None,
        };
        if let Some(prompt) = prompt {
            // Everything behind `--` is the prompt, a leading dash included.
            args.extend(["--".to_owned(), prompt]);
        }
        Ok(CommandLine {
            program: self.program.clone(),
            args,
            cwd: self.cwd.clone(),
            env: self.env.clone(),
            env_remove: self.env_remove.clone(),
        })
    }
}

/// The prompt as an argument; one too long for that becomes the order to read its file.
fn prompt_argument(path: &Path) -> Result<Option<String>, PlanError> {
    let bytes = fs::read(path).map_err(|source| PlanError::Read {
        path: path.to_owned(),
        source,
    })?;
    let prompt = text::strip_control(&String::from_utf8_lossy(&bytes));
    if prompt.trim().is_empty() {
        return Ok(None);
    }
    if prompt.len() < ARGUMENT_LIMIT {
        return Ok(Some(prompt));
    }
    Ok(Some(format!(
        "Read the file {} and do what it says.",
        path_text(path)?
    )))
}

fn given_prompt(request: &PlanRequest<'_>) -> Option<String> {
    request
        .prompt
        .map(text::strip_control)
        .filter(|prompt| !prompt.trim().is_empty())
}

fn checked(what: &'static str, value: &str) -> Result<(), PlanError> {
    if value.is_empty() {
        return Err(refused(what, "is empty".to_owned()));
    }
    if value.contains('\0') {
        return Err(refused(what, "holds a zero byte".to_owned()));
    }
    if value.len() >= ARGUMENT_LIMIT {
        return Err(refused(
            what,
            format!(
                "is {} bytes long; at most {} fit",
                value.len(),
                ARGUMENT_LIMIT - 1
            ),
        ));
    }
    Ok(())
}

fn check_environment(env: &BTreeMap<String, String>) -> Result<(), PlanError> {
    for (name, value) in env {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(refused(
                "the variable",
                format!("{name:?} is no name for one"),
            ));
        }
        if value.contains('\0') || name.len().saturating_add(value.len()) >= ARGUMENT_LIMIT - 1 {
            return Err(refused(
                "the variable",
                format!("{name} has a value no program can be given"),
            ));
        }
    }
    Ok(())
}

fn path_text(path: &Path) -> Result<String, PlanError> {
    let text = path
        .to_str()
        .ok_or_else(|| refused("the path", format!("{path:?} is not valid UTF-8")))?;
    Ok(text.to_owned())
}

fn refused(what: &'static str, reason: String) -> PlanError {
    PlanError::Argument { what, reason }
}

fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
