//! What of the setup is in place: looks at what [`super::plan`] would write, part by part, and writes nothing.

use super::{
    SetupError, Targets, config, journal, layout, parse_kdl, permissions, plan, read, read_text,
};

/// As many digits of a plugin's hash tell two builds apart.
const HASH_DIGITS: usize = 12;

/// The parts that are missing or otherwise than setup writes them, one line each; none where all is in place.
///
/// # Errors
/// A file cannot be read or understood.
pub fn missing(targets: &Targets, plugin: Option<&[u8]>) -> Result<Vec<String>, SetupError> {
    let plugin = plugin.ok_or(SetupError::NoPlugin)?;
    let mut missing = Vec::new();

    let shown = targets.plugin.display();
    match read(&targets.plugin)? {
        None => missing.push(format!("the plugin is not unpacked: there is no {shown}")),
        Some(present) if present != plugin => missing.push(format!(
            "the plugin {shown} is of another build: {}, and this claustre carries {}",
            hash_of(&present),
            hash_of(plugin)
        )),
        Some(_) => {}
    }

    let shown = targets.config.display();
    let document = parse_kdl(&read_text(&targets.config)?, &targets.config)?;
    let faults = config::faults(&document, targets);
    missing.extend(faults.into_iter().map(|fault| format!("{shown} {fault}")));

    let document = parse_kdl(&read_text(&targets.permissions)?, &targets.permissions)?;
    let withheld = permissions::withheld(&document, targets);
    if !withheld.is_empty() {
        missing.push(format!(
            "{} does not grant the plugin {}",
            targets.permissions.display(),
            withheld.join(", ")
        ));
    }

    let path = targets.layouts.join("claustre.kdl");
    let shown = path.display();
    match read(&path)? {
        None => missing.push(format!("the layout is not there: {shown}")),
        Some(present) if present != layout::START.as_bytes() => {
            missing.push(format!("the layout {shown} is not the one of this build"));
        }
        Some(_) => {}
    }
    // Whatever setup would still write is not in place, even if nothing above has a name for it.
    if missing.is_empty() {
        let changes = plan(targets, Some(plugin))?;
        missing.extend(
            changes
                .iter()
                .map(|change| format!("{} lacks: {}", change.path.display(), change.what)),
        );
    }
    Ok(missing)
}

/// Did setup ever write here?
#[must_use]
pub fn was_set_up(targets: &Targets) -> bool {
    targets.journal.exists() || targets.plugin.exists()
}

/// The first digits of its SHA-256.
#[must_use]
pub fn hash_of(plugin: &[u8]) -> String {
    journal::hash(plugin).chars().take(HASH_DIGITS).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::setup::{
        apply,
        tests::{WASM, targets, write},
    };

    fn check(change: impl FnOnce(&Targets), wanted: &[&str]) {
        let directory = tempfile::tempdir().unwrap();
        let targets = targets(directory.path());
        apply(&plan(&targets, Some(WASM)).unwrap(), &targets, 1_000).unwrap();
        assert_eq!(missing(&targets, Some(WASM)).unwrap(), [""; 0]);
        change(&targets);
        let root = directory.path().display().to_string();
        let missing: Vec<String> = missing(&targets, Some(WASM))
            .unwrap()
            .into_iter()
            .map(|line| line.replace(&root, "~"))
            .collect();
        assert_eq!(missing, wanted);
    }

    fn replace(path: &std::path::Path, old: &str, new: &str) {
        let text = fs::read_to_string(path).unwrap();
        assert!(text.contains(old), "{text}");
        fs::write(path, text.replace(old, new)).unwrap();
    }

    #[test]
    fn each_part_that_is_missing_is_named() {
        check(
            |targets| fs::remove_file(&targets.plugin).unwrap(),
            &["the plugin is not unpacked: there is no ~/home/zellij/claustre.wasm"],
        );
        check(
            |targets| fs::write(&targets.plugin, "older").unwrap(),
            &[
                "the plugin ~/home/zellij/claustre.wasm is of another build: da925a30e31f, and this claustre carries 93a44bbb96c7",
            ],
        );
        check(
            |targets| write(&targets.config, "// all gone\n"),
            &[
                "~/config/config.kdl has no plugin claustre",
                "~/config/config.kdl does not start claustre in load_plugins",
                "~/config/config.kdl binds no key to the dashboard (Alt c)",
            ],
        );
        check(
            |targets| replace(&targets.config, "claustre.wasm", "old.wasm"),
            &[
                "~/config/config.kdl has the plugin claustre at file:~/home/zellij/old.wasm, not file:~/home/zellij/claustre.wasm",
                "~/config/config.kdl binds Alt c to something else than the dashboard",
            ],
        );
        check(
            |targets| replace(&targets.config, "/opt/a", "/opt/b"),
            &[
                "~/config/config.kdl has the plugin call /opt/b \"b\"/claustre, not /opt/a \"b\"/claustre",
                "~/config/config.kdl binds Alt c to a dashboard of another place, or one that calls another program",
            ],
        );
        check(
            |targets| {
                replace(
                    &targets.config,
                    "MessagePlugin \"file:",
                    "MessagePlugin \"mine:",
                )
            },
            &["~/config/config.kdl binds Alt c to something else than the dashboard"],
        );
        check(
            |targets| {
                replace(&targets.permissions, "    RunCommands\n", "");
                replace(&targets.permissions, "    WriteToStdin\n", "");
            },
            &["~/cache/permissions.kdl does not grant the plugin RunCommands, WriteToStdin"],
        );
        check(
            |targets| fs::remove_file(targets.layouts.join("claustre.kdl")).unwrap(),
            &["the layout is not there: ~/config/layouts/claustre.kdl"],
        );
        check(
            |targets| fs::write(targets.layouts.join("claustre.kdl"), "layout\n").unwrap(),
            &["the layout ~/config/layouts/claustre.kdl is not the one of this build"],
        );
    }

    #[test]
    fn a_file_that_cannot_be_understood_is_said_with_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let targets = targets(directory.path());
        write(&targets.config, "theme \"nord\"\nplugins {\n");
        let error = missing(&targets, Some(WASM)).unwrap_err();
        assert!(matches!(error, SetupError::Unreadable { .. }), "{error}");
        assert!(!was_set_up(&targets));
    }
}
