//! The table of keys. One row each: intent, name, keys, labels, places, what it needs, and its rank in the help line.

use super::{
    Entry, Intent, Needs,
    Scope::{
        self, Ask, Confirm, Details, Filter, Form, Help, Inbox, Main, Palette, Review, Steps, Text,
    },
    Side,
};
use crate::msg::{Key, KeyCode};

const fn alt(code: KeyCode) -> Key {
    Key {
        alt: true,
        ..Key::plain(code)
    }
}

const fn shift(code: KeyCode) -> Key {
    Key {
        shift: true,
        ..Key::plain(code)
    }
}

const fn entry(
    intent: Intent,
    name: &'static str,
    keys: &'static [Key],
    label: &'static str,
    about: &'static str,
    scopes: &'static [Scope],
) -> Entry {
    Entry {
        intent,
        name,
        keys,
        label,
        about,
        scopes,
        needs: Needs::Nothing,
        side: Side::Both,
        rank: 0,
    }
}

impl Entry {
    const fn needs(mut self, needs: Needs) -> Self {
        self.needs = needs;
        self
    }

    const fn side(mut self, side: Side) -> Self {
        self.side = side;
        self
    }

    const fn rank(mut self, rank: u8) -> Self {
        self.rank = rank;
        self
    }
}

/// Every key the dashboard understands, the most wanted first.
pub const TABLE: &[Entry] = &[
    entry(
        Intent::Approve,
        "approve",
        &[Key::char('y')],
        "allow",
        "allow what the session asks",
        &[Main, Ask, Inbox],
    )
    .needs(Needs::Permission)
    .rank(1),
    entry(
        Intent::Deny,
        "deny",
        &[Key::char('N')],
        "deny",
        "refuse what the session asks, with a reason",
        &[Main, Ask, Inbox],
    )
    .needs(Needs::Permission)
    .rank(2),
    entry(
        Intent::Confirm,
        "",
        &[Key::char('y')],
        "yes, do it",
        "do it",
        &[Confirm],
    )
    .rank(1),
    entry(
        Intent::MarkDone,
        "",
        &[Key::char('d')],
        "done",
        "mark the task as done",
        &[Review],
    )
    .needs(Needs::Finishable)
    .rank(1),
    entry(
        Intent::SendBack,
        "",
        &[Key::char('f')],
        "send back",
        "send the task back to its session with feedback",
        &[Review],
    )
    .needs(Needs::Returnable)
    .rank(2),
    entry(
        Intent::Reopen,
        "",
        &[Key::char('o')],
        "reopen",
        "put the task back in the queue",
        &[Review],
    )
    .needs(Needs::Reopenable)
    .rank(3),
    entry(
        Intent::Message,
        "message",
        &[Key::char('m')],
        "message",
        "write to the session",
        &[Main],
    )
    .needs(Needs::OpenSession)
    .rank(5),
    entry(
        Intent::Message,
        "message",
        &[Key::char('m')],
        "answer",
        "write an answer to the question",
        &[Ask],
    )
    .needs(Needs::Question)
    .rank(3),
    entry(
        Intent::AddStep,
        "add_step",
        &[Key::char('a'), Key::plain(KeyCode::Enter)],
        "add",
        "add a step",
        &[Steps],
    )
    .rank(1),
    entry(
        Intent::StepDone,
        "step_done",
        &[Key::char('x'), Key::char(' ')],
        "done",
        "mark the step as done",
        &[Steps],
    )
    .needs(Needs::OpenStep)
    .rank(2),
    entry(
        Intent::Open,
        "open",
        &[Key::plain(KeyCode::Enter)],
        "open",
        "expand, look at what is asked, or go to the session's tab",
        &[Main],
    )
    .needs(Needs::Openable)
    .rank(4),
    entry(
        Intent::Open,
        "open",
        &[Key::plain(KeyCode::Enter)],
        "go to it",
        "select it, and show what it asks",
        &[Inbox],
    )
    .needs(Needs::InboxItems)
    .rank(3),
    entry(
        Intent::Open,
        "open",
        &[Key::plain(KeyCode::Enter)],
        "go to tab",
        "go to the session's tab",
        &[Ask],
    )
    .rank(4),
    entry(
        Intent::Launch,
        "launch",
        &[Key::char('l')],
        "launch",
        "launch the task",
        &[Main],
    )
    .needs(Needs::Launchable)
    .rank(3),
    entry(
        Intent::Review,
        "review",
        &[Key::char('r')],
        "review",
        "review: done, or back with feedback",
        &[Main],
    )
    .needs(Needs::Reviewable)
    .rank(3),
    entry(
        Intent::Retry,
        "retry",
        &[Key::char('R')],
        "retry",
        "try again, or resume the conversation",
        &[Main],
    )
    .needs(Needs::Retryable)
    .rank(3),
    entry(
        Intent::NextInNeed,
        "next",
        &[Key::char('!')],
        "next",
        "go to what needs you next",
        &[Main],
    )
    .needs(Needs::InboxItems)
    .rank(6),
    entry(
        Intent::Inbox,
        "inbox",
        &[Key::char('i')],
        "inbox",
        "list what needs you",
        &[Main],
    )
    .needs(Needs::InboxItems)
    .rank(13),
    entry(
        Intent::NewTask,
        "new_task",
        &[Key::char('n')],
        "new task",
        "write a task",
        &[Main],
    )
    .needs(Needs::AnyProject)
    .rank(8),
    entry(
        Intent::EditTask,
        "edit_task",
        &[Key::char('e')],
        "edit",
        "edit the task",
        &[Main],
    )
    .needs(Needs::Editable)
    .rank(7),
    entry(
        Intent::AddProject,
        "add_project",
        &[Key::char('a')],
        "add project",
        "add a project",
        &[Main],
    )
    .rank(12),
    entry(
        Intent::NewSession,
        "new_session",
        &[Key::char('s')],
        "session",
        "open a session without a task",
        &[Main],
    )
    .needs(Needs::ProjectSide)
    .side(Side::Projects)
    .rank(9),
    entry(
        Intent::Steps,
        "steps",
        &[Key::char('s')],
        "steps",
        "the steps of the task",
        &[Main],
    )
    .needs(Needs::Task)
    .side(Side::Tasks)
    .rank(9),
    entry(
        Intent::Details,
        "details",
        &[Key::char('v')],
        "details",
        "everything about the task, with its timeline",
        &[Main, Ask],
    )
    .needs(Needs::Detailed)
    .rank(9),
    entry(
        Intent::OpenPullRequest,
        "open_pull_request",
        &[Key::char('o')],
        "pull request",
        "open the pull request in the browser",
        &[Main],
    )
    .needs(Needs::PullRequest)
    .rank(7),
    entry(
        Intent::MoveDown,
        "move_down",
        &[Key::char('J')],
        "move down",
        "move the task down in the queue",
        &[Main],
    )
    .needs(Needs::MovableDown),
    entry(
        Intent::MoveUp,
        "move_up",
        &[Key::char('K')],
        "move up",
        "move the task up in the queue",
        &[Main],
    )
    .needs(Needs::MovableUp),
    entry(
        Intent::Kill,
        "kill",
        &[Key::char('x')],
        "kill",
        "close the session, keep its work, put the task back in the queue",
        &[Main],
    )
    .needs(Needs::Killable)
    .rank(10),
    entry(
        Intent::Delete,
        "delete",
        &[Key::char('d')],
        "delete",
        "delete the task, or forget the project",
        &[Main],
    )
    .needs(Needs::Deletable)
    .rank(11),
    entry(
        Intent::Delete,
        "delete",
        &[Key::char('d')],
        "remove",
        "remove the step",
        &[Steps],
    )
    .needs(Needs::Step)
    .rank(3),
    entry(
        Intent::Undo,
        "undo",
        &[Key::char('u')],
        "undo",
        "take the last deletion back",
        &[Main],
    )
    .needs(Needs::AnyProject),
    entry(
        Intent::Filter,
        "filter",
        &[Key::char('/')],
        "filter",
        "filter the tasks",
        &[Main],
    )
    .needs(Needs::AnyProject),
    entry(
        Intent::Up,
        "up",
        &[Key::char('k'), Key::plain(KeyCode::Up)],
        "up",
        "one row up",
        &[Main, Help, Ask, Details, Inbox, Steps],
    )
    .needs(Needs::Rows),
    entry(
        Intent::Up,
        "",
        &[Key::plain(KeyCode::Up), Key::ctrl('p')],
        "up",
        "one row up",
        &[Palette, Filter],
    ),
    entry(
        Intent::Down,
        "down",
        &[Key::char('j'), Key::plain(KeyCode::Down)],
        "down",
        "one row down",
        &[Main, Inbox, Steps],
    )
    .needs(Needs::Rows),
    entry(
        Intent::Down,
        "down",
        &[Key::char('j'), Key::plain(KeyCode::Down)],
        "scroll",
        "one row down",
        &[Help, Ask, Details],
    )
    .needs(Needs::Rows)
    .rank(5),
    entry(
        Intent::Down,
        "",
        &[Key::plain(KeyCode::Down), Key::ctrl('n')],
        "down",
        "one row down",
        &[Palette, Filter],
    ),
    entry(
        Intent::Top,
        "top",
        &[Key::char('g'), Key::plain(KeyCode::Home)],
        "first",
        "first row",
        &[Main, Help, Ask, Details, Inbox, Steps],
    )
    .needs(Needs::Rows),
    entry(
        Intent::Bottom,
        "bottom",
        &[Key::char('G'), Key::plain(KeyCode::End)],
        "last",
        "last row",
        &[Main, Help, Ask, Details, Inbox, Steps],
    )
    .needs(Needs::Rows),
    entry(
        Intent::PageUp,
        "page_up",
        &[Key::plain(KeyCode::PageUp)],
        "page up",
        "a page up",
        &[Main, Help, Ask, Details, Inbox, Steps, Palette, Filter],
    )
    .needs(Needs::Rows),
    entry(
        Intent::PageDown,
        "page_down",
        &[Key::plain(KeyCode::PageDown)],
        "page down",
        "a page down",
        &[Main, Help, Ask, Details, Inbox, Steps, Palette, Filter],
    )
    .needs(Needs::Rows),
    entry(
        Intent::FocusProjects,
        "focus_projects",
        &[Key::char('1')],
        "projects",
        "focus the projects",
        &[Main],
    ),
    entry(
        Intent::FocusDetail,
        "focus_detail",
        &[Key::char('2')],
        "session",
        "focus the session detail",
        &[Main],
    ),
    entry(
        Intent::FocusTasks,
        "focus_tasks",
        &[Key::char('3')],
        "tasks",
        "focus the tasks",
        &[Main],
    ),
    entry(
        Intent::FocusLeft,
        "focus_left",
        &[Key::plain(KeyCode::Left)],
        "left",
        "focus the panel to the left",
        &[Main],
    ),
    entry(
        Intent::FocusRight,
        "focus_right",
        &[Key::plain(KeyCode::Right)],
        "right",
        "focus the panel to the right",
        &[Main],
    ),
    entry(
        Intent::Palette,
        "palette",
        &[Key::char(':'), Key::ctrl('p')],
        "commands",
        "choose a command by name",
        &[Main],
    )
    .rank(14),
    entry(
        Intent::Help,
        "help",
        &[Key::char('?')],
        "help",
        "list the keys",
        &[Main],
    )
    .rank(15),
    entry(
        Intent::Submit,
        "",
        &[Key::plain(KeyCode::Enter), Key::ctrl('s')],
        "save",
        "save what is written",
        &[Form],
    )
    .rank(1),
    entry(
        Intent::Submit,
        "",
        &[Key::plain(KeyCode::Enter), Key::ctrl('s')],
        "send",
        "send what is written",
        &[Text],
    )
    .rank(1),
    entry(
        Intent::Submit,
        "",
        &[Key::plain(KeyCode::Enter)],
        "run",
        "run the command",
        &[Palette],
    )
    .rank(1),
    entry(
        Intent::Submit,
        "",
        &[Key::plain(KeyCode::Enter)],
        "keep",
        "keep the filter",
        &[Filter],
    )
    .rank(1),
    entry(
        Intent::NextField,
        "",
        &[Key::plain(KeyCode::Tab)],
        "next field",
        "next field",
        &[Form],
    )
    .rank(2),
    entry(
        Intent::PreviousField,
        "",
        &[shift(KeyCode::Tab)],
        "previous",
        "previous field",
        &[Form],
    ),
    entry(
        Intent::PreviousChoice,
        "",
        &[Key::plain(KeyCode::Left)],
        "change",
        "previous value of a choice",
        &[Form],
    ),
    entry(
        Intent::NextChoice,
        "",
        &[Key::plain(KeyCode::Right)],
        "change",
        "next value of a choice",
        &[Form],
    ),
    entry(
        Intent::NewLine,
        "",
        &[alt(KeyCode::Enter), shift(KeyCode::Enter), Key::ctrl('j')],
        "new line",
        "a new line in the text",
        &[Form, Text],
    )
    .rank(3),
    entry(
        Intent::Choose(1),
        "",
        &[Key::char('1')],
        "answer",
        "take the offered answer 1",
        &[Ask],
    )
    .needs(Needs::Options)
    .rank(1),
    entry(
        Intent::Choose(2),
        "",
        &[Key::char('2')],
        "answer",
        "take the offered answer 2",
        &[Ask],
    )
    .needs(Needs::Options),
    entry(
        Intent::Choose(3),
        "",
        &[Key::char('3')],
        "answer",
        "take the offered answer 3",
        &[Ask],
    )
    .needs(Needs::Options),
    entry(
        Intent::Choose(4),
        "",
        &[Key::char('4')],
        "answer",
        "take the offered answer 4",
        &[Ask],
    )
    .needs(Needs::Options),
    entry(
        Intent::Choose(5),
        "",
        &[Key::char('5')],
        "answer",
        "take the offered answer 5",
        &[Ask],
    )
    .needs(Needs::Options),
    entry(
        Intent::Choose(6),
        "",
        &[Key::char('6')],
        "answer",
        "take the offered answer 6",
        &[Ask],
    )
    .needs(Needs::Options),
    entry(
        Intent::Choose(7),
        "",
        &[Key::char('7')],
        "answer",
        "take the offered answer 7",
        &[Ask],
    )
    .needs(Needs::Options),
    entry(
        Intent::Choose(8),
        "",
        &[Key::char('8')],
        "answer",
        "take the offered answer 8",
        &[Ask],
    )
    .needs(Needs::Options),
    entry(
        Intent::Choose(9),
        "",
        &[Key::char('9')],
        "answer",
        "take the offered answer 9",
        &[Ask],
    )
    .needs(Needs::Options),
    entry(
        Intent::Back,
        "back",
        &[Key::char('q'), Key::plain(KeyCode::Esc)],
        "hide",
        "clear the filter, or hide the dashboard",
        &[Main],
    )
    .rank(16),
    entry(
        Intent::Back,
        "back",
        &[Key::char('q'), Key::plain(KeyCode::Esc)],
        "back",
        "back",
        &[Ask, Details, Inbox, Steps, Review],
    )
    .rank(16),
    entry(
        Intent::Back,
        "back",
        &[Key::char('q'), Key::plain(KeyCode::Esc), Key::char('?')],
        "close",
        "close the help",
        &[Help],
    )
    .rank(16),
    entry(
        Intent::Back,
        "",
        &[Key::plain(KeyCode::Esc), Key::char('n'), Key::char('q')],
        "no, keep it",
        "leave everything as it is",
        &[Confirm],
    )
    .rank(2),
    entry(
        Intent::Back,
        "",
        &[Key::plain(KeyCode::Esc)],
        "back",
        "back; what is written is kept",
        &[Form, Text],
    )
    .rank(16),
    entry(
        Intent::Back,
        "",
        &[Key::plain(KeyCode::Esc)],
        "close",
        "close the palette",
        &[Palette],
    )
    .rank(16),
    entry(
        Intent::Back,
        "",
        &[Key::plain(KeyCode::Esc)],
        "clear",
        "clear the filter",
        &[Filter],
    )
    .rank(16),
];
