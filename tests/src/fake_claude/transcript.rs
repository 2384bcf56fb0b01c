//! The transcript: `~/.claude/projects/<slug>/<session-id>.jsonl`, one record a line.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// The file of one conversation; its name is known before it exists.
#[derive(Clone, Debug)]
pub struct Transcript {
    path: PathBuf,
    session_id: String,
    cwd: String,
    branch: String,
    parent: Option<String>,
    messages: u64,
}

impl Transcript {
    /// The transcript of a session that starts in `cwd`; an existing one is continued.
    #[must_use]
    pub fn open(home: &Path, cwd: &Path, session_id: &str) -> Self {
        let path = folder(home, cwd).join(format!("{session_id}.jsonl"));
        let mut transcript = Self {
            session_id: session_id.to_owned(),
            cwd: cwd.display().to_string(),
            branch: git_branch(cwd).unwrap_or_default(),
            parent: None,
            messages: 0,
            path,
        };
        for record in transcript.records() {
            if let Some(uuid) = record["uuid"].as_str() {
                transcript.parent = Some(uuid.to_owned());
                transcript.messages += 1;
            }
        }
        transcript
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All records so far.
    #[must_use]
    pub fn records(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    fn write(&self, record: &Value) {
        if let Some(folder) = self.path.parent() {
            drop(std::fs::create_dir_all(folder));
        }
        let opened = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path);
        if let Ok(mut file) = opened {
            drop(file.write_all(format!("{record}\n").as_bytes()));
        }
    }

    /// Appends a record of the conversation's chain; returns its uuid.
    fn chain(&mut self, mut record: Value) -> String {
        let uuid = uuid::Uuid::new_v4().to_string();
        record["parentUuid"] = json!(self.parent);
        record["isSidechain"] = json!(false);
        record["uuid"] = json!(uuid);
        record["timestamp"] = json!(super::timestamp());
        record["userType"] = json!("external");
        record["entrypoint"] = json!("cli");
        record["cwd"] = json!(self.cwd);
        record["sessionId"] = json!(self.session_id);
        record["version"] = json!(super::version());
        record["gitBranch"] = json!(self.branch);
        self.write(&record);
        self.parent = Some(uuid.clone());
        self.messages += 1;
        uuid
    }

    /// First records of a new conversation.
    pub fn begin(&mut self, permission_mode: &str) {
        self.write(&json!({"type": "mode", "mode": "normal", "sessionId": self.session_id}));
        self.write(&json!({"type": "permission-mode", "permissionMode": permission_mode, "sessionId": self.session_id}));
    }

    pub fn user_prompt(&mut self, prompt: &str, prompt_id: &str, permission_mode: &str) {
        self.chain(json!({
            "type": "user", "promptId": prompt_id, "message": {"role": "user", "content": prompt},
            "permissionMode": permission_mode, "origin": {"kind": "human"}, "promptSource": "typed",
        }));
    }

    /// A user message the client itself puts in, such as the feedback of a Stop hook.
    pub fn meta(&mut self, text: &str, prompt_id: &str) {
        self.chain(json!({
            "type": "user", "promptId": prompt_id, "message": {"role": "user", "content": text}, "isMeta": true,
        }));
    }

    /// One content block of an answer. Every block of one answer carries the same message id and usage.
    pub fn assistant(
        &mut self,
        message_id: &str,
        model: &str,
        block: &Value,
        last: bool,
        usage: &Value,
    ) -> String {
        let stop_reason = if last { "end_turn" } else { "tool_use" };
        self.chain(json!({
            "type": "assistant",
            "message": {
                "id": message_id, "type": "message", "role": "assistant", "model": model, "content": [block],
                "stop_reason": stop_reason, "stop_sequence": null, "usage": full_usage(usage, "standard"),
                "stop_details": null,
            },
            "requestId": super::fresh_id("req_", 20),
        }))
    }

    pub fn tool_result(
        &mut self,
        tool_use_id: &str,
        prompt_id: &str,
        content: &Value,
        result: &Value,
        is_error: bool,
        source: &str,
    ) {
        self.chain(json!({
            "type": "user", "promptId": prompt_id,
            "message": {"role": "user", "content": [
                {"tool_use_id": tool_use_id, "type": "tool_result", "content": content, "is_error": is_error}]},
            "toolUseResult": result, "sourceToolAssistantUUID": source,
        }));
    }

    /// An answer of the API that was an error.
    pub fn api_error(&mut self, text: &str, kind: &str, status: Option<u16>) {
        let nothing = json!({"input_tokens": 0, "output_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0});
        let mut record = json!({
            "type": "assistant",
            "message": {
                "id": uuid::Uuid::new_v4().to_string(), "container": null, "model": "<synthetic>", "role": "assistant",
                "stop_details": null, "stop_reason": "stop_sequence", "stop_sequence": "", "type": "message",
                "usage": full_usage(&nothing, ""), "content": [{"type": "text", "text": text}], "context_management": null,
            },
            "requestId": super::fresh_id("req_", 20), "error": kind, "isApiErrorMessage": true,
        });
        if let Some(status) = status {
            record["apiErrorStatus"] = json!(status);
        }
        self.chain(record);
    }

    pub fn interrupted(&mut self, prompt_id: &str, for_tool: bool) {
        let text = if for_tool {
            "[Request interrupted by user for tool use]"
        } else {
            "[Request interrupted by user]"
        };
        self.chain(json!({
            "type": "user", "promptId": prompt_id,
            "message": {"role": "user", "content": [{"type": "text", "text": text}]},
        }));
    }

    pub fn queue_operation(&self, operation: &str, content: &str) {
        self.write(&json!({
            "type": "queue-operation", "operation": operation, "timestamp": super::timestamp(),
            "content": content, "sessionId": self.session_id,
        }));
    }

    pub fn stop_hooks(&mut self, hooks: &[(String, u64)], errors: &[String], context: &[String]) {
        let infos: Vec<Value> = hooks
            .iter()
            .map(|(command, duration)| json!({"command": command, "durationMs": duration}))
            .collect();
        self.chain(json!({
            "type": "system", "subtype": "stop_hook_summary", "hookCount": hooks.len(), "hookInfos": infos,
            "hookErrors": errors, "hookAdditionalContext": context, "preventedContinuation": false, "stopReason": "",
            "hasOutput": !errors.is_empty() || !context.is_empty(), "level": "suggestion",
            "toolUseID": uuid::Uuid::new_v4().to_string(),
        }));
    }

    pub fn turn_over(&mut self, duration_ms: u64) {
        let messages = self.messages;
        self.chain(json!({
            "type": "system", "subtype": "turn_duration", "durationMs": duration_ms, "messageCount": messages,
            "isMeta": false,
        }));
    }
}

fn full_usage(usage: &Value, tier: &str) -> Value {
    let mut full = json!({
        "server_tool_use": {"web_search_requests": 0, "web_fetch_requests": 0},
        "service_tier": if tier.is_empty() { Value::Null } else { json!(tier) },
        "cache_creation": {"ephemeral_1h_input_tokens": 0, "ephemeral_5m_input_tokens": 0},
        "inference_geo": if tier.is_empty() { Value::Null } else { json!("") },
        "iterations": if tier.is_empty() { Value::Null } else { json!([]) },
        "speed": if tier.is_empty() { Value::Null } else { json!("standard") },
    });
    for (key, value) in usage.as_object().into_iter().flatten() {
        full[key] = value.clone();
    }
    full
}

/// The folder of all conversations of a working directory.
#[must_use]
pub fn folder(home: &Path, cwd: &Path) -> PathBuf {
    home.join(".claude/projects")
        .join(slug(&cwd.display().to_string()))
}

/// Every character outside `[A-Za-z0-9]` becomes a dash; long ones are cut and get a short hash.
fn slug(path: &str) -> String {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let dashed: String = path
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '-'
            }
        })
        .collect();
    if dashed.len() <= 200 {
        return dashed;
    }
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    format!("{}-{:06x}", &dashed[..200], hasher.finish() & 0xff_ffff)
}

