use claustre_protocol::rpc::{Fault, FaultCode};
use proptest::prelude::*;
use unicode_width::UnicodeWidthStr;

use crate::{
    fixture::{Board, ago, permission, session_id, snapshot, task_detail},
    model::Model,
    msg::{Key, KeyCode, LinkState, Mouse, Msg},
};

const SIZES: [(u16, u16); 2] = [(60, 18), (120, 40)];

/// Draws a busy board after these keys, in two sizes.
fn check(name: &str, keys: &str) {
    check_after(name, &|board| {
        board.keys(keys);
    });
}

fn check_after(name: &str, act: &dyn Fn(&mut Board)) {
    for (columns, rows) in SIZES {
        let mut board = Board::busy(columns, rows);
        act(&mut board);
        insta::assert_snapshot!(format!("{name}_{columns}x{rows}"), board.text());
    }
}

#[test]
fn the_active_view_at_every_size() {
    for (columns, rows) in [(60, 18), (80, 24), (120, 40), (200, 50)] {
        let mut board = Board::busy(columns, rows);
        board.keys("g j j");
        insta::assert_snapshot!(format!("active_{columns}x{rows}"), board.text());
    }
}

#[test]
fn the_focus_on_tasks_and_on_a_project() {
    check("tasks_focused", "3 j j j j j j j");
    check("project_selected", "G");
}

#[test]
fn a_list_that_is_a_part_says_how_many_there_are_in_all() {
    let mut board = Board::busy(120, 40);
    let mut update = snapshot();
    update.reset = false;
    update.sessions.clear();
    update.tasks.clear();
    for project in &mut update.projects {
        project.tasks = [(claustre_protocol::status::TaskStatus::Done, 5_234)].into();
    }
    board.send(Msg::Dashboard(update));
    board.keys("G");
    let text = board.text();
    assert!(text.contains("shown, 5234 in all"), "{text}");
    assert!(text.contains("5234 done"), "{text}");
}

#[test]
fn plain_ascii_has_no_other_character_of_ours() {
    let mut board = Board::blank(80, 24);
    board.model = std::mem::take(&mut board.model).with_ascii();
    board.send(Msg::Resized {
        columns: 80,
        rows: 24,
    });
    board.send(Msg::Visible(true));
    board.send(Msg::Link(LinkState::Up));
    let mut update = snapshot();
    update.sessions.truncate(3);
    update.tasks.truncate(4);
    board.send(Msg::Dashboard(update));
    board.keys("j");
    insta::assert_snapshot!("ascii_80x24", board.text());
}

#[test]
fn empty_boards_say_what_to_press() {
    for (columns, rows) in SIZES {
        let mut board = Board::blank(columns, rows);
        insta::assert_snapshot!(format!("unknown_{columns}x{rows}"), board.text());
        let mut update = snapshot();
        update.projects.clear();
        update.sessions.clear();
        update.tasks.clear();
        update.inbox = Some(Vec::new());
        board.send(Msg::Dashboard(update.clone()));
        insta::assert_snapshot!(format!("empty_{columns}x{rows}"), board.text());
        update.projects = snapshot().projects;
        board.send(Msg::Dashboard(update));
        insta::assert_snapshot!(format!("no_task_{columns}x{rows}"), board.text());
    }
}

#[test]
fn overlays() {
    check("help", "?");
    check("inbox", "i j");
    check("ask_permission", "j Enter");
    check("deny", "j N 'not_in_this_worktree");
    check("message", "j j m 'please_run_the_tests_first");
    check("review", "3 j j r");
    check(
        "task_form",
        "n 'Add_a_cart alt+Enter 'The_cart_keeps_its_items_over_a_reload. Tab Right",
    );
    check("project_form", "a 'shop Tab 'relative/path Enter");
    check("session_form", "s Tab Tab 'look_around");
    check_after("confirm_kill", &|board| {
        let asked = board.keys("j j x");
        let found = serde_json::json!({
            "session_id": session_id(2), "is_open": true, "branch": "task/fix-auth-token-1f3a9c02",
            "changed_files": 4, "unpushed_commits": 1, "ignored_kept": 2,
            "lost": [
                { "path": "data/", "files": 1200, "bytes": 2_100_000_000_u64 },
                { "path": "model.bin", "files": 1, "bytes": 40_000_000 },
            ],
            "lost_more": 3, "lost_files": 1304, "lost_bytes": 2_149_000_000_u64,
        });
        board.reply(&asked, found);
    });
    check("confirm_delete", "3 j j j j j j j d");
    check("confirm_project", "d");
    check("palette", "3 : 're");
    check("filter", "3 / 'chore");
    check("filter_nothing", "3 / 'zebra");
}

