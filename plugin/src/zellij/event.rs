//! What Zellij tells the plugin: its configuration, events and lines of pipes.

use std::collections::BTreeMap;

use super::wire::{Fields, Value};
use crate::msg::{Colour, Key, KeyCode, Mouse, Palette};

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The mode, the theme or the session's name changed.
    Mode {
        /// The session's name.
        session: Option<String>,
        /// The user's shell, where the configuration names one.
        shell: Option<String>,
        /// The dashboard's few colours out of the user's theme.
        palette: Palette,
    },
    /// Tabs came, went or changed; the numbers of all that there are, in their order.
    Tabs(Vec<usize>),
    /// A key that the dashboard may know.
    Key(Key),
    /// The mouse did something that means something to the dashboard.
    Mouse(Mouse),
    /// Text was pasted.
    Pasted(String),
    /// Our client typed something, wherever.
    Typed,
    /// A timer ran out.
    Timer,
    /// The plugin's pane came on the screen or left it.
    Visible(bool),
    /// Did the user allow what the plugin asked for?
    Permission(bool),
    /// A program that the plugin ran has ended.
    Ran {
        /// What it was run for.
        purpose: Option<String>,
        /// What it printed.
        output: String,
    },
    /// A pane closed that ran a command; its number.
    PaneClosed(u32),
    /// Nothing that concerns the dashboard.
    Other,
}

/// Zellij's number of the event that comes with everything a client types.
const INPUT_RECEIVED: u64 = 8;

/// Reads an event.
pub fn event(bytes: &[u8]) -> Event {
    // The kind is in the number of the field that carries the content; one without content is a mere name.
    let content = Fields(bytes).filter(|(field, _)| *field > 1).last();
    let Some((field, value)) = content else {
        // Of what comes as a mere name only this one matters.
        let name = Fields(bytes).get(1).map_or(0, Value::number);
        return if name == INPUT_RECEIVED {
            Event::Typed
        } else {
            Event::Other
        };
    };
    match field {
        2 => mode(value.fields()),
        3 => Event::Tabs(tabs(value.fields())),
        5 => key(value.fields()).map_or(Event::Other, Event::Key),
        6 => mouse(value.fields()).map_or(Event::Other, Event::Mouse),
        7 => Event::Timer,
        9 => Event::Visible(value.flag()),
        12 => Event::Permission(value.fields().get(1).is_some_and(Value::flag)),
        14 => ran(value.fields()),
        18 => value
            .fields()
            .get(1)
            .and_then(|pane| terminal(pane.fields()))
            .map_or(Event::Other, Event::PaneClosed),
        26 => Event::Pasted(value.fields().get(1).map(Value::text).unwrap_or_default()),
        _ => Event::Other,
    }
}

/// The key of what a program was run for, in the context that is given along with it.
pub const PURPOSE: &str = "purpose";

fn ran(fields: Fields<'_>) -> Event {
    let text = |fields: Fields<'_>, field| fields.get(field).map(Value::text).unwrap_or_default();
    let purpose = fields
        .filter(|(field, _)| *field == 4)
        .map(|(_, item)| item.fields())
        .find(|item| text(*item, 1) == PURPOSE)
        .map(|item| text(item, 2));
    Event::Ran {
        purpose,
        output: text(fields, 2),
    }
}

/// The numbers of the tabs.
fn tabs(fields: Fields<'_>) -> Vec<usize> {
    fields
        .filter(|(field, _)| *field == 1)
        .filter_map(|(_, tab)| {
            let number = tab.fields().get(17).map_or(0, Value::number);
            usize::try_from(number).ok()
        })
        .collect()
}

/// The number of a pane that runs a command; none for one that shows a plugin.
fn terminal(fields: Fields<'_>) -> Option<u32> {
    let is_plugin = fields.get(1).is_some_and(Value::flag);
    (!is_plugin).then(|| fields.get(2).map_or(0, Value::small))
}

/// A message that came through a pipe, from a key binding or from another plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipeMessage {
    /// Who sent it.
    pub source: PipeSource,
    /// The name of the pipe or of the message.
    pub name: String,
    /// What; none where the pipe ended.
    pub payload: Option<String>,
}

/// Who sent a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PipeSource {
    /// A `zellij pipe`, by Zellij's id of it.
    Cli(String),
    /// Another plugin.
    Plugin,
    /// A key binding.
    Keybind,
}

/// Reads a message of a pipe.
pub fn pipe_message(bytes: &[u8]) -> PipeMessage {
    let mut source = 0;
    let mut pipe = String::new();
    let mut name = String::new();
    let mut payload = None;
    for (field, value) in Fields(bytes) {
        match field {
            1 => source = value.number(),
            2 => pipe = value.text(),
            4 => name = value.text(),
            5 => payload = Some(value.text()),
            _ => {}
        }
    }
    PipeMessage {
        source: match source {
            0 => PipeSource::Cli(pipe),
            2 => PipeSource::Keybind,
            _ => PipeSource::Plugin,
        },
        name,
        payload,
    }
}

