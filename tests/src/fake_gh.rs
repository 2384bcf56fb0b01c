//! `fake-gh`: a stand-in for `gh` that is driven by a JSON file.
//!
//! `FAKE_GH_STATE` names the file, `FAKE_GH_LOG` one that gets a JSON line per call. Without a state the user is not
//! logged in.
//!
//! ```json
//! {"user": "you", "repository": "you/shop",
//!  "pull_requests": [{"number": 412, "title": "Fix it", "state": "OPEN", "headRefName": "task/fix", ...}],
//!  "api": {"repos/you/shop/pulls/412/comments": [], "graphql": {"data": {}}, "POST repos/x/y": {}},
//!  "fail": {"pr view": {"code": 1, "stderr": "GraphQL: Something went wrong", "times": 1}}}
//! ```
//!
//! A pull request holds the fields of `gh pr view --json` as they are printed; those it does not hold have plain
//! defaults. `pr create` and `pr merge` change the file.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// Fields that `gh pr view --json` knows, as of gh 2.60.
const FIELDS: [&str; 48] = [
    "additions",
    "assignees",
    "author",
    "autoMergeRequest",
    "baseRefName",
    "baseRefOid",
    "body",
    "changedFiles",
    "closed",
    "closedAt",
    "closingIssuesReferences",
    "comments",
    "commits",
    "createdAt",
    "deletions",
    "files",
    "fullDatabaseId",
    "headRefName",
    "headRefOid",
    "headRepository",
    "headRepositoryOwner",
    "id",
    "isCrossRepository",
    "isDraft",
    "labels",
    "latestReviews",
    "maintainerCanModify",
    "mergeCommit",
    "mergeStateStatus",
    "mergeable",
    "mergedAt",
    "mergedBy",
    "milestone",
    "number",
    "potentialMergeCommit",
    "projectCards",
    "projectItems",
    "reactionGroups",
    "reviewDecision",
    "reviewRequests",
    "reviews",
    "state",
    "statusCheckRollup",
    "title",
    "updatedAt",
    "url",
    "isPinned",
    "stateReason",
];

/// What a call prints and returns.
#[derive(Debug, PartialEq)]
struct Answer {
    stdout: String,
    stderr: String,
    code: i32,
}

impl Answer {
    fn out(stdout: impl Into<String>) -> Self {
        Self {
            stdout: stdout.into(),
            stderr: String::new(),
            code: 0,
        }
    }

    fn error(code: i32, stderr: impl Into<String>) -> Self {
        Self {
            stdout: String::new(),
            stderr: stderr.into(),
            code,
        }
    }
}

/// Runs the program; returns its exit code.
#[must_use]
pub fn main(arguments: &[String]) -> i32 {
    log_call(arguments);
    let path = std::env::var_os("FAKE_GH_STATE").map(PathBuf::from);
    let mut state = path.as_deref().and_then(load);
    let before = state.clone();
    let answer = answer(arguments, state.as_mut(), &current_branch());
    if let (Some(path), Some(state)) = (path, state)
        && before.as_ref() != Some(&state)
        && let Err(error) = store(&path, &state)
    {
        eprintln!("fake-gh: writing {}: {error}", path.display());
    }
    if !answer.stdout.is_empty() {
        println!("{}", answer.stdout);
    }
    if !answer.stderr.is_empty() {
        eprintln!("{}", answer.stderr);
    }
    answer.code
}

fn log_call(arguments: &[String]) {
    let Some(path) = std::env::var_os("FAKE_GH_LOG") else {
        return;
    };
    let cwd = std::env::current_dir().unwrap_or_default();
    let line = format!("{}\n", json!({"argv": arguments, "cwd": cwd}));
    let opened = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path);
    if let Err(error) = opened.and_then(|mut file| file.write_all(line.as_bytes())) {
        eprintln!("fake-gh: writing the log: {error}");
    }
}

fn load(path: &Path) -> Option<Value> {
    let text = std::fs::read_to_string(path).ok()?;
    match serde_json::from_str(&text) {
        Ok(state) => Some(state),
        Err(error) => {
            eprintln!("fake-gh: {} is not JSON: {error}", path.display());
            None
        }
    }
}

fn store(path: &Path, state: &Value) -> std::io::Result<()> {
    let half = path.with_extension("half");
    std::fs::write(&half, state.to_string())?;
    std::fs::rename(half, path)
}

