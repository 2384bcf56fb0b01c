//! What Zellij answers.

use super::{
    PaneId, event,
    wire::{Fields, Value},
};
use crate::link::Identity;

/// A tab, as far as the dashboard wants to know it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TabInfo {
    /// Its number while it is open; used again afterwards.
    pub tab_id: u64,
    /// Its place among the tabs.
    pub position: u64,
    /// Its name.
    pub name: String,
}

/// A pane, as far as the dashboard wants to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaneInfo {
    /// Which.
    pub id: PaneId,
    /// Is it off the screen?
    pub is_suppressed: bool,
    /// The place of its tab, where it comes with a session.
    pub position: u64,
}

/// The session that the plugin runs in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Session {
    /// Its name.
    pub name: String,
    /// Its tabs.
    pub tabs: Vec<TabInfo>,
    /// Its panes.
    pub panes: Vec<PaneInfo>,
}

/// Answers [`super::command::ids`].
pub fn ids(bytes: &[u8]) -> Identity {
    let number = |field| Fields(bytes).get(field).map_or(0, Value::small);
    Identity {
        plugin_id: number(1),
        client_id: u16::try_from(number(4)).unwrap_or_default(),
        server_pid: number(2),
    }
}

/// The pane of an answer that is one.
pub fn pane_id(bytes: &[u8]) -> Option<PaneId> {
    Fields(bytes).get(1).map(event::pane_id)
}

/// The tab's number and the pane that has the focus; none where no client is attached.
pub fn focus(bytes: &[u8]) -> Option<(u64, PaneId)> {
    let focus = Fields(bytes).get(1)?.fields();
    Some((
        focus.get(1).map_or(0, Value::number),
        event::pane_id(focus.get(2)?),
    ))
}

/// Answers [`super::command::pane`]; none where there is no such pane.
pub fn pane(bytes: &[u8]) -> Option<PaneInfo> {
    Fields(bytes).get(1).map(|pane| pane_info(pane, 0))
}

/// Answers [`super::command::tab`]; none where there is no such tab.
pub fn tab(bytes: &[u8]) -> Option<TabInfo> {
    Fields(bytes).get(1).map(tab_info)
}

/// The lines that a pane shows.
///
/// # Errors
/// Why Zellij gives none.
pub fn screen(bytes: &[u8]) -> Result<Vec<String>, String> {
    match Fields(bytes).last() {
        Some((1, contents)) => Ok(contents
            .fields()
            .filter(|(field, _)| *field == 1)
            .map(|(_, line)| line.text())
            .collect()),
        Some((_, error)) => Err(error.text()),
        None => Err("Zellij gives no answer".to_owned()),
    }
}

/// The session that the plugin runs in, out of the list of all.
pub fn session(bytes: &[u8]) -> Option<Session> {
    let (_, current) = Fields(bytes)
        .get(1)?
        .fields()
        .filter(|(field, _)| *field == 1)
        .find(|(_, session)| session.fields().get(5).is_some_and(Value::flag))?;
    let mut session = Session::default();
    for (field, value) in current.fields() {
        match field {
            1 => session.name = value.text(),
            2 => session.tabs.push(tab_info(value)),
            3 => {
                let position = value.fields().get(1).map_or(0, Value::number);
                for (field, pane) in value.fields() {
                    if field == 2 {
                        session.panes.push(pane_info(pane, position));
                    }
                }
            }
            _ => {}
        }
    }
    Some(session)
}

/// The tabs of a message that lists them.
pub(super) fn tabs(value: Value<'_>) -> Vec<TabInfo> {
    value
        .fields()
        .filter(|(field, _)| *field == 1)
        .map(|(_, tab)| tab_info(tab))
        .collect()
}

fn tab_info(value: Value<'_>) -> TabInfo {
    let mut tab = TabInfo::default();
    for (field, value) in value.fields() {
        match field {
            1 => tab.position = value.number(),
            2 => tab.name = value.text(),
            17 => tab.tab_id = value.number(),
            _ => {}
        }
    }
    tab
}

fn pane_info(value: Value<'_>, position: u64) -> PaneInfo {
    let (mut id, mut is_plugin, mut is_suppressed) = (0, false, false);
    for (field, value) in value.fields() {
        match field {
            1 => id = value.small(),
            2 => is_plugin = value.flag(),
            6 => is_suppressed = value.flag(),
            _ => {}
        }
    }
    PaneInfo {
        id: if is_plugin {
            PaneId::Plugin(id)
        } else {
            PaneId::Terminal(id)
        },
        is_suppressed,
        position,
    }
}
