//! The bytes in these tests are those of Zellij 0.45.1's own encoder, or follow its `.proto` files by hand.

use proptest::prelude::*;

use super::{PaneId, answer, command, event, wire};
use crate::msg::{Colour, Key, KeyCode, Mouse};
use event::{Event, PipeSource};
use wire::{Fields, Message, Value};

fn key_event(key: &Message) -> Event {
    event::event(Message::new().number(1, 3).message(5, key).as_bytes())
}

fn plain(code: KeyCode) -> Event {
    Event::Key(Key::plain(code))
}

#[test]
fn keys_come_with_their_modifiers() {
    let a = u64::from('a');
    assert_eq!(
        key_event(&Message::new().number(3, a)),
        plain(KeyCode::Char('a'))
    );
    // PageDown has the number 0, and is written out all the same.
    assert_eq!(
        event::event(&[8, 3, 42, 2, 16, 0]),
        plain(KeyCode::PageDown)
    );
    assert_eq!(
        key_event(&Message::new().number(2, 31)),
        plain(KeyCode::Enter)
    );
    assert_eq!(
        key_event(&Message::new().number(2, 22)),
        plain(KeyCode::Function(12))
    );
    assert_eq!(key_event(&Message::new().number(2, 30)), Event::Other);
    assert_eq!(
        key_event(&Message::new().number(1, 0).number(3, a)),
        Event::Key(Key::ctrl('a'))
    );
    let all = Message::new().number(1, 0).number(3, a).bytes(4, &[1, 2]);
    let expected = Key {
        code: KeyCode::Char('A'),
        ctrl: true,
        alt: true,
        shift: false,
    };
    assert_eq!(key_event(&all), Event::Key(expected));
}

#[test]
fn a_typed_character_stays_whole() {
    for character in ['é', 'ж', '漢', '🦀'] {
        let key = Message::new().number(3, u64::from(character));
        assert_eq!(key_event(&key), plain(KeyCode::Char(character)));
    }
}

#[test]
fn the_mouse_clicks_and_scrolls() {
    let event =
        |mouse: &Message| event::event(Message::new().number(1, 4).message(6, mouse).as_bytes());
    let at = |line: u64| {
        Message::new()
            .number(1, 2)
            .message(3, &Message::new().number(1, line).number(2, 7))
    };
    assert_eq!(
        event(&at(3)),
        Event::Mouse(Mouse::Click { column: 7, row: 3 })
    );
    assert_eq!(event(&at(u64::MAX)), Event::Other, "above the pane");
    assert_eq!(
        event(&Message::new().number(2, 3)),
        Event::Mouse(Mouse::ScrollUp(3))
    );
    assert_eq!(
        event(&Message::new().number(1, 1).number(2, 3)),
        Event::Mouse(Mouse::ScrollDown(3))
    );
}

#[test]
fn the_theme_gives_its_colours() {
    let index = |number| Message::new().number(1, 1).number(3, number);
    let rgb = Message::new()
        .number(2, 0)
        .message(2, &Message::new().number(1, 255).number(3, 9));
    let styling = Message::new()
        .message(1, &index(1))
        .message(1, &index(2))
        .message(1, &index(3))
        .message(2, &index(4))
        .message(2, &index(5))
        .message(11, &rgb);
    let mode = Message::new()
        .message(3, &Message::new().number(2, 1).message(4, &styling))
        .text(5, "work")
        .text(8, "/bin/zsh");
    let Event::Mode {
        session,
        shell,
        palette,
    } = event::event(Message::new().number(1, 0).message(2, &mode).as_bytes())
    else {
        panic!("no mode");
    };
    assert_eq!(session.as_deref(), Some("work"));
    assert_eq!(shell.as_deref(), Some("/bin/zsh"));
    assert_eq!(palette.warning, Some(Colour::Indexed(3)));
    assert_eq!(palette.selection, Some(Colour::Indexed(5)));
    assert_eq!(palette.accent, Some(Colour::Rgb(255, 0, 9)));
    assert_eq!(palette.frame, None);
}

#[test]
fn other_events_are_told_by_their_content() {
    assert_eq!(event::event(&[8, 9, 72, 0]), Event::Visible(false));
    assert_eq!(event::event(&[8, 9, 72, 1]), Event::Visible(true));
    assert_eq!(event::event(&[8, 5, 61, 0, 0, 0, 63]), Event::Timer);
    assert_eq!(event::event(&[8, 15, 98, 2, 8, 1]), Event::Permission(true));
    assert_eq!(event::event(&[8, 15, 98, 0]), Event::Permission(false));
    assert_eq!(
        event::event(&[8, 21, 146, 1, 4, 10, 2, 16, 4]),
        Event::PaneClosed(PaneId::Terminal(4))
    );
    assert_eq!(event::event(&[8, 44]), Event::Other);
    assert_eq!(event::event(&[]), Event::Other);
}