fn current_branch() -> String {
    let output = std::process::Command::new("git")
        .args(["branch", "--show-current"])
        .output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

/// A parsed call: words, and options with their values.
struct Call {
    words: Vec<String>,
    options: Vec<(String, String)>,
}

/// Options without a value.
const SWITCHES: [&str; 14] = [
    "--draft",
    "-d",
    "--fill",
    "-f",
    "--web",
    "-w",
    "--paginate",
    "--slurp",
    "--squash",
    "--merge",
    "--rebase",
    "--delete-branch",
    "--required",
    "--include",
];

impl Call {
    fn parse(arguments: &[String]) -> Self {
        let mut call = Self {
            words: Vec::new(),
            options: Vec::new(),
        };
        let mut rest = arguments.iter();
        // `-f` is a switch of `pr create` and a field of `api`.
        let is_api = arguments.first().is_some_and(|first| first == "api");
        while let Some(argument) = rest.next() {
            if !argument.starts_with('-') || argument == "-" {
                call.words.push(argument.clone());
            } else if let Some((name, value)) = argument
                .split_once('=')
                .filter(|_| argument.starts_with("--"))
            {
                call.options.push((name.to_owned(), value.to_owned()));
            } else if SWITCHES.contains(&argument.as_str()) && !(is_api && argument == "-f") {
                call.options.push((argument.clone(), String::new()));
            } else {
                call.options
                    .push((argument.clone(), rest.next().cloned().unwrap_or_default()));
            }
        }
        call
    }

    fn option(&self, names: &[&str]) -> Option<&str> {
        let found = self
            .options
            .iter()
            .rev()
            .find(|(name, _)| names.contains(&name.as_str()));
        found.map(|(_, value)| value.as_str())
    }
}

fn answer(arguments: &[String], state: Option<&mut Value>, branch: &str) -> Answer {
    if arguments
        .first()
        .is_some_and(|first| first == "--version" || first == "version")
    {
        return Answer::out(
            "gh version 2.60.0 (2024-10-29)\nhttps://github.com/cli/cli/releases/tag/v2.60.0",
        );
    }
    let Some(state) = state else {
        return Answer::error(
            4,
            "To get started with GitHub CLI, please run:  gh auth login\nAlternatively, populate the GH_TOKEN environment variable with a GitHub API authentication token.",
        );
    };
    let call = Call::parse(arguments);
    if call.option(&["--jq", "-q", "--template", "-t"]).is_some()
        && call.words.first().is_none_or(|word| {
            word != "pr" || call.words.get(1).is_none_or(|word| word != "create")
        })
    {
        return Answer::error(
            2,
            "fake-gh: --jq and --template are not supported: parse the JSON yourself",
        );
    }
    let words: Vec<&str> = call.words.iter().map(String::as_str).collect();
    let name = words.iter().take(2).copied().collect::<Vec<_>>().join(" ");
    if let Some(failure) = scripted_failure(
        state,
        if words.first() == Some(&"api") {
            "api"
        } else {
            &name
        },
    ) {
        return failure;
    }
    match words.as_slice() {
        ["auth", "status", ..] => {
            let user = state["user"].as_str().unwrap_or("you");
            Answer::out(format!(
                "github.com\n  ✓ Logged in to github.com account {user} (GH_TOKEN)"
            ))
        }
        ["repo", "view", ..] => repository(state, &call),
        ["pr", "view", rest @ ..] => view(state, &call, rest.first().copied().unwrap_or(branch)),
        ["pr", "list", ..] => list(state, &call),
        ["pr", "checks", rest @ ..] => checks(state, rest.first().copied().unwrap_or(branch)),
        ["pr", "create", ..] => create(state, &call, branch),
        ["pr", "merge", rest @ ..] => merge(state, rest.first().copied().unwrap_or(branch)),
        ["api", path, ..] => api(state, &call, path),
        _ => Answer::error(
            1,
            format!("unknown command {:?} for \"gh\"", arguments.join(" ")),
        ),
    }
}

/// A failure the state asks for; `times` counts down.
fn scripted_failure(state: &mut Value, name: &str) -> Option<Answer> {
    let failure = state.get_mut("fail")?.get_mut(name)?;
    if let Some(times) = failure["times"].as_u64() {
        if times == 0 {
            return None;
        }
        failure["times"] = json!(times - 1);
    }
    let code = failure["code"].as_i64().unwrap_or(1) as i32;
    Some(Answer::error(
        code,
        failure["stderr"].as_str().unwrap_or("scripted failure"),
    ))
}

fn repository(state: &Value, call: &Call) -> Answer {
    let full = state["repository"].as_str().unwrap_or("you/repository");
    let (owner, name) = full.split_once('/').unwrap_or(("you", full));
    let known = json!({
        "name": name, "owner": {"login": owner}, "nameWithOwner": full,
        "url": format!("https://github.com/{full}"), "defaultBranchRef": {"name": "main"},
    });
    let Some(fields) = call.option(&["--json"]) else {
        return Answer::out(full);
    };
    let fields = fields
        .split(',')
        .map(|field| (field.to_owned(), known[field].clone()));
    Answer::out(Value::Object(fields.collect()).to_string())
}

fn pull_requests(state: &Value) -> &[Value] {
    state["pull_requests"].as_array().map_or(&[], Vec::as_slice)
}

/// By number, URL or branch; of several with one branch the open one, else the newest.
fn find(state: &Value, wanted: &str) -> Option<usize> {
    let number = wanted.trim_start_matches('#').parse::<u64>().ok();
    let all = pull_requests(state);
    let fits = |request: &Value| match number {
        Some(number) => request["number"] == number,
        None => request["url"] == wanted || request["headRefName"] == wanted,
    };
    let open = all
        .iter()
        .position(|request| fits(request) && field(state, request, "state") == "OPEN");
    open.or_else(|| all.iter().rposition(fits))
}

fn field(state: &Value, request: &Value, name: &str) -> Value {
    if let Some(value) = request.get(name) {
        return value.clone();
    }
    let number = &request["number"];
    match name {
        "state" => json!("OPEN"),
        "baseRefName" => json!("main"),
        "url" => {
            let repository = state["repository"].as_str().unwrap_or("you/repository");
            json!(format!("https://github.com/{repository}/pull/{number}"))
        }
        "author" => json!({"login": state["user"].as_str().unwrap_or("you"), "is_bot": false}),
        "mergeable" => json!("MERGEABLE"),
        "mergeStateStatus" => json!("CLEAN"),
        "isDraft" | "closed" | "isCrossRepository" => json!(false),
        "title" | "body" | "reviewDecision" | "headRefOid" | "id" => json!(""),
        "additions" | "deletions" | "changedFiles" => json!(0),
        "comments" | "reviews" | "latestReviews" | "statusCheckRollup" | "labels" | "files"
        | "commits" | "assignees" | "reviewRequests" => json!([]),
        "createdAt" | "updatedAt" => json!("2026-01-01T00:00:00Z"),
        _ => Value::Null,
    }
}

fn selected(state: &Value, request: &Value, fields: &str) -> Result<Value, Answer> {
    let mut object = Map::new();
    for name in fields
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        if !FIELDS.contains(&name) {
            let known: Vec<String> = FIELDS.iter().map(|field| format!("  {field}")).collect();
            return Err(Answer::error(
                1,
                format!(
                    "Unknown JSON field: \"{name}\"\nAvailable fields:\n{}",
                    known.join("\n")
                ),
            ));
        }
        object.insert(name.to_owned(), field(state, request, name));
    }
    Ok(Value::Object(object))
}

