//! Everything on the screen, and nothing else.
//!
//! The model keeps no truth of its own: what it knows came from the daemon and can be sent again. Only what a person
//! was doing (selection, focus, what is being written) lives here.

pub(crate) mod applies;
pub mod areas;
pub mod data;
pub mod editor;
pub mod form;
pub mod overlay;
mod place;
mod selection;

pub(crate) use selection::scrolled;

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
};

use claustre_protocol::{
    dashboard::{ProjectCard, SessionCard, TaskCard},
    ids::{AskId, ProjectId, SessionId, TaskId},
    time::Timestamp,
};
use uuid::Uuid;

use crate::{
    keymap::{Keymap, Scope},
    msg::LinkState,
    theme::{Marks, Theme},
};
use areas::Areas;
use data::Data;
use editor::Editor;
use overlay::{Overlay, TextKind};

/// A panel that can have the focus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Panel {
    /// Projects with their sessions.
    Projects,
    /// The session, task or project that is selected.
    Detail,
    /// Tasks of the project.
    Tasks,
}

/// A row of the left panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// A project.
    Project(ProjectId),
    /// A session under its project.
    Session(SessionId),
}

/// A list: what is selected, where that was, and the first row that is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor<Item> {
    /// What is selected; survives changes of the list.
    pub item: Option<Item>,
    /// Its place in the list.
    pub index: usize,
    /// The first row that is drawn.
    pub top: usize,
}

impl<Item> Default for Cursor<Item> {
    fn default() -> Self {
        Self {
            item: None,
            index: 0,
            top: 0,
        }
    }
}

/// A line that is shown for a few seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toast {
    /// What happened.
    pub text: String,
    /// What can be done about it.
    pub hint: String,
    /// Why it is said.
    pub kind: ToastKind,
    /// When it goes; set by the first tick after it came.
    pub until: Option<Timestamp>,
}

/// Why something is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToastKind {
    /// It answers a key; the next key takes it away.
    Answer,
    /// It happened by itself.
    News,
    /// Something failed.
    Failure,
}

/// An order that is on its way.
#[derive(Debug, Clone, PartialEq)]
pub struct Pending {
    /// What to do with the answer.
    pub after: After,
    /// The row it is about.
    pub target: Option<Uuid>,
}

/// What to do with an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum After {
    /// Nothing but this line.
    Say(String),
    /// Say nothing where it went well.
    Quiet,
    /// Close the form or text with this ticket, and say this line.
    Close {
        /// Joins the answer to what was open.
        ticket: u64,
        /// What happened.
        say: String,
    },
    /// Fill what was opened with this ticket.
    Fill {
        /// Joins the answer to what was open.
        ticket: u64,
    },
}

/// Everything on the screen.
#[derive(Debug)]
pub struct Model {
    /// Is the dashboard on the screen?
    pub visible: bool,
    pub(crate) size: (u16, u16),
    pub(crate) theme: Theme,
    pub(crate) marks: Marks,
    pub(crate) keymap: Keymap,
    pub(crate) link: LinkState,
    pub(crate) now: Timestamp,
    pub(crate) heard: Timestamp,
    pub(crate) ready: bool,
    pub(crate) data: Data,
    pub(crate) staged: Option<Data>,
    pub(crate) focus: Panel,
    pub(crate) last_list: Panel,
    pub(crate) collapsed: BTreeSet<ProjectId>,
    pub(crate) rows: Vec<Row>,
    pub(crate) left: Cursor<Row>,
    pub(crate) left_project: Option<ProjectId>,
    pub(crate) tasks: Vec<TaskId>,
    pub(crate) tasks_total: usize,
    pub(crate) task: Cursor<TaskId>,
    pub(crate) detail_top: usize,
    pub(crate) filter: Editor,
    pub(crate) filtering: bool,
    pub(crate) overlays: Vec<Overlay>,
    pub(crate) unsent: BTreeMap<(TextKind, Uuid), String>,
    pub(crate) toast: Option<Toast>,
    pub(crate) pending: BTreeMap<u64, Pending>,
    pub(crate) next_id: u64,
    pub(crate) inbox_place: usize,
    pub(crate) fast_due: Option<Timestamp>,
    pub(crate) slow_due: Option<Timestamp>,
    pub(crate) dirty: Cell<bool>,
    /// The ask whose last line the newest frame showed, with all of its text there or scrolled past.
    pub(crate) on_screen: Cell<Option<AskId>>,
}

impl Default for Model {
    fn default() -> Self {
        Self::new()
    }
}