#[test]
fn a_question_offers_its_answers() {
    check_after("ask_question", &|board| {
        board.keys("! ! Enter");
    });
}

#[test]
fn a_question_is_told_once() {
    let mut board = Board::busy(80, 30);
    let mut update = snapshot();
    let ask = update.sessions[6].ask.as_mut().unwrap();
    ask.detail = format!(
        "{}\n- Twemoji: drawn by us\n- {}: {}\nAnd which size?\n- 16\n",
        ask.title, ask.options[1], ask.options[1]
    );
    board.send(Msg::Dashboard(update));
    board.keys("! ! Enter");
    let text = board.text();
    let inside: Vec<_> = text
        .lines()
        .skip_while(|line| !line.contains("asks ─"))
        .skip(1)
        .filter_map(|line| line.split('│').find(|cell| cell.len() > 60))
        .map(str::trim)
        .take(9)
        .collect();
    let wanted = [
        "Which emoji set shall the picker use?",
        "",
        "And which size?",
        "- 16",
        "",
        "1  Twemoji: drawn by us",
        "2  The system's own 👩‍💻",
        "",
        "Press a number, or m to answer in your own words.",
    ];
    assert_eq!(inside, wanted, "{text}");
    assert!(text.contains("1-2 answer"), "{text}");
}

#[test]
fn what_is_wrong_with_a_form_is_told_whole() {
    for (columns, rows) in SIZES {
        let mut board = Board::busy(columns, rows);
        let asked = board.keys("a Tab '/home/mara/notes Enter");
        let Some(crate::effect::Effect::Ask { id, .. }) = asked.first() else {
            panic!("nothing asked");
        };
        let outcome = Err(Fault::new(
            FaultCode::Refused,
            "looking at the repository: /home/mara/notes is not a git repository",
            Some("run `git init` in /home/mara/notes or give the path of a repository".into()),
        ));
        board.send(Msg::Reply { id: *id, outcome });
        let text = board.text();
        assert!(text.contains("of a repository)"), "{text}");
        assert!(text.contains("Goal"), "{text}");
    }
}

#[test]
fn a_command_that_does_nothing_here_is_not_called_unknown() {
    let mut board = Board::busy(80, 24);
    board.keys("1 g : 'launch");
    assert!(
        board
            .text()
            .contains("Nothing that can be done here matches."),
        "{}",
        board.text()
    );
}

#[test]
fn the_inbox_names_the_task_at_any_width() {
    for (columns, rows) in SIZES {
        let mut board = Board::busy(columns, rows);
        let mut update = snapshot();
        if let Some(items) = &mut update.inbox {
            items[0].title = "shop:task/login-form-loses-focus-12345678".into();
        }
        board.send(Msg::Dashboard(update));
        board.keys("i");
        let text = board.text();
        let row = text.lines().find(|line| line.contains("▲ permission"));
        assert!(row.unwrap().contains("Login form"), "{text}");
        assert!(row.unwrap().contains("Bash: rm -rf"), "{text}");
    }
}

#[test]
fn news_leave_the_keys_of_what_covers_the_panels_in_sight() {
    let mut board = Board::busy(80, 24);
    let news = || Msg::Toast {
        text: "something else is done".into(),
        error: false,
    };
    board.send(Msg::Toast {
        text: "news ".repeat(100),
        error: false,
    });
    let text = board.text();
    assert!(!text.contains("? help"), "{text}");
    let with_news = text.lines().filter(|line| line.contains("news news"));
    assert_eq!(with_news.count(), 1, "{text}");
    board.keys("j Enter");
    board.send(news());
    let text = board.text();
    assert!(text.contains("y allow  N deny"), "{text}");
    assert!(text.contains("something else is done"), "{text}");
}

