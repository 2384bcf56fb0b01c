//! The registry of running sessions that Claude Code keeps for itself, one file per process.
//!
//! It is not documented, so it is a hint and its absence is normal; but it is the only place that tells
//! what no hook reports: an interruption with Esc, a dialog refused with Esc.

use std::fs;
use std::io;
use std::path::Path;

use claustre_protocol::time::Timestamp;
use serde::Deserialize;

use super::wire::lenient;
use crate::text;

/// One running (or dead) client, as its file tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryEntry {
    /// The client's process.
    pub pid: u32,
    /// The conversation's id.
    pub claude_session_id: String,
    /// The client's working directory.
    pub cwd: String,
    /// The session's name.
    pub name: Option<String>,
    /// The client's version.
    pub version: Option<String>,
    /// Whether a person sits before it; `-p` runs are not interactive and tell no status.
    pub is_interactive: bool,
    /// What it is doing.
    pub status: RegistryStatus,
    /// Since when it is doing that.
    pub status_since: Option<Timestamp>,
    /// When the client started.
    pub started_at: Option<Timestamp>,
    /// The start time of the process in the kernel's ticks, which tells it from a later one of that pid.
    pub process_start: Option<String>,
    /// Whether that very process still lives.
    pub liveness: Liveness,
}

/// What a client says it is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistryStatus {
    /// A turn is running, retries of the API included.
    Busy,
    /// A dialog is open.
    Waiting(WaitingFor),
    /// Ready for a prompt.
    Idle,
    /// Ready for a prompt while background shells run.
    Shell,
    /// Not told, or a word this version does not know.
    Unknown,
}

/// What a dialog waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitingFor {
    /// The answer to a permission question.
    Permission,
    /// Some dialog, such as the usage limit menu or a slash command's.
    Dialog,
    /// The answer to a question of the model.
    Input,
    /// The answer to a question of a worker.
    Worker,
    /// The permission to leave the sandbox.
    Sandbox,
    /// The client's own words, where they are new.
    Other(String),
}

/// Whether the process that wrote an entry still lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It does.
    Alive,
    /// It is gone, or the pid belongs to another process now.
    Dead,
    /// This system does not tell.
    Unknown,
}

/// Reads every entry of the directory and checks each process. A missing directory is no entry; a file
/// that cannot be read or understood is left out, since a client may be rewriting it right now.
#[must_use]
pub fn scan(directory: &Path) -> Vec<RegistryEntry> {
    let Ok(files) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut entries: Vec<RegistryEntry> = files
        .filter_map(Result::ok)
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .filter_map(|path| read(&path))
        .collect();
    entries.sort_by_key(|entry| entry.pid);
    entries
}

/// Reads one entry and checks its process; none when the file is missing or not understood.
#[must_use]
pub fn read(path: &Path) -> Option<RegistryEntry> {
    let mut entry = parse(&fs::read_to_string(path).ok()?)?;
    entry.liveness = liveness(entry.pid, entry.process_start.as_deref());
    Some(entry)
}

/// Understands one entry's text; the process is not checked.
#[must_use]
pub fn parse(content: &str) -> Option<RegistryEntry> {
    let wire: WireEntry = serde_json::from_str(content).ok()?;
    let short = |value: Option<String>| value.map(|value| text::one_line(&value, 400));
    Some(RegistryEntry {
        pid: wire.pid.filter(|pid| *pid > 0)?,
        claude_session_id: short(wire.session_id)?,
        cwd: wire.cwd.unwrap_or_default(),
        name: short(wire.name),
        version: short(wire.version),
        is_interactive: wire.kind.as_deref() == Some("interactive"),
        status: status(wire.status.as_deref(), wire.waiting_for.as_deref()),
        status_since: wire
            .status_updated_at
            .or(wire.updated_at)
            .map(Timestamp::from_millis),
        started_at: wire.started_at.map(Timestamp::from_millis),
        process_start: wire.proc_start.and_then(|start| match start {
            serde_json::Value::String(text) => Some(text),
            serde_json::Value::Number(number) => Some(number.to_string()),
            _ => None,
        }),
        liveness: Liveness::Unknown,
    })
}

/// Whether the process with this pid and start time lives. Without a start time a living pid counts.
#[must_use]
pub fn liveness(pid: u32, process_start: Option<&str>) -> Liveness {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => {
            let Some(process) = process_stat(&stat) else {
                return Liveness::Unknown;
            };
            let is_same = process_start.is_none_or(|start| start == process.start);
            if is_same && !process.is_zombie {
                Liveness::Alive
            } else {
                Liveness::Dead
            }
        }
        // Without /proc (another system) a missing file says nothing.
        Err(error)
            if error.kind() == io::ErrorKind::NotFound && Path::new("/proc/self/stat").exists() =>
        {
            Liveness::Dead
        }
        Err(_) => Liveness::Unknown,
    }
}

/// The start time of a running process in the kernel's ticks; none where there is no such process, or the system does not tell.
#[must_use]
pub fn process_start(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(process_stat(&stat)?.start.to_owned())
}

struct ProcessStat<'a> {
    start: &'a str,
    is_zombie: bool,
}

