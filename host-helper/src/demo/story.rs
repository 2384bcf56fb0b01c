//! The story: three tasks in two projects; one command is allowed, one is refused, and all end in review.

use std::{
    env,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use claustre_protocol::{
    ids::{AskId, TaskId},
    model::{AskKind, InboxItem, InboxKind, Project, Session, Task, TaskDetail},
    request::{
        DaemonStatus, DashboardShow, Decision, Done, Named, Nothing, ProjectAdd, Request, TaskAdd,
        TaskList,
    },
    status::{TaskStatus, Word},
};
use serde_json::{Value, json};

use super::home::SESSION;
use crate::{
    cli::{error::CliError, ui::Ui},
    client::Client,
    paths::Paths,
    text::terminal_safe,
};

/// Pause between two looks at how the story goes on.
const LOOK: Duration = Duration::from_millis(250);
/// How long the dashboard may take to be there.
const DASHBOARD: Duration = Duration::from_secs(20);
/// How long the sessions may take in all.
const WORK: Duration = Duration::from_secs(40 * 60);
/// How long a question is left to be looked at, where somebody looks.
const LOOKED_AT: Duration = Duration::from_secs(4);
/// What is refused, and why.
const REFUSED: &str = "rm -rf dist";
const REASON: &str = "Keep dist/: customers still have version 1.0.";

/// The projects: name and goal.
const PROJECTS: [(&str, &str); 2] = [
    ("shop", "adds up what is in the cart"),
    ("site", "the page of the shop"),
];

/// A task of the story: project, title, prompt.
const TASKS: [(&str, &str, &str); 3] = [
    (
        "shop",
        "Fix the cart's sum",
        "Run `sh test.sh`. It fails: correct `cart.sh` until it passes, and commit.",
    ),
    (
        "shop",
        "Tidy up old builds",
        "Remove the directory `dist` with `rm -rf dist` if you are allowed to; if not, leave it and write a `.gitignore` \
         for what a build leaves behind. Commit.",
    ),
    (
        "site",
        "Write an opening page",
        "Write a short `index.html` for the shop: a heading and one sentence. Commit.",
    ),
];

/// What the stand-in for Claude Code does.
pub fn script(is_shown: bool) -> Value {
    let say = |message: &str| {
        json!({"mcp": {"tool": "claustre_status", "optional": true,
                       "arguments": {"state": "working", "message": message}}})
    };
    let done = |summary: &str| json!({"mcp": {"tool": "claustre_task_done", "optional": true, "arguments": {"summary": summary}}});
    let bash = |command: &str, about: &str| json!({"tool": {"name": "Bash", "input": {"command": command, "description": about}}});
    let asks = |command: &str, about: &str, runs: &str| {
        json!({"tool": {"name": "Bash", "needs_permission": true, "run": runs,
                        "input": {"command": command, "description": about}}})
    };
    let write = |path: &str, content: &str| json!({"tool": {"name": "Write", "input": {"file_path": path, "content": content}}});
    let fixed = "# Prints the sum of the prices it is given.\nsum=0\nfor price; do sum=$((sum + price)); done\necho \"$sum\"\n";
    let page = "<!doctype html>\n<title>The shop</title>\n<h1>The shop</h1>\n<p>Small things, well made.</p>\n";
    json!({
        "pace_ms": if is_shown { 1_500 } else { 400 },
        "rate_limits": {"five_hour": {"used_percentage": 42, "resets_in": 7200},
                        "seven_day": {"used_percentage": 13, "resets_in": 400_000}},
        "turns": [
            {"match": "test\\.sh", "steps": [
                {"say": "I'll run the tests first."},
                say("running the tests"),
                // The tests fail, and that is what it wants to see: its own exit code is 0.
                asks("sh test.sh", "Run the tests", "sh test.sh || true"),
                {"say": "The first price is skipped."},
                say("correcting the sum"),
                write("cart.sh", fixed),
                bash("sh test.sh && git commit --quiet --all --message='Add up all prices'", "Test and commit"),
                done("The first price was skipped; the test passes now"),
                {"say": "The test passes, and the fix is committed."}]},
            {"match": "dist", "steps": [
                {"say": "I'll remove the old build."},
                say("looking at old builds"),
                asks(REFUSED, "Remove the old build", REFUSED),
                {"say": "Then I leave it and only ignore new ones."},
                say("writing .gitignore"),
                write(".gitignore", "build/\n*.log\n"),
                bash("git add .gitignore && git commit --quiet --message='Ignore what a build leaves'", "Commit"),
                done("dist/ stays, as you said; new builds are ignored"),
                {"say": "dist/ is still there; what a build leaves is ignored from now on."}]},
            {"match": "index\\.html", "steps": [
                {"say": "A page with a heading and a sentence."},
                say("writing index.html"),
                write("index.html", page),
                bash("git add index.html && git commit --quiet --message='Add an opening page'", "Commit"),
                done("index.html is there"),
                {"say": "The page is written and committed."}]},
            {"steps": [{"say": "I am a stand-in and know only the demo's story."}]}]
    })
}

/// Plays in the home that the environment names, and says each step on standard output.
pub fn play(ui: Ui) -> Result<(), CliError> {
    let played = Player::start(ui).and_then(Player::play);
    if let Err(error) = &played {
        ui.raw(&format!("the story failed: {}", error.message))?;
    }
    played
}

struct Player {
    ui: Ui,
    root: PathBuf,
    client: Client,
    /// Does somebody look at a dashboard?
    is_shown: bool,
}

impl Player {
    fn start(ui: Ui) -> Result<Self, CliError> {
        let root = env::var_os("CLAUSTRE_DEMO")
            .map(PathBuf::from)
            .ok_or_else(|| {
                CliError::usage("playing the story: no demo has prepared this environment")
            })?;
        let client = Client::connect_or_start(&Paths::from_environment()?, "demo")?;
        let is_shown = env::var_os("CLAUSTRE_DEMO_SHOWN").is_some();
        Ok(Self {
            ui,
            root,
            client,
            is_shown,
        })
    }

    fn play(mut self) -> Result<(), CliError> {
        if self.is_shown {
            self.show_dashboard()?;
        }
        for (name, goal) in PROJECTS {
            let add = ProjectAdd {
                name: name.to_owned(),
                path: self.root.join("code").join(name).display().to_string(),
                goal: goal.to_owned(),
                ..ProjectAdd::default()
            };
            let _project: Project = self.client.call(Request::ProjectAdd(add))?;
            self.say(&format!("added the project {name}"))?;
        }
        let mut tasks = Vec::new();
        for (project, title, description) in TASKS {
            let add = TaskAdd {
                project: project.to_owned(),
                title: title.to_owned(),
                description: description.to_owned(),
                ..TaskAdd::default()
            };
            let task: Task = self.client.call(Request::TaskAdd(add))?;
            self.say(&format!("wrote the task \"{title}\" for {project}"))?;
            tasks.push(task.id);
        }
        for (task, (_, title, _)) in tasks.iter().zip(TASKS) {
            let of = task.to_string();
            let launched: Task = self.client.call(Request::TaskLaunch(Named { of }))?;
            let branch = launched.branch.unwrap_or_default();
            self.say(&format!("launched \"{title}\" on {branch}"))?;
        }
        self.answer_until_reviewed(&tasks)?;
        self.summary()
    }

    /// Says one step, and leaves time to see it.
    fn say(&self, step: &str) -> Result<(), CliError> {
        self.ui.raw(&terminal_safe(step))?;
        if self.is_shown {
            thread::sleep(Duration::from_secs(1));
        }
        Ok(())
    }

    /// Has the dashboard come to the front as soon as its plugin calls, and waits for that.
    fn show_dashboard(&mut self) -> Result<(), CliError> {
        let session = SESSION.to_owned();
        let _shown: Done = self
            .client
            .call(Request::DashboardShow(DashboardShow { session }))?;
        let begun = Instant::now();
        loop {
            let status: DaemonStatus = self.client.call(Request::DaemonStatus(Nothing {}))?;
            if !status.links.is_empty() {
                return self.say("the dashboard is there");
            }
            if begun.elapsed() > DASHBOARD {
                return Err(CliError::failed(
                    "waiting for the dashboard",
                    "it has not called the daemon; Zellij's log may say why",
                ));
            }
            thread::sleep(LOOK);
        }
    }

    /// Answers what the sessions ask until all tasks wait for review.
    fn answer_until_reviewed(&mut self, tasks: &[TaskId]) -> Result<(), CliError> {
        let begun = Instant::now();
        let mut answered: Vec<AskId> = Vec::new();
        let mut told: Vec<(TaskId, TaskStatus)> = Vec::new();
        let mut dialogs: Vec<String> = Vec::new();
        loop {
            for task in self.tasks()? {
                if !told.contains(&(task.id, task.status)) {
                    told.push((task.id, task.status));
                    let status = task.status.word().replace('_', " ");
                    self.say(&format!("\"{}\" is {status}", task.title))?;
                }
                match task.status {
                    TaskStatus::Error | TaskStatus::Interrupted | TaskStatus::Blocked => {
                        return Err(CliError::failed(
                            &format!("working on \"{}\"", task.title),
                            task.status_reason.unwrap_or_default(),
                        ));
                    }
                    _ => {}
                }
            }
            let finished =
                |status: TaskStatus| matches!(status, TaskStatus::InReview | TaskStatus::Done);
            let all = self.tasks()?;
            if all
                .iter()
                .filter(|task| tasks.contains(&task.id))
                .all(|task| finished(task.status))
            {
                return self.say("all tasks wait for review");
            }
            let inbox: Vec<InboxItem> = self.client.call(Request::InboxList(Nothing {}))?;
            for item in inbox {
                match item.kind {
                    InboxKind::Permission => self.answer(&item, &mut answered)?,
                    // Only a visit can answer it; without anybody looking the time runs out and says so.
                    InboxKind::Dialog | InboxKind::Question if !dialogs.contains(&item.detail) => {
                        self.say(&format!(
                            "\"{}\" waits for you: {}",
                            item.title, item.detail
                        ))?;
                        dialogs.push(item.detail);
                    }
                    _ => {}
                }
            }
            if begun.elapsed() > WORK {
                return Err(CliError::failed(
                    "waiting for the tasks",
                    "they take too long",
                ));
            }
            thread::sleep(LOOK);
        }
    }

    /// Allows what is asked, except for the one thing that is refused.
    fn answer(&mut self, item: &InboxItem, answered: &mut Vec<AskId>) -> Result<(), CliError> {
        let Some(ask) = self.ask_of(item)? else {
            return Ok(());
        };
        if answered.contains(&ask.0) {
            return Ok(());
        }
        self.say(&format!("a session asks: {}", ask.1))?;
        if self.is_shown {
            thread::sleep(LOOKED_AT);
            if self.ask_of(item)?.as_ref().map(|now| now.0) != Some(ask.0) {
                return self.say("somebody else has answered");
            }
        }
        answered.push(ask.0);
        let is_refused = ask.1.contains(REFUSED);
        let decision = Decision {
            of: item.task_id.map(|id| id.to_string()).unwrap_or_default(),
            ask: Some(ask.0),
            text: is_refused.then(|| REASON.to_owned()),
        };
        let _session: Session = self.client.call(if is_refused {
            Request::SessionDeny(decision)
        } else {
            Request::SessionApprove(decision)
        })?;
        self.say(if is_refused {
            "it is denied"
        } else {
            "it is allowed"
        })
    }

    /// The permission that the task's session asks for: its id and what it is.
    fn ask_of(&mut self, item: &InboxItem) -> Result<Option<(AskId, String)>, CliError> {
        let Some(task) = item.task_id else {
            return Ok(None);
        };
        let of = task.to_string();
        let detail: TaskDetail = self.client.call(Request::TaskShow(Named { of }))?;
        let ask = detail.session.and_then(|session| session.ask);
        Ok(ask
            .filter(|ask| ask.kind == AskKind::Permission && ask.answerable)
            .map(|ask| (ask.id, ask.title)))
    }

    fn tasks(&mut self) -> Result<Vec<Task>, CliError> {
        Ok(self.client.call(Request::TaskList(TaskList::default()))?)
    }

    /// Where the tasks stand, for those who have no dashboard.
    fn summary(&mut self) -> Result<(), CliError> {
        for task in self.tasks()? {
            let worktree = task.branch.as_deref().unwrap_or_default();
            let line = format!(
                "{:9}  {}  {}  {worktree}",
                task.status.word(),
                task.project,
                task.title
            );
            self.ui.raw(&terminal_safe(&line))?;
        }
        Ok(())
    }
}
