//! Projects: repositories under a unique name.

mod decide;
mod evolve;

pub(crate) use decide::changed;
pub use decide::decide;
pub use evolve::Project;

/// May a project, or a directory made from it, be called so?
///
/// One path component of letters, digits, `.`, `_` and `-` that does not begin with `.` or `-`, at most 60 characters.
pub fn is_valid_name(name: &str) -> bool {
    (1..=60).contains(&name.len())
        && !name.starts_with(['.', '-'])
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}
