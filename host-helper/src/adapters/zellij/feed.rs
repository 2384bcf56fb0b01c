//! What the dashboard draws, on its way to the plugin: joined while it waits, held to 20 a second, cut into lines.
//!
//! The first change after a pause goes out at once; what follows within 50 ms is joined to one. Nobody looks at a hidden
//! dashboard, so there one a second is enough.

use std::time::Duration;

use claustre_protocol::{dashboard::DashboardUpdate, link::MAX_LINE};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Between two updates of a dashboard that is on a screen.
pub const VISIBLE_PAUSE: Duration = Duration::from_millis(50);
/// Between two updates while no dashboard is on a screen.
pub const HIDDEN_PAUSE: Duration = Duration::from_secs(1);

/// Bytes of a part, so that it fits a line with the envelope around it.
const PART: usize = MAX_LINE - 1024;
/// Bytes that the fields of an empty part take.
const PART_FRAME: usize = 256;
/// What a text is cut to, in characters, one after the other until the card fits.
const CUTS: [usize; 4] = [8_000, 2_000, 400, 60];
/// Said at the end of a text that was cut.
const CUT_NOTE: &str = " … (cut; the whole is one key away)";

/// Changes that wait for their turn. All times are milliseconds of one clock.
#[derive(Debug, Default)]
pub struct Feed {
    pending: Option<DashboardUpdate>,
    last: Option<u64>,
}

impl Feed {
    /// Takes a change.
    pub fn add(&mut self, update: DashboardUpdate) {
        self.pending = Some(match self.pending.take() {
            Some(pending) => join(pending, update),
            None => update,
        });
    }

    /// Forgets what waits: a snapshot that holds it goes out.
    pub fn clear(&mut self) {
        self.pending = None;
    }

    /// What is due now; none while nothing waits or the pause is not over.
    pub fn take(&mut self, now: u64, visible: bool) -> Option<DashboardUpdate> {
        if self.wait(now, visible)? > 0 {
            return None;
        }
        self.last = Some(now);
        self.pending.take()
    }

    /// Milliseconds until something is due; none while nothing waits.
    pub fn wait(&self, now: u64, visible: bool) -> Option<u64> {
        self.pending.as_ref()?;
        let pause = if visible { VISIBLE_PAUSE } else { HIDDEN_PAUSE };
        let pause = u64::try_from(pause.as_millis()).unwrap_or_default();
        Some(
            self.last
                .map_or(0, |last| last.saturating_add(pause).saturating_sub(now)),
        )
    }
}

/// Both changes in one, the later on top.
fn join(mut earlier: DashboardUpdate, later: DashboardUpdate) -> DashboardUpdate {
    if later.reset {
        return later;
    }
    let gone = |id: uuid::Uuid| later.removed.contains(&id);
    earlier.projects.retain(|card| {
        !gone(card.id.uuid()) && later.projects.iter().all(|newer| newer.id != card.id)
    });
    earlier.sessions.retain(|card| {
        !gone(card.id.uuid()) && later.sessions.iter().all(|newer| newer.id != card.id)
    });
    earlier.tasks.retain(|card| {
        !gone(card.id.uuid()) && later.tasks.iter().all(|newer| newer.id != card.id)
    });
    // A card that comes back after it was removed must not be removed again.
    let back = |id: uuid::Uuid| {
        later.projects.iter().any(|card| card.id.uuid() == id)
            || later.sessions.iter().any(|card| card.id.uuid() == id)
            || later.tasks.iter().any(|card| card.id.uuid() == id)
    };
    earlier.removed.retain(|id| !back(*id) && !gone(*id));
    earlier.projects.extend(later.projects);
    earlier.sessions.extend(later.sessions);
    earlier.tasks.extend(later.tasks);
    earlier.removed.extend(later.removed);
    earlier.header = later.header.or(earlier.header);
    earlier.inbox = later.inbox.or(earlier.inbox);
    earlier.position = later.position.max(earlier.position);
    earlier.now = later.now;
    earlier
}

