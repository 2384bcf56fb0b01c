use super::*;

struct Home {
    _directory: tempfile::TempDir,
    paths: Paths,
    repository: PathBuf,
}

fn home(user: &str, repository: &str) -> Home {
    let directory = tempfile::tempdir().unwrap();
    let paths = Paths::at(directory.path()).unwrap();
    let root = directory.path().join("repository");
    std::fs::create_dir_all(root.join(".claustre")).unwrap();
    std::fs::write(paths.config(), user).unwrap();
    std::fs::write(root.join(IN_REPOSITORY), repository).unwrap();
    Home {
        _directory: directory,
        paths,
        repository: root,
    }
}

fn problems(user: &str) -> String {
    let home = home(user, "");
    let error = load(&home.paths).unwrap_err().to_string();
    error.replace(&home.paths.config().display().to_string(), "FILE")
}

fn warnings(user: &str, repository: &str) -> Vec<String> {
    let home = home(user, repository);
    let loaded = load_for(&home.paths, Some(&home.repository)).unwrap();
    loaded
        .warnings
        .iter()
        .map(|warning| format!("{}: {}", warning.line, warning.what))
        .collect()
}

#[test]
fn without_a_file_the_defaults_hold() {
    let directory = tempfile::tempdir().unwrap();
    let loaded = load(&Paths::at(directory.path()).unwrap()).unwrap();
    assert_eq!(loaded.config.defaults.mode, Mode::Supervised);
    assert_eq!(loaded.config.queue.max_sessions, 8);
    assert_eq!(loaded.config.zellij.key, "Alt c");
    assert!(loaded.config.notifications.desktop);
    assert_eq!(
        loaded.origin("queue", "max_sessions").unwrap().file,
        "default"
    );
    assert!(loaded.warnings.is_empty());
}

#[test]
fn the_user_is_over_the_defaults_and_the_repository_over_the_user() {
    let home = home(
        "[defaults]\nmode = \"autonomous\"\nmodel = \"opus\"\n[prices.\"claude-opus-4.8\"]\ninput = 15\noutput = 75.5\n[keys]\nlaunch = \"L\"\n",
        "[defaults]\nmodel = \"sonnet\"\n[worktrees]\ncopy = [\".env\"]\n",
    );
    let loaded = load_for(&home.paths, Some(&home.repository)).unwrap();
    let config = &loaded.config;
    assert_eq!(config.defaults.mode, Mode::Autonomous);
    assert_eq!(config.defaults.model.as_deref(), Some("sonnet"));
    assert_eq!(config.worktrees.copy, [".env"]);
    assert_eq!(config.prices["claude-opus-4.8"]["input"], 15.0);
    assert_eq!(config.keys["launch"], "L");
    assert_eq!(loaded.origin("defaults", "mode").unwrap().line, 2);
    let origin = loaded.origin("defaults", "model").unwrap();
    assert!(origin.file.ends_with(IN_REPOSITORY));
    let toml = loaded.to_toml();
    assert!(toml.contains("[prices.\"claude-opus-4.8\"]\n"), "{toml}");
    assert!(toml.contains("max_sessions = 8  # default\n"), "{toml}");
    // What is printed can be read again and says the same.
    let again = Layers::default();
    let mut again = again;
    read::read(&mut again, "again", &toml, Whose::User).unwrap();
    assert_eq!(&again.resolve().unwrap().config, config);
    assert_eq!(loaded.to_json()["queue"]["max_sessions"]["value"], 8);
}

#[test]
fn a_wrong_value_is_named_with_its_line_and_what_would_do() {
    for (user, wanted) in [
        (
            "[defaults]\n\nmode = \"fast\"\n",
            "reading the configuration: FILE line 3: defaults.mode is \"fast\"; it takes one of: supervised, autonomous, exploration",
        ),
        (
            "[queue]\nmax_sessions = 0\n",
            "reading the configuration: FILE line 2: queue.max_sessions is 0; it takes a whole number from 1 to 1000",
        ),
        (
            "[worktrees]\nroot = \"here\"\ncopy = [1]\n",
            "reading the configuration: FILE line 2: worktrees.root is \"here\"; it takes an absolute path; FILE line 3: worktrees.copy is [1]; it takes a list of texts",
        ),
        (
            "queue = 3\n",
            "reading the configuration: FILE line 1: queue is a section: write [queue] on a line of its own",
        ),
    ] {
        assert_eq!(problems(user), wanted);
    }
    let error = problems("[queue]\nmax_sessions = \n");
    assert!(
        error.starts_with("reading the configuration: FILE line 2: not TOML: "),
        "{error}"
    );
}

#[test]
fn keys_that_clash_or_are_not_known_are_refused_with_their_names() {
    for (user, wanted) in [
        ("launch = \"ctrl+l\"", None),
        (
            "launch = \"y\"",
            Some("'y' cannot be both 'approve' and 'launch'"),
        ),
        ("lanch = \"y\"", Some("there is no action 'lanch'")),
        (
            "launch = \"hyper+x\"",
            Some("'hyper+x' is no key (for 'launch')"),
        ),
    ] {
        let home = home(&format!("[keys]\n{user}\n"), "");
        let checked = load(&home.paths).unwrap().config.check_keys();
        let said = checked.err().map(|error| error.to_string());
        let wanted = wanted.map(|why| format!("reading [keys] of the configuration: {why}"));
        assert_eq!(said, wanted, "{user}");
    }
}

#[test]
fn what_is_unknown_or_not_for_a_repository_is_a_warning() {
    assert_eq!(
        warnings(
            "[defaults]\nmood = 1\n[quue]\nx = 1\n",
            "[defaults]\npermission_mode = \"bypassPermissions\"\nmode = \"autonomous\"\n[notifications]\ncommand = [\"rm\"]\n"
        ),
        [
            "2: unknown key defaults.mood",
            "3: unknown section [quue]",
            "2: defaults.permission_mode is not for a repository to say; left out",
            "5: notifications.command is not for a repository to say; left out",
        ]
    );
}

#[test]
fn what_a_repository_has_run_counts_once_it_is_trusted() {
    let text = "[worktrees]\nsetup = [\"npm\", \"ci\"]\nroot = \"/tmp\"\n";
    assert_eq!(
        warnings("", text),
        [
            "2: worktrees.setup counts only once `claustre trust` was given",
            "3: worktrees.root is not for a repository to say; left out",
        ]
    );
    let scripts = scripts_of("it", text).unwrap();
    assert_eq!(scripts.setup.unwrap(), ["npm", "ci"]);
    assert_eq!(scripts.teardown, None);
    assert!(scripts_of("it", "[worktrees]\nsetup = 1\n").is_err());
}
