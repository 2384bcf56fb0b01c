use claustre_protocol::{
    request::{LostPath, RemovalPreview, Request, TaskMove},
    rpc::{Fault, FaultCode},
    status::TaskStatus,
};
use serde_json::json;

use crate::{
    effect::Effect,
    fixture::{Board, NOW, ask_id, permission, session_id, snapshot, task_detail, task_id},
    keymap::{Intent, Scope},
    model::{Panel, Row},
    msg::{Key, LinkState, Mouse, Msg},
};

/// The orders among the effects, as the daemon gets them.
fn orders(effects: &[Effect]) -> Vec<serde_json::Value> {
    effects
        .iter()
        .map(|effect| match effect {
            Effect::Ask { request, .. } => serde_json::to_value(request).unwrap(),
            Effect::Show => json!("show"),
            Effect::Hide => json!("hide"),
            Effect::OpenUrl(url) => json!({ "open": url }),
            Effect::Copy(text) => json!({ "copy": text }),
            Effect::Tick { millis } => json!({ "tick": millis }),
        })
        .collect()
}

/// On a busy board these keys end in exactly these orders; what was given before the last `>` is not looked at.
fn check(keys: &str, expected: serde_json::Value) {
    let mut board = Board::busy(120, 40);
    let (before, last) = keys.rsplit_once('>').unwrap_or(("", keys));
    board.keys(before);
    let effects = board.keys(last);
    assert_eq!(
        serde_json::Value::Array(orders(&effects)),
        expected,
        "{keys}"
    );
}

fn named(method: &str, of: impl ToString) -> serde_json::Value {
    json!([{ "method": method, "params": { "of": of.to_string() } }])
}

#[test]
fn each_key_asks_for_what_it_says() {
    let (s, t) = (session_id, task_id);
    check(
        "j > y",
        json!([{ "method": "session.approve", "params": { "of": s(1), "ask": ask_id(1), "text": null } }]),
    );
    check(
        "j Enter > y",
        json!([{ "method": "session.approve", "params": { "of": s(1), "ask": ask_id(1), "text": null } }]),
    );
    check(
        "i y > y",
        json!([{ "method": "session.approve", "params": { "of": s(1), "ask": ask_id(1), "text": null } }]),
    );
    check(
        "j N 'no > Enter",
        json!([{ "method": "session.deny", "params": { "of": s(1), "ask": ask_id(1), "text": "no" } }]),
    );
    check(
        "j N > Enter",
        json!([{ "method": "session.deny", "params": { "of": s(1), "ask": ask_id(1), "text": null } }]),
    );
    check(
        "! ! Enter > 2",
        json!([{ "method": "session.answer", "params": { "of": s(7), "ask": ask_id(7), "text": "The system's own 👩‍💻" } }]),
    );
    check(
        "! ! Enter m 'both > Enter",
        json!([{ "method": "session.answer", "params": { "of": s(7), "ask": ask_id(7), "text": "both" } }]),
    );
    check("j j > Enter", named("session.focus", s(2)));
    check("j Enter > Enter", named("session.focus", s(1)));
    check(
        "j j m 'hello > Enter",
        json!([{ "method": "session.send", "params": { "of": s(2), "text": "hello" } }]),
    );
    check("3 / 'docs Enter > l", named("task.launch", t(7)));
    check("3 / 'Redis Enter > R", named("task.retry", t(11)));
    check("3 j > v", named("task.show", t(2)));
    check("3 j > s", named("subtask.list", t(2)));
    check(
        "3 j j > o",
        json!([{ "open": "https://github.com/mara/shop/pull/412" }]),
    );
    check("3 j j r > d", named("task.done", t(3)));
    check(
        "3 j j r f 'again > ctrl+s",
        json!([{ "method": "task.send_back", "params": { "of": t(3), "text": "again" } }]),
    );
    check("3 / 'toolchain Enter r > o", named("task.reopen", t(13)));
    check("! ! ! > R", named("task.retry", t(25)));
    check("3 j > Enter", named("session.focus", s(2)));
    check("3 / 'docs > Enter", json!([]));
    check("3 / 'docs Enter > Enter", named("task.show", t(7)));
    check("3 / 'docs Enter d > y", named("task.delete", t(7)));
    check(
        "d > y",
        named("project.remove", crate::fixture::project_id(1)),
    );
    check("> u", json!([{ "method": "task.undo", "params": {} }]));
    check("> q", json!(["hide"]));
    check("> Esc", json!(["hide"]));
    check("/ 'x Enter > Esc", json!([]));
}

