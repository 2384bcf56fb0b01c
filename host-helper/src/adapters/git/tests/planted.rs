//! Every key on whose word git starts a program, planted in every place that git reads, against every call that we make.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::adapters::git::snapshot::{self, RestoreWorktree};
use crate::adapters::git::{repository, status};

/// Keys whose value is a program.
const PROGRAMS: &[&str] = &[
    "core.fsmonitor",
    "core.sshCommand",
    "core.askPass",
    "core.editor",
    "core.pager",
    "core.gitProxy",
    "core.alternateRefsCommand",
    "sequence.editor",
    "diff.external",
    "diff.evil.command",
    "diff.evil.textconv",
    "difftool.evil.cmd",
    "merge.evil.driver",
    "mergetool.evil.cmd",
    "filter.evil.clean",
    "filter.evil.smudge",
    "filter.evil.process",
    "gpg.program",
    "gpg.ssh.program",
    "gpg.ssh.defaultKeyCommand",
    "gc.recentObjectsHook",
    "remote.origin.uploadpack",
    "remote.origin.receivepack",
    "uploadpack.packObjectsHook",
    "pager.status",
    "pager.diff",
    "pager.config",
    "interactive.diffFilter",
    "browser.evil.cmd",
    "man.evil.cmd",
    "trailer.evil.command",
    "trailer.evil.cmd",
    "sendemail.smtpServer",
    "imap.tunnel",
    "lfs.standalonetransferagent",
    "lfs.customtransfer.evil.path",
    "lfs.extension.evil.clean",
    "guitool.evil.cmd",
    "init.templateDir",
];

/// Keys whose value is a program behind a sign, or what brings the others to life.
const OTHERS: &[(&str, &str)] = &[
    ("filter.evil.required", "true"),
    ("commit.gpgSign", "true"),
    ("tag.gpgSign", "true"),
    ("log.showSignature", "true"),
    ("alias.status", "!PROGRAM"),
    ("alias.worktree", "!PROGRAM"),
    ("alias.add", "!PROGRAM"),
    ("alias.config", "!PROGRAM"),
    ("credential.helper", "!PROGRAM"),
    ("credential.https://127.0.0.1.helper", "!PROGRAM"),
    ("submodule.nested.update", "!PROGRAM"),
    ("diff.submodule", "diff"),
    ("diff.ignoreSubmodules", "none"),
    ("status.submoduleSummary", "true"),
    ("submodule.recurse", "true"),
    ("push.recurseSubmodules", "on-demand"),
    ("protocol.ext.allow", "always"),
    ("gc.auto", "1"),
];

/// Where the keys are planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// `.git/config` of the repository.
    Root,
    /// The same, with hooks in a directory of their own, and hooks of the configuration (git 2.54).
    Hooks,
    /// The configuration of the main worktree and of the new one.
    WorktreeConfig,
    /// A file that `include.path` names.
    Included,
    /// A file that a file includes that `include.path` names.
    IncludedTwice,
    /// A file that is included only in linked worktrees.
    IncludedByGitdir,
    /// A file that is included only on the branch of the task.
    IncludedByBranch,
    /// A file that is included only where there is such a remote.
    IncludedByRemote,
    /// A repository inside the worktree, in its index.
    Gitlink,
}

const PLACES: &[Place] = &[
    Place::Root,
    Place::Hooks,
    Place::WorktreeConfig,
    Place::Included,
    Place::IncludedTwice,
    Place::IncludedByGitdir,
    Place::IncludedByBranch,
    Place::IncludedByRemote,
    Place::Gitlink,
];

struct Traps {
    world: World,
    program: String,
    marker: PathBuf,
}

impl Traps {
    fn new() -> Self {
        let world = World::with_remote();
        write(
            world.repo.join(".gitattributes"),
            "*.txt filter=evil diff=evil merge=evil\n",
        );
        write(world.repo.join(".gitignore"), "*.local\n");
        world.commit(&world.repo, "attributes");
        world.raw(&world.repo, &["push", "-q", "origin", "main"]);
        let marker = world.home.join("marker");
        let program = world.home.join("evil.sh");
        fs::write(
            &program,
            format!("#!/bin/sh\necho \"$0 $@\" >> {}\ncat\n", marker.display()),
        )
        .unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Self {
            program: program.to_str().unwrap().to_owned(),
            world,
            marker,
        }
    }