/// Reads `/proc/PID/stat`. The second field is the program's name in brackets and may itself hold
/// blanks and brackets, so counting starts behind the last bracket: there stands field 3.
fn process_stat(stat: &str) -> Option<ProcessStat<'_>> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    // `nth` counts from 0 and field 4 is next, so field 22 is at 18.
    let start = fields.nth(18)?;
    Some(ProcessStat {
        start,
        is_zombie: matches!(state, "Z" | "X"),
    })
}

fn status(status: Option<&str>, waiting_for: Option<&str>) -> RegistryStatus {
    match status {
        Some("busy") => RegistryStatus::Busy,
        Some("idle") => RegistryStatus::Idle,
        Some("shell") => RegistryStatus::Shell,
        Some("waiting") => RegistryStatus::Waiting(match waiting_for.unwrap_or_default() {
            "permission prompt" => WaitingFor::Permission,
            "dialog open" => WaitingFor::Dialog,
            "input needed" => WaitingFor::Input,
            "worker request" => WaitingFor::Worker,
            "sandbox request" => WaitingFor::Sandbox,
            other => WaitingFor::Other(text::one_line(other, 120)),
        }),
        _ => RegistryStatus::Unknown,
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireEntry {
    #[serde(deserialize_with = "lenient")]
    pid: Option<u32>,
    #[serde(deserialize_with = "lenient")]
    session_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    cwd: Option<String>,
    #[serde(deserialize_with = "lenient")]
    name: Option<String>,
    #[serde(deserialize_with = "lenient")]
    version: Option<String>,
    #[serde(deserialize_with = "lenient")]
    kind: Option<String>,
    #[serde(deserialize_with = "lenient")]
    status: Option<String>,
    #[serde(deserialize_with = "lenient")]
    waiting_for: Option<String>,
    #[serde(deserialize_with = "lenient")]
    status_updated_at: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    updated_at: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    started_at: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    proc_start: Option<serde_json::Value>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SAMPLE: &str = r#"{"pid":24154,"sessionId":"4655d684-0000","cwd":"lab/wt","startedAt":1795169840307,
        "procStart":"104747","version":"2.1.197","peerProtocol":1,"kind":"interactive","entrypoint":"cli","name":"wt-30",
        "nameSource":"derived","status":"waiting","waitingFor":"permission prompt","updatedAt":1795169840999,
        "statusUpdatedAt":1795169840500}"#;

    #[test]
    fn an_entry_is_read() {
        let entry = parse(SAMPLE).expect("entry");
        assert_eq!(
            (entry.pid, entry.claude_session_id.as_str()),
            (24154, "4655d684-0000")
        );
        assert_eq!(
            entry.status,
            RegistryStatus::Waiting(WaitingFor::Permission)
        );
        assert_eq!(
            entry.status_since,
            Some(Timestamp::from_millis(1_795_169_840_500))
        );
        assert_eq!(entry.process_start.as_deref(), Some("104747"));
        assert!(entry.is_interactive);
    }

    #[test]
    fn unknown_words_and_wrong_types_are_unknown() {
        let with = |status: serde_json::Value| {
            parse(
                &json!({"pid": 1, "sessionId": "s", "status": status, "waitingFor": "a new thing"})
                    .to_string(),
            )
            .expect("entry")
            .status
        };
        assert_eq!(with(json!("dreaming")), RegistryStatus::Unknown);
        assert_eq!(with(json!(3)), RegistryStatus::Unknown);
        assert_eq!(with(json!("shell")), RegistryStatus::Shell);
        assert_eq!(
            with(json!("waiting")),
            RegistryStatus::Waiting(WaitingFor::Other("a new thing".into()))
        );
        for text in [
            "",
            "{}",
            "[]",
            r#"{"pid":0,"sessionId":"s"}"#,
            r#"{"pid":-4,"sessionId":"s"}"#,
            r#"{"pid":1}"#,
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_start_time_is_field_22_whatever_the_program_is_called() {
        let tail = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 987654 20";
        let stat = format!("77 (a ) b) {tail}");
        assert_eq!(
            process_stat(&stat).map(|process| process.start),
            Some("987654")
        );
        assert!(process_stat("77 (x) S 1").is_none());
    }

    #[test]
    fn a_reused_pid_is_dead() {
        let me = std::process::id();
        let stat = fs::read_to_string("/proc/self/stat").expect("stat");
        let start = process_stat(&stat).expect("fields").start;
        assert_eq!(liveness(me, Some(start)), Liveness::Alive);
        assert_eq!(liveness(me, Some("1")), Liveness::Dead);
        assert_eq!(liveness(u32::MAX, None), Liveness::Dead);
    }

    #[test]
    fn a_scan_skips_what_it_does_not_understand() {
        let directory = tempfile::tempdir().expect("temp dir");
        let me = std::process::id();
        let own = json!({"pid": me, "sessionId": "mine", "status": "idle"}).to_string();
        fs::write(directory.path().join(format!("{me}.json")), own).expect("written");
        fs::write(directory.path().join("1.json"), "{half").expect("written");
        fs::write(directory.path().join("notes.txt"), "x").expect("written");
        let entries = scan(directory.path());
        assert_eq!(entries.len(), 1);
        assert_eq!(
            (entries[0].status.clone(), entries[0].liveness),
            (RegistryStatus::Idle, Liveness::Alive)
        );
        assert!(scan(&directory.path().join("none")).is_empty());
    }
}
