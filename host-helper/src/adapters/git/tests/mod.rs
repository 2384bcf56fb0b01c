//! Real git in a directory of its own, with its own HOME.

use std::fs;
use std::path::{Path, PathBuf};

use super::remove::{Removal, RemoveWorktree};
use super::worktree::{self, CreateWorktree, Worktree};
use super::{Git, GitError, KeepLimits, remove};
use crate::adapters::process::Invocation;

mod attack;
mod create;
mod ignored;
mod inspect;
mod planted;
mod removal;

/// A directory with a repository `shop` (one commit on `main`), and a place for worktrees.
struct World {
    _dir: tempfile::TempDir,
    home: PathBuf,
    repo: PathBuf,
    root: PathBuf,
    git: Git,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        let home = top.join("home");
        fs::create_dir(&home).unwrap();
        fs::write(
            home.join("gitconfig"),
            "[user]\nname = T\nemail = t@t\n[init]\ndefaultBranch = main\n[protocol \"file\"]\nallow = always\n",
        )
        .unwrap();
        let git = Git::new()
            .with_env("HOME", &home)
            .with_env("XDG_CONFIG_HOME", &home)
            .with_env("GIT_CONFIG_GLOBAL", home.join("gitconfig"))
            .with_env("GIT_CONFIG_NOSYSTEM", "1");
        let world = Self {
            repo: top.join("shop"),
            root: top.join("worktrees"),
            home,
            git,
            _dir: dir,
        };
        world.init(&world.repo);
        world
    }

    /// A world whose repository has a remote `origin` that has `main`.
    fn with_remote() -> Self {
        let world = Self::new();
        world.raw(&world.home, &["init", "-q", "--bare", "origin.git"]);
        let origin = world.origin();
        world.raw(
            &world.repo,
            &["remote", "add", "origin", origin.to_str().unwrap()],
        );
        world.raw(&world.repo, &["push", "-q", "-u", "origin", "main"]);
        world
    }

    fn origin(&self) -> PathBuf {
        self.home.join("origin.git")
    }

    fn init(&self, path: &Path) {
        fs::create_dir_all(path).unwrap();
        self.raw(path, &["init", "-q"]);
        fs::write(path.join("file.txt"), "one\ntwo\n").unwrap();
        self.commit(path, "first");
    }

    fn commit(&self, path: &Path, message: &str) -> String {
        self.raw(path, &["add", "-A"]);
        self.raw(path, &["commit", "-q", "--allow-empty", "-m", message]);
        self.raw(path, &["rev-parse", "HEAD"])
    }

    /// Plain git, as a user or an agent would run it.
    fn raw(&self, cwd: &Path, args: &[&str]) -> String {
        let finished = self.plain(cwd, args).run().unwrap();
        finished
            .require_success()
            .unwrap()
            .stdout_text()
            .trim()
            .to_owned()
    }

    fn plain(&self, cwd: &Path, args: &[&str]) -> Invocation {
        Invocation::new("git")
            .args(args)
            .cwd(cwd)
            .env_clear_except(["PATH"])
            .env("HOME", &self.home)
            .env("GIT_CONFIG_GLOBAL", self.home.join("gitconfig"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("LC_ALL", "C")
    }

    fn request(&self, branch: &str) -> CreateWorktree {
        CreateWorktree {
            repo: self.repo.clone(),
            worktrees_root: self.root.clone(),
            path: self.root.join("shop").join(branch),
            branch: branch.to_owned(),
            base: None,
            fetch: true,
            copy: Vec::new(),
            symlink: Vec::new(),
            exclude: Vec::new(),
        }
    }

    fn create(&self, branch: &str) -> Worktree {
        worktree::create(&self.git, &self.request(branch)).unwrap()
    }

    fn removal_of(&self, path: &Path) -> RemoveWorktree {
        RemoveWorktree {
            repo: self.repo.clone(),
            worktrees_root: self.root.clone(),
            path: path.to_owned(),
            snapshot_name: "shop/s1".into(),
            limits: KeepLimits::default(),
            ours: Vec::new(),
            shown: None,
            delete_merged_branch: true,
        }
    }

    fn remove(&self, path: &Path) -> Result<Removal, GitError> {
        remove::remove(&self.git, &self.removal_of(path))
    }

    fn has_branch(&self, branch: &str) -> bool {
        !self
            .raw(&self.repo, &["branch", "--list", branch])
            .is_empty()
    }
}

fn write(path: PathBuf, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn read(path: PathBuf) -> String {
    fs::read_to_string(path).unwrap()
}
