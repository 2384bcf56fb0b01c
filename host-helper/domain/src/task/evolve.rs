//! The task as its events make it.

use std::collections::BTreeMap;

use claustre_protocol::{
    ids::{AssignmentId, ProjectId, SessionId, SubtaskId, TaskId},
    status::{Mode, Priority, PushMode, TaskStatus},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{
    event::{Event, Recorded, TaskChanges, TaskCreated, UsageTotals},
    register::{Edit, Register},
};

/// Where a task stands, why, and since when.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Standing {
    /// Where.
    pub status: TaskStatus,
    /// Why.
    pub reason: Option<String>,
    /// Since when.
    pub since: Timestamp,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Subtask {
    /// What to do, and its place; empty until its addition was heard of.
    pub told: Register<(String, u32)>,
    /// Finished?
    pub done: Register<bool>,
    /// Removed?
    pub removed: Register<bool>,
}

impl Subtask {
    /// What to do.
    pub fn title(&self) -> &str {
        self.told.get().map_or("", |(title, _)| title.as_str())
    }

    /// Its place among its siblings.
    pub fn position(&self) -> u32 {
        self.told.get().map_or(0, |(_, position)| *position)
    }

    /// Was it added, and not removed since?
    pub fn exists(&self) -> bool {
        !self.told.is_empty() && !self.removed.value()
    }
}

/// A session's work on the task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assigned {
    /// The assignment.
    pub assignment: AssignmentId,
    /// The session.
    pub session: SessionId,
    /// Does it still work on it?
    pub active: bool,
}