#[test]
fn details_and_steps_come_from_the_daemon() {
    check_after("details", &|board| {
        let asked = board.keys("j j v");
        board.reply(&asked, serde_json::to_value(task_detail()).unwrap());
    });
    check_after("steps", &|board| {
        let asked = board.keys("3 j s");
        board.reply(
            &asked,
            serde_json::to_value(task_detail().task.subtasks).unwrap(),
        );
        board.keys("j");
    });
    check_after("edit_form", &|board| {
        let asked = board.keys("3 / 'webhooks Enter e");
        board.reply(&asked, serde_json::to_value(task_detail()).unwrap());
        board.keys("shift+Tab Enter");
    });
}

/// Allows what the first session asks, from its page where the panel has no room for it.
fn allowed(board: &mut Board) -> Vec<crate::effect::Effect> {
    let asked = board.keys("j y");
    if asked.is_empty() {
        return board.keys("y");
    }
    asked
}

#[test]
fn toasts_and_failures() {
    check_after("toast_error", &|board| {
        let asked = allowed(board);
        let Some(crate::effect::Effect::Ask { id, .. }) = asked.first() else {
            panic!("nothing asked");
        };
        let outcome = Err(Fault::new(
            FaultCode::Refused,
            "allowing 'Bash: rm -rf dist': it was answered in its tab already",
            Some("press ! for the next one".into()),
        ));
        board.send(Msg::Reply { id: *id, outcome });
    });
    check_after("link_lost", &|board| {
        board.send(Msg::Link(LinkState::Lost));
        board.send(Msg::Tick(ago(-90)));
    });
    check_after("mismatch", &|board| {
        let sentence = "the daemon is version 0.2.0 and this dashboard 0.1.0: run claustre setup";
        board.send(Msg::Link(LinkState::Mismatch(sentence.into())));
    });
    check_after("pending", &|board| {
        allowed(board);
    });
}

#[test]
fn a_small_pane_asks_for_room() {
    for (columns, rows) in [(59, 30), (20, 5), (3, 2), (0, 0), (80, 17)] {
        let board = Board::busy(columns, rows);
        let text = board.text();
        let words: String = text.split_whitespace().collect();
        assert!(columns < 10 || words.contains("60×18"), "{text}");
    }
}

#[test]
fn a_long_question_is_scrolled_and_can_be_answered_from_there() {
    let mut board = Board::busy(60, 18);
    let mut update = snapshot();
    let mut ask = permission(1);
    ask.detail = (0..100).map(|line| format!("line {line}\n")).collect();
    update.sessions[0].ask = Some(ask);
    board.send(Msg::Dashboard(update));
    board.keys("j Enter G");
    assert!(board.text().contains("line 99"), "{}", board.text());
    assert!(!board.keys("y").is_empty());
    assert_eq!(
        board.model.acting_ask().map(|(session, _)| session),
        Some(session_id(1))
    );
}

#[test]
fn drawing_twice_gives_the_same_and_settles_the_need() {
    let board = Board::busy(80, 24);
    assert!(board.model.needs_redraw());
    let first = board.buffer();
    assert!(!board.model.needs_redraw());
    assert_eq!(first, board.buffer());
}

/// Every row is exactly as wide as the pane, and no cell holds anything that could move the cursor.
fn assert_sound(model: &Model, board: &Board) -> Result<(), TestCaseError> {
    let buffer = board.buffer();
    let columns = usize::from(model.size.0);
    for row in buffer.content.chunks(columns.max(1)) {
        let mut at = 0;
        while at < row.len() {
            let symbol = row[at].symbol();
            prop_assert!(!symbol.chars().any(char::is_control), "{symbol:?}");
            at += symbol.width().max(1);
        }
        prop_assert_eq!(at, columns);
    }
    Ok(())
}

