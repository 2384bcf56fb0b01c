//! Processes start in one file only, which gives each a time limit, a group and a clean environment.

use crate::tidy::Finding;
use crate::tidy::imports::Import;
use crate::tidy::source::Source;

const SPAWNER: &str = "host-helper/src/adapters/process.rs";
const SPAWNER_DIRECTORY: &str = "host-helper/src/adapters/process/";

/// Finds `std::process::Command` and `tokio::process` outside the spawner; tests and xtask are free.
pub fn check(source: &Source) -> Vec<Finding> {
    let free = source.is_test
        || source.path == SPAWNER
        || source.path.starts_with(SPAWNER_DIRECTORY)
        || ["xtask/", "tests/"]
            .iter()
            .any(|directory| source.path.starts_with(directory));
    if free {
        return Vec::new();
    }
    source
        .imports
        .iter()
        .filter(|import| starts_processes(import))
        .map(|import| {
            let reason = format!(
                "{}: processes start only through {SPAWNER}",
                import.path.join("::")
            );
            Finding::error(source.path, import.line, reason)
        })
        .collect()
}

fn starts_processes(import: &Import) -> bool {
    import.starts_with(&["tokio", "process"])
        || import.starts_with(&["std", "os", "unix", "process", "CommandExt"])
        || import
            .path
            .windows(2)
            .any(|pair| pair == ["process", "Command"])
            && import
                .path
                .first()
                .is_some_and(|first| first == "std" || first == "process")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::found_lines;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        found_lines(check, path, text)
    }

    #[test]
    fn commands_outside_the_spawner_are_found() {
        let text = "use std::process::{ExitCode, Command};\nuse tokio::process;\nuse std::process;\n\
                    fn a() { process::Command::new(b) }\nuse std::process::Stdio;\n";
        assert_eq!(
            lines("host-helper/src/adapters/git/mod.rs", text),
            [1, 2, 4]
        );
        assert_eq!(lines("host-helper/src/adapters/process.rs", text), [0; 0]);
        assert_eq!(lines("xtask/src/run.rs", text), [0; 0]);
        assert_eq!(lines("tests/src/bin/fake_gh.rs", text), [0; 0]);
    }

    #[test]
    fn commands_of_other_kinds_are_no_processes() {
        let text = "use clap::Command;\nuse crate::adapters::process::Command;\nuse claustre_domain::command::Command;\n";
        assert_eq!(lines("host-helper/src/cli/mod.rs", text), [0; 0]);
    }
}
