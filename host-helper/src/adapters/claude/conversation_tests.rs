use std::{os::unix::fs::symlink, sync::mpsc, thread};

use serde_json::json;

use super::*;

struct World {
    home: tempfile::TempDir,
    projects: Projects,
}

impl World {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("temp dir");
        let projects = Projects::of(&ConfigPaths::new(home.path(), None));
        fs::create_dir_all(home.path().join(".claude/projects/-wt")).expect("made");
        Self { home, projects }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(".claude/projects/-wt").join(name)
    }

    /// Why a path is refused. In a thread of its own: what waits here would wait for ever.
    fn refused(&self, path: &Path) -> String {
        let (projects, path) = (self.projects.clone(), path.to_owned());
        let (told, heard) = mpsc::channel();
        thread::spawn(move || {
            let said = projects
                .prompts(&path, 0)
                .map_err(|error| error.to_string());
            told.send(said).ok();
        });
        let said = heard
            .recv_timeout(Duration::from_secs(10))
            .expect("it does not wait");
        said.expect_err("refused")
    }
}

fn pipe(path: &Path) {
    let done = std::process::Command::new("mkfifo").arg(path).status();
    assert!(done.expect("mkfifo").success());
}

#[test]
fn only_a_regular_file_below_the_projects_directory_is_opened() {
    let world = World::new();
    let transcript = world.path("a.jsonl");
    assert!(world.projects.open(&transcript).expect("missing").is_none());
    fs::write(&transcript, "{}\n").expect("written");
    let (_, length) = world
        .projects
        .open(&transcript)
        .expect("opened")
        .expect("there");
    assert_eq!(length, 3);

    pipe(&world.path("pipe.jsonl"));
    assert_eq!(
        world.refused(&world.path("pipe.jsonl")),
        "it is not a regular file"
    );
    assert_eq!(
        world.refused(&world.home.path().join(".claude/projects/-wt")),
        "it is not a regular file"
    );
    for elsewhere in ["/dev/zero", "/proc/self/mem", "/etc/passwd"] {
        assert!(
            world.refused(Path::new(elsewhere)).contains("is not below"),
            "{elsewhere}"
        );
    }
    let outside = world.home.path().join("outside.jsonl");
    fs::write(&outside, "{}\n").expect("written");
    symlink(&outside, world.path("link.jsonl")).expect("linked");
    assert!(
        world
            .refused(&world.path("link.jsonl"))
            .contains("is not below")
    );
    let around = world.path("../../../outside.jsonl");
    assert!(world.refused(&around).contains("is not below"));
}

#[test]
fn a_projects_directory_behind_a_link_is_the_same_directory() {
    let world = World::new();
    fs::write(world.path("a.jsonl"), "{}\n").expect("written");
    let other = tempfile::tempdir().expect("temp dir");
    symlink(
        world.home.path().join(".claude"),
        other.path().join(".claude"),
    )
    .expect("linked");
    let projects = Projects::of(&ConfigPaths::new(other.path(), None));
    let by_link = other.path().join(".claude/projects/-wt/a.jsonl");
    assert!(projects.open(&by_link).expect("opened").is_some());
    assert!(
        projects
            .open(&world.path("a.jsonl"))
            .expect("opened")
            .is_some()
    );
}

#[test]
fn prompts_are_what_a_person_typed_behind_the_offset() {
    let world = World::new();
    let path = world.path("a.jsonl");
    let before = format!(
        "{}\n",
        json!({"type": "user", "message": {"content": "Before"}})
    );
    let tool = json!([{"type": "tool_result", "tool_use_id": "t", "content": "Go on"}]);
    let records = [
        json!({"type": "user", "message": {"content": "Go on"}}),
        json!({"type": "user", "isMeta": true, "message": {"content": "Stop hook feedback"}}),
        json!({"type": "user", "isSidechain": true, "message": {"content": "of a subagent"}}),
        json!({"type": "user", "message": {"content": tool}}),
        json!({"type": "user", "message": {"content": [{"type": "text", "text": "In a block"}]}}),
        json!({"type": "assistant", "message": {"content": [{"type": "text", "text": "Go on"}]}}),
        json!({"type": "queue-operation", "operation": "enqueue", "content": "While it worked"}),
        json!({"type": "queue-operation", "operation": "dequeue"}),
        json!({"type": "user", "message": {"content":
            "<command-name>/compact</command-name>\n<command-message>compact</command-message>\n<command-args>short</command-args>"}}),
    ];
    let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
    let unfinished = r#"{"type":"user","message":{"content":"not whole"#;
    fs::write(&path, format!("{before}not JSON\n{lines}{unfinished}")).expect("written");
    let offset = u64::try_from(before.len()).expect("length");
    assert_eq!(
        world.projects.prompts(&path, offset).expect("read"),
        ["Go on", "In a block", "While it worked", "/compact short"]
    );
    // Another file under the same name.
    fs::write(&path, &before).expect("written");
    assert_eq!(
        world.projects.prompts(&path, 9_999).expect("read"),
        ["Before"]
    );
}

#[test]
fn an_endless_line_is_read_only_so_far() {
    let world = World::new();
    let path = world.path("a.jsonl");
    File::create(&path)
        .and_then(|file| file.set_len(1 << 40))
        .expect("a file of a terabyte of zeros");
    let begun = Instant::now();
    assert_eq!(world.projects.prompts(&path, 0).expect("read"), [""; 0]);
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
}
