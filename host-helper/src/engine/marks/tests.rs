use claustre_protocol::ids::SessionId;
use uuid::Uuid;

use super::{
    Mark, Marks, Wanted, Went,
    schedule::{EVERY_MILLIS, TAB_MILLIS},
};
use crate::ports::PaneFacts;

fn session(number: u32) -> SessionId {
    SessionId::new(Uuid::from_u128(u128::from(number)))
}

fn wanted(number: u32, mark: Mark) -> Wanted {
    Wanted {
        pane: PaneFacts {
            zellij_session: "desk".into(),
            server_pid: 7,
            pane: number,
            background: false,
        },
        plain: format!("shop:task/{number}"),
        mark,
    }
}

fn want(marks: &mut Marks, number: u32, mark: Mark, now: u64) {
    marks.want(session(number), wanted(number, mark), Mark::None, now);
}

/// Lets the time go on in steps of 10 ms and makes every change that is due; `before` comes first in each step.
fn play(
    marks: &mut Marks,
    millis: std::ops::Range<u64>,
    went: Went,
    mut before: impl FnMut(&mut Marks, u64),
) -> Vec<(u64, u32, Mark)> {
    let mut made = Vec::new();
    for now in millis.step_by(10) {
        before(marks, now);
        if let Some(naming) = marks.due(now) {
            marks.went(&naming, went, now);
            made.push((now, naming.pane.pane, naming.mark));
        }
    }
    made
}

#[test]
fn what_needs_nobody_costs_nothing() {
    let mut marks = Marks::default();
    for number in 0..16 {
        want(&mut marks, number, Mark::None, 0);
    }
    assert_eq!(marks.wait(0), None);
    assert_eq!(marks.due(0), None);
}

#[test]
fn a_question_is_marked_at_once_and_only_its_last_state_is_shown() {
    let mut marks = Marks::default();
    want(&mut marks, 1, Mark::NeedsYou, 5_000);
    let first = marks.due(5_000).unwrap();
    assert_eq!((first.pane.pane, first.mark), (1, Mark::NeedsYou));
    marks.went(&first, Went::Well, 5_030);
    // It goes, comes back and becomes another one before its tab may change again: one change.
    let states = [Mark::None, Mark::NeedsYou, Mark::None, Mark::InReview];
    for (now, mark) in (5_100..).step_by(100).zip(states) {
        want(&mut marks, 1, mark, now);
        assert_eq!(marks.due(now), None, "{now}");
    }
    let rest = play(&mut marks, 5_500..20_000, Went::Well, |_, _| {});
    assert_eq!(rest, [(5_030 + TAB_MILLIS, 1, Mark::InReview)]);
}

#[test]
fn what_came_and_went_before_it_was_shown_is_never_shown() {
    let mut marks = Marks::default();
    want(&mut marks, 1, Mark::NeedsYou, 0);
    want(&mut marks, 1, Mark::None, 20);
    assert_eq!(marks.wait(20), None);
}

#[test]
fn however_much_changes_all_tabs_together_change_slowly_and_each_gets_its_turn() {
    let mut marks = Marks::default();
    let mut random = 1_u64;
    // Four changes a second over 16 tabs, for a minute, and then a rest.
    let made = play(&mut marks, 0..120_000, Went::Well, |marks, now| {
        if now < 60_000 && now % 250 == 0 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let number = u32::try_from((random >> 33) % 16).unwrap();
            let mark = [Mark::None, Mark::NeedsYou, Mark::Error, Mark::InReview]
                [usize::try_from((random >> 40) % 4).unwrap()];
            want(marks, number, mark, now);
        }
    });
    let busy: Vec<_> = made.iter().filter(|(now, ..)| *now < 60_000).collect();
    assert!(
        (25..=60_000 / usize::try_from(EVERY_MILLIS).unwrap() + 3).contains(&busy.len()),
        "{}",
        busy.len()
    );
    for (at, pane, _) in &made {
        let again = made
            .iter()
            .find(|(then, other, _)| other == pane && then > at);
        assert!(again.is_none_or(|(then, ..)| then - at >= TAB_MILLIS));
    }
    let mut panes: Vec<u32> = busy.iter().map(|(_, pane, _)| *pane).collect();
    panes.sort_unstable();
    panes.dedup();
    assert!(panes.len() >= 14, "some are passed over: {panes:?}");
    assert_eq!(marks.wait(120_000), None, "all show what they are to show");
}

#[test]
fn a_question_goes_before_reviews_that_wait_but_not_for_ever() {
    let mut marks = Marks::default();
    for number in 0..40 {
        want(&mut marks, number, Mark::InReview, 0);
    }
    let mut asks = 100;
    let made = play(&mut marks, 0..240_000, Went::Well, |marks, now| {
        // A question in the middle of it, and then one after the other.
        if now == 5_000 || now > 30_000 && now % EVERY_MILLIS == 0 {
            asks += 1;
            want(marks, asks, Mark::NeedsYou, now);
        }
    });
    let asked = made.iter().find(|(_, pane, _)| *pane == 101).unwrap().0;
    assert!(asked <= 5_000 + EVERY_MILLIS, "{asked}");
    let reviews = made.iter().filter(|(_, pane, _)| *pane < 100).count();
    assert_eq!(reviews, 40, "questions keep reviews waiting for ever");
}

#[test]
fn a_change_that_fails_is_tried_a_few_times_and_a_lost_pane_once() {
    let mut marks = Marks::default();
    want(&mut marks, 1, Mark::NeedsYou, 0);
    assert_eq!(
        play(&mut marks, 0..120_000, Went::Passing, |_, _| {}).len(),
        4
    );
    // The next state is tried afresh.
    want(&mut marks, 1, Mark::Error, 120_000);
    assert_eq!(
        play(&mut marks, 120_000..240_000, Went::Lasting, |_, _| {}).len(),
        1
    );
}

#[test]
fn after_a_restart_a_mark_that_is_there_stays_and_one_that_is_over_goes() {
    let mut marks = Marks::default();
    let shown = Mark::of("▲ shop:task/1", "shop:task/1");
    marks.want(session(1), wanted(1, Mark::NeedsYou), shown, 0);
    assert_eq!(marks.wait(0), None);
    let over = Mark::of("◐ shop:task/2", "shop:task/2");
    marks.want(session(2), wanted(2, Mark::None), over, 0);
    assert_eq!(marks.due(0).map(|naming| naming.mark), Some(Mark::None));
}

#[test]
fn a_name_of_the_user_s_own_carries_no_mark_of_ours() {
    assert_eq!(Mark::of("▲ my tab", "shop:task/1"), Mark::None);
    assert_eq!(Mark::of("shop:task/1", "shop:task/1"), Mark::None);
}

#[test]
fn a_session_in_a_new_pane_is_marked_there_and_a_closed_one_nowhere() {
    let mut marks = Marks::default();
    want(&mut marks, 1, Mark::NeedsYou, 0);
    let naming = marks.due(0).unwrap();
    let mut moved = wanted(1, Mark::NeedsYou);
    moved.pane.pane = 9;
    marks.want(session(1), moved, Mark::None, 10);
    marks.went(&naming, Went::Well, 20);
    let again = play(&mut marks, 20..20_000, Went::Well, |_, _| {});
    assert_eq!(again.len(), 1);
    assert_eq!(
        again[0].1, 9,
        "the change of the old pane says nothing of the new one"
    );
    want(&mut marks, 2, Mark::NeedsYou, 30_000);
    marks.forget(session(2));
    assert_eq!(marks.wait(30_000), None);
}