fn view(state: &Value, call: &Call, wanted: &str) -> Answer {
    let Some(index) = find(state, wanted) else {
        return not_found(wanted);
    };
    let request = &pull_requests(state)[index];
    match call.option(&["--json"]) {
        None => Answer::out(format!(
            "title:\t{}",
            request["title"].as_str().unwrap_or_default()
        )),
        Some(fields) => match selected(state, request, fields) {
            Ok(object) => Answer::out(object.to_string()),
            Err(answer) => answer,
        },
    }
}

fn not_found(wanted: &str) -> Answer {
    if wanted.parse::<u64>().is_ok() {
        return Answer::error(
            1,
            format!(
                "GraphQL: Could not resolve to a PullRequest with the number of {wanted}. (repository.pullRequest)"
            ),
        );
    }
    Answer::error(1, format!("no pull requests found for branch \"{wanted}\""))
}

fn list(state: &Value, call: &Call) -> Answer {
    let wanted = call
        .option(&["--state", "-s"])
        .unwrap_or("open")
        .to_uppercase();
    let head = call.option(&["--head", "-H"]);
    let base = call.option(&["--base", "-B"]);
    let limit = call
        .option(&["--limit", "-L"])
        .and_then(|limit| limit.parse().ok())
        .unwrap_or(30);
    let mut found: Vec<&Value> = pull_requests(state)
        .iter()
        .filter(|request| {
            let is = field(state, request, "state");
            // Merged ones are closed ones, too.
            wanted == "ALL" || is == *wanted || (wanted == "CLOSED" && is == "MERGED")
        })
        .filter(|request| head.is_none_or(|head| request["headRefName"] == head))
        .filter(|request| base.is_none_or(|base| field(state, request, "baseRefName") == base))
        .collect();
    found.sort_by_key(|request| std::cmp::Reverse(request["number"].as_u64()));
    found.truncate(limit);
    let Some(fields) = call.option(&["--json"]) else {
        let lines: Vec<String> = found
            .iter()
            .map(|request| {
                format!(
                    "{}\t{}\t{}",
                    request["number"],
                    request["title"].as_str().unwrap_or_default(),
                    request["headRefName"].as_str().unwrap_or_default()
                )
            })
            .collect();
        return Answer::out(lines.join("\n"));
    };
    let objects: Result<Vec<Value>, Answer> = found
        .iter()
        .map(|request| selected(state, request, fields))
        .collect();
    match objects {
        Ok(objects) => Answer::out(Value::Array(objects).to_string()),
        Err(answer) => answer,
    }
}