    /// Writes all keys through `git config` with these arguments.
    fn write_keys(&self, cwd: &Path, arguments: &[&str]) {
        // Plain git would step into its own aliases and pagers otherwise.
        let set = |key: &str, value: &str| {
            let call = [&["config"], arguments, &[key, value]].concat();
            let done = self.world.plain(cwd, &call).run().unwrap();
            done.require_success().unwrap();
        };
        for key in PROGRAMS {
            set(key, &self.program);
        }
        for (key, value) in OTHERS {
            set(key, &value.replace("PROGRAM", &self.program));
        }
    }

    fn plant(&self, place: Place) {
        let world = &self.world;
        let repo = &world.repo;
        let file = world.home.join("planted");
        let file = file.to_str().unwrap();
        let include = |key: &str, file: &str| {
            world.raw(repo, &["config", "--local", key, file]);
        };
        match place {
            Place::Root => self.write_keys(repo, &["--local"]),
            Place::Hooks => {
                let hooks = repo.join(".git/evil-hooks");
                fs::create_dir(&hooks).unwrap();
                for hook in [
                    "post-checkout",
                    "pre-commit",
                    "post-commit",
                    "post-index-change",
                    "reference-transaction",
                    "pre-auto-gc",
                    "post-merge",
                    "pre-push",
                    "fsmonitor-watchman",
                    "post-rewrite",
                    "proc-receive",
                ] {
                    fs::copy(&self.program, hooks.join(hook)).unwrap();
                    fs::copy(&self.program, repo.join(".git/hooks").join(hook)).unwrap();
                }
                include("core.hooksPath", hooks.to_str().unwrap());
            }
            Place::WorktreeConfig => {
                include("extensions.worktreeConfig", "true");
                self.write_keys(repo, &["--worktree"]);
            }
            Place::Included => {
                self.write_keys(repo, &["--file", file]);
                include("include.path", file);
            }
            Place::IncludedTwice => {
                self.write_keys(repo, &["--file", file]);
                let between = repo.join(".git/between");
                let between = between.to_str().unwrap();
                world.raw(
                    repo,
                    &[
                        "config",
                        "--file",
                        between,
                        "includeIf.gitdir:**/worktrees/**.path",
                        file,
                    ],
                );
                // Relative to the file that names it.
                include("include.path", "between");
            }
            Place::IncludedByGitdir => {
                self.write_keys(repo, &["--file", file]);
                include("includeIf.gitdir:**/worktrees/**.path", file);
            }
            Place::IncludedByBranch => {
                self.write_keys(repo, &["--file", file]);
                include("includeIf.onbranch:task/**.path", file);
            }
            Place::IncludedByRemote => {
                self.write_keys(repo, &["--file", file]);
                include("includeIf.hasconfig:remote.*.url:**.path", file);
            }
            Place::Gitlink => {}
        }
    }

    /// A repository in the worktree with traps of its own, in the index as a gitlink.
    fn plant_gitlink(&self, worktree: &Path) {
        let nested = worktree.join("nested");
        self.world.init(&nested);
        write(nested.join(".gitattributes"), "*.txt filter=evil\n");
        self.world.commit(&nested, "attributes");
        self.world.raw(worktree, &["add", "nested"]);
        write(nested.join("file.txt"), "changed\n");
        self.write_keys(&nested, &["--local"]);
    }

    fn untouched(&self, place: Place, what: &str) {
        assert!(
            !self.marker.exists(),
            "{place:?}: {what} ran {}",
            fs::read_to_string(&self.marker).unwrap()
        );
    }

    /// Makes every call, in the order of a worktree's life; one that is refused is as good as one that runs nothing.
    fn every_call(&self, place: Place, worktree: &Path) {
        let (world, git) = (&self.world, &self.world.git);
        let done = |what: &str| self.untouched(place, what);
        drop(repository::inspect(git, &world.repo));
        done("inspect");
        drop(worktree::foresee(
            git,
            &world.repo,
            &world.root,
            "task/new",
            Some("main"),
        ));
        done("foresee");
        drop(worktree::create(git, &world.request("task/new")));
        done("create");
        for file in ["file.txt", "new.txt", "small.local"] {
            write(worktree.join(file), "changed\n");
        }
        drop(status::status(git, worktree));
        done("status");
        drop(status::diff_stat(git, worktree, "HEAD"));
        done("diff_stat");
        drop(status::diff_text(git, worktree, "HEAD"));
        done("diff_text");
        drop(repository::is_tracked(git, worktree, "file.txt"));
        done("is_tracked");
        let request = world.removal_of(worktree);
        drop(remove::preview(git, &request));
        done("preview");
        let removed = remove::remove(git, &request);
        done("remove");
        drop(snapshot::list(git, &world.repo));
        done("list");
        if let Ok(Removal {
            snapshot_ref: Some(full),
            ..
        }) = removed
        {
            drop(snapshot::restore(
                git,
                &RestoreWorktree {
                    repo: world.repo.clone(),
                    worktrees_root: world.root.clone(),
                    path: world.root.join("back"),
                    snapshot_ref: full.clone(),
                },
            ));
            done("restore");
            drop(snapshot::delete(git, &world.repo, &full));
            done("delete");
        }
    }
}