/// The update in parts that each fit a line; all but the last say that more follow. A card that alone does not fit is cut.
pub fn split_update(update: DashboardUpdate) -> Vec<DashboardUpdate> {
    if size(&update) <= PART {
        return vec![DashboardUpdate {
            more: false,
            ..update
        }];
    }
    let frame = DashboardUpdate {
        reset: false,
        more: true,
        position: update.position,
        now: update.now,
        ..DashboardUpdate::default()
    };
    let mut parts = Parts {
        done: Vec::new(),
        current: DashboardUpdate {
            reset: update.reset,
            ..frame.clone()
        },
        used: PART_FRAME,
        frame,
    };
    if let Some(header) = update.header {
        let header = shorten(header);
        parts.make_room(size(&header));
        parts.current.header = Some(header);
    }
    for id in update.removed {
        parts.make_room(size(&id));
        parts.current.removed.push(id);
    }
    for card in update.projects {
        let card = shorten(card);
        parts.make_room(size(&card));
        parts.current.projects.push(card);
    }
    for card in update.sessions {
        let card = shorten(card);
        parts.make_room(size(&card));
        parts.current.sessions.push(card);
    }
    for card in update.tasks {
        let card = shorten(card);
        parts.make_room(size(&card));
        parts.current.tasks.push(card);
    }
    if let Some(items) = update.inbox {
        // It replaces the whole inbox, so it cannot be spread; the most urgent items stand first.
        let mut kept = Vec::new();
        let mut used = 0;
        for item in items {
            let item = clipped(&item, 200).unwrap_or(item);
            used += size(&item) + 1;
            if used > PART - PART_FRAME {
                break;
            }
            kept.push(item);
        }
        parts.make_room(used.min(PART - PART_FRAME));
        parts.current.inbox = Some(kept);
    }
    parts.finish()
}

struct Parts {
    done: Vec<DashboardUpdate>,
    current: DashboardUpdate,
    used: usize,
    frame: DashboardUpdate,
}

impl Parts {
    fn make_room(&mut self, size: usize) {
        // One for the comma.
        if self.used + size + 1 > PART && self.used > PART_FRAME {
            self.done
                .push(std::mem::replace(&mut self.current, self.frame.clone()));
            self.used = PART_FRAME;
        }
        self.used += size + 1;
    }

    fn finish(mut self) -> Vec<DashboardUpdate> {
        self.current.more = false;
        self.done.push(self.current);
        self.done
    }
}

/// The card, with its longest texts cut as far as it takes to fit a part.
fn shorten<Card: Serialize + DeserializeOwned>(card: Card) -> Card {
    if size(&card) <= PART - PART_FRAME {
        return card;
    }
    let mut shortest = card;
    for longest in CUTS {
        if let Some(cut) = clipped(&shortest, longest) {
            shortest = cut;
        }
        if size(&shortest) <= PART - PART_FRAME {
            break;
        }
    }
    shortest
}

/// The card with no text longer than so many characters, and no list longer than 200.
fn clipped<Card: Serialize + DeserializeOwned>(card: &Card, longest: usize) -> Option<Card> {
    let mut value = serde_json::to_value(card).ok()?;
    clip(&mut value, longest);
    serde_json::from_value(value).ok()
}

