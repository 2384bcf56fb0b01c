use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::*;

fn shell(script: &str) -> Invocation {
    Invocation::new("sh").arg("-c").arg(script)
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "never seen: {what}"
        );
        std::thread::yield_now();
    }
}

fn is_running(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    !stat.is_empty() && !stat.rsplit(')').next().unwrap().trim().starts_with('Z')
}

#[test]
fn output_input_status_directory_and_environment_arrive() {
    let dir = tempfile::tempdir().unwrap();
    let finished = shell("cat; pwd; echo $A$B$HOME >&2; exit 3")
        .cwd(dir.path())
        .env_clear_except(["PATH", "B"])
        .env("A", "$(id)")
        .stdin("hello\n")
        .run()
        .unwrap();
    let dir = dir.path().canonicalize().unwrap();
    assert_eq!(
        finished.stdout_text(),
        format!("hello\n{}\n", dir.display())
    );
    assert_eq!(finished.stderr, b"$(id)\n");
    assert_eq!(finished.status.code(), Some(3));
    let error = finished.require_success().unwrap_err();
    assert!(error.to_string().contains("exit code 3: $(id)"), "{error}");
}

#[test]
fn large_input_and_output_neither_block_nor_fill_memory() {
    let input = vec![b'x'; 3_000_000];
    let finished = Invocation::new("cat")
        .stdin(input.clone())
        .output_limit(input.len())
        .run()
        .unwrap();
    assert_eq!(
        (finished.stdout.len(), finished.stdout_cut),
        (input.len(), false)
    );
    let finished = Invocation::new("cat")
        .stdin(input)
        .output_limit(1000)
        .run()
        .unwrap();
    assert_eq!((finished.stdout.len(), finished.stdout_cut), (1000, true));
    let finished = Invocation::new("true")
        .stdin(vec![b'x'; 1_000_000])
        .run()
        .unwrap();
    assert!(finished.success());
}

#[test]
fn time_limit_ends_the_whole_group() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let error =
        shell("trap '' TERM; sleep 600 & echo $! > \"$FILE\"; echo so far >&2; wait; sleep 600")
            .env("FILE", &file)
            .time_limit(Duration::from_millis(300))
            .run()
            .unwrap_err();
    assert!(
        matches!(error.reason, FailureReason::TimeLimit(_)),
        "{error}"
    );
    assert_eq!(error.stderr_tail, "so far");
    let pid = std::fs::read_to_string(file).unwrap();
    wait_until("the grandchild gone", || !is_running(&pid));
}

#[test]
fn what_a_finished_program_left_behind_does_not_hold_us() {
    let start = Instant::now();
    let finished = shell("sleep 600 & echo $!").run().unwrap();
    assert!(finished.success());
    assert!(start.elapsed() < Duration::from_secs(20));
    wait_until("the leftover gone", || !is_running(&finished.stdout_text()));
}

#[test]
fn errors_name_program_arguments_and_cause_without_escapes() {
    let error = Invocation::new("claustre-no-such")
        .args(["a b", "\u{1b}[2J;x"])
        .run()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "running `claustre-no-such 'a b' ';x'`: program not found"
    );
    let error = Invocation::new("true")
        .cwd("/no/such/place")
        .run()
        .unwrap_err();
    assert!(
        matches!(error.reason, FailureReason::BadDirectory(_)),
        "{error}"
    );
    let error = shell("kill -9 $$")
        .run()
        .unwrap()
        .require_success()
        .unwrap_err();
    assert!(matches!(error.reason, FailureReason::Signal(9)), "{error}");
}

#[test]
fn lines_come_one_by_one_and_safe() {
    let mut lines = Vec::new();
    shell(r"printf 'one\ntw'; printf 'o\n\033]0;t\007three'; echo oops >&2")
        .run_lines(&mut |stream, line| lines.push((stream, line.to_owned())))
        .unwrap();
    let of = |wanted: OutputStream| -> Vec<&str> {
        lines
            .iter()
            .filter(|(stream, _)| *stream == wanted)
            .map(|(_, line)| &**line)
            .collect()
    };
    assert_eq!(of(OutputStream::Stdout), ["one", "two", "three"]);
    assert_eq!(of(OutputStream::Stderr), ["oops"]);
}

#[test]
fn detached_program_leads_its_own_session_and_writes_to_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let args = [
        "-c".into(),
        "echo \"$WORD\"; cut -d' ' -f6 /proc/$$/stat; echo $$".into(),
    ];
    let pid = spawn_detached(
        Path::new("/bin/sh"),
        &args,
        &[("WORD".into(), "hi".into())],
        Some(&log),
    )
    .unwrap();
    let wanted = format!("hi\n{pid}\n{pid}\n");
    wait_until("the log complete", || {
        std::fs::read_to_string(&log).unwrap() == wanted
    });
}

#[tokio::test]
async fn piped_child_talks_and_dies_with_its_handle() {
    let script = "sleep 600 & echo $!; while read -r line; do echo \"got $line\"; done";
    let mut child = shell(script).spawn_piped().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let grandchild = lines.next_line().await.unwrap().unwrap();
    child
        .stdin
        .as_mut()
        .unwrap()
        .write_all(b"word\n")
        .await
        .unwrap();
    assert_eq!(
        lines.next_line().await.unwrap().as_deref(),
        Some("got word")
    );
    drop(child);
    wait_until("the grandchild gone", || !is_running(&grandchild));

    let child = shell("read -r line; exit 7").spawn_piped().unwrap();
    let status = child.stop(Duration::from_secs(5)).await.unwrap();
    assert!(!status.success());
}
