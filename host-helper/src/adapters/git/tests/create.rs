use super::*;
use crate::adapters::git::exclude;

#[test]
fn a_new_worktree_starts_at_the_remote_base_and_shows_nothing_in_status() {
    let world = World::with_remote();
    let other = world.home.join("other");
    let origin = world.origin();
    world.raw(
        &world.home,
        &["clone", "-q", origin.to_str().unwrap(), "other"],
    );
    let newer = world.commit(&other, "newer");
    world.raw(&other, &["push", "-q", "origin", "main"]);

    let tree = world.create("task/x");
    assert_eq!(tree.path, world.root.join("shop/task/x"));
    assert_eq!((tree.reused, tree.branch_created), (false, true));
    assert_eq!(tree.base_commit, newer);
    assert_eq!(tree.notes, Vec::<String>::new());
    assert_eq!(world.raw(&tree.path, &["rev-parse", "HEAD"]), newer);

    write(tree.path.join(".mcp.json"), "{}");
    write(tree.path.join("CLAUDE.local.md"), "x");
    let second = world.create("task/y");
    write(second.path.join(".mcp.json"), "{}");
    for path in [&tree.path, &second.path, &world.repo] {
        assert_eq!(world.raw(path, &["status", "--porcelain"]), "");
    }
    let text = read(world.repo.join(".git/info/exclude"));
    assert_eq!(text.matches("/.mcp.json").count(), 1);
    assert!(exclude::remove(&world.repo.join(".git")).unwrap());
    assert_eq!(
        world
            .raw(&tree.path, &["status", "--porcelain"])
            .lines()
            .count(),
        2
    );
}

#[test]
fn without_network_or_remote_the_local_base_does() {
    let world = World::with_remote();
    let head = world.commit(&world.repo, "local only");
    fs::remove_dir_all(world.origin()).unwrap();
    let tree = world.create("task/x");
    assert_eq!(tree.base_commit, head);
    assert!(
        tree.notes[0].starts_with("working without a fetch from origin"),
        "{:?}",
        tree.notes
    );
    let lone = World::new();
    assert_eq!(lone.create("task/x").notes, Vec::<String>::new());
}

#[test]
fn calling_again_ends_in_the_same_state_wherever_it_was_cut_short() {
    let world = World::new();
    let path = world.root.join("shop/task/x");
    // The branch was made, the worktree not.
    world.raw(&world.repo, &["branch", "task/x"]);
    fs::create_dir_all(&path).unwrap();
    let tree = world.create("task/x");
    assert!(!tree.reused && !tree.branch_created);
    // All was made.
    assert!(world.create("task/x").reused);
    // Git was killed in the middle of its checkout.
    let admin = remove::admin_dir(&path).unwrap();
    fs::write(admin.join("locked"), "initializing").unwrap();
    fs::write(admin.join("index.lock"), "").unwrap();
    fs::remove_file(admin.join("index")).unwrap();
    fs::write(path.join("file.txt"), "on").unwrap();
    assert!(world.create("task/x").reused);
    assert_eq!(world.raw(&path, &["status", "--porcelain"]), "");
    assert_eq!(read(path.join("file.txt")), "one\ntwo\n");
    assert!(!admin.join("locked").exists());
    // It was killed before it had anything but its records.
    fs::write(admin.join("locked"), "initializing").unwrap();
    fs::remove_file(admin.join("commondir")).unwrap();
    fs::remove_file(admin.join("HEAD")).unwrap();
    fs::remove_file(path.join("file.txt")).unwrap();
    world.create("task/x");
    assert_eq!(world.raw(&path, &["status", "--porcelain"]), "");
    // The directory is gone, git's record is not.
    fs::remove_dir_all(&path).unwrap();
    assert!(!world.create("task/x").reused);
    assert_eq!(read(path.join("file.txt")), "one\ntwo\n");
}

#[test]
fn existing_branches_and_worktrees_are_continued() {
    let world = World::with_remote();
    world.raw(&world.repo, &["checkout", "-q", "-b", "feat/remote"]);
    let tip = world.commit(&world.repo, "remote work");
    world.raw(&world.repo, &["push", "-q", "origin", "feat/remote"]);
    world.raw(&world.repo, &["checkout", "-q", "main"]);
    world.raw(&world.repo, &["branch", "-q", "-D", "feat/remote"]);
    world.raw(
        &world.repo,
        &["update-ref", "-d", "refs/remotes/origin/feat/remote"],
    );
    let tree = world.create("feat/remote");
    assert_eq!(world.raw(&tree.path, &["rev-parse", "HEAD"]), tip);
    assert_eq!(
        world.raw(&tree.path, &["rev-parse", "--abbrev-ref", "@{u}"]),
        "origin/feat/remote"
    );
    // The same branch under another path is the same worktree.
    let mut request = world.request("feat/remote");
    request.path = world.root.join("shop/elsewhere");
    let again = worktree::create(&world.git, &request).unwrap();
    assert_eq!((again.reused, &again.path), (true, &tree.path));
}