fn clip(value: &mut Value, longest: usize) {
    match value {
        Value::String(text) => {
            if let Some((end, _)) = text.char_indices().nth(longest) {
                text.truncate(end);
                text.push_str(CUT_NOTE);
            }
        }
        Value::Array(items) => {
            items.truncate(200);
            items.iter_mut().for_each(|item| clip(item, longest));
        }
        Value::Object(fields) => fields.values_mut().for_each(|field| clip(field, longest)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Bytes of it as JSON.
fn size<Thing: Serialize>(thing: &Thing) -> usize {
    serde_json::to_vec(thing).map_or(usize::MAX, |json| json.len())
}

#[cfg(test)]
mod tests {
    use claustre_protocol::{
        dashboard::{ProjectCard, SessionCard},
        ids::{AskId, ProjectId, SessionId},
        link::{DownLine, ToPlugin},
        model::{Ask, AskKind, InboxItem, InboxKind},
        status::{ClaudeStatus, ProjectStatus, Source},
        time::Timestamp,
    };
    use uuid::Uuid;

    use super::*;

    fn project(number: u128, goal: &str) -> ProjectCard {
        ProjectCard {
            id: ProjectId::new(Uuid::from_u128(number)),
            name: format!("project {number}"),
            status: ProjectStatus::Active,
            goal: goal.to_owned(),
            repo_path: "/r".to_owned(),
            default_branch: "main".to_owned(),
            tasks: Default::default(),
        }
    }

    fn session(ask: &str) -> SessionCard {
        SessionCard {
            id: SessionId::new(Uuid::from_u128(9)),
            project_id: ProjectId::new(Uuid::from_u128(1)),
            task_id: None,
            branch: "b".to_owned(),
            base: "main".to_owned(),
            worktree_path: "/w".to_owned(),
            tab_name: "shop:b".to_owned(),
            zellij_session: None,
            pane_id: None,
            status: ClaudeStatus::Working,
            reason: None,
            source: Source::Hook,
            since: Timestamp::default(),
            last_activity_at: Timestamp::default(),
            message: String::new(),
            ask: Some(Ask {
                id: AskId::new(Uuid::from_u128(3)),
                kind: AskKind::Permission,
                title: "Bash".to_owned(),
                detail: ask.to_owned(),
                options: Vec::new(),
                answerable: true,
                since: Timestamp::default(),
                answered: false,
                cut: false,
            }),
            files_changed: 0,
            lines_added: 0,
            lines_removed: 0,
            input_tokens: 0,
            output_tokens: 0,
            cost: 0.0,
            context_percent: None,
            model: None,
            queued_messages: 0,
            created_at: Timestamp::default(),
        }
    }

    fn check_lines(parts: &[DashboardUpdate]) {
        for (number, part) in parts.iter().enumerate() {
            assert_eq!(part.more, number + 1 < parts.len());
            assert_eq!(part.reset, number == 0);
            let line = DownLine {
                seq: u64::MAX,
                epoch: u64::MAX,
                target: Some("4294967295-65535".to_owned()),
                body: ToPlugin::Dashboard(part.clone()),
            };
            let length = serde_json::to_vec(&line).unwrap().len() + 1;
            assert!(length <= MAX_LINE, "part {number} has {length} bytes");
        }
    }

    #[test]
    fn a_small_update_stays_whole() {
        let update = DashboardUpdate {
            projects: vec![project(1, "goal")],
            ..DashboardUpdate::default()
        };
        assert_eq!(split_update(update.clone()), [update]);
    }

    #[test]
    fn a_large_update_is_cut_into_lines_and_loses_nothing() {
        let update = DashboardUpdate {
            reset: true,
            position: 7,
            projects: (0..900)
                .map(|number| project(number, &"g".repeat(100)))
                .collect(),
            removed: (0..2_000).map(Uuid::from_u128).collect(),
            ..DashboardUpdate::default()
        };
        let parts = split_update(update.clone());
        assert!(parts.len() > 4);
        check_lines(&parts);
        let projects: Vec<_> = parts
            .iter()
            .flat_map(|part| part.projects.clone())
            .collect();
        let removed: Vec<_> = parts.iter().flat_map(|part| part.removed.clone()).collect();
        assert_eq!((projects, removed), (update.projects, update.removed));
    }

    #[test]
    fn a_giant_ask_is_cut_with_a_note() {
        let update = DashboardUpdate {
            reset: true,
            sessions: vec![session(&"\u{1}é\"".repeat(400_000))],
            ..DashboardUpdate::default()
        };
        let parts = split_update(update);
        check_lines(&parts);
        let detail = &parts[0].sessions[0].ask.as_ref().unwrap().detail;
        assert!(detail.ends_with(CUT_NOTE), "{}", detail.len());
    }

    #[test]
    fn an_inbox_that_is_too_long_keeps_its_most_urgent_items() {
        let item = |number: usize| InboxItem {
            kind: InboxKind::Question,
            task_id: None,
            session_id: None,
            title: format!("{number}"),
            detail: "d".repeat(5_000),
            since: Timestamp::default(),
            ask_id: None,
            only_in_tab: false,
        };
        let parts = split_update(DashboardUpdate {
            reset: true,
            inbox: Some((0..500).map(item).collect()),
            ..DashboardUpdate::default()
        });
        check_lines(&parts);
        let inbox = parts.last().unwrap().inbox.as_ref().unwrap();
        assert!(inbox.len() > 50 && inbox[0].title == "0");
    }

    #[test]
    fn the_first_change_goes_at_once_and_the_next_ones_are_joined() {
        let mut feed = Feed::default();
        let change = |goal: &str| DashboardUpdate {
            projects: vec![project(1, goal)],
            ..DashboardUpdate::default()
        };
        feed.add(change("a"));
        assert_eq!(feed.take(1_000, true).unwrap().projects[0].goal, "a");
        feed.add(change("b"));
        feed.add(change("c"));
        assert_eq!(feed.take(1_049, true), None);
        assert_eq!(feed.wait(1_049, true), Some(1));
        assert_eq!(feed.wait(1_049, false), Some(951));
        let joined = feed.take(1_050, true).unwrap();
        assert_eq!(joined.projects.len(), 1);
        assert_eq!(joined.projects[0].goal, "c");
        assert_eq!(feed.wait(1_060, true), None);
    }

    #[test]
    fn joining_ends_in_the_later_state() {
        let first = DashboardUpdate {
            projects: vec![project(1, "a"), project(2, "b")],
            removed: vec![Uuid::from_u128(5)],
            ..DashboardUpdate::default()
        };
        let second = DashboardUpdate {
            projects: vec![project(5, "back")],
            removed: vec![Uuid::from_u128(2)],
            ..DashboardUpdate::default()
        };
        let joined = join(first, second);
        let ids: Vec<_> = joined
            .projects
            .iter()
            .map(|card| card.id.uuid().as_u128())
            .collect();
        assert_eq!(ids, [1, 5]);
        assert_eq!(joined.removed, [Uuid::from_u128(2)]);
    }
}
