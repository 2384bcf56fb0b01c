//! The programs that Claustre works with.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Finding, Verdict};
use crate::{
    adapters::{
        claude::{
            client::{self, CLAUDE_VARIABLE, ClientError},
            hook_event::PermissionMode,
            preflight::{self, ForeseenKind, PreflightRequest},
            version::{ClaudeVersion, MEASURED, MINIMUM},
        },
        process::Invocation,
        zellij::Zellij,
    },
    config::Config,
    paths::Paths,
    plugin_wasm,
    setup::{self, Targets},
    store::Reader,
};

/// Time a program has to say its version.
const VERSION_LIMIT: Duration = Duration::from_secs(10);
/// The oldest git that worktrees are made with.
const GIT_LEAST: (u32, u32) = (2, 36);
/// The git from which everything is tested.
const GIT_GOOD: (u32, u32) = (2, 44);

pub(super) fn git() -> Finding {
    let check = "git";
    let asked = Invocation::new("git")
        .arg("--version")
        .time_limit(VERSION_LIMIT)
        .run()
        .and_then(|finished| finished.require_success());
    let said = match asked {
        Ok(finished) => finished.stdout_text().trim().to_owned(),
        Err(error) => return Finding::fail(check, error.to_string(), "install git"),
    };
    let hint = format!("install git {}.{} or newer", GIT_GOOD.0, GIT_GOOD.1);
    match git_version(&said) {
        None => Finding::warn(check, format!("cannot read its version: {said}"), hint),
        Some(version) if version < GIT_LEAST => {
            Finding::fail(check, format!("{said} is too old"), hint)
        }
        Some(version) if version < GIT_GOOD => {
            Finding::warn(check, format!("{said} works, but is old"), hint)
        }
        Some(_) => Finding::ok(check, said),
    }
}

/// `git version 2.47.3 (Apple Git-1)`.
fn git_version(text: &str) -> Option<(u32, u32)> {
    let word = text
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut numbers = word.split('.').map(|number| number.parse::<u32>().ok());
    Some((numbers.next()??, numbers.next()??))
}

pub(super) fn zellij() -> Finding {
    let check = "zellij";
    let hint = "install Zellij 0.45.1 or newer";
    match Zellij::find().and_then(|zellij| zellij.version()) {
        Ok(version) => Finding::ok(check, version.to_string()),
        Err(error) => Finding::fail(check, error.to_string(), hint),
    }
}

/// Whether Zellij has all that `claustre setup` writes.
pub(super) fn zellij_setup(paths: &Paths, config: &Config) -> Vec<Finding> {
    let check = "zellij setup";
    let targets = match setup::targets(paths, &config.zellij.key) {
        Ok(targets) => targets,
        Err(error) => {
            let hint = error
                .hint()
                .unwrap_or_else(|| "zellij setup --check says where its files are".to_owned());
            return vec![Finding::warn(check, error.to_string(), hint)];
        }
    };
    in_place(&targets, plugin_wasm::bytes())
}

fn in_place(targets: &Targets, plugin: Option<&[u8]>) -> Vec<Finding> {
    let check = "zellij setup";
    match setup::check::missing(targets, plugin) {
        Ok(missing) if missing.is_empty() => vec![Finding::ok(
            check,
            format!(
                "{} shows the dashboard, plugin {}",
                targets.key,
                plugin.map(setup::check::hash_of).unwrap_or_default()
            ),
        )],
        Ok(_) if !setup::check::was_set_up(targets) => vec![Finding::warn(
            check,
            "the dashboard is not in Zellij yet",
            "claustre setup shows what it writes, and asks",
        )],
        Ok(missing) => missing
            .into_iter()
            .map(|part| Finding::warn(check, part, "claustre setup"))
            .collect(),
        Err(error) => {
            let hint = error.hint().unwrap_or_else(|| "claustre setup".to_owned());
            vec![Finding::warn(check, error.to_string(), hint)]
        }
    }
}

