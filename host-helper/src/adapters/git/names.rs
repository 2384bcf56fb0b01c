//! Which names we let through to git and the file system, and the names we make.

use uuid::Uuid;

use super::GitError;
use crate::text::terminal_safe;

const LONGEST: usize = 100;
const LONGEST_SLUG: usize = 40;

/// Checks a branch, tag or other revision name against the allow-list: 1 to 100 of
/// `A-Za-z0-9._/-`, no start with `-`, `/` or `.`, nothing git would refuse or read differently.
pub fn check_branch(name: &str) -> Result<(), GitError> {
    check(name, "branch", branch_fault(name))
}

/// Checks the name of a base; the same rules as for a branch.
pub fn check_base(name: &str) -> Result<(), GitError> {
    check(name, "base", branch_fault(name))
}

/// Checks the name of a snapshot; the same rules as for a branch.
pub fn check_snapshot(name: &str) -> Result<(), GitError> {
    check(name, "snapshot", branch_fault(name))
}

/// Checks a project name: one path component of 1 to 100 of `A-Za-z0-9._-`, no start with `-` or `.`.
pub fn check_project(name: &str) -> Result<(), GitError> {
    let fault = if name.contains('/') {
        Some("it has a slash")
    } else {
        branch_fault(name)
    };
    check(name, "project name", fault)
}

/// The branch of a task: `task/`, up to 40 characters made of its title, and the first 8 digits
/// of its id, which keep two tasks of the same title apart.
pub fn branch_for(title: &str, id: &Uuid) -> String {
    let mut slug = String::with_capacity(LONGEST_SLUG);
    for c in title.chars() {
        if slug.len() >= LONGEST_SLUG {
            break;
        }
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = match slug.trim_matches('-') {
        "" => "untitled",
        slug => slug,
    };
    let id: String = id.simple().to_string().chars().take(8).collect();
    format!("task/{slug}-{id}")
}

fn check(name: &str, kind: &'static str, fault: Option<&'static str>) -> Result<(), GitError> {
    match fault {
        None => Ok(()),
        Some(reason) => {
            let name = terminal_safe(name).replace(['\n', '\t'], " ");
            Err(GitError::BadName {
                kind,
                name: name.chars().take(LONGEST).collect(),
                reason,
            })
        }
    }
}

fn branch_fault(name: &str) -> Option<&'static str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | '-');
    if name.is_empty() {
        Some("it is empty")
    } else if name.len() > LONGEST {
        Some("it is longer than 100 characters")
    } else if !name.chars().all(allowed) {
        Some("it has a character other than letters, digits, `.`, `_`, `/`, `-`")
    } else if name.starts_with(['-', '/', '.']) {
        Some("it starts with `-`, `/` or `.`")
    } else if name.ends_with(['/', '.']) {
        Some("it ends with `/` or `.`")
    } else if name.contains("..") || name.contains("//") {
        Some("it has `..` or `//`")
    } else if name
        .split('/')
        .any(|part| part.starts_with('.') || part.ends_with(".lock"))
    {
        Some("a part of it starts with `.` or ends with `.lock`")
    } else if name == "HEAD" || name.starts_with("refs/") {
        Some("git reads it as something else than a branch")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_refused_and_named_safely() {
        for name in [
            "",
            "-x",
            "--upload-pack=x",
            "/abs",
            ".hidden",
            "a/.b",
            "a..b",
            "a//b",
            "a/",
            "a.",
            "a.lock",
            "a.lock/b",
            "a@{1}",
            "$(id)",
            "`id`",
            "a;b",
            "a b",
            "a\nb",
            "a\u{1b}[2J",
            "a~1",
            "a^",
            "a:b",
            "a?",
            "a*",
            "a[b",
            "a\\b",
            "HEAD",
            "refs/heads/x",
            "ünï",
            "a\0b",
        ] {
            let error = check_branch(name).expect_err(name);
            assert!(
                !error.to_string().chars().any(char::is_control),
                "{error:?}"
            );
            assert!(error.hint().is_some());
        }
        assert!(check_branch(&"a".repeat(101)).is_err());
        assert!(check_project("a/b").is_err());
        assert!(check_project("..").is_err());
        for name in [
            "main",
            "task/fix-auth-1f3a9c02",
            "feat/A_b.c-1",
            &"a".repeat(100),
        ] {
            check_branch(name).unwrap();
        }
        check_project("shop-2.0_x").unwrap();
    }

    #[test]
    fn task_branches_are_always_allowed_names() {
        let id = Uuid::from_u128(0x1f3a_9c02_0000_0000_0000_0000_0000_0001);
        for (title, branch) in [
            ("Fix auth token!", "task/fix-auth-token-1f3a9c02"),
            ("  --$(id); rm -rf / ", "task/id-rm-rf-1f3a9c02"),
            ("漢字", "task/untitled-1f3a9c02"),
            ("\u{1b}]0;x\u{7}", "task/0-x-1f3a9c02"),
        ] {
            assert_eq!(branch_for(title, &id), branch);
            check_branch(branch).unwrap();
        }
        let long = branch_for(&"long title ".repeat(20), &id);
        assert!(long.len() <= 5 + 40 + 9, "{long}");
        check_branch(&long).unwrap();
    }
}
