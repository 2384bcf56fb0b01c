use std::os::unix::fs::PermissionsExt as _;

use claustre_protocol::{ids::SessionId, time::Timestamp};

use super::*;
use crate::{adapters::process::Invocation, trust::collect};

struct World {
    top: PathBuf,
    order: ScriptOrder,
    runner: ScriptRunner,
    _directory: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self::with(&[], Duration::from_secs(20))
    }

    fn with(setup: &[&str], limit: Duration) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let top = directory.path().canonicalize().unwrap();
        let paths = Paths::at(top.join("home")).unwrap();
        let session = SessionId::new(uuid::Uuid::from_u128(7));
        for folder in [paths.session(session), top.join("shop")] {
            fs::create_dir_all(folder).unwrap();
        }
        let world = Self {
            order: ScriptOrder {
                session,
                repository: top.join("shop"),
                project: "shop".into(),
                worktree: top.join("work tree"),
                branch: "task/one".into(),
                base: "main".into(),
            },
            runner: ScriptRunner::new(
                paths,
                ScriptSettings {
                    setup: setup.iter().map(|word| (*word).to_owned()).collect(),
                    teardown: Vec::new(),
                    limit,
                },
            ),
            top,
            _directory: directory,
        };
        world.git("shop", &["init", "-q", "-b", "main"]);
        world.git("shop", &["commit", "-q", "--allow-empty", "-m", "first"]);
        world.git(
            "shop",
            &["worktree", "add", "-q", "-b", "one", "../work tree"],
        );
        world
    }

    fn git(&self, folder: &str, arguments: &[&str]) -> String {
        self.git_with(folder, arguments, &[])
    }

    fn git_with(&self, folder: &str, arguments: &[&str], env: &[(String, String)]) -> String {
        let mut run = Invocation::new("git")
            .args(arguments)
            .cwd(self.top.join(folder))
            .env_clear_except(["PATH"])
            .env("HOME", &self.top)
            .env("GIT_CONFIG_NOSYSTEM", "1");
        for role in ["AUTHOR", "COMMITTER"] {
            run = run
                .env(format!("GIT_{role}_NAME"), "T")
                .env(format!("GIT_{role}_EMAIL"), "t@t");
        }
        for (name, value) in env {
            run = run.env(name, value);
        }
        let finished = run.run().unwrap();
        format!("{}{}", finished.stdout_text(), finished.stderr_tail())
    }

    /// Writes a file below the folder of the test.
    fn put(&self, path: &str, text: &str) {
        let path = self.top.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn trust(&self) {
        let files = collect(&self.order.repository).unwrap();
        let place = Place::find(&self.order.repository).unwrap();
        TrustStore::new(self.runner.paths.trust())
            .trust(&place, &files, Timestamp::from_millis(1))
            .unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.top.join(path)).unwrap_or_default()
    }

    /// Runs the setup as a new launch would.
    fn setup(&self) -> Result<Vec<String>, ScriptFailure> {
        fs::remove_file(
            self.runner
                .paths
                .session(self.order.session)
                .join("setup.done"),
        )
        .ok();
        self.runner.setup(&self.order)
    }

    fn log(&self) -> String {
        let log = self.runner.paths.session(self.order.session);
        fs::read_to_string(log.join("setup.log")).unwrap_or_default()
    }
}

#[test]
fn the_users_script_runs_in_the_worktree_with_little_around_it_and_once() {
    let world = World::with(&["touch", "by-configuration"], Duration::from_secs(20));
    world.put(
        "home/hooks/setup",
        "#!/bin/sh\nenv | grep ^CLAUSTRE_ | sort\necho \"$TERM ${CARGO:-no}\"; printf 'col\\033[31mour\\n'; pwd >> ran\n",
    );
    assert_eq!(world.setup(), Ok(Vec::new()));
    let worktree = world.order.worktree.display().to_string();
    assert_eq!(
        world.log(),
        format!(
            "$ {}\nCLAUSTRE_BASE=main\nCLAUSTRE_BRANCH=task/one\nCLAUSTRE_PROJECT=shop\nCLAUSTRE_WORKTREE={worktree}\ndumb no\ncolour\n$ touch by-configuration\n",
            world.top.join("home/hooks/setup").display()
        )
    );
    assert_eq!(world.runner.setup(&world.order), Ok(Vec::new()));
    assert_eq!(world.read("work tree/ran"), format!("{worktree}\n"));
    assert!(world.order.worktree.join("by-configuration").exists());
}

