use super::*;
use crate::adapters::claude::config_files::ConfigPaths;
use crate::adapters::claude::prices::PriceTable;
use serde_json::json;
use std::io::Write;

const SAMPLE: &str = include_str!("fixtures/transcript-sample.jsonl");

struct Project {
    home: tempfile::TempDir,
    state: TranscriptState,
}

impl Project {
    fn new() -> Self {
        Self {
            home: tempfile::tempdir().expect("temp dir"),
            state: TranscriptState::default(),
        }
    }

    fn path(&self) -> PathBuf {
        self.home.path().join(".claude/projects/wt/abc.jsonl")
    }

    fn projects(&self) -> Projects {
        Projects::of(&ConfigPaths::new(self.home.path(), None))
    }

    fn append(&self, path: &Path, content: &str) {
        fs::create_dir_all(path.parent().expect("parent")).expect("directory");
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .expect("opened");
        file.write_all(content.as_bytes()).expect("appended");
    }

    fn read(&mut self) -> Read {
        // Kept as JSON between reads, as the store does.
        let kept = serde_json::to_string(&self.state).expect("JSON");
        self.state = serde_json::from_str(&kept).expect("read back");
        let path = self.path();
        self.state.read(&self.projects(), &path).expect("read")
    }
}

fn answer(id: &str, output: u64) -> String {
    let usage = json!({"input_tokens": 10, "output_tokens": output, "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 30, "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}});
    let message = json!({"id": id, "model": "claude-opus-4-8", "usage": usage, "content": []});
    format!(
        "{}\n",
        json!({"type": "assistant", "timestamp": "2026-11-20T10:44:34.119Z", "message": message})
    )
}

#[test]
fn the_sample_counts_every_answer_once() {
    let mut project = Project::new();
    project.append(&project.path(), SAMPLE);
    let read = project.read();
    let ids: BTreeSet<String> = SAMPLE
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .filter(|record| {
            record["type"] == "assistant" && record["message"]["model"] != "<synthetic>"
        })
        .map(|record| record["message"]["id"].as_str().expect("id").to_owned())
        .collect();
    let answers = u64::try_from(ids.len()).expect("count");
    assert_eq!(read.lines, 64);
    assert_eq!(read.bad_lines, 0);
    let usage = project
        .state
        .usage
        .get("claude-opus-4-8")
        .copied()
        .expect("model");
    assert_eq!(
        usage,
        Tokens {
            input: 1200 * answers,
            output: 50 * answers,
            cache_read: 8000 * answers,
            ..Tokens::default()
        }
    );
    assert_eq!(
        project.state.usage.len(),
        1,
        "synthetic records are no model"
    );
    assert_eq!(read.api_errors, ["unknown"]);
    assert_eq!(
        project.state.turn,
        TurnMark::Running,
        "the last is the compaction's summary"
    );
    assert_eq!(
        project.state.last_activity,
        Timestamp::parse_rfc3339("2026-11-20T10:45:02.160Z")
    );
    let cost = PriceTable::default().cost(
        project
            .state
            .usage
            .iter()
            .map(|(model, tokens)| (model.as_str(), *tokens)),
    );
    // 0.01125 USD an answer, as the client's own count says.
    let wanted = 0.01125 * f64::from(u32::try_from(answers).expect("small"));
    assert!((cost.usd - wanted).abs() < 1e-9, "{cost:?}");
}

#[test]
fn only_whole_new_lines_are_read() {
    let mut project = Project::new();
    assert_eq!(project.read(), Read::default());
    let line = answer("m1", 5);
    let (start, end) = line.split_at(40);
    project.append(&project.path(), start);
    assert_eq!(project.read(), Read::default());
    project.append(&project.path(), end);
    assert_eq!(
        project.read(),
        Read {
            lines: 1,
            usage_changed: true,
            ..Read::default()
        }
    );
    assert_eq!(project.read(), Read::default());
    let wanted = Tokens {
        input: 10,
        output: 5,
        cache_read: 100,
        cache_write_5m: 10,
        cache_write_1h: 20,
    };
    assert_eq!(project.state.total(), wanted);
    assert_eq!(wanted.all_input(), 140);
}

