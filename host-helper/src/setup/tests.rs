use super::*;

pub(super) const WASM: &[u8] = b"\0asm\x01\0\0\0";

pub(super) fn targets(directory: &Path) -> Targets {
    Targets {
        plugin: directory.join("home/zellij/claustre.wasm"),
        helper: PathBuf::from("/opt/a \"b\"/claustre"),
        config: directory.join("config/config.kdl"),
        permissions: directory.join("cache/permissions.kdl"),
        layouts: directory.join("config/layouts"),
        journal: directory.join("home/zellij/setup.json"),
        key: DEFAULT_KEY.to_owned(),
    }
}

pub(super) fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Sets up over this configuration and gives it as it is then.
fn set_up(targets: &Targets) -> String {
    let changes = plan(targets, Some(WASM)).unwrap();
    apply(&changes, targets, 1_000).unwrap();
    assert_eq!(
        plan(targets, Some(WASM)).unwrap(),
        [],
        "a second time there is nothing to do"
    );
    fs::read_to_string(&targets.config).unwrap()
}

const OWN: &str = r#"// mine
theme "nord" // keep
keybinds clear-defaults=false {
    normal {
        bind "Ctrl y" { NewPane; }
    }
    shared_except "locked" { bind "Alt x" { Quit; }; }
}
plugins {
    tab-bar location="zellij:tab-bar"
}
load_plugins {
    // my own
    "file:/x.wasm"
}
/* the end */
"#;

#[test]
fn the_home_it_makes_is_closed_to_others() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    set_up(&targets(directory.path()));
    let home = fs::metadata(directory.path().join("home")).unwrap();
    assert_eq!(home.permissions().mode() & 0o777, 0o700);
}

#[test]
fn without_a_configuration_one_is_made_that_keeps_the_defaults() {
    let directory = tempfile::tempdir().unwrap();
    let targets = targets(directory.path());
    let text = set_up(&targets);
    assert!(text.contains("\"zellij:link\"\n    claustre\n"), "{text}");
    assert!(
        text.contains("shared_except \"locked\" {\n        bind \"Alt c\""),
        "{text}"
    );
    assert_eq!(fs::read(&targets.plugin).unwrap(), WASM);
    assert_eq!(undo(&targets).unwrap().len(), 4);
    assert!(!targets.config.exists() && !targets.plugin.exists() && !targets.journal.exists());
}

#[test]
fn the_users_own_lines_stay_to_the_letter() {
    let directory = tempfile::tempdir().unwrap();
    let targets = targets(directory.path());
    write(&targets.config, OWN);
    let text = set_up(&targets);
    let lost: Vec<String> = difference(OWN, &text)
        .into_iter()
        .filter(|line| line.starts_with('-'))
        .collect();
    // Only the mode that was written in one line is opened up.
    assert!(lost.len() <= 1, "{lost:?}\n{text}");
    assert!(
        text.contains("bind \"Alt x\" { Quit; }")
            && text.contains("// my own")
            && !text.contains("zellij:link"),
        "{text}"
    );
    undo(&targets).unwrap();
    assert_eq!(fs::read_to_string(&targets.config).unwrap(), OWN);
}

#[test]
fn a_file_that_changed_since_only_loses_our_part() {
    let directory = tempfile::tempdir().unwrap();
    let targets = targets(directory.path());
    write(&targets.config, OWN);
    write(
        &targets.permissions,
        "\"/other.wasm\" {\n    RunCommands\n}\n",
    );
    let text = set_up(&targets);
    fs::write(&targets.config, format!("{text}mouse_mode false\n")).unwrap();
    fs::write(
        &targets.permissions,
        fs::read_to_string(&targets.permissions).unwrap() + "\"/third.wasm\" {\n}\n",
    )
    .unwrap();
    undo(&targets).unwrap();
    let left = fs::read_to_string(&targets.config).unwrap();
    assert!(
        left.contains("mouse_mode false") && !left.contains("claustre") && left.contains("Alt x"),
        "{left}"
    );
    let left = fs::read_to_string(&targets.permissions).unwrap();
    assert!(
        left.contains("/other.wasm")
            && left.contains("/third.wasm")
            && !left.contains("claustre.wasm"),
        "{left}"
    );
}

