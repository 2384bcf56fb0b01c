//! Whether a key does something on what is selected now.

use claustre_protocol::{
    dashboard::{SessionCard, TaskCard},
    ids::SessionId,
    model::{Ask, AskKind},
    status::{ClaudeStatus, Reason, TaskStatus},
};

use super::{
    Model, Panel, Row,
    data::group,
    overlay::{Overlay, Page},
};
use crate::keymap::{Entry, Intent, Needs, Scope, Side};

impl Model {
    /// Does the entry do something now?
    pub(crate) fn applies(&self, entry: &Entry) -> bool {
        let in_main = self.overlays.is_empty();
        let side = match entry.side {
            Side::Both => true,
            Side::Projects => !in_main || self.acting() != Panel::Tasks,
            Side::Tasks => !in_main || self.acting() == Panel::Tasks,
        };
        side && self.has(entry.needs)
    }

    pub(crate) fn has(&self, needs: Needs) -> bool {
        let task = |test: &dyn Fn(&TaskCard) -> bool| self.acting_task().is_some_and(test);
        match needs {
            Needs::Nothing => true,
            Needs::AnyProject => self.current_project().is_some(),
            Needs::Rows => self.has_rows(),
            Needs::ProjectSide => self.left.item.is_some() && self.acting() != Panel::Tasks,
            Needs::Openable => match self.acting() {
                Panel::Tasks => self.task.item.is_some(),
                Panel::Projects | Panel::Detail => self.left.item.is_some(),
            },
            Needs::Permission => self
                .acting_ask()
                .is_some_and(|(_, ask)| ask.kind == AskKind::Permission && ask.answerable),
            Needs::Question => self
                .acting_ask()
                .is_some_and(|(_, ask)| ask.kind == AskKind::Question && ask.answerable),
            Needs::Options => self.acting_ask().is_some_and(|(_, ask)| {
                ask.kind == AskKind::Question && ask.answerable && !ask.options.is_empty()
            }),
            Needs::OpenSession => self.current_session().is_some(),
            Needs::InboxItems => !self.data.inbox.is_empty(),
            Needs::Task => task(&|_| true),
            Needs::Editable => {
                task(&|task| matches!(task.status, TaskStatus::Draft | TaskStatus::Pending))
            }
            Needs::Launchable => task(&|task| task.status == TaskStatus::Pending),
            Needs::Reviewable => task(&|task| finishable(task) || reopenable(task)),
            Needs::Finishable => task(&finishable),
            Needs::Returnable => task(&|task| finishable(task) && task.session_id.is_some()),
            Needs::Reopenable => task(&reopenable),
            Needs::Retryable => task(&retryable) || self.current_session().is_some_and(resumable),
            Needs::Detailed => {
                self.acting_task().is_some()
                    || (self.scope() == Scope::Main
                        && self
                            .current_session()
                            .is_some_and(|session| session.ask.is_some()))
            }
            Needs::PullRequest => task(&|task| {
                task.pr_url
                    .as_deref()
                    .is_some_and(|url| url.starts_with("https://"))
            }),
            Needs::Killable => {
                self.current_session().is_some() || task(&|task| group(task.status) == 0)
            }
            Needs::Deletable => {
                if self.acting() == Panel::Tasks {
                    self.task.item.is_some()
                } else {
                    matches!(self.left.item, Some(Row::Project(_)))
                }
            }
            Needs::MovableDown => self.move_target(true).is_some(),
            Needs::MovableUp => self.move_target(false).is_some(),
            Needs::Step => self.selected_step().is_some(),
            Needs::OpenStep => self.selected_step().is_some_and(|done| !done),
        }
    }

    fn has_rows(&self) -> bool {
        match self.overlays.last() {
            None => match self.focus {
                Panel::Projects => !self.rows.is_empty(),
                Panel::Detail => true,
                Panel::Tasks => !self.tasks.is_empty(),
            },
            Some(Overlay::Help(page)) => self.scrolls(page),
            Some(Overlay::Ask(view)) => self.scrolls(&view.page),
            Some(Overlay::Details(view)) => {
                view.page.as_ref().is_some_and(|page| self.scrolls(page))
            }
            Some(_) => true,
        }
    }

    /// Is the page longer than its place?
    fn scrolls(&self, page: &Page) -> bool {
        page.lines.len() > usize::from(self.overlay_area().height.saturating_sub(2))
    }

    fn selected_step(&self) -> Option<bool> {
        match self.overlays.last() {
            Some(Overlay::Steps(view)) => view.selected().map(|step| step.done),
            Some(_) | None => None,
        }
    }

    /// What would be answered now, and whose it is.
    pub(crate) fn acting_ask(&self) -> Option<(SessionId, &Ask)> {
        match self.overlays.last() {
            Some(Overlay::Ask(view)) => {
                let ask = self.data.sessions.get(&view.session)?.ask.as_ref()?;
                (ask.id == view.ask).then_some((view.session, ask))
            }
            Some(Overlay::Inbox(view)) => {
                let session = self.data.inbox.get(view.index)?.session_id?;
                Some((session, self.data.sessions.get(&session)?.ask.as_ref()?))
            }
            Some(_) => None,
            None => {
                let session = self.current_session()?;
                Some((session.id, session.ask.as_ref()?))
            }
        }
    }

