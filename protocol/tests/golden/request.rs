//! Requests and what they are answered with.

use std::collections::BTreeMap;

use claustre_protocol::{
    model::{Ask, InboxItem, TaskDetail},
    request::{
        Backup, Closing, DaemonStatus, DashboardShow, Decision, Done, EventsWatch, LostPath, Named,
        Nothing, PluginAddress, PluginLink, Preview, ProjectAdd, ProjectEdit, ProjectList,
        ProjectShow, ProjectShown, PullRequest, RemovalPreview, ReplayReport, Request, SessionList,
        SessionNew, ShownLoss, SnapshotShown, StatusOverview, StatusShow, SubtaskNamed, Swept,
        TaskAdd, TaskAssign, TaskEdit, TaskList, TaskMove, WithText, WorktreeSweep,
    },
    status::{Mode, ProjectStatus, PushMode, TaskStatus},
};

use crate::{
    check::{Golden, names, tag_of, variants},
    samples::{
        ASK, PROJECT, SESSION, TASK, ask, at, event, inbox_item, priority, project, session,
        subtask, task, update,
    },
};

/// One request of each kind.
fn requests() -> Vec<Request> {
    let named = || Named {
        of: "4400".to_owned(),
    };
    let with_text = || WithText {
        of: "Fix the cart's sum".to_owned(),
        text: "Also for negative prices".to_owned(),
    };
    let decision = || Decision {
        of: "4400".to_owned(),
        ask: Some(ASK),
        text: Some("not that directory".to_owned()),
    };
    let some = |text: &str| Some(text.to_owned());
    vec![
        Request::ProjectAdd(ProjectAdd {
            name: "shop".into(),
            path: "/home/mara/code/shop".into(),
            goal: "sell things".into(),
            owner: "mara".into(),
            base: "main".into(),
        }),
        Request::ProjectList(ProjectList {
            status: Some(ProjectStatus::Paused),
        }),
        Request::ProjectShow(ProjectShow {
            of: "shop".into(),
            history: true,
        }),
        Request::ProjectEdit(ProjectEdit {
            of: "shop".into(),
            name: some("store"),
            goal: some("sell more"),
            owner: some("ivo"),
            base: some("trunk"),
            status: Some(ProjectStatus::Done),
        }),
        Request::ProjectRemove(named()),
        Request::TaskAdd(TaskAdd {
            project: "shop".into(),
            title: "Fix the cart's sum".into(),
            description: "Run the tests and correct what fails.".into(),
            mode: Some(Mode::Autonomous),
            priority: Some(priority(1)),
            base: some("main"),
            branch: some("fix/cart"),
            push_mode: Some(PushMode::Push),
            review_loop: true,
            subtasks: vec!["find the callers".into()],
            after: vec!["Add retry logic".into()],
            model: some("opus"),
            effort: some("high"),
            permission_mode: some("acceptEdits"),
            budget_usd: Some(2.5),
            draft: true,
        }),
        Request::TaskList(TaskList {
            project: some("shop"),
            status: Some(TaskStatus::InReview),
            limit: 20,
            after: None,
        }),
        Request::TaskShow(named()),
        Request::TaskEdit(TaskEdit {
            of: "2200".into(),
            title: some("Fix the sum"),
            description: some("Run the tests."),
            mode: Some(Mode::Supervised),
            priority: Some(priority(0)),
            base: some("trunk"),
            branch: some("fix/sum"),
            push_mode: Some(PushMode::Pr),
            review_loop: Some(false),
            after: Some(vec!["Add retry logic".into()]),
            model: some("sonnet"),
            effort: some("low"),
            permission_mode: some("plan"),
            subtasks: Some(vec!["find the callers".into()]),
            submit: true,
        }),
        Request::TaskLaunch(named()),
        Request::TaskAssign(TaskAssign {
            of: "2200".into(),
            session: "4400".into(),
        }),
        Request::TaskDone(named()),
        Request::TaskSendBack(with_text()),
        Request::TaskBlock(with_text()),
        Request::TaskReopen(named()),
        Request::TaskRetry(named()),
        Request::TaskKill(Closing::unseen(named().of)),
        Request::TaskMove(TaskMove {
            of: "2200".into(),
            before: some("2300"),
            after: some("2400"),
        }),
        Request::TaskDelete(named()),
        Request::TaskUndo(Nothing {}),
        Request::SubtaskAdd(with_text()),
        Request::SubtaskList(named()),
        Request::SubtaskDone(SubtaskNamed {
            task: "2200".into(),
            of: "1".into(),
        }),
        Request::SubtaskRemove(SubtaskNamed {
            task: "2200".into(),
            of: "find the callers".into(),
        }),
        Request::SessionList(SessionList {
            project: some("shop"),
            all: true,
        }),
        Request::SessionShow(named()),
        Request::SessionNew(SessionNew {
            project: "shop".into(),
            branch: some("explore/prices"),
            base: some("main"),
            prompt: some("Look around"),
        }),
        Request::SessionClose(Closing::unseen(named().of)),
        Request::SessionResume(named()),
        Request::SessionRestart(named()),
        Request::SessionPreview(named()),
        Request::SessionDiff(named()),
        Request::SessionAsks(named()),
        Request::SessionFocus(named()),
        Request::SessionSend(with_text()),
        Request::SessionApprove(decision()),
        Request::SessionDeny(decision()),
        Request::SessionAnswer(decision()),
        Request::SessionPullRequest(PullRequest {
            of: "4400".into(),
            url: "https://github.com/mara/shop/pull/412".into(),
        }),
        Request::SessionFeedNext(named()),
        Request::InboxList(Nothing {}),
        Request::StatusShow(StatusShow {
            project: some("shop"),
        }),
        Request::EventsWatch(EventsWatch { after: Some(7) }),
        Request::WorktreeList(Nothing {}),
        Request::WorktreePreview(named()),
        Request::WorktreeRemove(Closing {
            of: "4400".into(),
            shown: Some(ShownLoss {
                paths: vec!["data/".into()],
                more: 2,
            }),
        }),
        Request::WorktreeRestore(named()),
        Request::WorktreeSweep(WorktreeSweep {
            days: Some(30),
            only: Some(vec!["refs/claustre/trash/1".into()]),
            dry_run: true,
        }),
        Request::PluginLink(PluginLink {
            session: "main".into(),
            server_pid: 4711,
            plugin: Some(PluginAddress {
                location: "file:/home/mara/.claustre/zellij/claustre.wasm".into(),
                helper: "/home/mara/.cargo/bin/claustre".into(),
            }),
        }),
        Request::DashboardShow(DashboardShow {
            session: "main".into(),
        }),
        Request::DaemonStatus(Nothing {}),
        Request::DaemonStop(Nothing {}),
        Request::StoreReplay(Nothing {}),
        Request::StoreBackup(Backup {
            path: some("/home/mara/copy.db"),
        }),
    ]
}