/// Copies that lie beside the user's files.
fn copies(targets: &Targets) -> Vec<PathBuf> {
    [&targets.config, &targets.permissions]
        .into_iter()
        .filter_map(|path| fs::read_dir(path.parent()?).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().contains(".claustre-"))
        .collect()
}

#[test]
fn a_file_that_is_no_kdl_any_more_loses_our_part_and_no_copies_stay() {
    let directory = tempfile::tempdir().unwrap();
    let targets = targets(directory.path());
    write(&targets.config, OWN);
    let text = set_up(&targets);
    assert_eq!(copies(&targets).len(), 1, "while it is set up");
    let half = "/* the end */\nkeybinds {\n    half written\n";
    fs::write(&targets.config, text.replace("/* the end */\n", half)).unwrap();
    let said = undo(&targets).unwrap();
    assert_eq!(
        fs::read_to_string(&targets.config).unwrap(),
        OWN.replace("/* the end */\n", half),
        "{said:?}"
    );
    assert_eq!(copies(&targets), Vec::<PathBuf>::new());
    assert!(!targets.journal.exists());
}

#[test]
fn what_the_user_changed_between_two_setups_stays() {
    let directory = tempfile::tempdir().unwrap();
    let mut targets = targets(directory.path());
    write(&targets.config, OWN);
    let text = set_up(&targets);
    let theirs = |text: &str| text.replace("theme \"nord\" // keep", "theme \"gruvbox\"");
    fs::write(&targets.config, theirs(&text)).unwrap();
    // Another build lies elsewhere.
    targets.helper = PathBuf::from("/opt/new/claustre");
    set_up(&targets);
    undo(&targets).unwrap();
    assert_eq!(fs::read_to_string(&targets.config).unwrap(), theirs(OWN));
    assert_eq!(copies(&targets), Vec::<PathBuf>::new());
}

#[test]
fn what_cannot_be_taken_back_is_named_and_its_copy_stays() {
    let directory = tempfile::tempdir().unwrap();
    let targets = targets(directory.path());
    write(&targets.config, OWN);
    set_up(&targets);
    // Everything is different, and no KDL.
    fs::write(&targets.config, "keybinds {\n").unwrap();
    let said = undo(&targets).unwrap().join("\n");
    assert!(said.contains("take it out by hand"), "{said}");
    assert_eq!(fs::read_to_string(&targets.config).unwrap(), "keybinds {\n");
    assert_eq!(copies(&targets).len(), 1);
    assert!(!targets.plugin.exists(), "the rest is taken back");
    // Once it can be read, it can be taken back.
    fs::write(&targets.config, "theme \"nord\"\n").unwrap();
    undo(&targets).unwrap();
    assert!(!targets.journal.exists() && copies(&targets).is_empty());
}

#[test]
fn what_was_written_is_found_without_zellij() {
    let directory = tempfile::tempdir().unwrap();
    let paths = Paths::at(directory.path().join("home")).unwrap();
    let targets = Targets {
        plugin: paths.zellij().join("claustre.wasm"),
        journal: paths.setup_journal(),
        ..targets(directory.path())
    };
    write(&targets.config, OWN);
    set_up(&targets);
    let found = written_targets(&paths, DEFAULT_KEY).unwrap();
    assert_eq!(
        (&found.config, &found.permissions, &found.plugin),
        (&targets.config, &targets.permissions, &targets.plugin)
    );
}

#[test]
fn a_configuration_that_cannot_be_read_is_refused_with_its_line_and_nothing_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let targets = targets(directory.path());
    write(
        &targets.config,
        "theme \"nord\"\nkeybinds {\n    normal {\n",
    );
    let error = plan(&targets, Some(WASM)).unwrap_err();
    assert!(
        matches!(error, SetupError::Unreadable { line: 2.., .. }),
        "{error}"
    );
    assert!(!targets.plugin.exists());
}