/// Exit code 8 while checks are pending, 1 when one failed, as in gh.
fn checks(state: &Value, wanted: &str) -> Answer {
    let Some(index) = find(state, wanted) else {
        return not_found(wanted);
    };
    let rollup = field(state, &pull_requests(state)[index], "statusCheckRollup");
    let (mut code, mut lines) = (0, Vec::new());
    for check in rollup.as_array().into_iter().flatten() {
        let result = match (
            check["status"].as_str(),
            check["conclusion"].as_str().or(check["state"].as_str()),
        ) {
            (Some("COMPLETED") | None, Some("SUCCESS" | "NEUTRAL" | "SKIPPED")) => "pass",
            (Some("COMPLETED") | None, Some("FAILURE" | "ERROR" | "TIMED_OUT" | "CANCELLED")) => {
                "fail"
            }
            _ => "pending",
        };
        code = match result {
            "fail" => 1,
            "pending" if code == 0 => 8,
            _ => code,
        };
        let name = check["name"]
            .as_str()
            .or(check["context"].as_str())
            .unwrap_or_default();
        lines.push(format!("{name}\t{result}\t0\t"));
    }
    Answer {
        stdout: lines.join("\n"),
        stderr: String::new(),
        code,
    }
}

fn create(state: &mut Value, call: &Call, branch: &str) -> Answer {
    let head = call.option(&["--head", "-H"]).unwrap_or(branch).to_owned();
    let open = pull_requests(state).iter().find(|request| {
        request["headRefName"] == *head && field(state, request, "state") == "OPEN"
    });
    if let Some(open) = open {
        let url = field(state, open, "url");
        return Answer::error(
            1,
            format!(
                "a pull request for branch \"{head}\" into branch \"main\" already exists:\n{}",
                url.as_str().unwrap_or_default()
            ),
        );
    }
    let number = pull_requests(state)
        .iter()
        .filter_map(|request| request["number"].as_u64())
        .max()
        .unwrap_or(0)
        + 1;
    let body = match call.option(&["--body-file", "-F"]) {
        Some(file) => std::fs::read_to_string(file).unwrap_or_default(),
        None => call
            .option(&["--body", "-b"])
            .unwrap_or_default()
            .to_owned(),
    };
    let request = json!({
        "number": number,
        "title": call.option(&["--title", "-t"]).unwrap_or(&head),
        "body": body,
        "state": "OPEN",
        "headRefName": head,
        "baseRefName": call.option(&["--base", "-B"]).unwrap_or("main"),
        "isDraft": call.option(&["--draft", "-d"]).is_some(),
    });
    let url = field(state, &request, "url")
        .as_str()
        .unwrap_or_default()
        .to_owned();
    match state["pull_requests"].as_array_mut() {
        Some(all) => all.push(request),
        None => state["pull_requests"] = json!([request]),
    }
    Answer::out(url)
}

fn merge(state: &mut Value, wanted: &str) -> Answer {
    let Some(index) = find(state, wanted) else {
        return not_found(wanted);
    };
    state["pull_requests"][index]["state"] = json!("MERGED");
    state["pull_requests"][index]["mergedAt"] = json!("2026-01-01T00:00:00Z");
    Answer::out("")
}

fn api(state: &Value, call: &Call, path: &str) -> Answer {
    let path = path.trim_start_matches('/');
    let method = call
        .option(&["--method", "-X"])
        .unwrap_or("GET")
        .to_uppercase();
    let exact = format!("{method} {path}");
    let known = state["api"].as_object();
    let bare = path.split('?').next().unwrap_or(path);
    let found = known.and_then(|known| {
        known
            .get(&exact)
            .or_else(|| known.get(path))
            .or_else(|| known.get(bare))
    });
    match found {
        Some(answer) => Answer::out(answer.to_string()),
        None => Answer {
            stdout: json!({"message": "Not Found", "status": "404"}).to_string(),
            stderr: "gh: Not Found (HTTP 404)".into(),
            code: 1,
        },
    }
}

#[cfg(test)]
mod tests;
