//! Does the dashboard answer in the Zellij sessions where it should, and has each session its own tab?

use std::collections::{BTreeMap, BTreeSet};

use claustre_protocol::request::{DaemonStatus, Nothing, Request};

use super::Finding;
use crate::{
    adapters::zellij::{Zellij, listed::ListedPane, multiplexer::BACKGROUND_SESSION},
    client::Client,
    paths::Paths,
    store::{Reader, SessionFilter},
};

/// The pane of an open session.
struct Place {
    zellij_session: String,
    pane: u32,
    name: String,
}

/// Looks at the Zellij sessions that run, where the daemon runs too; nothing to say where one of them does not.
pub(super) fn findings(paths: &Paths) -> Vec<Finding> {
    let check = "dashboard";
    let Some(links) = linked(paths) else {
        return Vec::new();
    };
    let places = places(paths);
    let Ok(zellij) = Zellij::find() else {
        return Vec::new();
    };
    let running = zellij.sessions().unwrap_or_default();
    let ours: BTreeSet<&str> = places
        .iter()
        .map(|place| place.zellij_session.as_str())
        .chain([BACKGROUND_SESSION])
        .collect();
    let mut findings = Vec::new();
    let mut answering = 0;
    for session in running.iter().filter(|name| ours.contains(name.as_str())) {
        if links.contains(session) {
            answering += 1;
        } else {
            findings.push(Finding::warn(
                check,
                format!(
                    "it does not answer in Zellij session {session}: its key does nothing there"
                ),
                "attach to that session and run claustre in it: that loads it once more",
            ));
        }
        let panes = zellij.panes(session).unwrap_or_default();
        findings.extend(shared_tabs(session, &panes, &places).into_iter().map(|names| {
            Finding::warn(
                check,
                format!("{} share one tab of Zellij session {session}", names.join(" and ")),
                "each gets its own when somebody attaches to that session while the dashboard answers",
            )
        }));
    }
    if findings.is_empty() && answering > 0 {
        findings.push(Finding::ok(
            check,
            format!("answers in {answering} of {answering} Zellij sessions"),
        ));
    }
    findings
}

/// The names of sessions that lie in one tab, for each tab with more than one.
fn shared_tabs(session: &str, panes: &[ListedPane], places: &[Place]) -> Vec<Vec<String>> {
    let mut by_tab: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for place in places
        .iter()
        .filter(|place| place.zellij_session == session)
    {
        let pane = panes
            .iter()
            .find(|pane| !pane.is_plugin && !pane.is_suppressed && pane.id == place.pane);
        if let Some(pane) = pane {
            by_tab
                .entry(pane.tab_id)
                .or_default()
                .push(place.name.clone());
        }
    }
    by_tab
        .into_values()
        .filter(|names| names.len() > 1)
        .collect()
}

/// The Zellij sessions whose dashboard answers the daemon; none where no daemon runs.
fn linked(paths: &Paths) -> Option<BTreeSet<String>> {
    let mut client = Client::connect(paths, "cli").ok()?;
    let status = client
        .call::<DaemonStatus>(Request::DaemonStatus(Nothing {}))
        .ok()?;
    let name = |link: String| link.rsplit_once(" (").map(|(name, _)| name.to_owned());
    Some(status.links.into_iter().filter_map(name).collect())
}

/// Where the open sessions of this host are; none where the store cannot be read, which another check says.
fn places(paths: &Paths) -> Vec<Place> {
    let store = paths.store();
    let read = || {
        let machine = crate::store::machine_of(&store)?;
        Reader::open(&store, machine)?.sessions(SessionFilter {
            project: None,
            open_only: true,
        })
    };
    let sessions = if store.exists() {
        read().unwrap_or_default()
    } else {
        Vec::new()
    };
    sessions
        .iter()
        .filter_map(|session| {
            let pane = session.pane.get()?;
            Some(Place {
                zellij_session: pane.zellij_session.clone(),
                pane: pane.pane,
                name: session.tab_name(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_that_share_a_tab_are_named() {
        let listed = |id: u32, tab: u64, suppressed: bool| -> ListedPane {
            let pane = serde_json::json!({"id": id, "is_plugin": false, "tab_id": tab, "is_suppressed": suppressed});
            serde_json::from_value(pane).unwrap()
        };
        let place = |pane: u32, session: &str| Place {
            zellij_session: session.into(),
            pane,
            name: format!("shop:{pane}"),
        };
        let panes = [
            listed(1, 0, false),
            listed(2, 0, false),
            listed(3, 1, false),
            listed(4, 0, true),
        ];
        let places = [1, 2, 3, 4].map(|pane| place(pane, "desk"));
        let shared = shared_tabs("desk", &panes, &places);
        assert_eq!(shared, [["shop:1", "shop:2"]]);
        let elsewhere = [place(1, "desk"), place(2, "other")];
        assert!(shared_tabs("desk", &panes, &elsewhere).is_empty());
    }
}