/// What the daemon says of a worktree with this in it.
fn preview(of: impl ToString) -> RemovalPreview {
    RemovalPreview {
        session_id: Some(of.to_string().parse().unwrap()),
        is_open: true,
        branch: "task/fix".into(),
        ..RemovalPreview::default()
    }
}

#[test]
fn a_session_is_killed_with_what_was_shown_of_its_worktree() {
    let (s, t) = (session_id, task_id);
    let shown = json!({ "paths": ["data/"], "more": 2 });
    for (keys, session, method, of) in [
        ("j j x", s(2), "task.kill", t(2).to_string()),
        (
            "j j j j j j j j j j x",
            s(6),
            "session.close",
            s(6).to_string(),
        ),
    ] {
        let mut board = Board::busy(120, 40);
        let asked = board.keys(keys);
        assert_eq!(
            orders(&asked),
            [named("worktree.preview", session)[0].clone()]
        );
        // A yes before anything was seen does nothing.
        assert_eq!(orders(&board.keys("y")), [] as [serde_json::Value; 0]);
        assert!(said(&board).is_some_and(|text| text.starts_with("Not yet")));
        let mut found = preview(session);
        found.lost = vec![LostPath {
            path: "data/".into(),
            files: 1203,
            bytes: 2_149_000_000,
        }];
        found.lost_more = 2;
        (found.lost_files, found.lost_bytes) = (1300, 2_150_000_000);
        found.ignored_kept = 1;
        board.reply(&asked, serde_json::to_value(&found).unwrap());
        let text = board.text();
        assert!(
            text.contains("Loses") && text.contains("data/ and 2 more"),
            "{text}"
        );
        assert!(text.contains("1 ignored file in a snapshot"), "{text}");
        assert_eq!(
            orders(&board.keys("y")),
            [json!({ "method": method, "params": { "of": of, "shown": shown } })]
        );
    }
}

#[test]
fn what_keeps_a_worktree_from_going_is_said_before_the_yes() {
    let mut board = Board::busy(120, 40);
    let asked = board.keys("j j x");
    let mut found = preview(session_id(2));
    found.stays = Some("vendor/x holds work that cannot be kept".into());
    board.reply(&asked, serde_json::to_value(&found).unwrap());
    let text = board.text();
    assert!(
        text.contains("the worktree as it is: vendor/x holds work"),
        "{text}"
    );

    // Without an answer a yes counts, and names nothing as shown: then nothing goes for good.
    let mut board = Board::busy(120, 40);
    board.keys("j j x");
    board.send(Msg::Link(LinkState::Lost));
    board.send(Msg::Link(LinkState::Up));
    assert!(board.text().contains("if anything in it would be lost"));
    let order = board.keys("y");
    assert_eq!(
        serde_json::Value::Array(orders(&order)),
        named("task.kill", task_id(2))
    );
}

#[test]
fn a_task_without_a_session_is_reset_at_once() {
    check("3 / 'Redis Enter x > y", named("task.kill", task_id(11)));
}

#[test]
fn nothing_is_killed_or_deleted_without_a_yes() {
    for keys in [
        "j j x > n",
        "j j x > Esc",
        "j j x > Enter",
        "3 d > q",
        "3 d > Enter",
        "d > n",
    ] {
        check(keys, json!([]));
    }
}

#[test]
fn a_task_moves_beside_its_neighbour_of_the_same_priority() {
    let mut board = Board::busy(120, 40);
    let effects = board.keys("3 / 'p2_pending Enter J");
    let Some(Effect::Ask { request, .. }) = effects.first() else {
        panic!("{effects:?}");
    };
    let expected = Request::TaskMove(TaskMove {
        of: task_id(7).to_string(),
        before: None,
        after: Some(task_id(8).to_string()),
    });
    assert_eq!(**request, expected);
    assert!(
        Board::busy(120, 40).keys("3 J").is_empty(),
        "P0 and P1 are not exchanged"
    );
}

