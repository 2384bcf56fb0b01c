//! What the dashboard draws.

use claustre_protocol::{
    dashboard::{DashboardUpdate, Header, ProjectCard, SessionCard, StepCard, TaskCard},
    status::{ClaudeStatus, Mode, ProjectStatus, PushMode, Reason, Source, TaskStatus},
};

use crate::{
    check::{Golden, names},
    samples::{OTHER_TASK, PROJECT, SESSION, TASK, ask, at, inbox_item, priority, usage_window},
};

/// An update with everything in it.
pub(crate) fn update() -> DashboardUpdate {
    DashboardUpdate {
        reset: true,
        more: true,
        position: 12,
        now: at(90),
        header: Some(header()),
        projects: vec![project()],
        sessions: vec![session()],
        tasks: vec![task()],
        inbox: Some(vec![inbox_item()]),
        removed: vec![OTHER_TASK.uuid()],
    }
}

fn header() -> Header {
    Header {
        host: "desk".into(),
        build: "0.1.0".into(),
        queue_running: 4,
        queue_capacity: 6,
        five_hour: Some(usage_window()),
        seven_day: Some(usage_window()),
        warning: "the disk is full".into(),
    }
}

fn project() -> ProjectCard {
    ProjectCard {
        id: PROJECT,
        name: "shop".into(),
        status: ProjectStatus::Active,
        goal: "sell things".into(),
        repo_path: "/home/mara/code/shop".into(),
        default_branch: "main".into(),
        tasks: Default::default(),
    }
}

fn session() -> SessionCard {
    SessionCard {
        id: SESSION,
        project_id: PROJECT,
        task_id: Some(TASK),
        branch: "fix/cart".into(),
        base: "main".into(),
        worktree_path: "/home/mara/.claustre/worktrees/shop/fix-cart".into(),
        tab_name: "shop:fix/cart".into(),
        zellij_session: Some("main".into()),
        pane_id: Some(14),
        status: ClaudeStatus::WaitingForInput,
        reason: Some(Reason::Question),
        source: Source::Hook,
        since: at(30),
        last_activity_at: at(31),
        message: "correcting the sum".into(),
        ask: Some(ask()),
        files_changed: 4,
        lines_added: 52,
        lines_removed: 18,
        input_tokens: 64_400,
        output_tokens: 350,
        cost: 0.25,
        context_percent: Some(34),
        model: Some("Opus".into()),
        queued_messages: 2,
        created_at: at(10),
    }
}

fn task() -> TaskCard {
    TaskCard {
        id: TASK,
        project_id: PROJECT,
        title: "Fix the cart's sum".into(),
        status: TaskStatus::Working,
        note: "correcting the sum".into(),
        mode: Mode::Autonomous,
        priority: priority(1),
        push_mode: PushMode::Pr,
        rank: 1.5,
        base: Some("main".into()),
        branch: Some("fix/cart".into()),
        review_loop: true,
        steps_done: 1,
        steps_total: 2,
        steps: vec![StepCard {
            title: "find the callers".into(),
            done: true,
        }],
        session_id: Some(SESSION),
        pr_url: Some("https://github.com/mara/shop/pull/412".into()),
        model: Some("opus".into()),
        created_at: at(0),
        updated_at: at(60),
        started_at: Some(at(10)),
        completed_at: Some(at(70)),
        tokens: 64_750,
        cost: 0.25,
    }
}

#[test]
fn what_is_drawn_is_as_its_golden_file() {
    let mut golden = Golden::of("dashboard");
    golden.holds("header", &header());
    golden.holds("project", &project());
    golden.holds("session", &session());
    golden.holds("task", &task());
    golden.holds_in_part("update", &update());
    // What did not change is not sent.
    golden.holds_in_part("update_of_nothing", &DashboardUpdate::default());
    golden.finish(&names([]));
}
