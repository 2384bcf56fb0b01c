use super::*;
use crate::adapters::git::snapshot::{self, RestoreWorktree};

fn restore(world: &World, snapshot_ref: &str) -> snapshot::Restored {
    let request = RestoreWorktree {
        repo: world.repo.clone(),
        worktrees_root: world.root.clone(),
        path: world.root.join("shop/back"),
        snapshot_ref: snapshot_ref.into(),
    };
    snapshot::restore(&world.git, &request).unwrap()
}

#[test]
fn a_clean_pushed_worktree_goes_with_its_merged_branch() {
    let world = World::with_remote();
    let tree = world.create("task/x");
    let removal = world.remove(&tree.path).unwrap();
    assert_eq!((removal.snapshot_ref, removal.branch_deleted), (None, true));
    assert!(!tree.path.exists() && !world.has_branch("task/x"));
    // Once more is no error.
    assert_eq!(world.remove(&tree.path).unwrap(), Removal::default());
    assert_eq!(snapshot::list(&world.git, &world.repo).unwrap(), []);
}

#[test]
fn dirty_work_is_kept_and_comes_back_as_it_was() {
    let world = World::with_remote();
    write(world.repo.join("gone.txt"), "x");
    write(world.repo.join(".gitignore"), "ignored\n");
    world.commit(&world.repo, "more");
    world.raw(&world.repo, &["push", "-q"]);
    let tree = world.create("task/x");
    let head = world.commit(&tree.path, "unpushed");
    write(tree.path.join("file.txt"), "changed\n");
    write(tree.path.join("dir/new \u{1b} file"), "untracked");
    write(tree.path.join("staged.txt"), "staged");
    world.raw(&tree.path, &["add", "staged.txt"]);
    fs::remove_file(tree.path.join("gone.txt")).unwrap();
    write(tree.path.join("ignored"), "i");
    fs::write(tree.path.join("bin"), [0_u8, 255, 13, 10]).unwrap();
    let before = world
        .raw(&tree.path, &["status", "--porcelain=v1", "-uall"])
        .replace("A  ", "?? ");

    let removal = world.remove(&tree.path).unwrap();
    let full = removal.snapshot_ref.unwrap();
    assert_eq!(
        (full.as_str(), removal.branch_deleted),
        ("refs/claustre/trash/shop/s1", false)
    );
    assert!(!tree.path.exists() && world.has_branch("task/x"));
    let all = snapshot::list(&world.git, &world.repo).unwrap();
    assert_eq!(
        (all.len(), all[0].dirty, all[0].head.as_ref()),
        (1, true, Some(&head))
    );
    assert_eq!(all[0].branch.as_deref(), Some("task/x"));

    let back = restore(&world, &full);
    assert_eq!((back.branch.as_str(), back.notes.len()), ("task/x", 0));
    assert_eq!(world.raw(&back.path, &["rev-parse", "HEAD"]), head);
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
        lines.sort();
        lines
    };
    let after = world.raw(&back.path, &["status", "--porcelain=v1", "-uall"]);
    assert_eq!(sorted(&after), sorted(&before));
    assert_eq!(read(back.path.join("dir/new \u{1b} file")), "untracked");
    assert_eq!(fs::read(back.path.join("bin")).unwrap(), [0, 255, 13, 10]);
    assert_eq!(read(back.path.join("ignored")), "i");

    snapshot::delete(&world.git, &world.repo, &full).unwrap();
    assert!(matches!(
        snapshot::delete(&world.git, &world.repo, "refs/heads/main"),
        Err(GitError::NoSnapshot(_))
    ));
    assert!(world.has_branch("main"));
}

#[test]
fn unpushed_commits_survive_the_branch() {
    let world = World::with_remote();
    let tree = world.create("task/x");
    write(tree.path.join("work.txt"), "work");
    let head = world.commit(&tree.path, "work");
    let full = world.remove(&tree.path).unwrap().snapshot_ref.unwrap();
    world.raw(&world.repo, &["branch", "-q", "-D", "task/x"]);
    let back = restore(&world, &full);
    assert_eq!(
        (
            back.branch.as_str(),
            world.raw(&back.path, &["rev-parse", "HEAD"])
        ),
        ("task/x", head)
    );
    assert_eq!(world.raw(&back.path, &["status", "--porcelain"]), "");
}

