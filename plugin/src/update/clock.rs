//! Time on the screen: ages that grow and toasts that go.
//!
//! A tick is asked for only while the dashboard is on the screen and something on it changes with time: every second
//! where seconds are shown, else every half minute.

use claustre_protocol::time::Timestamp;

use crate::{
    effect::Effect,
    model::{
        Model, Row, ToastKind,
        data::{session_time, task_time},
        overlay::{Overlay, Page},
    },
    msg::LinkState,
    text,
};

const FAST: i64 = 1_000;
const SLOW: i64 = 30_000;
/// How long a toast stays.
const TOAST: i64 = 6_000;
/// How long a toast about a failure stays.
const COMPLAINT: i64 = 12_000;

/// The time is now this.
pub(super) fn tick(model: &mut Model, now: Timestamp) {
    let before = model.now;
    // A clock that was set back must not freeze the toasts: any difference counts.
    model.now = now;
    for due in [&mut model.fast_due, &mut model.slow_due] {
        if due.is_some_and(|due| {
            due <= now.plus_millis(FAST / 4) || due > now.plus_millis(SLOW + FAST)
        }) {
            *due = None;
        }
    }
    let gone = match &mut model.toast {
        Some(toast) => match toast.until {
            Some(until) => now >= until,
            None => {
                let stay = match toast.kind {
                    ToastKind::Failure => COMPLAINT,
                    ToastKind::Answer | ToastKind::News => TOAST,
                };
                toast.until = Some(now.plus_millis(stay));
                false
            }
        },
        None => false,
    };
    if gone {
        model.toast = None;
        model.touch();
    }
    if !model.visible {
        return;
    }
    let mut aged = false;
    each_time(model, &mut |time| {
        aged |= text::age(time, before) != text::age(time, now);
    });
    if aged {
        model.touch();
    }
}

/// Asks for the next tick, where one is needed and none is on its way.
pub(super) fn schedule(model: &mut Model, effects: &mut Vec<Effect>) {
    if !model.visible {
        return;
    }
    let mut seconds = model.toast.is_some();
    let mut longer = false;
    each_time(model, &mut |time| {
        if model.now.millis_since(time) < 60_000 {
            seconds = true;
        } else {
            longer = true;
        }
    });
    let now = model.now;
    let late = |due: Option<Timestamp>| due.is_none_or(|due| due.plus_millis(2 * FAST) < now);
    if seconds {
        if late(model.fast_due) {
            model.fast_due = Some(now.plus_millis(FAST));
            effects.push(Effect::Tick { millis: 1_000 });
        }
    } else if longer && late(model.slow_due) {
        model.slow_due = Some(now.plus_millis(SLOW));
        effects.push(Effect::Tick { millis: 30_000 });
    }
}

/// Every time whose age is on the screen.
fn each_time(model: &Model, see: &mut dyn FnMut(Timestamp)) {
    if !model.ready {
        return;
    }
    if model.link != LinkState::Up {
        see(model.heard);
    }
    let areas = model.areas();
    let rows = model.rows.iter().skip(model.left.top);
    for row in rows.take(usize::from(areas.left.height)) {
        if let Row::Session(id) = row
            && let Some(session) = model.data.sessions.get(id)
        {
            see(session_time(session));
        }
    }
    let tasks = model.tasks.iter().skip(model.task.top);
    for id in tasks.take(usize::from(areas.tasks.height)) {
        if let Some(task) = model.data.tasks.get(id)
            && let Some(time) = task_time(task, model.data.session_of(task))
        {
            see(time);
        }
    }
    if let Some(session) = model.current_session() {
        see(session_time(session));
    }
    match model.overlays.last() {
        Some(Overlay::Inbox(_)) => model.data.inbox.iter().for_each(|item| see(item.since)),
        Some(Overlay::Details(view)) => view.page.iter().for_each(|page| page_times(page, see)),
        Some(Overlay::Ask(view)) => page_times(&view.page, see),
        Some(
            Overlay::Help(_)
            | Overlay::Review(_)
            | Overlay::Steps(_)
            | Overlay::Confirm(_)
            | Overlay::Form(_)
            | Overlay::Text(_)
            | Overlay::Palette(_),
        )
        | None => {}
    }
}

fn page_times(page: &Page, see: &mut dyn FnMut(Timestamp)) {
    page.lines.iter().filter_map(|line| line.at).for_each(see);
}
