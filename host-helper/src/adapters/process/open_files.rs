//! How many files this process may have open, and how many the programs that it starts.

use std::sync::OnceLock;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

/// The limit that this process was started with, once it was raised.
static STARTED_WITH: OnceLock<Rlimit> = OnceLock::new();

/// Lets this process open as many files as the system allows it; returns how many that are.
///
/// The programs that it starts keep the limit that it was started with: some close every number up to theirs one by one, and
/// those that use `select` cannot have more than 1,024.
pub fn raise_file_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return limit.current.unwrap_or(u64::MAX);
    }
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => {
            STARTED_WITH.get_or_init(|| limit);
            raised.current.unwrap_or(u64::MAX)
        }
        Err(error) => {
            tracing::warn!(%error, "raising the limit of open files");
            limit.current.unwrap_or(u64::MAX)
        }
    }
}

/// Gives a program that was just started the limit that this process was started with.
pub(super) fn restore_file_limit(child: u32) {
    let Some(limit) = STARTED_WITH.get() else {
        return;
    };
    let Some(pid) = i32::try_from(child).ok().and_then(Pid::from_raw) else {
        return;
    };
    // It may have ended already.
    prlimit(Some(pid), Resource::Nofile, *limit).ok();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::process::Invocation;

    #[test]
    fn this_process_may_open_more_and_its_children_may_not() {
        let before = getrlimit(Resource::Nofile);
        let lower = Rlimit {
            current: Some(600),
            maximum: before.maximum,
        };
        setrlimit(Resource::Nofile, lower).unwrap();
        let raised = raise_file_limit();
        assert_eq!(raised, before.maximum.unwrap_or(u64::MAX));
        assert_eq!(getrlimit(Resource::Nofile).current, before.maximum);
        // The read waits until the limit was set: the child starts before that.
        let finished = Invocation::new("sh")
            .args(["-c", "read line; ulimit -n"])
            .stdin("go\n")
            .run()
            .unwrap();
        assert_eq!(finished.stdout_text().trim(), "600");
    }
}