impl Model {
    /// A dashboard that knows nothing yet and is not on the screen.
    pub fn new() -> Self {
        Self {
            visible: false,
            size: (80, 24),
            theme: Theme::default(),
            marks: Marks::default(),
            keymap: Keymap::default(),
            link: LinkState::default(),
            now: Timestamp::default(),
            heard: Timestamp::default(),
            ready: false,
            data: Data::default(),
            staged: None,
            focus: Panel::Projects,
            last_list: Panel::Projects,
            collapsed: BTreeSet::new(),
            rows: Vec::new(),
            left: Cursor::default(),
            left_project: None,
            tasks: Vec::new(),
            tasks_total: 0,
            task: Cursor::default(),
            detail_top: 0,
            filter: Editor::line(""),
            filtering: false,
            overlays: Vec::new(),
            unsent: BTreeMap::new(),
            toast: None,
            pending: BTreeMap::new(),
            next_id: 1,
            inbox_place: 0,
            fast_due: None,
            slow_due: None,
            dirty: Cell::new(true),
            on_screen: Cell::new(None),
        }
    }

    /// The same with other keys.
    #[must_use]
    pub fn with_keymap(mut self, keymap: Keymap) -> Self {
        self.keymap = keymap;
        self
    }

    /// The same drawn with plain ASCII marks and frames.
    #[must_use]
    pub const fn with_ascii(mut self) -> Self {
        self.marks = Marks::ascii();
        self
    }

    /// Did anything visible change since [`crate::view::view`] last drew, while the dashboard is on the screen?
    pub const fn needs_redraw(&self) -> bool {
        self.visible && self.dirty.get()
    }

    /// Something visible changed.
    pub(crate) fn touch(&self) {
        self.dirty.set(true);
    }

    /// Where everything is drawn.
    pub(crate) fn areas(&self) -> Areas {
        Areas::of(self.size.0, self.size.1)
    }

    /// Who gets the keys.
    pub(crate) fn scope(&self) -> Scope {
        match self.overlays.last() {
            Some(overlay) => overlay.scope(),
            None if self.filtering => Scope::Filter,
            None => Scope::Main,
        }
    }

    /// Answers a key, for a few seconds or until the next one.
    pub(crate) fn say(&mut self, text: impl Into<String>) {
        self.toast(text.into(), None, ToastKind::Answer);
    }

    /// Says what happened by itself, for a few seconds.
    pub(crate) fn tell(&mut self, text: impl Into<String>) {
        self.toast(text.into(), None, ToastKind::News);
    }

    /// Says that something failed.
    pub(crate) fn complain(&mut self, text: impl Into<String>, hint: Option<&str>) {
        self.toast(text.into(), hint, ToastKind::Failure);
    }

    fn toast(&mut self, text: String, hint: Option<&str>, kind: ToastKind) {
        self.toast = Some(Toast {
            text,
            hint: hint.unwrap_or_default().to_owned(),
            kind,
            until: None,
        });
        self.touch();
    }

    /// Is an order about this on its way?
    pub(crate) fn is_pending(&self, target: Uuid) -> bool {
        self.pending
            .values()
            .any(|pending| pending.target == Some(target))
    }

    /// The list that the keys act on: the one with the focus, or the last that had it.
    pub(crate) const fn acting(&self) -> Panel {
        match self.focus {
            Panel::Projects | Panel::Tasks => self.focus,
            Panel::Detail => self.last_list,
        }
    }

    /// The task that the keys act on.
    pub(crate) fn current_task(&self) -> Option<&TaskCard> {
        match self.acting() {
            Panel::Tasks => self.data.tasks.get(&self.task.item?),
            Panel::Projects | Panel::Detail => {
                let Row::Session(id) = self.left.item? else {
                    return None;
                };
                self.data.tasks.get(&self.data.sessions.get(&id)?.task_id?)
            }
        }
    }

    /// The open session that the keys act on.
    pub(crate) fn current_session(&self) -> Option<&SessionCard> {
        match self.acting() {
            Panel::Tasks => self.data.session_of(self.current_task()?),
            Panel::Projects | Panel::Detail => match self.left.item? {
                Row::Session(id) => self.data.sessions.get(&id),
                Row::Project(_) => None,
            },
        }
    }

    /// The project whose tasks are listed.
    pub(crate) fn current_project(&self) -> Option<&ProjectCard> {
        let id = match self.left.item? {
            Row::Project(id) => id,
            Row::Session(id) => self.data.sessions.get(&id)?.project_id,
        };
        self.data.projects.get(&id)
    }
}
