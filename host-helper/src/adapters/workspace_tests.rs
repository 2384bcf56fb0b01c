use std::path::{Path, PathBuf};

use super::*;
use crate::adapters::process::Invocation;

struct World {
    top: PathBuf,
    workspace: GitWorkspace,
    _directory: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("temp dir");
        let top = directory.path().canonicalize().expect("real");
        fs::create_dir(top.join("shop")).expect("made");
        let config = top.join("gitconfig");
        fs::write(
            &config,
            "[user]\nname = T\nemail = t@t\n[init]\ndefaultBranch = main\n",
        )
        .expect("written");
        let git = Git::new()
            .with_env("HOME", &top)
            .with_env("XDG_CONFIG_HOME", &top)
            .with_env("GIT_CONFIG_GLOBAL", &config)
            .with_env("GIT_CONFIG_NOSYSTEM", "1");
        let settings = WorkspaceSettings {
            keep_ignored: KeepLimits::default(),
            root: top.join("worktrees"),
            copy: Vec::new(),
            symlink: Vec::new(),
            fetch: true,
            brief_in_file: false,
        };
        let world = Self {
            workspace: GitWorkspace::new(git, settings, top.join("claude.md")),
            top,
            _directory: directory,
        };
        world.raw(&["init", "-q"]);
        fs::write(world.repository().join("file.txt"), "one\n").expect("written");
        world.raw(&["add", "-A"]);
        world.raw(&["commit", "-q", "-m", "first"]);
        world
    }

    fn removal_of(&self, path: &Path) -> RemovalOrder {
        RemovalOrder {
            repository: self.repository(),
            path: path.to_owned(),
            snapshot: "s1".to_owned(),
            shown: None,
        }
    }

    fn repository(&self) -> PathBuf {
        self.top.join("shop")
    }

    fn raw(&self, arguments: &[&str]) {
        let run = Invocation::new("git")
            .args(arguments)
            .cwd(self.repository())
            .env_clear_except(["PATH"])
            .env("HOME", &self.top)
            .env("GIT_CONFIG_GLOBAL", self.top.join("gitconfig"))
            .env("GIT_CONFIG_NOSYSTEM", "1");
        run.run()
            .and_then(crate::adapters::process::Finished::require_success)
            .expect("git");
    }

    fn prepare(&self, branch: &str) -> WorktreeFacts {
        let order = WorktreeOrder {
            repository: self.repository(),
            project: "shop".into(),
            branch: branch.into(),
            base: None,
        };
        self.workspace.prepare(&order).expect("worktree")
    }
}

#[test]
fn a_worktree_is_made_used_again_kept_and_brought_back() {
    let world = World::new();
    let facts = world
        .workspace
        .inspect(&world.repository())
        .expect("repository");
    assert_eq!(
        (facts.root, facts.default_branch.as_str()),
        (world.repository(), "main")
    );
    let branch = world.workspace.branch_for("Fix auth!", Uuid::nil());
    let made = world.prepare(&branch);
    assert_eq!(made.path, world.top.join("worktrees/shop").join(&branch));
    assert_eq!((made.base.as_str(), made.reused), ("main", false));
    assert!(world.prepare(&branch).reused);
    fs::write(made.path.join("file.txt"), "one\ntwo\n").expect("written");
    let diff = world
        .workspace
        .diff(&made.path, &made.base_commit)
        .expect("diff");
    assert_eq!(
        diff,
        DiffFacts {
            files: 1,
            added: 1,
            removed: 0
        }
    );
    let removed = world
        .workspace
        .remove(&world.removal_of(&made.path))
        .expect("removed");
    let snapshot = removed.snapshot.expect("kept");
    assert!(!made.path.exists());
    let again = world.workspace.remove(&world.removal_of(&made.path));
    // Done again, because nobody learned of it, it still tells what was kept.
    assert_eq!(again.expect("gone").snapshot.as_ref(), Some(&snapshot));
    let path = world
        .workspace
        .restore(&world.repository(), &made.path, &snapshot)
        .expect("restored");
    assert_eq!(
        fs::read_to_string(path.join("file.txt")).expect("read"),
        "one\ntwo\n"
    );
}