#[test]
fn a_pipe_says_who_sends_what() {
    let line = Message::new()
        .text(2, "pipe-id")
        .text(4, "name")
        .text(5, "täxt\n");
    let message = event::pipe_message(line.as_bytes());
    assert_eq!(message.source, PipeSource::Cli("pipe-id".to_owned()));
    assert_eq!(message.name, "name");
    assert_eq!(message.payload.as_deref(), Some("täxt\n"));
    let key = event::pipe_message(Message::new().number(1, 2).text(4, "toggle").as_bytes());
    assert_eq!(key.source, PipeSource::Keybind);
    assert_eq!(key.payload, None);
}

#[test]
fn the_session_tells_where_a_pane_is() {
    let tab = |position, id| {
        Message::new()
            .number(1, position)
            .text(2, "shop:fix")
            .number(17, id)
    };
    let panes = Message::new()
        .number(1, 1)
        .message(2, &Message::new().number(1, 4).number(6, 1))
        .message(2, &Message::new().number(1, 4).number(2, 1));
    let current = Message::new()
        .text(1, "work")
        .message(2, &tab(0, 3))
        .message(2, &tab(1, 8))
        .message(3, &panes)
        .number(5, 1);
    let snapshot = Message::new()
        .message(1, &Message::new().text(1, "other"))
        .message(1, &current);
    let session = answer::session(Message::new().message(1, &snapshot).as_bytes()).unwrap();
    assert_eq!(session.name, "work");
    assert_eq!(
        session
            .tabs
            .iter()
            .map(|tab| tab.tab_id)
            .collect::<Vec<_>>(),
        [3, 8]
    );
    let panes: Vec<_> = session
        .panes
        .iter()
        .map(|pane| (pane.id, pane.is_suppressed, pane.position))
        .collect();
    assert_eq!(
        panes,
        [
            (PaneId::Terminal(4), true, 1),
            (PaneId::Plugin(4), false, 1)
        ]
    );
}

#[test]
fn answers_may_be_missing() {
    assert_eq!(answer::session(&[]), None);
    assert_eq!(answer::focus(&[]), None);
    assert_eq!(answer::pane(&[]), None);
    assert_eq!(answer::tab(&[]), None);
    assert_eq!(answer::pane_id(&[]), None);
    assert!(answer::screen(&[]).is_err());
    assert_eq!(answer::screen(&[18, 2, b'n', b'o']), Err("no".to_owned()));
    assert_eq!(
        answer::screen(&[10, 3, 10, 1, b'x']),
        Ok(vec!["x".to_owned()])
    );
}

#[test]
fn commands_are_written_as_zellij_reads_them() {
    assert_eq!(command::ids().as_bytes(), [8, 3]);
    assert_eq!(command::show_self().as_bytes(), [8, 17, 128, 1, 1]);
    assert_eq!(
        command::subscribe(&[0, 9]).as_bytes(),
        [8, 0, 18, 6, 10, 4, 8, 0, 8, 9]
    );
    assert_eq!(
        command::timeout(1.0).as_bytes(),
        [8, 12, 98, 9, 9, 0, 0, 0, 0, 0, 0, 240, 63]
    );
    assert_eq!(
        command::write_to_pane(PaneId::Terminal(300), b"\x1b").as_bytes(),
        [8, 94, 178, 4, 10, 10, 1, 27, 18, 5, 8, 0, 16, 172, 2]
    );
    assert_eq!(
        command::launch_or_focus("c").as_bytes(),
        [
            8, 164, 1, 146, 7, 14, 10, 12, 8, 53, 202, 1, 7, 10, 1, b'c', 16, 1, 32, 1
        ]
    );
}

proptest! {
    #[test]
    fn numbers_travel_as_json(bytes: Vec<u8>) {
        let line = wire::to_numbers(&bytes);
        prop_assert_eq!(serde_json::from_slice::<Vec<u8>>(&line).unwrap(), bytes.clone());
        prop_assert_eq!(wire::from_numbers(&line), bytes.clone());
        let theirs = format!("{}\n\r", serde_json::to_string(&bytes).unwrap());
        prop_assert_eq!(wire::from_numbers(theirs.as_bytes()), bytes);
    }

    #[test]
    fn what_is_written_is_read(field in 1_u64..200, number: u64, text: String) {
        let message = Message::new().number(field, number).text(field + 1, &text);
        let fields: Vec<_> = Fields(message.as_bytes()).collect();
        prop_assert_eq!(fields, [
            (field, Value::Number(number)),
            (field + 1, Value::Bytes(text.as_bytes())),
        ]);
    }

    #[test]
    fn damaged_bytes_are_survived(bytes: Vec<u8>) {
        event::event(&bytes);
        event::pipe_message(&bytes);
        event::configuration(&bytes);
        answer::session(&bytes);
        answer::screen(&bytes).ok();
    }
}