/// A unit of work with a prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// The project it belongs to.
    pub project: Register<ProjectId>,
    /// A short line.
    pub title: Register<String>,
    /// The prompt.
    pub description: Register<String>,
    /// Where it stands.
    pub status: Register<Standing>,
    /// How it is worked on.
    pub mode: Register<Mode>,
    /// How urgent.
    pub priority: Register<Priority>,
    /// Its place among tasks of equal priority; smaller comes first.
    pub rank: Register<f64>,
    /// Base branch, where given.
    pub base: Register<Option<String>>,
    /// Branch, where known.
    pub branch: Register<Option<String>>,
    /// How it is delivered.
    pub push_mode: Register<PushMode>,
    /// Feed review comments back?
    pub review_loop: Register<bool>,
    /// What must be done before.
    pub depends_on: Register<Vec<TaskId>>,
    /// Model asked for.
    pub model: Register<Option<String>>,
    /// Effort asked for.
    pub effort: Register<Option<String>>,
    /// Permission mode asked for.
    pub permission_mode: Register<Option<String>>,
    /// What it may cost at most, in USD.
    pub budget_usd: Register<Option<f64>>,
    /// Its pull request.
    pub pr_url: Register<String>,
    /// Who works, or last worked, on it.
    pub assigned: Register<Assigned>,
    /// Its steps.
    pub subtasks: BTreeMap<SubtaskId, Subtask>,
    /// What each session used for it.
    pub usage: BTreeMap<SessionId, Register<UsageTotals>>,
    /// Taken off the board?
    pub deleted: Register<bool>,
    /// When it was written; none until that was heard of.
    pub created_at: Option<Timestamp>,
    /// When it was first worked on.
    pub started_at: Option<Timestamp>,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Task {
    /// The task before its first event.
    pub fn new(id: TaskId) -> Self {
        Self {
            id,
            project: Register::default(),
            title: Register::default(),
            description: Register::default(),
            status: Register::default(),
            mode: Register::default(),
            priority: Register::default(),
            rank: Register::default(),
            base: Register::default(),
            branch: Register::default(),
            push_mode: Register::default(),
            review_loop: Register::default(),
            depends_on: Register::default(),
            model: Register::default(),
            effort: Register::default(),
            permission_mode: Register::default(),
            budget_usd: Register::default(),
            pr_url: Register::default(),
            assigned: Register::default(),
            subtasks: BTreeMap::new(),
            usage: BTreeMap::new(),
            deleted: Register::default(),
            created_at: None,
            started_at: None,
            updated_at: Timestamp::default(),
        }
    }

    /// Was it written, and not deleted since?
    pub fn exists(&self) -> bool {
        self.created_at.is_some() && !self.deleted.value()
    }

    /// Where it stands.
    pub fn standing(&self) -> Standing {
        self.status.value()
    }

    /// Where it stands, without the reason.
    pub fn status_now(&self) -> TaskStatus {
        self.status
            .get()
            .map_or(TaskStatus::Draft, |standing| standing.status)
    }

    /// The session that works on it now.
    pub fn active_session(&self) -> Option<SessionId> {
        self.assigned
            .get()
            .filter(|assigned| assigned.active)
            .map(|assigned| assigned.session)
    }

    /// The session that works, or last worked, on it.
    pub fn last_session(&self) -> Option<SessionId> {
        self.assigned.get().map(|assigned| assigned.session)
    }

    /// When it was done.
    pub fn completed_at(&self) -> Option<Timestamp> {
        self.status
            .get()
            .filter(|standing| standing.status == TaskStatus::Done)
            .map(|standing| standing.since)
    }

    /// Its steps that were not removed, in order.
    pub fn steps(&self) -> Vec<(SubtaskId, &Subtask)> {
        let mut steps: Vec<_> = self
            .subtasks
            .iter()
            .filter(|(_, step)| step.exists())
            .map(|(id, step)| (*id, step))
            .collect();
        steps.sort_by_key(|(id, step)| (step.position(), *id));
        steps
    }

    /// What all sessions used for it.
    pub fn usage_total(&self) -> UsageTotals {
        self.usage.values().filter_map(Register::get).copied().sum()
    }

    /// Folds one event in.
    pub fn evolve(&mut self, recorded: &Recorded) {
        self.updated_at = self.updated_at.max(recorded.at());
        match &recorded.event {
            Event::TaskCreated(created) => self.evolve_created(recorded, created),
            Event::TaskEdited(edited) => self.evolve_edited(recorded, &edited.changes),
            Event::TaskStatusChanged {
                to,
                reason,
                edit_no,
                ..
            } => {
                self.status.write(
                    Standing {
                        status: *to,
                        reason: reason.clone(),
                        since: recorded.at(),
                    },
                    recorded.stamp(*edit_no),
                );
                if *to == TaskStatus::Working {
                    self.started_at = Some(
                        self.started_at
                            .map_or(recorded.at(), |known| known.min(recorded.at())),
                    );
                }
            }
            Event::TaskMoved { rank, edit_no, .. } => {
                self.rank.write(*rank, recorded.stamp(*edit_no))
            }
            Event::TaskDeleted { edit_no, .. } => {
                self.deleted.write(true, recorded.stamp(*edit_no))
            }
            Event::TaskRestored { edit_no, .. } => {
                self.deleted.write(false, recorded.stamp(*edit_no))
            }
            Event::TaskAssigned {
                assignment,
                session,
                edit_no,
                ..
            } => self.evolve_assigned(recorded, *assignment, *session, true, *edit_no),
            Event::AssignmentEnded {
                assignment,
                session,
                edit_no,
                ..
            } => self.evolve_assigned(recorded, *assignment, *session, false, *edit_no),
            Event::TaskPullRequestSeen { url, edit_no, .. } => {
                self.pr_url.write(url.clone(), recorded.stamp(*edit_no));
            }
            Event::SubtaskAdded {
                subtask,
                title,
                position,
                ..
            } => {
                let step = self.subtasks.entry(*subtask).or_default();
                step.told
                    .write((title.clone(), *position), recorded.stamp(0));
            }
            Event::SubtaskCompleted {
                subtask,
                done,
                edit_no,
                ..
            } => self
                .subtasks
                .entry(*subtask)
                .or_default()
                .done
                .write(*done, recorded.stamp(*edit_no)),
            Event::SubtaskRemoved {
                subtask, edit_no, ..
            } => self
                .subtasks
                .entry(*subtask)
                .or_default()
                .removed
                .write(true, recorded.stamp(*edit_no)),
            Event::UsageRecorded {
                session, totals, ..
            } => self
                .usage
                .entry(*session)
                .or_default()
                .write(*totals, recorded.stamp(0)),
            _ => {}
        }
    }

    fn evolve_assigned(
        &mut self,
        recorded: &Recorded,
        assignment: AssignmentId,
        session: SessionId,
        active: bool,
        edit_no: u32,
    ) {
        self.assigned.write(
            Assigned {
                assignment,
                session,
                active,
            },
            recorded.stamp(edit_no),
        );
    }

    fn evolve_created(&mut self, recorded: &Recorded, created: &TaskCreated) {
        let stamp = recorded.stamp(0);
        self.project.write(created.project, stamp);
        self.title.write(created.title.clone(), stamp);
        self.description.write(created.description.clone(), stamp);
        self.status.write(
            Standing {
                status: created.status,
                reason: None,
                since: recorded.at(),
            },
            stamp,
        );
        self.mode.write(created.mode, stamp);
        self.priority.write(created.priority, stamp);
        self.rank.write(created.rank, stamp);
        self.base.write(created.base.clone(), stamp);
        self.branch.write(created.branch.clone(), stamp);
        self.push_mode.write(created.push_mode, stamp);
        self.review_loop.write(created.review_loop, stamp);
        self.depends_on.write(created.depends_on.clone(), stamp);
        self.model.write(created.model.clone(), stamp);
        self.effort.write(created.effort.clone(), stamp);
        self.permission_mode
            .write(created.permission_mode.clone(), stamp);
        self.budget_usd.write(created.budget_usd, stamp);
        for (position, subtask) in created.subtasks.iter().enumerate() {
            let step = self.subtasks.entry(subtask.subtask).or_default();
            let position = u32::try_from(position).unwrap_or(u32::MAX);
            step.told.write((subtask.title.clone(), position), stamp);
        }
        self.created_at = Some(
            self.created_at
                .map_or(recorded.at(), |known| known.min(recorded.at())),
        );
    }

    fn evolve_edited(&mut self, recorded: &Recorded, changes: &TaskChanges) {
        fn apply<T: Clone>(field: &mut Register<T>, edit: Option<&Edit<T>>, recorded: &Recorded) {
            if let Some(edit) = edit {
                field.write(edit.value.clone(), recorded.stamp(edit.edit_no));
            }
        }
        apply(&mut self.title, changes.title.as_ref(), recorded);
        apply(
            &mut self.description,
            changes.description.as_ref(),
            recorded,
        );
        apply(&mut self.mode, changes.mode.as_ref(), recorded);
        apply(&mut self.priority, changes.priority.as_ref(), recorded);
        apply(&mut self.base, changes.base.as_ref(), recorded);
        apply(&mut self.branch, changes.branch.as_ref(), recorded);
        apply(&mut self.push_mode, changes.push_mode.as_ref(), recorded);
        apply(
            &mut self.review_loop,
            changes.review_loop.as_ref(),
            recorded,
        );
        apply(&mut self.depends_on, changes.depends_on.as_ref(), recorded);
        apply(&mut self.model, changes.model.as_ref(), recorded);
        apply(&mut self.effort, changes.effort.as_ref(), recorded);
        apply(
            &mut self.permission_mode,
            changes.permission_mode.as_ref(),
            recorded,
        );
    }
}
