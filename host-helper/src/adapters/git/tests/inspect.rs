use super::*;
use crate::adapters::git::repository::inspect;
use crate::adapters::git::status::{DiffStat, diff_stat, diff_text, status};

#[test]
fn a_repository_is_found_from_anywhere_inside() {
    let world = World::with_remote();
    fs::create_dir(world.repo.join("sub")).unwrap();
    let tree = world.create("task/x");
    for path in [&world.repo, &world.repo.join("sub"), &tree.path] {
        let repository = inspect(&world.git, path).unwrap();
        assert_eq!(repository.root, world.repo);
        assert_eq!(repository.common_dir, world.repo.join(".git"));
        assert_eq!(repository.default_branch, "main");
        assert_eq!(repository.remotes, ["origin"]);
        assert_eq!(repository.head.branch.as_deref(), Some("main"));
    }
}

#[test]
fn each_unusable_repository_has_its_own_error_with_a_hint() {
    let world = World::new();
    let plain = world.home.join("plain");
    fs::create_dir(&plain).unwrap();
    let bare = world.home.join("bare.git");
    world.raw(&world.home, &["init", "-q", "--bare", "bare.git"]);
    let unborn = world.home.join("unborn");
    world.raw(&world.home, &["init", "-q", "unborn"]);
    let behind_file = world.home.join("behind");
    fs::create_dir(&behind_file).unwrap();
    fs::write(
        behind_file.join(".git"),
        format!("gitdir: {}\n", bare.display()),
    )
    .unwrap();

    let error = |path: &Path| {
        let error = inspect(&world.git, path).unwrap_err();
        assert!(error.hint().is_some(), "{error}");
        error
    };
    assert!(matches!(
        error(&world.home.join("gone")),
        GitError::MissingPath(_)
    ));
    assert!(matches!(error(&plain), GitError::NotARepository(_)));
    assert!(matches!(error(&bare), GitError::Bare(_)));
    assert!(matches!(error(&behind_file), GitError::Bare(_)));
    assert!(matches!(error(&unborn), GitError::Unborn(_)));
    assert!(matches!(error(&world.repo.join(".git")), GitError::Bare(_)));
}

#[test]
fn the_remote_says_which_branch_is_the_default() {
    let world = World::with_remote();
    world.raw(&world.repo, &["push", "-q", "origin", "main:trunk"]);
    world.raw(&world.repo, &["fetch", "-q"]);
    world.raw(&world.repo, &["remote", "set-head", "origin", "trunk"]);
    assert_eq!(
        inspect(&world.git, &world.repo).unwrap().default_branch,
        "trunk"
    );
}

#[test]
fn status_and_diff_count_what_a_reader_would() {
    let world = World::with_remote();
    let tree = world.create("task/x");
    let clean = status(&world.git, &tree.path).unwrap();
    assert_eq!((clean.is_dirty(), clean.unpushed), (false, false));
    assert_eq!(clean.branch.as_deref(), Some("task/x"));

    write(tree.path.join("committed.txt"), "a\nb\n");
    world.commit(&tree.path, "work");
    write(tree.path.join("file.txt"), "one\n2\n");
    write(tree.path.join("new\nname.txt"), "x\ny\nz");
    let now = status(&world.git, &tree.path).unwrap();
    assert_eq!((now.dirty_files, now.untracked, now.unpushed), (1, 1, true));
    let stat = diff_stat(&world.git, &tree.path, &tree.base_commit).unwrap();
    assert_eq!(
        stat,
        DiffStat {
            files: 3,
            added: 6,
            removed: 1
        }
    );

    let text = diff_text(&world.git, &tree.path, &tree.base_commit).unwrap();
    assert!(text.contains("+++ b/committed.txt\n"), "{text}");
    assert!(text.contains("\n+2\n"), "{text}");
    assert!(
        text.ends_with("not tracked yet: new\\nname.txt\n"),
        "{text}"
    );

    world.raw(&tree.path, &["push", "-q", "-u", "origin", "task/x"]);
    world.commit(&tree.path, "more");
    let now = status(&world.git, &tree.path).unwrap();
    assert_eq!((now.ahead, now.behind, now.unpushed), (1, 0, true));
}

#[test]
fn other_layouts_work_and_a_planted_work_tree_does_not() {
    let world = World::new();
    // Worktrees of a bare repository, as some people keep them.
    let top = world.home.join("top");
    world.raw(
        &world.home,
        &[
            "clone",
            "-q",
            "--bare",
            world.repo.to_str().unwrap(),
            "top/.bare",
        ],
    );
    world.raw(
        &top.join(".bare"),
        &["worktree", "add", "-q", "../main", "main"],
    );
    assert_eq!(
        inspect(&world.git, &top.join("main")).unwrap().root,
        top.join("main")
    );
    // A git directory kept elsewhere.
    let args = ["init", "-q", "--separate-git-dir", "elsewhere", "apart"];
    world.raw(&world.home, &args);
    let apart = world.home.join("apart");
    world.commit(&apart, "first");
    assert_eq!(inspect(&world.git, &apart).unwrap().root, apart);

    for planted in [world.home.as_path(), world.repo.parent().unwrap()] {
        world.raw(
            &world.repo,
            &["config", "core.worktree", planted.to_str().unwrap()],
        );
        let error = inspect(&world.git, &world.repo).unwrap_err();
        assert!(matches!(error, GitError::Tampered(_)), "{error}");
    }
}