#[test]
fn a_branch_that_moved_on_is_not_touched_by_a_restore() {
    let world = World::new();
    let tree = world.create("task/x");
    write(tree.path.join("new.txt"), "n");
    let full = world.remove(&tree.path).unwrap().snapshot_ref.unwrap();
    // Without a commit of its own the branch was merged, so it went; now it is somebody else's.
    world.raw(&world.repo, &["checkout", "-q", "-B", "task/x"]);
    let other = world.commit(&world.repo, "other");
    let back = restore(&world, &full);
    assert_eq!(
        (back.branch.as_str(), back.notes.len()),
        ("task/x-restored-1", 1)
    );
    assert_eq!(read(back.path.join("new.txt")), "n");
    assert_eq!(world.raw(&world.repo, &["rev-parse", "task/x"]), other);
}

#[test]
fn hidden_staged_and_conflicted_content_is_kept_too() {
    let world = World::new();
    write(world.repo.join("hidden.txt"), "h");
    world.commit(&world.repo, "hidden");
    let tree = world.create("task/x");
    world.raw(
        &tree.path,
        &["update-index", "--assume-unchanged", "hidden.txt"],
    );
    write(tree.path.join("hidden.txt"), "changed behind git's back");
    write(tree.path.join("file.txt"), "only staged\n");
    world.raw(&tree.path, &["add", "file.txt"]);
    write(tree.path.join("file.txt"), "one\ntwo\n");
    let full = world.remove(&tree.path).unwrap().snapshot_ref.unwrap();
    let show = |what: &str| world.raw(&world.repo, &["show", &format!("{full}{what}")]);
    assert_eq!(show(":hidden.txt"), "changed behind git's back");
    assert_eq!(show("^2:file.txt"), "only staged");

    let tree = world.create("task/y");
    write(tree.path.join("file.txt"), "ours\n");
    world.commit(&tree.path, "ours");
    write(world.repo.join("file.txt"), "theirs\n");
    world.commit(&world.repo, "theirs");
    assert!(
        !world
            .plain(&tree.path, &["merge", "main"])
            .run()
            .unwrap()
            .success()
    );
    let removal = world.remove(&tree.path).unwrap();
    assert!(
        removal.notes[0].starts_with("a merge was under way"),
        "{:?}",
        removal.notes
    );
    // The name of the first snapshot was taken by other content.
    assert_eq!(
        removal.snapshot_ref.as_deref(),
        Some("refs/claustre/trash/shop/s1-2")
    );
    let kept = world.raw(
        &world.repo,
        &["show", "refs/claustre/trash/shop/s1-2:file.txt"],
    );
    assert!(
        kept.contains("<<<<<<<") && kept.contains("theirs"),
        "{kept}"
    );
}

#[test]
fn an_interrupted_removal_is_taken_up_again() {
    let world = World::new();
    let tree = world.create("task/x");
    write(tree.path.join("new.txt"), "n");
    let admin = remove::admin_dir(&tree.path).unwrap();
    // As it stands after HEAD and index were set to the snapshot.
    let content = snapshot::read_content(&world.git, &tree.path, &admin).unwrap();
    let head = crate::adapters::git::repository::head(&world.git, &tree.path).unwrap();
    let (full, commit) = snapshot::keep(
        &world.git,
        &tree.path,
        "shop/s1",
        &content,
        head.as_ref(),
        Some("task/x"),
    )
    .unwrap();
    remove::stand_on(&world.git, &tree.path, &admin, &commit, &content.index).unwrap();
    assert_eq!(world.raw(&tree.path, &["status", "--porcelain"]), "");
    write(tree.path.join("later.txt"), "written after the crash");

    // Git had begun to delete.
    fs::remove_file(tree.path.join("file.txt")).unwrap();

    let removal = world.remove(&tree.path).unwrap();
    let again = removal.snapshot_ref.unwrap();
    assert_eq!(again, full, "one removal, one snapshot");
    assert_eq!(snapshot::list(&world.git, &world.repo).unwrap().len(), 1);
    let back = restore(&world, &again);
    assert_eq!(back.branch, "task/x");
    assert_eq!(read(back.path.join("later.txt")), "written after the crash");
    assert_eq!(read(back.path.join("new.txt")), "n");
    assert_eq!(read(back.path.join("file.txt")), "one\ntwo\n");
}

#[test]
fn a_removal_of_which_nobody_learned_still_tells_its_snapshot() {
    let world = World::new();
    let tree = world.create("task/x");
    write(tree.path.join("new.txt"), "n");
    let first = world.remove(&tree.path).unwrap();
    assert!(first.snapshot_ref.is_some());
    let again = world.remove(&tree.path).unwrap();
    assert_eq!(again.snapshot_ref, first.snapshot_ref);
}

