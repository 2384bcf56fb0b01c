//! What covers the panels.

use claustre_protocol::{
    ids::{AskId, SessionId, SubtaskId, TaskId},
    model::{Ask, Subtask},
    request::Request,
    time::Timestamp,
};
use uuid::Uuid;

use super::{editor::Editor, form::Form};
use crate::{
    keymap::{Entry, Scope},
    text,
    theme::Tone,
};

/// Something over the panels; only the topmost is drawn and gets the keys.
#[derive(Debug, Clone)]
pub enum Overlay {
    /// The keys.
    Help(Page),
    /// What a session asks.
    Ask(AskView),
    /// Everything about a task.
    Details(DetailsView),
    /// What needs a person.
    Inbox(InboxView),
    /// What can be done with finished work.
    Review(TaskId),
    /// The steps of a task.
    Steps(StepsView),
    /// Is this really wanted?
    Confirm(Confirm),
    /// A form.
    Form(Box<Form>),
    /// A text that is written.
    Text(TextPrompt),
    /// The command palette.
    Palette(Palette),
}

impl Overlay {
    /// Whose keys apply.
    pub const fn scope(&self) -> Scope {
        match self {
            Self::Help(_) => Scope::Help,
            Self::Ask(_) => Scope::Ask,
            Self::Details(_) => Scope::Details,
            Self::Inbox(_) => Scope::Inbox,
            Self::Review(_) => Scope::Review,
            Self::Steps(_) => Scope::Steps,
            Self::Confirm(_) => Scope::Confirm,
            Self::Form(_) => Scope::Form,
            Self::Text(_) => Scope::Text,
            Self::Palette(_) => Scope::Palette,
        }
    }
}

/// A line of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageLine {
    /// How it looks.
    pub tone: Tone,
    /// Written in its own column on the left: a label, a key.
    pub label: String,
    /// When, shown as an age in the left column.
    pub at: Option<Timestamp>,
    /// The text, wrapped.
    pub text: String,
    /// Does it start in the left column?
    pub whole: bool,
}

/// Lines that are scrolled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// All lines.
    pub lines: Vec<PageLine>,
    /// The first that is drawn.
    pub top: usize,
    /// Columns of the left column.
    pub label_width: u16,
    /// Columns it was laid out for, the left one included.
    pub columns: u16,
}

/// What a session asks, in full.
#[derive(Debug, Clone, PartialEq)]
pub struct AskView {
    /// Who asks.
    pub session: SessionId,
    /// What is shown here; an answer names it.
    pub ask: AskId,
    /// What its card says; only the beginning where [`Ask::cut`].
    pub card: Ask,
    /// All of it, once it came, where the card has only the beginning.
    pub whole: Option<Ask>,
    /// Why the rest did not come.
    pub error: Option<String>,
    /// Joins the answer with the rest.
    pub ticket: u64,
    /// Its lines.
    pub page: Page,
    /// Whether a frame showed its end since this was opened; it is not allowed before.
    pub end_seen: bool,
    /// Was it answered elsewhere?
    pub gone: bool,
}

impl AskView {
    /// Longest question that is shown here, in bytes.
    pub const MOST: usize = 256 * 1024;

    /// The most that is known of what is asked.
    pub fn text(&self) -> &Ask {
        self.whole.as_ref().unwrap_or(&self.card)
    }

    /// Whether the page has all of what is asked.
    pub fn is_whole(&self) -> bool {
        !self.text().cut && self.text().detail.len() <= Self::MOST
    }
}

/// Everything about a task.
#[derive(Debug, Clone, PartialEq)]
pub struct DetailsView {
    /// Which.
    pub task: TaskId,
    /// Its title.
    pub title: String,
    /// Joins the answer.
    pub ticket: u64,
    /// Its lines, once they came.
    pub page: Option<Page>,
    /// Why they did not.
    pub error: Option<String>,
    /// What the page was made of, to wrap it again.
    pub detail: Option<Box<claustre_protocol::model::TaskDetail>>,
}

/// The inbox, scrolled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InboxView {
    /// The selected row.
    pub index: usize,
    /// The first row that is drawn.
    pub top: usize,
    /// What is selected: its session or task, so that a new item above does not move the selection.
    pub item: Option<Uuid>,
}

