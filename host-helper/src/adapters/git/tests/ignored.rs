//! What git ignores in a worktree that is removed.

use claustre_protocol::request::{LostPath, ShownLoss};

use super::*;
use crate::adapters::git::snapshot::{self, RestoreWorktree};

/// A world whose repository ignores what ends in `.local`, and the directories `data`, `target` and `vendor`.
fn world() -> World {
    let world = World::with_remote();
    write(
        world.repo.join(".gitignore"),
        "*.local\n.env\ndata/\ntarget/\nvendor/\n",
    );
    world.commit(&world.repo, "ignore");
    world.raw(&world.repo, &["push", "-q"]);
    world
}

fn preview(world: &World, path: &Path) -> Result<Option<remove::Preview>, GitError> {
    remove::preview(&world.git, &world.removal_of(path))
}

fn large(path: PathBuf, bytes: usize) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, vec![b'x'; bytes]).unwrap();
}

#[test]
fn small_ignored_files_are_kept_and_come_back() {
    let world = world();
    let tree = world.create("task/x");
    write(tree.path.join(".env"), "SECRET=1\n");
    write(tree.path.join("data/notes.md"), "n");
    std::os::unix::fs::symlink("../file.txt", tree.path.join("data/link")).unwrap();
    let looked = preview(&world, &tree.path).unwrap().unwrap();
    assert_eq!((looked.changed, looked.unpushed), (0, 0));
    assert_eq!((looked.ignored_kept, looked.lost.len()), (3, 0));
    assert_eq!(looked.branch.as_deref(), Some("task/x"));
    let status = world.raw(&tree.path, &["status", "--porcelain", "--ignored"]);
    assert_eq!(status, "!! .env\n!! data/", "a preview changes nothing");

    let removal = world.remove(&tree.path).unwrap();
    assert!(!tree.path.exists());
    let back = snapshot::restore(
        &world.git,
        &RestoreWorktree {
            repo: world.repo.clone(),
            worktrees_root: world.root.clone(),
            path: tree.path.clone(),
            snapshot_ref: removal.snapshot_ref.unwrap(),
        },
    )
    .unwrap();
    assert_eq!(read(back.path.join(".env")), "SECRET=1\n");
    assert_eq!(read(back.path.join("data/notes.md")), "n");
    assert_eq!(
        fs::read_link(back.path.join("data/link")).unwrap(),
        Path::new("../file.txt")
    );
    assert_eq!(world.raw(&back.path, &["status", "--porcelain"]), "");
}

#[test]
fn what_the_main_checkout_has_too_and_what_is_ours_needs_no_snapshot() {
    let world = world();
    write(world.repo.join(".env"), "SECRET=1\n");
    let tree = world.create("task/x");
    write(tree.path.join(".env"), "SECRET=1\n");
    std::os::unix::fs::symlink(world.repo.join("d.local"), tree.path.join("d.local")).unwrap();
    write(world.repo.join("d.local"), "main's");
    write(tree.path.join("ours.local"), "made by us");
    let mut request = world.removal_of(&tree.path);
    request.ours = vec!["ours.local".into()];
    let removal = remove::remove(&world.git, &request).unwrap();
    assert_eq!(removal.snapshot_ref, None);
    assert!(!tree.path.exists());

    // Where there is a snapshot anyway they come along.
    let tree = world.create("task/y");
    write(tree.path.join(".env"), "SECRET=1\n");
    write(tree.path.join("new.txt"), "n");
    let full = world.remove(&tree.path).unwrap().snapshot_ref.unwrap();
    assert_eq!(
        world.raw(&world.repo, &["show", &format!("{full}:.env")]),
        "SECRET=1"
    );
}

#[test]
fn what_is_too_large_goes_only_if_it_was_shown() {
    let world = world();
    let tree = world.create("task/x");
    large(tree.path.join("data/a.bin"), 1_500_000);
    write(tree.path.join("data/note"), "small");
    large(tree.path.join("model.local"), 3_000_000);
    let looked = preview(&world, &tree.path).unwrap().unwrap();
    let lost = |path: &str, bytes| LostPath {
        path: path.into(),
        files: 1,
        bytes,
    };
    assert_eq!(
        looked.lost,
        [
            lost("model.local", 3_000_000),
            lost("data/a.bin", 1_500_000)
        ]
    );
    assert_eq!(looked.ignored_kept, 1);
    let mut request = world.removal_of(&tree.path);
    for shown in [
        None,
        Some(ShownLoss {
            paths: vec!["data/a.bin".into()],
            more: 0,
        }),
    ] {
        request.shown = shown;
        match remove::remove(&world.git, &request).unwrap_err() {
            GitError::MoreThanShown { lost, .. } => {
                assert!(lost.iter().any(|lost| lost.path == "model.local"));
            }
            error => panic!("{error}"),
        }
        assert!(tree.path.join("model.local").exists());
        assert_eq!(snapshot::list(&world.git, &world.repo).unwrap(), []);
    }
    request.shown = Some(ShownLoss {
        paths: vec!["data/a.bin".into()],
        more: 1,
    });
    let removal = remove::remove(&world.git, &request).unwrap();
    assert_eq!(removal.lost, looked.lost);
    let full = removal.snapshot_ref.unwrap();
    assert_eq!(
        world.raw(&world.repo, &["show", &format!("{full}:data/note")]),
        "small"
    );
}