#[test]
fn no_key_in_no_place_is_run_by_any_call() {
    for place in PLACES {
        let traps = Traps::new();
        // Made before the agent began to plant.
        let tree = traps.world.create("task/x");
        traps.plant(*place);
        match place {
            Place::WorktreeConfig => traps.write_keys(&tree.path, &["--worktree"]),
            Place::Gitlink => traps.plant_gitlink(&tree.path),
            _ => {}
        }
        drop(fs::remove_file(&traps.marker));
        traps.every_call(*place, &tree.path);
    }
}

#[test]
fn the_traps_do_catch_plain_git() {
    for place in PLACES {
        let traps = Traps::new();
        let tree = traps.world.create("task/x");
        traps.plant(*place);
        match place {
            Place::WorktreeConfig => traps.write_keys(&tree.path, &["--worktree"]),
            Place::Gitlink => traps.plant_gitlink(&tree.path),
            _ => {}
        }
        drop(fs::remove_file(&traps.marker));
        write(tree.path.join("file.txt"), "changed\n");
        drop(traps.world.plain(&tree.path, &["add", "--all"]).run());
        assert!(traps.marker.exists(), "{place:?}");
    }
}

#[test]
fn a_program_where_it_cannot_be_overridden_is_named_and_git_is_not_run() {
    let world = World::new();
    let refused = || match repository::inspect(&world.git, &world.repo).unwrap_err() {
        GitError::NamesProgram { keys, .. } => keys,
        error => panic!("{error}"),
    };
    world.raw(&world.repo, &["config", "hook.evil.command", "x"]);
    assert_eq!(refused(), ["hook.evil.command"]);
    world.raw(&world.repo, &["config", "--remove-section", "hook.evil"]);
    let shared = world.repo.join(".gitconfig");
    // What only git's own commands read is nobody's concern here.
    write(
        shared.clone(),
        "[alias]\nco = checkout\n[core]\nautocrlf = false\n",
    );
    world.raw(&world.repo, &["config", "include.path", "../.gitconfig"]);
    repository::inspect(&world.git, &world.repo).unwrap();
    write(shared, "[filter \"strip\"]\nclean = strip\n");
    assert_eq!(refused(), ["filter.strip.clean"]);
    // The user has the very same in a file of their own.
    let own = world.home.join("gitconfig");
    let text = format!("{}[filter \"strip\"]\nclean = strip\n", read(own.clone()));
    write(own, &text);
    repository::inspect(&world.git, &world.repo).unwrap();
}

#[test]
fn a_filter_runs_where_the_user_allowed_it_in_just_these_words() {
    let world = World::new();
    write(world.repo.join(".gitattributes"), "*.up filter=upper\n");
    write(world.repo.join("a.up"), "word\n");
    world.commit(&world.repo, "up");
    world.raw(
        &world.repo,
        &["config", "filter.upper.smudge", "tr a-z A-Z"],
    );
    let tree = world.create("task/none");
    assert_eq!(read(tree.path.join("a.up")), "word\n");
    assert!(tree.notes[0].starts_with("git filter upper of the repository is not run"));
    let mut allowing = world
        .git
        .clone()
        .allowing(vec![("filter.upper.smudge".into(), "tr a-z A-Z".into())]);
    let tree = worktree::create(&allowing, &world.request("task/allowed")).unwrap();
    assert_eq!(
        (read(tree.path.join("a.up")).as_str(), tree.notes.len()),
        ("WORD\n", 0)
    );
    // Another word, or one more key, ends it.
    world.raw(&world.repo, &["config", "filter.upper.clean", "tr A-Z a-z"]);
    let tree = worktree::create(&allowing, &world.request("task/more")).unwrap();
    assert_eq!(read(tree.path.join("a.up")), "word\n");
    allowing = allowing.allowing(vec![("filter.upper.smudge".into(), "other".into())]);
    let tree = worktree::create(&allowing, &world.request("task/other")).unwrap();
    assert_eq!(read(tree.path.join("a.up")), "word\n");
}