#[test]
fn a_failed_removal_leaves_no_snapshot_and_the_worktree_as_it_was() {
    let world = World::new();
    let tree = world.create("task/x");
    write(tree.path.join("new.txt"), "n");
    let before = world.raw(&tree.path, &["status", "--porcelain", "--branch"]);
    // Git refuses to remove it only at the last step.
    let stubborn = world.home.join("git");
    fs::write(
        &stubborn,
        "#!/bin/sh\nfor word in \"$@\"; do\n  [ \"$word\" = remove ] && exit 1\ndone\nexec git \"$@\"\n",
    )
    .unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&stubborn, mode).unwrap();
    let git = world.git.clone().with_program(&stubborn);
    for _ in 0..2 {
        remove::remove(&git, &world.removal_of(&tree.path)).unwrap_err();
        assert_eq!(snapshot::list(&world.git, &world.repo).unwrap(), []);
        let after = world.raw(&tree.path, &["status", "--porcelain", "--branch"]);
        assert_eq!(after, before);
    }
    let kept = world.remove(&tree.path).unwrap().snapshot_ref;
    assert_eq!(kept.as_deref(), Some("refs/claustre/trash/shop/s1"));
}

#[test]
fn a_file_changed_after_the_snapshot_stops_the_removal_and_all_is_as_before() {
    let world = World::new();
    let tree = world.create("task/x");
    write(tree.path.join("new.txt"), "n");
    world.raw(&tree.path, &["add", "new.txt"]);
    let before = world.raw(&tree.path, &["status", "--porcelain", "--branch"]);
    let admin = remove::admin_dir(&tree.path).unwrap();
    let content = snapshot::read_content(&world.git, &tree.path, &admin).unwrap();
    let (_, commit) = snapshot::keep(&world.git, &tree.path, "s", &content, None, None).unwrap();
    remove::stand_on(&world.git, &tree.path, &admin, &commit, &content.index).unwrap();
    write(tree.path.join("new.txt"), "written meanwhile");
    let repository = crate::adapters::git::repository::inspect(&world.git, &world.repo).unwrap();
    let error = remove::take_away(&world.git, &repository, &tree.path, false).unwrap_err();
    assert!(matches!(error, GitError::ChangedMeanwhile(_)), "{error}");
    remove::put_back(&world.git, &tree.path, &admin).unwrap();
    assert_eq!(read(tree.path.join("new.txt")), "written meanwhile");
    let after = world.raw(&tree.path, &["status", "--porcelain", "--branch"]);
    assert_eq!(after.replace("AM ", "A  "), before);
}

#[test]
fn what_is_not_a_worktree_of_ours_is_never_removed() {
    let world = World::new();
    let tree = world.create("task/x");
    let refused = |path: &Path| {
        let error = world.remove(path).unwrap_err();
        assert!(path.exists() && error.hint().is_some(), "{error}");
        error
    };
    assert!(matches!(refused(&world.repo), GitError::OutsideRoot { .. }));
    assert!(matches!(refused(&world.root), GitError::OutsideRoot { .. }));
    assert!(matches!(
        refused(&world.root.join("shop")),
        GitError::NotOurWorktree { .. }
    ));
    // A clone below our root.
    let clone = world.root.join("clone");
    world.raw(
        &world.root,
        &["clone", "-q", world.repo.to_str().unwrap(), "clone"],
    );
    assert!(matches!(refused(&clone), GitError::NotOurWorktree { .. }));
    // A directory that claims to be the worktree of another.
    let fake = world.root.join("fake");
    fs::create_dir(&fake).unwrap();
    fs::copy(tree.path.join(".git"), fake.join(".git")).unwrap();
    assert!(matches!(refused(&fake), GitError::NotOurWorktree { .. }));
    // A link to a worktree, and a worktree of the user's elsewhere.
    std::os::unix::fs::symlink(&tree.path, world.root.join("link")).unwrap();
    assert!(matches!(
        refused(&world.root.join("link")),
        GitError::NotOurWorktree { .. }
    ));
    let users = world.home.join("users");
    world.raw(
        &world.repo,
        &["worktree", "add", "-q", users.to_str().unwrap()],
    );
    assert!(matches!(refused(&users), GitError::OutsideRoot { .. }));
    // A locked one, and one with a repository of its own inside.
    world.raw(
        &world.repo,
        &[
            "worktree",
            "lock",
            "--reason",
            "on a stick",
            tree.path.to_str().unwrap(),
        ],
    );
    match refused(&tree.path) {
        GitError::Locked { reason, .. } => assert_eq!(reason, "on a stick"),
        error => panic!("{error}"),
    }
    world.raw(
        &world.repo,
        &["worktree", "unlock", tree.path.to_str().unwrap()],
    );
    world.init(&tree.path.join("nested"));
    assert!(matches!(refused(&tree.path), GitError::CannotKeep { .. }));
}