#[test]
fn an_id_that_comes_again_later_counts_once_and_may_grow() {
    let mut project = Project::new();
    project.append(
        &project.path(),
        &[answer("m1", 1), answer("m1", 1), answer("m2", 7)].concat(),
    );
    project.read();
    project.append(&project.path(), &answer("m1", 9));
    assert!(project.read().usage_changed);
    project.append(&project.path(), &answer("m1", 9));
    assert!(!project.read().usage_changed);
    assert_eq!(
        (project.state.total().input, project.state.total().output),
        (20, 16)
    );
}

#[test]
fn subagents_count_and_do_not_touch_the_turn() {
    let mut project = Project::new();
    project.append(&project.path(), &answer("m1", 1));
    project.append(
        &project.path(),
        "{\"type\":\"system\",\"subtype\":\"turn_duration\",\"durationMs\":595}\n",
    );
    let agent = project
        .home
        .path()
        .join(".claude/projects/wt/abc/subagents/agent-a1.jsonl");
    project.append(&agent, &answer("m2", 2));
    project.append(&agent.with_extension("meta.json"), "{}");
    project.read();
    assert_eq!(project.state.total().output, 3);
    assert_eq!(project.state.turn, TurnMark::Over { duration_ms: 595 });
    project.append(&agent, &answer("m3", 4));
    project.read();
    assert_eq!(project.state.total().output, 7);
}

#[test]
fn bad_lines_are_skipped_and_a_replaced_file_is_read_anew() {
    let mut project = Project::new();
    project.append(
        &project.path(),
        &format!("{{oops\n\u{0}\n\n[1]\n{}", answer("m1", 1)),
    );
    let read = project.read();
    assert_eq!((read.lines, read.bad_lines), (5, 3));
    fs::write(project.path(), answer("m1", 1)).expect("replaced");
    assert!(!project.read().usage_changed);
    assert_eq!(project.state.total().output, 1);
}

#[test]
fn queued_prompts_and_interruptions_are_seen() {
    let mut project = Project::new();
    let record = |value: Value| format!("{value}\n");
    project.append(&project.path(), &record(json!({"type": "queue-operation", "operation": "enqueue", "content": "also\u{1b}[2J this"})));
    project.append(
        &project.path(),
        &record(json!({"type": "queue-operation", "operation": "dequeue", "content": "x"})),
    );
    assert_eq!(project.read().queued, ["also this"]);
    project.append(&project.path(), &answer("m1", 1));
    let text = json!([{"type": "text", "text": "[Request interrupted by user for tool use]"}]);
    project.append(
        &project.path(),
        &record(json!({"type": "user", "message": {"role": "user", "content": text}})),
    );
    project.read();
    assert_eq!(project.state.turn, TurnMark::Interrupted);
    let echo =
        json!({"type": "user", "message": {"content": "<command-name>/cost</command-name>"}});
    project.append(&project.path(), &record(echo));
    project.read();
    assert_eq!(project.state.turn, TurnMark::Interrupted);
    project.append(
        &project.path(),
        &record(json!({"type": "user", "message": {"content": "go on"}})),
    );
    project.read();
    assert_eq!(project.state.turn, TurnMark::Running);
}

#[test]
fn a_line_too_long_is_skipped_over_several_looks_and_what_follows_is_read() {
    let mut project = Project::new();
    let path = project.path();
    project.append(&path, &answer("first", 1));
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .expect("opened");
    let chunk = vec![b'x'; 1024 * 1024];
    for _ in 0..40 {
        file.write_all(&chunk).expect("appended");
    }
    file.write_all(b"\n").expect("appended");
    project.append(&path, &answer("second", 2));
    let looks = (1..).take(100).find(|_| !project.read().more);
    assert!(looks > Some(1), "one look has a budget");
    assert_eq!(project.state.total().output, 3);
    assert!(!project.read().usage_changed);
}

#[test]
fn a_pipe_among_the_subagents_is_refused_and_nothing_counts_twice() {
    let mut project = Project::new();
    project.append(&project.path(), &answer("first", 1));
    let folder = project
        .home
        .path()
        .join(".claude/projects/wt/abc/subagents");
    fs::create_dir_all(&folder).expect("made");
    let pipe = folder.join("agent-a.jsonl");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo").success());
    let path = project.path();
    let projects = project.projects();
    for _ in 0..2 {
        let error = project.state.read(&projects, &path).expect_err("refused");
        assert!(error.to_string().contains("not a regular file"), "{error}");
        assert_eq!(project.state.total().output, 1);
    }
}