fn any_key() -> impl Strategy<Value = Key> {
    let code = prop_oneof![
        8 => prop::sample::select("jkgG123nesrRyNmvoxdJKui!/:?q qdfoabcx 日\u{7}é".chars().collect::<Vec<_>>())
            .prop_map(KeyCode::Char),
        1 => any::<char>().prop_map(KeyCode::Char),
        5 => prop::sample::select(vec![
            KeyCode::Enter, KeyCode::Enter, KeyCode::Esc, KeyCode::Tab, KeyCode::Backspace, KeyCode::Delete,
            KeyCode::Up, KeyCode::Down, KeyCode::Left, KeyCode::Right, KeyCode::Home, KeyCode::End,
            KeyCode::PageUp, KeyCode::PageDown, KeyCode::Function(5),
        ]),
    ];
    (
        code,
        prop::bool::weighted(0.05),
        prop::bool::weighted(0.05),
        prop::bool::weighted(0.05),
    )
        .prop_map(|(code, ctrl, alt, shift)| Key {
            code,
            ctrl,
            alt,
            shift,
        })
}

fn any_update() -> impl Strategy<Value = Msg> {
    (
        any::<bool>(),
        any::<bool>(),
        0_usize..11,
        0_usize..32,
        0_usize..3,
        any::<u64>(),
        ".{0,90}",
    )
        .prop_map(|(reset, more, sessions, tasks, removed, seed, text)| {
            let mut update = snapshot();
            update.reset = reset;
            update.more = more;
            update.sessions.truncate(sessions);
            update.tasks.truncate(tasks);
            if let Some(task) = update.tasks.last_mut() {
                task.title.clone_from(&text);
                task.note.clone_from(&text);
            }
            if let Some(session) = update.sessions.last_mut() {
                session.message.clone_from(&text);
                session.branch = text;
                session.ask = seed.is_multiple_of(2).then(|| permission(u128::from(seed)));
            }
            update.removed = snapshot()
                .tasks
                .iter()
                .map(|task| task.id.uuid())
                .take(removed * 3)
                .collect();
            update.removed.extend(
                snapshot()
                    .sessions
                    .iter()
                    .skip(2)
                    .map(|card| card.id.uuid())
                    .take(removed),
            );
            if seed.is_multiple_of(7) {
                update.inbox = Some(Vec::new());
            }
            Msg::Dashboard(update)
        })
}

fn any_msg() -> impl Strategy<Value = Msg> {
    prop_oneof![
        20 => any_key().prop_map(Msg::Key),
        3 => any_update(),
        1 => ".{0,200}".prop_map(Msg::Pasted),
        1 => (0_u16..220, 0_u16..60).prop_map(|(columns, rows)| Msg::Resized { columns, rows }),
        1 => (0_u16..220, 0_u16..60).prop_map(|(column, row)| Msg::Mouse(Mouse::Click { column, row })),
        1 => (0_u16..9).prop_map(|lines| Msg::Mouse(Mouse::ScrollDown(lines))),
        1 => (0_u16..9).prop_map(|lines| Msg::Mouse(Mouse::ScrollUp(lines))),
        1 => (1_u64..30, any::<bool>()).prop_map(|(id, good)| Msg::Reply {
            id,
            outcome: if good {
                Ok(serde_json::to_value(task_detail()).unwrap_or_default())
            } else {
                Err(Fault::new(FaultCode::Internal, "no", None))
            },
        }),
        1 => prop::sample::select(vec![LinkState::Up, LinkState::Up, LinkState::Lost, LinkState::Connecting])
            .prop_map(Msg::Link),
        1 => (-90_i64..90).prop_map(|seconds| Msg::Tick(ago(seconds))),
        1 => any::<bool>().prop_map(Msg::Visible),
        1 => (".{0,100}", any::<bool>()).prop_map(|(text, error)| Msg::Toast { text, error }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_frame_holds(messages in prop::collection::vec(any_msg(), 1..60)) {
        let mut board = Board::busy(80, 24);
        for msg in messages {
            board.send(msg);
            assert_sound(&board.model, &board)?;
        }
    }
}