    /// The task that the keys act on, here or in what covers the panels.
    pub(crate) fn acting_task(&self) -> Option<&TaskCard> {
        match self.overlays.last() {
            Some(Overlay::Review(task)) => self.data.tasks.get(task),
            Some(Overlay::Steps(view)) => self.data.tasks.get(&view.task),
            Some(Overlay::Details(view)) => self.data.tasks.get(&view.task),
            Some(Overlay::Ask(view)) => {
                let session = self.data.sessions.get(&view.session)?;
                self.data.tasks.get(&session.task_id?)
            }
            Some(_) | None => self.current_task(),
        }
    }

    /// The queue neighbour that the selected task would change places with.
    pub(crate) fn move_target(&self, down: bool) -> Option<&TaskCard> {
        if self.acting() != Panel::Tasks {
            return None;
        }
        let task = self.current_task()?;
        let at = self.tasks.iter().position(|id| *id == task.id)?;
        let beside = if down {
            at.checked_add(1)
        } else {
            at.checked_sub(1)
        }?;
        let other = self.data.tasks.get(self.tasks.get(beside)?)?;
        let movable = group(task.status) == group(other.status)
            && group(task.status) != 2
            && task.priority == other.priority;
        movable.then_some(other)
    }

    /// Why an entry does nothing now, in one sentence.
    pub(crate) fn refusal(&self, entry: &Entry) -> &'static str {
        match entry.needs {
            Needs::Nothing | Needs::Rows => "Nothing to do here.",
            Needs::AnyProject => "There is no project yet: press a to add one.",
            Needs::ProjectSide => "Select a project or a session first.",
            Needs::Openable => "Nothing is selected.",
            Needs::Permission => match self.acting_ask() {
                Some((_, ask)) if ask.answered => {
                    "It was answered; Claude has not taken the answer yet."
                }
                Some((_, ask)) if ask.kind != AskKind::Question && !ask.answerable => {
                    match self.scope() {
                        Scope::Ask => "Answer it in its tab (Enter goes there).",
                        _ => "Answer it in its tab (Enter, and Enter again, goes there).",
                    }
                }
                Some(_) | None => "Nothing here waits to be allowed.",
            },
            Needs::Question | Needs::Options => "Nothing here asks a question.",
            Needs::OpenSession => "No open session is selected.",
            Needs::InboxItems => "Nothing needs you.",
            Needs::Task | Needs::Detailed => "Select a task first.",
            Needs::Editable => match self.acting_task() {
                Some(_) => "Only a draft or a pending task can be edited.",
                None => "Select a draft or a pending task first.",
            },
            Needs::Launchable => match self.acting_task().map(|task| task.status) {
                Some(TaskStatus::Draft) => {
                    "A draft is not launched: edit it and press Enter first."
                }
                Some(_) => "Only a pending task can be launched.",
                None => "Select a pending task first.",
            },
            Needs::Reviewable | Needs::Finishable | Needs::Returnable | Needs::Reopenable => {
                "Nothing here waits for a review."
            }
            Needs::Retryable => "Nothing here has stopped.",
            Needs::PullRequest => "There is no pull request here.",
            Needs::Killable => "Nothing was started here that could be killed.",
            Needs::Deletable => "Select a task or a project first.",
            Needs::MovableDown | Needs::MovableUp if self.acting() != Panel::Tasks => {
                "Select a task in the list of tasks first."
            }
            Needs::MovableDown | Needs::MovableUp => match entry.intent {
                Intent::MoveDown => {
                    "It cannot move below its neighbour: another priority or status."
                }
                _ => "It cannot move above its neighbour: another priority or status.",
            },
            Needs::Step => "There is no step yet: press a to add one.",
            Needs::OpenStep => "Select an open step first.",
        }
    }
}

/// May a person call it done?
pub(crate) fn finishable(task: &TaskCard) -> bool {
    match task.status {
        TaskStatus::InReview | TaskStatus::Conflict | TaskStatus::CiFailed => true,
        TaskStatus::Draft
        | TaskStatus::Pending
        | TaskStatus::Working
        | TaskStatus::Interrupted
        | TaskStatus::Blocked
        | TaskStatus::Done
        | TaskStatus::Error => false,
    }
}

/// May it go back to the queue?
pub(crate) fn reopenable(task: &TaskCard) -> bool {
    matches!(task.status, TaskStatus::Done | TaskStatus::Blocked)
}

/// Did it stop before its end?
pub(crate) fn retryable(task: &TaskCard) -> bool {
    matches!(
        task.status,
        TaskStatus::Interrupted | TaskStatus::Error | TaskStatus::Blocked
    )
}

/// Did its client stop?
pub(crate) fn resumable(session: &SessionCard) -> bool {
    session.status == ClaudeStatus::Error
        || matches!(
            session.reason,
            Some(Reason::Exited | Reason::Crashed | Reason::Lost | Reason::LaunchFailed)
        )
}
