//! A daemon that has nothing to do does nothing.

use std::time::{Duration, Instant};

use claustre_protocol::hook::{SESSION_VARIABLE, TOKEN_VARIABLE};
use claustre_tests::{
    bench::{
        fleet::{TOKEN, Wanted},
        processes,
        stage::Stage,
    },
    wait_for,
};

#[test]
fn after_a_report_it_rests_also_where_no_dashboard_is_open() {
    let stage = Stage::new(&Wanted {
        tasks: 1,
        sessions: 1,
        open_sessions: 1,
        ..Wanted::default()
    })
    .unwrap();
    stage.start_daemon().unwrap();
    let before = stage.status().unwrap().position;
    let input = stage.env.write(
        "input.json",
        r#"{"hook_event_name": "UserPromptSubmit", "session_id": "s", "prompt": "go on"}"#,
    );
    let mut hook = stage.env.command("sh");
    hook.args(["-c", "exec \"$0\" hook < \"$1\""])
        .args([&stage.claustre, &input])
        .env(SESSION_VARIABLE, stage.fleet.sessions[0].to_string())
        .env(TOKEN_VARIABLE, TOKEN);
    stage.env.run(&mut hook).success();
    let status = stage.status().unwrap();
    assert!(status.position > before, "the report was not stored");

    // Longer than anything is put off to be drawn together.
    let rest = Duration::from_secs(1);
    let mut last = (processes::used(status.pid).ticks, Instant::now());
    wait_for(
        "the daemon to use no processor time for a second",
        Duration::from_secs(30),
        || {
            let ticks = processes::used(status.pid).ticks;
            if ticks != last.0 {
                last = (ticks, Instant::now());
            }
            last.1.elapsed() > rest
        },
    );
}