#[test]
fn a_directory_that_exceeds_all_limits_is_one_line_and_a_build_directory_needs_no_leave() {
    let world = world();
    let tree = world.create("task/x");
    for number in 0..40 {
        large(tree.path.join(format!("target/debug/{number}")), 1_000_000);
    }
    write(
        tree.path.join(".env"),
        "kept, although target/ is listed with it",
    );
    let looked = preview(&world, &tree.path).unwrap().unwrap();
    assert_eq!(
        looked.lost,
        [LostPath {
            path: "target/".into(),
            files: 40,
            bytes: 40_000_000
        }]
    );
    assert_eq!(looked.ignored_kept, 1);
    let removal = world.remove(&tree.path).unwrap();
    assert!(removal.snapshot_ref.is_some() && !tree.path.exists());
    assert_eq!(removal.lost, looked.lost);

    // Only its size makes the difference: a small one is kept.
    let tree = world.create("task/y");
    write(tree.path.join("target/notes"), "n");
    let looked = preview(&world, &tree.path).unwrap().unwrap();
    assert_eq!((looked.ignored_kept, looked.lost.len()), (1, 0));
}

#[test]
fn a_repository_below_an_ignored_path_keeps_the_worktree() {
    let refused = |plant: &dyn Fn(&World, &Path), inside: &str| {
        let world = world();
        let tree = world.create("task/x");
        plant(&world, &tree.path);
        let told = preview(&world, &tree.path).unwrap_err();
        let shown = ShownLoss {
            paths: Vec::new(),
            more: 1000,
        };
        let mut request = world.removal_of(&tree.path);
        request.shown = Some(shown);
        let error = remove::remove(&world.git, &request).unwrap_err();
        for error in [told, error] {
            match error {
                GitError::CannotKeep { path, .. } => assert_eq!(path, tree.path.join(inside)),
                error => panic!("{inside}: {error}"),
            }
        }
        assert!(tree.path.join(inside).exists(), "{inside}");
        assert_eq!(snapshot::list(&world.git, &world.repo).unwrap(), []);
    };
    // A clone with a commit that is nowhere else.
    refused(
        &|world, path| world.init(&path.join("vendor/a/clone")),
        "vendor/a/clone",
    );
    // A linked worktree of the same repository, whose `.git` is a file.
    refused(
        &|world, path| {
            let inner = path.join("data/inner");
            world.raw(path, &["worktree", "add", "-q", inner.to_str().unwrap()]);
        },
        "data/inner",
    );
    // One without a commit, one without a `.git`, and one that is no more than ignored as a file.
    refused(
        &|world, path| {
            fs::create_dir_all(path.join("target/x")).unwrap();
            world.raw(&path.join("target/x"), &["init", "-q"]);
        },
        "target/x",
    );
    refused(
        &|world, path| {
            fs::create_dir_all(path.join("data")).unwrap();
            world.raw(&path.join("data"), &["init", "-q", "--bare", "x.git"]);
        },
        "data/x.git",
    );
    // Not ignored: with a commit, without, and as a worktree of another repository.
    refused(&|world, path| world.init(&path.join("clone")), "clone");
    refused(
        &|world, path| {
            fs::create_dir_all(path.join("unborn")).unwrap();
            world.raw(&path.join("unborn"), &["init", "-q"]);
        },
        "unborn",
    );
    refused(
        &|world, path| {
            let other = world.home.join("other");
            world.init(&other);
            world.raw(
                &other,
                &["remote", "add", "origin", other.to_str().unwrap()],
            );
            world.raw(&other, &["fetch", "-q"]);
            let inner = path.join("inner");
            world.raw(&other, &["worktree", "add", "-q", inner.to_str().unwrap()]);
        },
        "inner",
    );
}

#[test]
fn a_submodule_goes_when_it_holds_nothing_of_its_own() {
    let world = world();
    let library = world.home.join("library");
    world.init(&library);
    write(library.join(".gitignore"), "*.local\n");
    world.commit(&library, "ignore");
    let add = [
        "submodule",
        "--quiet",
        "add",
        library.to_str().unwrap(),
        "lib",
    ];
    world.raw(&world.repo, &add);
    world.commit(&world.repo, "lib");
    world.raw(&world.repo, &["push", "-q"]);
    let tree = world.create("task/x");
    let lib = tree.path.join("lib");
    let cannot_keep = || match world.remove(&tree.path).unwrap_err() {
        GitError::CannotKeep { path, reason } => {
            assert_eq!(path, lib);
            reason
        }
        error => panic!("{error}"),
    };
    write(lib.join("file.txt"), "changed\n");
    assert_eq!(cannot_keep(), "the submodule has uncommitted changes");
    world.raw(&lib, &["stash", "-q"]);
    assert_eq!(cannot_keep(), "the submodule has a stash");
    world.raw(&lib, &["stash", "drop", "-q"]);
    // What it ignores is in no snapshot.
    write(lib.join("key.local"), "secret");
    match world.remove(&tree.path).unwrap_err() {
        GitError::MoreThanShown { lost, .. } => assert_eq!(lost[0].path, "lib/key.local"),
        error => panic!("{error}"),
    }
    fs::remove_file(lib.join("key.local")).unwrap();
    world.remove(&tree.path).unwrap();
    assert!(!tree.path.exists());
}
