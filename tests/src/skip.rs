//! Tests that cannot run on this machine: said, counted as passed, and written down for the CI, which takes no such excuse.

use std::io::Write as _;

/// Names the file that skipped tests are written to, one line each; set by `cargo xtask ci`.
pub const SKIPPED_FILE: &str = "CLAUSTRE_TEST_SKIPPED";

/// Says why a test did not run. It counts as passed: the machine lacks something that is not ours.
///
/// # Panics
/// When the file that the CI wants to read cannot be written.
pub fn skip(test: &str, reason: &str) {
    eprintln!("skipped {test}: {reason}");
    let Some(path) = std::env::var_os(SKIPPED_FILE) else {
        return;
    };
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .expect("opening the list of skipped tests");
    let line = format!("{test}: {}\n", reason.replace('\n', " "));
    file.write_all(line.as_bytes())
        .expect("writing the list of skipped tests");
}
