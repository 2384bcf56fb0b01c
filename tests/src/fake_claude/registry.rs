//! The sessions registry: `~/.claude/sessions/<pid>.json`, rewritten at each change.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// What the session is doing, as the registry says it.
#[derive(Clone, Debug, PartialEq)]
pub enum Status {
    Busy,
    /// With what it waits for: `permission prompt`, `dialog open`, `input needed`.
    Waiting(&'static str),
    Idle,
    /// Idle with background commands running.
    Shell,
}

/// The file of this process.
pub struct Registry {
    path: PathBuf,
    entry: Value,
    /// Once removed it stays so: a turn that is still ending must not bring the entry back.
    removed: bool,
}

impl Registry {
    /// Writes the first entry, idle.
    #[must_use]
    pub fn create(home: &Path, session_id: &str, cwd: &Path, name: Option<&str>) -> Self {
        let pid = std::process::id();
        let folder = home.join(".claude/sessions");
        let now = super::now_ms();
        let folder_name = cwd
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let derived = format!("{folder_name}-{}", pid % 100);
        let mut entry = json!({
            "pid": pid,
            "sessionId": session_id,
            "cwd": cwd,
            "startedAt": now,
            "procStart": process_start(pid).unwrap_or_default(),
            "version": super::version(),
            "peerProtocol": 1,
            "kind": "interactive",
            "entrypoint": "cli",
            "name": name.unwrap_or(&derived),
            "status": "idle",
            "updatedAt": now,
            "statusUpdatedAt": now,
        });
        if name.is_none() {
            entry["nameSource"] = json!("derived");
        }
        let registry = Self {
            path: folder.join(format!("{pid}.json")),
            entry,
            removed: false,
        };
        registry.write();
        registry
    }

    /// A failure is told on the screen only: the registry is a hint in the real client, too.
    fn write(&self) {
        if self.removed {
            return;
        }
        if let Some(folder) = self.path.parent() {
            drop(std::fs::create_dir_all(folder));
        }
        let half = self.path.with_extension("tmp");
        if std::fs::write(&half, self.entry.to_string()).is_ok() {
            drop(std::fs::rename(half, &self.path));
        }
    }

    pub fn set_status(&mut self, status: &Status) {
        let (word, waiting_for) = match status {
            Status::Busy => ("busy", None),
            Status::Waiting(what) => ("waiting", Some(*what)),
            Status::Idle => ("idle", None),
            Status::Shell => ("shell", None),
        };
        let now = json!(super::now_ms());
        if let Value::Object(entry) = &mut self.entry {
            entry.insert("status".into(), json!(word));
            entry.insert("updatedAt".into(), now.clone());
            entry.insert("statusUpdatedAt".into(), now);
            match waiting_for {
                Some(what) => drop(entry.insert("waitingFor".into(), json!(what))),
                None => drop(entry.remove("waitingFor")),
            }
        }
        self.write();
    }

    pub fn set_session(&mut self, session_id: &str) {
        self.entry["sessionId"] = json!(session_id);
        self.write();
    }

    pub fn remove(&mut self) {
        self.removed = true;
        drop(std::fs::remove_file(&self.path));
    }
}

/// Entries whose process is alive, as `claude agents --json` prints them.
#[must_use]
pub fn alive(home: &Path) -> Vec<Value> {
    let Ok(files) = std::fs::read_dir(home.join(".claude/sessions")) else {
        return Vec::new();
    };
    let mut entries: Vec<Value> = files
        .flatten()
        .filter(|file| {
            file.path()
                .extension()
                .is_some_and(|extension| extension == "json")
        })
        .filter_map(|file| serde_json::from_str(&std::fs::read_to_string(file.path()).ok()?).ok())
        .filter(is_alive)
        .collect();
    entries.sort_by_key(|entry| entry["startedAt"].as_u64());
    entries
}

fn is_alive(entry: &Value) -> bool {
    let pid = entry["pid"]
        .as_u64()
        .and_then(|pid| u32::try_from(pid).ok());
    pid.and_then(process_start)
        .is_some_and(|start| entry["procStart"] == start)
}

/// Start time of a process in clock ticks since boot: field 22 of its stat file.
#[must_use]
pub fn process_start(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold spaces: count from its end.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19).map(str::to_owned)
}
