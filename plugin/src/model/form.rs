//! Forms: fields that are written or chosen, and what comes of them.

use claustre_protocol::{
    ids::{ProjectId, TaskId},
    model::Task,
    status::{Mode, Priority, PushMode, Word},
};

use super::editor::Editor;

/// What is wrong with a form takes at most so many lines.
pub const MOST_LINES: usize = 4;

/// What a form makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormKind {
    /// A task of this project.
    NewTask(ProjectId),
    /// Changes of a task.
    EditTask {
        /// Which.
        task: TaskId,
        /// Is it a draft, so that Enter submits it?
        draft: bool,
    },
    /// A project.
    AddProject,
    /// A session of this project, without a task.
    NewSession(ProjectId),
}

/// How far a form is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Its texts are on their way from the daemon.
    Loading,
    /// It is filled in.
    Open,
    /// It is on its way to the daemon.
    Sending,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldName {
    /// The whole prompt.
    Prompt,
    /// A [`Mode`].
    Mode,
    /// A base branch.
    Base,
    /// A branch.
    Branch,
    /// A [`PushMode`].
    Push,
    /// The review loop.
    Loop,
    /// A [`Priority`].
    Priority,
    /// Steps, one a line.
    Steps,
    /// A project's name.
    Name,
    /// A repository's path.
    Path,
    /// A project's goal.
    Goal,
}

/// A value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Written.
    Text(Editor),
    /// One of these.
    Choice {
        /// All of them.
        options: &'static [&'static str],
        /// Which one.
        chosen: usize,
    },
}

/// One line of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// What it holds.
    pub name: FieldName,
    /// Its label.
    pub label: &'static str,
    /// What an empty one means.
    pub empty: &'static str,
    /// Its value.
    pub value: Value,
}

/// A form on the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// What it makes.
    pub kind: FormKind,
    /// What it is called.
    pub title: String,
    /// Joins answers to it.
    pub ticket: u64,
    /// Its lines.
    pub fields: Vec<Field>,
    /// Which line is being written.
    pub focus: usize,
    /// How far it is.
    pub stage: Stage,
    /// Why it was not taken.
    pub error: Option<String>,
    /// The values it was opened with.
    pub before: Vec<String>,
    /// The title of the task that is edited.
    pub old_title: String,
}

const MODES: &[&str] = &["supervised", "autonomous", "exploration"];
const PUSH_MODES: &[&str] = &["pr", "push"];
const OFF_ON: &[&str] = &["off", "on"];
const PRIORITIES: &[&str] = &["P0", "P1", "P2", "P3", "P4"];

const fn written(
    name: FieldName,
    label: &'static str,
    empty: &'static str,
    editor: Editor,
) -> Field {
    Field {
        name,
        label,
        empty,
        value: Value::Text(editor),
    }
}

const fn chosen(
    name: FieldName,
    label: &'static str,
    options: &'static [&'static str],
    chosen: usize,
) -> Field {
    Field {
        name,
        label,
        empty: "",
        value: Value::Choice { options, chosen },
    }
}

fn task_fields() -> Vec<Field> {
    vec![
        written(
            FieldName::Prompt,
            "Prompt",
            "what Claude shall do; the first line becomes the title",
            Editor::lines(""),
        ),
        chosen(FieldName::Mode, "Mode", MODES, 0),
        written(
            FieldName::Base,
            "Base",
            "the project's default branch",
            Editor::line(""),
        ),
        written(
            FieldName::Branch,
            "Branch",
            "task/<title>-<id>",
            Editor::line(""),
        ),
        chosen(FieldName::Push, "Push", PUSH_MODES, 0),
        chosen(FieldName::Loop, "Loop", OFF_ON, 0),
        chosen(
            FieldName::Priority,
            "Priority",
            PRIORITIES,
            Priority::default().get() as usize,
        ),
        written(
            FieldName::Steps,
            "Steps",
            "none; one a line",
            Editor::lines(""),
        ),
    ]
}

impl Form {
    fn with(kind: FormKind, title: String, ticket: u64, fields: Vec<Field>, stage: Stage) -> Self {
        let mut form = Self {
            kind,
            title,
            ticket,
            fields,
            focus: 0,
            stage,
            error: None,
            before: Vec::new(),
            old_title: String::new(),
        };
        form.before = form.values();
        form
    }

    /// An empty task of this project.
    pub fn new_task(project: ProjectId, name: &str, ticket: u64) -> Self {
        let title = format!("New task · {name}");
        Self::with(
            FormKind::NewTask(project),
            title,
            ticket,
            task_fields(),
            Stage::Open,
        )
    }

    /// A task whose texts are still to come.
    pub fn edit_task(task: TaskId, draft: bool, title: &str, ticket: u64) -> Self {
        let title = format!("Edit · {title}");
        Self::with(
            FormKind::EditTask { task, draft },
            title,
            ticket,
            task_fields(),
            Stage::Loading,
        )
    }

    /// An empty project.
    pub fn add_project(ticket: u64) -> Self {
        let fields = vec![
            written(
                FieldName::Name,
                "Name",
                "the last part of the path",
                Editor::line(""),
            ),
            written(
                FieldName::Path,
                "Path",
                "absolute path of the repository",
                Editor::line(""),
            ),
            written(
                FieldName::Base,
                "Base",
                "as the repository says",
                Editor::line(""),
            ),
            written(FieldName::Goal, "Goal", "what it is for", Editor::line("")),
        ];
        Self::with(
            FormKind::AddProject,
            "Add project".into(),
            ticket,
            fields,
            Stage::Open,
        )
    }