#[test]
fn before_the_first_snapshot_keys_do_nothing_but_hide() {
    let mut board = Board::blank(80, 24);
    for key in [
        "n", "a", "j", "Enter", "x", "y", "u", ":", "?", "/", "i", "!",
    ] {
        assert!(board.keys(key).is_empty(), "{key}");
        assert!(board.model.overlays.is_empty(), "{key}");
    }
    board.send(Msg::Mouse(Mouse::Click { column: 3, row: 3 }));
    assert_eq!(board.keys("q"), [Effect::Hide]);
}

#[test]
fn a_form_becomes_a_task_with_all_it_says() {
    let keys = "n 'Add_a_cart alt+Enter 'It_stays. Tab Right Tab 'release Tab 'feat/cart Tab Right Tab Right Tab Left \
                Tab 'one Enter 'two Enter > Enter";
    check(
        keys,
        json!([{ "method": "task.add", "params": {
            "project": crate::fixture::project_id(1), "title": "Add a cart", "description": "Add a cart\nIt stays.",
            "mode": "autonomous", "priority": 1, "base": "release", "branch": "feat/cart", "push_mode": "push",
            "review_loop": true, "subtasks": ["one", "two"], "after": [], "model": null, "effort": null,
            "permission_mode": null, "budget_usd": null, "draft": false,
        } }]),
    );
}

#[test]
fn enter_in_the_prompt_saves_and_a_blank_prompt_is_refused() {
    let mut board = Board::busy(80, 24);
    assert!(board.keys("n Enter").is_empty());
    assert!(board.text().contains("Write the prompt first"));
    assert_eq!(board.keys("'x Enter").len(), 1);
}

#[test]
fn escape_keeps_a_new_task_as_a_draft_and_says_so() {
    let mut board = Board::busy(80, 24);
    let effects = board.keys("n 'half_a_thought Esc");
    let sent = &orders(&effects)[0];
    assert_eq!(sent["params"]["draft"], json!(true));
    assert!(
        !board.model.overlays.is_empty(),
        "it stays until the daemon has it"
    );
    board.reply(&effects, json!({}));
    assert!(board.model.overlays.is_empty());
    assert!(
        board.text().contains("Saved as a draft"),
        "{}",
        board.text()
    );
    assert!(board.keys("n Esc").is_empty(), "an empty form just closes");
    assert!(board.model.overlays.is_empty());
}

#[test]
fn what_the_daemon_refuses_stays_in_the_form_with_the_reason() {
    let mut board = Board::busy(80, 24);
    let effects = board.keys("a Tab '/no/such Enter");
    let Some(Effect::Ask { id, .. }) = effects.first() else {
        panic!("{effects:?}");
    };
    let fault = Fault::new(
        FaultCode::Refused,
        "it is not a repository",
        Some("run git init".into()),
    );
    board.send(Msg::Reply {
        id: *id,
        outcome: Err(fault),
    });
    let text = board.text();
    assert!(
        text.contains("/no/such") && text.contains("it is not a repository (run git init)"),
        "{text}"
    );
    assert!(board.keys("Esc").is_empty());
    assert!(board.text().contains("Throw away"), "{}", board.text());
    board.keys("y");
    assert!(board.model.overlays.is_empty());
}

#[test]
fn an_edited_draft_is_filled_changed_and_submitted() {
    let mut board = Board::busy(80, 24);
    let effects = board.keys("3 / 'webhooks Enter e");
    board.keys("'typed_too_early");
    board.reply(&effects, serde_json::to_value(task_detail()).unwrap());
    let effects = board.keys("Tab Tab Tab Backspace 'X Enter");
    let sent = &orders(&effects)[0];
    assert_eq!(sent["method"], json!("task.edit"));
    assert_eq!(sent["params"]["submit"], json!(true));
    assert_eq!(
        sent["params"]["branch"],
        json!("task/fix-auth-token-1f3a9c0X")
    );
    assert_eq!(
        sent["params"]["title"],
        json!(null),
        "the title did not change"
    );
    assert_eq!(
        sent["params"]["subtasks"],
        json!(["find callers", "rewrite refresh", "add tests"])
    );
    let description = sent["params"]["description"].as_str().unwrap();
    assert!(!description.contains("early"));
}

#[test]
fn the_edit_form_is_for_what_was_not_launched() {
    let mut board = Board::busy(80, 24);
    assert!(board.keys("3 e").is_empty());
    assert!(
        board.text().contains("Only a draft or a pending task"),
        "{}",
        board.text()
    );
}