/// The client, and what it will ask before it works.
pub(super) fn claude(paths: &Paths, config: &Config) -> Vec<Finding> {
    let check = "claude";
    let named = std::env::var_os(CLAUDE_VARIABLE)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
        .or_else(|| config.defaults.claude.clone());
    let found = client::find(named.as_deref(), std::env::var_os("PATH").as_deref())
        .and_then(|program| ask_version(&program).map(|known| (program, known)));
    let (program, version) = match found {
        Ok(found) => found,
        Err(error) => return vec![Finding::fail(check, error.to_string(), error.hint())],
    };
    let detail = format!("{version} at {}", program.display());
    let first = if !version.is_supported() {
        Finding::fail(
            check,
            format!("{detail} is too old: {MINIMUM} or newer is needed"),
            "update Claude Code: claude update",
        )
    } else if version.major > MEASURED.major {
        Finding::warn(
            check,
            format!("{detail} is newer than what Claustre was tested with ({MEASURED})"),
            "look whether there is a newer Claustre",
        )
    } else {
        Finding::ok(check, detail)
    };
    let mut findings = vec![first];
    findings.extend(dialogs(paths, config));
    findings
}

/// Asks anew, and keeps nothing: a doctor writes nothing.
fn ask_version(program: &Path) -> Result<ClaudeVersion, ClientError> {
    let finished = Invocation::new(program)
        .arg("--version")
        .cwd("/")
        .time_limit(VERSION_LIMIT)
        .output_limit(64 * 1024)
        .run()?
        .require_success()?;
    Ok(ClaudeVersion::parse(&finished.stdout_text())?)
}

/// What the client will ask in a session's tab, before it works.
fn dialogs(paths: &Paths, config: &Config) -> Vec<Finding> {
    let given = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let home = given("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from);
    let claude_config_dir = given("CLAUDE_CONFIG_DIR").map(PathBuf::from);
    let api_key = given("ANTHROPIC_API_KEY").and_then(|key| key.into_string().ok());
    let foresee = |worktree: PathBuf, repository: Option<PathBuf>| {
        preflight::foresee(&PreflightRequest {
            home: &home,
            claude_config_dir: claude_config_dir.as_deref(),
            cwd: &worktree,
            main_repository: repository.as_deref(),
            api_key: api_key.as_deref(),
            permission_mode: &PermissionMode::Default,
            extra_args: &config.defaults.extra_args,
            is_root: rustix::process::geteuid().is_root(),
            is_sandbox: given("IS_SANDBOX").is_some(),
            has_own_mcp_json: false,
        })
    };
    let of_one_repository = |kind| matches!(kind, ForeseenKind::Trust | ForeseenKind::McpServers);
    let mut findings: Vec<Finding> = foresee(paths.worktrees(), None)
        .into_iter()
        .filter(|foreseen| !of_one_repository(foreseen.kind))
        .map(|foreseen| {
            let verdict = if foreseen.kind.is_fatal() {
                Verdict::Fail
            } else {
                Verdict::Warn
            };
            Finding {
                check: "claude dialogs",
                verdict,
                detail: format!(
                    "a session's tab will show {}",
                    foreseen.what_will_be_on_screen
                ),
                hint: Some(foreseen.what_to_do),
            }
        })
        .collect();
    for (name, repository) in repositories(paths) {
        let worktree = paths.worktrees().join(&name).join("task");
        findings.extend(
            foresee(worktree, Some(repository))
                .into_iter()
                .filter(|foreseen| of_one_repository(foreseen.kind))
                .map(|foreseen| {
                    Finding::warn(
                        "claude dialogs",
                        format!(
                            "the tab of a session of {name} will show {}",
                            foreseen.what_will_be_on_screen
                        ),
                        foreseen.what_to_do,
                    )
                }),
        );
    }
    if findings.is_empty() {
        findings.push(Finding::ok("claude dialogs", "none is foreseen"));
    }
    findings
}

/// The projects of this host, by name; none where the store cannot be read, which another check says.
fn repositories(paths: &Paths) -> Vec<(String, PathBuf)> {
    let store = paths.store();
    if !store.exists() {
        return Vec::new();
    }
    let read = || {
        let machine = crate::store::machine_of(&store)?;
        let projects = Reader::open(&store, machine)?.projects()?;
        Ok::<_, crate::store::StoreError>(
            projects
                .iter()
                .filter_map(|project| {
                    let path = project.path_on(machine)?;
                    Some((project.name.value(), PathBuf::from(path)))
                })
                .collect(),
        )
    };
    read().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_git_are_read() {
        assert_eq!(git_version("git version 2.47.3"), Some((2, 47)));
        assert_eq!(
            git_version("git version 2.39.5 (Apple Git-154)"),
            Some((2, 39))
        );
        assert_eq!(git_version("git version"), None);
    }
}