/// Whether a conversation of that id exists in any folder.
#[must_use]
pub fn exists_anywhere(home: &Path, session_id: &str) -> bool {
    let Ok(folders) = std::fs::read_dir(home.join(".claude/projects")) else {
        return false;
    };
    let name = format!("{session_id}.jsonl");
    folders
        .flatten()
        .any(|folder| folder.path().join(&name).exists())
}

/// The newest conversation of a folder.
#[must_use]
pub fn newest(home: &Path, cwd: &Path) -> Option<String> {
    let files = std::fs::read_dir(folder(home, cwd)).ok()?.flatten();
    let newest = files
        .filter(|file| {
            file.path()
                .extension()
                .is_some_and(|extension| extension == "jsonl")
        })
        .max_by_key(|file| file.metadata().and_then(|data| data.modified()).ok())?;
    Some(newest.path().file_stem()?.to_string_lossy().into_owned())
}

/// The git directory of a folder: of its worktree, where it is one.
#[must_use]
pub fn git_dir(cwd: &Path) -> Option<PathBuf> {
    let entry = cwd
        .ancestors()
        .map(|folder| folder.join(".git"))
        .find(|entry| entry.exists())?;
    if entry.is_dir() {
        return Some(entry);
    }
    let text = std::fs::read_to_string(&entry).ok()?;
    let target = text.strip_prefix("gitdir:")?.trim();
    Some(entry.parent()?.join(target))
}

fn git_branch(cwd: &Path) -> Option<String> {
    let head = std::fs::read_to_string(git_dir(cwd)?.join("HEAD")).ok()?;
    let head = head.trim();
    Some(
        head.strip_prefix("ref: refs/heads/")
            .unwrap_or("HEAD")
            .to_owned(),
    )
}

/// Name of the linked worktree that a folder is in, if it is in one.
#[must_use]
pub fn git_worktree(cwd: &Path) -> Option<String> {
    let folder = git_dir(cwd)?;
    let parent = folder.parent()?.file_name()?;
    (parent == "worktrees").then(|| {
        folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slug_is_the_real_client_s() {
        assert_eq!(slug("/home/you/lab/wt"), "-home-you-lab-wt");
        assert_eq!(
            slug("/tmp/we ird_näme.dir+x/LONG"),
            "-tmp-we-ird-n-me-dir-x-LONG"
        );
        assert!(slug(&"x".repeat(300)).len() < 210);
    }

    #[test]
    fn a_continued_transcript_hangs_on_to_its_last_record() {
        let home = tempfile::tempdir().unwrap();
        let cwd = Path::new("/home/you/lab/wt");
        let mut first = Transcript::open(home.path(), cwd, "s");
        first.user_prompt("hello", "p", "default");
        let mut second = Transcript::open(home.path(), cwd, "s");
        second.user_prompt("again", "q", "default");
        let records = second.records();
        assert_eq!(records.len(), 2);
        assert_eq!(records[1]["parentUuid"], records[0]["uuid"]);
        assert!(exists_anywhere(home.path(), "s") && !exists_anywhere(home.path(), "t"));
        assert_eq!(newest(home.path(), cwd).as_deref(), Some("s"));
    }
}