#[test]
fn a_reply_to_an_older_screen_changes_nothing_but_the_last_line() {
    let mut board = Board::busy(80, 24);
    let asked = board.keys("3 j v");
    board.keys("Esc n 'new");
    let before = board.text();
    board.reply(&asked, serde_json::to_value(task_detail()).unwrap());
    assert_eq!(board.text(), before);
    board.send(Msg::Reply {
        id: 999,
        outcome: Ok(json!({})),
    });
    assert_eq!(board.text(), before);
}

#[test]
fn the_selection_stays_on_its_thing() {
    let mut board = Board::busy(120, 40);
    board.keys("j j j");
    assert_eq!(board.model.left.item, Some(Row::Session(session_id(3))));
    let mut update = snapshot();
    update.sessions[3].ask = Some(permission(9));
    update.sessions.remove(0);
    board.send(Msg::Dashboard(update));
    assert_eq!(
        board.model.left.item,
        Some(Row::Session(session_id(3))),
        "though others moved"
    );
    let mut update = snapshot();
    update.reset = false;
    update.removed = vec![session_id(3).uuid()];
    update.sessions.clear();
    board.send(Msg::Dashboard(update));
    assert_eq!(
        board.model.left.item,
        Some(Row::Project(crate::fixture::project_id(1))),
        "what is gone leaves its project selected"
    );
}

#[test]
fn a_state_in_parts_is_shown_as_a_whole() {
    let mut board = Board::busy(120, 40);
    board.buffer();
    let before = board.text();
    let mut first = snapshot();
    first.more = true;
    first.sessions.clear();
    let tasks = std::mem::take(&mut first.tasks);
    board.send(Msg::Dashboard(first));
    assert!(!board.model.needs_redraw());
    assert_eq!(board.text(), before);
    let mut second = snapshot();
    second.reset = false;
    second.tasks = tasks;
    board.send(Msg::Dashboard(second));
    assert!(board.model.needs_redraw());
    assert_eq!(board.text(), before);
}

#[test]
fn only_what_changes_is_drawn_and_nothing_while_hidden() {
    let mut board = Board::busy(120, 40);
    board.buffer();
    let mut same = snapshot();
    same.reset = false;
    board.send(Msg::Dashboard(same));
    assert!(!board.model.needs_redraw(), "the same cards again");
    board.keys("k");
    assert!(!board.model.needs_redraw(), "already at the top");
    board.keys("j");
    assert!(board.model.needs_redraw());
    let hidden = board.send(Msg::Visible(false));
    assert!(hidden.is_empty());
    assert!(!board.model.needs_redraw());
    let mut update = snapshot();
    update.sessions.clear();
    assert!(board.send(Msg::Dashboard(update)).is_empty());
    assert!(
        board.send(Msg::Tick(NOW.plus_millis(5_000))).is_empty(),
        "no tick while hidden"
    );
    assert!(!board.model.needs_redraw());
    board.send(Msg::Visible(true));
    assert!(board.model.needs_redraw());
}

#[test]
fn ticks_come_as_often_as_ages_change_and_one_at_a_time() {
    let mut board = Board::blank(120, 40);
    assert_eq!(
        board.send(Msg::Dashboard(snapshot())),
        [Effect::Tick { millis: 1_000 }]
    );
    let key = Msg::Key(Key::char('j'));
    assert_eq!(board.send(key), [], "one is on its way");
    assert_eq!(
        board.send(Msg::Tick(NOW.plus_millis(1_000))),
        [Effect::Tick { millis: 1_000 }]
    );
    assert_eq!(
        board.send(Msg::Tick(NOW.plus_millis(80_000))),
        [Effect::Tick { millis: 30_000 }]
    );
    let mut board = Board::blank(120, 40);
    let mut update = snapshot();
    update.sessions.clear();
    update.tasks.clear();
    assert_eq!(
        board.send(Msg::Dashboard(update)),
        [],
        "nothing on the screen ages"
    );
}

#[test]
fn toasts_go_by_themselves() {
    let mut board = Board::busy(80, 24);
    board.send(Msg::Toast {
        text: "hello\u{1b}[2J".into(),
        error: false,
    });
    assert!(board.text().contains("hello[2J"));
    board.send(Msg::Tick(NOW.plus_millis(1_000)));
    assert!(board.text().contains("hello"));
    board.send(Msg::Tick(NOW.plus_millis(9_000)));
    assert!(!board.text().contains("hello"));
}

