//! The bytes in these tests are those of Zellij 0.45.1's own encoder, or follow its `.proto` files by hand.

use proptest::prelude::*;

use super::{
    event::{self, Event, PipeSource},
    wire::{self, Fields, Value},
};
use crate::msg::{Colour, Key, KeyCode, Mouse};

/// A message being written.
#[derive(Debug, Clone)]
struct Message(Vec<u8>);

impl Message {
    /// An empty message.
    const fn new() -> Self {
        Self(Vec::new())
    }

    /// With a whole number, a truth value or a choice.
    #[must_use]
    fn number(mut self, field: u64, number: u64) -> Self {
        self.varint(field << 3);
        self.varint(number);
        self
    }

    /// With bytes.
    #[must_use]
    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    /// With a text.
    #[must_use]
    fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    /// With a message inside.
    #[must_use]
    fn message(self, field: u64, message: &Self) -> Self {
        self.bytes(field, &message.0)
    }

    /// What was written.
    fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }
}

fn key_event(key: &Message) -> Event {
    event::event(Message::new().number(1, 3).message(5, key).as_bytes())
}

fn plain(code: KeyCode) -> Event {
    Event::Key(Key::plain(code))
}

#[test]
fn what_a_client_types_comes_as_a_name() {
    let name = |number| event::event(Message::new().number(1, number).as_bytes());
    assert_eq!(name(8), Event::Typed);
    assert_eq!(name(6), Event::Other);
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
        Event::PaneClosed(4)
    );
    assert_eq!(
        event::event(&[8, 21, 146, 1, 6, 10, 4, 8, 1, 16, 4]),
        Event::Other,
        "a plugin's pane"
    );
    let tab = |place, id| {
        Message::new()
            .number(1, place)
            .text(2, "shop:fix")
            .number(17, id)
    };
    let tabs = Message::new().message(1, &tab(0, 3)).message(1, &tab(1, 8));
    assert_eq!(
        event::event(Message::new().number(1, 1).message(3, &tabs).as_bytes()),
        Event::Tabs(vec![3, 8])
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

proptest! {
    #[test]
    fn numbers_travel_as_json(bytes: Vec<u8>) {
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
    }
}