#[test]
fn a_failing_script_tells_its_last_lines_and_a_slow_one_is_stopped() {
    let world = World::with(&[], Duration::from_millis(300));
    world.put(
        "home/hooks/setup",
        "#!/bin/sh\nfor i in 1 2 3 4 5; do echo line $i; done\nexit 3\n",
    );
    let failure = world.setup().unwrap_err();
    let message = &failure.error.message;
    assert!(
        message.ends_with("hooks/setup: exit code 3: line 3 | line 4 | line 5"),
        "{message}"
    );
    assert!(failure.error.hint.unwrap().contains("setup.log"));
    assert_eq!(failure.tail.lines().count(), 5);
    world.put("home/hooks/setup", "#!/bin/sh\nexec sleep 60\n");
    let failure = world.setup().unwrap_err();
    assert!(
        failure.error.message.contains("no end within"),
        "{failure:?}"
    );
    assert!(world.order.worktree.exists());
}

#[test]
fn a_repositorys_script_runs_only_while_trusted_and_never_from_a_worktree() {
    let world = World::new();
    world.put("home/hooks/setup", "#!/bin/sh\necho global >> ran\n");
    world.put(
        "shop/.claustre/hooks/setup",
        "#!/bin/sh\necho project >> ran; . \"${0%/*}/part\"\n",
    );
    world.put("shop/.claustre/hooks/part", "echo part >> ran\n");
    world.put(
        "shop/.claustre/config.toml",
        "[worktrees]\nsetup = [\"sh\", \".claustre/hooks/part\"]\n",
    );
    // What the agent's worktree says about itself counts for nothing.
    world.put("work tree/.claustre/hooks/part", "echo evil >> ran\n");
    let notes = world.setup().unwrap();
    assert!(notes[0].contains("are not trusted") && notes[0].contains("claustre trust"));
    assert_eq!(world.read("work tree/ran"), "global\n");

    world.trust();
    assert_eq!(world.setup(), Ok(Vec::new()));
    assert_eq!(world.read("work tree/ran"), "global\nproject\npart\npart\n");

    world.put("shop/.claustre/hooks/part", "echo changed >> ran\n");
    let notes = world.setup().unwrap();
    assert!(
        notes[0].contains("changed since they were trusted"),
        "{notes:?}"
    );
    assert!(world.read("work tree/ran").ends_with("part\nglobal\n"));
}

#[test]
fn a_program_of_the_worktree_is_no_script() {
    let world = World::with(&["./setup.sh"], Duration::from_secs(20));
    world.put("work tree/setup.sh", "#!/bin/sh\ntouch ran\n");
    let failure = world.setup().unwrap_err();
    assert!(
        failure
            .error
            .message
            .contains("not looked for in the worktree")
    );
    assert!(!world.order.worktree.join("ran").exists());
}

#[test]
fn a_configuration_that_needs_no_trust_is_not_spoken_of() {
    let world = World::new();
    world.put(
        "shop/.claustre/config.toml",
        "[defaults]\nmodel = \"opus\"\n",
    );
    assert_eq!(world.setup(), Ok(Vec::new()));
    assert_eq!(
        world.runner.git_hooks(&world.order),
        Ok(GitHooks::default())
    );
}