/// The golden file of what a request is answered with; lists hold the same things one by one.
const fn answer_of(request: &Request) -> &'static str {
    use Request as R;
    match request {
        R::ProjectAdd(_) | R::ProjectList(_) | R::ProjectEdit(_) => "project",
        R::ProjectShow(_) => "project_shown",
        R::TaskAdd(_)
        | R::TaskList(_)
        | R::TaskEdit(_)
        | R::TaskLaunch(_)
        | R::TaskAssign(_)
        | R::TaskDone(_)
        | R::TaskSendBack(_)
        | R::TaskBlock(_)
        | R::TaskReopen(_)
        | R::TaskRetry(_)
        | R::TaskKill(_)
        | R::TaskMove(_)
        | R::TaskUndo(_)
        | R::SessionPullRequest(_)
        | R::SessionFeedNext(_) => "task",
        R::TaskShow(_) => "task_detail",
        R::SubtaskAdd(_) | R::SubtaskList(_) | R::SubtaskDone(_) => "subtask",
        R::SessionList(_)
        | R::SessionShow(_)
        | R::SessionNew(_)
        | R::SessionClose(_)
        | R::SessionResume(_)
        | R::SessionRestart(_)
        | R::SessionSend(_)
        | R::SessionApprove(_)
        | R::SessionDeny(_)
        | R::SessionAnswer(_) => "session",
        R::SessionPreview(_) | R::SessionDiff(_) => "preview",
        R::SessionAsks(_) => "ask_that_was_answered",
        R::InboxList(_) => "inbox_item",
        R::StatusShow(_) => "status_overview",
        R::WorktreeList(_) => "snapshot",
        R::WorktreeSweep(_) => "swept",
        R::WorktreePreview(_) => "removal_preview",
        R::DaemonStatus(_) => "daemon_status",
        R::StoreReplay(_) => "replay_report",
        R::ProjectRemove(_)
        | R::TaskDelete(_)
        | R::SubtaskRemove(_)
        | R::SessionFocus(_)
        | R::EventsWatch(_)
        | R::WorktreeRemove(_)
        | R::WorktreeRestore(_)
        | R::PluginLink(_)
        | R::DashboardShow(_)
        | R::DaemonStop(_)
        | R::StoreBackup(_) => "done",
    }
}