/// The steps of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct StepsView {
    /// Whose.
    pub task: TaskId,
    /// Joins answers.
    pub ticket: u64,
    /// The steps with their ids, once they came.
    pub steps: Option<Vec<Subtask>>,
    /// Why they did not.
    pub error: Option<String>,
    /// What is selected.
    pub item: Option<SubtaskId>,
    /// Its place.
    pub index: usize,
    /// The first row that is drawn.
    pub top: usize,
}

impl StepsView {
    /// The selected step.
    pub fn selected(&self) -> Option<&Subtask> {
        self.steps.as_ref()?.get(self.index)
    }
}

/// What happens on a yes.
#[derive(Debug, Clone, PartialEq)]
pub enum OnYes {
    /// This is asked of the daemon, and then this is said.
    Order {
        /// What.
        request: Box<Request>,
        /// What it is about.
        target: Uuid,
        /// What to say when it went well.
        say: String,
    },
    /// The form underneath is thrown away.
    DiscardForm,
}

/// Is this really wanted?
#[derive(Debug, Clone, PartialEq)]
pub struct Confirm {
    /// The question.
    pub title: String,
    /// What will be lost, and what is kept.
    pub lines: Vec<ConfirmLine>,
    /// What happens on a yes.
    pub yes: OnYes,
    /// What is still to be heard of the daemon before a yes counts; none = nothing.
    pub preview: Option<Preview>,
}

/// What becomes of a worktree, as the daemon says: until that is on the screen a yes does nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// Joins the answer.
    pub ticket: u64,
    /// Where in the lines of the confirmation it stands.
    pub line: usize,
    /// Did it come?
    pub is_here: bool,
}

impl Confirm {
    /// Its lines for so many columns: tone, the word in front, and the text behind it.
    pub fn laid_out(&self, columns: u16) -> Vec<(Tone, &'static str, String)> {
        let mut out = Vec::new();
        for line in &self.lines {
            let room = if line.label.is_empty() {
                columns
            } else {
                columns.saturating_sub(ConfirmLine::LABELS)
            };
            for (index, text) in text::wrap(&line.text, room).into_iter().enumerate() {
                // Further lines stand under the first.
                let label = if index == 0 || line.label.is_empty() {
                    line.label
                } else {
                    " "
                };
                out.push((line.tone, label, text));
            }
        }
        out
    }
}

/// A line of a confirmation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmLine {
    /// How it looks.
    pub tone: Tone,
    /// What happens to it, in a word: closes, keeps.
    pub label: &'static str,
    /// To what.
    pub text: String,
}

impl ConfirmLine {
    /// Columns of the words in front.
    pub const LABELS: u16 = 9;

    /// A line with a word in front.
    pub fn new(tone: Tone, label: &'static str, text: &str) -> Self {
        Self {
            tone,
            label,
            text: text::clean(text).into_owned(),
        }
    }

    /// What it is all about.
    pub fn heading(text: &str) -> Self {
        Self::new(Tone::Strong, "", text)
    }
}

/// What a text is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TextKind {
    /// A message to a session.
    Message,
    /// The answer to a question.
    Answer,
    /// Why something is refused.
    Deny,
    /// Feedback to finished work.
    Feedback,
    /// A step.
    Step,
}

/// A text that is written for something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextPrompt {
    /// What for.
    pub kind: TextKind,
    /// The session or task.
    pub of: Uuid,
    /// What is answered.
    pub ask: Option<AskId>,
    /// What it is called.
    pub title: String,
    /// What it answers, one line.
    pub about: String,
    /// The text.
    pub editor: Editor,
    /// Joins the answer.
    pub ticket: u64,
    /// Is it on its way?
    pub sending: bool,
    /// Why it was not taken.
    pub error: Option<String>,
}

/// The command palette.
#[derive(Debug, Clone)]
pub struct Palette {
    /// What is searched.
    pub query: Editor,
    /// The ask that was in full on the screen when this was opened over it.
    pub read: Option<AskId>,
    /// What was found, the best first.
    pub found: Vec<&'static Entry>,
    /// The selected row.
    pub index: usize,
    /// The first row that is drawn.
    pub top: usize,
}
