//! Which effects may start now. Each kind runs in a lane of its own, so that slow ones hold up only their like, and the effects of
//! one session run one after another in the order they were asked for. Notices wait for no session: they change nothing in it.

use std::collections::BTreeSet;

use claustre_domain::effect::Effect;
use claustre_protocol::ids::SessionId;

use crate::store::PendingEffect;

/// What effects wait for together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Git: bound by the disk.
    Worktrees,
    /// Setup and teardown scripts: minutes, mostly spent waiting for the network.
    Scripts,
    /// Tabs and launchers: bound by Zellij.
    Zellij,
    /// Messages typed into clients, which take seconds to be confirmed.
    Typing,
    /// Notices for people.
    Notices,
}

impl Lane {
    /// So many of its effects run side by side.
    pub const fn width(self) -> usize {
        match self {
            Self::Worktrees | Self::Zellij => 4,
            Self::Scripts | Self::Typing => 8,
            Self::Notices => 1,
        }
    }

    /// The lane in which an effect begins.
    pub const fn of(effect: &Effect) -> Self {
        match effect {
            Effect::PrepareSession { .. } | Effect::RemoveWorktree { .. } => Self::Worktrees,
            Effect::OpenPane { .. }
            | Effect::ResumeClient { .. }
            | Effect::EndClient { .. }
            | Effect::CloseTab { .. }
            | Effect::NameTab { .. } => Self::Zellij,
            Effect::DeliverMessage { .. } => Self::Typing,
            Effect::Notify { .. } => Self::Notices,
        }
    }
}

/// An effect that is under way, or whose outcome is not stored yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy {
    /// Its place in the outbox.
    pub id: i64,
    /// Its session.
    pub session: Option<SessionId>,
    /// The place it takes; none once it is done and only its outcome is still to be stored.
    pub lane: Option<Lane>,
}

impl Busy {
    /// The effect in this lane.
    pub fn new(pending: &PendingEffect, lane: Option<Lane>) -> Self {
        Self {
            id: pending.id,
            session: session_of(&pending.effect),
            lane,
        }
    }
}

/// The session in whose order an effect stands.
fn session_of(effect: &Effect) -> Option<SessionId> {
    match effect {
        Effect::Notify { .. } => None,
        _ => effect.session(),
    }
}

