//! Selections: by id, kept over every change of the lists; where the thing is gone, its neighbour.

use claustre_protocol::ids::{ProjectId, SessionId, TaskId};

use super::{Cursor, Model, Panel, Row};

impl<Item: Copy + PartialEq> Cursor<Item> {
    /// Finds the selected thing in the changed list, or takes what stands in its place now.
    pub fn settle(&mut self, list: &[Item], height: u16) {
        let found = self
            .item
            .and_then(|item| list.iter().position(|other| *other == item));
        self.index = found.unwrap_or_else(|| self.index.min(list.len().saturating_sub(1)));
        self.item = list.get(self.index).copied();
        self.scroll(list.len(), height);
    }

    /// Selects by place. Says whether that is another one.
    pub fn select(&mut self, index: usize, list: &[Item], height: u16) -> bool {
        let index = index.min(list.len().saturating_sub(1));
        let changed = self.index != index || self.item != list.get(index).copied();
        self.index = index;
        self.item = list.get(index).copied();
        self.scroll(list.len(), height);
        changed
    }

    fn scroll(&mut self, count: usize, height: u16) {
        self.top = scrolled(self.top, self.index, count, usize::from(height));
    }
}

/// The first row to draw, so that the selected one is on the screen and no room is wasted at the end.
pub(crate) fn scrolled(top: usize, index: usize, count: usize, height: usize) -> usize {
    let lowest = index.saturating_add(1).saturating_sub(height);
    top.min(index).max(lowest).min(count.saturating_sub(height))
}

impl Model {
    /// Makes the lists anew after the data or the filter changed.
    pub(crate) fn rebuild(&mut self) {
        let mut projects: Vec<_> = self.data.projects.values().collect();
        projects.sort_by(|one, other| one.name.cmp(&other.name).then(one.id.cmp(&other.id)));
        self.rows.clear();
        for project in projects {
            self.rows.push(Row::Project(project.id));
            if !self.collapsed.contains(&project.id) {
                let sessions = self.data.sessions_in(project.id);
                self.rows
                    .extend(sessions.iter().map(|session| Row::Session(session.id)));
            }
        }
        let height = self.areas().left.height;
        let selected = self.left.item;
        self.left.settle(&self.rows, height);
        if self.left.item != selected {
            // A session that is gone leaves the selection with its project, not with whatever moved up.
            let home = self
                .left_project
                .and_then(|id| self.rows.iter().position(|row| *row == Row::Project(id)));
            if let Some(index) = home {
                self.left.select(index, &self.rows, height);
            }
        }
        self.rebuild_tasks();
    }

    /// Makes the list of tasks anew.
    pub(crate) fn rebuild_tasks(&mut self) {
        self.left_project = self.current_project().map(|project| project.id);
        let Some(project) = self.left_project else {
            self.tasks.clear();
            self.tasks_total = 0;
            self.task = Cursor::default();
            return;
        };
        let words: Vec<_> = self
            .filter
            .text()
            .to_lowercase()
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        self.tasks = self.data.tasks_in(project, &words);
        self.tasks_total = if words.is_empty() {
            self.tasks.len()
        } else {
            self.data
                .tasks
                .values()
                .filter(|task| task.project_id == project)
                .count()
        };
        let height = self.areas().tasks.height;
        self.task.settle(&self.tasks, height);
    }

    /// Selects a row of the left panel. Says whether that is another one.
    pub(crate) fn select_left(&mut self, index: usize) -> bool {
        let before = self.current_project().map(|project| project.id);
        let height = self.areas().left.height;
        let changed = self.left.select(index, &self.rows, height);
        if changed {
            self.detail_top = 0;
            if self.current_project().map(|project| project.id) != before {
                self.task = Cursor::default();
                self.rebuild_tasks();
            }
        }
        changed
    }

    /// Selects a row of the tasks. Says whether that is another one.
    pub(crate) fn select_task(&mut self, index: usize) -> bool {
        let height = self.areas().tasks.height;
        let changed = self.task.select(index, &self.tasks, height);
        if changed {
            self.detail_top = 0;
        }
        changed
    }

    /// Gives a panel the focus.
    pub(crate) fn focus_on(&mut self, panel: Panel) {
        if self.focus != panel {
            self.focus = panel;
            if panel != Panel::Detail && self.last_list != panel {
                self.last_list = panel;
                self.detail_top = 0;
            }
            self.touch();
        }
    }

    /// Shows a project and selects it.
    pub(crate) fn go_to_project(&mut self, id: ProjectId) {
        if let Some(index) = self.rows.iter().position(|row| *row == Row::Project(id)) {
            self.select_left(index);
        }
    }

    /// Shows a session, expands its project, selects it and its task.
    pub(crate) fn go_to_session(&mut self, id: SessionId) -> bool {
        let Some(session) = self.data.sessions.get(&id) else {
            return false;
        };
        let (project, task) = (session.project_id, session.task_id);
        if self.collapsed.remove(&project) {
            self.rebuild();
        }
        let Some(index) = self.rows.iter().position(|row| *row == Row::Session(id)) else {
            return false;
        };
        self.select_left(index);
        if let Some(task) = task.and_then(|task| self.tasks.iter().position(|id| *id == task)) {
            self.select_task(task);
        }
        self.focus_on(Panel::Projects);
        true
    }

    /// Shows a task, in spite of the filter, and selects it.
    pub(crate) fn go_to_task(&mut self, id: TaskId) -> bool {
        let Some(project) = self.data.tasks.get(&id).map(|task| task.project_id) else {
            return false;
        };
        if self.current_project().map(|project| project.id) != Some(project) {
            self.go_to_project(project);
        }
        if !self.tasks.contains(&id) {
            self.filter = super::Editor::line("");
            self.rebuild_tasks();
        }
        let Some(index) = self.tasks.iter().position(|other| *other == id) else {
            return false;
        };
        self.select_task(index);
        self.focus_on(Panel::Tasks);
        true
    }
}
