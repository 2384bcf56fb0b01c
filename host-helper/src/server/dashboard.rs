//! What the dashboard draws, made from the store and telemetry: the whole for a new dashboard, then only what changed.

use std::collections::{BTreeSet, HashMap};

use claustre_domain::{
    entity::EntityRef,
    project::Project,
    session::{Ask, Session},
    task::{Task, unmet_dependencies_in},
};
use claustre_protocol::{
    dashboard::{DashboardUpdate, Header, ProjectCard, SessionCard, StepCard, TaskCard},
    ids::{MachineId, ProjectId, SessionId, TaskId},
    status::{ClaudeStatus, TaskStatus},
    time::Timestamp,
};

use super::api::overview::inbox_items;
use crate::{
    engine::Live,
    store::{Reader, SessionFilter, StoreError, TaskFilter},
};

/// Finished tasks shown of each project, the newest first; the history view asks for more.
const FINISHED_TASKS: usize = 50;
/// Tasks sent to a dashboard at most.
const MOST_TASKS: usize = 5_000;
/// Longest detail of an ask on a card, in characters; the full view asks for the rest.
const LONGEST_DETAIL: usize = 6_000;

/// Makes updates.
pub struct Drawing<'a> {
    /// The store.
    pub reader: &'a Reader,
    /// Telemetry.
    pub live: &'a Live,
    /// This host.
    pub machine: MachineId,
    /// This host's name.
    pub host: &'a str,
    /// How many sessions may run at once; 0 = no cap.
    pub capacity: u32,
    /// The daemon's clock.
    pub now: Timestamp,
    /// Position of the newest event.
    pub position: i64,
}

