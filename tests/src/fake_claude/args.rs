//! The command line, as far as an orchestrator uses it.

use std::path::PathBuf;

/// A parsed command line of the interactive client.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arguments {
    pub session_id: Option<String>,
    pub resume: Option<String>,
    pub continue_newest: bool,
    pub name: Option<String>,
    pub permission_mode: Option<String>,
    /// A file or inline JSON.
    pub settings: Option<String>,
    /// Files or inline JSON.
    pub mcp_config: Vec<String>,
    pub allowed_tools: Vec<String>,
    pub append_system_prompt: Option<String>,
    pub model: Option<String>,
    pub effort: Option<String>,
    pub print: bool,
    pub output_format: Option<String>,
    pub prompt: Option<String>,
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    Start(Box<Arguments>),
    Version,
    Help,
    /// `claude agents --json`
    Agents,
}

/// Options that take any number of values, up to the next option: they also swallow a prompt, as the real ones do.
const VARIADIC: [&str; 7] = [
    "--mcp-config",
    "--allowedTools",
    "--allowed-tools",
    "--disallowedTools",
    "--disallowed-tools",
    "--add-dir",
    "--tools",
];

/// Options with one value that change nothing here.
const IGNORED_WITH_VALUE: [&str; 9] = [
    "--setting-sources",
    "--fallback-model",
    "--max-turns",
    "--max-budget-usd",
    "--input-format",
    "--system-prompt",
    "--agents",
    "--agent",
    "--json-schema",
];

const IGNORED: [&str; 7] = [
    "--strict-mcp-config",
    "--verbose",
    "--include-hook-events",
    "--dangerously-skip-permissions",
    "--fork-session",
    "--bare",
    "--debug",
];

/// Parses the arguments after the program's name.
///
/// # Errors
/// With the text of the real client, which exits 1 on it.
pub fn parse(arguments: &[String]) -> Result<Request, String> {
    if arguments.first().is_some_and(|first| first == "agents") {
        return Ok(Request::Agents);
    }
    let mut parsed = Arguments::default();
    let mut words = arguments.iter().peekable();
    while let Some(word) = words.next() {
        let (flag, inline) = match word.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
            _ => (word.as_str(), None),
        };
        if VARIADIC.contains(&flag) {
            let mut values: Vec<String> = inline.into_iter().collect();
            while let Some(value) = words.next_if(|word| !word.starts_with('-')) {
                values.push(value.clone());
            }
            match flag {
                "--mcp-config" => parsed.mcp_config.extend(values),
                "--allowedTools" | "--allowed-tools" => parsed.allowed_tools.extend(values),
                _ => {}
            }
            continue;
        }
        let mut value = || {
            inline
                .clone()
                .or_else(|| words.next().cloned())
                .ok_or_else(|| format!("error: option '{flag} <value>' argument missing"))
        };
        match flag {
            "--" => {
                parsed.prompt = words.next().cloned();
                break;
            }
            "--version" | "-v" => return Ok(Request::Version),
            "--help" | "-h" => return Ok(Request::Help),
            "--session-id" => parsed.session_id = Some(value()?),
            "--resume" | "-r" => parsed.resume = Some(value()?),
            "--continue" | "-c" => parsed.continue_newest = true,
            "--name" => parsed.name = Some(value()?),
            "--permission-mode" => parsed.permission_mode = Some(permission_mode(value()?)?),
            "--settings" => parsed.settings = Some(value()?),
            "--append-system-prompt" => parsed.append_system_prompt = Some(value()?),
            "--model" => parsed.model = Some(value()?),
            "--effort" => parsed.effort = Some(value()?),
            "--output-format" => parsed.output_format = Some(value()?),
            "--print" | "-p" => parsed.print = true,
            flag if IGNORED_WITH_VALUE.contains(&flag) => drop(value()?),
            flag if IGNORED.contains(&flag) => {
                if flag == "--dangerously-skip-permissions" {
                    parsed.permission_mode = Some("bypassPermissions".into());
                }
            }
            flag if flag.starts_with('-') && flag.len() > 1 => {
                return Err(format!("error: unknown option '{flag}'"));
            }
            _ => parsed.prompt = Some(word.clone()),
        }
    }
    if let Some(id) = &parsed.session_id
        && uuid::Uuid::parse_str(id).is_err()
    {
        return Err("Error: Invalid session ID. Must be a valid UUID.".into());
    }
    Ok(Request::Start(Box::new(parsed)))
}

fn permission_mode(value: String) -> Result<String, String> {
    const MODES: [&str; 6] = [
        "acceptEdits",
        "auto",
        "bypassPermissions",
        "default",
        "dontAsk",
        "plan",
    ];
    if MODES.contains(&value.as_str()) {
        return Ok(value);
    }
    Err(format!(
        "error: option '--permission-mode <mode>' argument '{value}' is invalid. Allowed choices are {}.",
        MODES.join(", ")
    ))
}

impl Arguments {
    /// The folder of the working directory, symbolic links resolved.
    #[must_use]
    pub fn cwd() -> PathBuf {
        let cwd = std::env::current_dir().unwrap_or_default();
        cwd.canonicalize().unwrap_or(cwd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn a_prompt_after_two_dashes_may_look_like_anything() {
        let line = words(&["--name", "t 7", "--mcp-config", "a.json", "--", "--do it"]);
        let Ok(Request::Start(parsed)) = parse(&line) else {
            panic!()
        };
        assert_eq!(parsed.prompt.as_deref(), Some("--do it"));
        assert_eq!(parsed.mcp_config, ["a.json"]);
        assert_eq!(parsed.name.as_deref(), Some("t 7"));
    }

    #[test]
    fn a_variadic_option_swallows_the_prompt_as_in_the_real_client() {
        let Ok(Request::Start(parsed)) = parse(&words(&["--mcp-config", "a.json", "hi there"]))
        else {
            panic!()
        };
        assert_eq!(parsed.prompt, None);
        assert_eq!(parsed.mcp_config, ["a.json", "hi there"]);
    }

    #[test]
    fn unknown_options_are_errors() {
        let error = parse(&words(&["--prompt", "x"])).unwrap_err();
        assert_eq!(error, "error: unknown option '--prompt'");
    }
}
