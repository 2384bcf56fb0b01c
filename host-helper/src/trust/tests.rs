use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use claustre_protocol::time::Timestamp;

use super::*;

struct World {
    top: PathBuf,
    store: TrustStore,
    _directory: tempfile::TempDir,
}

fn world() -> World {
    let directory = tempfile::tempdir().unwrap();
    let top = directory.path().canonicalize().unwrap();
    fs::create_dir_all(top.join("shop/.git/worktrees/one")).unwrap();
    World {
        store: TrustStore::new(top.join("home/trust")),
        top,
        _directory: directory,
    }
}

impl World {
    fn put(&self, path: &str, text: &str, mode: u32) {
        let path = self.top.join("shop/.claustre").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn place(&self) -> Place {
        Place::find(&self.top.join("shop")).unwrap()
    }

    fn standing(&self) -> Standing {
        self.store.standing(&self.place()).unwrap()
    }

    fn trust(&self) {
        let files = collect(&self.top.join("shop")).unwrap();
        self.store
            .trust(&self.place(), &files, Timestamp::from_millis(1))
            .unwrap();
    }

    fn changes(&self) -> Vec<String> {
        match self.standing() {
            Standing::Changed { changes, .. } => changes
                .iter()
                .map(|change| {
                    format!(
                        "{} {} {}",
                        change.kind.word(),
                        change.path,
                        change.lines.join("|")
                    )
                })
                .collect(),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn trust_holds_for_what_was_shown_and_ends_with_any_change() {
    let world = world();
    assert_eq!(world.standing(), Standing::Empty);
    world.put("hooks/setup", "#!/bin/sh\necho one\nexit 0\n", 0o755);
    world.put("hooks/lib/part.sh", "part\n", 0o644);
    world.put("config.toml", "[defaults]\n", 0o644);
    world.put("claude.md", "not ours to judge\n", 0o644);
    assert!(matches!(world.standing(), Standing::Untrusted(files) if files.len() == 3));

    world.trust();
    let Standing::Trusted(trusted) = world.standing() else {
        panic!("{:?}", world.standing());
    };
    let copy = trusted.directory.join("hooks/setup");
    assert!(copy.starts_with(world.top.join("home/trust")));
    assert_eq!(
        fs::metadata(&copy).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let store = fs::metadata(world.top.join("home/trust")).unwrap();
    assert_eq!(store.permissions().mode() & 0o777, 0o700);

    world.put("hooks/setup", "#!/bin/sh\necho two\nexit 0\n", 0o755);
    assert_eq!(world.changes(), ["edited hooks/setup -echo one|+echo two"]);
    world.put("hooks/setup", "#!/bin/sh\necho one\nexit 0\n", 0o644);
    assert_eq!(world.changes(), ["mode hooks/setup "]);
    world.put("hooks/setup", "#!/bin/sh\necho one\nexit 0\n", 0o755);
    world.put("hooks/pre-push", "x\n", 0o755);
    fs::remove_file(world.top.join("shop/.claustre/config.toml")).unwrap();
    assert_eq!(
        world.changes(),
        ["removed config.toml -[defaults]", "added hooks/pre-push +x"]
    );
    world.trust();
    assert!(matches!(world.standing(), Standing::Trusted(_)));
    let own = trusted.directory.parent().unwrap().to_owned();
    assert_eq!(fs::read_dir(&own).unwrap().count(), 2, "only the last copy");

    assert!(world.store.untrust(&world.place()).unwrap());
    assert!(!world.store.untrust(&world.place()).unwrap());
    assert!(matches!(world.standing(), Standing::Untrusted(_)));
}

#[test]
fn filters_are_allowed_in_the_words_of_the_configuration_until_trust_is_taken() {
    let world = world();
    let config = world.top.join("shop/.git/config");
    fs::write(
        &config,
        "[filter \"git-crypt\"]\n\tclean = \\\"git-crypt\\\" clean\n\trequired = true\n[core]\n\tbare = false\n",
    )
    .unwrap();
    let found = filters(&world.place()).unwrap();
    assert_eq!(
        found,
        [(
            "filter.git-crypt.clean".to_owned(),
            "\"git-crypt\" clean".to_owned()
        )]
    );
    assert_eq!(world.store.allowed_filters(&world.place()), []);
    world.store.allow_filters(&world.place(), &found).unwrap();
    assert_eq!(world.store.allowed_filters(&world.place()), found);
    assert_eq!(
        world.standing(),
        Standing::Empty,
        "of its files nothing is said"
    );
    assert!(world.store.untrust(&world.place()).unwrap());
    assert_eq!(world.store.allowed_filters(&world.place()), []);
}

#[test]
fn a_damaged_copy_is_not_trusted() {
    let world = world();
    world.put("hooks/setup", "one\n", 0o755);
    world.trust();
    let Standing::Trusted(trusted) = world.standing() else {
        panic!("{:?}", world.standing());
    };
    fs::write(trusted.directory.join("hooks/setup"), "evil\n").unwrap();
    assert!(matches!(world.standing(), Standing::Untrusted(_)));
}

#[test]
fn links_and_special_files_are_never_trusted() {
    for what in ["hooks/link", "config.toml", "hooks", "hooks/pipe"] {
        let world = world();
        world.put("hooks-elsewhere/x", "x", 0o755);
        let folder = world.top.join("shop/.claustre");
        let path = folder.join(what);
        if what != "hooks" {
            fs::create_dir_all(folder.join("hooks")).unwrap();
        }
        if what.ends_with("pipe") {
            rustix::fs::mknodat(
                rustix::fs::CWD,
                &path,
                rustix::fs::FileType::Fifo,
                rustix::fs::Mode::RUSR,
                0,
            )
            .unwrap();
        } else {
            symlink(folder.join("hooks-elsewhere"), &path).unwrap();
        }
        let error = world.store.standing(&world.place()).unwrap_err();
        assert!(
            matches!(error, TrustError::Refused { .. }),
            "{what}: {error}"
        );
    }
}

#[test]
fn a_worktree_leads_to_its_main_checkout() {
    let world = world();
    let worktree = world.top.join("elsewhere/one");
    fs::create_dir_all(worktree.join("deep")).unwrap();
    let admin = world.top.join("shop/.git/worktrees/one");
    fs::write(
        worktree.join(".git"),
        format!("gitdir: {}\n", admin.display()),
    )
    .unwrap();
    fs::write(admin.join("commondir"), "../..\n").unwrap();
    assert_eq!(Place::find(&worktree.join("deep")).unwrap(), world.place());
    assert!(matches!(
        Place::find(Path::new("/")),
        Err(TrustError::NoRepository(_))
    ));
}