#[test]
fn a_key_that_is_taken_is_named_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let targets = targets(directory.path());
    write(
        &targets.config,
        "keybinds {\n    normal {\n        bind \"Alt c\" { Copy; }\n    }\n}\n",
    );
    let error = plan(&targets, Some(WASM)).unwrap_err();
    assert!(
        matches!(error, SetupError::KeyTaken { line: 3, .. }),
        "{error}"
    );
}

#[test]
fn a_new_place_of_the_plugin_takes_the_place_of_the_old_one() {
    let directory = tempfile::tempdir().unwrap();
    let targets = targets(directory.path());
    set_up(&targets);
    let moved = Targets {
        plugin: directory.path().join("elsewhere/claustre.wasm"),
        key: "Alt m".to_owned(),
        ..targets
    };
    let text = set_up(&moved);
    assert_eq!(text.matches("claustre location").count(), 1, "{text}");
    assert_eq!(text.matches("MessagePlugin").count(), 1, "{text}");
    assert!(
        text.contains("Alt m") && text.contains("elsewhere"),
        "{text}"
    );
}

#[test]
fn a_key_that_was_bound_by_the_alias_is_bound_by_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let targets = targets(directory.path());
    let text = set_up(&targets);
    let file = format!("MessagePlugin \"file:{}\"", targets.plugin.display());
    assert!(text.contains(&file), "{text}");
    let older = text.replace(&file, "MessagePlugin \"claustre\"");
    write(&targets.config, &older);
    let text = set_up(&targets);
    assert!(text.contains(&file), "{text}");
    assert_eq!(text.matches("MessagePlugin").count(), 1, "{text}");
}

#[test]
fn a_symbolic_link_stays_one() {
    let directory = tempfile::tempdir().unwrap();
    let targets = targets(directory.path());
    let real = directory.path().join("dotfiles/zellij.kdl");
    write(&real, OWN);
    fs::create_dir_all(targets.config.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(&real, &targets.config).unwrap();
    set_up(&targets);
    assert!(targets.config.is_symlink());
    assert!(fs::read_to_string(&real).unwrap().contains("claustre"));
}

#[test]
fn the_plan_is_shown_as_lines_that_come_and_go() {
    let directory = tempfile::tempdir().unwrap();
    let targets = targets(directory.path());
    write(&targets.config, "theme \"nord\"\n");
    let changes = plan(&targets, Some(WASM)).unwrap();
    let shown: String = changes.iter().map(Change::describe).collect();
    assert!(
        shown.contains("+ load_plugins {") && !shown.contains("theme") && !shown.contains("\0asm"),
        "{shown}"
    );
}

#[test]
fn without_a_plugin_in_the_build_nothing_is_planned() {
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(
        plan(&targets(directory.path()), None),
        Err(SetupError::NoPlugin)
    ));
}

#[test]
fn zellij_itself_reads_what_was_written() {
    let Ok(zellij) = Zellij::find() else {
        eprintln!("skipped: there is no zellij here (PATH, CLAUSTRE_ZELLIJ)");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path().display().to_string();
    let config = directory.path().join("config");
    let places = [
        ("HOME", home.clone()),
        ("XDG_CACHE_HOME", format!("{home}/cache")),
        ("XDG_RUNTIME_DIR", home.clone()),
        ("TMPDIR", home),
        ("ZELLIJ_CONFIG_DIR", config.display().to_string()),
    ];
    let zellij = zellij.with_environment(
        places
            .map(|(name, value)| (name.to_owned(), value))
            .to_vec(),
    );
    let mut targets = targets(directory.path());
    write(&targets.config, OWN);
    let directories = zellij.directories().unwrap();
    assert_eq!(directories.config_file, targets.config);
    targets.permissions = directories.cache.join("permissions.kdl");
    set_up(&targets);
    assert_eq!(zellij.config_verdict().unwrap(), "Well defined.");
    fs::write(
        &targets.config,
        "keybinds { normal { bind \"Alt c\" { Nonsense; }; }; }\n",
    )
    .unwrap();
    zellij
        .config_verdict()
        .expect_err("the question must be able to fail");
}