impl Drawing<'_> {
    /// Everything, for a dashboard that knows nothing.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn whole(&self) -> Result<DashboardUpdate, StoreError> {
        let mut update = self.empty(true)?;
        for project in self.reader.projects()? {
            if project.exists() {
                update.projects.push(self.project_card(&project)?);
            }
        }
        for session in self.open_sessions()? {
            update.sessions.extend(self.session_card(&session)?);
        }
        let shown: BTreeSet<ProjectId> = update.projects.iter().map(|card| card.id).collect();
        let mut finished: HashMap<ProjectId, Vec<TaskCard>> = HashMap::new();
        for task in self.reader.tasks(TaskFilter {
            project: None,
            status: None,
            limit: MOST_TASKS,
            ..TaskFilter::default()
        })? {
            let Some(card) = self.task_card(&task)? else {
                continue;
            };
            if !shown.contains(&card.project_id) {
                continue;
            }
            if card.status == TaskStatus::Done {
                finished.entry(card.project_id).or_default().push(card);
            } else {
                update.tasks.push(card);
            }
        }
        for mut cards in finished.into_values() {
            cards.sort_by_key(|card| std::cmp::Reverse(card.completed_at));
            cards.truncate(FINISHED_TASKS);
            update.tasks.extend(cards);
        }
        Ok(update)
    }

    /// What events and telemetry changed.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn changes(
        &self,
        touched: &[EntityRef],
        seen: &[SessionId],
    ) -> Result<DashboardUpdate, StoreError> {
        let mut projects = BTreeSet::new();
        let mut sessions: BTreeSet<SessionId> = seen.iter().copied().collect();
        let mut tasks = BTreeSet::new();
        for of in touched {
            match of {
                EntityRef::Project(id) => {
                    projects.insert(*id);
                }
                EntityRef::Task(id) => {
                    tasks.insert(*id);
                }
                EntityRef::Session(id) => {
                    sessions.insert(*id);
                }
                // An ask or message comes with its session.
                EntityRef::Ask(_) | EntityRef::Message(_) => {}
            }
        }
        let mut update = self.empty(!touched.is_empty() || self.live.warning().is_some())?;
        for id in sessions {
            match self.reader.session(id)? {
                Some(session) if session.is_open() => {
                    // What a session does is told on its task's row as well.
                    tasks.extend(session.task.value());
                    update.sessions.extend(self.session_card(&session)?);
                }
                _ => update.removed.push(id.uuid()),
            }
        }
        self.add_dependents(&mut tasks)?;
        for id in tasks {
            match self.reader.task(id)? {
                Some(task) => {
                    // A project says how many tasks it has.
                    projects.extend(task.project.get().copied());
                    if task.exists() {
                        update.tasks.extend(self.task_card(&task)?);
                    } else {
                        update.removed.push(id.uuid());
                    }
                }
                None => update.removed.push(id.uuid()),
            }
        }
        for id in projects {
            match self.reader.project(id)? {
                Some(project) if project.exists() => {
                    update.projects.push(self.project_card(&project)?)
                }
                _ => update.removed.push(id.uuid()),
            }
        }
        Ok(update)
    }

    /// Tasks that wait for one of these may not wait any more.
    fn add_dependents(&self, tasks: &mut BTreeSet<TaskId>) -> Result<(), StoreError> {
        for id in tasks.clone() {
            tasks.extend(self.reader.dependents(id)?.iter().map(|task| task.id));
        }
        Ok(())
    }

    fn empty(&self, with_inbox: bool) -> Result<DashboardUpdate, StoreError> {
        let open = self.open_sessions()?;
        let running = open.iter().filter(|session| is_running(session)).count();
        let allowances = self.live.allowances();
        let warning = self.live.warning();
        Ok(DashboardUpdate {
            reset: false,
            more: false,
            position: self.position,
            now: self.now,
            header: Some(Header {
                host: self.host.to_owned(),
                build: claustre_protocol::BUILD.into(),
                queue_running: u32::try_from(running).unwrap_or(u32::MAX),
                queue_capacity: self.capacity,
                five_hour: allowances.five_hour,
                seven_day: allowances.seven_day,
                warning: warning.map(|warning| warning.text).unwrap_or_default(),
            }),
            inbox: if with_inbox {
                Some(inbox_items(self.reader, self.live, None)?)
            } else {
                None
            },
            ..DashboardUpdate::default()
        })
    }

    fn open_sessions(&self) -> Result<Vec<Session>, StoreError> {
        self.reader.sessions(SessionFilter {
            project: None,
            open_only: true,
        })
    }

    fn project_card(&self, project: &Project) -> Result<ProjectCard, StoreError> {
        Ok(ProjectCard {
            id: project.id,
            name: project.name.value(),
            status: project.status.value(),
            goal: project.goal.value(),
            repo_path: project.path_on(self.machine).unwrap_or_default().to_owned(),
            default_branch: project.default_branch.value(),
            tasks: self.reader.task_counts(Some(project.id))?,
        })
    }

    fn asks(&self, session: &Session) -> Result<Vec<Ask>, StoreError> {
        if session.asks.is_empty() {
            Ok(Vec::new())
        } else {
            self.reader.open_asks(session.id)
        }
    }

    fn session_card(&self, session: &Session) -> Result<Option<SessionCard>, StoreError> {
        let asks = self.asks(session)?;
        let Some(shown) = claustre_domain::projection::board::session(session, "", &asks) else {
            return Ok(None);
        };
        let live = self.live.of(session.id);
        let mut ask = shown.ask;
        if let Some(ask) = &mut ask {
            let shown = crate::text::cut(&ask.detail, LONGEST_DETAIL);
            ask.cut = shown != ask.detail;
            ask.detail = shown;
        }
        Ok(Some(SessionCard {
            id: session.id,
            project_id: shown.project_id,
            task_id: shown.task_id,
            branch: shown.branch_name,
            base: session
                .worktree
                .get()
                .map(|worktree| worktree.base.clone())
                .unwrap_or_default(),
            worktree_path: shown.worktree_path,
            tab_name: shown.zellij_tab_name,
            zellij_session: shown.zellij_session,
            pane_id: shown.pane_id,
            status: shown.claude_status,
            reason: shown.reason,
            source: shown.source,
            since: shown.since,
            last_activity_at: live
                .active_at
                .unwrap_or(shown.last_activity_at)
                .max(shown.last_activity_at),
            message: if shown.status_message.is_empty() {
                live.doing
            } else {
                shown.status_message
            },
            ask,
            files_changed: live.diff.files,
            lines_added: live.diff.added,
            lines_removed: live.diff.removed,
            input_tokens: shown.input_tokens,
            output_tokens: shown.output_tokens,
            cost: shown.cost,
            context_percent: live.context_percent,
            model: live.model.or(shown.model),
            queued_messages: shown.queued_messages,
            created_at: shown.created_at,
        }))
    }

    fn task_card(&self, task: &Task) -> Result<Option<TaskCard>, StoreError> {
        let Some(project_id) = task.project.get().copied() else {
            return Ok(None);
        };
        let Some(created_at) = task.created_at else {
            return Ok(None);
        };
        let steps: Vec<StepCard> = task
            .steps()
            .into_iter()
            .map(|(_, step)| StepCard {
                title: step.title().to_owned(),
                done: step.done.value(),
            })
            .collect();
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let usage = task.usage_total();
        Ok(Some(TaskCard {
            id: task.id,
            project_id,
            title: task.title.value(),
            status: task.status_now(),
            note: self.note(task)?,
            mode: task.mode.value(),
            priority: task.priority.value(),
            push_mode: task.push_mode.value(),
            rank: task.rank.value(),
            base: task.base.value(),
            branch: task.branch.value(),
            review_loop: task.review_loop.value(),
            steps_done: count(steps.iter().filter(|step| step.done).count()),
            steps_total: count(steps.len()),
            steps,
            session_id: task.last_session(),
            pr_url: task.pr_url.get().cloned(),
            model: task.model.value(),
            created_at,
            updated_at: task.updated_at,
            started_at: task.started_at,
            completed_at: task.completed_at(),
            tokens: usage.input_all() + usage.output_tokens,
            cost: usage.cost,
        }))
    }

    /// One line that explains a task's status.
    fn note(&self, task: &Task) -> Result<String, StoreError> {
        let standing = task.standing();
        if standing.status == TaskStatus::Working
            && let Some(id) = task.active_session()
            && let Some(session) = self.reader.session(id)?
        {
            if let Some(ask) = self
                .asks(&session)?
                .first()
                .and_then(|ask| ask.asked.as_deref())
            {
                return Ok(ask.title.clone());
            }
            let says = session.message.value();
            if !says.is_empty() {
                return Ok(says);
            }
            let detail = session.status().detail;
            return Ok(if detail.is_empty() {
                self.live.of(id).doing
            } else {
                detail
            });
        }
        if let Some(reason) = standing.reason {
            return Ok(reason);
        }
        if matches!(standing.status, TaskStatus::Draft | TaskStatus::Pending) {
            let mut waits = Vec::new();
            for id in task.depends_on.value() {
                waits.extend(unmet_dependencies_in(self.reader.task(id)?.as_ref()));
            }
            if !waits.is_empty() {
                return Ok(format!("after: {}", waits.join(", ")));
            }
        }
        Ok(task.pr_url.value())
    }
}