/// Reads the configuration that the plugin is loaded with.
pub fn configuration(bytes: &[u8]) -> BTreeMap<String, String> {
    let mut entries = BTreeMap::new();
    for (field, entry) in Fields(bytes) {
        if field == 1 {
            let text = |field| {
                entry
                    .fields()
                    .get(field)
                    .map(Value::text)
                    .unwrap_or_default()
            };
            entries.insert(text(1), text(2));
        }
    }
    entries
}

fn key(fields: Fields<'_>) -> Option<Key> {
    let mut code = None;
    let (mut ctrl, mut alt, mut shift) = (false, false, false);
    let mut modifier = |number| match number {
        0 => ctrl = true,
        1 => alt = true,
        2 => shift = true,
        _ => {}
    };
    for (field, value) in fields {
        match (field, value) {
            (2, named) => code = named_key(named.number()),
            (3, character) => code = char::from_u32(character.small()).map(KeyCode::Char),
            (1 | 4, Value::Number(number)) => modifier(number),
            // Several in one field, each in one byte.
            (4, Value::Bytes(numbers)) => numbers
                .iter()
                .copied()
                .map(u64::from)
                .for_each(&mut modifier),
            _ => {}
        }
    }
    // `Shift a` and `A` are the same key; the dashboard knows it as `A`.
    let (code, shift) = match code? {
        KeyCode::Char(character) if shift => (
            KeyCode::Char(character.to_uppercase().next().unwrap_or(character)),
            false,
        ),
        code => (code, shift),
    };
    Some(Key {
        code,
        ctrl,
        alt,
        shift,
    })
}

fn named_key(number: u64) -> Option<KeyCode> {
    Some(match number {
        0 => KeyCode::PageDown,
        1 => KeyCode::PageUp,
        2 => KeyCode::Left,
        3 => KeyCode::Down,
        4 => KeyCode::Up,
        5 => KeyCode::Right,
        6 => KeyCode::Home,
        7 => KeyCode::End,
        8 => KeyCode::Backspace,
        9 => KeyCode::Delete,
        11..=22 => KeyCode::Function(u8::try_from(number - 10).ok()?),
        23 => KeyCode::Tab,
        24 => KeyCode::Esc,
        31 => KeyCode::Enter,
        // Insert, the locks, Print, Pause and Menu mean nothing to the dashboard.
        _ => return None,
    })
}

fn mouse(fields: Fields<'_>) -> Option<Mouse> {
    let lines = || {
        let count = fields.get(2).map_or(0, Value::number);
        u16::try_from(count).unwrap_or(u16::MAX)
    };
    match fields.get(1).map_or(0, Value::number) {
        0 => Some(Mouse::ScrollUp(lines())),
        1 => Some(Mouse::ScrollDown(lines())),
        2 => {
            let position = fields.get(3)?.fields();
            let place = |field| position.get(field).map_or(0, Value::number);
            Some(Mouse::Click {
                column: u16::try_from(place(2)).unwrap_or(u16::MAX),
                // Above the pane's first line the number is negative, which is no u16 either.
                row: u16::try_from(place(1)).ok()?,
            })
        }
        _ => None,
    }
}

fn mode(fields: Fields<'_>) -> Event {
    let mut session = None;
    let mut shell = None;
    let mut palette = Palette::default();
    for (field, value) in fields {
        match field {
            3 => {
                if let Some(styling) = value.fields().get(4) {
                    palette = self::palette(styling.fields());
                }
            }
            5 => session = Some(value.text()),
            8 => shell = Some(value.text()),
            _ => {}
        }
    }
    Event::Mode {
        session,
        shell,
        palette,
    }
}

/// Each part of the theme is a list of base, background and four emphases.
fn palette(styling: Fields<'_>) -> Palette {
    let colour = |part: u64, place: usize| {
        styling
            .filter(|(field, _)| *field == part)
            .nth(place)
            .and_then(|(_, value)| self::colour(value.fields()))
    };
    let frame = colour(10, 0);
    Palette {
        // The terminal's own text and background: themes disagree on them, terminals do not.
        text: None,
        dim: frame,
        accent: colour(11, 0),
        selection: colour(2, 1),
        selected_text: colour(2, 0),
        warning: colour(1, 2),
        error: colour(14, 0),
        success: colour(13, 0),
        frame,
    }
}

fn colour(fields: Fields<'_>) -> Option<Colour> {
    let part = |value: Value<'_>| u8::try_from(value.number()).unwrap_or(u8::MAX);
    if let Some(rgb) = fields.get(2) {
        let [red, green, blue] = [1, 2, 3].map(|field| rgb.fields().get(field).map_or(0, part));
        return Some(Colour::Rgb(red, green, blue));
    }
    fields.get(3).map(|index| Colour::Indexed(part(index)))
}