fn said(board: &Board) -> Option<&str> {
    board.model.toast.as_ref().map(|toast| toast.text.as_str())
}

#[test]
fn an_answer_to_a_key_goes_with_the_next_key_and_news_stay() {
    let mut board = Board::busy(80, 24);
    board.keys("J");
    assert_eq!(
        said(&board),
        Some("Select a task in the list of tasks first.")
    );
    board.keys("j");
    assert_eq!(said(&board), None);
    board.send(Msg::Toast {
        text: "news".into(),
        error: false,
    });
    board.keys("j");
    assert_eq!(said(&board), Some("news"));
    let answered = board.keys("y");
    assert!(answered.is_empty());
    assert_eq!(said(&board), Some("Nothing here waits to be allowed."));
}

#[test]
fn a_key_that_means_nothing_says_so() {
    let mut board = Board::busy(80, 24);
    for (keys, wanted) in [
        ("Space", "space does nothing here; ? lists the keys"),
        ("Tab", "Tab does nothing here; ? lists the keys"),
        ("f", "f does nothing here; ? lists the keys"),
        ("i R", "R does nothing here"),
    ] {
        assert_eq!(board.keys(keys), [], "{keys}");
        assert_eq!(said(&board), Some(wanted), "{keys}");
    }
}

#[test]
fn details_show_the_task_also_where_something_is_asked() {
    let mut board = Board::busy(80, 24);
    board.keys("j v");
    assert_eq!(board.model.scope(), Scope::Details);
    board.keys("q Enter v");
    assert_eq!(board.model.scope(), Scope::Details);
}

#[test]
fn the_question_before_a_kill_says_when_the_branch_goes_too() {
    let mut board = Board::busy(120, 40);
    let asked = board.keys("j x");
    let mut found = preview(session_id(1));
    found.branch = "fix/login-form".into();
    board.reply(&asked, serde_json::to_value(&found).unwrap());
    let text = board.text();
    assert!(
        text.contains("branch fix/login-form unless all of it is merged; no file is changed"),
        "{text}"
    );
}

#[test]
fn what_said_that_the_daemon_is_away_goes_when_it_is_back() {
    let mut board = Board::busy(120, 40);
    board.keys("j");
    board.send(Msg::Link(LinkState::Lost));
    board.keys("y");
    assert!(said(&board).is_some_and(|text| text.ends_with("not connected")));
    board.send(Msg::Link(LinkState::Up));
    assert_eq!(said(&board), None);

    board.send(Msg::Link(LinkState::Lost));
    board.keys("n 'words Enter");
    assert!(board.text().contains("what you wrote stays here"));
    assert_eq!(said(&board), None);
    board.send(Msg::Link(LinkState::Up));
    assert!(!board.text().contains("what you wrote stays here"));
    assert!(board.text().contains("words"));
}

#[test]
fn next_in_need_goes_through_the_inbox_and_round() {
    let mut board = Board::busy(120, 40);
    let places: Vec<_> = (0..6)
        .map(|_| {
            board.keys("!");
            (
                board.model.focus,
                board.model.left.item,
                board.model.current_task().map(|task| task.id),
            )
        })
        .collect();
    assert_eq!(places[0].1, Some(Row::Session(session_id(1))));
    assert_eq!(places[1].1, Some(Row::Session(session_id(7))));
    assert_eq!(places[2].1, Some(Row::Session(session_id(8))));
    assert_eq!(
        (places[3].0, places[3].2),
        (Panel::Tasks, Some(task_id(10)))
    );
    assert_eq!(places[4].1, Some(Row::Session(session_id(3))));
    assert_eq!(places[5], places[0]);
}

/// A board with this detail of the first ask, its session selected.
fn asking(columns: u16, rows: u16, detail: &str, cut: bool) -> Board {
    let mut board = Board::busy(columns, rows);
    board.send(ask_with(1, detail, cut));
    board.keys("j");
    board
}

