//! Zellij's keys, mouse and theme as the dashboard knows them.

use claustre_plugin::msg::{Colour, Key, KeyCode, Mouse as DashboardMouse, Msg, Palette};
use zellij_tile::prelude::*;

/// The dashboard's message for what the user did; none where it means nothing to the dashboard.
pub fn message(event: &Event) -> Option<Msg> {
    match event {
        Event::Key(key) => self::key(key).map(Msg::Key),
        Event::PastedText(text) => Some(Msg::Pasted(text.clone())),
        Event::Mouse(mouse) => self::mouse(*mouse).map(Msg::Mouse),
        _ => None,
    }
}

fn key(key: &KeyWithModifier) -> Option<Key> {
    let code = match key.bare_key {
        BareKey::Char(character) => KeyCode::Char(character),
        BareKey::Enter => KeyCode::Enter,
        BareKey::Esc => KeyCode::Esc,
        BareKey::Tab => KeyCode::Tab,
        BareKey::Backspace => KeyCode::Backspace,
        BareKey::Delete => KeyCode::Delete,
        BareKey::Up => KeyCode::Up,
        BareKey::Down => KeyCode::Down,
        BareKey::Left => KeyCode::Left,
        BareKey::Right => KeyCode::Right,
        BareKey::Home => KeyCode::Home,
        BareKey::End => KeyCode::End,
        BareKey::PageUp => KeyCode::PageUp,
        BareKey::PageDown => KeyCode::PageDown,
        BareKey::F(number) => KeyCode::Function(number),
        BareKey::Insert
        | BareKey::CapsLock
        | BareKey::ScrollLock
        | BareKey::NumLock
        | BareKey::PrintScreen
        | BareKey::Pause
        | BareKey::Menu => return None,
    };
    let has = |modifier| key.key_modifiers.contains(&modifier);
    let shift = has(KeyModifier::Shift);
    // `Shift a` and `A` are the same key; the dashboard knows it as `A`.
    let (code, shift) = match code {
        KeyCode::Char(character) if shift => (
            KeyCode::Char(character.to_uppercase().next().unwrap_or(character)),
            false,
        ),
        code => (code, shift),
    };
    Some(Key {
        code,
        ctrl: has(KeyModifier::Ctrl),
        alt: has(KeyModifier::Alt),
        shift,
    })
}

fn mouse(mouse: Mouse) -> Option<DashboardMouse> {
    let lines = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
    match mouse {
        Mouse::LeftClick(line, column) => Some(DashboardMouse::Click {
            column: lines(column),
            row: u16::try_from(line).ok()?,
        }),
        Mouse::ScrollUp(count) => Some(DashboardMouse::ScrollUp(lines(count))),
        Mouse::ScrollDown(count) => Some(DashboardMouse::ScrollDown(lines(count))),
        Mouse::ScrollLeft(_)
        | Mouse::ScrollRight(_)
        | Mouse::RightClick(..)
        | Mouse::Hold(..)
        | Mouse::Release(..)
        | Mouse::Hover(..) => None,
    }
}

/// The dashboard's few colours out of the user's theme.
pub fn palette(theme: &Styling) -> Palette {
    Palette {
        // The terminal's own text and background: themes disagree on them, terminals do not.
        text: None,
        dim: theme.frame_unselected.map(|frame| colour(frame.base)),
        accent: Some(colour(theme.frame_selected.base)),
        selection: Some(colour(theme.text_selected.background)),
        warning: Some(colour(theme.text_unselected.emphasis_0)),
        error: Some(colour(theme.exit_code_error.base)),
        success: Some(colour(theme.exit_code_success.base)),
        frame: theme.frame_unselected.map(|frame| colour(frame.base)),
    }
}

fn colour(colour: PaletteColor) -> Colour {
    match colour {
        PaletteColor::Rgb((red, green, blue)) => Colour::Rgb(red, green, blue),
        PaletteColor::EightBit(index) => Colour::Indexed(index),
    }
}