#[test]
fn only_a_tasks_own_branch_goes_with_its_worktree() {
    let world = World::new();
    let branch = world.workspace.branch_for("Fix auth", Uuid::nil());
    for (branch, goes) in [(branch.as_str(), true), ("feature/mine", false)] {
        let made = world.prepare(branch);
        let removed = world
            .workspace
            .remove(&world.removal_of(&made.path))
            .expect("removed");
        assert_eq!(removed.branch_deleted, goes, "{branch}");
    }
}

#[test]
fn refusals_carry_advice() {
    let world = World::new();
    let error = world
        .workspace
        .inspect(Path::new("/nowhere"))
        .expect_err("missing");
    assert!(error.message.contains("/nowhere") && error.hint.is_some() && !error.passing);
    assert!(world.workspace.check_branch("../x").is_err());
    let order = |project: &str, branch: &str| WorktreeOrder {
        repository: world.repository(),
        project: project.into(),
        branch: branch.into(),
        base: None,
    };
    assert!(world.workspace.prepare(&order("..", "x")).is_err());
    assert!(world.workspace.prepare(&order("shop", "/etc/x")).is_err());
}

#[test]
fn the_brief_is_the_users_then_the_projects_and_never_through_a_link() {
    let world = World::new();
    let worktree = world.prepare("one").path;
    let brief = || world.workspace.brief(&world.repository(), &worktree);
    assert_eq!(brief(), Brief::default());
    fs::write(world.top.join("claude.md"), "mine\n").expect("written");
    let project = world.repository().join(".claustre");
    fs::create_dir(&project).expect("made");
    fs::write(project.join("claude.md"), "theirs").expect("written");
    assert_eq!(brief().prompt.as_deref(), Some("mine\n\ntheirs"));
    assert!(!worktree.join("CLAUDE.local.md").exists());
    fs::remove_file(project.join("claude.md")).expect("removed");
    std::os::unix::fs::symlink(world.top.join("gitconfig"), project.join("claude.md"))
        .expect("linked");
    assert_eq!(brief().prompt.as_deref(), Some("mine"));
}

#[test]
fn a_long_brief_or_one_that_is_wanted_so_is_in_a_file_that_git_ignores() {
    let mut world = World::new();
    let worktree = world.prepare("one").path;
    let file = worktree.join("CLAUDE.local.md");
    fs::write(world.repository().join("CLAUDE.local.md"), "the user's\n").expect("written");
    fs::write(world.top.join("claude.md"), "x".repeat(200_000)).expect("written");
    let brief = world.workspace.brief(&world.repository(), &worktree);
    assert!(brief.prompt.is_none() && brief.notes[0].contains("too long"));
    let text = fs::read_to_string(&file).expect("there");
    assert!(text.starts_with("the user's\n") && text.len() > 200_000);
    fs::write(world.top.join("claude.md"), "short").expect("written");
    let brief = world.workspace.brief(&world.repository(), &worktree);
    assert_eq!(brief.prompt.as_deref(), Some("short"));
    assert_eq!(fs::read_to_string(&file).expect("there"), "the user's\n");
    world.workspace.settings.brief_in_file = true;
    let brief = world.workspace.brief(&world.repository(), &worktree);
    assert_eq!(brief, Brief::default());
    assert!(
        fs::read_to_string(&file)
            .expect("there")
            .contains("\nshort\n")
    );
    let status = status::status(&world.workspace.git, &worktree).expect("status");
    assert_eq!((status.dirty_files, status.untracked), (0, 0));

    // One that the repository tracks is its own.
    world.raw(&["add", "--force", "CLAUDE.local.md"]);
    world.raw(&["commit", "-q", "-m", "tracked"]);
    let tracked = world.prepare("two").path;
    let brief = world.workspace.brief(&world.repository(), &tracked);
    assert_eq!(brief.prompt.as_deref(), Some("short"));
    assert!(brief.notes[0].contains("one of its own"), "{brief:?}");
    assert_eq!(
        fs::read_to_string(tracked.join("CLAUDE.local.md")).expect("there"),
        "the user's\n"
    );
}