fn ask_with(number: u128, detail: &str, cut: bool) -> Msg {
    let mut update = snapshot();
    update.reset = false;
    update.sessions.truncate(1);
    let mut ask = permission(number);
    ask.detail = detail.into();
    ask.cut = cut;
    update.sessions[0].ask = Some(ask);
    Msg::Dashboard(update)
}

fn long() -> String {
    (0..60)
        .map(|line| format!("echo {line}\n"))
        .collect::<String>()
        + "git push --force"
}

fn allowed(number: u128) -> serde_json::Value {
    json!({ "method": "session.approve", "params": { "of": session_id(1), "ask": ask_id(number), "text": null } })
}

#[test]
fn what_is_whole_in_the_panel_is_allowed_at_once() {
    let mut board = asking(120, 40, "Bash\nin /srv/wt\n\nrm -rf dist", false);
    assert!(board.text().contains("y allow"), "{}", board.text());
    assert_eq!(orders(&board.keys("y")), [allowed(1)]);
}

#[test]
fn what_is_cut_in_the_panel_opens_its_page_and_is_allowed_after_its_end() {
    let mut board = asking(120, 40, &long(), false);
    assert!(!board.text().contains("git push"), "{}", board.text());
    assert!(board.text().contains("y read all"), "{}", board.text());
    assert_eq!(board.keys("y"), []);
    assert_eq!(board.model.scope(), Scope::Ask);
    assert!(
        board.text().contains("y allow, after its end"),
        "{}",
        board.text()
    );
    assert_eq!(board.keys("y y"), []);
    assert_eq!(said(&board), Some("Scroll to the end first."));
    board.keys("G");
    assert!(
        board.text().contains("git push --force"),
        "{}",
        board.text()
    );
    // Read is read, also after scrolling back.
    assert_eq!(orders(&board.keys("g y")), [allowed(1)]);
}

#[test]
fn keys_that_come_faster_than_frames_do_not_count_as_reading() {
    let mut board = asking(120, 40, &long(), false);
    board.buffer();
    for key in ['y', 'G', 'y'] {
        let effects = board.send(Msg::Key(Key::char(key)));
        assert!(
            !effects
                .iter()
                .any(|effect| matches!(effect, Effect::Ask { .. }))
        );
    }
    assert_eq!(orders(&board.keys("y")), [allowed(1)]);
}

#[test]
fn the_wheel_reads_to_the_end_too() {
    let mut board = asking(120, 40, &long(), false);
    board.keys("y");
    board.send(Msg::Mouse(Mouse::ScrollDown(5)));
    assert_eq!(board.keys("y"), []);
    board.send(Msg::Mouse(Mouse::ScrollDown(100)));
    assert_eq!(orders(&board.keys("y")), [allowed(1)]);
}

#[test]
fn the_palette_allows_only_what_was_read_under_it() {
    let mut board = asking(120, 40, &long(), false);
    assert_eq!(board.keys(": 'allow Enter"), []);
    assert_eq!(board.model.scope(), Scope::Ask);
    let short = "rm -rf dist";
    let mut board = asking(120, 40, short, false);
    assert_eq!(orders(&board.keys(": 'allow Enter")), [allowed(1)]);
    let mut board = asking(120, 40, short, false);
    board.keys(": 'allow");
    board.send(ask_with(77, short, false));
    assert_eq!(board.keys("Enter"), [], "another one was asked under it");
}

#[test]
fn the_rest_of_what_is_asked_comes_from_the_daemon() {
    let mut board = asking(120, 40, "echo 0", true);
    let asked = board.keys("y");
    assert_eq!(json!(orders(&asked)), named("session.asks", session_id(1)));
    assert_eq!(board.keys("G y"), [], "the rest is not here");
    let mut whole = permission(1);
    whole.detail = long();
    board.reply(&asked, json!([permission(9), whole]));
    assert_eq!(board.keys("y"), [], "its end was not seen");
    assert_eq!(orders(&board.keys("G y")), [allowed(1)]);
}

#[test]
fn a_rest_that_does_not_come_is_never_allowed() {
    let mut board = asking(120, 40, "echo 0", true);
    let asked = board.keys("y");
    board.reply(&asked, json!([permission(9)]));
    assert!(
        board.text().contains("The rest could not be read"),
        "{}",
        board.text()
    );
    assert_eq!(board.keys("G y"), []);
    board.send(Msg::Link(LinkState::Lost));
    let again = board.send(Msg::Link(LinkState::Up));
    assert_eq!(orders(&again)[0]["method"], json!("session.asks"));
}

