//! Every kind of effect, with each thing that may go wrong around it: done at most once, and what it was to reach is reached.

use crate::world::{self, Plan, World};

/// All kinds, by the beginning of their keys. `name/` is of former versions, and does nothing.
const KINDS: [&str; 8] = [
    "prepare/", "pane/", "resume/", "end/", "close/", "remove/", "message/", "notify/",
];
/// Chance decides the order in which threads come to run.
const ORDERS: u64 = 2;

#[test]
fn every_kind_of_effect_is_done_at_most_once() {
    for kind in KINDS {
        let mut was_killed = false;
        for seed in 1..=ORDERS {
            for (doubles, loses) in [(false, false), (true, false), (false, true)] {
                let plan = Plan {
                    kills_after: Some(kind),
                    doubles,
                    loses,
                };
                let (result, has_killed) = world::run_with(seed, false, plan, World::live_once);
                was_killed |= has_killed;
                if let Err(found) = result {
                    panic!("{kind} with seed {seed}, {plan:?}: {found}");
                }
            }
        }
        assert!(was_killed, "{kind} never came to its end");
    }
}