    /// An empty session of this project.
    pub fn new_session(project: ProjectId, name: &str, ticket: u64) -> Self {
        let fields = vec![
            written(
                FieldName::Branch,
                "Branch",
                "explore/<id>",
                Editor::line(""),
            ),
            written(
                FieldName::Base,
                "Base",
                "the project's default branch",
                Editor::line(""),
            ),
            written(
                FieldName::Prompt,
                "Prompt",
                "none: Claude opens and waits for you",
                Editor::lines(""),
            ),
        ];
        let title = format!("New session · {name}");
        Self::with(
            FormKind::NewSession(project),
            title,
            ticket,
            fields,
            Stage::Open,
        )
    }

    /// Takes the texts of the task that is edited.
    pub fn fill(&mut self, task: &Task) {
        let steps: Vec<_> = task
            .subtasks
            .iter()
            .map(|step| step.title.as_str())
            .collect();
        for field in &mut self.fields {
            let (text, index) = match field.name {
                FieldName::Prompt => (task.description.as_str(), 0),
                FieldName::Base => (task.base.as_deref().unwrap_or_default(), 0),
                FieldName::Branch => (task.branch.as_deref().unwrap_or_default(), 0),
                FieldName::Steps => ("", 0),
                FieldName::Mode => ("", position(Mode::ALL, task.mode)),
                FieldName::Push => ("", position(PushMode::ALL, task.push_mode)),
                FieldName::Loop => ("", usize::from(task.review_loop)),
                FieldName::Priority => ("", usize::from(task.priority.get())),
                FieldName::Name | FieldName::Path | FieldName::Goal => continue,
            };
            match &mut field.value {
                Value::Choice { chosen, .. } => *chosen = index,
                Value::Text(editor) => {
                    *editor = match field.name {
                        FieldName::Prompt => Editor::lines(text),
                        FieldName::Steps => Editor::lines(&steps.join("\n")),
                        _ => Editor::line(text),
                    }
                }
            }
        }
        self.old_title.clone_from(&task.title);
        self.stage = Stage::Open;
        self.before = self.values();
    }

    /// The field that is being written.
    pub fn focused(&self) -> Option<&Field> {
        self.fields.get(self.focus)
    }

    /// The field that is being written.
    pub fn focused_mut(&mut self) -> Option<&mut Field> {
        self.fields.get_mut(self.focus)
    }

    /// The text of a field; empty where there is none.
    pub fn text(&self, name: FieldName) -> &str {
        match self.value(name) {
            Some(Value::Text(editor)) => editor.text(),
            Some(Value::Choice { .. }) | None => "",
        }
    }

    /// The text of a field without blanks around it; none where it is empty.
    pub fn given(&self, name: FieldName) -> Option<String> {
        let text = self.text(name).trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn choice(&self, name: FieldName) -> usize {
        match self.value(name) {
            Some(Value::Choice { chosen, .. }) => *chosen,
            Some(Value::Text(_)) | None => 0,
        }
    }

    fn value(&self, name: FieldName) -> Option<&Value> {
        self.fields
            .iter()
            .find(|field| field.name == name)
            .map(|field| &field.value)
    }

    /// The chosen mode.
    pub fn mode(&self) -> Mode {
        Mode::ALL
            .get(self.choice(FieldName::Mode))
            .copied()
            .unwrap_or_default()
    }

    /// The chosen delivery.
    pub fn push_mode(&self) -> PushMode {
        PushMode::ALL
            .get(self.choice(FieldName::Push))
            .copied()
            .unwrap_or_default()
    }

    /// The chosen urgency.
    pub fn priority(&self) -> Priority {
        u8::try_from(self.choice(FieldName::Priority))
            .ok()
            .and_then(Priority::new)
            .unwrap_or_default()
    }

    /// Feed review comments back?
    pub fn review_loop(&self) -> bool {
        self.choice(FieldName::Loop) == 1
    }

    /// The steps that are not blank.
    pub fn steps(&self) -> Vec<String> {
        self.text(FieldName::Steps)
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// All values as text, to see whether anything changed.
    pub fn values(&self) -> Vec<String> {
        self.fields
            .iter()
            .map(|field| match &field.value {
                Value::Text(editor) => editor.text().to_owned(),
                Value::Choice { chosen, .. } => chosen.to_string(),
            })
            .collect()
    }

    /// Was anything written or chosen?
    pub fn changed(&self) -> bool {
        self.values() != self.before
    }

    /// To the next or the previous field.
    pub fn step(&mut self, forward: bool) {
        let count = self.fields.len().max(1);
        let by = if forward { 1 } else { count - 1 };
        self.focus = (self.focus + by) % count;
    }

    /// The next or the previous value of a choice. Says whether the field is one.
    pub fn turn(&mut self, forward: bool) -> bool {
        let Some(Field {
            value: Value::Choice { options, chosen },
            ..
        }) = self.focused_mut()
        else {
            return false;
        };
        let count = options.len().max(1);
        let by = if forward { 1 } else { count - 1 };
        *chosen = (*chosen + by) % count;
        true
    }
}

fn position<T: Word + PartialEq>(all: &[T], value: T) -> usize {
    all.iter().position(|other| *other == value).unwrap_or(0)
}
