//! A repository whose configuration wants to run a program at every occasion.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::adapters::git::snapshot::{self, RestoreWorktree};
use crate::adapters::git::{repository, status};

/// Plants a program under every key that git would run it for.
fn plant(world: &World) -> PathBuf {
    let marker = world.home.join("marker");
    let script = world.home.join("evil.sh");
    fs::write(
        &script,
        format!("#!/bin/sh\necho \"$0 $@\" >> {}\ncat\n", marker.display()),
    )
    .unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let script = script.to_str().unwrap();
    for key in [
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
        "merge.evil.driver",
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "filter.a=b.clean",
        "filter.lfs.clean",
        "filter.lfs.smudge",
        "gpg.program",
        "gpg.ssh.program",
        "gc.recentObjectsHook",
        "remote.origin.uploadpack",
        "remote.origin.receivepack",
        "uploadpack.packObjectsHook",
        "pager.status",
        "pager.diff",
        "interactive.diffFilter",
    ] {
        world.raw(&world.repo, &["config", key, script]);
    }
    for (key, value) in [
        ("filter.evil.required", "true"),
        ("commit.gpgSign", "true"),
        ("log.showSignature", "true"),
        ("alias.status", &format!("!{script}")),
        ("alias.worktree", &format!("!{script}")),
        ("credential.helper", &format!("!{script}")),
        ("submodule.lib.update", &format!("!{script}")),
        ("status.showUntrackedFiles", "no"),
        ("gc.auto", "1"),
    ] {
        world.raw(&world.repo, &["config", key, value]);
    }
    let hooks = world.repo.join(".git/hooks");
    fs::create_dir_all(&hooks).unwrap();
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
    ] {
        fs::copy(script, hooks.join(hook)).unwrap();
    }
    marker
}

#[test]
fn no_call_runs_what_a_repository_planted() {
    let world = World::with_remote();
    // Attributes that use the planted drivers, in the branch and in the repository.
    let attributes = "*.txt filter=evil diff=evil merge=evil\n*.ab filter=a=b\n*.lfs filter=lfs\n";
    write(world.repo.join(".gitattributes"), attributes);
    write(world.repo.join("x.ab"), "x");
    write(world.repo.join("x.lfs"), "x");
    write(world.repo.join(".gitignore"), "secret\n");
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
    world.commit(&world.repo, "attributes");
    world.raw(&world.repo, &["push", "-q", "origin", "main"]);
    write(world.repo.join("secret"), "s");
    let marker = plant(&world);
    let untouched = |what: &str| {
        assert!(
            !marker.exists(),
            "{what} ran {}",
            fs::read_to_string(&marker).unwrap()
        );
    };

    repository::inspect(&world.git, &world.repo).unwrap();
    untouched("inspect");
    let mut request = world.request("task/x");
    request.copy = vec!["secret".into()];
    let tree = worktree::create(&world.git, &request).unwrap();
    let named: Vec<&str> = tree
        .notes
        .iter()
        .filter_map(|note| note.strip_prefix("git filter ")?.split(' ').next())
        .collect();
    assert_eq!(named, ["a=b", "evil", "lfs"], "{:?}", tree.notes);
    assert_eq!(read(tree.path.join("file.txt")), "one\ntwo\n");
    untouched("create");
    for file in ["file.txt", "x.ab", "x.lfs", "new.txt"] {
        write(tree.path.join(file), "changed\n");
    }
    let now = status::status(&world.git, &tree.path).unwrap();
    assert_eq!((now.dirty_files, now.untracked), (3, 1));
    untouched("status");
    status::diff_stat(&world.git, &tree.path, &tree.base_commit).unwrap();
    untouched("diff_stat");
    status::diff_text(&world.git, &tree.path, &tree.base_commit).unwrap();
    untouched("diff_text");
    worktree::create(&world.git, &request).unwrap();
    untouched("create again");
    let full = world.remove(&tree.path).unwrap().snapshot_ref.unwrap();
    untouched("remove");
    snapshot::list(&world.git, &world.repo).unwrap();
    let back = snapshot::restore(
        &world.git,
        &RestoreWorktree {
            repo: world.repo.clone(),
            worktrees_root: world.root.clone(),
            path: world.root.join("back"),
            snapshot_ref: full.clone(),
        },
    )
    .unwrap();
    assert_eq!(read(back.path.join("new.txt")), "changed\n");
    untouched("restore");
    snapshot::delete(&world.git, &world.repo, &full).unwrap();

    // Another repository's objects, whose refs a fetch would ask a program for.
    write(
        world.repo.join(".git/objects/info/alternates"),
        library.join(".git/objects").to_str().unwrap(),
    );
    let asking = server_that_asks_for_a_password();
    for (at, remote) in [
        &format!("ext::sh -c touch% {}", marker.display()),
        "ssh://127.0.0.1:1/x",
        "git://127.0.0.1:1/x",
        &asking,
    ]
    .iter()
    .enumerate()
    {
        world.raw(&world.repo, &["config", "remote.origin.url", remote]);
        let request = world.request(&format!("task/remote-{at}"));
        let notes = worktree::create(&world.git, &request).unwrap().notes;
        let fetch = notes.iter().filter(|note| note.contains("without a fetch"));
        assert_eq!(fetch.count(), 1, "{notes:?}");
        untouched(remote);
    }

    // The traps do work: plain git steps into them.
    world.plain(&back.path, &["diff"]).run().unwrap();
    assert!(marker.exists());
}

/// Answers every request as one that needs a name and a password, so that git looks for helpers.
fn server_that_asks_for_a_password() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            let answer = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\
                Content-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    url
}

#[test]
fn a_missing_object_is_not_fetched_by_a_planted_program() {
    let world = World::new();
    let tree = "100644 blob 1234567890123456789012345678901234567890\tmissing.txt\n";
    let made = world
        .plain(&world.repo, &["mktree", "--missing"])
        .stdin(tree)
        .run()
        .unwrap();
    let commit = world.raw(
        &world.repo,
        &["commit-tree", made.stdout_text().trim(), "-m", "x"],
    );
    world.raw(&world.repo, &["update-ref", "refs/heads/lazy", &commit]);
    let library = world.home.join("library");
    world.init(&library);
    let marker = plant(&world);
    let script = world.home.join("evil.sh");
    for (key, value) in [
        ("remote.evil.url", library.to_str().unwrap()),
        ("remote.evil.promisor", "true"),
        ("remote.evil.uploadpack", script.to_str().unwrap()),
        ("core.repositoryFormatVersion", "1"),
        ("extensions.partialClone", "evil"),
    ] {
        world.raw(&world.repo, &["config", key, value]);
    }
    assert!(worktree::create(&world.git, &world.request("lazy")).is_err());
    assert!(!marker.exists(), "{}", fs::read_to_string(&marker).unwrap());
}