#[test]
fn the_teardown_runs_in_a_worktree_and_not_behind_a_link() {
    let world = World::new();
    world.put("home/hooks/teardown", "#!/bin/sh\ntouch torn\n");
    let mut order = world.order.clone();
    std::os::unix::fs::symlink(world.top.join("shop"), world.top.join("link")).unwrap();
    for (worktree, runs) in [("gone", false), ("link", false), ("work tree", true)] {
        order.worktree = world.top.join(worktree);
        assert_eq!(world.runner.teardown(&order), Ok(Vec::new()));
        assert_eq!(order.worktree.join("torn").exists(), runs, "{worktree}");
    }
    assert!(!world.top.join("shop/torn").exists());
}

/// What the hooks wrote, one line each.
fn commit(world: &World, message: &str) -> String {
    fs::remove_file(world.top.join("ran")).ok();
    let hooks = world.runner.git_hooks(&world.order).unwrap();
    world.git_with(
        "work tree",
        &["commit", "-q", "--allow-empty", "-m", message],
        &hooks.env,
    );
    world.read("ran").replace('\n', " ")
}

#[test]
fn a_sessions_git_runs_ours_and_then_the_repositorys_own() {
    let world = World::new();
    let ran = world.top.join("ran").display().to_string();
    let says = |what: &str| format!("#!/bin/sh\necho {what} >> {ran}\n");
    world.put("shop/.git/hooks/pre-commit", &says("own-pre-commit"));
    world.put("shop/.git/hooks/post-commit", &says("own-post-commit"));
    assert_eq!(world.runner.git_hooks(&world.order).unwrap().env, []);

    world.put("home/hooks/pre-commit", &says("global-pre-commit"));
    world.put("home/hooks/commit-msg", &says("global-commit-msg"));
    world.put(
        "shop/.claustre/hooks/pre-commit",
        &says("project-pre-commit"),
    );
    assert_eq!(
        commit(&world, "one"),
        "global-pre-commit own-pre-commit global-commit-msg own-post-commit "
    );
    world.trust();
    assert_eq!(
        commit(&world, "two"),
        "project-pre-commit own-pre-commit global-commit-msg own-post-commit "
    );
    // The user, outside of a session, has none of it.
    fs::remove_file(&ran).unwrap();
    world.git(
        "work tree",
        &["commit", "-q", "--allow-empty", "-m", "user"],
    );
    assert_eq!(world.read("ran"), "own-pre-commit\nown-post-commit\n");

    // A directory that the repository names itself, relative as hook managers write it.
    world.put("work tree/.husky/pre-commit", &says("husky-pre-commit"));
    world.git("shop", &["config", "core.hooksPath", ".husky"]);
    assert_eq!(
        commit(&world, "three"),
        "project-pre-commit husky-pre-commit global-commit-msg "
    );

    // Ours refuses: nothing is committed, and the repository's own is not asked.
    world.put(
        "home/hooks/commit-msg",
        "#!/bin/sh\ngrep -q ticket \"$1\"\n",
    );
    let before = world.git("work tree", &["rev-parse", "HEAD"]);
    commit(&world, "none");
    assert_eq!(world.git("work tree", &["rev-parse", "HEAD"]), before);
    commit(&world, "ticket 1");
    assert_ne!(world.git("work tree", &["rev-parse", "HEAD"]), before);
}

#[test]
fn both_hooks_read_what_git_says_on_standard_input() {
    let world = World::new();
    let reads = |what: &str| {
        format!(
            "#!/bin/sh\nread local rest\necho {what} $local >> {}/ran\n",
            world.top.display()
        )
    };
    world.put("shop/.git/hooks/pre-push", &reads("own"));
    world.put("home/hooks/pre-push", &reads("ours"));
    world.git(".", &["init", "-q", "--bare", "remote.git"]);
    let hooks = world.runner.git_hooks(&world.order).unwrap();
    world.git_with(
        "work tree",
        &["push", "-q", "../remote.git", "HEAD:refs/heads/x"],
        &hooks.env,
    );
    assert_eq!(world.read("ran"), "ours HEAD\nown HEAD\n");
}