#[test]
fn what_cannot_be_made_is_refused_clearly() {
    let world = World::new();
    let refused = |change: &dyn Fn(&mut CreateWorktree)| {
        let mut request = world.request("task/x");
        change(&mut request);
        let error = worktree::create(&world.git, &request).unwrap_err();
        assert!(error.hint().is_some(), "{error}");
        assert!(!world.root.join("shop/task/x").exists());
        error
    };
    match refused(&|request| request.base = Some("mian".into())) {
        GitError::MissingBase { near, .. } => assert_eq!(near, ["main"]),
        error => panic!("{error}"),
    }
    match refused(&|request| request.branch = "main".into()) {
        GitError::BranchCheckedOut { path, .. } => assert_eq!(path, world.repo),
        error => panic!("{error}"),
    }
    for name in ["-x", "$(id)", "a;b", "\u{1b}[31m", "../x"] {
        let error = refused(&|request| request.branch = name.into());
        assert!(matches!(error, GitError::BadName { .. }), "{error}");
        let error = refused(&|request| request.base = Some(name.into()));
        assert!(matches!(error, GitError::BadName { .. }), "{error}");
    }
    for path in ["/elsewhere", "relative", "."] {
        let error = refused(&|request| request.path = PathBuf::from(path));
        assert!(matches!(error, GitError::OutsideRoot { .. }), "{error}");
    }
    let error = refused(&|request| request.path = request.worktrees_root.join("../out"));
    assert!(matches!(error, GitError::OutsideRoot { .. }), "{error}");
    fs::create_dir_all(&world.root).unwrap();
    std::os::unix::fs::symlink(&world.home, world.root.join("link")).unwrap();
    let error = refused(&|request| request.path = request.worktrees_root.join("link/x"));
    assert!(matches!(error, GitError::OutsideRoot { .. }), "{error}");

    write(world.root.join("shop/taken/mine.txt"), "precious");
    let error = refused(&|request| request.path = request.worktrees_root.join("shop/taken"));
    assert!(matches!(error, GitError::PathTaken { .. }), "{error}");
    assert_eq!(read(world.root.join("shop/taken/mine.txt")), "precious");
}

#[test]
fn ignored_files_are_copied_and_linked_and_nothing_else() {
    let world = World::new();
    write(
        world.repo.join(".gitignore"),
        ".env\nnode_modules/\nconf/\n",
    );
    write(
        world.repo.join(".worktreeinclude"),
        ".env\n/conf/local.toml\nnotes.txt\n",
    );
    std::os::unix::fs::symlink("/etc", world.repo.join("out")).unwrap();
    world.commit(&world.repo, "ignore");
    write(world.repo.join(".env"), "SECRET=1");
    write(world.repo.join("sub/.env"), "SECRET=2");
    write(world.repo.join("conf/local.toml"), "a");
    write(world.repo.join("conf/other.toml"), "b");
    write(world.repo.join("notes.txt"), "untracked, not ignored");
    write(world.repo.join("node_modules/m/index.js"), "m");
    let mut request = world.request("task/x");
    request.symlink = vec!["node_modules".into()];
    let tree = worktree::create(&world.git, &request).unwrap();
    assert_eq!(tree.notes, Vec::<String>::new());
    assert_eq!(read(tree.path.join(".env")), "SECRET=1");
    assert_eq!(read(tree.path.join("sub/.env")), "SECRET=2");
    assert_eq!(read(tree.path.join("conf/local.toml")), "a");
    assert!(!tree.path.join("conf/other.toml").exists());
    assert!(!tree.path.join("notes.txt").exists());
    assert_eq!(
        fs::read_link(tree.path.join("node_modules")).unwrap(),
        world.repo.join("node_modules")
    );
    assert_eq!(world.raw(&tree.path, &["status", "--porcelain"]), "");

    // A second time nothing is overwritten, and removal leaves the linked directory alone.
    write(tree.path.join(".env"), "SECRET=mine");
    worktree::create(&world.git, &request).unwrap();
    assert_eq!(read(tree.path.join(".env")), "SECRET=mine");
    world.remove(&tree.path).unwrap();
    assert_eq!(read(world.repo.join("node_modules/m/index.js")), "m");
}

#[test]
fn a_link_in_the_branch_does_not_lead_copies_out_of_the_worktree() {
    let world = World::new();
    let victim = world.home.join("victim");
    fs::create_dir(&victim).unwrap();
    write(world.repo.join(".gitignore"), "*.key\n");
    world.commit(&world.repo, "ignore");
    world.raw(&world.repo, &["checkout", "-q", "-b", "evil"]);
    std::os::unix::fs::symlink(&victim, world.repo.join("conf")).unwrap();
    world.commit(&world.repo, "planted");
    world.raw(&world.repo, &["checkout", "-q", "main"]);
    write(world.repo.join("conf/a.key"), "secret");
    let mut request = world.request("evil");
    request.copy = vec!["*.key".into()];
    let tree = worktree::create(&world.git, &request).unwrap();
    assert!(
        tree.notes
            .iter()
            .any(|note| note.contains("conf/a.key: not copied")),
        "{:?}",
        tree.notes
    );
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 0);
}

#[test]
fn submodules_are_checked_out_and_a_missing_one_is_a_note() {
    let world = World::new();
    let library = world.home.join("library");
    world.init(&library);
    world.raw(
        &world.repo,
        &[
            "submodule",
            "--quiet",
            "add",
            library.to_str().unwrap(),
            "lib",
        ],
    );
    world.commit(&world.repo, "submodule");
    let tree = world.create("task/x");
    assert_eq!(tree.notes, Vec::<String>::new());
    assert_eq!(read(tree.path.join("lib/file.txt")), "one\ntwo\n");
    // A submodule with work of its own holds the removal back; without, it goes.
    write(tree.path.join("lib/file.txt"), "work");
    assert!(matches!(
        world.remove(&tree.path),
        Err(GitError::CannotKeep { .. })
    ));
    world.raw(&tree.path.join("lib"), &["checkout", "-q", "."]);
    world.remove(&tree.path).unwrap();
    assert!(!tree.path.exists());
    fs::remove_dir_all(&library).unwrap();
    let tree = world.create("task/y");
    assert!(
        tree.notes[0].starts_with("submodules not complete"),
        "{:?}",
        tree.notes
    );
}