#[test]
fn what_is_asked_instead_was_not_read() {
    let mut board = asking(120, 40, &long(), false);
    board.keys("y G");
    board.buffer();
    // The same id with another text, then another one.
    board.send(ask_with(1, &(long() + " --all"), false));
    assert_eq!(board.keys("y"), []);
    board.keys("G");
    board.send(ask_with(77, &long(), false));
    assert_eq!(board.keys("y"), []);
    // In the panel, between two frames.
    let mut board = asking(120, 40, "rm -rf dist", false);
    board.buffer();
    board.send(ask_with(77, "rm -rf src", false));
    let effects = board.send(Msg::Key(Key::char('y')));
    assert!(
        !effects
            .iter()
            .any(|effect| matches!(effect, Effect::Ask { .. }))
    );
}

#[test]
fn a_pane_made_smaller_cuts_what_could_be_allowed() {
    let mut board = Board::busy(120, 40);
    board.keys("j");
    assert!(board.text().contains("y allow"), "{}", board.text());
    board.send(Msg::Resized {
        columns: 60,
        rows: 18,
    });
    assert!(board.text().contains("y read all"), "{}", board.text());
    assert_eq!(board.keys("y"), []);
    assert_eq!(board.model.scope(), Scope::Ask);
}

#[test]
fn what_is_scrolled_out_of_the_panel_is_not_allowed_from_it() {
    let mut board = asking(120, 18, "a\nb\nc", false);
    assert!(board.text().contains("y allow"), "{}", board.text());
    board.keys("2 G");
    assert_eq!(board.keys("y"), []);
    assert_eq!(board.model.scope(), Scope::Ask);
}

#[test]
fn what_only_its_tab_can_answer_says_so_and_a_refusal_needs_no_reading() {
    let mut board = Board::busy(120, 40);
    let mut update = snapshot();
    update.sessions[0].ask.as_mut().unwrap().answerable = false;
    board.send(Msg::Dashboard(update));
    assert_eq!(board.keys("j y"), []);
    assert!(said(&board).unwrap().contains("Answer it in its tab"));
    let mut board = asking(120, 40, &long(), false);
    board.keys("N");
    assert_eq!(board.model.scope(), Scope::Text);
}

#[test]
fn an_answer_given_elsewhere_is_said_and_nothing_else_is_allowed_by_accident() {
    let mut board = Board::busy(120, 40);
    board.keys("j Enter");
    let mut update = snapshot();
    update.reset = false;
    update.sessions.truncate(1);
    update.sessions[0].ask = Some(permission(77));
    board.send(Msg::Dashboard(update));
    assert!(board.text().contains("Answered or withdrawn meanwhile"));
    assert!(board.keys("y").is_empty(), "what is asked now was not read");
}

#[test]
fn without_a_daemon_nothing_is_ordered_and_nothing_written_is_lost() {
    let mut board = Board::busy(80, 24);
    let effects = board.keys("j j m 'important Enter");
    assert_eq!(effects.len(), 1);
    board.send(Msg::Link(LinkState::Lost));
    assert!(board.text().contains("did not answer"), "{}", board.text());
    assert!(board.keys("Enter").is_empty());
    board.keys("Esc");
    board.send(Msg::Link(LinkState::Up));
    board.keys("m");
    assert!(board.text().contains("important"), "{}", board.text());
}

#[test]
fn steps_are_named_by_their_ids() {
    let mut board = Board::busy(80, 24);
    let asked = board.keys("3 j s");
    let steps = task_detail().task.subtasks;
    board.reply(&asked, serde_json::to_value(&steps).unwrap());
    let effects = board.keys("j x");
    assert_eq!(
        orders(&effects)[0],
        json!({ "method": "subtask.done", "params": { "task": task_id(2), "of": steps[1].id } })
    );
    let effects = board.keys("d y");
    assert_eq!(
        orders(&effects)[0],
        json!({ "method": "subtask.remove", "params": { "task": task_id(2), "of": steps[1].id } })
    );
    let effects = board.keys("a 'more Enter");
    assert_eq!(
        orders(&effects)[0],
        json!({ "method": "subtask.add", "params": { "of": task_id(2), "text": "more" } })
    );
}