#[test]
fn every_request_is_as_its_golden_file() {
    let mut golden = Golden::of("request");
    for request in requests() {
        let name = tag_of(&request, "method");
        match request {
            // What was shown came later, and is there only where something was.
            Request::TaskKill(_) | Request::SessionClose(_) => {
                golden.holds_in_part(&name, &request);
            }
            // The next page came later, and is there only where one is asked for.
            Request::TaskList(_) => golden.holds_in_part(&name, &request),
            _ => golden.holds(&name, &request),
        }
    }
    golden.holds(
        "task.list.after",
        &Request::TaskList(TaskList {
            project: Some("shop".into()),
            status: Some(TaskStatus::InReview),
            limit: 20,
            after: Some("0192f0c1".into()),
        }),
    );
    golden.finish(&variants::<Request>("method"));
}

#[test]
fn every_request_survives_its_call() {
    for request in requests() {
        let call = request.clone().into_call(7).unwrap();
        let back = Request::from_call(&call.method, call.params).unwrap();
        assert_eq!(back, request);
    }
}

#[test]
fn every_answer_is_as_its_golden_file() {
    let counts = || BTreeMap::from([("done".to_owned(), 3), ("working".to_owned(), 1)]);
    let mut golden = Golden::of("answer");
    golden.holds("project", &project());
    golden.holds(
        "project_shown",
        &ProjectShown {
            project: project(),
            tasks: counts(),
            sessions: vec![session()],
            history: Some(vec![event()]),
        },
    );
    golden.holds("task", &task());
    golden.holds(
        "task_detail",
        &TaskDetail {
            task: task(),
            session: Some(session()),
            updates: vec![update()],
            waits_for: vec!["Add retry logic".into()],
        },
    );
    golden.holds("subtask", &subtask());
    golden.holds("session", &session());
    golden.holds(
        "preview",
        &Preview {
            text: "> run the tests\n".into(),
        },
    );
    golden.holds_in_part("inbox_item", &inbox_item());
    golden.holds(
        "inbox_item_of_an_ask",
        &InboxItem {
            ask_id: Some(ASK),
            only_in_tab: true,
            ..inbox_item()
        },
    );
    golden.holds(
        "ask_that_was_answered",
        &Ask {
            answered: true,
            cut: true,
            ..ask()
        },
    );
    golden.holds_in_part(
        "status_overview",
        &StatusOverview {
            sessions: vec![session()],
            tasks: counts(),
            inbox: vec![inbox_item()],
        },
    );
    let snapshot = SnapshotShown {
        name: "00000044-0000-4000-8000-000000000000".into(),
        project_id: PROJECT,
        branch: "fix/cart".into(),
        reference: "refs/claustre/trash/1".into(),
        task_id: Some(TASK),
        created_at: at(80),
    };
    golden.holds("snapshot", &snapshot);
    golden.holds(
        "swept",
        &Swept {
            days: 30,
            expired: vec![snapshot],
            failed: vec!["letting refs/claustre/trash/2 go: no disk".into()],
        },
    );
    golden.holds(
        "removal_preview",
        &RemovalPreview {
            session_id: Some(SESSION),
            is_open: true,
            path: "/home/mara/.claustre/worktrees/shop/task/fix".into(),
            branch: "task/fix".into(),
            changed_files: 4,
            unpushed_commits: 1,
            ignored_kept: 2,
            lost: vec![LostPath {
                path: "target/".into(),
                files: 1203,
                bytes: 2_149_000_000,
            }],
            lost_more: 3,
            lost_files: 1300,
            lost_bytes: 2_150_000_000,
            stays: Some("a lock".into()),
        },
    );
    golden.holds(
        "daemon_status",
        &DaemonStatus {
            pid: 4711,
            build: "0.1.0".into(),
            home: "/home/mara/.claustre".into(),
            position: 12,
            started_at: at(0),
            links: vec!["main (4712)".into()],
            sessions: 3,
            sqlite: "3.54.1".into(),
        },
    );
    golden.holds(
        "replay_report",
        &ReplayReport {
            events: 12,
            differences: vec!["tasks 00000022: Missing".into()],
        },
    );
    golden.holds(
        "done",
        &Done {
            message: "connecting".into(),
        },
    );
    golden.finish(&names(requests().iter().map(answer_of)));
}