/// Those of the due effects, oldest first, that may start beside what is under way, each with its lane.
pub fn startable(
    due: Vec<PendingEffect>,
    busy: &[Busy],
    lane_of: impl Fn(&PendingEffect) -> Lane,
) -> Vec<(PendingEffect, Lane)> {
    let mut sessions: BTreeSet<SessionId> = busy.iter().filter_map(|one| one.session).collect();
    let mut taken: Vec<Lane> = busy.iter().filter_map(|one| one.lane).collect();
    let mut chosen = Vec::new();
    for pending in due {
        if busy.iter().any(|one| one.id == pending.id) {
            continue;
        }
        // Whether it starts or not: nothing that was asked for later overtakes it.
        let session = session_of(&pending.effect);
        let is_first = session.is_none_or(|session| sessions.insert(session));
        let lane = lane_of(&pending);
        let is_free = taken.iter().filter(|one| **one == lane).count() < lane.width();
        if is_first && is_free {
            taken.push(lane);
            chosen.push((pending, lane));
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use claustre_protocol::ids::{EventId, MessageId};
    use uuid::Uuid;

    use super::*;

    fn session(number: u128) -> SessionId {
        SessionId::new(Uuid::from_u128(number))
    }

    fn prepare(number: u128) -> Effect {
        Effect::PrepareSession {
            session: session(number),
        }
    }

    fn close(number: u128) -> Effect {
        Effect::CloseTab {
            session: session(number),
        }
    }

    fn message(number: u128) -> Effect {
        Effect::DeliverMessage {
            session: session(number),
            message: MessageId::new(Uuid::from_u128(number)),
        }
    }

    fn notice(number: u128) -> Effect {
        Effect::Notify {
            session: Some(session(number)),
            task: None,
            text: String::new(),
            cause: EventId::new(Uuid::nil()),
        }
    }

    fn pending(effects: &[Effect]) -> Vec<PendingEffect> {
        (1..)
            .zip(effects)
            .map(|(id, effect)| PendingEffect {
                id,
                effect: effect.clone(),
                attempts: 0,
                started_before: false,
            })
            .collect()
    }

    /// The ids of those of the effects that may start while those in `under_way` run in these lanes.
    fn started(effects: &[Effect], under_way: &[(i64, Option<Lane>)]) -> Vec<i64> {
        let all = pending(effects);
        let busy: Vec<Busy> = all
            .iter()
            .filter_map(|one| {
                let (_, lane) = under_way.iter().find(|(id, _)| *id == one.id)?;
                Some(Busy::new(one, *lane))
            })
            .collect();
        startable(all, &busy, |pending| Lane::of(&pending.effect))
            .iter()
            .map(|(pending, _)| pending.id)
            .collect()
    }

    /// A rule, what waits, what of it is under way, and what may start.
    type Case = (
        &'static str,
        Vec<Effect>,
        Vec<(i64, Option<Lane>)>,
        Vec<i64>,
    );

    #[test]
    fn what_may_start_beside_what_runs() {
        use Lane::{Scripts, Typing, Worktrees, Zellij};
        let many = |effect: fn(u128) -> Effect, count: u128| (1..=count).map(effect).collect();
        let scripts: Vec<Effect> = many(prepare, 8);
        let with = |mut first: Vec<Effect>, more: &[Effect]| {
            first.extend_from_slice(more);
            first
        };
        let all_in_scripts: Vec<(i64, Option<Lane>)> =
            (1..=8).map(|id| (id, Some(Scripts))).collect();
        let cases: Vec<Case> = vec![
            ("nothing waits", vec![], vec![], vec![]),
            (
                "different sessions run side by side",
                vec![prepare(1), close(2), message(3), notice(4)],
                vec![],
                vec![1, 2, 3, 4],
            ),
            (
                "one session's run one after another",
                vec![prepare(1), close(1), message(1), close(2)],
                vec![],
                vec![1, 4],
            ),
            (
                "what runs holds up what comes later in its session",
                vec![prepare(1), close(1), close(2)],
                vec![(1, Some(Worktrees))],
                vec![3],
            ),
            (
                "so does what is done and not stored, but it takes no place in its lane",
                vec![close(1), close(1), close(2), close(3), close(4), close(5)],
                vec![(1, None)],
                vec![3, 4, 5, 6],
            ),
            (
                "a notice waits for no session",
                vec![prepare(1), notice(1)],
                vec![(1, Some(Scripts))],
                vec![2],
            ),
            (
                "slow scripts hold up no notice, no message, no tab and no other worktree",
                with(
                    scripts.clone(),
                    &[notice(1), message(20), close(21), prepare(22)],
                ),
                all_in_scripts,
                vec![9, 10, 11, 12],
            ),
            (
                "a full lane holds up its like, in their order",
                (1..=6).map(close).collect(),
                vec![(1, Some(Zellij)), (2, Some(Zellij))],
                vec![3, 4],
            ),
            (
                "what waits for a full lane is not overtaken within its session",
                vec![
                    close(1),
                    close(2),
                    close(3),
                    close(4),
                    close(5),
                    message(5),
                    message(6),
                ],
                vec![
                    (1, Some(Zellij)),
                    (2, Some(Zellij)),
                    (3, Some(Zellij)),
                    (4, Some(Zellij)),
                ],
                vec![7],
            ),
            (
                "what is under way does not start again",
                vec![message(1), notice(2)],
                vec![(1, Some(Typing)), (2, Some(Lane::Notices))],
                vec![],
            ),
        ];
        for (rule, effects, under_way, expected) in cases {
            assert_eq!(started(&effects, &under_way), expected, "{rule}");
        }
    }
}