/// Whether a session counts for `[queue] max_sessions`: its client works, or is about to.
pub fn is_running(session: &Session) -> bool {
    matches!(
        session.status().status,
        ClaudeStatus::Starting | ClaudeStatus::Working | ClaudeStatus::WaitingForInput
    )
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::store::Store;

    #[test]
    fn what_is_wrong_with_all_of_it_is_in_the_head_line_and_first_in_the_inbox() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("claustre.db"), Uuid::new_v4).unwrap();
        let reader = store.reader().unwrap();
        let live = Live::default();
        let now = Timestamp::from_millis(1_800_000_000_000);
        let drawing = Drawing {
            reader: &reader,
            live: &live,
            machine: store.machine(),
            host: "desk",
            capacity: 4,
            now,
            position: 0,
        };
        let well = drawing.changes(&[], &[]).unwrap();
        assert_eq!(well.header.unwrap().warning, "");
        assert_eq!(well.inbox, None, "nothing happened");
        let mut told = live.watch();
        live.warn("the store is damaged".into(), now);
        assert!(told.has_changed().unwrap(), "it is drawn at once");
        told.mark_unchanged();
        let update = drawing.changes(&[], &[]).unwrap();
        assert_eq!(update.header.unwrap().warning, "the store is damaged");
        assert_eq!(update.inbox.unwrap()[0].detail, "the store is damaged");
    }
}
