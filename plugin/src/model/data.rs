//! What the daemon told: cards by id, the head line and the inbox.

use std::collections::BTreeMap;

use claustre_protocol::{
    dashboard::{DashboardUpdate, Header, ProjectCard, SessionCard, TaskCard},
    ids::{ProjectId, SessionId, TaskId},
    model::InboxItem,
    status::{ClaudeStatus, TaskStatus},
    time::Timestamp,
};

/// All that is known.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Data {
    /// Projects.
    pub projects: BTreeMap<ProjectId, ProjectCard>,
    /// Open sessions.
    pub sessions: BTreeMap<SessionId, SessionCard>,
    /// Tasks.
    pub tasks: BTreeMap<TaskId, TaskCard>,
    /// The head line's numbers.
    pub header: Header,
    /// What needs a person, the most urgent first.
    pub inbox: Vec<InboxItem>,
}

impl Data {
    /// Takes the cards of an update; says whether anything is different now.
    pub fn apply(&mut self, update: DashboardUpdate) -> bool {
        let mut changed = false;
        for card in update.projects {
            changed |= upsert(&mut self.projects, card.id, card);
        }
        for card in update.sessions {
            changed |= upsert(&mut self.sessions, card.id, card);
        }
        for card in update.tasks {
            changed |= upsert(&mut self.tasks, card.id, card);
        }
        for gone in update.removed {
            changed |= self.projects.remove(&ProjectId::new(gone)).is_some();
            changed |= self.sessions.remove(&SessionId::new(gone)).is_some();
            changed |= self.tasks.remove(&TaskId::new(gone)).is_some();
        }
        if let Some(header) = update.header {
            changed |= self.header != header;
            self.header = header;
        }
        if let Some(inbox) = update.inbox {
            changed |= self.inbox != inbox;
            self.inbox = inbox;
        }
        changed
    }

    /// The open session of a task.
    pub fn session_of(&self, task: &TaskCard) -> Option<&SessionCard> {
        self.sessions.get(&task.session_id?)
    }

    /// The project's sessions, those that need a person first, then the oldest first.
    pub fn sessions_in(&self, project: ProjectId) -> Vec<&SessionCard> {
        let mut sessions: Vec<_> = self
            .sessions
            .values()
            .filter(|session| session.project_id == project)
            .collect();
        sessions.sort_by_key(|session| (!needs_person(session), session.created_at, session.id));
        sessions
    }

    /// The project's tasks that a filter lets through: started ones, then the queue, then what is done.
    pub fn tasks_in(&self, project: ProjectId, words: &[String]) -> Vec<TaskId> {
        let mut tasks: Vec<_> = self
            .tasks
            .values()
            .filter(|task| task.project_id == project && matches_filter(task, words))
            .collect();
        tasks.sort_by(|one, other| order(one, other));
        tasks.into_iter().map(|task| task.id).collect()
    }
}

/// Does a session wait for a person?
pub fn needs_person(session: &SessionCard) -> bool {
    session.ask.is_some() || session.status == ClaudeStatus::WaitingForInput
}

/// The time whose age is shown for a session: of the last activity while it works, else of its status.
pub const fn session_time(session: &SessionCard) -> Timestamp {
    match session.status {
        ClaudeStatus::Working => session.last_activity_at,
        ClaudeStatus::Starting
        | ClaudeStatus::Idle
        | ClaudeStatus::WaitingForInput
        | ClaudeStatus::Done
        | ClaudeStatus::Error => session.since,
    }
}

/// The time whose age is shown for a task: none before it was started.
pub fn task_time(task: &TaskCard, session: Option<&SessionCard>) -> Option<Timestamp> {
    match group(task.status) {
        0 => Some(session.map_or(task.updated_at, session_time)),
        1 => None,
        _ => Some(task.completed_at.unwrap_or(task.updated_at)),
    }
}

/// Where in the list a task stands: started, waiting to start, finished.
pub const fn group(status: TaskStatus) -> u8 {
    match status {
        TaskStatus::Working
        | TaskStatus::Interrupted
        | TaskStatus::InReview
        | TaskStatus::Conflict
        | TaskStatus::CiFailed
        | TaskStatus::Blocked
        | TaskStatus::Error => 0,
        TaskStatus::Pending | TaskStatus::Draft => 1,
        TaskStatus::Done => 2,
    }
}

fn order(one: &TaskCard, other: &TaskCard) -> std::cmp::Ordering {
    let place = |task: &TaskCard| group(task.status);
    place(one)
        .cmp(&place(other))
        .then_with(|| {
            if place(one) == 2 {
                other.completed_at.cmp(&one.completed_at)
            } else {
                one.priority.cmp(&other.priority)
            }
        })
        .then_with(|| one.rank.total_cmp(&other.rank))
        .then_with(|| one.id.cmp(&other.id))
}

/// Does every word occur somewhere in what is shown of the task? The words are in lower case.
fn matches_filter(task: &TaskCard, words: &[String]) -> bool {
    use claustre_protocol::status::Word as _;
    const PRIORITIES: [&str; 5] = ["p0", "p1", "p2", "p3", "p4"];
    let priority = PRIORITIES
        .get(usize::from(task.priority.get()))
        .copied()
        .unwrap_or_default();
    let parts = [
        task.title.as_str(),
        task.note.as_str(),
        task.branch.as_deref().unwrap_or_default(),
        task.status.word(),
        task.mode.word(),
        priority,
    ];
    words
        .iter()
        .all(|word| parts.iter().any(|part| contains(part, word)))
}

/// Ignores case; plain ASCII is compared in place, because this runs for every task at every key.
fn contains(text: &str, word: &str) -> bool {
    if text.is_ascii() {
        let (text, word) = (text.as_bytes(), word.as_bytes());
        return !word.is_empty()
            && text
                .windows(word.len())
                .any(|part| part.eq_ignore_ascii_case(word));
    }
    text.to_lowercase().contains(word)
}

fn upsert<Key: Ord, Card: PartialEq>(cards: &mut BTreeMap<Key, Card>, id: Key, card: Card) -> bool {
    use std::collections::btree_map::Entry;
    match cards.entry(id) {
        Entry::Occupied(mut known) => {
            let changed = *known.get() != card;
            known.insert(card);
            changed
        }
        Entry::Vacant(free) => {
            free.insert(card);
            true
        }
    }
}