#[test]
fn the_mouse_selects_and_the_wheel_moves() {
    let mut board = Board::busy(120, 40);
    board.send(Msg::Mouse(Mouse::Click { column: 8, row: 4 }));
    assert_eq!(board.model.left.item, Some(Row::Session(session_id(2))));
    board.send(Msg::Mouse(Mouse::Click {
        column: 60,
        row: 20,
    }));
    assert_eq!(board.model.focus, Panel::Tasks);
    let index = board.model.task.index;
    board.send(Msg::Mouse(Mouse::ScrollDown(2)));
    assert_eq!(board.model.task.index, index + 2);
}

#[test]
fn the_palette_runs_what_it_finds() {
    let mut board = Board::busy(80, 24);
    let effects = board.keys("3 / 'docs Enter ctrl+p 'launch Enter");
    assert_eq!(orders(&effects)[0]["method"], json!("task.launch"));
}

#[test]
fn a_pull_request_is_opened_only_over_https() {
    let mut board = Board::busy(80, 24);
    let mut update = snapshot();
    update.tasks[2].pr_url = Some("javascript:alert(1)".into());
    board.send(Msg::Dashboard(update));
    assert!(board.keys("3 j j o").is_empty());
}

/// Every key in the help line does something on the row that is selected.
#[test]
fn the_help_line_promises_only_what_happens() {
    let rows = [
        "",
        "j",
        "j j",
        "j j j",
        "j j j j j j j",
        "G",
        "3",
        "3 j j",
        "3 / 'docs Enter",
        "3 / 'webhooks Enter",
        "3 G",
    ];
    for row in rows {
        let mut probe = Board::busy(200, 50);
        probe.keys(row);
        let promised: Vec<_> = probe
            .model
            .keymap
            .entries(Scope::Main)
            .filter(|entry| entry.rank > 0 && probe.model.applies(entry))
            .collect();
        assert!(promised.len() > 4, "{row}");
        for entry in promised {
            let mut board = Board::busy(200, 50);
            board.keys(row);
            board.buffer();
            let key = entry.keys[0];
            let effects = board.send(Msg::Key(key));
            let acted = effects
                .iter()
                .any(|effect| !matches!(effect, Effect::Tick { .. }));
            let silent = board.model.toast.is_none() || entry.intent == Intent::OpenPullRequest;
            assert!(
                acted || (board.model.needs_redraw() && silent),
                "{} on '{row}'",
                entry.label
            );
        }
    }
}

#[test]
fn started_tasks_come_first_then_the_queue_then_what_is_done() {
    let board = Board::busy(120, 40);
    let groups: Vec<_> = board
        .model
        .tasks
        .iter()
        .map(|id| crate::model::data::group(board.model.data.tasks[id].status))
        .collect();
    assert!(groups.is_sorted(), "{groups:?}");
    assert_eq!(
        board.model.data.tasks[board.model.tasks.last().unwrap()].status,
        TaskStatus::Done
    );
}

#[test]
fn a_second_project_shows_its_own_tasks() {
    let mut board = Board::busy(120, 40);
    board.keys("G");
    assert!(board.model.tasks.is_empty());
    board.keys("k k k k");
    assert_eq!(board.model.tasks.len(), 9);
}

#[test]
fn the_users_keys_are_taken_and_those_that_clash_are_told_and_left_out() {
    let mut board = Board::busy(120, 40);
    let settings = |key: &str| {
        Msg::Settings(claustre_protocol::link::DashboardSettings {
            keys: vec![("launch".to_owned(), key.to_owned())],
            ascii: true,
        })
    };
    let shown = |board: &Board| {
        let key = board.model.keymap.key_of(Intent::Launch);
        key.map(|key| key.to_string())
    };
    let own = shown(&board);
    board.send(settings("F6"));
    assert_eq!(shown(&board).as_deref(), Some("F6"));
    assert_eq!(board.model.marks, crate::theme::Marks::ascii());
    assert!(board.model.toast.is_none());
    board.send(settings("y"));
    assert_eq!(shown(&board), own);
    let toast = board.model.toast.as_ref().map(|toast| toast.text.clone());
    assert_eq!(
        toast.as_deref(),
        Some(
            "the keys of your configuration are left out: 'y' cannot be both 'approve' and 'launch'"
        )
    );
}
